#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Tests of the allocation tracer, end to end: a program with known allocations is recorded and its events compared; the
# C decoder and the one in tbat.py must agree on whole and on damaged traces. TAP on standard output.
#   test_alloctrace.py LIBALLOCTRACE PROBE PEER_ALLOC TBAT_PY

import importlib.util
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

LIB, PROBE, PEER_ALLOC, TBAT = (os.path.abspath(path) for path in sys.argv[1:5])
MARK = 700001
spec = importlib.util.spec_from_file_location('tbat', TBAT)
tbat = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(tbat)


def record(mode):
    """Raw recordings of a probe run, in order of start."""
    with tempfile.TemporaryDirectory(prefix='alloctrace-') as folder:
        environment = dict(os.environ, LD_PRELOAD=LIB, ALLOCTRACE_DIR=folder)
        subprocess.run([PROBE, mode], env=environment, check=True)
        raws = [tbat.raw_read(entry.path) for entry in os.scandir(folder)]
    return sorted(raws, key=lambda raw: raw.start_ns)


def trace_of(*raws):
    normaliser = tbat.Normaliser()
    for raw in raws:
        normaliser.process_add(raw)
    return normaliser.finish('probe'), normaliser


def records_of(data):
    return list(tbat.RECORD.iter_unpack(memoryview(data)[tbat.HEADER.size:]))


def seal(header, payload):
    """The file with both checksums made right."""
    head = bytearray(header[:60])
    struct.pack_into('<I', head, 40, zlib.crc32(payload))
    return bytes(head) + struct.pack('<I', zlib.crc32(head)) + bytes(payload)


def decoder_accepts(data):
    with tempfile.NamedTemporaryFile(suffix='.tbat') as file:
        file.write(data)
        file.flush()
        run = subprocess.run([PEER_ALLOC, '--runs', '1', '--fill', '--trace', file.name], capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1):
        raise AssertionError(f'the decoder ended with {run.returncode}: {run.stderr}')
    return run.returncode == 0


def python_accepts(data):
    try:
        tbat.trace_check(data)
        return True
    except tbat.TraceError:
        return False


def test_ops():
    (raw,) = record('ops')
    data, _ = trace_of(raw)
    header = tbat.trace_check(data)
    sizes = {MARK: 'malloc', MARK + 1: 'calloc', 1024: 'aligned_alloc', MARK + 3: 'memalign', MARK + 4: 'posix_memalign',
             MARK * 4: 'grow', MARK + 5: 'realloc of NULL'}
    seen = {}
    for slot, size, op, align, _ in records_of(data):
        if size in sizes and (size != 1024 or align == 8):
            seen[sizes[size]] = (op, align)
    assert seen == {'malloc': (tbat.ALLOC, 0), 'calloc': (tbat.ZALLOC, 0), 'aligned_alloc': (tbat.ALIGNED, 8),
                    'memalign': (tbat.ALIGNED, 7), 'posix_memalign': (tbat.ALIGNED, 12), 'grow': (tbat.REALLOC, 0),
                    'realloc of NULL': (tbat.ALLOC, 0)}, seen
    assert header.peak_bytes == MARK * 7 + 8 + 1024, header
    # Everything marked was freed: what is left is smaller.
    ledger = tbat.Ledger()
    for slot, size, op, _, _ in records_of(data):
        ledger.apply(op, slot, size)
    assert not any(size >= MARK for size in ledger.sizes.values())


def test_fork():
    parent, child = record('fork')
    assert child.parent == parent.pid and child.pid != parent.pid
    events = [(r[0], r[6]) for r in child.records]
    assert events == [(tbat.FREE, 0), (tbat.ALLOC, MARK + 1), (tbat.FREE, 0)], events
    _, normaliser = trace_of(child)
    assert normaliser.dropped == {'unknown blocks': 1}, normaliser.dropped
    assert not any(r[6] == MARK + 1 for r in parent.records)


def test_exec_and_exit():
    before, after = record('exec')
    assert before.pid == after.pid
    assert [r[6] for r in before.records].count(MARK) == 1
    assert [r[6] for r in after.records].count(MARK + 2) == 1


def test_threads():
    (raw,) = record('threads')
    assert len({r[2] for r in raw.records}) == 4
    data, normaliser = trace_of(raw)
    assert not normaliser.dropped, normaliser.dropped
    assert tbat.trace_check(data).thread_count == 4


def test_windows():
    (raw,) = record('many')
    assert sum(r[6] == 48 for r in raw.records) >= 300000
    data, normaliser = trace_of(raw)
    assert not normaliser.dropped and tbat.trace_check(data).record_count >= 600000


def test_no_directory():
    environment = dict(os.environ, LD_PRELOAD=LIB, ALLOCTRACE_DIR='/nonexistent')
    subprocess.run([PROBE, 'ops'], env=environment, check=True)
    del environment['ALLOCTRACE_DIR']
    subprocess.run([PROBE, 'ops'], env=environment, check=True)


def small_trace():
    (raw,) = record('ops')
    return trace_of(raw)[0]


def test_decoders_agree_on_damage():
    data = small_trace()
    assert python_accepts(data) and decoder_accepts(data)
    chance = random.Random(1)
    for _ in range(60):
        broken = bytearray(data)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        assert not python_accepts(bytes(broken)) and not decoder_accepts(bytes(broken))
    for cut in (0, 3, 63, 64, 70, len(data) - 1, len(data) - 12):
        assert not python_accepts(data[:cut]) and not decoder_accepts(data[:cut]), cut
    assert not python_accepts(data + b'\0') and not decoder_accepts(data + b'\0')


def test_decoders_agree_behind_checksums():
    data = small_trace()
    chance = random.Random(2)
    verdicts = []
    for _ in range(150):
        header, payload = bytearray(data[:64]), bytearray(data[64:])
        target = header if chance.random() < 0.3 else payload
        # Near the fields' usual values, so that some changes stay legal.
        at = chance.randrange(60 if target is header else len(target))
        target[at] = chance.choice([0, 1, 5, 6, 255, target[at] ^ 1, (target[at] + 1) % 256])
        sealed = seal(header, payload)
        verdict = python_accepts(sealed)
        assert decoder_accepts(sealed) == verdict, (at, target is header)
        verdicts.append(verdict)
    assert 5 < sum(verdicts) < 145, sum(verdicts)


def test_converter_refuses():
    record_fields = tbat.RAW_RECORD.pack(tbat.ALLOC, 0, 0, 0, 4096, 0, 1 << 32)
    header = tbat.RAW_HEADER.pack(tbat.RAW_MAGIC, tbat.RAW_VERSION, 1, 0, 0, b'x')
    for data in (b'', header[:40], b'\0' * 64, header + record_fields, header + b'\x09' + record_fields[1:]):
        with tempfile.TemporaryDirectory(prefix='alloctrace-') as folder:
            raw, out = os.path.join(folder, 'a.tbar'), os.path.join(folder, 'a.tbat')
            with open(raw, 'wb') as file:
                file.write(data)
            run = subprocess.run([TBAT, 'convert', raw, '-o', out], capture_output=True, text=True, check=False)
            assert run.returncode == 1 and run.stderr.startswith('tbat: '), run
            assert not os.path.exists(out)


def main():
    tests = [(name, fn) for name, fn in globals().items() if name.startswith('test_')]
    print(f'1..{len(tests)}')
    failures = 0
    for number, (name, fn) in enumerate(tests, 1):
        try:
            fn()
            print(f'ok {number} {name}', flush=True)
        except Exception as error:  # one failure must not hide the others
            failures += 1
            print(f'not ok {number} {name}\n# {type(error).__name__}: {error}', flush=True)
    sys.exit(1 if failures else 0)


main()
