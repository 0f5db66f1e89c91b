# SPDX-License-Identifier: MIT
#
# One seed of qemu-sweep on a Cortex-M board: a small machine is made to calculate, to share its CPU, to keep and lose notes; each answer is
# known before, and in the end no byte may be missing. Then the drill, whose hash must be that of the same persona as a process.
import os
import random
import re
import subprocess

import builds
import qemu

PERSONAS = sorted(qemu.BOARDS)
LINES = 150
DRILL_ROUNDS = 4000
TEST_BOARD = 'lm3s6965evb'  # what test images are linked for


def make():
    """The images of all boards, and the simulators whose drills are compared with theirs."""
    return {persona: (builds.Build('bare-cortex_m', persona).make().folder, builds.Build('release-gcc', persona).make().folder) for persona in PERSONAS}


def sum_of(rng):
    """An expression and its value."""
    a, b, c, d = (rng.randint(0, 999) for _ in range(4))
    forms = [(f'{a}+{b}*{c}-{d}', a + b * c - d), (f'({a}-{b})*({c}+{d})', (a - b) * (c + d)), (f'-{a}*-{b}', a * b), (f'{a}-(({b}-{c})-{d})', a - (b - c - d))]
    return rng.choice(forms)


def conversation(persona, seed):
    """What is typed, and what must come back, in order."""
    rng, lines, wanted, count = random.Random(seed), ['mem'], [], 0
    for _ in range(LINES):
        kind = rng.randrange(20)
        if kind == 0:
            lines.append(f'spin {rng.randint(5, 60)}')
            wanted.append(r'spin: \d+ and \d+, \d+ turns')
        elif kind == 1:
            lines.append(f'timer {rng.randint(1, 4)} busy')
            wanted.append(r'timer: 0 early, .*')
        elif kind == 2:
            lines.append(rng.choice(['1/0', '7/(3-3)']))
            wanted.append(r'error at \d+: division by zero')
        elif kind < 5 and persona == 'mobile_64k':
            lines += [f'note add {rng.randint(0, 10 ** 9)} milk', 'note delete 1']
        else:
            text, value = sum_of(rng)
            count += 1
            lines.append(text)
            wanted.append(f'#{count} = {value}')
    return lines + ['mem', 'ps', 'exit'], wanted


def judge(status, text, wanted):
    """Why a board has failed; None."""
    if status != 0:
        return f'exit status {status}'
    for bad in ('panic', 'fault:', 'return addresses'):
        if bad in text:
            return f'it says "{bad}"'
    at = 0
    for line in wanted:
        found = re.search(line if line[0] != '#' else re.escape(line) + r'\s', text[at:])
        if not found:
            return f'"{line}" is missing'
        at += found.end()
    free = re.findall(r'(\d+) of \d+ bytes free', text)
    return None if len(free) == 2 and free[0] == free[1] else f'bytes free, first and last: {free}'


def run(command, lines, limit_s):
    done = subprocess.run(command, input=''.join(line + '\r' for line in lines), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          timeout=limit_s)
    return qemu.status_of('cortex_m', done.returncode), done.stdout.replace('\r', '')


def hash_of(text):
    found = re.search(r'event hash ([0-9a-f]{16}) over (\d+) events', text)
    return (found.group(1), int(found.group(2))) if found else None


def one(folders, seed, limit_s):
    """The commands, what they printed, why it failed (None: it did not), and how many events were compared."""
    persona = PERSONAS[seed % len(PERSONAS)]
    board, hosted = folders[persona]
    icount = ['-icount', 'shift=4']
    lines, wanted = conversation(persona, seed)
    talk = qemu.board_command(qemu.BOARDS[persona], os.path.join(board, 'src/hal_bare/cortex_m', f'tbos-{persona}'), more=icount)
    drill = qemu.board_command(TEST_BOARD, os.path.join(board, 'tests/cortex_m/tbos-drill.elf'), f'{seed}:{DRILL_ROUNDS}', icount)
    model = [os.path.join(hosted, 'tests/test-drill'), f'{seed}:{DRILL_ROUNDS}']
    status, text = run(talk, ['', *lines], limit_s)
    why = judge(status, text, wanted)
    if why:
        return [talk], text, why, 0
    drilled = [run(command, [], limit_s) for command in (drill, model)]
    hashes = [hash_of(printed) for _, printed in drilled]
    if hashes[0] is None or hashes[0] != hashes[1]:
        why = f'the drill: {hashes[0]} on the board, {hashes[1]} in the simulator'
    return [drill, model], '\n'.join(printed for _, printed in drilled), why, hashes[0][1] if hashes[0] else 0
