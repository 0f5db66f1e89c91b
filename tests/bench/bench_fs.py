#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# PXFS beside the host's ext4 and btrfs: the same work (bench_fs.h), on images in /dev/shm, in one run and in turns, pinned to a CPU and not. PXFS
# runs within the process, its image is a disk of the instance; the peers are mounted through loop devices, which takes root. `./tools/tbos bench fs` runs it.
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import bench  # noqa: E402
import bench_picture  # noqa: E402
from bench_rows import Absent  # noqa: E402

IMAGE_BYTES = 4 << 30
CROWD_BYTES = 16 << 30
VAST_BYTES = 1 << 40
TREE_BYTES = 300 << 20
LIMIT_S = 900
CRASHES = 3  # mounts of the same image, each of a copy
NS_PER_S = 1e9

# What is measured: name, title, unit, and what makes nanoseconds of one (file, MiB, write) the figure that is shown.
ROWS = [
    ('create', 'create and write 4 KiB, final sync', 'us', 1e3),
    ('stat_cold', 'stat, cold', 'us', 1e3),
    ('stat_warm', 'stat, warm', 'us', 1e3),
    ('rename', 'rename', 'us', 1e3),
    ('unlink', 'unlink', 'us', 1e3),
    ('write_text', 'synced write, data for LZ4', 'MiB/s', None),
    ('write_noise', 'synced write, noise', 'MiB/s', None),
    ('read_text', 'cold read, data for LZ4', 'MiB/s', None),
    ('read_noise', 'cold read, noise', 'MiB/s', None),
    ('overwrite', 'random 4 KiB, fsync every 100', 'us', 1e3),
    ('append', 'append 4 KiB and fsync, median', 'us', 1e3),
]
ONCE = [
    ('crowd_make', 'a million files in one folder', 'us', 1e3),
    ('crowd_lookup', 'look-up among them, 99th of 100', 'us', 1e3),
    ('crowd_mount', 'mounting them', 'ms', 1e6),
    ('crash_mount', '1 TB, mounting after a crash', 'ms', 1e6),
]


def run(command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT_S, **more)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[:1] or [f'status {done.returncode}']
        raise Absent(f'{os.path.basename(command[0])}: {words[0]}')
    return done.stdout


class Filesystem:
    """One that is measured: begin() gives the command that works on a new image, end() undoes what it needed, clean() removes the image."""

    def __init__(self, program, folder, name):
        self.program, self.name = program, name
        self.image = os.path.join(folder, name + '.img')

    def measure(self, works, pinned=False, size=IMAGE_BYTES, copy=None, keep=False):
        """{work: (ns, KiB)}"""
        def restrict():
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])

        command = [*self.begin(size, pinned, keep), *(['--keep'] if keep else []), *(['--copy', copy] if copy else []), *works]
        try:
            lines = run(command, preexec_fn=restrict if pinned else None)
        finally:
            self.end()
        return {line['work']: (line['ns'], line['kib']) for line in map(json.loads, lines.splitlines())}

    def clean(self):
        if os.path.exists(self.image):
            os.unlink(self.image)


class Pxfs(Filesystem):
    def begin(self, size, pinned, keep):
        if not keep:
            self.clean()
        return [self.program, 'pxfs', self.image, '--size', str(size), '--cpus', '1' if pinned else '2']

    def end(self):
        pass


class Peer(Filesystem):
    def __init__(self, program, folder, name, options, make):
        super().__init__(program, folder, name)
        self.options, self.make = options, make
        self.folder, self.device = os.path.join(folder, name), None
        os.mkdir(self.folder)

    def begin(self, size, pinned, keep):
        del pinned
        if os.geteuid() != 0:
            raise Absent('peer not available: mounting takes root')
        if shutil.which(self.make[0]) is None:
            raise Absent(f'peer not available: {self.make[0]} is not installed')
        with open('/proc/filesystems', encoding='utf-8') as file:
            if self.name not in file.read().split() and subprocess.run(['modprobe', '-q', self.name], check=False).returncode != 0:
                raise Absent(f'peer not available: the running kernel has no {self.name}')
        if not keep:
            self.clean()
            with open(self.image, 'wb') as file:
                file.truncate(size)
            run([*self.make, self.image])
        self.device = run(['losetup', '-f', '--show', self.image]).strip()
        return [self.program, self.name, self.device, '--at', self.folder, '--image', self.image, '--options', self.options]

    def end(self):
        subprocess.run(['umount', '-q', self.folder], check=False)
        if self.device:
            subprocess.run(['losetup', '-d', self.device], check=False)
        self.device = None


# ---- one row --------------------------------------------------------------------------------------------------------------------


class Taken:
    """Figures of one filesystem in one row and mode; what stands for them is their median, or under --best the least."""

    def __init__(self, best):
        self.values, self.absent, self.best = [], None, best

    def add(self, value):
        self.values.append(value)

    def figure(self):
        if not self.values:
            return None
        return min(self.values) if self.best else statistics.median(self.values)

    def summary(self, scale):
        if not self.values:
            return {'absent': self.absent or 'not measured'}

        def of(value):
            return NS_PER_S / value if scale is None else value / scale

        shown = sorted(of(value) for value in self.values)
        return {'value': of(self.figure()), 'min': shown[0], 'max': shown[-1], 'samples': len(shown)}


class Table:
    def __init__(self, best):
        self.taken, self.best = {}, best

    def at(self, row, mode, name):
        return self.taken.setdefault((row, mode, name), Taken(self.best))

    def entry(self, row, modes, peers):
        """As bench.py's: what the table, the JSON and the picture are made of."""
        name, title, unit, scale = row
        entry = {'name': name, 'title': title, 'unit': unit, 'aim': None}
        for mode in modes:
            figures = {peer: self.at(name, mode, peer).figure() for peer in peers}
            known = {peer: value for peer, value in figures.items() if value is not None}
            best = min(known, key=known.get) if known else None
            own = self.at(name, mode, 'pxfs').figure()
            entry[mode] = {'tbos': self.at(name, mode, 'pxfs').summary(scale),
                           'peers': {peer: self.at(name, mode, peer).summary(scale) for peer in peers},
                           'ratio': own / known[best] if best and own is not None else None, 'against': best, 'hit': None}
        return entry


def sitting(table, systems, mode, backwards):
    """Every filesystem once through all rows."""
    works = [row[0] for row in ROWS]
    for system in reversed(systems) if backwards else systems:
        try:
            for work, (took_ns, _) in system.measure(works, mode == 'pinned').items():
                table.at(work, mode, system.name).add(took_ns)
        except (Absent, subprocess.TimeoutExpired) as reason:
            for work in works:
                table.at(work, mode, system.name).absent = str(reason)


def crowd(table, systems, notes):
    for system in systems:
        bench.progress(f'a million files: {system.name}')
        try:
            figures = system.measure(['crowd_make', 'crowd_lookup', 'mount'], size=CROWD_BYTES)
            for work, row in (('crowd_make', 'crowd_make'), ('crowd_lookup', 'crowd_lookup'), ('mount', 'crowd_mount')):
                table.at(row, 'unpinned', system.name).add(figures[work][0])
            if figures['mount'][1] != 0:
                notes.append(f'mounting a million files took {figures["mount"][1] / 1024:.1f} MiB of memory ({system.name}; the peers do not tell)')
        except (Absent, subprocess.TimeoutExpired) as reason:
            for row in ('crowd_make', 'crowd_lookup', 'crowd_mount'):
                table.at(row, 'unpinned', system.name).absent = str(reason)
        system.clean()


def crash(table, systems):
    """The image is copied while it is mounted, behind an fsync: what is there then has not been unmounted."""
    for system in systems:
        bench.progress(f'1 TB after a crash: {system.name}')
        copy = system.image + '.copy'
        try:
            system.measure(['create', 'append'], size=VAST_BYTES, copy=copy)
            for _ in range(CRASHES):
                run(['cp', '--sparse=always', copy, system.image])
                table.at('crash_mount', 'unpinned', system.name).add(system.measure(['mount'], size=VAST_BYTES, keep=True)['mount'][0])
        except (Absent, subprocess.TimeoutExpired, OSError) as reason:
            table.at('crash_mount', 'unpinned', system.name).absent = str(reason)
        finally:
            for path in (copy, system.image):
                if os.path.exists(path):
                    os.unlink(path)


# ---- a tree at zstd:3 -----------------------------------------------------------------------------------------------------------


def tree_files(top, limit):
    """Regular files in order of path, up to the limit."""
    files, total = [], 0
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                size = os.path.getsize(path)
                if total + size > limit:
                    return files, total
                files.append(path)
                total += size
    return files, total


def tree_pxfs(sim, folder, archive):
    image = os.path.join(folder, 'tree.img')
    lines = f'mkfs -c zstd:3 disk0; pxfs-info disk0; mkdir /m; mount -t pxfs disk0 /m; unpack {archive} /m; umount /m; pxfs-info disk0'
    try:
        text = run([sim, '--cpus', '2', '--mem', '1536M', '--disk', f'{image},size={IMAGE_BYTES >> 20}M', '-c', lines])
        used = [int(kib) for kib in re.findall(r'KiB, (\d+) used', text)]
        return used[1] - used[0]
    finally:
        if os.path.exists(image):
            os.unlink(image)


def used_kib(folder):
    subprocess.run(['sync', '-f', folder], check=False)
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize // 1024


def tree_peer(peer, archive, options):
    command = peer.begin(IMAGE_BYTES, False, False)
    try:
        run(['mount', '-t', peer.name, '-o', options, command[2], peer.folder])
        before = used_kib(peer.folder)
        with open(archive, 'rb') as file:
            subprocess.run(['cpio', '-id', '--quiet'], stdin=file, cwd=peer.folder, check=True, capture_output=True)
        return used_kib(peer.folder) - before
    finally:
        peer.end()
        peer.clean()


def tree(build, folder, systems):
    """{'mib', 'files', 'pxfs', 'btrfs'…}: KiB that each takes for the same files."""
    bench.progress('a tree at zstd:3')
    files, total = tree_files('/usr/share', TREE_BYTES)
    archive = os.path.join(folder, 'tree.cpio')
    with open(archive, 'wb') as file:
        subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'], input='\n'.join(path.lstrip('/') for path in files).encode(), stdout=file,
                       cwd='/', check=True)
    figures = {'mib': total / (1 << 20), 'files': len(files)}
    sources = {'pxfs': lambda: tree_pxfs(os.path.join(build, 'tools/tbos-sim/tbos-sim'), folder, archive)}
    for system in systems[1:]:
        options = 'compress=zstd:3' if system.name == 'btrfs' else 'defaults'
        sources[system.name] = lambda system=system, options=options: tree_peer(system, archive, options)
    for name, source in sources.items():
        try:
            figures[name] = source()
        except (Absent, subprocess.SubprocessError) as reason:
            figures[name + '_absent'] = str(reason)
    os.unlink(archive)
    return figures


def tree_print(figures):
    print(f'\n{figures["files"]:,} files of /usr/share, {figures["mib"]:.0f} MiB, at zstd:3')
    for name in ('pxfs', 'btrfs', 'ext4'):
        if name in figures:
            beside = f', {figures["pxfs"] / figures[name]:.2f} of it are PXFS\'s' if name != 'pxfs' and 'pxfs' in figures else ''
            print(f'  {name:6} {figures[name] / 1024:8.1f} MiB, {figures[name] / 1024 / figures["mib"]:.3f} of the data'
                  f'{" (it does not compress)" if name == "ext4" else ""}{beside}')
        elif name + '_absent' in figures:
            print(f'  {name:6} {figures[name + "_absent"]}')


# ---- all ------------------------------------------------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(prog='./tools/tbos bench fs', description='Measures PXFS beside ext4 and btrfs.')
    parser.add_argument('--build', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--rounds', type=int, default=3, metavar='N', help='default: %(default)s')
    parser.add_argument('--json', metavar='FILE', help='default: bench_fs.json in the build folder')
    parser.add_argument('--svg', metavar='FILE', help='default: bench_fs.svg in the build folder')
    parser.add_argument('--mode', choices=['pinned', 'unpinned', 'both'], default='both', help='default: %(default)s')
    parser.add_argument('--best', action='store_true', help='take best runs, not medians: for a machine that others use too')
    parser.add_argument('--quick', action='store_true', help='leave out the million files, the image of 1 TB and the tree')
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error('--rounds: at least 1')
    return args


def systems_make(build, folder):
    program = os.path.join(build, 'tests/bench_fs')
    return [Pxfs(program, folder, 'pxfs'),
            # Nothing is written behind a mount's back: that would be measured too.
            Peer(program, folder, 'ext4', 'noinit_itable', ['mkfs.ext4', '-qF']),
            Peer(program, folder, 'btrfs', 'compress=lzo', ['mkfs.btrfs', '-qf'])]


def measure(args, folder):
    systems = systems_make(args.build, folder)
    modes = [mode for mode in ('pinned', 'unpinned') if args.mode in (mode, 'both')]
    table, notes, start = Table(args.best), [], time.monotonic()
    for number in range(args.rounds):
        for mode in modes:
            bench.progress(f'round {number + 1} of {args.rounds}, {mode} ({time.monotonic() - start:.0f} s)')
            sitting(table, systems, mode, number % 2 == 1)
    peers = [system.name for system in systems[1:]]
    for system in systems:
        system.clean()
    result = [table.entry(row, modes, peers) for row in ROWS]
    once, figures = [], None
    if not args.quick:
        crowd(table, systems, notes)
        crash(table, systems)
        once = [table.entry(row, ['unpinned'], peers) for row in ONCE]
        figures = tree(args.build, folder, systems)
    bench.progress('')
    return modes, result, once, figures, notes


def main():
    args = arguments()
    busy = os.getloadavg()[0] / len(os.sched_getaffinity(0))
    folder = tempfile.mkdtemp(prefix='tbos-bench-', dir='/dev/shm')
    try:
        modes, result, once, figures, notes = measure(args, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bench.table_print(result, [(mode, None) for mode in modes])
    if once:
        print()
        bench.table_print(once, [('unpinned', None)])
    if figures:
        tree_print(figures)
    for note in notes:
        print(note)
    if busy > bench.BUSY:
        print(f'\nThe machine was busy (load {busy:.1f} per CPU): these figures say little{"" if args.best else "; --best says more"}.')
    json_path = args.json or os.path.join(args.build, 'bench_fs.json')
    svg_path = args.svg or os.path.join(args.build, 'bench_fs.svg')
    with open(json_path, 'w', encoding='utf-8') as file:
        json.dump({'machine': bench.machine(), 'rounds': args.rounds, 'statistic': 'best' if args.best else 'median', 'load_per_cpu': busy, 'rows': result + once,
                   'tree': figures, 'notes': notes}, file, indent=1, ensure_ascii=False)
        file.write('\n')
    with open(svg_path, 'w', encoding='utf-8') as file:
        file.write(bench_picture.draw(result + once, bench.machine()))
    print(f'\nfigures: {os.path.relpath(json_path)}, picture: {os.path.relpath(svg_path)}')
    return 1 if any('absent' in entry[mode]['tbos'] for entry in result + once for mode in modes if mode in entry) else 0


if __name__ == '__main__':
    sys.exit(main())
