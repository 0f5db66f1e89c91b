# SPDX-License-Identifier: MIT
#
# crash-sweep: the crash explorer of PXFS (tests/crash) with a budget. Where it stopped it goes on with --resume: build/crash-sweep/DISK.state has the
# place and the sums.
import os
import subprocess

import builds
import packages
from ui import BUILD, parse_duration

FOLDER = os.path.join(BUILD, 'crash-sweep')
TEXT = 'run every sequence of operations on PXFS, up to three of them, and take the power away at every write, in every way that the disk allows'
PASSED = ['length', 'jobs', 'seed', 'disk', 'case', 'depth', 'nest', 'damage', 'sample']


def options(parser):
    parser.add_argument('--budget', default='30m', metavar='TIME', help='90s, 10m, 2h (default: %(default)s)')
    parser.add_argument('--length', type=int, choices=[1, 2, 3], help='sequences of up to so many operations (default: 3)')
    parser.add_argument('--jobs', type=int, metavar='N', help='processes (default: one a CPU)')
    parser.add_argument('--resume', action='store_true', help='go on where the last sweep stopped')
    parser.add_argument('--seed', type=int, metavar='N', help='of all chance (default: 1)')
    parser.add_argument('--sample', type=int, metavar='N', help='of sequences longer than one operation, one in N (default: 1)')
    parser.add_argument('--depth', type=int, choices=[1, 2, 3], help='cuts of recoveries of cuts (default: 3)')
    parser.add_argument('--nest', type=int, metavar='N', help='one recovery in N is cut again (default: 16)')
    parser.add_argument('--damage', type=int, metavar='N', help='one sequence in N also with lost and misdirected writes and flipped bits (default: 4)')
    parser.add_argument('--deep', action='store_true', help='the volume begins with a tree of two levels')
    parser.add_argument('--disk', choices=['honest', 'no-flush', 'no-fua'], help='a disk that lies must be found out (default: honest)')
    parser.add_argument('--case', metavar='CASE', help='one sequence, or one place of it, as a failure prints it')
    parser.add_argument('--ops', action='store_true', help='names of operations')
    parser.add_argument('--json', action='store_true', help='the sums as JSON')


def crash_sweep(args):
    packages.setup(packages.ALL)
    made = builds.Build('release-gcc').make(['tests/test-crash'])
    command = [os.path.join(made.folder, 'tests/test-crash')]
    for name in PASSED:
        value = getattr(args, name)
        command += [] if value is None else ['--' + name, str(value)]
    command += ['--' + name for name in ('resume', 'deep', 'ops', 'json') if getattr(args, name)]
    if not args.case and not args.ops:
        os.makedirs(FOLDER, exist_ok=True)
        name = (args.disk or 'honest') + ('-deep' if args.deep else '')
        command += ['--budget', str(parse_duration(args.budget)), '--state', os.path.join(FOLDER, name + '.state')]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
