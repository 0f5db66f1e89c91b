# SPDX-License-Identifier: MIT
#
# A volume's life, with 300 MiB of the host's own files: made on an image, filled through the library with modes, owners, times and links, compared,
# changed, half deleted, filled to the last block, emptied, checked, and read again by another process. Copying is timed beside the host's own to ext4. TAP.
#   volume_test.py SOURCE_FOLDER LIBRARY [--mib N]
import argparse
import errno
import hashlib
import os
import pickle
import random
import stat as S
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '../..'))
sys.path[:0] = [HERE, os.path.join(ROOT, 'tests/bare'), os.path.join(ROOT, 'tools/python')]
from hosttree import MOUNT, TREES, copy_in, host_copy, host_row, inside, odd_ones, take  # noqa: E402
from points import check, end, skip  # noqa: E402

MIB = 1 << 20


# ---- what is in it -----------------------------------------------------------------------------------------------------------


def digest_of(files, path, size_bytes):
    digest, fd, at = hashlib.sha256(), files.open(path), 0
    try:
        while at < size_bytes:
            piece = files.pread(fd, min(MIB, size_bytes - at), at)
            if not piece:
                break
            digest.update(piece)
            at += len(piece)
    finally:
        files.close_fd(fd)
    return digest.hexdigest()


def inside_row(files, path):
    status = files.stat(path, follow_symlinks=False)
    kind = S.S_IFMT(status.mode)
    row = [status.mode, status.uid, status.gid, status.mtime.seconds * 10 ** 9 + status.mtime.nanoseconds]
    if kind == S.S_IFREG:
        row += [status.size_bytes, digest_of(files, path, status.size_bytes)]
    if kind == S.S_IFLNK:
        row.append(files.readlink(path))
    return row


def differences(files, rows, top=MOUNT):
    """Of a volume's rows, by path below the mount; directories that were changed below have times of their own."""
    wrong = []
    for path, row in rows.items():
        try:
            got = inside_row(files, top + path)
        except OSError as error:
            wrong.append(f'{path}: {error}')
            continue
        if got != row and not (S.S_ISDIR(row[0]) and row[3] is None and got[:3] == row[:3]):
            wrong.append(f'{path}: {got}, not {row}')
    return wrong


def names_inside(files):
    return {path[len(MOUNT):] for path, _ in files.walk(MOUNT)} - {''}


def same(files, rows, what, everything=True):
    wrong = differences(files, rows)
    if everything:
        wanted = set(rows)
        for path in rows:
            while (path := os.path.dirname(path)) != '/':
                wanted.add(path)
        wrong += [f'{path}: is there' for path in sorted(names_inside(files) - wanted)]
    check(not wrong, f'{what}: {len(rows)} paths', '\n'.join(wrong[:10]))


# ---- changes --------------------------------------------------------------------------------------------------------------------


def touch_parent(rows, path):
    parent = os.path.dirname(path)
    if parent in rows:
        rows[parent] = rows[parent][:3] + [None]


def changed_data(kind, data, extra):
    middle = len(data) // 2
    if kind == 'append':
        return data + extra, len(data)
    if kind == 'middle':
        return data[:middle] + extra + data[middle + len(extra):], middle
    return data[:middle], None


def modify(files, rows):
    """Files are appended to, written over in the middle, cut, renamed, given other modes. `rows` goes along; but times are what the volume says."""
    chance, kinds = random.Random(5), ('append', 'middle', 'cut', 'rename', 'mode')
    chosen = [path for path, row in rows.items() if S.S_ISREG(row[0]) and files.stat(inside(path)).nlink == 1][::9]
    for number, path in enumerate(chosen):
        to, kind, row = inside(path), kinds[number % 5], rows[path]
        if kind == 'rename':
            new = f'{os.path.dirname(path)}/{number}.new'
            files.rename(to, inside(new))
            rows[new] = rows.pop(path)
        elif kind == 'mode':
            files.chmod(to, 0o600)
            row[0] = S.S_IFREG | 0o600
        else:
            extra = chance.randbytes(chance.randrange(1, 100000))
            with open(path, 'rb') as file:
                data, at = changed_data(kind, file.read(), extra)
            if at is None:
                files.truncate(to, len(data))
            else:
                fd = files.open(to, 1)  # O_WRONLY
                while extra:
                    done = files.pwrite(fd, extra, at)
                    extra, at = extra[done:], at + done
                files.close_fd(fd)
            row[3:] = [inside_row(files, to)[3], len(data), hashlib.sha256(data).hexdigest()]
        touch_parent(rows, path)
    return len(chosen)


def delete_half(files, rows):
    gone = [path for number, path in enumerate(sorted(rows)) if number % 2 and not S.S_ISDIR(rows[path][0])]
    for path in gone:
        files.unlink(inside(path))
        del rows[path]
        touch_parent(rows, path)
    return len(gone)


def fill(files):
    """Until there is no room at all: the last byte is refused, too."""
    chance, written, names = random.Random(7), 0, []
    files.mkdir(f'{MOUNT}/full')
    data = chance.randbytes(4 * MIB)
    for size in (4 * MIB, 65536, 4096, 1):
        while True:
            name = f'{MOUNT}/full/{len(names)}'
            names.append(name)
            try:
                files.write_file(name, data[len(names) % 1000:][:size])
                written += size
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                break
    return names, written


def empty(files, names):
    for name in names:
        try:
            files.unlink(name)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
    files.rmdir(f'{MOUNT}/full')


def free_again(files, wanted):
    """What has no name is taken apart in the background, and rests for two epochs: blocks that are free at last."""
    for number in range(200):
        files.utime(MOUNT, number, number)
        files.sync()
        left = files.statfs(MOUNT).blocks_free
        if left > wanted:
            break
        time.sleep(0.05)
    return left


# ---- the whole -----------------------------------------------------------------------------------------------------------------------


class Machine:
    """An instance with the image, and the volume mounted."""

    def __init__(self, tbos, image, **disk):
        self.console = []
        self.machine = tbos.Instance(disks=[tbos.Disk.of(image, **disk)], console=self.console, cpus=2)
        self.files = self.machine.context()
        self.files.mkdir(MOUNT)

    def command(self, line):
        del self.console[:]
        return self.machine.command(line)

    def said(self):
        return b''.join(self.console).decode(errors='replace')

    def can(self, command):
        return self.command(f'help {command}') == 0

    def mount(self, options='', flags=0, where=MOUNT):
        self.files.mount('disk0', where, 'pxfs', flags, options)

    def fsck(self, what):
        del self.console[:]
        self.files.umount(MOUNT)
        check(not self.said(), f'unmounted {what}', self.said())
        status = self.command('fsck -d disk0')
        check(status == 0, f'fsck -d {what}: {self.said().strip()}', self.said())
        self.mount()

    def close(self):
        self.files.umount(MOUNT)
        self.files.close()
        self.machine.close()


def snapshots_before(machine):
    """Where there are snapshots: one of what was copied."""
    if not machine.can('snapshot'):
        print('# no snapshots, clones, rollback and scrub in this build')
        return False
    return check_command(machine, f'snapshot {MOUNT} copied')


def check_command(machine, line):
    status = machine.command(line)
    check(status == 0, line, machine.said())
    return status == 0


def snapshots_behind(machine, rows):
    """The snapshot is what it was, a clone of it is its like and may be written, and rolling back brings it all back."""
    files = machine.files
    files.mkdir('/s')
    machine.mount('subvol=copied', flags=1, where='/s')  # read-only
    check(not (wrong := differences(files, rows, '/s')), 'the snapshot is what was copied', '\n'.join(wrong[:10]))
    files.umount('/s')
    if check_command(machine, f'clone {MOUNT} copied twin'):
        machine.mount('subvol=twin', where='/s')
        wrong = differences(files, rows, '/s')
        files.write_file('/s/written', b'only here')
        check(not wrong and 'written' not in files.listdir(MOUNT), 'a clone is what was copied, and may be written', '\n'.join(wrong[:10]))
        files.umount('/s')
    if machine.can('scrub'):
        check_command(machine, f'scrub {MOUNT}')
    files.umount(MOUNT)
    rolled = check_command(machine, 'rollback disk0 copied')
    machine.mount()
    machine.fsck('rolled back')
    if rolled:
        same(files, rows, 'rolled back to what was copied')
    return rolled


def again(tbos, image, rows_path):
    """Another process."""
    with open(rows_path, 'rb') as file:
        rows = pickle.load(file)
    machine = Machine(tbos, image, flags=tbos.Disk.READ_ONLY)
    check(machine.command('fsck -d disk0') == 0, 'another process: fsck -d', machine.said())
    machine.mount()
    same(machine.files, rows, 'another process')
    machine.close()
    return end()


def copied(machine, names, folder):
    """Copies, compares; what is there by path."""
    rows = {path: host_row(path) for path in names}
    size_bytes = sum(row[4] for row in rows.values() if len(row) > 4 and S.S_ISREG(row[0]))
    begin = time.monotonic()
    written = copy_in(machine.files, names)
    machine.files.sync()
    own = written / MIB / (time.monotonic() - begin)
    host = host_copy(names, written, folder)
    print(f'# copied {len(names)} paths, {written / MIB:.0f} MiB of {size_bytes / MIB:.0f}, at {own:.0f} MiB/s; the host to ext4: '
          f'{f"{host:.0f} MiB/s, {own / host:.2f} of it" if host else "not allowed here"}')
    same(machine.files, rows, 'what was copied')
    links = [machine.files.stat(inside(path), follow_symlinks=False).nlink == os.lstat(path).st_nlink
             for path in names if path.startswith(folder) and not os.path.isdir(path)]
    check(len(links) > 5 and all(links), 'hard links')
    machine.fsck('behind the copy')
    begin = time.monotonic()
    same(machine.files, rows, 'and through a new mount')
    print(f'# read at {size_bytes / MIB / (time.monotonic() - begin):.0f} MiB/s, hashed')
    return rows


def life(tbos, folder, limit_mib):
    image, odd = f'{folder}/image', f'{folder}/odd'
    names, size_bytes = take(limit_mib * MIB)
    if size_bytes < limit_mib * MIB:
        return skip(f'this host has only {size_bytes / MIB:.0f} MiB in {" and ".join(TREES)}')
    os.mkdir(odd)
    machine = Machine(tbos, image, size_bytes=(limit_mib + limit_mib // 3 + 40) * MIB)
    check_command(machine, 'mkfs -L life disk0')
    machine.mount()
    before = copied(machine, names + odd_ones(odd), folder)
    kept = snapshots_before(machine)
    rows = {path: list(row) for path, row in before.items()}
    same(machine.files, rows, f'{modify(machine.files, rows)} files changed')
    deleted = delete_half(machine.files, rows)
    same(machine.files, rows, f'{deleted} names deleted')
    free = machine.files.statfs(MOUNT).blocks_free
    filled, written = fill(machine.files)
    check(len(filled) > 4, f'filled with {written / MIB:.0f} MiB')
    same(machine.files, rows, 'on a full volume', everything=False)
    machine.fsck('of a full volume')
    empty(machine.files, filled)
    left = free_again(machine.files, free * 0.98)
    machine.fsck('behind it all')
    check(left > free * 0.98, f'what filled it is free again: {left} blocks, {free} before')
    same(machine.files, rows, 'behind it all')
    if kept and snapshots_behind(machine, before):
        rows = before
    machine.close()
    with open(f'{folder}/rows', 'wb') as file:
        pickle.dump(rows, file)
    return second(image, folder)


def second(image, folder):
    done = subprocess.run([sys.executable, '-B', *sys.argv, '--again', image, f'{folder}/rows'], capture_output=True, text=True, check=False)
    check(done.returncode == 0 and done.stdout.count('\nok') + done.stdout.startswith('ok') >= 2, 'another process', done.stdout + done.stderr)
    return end()


def main():
    parser = argparse.ArgumentParser(description='A volume, from mkfs to the last block and back, with files of the host.')
    parser.add_argument('source')
    parser.add_argument('library')
    parser.add_argument('--mib', type=int, default=300, help='how much of the host to copy (300)')
    parser.add_argument('--again', nargs=2, metavar=('IMAGE', 'ROWS'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ['TBOS_LIBRARY'] = os.path.abspath(args.library)
    import tbos
    if args.again:
        return again(tbos, *args.again)
    with tempfile.TemporaryDirectory(prefix='tbos-volume-') as folder:
        return life(tbos, folder, args.mib)


sys.exit(main())
