#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Cuts a window out of a TBAT trace that a small machine can replay, and computes what its replay must print.
#   cut      keeps events from a place on, as long as live bytes and blocks stay within limits; blocks born before, that live too long, or that
#            would go over, are left out with all that happens to them
#   digest   the digest of a replay by one worker in which nothing is refused (docs/ALLOC_TRACE.md), computed apart from the C code
import argparse
import os
import sys

import tbat

MASK = (1 << 64) - 1
GOLDEN = 0x9e3779b97f4a7c15


class Window:
    """The events kept so far. Slots are numbered anew: a freed one is the next to be used."""

    def __init__(self, bytes_max, blocks_max):
        self.bytes_max, self.blocks_max = bytes_max, blocks_max
        self.slots, self.free, self.used = {}, [], 0
        self.ledger = tbat.Ledger()
        self.records = []

    def fits(self, size, had):
        blocks = len(self.ledger.sizes) + (had == 0)
        return self.ledger.bytes + size - had <= self.bytes_max and blocks <= self.blocks_max

    def take(self, slot, size, op, align_log2):
        if op in tbat.BIRTHS:
            if not self.fits(size, 0):
                return
            if not self.free:
                self.free.append(self.used)
                self.used += 1
            self.slots[slot] = self.free.pop()
        elif slot not in self.slots:
            return
        elif op == tbat.REALLOC and not self.fits(size, self.ledger.sizes[self.slots[slot]]):
            return
        mine = self.slots[slot]
        self.ledger.apply(op, mine, size)
        self.records.append(tbat.RECORD.pack(mine, size, op, align_log2, 0))
        if op == tbat.FREE:
            self.free.append(self.slots.pop(slot))


def lifetimes(records):
    """For each record that makes a block, how many records later it is freed; blocks that stay are missing."""
    born, spans = {}, {}
    for index, (slot, _, op, _, _) in enumerate(records):
        if op in tbat.BIRTHS:
            born[slot] = index
        elif op == tbat.FREE and slot in born:
            made = born.pop(slot)
            spans[made] = index - made
    return spans


def finish(window, source):
    payload = b''.join(window.records)
    head = tbat.HEADER.pack(tbat.MAGIC, tbat.VERSION, tbat.HEADER.size, tbat.RECORD.size, 1, window.used, len(window.records),
                            window.ledger.peak_bytes, window.ledger.peak_blocks, len(window.ledger.sizes), tbat.zlib.crc32(payload),
                            source.encode(), 0)
    return head[:-4] + tbat.zlib.crc32(head[:-4]).to_bytes(4, 'little') + payload


def cmd_cut(args):
    with open(args.trace, 'rb') as file:
        data = file.read()
    header = tbat.trace_check(data)
    window = Window(args.bytes, args.blocks)
    records = list(tbat.RECORD.iter_unpack(memoryview(data)[tbat.HEADER.size + args.first * tbat.RECORD.size:]))
    spans = lifetimes(records)
    for index, (slot, size, op, align_log2, _) in enumerate(records):
        if len(window.records) == args.events:
            break
        stays = op in tbat.BIRTHS and spans.get(index, len(records)) > args.lifetime
        if not stays and (align_log2 <= args.align_log2 or op != tbat.ALIGNED):
            window.take(slot, size, op, align_log2)
    out = finish(window, header.source)
    header = tbat.trace_check(out)
    with open(args.output + '.part', 'wb') as file:
        file.write(out)
    os.replace(args.output + '.part', args.output)
    tbat.report(args.output, header)


def mix(x):
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ x >> 27) * 0x94d049bb133111eb & MASK
    return x ^ x >> 31


def digest(data):
    """Sum of one word per event; what is left at the end is freed, slot by slot."""
    tbat.trace_check(data)
    full, total, number = set(), 0, 0

    def event(slot, size, op):
        nonlocal total, number
        total = total + mix((mix(number << 8) + (size << 32 ^ slot << 8 ^ op << 4 ^ 1)) & MASK) & MASK
        number += 1

    for slot, size, op, _, _ in tbat.RECORD.iter_unpack(memoryview(data)[tbat.HEADER.size:]):
        event(slot, size, op)
        full.discard(slot) if op == tbat.FREE else full.add(slot)
    for slot in sorted(full):
        event(slot, 0, tbat.FREE)
    return total


def cmd_digest(args):
    with open(args.trace, 'rb') as file:
        print(f'{digest(file.read()):016x}')


def main():
    parser = argparse.ArgumentParser(description='Cuts a window out of a TBAT trace.')
    commands = parser.add_subparsers(required=True)
    cut = commands.add_parser('cut', help='write the window')
    cut.add_argument('trace')
    cut.add_argument('--first', type=int, default=0, help='record to begin with')
    cut.add_argument('--events', type=int, required=True)
    cut.add_argument('--bytes', type=int, required=True, help='live at most')
    cut.add_argument('--blocks', type=int, required=True, help='live at most')
    cut.add_argument('--lifetime', type=int, default=1 << 40, help='blocks that live for more events are left out')
    cut.add_argument('--align-log2', type=int, default=10, help='alignments above are left out')
    cut.add_argument('-o', '--output', required=True)
    cut.set_defaults(run=cmd_cut)
    one = commands.add_parser('digest', help='print the digest')
    one.add_argument('trace')
    one.set_defaults(run=cmd_digest)
    args = parser.parse_args()
    try:
        args.run(args)
    except (tbat.TraceError, OSError) as error:
        sys.exit(f'window: {error}')


if __name__ == '__main__':
    main()
