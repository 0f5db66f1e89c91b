#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The command line of tbos-sim: good and bad options, files that are missing, unreadable, no logs, too large, or full; exit
# statuses; that everything that says JSON is JSON; and talking to it through a pipe.
import json
import os
import select
import subprocess
import sys
import tempfile
import time

from tap import TIMEOUT_S, Monitor, run

SIM = os.path.abspath(sys.argv[1])
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
SIMULATED = ('--engine', 'sim')


def call(*arguments, cwd=None):
    return subprocess.run([SIM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=cwd)


def expect(status, *arguments, says=None, cwd=None):
    done = call(*arguments, cwd=cwd)
    assert done.returncode == status, (arguments, status, done)
    if says is not None:
        assert says in done.stderr, (arguments, says, done)
    return done


def test_usage():
    for words, says in ((['--engine', 'foo'], "'foo' is neither"), (['--engine'], 'requires an argument'), (['--cpus', '0'], 'outside'),
                        (['--cpus', '65'], 'outside'), (['--cpus', '-1'], 'not a number'), (['--cpus', '4x'], 'not a number'),
                        (['--cpus', ''], 'not a number'), (['--mem', '2097151'], 'outside'), (['--mem', '3145729K'], 'outside'),
                        (['--mem', '99999999999999999999'], 'not a number'), (['--mem', '17179869184G'], 'not a number'),
                        (['--seed', '-5'], 'not a number'), (['--seed', '18446744073709551616'], 'not a number'), (['--slot', '85'], 'outside'),
                        (['--time-limit', '0'], 'outside'), (['--time-limit', 'soon'], 'not a number'), (['--bogus'], 'unrecognized'),
                        (['ps'], 'commands go after -c'), (['-c'], 'requires an argument'), (['--json=1'], "doesn't allow"),
                        (['--policy', 'rr'], 'needs --engine sim'), (['--verify'], 'needs --engine sim'), (['--record', 'x'], 'needs --engine sim'),
                        (['--replay', 'x'], 'needs --engine sim'), ([*SIMULATED, '--verify'], 'needs -c'),
                        ([*SIMULATED, '--record', 'x', '--replay', 'x'], 'exclude')):
        expect(2, *words, says=says)


def test_extremes():
    for words in (['--mem', '2M'], ['--mem', '3G'], ['--cpus', '1'], ['--cpus', '64'], ['--slot', '84'], ['--seed', '0', *SIMULATED],
                  ['--seed', '18446744073709551615', *SIMULATED], ['--policy', 'pct:64', *SIMULATED], ['--persona', 'super_1g']):
        done = expect(0, *words, '-c', 'echo here')
        assert done.stdout == 'here\n', (words, done)


def test_refused():
    for words, says in ((['--persona', 'nosuch'], "no 'nosuch'"), (['--persona', ''], "no ''"), ([*SIMULATED, '--policy', 'bogus'], 'policy "bogus"'),
                        ([*SIMULATED, '--policy', 'pct:0'], 'policy "pct:0"'), ([*SIMULATED, '--policy', 'pct:99999999999'], 'policy'),
                        (['--cpus', '64', '--mem', '2M'], 'boot has failed: Cannot allocate memory')):
        expect(1, *words, '-c', 'ps', says=says)


def test_initramfs():
    """What the archive itself can be is tests/library/initramfs_test.py's."""
    done = expect(1, '--initramfs', '/nowhere', '-c', 'ls')
    assert 'initramfs: no such file or directory' in done.stdout, done
    done = expect(1, '--initramfs', '/', '-c', 'ls')
    assert 'initramfs: is a directory' in done.stdout, done
    with tempfile.TemporaryDirectory(prefix='tbos-cli-') as folder:
        log, tree = os.path.join(folder, 'log'), os.path.join(ROOT, 'tests/fuzz/seeds/fuzz_unpack/zstd')
        first = expect(0, *SIMULATED, '--initramfs', tree, '--record', log, '-c', 'find /')
        assert '/d/f\n' in first.stdout, first
        again = expect(0, *SIMULATED, '--initramfs', tree, '--replay', log, '-c', 'find /')
        assert again.stdout == first.stdout and again.stderr == first.stderr, (first, again)
        other = os.path.join(ROOT, 'tests/fuzz/seeds/fuzz_unpack/lz4')
        expect(1, *SIMULATED, '--initramfs', other, '--replay', log, '-c', 'find /')
        expect(1, *SIMULATED, '--replay', log, '-c', 'find /')


def test_replay_files():
    with tempfile.TemporaryDirectory(prefix='tbos-cli-') as folder:
        def make(name, content, size=None):
            path = os.path.join(folder, name)
            with open(path, 'wb') as file:
                file.write(content)
                if size is not None:
                    file.truncate(size)
            return path
        log = os.path.join(folder, 'log')
        expect(0, *SIMULATED, '--record', log, '-c', 'ps')
        with open(log, 'rb') as file:
            whole = file.read()
        expect(0, *SIMULATED, '--replay', log, '-c', 'ps')
        expect(1, *SIMULATED, '--seed', '2', '--replay', log, '-c', 'ps', says='made with seed 1, not 2')
        for path, says in ((make('empty', b''), 'no decision log'), (make('rubbish', os.urandom(100000)), 'no decision log'),
                           (make('huge', b'', 3 << 30), 'no decision log'), (make('vast', whole, 20 << 30), 'File too large'),
                           (make('cut', whole[:len(whole) // 2]), None), (make('flipped', whole[:99] + bytes([whole[99] ^ 1]) + whole[100:]), None),
                           (folder, 'Is a directory'), ('/dev/zero', 'Invalid argument'), (os.path.join(folder, 'absent'), 'No such file')):
            expect(1, *SIMULATED, '--replay', path, '-c', 'ps', says=says)


def test_files_that_cannot_be_written():
    for option in (['--trace'], [*SIMULATED, '--record']):
        done = expect(1, *option, '/nonexistent/file', '-c', 'ps', says='/nonexistent/file: No such file or directory')
        assert done.stderr.count('tbos-sim:') == 1, done
        done = expect(1, *option, '/dev/full', '-c', 'ps', says='No space left on device')
        assert done.stderr.count('tbos-sim:') == 1, done


def test_statuses():
    for line, status in (('ps', 0), ('', 0), (' ; ;', 0), ('nosuch', 127), ("echo 'x", 2), ('poweroff 9', 9), ('poweroff 256', 2), ('slab -x', 2),
                         ('ps; nosuch; ps', 0), ('help nosuch', 1)):
        for engine in ('threads', 'sim'):
            expect(status, '--engine', engine, '-c', line)
    expect(1, '-c', 'a' * 70000, says='more than 65536 bytes')
    for engine in ('threads', 'sim'):
        expect(124, '--engine', engine, '--time-limit', '50ms', '-c', 'sleep 60000', says='time limit')


def test_json():
    for line in ('ps -j', 'cpus -j', 'mem -j', 'slab -j', 'counters -j', 'persona list -j', 'persona show -j', 'stress -j --workers 2 --rounds 1 --events 500', 'bench -j --runs 1 switch'):
        json.loads(expect(0, '-c', line).stdout)
    lines = expect(0, '-c', 'trace on all; mem; trace off all; trace -j').stdout.splitlines()
    events = [json.loads(line) for line in lines if line.startswith('{')]
    assert events and all('event' in event for event in events), lines
    for words, status in ((['-c', 'help'], 0), (['--persona', 'nosuch', '-c', 'ps'], 1), (['--time-limit', '50ms', '-c', 'sleep 60000'], 124),
                          ([*SIMULATED, '-c', 'nosuch'], 127), ([*SIMULATED, '--verify', '-c', 'ps'], 0), (['--trace', '/nonexistent/x', '-c', 'ps'], 1)):
        done = expect(status, '--json', *words)
        report = json.loads(done.stdout[done.stdout.index('{\n'):])
        assert report['status'] == status and (status in (0, 127)) == (report['reason'] == ''), (words, report)
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        expect(0, '--trace', file.name, '-c', 'ps')
        assert json.load(open(file.name, encoding='utf-8'))['traceEvents']


def test_pipe(engine):
    """Somebody who waits for each answer before the next line, with every seed."""
    for seed in range(8):
        monitor = Monitor(SIM, '--engine', engine, '--cpus', '3', '--seed', str(seed))
        try:
            assert monitor.ask('echo one').endswith('one\n') and monitor.ask('echo two') == 'two\n'
            monitor.send('poweroff 5')
            assert monitor.process.wait(TIMEOUT_S) == 5
        finally:
            monitor.end()


def says(line, text, status=0, engine='threads'):
    done = call('--engine', engine, '-c', line)
    assert done.stdout == text and done.returncode == status, (line, text, done)


def test_files_and_pipes(engine):
    """What goes by <, >, >> and |; complaints go to the console, whatever output does."""
    for line, text, status in (
            ('echo a b > /f; cat /f; echo c >> /f; cat < /f', 'a b\na b\nc\n', 0),
            ('echo one > /f; echo two > /f; cat /f', 'two\n', 0),
            ('echo a>/f;cat</f', 'a\n', 0),
            ("echo 'x|y' > '/a file'; cat '/a file' | cat | cat", 'x|y\n', 0),
            ('echo abc | hexdump', '00000000  61 62 63 0a                                       |abc.|\n00000004\n', 0),
            ('echo a | sha256', '87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7  -\n', 0),
            ('help | grep -c file > /n; cat /n | grep -c .', '0\n', 1),
            ('echo 1 > /a; echo 2 > /b; cat /b - /a < /a', '2\n1\n1\n', 0),
            ('cat /none > /f; cat /f', 'cat: /none: no such file or directory\n', 0),
            ('echo a > /none/f', 'monitor: /none/f: no such file or directory\n', 1),
            ('cat < /none', 'monitor: /none: no such file or directory\n', 1),
            ('cat', 'usage: cat [FILE...]\n', 2),
            ('mkdir /d; echo a > /d', 'monitor: /d: is a directory\n', 1),
            ('mkdir /m; mount -t tmpfs -o size=4K x /m; cat < /f; help > /h; cat /h /h /h > /m/f; stat /m/f | grep -c "4096 bytes"',
             'monitor: /f: no such file or directory\nmonitor: /m/f: no space left\n1\n', 0),
            ('echo a | nosuch; echo $?', "nosuch: no such command; 'help' lists them\n$?\n", 0),
            ('echo a > /f; echo b > /g; more /f /g | grep b', 'b\n', 0)):
        says(line, text, status, engine)
    # More than a pipe holds, through six of them, and a reader that leaves.
    says('echo 0123456789abcdef > /a; cat /a /a /a /a /a /a /a /a /a /a /a /a /a /a /a /a > /b; '
         'cat /b /b /b /b /b /b /b /b /b /b /b /b /b /b /b /b > /c; cat /c /c /c /c /c /c /c /c /c /c > /d; '
         'cat /d /d /d | cat | cat | cat | cat | cat | grep -c f; cat /d /d /d | echo; check', '7680\n\ncheck: all invariants hold\n', 0, engine)


def test_source():
    lines = 'echo "echo one; echo two | cat" > /s; echo "" >> /s; echo "# nothing" >> /s; echo "cat /none; echo three > /o" >> /s; '
    says(lines + 'source /s; cat /o', 'one\ntwo\ncat: /none: no such file or directory\nthree\n')
    says('echo nosuch > /s; echo "echo on" >> /s; source /s; source -e /s',
         "nosuch: no such command; 'help' lists them\non\nnosuch: no such command; 'help' lists them\nsource: /s: line 1 ended with status 127\n", 127)
    says('echo "source /s" > /s; source /s', 'source: /s: files source files, more than 8 deep\n', 1)
    says('source /none', 'source: /none: no such file or directory\n', 1)
    says('source', 'usage: source [-e] FILE\n', 2)
    says('echo "poweroff 7" > /s; echo "echo never" >> /s; source /s', '', 7)
    says(f'echo "echo {"x" * 1200}" > /s; echo "echo on" >> /s; source /s', 'source: /s: line 1 is longer than 1023 bytes\non\n')


def resident_kib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('RssShmem:'))


def test_memory_goes_back():
    """A workload touches memory; when it has ended the host gets it back on request."""
    monitor = Monitor(SIM, '--mem', '256M', '--cpus', '2')
    try:
        monitor.ask('stress --workers 8 --events 200000 --rounds 1')
        before = resident_kib(monitor.pid)
        said = monitor.ask('mem -r')
        after = resident_kib(monitor.pid)
        given = int(said.split()[0])
        assert given > 0 and before - after >= given // 2, (said, before, after)
        assert monitor.ask('mem -r').startswith('0 KiB') and 'all invariants hold' in monitor.ask('check')
    finally:
        monitor.end()


def test_pipe_is_not_asked_too_early():
    """A simulated machine that sleeps, or shuts down, does not wait for input that nobody has asked for."""
    monitor = Monitor(SIM, *SIMULATED, '--cpus', '3', '--seed', '3')
    try:
        monitor.send('sleep 50; echo over')
        text, end = b'', time.monotonic() + TIMEOUT_S
        while b'over\n' not in text and select.select([monitor.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
            text += os.read(monitor.process.stdout.fileno(), 65536)
        assert b'over\n' in text, text
        monitor.send('poweroff 6')
        assert monitor.process.wait(TIMEOUT_S) == 6
    finally:
        monitor.end()


run((('wrong usage', test_usage), ('extremes', test_extremes), ('what is refused', test_refused), ('logs that are none', test_replay_files),
     ('initramfs', test_initramfs),
     ('files that cannot be written', test_files_that_cannot_be_written), ('exit statuses', test_statuses), ('JSON', test_json),
     ('a pipe, threads', lambda: test_pipe('threads')), ('a pipe, sim', lambda: test_pipe('sim')), ('a pipe is not asked too early', test_pipe_is_not_asked_too_early), ('memory goes back to the host', test_memory_goes_back),
     ('files and pipes, threads', lambda: test_files_and_pipes('threads')), ('files and pipes, sim', lambda: test_files_and_pipes('sim')),
     ('source', test_source)))
