#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Draws an event log of `tbos-sim --trace FILE` as an SVG: one lane a CPU, one colour a thread, interrupts as ticks. The log is
# one event a line, so that it is read line by line whatever its size; --from and --to (virtual or host time) cut a window.
import argparse
import colorsys
import html
import json
import sys

LANE, GAP, LEFT, TOP, WIDTH = 34, 10, 60, 46, 1000


class Lane:
    def __init__(self):
        self.spans = []  # (begin_us, end_us, thread)
        self.ticks = []
        self.thread = None
        self.since = None

    def switch(self, time_us, thread):
        if self.thread is not None:
            self.spans.append((self.since, time_us, self.thread))
        self.thread, self.since = thread, time_us


def event_fault(event):
    """What makes an event unusable, None: nothing. Numbers are checked where they are drawn: pid, tid, ts and a switch's b."""
    if not isinstance(event, dict) or not isinstance(event.get('name'), str):
        return 'no event'
    for key in ('pid', 'tid'):
        if type(event.get(key)) is not int or not 0 <= event[key] < 1 << 32:
            return f'{key} is no small number'
    if type(event.get('ts')) not in (int, float) or not 0 <= event['ts'] < 1e15:
        return 'ts is no time in microseconds'
    if event['name'] == 'sched.switch':
        args = event.get('args')
        if not isinstance(args, dict) or type(args.get('b')) is not int or not 0 <= args['b'] < 1 << 32:
            return 'args.b is no thread'
    return None


def read_events(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        for number, line in enumerate(file, 1):
            line = line.strip().rstrip(',')
            if not line.startswith('{"name"'):
                continue
            try:
                event = json.loads(line)
            except json.JSONDecodeError as error:
                raise SystemExit(f'timeline: {path}:{number}: {error.msg} at column {error.colno}') from None
            except (ValueError, RecursionError) as error:
                raise SystemExit(f'timeline: {path}:{number}: {error}') from None
            fault = event_fault(event)
            if fault is not None:
                raise SystemExit(f'timeline: {path}:{number}: {fault}')
            yield event


def gather(path, begin_us, end_us):
    lanes, last = {}, 0.0
    for event in read_events(path):
        lane = lanes.setdefault(event['pid'], Lane())
        last = max(last, event['ts'])
        if event['name'] == 'sched.switch':
            lane.switch(event['ts'], event['args']['b'])
        elif event['name'] == 'irq.enter' and begin_us <= event['ts'] <= end_us:
            lane.ticks.append(event['ts'])
    for lane in lanes.values():
        lane.switch(last, None)
    return lanes, min(end_us, last)


def colour(thread, idle):
    if thread in idle:
        return '#eceff1'
    hue = (thread * 0.618033988749895) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.62, 0.55)
    return f'#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}'


def unit(span_us):
    return (1e6, 's') if span_us > 5e6 else (1e3, 'ms') if span_us > 5e3 else (1, 'µs')


def draw(lanes, begin_us, end_us, title, idle):
    span = max(end_us - begin_us, 1e-3)
    scale = WIDTH / span
    height = TOP + len(lanes) * (LANE + GAP) + 56
    factor, name = unit(span)
    threads = sorted({thread for lane in lanes.values() for b, e, thread in lane.spans
                      if thread is not None and thread not in idle and e >= begin_us and b <= end_us})
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="22" font-size="15">{html.escape(title)}</text>']
    for row, cpu in enumerate(sorted(lanes)):
        y = TOP + row * (LANE + GAP)
        out.append(f'<text x="8" y="{y + 21}">CPU {cpu}</text><rect x="{LEFT}" y="{y}" width="{WIDTH}" height="{LANE}" fill="#eceff1"/>')
        for begin, end, thread in lanes[cpu].spans:
            if thread is None or thread in idle or end < begin_us or begin > end_us:
                continue
            x = LEFT + (max(begin, begin_us) - begin_us) * scale
            width = max((min(end, end_us) - max(begin, begin_us)) * scale, 0.4)
            out.append(f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{LANE}" fill="{colour(thread, idle)}">'
                       f'<title>thread {thread}: {begin:.3f} to {end:.3f} µs</title></rect>')
        for tick in lanes[cpu].ticks:
            out.append(f'<rect x="{LEFT + (tick - begin_us) * scale:.2f}" y="{y - 3}" width="0.8" height="5" fill="#b71c1c"/>')
    y = TOP + len(lanes) * (LANE + GAP) + 6
    for step in range(11):
        x = LEFT + WIDTH * step / 10
        out.append(f'<text x="{x:.0f}" y="{y + 6}" text-anchor="middle" fill="#555">{(begin_us + span * step / 10) / factor:.4g}</text>')
    out.append(f'<text x="8" y="{y + 6}" fill="#555">{name}</text>')
    for index, thread in enumerate(threads[:24]):
        x = LEFT + index * 42
        out.append(f'<rect x="{x}" y="{y + 20}" width="12" height="12" fill="{colour(thread, idle)}"/><text x="{x + 16}" y="{y + 30}">{thread}</text>')
    out.append(f'<text x="8" y="{y + 30}" fill="#555">thread</text></svg>')
    return '\n'.join(out) + '\n'


def main():
    parser = argparse.ArgumentParser(prog='timeline.py', description='Draw an event log of tbos-sim --trace as SVG.')
    parser.add_argument('log')
    parser.add_argument('-o', '--output', required=True, metavar='FILE.svg')
    parser.add_argument('--from', dest='begin', type=float, default=0.0, metavar='US', help='first microsecond shown')
    parser.add_argument('--to', dest='end', type=float, default=float('inf'), metavar='US', help='last microsecond shown')
    parser.add_argument('--idle', type=int, nargs='*', default=None, metavar='ID', help='threads drawn as idle (found by themselves)')
    parser.add_argument('--title', default='TBOS: which thread ran on which CPU; red ticks are interrupts')
    args = parser.parse_args()
    try:
        idle = set(args.idle) if args.idle is not None else {event['tid'] for event in read_events(args.log) if event['name'] == 'sched.idle'}
        lanes, end = gather(args.log, args.begin, args.end)
    except OSError as error:
        raise SystemExit(f'timeline: {error}')
    if not lanes:
        raise SystemExit(f'timeline: {args.log}: no events; write it with tbos-sim --trace')
    with open(args.output, 'w', encoding='utf-8') as file:
        file.write(draw(lanes, args.begin, end, args.title, idle))
    return 0


if __name__ == '__main__':
    sys.exit(main())
