# SPDX-License-Identifier: MIT
#
# Some hundred MiB of the host's own files for a volume: which they are, odd ones that may be lacking, what the host says of each, copying them into a
# volume through the library, and the host's own copying of them for comparison.
import errno
import hashlib
import os
import random
import shutil
import stat as S
import subprocess
import time

TREES = ('/usr/share', '/usr/lib')
MOUNT = '/m'
MIB = 1 << 20


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


def host_copy(names, size_bytes, folder):
    """MiB/s of the host's own copying to ext4 in a file, through a loop device; None: it may not be mounted here."""
    image, mount = f'{folder}/ext4', f'{folder}/ext4.mount'
    if not all(map(shutil.which, ('mkfs.ext4', 'mount', 'tar'))):
        return None
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
