# SPDX-License-Identifier: MIT
#
# What only AArch64 has: exception levels that an ELF file is entered at, an image that lies elsewhere, other processors, more CPUs
# than fit a GICv2, ends without semihosting, what is typed early. TAP.
#   aarch64_test.py IMAGE.bin IMAGE.elf UNIT_IMAGE.bin
import os
import re
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools/front'))
import qemu  # noqa: E402
from points import check, end  # noqa: E402

TIMEOUT_S = 120
ELSEWHERE = 0x50200000  # in 512 MiB of virt


def boot(image, line, machine=None, cpus=2, memory='128M', more=(), typed=None, change=None):
    words = qemu.command('aarch64', image, machine, cpus, memory, line, more=more)
    words = change(words) if change else words
    try:
        done = subprocess.run(words, input=typed or b'', capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b'').decode(errors='replace') + '\n(no end)'
    return done.returncode, (done.stdout + done.stderr).decode(errors='replace').replace('\r', '')


def cpus_on(text):
    return len(re.findall(r'^ +\d+ +\d+ on ', text, re.M))


def without_semihosting(words):
    at = words.index('-semihosting-config')
    return words[:at] + words[at + 2:]


def machine_named(name):
    return lambda words: [name if words[i - 1] == '-M' else word for i, word in enumerate(words)]


def cpu_named(name):
    return lambda words: [name if words[i - 1] == '-cpu' else word for i, word in enumerate(words)]


def levels(elf):
    """QEMU enters an ELF file at the highest level there is, with no pointer to a device tree."""
    status, text = boot(elf, 'quiet c="cpus"')
    check(status == 0 and cpus_on(text) == 2, 'ELF at EL1', text)
    status, text = boot(elf, 'quiet c="cpus"', 'virt-el2')
    check(status == 0 and cpus_on(text) == 2, 'ELF at EL2', text)
    for name in ['virt,secure=on', 'virt,secure=on,gic-version=3', 'virt,secure=on,virtualization=on,gic-version=3']:
        status, text = boot(elf, 'quiet c="sleep 20; cpus; stress --workers 2 --events 2000"', change=machine_named(name))
        check(status == 0 and cpus_on(text) == 1 and 'contents right' in text and '1 CPUs stay off' in text, 'ELF at EL3: ' + name, text)


def places(folder, image):
    stub = os.path.join(folder, 'stub.bin')
    with open(stub, 'wb') as file:  # movz x1, …, lsl 16; movk x1, …; br x1: keeps x0
        file.write(struct.pack('<3I', 0xd2a00001 | ELSEWHERE >> 16 << 5, 0xf2800001 | (ELSEWHERE & 0xffff) << 5, 0xd61f0020))
    status, text = boot(stub, 'quiet c="cpus"', memory='512M', more=['-device', f'loader,file={image},addr={ELSEWHERE:#x},force-raw=on'])
    check(status == 0 and cpus_on(text) == 2, f'the image at {ELSEWHERE:#x}', text)


def processors(image, unit):
    for name in ['max', 'cortex-a53', 'cortex-a76']:
        status, text = boot(image, 'quiet c="cpus; stress --workers 2 --events 2000"', 'virt-gic3', change=cpu_named(name))
        check(status == 0 and cpus_on(text) == 2 and 'contents right' in text, 'processor ' + name, text)
    status, text = boot(image, 'quiet c="cpus"', change=lambda words: machine_named('virt,virtualization=on,gic-version=3')(cpu_named('max')(words)))
    check(status == 0 and cpus_on(text) == 2, 'processor max at EL2', text)
    status, text = boot(unit, 'quiet test=fault:null', 'virt-gic3', change=cpu_named('max'))
    check(status == 125 and 'null pointer' in text, 'a report on processor max', text)
    status, text = boot(image, 'quiet c="cpus"', cpus=8)
    check(status == 0 and cpus_on(text) == 8, 'eight CPUs on a GICv2', text)
    status, text = boot(image, 'quiet c="cpus"', 'virt-gic3', 20)
    check(status == 0 and cpus_on(text) == 20, 'twenty CPUs on a GICv3', text)


def ends(image, unit):
    status, text = boot(image, 'quiet c="nonsense"', change=without_semihosting)
    check(status == 0 and 'halted' not in text, 'without semihosting PSCI switches off', text)
    status, text = boot(unit, 'quiet panic=reboot test=fault:null')
    check(status == 0 and 'null pointer' in text and 'halted' not in text, 'PSCI resets the machine', text)
    status, text = boot(image, 'quiet exit=none c="echo good"', 'raspi3b', 4)
    check(status == 0 and 'good' in text and 'halted' not in text, 'raspi3b: the watchdog switches off', text)
    status, text = boot(image, 'quiet exit=semihosting c="nonsense"')
    check(status == 127, 'exit=semihosting gives the status', text)


def console(image):
    for machine in ['virt', 'raspi3b']:
        status, text = boot(image, 'quiet', machine, 4, typed=b'\n\n\ncpus\npoweroff 9\n')
        check(status == 9 and cpus_on(text) == 4, machine + ': what is typed before the prompt is read', text)


def main():
    image, elf, unit = sys.argv[1:4]
    levels(elf)
    with tempfile.TemporaryDirectory(prefix='tbos-aarch64-') as folder:
        places(folder, image)
    processors(image, unit)
    ends(image, unit)
    console(image)
    return end()


sys.exit(main())
