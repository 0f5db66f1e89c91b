#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The main job on real input: `stress` replays the traces of gcc and of compileall on 1, 2 and 8 CPUs under both engines, with
# every block's contents checked. Its digest must be the one that the host's malloc gives for the same trace and workers,
# and two simulated runs of one seed must end alike, whatever else differs. TAP on standard output.
#   test_stress.py TBOS_SIM PEER_ALLOC WORKERS_MAX TRACE…

import json
import os
import subprocess
import sys
import tempfile

SIM, PEER, WORKERS_MAX, *TRACES = sys.argv[1:]
TIMEOUT_S = 600


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f'{" ".join(command)}: status {done.returncode}: {(done.stdout + done.stderr)[-600:]}')
    return done


def figures(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith('{')][0]


def stress(engine, cpus, workers, trace, *options):
    done = run([SIM, '--engine', engine, '--cpus', str(cpus), *options, '-c', f"stress -j --workers {workers} --trace '{trace}'"])
    figure = figures(done.stdout)
    assert figure['wrong'] == 0 and figure['refused'] == 0, figure
    return figure, [line for line in done.stderr.splitlines() if line.startswith('trace-hash: ')]


def peer_digest(trace, workers):
    return figures(run([PEER, '--runs', '1', '--fill', '--threads', str(workers), '--trace', trace]).stdout)['digest']


def test_replay(engine, cpus, workers, trace):
    figure, _ = stress(engine, cpus, workers, trace)
    assert figure['digest'] == peer_digest(trace, workers), figure
    assert figure['threads'] == workers and figure['handed'] > 0 or workers == 1, figure


def test_synthetic_digest_is_the_same_everywhere():
    def digest(engine, cpus, *options):
        done = run([SIM, '--engine', engine, '--cpus', str(cpus), *options, '-c', 'stress -j --workers 3 --events 20000 --seed 9'])
        return figures(done.stdout)['digest']

    first = digest('threads', 1)
    assert first == digest('threads', 4) == digest('sim', 1) == digest('sim', 4, '--seed', '5')
    other = run([SIM, '-c', 'stress -j --workers 3 --events 20000 --seed 10'])
    assert figures(other.stdout)['digest'] != first


def test_simulated_run_repeats(trace):
    options = ('--seed', '7', '--policy', 'random')
    first = stress('sim', 2, 2, trace, *options)
    again = stress('sim', 2, 2, trace, *options)
    other = stress('sim', 2, 2, trace, '--seed', '8', '--policy', 'random')
    assert first == again and first[1], (first, again)
    assert first[1] != other[1] and first[0]['digest'] == other[0]['digest']


def test_broken_trace_is_refused(trace):
    with open(trace, 'rb') as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    with tempfile.NamedTemporaryFile(suffix='.tbat') as file:
        for content in (bytes(data), bytes(data[:-12]), b'', b'TBAT'):
            file.seek(0)
            file.truncate()
            file.write(content)
            file.flush()
            done = subprocess.run([SIM, '-c', f"stress --trace '{file.name}'"], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=TIMEOUT_S, check=False)
            assert done.returncode == 1 and 'not a valid trace: byte ' in done.stdout, done


def test_wrong_usage():
    for words in ('stress --workers 0', 'stress --workers 257', 'stress --rounds 0', 'stress --events 0', 'stress --trace', 'stress what',
                  'bench nosuch', 'bench --runs 0', 'bench --runs'):
        done = subprocess.run([SIM, '-c', words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 2 and done.stdout, (words, done)
    done = subprocess.run([SIM, '-c', 'stress --trace /nonexistent'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1 and '/nonexistent' in done.stdout, done


def test_bench(engine):
    listed = [line.split()[0] for line in run([SIM, '-c', 'bench --list']).stdout.splitlines()]
    assert 'switch' in listed and 'cross' in listed, listed
    done = run([SIM, '--engine', engine, '--cpus', '2', '-c', 'bench -j --runs 1'])
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    assert [line['case'] for line in lines] == listed, done.stdout
    assert all(line['virtual'] == (engine == 'sim') and line['iterations'] > 0 for line in lines)


def cases():
    most = int(WORKERS_MAX)
    for trace in TRACES:
        name = os.path.basename(trace)
        for cpus, workers in ((1, 1), (1, 4), (2, 2), (8, most)):
            yield f'{name}, {cpus} CPUs, {workers} workers, threads', lambda c=cpus, w=workers, t=trace: test_replay('threads', c, w, t)
        for cpus in (1, 2, 8):
            workers = min(cpus, most)
            yield f'{name}, {cpus} CPUs, {workers} workers, sim', lambda c=cpus, w=workers, t=trace: test_replay('sim', c, w, t)
    yield 'a synthetic digest is the same everywhere', test_synthetic_digest_is_the_same_everywhere
    yield 'a simulated run repeats', lambda: test_simulated_run_repeats(TRACES[0])
    yield 'wrong usage is refused', test_wrong_usage
    yield 'every bench runs, threads', lambda: test_bench('threads')
    yield 'every bench runs, sim', lambda: test_bench('sim')
    yield 'a broken trace is refused', lambda: test_broken_trace_is_refused(TRACES[0])


def main():
    table = list(cases())
    print(f'1..{len(table)}', flush=True)
    failures = 0
    for number, (name, fn) in enumerate(table, 1):
        try:
            fn()
            print(f'ok {number} {name}', flush=True)
        except Exception as error:  # one failure must not hide the others
            failures += 1
            print(f'not ok {number} {name}\n# {type(error).__name__}: {str(error)[:1500]}'.replace('\n', '\n# ').replace('\n# # ', '\n# '), flush=True)
    sys.exit(1 if failures else 0)


main()
