# SPDX-License-Identifier: MIT
#
# What the kernel object imports, exports and may write, read off its symbol table (ARCHITECTURE 1.1 and 3):
#   imports  hal_*, the four memory functions, the compiler helpers listed below; of an instrumented build, its runtime too
#   exports  tb_*
#   writable globals  those of the list, which is empty: all state hangs off the instance
import argparse
import re
import subprocess
import sys

import files

IMPORTS = {'memcpy', 'memmove', 'memset', 'memcmp', '_GLOBAL_OFFSET_TABLE_'}
HELPERS = {
    'x86_64': set(),
    'aarch64': set(),
    'riscv64': {'__clzdi2', '__ctzdi2', '__ffsdi2', '__popcountdi2', '__bswapdi2', '__bswapsi2'},  # src/freestd/helpers.c
    'cortex_m': {'__aeabi_' + name for name in (
        'uldivmod', 'ldivmod', 'lmul', 'llsl', 'llsr', 'lasr', 'ulcmp', 'lcmp', 'memcpy', 'memcpy4', 'memcpy8', 'memmove', 'memset',
        'memclr', 'memclr4', 'memclr8')} | {'__clzdi2', '__ctzdi2', '__popcountsi2', '__popcountdi2', '__bswapdi2'},  # its libgcc
}
RUNTIMES = ('__asan_', '__tsan_', '__ubsan_', '__sanitizer_', '__sancov_', '__gcov_', '__llvm_', '__lsan_')
WRITABLE = set()
SECTION_WRITABLE_BY_RELOCATION = ('.data.rel.ro', '.init_array', '.fini_array')


def read_symbols(readelf, path):
    """(name, binding, section index or UND) of each symbol."""
    text = subprocess.run([readelf, '-W', '-s', path], capture_output=True, text=True, check=True).stdout
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 8 and words[0].rstrip(':').isdigit():
            found.append((words[7].split('@')[0], words[4], words[6], words[3], int(words[2], 0)))
    return found


def writable_sections(readelf, path):
    """{index: name} of sections that the running program may write, relocation-only ones left out."""
    text = subprocess.run([readelf, '-W', '-S', path], capture_output=True, text=True, check=True).stdout
    found = {}
    for match in re.finditer(r'^\s*\[\s*(\d+)\]\s+(\S+)\s+\S+\s+\S+\s+\S+\s+(\S+)\s+\S+\s+(\w*)', text, re.M):
        index, name, size, flags = match.groups()
        if 'W' in flags and 'A' in flags and int(size, 16) != 0 and not name.startswith(SECTION_WRITABLE_BY_RELOCATION):
            found[index] = name
    return found


def check(path, readelf, helpers, instrumented):
    problems = []
    symbols = read_symbols(readelf, path)
    for name, binding, section, _, _ in symbols:
        if section == 'UND' and name:
            known = name.startswith('hal_') or name in IMPORTS | helpers
            if not known and not (instrumented and name.startswith(RUNTIMES)):
                problems.append(f'imports {name}')
        elif binding in ('GLOBAL', 'WEAK') and not name.startswith('tb_'):
            problems.append(f'exports {name}')
    if instrumented:
        return problems, len(symbols)
    for index, section in writable_sections(readelf, path).items():
        inside = [name for name, _, where, kind, size in symbols if where == index and kind in ('OBJECT', 'TLS', 'COMMON') and size]
        if not inside:
            problems.append(f'section {section} is writable and not empty')
        problems += [f'writable global {name} in {section}' for name in inside if name not in WRITABLE]
    return problems, len(symbols)


def main():
    parser = argparse.ArgumentParser(description="check the kernel object's symbols")
    parser.add_argument('object')
    parser.add_argument('--readelf', default='readelf')
    parser.add_argument('--helpers', default='x86_64', choices=sorted(HELPERS), help='whose compiler helpers are allowed')
    parser.add_argument('--instrumented', action='store_true', help='allow the runtimes of sanitizers and coverage')
    args = parser.parse_args()
    return files.finish('symbols', *check(args.object, args.readelf, HELPERS[args.helpers], args.instrumented))


sys.exit(main())
