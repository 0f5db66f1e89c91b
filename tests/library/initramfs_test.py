# SPDX-License-Identifier: MIT
#
# The initramfs against the host: a tree with everything that cpio can carry, in every packing, must come out as it went in; archives
# that are damaged or mean harm must end with a place and a reason, and leave the instance sound. TAP.
#   initramfs_test.py SOURCE_FOLDER LIBRARY TBOS_SIM
import os
import random
import re
import socket
import stat as S
import subprocess
import sys
import tempfile

sys.path[:0] = [os.path.join(sys.argv[1], 'tools/python'), os.path.dirname(os.path.abspath(__file__))]
os.environ['TBOS_LIBRARY'] = sys.argv[2]
import tbos  # noqa: E402
from archives import cpio, describe, describe_inside, entry, names_of, pad, packed, trailer  # noqa: E402

SIM = os.path.abspath(sys.argv[3])
ZSTD, LZ4 = ('zstd', '-q', '-c'), ('lz4', '-q', '-c')
SKIPPABLE = b'\x50\x2a\x4d\x18\x05\0\0\0hello'


# ---- a tree ----------------------------------------------------------------------------------------------------------------

def tree_make(top):
    chance = random.Random(4)
    os.makedirs(f'{top}/a/b/c')
    os.makedirs(f'{top}/empty')
    for number in range(40):
        with open(f'{top}/a/file{number}', 'wb') as file:
            file.write(bytes(chance.choices(b'frame slab lock', k=chance.randrange(20000))))
    with open(f'{top}/a/b/noise', 'wb') as file:
        file.write(chance.randbytes(700_001))
    with open(f'{top}/a/b/zeros', 'wb') as file:
        file.truncate(5_000_000)
    for name in ('nothing', ' blank\tand "quotes"', 'x' * 255, 'ümlaut', b'not utf-8 \xff'):
        with open(os.path.join(os.fsencode(top), name if isinstance(name, bytes) else name.encode()), 'wb') as file:
            file.write(b'' if name == 'nothing' else b'here\n')
    os.makedirs(f'{top}/' + '/'.join(['deep' * 20] * 30))
    os.link(f'{top}/a/file1', f'{top}/a/b/other name of file1')
    os.link(f'{top}/a/file1', f'{top}/zz third name')
    os.link(f'{top}/nothing', f'{top}/a/nothing')
    os.symlink('file1', f'{top}/a/link')
    os.symlink('../../a/./b//..', f'{top}/a/b/link up')
    os.symlink('/usr/lib', f'{top}/absolute link')
    os.symlink('y' * 4000, f'{top}/long link')
    os.mkfifo(f'{top}/pipe', 0o620)
    os.mknod(f'{top}/null', 0o666 | S.S_IFCHR, os.makedev(1, 3))
    os.mknod(f'{top}/large', 0o600 | S.S_IFBLK, os.makedev(300, 70000))
    socket.socket(socket.AF_UNIX).bind(f'{top}/socket')
    os.chown(f'{top}/a/file2', 1000, 70000)
    os.lchown(f'{top}/a/link', 12, 13)
    for path, mode in (('a/file2', 0o6755), ('a/b', 0o1777), ('a/file3', 0), ('empty', 0o2750)):
        os.chmod(f'{top}/{path}', mode)
    for number, name in enumerate(names_of(top)):
        os.utime(f'{top}/{name}', (1_500_000_000, 1_000_000_000 + 3601 * number), follow_symlinks=False)


def packings(plain):
    half = len(plain) // 2 // 4 * 4
    yield 'plain', plain
    yield 'plain, with zeros behind', plain + bytes(5120)
    yield 'zstd', packed(plain, *ZSTD)
    yield 'zstd -19', packed(plain, *ZSTD, '-19')
    yield 'zstd without sizes and checksums', packed(plain, *ZSTD, '--no-check', '-1')
    yield 'zstd --long=27', packed(plain, *ZSTD, '--long=27', '--ultra', '-3')
    yield 'zstd in two frames', packed(plain[:half], *ZSTD) + packed(plain[half:], *ZSTD)
    yield 'zstd after a skippable frame', SKIPPABLE + packed(plain, *ZSTD) + SKIPPABLE
    yield 'lz4', packed(plain, *LZ4)
    yield 'lz4, linked blocks of 64 KiB', packed(plain, *LZ4, '-B4', '-BD')
    yield 'lz4, checksums of blocks', packed(plain, *LZ4, '-B5', '-BX', '-9')
    yield 'lz4, without checksums', packed(plain, *LZ4, '--no-frame-crc', '-B6')
    yield 'lz4 in two frames', packed(plain[:half], *LZ4) + SKIPPABLE + packed(plain[half:], *LZ4)
    yield 'lz4 -l', packed(plain, *LZ4, '-l')
    yield 'lz4 -l, with zeros behind', packed(plain, *LZ4, '-l') + bytes(512)
    early = entry('kernel', mode=S.S_IFDIR | 0o755) + entry('a', b'in the way', mtime=7) + trailer()
    yield 'a plain archive, zeros, then zstd', early + bytes(1024 - len(early) % 512) + packed(plain, *ZSTD)
    yield 'lz4, then zstd over it', packed(plain, *LZ4) + packed(plain, *ZSTD)
    yield 'two archives in one frame', packed(early + bytes(512) + plain, *ZSTD)


def unpacked(path, names, engine='threads'):
    with tbos.Instance(engine=engine, mem_bytes=256 << 20, initramfs=path) as machine, machine.context() as files:
        sound = machine.command('check') == 0
        return describe_inside(files, names) if sound else None


def trees(folder):
    top, path = f'{folder}/tree', f'{folder}/archive'
    tree_make(top)
    names = names_of(top)
    wanted = describe(top, names)
    plain = cpio(top, names)
    for what, data in packings(plain):
        with open(path, 'wb') as file:
            file.write(data)
        yield f'{what}: the tree comes out as it went in', unpacked(path, names) == wanted
    for what, data in (('crc', cpio(top, names, 'crc')), ('by way of find .', cpio(top, ['./' + name for name in ['.'] + names])),
                       ('deepest first', cpio(top, names[::-1])), ('renumbered', cpio(top, names, more=['--reproducible']))):
        with open(path, 'wb') as file:
            file.write(data)
        yield f'{what}: the tree comes out as it went in', unpacked(path, names) == wanted
    with open(path, 'wb') as file:
        file.write(packed(plain, *ZSTD))
    yield 'sim: the tree comes out as it went in', unpacked(path, names, 'sim') == wanted
    only = [name for name in names if S.S_ISREG(wanted[name][0])]
    with open(path, 'wb') as file:
        file.write(cpio(top, only))
    yield 'files without their directories: these are made', unpacked(path, only) == {name: wanted[name] for name in only}
    hashes = [subprocess.run([SIM, '--mem', '64M', '--engine', 'sim', '--seed', '9', '--initramfs', path, '-c', 'find a'], capture_output=True,
                             text=True, check=True) for _ in range(2)]
    yield 'a run with an initramfs repeats itself', hashes[0].stderr == hashes[1].stderr and hashes[0].stdout == hashes[1].stdout


# ---- damage ----------------------------------------------------------------------------------------------------------------

def bombs():
    zeros = packed(bytes(64 << 20), *ZSTD, '-19')
    yield 'a file of 4 GiB of zeros', packed(entry('x', size=0xfffffff0), *ZSTD) + zeros * 70, 'x: its contents: (no space left|out of memory)'
    yield 'the same, LZ4', packed(entry('x', size=0xfffffff0) + bytes(40 << 20), *LZ4, '-9'), 'x: its contents: (no space left|out of memory)'
    yield 'zeros between archives', packed(trailer(), *ZSTD) + zeros * 100, 'zeros between archives'
    again = packed((entry('x', bytes(1 << 20)) * 40), *ZSTD)
    yield 'the same name again and again', again * 40, 'it unpacks to more than this machine has memory'
    yield 'more files than fit', packed(b''.join(entry(f'{i}', ino=i) for i in range(40000)), *ZSTD), 'cannot be made: no space left'
    ways = '/'.join(['w' * 200] * 15)
    waiting = b''.join(entry(f'{ways}/f', ino=i, nlink=2) for i in range(5200))
    yield 'hard links that wait, on long ways', packed(waiting, *ZSTD), 'too many files wait for their other names'
    yield 'a million empty names', packed(entry('') * 1_000_000, *ZSTD), 'a name that is empty'


def names_that_lead_out():
    good = entry('d', mode=S.S_IFDIR | 0o755)
    yield 'an absolute name', good + entry('/etc/passwd', b'x'), 'an absolute name: /etc/passwd', len(good)
    yield '..', good + entry('d/../../x', b'x'), r'a name with "\.\.": d/\.\./\.\./x', len(good)
    yield 'only ..', entry('..', mode=S.S_IFDIR | 0o755), r'a name with "\.\."', 0
    link = entry('l', b'/tmp', mode=S.S_IFLNK | 0o777)
    yield 'through a link', link + entry('l/x', b'x'), 'l/x: the way to it is not made of directories'
    yield 'through a link within', good + entry('l', b'd', mode=S.S_IFLNK | 0o777) + entry('l/x', b'x'), 'the way to it is not made of directories'
    yield 'a link out of the tree', entry('d/l', b'../../x', mode=S.S_IFLNK | 0o777), 'd/l: a link that leads out of the tree'
    yield 'a link out of the tree, later', entry('l', b'a/b/../../../c', mode=S.S_IFLNK | 0o777), 'l: a link that leads out of the tree'
    first = entry('d/f', b'x', ino=5, nlink=3)
    yield 'another name of what is a link now', first + entry('d/f', b'/', mode=S.S_IFLNK | 0o777, ino=7) + entry('g/h', ino=5, nlink=3), \
        'g/h: another name of an earlier file'
    yield 'another name of itself', first + entry('d/f', b'y', ino=5, nlink=3), 'd/f: another name of an earlier file'
    yield 'a directory in the way', good + entry('d', b'x'), 'd: cannot be made: is a directory'
    yield 'the root as a file', entry('.', b'x'), 'cannot be replaced'


def headers():
    good = entry('f', b'hello')
    yield 'nothing at all', b'', 'it holds no archive', 0
    yield 'only zeros', bytes(1000), 'it holds no archive'
    yield 'text', b'#!/bin/sh\necho hello\n' * 20, 'no header of a cpio archive', 0
    yield 'the old format', entry('f', magic=b'070707'), 'no header of a cpio archive', 0
    yield 'no trailer', good, 'the archive ends here', len(good)
    yield 'cut in a header', good + entry('g')[:50], 'the archive ends here'
    yield 'cut in a name', entry('name' * 20)[:120], 'the archive ends here'
    yield 'cut in contents', entry('f', bytes(1000))[:500], 'the archive ends here, 612 bytes too early'
    yield 'a letter among the digits', good[:20] + b'g' + good[21:], 'the mode in a header is no hexadecimal number'
    yield 'contents of 4 GiB', entry('f', size=0xffffffff) + trailer(), 'the archive ends here'
    yield 'a name of 4 GiB', entry('f', name_size=0xffffffff), 'a name of 4294967295 bytes, at most 4096'
    yield 'a name of 4097 bytes', entry('f' * 4096), 'a name of 4097 bytes'
    yield 'a name of no bytes', entry('f', name_size=0), 'a name without its terminator'
    yield 'a name without terminator', entry('ffff', name_size=4), 'a name without its terminator'
    yield 'a NUL in a name', entry(b'f\0f'), 'a NUL within a name'
    yield 'a component of 256 bytes', entry('f' * 256), 'a component of more than 255 bytes'
    yield 'an empty name', entry(''), 'a name that is empty', 0
    yield 'no kind of file', entry('f', mode=0o644), 'a kind of file that does not exist'
    yield 'a directory with contents', entry('d', b'x', mode=S.S_IFDIR | 0o755), 'contents of what has none'
    yield 'a link to nowhere', entry('l', mode=S.S_IFLNK | 0o777), 'a link to a name of 0 bytes'
    yield 'a link of 4 GiB', entry('l', mode=S.S_IFLNK | 0o777, size=0xffffffff), 'a link to a name of 4294967295 bytes'
    yield 'a NUL in a link', entry('l', b'a\0b', mode=S.S_IFLNK | 0o777), 'a NUL within a link'
    yield 'a wrong sum', entry('f', b'hello', magic=b'070702', check=533), 'f: the sum of its bytes is wrong'
    yield 'a trailer with contents', entry('TRAILER!!!', b'x', mode=0), 'a trailer with contents'
    yield 'something behind the trailer', trailer() + b'something else', 'no header of a cpio archive', len(trailer())


def frames():
    plain = entry('f', random.Random(1).randbytes(300_000)) + trailer()
    zstd, lz4, old = packed(plain, *ZSTD), packed(plain, *LZ4, '-BX'), packed(plain, *LZ4, '-l')
    yield 'zstd, cut', zstd[:200_000], 'the file ends within a frame'
    yield 'zstd, cut in the header', zstd[:5], 'the file ends within a frame'
    yield 'zstd, the checksum', zstd[:-1] + bytes([zstd[-1] ^ 1]), 'zstd: the checksum of the content is wrong'
    yield 'zstd, a block', zstd[:6] + b'\xff\xff\xff' + zstd[9:], 'zstd: the data is damaged'
    yield 'zstd, a window of 1 GiB', b'\x28\xb5\x2f\xfd\x00\xa0' + bytes(20), 'zstd: a window of more than 128 MiB'
    yield 'zstd, a reserved bit', b'\x28\xb5\x2f\xfd\x08' + zstd[5:], "zstd: a frame's header makes no sense"
    yield 'zstd, a dictionary', b'\x28\xb5\x2f\xfd\x01\x58\x07' + bytes(20), 'zstd: a dictionary is needed'
    yield 'a skippable frame of 4 GiB', b'\x50\x2a\x4d\x18\xff\xff\xff\xff' + bytes(100), 'the file ends within a frame'
    yield 'lz4, cut', lz4[:200_000], 'the file ends within a frame'
    yield 'lz4, the header', lz4[:6] + bytes([lz4[6] ^ 1]) + lz4[7:], "lz4: the checksum of a frame's header is wrong"
    yield 'lz4, an unknown version', lz4[:4] + b'\x80' + lz4[5:], 'lz4: a frame of an unknown version'
    yield 'lz4, a block size', lz4[:5] + b'\x30' + lz4[6:], 'lz4: a block size that does not exist'
    yield 'lz4, a large block', lz4[:7] + b'\xff\xff\xff\x7f' + lz4[11:], 'lz4: a block larger than its frame allows'
    yield 'lz4, a byte of a block', lz4[:5000] + bytes([lz4[5000] ^ 4]) + lz4[5001:], 'lz4: the checksum of a block is wrong'
    yield 'lz4, the checksum', lz4[:-1] + bytes([lz4[-1] ^ 1]), 'lz4: the checksum of the content is wrong'
    yield 'lz4 -l, cut', old[:-100], 'the file ends within a frame'
    yield 'lz4 -l, a block', old[:4] + b'\xff\xff\xff\x7f' + old[8:], 'lz4: a block larger than its frame allows'
    yield 'lz4 -l, a byte of a block', old[:8] + b'\xff' * 40 + old[48:], 'lz4: a block is damaged'


def refused(path, data, reason, place):
    """Whether the archive is refused by the command, with a place and this reason; nothing outside the directory has changed."""
    with open(path, 'wb') as file:
        file.write(data)
    line = f'mkdir box; touch outside; unpack {path} box; check; ls /; unpack {path} box'
    done = subprocess.run([SIM, '--mem', '24M', '-c', line], capture_output=True, text=True, errors='replace', timeout=100, check=False)
    found = re.search(r'^unpack: .*: at byte (\d+), (\d+) unpacked: (.*)$', done.stdout, re.M)
    good = done.returncode == 1 and found and re.search(reason, found.group(3)) and int(found.group(1)) <= len(data) and \
        (place is None or int(found.group(2)) == place) and re.search(r'^box/?\n(outside)$', done.stdout, re.M)
    if not good:
        print('#', done.returncode, done.stdout[-600:].replace('\n', '\n# '), done.stderr[-300:].replace('\n', '\n# '))
    return bool(good)


def flips(folder):
    """Many copies of two small archives with a byte or a piece changed: each is unpacked or refused; nothing leaks, nothing breaks."""
    chance = random.Random(7)
    small = entry('d', mode=S.S_IFDIR | 0o755) + entry('d/f', b'hello' * 20, ino=2, nlink=2) + entry('l', b'd/f', mode=S.S_IFLNK | 0o777) + \
        entry('d/g', ino=2, nlink=2) + trailer()
    kinds = (small, packed(small, *ZSTD, '--no-check'), packed(small, *LZ4, '--no-frame-crc'), packed(small, *LZ4, '-l'))
    line = []
    for number in range(600):
        data = bytearray(kinds[number % len(kinds)])
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.randrange(8) == 0:
            del data[chance.randrange(len(data)):]
        with open(f'{folder}/{number}', 'wb') as file:
            file.write(data)
        line.append(f'mkdir {number}; unpack {number} {number}')
    done = subprocess.run([SIM, '--mem', '64M', '-c', '; '.join([*line, 'check'])], cwd=folder, capture_output=True, text=True, errors='replace',
                          timeout=100, check=False)
    ends = re.findall(r'^(unpack: |\d+ entries)', done.stdout, re.M)
    return done.returncode == 0 and len(ends) == 600 and 10 < sum(text != 'unpack: ' for text in ends) < 550


def damage(folder):
    path = f'{folder}/bad'
    for group in (headers, names_that_lead_out, frames, bombs):
        for what, data, reason, *place in group():
            yield f'{group.__name__}: {what}', refused(path, data, reason, place[0] if place else None)
    os.mkdir(f'{folder}/flips')
    yield 'flipped bytes', flips(f'{folder}/flips')
    with open(path, 'wb') as file:
        file.write(entry('/etc/passwd', b'x'))
    done = subprocess.run([SIM, '--initramfs', path, '-c', 'ls'], capture_output=True, text=True, check=False)
    yield 'at boot: place, reason, status', done.returncode == 1 and 'at byte 0, 0 unpacked: an absolute name: /etc/passwd' in done.stdout
    for what, name, reason in (('no file', f'{folder}/none', 'no such file'), ('a folder', folder, 'is a directory')):
        done = subprocess.run([SIM, '--initramfs', name, '-c', 'ls'], capture_output=True, text=True, check=False)
        yield f'at boot: {what}', done.returncode == 1 and reason in done.stdout
    try:
        tbos.Instance(initramfs=path).close()
        yield 'through the library', False
    except OSError as error:
        yield 'through the library', error.errno == 74


def main():
    failed, number = 0, 0
    with tempfile.TemporaryDirectory(prefix='tbos-initramfs-') as folder:
        for part in (trees, damage):
            for number, (what, good) in enumerate(part(folder), number + 1):
                failed += not good
                print('ok' if good else 'not ok', number, '-', what, flush=True)
    print(f'1..{number}')
    return 1 if failed else 0


sys.exit(main())
