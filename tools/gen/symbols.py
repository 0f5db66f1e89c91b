# SPDX-License-Identifier: MIT
#
# Makes the table of functions that fault reports of the bare HAL read (src/hal_bare/common/symbol.c) out of a linked image: offsets from
# its start, ascending, and the names. The table lies behind the text, which therefore does not move in the second link.
import argparse
import subprocess


def functions(nm, path):
    done = subprocess.run([nm, '--defined-only', '-n', path], check=True, capture_output=True, text=True)
    rows, start = [], None
    for line in done.stdout.splitlines():
        address, kind, name = line.split(None, 2)
        if name == 'bare_image_start':
            start = int(address, 16)
        elif kind in 'tTwW' and not name.startswith(('$', '.L')):
            rows.append((int(address, 16), name))
    return [(address - start, name) for address, name in sorted(rows) if address >= start]


def main():
    parser = argparse.ArgumentParser(description='write the symbols of an image as an assembler source')
    parser.add_argument('--nm', required=True)
    parser.add_argument('image')
    parser.add_argument('output')
    args = parser.parse_args()
    rows, seen = [], set()
    for offset, name in functions(args.nm, args.image):
        if offset not in seen:
            seen.add(offset)
            rows.append((offset, name.split('.')[0]))
    at, names = 0, []
    for _, name in rows:
        names.append(at)
        at += len(name) + 1
    with open(args.output, 'w', encoding='ascii') as file:
        file.write('\t.section .symbols, "a"\n\t.balign 4\n')
        for label, values in (('bare_symbol_count', [len(rows)]), ('bare_symbol_offsets', [o for o, _ in rows]), ('bare_symbol_names', names)):
            file.write(f'\t.globl {label}\n{label}:\n')
            file.writelines(f'\t.long {value}\n' for value in values)
        file.write('\t.globl bare_symbol_text\nbare_symbol_text:\n')
        file.writelines(f'\t.asciz "{name}"\n' for _, name in rows)
        file.write('\t.section .note.GNU-stack, "", %progbits\n')


main()
