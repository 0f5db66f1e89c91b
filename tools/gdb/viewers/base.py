# SPDX-License-Identifier: MIT
#
# The recorders of core/base: `tbos log`, `tbos trace`, `tbos counters`.
import heapq

import reach
from reach import Viewer, cpus_of, image_pointer, pointer, text_at

import gdb

RING_SLOTS_MAX = 1 << 20


def ring_records(ring, type_name):
    """Whole records, oldest first; a slot that was being written or overwritten is skipped (core/base/ring.c)."""
    count, words, slots = int(ring['slot_count']), int(ring['record_words']), pointer(ring['slots'])
    size = gdb.lookup_type(type_name).sizeof
    if not 0 < count <= RING_SLOTS_MAX or count & (count - 1) or words * 8 != size:
        raise reach.Damaged(f'damaged ring at {int(ring.address):#x}: {count} slots of {words} words')
    end, cleared = int(ring['next']), int(ring['cleared'])
    held = min((end - cleared) & 0xffffffff, count)
    raw = bytes(gdb.selected_inferior().read_memory(slots, count * (words + 1) * 8))
    for index in range(end - held, end):
        index &= 0xffffffff
        offset = (index & (count - 1)) * (words + 1) * 8
        if int.from_bytes(raw[offset:offset + 4], 'little') == index << 1 & 0xffffffff:
            yield raw[offset + 8:offset + 8 + size]


class Record:
    """A record's bytes by member name."""

    def __init__(self, raw, type_name):
        self.raw = raw
        self.fields = {field.name: field for field in gdb.lookup_type(type_name).fields()}

    def bytes(self, name):
        field = self.fields[name]
        return self.raw[field.bitpos // 8:field.bitpos // 8 + field.type.sizeof]

    def number(self, name):
        return int.from_bytes(self.bytes(name), 'little')


def limit_of(words):
    if not words:
        return None
    number = int(words[0], 0) if words[0].isdigit() else -1
    if number < 0:
        raise ValueError(f'{words[0]} is no count')
    return number


def last_of(rows, limit):
    rows = list(rows)
    return rows if limit is None else rows[max(0, len(rows) - limit):]


class Log(Viewer):
    """tbos log [COUNT]: the kernel log of each instance, as dmesg prints it; the last COUNT lines."""
    name, usage, needs, arguments = 'log', '[COUNT]', 'log', (0, 1)

    def show(self, kernel, instance, words):
        ring = kernel['log'].dereference()['ring']
        for raw in last_of(ring_records(ring, 'struct log_record'), limit_of(words)):
            record = Record(raw, 'struct log_record')
            us = record.number('ts_ns') // 1000
            print(f'[{us // 1000000:5}.{us % 1000000:06}] {reach.clean(record.bytes("text"))}')
        if int(ring['lost']):
            print(f'({int(ring["lost"])} lines were lost)')


def signed(value, bits=64):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def error_name(value):
    number = abs(signed(value, 32))
    rows = gdb.parse_and_eval("'err.c'::rows")
    name = text_at(pointer(rows[number]['name'])) if number <= rows.type.range()[1] else ''
    return name or 'E?'


def argument_text(kind, value):
    if kind == 'signed':
        return str(signed(value))
    if kind in ('hex', 'place'):
        return f'{value:#x}' if value else '0'
    if kind == 'error':
        return error_name(value)
    if kind == 'image':
        return reach.symbol_of(image_pointer(value))
    if kind == 'text':
        return text_at(image_pointer(value))
    if kind == 'site':
        return f'{text_at(image_pointer(signed(value, 32)))}:{value >> 32}'
    return str(value)


def event_rows():
    """[(name, ((label, kind), (label, kind)))] by event number."""
    names = gdb.parse_and_eval("'trace.c'::event_names")
    rows = gdb.parse_and_eval("'trace_show.c'::argument_rows")
    kinds = reach.enum_names('enum trace_kind', 'TRACE_')
    table = []
    for event in range(names.type.range()[1] + 1):
        pairs = tuple((text_at(pointer(rows[event][i]['label'])), kinds.get(int(rows[event][i]['kind']), '?')) for i in (0, 1))
        table.append((text_at(pointer(names[event])), pairs))
    return table


class Trace(Viewer):
    """tbos trace [COUNT]: the last COUNT (40) events in the trace rings, all CPUs by time."""
    name, usage, needs, arguments = 'trace', '[COUNT]', 'trace', (0, 1)

    def show(self, kernel, instance, words):
        rings, lost = [], 0
        for index, cpu in cpus_of(kernel):
            if pointer(cpu['trace']) == 0:
                continue
            ring = cpu['trace'].dereference()['ring']
            lost += int(ring['lost'])
            rings.append([])
            with reach.section(f'cpu {index}'):
                for raw in ring_records(ring, 'struct trace_record'):
                    record = Record(raw, 'struct trace_record')
                    rings[-1].append((record.number('ts_ns'), index, record))
        table = event_rows()
        # As the kernel merges: a CPU's records stay in their order, though an interrupt may have come between a time and its record.
        events = list(heapq.merge(*rings, key=lambda event: event[:2]))
        limit = limit_of(words)
        for ts_ns, cpu, record in last_of(events, 40 if limit is None else limit):
            number = record.number('event')
            name, pairs = table[number] if number < len(table) else ('?', ())
            shown = ''.join(f' {label}={argument_text(kind, record.number(member))}'
                            for (label, kind), member in zip(pairs, 'ab') if kind != 'none')
            print(f'[{ts_ns // 10**9:5}.{ts_ns % 10**9:09}] cpu{cpu} thread{record.number("thread")} {name}{shown}')
        print(f'({len(events)} events in the rings, {lost} lost)')


class Counters(Viewer):
    """tbos counters: every counter, summed over the CPUs."""
    name = 'counters'

    def show(self, kernel, instance, words):
        rows = gdb.parse_and_eval("'counter.c'::rows")
        count = rows.type.range()[1] + 1
        sums = [0] * count
        for _, cpu in cpus_of(kernel):
            if pointer(cpu['counters']) != 0:
                for i in range(count):
                    sums[i] += int(cpu['counters'][i])
        for i in range(count):
            print(f'{text_at(pointer(rows[i]["name"])):20} {sums[i]:12}  {text_at(pointer(rows[i]["help"]))}')


Log()
Trace()
Counters()
