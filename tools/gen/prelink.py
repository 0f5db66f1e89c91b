# SPDX-License-Identifier: MIT
#
# Pre-links objects into one relocatable object and makes every symbol local except those that match --keep. After this
# step the kernel can clash with no host symbol, and what it imports can be read off one symbol table.
#   --whole: archives taken in full     --needed: archives from which only referenced members are taken
import argparse
import os
import subprocess
import sys


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit('prelink: failed: ' + ' '.join(command))


def main():
    parser = argparse.ArgumentParser(description='pre-link objects and hide their symbols')
    parser.add_argument('--ld', required=True)
    parser.add_argument('--objcopy', required=True)
    parser.add_argument('--keep', action='append', default=[], help='wildcard of symbols that stay global')
    parser.add_argument('--hide', action='append', default=[], help='symbol made local although kept')
    parser.add_argument('-o', dest='output', required=True)
    parser.add_argument('--whole', nargs='*', default=[], help='archives and objects linked in full')
    parser.add_argument('--needed', nargs='*', default=[], help='archives searched for undefined symbols')
    args = parser.parse_args()

    joined = args.output + '.joined'
    run([args.ld, '-r', '-o', joined, '--whole-archive', *args.whole, '--no-whole-archive', *args.needed])
    keep = ['--keep-global-symbol=' + pattern for pattern in args.keep]
    run([args.objcopy, '--wildcard', *keep, joined, args.output])
    if args.hide:
        run([args.objcopy, *('--localize-symbol=' + name for name in args.hide), args.output])
    os.unlink(joined)


main()
