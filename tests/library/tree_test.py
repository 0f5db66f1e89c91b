# SPDX-License-Identifier: MIT
#
# The host's own trees, /usr/include and /usr/share/doc, as cpio packs them: what the monitor, the library and the Python binding say of
# them must be what the host's tools say. With images of machines, the same as a boot module in the emulator. TAP.
#   tree_test.py hosted SOURCE_FOLDER LIBRARY TBOS_SIM
#   tree_test.py ARCH IMAGE
import hashlib
import os
import random
import re
import stat as S
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '../..'))
sys.path[:0] = [HERE, os.path.join(ROOT, 'tests/bare'), os.path.join(ROOT, 'tools/front'), os.path.join(ROOT, 'tools/python')]
from archives import cpio, packed  # noqa: E402
from points import check, end, skip  # noqa: E402

TREES = ('usr/include', 'usr/share/doc')
TIMEOUT_S = 600


def output(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, errors='surrogateescape', timeout=TIMEOUT_S, check=False, **options)


def archive_make(path):
    """The archive; the host's paths in it. Whatever changes there meanwhile is not this test's."""
    names = sorted(output('find', *TREES, cwd='/').stdout.splitlines())
    with open(path, 'wb') as file:
        file.write(packed(cpio('/', names), 'zstd', '-q', '-c', '-T0'))
    return names


def hashes(names):
    """What sha256sum prints of the regular files, sorted by path."""
    regular = ['/' + name for name in names if S.S_ISREG(os.lstat('/' + name).st_mode)]
    done = subprocess.run(['xargs', '-0', 'sha256sum'], input='\0'.join(regular), capture_output=True, text=True, check=True)
    return sorted(done.stdout.splitlines(), key=lambda line: line.split('  ', 1)[1])


def stat_lines(name):
    """The words of the monitor's `stat` that the host knows, too."""
    status = os.lstat('/' + name)
    kind = {S.S_IFDIR: 'directory', S.S_IFLNK: 'symbolic link'}.get(S.S_IFMT(status.st_mode), 'regular file')
    size = '' if kind == 'directory' else f', {status.st_size} bytes'
    links = '' if kind == 'directory' else f' links {status.st_nlink}'
    return kind + size, f'{links} mode {S.S_IMODE(status.st_mode):04o} uid {status.st_uid} gid {status.st_gid}', int(status.st_mtime)


def stat_agrees(text, names):
    blocks = re.findall(r'^/(.*): ([a-z ]+), (\d+) bytes, \d+ blocks\n  device \d+ inode \d+ links (\d+) (mode .*)\n.*\n  modify (\d+)', text, re.M)
    wrong = [name for name in names if name not in {block[0] for block in blocks}]
    for name, kind, size, links, rest, modified in blocks:
        told = (kind + ('' if kind == 'directory' else f', {size} bytes'), f'{"" if kind == "directory" else " links " + links} {rest}', int(modified))
        if told != stat_lines(name):
            wrong.append(f'{name}: {told}, the host: {stat_lines(name)}')
    return wrong


def inner(names):
    """Of hard links the archive has just those whose names are all in it."""
    return [name for name in names if os.lstat('/' + name).st_nlink == 1 or S.S_ISDIR(os.lstat('/' + name).st_mode)]


def hosted(folder, sim, names, archive):
    wanted = hashes(names)
    for engine in ('threads', 'sim'):
        for cpus in ('1', '2', '8'):
            done = output(sim, '--engine', engine, '--cpus', cpus, '--initramfs', archive, '-c', 'sha256 -r /')
            got = sorted(done.stdout.splitlines(), key=lambda line: line.split('  ', 1)[-1])
            check(done.returncode == 0 and got == wanted, f'{engine}, {cpus} CPUs: sha256 -r of {len(wanted)} files', done.stdout[-500:] + done.stderr)
    done = output(sim, '--initramfs', archive, '-c', 'find /')
    found = sorted(line.lstrip('/') for line in done.stdout.splitlines())
    check(found == sorted(['', 'usr', 'usr/share', *names]), f'find: {len(names)} paths', done.stdout[:500])
    for words, where in (('-rn PTHREAD_MUTEX', '/usr/include'), ('-rl copyright', '/usr/share/doc'), ('-rc struct', '/usr/include/linux')):
        done = output(sim, '--initramfs', archive, '-c', f'grep {words} {where}')
        host = output('grep', '-F', *words.split(), where)
        check(len(host.stdout) > 100 and sorted(done.stdout.splitlines()) == sorted(host.stdout.splitlines()),
              f'grep {words} {where}: {len(host.stdout.splitlines())} lines', done.stdout[-500:])
    sample = random.Random(2).sample(inner(names), min(len(names), 400))
    done = output(sim, '--initramfs', archive, '-c', '; '.join(f"stat '/{name}'" for name in sample))
    wrong = stat_agrees(done.stdout, sample)
    check(not wrong, f'stat of {len(sample)} paths', '\n'.join(wrong[:10]) + done.stdout[:300])
    return wanted


def stream(names):
    """What docs/example_tree.c writes, hashed; the order is that of a walk with sorted names."""
    digest = hashlib.sha256()
    for name in sorted(names, key=lambda name: name.split('/')):
        status = os.lstat('/' + name)
        if S.S_ISREG(status.st_mode):
            digest.update(f'/{name} {status.st_size}\n'.encode(errors='surrogateescape'))
            with open('/' + name, 'rb') as file:
                digest.update(file.read())
    return digest.hexdigest()


def library(folder, source, path, names, archive):
    os.environ['TBOS_LIBRARY'] = path
    program = f'{folder}/example_tree'
    done = output('cc', '-Wall', '-Werror', '-O1', f'-I{source}/include', f'{source}/docs/example_tree.c', path, f'-Wl,-rpath,{os.path.dirname(path)}',
                  '-o', program)
    check(done.returncode == 0, 'the C example compiles', done.stderr)
    wanted = stream(names)
    for engine, cpus in (('threads', '2'), ('sim', '2')):
        with subprocess.Popen([program, archive, engine, cpus], stdout=subprocess.PIPE) as process:
            digest = hashlib.file_digest(process.stdout, 'sha256').hexdigest()
        check(process.returncode == 0 and digest == wanted, f'the library, {engine}: every byte of every file', f'{digest} {wanted}')
    import tbos
    with tbos.Instance(initramfs=archive) as machine, machine.context() as files:
        got = [f'{hashlib.sha256(files.read_file(where)).hexdigest()}  {where}' for where, stat in files.walk('/')
               if stat.mode & tbos.S_IFMT == tbos.S_IFREG]
    return got


def emulated(arch, image, names, archive):
    import qemu
    words = qemu.command(arch, image, cpus=2, memory='1G', line='quiet initramfs c=' + qemu.quote('sha256 -r /'), initrd=archive)
    done = output(*words, stdin=subprocess.DEVNULL)
    got = sorted(re.findall(r'^[0-9a-f]{64}  .*$', done.stdout.replace('\r', ''), re.M), key=lambda line: line.split('  ', 1)[1])
    wanted = hashes(names)
    check(qemu.status_of(arch, done.returncode) == 0 and got == wanted, f'{arch}: {len(wanted)} files of a boot module', done.stdout[-1000:] + done.stderr)


def main():
    if not all(map(os.path.isdir, ('/usr/include', '/usr/share/doc'))):
        return skip('this host has no /usr/include and /usr/share/doc')
    with tempfile.TemporaryDirectory(prefix='tbos-tree-') as folder:
        archive = f'{folder}/tree.cpio.zst'
        names = archive_make(archive)
        if sys.argv[1] != 'hosted':
            emulated(sys.argv[1], sys.argv[2], names, archive)
            return end()
        source, path, sim = sys.argv[2:5]
        wanted = hosted(folder, sim, names, archive)
        got = library(folder, source, os.path.abspath(path), names, archive)
        check(sorted(got, key=lambda line: line.split('  ', 1)[1]) == wanted, f'the Python binding: {len(wanted)} files')
    return end()


sys.exit(main())
