#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Measures TBOS beside named peers in one run: for each row the sources take turns, round after round, pinned to a CPU and
# not, so that what the machine does meanwhile hits them all. Prints a table with the ratio to the peer, the aim, and hit or
# MISS; writes JSON and a picture of the ratios. `./tools/tbos bench` runs it; bench_rows.py says what is measured.
import argparse
import json
import os
import platform
import statistics
import sys
import time

import bench_picture
from bench_rows import Absent, rows

BUSY = 0.5  # load per CPU before the first measurement
MODES = (('pinned', True), ('unpinned', False))


class Samples:
    """The sittings of one source in one mode: of each its median, or under --best its best run."""

    def __init__(self, statistic):
        self.statistic = statistic
        self.values, self.absent, self.last = [], None, {}

    def take(self, source, pinned):
        if self.absent:
            return
        try:
            self.last = source.run(pinned)
            self.values.append(self.last[self.statistic])
        except Absent as reason:
            self.absent = str(reason)

    def figure(self):
        if self.absent or not self.values:
            return None
        return min(self.values) if self.statistic == 'min' else statistics.median(self.values)

    def summary(self, row):
        if self.figure() is None:
            return {'absent': self.absent}
        shown = sorted(row.shown(value) for value in self.values)
        figure = {'value': row.shown(self.figure()), 'min': shown[0], 'max': shown[-1], 'samples': len(shown)}
        if row.memory:
            figure.update({key: self.last[key] for key in ('peak_kib', 'asked_kib', 'events')})
        return figure


def measure(table, rounds, modes, statistic):
    """{(row name, mode, source name): Samples}; every other round goes backwards through the sources."""
    taken = {}
    start = time.monotonic()
    for number in range(rounds):
        for row in table:
            progress(f'round {number + 1} of {rounds}: {row.name} ({time.monotonic() - start:.0f} s)')
            sources = [('tbos', row.tbos), *row.peers.items()]
            for mode, pinned in modes:
                for name, source in sources if number % 2 == 0 else reversed(sources):
                    taken.setdefault((row.name, mode, name), Samples(statistic)).take(source, pinned)
    progress('')
    return taken


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f'\r\033[K{text}')
        sys.stderr.flush()


def verdict(row, tbos, peers):
    """(ratio to the peer, its name, hit: True, False or None without an aim)."""
    named = {name: peers[name].figure() for name in row.against if name in peers and peers[name].figure() is not None}
    best = min(named, key=named.get) if named else None
    if tbos is None:
        return None, best, None if row.aim is None else False
    ratio = tbos / named[best] if best else None
    if row.aim is None:
        return ratio, best, None
    if row.aim.peers:
        return ratio, best, ratio is not None and ratio <= row.aim.limit
    shown = row.shown(tbos)
    return ratio, best, shown >= row.aim.limit if row.aim.at_least else shown <= row.aim.limit


def conclude(table, taken, modes):
    """The rows as they go into the JSON file and, from there, into the table and the picture."""
    result = []
    for row in table:
        entry = {'name': row.name, 'title': row.title, 'unit': row.unit, 'aim': row.aim.text(row.unit) if row.aim else None}
        for mode, _ in modes:
            peers = {name: taken[row.name, mode, name] for name in row.peers}
            tbos = taken[row.name, mode, 'tbos']
            ratio, against, hit = verdict(row, tbos.figure(), peers)
            entry[mode] = {'tbos': tbos.summary(row), 'peers': {name: samples.summary(row) for name, samples in peers.items()},
                           'ratio': ratio, 'against': against, 'hit': hit}
        result.append(entry)
    return result


def number(value):
    if value >= 1000:
        return f'{value:,.0f}'
    return f'{value:.3g}' if value < 10 else f'{value:.1f}'


def figure_text(figure):
    return number(figure['value']) if 'value' in figure else '–'


def table_print(result, modes):
    names = [mode for mode, _ in modes]
    print(f'{"":42}' + ''.join(f'{"TBOS":>11}{"peer":>11}  {"ratio":>6} {"":4}' for _ in names) + '  peer, aim')
    print(f'{"":42}' + ''.join(f'{name + " ":-<34} ' for name in names))
    for entry in result:
        line = f'{entry["title"]:36} {entry["unit"]:5}'
        for mode in names:
            part = entry[mode]
            peer = part['peers'].get(part['against'], {})
            ratio = f'{part["ratio"]:.2f}' if part['ratio'] is not None else '–'
            mark = {True: 'hit', False: 'MISS', None: ''}[part['hit']]
            line += f'{figure_text(part["tbos"]):>11}{figure_text(peer):>11}  {ratio:>6} {mark:4}'
        print(f'{line}  {entry[names[0]]["against"] or "no peer"}{", aim " + entry["aim"] if entry["aim"] else ""}')
    others_print(result, names[0])


def others_print(result, mode):
    """All peers, and what could not be measured."""
    print(f'\nall peers, {mode}')
    for entry in result:
        peers = entry[mode]['peers']
        words = [f'{name} {figure_text(figure)}' for name, figure in peers.items()]
        memory = [f'{name} {figure["peak_kib"]:,}' for name, figure in {'TBOS': entry[mode]['tbos'], **peers}.items() if 'peak_kib' in figure]
        if words:
            print(f'  {entry["name"]:14} {", ".join(words)}' + (f'; peak KiB: {", ".join(memory)}' if memory else ''))
    missing = [(entry['name'], name, figure['absent']) for entry in result for mode_name in ('pinned', 'unpinned') if mode_name in entry
               for name, figure in {'tbos': entry[mode_name]['tbos'], **entry[mode_name]['peers']}.items() if 'absent' in figure]
    for row, name, reason in sorted(set(missing)):
        print(f'  not measured: {row}, {name}: {reason}')


def machine():
    model = 'unknown'
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            if line.startswith('model name'):
                model = line.split(':', 1)[1].strip()
                break
    return {'cpu': model, 'cpus': len(os.sched_getaffinity(0)), 'kernel': platform.release(), 'system': platform.machine()}


def arguments():
    parser = argparse.ArgumentParser(prog='./tools/tbos bench', description='Measures TBOS beside its peers.')
    parser.add_argument('--build', required=True, help='build folder (the front door gives it)')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='default: %(default)s')
    parser.add_argument('--json', metavar='FILE', help='default: bench.json in the build folder')
    parser.add_argument('--svg', metavar='FILE', help='default: bench.svg in the build folder')
    parser.add_argument('--mode', choices=['pinned', 'unpinned', 'both'], default='both', help='default: %(default)s')
    parser.add_argument('--best', action='store_true', help='take best runs, not medians: for a machine that others use too')
    parser.add_argument('--strict', action='store_true', help='exit with 1 when an aim is missed')
    parser.add_argument('--list', action='store_true', help='list the rows')
    parser.add_argument('row', nargs='*', help='only these')
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error('--rounds: at least 1')
    return args


def choose(args):
    table = rows(args.build)
    unknown = set(args.row) - {row.name for row in table}
    if unknown:
        sys.exit(f'bench: no such row: {" ".join(sorted(unknown))}; there are: {" ".join(row.name for row in table)}')
    return [row for row in table if not args.row or row.name in args.row]


def main():
    args = arguments()
    table = choose(args)
    if args.list:
        print('\n'.join(f'{row.name:14} {row.title}' for row in table))
        return 0
    modes = [mode for mode in MODES if args.mode in (mode[0], 'both')]
    busy = os.getloadavg()[0] / len(os.sched_getaffinity(0))
    result = conclude(table, measure(table, args.rounds, modes, 'min' if args.best else 'median'), modes)
    table_print(result, modes)
    if busy > BUSY:
        print(f'\nThe machine was busy (load {busy:.1f} per CPU): these figures say little{"" if args.best else "; --best says more"}.')
    json_path = args.json or os.path.join(args.build, 'bench.json')
    svg_path = args.svg or os.path.join(args.build, 'bench.svg')
    with open(json_path, 'w', encoding='utf-8') as file:
        json.dump({'machine': machine(), 'rounds': args.rounds, 'statistic': 'best' if args.best else 'median',
                   'load_per_cpu': busy, 'rows': result}, file, indent=1, ensure_ascii=False)
        file.write('\n')
    with open(svg_path, 'w', encoding='utf-8') as file:
        file.write(bench_picture.draw(result, machine()))
    print(f'\nfigures: {os.path.relpath(json_path)}, picture: {os.path.relpath(svg_path)}')
    parts = [entry[mode] for entry in result for mode, _ in modes]
    unmeasured = any('absent' in part['tbos'] for part in parts)
    missed = any(part['hit'] is False for part in parts)
    return 1 if unmeasured or (args.strict and missed) else 0


if __name__ == '__main__':
    sys.exit(main())
