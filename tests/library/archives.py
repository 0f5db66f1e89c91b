# SPDX-License-Identifier: MIT
#
# What the tests of the initramfs share: cpio archives of folders by the host's cpio, packed in every way that its tools know, archives
# written byte by byte, and what the host says of a tree.
import hashlib
import os
import stat as S
import subprocess


def names_of(folder):
    """Every path below, relative, a directory before what is in it."""
    found = []
    for where, folders, files in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder) for name in folders + files]
    return sorted(found)


def cpio(folder, names, form='newc', more=()):
    """What the host's cpio makes of these names."""
    text = b'\0'.join(os.fsencode(name) for name in names) + b'\0'
    return subprocess.run(['cpio', '-o', '-0', '-H', form, '--quiet', *more], cwd=folder, input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=True).stdout


def packed(data, *words):
    return subprocess.run(words, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


def field(number):
    return b'%08X' % (number & 0xffffffff)


def pad(data):
    return data + bytes(-len(data) % 4)


def entry(name, data=b'', mode=S.S_IFREG | 0o644, ino=1, nlink=1, mtime=0, size=None, name_size=None, magic=b'070701', dev=(0, 0), rdev=(0, 0),
          uid=0, gid=0, check=0):
    """One entry, as wrong as the arguments make it."""
    name = name if isinstance(name, bytes) else os.fsencode(name)
    head = magic + b''.join(map(field, (ino, mode, uid, gid, nlink, mtime, len(data) if size is None else size, *dev, *rdev,
                                        len(name) + 1 if name_size is None else name_size, check)))
    return pad(head + name + b'\0') + pad(data)


def trailer():
    return entry('TRAILER!!!', mode=0)


def describe(folder, names):
    """Each path with what its inode says, and its contents' hash: the host's view."""
    rows = {}
    for name in names:
        path = os.path.join(folder, name)
        status = os.lstat(path)
        links = 0 if S.S_ISDIR(status.st_mode) else status.st_nlink  # of directories every filesystem counts as it likes
        row = [status.st_mode, links, status.st_uid, status.st_gid, int(status.st_mtime)]
        if S.S_ISREG(status.st_mode):
            with open(path, 'rb') as file:
                row += [status.st_size, hashlib.sha256(file.read()).hexdigest()]
        if S.S_ISLNK(status.st_mode):
            row.append(os.readlink(path))
        if S.S_ISCHR(status.st_mode) or S.S_ISBLK(status.st_mode):
            row.append(status.st_rdev)
        rows[name] = row
    return rows


def describe_inside(files, names):
    """The same through a context of tools/python/tbos.py."""
    rows = {}
    for name in names:
        status = files.stat('/' + name, follow_symlinks=False)
        row = [status.mode, 0 if S.S_ISDIR(status.mode) else status.nlink, status.uid, status.gid, status.mtime.seconds]
        if S.S_ISREG(status.mode):
            row += [status.size_bytes, hashlib.sha256(files.read_file('/' + name)).hexdigest()]
        if S.S_ISLNK(status.mode):
            row.append(files.readlink('/' + name))
        if S.S_ISCHR(status.mode) or S.S_ISBLK(status.mode):
            row.append(status.rdev)
        rows[name] = row
    return rows
