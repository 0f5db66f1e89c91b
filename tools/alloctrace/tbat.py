#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Makes and judges TBAT allocation traces (docs/ALLOC_TRACE.md).
#   record   runs a command under liballoctrace.so and converts what one of its programs did
#   convert  turns raw files (tools/alloctrace/raw.h) into one trace
#   check    judges a trace as the kernel's decoder does; info and dump show one
# The reading half is written apart from src/core/monitor/alloctrace.c on purpose: tests hold the two against each other.

import argparse
import collections
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

MAGIC, VERSION = 0x54414254, 1
HEADER = struct.Struct('<IHHHHIQQIII16sI')
RECORD = struct.Struct('<IIBBH')
RAW_MAGIC, RAW_VERSION = 0x52414254, 1
RAW_HEADER = struct.Struct('=IIIIQ16s24x')
RAW_RECORD = struct.Struct('=BBHIQQQ')
NONE, ALLOC, ZALLOC, ALIGNED, REALLOC, FREE = range(6)
OP_NAMES = {ALLOC: 'alloc', ZALLOC: 'zalloc', ALIGNED: 'aligned', REALLOC: 'realloc', FREE: 'free'}
BIRTHS = (ALLOC, ZALLOC, ALIGNED)
SIZE_MAX, ALIGN_LOG2_MAX, THREADS_MAX = 0xffffffff, 30, 0xffff

assert HEADER.size == 64 and RECORD.size == 12 and RAW_HEADER.size == 64 and RAW_RECORD.size == 32

Raw = collections.namedtuple('Raw', 'comm pid parent start_ns records')
Header = collections.namedtuple('Header', 'thread_count slot_count record_count peak_bytes peak_blocks live_at_end crc source')


class TraceError(Exception):
    """A file that is not what it claims to be, or a recording that went wrong."""


class Ledger:
    """Counts live blocks and bytes by slot, as the header reports them."""

    def __init__(self):
        self.sizes = {}
        self.bytes = self.peak_bytes = self.peak_blocks = 0

    def apply(self, op, slot, size):
        full = slot in self.sizes
        if op in BIRTHS and full:
            raise TraceError(f'allocates into full slot {slot}')
        if op not in BIRTHS and not full:
            raise TraceError(f'frees or resizes empty slot {slot}')
        self.bytes += size - self.sizes.get(slot, 0)
        if op == FREE:
            del self.sizes[slot]
        else:
            self.sizes[slot] = size
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        self.peak_blocks = max(self.peak_blocks, len(self.sizes))


class Normaliser:
    """Turns addresses into dense slots (the last one freed is used first) and drops what a replay cannot use."""

    def __init__(self):
        self.ledger = Ledger()
        self.records = bytearray()
        self.spare_slots = []
        self.slot_count = self.thread_count = 0
        self.dropped = collections.Counter()

    def process_add(self, raw):
        slots, threads = {}, {}
        for event in raw.records:
            self.event_add(slots, threads, *event)

    def event_add(self, slots, threads, op, align_log2, thread, _, block, old_block, size):
        if size > SIZE_MAX or align_log2 > ALIGN_LOG2_MAX:
            raise TraceError(f'a block of {size} bytes aligned to 2^{align_log2} is outside the format')
        known = old_block if op == REALLOC else block
        if block in slots and (op in BIRTHS or block != known):
            # Its release was not seen: it came by a way around the preload library.
            self.dropped['unseen releases'] += 1
            self.emit(FREE, slots.pop(block), 0, 0, threads, thread)
        if op in BIRTHS:
            slot = slots[block] = self.slot_take()
        elif known not in slots:
            self.dropped['unknown blocks'] += 1
            return
        else:
            slot = slots.pop(known)
            if op == REALLOC:
                slots[block] = slot
        self.emit(op, slot, 0 if op == FREE else max(size, 1), align_log2, threads, thread)

    def slot_take(self):
        if self.spare_slots:
            return self.spare_slots.pop()
        self.slot_count += 1
        return self.slot_count - 1

    def emit(self, op, slot, size, align_log2, threads, thread):
        if thread not in threads:
            threads[thread] = self.thread_count
            self.thread_count += 1
        self.ledger.apply(op, slot, size)
        if op == FREE:
            self.spare_slots.append(slot)
        if op != ALIGNED:
            align_log2 = 0
        self.records += RECORD.pack(slot, size, op, align_log2, threads[thread])

    def finish(self, source):
        if self.thread_count > THREADS_MAX:
            raise TraceError(f'{self.thread_count} threads are outside the format')
        header = HEADER.pack(MAGIC, VERSION, HEADER.size, RECORD.size, max(self.thread_count, 1), self.slot_count,
                             len(self.records) // RECORD.size, self.ledger.peak_bytes, self.ledger.peak_blocks,
                             len(self.ledger.sizes), zlib.crc32(self.records), source.encode('ascii', 'replace')[:16], 0)
        return header[:-4] + struct.pack('<I', zlib.crc32(header[:-4])) + self.records


def raw_read(path):
    """One raw file; the records end at the first empty one, because the file grows in windows."""
    with open(path, 'rb') as file:
        data = file.read()
    if len(data) < RAW_HEADER.size or len(data) % RAW_RECORD.size:
        raise TraceError(f'{path}: not a raw file')
    magic, version, pid, parent, start_ns, comm = RAW_HEADER.unpack_from(data)
    if magic != RAW_MAGIC or version != RAW_VERSION:
        raise TraceError(f'{path}: not a raw file of version {RAW_VERSION}')
    records = []
    for record in RAW_RECORD.iter_unpack(memoryview(data)[RAW_HEADER.size:]):
        if record[0] == NONE:
            break
        if record[0] > FREE:
            raise TraceError(f'{path}: unknown operation {record[0]}')
        records.append(record)
    return Raw(comm.rstrip(b'\0').decode('ascii', 'replace'), pid, parent, start_ns, records)


def trace_header(data):
    if len(data) < HEADER.size:
        raise TraceError('the file ends inside the header')
    magic, version, header_size, record_size, *rest, source, crc = HEADER.unpack_from(data)
    if (magic, version, header_size, record_size) != (MAGIC, VERSION, HEADER.size, RECORD.size):
        raise TraceError('not a TBAT file of this version')
    if crc != zlib.crc32(data[:HEADER.size - 4]):
        raise TraceError('header checksum is wrong')
    text = source.rstrip(b'\0')
    if any(not 0x20 <= c <= 0x7e for c in text):
        raise TraceError('source name is not printable')
    header = Header(*rest, text.decode('ascii'))
    if len(data) != HEADER.size + header.record_count * RECORD.size:
        raise TraceError('file length does not match the record count')
    if not header.live_at_end <= header.peak_blocks <= header.slot_count <= header.record_count:
        raise TraceError('counts contradict each other')
    if header.thread_count == 0:
        raise TraceError('no thread')
    return header


def record_judge(header, slot, size, op, align_log2, thread):
    if op not in OP_NAMES:
        raise TraceError(f'unknown operation {op}')
    if (size == 0) != (op == FREE):
        raise TraceError('size missing or out of place')
    if align_log2 > ALIGN_LOG2_MAX or (align_log2 and op != ALIGNED):
        raise TraceError('alignment out of range or out of place')
    if slot >= header.slot_count or thread >= header.thread_count:
        raise TraceError('slot or thread out of range')


def trace_check(data):
    """The header of a trace that is right in every byte; TraceError otherwise."""
    header = trace_header(data)
    payload = memoryview(data)[HEADER.size:]
    ledger = Ledger()
    for index, (slot, size, op, align_log2, thread) in enumerate(RECORD.iter_unpack(payload)):
        try:
            record_judge(header, slot, size, op, align_log2, thread)
            ledger.apply(op, slot, size)
        except TraceError as error:
            raise TraceError(f'record {index}: {error}') from None
    if zlib.crc32(payload) != header.crc:
        raise TraceError('record checksum is wrong')
    if (ledger.peak_bytes, ledger.peak_blocks, len(ledger.sizes)) != header[3:6]:
        raise TraceError('peaks or live count are not what the records give')
    return header


def convert(raws, source, out):
    """Merges processes in the order in which they started, each with threads and addresses of its own."""
    normaliser = Normaliser()
    for raw in sorted(raws, key=lambda raw: (raw.start_ns, raw.pid)):
        normaliser.process_add(raw)
    data = normaliser.finish(source)
    header = trace_check(data)
    with open(out + '.part', 'wb') as file:
        file.write(data)
    os.replace(out + '.part', out)
    return header, normaliser.dropped


def report(out, header, dropped=()):
    print(f'{out}: {header.source}: {header.record_count} events, {header.slot_count} slots, {header.thread_count} '
          f'threads, peak {header.peak_bytes} bytes in {header.peak_blocks} blocks, {header.live_at_end} live at the end')
    for reason, count in sorted(dict(dropped).items()):
        print(f'{out}: dropped {count} {reason}')


def copy_into(path, folder):
    target = os.path.join(folder, os.path.basename(path.rstrip('/')))
    if os.path.isdir(path):
        shutil.copytree(path, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(path, target)


def cmd_record(args):
    with tempfile.TemporaryDirectory(prefix='tbat-') as folder:
        raw_folder, work_folder = os.path.join(folder, 'raw'), os.path.join(folder, 'work')
        os.mkdir(raw_folder)
        os.mkdir(work_folder)
        for path in args.copy:
            copy_into(path, work_folder)
        environment = dict(os.environ, LD_PRELOAD=os.path.abspath(args.lib), ALLOCTRACE_DIR=raw_folder)
        environment.update(pair.split('=', 1) for pair in args.env)
        status = subprocess.run(args.command, env=environment, cwd=work_folder, check=False).returncode
        if status != 0:
            raise TraceError(f'the traced command ended with status {status}')
        raws = [raw_read(entry.path) for entry in os.scandir(raw_folder)]
    chosen = [raw for raw in raws if args.all or raw.comm.startswith(args.program)]
    if not chosen:
        seen = ', '.join(sorted({raw.comm for raw in raws})) or 'none'
        raise TraceError(f'no program named {args.program} ran; seen: {seen}')
    if not args.all:
        chosen = [max(chosen, key=lambda raw: len(raw.records))]
    header, dropped = convert(chosen, args.program, args.output)
    report(args.output, header, dropped)
    if header.record_count < args.min_events:
        raise TraceError(f'{header.record_count} events are fewer than {args.min_events}')


def cmd_convert(args):
    raws = [raw_read(path) for path in args.raw]
    report(args.output, *convert(raws, args.source or raws[0].comm, args.output))


def cmd_check(args):
    for path in args.trace:
        with open(path, 'rb') as file:
            report(path, trace_check(file.read()))


def cmd_dump(args):
    with open(args.trace, 'rb') as file:
        data = file.read()
    header = trace_check(data)
    print(' '.join(f'{name}={value}' for name, value in header._asdict().items()))
    for slot, size, op, align_log2, thread in RECORD.iter_unpack(memoryview(data)[HEADER.size:]):
        print(f'{OP_NAMES[op]} slot={slot} size={size} align={1 << align_log2} thread={thread}')


def arguments():
    parser = argparse.ArgumentParser(description='Makes and judges TBAT allocation traces.')
    commands = parser.add_subparsers(required=True)
    record = commands.add_parser('record', help='run a command and trace one of its programs')
    record.add_argument('--lib', required=True, help='liballoctrace.so')
    record.add_argument('--program', required=True, help='how the name (/proc/PID/comm) of the process to keep begins')
    record.add_argument('--all', action='store_true', help='keep every process of the run, merged')
    record.add_argument('--env', action='append', default=[], metavar='NAME=VALUE')
    record.add_argument('--copy', action='append', default=[], metavar='PATH',
                        help='put a copy into the empty folder in which the command runs')
    record.add_argument('--min-events', type=int, default=1)
    record.add_argument('-o', '--output', required=True)
    record.add_argument('command', nargs='+')
    record.set_defaults(run=cmd_record)
    conv = commands.add_parser('convert', help='turn raw files into one trace')
    conv.add_argument('raw', nargs='+')
    conv.add_argument('--source', help='name for the header')
    conv.add_argument('-o', '--output', required=True)
    conv.set_defaults(run=cmd_convert)
    check = commands.add_parser('check', help='judge traces and print their figures')
    check.add_argument('trace', nargs='+')
    check.set_defaults(run=cmd_check)
    dump = commands.add_parser('dump', help='print every record')
    dump.add_argument('trace')
    dump.set_defaults(run=cmd_dump)
    return parser.parse_args()


def main():
    args = arguments()
    try:
        args.run(args)
    except (TraceError, OSError) as error:
        sys.exit(f'tbat: {error}')


if __name__ == '__main__':
    main()
