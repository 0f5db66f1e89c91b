#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The viewers of tools/gdb on a stopped tbos-sim and on core files of it, beside what the monitor prints about the same instance; and
# on structures damaged on purpose, which they must survive.
import ctypes
import glob
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

from tap import TIMEOUT_S, Monitor, run, table

SIM, SCRIPT = map(os.path.abspath, sys.argv[1:3])
DEBUG = sys.argv[3] == 'debug'
COMMANDS = ('instances', 'threads', 'cpus', 'runq', 'timers', 'locks', 'frames', 'accounts', 'ranges', 'slab', 'slab kmalloc-5120', 'log',
            'trace 100000', 'counters', 'sim', 'bt 1', 'bt 2')
PR_SET_PTRACER = 0x59616d61


def may_be_traced():
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)


def may_dump_core():
    may_be_traced()
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def gdb(target, commands, program=SIM):
    """{command: output} of gdb in batch mode; `target` is a pid or the path of a core file."""
    words = ['gdb', '-nx', '-q', '-batch', '-ex', 'set width 0', '-ex', f'source {SCRIPT}', program]
    words += ['-p', str(target)] if isinstance(target, int) else ['-core', target]
    for command in commands:
        words += ['-ex', f'echo \\n@@{command}\\n', '-ex', command]
    done = subprocess.run([*words, '-ex', 'echo \\n@@end\\n'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=10 * TIMEOUT_S, check=False)
    text = done.stdout.decode(errors='replace')
    assert '\n@@end\n' in text, text
    for trouble in ('Python Exception', 'Traceback', 'Error occurred in Python', 'internal-error'):
        assert trouble not in text, text
    parts = re.split(r'^@@(.+)\n', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def look(target, more=()):
    answers = gdb(target, [f'tbos {command}' for command in COMMANDS] + list(more))
    return {command.removeprefix('tbos '): text for command, text in answers.items()}


class Scene:
    """An instance with some history, at rest, what its monitor said of itself, and what gdb is to find."""

    def __init__(self, *arguments, cwd=None):
        self.monitor = Monitor(SIM, '--cpus', '3', *arguments, cwd=cwd, before=may_dump_core if cwd else may_be_traced)
        # Under sim a pipe's next line comes before the next timer, so nothing may sleep there.
        work = 'ps; slab' if 'sim' in arguments else 'stress --workers 4 --rounds 1 --events 2000; sleep 20'
        self.monitor.ask('trace on all; ' + work)
        self.said = {name: self.monitor.ask(name) for name in ('dmesg', 'ps', 'cpus', 'timers', 'counters')}
        self.monitor.ask('trace off all')
        self.said['trace'] = self.monitor.ask('trace')
        # Last, so that nothing is allocated after it.
        for name in ('slab', 'mem'):
            self.said[name] = self.monitor.ask(name)
        self.rest()

    def rest(self):
        """Until every thread of the process sleeps, and is still asleep a little later: the answer comes before its writer parks."""
        quiet, end = 0, time.monotonic() + TIMEOUT_S
        while quiet < 4 and time.monotonic() < end:
            states = []
            for path in glob.glob(f'/proc/{self.monitor.pid}/task/*/stat'):
                with open(path, encoding='utf-8') as file:
                    states.append(file.read().rpartition(')')[2].split()[0])
            quiet = quiet + 1 if set(states) == {'S'} else 0
            time.sleep(0.05)

    def compare(self, seen):
        self.compare_threads(seen)
        self.compare_cpus(seen)
        self.compare_memory(seen)
        queued = sum(int(n) for n in re.findall(r'^cpu \d+: (\d+) queued', seen['timers'], re.M))
        assert f'queued now {queued}\n' in self.said['timers'], (self.said['timers'], seen['timers'])
        assert self.said['dmesg'].strip() and self.said['dmesg'] in seen['log'], (self.said['dmesg'], seen['log'])
        lines = [line for line in self.said['trace'].splitlines() if line.startswith('[')]
        traced = [line for line in seen['trace 100000'].splitlines() if line.startswith('[')]
        assert lines and lines == traced, (len(lines), len(traced), [pair for pair in zip(lines, traced) if pair[0] != pair[1]][:3])

    def compare_threads(self, seen):
        said, found = table(self.said['ps'], 'id', [0]), table(seen['threads'], 'id', [0])
        assert said.keys() == found.keys(), (self.said['ps'], seen['threads'])
        for key, words in said.items():
            name = words[1]
            assert [words[i] for i in (1, 3, 4)] == [found[key][i] for i in (1, 3, 4)], (words, found[key])
            # The monitor ran while it told, and thereby somebody's idle thread did not.
            if name in ('monitor', 'idle'):
                continue
            assert words[2] == found[key][2] and words[10:] == found[key][8:], (words, found[key])
        monitor = next(words for words in found.values() if words[1] == 'monitor')
        assert monitor[2] == 'parked' and 'console: readers' in ' '.join(monitor), monitor

    def compare_cpus(self, seen):
        said, found = table(self.said['cpus'], 'cpu', [0]), table(seen['cpus'], 'cpu', [0])
        assert len(said) == 3 and said.keys() == found.keys(), (said, found)
        for key, words in said.items():
            assert words[:3] == found[key][:3] and int(words[4]) <= int(found[key][4]) and int(words[5]) == int(found[key][5]), (words, found[key])
            assert found[key][-1] == 'idle', found[key]

    def compare_memory(self, seen):
        said, found = table(self.said['slab'], 'cache', [0]), table(seen['slab'], 'cache', [0])
        assert len(said) > 20 and said == found, [(a, found.get(key)) for key, a in said.items() if a != found.get(key)]
        said, found = table(self.said['mem'], 'account', [0]), table(seen['accounts'], 'account', [0])
        assert said.keys() == found.keys(), (said, found)
        free = int(re.search(r'^all +\d+ +(\d+)', self.said['mem'], re.M)[1])
        assert free == sum(int(n) for n in re.findall(r'free (\d+) KiB, in groups', seen['frames'])), (self.said['mem'], seen['frames'])
        for name in ('thread.started', 'thread.exited', 'frame.failures', 'slab.failures', 'rwlock.blocked'):
            line = re.compile(rf'^{name} .*$', re.M)
            assert line.search(self.said['counters'])[0] == line.search(seen['counters'])[0], name


def no_damage(seen):
    for command, text in seen.items():
        assert 'damaged' not in text and 'cannot be shown' not in text, (command, text)


def check_backtraces(seen, identity):
    """`init` is parked in a chain of calls that is known; an idle CPU is seen where it left for the host."""
    assert 'thread 2 init: parked, waits for boot: stop' in seen['bt 2'], seen['bt 2']
    assert 'completion_wait' in seen['bt 2'] and 'host_switch_start' in seen['bt 2'], seen['bt 2']
    assert 'sched_idle_loop' in seen['bt 1'] and 'kernel_boot' in seen['bt 1'], seen['bt 1']
    assert 'monitor_main' in seen[f'bt {identity}'] and 'console_read_byte' in seen[f'bt {identity}'], seen[f'bt {identity}']


def monitor_id(scene):
    return next(words[0] for words in table(scene.said['ps'], 'id', [0]).values() if words[1] == 'monitor')


def test_live(engine):
    scene = Scene('--engine', engine, '--seed', '77')
    try:
        identity = monitor_id(scene)
        seen = look(scene.monitor.pid, [f'tbos bt {identity}', 'tbos bt 2 3', 'tbos bt 999', 'tbos bt', 'tbos slab nothing', 'bt 3'])
        no_damage(seen)
        scene.compare(seen)
        check_backtraces(seen, identity)
        assert len(re.findall('^#', seen['bt 2 3'], re.M)) == 3, seen['bt 2 3']
        assert 'no thread 999' in seen['bt 999'] and 'usage: tbos bt ID' in seen['bt'] and 'no cache nothing' in seen['slab nothing']
        if engine == 'sim':
            assert 'seed 77, decided by random' in seen['sim'] and re.search(r'decisions [1-9]\d+,', seen['sim']), seen['sim']
        if DEBUG:
            assert re.search(r'\d+ live from \w+', seen['slab kmalloc-5120']), seen['slab kmalloc-5120']
        # Having been looked at, it goes on.
        assert 'all invariants hold' in scene.monitor.ask('check')
    finally:
        scene.monitor.end()


def test_sleeper():
    """A timer, and a thread in the middle of a command."""
    monitor = Monitor(SIM, before=may_be_traced)
    try:
        identity = next(words[0] for words in table(monitor.ask('sleep 20; ps'), 'id', [0]).values() if words[1] == 'monitor')
        monitor.send('sleep 86400000')
        seen = look(monitor.pid, [f'tbos bt {identity}'])
        for _ in range(20):
            # It wakes ten times a second: caught awake, it is looked at again.
            if 'run_sleep' in seen[f'bt {identity}'] and 'park_expired' in seen['timers']:
                break
            seen = look(monitor.pid, [f'tbos bt {identity}'])
        no_damage(seen)
        assert 'run_sleep' in seen[f'bt {identity}'] and 'sleep_until_ns' in seen[f'bt {identity}'], seen[f'bt {identity}']
        assert re.search(r'cpu \d: 1 queued.*\n +\d+ ns  park_expired', seen['timers']), seen['timers']
    finally:
        monitor.end()


def test_core(engine, by_signal):
    with tempfile.TemporaryDirectory(prefix='tbos-core-') as folder:
        scene = Scene('--engine', engine, cwd=folder)
        try:
            identity = monitor_id(scene)
            path = os.path.join(folder, 'by-gdb')
            if by_signal:
                os.kill(scene.monitor.pid, signal.SIGABRT)
                scene.monitor.process.wait(TIMEOUT_S)
                path = glob.glob(os.path.join(folder, 'core*'))[0]
            else:
                gdb(scene.monitor.pid, [f'gcore {path}'])
            seen = look(path, [f'tbos bt {identity}'])
        finally:
            scene.monitor.end()
        no_damage(seen)
        scene.compare(seen)
        check_backtraces(seen, identity)


DAMAGE = {
    'a list that leads nowhere': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set $k->sched->threads.head.next->next = 0x1230'],
                                  'threads', 'damaged list at 0x'),
    'a list in a circle': (['set $k = (struct kernel *) host_instances[0]->ram.base',
                            'set $k->accounts->all.head.next->next = $k->accounts->all.head.next'], 'accounts', 'damaged list at 0x'),
    'a thread that is none': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set ((struct thread *) $k->cpus[0]->idle)->magic = 7'],
                              'threads', 'damaged struct thread at 0x'),
    'a saved stack pointer elsewhere': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set $k->cpus[0]->idle->hal.sp = 16'],
                                        'bt 1', 'its saved stack pointer is 0x10'),
    'a free list in a circle': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set $r = &$k->frames->regions[0]',
                                 'set $i = ' + ' : '.join(f'$r->heads[{n}] ? $r->heads[{n}]' for n in range(11)) + ' : 0', 'set $r->frames[$i - $r->first].next = $i'], 'frames', 'damaged list at 0x'),
    'a number of CPUs beyond all': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set $k->cpu_count = 4000000000'],
                                    'cpus', 'damaged struct kernel at 0x'),
    'a ring of a wrong size': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set $k->log->ring.slot_count = 0x7fffffff'],
                               'log', 'damaged ring at 0x'),
    'a depot in a circle': (['set $k = (struct kernel *) host_instances[0]->ram.base', 'set $c = $k->slab->caches[1]',
                             'set $c->depot.first = (void *) $k->sched'], 'slab', 'damaged'),
}


def test_damage(name):
    commands, viewer, expected = DAMAGE[name]
    monitor = Monitor(SIM, before=may_be_traced)
    try:
        monitor.ask('sleep 20')
        seen = gdb(monitor.pid, commands + [f'tbos {command}' for command in COMMANDS] + ['kill'])
        assert expected in seen[f'tbos {viewer}'], seen[f'tbos {viewer}']
    finally:
        monitor.end()


RUBBISH = '''python
import random, gdb
random.seed(%d)
base = int(gdb.parse_and_eval('(unsigned long) host_instances[0]->ram.base'))
inferior = gdb.selected_inferior()
places = [base + 8 * i for i in range(int(gdb.lookup_type('struct kernel').sizeof) // 8)]
kernel = gdb.parse_and_eval('*(struct kernel *) %%d' %% base)
for name in ('log', 'trace', 'sched', 'slab', 'frames', 'accounts'):
    start = int(kernel[name].cast(gdb.lookup_type('unsigned long')))
    places += [start + 8 * i for i in range(kernel[name].dereference().type.sizeof // 8)]
for i in range(2):
    start = int(kernel['cpus'][i].cast(gdb.lookup_type('unsigned long')))
    places += [start + 8 * j for j in range(gdb.lookup_type('struct cpu').sizeof // 8)]
pointers = [base + random.randrange(0, 1 << 20) & ~7 for _ in range(8)]
for place in random.sample(places, len(places) // %d):
    value = random.choice([0, 1, 0xffffffffffffffff, random.getrandbits(64), random.choice(pointers)])
    inferior.write_memory(place, value.to_bytes(8, 'little'))
'''


def test_rubbish(seed, share):
    """Chance writes over every structure: nothing may crash, and everything must end."""
    monitor = Monitor(SIM, before=may_be_traced)
    try:
        monitor.ask('trace on all; sleep 20')
        with tempfile.NamedTemporaryFile('w', suffix='.gdb') as script:
            script.write(RUBBISH % (seed, share) + 'end\n')
            script.flush()
            gdb(monitor.pid, [f'source {script.name}'] + [f'tbos {command}' for command in COMMANDS] + ['kill'])
    finally:
        monitor.end()


def test_autoload():
    """Beside the program lies what gdb loads by itself where it is allowed to."""
    folder = os.path.dirname(SIM)
    done = subprocess.run(['gdb', '-nx', '-q', '-batch', '-iex', f'add-auto-load-safe-path {folder}', SIM, '-ex', 'tbos threads'],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False)
    assert 'no process and no core file' in done.stdout, done.stdout


def cases():
    for engine in ('threads', 'sim'):
        yield f'a live process, {engine}', lambda e=engine: test_live(e)
    yield 'a sleeper and its timer', test_sleeper
    for engine in ('threads', 'sim'):
        yield f'a core file that gdb wrote, {engine}', lambda e=engine: test_core(e, False)
    with open('/proc/sys/kernel/core_pattern', encoding='ascii') as file:
        if not file.read().startswith(('|', '/')):
            yield 'a core file of a crash', lambda: test_core('threads', True)
    for name in DAMAGE:
        yield name, lambda n=name: test_damage(n)
    for seed, share in ((1, 400), (2, 40), (3, 4), (4, 2)):
        yield f'rubbish in memory, one word in {share}', lambda s=seed, n=share: test_rubbish(s, n)
    yield 'loaded by itself', test_autoload


run(cases())
