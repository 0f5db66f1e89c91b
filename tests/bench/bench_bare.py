#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# The images in the emulator, one run beside Debian's kernel with an initramfs of busybox (bench_bare_peer.py): how long until the prompt, how
# large, how much memory, how many instructions a sched_yield takes. `./tools/tbos bench bare` runs it. Where the peer's packages cannot be
# fetched, the rows have no peer.
import argparse
import glob
import json
import lzma
import os
import re
import select
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '../..'))
sys.path.insert(0, os.path.join(ROOT, 'tools/front'))
sys.path.insert(0, os.path.join(ROOT, 'tests/cortex_m'))
sys.path.insert(0, HERE)
import builds  # noqa: E402
import qemu  # noqa: E402
from bench_bare_peer import READY, YIELDS, Absent, peer_command, peer_make  # noqa: E402
from board import Board  # noqa: E402

LIMIT_S = 120


# ---- figures ---------------------------------------------------------------------------------------------------------------


def seconds_until(command, text, keep_stdin=False, limit_s=LIMIT_S):
    """From the start of the emulator until the machine has said so; all it said."""
    start, said = time.monotonic(), b''
    process = subprocess.Popen(command, stdin=subprocess.PIPE if keep_stdin else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while text.encode() not in said:
            if not select.select([process.stdout], [], [], max(0, start + limit_s - time.monotonic()))[0]:
                raise Absent(f'no "{text}" within {limit_s} s')
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                raise Absent(f'ended without "{text}": {said[-300:].decode(errors="replace")}')
            said += more
        return time.monotonic() - start
    finally:
        process.kill()
        process.wait()


def peer_prompt_s(machine, arch='x86_64'):
    """Under emulation on a busy host the peer sometimes does not find its clock, and stops: then again."""
    def seconds():
        for _ in range(2):
            try:
                return seconds_until(peer_command(machine, arch=arch), READY, limit_s=60)
            except Absent:
                continue
        return seconds_until(peer_command(machine, arch=arch), READY, limit_s=60)
    return seconds


def output(command):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                              timeout=LIMIT_S).stdout
    except subprocess.TimeoutExpired as late:
        raise Absent(f'no end within {LIMIT_S} s') from late


def image(arch):
    return qemu.image_of(builds.Build(f'bare-{arch}').folder, arch, 'tbos')


def tbos_command(arch, machine, line='', more=()):
    return qemu.command(arch, image(arch), machine, 1, '256M', line, more=more)


def tbos_prompt_s(arch, machine):
    return lambda: seconds_until(tbos_command(arch, machine), 'tbos> ', keep_stdin=True)


def tbos_yield():
    text = output(tbos_command('x86_64', 'q35', 'quiet c=' + qemu.quote('bench -j switch'), ['-icount', 'shift=0']))
    found = re.search(r'"median": ([\d.]+)', text)
    if not found:
        raise Absent(text[-200:])
    return float(found.group(1))


def peer_text(more=()):
    return output(peer_command('q35', more))


def peer_yield():
    found = re.search(r'yields took (\d+) ns', peer_text(['-icount', 'shift=0']))
    if not found:
        raise Absent('the peer printed no figure')
    return int(found.group(1)) / (2 * YIELDS)


def used_kib(memory):
    words = qemu.command('x86_64', image('x86_64'), 'q35', 1, f'{memory}M', 'quiet c=' + qemu.quote('mem -j'))
    found = re.search(r'"free_kib": (\d+)', output(words))
    if not found:
        raise Absent('no figure')
    return memory * 1024 - int(found.group(1))


def tbos_idle_kib():
    """Without what grows with the memory, the frames' descriptors: those of 128 MiB are what 256 MiB have more."""
    return used_kib(128) - (used_kib(256) - used_kib(128))


def peer_idle_kib():
    found = re.search(r'MemFree:\s+(\d+)', peer_text())
    if not found:
        raise Absent('no figure')
    return 256 * 1024 - int(found.group(1))


def size_kib():
    with open(image('x86_64').removesuffix('.elf') + '.bin', 'rb') as file:
        return len(lzma.compress(file.read())) / 1024


def calc_free():
    path = glob.glob(os.path.join(builds.Build('bare-cortex_m', 'calc_4k').folder, 'src/hal_bare/cortex_m/tbos-calc_4k'))
    if not path:
        raise Absent('no image of calc_4k')
    with Board(qemu.BOARDS['calc_4k'], path[0]) as board:
        board.until('> ')
        return int(re.search(r'(\d+) of 4096', board.line('mem')).group(1))


class Row:
    """A figure, its peer's, and what it must reach: at most `limit`, or at least when `least`; `times` faster than the peer."""

    def __init__(self, name, unit, tbos, peer=None, limit=None, least=False, times=None, repeat=True):
        self.name, self.unit, self.sources = name, unit, {'tbos': tbos, 'peer': peer}
        self.limit, self.least, self.times, self.repeat = limit, least, times, repeat

    def judge(self, tbos, peer):
        misses = []
        if self.limit is not None and (tbos < self.limit if self.least else tbos > self.limit):
            misses.append(f'{"at least" if self.least else "at most"} {self.limit:g} {self.unit}')
        if self.times and peer and peer / tbos < self.times:
            misses.append(f'{self.times:g} times less than the peer')
        return misses


def table():
    return [
        Row('prompt, microvm', 's', tbos_prompt_s('x86_64', 'microvm'), peer_prompt_s('microvm'), 0.1, times=10),
        Row('prompt, q35', 's', tbos_prompt_s('x86_64', 'q35'), peer_prompt_s('q35'), 0.2, times=10),
        Row('prompt, virt aarch64', 's', tbos_prompt_s('aarch64', 'virt'), peer_prompt_s('virt', 'aarch64'), 0.15, times=10),
        Row('prompt, virt riscv64', 's', tbos_prompt_s('riscv64', 'virt'), peer_prompt_s('virt', 'riscv64'), 0.15, times=10),
        Row('image, compressed', 'KiB', size_kib, lambda: os.path.getsize(peer_make()[0]) / 1024, 400, repeat=False),
        Row('memory at idle', 'KiB', tbos_idle_kib, peer_idle_kib, 4096, repeat=False),
        Row('sched_yield', 'instructions', tbos_yield, peer_yield, times=2, repeat=False),
        Row('calc_4k, free at the prompt', 'bytes', calc_free, None, 1024, least=True, repeat=False),
    ]


def figure(row, source, rounds):
    if row.sources[source] is None:
        return None, 'none here'
    try:
        return statistics.median(row.sources[source]() for _ in range(rounds if row.repeat else 1)), None
    except (Absent, OSError) as reason:
        return None, str(reason)


def main():
    parser = argparse.ArgumentParser(prog='./tools/tbos bench bare', description='images in the emulator beside Debian\'s cloud kernel')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='of the times, whose median is shown (default: %(default)s)')
    parser.add_argument('--json', metavar='FILE', help='the figures as JSON, - for standard output')
    args = parser.parse_args()
    for arch, persona in (('x86_64', builds.DEFAULT_PERSONA), ('aarch64', builds.DEFAULT_PERSONA), ('riscv64', builds.DEFAULT_PERSONA), ('cortex_m', 'calc_4k')):
        builds.Build(f'bare-{arch}', persona).make()
    results, missed = [], 0
    if args.json != '-':
        print(f'{"row":<28} {"tbos":>10} {"peer":>10}  unit          peer/tbos')
    for row in table():
        (tbos, why), (peer, absent) = figure(row, 'tbos', args.rounds), figure(row, 'peer', args.rounds)
        misses = [why] if tbos is None else row.judge(tbos, peer)
        missed += bool(misses)
        results.append({'row': row.name, 'unit': row.unit, 'tbos': tbos, 'peer': peer, 'no_peer': absent, 'misses': misses})
        if args.json != '-':
            shown = [f'{value:.3f}' if value is not None and value < 10 else f'{value:.0f}' if value is not None else '-' for value in (tbos, peer)]
            ratio = f'{peer / tbos:.1f}' if tbos and peer else '-'
            print(f'{row.name:<28} {shown[0]:>10} {shown[1]:>10}  {row.unit:<13} {ratio:>9}  {"MISS: " + "; ".join(misses) if misses else "met"}', flush=True)
    if args.json == '-':
        print(json.dumps(results, indent=1))
    elif args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            json.dump(results, file, indent=1)
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
