# SPDX-License-Identifier: MIT
#
# What is measured: one row per figure, TBOS's way and the peers' ways to do the same job, and the aim. A source is
# anything with run(pinned) that gives the samples of one sitting, in the row's base unit (nanoseconds).
import glob
import json
import os
import statistics
import subprocess

RUNS = 3  # in one process; the rounds repeat the process
TIMEOUT_S = 120
PRELOADS = {'tcmalloc': 'libtcmalloc_minimal.so.4', 'jemalloc': 'libjemalloc.so.2', 'mimalloc': 'libmimalloc.so.2'}
FAST = ('tcmalloc', 'jemalloc', 'mimalloc')


class Absent(Exception):
    """This source cannot be measured here; the text says why."""


def library_path(name):
    found = sorted(glob.glob(f'/usr/lib/*/{name}') + glob.glob(f'/usr/lib/{name}') + glob.glob(f'/usr/local/lib/{name}'))
    if not found:
        raise Absent(f'{name} is not installed')
    return found[0]


def run_command(command, env=None, cpus=None):
    """Standard output's JSON lines. `cpus` limits the process, from its first instruction."""
    def restrict():
        os.sched_setaffinity(0, cpus)

    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                              preexec_fn=restrict if cpus else None, check=False)
    except FileNotFoundError:
        raise Absent(f'{os.path.basename(command[0])} is not built') from None
    except subprocess.TimeoutExpired:
        raise Absent(f'{" ".join(command[:4])} … did not end in {TIMEOUT_S} s') from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ['no message']
        raise Absent(f'status {done.returncode}: {words[0]}')
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    if not lines:
        raise Absent('it printed no figures')
    return lines


class Peer:
    """A program of tests/bench: peer_* or bench_host."""

    def __init__(self, build, program, case=None, preload=None, arguments=()):
        self.program, self.case, self.preload, self.arguments = program, case, preload, list(arguments)
        self.path = os.path.join(build, 'tests', program if program == 'bench_host' else os.path.join('bench', program))

    def run(self, pinned):
        env = dict(os.environ)
        if self.preload:
            env['LD_PRELOAD'] = library_path(PRELOADS[self.preload])
        command = [self.path, '--runs', str(RUNS)] + (['--only', self.case] if self.case else []) + (['--pinned'] if pinned else [])
        lines = run_command(command + self.arguments, env=env)
        wanted = [line for line in lines if not self.case or line['case'] == self.case]
        if not wanted:
            raise Absent(f'{self.program} has no case {self.case} here')
        return wanted[-1]


class Spawn(Peer):
    def __init__(self, build, command, until=None):
        super().__init__(build, 'peer_spawn', arguments=(['--until', until] if until else []) + ['--'] + command)


class Monitor:
    """A command line of tbos-sim's monitor that prints JSON, a line or several."""

    def __init__(self, build, commands, cpus=1, options=()):
        self.path = os.path.join(build, 'tools/tbos-sim/tbos-sim')
        self.commands, self.cpus, self.options = commands, cpus, list(options)

    def run(self, pinned):
        # One host CPU for one virtual CPU; two cannot be told apart from outside and may use any.
        allowed = sorted(os.sched_getaffinity(0))[:1] if pinned and self.cpus == 1 else None
        lines = run_command([self.path, '--cpus', str(self.cpus), *self.options, '-c', self.commands], cpus=allowed)
        samples = [self.sample(line) for line in lines]
        least = [lines[0]['min']] if 'min' in lines[0] else samples
        return dict(lines[-1], median=statistics.median(samples), min=min(least))

    @staticmethod
    def sample(line):
        """A replay's figure is per event and CPU, like the peer's, of the CPUs that the host really has."""
        if 'elapsed_ns' not in line:
            return line['median']
        return line['elapsed_ns'] / line['events'] * min(line['threads'], len(os.sched_getaffinity(0)))


class Aim:
    """`limit` is in the row's shown unit, or, with `peers`, a ratio to the fastest of them."""

    def __init__(self, limit, peers=None, at_least=False):
        self.limit, self.peers, self.at_least = limit, peers, at_least

    def text(self, unit):
        if self.peers:
            names = self.peers[0] if len(self.peers) == 1 else 'the fastest of ' + ', '.join(self.peers)
            return f'≤ {self.limit:g} × {names}'
        return f'{"≥" if self.at_least else "≤"} {self.limit:,g} {unit}'


class Row:
    def __init__(self, name, title, tbos, peers, aim=None, unit='ns', scale=1.0, rate=False, against=None,
                 memory=False):
        self.name, self.title, self.tbos, self.peers, self.aim = name, title, tbos, peers, aim
        self.unit, self.scale, self.rate, self.memory = unit, scale, rate, memory
        self.against = against or (aim.peers if aim and aim.peers else tuple(peers))

    def shown(self, ns):
        """Nanoseconds in the unit of the table."""
        return 1e9 / ns if self.rate else ns / self.scale


def bench_row(build, name, title, peers, aim=None, cpus=1, case=None, **more):
    source = Monitor(build, f'bench -j --runs {RUNS} {case or name}', cpus)
    return Row(name, title, source, peers, aim, **more)


def slab_rows(build):
    def peers(case):
        table = {'glibc': Peer(build, 'peer_alloc', case)}
        table.update({name: Peer(build, 'peer_alloc', case, preload=name) for name in FAST})
        return table

    aim = Aim(1, FAST)
    yield bench_row(build, 'pair', 'slab: 64 bytes', peers('pair'), aim)
    yield bench_row(build, 'mixed', 'slab: 16 to 1,023 bytes', peers('mixed'), aim)
    yield bench_row(build, 'churn', 'slab: the same, 1,024 live', peers('churn'), aim)
    yield bench_row(build, 'pair2', 'slab: 64 bytes, two CPUs', peers('pair2'), aim, cpus=2)
    yield bench_row(build, 'churn2', 'slab: 1,024 live, two CPUs', peers('churn2'), aim, cpus=2)
    yield bench_row(build, 'cross', 'slab: freed on another CPU', peers('cross'), aim, cpus=2)


def trace_row(build, file, workers, fill):
    """Plain replays only touch their blocks, so that the allocator is what is measured; filled ones tell about memory. On both sides the
    first replay counts for memory alone: it makes the host hand out pages."""
    path = os.path.join(build, 'tests/bench', file + '.tbat')
    arguments = ['--trace', path, '--threads', str(workers)] + (['--fill'] if fill else [])
    peers = {'glibc': Peer(build, 'peer_alloc', arguments=arguments)}
    peers.update({name: Peer(build, 'peer_alloc', preload=name, arguments=arguments) for name in FAST})
    command = f"stress -j --warm {'' if fill else '--plain '}--workers {workers} --trace '{path}'"
    title = f'{file} trace, {workers} worker{"s" if workers > 1 else ""}{", filled" if fill else ""}'
    return Row(f'{file}-{workers}{"-fill" if fill else ""}', title, Monitor(build, '; '.join([command] * RUNS), workers), peers,
               against=FAST, memory=fill)


def trace_rows(build):
    for file in ('gcc', 'compileall'):
        yield from (trace_row(build, file, workers, False) for workers in (1, 2, 8))
        yield trace_row(build, file, 1, True)


def rows(build):
    switch = {name: Peer(build, 'peer_switch', name) for name in ('assembly', 'swapcontext', 'futex')}
    sim = os.path.join(build, 'tools/tbos-sim/tbos-sim')
    empty = {'empty program': Spawn(build, [os.path.join(build, 'tests/bench/peer_empty')])}
    timers = {name: Peer(build, 'peer_timer', name) for name in ('libuv', 'timerfd', 'posix')}
    table = [
        bench_row(build, 'switch', 'thread switch, one way', switch, Aim(40), against=('futex',)),
        bench_row(build, 'handover', 'unpark other + park, one way', {'futex': Peer(build, 'peer_switch', 'futex')}),
        *slab_rows(build),
        bench_row(build, 'mutex', 'mutex: lock + unlock', {'glibc': Peer(build, 'peer_mutex', 'uncontended')},
                  Aim(1, ('glibc',))),
        bench_row(build, 'timer', 'timer: arm + cancel among 10,000', timers, Aim(200), against=('libuv',)),
        Row('boot', 'boot: start to prompt', Spawn(build, [sim], until='tbos> '), empty, Aim(10), 'ms', 1e6),
        Row('instances', 'instances of 16 MiB', Peer(build, 'bench_host', 'instances'), empty,
            Aim(1000, at_least=True), 'per s', rate=True),
        Row('decisions', 'sim decisions', Peer(build, 'bench_host', 'decisions'), {}, Aim(2e6, at_least=True), 'per s',
            rate=True),
        *trace_rows(build),
    ]
    return table
