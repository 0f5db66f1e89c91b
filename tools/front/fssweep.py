# SPDX-License-Identifier: MIT
#
# fs-sweep: the stress driver of PXFS (tests/conform/pxfs/stress.h) under one seed after the other, in the simulator. Where it stopped it goes on with
# --resume: build/fs-sweep/BUILD.json has the next seed and the sums.
import concurrent.futures
import json
import os
import re
import subprocess
import time

import builds
import packages
from sweep import SUITE_SEEDS
from ui import BUILD, Failure, Progress, parse_duration, say

FOLDER = os.path.join(BUILD, 'fs-sweep')
TEXT = 'run random calls on PXFS and on a tmpfs beside it, with snapshots, rollback, remounts and full volumes, and compare all that can be seen'
SUMS = ['steps', 'compared', 'full', 'snapshots', 'rollbacks', 'mounts']
LINE = re.compile('stress: ' + ', '.join(rf'(\d+) {name}' for name in SUMS))
SEEDS_AT_ONCE = 10


def options(parser):
    parser.add_argument('--budget', default='10m', metavar='TIME', help='90s, 10m, 2h (default: %(default)s)')
    parser.add_argument('--build', default='debug', choices=['debug', 'release', 'asan'], help='default: %(default)s')
    parser.add_argument('--long', action='store_true', help='3,000 calls a seed instead of 300')
    parser.add_argument('--first-seed', type=int, metavar='N', help=f'default: {SUITE_SEEDS}, behind the seeds that the suite runs')
    parser.add_argument('--seeds', type=int, metavar='N', help='stop behind so many, though there is time left')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), metavar='N', help='processes (default: one a CPU)')
    parser.add_argument('--resume', action='store_true', help='go on where the last sweep stopped')
    parser.add_argument('--json', action='store_true', help='the sums as JSON')


def state_load(path, args):
    if args.resume and args.first_seed is not None:
        raise Failure('--resume knows its first seed', 'leave out --first-seed, or --resume')
    first = SUITE_SEEDS if args.first_seed is None else args.first_seed
    fresh = {'first': first, 'next': first, 'bodies': 0, 'seconds': 0, 'differences': [], **dict.fromkeys(SUMS, 0)}
    if not args.resume:
        return fresh
    try:
        with open(path, encoding='utf-8') as file:
            state = json.load(file)
    except FileNotFoundError:
        raise Failure(f'{path} is not there: no sweep has run', 'leave out --resume') from None
    except ValueError:
        raise Failure(f'{path} is damaged', 'leave out --resume to begin anew') from None
    if not isinstance(state, dict) or set(state) != set(fresh):
        raise Failure(f'{path} is of another sweep', 'leave out --resume to begin anew')
    return state


def state_save(path, state):
    with open(path + '.new', 'w', encoding='utf-8') as file:
        json.dump(state, file, indent=1)
    os.replace(path + '.new', path)


def chunk_run(program, suite, seed, count):
    """Bodies under `count` seeds: their sums, and what failed, each with the command that repeats it."""
    command = [program, '--engine', 'sim', '--seed', str(seed), '--seeds', str(count), '--timeout', '1200', '--verbose', '--slow', suite]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          check=False)
    rows = [[int(number) for number in found.groups()] for found in LINE.finditer(done.stdout)]
    failed = []
    if done.returncode != 0:
        agains = re.findall(r'^# again: (.*)$', done.stdout, re.MULTILINE) or [' '.join(command)]
        said = re.findall(r'^\[.*\] ((?:twins|fsck|panic).*)$', done.stdout, re.MULTILINE)
        failed = [{'again': again + (' --slow' if suite.startswith('pxfs_stress_long') else ''), 'said': said[:3]} for again in agains]
    return rows, failed


def chunk_add(state, rows, failed):
    state['bodies'] += len(rows)
    for row in rows:
        for name, number in zip(SUMS, row):
            state[name] += number
    for one in failed:
        state['differences'].append(one)
        say('DIFFERENCE ' + '; '.join(one['said']) + '\n    again: ' + one['again'])


def seeds_run(args, program, state, path):
    suite = 'pxfs_stress_long.' if args.long else 'pxfs_stress.'
    budget_s, begin, before_s = parse_duration(args.budget), time.monotonic(), state['seconds']
    end = state['next'] + args.seeds if args.seeds else None
    bar, waiting = Progress('fs-sweep'), {}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        while True:
            spent = time.monotonic() - begin
            while len(waiting) < args.jobs and spent < budget_s and (end is None or state['next'] < end):
                count = SEEDS_AT_ONCE if end is None else min(SEEDS_AT_ONCE, end - state['next'])
                waiting[pool.submit(chunk_run, program, suite, state['next'], count)] = count
                state['next'] += count
            if not waiting:
                break
            for job in concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED).done:
                del waiting[job]
                chunk_add(state, *job.result())
            state['seconds'] = round(before_s + time.monotonic() - begin)
            state_save(path, {**state, 'next': state['next'] - sum(waiting.values())})
            bar.step(min(int(spent), budget_s), budget_s, f"{state['bodies']} bodies, {len(state['differences'])} differences")
    bar.close()


def fs_sweep(args):
    if args.jobs < 1 or (args.seeds is not None and args.seeds < 1):
        raise Failure('--jobs and --seeds are 1 or more')
    packages.setup(packages.ALL)
    made = builds.Build(args.build + '-gcc').make(['tests/test-pxfs'])
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, args.build + ('-long' if args.long else '') + '.json')
    state = state_load(path, args)
    seeds_run(args, os.path.join(made.folder, 'tests/test-pxfs'), state, path)
    if args.json:
        say(json.dumps(state, indent=1))
    else:
        say(f"fs-sweep: seeds {state['first']:,} to {state['next'] - 1:,}, {state['bodies']:,} bodies, {state['steps']:,} steps in {state['seconds']} s: "
            f"{state['compared']:,} trees compared, {state['snapshots']:,} snapshots, {state['rollbacks']:,} rollbacks, {state['mounts']:,} mounts, "
            f"{state['full']:,} answers of full volumes; {len(state['differences'])} differences")
    return 1 if state['differences'] else 0
