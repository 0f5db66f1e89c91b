#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Files that the host's Python tools read are outside input too. Good ones are damaged thousands of times (bytes changed, pieces cut, doubled
# and moved, JSON values replaced; checksums of traces made right again): a tool answers or names what is wrong, and nothing else.
#   hostile_files.py TIMELINE_PY TBAT_PY [ROUNDS] [SEED]

import contextlib
import importlib.util
import io
import json
import os
import random
import struct
import sys
import tempfile
import zlib

ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else 1
VALUES = [None, True, -1, 0, 1 << 40, 1 << 70, 1e308, float('nan'), float('inf'), '', 'x' * 300, [], [[]], {}, {'b': 'c'}, '\ud800']
sys.dont_write_bytecode = True


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


timeline, tbat = load('timeline', sys.argv[1]), load('tbat', sys.argv[2])


def damage(chance, data):
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        size = min(chance.randint(1, 40), len(data) - at)
        piece = data[at:at + size]
        what = chance.randrange(5)
        if what == 0 and data:
            data[at % len(data)] = chance.randrange(256)
        elif what == 1:
            del data[at:at + size]
        elif what == 2:
            data[at:at] = piece
        elif what == 3:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        elif data:
            del data[at:at + size]
            data[chance.randrange(len(data) + 1):0] = piece
    return bytes(data)


def log_lines():
    lines = []
    for i in range(40):
        name = ('sched.switch', 'irq.enter', 'sched.idle')[i % 3]
        lines.append({'name': name, 'ph': 'i', 'ts': i * 1.5, 'pid': i % 2, 'tid': i % 5, 'args': {'a': i, 'b': i % 4}})
    return lines


def log_damaged(chance):
    lines = log_lines()
    if chance.random() < 0.6:
        victim = chance.choice(lines)
        place = victim['args'] if chance.random() < 0.3 else victim
        place[chance.choice(list(place))] = chance.choice(VALUES)
    if chance.random() < 0.2:
        chance.choice(lines).pop(chance.choice(['ts', 'pid', 'tid', 'args']))
    data = ('[\n' + ',\n'.join(json.dumps(line) for line in lines) + '\n]\n').encode('utf-8')
    if chance.random() < 0.02:
        data = b'{"name": ' + b'[' * 100000 + b'\n' + data
    if chance.random() < 0.02:
        data = data.replace(b'"ts": 0.0', b'"ts": ' + b'9' * 5000)
    return damage(chance, data) if chance.random() < 0.6 else data


def timeline_run(path, out):
    sys.argv = ['timeline.py', path, '-o', out]
    try:
        timeline.main()
    except SystemExit as end:
        assert isinstance(end.code, str) and end.code.startswith('timeline: '), end.code
        return False
    return True


def trace_good():
    normaliser = tbat.Normaliser()
    records = []
    for i in range(60):
        records.append((tbat.ALLOC + i % 3, 4 if i % 3 == 2 else 0, i % 3, 0, 0x1000 + i, 0, 10 + i))
        if i % 4 == 3:
            records.append((tbat.FREE, 0, i % 3, 0, 0x1000 + i - 1, 0, 0))
        if i % 5 == 4:
            records.append((tbat.REALLOC, 0, 1, 0, 0x9000 + i, 0x1000 + i, 77))
    normaliser.process_add(tbat.Raw('probe', 1, 0, 0, records))
    raw = tbat.RAW_HEADER.pack(tbat.RAW_MAGIC, tbat.RAW_VERSION, 1, 0, 5, b'probe') + b''.join(tbat.RAW_RECORD.pack(*r) for r in records)
    return normaliser.finish('probe'), raw


def trace_damaged(chance, good):
    data = bytearray(damage(chance, good))
    if chance.random() < 0.7 and len(data) >= tbat.HEADER.size:
        del data[len(data) - (len(data) - tbat.HEADER.size) % tbat.RECORD.size:]
        struct.pack_into('<Q', data, 16, (len(data) - tbat.HEADER.size) // tbat.RECORD.size)
        struct.pack_into('<I', data, 40, zlib.crc32(data[tbat.HEADER.size:]))
        struct.pack_into('<I', data, 60, zlib.crc32(data[:60]))
    return bytes(data)


def trace_run(data):
    try:
        tbat.trace_check(data)
    except tbat.TraceError as error:
        assert str(error)
        return False
    return True


def raw_run(path, out):
    try:
        tbat.convert([tbat.raw_read(path)], 'x', out)
    except tbat.TraceError as error:
        assert str(error)
        return False
    return True


def examine(number, name, run):
    chance, accepted, done = random.Random(f'{name} {SEED}'), 0, 0
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for done in range(ROUNDS):
                accepted += run(chance)
    except Exception as error:  # whatever it is, it is the finding
        print(f'not ok {number} - hostile.{name}\n# round {done}, seed {SEED}: {type(error).__name__}: {error}')
        return False
    print(f'ok {number} - hostile.{name}\n# {ROUNDS} files, {accepted} of them accepted')
    return 0 < accepted < ROUNDS


def main():
    with tempfile.TemporaryDirectory(prefix='hostile-') as folder:
        path, out = os.path.join(folder, 'in'), os.path.join(folder, 'out')
        good, raw = trace_good()

        def written(data, run):
            with open(path, 'wb') as file:
                file.write(data)
            return run(path, out)

        results = [
            examine(1, 'timeline', lambda chance: written(log_damaged(chance), timeline_run)),
            examine(2, 'trace', lambda chance: trace_run(trace_damaged(chance, good))),
            examine(3, 'raw', lambda chance: written(damage(chance, raw), raw_run)),
        ]
    print('1..3')
    return 0 if all(results) else 1


sys.exit(main())
