# SPDX-License-Identifier: MIT
#
# The persona as a Linux process, on both engines: what it answers is what the board answers.
#   hosted_test.py TBOS_SIM PERSONA
import re
import subprocess
import sys

SIM, PERSONA = sys.argv[1:]
ENGINES = (['--engine', 'threads'], ['--engine', 'sim', '--seed', '7'], ['--engine', 'sim', '--seed', '8', '--policy', 'pct:3'])


def ask(engine, lines, *more):
    done = subprocess.run([SIM, '--persona', PERSONA, *engine, *more], input='\n'.join(lines) + '\n', capture_output=True, text=True, timeout=120)
    return done.stdout, done.stderr, done.returncode


def calculates():
    for engine in ENGINES:
        out, err, status = ask(engine, ['2+3*4', 'ans/0', '10/3', 'history', '((((((((((((((1', 'exit 7'])
        wanted = ['#1 = 14', 'error at 6: division by zero', '#2 = 3.333333', '#1: 2+3*4 = 14', '#2: 10/3 = 3.333333', 'error at 13: nested too deep']
        assert [line for line in out.splitlines() if not line.startswith(PERSONA)] == wanted, (engine, out, err)
        assert status == 7, (engine, status, err)


def commands_of_the_host_run():
    for engine in ENGINES:
        done = subprocess.run([SIM, '--persona', PERSONA, *engine, '-c', '1+1; ans*21'], capture_output=True, text=True, timeout=120)
        assert done.stdout.splitlines()[-2:] == ['#1 = 2', '#2 = 42'] and done.returncode == 0, (engine, done)


def the_end_of_input_is_the_end():
    for engine in ENGINES:
        out, err, status = ask(engine, ['1+1'])
        assert '#1 = 2' in out and status == 0, (engine, out, err, status)


def hostile_lines_are_refused():
    for engine in ENGINES:
        out, _, status = ask(engine, ['1' * 5000, '\x01', '1+1', 'exit'])
        assert out.count('error: ') == 2 and '#1 = 2' in out and status == 0, (engine, out)


def files_are_judged_before_they_are_replayed():
    if PERSONA != 'mobile_64k':
        return
    out, _, _ = ask(ENGINES[0], ['replay /dev/null', 'replay /nowhere', f'replay {sys.argv[0]}', 'note add x', 'note', 'exit'])
    assert out.count('error') == 3 and '1: x' in out, out


def another_executable_has_another_persona():
    other = subprocess.run([SIM, '--persona', 'no_such_persona', '-c', '1'], capture_output=True, text=True, timeout=60)
    assert other.returncode == 1 and './tools/tbos build --persona no_such_persona' in other.stderr, other


def busy_threads_share():
    out, err, _ = ask(['--engine', 'sim', '--seed', '3'], ['spin 100', 'ps', 'mem', 'exit'])
    found = re.search(r'spin: (\d+) and (\d+), (\d+) turns', out)
    assert found and int(found.group(3)) > 3 and re.search(r'bytes free', out), (out, err)


def a_seed_gives_one_hash():
    hashes = {ask(['--engine', 'sim', '--seed', seed], ['1+2', 'spin 20', 'exit'])[1].strip().splitlines()[-1] for seed in ('5', '5', '5')}
    assert len(hashes) == 1 and all(text.startswith('trace-hash: ') for text in hashes), hashes


TESTS = [calculates, commands_of_the_host_run, the_end_of_input_is_the_end, hostile_lines_are_refused, busy_threads_share,
         files_are_judged_before_they_are_replayed, another_executable_has_another_persona, a_seed_gives_one_hash]
FAILED = 0
print(f'1..{len(TESTS)}')
for number, test in enumerate(TESTS, 1):
    try:
        test()
        print(f'ok {number} - {test.__name__}', flush=True)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        FAILED += 1
        print(f'not ok {number} - {test.__name__}\n# {error!r}', flush=True)
sys.exit(FAILED != 0)
