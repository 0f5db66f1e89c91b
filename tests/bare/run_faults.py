# SPDX-License-Identifier: MIT
#
# Boots the fault image (fault_main.c) once for each fault on purpose and looks for what its report must say, in TAP. Every report ends with a
# backtrace and, under panic=exit, with status 125.
#   run_faults.py ARCH IMAGE [--machine M] [--only NAME]
import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools/front'))
import qemu  # noqa: E402

STATUS_BROKEN = 125
TIMEOUT_S = 60

# Regular expressions, each of which must match somewhere.
AARCH64 = {
    'null_read': ['data abort: read by a null pointer, translation fault at level 0', r'address 0{14}10', r'at \w+ read_from\+',
                  r'backtrace:\s+\w+ read_from\S+\s+\w+ tb_test_main'],
    'null_write': ['data abort: write by a null pointer, translation fault at level 0', r'at \w+ write_to\+'],
    'null_jump': ['instruction abort: execution by a null pointer, translation fault at level 0', r'backtrace:\s+0{14}40 .*\s+\w+ jump_to\S+\s+\w+ tb_test_main'],
    'text_write': [r'data abort: write to what is read-only, permission fault at level \d', r'at \w+ write_to\+'],
    'constant_write': [r'data abort: write to what is read-only, permission fault at level \d', r'at \w+ write_to\+'],
    'data_jump': [r'instruction abort: execution of data, permission fault at level \d'],
    'stack_overflow': ['data abort: write where nothing is mapped, translation fault at level 3 on CPU .*: kernel stack overflow', r'(\w+ deeper\+0x\w+\s+){8}'],
    'guard_read': ['data abort: read where nothing is mapped, translation fault at level 3 .*kernel stack overflow'],
    'undefined_instruction': ['fault: undefined instruction', r'at \w+ undefined_instruction\+'],
    'compiler_trap': ["breakpoint instruction: the compiler's trap", r'at \w+ compiler_trap\+'],
    'no_stack': ['data abort: write where nothing is mapped, translation fault at level 0', r'at \w+ vector_\w+', 'thread_main'],
    'no_stack_in_window': ['data abort: write where nothing is mapped, translation fault', r'at \w+ vector_\w+', 'thread_main'],
    'nobody_there': ['data abort: read, external abort', r'at \w+ read_from\+'],
    'report_faults': ['breakpoint instruction: brk', r'fault: data abort inside a fault report'],
    'misaligned_jump': ['fault: misaligned pc', r'at \w+2 '],
    'floating_point': ['floating point in the kernel', r'at \w+ floating_point\+'],
}
EXPECTED = {'aarch64': AARCH64}


def boot(args, name):
    line = f'panic=exit quiet test={name}'
    command = qemu.command(args.arch, args.image, args.machine, 2, '128M', line)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
                              check=False)
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b'').decode(errors='replace'), None, command
    return done.stdout.decode(errors='replace'), qemu.status_of(args.arch, done.returncode), command


def main():
    parser = argparse.ArgumentParser(description='fault on purpose in QEMU and check the reports')
    parser.add_argument('arch', choices=sorted(EXPECTED))
    parser.add_argument('image')
    parser.add_argument('--machine')
    parser.add_argument('--only')
    args = parser.parse_args()
    rows = {name: texts for name, texts in EXPECTED[args.arch].items() if args.only in (None, name)}
    failed = 0
    for index, (name, texts) in enumerate(rows.items(), 1):
        output, status, command = boot(args, name)
        output = output.replace('\r', '')
        missing = [text for text in [*texts, 'backtrace:'] if not re.search(text, output)]
        if status != STATUS_BROKEN:
            missing.append(f'status {STATUS_BROKEN}, not {status}')
        print(f'{"not ok" if missing else "ok"} {index} {name}')
        if missing:
            failed += 1
            print('\n'.join('# ' + text for text in ['missing: ' + '; '.join(missing), *output.splitlines(), ' '.join(command)]))
        sys.stdout.flush()
    print(f'1..{len(rows)}')
    return 1 if failed or not rows else 0


sys.exit(main())
