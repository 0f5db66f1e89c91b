# SPDX-License-Identifier: MIT
#
# qemu-sweep: long stress of the images in the emulator, machine after machine, seed after seed, until the budget is spent. A boot passes when
# the workload's contents were right, every invariant holds, and the orderly shutdown, which looks for what was not given back, says 0.
# Where it stopped it goes on: build/qemu-sweep/ARCH.json has the next seed and the sums. Cortex-M's boards: boardsweep.py.
import json
import os
import re
import subprocess
import time

import boardsweep
import builds
import packages
import qemu
from ui import BUILD, Progress, parse_duration, say, show

FOLDER = os.path.join(BUILD, 'qemu-sweep')
BOOT_LIMIT_S = 300
LINES = ['stress --workers {workers} --rounds {rounds}', 'drill --seed {seed} --rounds 50', 'persona morph slice=1ms', 'stress --workers {more} --rounds 1',
         'check']


def load(arch):
    path = os.path.join(FOLDER, arch + '.json')
    if not os.path.exists(path):
        return {'next_seed': 1, 'boots': 0, 'failures': 0, 'events': 0, 'seconds': 0}
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def save(arch, row):
    path = os.path.join(FOLDER, arch + '.json')
    with open(path + '.new', 'w', encoding='utf-8') as file:
        json.dump(row, file, indent=1)
    os.replace(path + '.new', path)


def boot_of(arch, folder, seed):
    """The emulator's command for one seed: the seed chooses machine, CPUs and amounts."""
    machines = qemu.MACHINES[arch]
    machine = machines[seed % len(machines)]
    cpus = [1, 2, 4][seed // len(machines) % 3]
    if machine in ('raspi3b', 'virt-el3'):
        cpus = 4 if machine == 'raspi3b' else 1
    words = {'workers': 1 + seed % 7, 'more': 1 + seed % 16, 'rounds': 1 + seed % 3, 'seed': seed}
    line = f'quiet seed={seed} c=' + qemu.quote('; '.join(LINES).format(**words))
    return qemu.command(arch, qemu.image_of(folder, arch, 'tbos'), machine, cpus, '256M', line)


def judge(arch, returncode, text):
    """Why a boot has failed; None."""
    status = qemu.status_of(arch, returncode)
    if status != 0:
        return f'exit status {status}'
    for bad in ('panic', 'shutdown:', 'were not freed', 'not given back', 'contents wrong'):
        if bad in text:
            return f'it says "{bad}"'
    if len(re.findall('contents right', text)) != 2 or 'all invariants hold' not in text:
        return 'a line is missing'
    return None


def boot(arch, folder, seed):
    """The commands of one seed, what they printed, why it failed (None: it did not), and how many events there were."""
    if arch == 'cortex_m':
        return boardsweep.one(folder, seed, BOOT_LIMIT_S)
    command = boot_of(arch, folder, seed)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          timeout=BOOT_LIMIT_S)
    return [command], done.stdout, judge(arch, done.returncode, done.stdout), sum(map(int, re.findall(r'(\d+) events in', done.stdout)))


def one(arch, folder, seed):
    try:
        commands, text, why, events = boot(arch, folder, seed)
    except subprocess.TimeoutExpired as late:
        commands, text, events = [late.cmd], (late.stdout or b'').decode(errors='replace'), 0
        why = f'no end within {BOOT_LIMIT_S} s'
    if why:
        path = os.path.join(FOLDER, f'{arch}-{seed}.log')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('\n'.join('$ ' + ' '.join(command) for command in commands) + f'\n{text}\n{why}\n')
        say(f'FAILED {arch}, seed {seed}: {why}; see {show(path)}')
    return why is None, events


def sweep_arch(arch, budget_s):
    folder = boardsweep.make() if arch == 'cortex_m' else builds.Build(f'bare-{arch}').make().folder
    row = load(arch)
    start, bar, boots, failures = time.monotonic(), Progress(f'qemu-sweep {arch}'), 0, 0
    os.makedirs(FOLDER, exist_ok=True)
    while boots == 0 or time.monotonic() - start < budget_s:
        before = time.monotonic()
        good, events = one(arch, folder, row['next_seed'])
        boots, failures = boots + 1, failures + (not good)
        row['next_seed'] += 1
        row['boots'] += 1
        row['failures'] += not good
        row['events'] += events
        row['seconds'] = round(row['seconds'] + time.monotonic() - before, 1)
        save(arch, row)
        bar.step(min(int(time.monotonic() - start), budget_s), budget_s, f'{boots} boots, {failures} failures')
    bar.close()
    return row, boots, failures


def qemu_sweep(budget, arches, as_json):
    packages.setup(packages.ALL)
    budget_s, state, failed = parse_duration(budget), {}, 0
    for arch in arches:
        row, boots, failures = sweep_arch(arch, budget_s // len(arches))
        failed += failures
        state[arch] = row
        if not as_json:
            say(f'qemu-sweep {arch:<8} {boots} boots, {failures} failures; so far {row["boots"]} boots, {row["failures"]} failures, '
                f'{row["events"]:,} events, {row["seconds"] / 60:.1f} min, next seed {row["next_seed"]}')
    if as_json:
        say(json.dumps(state))
    return 1 if failed else 0
