# SPDX-License-Identifier: MIT
#
# The peer of the images in the emulator: Debian's kernel with an initramfs of busybox, for three architectures. Packages are fetched by apt, from
# where the host has its own, into build/bench-bare/ARCH; apt's lists for them lie there, too.
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '../..'))
sys.path.insert(0, os.path.join(ROOT, 'tools/front'))
import packages  # noqa: E402
import qemu  # noqa: E402

FOLDER = os.path.join(ROOT, 'build/bench-bare')
# Package, Debian's name of the architecture, release (None: the host's), console. There is no cloud kernel for RISC-V, and no release before trixie.
PEERS = {
    'x86_64': ('linux-image-cloud-amd64', 'amd64', None, 'ttyS0'),
    'aarch64': ('linux-image-cloud-arm64', 'arm64', None, 'ttyAMA0'),
    'riscv64': ('linux-image-riscv64', 'riscv64', 'trixie', 'ttyS0'),
}
READY = 'peer is ready'
YIELDS = 20000
PEER_LINE = 'console=%s quiet reboot=t panic=-1 random.trust_cpu=on'
YIELD_PROGRAM = r'''
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
	cpu_set_t one;
	struct timespec from, to;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof one, &one);
	pid_t child = fork();
	for (int i = 0; i < 1000; i++) sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < %d; i++) sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (child == 0) { for (int i = 0; i < 10000; i++) sched_yield(); return 0; }
	printf("yields took %%lld ns\n", (to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec - from.tv_nsec);
	waitpid(child, NULL, 0);
	return 0;
}
''' % YIELDS


class Absent(Exception):
    """Why a figure cannot be had here."""


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace')
    if done.returncode != 0:
        raise Absent(f'{command[0]}: {(done.stderr or done.stdout).strip().splitlines()[-1:] or "failed"}')
    return done.stdout


def cpio_entry(name, mode, content=b'', device=(0, 0)):
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, device[0], device[1], len(name) + 1, 0]
    head = b'070701' + b''.join(b'%08x' % field for field in fields) + name.encode() + b'\0'
    head += b'\0' * (-len(head) % 4)
    return head + content + b'\0' * (-len(content) % 4)


def initramfs(busybox, program):
    script = ('#!/bin/busybox sh\n/bin/busybox mkdir -p /proc\n/bin/busybox mount -t proc proc /proc\n'
              f'echo {READY}\n/bin/busybox grep -E "MemTotal|MemFree" /proc/meminfo\n[ -x /bin/yields ] && /bin/yields\n/bin/busybox poweroff -f\n')
    entries = [cpio_entry(folder, 0o40755) for folder in ('bin', 'dev', 'proc')]
    entries += [cpio_entry('dev/console', 0o20600, device=(5, 1)), cpio_entry('init', 0o100755, script.encode()),
                cpio_entry('bin/busybox', 0o100755, busybox)]
    entries += [cpio_entry('bin/yields', 0o100755, program)] if program else []
    entries += [cpio_entry('TRAILER!!!', 0)]
    return b''.join(entries)


def apt_options(folder, architecture, release):
    """Options that make apt work for another architecture, and release, without touching the host's lists."""
    for name in ('lists/partial', 'cache/archives/partial', 'sources'):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    options = {'APT::Architecture': architecture, 'APT::Architectures::': architecture, 'Dir::State::lists': os.path.join(folder, 'lists'),
               'Dir::Cache': os.path.join(folder, 'cache'), 'Dir::State::status': '/dev/null'}
    if release:
        packages.binary_lists(os.path.join(folder, 'sources'), release)
        options |= {'Dir::Etc::sourcelist': '/dev/null', 'Dir::Etc::sourceparts': os.path.join(folder, 'sources')}
    return [word for name, value in options.items() for word in ('-o', f'{name}={value}')]


def peer_fetch(arch, folder):
    """Kernel and busybox, unpacked below folder/tree."""
    package, architecture, release, _ = PEERS[arch]
    options = [] if arch == 'x86_64' else apt_options(os.path.join(folder, 'apt'), architecture, release)
    if options:
        run('apt-get', *options, 'update')
    found = re.search(r'Depends: (linux-image-\S+)', run('apt-cache', *options, 'depends', package))
    if not found:
        raise Absent(f'no package {package}')
    run('apt-get', *options, 'download', found.group(1), 'busybox-static', cwd=folder)
    for path in glob.glob(os.path.join(folder, '*.deb')):
        run('dpkg', '-x', path, os.path.join(folder, 'tree'))
        os.remove(path)


def yield_program(arch, folder):
    """Two processes that yield to each other; for the architecture whose figure is compared."""
    if arch != 'x86_64':
        return b''
    source, program = os.path.join(folder, 'yields.c'), os.path.join(folder, 'yields')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(YIELD_PROGRAM)
    run('gcc', '-O2', '-static', '-o', program, source)
    with open(program, 'rb') as file:
        return file.read()


def peer_make(arch='x86_64'):
    """Debian's kernel and an initramfs: (path, path)."""
    folder = os.path.join(FOLDER, arch)
    kernel, archive = os.path.join(folder, 'vmlinuz'), os.path.join(folder, 'initramfs')
    if os.path.exists(kernel) and os.path.exists(archive):
        return kernel, archive
    os.makedirs(folder, exist_ok=True)
    peer_fetch(arch, folder)
    with open((glob.glob(os.path.join(folder, 'tree/bin/busybox')) + glob.glob(os.path.join(folder, 'tree/usr/bin/busybox')))[0], 'rb') as busybox:
        content = initramfs(busybox.read(), yield_program(arch, folder))
    with open(archive, 'wb') as file:
        file.write(content)
    os.replace(glob.glob(os.path.join(folder, 'tree/boot/vmlinu*'))[0], kernel)
    return kernel, archive


def peer_command(machine, more=(), arch='x86_64'):
    kernel, archive = peer_make(arch)
    return [qemu.EMULATORS[arch], *qemu.machine_words(arch, machine), '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-m', '256M',
            '-kernel', kernel, '-initrd', archive, '-append', PEER_LINE % PEERS[arch][3], *more]
