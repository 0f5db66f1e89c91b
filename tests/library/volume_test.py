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
from points import check, end, skip  # noqa: E402

TREES = ('/usr/share', '/usr/lib')
MOUNT = '/m'
MIB = 1 << 20


# ---- the host's tree --------------------------------------------------------------------------------------------------------


def take(limit_bytes):
    """Paths of the host, a directory before what is in it, of as many bytes; what cannot be read or changes meanwhile is left out."""
    names, size = [], 0
    for tree in TREES:
        for where, folders, files in os.walk(tree):
            folders.sort()
            names.append(where)
            links = [name for name in folders if os.path.islink(os.path.join(where, name))]
            for name in sorted(files) + links:
                path = os.path.join(where, name)
                status = os.lstat(path)
                if S.S_ISLNK(status.st_mode) or S.S_ISREG(status.st_mode):
                    names.append(path)
                    size += status.st_size
            if size >= limit_bytes:
                return names, size
    return names, size


def odd_ones(folder):
    """What the host's tree may lack: hard links, holes, set-ID bits, other owners, names as long and as strange as they may be, nanoseconds."""
    def write(name, data, mode=0o644):
        path = os.path.join(os.fsencode(folder), name)
        with open(path, 'wb') as file:
            file.write(data)
        os.chmod(path, mode)
        return path
    os.mkdir(f'{folder}/sub', 0o755)
    first = write(b'first', b'x' * 5000, 0o640)
    os.link(first, f'{folder}/sub/second')
    os.link(first, f'{folder}/third')
    write(b'setid', b'#!', 0o6755)
    write(b'n' * 255, b'long')
    write(b'caf\xe9 \xff\x01*?[', b'strange')
    write(b'empty', b'')
    write(b'leaf', bytes(2048))
    write(b'more', b'z' * 2049)
    with open(f'{folder}/hole', 'wb') as file:
        file.truncate(50 * MIB)
        file.seek(20 * MIB)
        file.write(random.Random(3).randbytes(100000))
    os.symlink('t' * 4000, f'{folder}/longlink')
    os.symlink('sub/second', f'{folder}/link')
    os.mkfifo(f'{folder}/fifo', 0o600)
    if os.geteuid() == 0:
        os.chown(first, 12345, 4000000000)
        os.lchown(f'{folder}/link', 7, 8)
    os.utime(first, ns=(1, 2 ** 33 * 10 ** 9 + 123456789))
    os.chmod(f'{folder}/sub', 0o1777)
    return [folder] + sorted(os.path.join(where, name) for where, folders, files in os.walk(folder) for name in folders + files)


def host_row(path):
    status = os.lstat(path)
    row = [status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns]
    if S.S_ISREG(status.st_mode):
        with open(path, 'rb') as file:
            row += [status.st_size, hashlib.file_digest(file, 'sha256').hexdigest()]
    if S.S_ISLNK(status.st_mode):
        row.append(os.readlink(path))
    return row


# ---- into the volume -----------------------------------------------------------------------------------------------------------


class Copier:
    """Copies paths of the host to below a folder of the volume, hard links as hard links."""

    def __init__(self, files):
        self.files, self.links, self.bytes = files, {}, 0

    def contents(self, path, to, status):
        fd = self.files.open(to, 0o301, 0o600)  # O_WRONLY | O_CREAT | O_EXCL
        try:
            with open(path, 'rb') as file:
                end_bytes = 0
                while (begin := self.data_from(file, end_bytes, status.st_size)) is not None:
                    file.seek(begin)
                    data = file.read(MIB)
                    self.bytes += len(data)
                    end_bytes = begin + len(data)
                    while data:
                        done = self.files.pwrite(fd, data, begin)
                        data, begin = data[done:], begin + done
        finally:
            self.files.close_fd(fd)
        if end_bytes < status.st_size:
            self.files.truncate(to, status.st_size)

    @staticmethod
    def data_from(file, offset, size_bytes):
        """Where data begin, at `offset` or behind it; None: there are no more."""
        if offset >= size_bytes:
            return None
        try:
            return os.lseek(file.fileno(), offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            raise

    def one(self, path, to):
        status = os.lstat(path)
        kind, key = S.S_IFMT(status.st_mode), (status.st_dev, status.st_ino)
        if kind != S.S_IFDIR and key in self.links:
            self.files.link(self.links[key], to)
            return
        if kind == S.S_IFDIR:
            self.files.mkdir(to)
        elif kind == S.S_IFLNK:
            self.files.symlink(os.readlink(path), to)
        elif kind == S.S_IFREG:
            self.contents(path, to, status)
        else:
            self.files.mknod(to, status.st_mode, status.st_rdev)
        if status.st_nlink > 1 and kind != S.S_IFDIR:
            self.links[key] = to
        self.files.chown(to, status.st_uid, status.st_gid, follow_symlinks=False)
        if kind != S.S_IFLNK:
            self.files.chmod(to, S.S_IMODE(status.st_mode))

    def times(self, path, to):
        status = os.lstat(path)
        self.files.utime(to, status.st_atime_ns, status.st_mtime_ns, follow_symlinks=False)


def inside(path):
    return MOUNT + path


def copy_in(files, names):
    copier, made = Copier(files), set()
    for path in names:
        parent, missing = os.path.dirname(path), []
        while parent != '/' and parent not in made:
            missing.append(parent)
            parent = os.path.dirname(parent)
        for folder in reversed(missing):  # those that the list does not name
            files.mkdir(inside(folder), 0o755)
            made.add(folder)
        copier.one(path, inside(path))
        if os.path.isdir(path) and not os.path.islink(path):
            made.add(path)
    for path in reversed(names):
        copier.times(path, inside(path))
    return copier.bytes


# ---- what is in it -----------------------------------------------------------------------------------------------------------


def digest_of(files, path, size_bytes):
    digest, fd, at = hashlib.sha256(), files.open(path), 0
    try:
        while at < size_bytes:
            piece = files.pread(fd, MIB, at)
            if not piece:
                break
            digest.update(piece)
            at += len(piece)
    finally:
        files.close_fd(fd)
    return digest.hexdigest()


def inside_row(files, path, times=True):
    status = files.stat(path, follow_symlinks=False)
    kind = S.S_IFMT(status.mode)
    row = [status.mode, status.uid, status.gid, status.mtime.seconds * 10 ** 9 + status.mtime.nanoseconds if times else 0]
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


def modify(files, rows):
    """Files are appended to, written over in the middle, cut, renamed, given other modes. `rows` goes along."""
    chance, kinds = random.Random(5), ('append', 'middle', 'cut', 'rename', 'mode')
    chosen = [path for path, row in rows.items() if S.S_ISREG(row[0]) and files.stat(inside(path)).nlink == 1]
    for number, path in enumerate(chosen[::9]):
        to, kind, row = inside(path), kinds[number % 5], rows[path]
        if kind == 'rename':
            files.rename(to, to[:240] + '.new')
            rows[path[:len(to[:240]) - len(MOUNT)] + '.new'] = rows.pop(path)
        elif kind == 'mode':
            files.chmod(to, 0o600)
            row[0] = S.S_IFREG | 0o600
        elif kind == 'cut':
            files.truncate(to, row[4] // 2)
        else:
            fd = files.open(to, 1)
            files.pwrite(fd, chance.randbytes(chance.randrange(1, 100000)), row[4] if kind == 'append' else row[4] // 2)
            files.close_fd(fd)
        if kind in ('append', 'middle', 'cut'):
            rows[path] = inside_row(files, to)
        touch_parent(rows, path)
    return len(chosen[::9])


def modified_is_right(files, rows, before):
    """The rows of changed files came from the volume itself: what of them the host knows must still be in them."""
    wrong = []
    for path, row in rows.items():
        old = before.get(path)
        if old is None or not S.S_ISREG(row[0]) or row[4:] == old[4:]:
            continue
        kept = min(row[4], old[4]) if row[4] != old[4] and row[4] > old[4] and row[4] - old[4] < 100000 else 0
        kept = max(kept, old[4] // 2)
        with open(path, 'rb') as file:
            data = file.read(kept)
        fd = files.open(inside(path))
        begin = b''
        while len(begin) < kept and (piece := files.pread(fd, min(MIB, kept - len(begin)), len(begin))):
            begin += piece
        files.close_fd(fd)
        if begin[:old[4] // 2] != data[:old[4] // 2] or len(begin) != kept:
            wrong.append(path)
    return wrong


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
        return False
    return check_command(machine, f'snapshot {MOUNT} copied')


def check_command(machine, line):
    status = machine.command(line)
    check(status == 0, line, machine.said())
    return status == 0


def snapshots_behind(machine, rows):
    """The snapshot is what it was, a clone of it is its like and may be written, and rolling back brings it all back."""
    machine.files.mkdir('/s')
    machine.mount('subvol=copied', where='/s')
    check(not (wrong := differences(machine.files, rows, '/s')), 'the snapshot is what was copied', '\n'.join(wrong[:10]))
    machine.files.umount('/s')
    if check_command(machine, f'clone {MOUNT} copied twin'):
        machine.mount('subvol=twin', where='/s')
        machine.files.write_file('/s/written', b'only here')
        check(not (wrong := differences(machine.files, rows, '/s')), 'a clone is what was copied', '\n'.join(wrong[:10]))
        machine.files.umount('/s')
    if machine.can('scrub'):
        check_command(machine, f'scrub {MOUNT}')


def host_copy(names, size_bytes, folder):
    """MiB/s of the host's own copying to ext4 in a file, through a loop device; None: it may not be mounted here."""
    image, mount = f'{folder}/ext4', f'{folder}/ext4.mount'
    with open(image, 'wb') as file:
        file.truncate(1024 * MIB)
    os.mkdir(mount)
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL, 'check': False}
    if subprocess.run(['mkfs.ext4', '-q', image], **quiet).returncode or subprocess.run(['mount', '-o', 'loop', image, mount], **quiet).returncode:
        return None
    try:
        begin = time.monotonic()
        text = b'\0'.join(os.fsencode(name) for name in names)
        with subprocess.Popen(['tar', '-cPf', '-', '--null', '--no-recursion', '-T', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as packer, \
                subprocess.Popen(['tar', '-xpf', '-', '-C', mount], stdin=packer.stdout, stderr=subprocess.DEVNULL) as unpacker:
            packer.stdin.write(text)
            packer.stdin.close()
            unpacker.wait()
        subprocess.run(['sync', '-f', mount], check=True)
        return size_bytes / MIB / (time.monotonic() - begin)
    finally:
        subprocess.run(['umount', mount], check=True)
        os.unlink(image)


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
    changed = modify(machine.files, rows)
    wrong = modified_is_right(machine.files, rows, before)
    check(not wrong, f'{changed} files changed', '\n'.join(wrong[:10]))
    deleted = delete_half(machine.files, rows)
    same(machine.files, rows, f'{deleted} names deleted')
    free = machine.files.statfs(MOUNT).blocks_free
    filled, written = fill(machine.files)
    check(len(filled) > 4, f'filled with {written / MIB:.0f} MiB')
    same(machine.files, rows, 'on a full volume', everything=False)
    machine.fsck('of a full volume')
    empty(machine.files, filled)
    machine.files.sync()
    machine.files.sync()
    machine.fsck('behind it all')
    left = machine.files.statfs(MOUNT).blocks_free
    check(left > free * 0.98, f'what filled it is free again: {left} blocks, {free} before')
    same(machine.files, rows, 'behind it all')
    if kept:
        snapshots_behind(machine, before)
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
