# SPDX-License-Identifier: MIT
#
# What the project needs from the outside: Debian packages in groups, and the sources of the wrapped libraries.
#   BUILD  to build and run        ALL  to test, lint, measure as well        BENCH_FS  the peers of `bench fs` only
import glob
import os
import re
import shutil
import subprocess
import tempfile

from ui import ROOT, Failure, say

BUILD = [
    'binutils', 'ca-certificates', 'device-tree-compiler', 'gcc', 'libc6-dev', 'libcmocka-dev', 'libjansson-dev', 'libuv1-dev', 'meson',
    'ninja-build', 'pkg-config', 'python3', 'xz-utils',
]
ALL = BUILD + [
    'binutils-aarch64-linux-gnu', 'binutils-arm-none-eabi', 'binutils-riscv64-linux-gnu', 'clang-14', 'clang-format-14', 'cpio',
    'dpkg-dev', 'g++', 'gcc-aarch64-linux-gnu', 'gcc-arm-none-eabi', 'gcc-riscv64-linux-gnu', 'gdb', 'git', 'grub-common',
    'grub-pc-bin', 'libclang-rt-14-dev',
    'libgoogle-perftools-dev', 'libjemalloc-dev', 'libmimalloc-dev', 'libsqlite3-dev', 'lld', 'llvm', 'llvm-14', 'lz4', 'mtools',
    'qemu-system-arm', 'qemu-system-misc', 'qemu-system-x86', 'util-linux', 'xorriso', 'zstd',
]
BENCH_FS = ['btrfs-progs', 'e2fsprogs', 'mount']
WRAPS = {'lz4': 'lz4', 'zstd': 'libzstd', 'xxhash': 'xxhash'}  # wrap: Debian source package
STAMP = '.tbos-packagefiles'


def installed():
    done = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${db:Status-Abbrev}\n'], capture_output=True, text=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0] for row in rows if len(row) > 1 and row[1] == 'ii'}


def missing(wanted):
    if shutil.which('dpkg-query') is None:
        return []
    have = installed()
    if 'pkgconf' in have:
        have.add('pkg-config')
    return [name for name in wanted if name not in have]


def apt(arguments, hint):
    command = ['apt-get', '-q', '-o', 'Dpkg::Use-Pty=0', *arguments]
    if os.geteuid() != 0:
        if shutil.which('sudo') is None:
            raise Failure(f'not root, and there is no sudo: cannot run {" ".join(command)}', hint)
        command = ['sudo', 'env', 'DEBIAN_FRONTEND=noninteractive', *command]
    env = dict(os.environ, DEBIAN_FRONTEND='noninteractive')
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure(f'{" ".join(command)} failed:\n{done.stdout[-3000:]}', hint)


def install(wanted):
    names = missing(wanted)
    if not names:
        return
    if shutil.which('apt-get') is None:
        raise Failure('this is no Debian: ' + ', '.join(names) + ' may be missing', "install them by the system's package manager")
    say(f'setup: installing {len(names)} packages: {" ".join(names)}')
    hint = 'as root: apt-get update && apt-get install --no-install-recommends ' + ' '.join(names)
    apt(['update'], hint)
    apt(['install', '-y', '--no-install-recommends', *names], hint)


# -- wrapped libraries ---------------------------------------------------------------------------------------------------


def wrap_read(name):
    with open(os.path.join(ROOT, 'subprojects', name + '.wrap'), encoding='utf-8') as file:
        return dict(re.findall(r'^(\w+) = (.+)$', file.read(), re.M))


def packagefiles(name):
    """Our build files of a wrap as one text, to see whether a copy is current."""
    base = os.path.join(ROOT, 'subprojects/packagefiles', name)
    text = []
    for path in sorted(glob.glob(os.path.join(base, '**'), recursive=True)):
        if os.path.isfile(path):
            with open(path, encoding='utf-8') as file:
                text.append(os.path.relpath(path, base) + '\n' + file.read())
    return base, '\n'.join(text)


def wrap_is_ready(name):
    stamp = os.path.join(ROOT, 'subprojects', wrap_read(name)['directory'], STAMP)
    if not os.path.exists(stamp):
        return False
    with open(stamp, encoding='utf-8') as file:
        return file.read() == packagefiles(name)[1]


def wrap_dress(name):
    """Copies our build files into an unpacked wrap; its stamp says which ones they were."""
    target = os.path.join(ROOT, 'subprojects', wrap_read(name)['directory'])
    base, text = packagefiles(name)
    shutil.copytree(base, target, dirs_exist_ok=True)
    with open(os.path.join(target, STAMP), 'w', encoding='utf-8') as file:
        file.write(text)


def codename():
    with open('/etc/os-release', encoding='utf-8') as file:
        found = re.search(r'^VERSION_CODENAME="?(\w+)', file.read(), re.M)
    return found.group(1) if found else ''


def source_lists(folder, apt_folder='/etc/apt', suite=None):
    """The distribution's own binary entries, rewritten to name sources; entries of other archives are left out."""
    suite = suite or codename()
    lines = []
    for path in [os.path.join(apt_folder, 'sources.list'), *sorted(glob.glob(os.path.join(apt_folder, 'sources.list.d/*.list')))]:
        if os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                lines += re.findall(r'^deb\s+(?:\[[^]]*\]\s+)?\S+\s+' + suite + r'\S*\s.*$', file.read(), re.M)
    if lines:
        with open(os.path.join(folder, 'derived.list'), 'w', encoding='utf-8') as file:
            file.writelines(re.sub(r'^deb', 'deb-src', line) + '\n' for line in lines)
    count = len(lines)
    for path in sorted(glob.glob(os.path.join(apt_folder, 'sources.list.d/*.sources'))):
        with open(path, encoding='utf-8') as file:
            stanzas = re.split(r'\n\s*\n', file.read())
        kept = [re.sub(r'^Types:.*$', 'Types: deb-src', stanza, flags=re.M) for stanza in stanzas
                if re.search(r'^Suites:.*\b' + suite, stanza, re.M) and not re.search(r'^Enabled:\s*no', stanza, re.M)]
        if kept:
            with open(os.path.join(folder, os.path.basename(path)), 'w', encoding='utf-8') as file:
                file.write('\n\n'.join(kept) + '\n')
        count += len(kept)
    return count


def binary_lists(folder, release, apt_folder='/etc/apt', suite=None):
    """The distribution's own entry for binaries, of another release."""
    mine = suite or codename()
    for path in [os.path.join(apt_folder, 'sources.list'), *sorted(glob.glob(os.path.join(apt_folder, 'sources.list.d/*')))]:
        if not os.path.exists(path):
            continue
        with open(path, encoding='utf-8') as file:
            text = file.read()
        if path.endswith('.sources'):
            kept = [re.sub(r'^Suites:.*$', f'Suites: {release}', stanza, flags=re.M) for stanza in re.split(r'\n\s*\n', text)
                    if re.search(rf'^Suites:(?:.*\s)?{mine}(?:\s|$)', stanza, re.M) and not re.search(r'^Enabled:\s*no', stanza, re.M)]
        else:
            kept = [re.sub(rf'\s{mine}\s', f' {release} ', line) for line in re.findall(rf'^deb\s.*\s{mine}\s.*$', text, re.M)]
        if kept:
            with open(os.path.join(folder, os.path.basename(path)), 'w', encoding='utf-8') as file:
                file.write(('\n\n' if path.endswith('.sources') else '\n').join(kept) + '\n')


def fetch_from_debian(names):
    """Downloads and unpacks source packages with a private apt configuration, so that no root is needed and nothing of the
    system's changes. Returns the wraps that were unpacked: a release of another version does not serve."""
    ready = []
    with tempfile.TemporaryDirectory(prefix='tbos-sources-') as folder:
        lists, parts = os.path.join(folder, 'lists'), os.path.join(folder, 'parts')
        os.makedirs(os.path.join(lists, 'partial'))
        os.makedirs(parts)
        if shutil.which('apt-get') is None or source_lists(parts) == 0:
            return ready
        options = ['-q', '-o', 'Dir::Etc::sourcelist=/dev/null', '-o', 'Dir::Etc::sourceparts=' + parts, '-o',
                   'Dir::State::lists=' + lists, '-o', 'Dir::Cache=' + folder, '-o', 'APT::Sandbox::User=']
        quiet = {'cwd': folder, 'stdin': subprocess.DEVNULL, 'capture_output': True}
        subprocess.run(['apt-get', *options, 'update'], **quiet)
        for name in names:
            directory = wrap_read(name)['directory']
            subprocess.run(['apt-get', *options, 'source', '--download-only', WRAPS[name]], **quiet)
            tarballs = glob.glob(os.path.join(folder, WRAPS[name] + '_*.orig.tar.*z'))
            target = os.path.join(ROOT, 'subprojects')
            if tarballs and subprocess.run(['tar', '-xf', tarballs[0]], **quiet).returncode == 0 and \
                    os.path.isdir(os.path.join(folder, directory)):
                shutil.rmtree(os.path.join(target, directory), ignore_errors=True)
                shutil.move(os.path.join(folder, directory), target)
                ready.append(name)
    return ready


def fetch_online(name):
    done = subprocess.run(['meson', 'subprojects', 'download', name], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0 or not os.path.isdir(os.path.join(ROOT, 'subprojects', wrap_read(name)['directory'])):
        raise Failure(f'no sources of {name}: neither the package manager nor the network has them\n{done.stdout[-1500:]}',
                      f'see subprojects/{name}.wrap: unpack that release there and run ./tools/tbos setup again')


def wraps():
    absent = [name for name in WRAPS
              if not os.path.isdir(os.path.join(ROOT, 'subprojects', wrap_read(name)['directory']))]
    if absent:
        say('setup: fetching the sources of ' + ', '.join(absent))
        for name in sorted(set(absent) - set(fetch_from_debian(absent))):
            fetch_online(name)
    for name in WRAPS:
        if not wrap_is_ready(name):
            wrap_dress(name)


def setup(wanted):
    install(wanted)
    wraps()
