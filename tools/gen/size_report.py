# SPDX-License-Identifier: MIT
#
# What an image of a small machine needs, by section and symbol: flash, data, stacks, what is left for frames. Printed after a build and kept
# beside the image.
#   size_report.py --size SIZE --nm NM IMAGE NAME OUTPUT
import argparse
import re
import subprocess


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def sections(size, image):
    return {name: int(bytes_) for name, bytes_ in re.findall(r'^(\.\S+)\s+(\d+)\s+\d+', run(size, '-A', image), re.M)}


def symbols(nm, image):
    return {words[2]: int(words[0], 16) for words in map(str.split, run(nm, image).splitlines()) if len(words) == 3}


def main():
    parser = argparse.ArgumentParser(description='report the sizes of an image')
    parser.add_argument('--size', required=True)
    parser.add_argument('--nm', required=True)
    parser.add_argument('image')
    parser.add_argument('name')
    parser.add_argument('output')
    args = parser.parse_args()
    part, at = sections(args.size, args.image), symbols(args.nm, args.image)
    ram = at['hal_cortex_ram_end'] - at['hal_cortex_kernel']
    rows = [
        ('text', part['.vectors'] + part['.text'], 'vectors and code, in flash'),
        ('constants', part['.rodata'], 'in flash'),
        ('window', part['.trace_window'], 'in flash, room for an allocation trace'),
        ('kernel', part['.kernel'], 'struct kernel'),
        ('data', part['.data'], 'initialised'),
        ('bss', part['.bss'], 'zeroed: what the HAL remembers, rings of the UART'),
        ('interrupts', part['.interrupt_stack'], 'their stack'),
        ('boot', part['.boot_stack'], 'stack of the idle thread'),
        ('heap', at['hal_cortex_ram_end'] - at['hal_cortex_frames'], 'boot arena, then frames: threads and blocks'),
        ('RAM', ram, 'all of it'),
    ]
    text = f'{args.name}\n' + ''.join(f'  {name:<10} {size:>7}  {what}\n' for name, size, what in rows)
    with open(args.output, 'w', encoding='utf-8') as file:
        file.write(text)


main()
