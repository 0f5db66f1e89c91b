# SPDX-License-Identifier: MIT
#
# Machines of the emulator: how an image is started on each, what its command line says, and what the emulator's exit status means.
import lzma
import os
import re
import shutil
import subprocess

from ui import ROOT, Failure, say

MACHINES = {
    'x86_64': ['q35', 'pc', 'microvm'],
    'aarch64': ['virt', 'virt-gic3', 'virt-el2', 'virt-el3', 'raspi3b'],
    'riscv64': ['virt'],
}
BOARDS = {'calc_4k': 'lm3s811evb', 'mobile_64k': 'lm3s6965evb'}  # Cortex-M, by persona
EMULATORS = {'x86_64': 'qemu-system-x86_64', 'aarch64': 'qemu-system-aarch64', 'riscv64': 'qemu-system-riscv64'}
PACKAGES = {'x86_64': 'qemu-system-x86', 'aarch64': 'qemu-system-arm', 'riscv64': 'qemu-system-misc'}
VARIANTS = {'virt-gic3': 'virt,gic-version=3', 'virt-el2': 'virt,virtualization=on', 'virt-el3': 'virt,secure=on'}


def machine_words(arch, machine):
    if arch == 'x86_64':
        return ['-M', machine, '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
    if arch == 'aarch64':
        cpu = [] if machine == 'raspi3b' else ['-cpu', 'cortex-a72']
        return ['-M', VARIANTS.get(machine, machine), *cpu, '-semihosting-config', 'enable=on,target=native']
    return ['-M', machine]


def image_of(folder, arch, name):
    return os.path.join(folder, 'src/hal_bare/image', name + ('.elf' if arch == 'x86_64' else '.bin'))


def command(arch, image, machine=None, cpus=1, memory='128M', line='', initrd=None, interactive=False, nodes=1, more=()):
    """The emulator's command. `line` is the kernel's command line."""
    machine = machine or MACHINES[arch][0]
    if machine not in MACHINES[arch]:
        raise Failure(f"no machine '{machine}' for {arch}", 'there are: ' + ' '.join(MACHINES[arch]))
    emulator = shutil.which(EMULATORS[arch])
    if emulator is None:
        raise Failure(f'{EMULATORS[arch]} is missing', f'./tools/tbos setup, or install {PACKAGES[arch]}')
    words = [emulator, *machine_words(arch, machine), '-nodefaults', '-display', 'none', '-no-reboot']
    words += ['-chardev', 'stdio,id=console,mux=on,signal=off', '-serial', 'chardev:console', '-mon', 'chardev=console'] if interactive \
        else ['-serial', 'stdio']
    if machine == 'raspi3b':
        words += ['-dtb', os.path.join(os.path.dirname(image), 'raspi3b.dtb')]
    else:
        words += ['-m', memory, '-smp', str(cpus)]
    if nodes > 1:
        words += numa_words(memory, cpus, nodes)
    words += ['-kernel', image, '-append', ('exit=debug panic=exit ' + line).strip()]
    if initrd:
        words += ['-initrd', initrd]
    return words + list(more)


def megabytes(text):
    found = re.fullmatch(r'(\d+)([MG]?)', text)
    if not found:
        raise Failure(f"'{text}' is no size of memory", 'write 128M or 2G')
    return int(found.group(1)) * (1024 if found.group(2) == 'G' else 1)


def numa_words(memory, cpus, nodes):
    words, size = [], megabytes(memory) // nodes
    for node in range(nodes):
        low, high = node * cpus // nodes, (node + 1) * cpus // nodes - 1
        words += ['-object', f'memory-backend-ram,id=ram{node},size={size}M',
                  '-numa', f'node,nodeid={node},memdev=ram{node}' + (f',cpus={low}-{high}' if high >= low else '')]
    return words


def quote(text):
    """A value for the boot command line."""
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n') + '"'


def status_of(arch, returncode):
    """The guest's exit status, None when the emulator ended by itself or was killed."""
    if arch == 'x86_64':
        return returncode >> 1 if returncode % 2 == 1 else (0 if returncode == 0 else None)
    return returncode if returncode >= 0 else None


def persona_numbers(persona):
    """Memory, CPUs and nodes of a persona, as the emulator is to provide them."""
    path = os.path.join(ROOT, 'config/personas', persona + '.conf')
    with open(path, encoding='utf-8') as file:
        rows = dict(re.findall(r'^(\w+)\s*=\s*(.*?)\s*$', file.read(), re.M))
    return rows.get('memory', '128M'), int(rows.get('cpus', '1')), int(rows.get('nodes', '1'))


def board_command(machine, image, line='', more=()):
    """The emulator's command for a Cortex-M board. `line` is what a test image asks the debugger for."""
    emulator = shutil.which('qemu-system-arm')
    if emulator is None:
        raise Failure('qemu-system-arm is missing', './tools/tbos setup, or install qemu-system-arm')
    semihosting = 'enable=on,target=native' + (',arg=tbos,arg=' + line.replace(',', ',,') if line else '')
    return [emulator, '-M', machine, '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-semihosting-config', semihosting, '-kernel', image,
            *more]


def run_board(folder, args, persona):
    """A Cortex-M board: its serial line is the terminal, or reads the commands, then `exit`, which ends with the last one's status."""
    for option, given in (('--machine', args.machine), ('--cpus', args.cpus), ('--mem', args.mem), ('--initrd', args.initrd), ('--initramfs', args.initramfs), ('--line', args.line)):
        if given:
            raise Failure(f'{option} is not for a board: its machine, memory and program are one', 'leave it out; --persona chooses the board')
    words = board_command(BOARDS[persona], os.path.join(folder, 'src/hal_bare/cortex_m', f'tbos-{persona}'), more=args.flags)
    # What comes before the board listens may cost a character: an empty line goes first.
    lines = None if args.commands is None else ''.join(line.strip() + '\r' for line in ['', *args.commands.split(';'), 'exit'])
    status = status_of('cortex_m', subprocess.run(words, input=lines, text=True).returncode)
    if status is None:
        raise Failure("the emulator was ended by a signal, not by the guest", 'the command was: ' + ' '.join(words))
    return status


def run(folder, args):
    """`tbos qemu`: boots the image of a build; returns the guest's exit status."""
    memory, cpus, nodes = persona_numbers(args.persona)
    line = f'persona={args.persona} {args.line}'
    initrd = args.initramfs or args.initrd
    if args.initramfs:
        line += ' initramfs'
    if args.commands is not None:
        line += ' quiet c=' + quote(args.commands)
    words = command(args.arch, image_of(folder, args.arch, 'tbos'), args.machine, args.cpus or cpus, args.mem or memory, line, initrd,
                    interactive=args.commands is None, nodes=min(nodes, args.cpus or cpus), more=args.flags)
    done = subprocess.run(words, stdin=subprocess.DEVNULL if args.commands is not None else None)
    status = status_of(args.arch, done.returncode)
    if status is None:
        raise Failure(f'the emulator ended with status {done.returncode}, which is not the guest\'s', 'the command was: ' + ' '.join(words))
    return status


def size_report(folder):
    """Sections of each image, and what is left of it compressed; printed and kept as sizes.txt."""
    rows = ['image              text      data       bss   flat file  compressed']
    for name in sorted(os.listdir(os.path.join(folder, 'src/hal_bare/image'))):
        if not name.endswith('.elf'):
            continue
        path = os.path.join(folder, 'src/hal_bare/image', name)
        done = subprocess.run(['size', path], capture_output=True, text=True, check=True)
        text, data, bss = done.stdout.splitlines()[1].split()[:3]
        with open(path.removesuffix('.elf') + '.bin', 'rb') as file:
            flat = file.read()
        rows.append(f'{name:<14} {text:>8} {data:>9} {bss:>9} {len(flat):>11} {len(lzma.compress(flat)):>11}')
    with open(os.path.join(folder, 'sizes.txt'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(rows) + '\n')
    say('\n'.join(rows))
