# SPDX-License-Identifier: MIT
#
# tools/python/tbos.py against a real tree and against mistakes. TAP.
#   python_test.py SOURCE_FOLDER LIBRARY
import hashlib
import itertools
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(sys.argv[1], 'tools/python'))
os.environ['TBOS_LIBRARY'] = sys.argv[2]
import tbos  # noqa: E402


def refused(number, call, *args):
    try:
        call(*args)
    except OSError as error:
        return error.errno == number
    return False


def sizes_match(source):
    """ctypes structures have the fields of the headers, in order."""
    text = ''
    for header in ('tbos.h', 'file_types.h'):
        with open(os.path.join(source, 'include/tbos', header), encoding='utf-8') as file:
            text += re.sub(r'//[^\n]*', '', file.read())

    def fields(struct):
        body = re.search(r'struct ' + struct + r' \{(.*?)\n\};', text, re.S).group(1)
        names = []
        for line in body.split(';'):
            pointer = re.search(r'\(\*(\w+)\)', line)
            names += [pointer.group(1)] if pointer else re.findall(r'(\w+)(?:\[[^\]]*\])?\s*(?:,|$)', line.strip())
        return names
    pairs = (('tb_config', tbos._Config), ('tb_time', tbos.Time), ('tb_stat', tbos.Stat), ('tb_dirent', tbos.Dirent), ('tb_handle', tbos.Handle),
             ('tb_disk', tbos.Disk), ('tb_statfs', tbos.Statfs))
    return all(fields(struct) == [name for name, _ in mirror._fields_] for struct, mirror in pairs)


def copy_in(files, source, to):
    """Copies a folder of the host; the SHA-256 of each file by its path inside."""
    digests = {}
    files.mkdir(to)
    for where, folders, names in os.walk(source):
        inside = to + where[len(source):]
        for folder in folders:
            files.mkdir(f'{inside}/{folder}')
        for name in names:
            with open(os.path.join(where, name), 'rb') as file:
                data = file.read()
            files.write_file(f'{inside}/{name}', data)
            digests[f'{inside}/{name}'] = hashlib.sha256(data).hexdigest()
    return digests


def grep(option, text, source, folder):
    """What grep -F prints of a folder, its paths as they are inside."""
    done = subprocess.run(['grep', '-F', option, text, folder], cwd=source, capture_output=True, text=True, check=False)
    return [line.removeprefix('src') for line in done.stdout.splitlines()]


def attributes(files):
    """Times, owners of links, nodes, what a filesystem says of itself."""
    files.utime('/moved', 5, 10 ** 9 + 7)
    files.chown('/link', 5, 6, follow_symlinks=False)
    files.mknod('/fifo', 0o010600)
    moved, link = files.stat('/fs/README.md'), files.stat('/link', follow_symlinks=False)
    return (moved.atime.nanoseconds, moved.mtime.seconds, moved.mtime.nanoseconds) == (5, 1, 7) and (link.uid, link.gid) == (5, 6) and \
        files.stat('/fs').uid == 0 and files.stat('/fifo').mode == 0o010600 and files.statfs('/').type == b'tmpfs' and files.sync() is None


def cases(source):
    yield 'structures are those of the headers', sizes_match(source)
    yield 'version', bool(re.match(r'\d+\.\d+\.\d+', tbos.version()))
    for engine in ('threads', 'sim'):
        console = []
        with tbos.Instance(engine=engine, seed=3, console=console) as machine:
            with machine.context() as files:
                digests = copy_in(files, os.path.join(source, 'src/fs'), '/fs')
                inside = {path: hashlib.sha256(files.read_file(path)).hexdigest() for path, stat in files.walk('/fs')
                          if stat.mode & tbos.S_IFMT == tbos.S_IFREG}
                yield f'{engine}: a tree comes back as it was', len(digests) > 10 and inside == digests
                status = machine.command('sha256 -r /fs')
                printed = dict(reversed(line.split('  ', 1)) for line in b''.join(console).decode().splitlines() if '  /fs' in line)
                yield f'{engine}: the monitor prints the same hashes', status == 0 and printed == digests
                del console[:]
                status = machine.command('grep -rn VERIFY3 /fs; grep -rc tmpfs /fs/tmpfs; grep nowhere /fs/README.md')
                wanted = grep('-rn', 'VERIFY3', source, 'src/fs') + grep('-rc', 'tmpfs', source, 'src/fs/tmpfs')
                printed = sorted(b''.join(console).decode().splitlines())
                yield f'{engine}: grep as the host\'s', status == 1 and len(wanted) > 10 and printed == sorted(wanted)
                files.symlink('fs', '/link')
                files.link('/fs/README.md', '/copy')
                yield f'{engine}: links', files.readlink('/link') == 'fs' and files.stat('/copy').nlink == 2
                files.rename('/copy', '/moved')
                files.truncate('/moved', 5)
                yield f'{engine}: attributes', attributes(files)
                yield f'{engine}: one file by two names', files.stat('/fs/README.md').size_bytes == 5
                fd = files.open('/fs/README.md', tbos.O_RDWR)
                files.pwrite(fd, b'end', 100)
                yield f'{engine}: reading at a place', files.pread(fd, 10, 99) == b'\0end' and files.read(fd, 2) == b'# '
                files.close_fd(fd)
                yield f'{engine}: errors are OSError', refused(2, files.stat, '/no') and refused(17, files.mkdir, '/fs') and \
                    refused(39, files.rmdir, '/fs') and refused(9, files.read, fd, 1) and refused(21, files.read_file, '/fs')
                with machine.context() as other:
                    other.unshare()
                    other.mount('x', '/fs', 'tmpfs')
                    other.mkdir('/fs/p')
                    other.mount('x', '/fs/p', 'proc')
                    yield f'{engine}: and what it is told of them', b'x /fs tmpfs rw' in other.read_file('/fs/p/mounts')
                    other.umount('/fs/p')
                    other.rmdir('/fs/p')
                    yield f'{engine}: mounts of its own', other.listdir('/fs') == [] and len(files.listdir('/fs')) > 3 and refused(22, other.unshare, 1)
                files.write_file('/once', b'once')
                handle = files.name_to_handle('/once')
                files.rename('/once', '/elsewhere')
                fd = files.open_handle(handle)
                files.unlink('/elsewhere')
                yield f'{engine}: by handle', files.read(fd, 9) == b'once' and refused(116, files.open_handle, handle)
                files.close_fd(fd)
                files.mkdir('/dev')
                files.mount('x', '/dev', 'devfs')
                fd = files.open('/dev/console', tbos.O_RDWR)
                size, modes = files.ioctl(fd, 0x5413, bytes(8)), files.ioctl(fd, 0x5401, bytes(36))  # TIOCGWINSZ, TCGETS
                yield f'{engine}: a terminal', size[:4] == b'\x18\0\x50\0' and modes[12:16] == bytes(4) and \
                    refused(25, files.ioctl, fd, 0x1234, bytes(8)) and refused(6, files.open, '/dev/tty', tbos.O_RDWR)
                files.close_fd(fd)
                files.umount('/dev')
                files.set_user(1000, 1000)
                yield f'{engine}: another user', refused(13, files.write_file, '/fs/new', b'') and refused(1, files.chmod, '/fs', 0o777)
                yield f'{engine}: zero bytes in paths', raises_value_error(files.stat, 'a\0b')


def volumes():
    """A volume on an image of the host: made, filled and left by one instance, read by another."""
    with tempfile.TemporaryDirectory() as folder:
        disk = tbos.Disk.of(os.path.join(folder, 'disk'), size_bytes=64 << 20)
        data = bytes(range(256)) * 3000
        with tbos.Instance(disks=[disk]) as machine, machine.context() as files:
            made = machine.command('mkfs -L test disk0')
            files.mkdir('/m')
            files.mount('disk0', '/m', 'pxfs')
            files.mkdir('/m/d')
            files.write_file('/m/d/f', data)
            files.umount('/m')
            yield 'a volume on an image', made == 0 and refused(2, files.read_file, '/m/d/f')
        with tbos.Instance(disks=[tbos.Disk.of(disk.path.decode(), flags=tbos.Disk.READ_ONLY)]) as machine, machine.context() as files:
            files.mkdir('/m')
            files.mount('disk0', '/m', 'pxfs')
            yield 'another instance reads it', files.read_file('/m/d/f') == data and refused(30, files.mkdir, '/m/e')


def raises_value_error(call, *args):
    try:
        call(*args)
    except ValueError:
        return True
    return False


def main():
    failed, number = 0, 0
    for number, (what, good) in enumerate(itertools.chain(cases(sys.argv[1]), volumes()), 1):
        failed += not good
        print('ok' if good else 'not ok', number, '-', what)
    print(f'1..{number}')
    return 1 if failed else 0


sys.exit(main())
