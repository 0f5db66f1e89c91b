# SPDX-License-Identifier: MIT
#
# Open-ended searches within a time budget: fuzz targets, and simulated tests under seeds that nobody has run.
import os
import random
import re
import subprocess
import time

import builds
import packages
import suites
from ui import ROOT, Failure, Progress, say, show

SUITE_SEEDS = 1_000_000  # seeds below this belong to the suite
SEEDS_AT_ONCE = 20


def fuzz_one(build, name, seconds):
    """Runs one target; returns whether it found nothing. Inputs found live on in build/corpus."""
    corpus = os.path.join(builds.BUILD, 'corpus', name)
    seeds = os.path.join(ROOT, 'tests/fuzz/seeds', name)
    words = os.path.join(ROOT, 'tests/fuzz/dictionaries', name + '.dict')
    found = os.path.join(builds.BUILD, 'corpus', name + '-found-')
    os.makedirs(corpus, exist_ok=True)
    command = [os.path.join(build.folder, 'tests', name), f'-max_total_time={seconds}', '-timeout=10', '-rss_limit_mb=4096',
               '-print_final_stats=1', '-artifact_prefix=' + found, *(['-dict=' + words] if os.path.exists(words) else []), corpus,
               *([seeds] if os.path.isdir(seeds) else [])]
    bar = Progress(f'fuzz {name}')
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors='replace')
    tail, runs = [], '0'
    for line in process.stdout:
        tail = (tail + [line])[-60:]
        counted = re.match(r'stat::number_of_executed_units:\s*(\d+)', line)
        runs = counted.group(1) if counted else runs
        bar.step(min(int(time.monotonic() - start), seconds), seconds, line.strip())
    process.wait()
    bar.close()
    if process.returncode != 0:
        say(f'FAILED fuzz {name}:\n{"".join(tail)}    repeat: {show(command[0])} {show(found)}*')
        return False
    say(f'fuzz {name:<24} {int(runs):>12,} runs in {time.monotonic() - start:.0f} s, nothing found')
    return True


def fuzz(budget_s, only):
    packages.setup(packages.ALL)
    build = builds.Build('fuzz-clang').make()
    folder = os.path.join(build.folder, 'tests')
    targets = sorted(name for name in os.listdir(folder) if name.startswith('fuzz_') and os.access(os.path.join(folder, name), os.X_OK)
                     and os.path.isfile(os.path.join(folder, name)))
    unknown = sorted(set(only) - set(targets))
    if unknown or not targets:
        raise Failure(f'no such fuzz target: {" ".join(unknown)}', 'there are: ' + ' '.join(targets))
    chosen = only or targets
    good = [fuzz_one(build, name, max(1, budget_s // len(chosen))) for name in chosen]
    say(f'{sum(good)} targets clean, {len(good) - sum(good)} with findings')
    return 0 if all(good) else 1


def seeds(budget_s, first_seed):
    """Round-robin over the simulated runs of the asan build, fresh seeds each time, until the budget is spent."""
    packages.setup(packages.ALL)
    build = builds.Build('asan-gcc').make()
    commands = {test['name']: test['cmd'] for test in suites.introspect(build, '--tests') if 'sim' in test['cmd'] and '--engine' in test['cmd']}
    if not commands:
        raise Failure('the build has no simulated tests', 'see tests/*/meson.build: runs with --engine sim')
    seed = first_seed if first_seed is not None else random.SystemRandom().randrange(SUITE_SEEDS, 1 << 40)
    say(f'sim-sweep: {len(commands)} programs, first seed {seed}')
    bar, start, runs, failed = Progress('sim-sweep'), time.monotonic(), 0, 0
    while time.monotonic() - start < budget_s:
        for name, command in sorted(commands.items()):
            if time.monotonic() - start >= budget_s:
                break
            again = [*command, '--seed', str(seed), '--seeds', str(SEEDS_AT_ONCE)]
            if os.path.basename(command[0]) == 'test-unit':
                again += ['--mem', '24', '--sequential', '1']  # bodies with nothing to interleave have one schedule
            done = subprocess.run(again, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace')
            runs += SEEDS_AT_ONCE
            bar.step(min(int(time.monotonic() - start), budget_s), budget_s, f'{runs} seeds, {failed} failures')
            if done.returncode != 0:
                failed += 1
                bad = [line for line in done.stdout.splitlines() if line.startswith(('not ok', '#'))][:40]
                say(f'FAILED {name}, seeds {seed} to {seed + SEEDS_AT_ONCE - 1}\n' + '\n'.join('    ' + line for line in bad))
                say('    repeat: ' + ' '.join(again))
        seed += SEEDS_AT_ONCE
    bar.close()
    say(f'{runs} seeds run, {failed} failures')
    return 1 if failed else 0
