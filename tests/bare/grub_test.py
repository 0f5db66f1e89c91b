# SPDX-License-Identifier: MIT
#
# Boots the x86-64 image by GRUB through Multiboot2, from a CD made for the occasion: where it is linked, and, by another lower bound in its
# header, 32 MiB up, and off a large page. A module comes along. TAP.
#   grub_test.py IMAGE
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools/front'))
import qemu  # noqa: E402
from points import check, end  # noqa: E402

CONFIG = '''serial --unit=0
terminal_output serial
set timeout=0
menuentry tbos {
    multiboot2 /boot/tbos.elf exit=debug panic=exit c=%s
    module2 /boot/grub/grub.cfg grub.cfg
    boot
}
'''


def image_bytes(image, lowest):
    """The image with another lower bound in its relocation tag: type 10, bound, limit, alignment."""
    with open(image, 'rb') as file:
        data = bytearray(file.read())
    tag = struct.pack('<HHIII', 10, 1, 24, 0x100000, 0xc0000000)
    at = data.index(tag)
    data[at + 8:at + 12] = struct.pack('<I', lowest)
    return data


def boot(image, lowest, command):
    with tempfile.TemporaryDirectory(prefix='tbos-grub-') as folder:
        os.makedirs(os.path.join(folder, 'cd/boot/grub'))
        with open(os.path.join(folder, 'cd/boot/tbos.elf'), 'wb') as file:
            file.write(image_bytes(image, lowest))
        with open(os.path.join(folder, 'cd/boot/grub/grub.cfg'), 'w', encoding='ascii') as file:
            file.write(CONFIG % command)
        iso = os.path.join(folder, 'tbos.iso')
        made = subprocess.run(['grub-mkrescue', '-o', iso, os.path.join(folder, 'cd')], capture_output=True, text=True)
        if made.returncode != 0:
            return None, made.stderr
        words = [shutil.which(qemu.EMULATORS['x86_64']), *qemu.machine_words('x86_64', 'q35'), '-nodefaults', '-display', 'none', '-no-reboot',
                 '-serial', 'stdio', '-m', '128M', '-smp', '2', '-cdrom', iso]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=60)
        except subprocess.TimeoutExpired as late:
            return None, str(late.stdout)
        return qemu.status_of('x86_64', done.returncode), done.stdout


def main():
    image = sys.argv[1]
    rows = [('where it is linked', 0x100000, 'cpus', ' on '), ('32 MiB up', 0x2000000, 'mem', 'allocs'),
            ('32 MiB and three pages up', 0x2003000, 'cpus', ' on ')]
    for name, lowest, command, wanted in rows:
        status, text = boot(image, lowest, command)
        place = re.search(r'image of \d+ KiB at ([0-9a-f]+)', text)
        good = status == 0 and wanted in text and place is not None and int(place.group(1), 16) >= lowest
        check(good, name, text)
    return end()


sys.exit(main())
