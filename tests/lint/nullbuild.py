# SPDX-License-Identifier: MIT
#
# Cross-compiles the kernel for another architecture and links it to the generated null HAL, then judges the symbols of the
# kernel object as symbols.py does at home. What works here can be carried to a board: no host header, no host call.
#   nullbuild.py ARCH BUILD_FOLDER [--persona P]
import argparse
import glob
import os
import shutil
import subprocess
import sys

import files

TRIPLES = {'aarch64': 'aarch64-linux-gnu', 'riscv64': 'riscv64-linux-gnu', 'cortex_m': 'arm-none-eabi'}
TINY = {'calc_4k': ['-Dtiny=true', '-Dpersona=calc_4k', '-Dframe_shift=8', '-Dschedpoints=locks'],
        'mobile_64k': ['-Dtiny=true', '-Dpersona=mobile_64k', '-Dframe_shift=10', '-Dschedpoints=locks']}


def run(command, what):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    if done.returncode != 0:
        print(done.stdout[-6000:])
        sys.exit(f'nullbuild: {what} failed: {" ".join(command)}')
    return done.stdout


def configure(args, folder):
    """A folder made by older build files may not configure any more: then it is made anew."""
    command = ['meson', 'setup', '-Dhal=null', '-Dtests=false', '--cross-file', f'{args.root}/cross/{args.arch}.ini', *args.options,
               *(TINY[args.persona] if args.arch == 'cortex_m' else []), folder, args.root]
    if os.path.exists(os.path.join(folder, 'build.ninja')):
        if subprocess.run(['ninja', '-C', folder, 'build.ninja'], stdout=subprocess.DEVNULL).returncode == 0:
            return
    shutil.rmtree(folder, ignore_errors=True)
    run(command, 'setup')


def main():
    parser = argparse.ArgumentParser(description='cross-compile the kernel and link it to the null HAL')
    parser.add_argument('arch', choices=sorted(TRIPLES))
    parser.add_argument('folder')
    parser.add_argument('--persona', choices=sorted(TINY), default='calc_4k', help='cortex_m: whose files')
    parser.add_argument('--root', default=files.ROOT)
    parser.add_argument('--option', dest='options', action='append', default=[], help='a further option of meson setup')
    args = parser.parse_args()
    triple = TRIPLES[args.arch]
    if shutil.which(triple + '-gcc') is None:
        sys.exit(f'nullbuild: {triple}-gcc is missing: ./tools/tbos setup')
    configure(args, args.folder)
    run(['ninja', '--quiet', '-C', args.folder], 'build')
    lint = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'symbols.py')
    print(run([sys.executable, '-B', lint, os.path.join(args.folder, 'src/tbos-kernel.o'), '--readelf', triple + '-readelf',
               '--helpers', args.arch], 'symbols'), end='')
    print(run([triple + '-size', *glob.glob(os.path.join(args.folder, 'src/hal_null/tbos-null'))], 'size'), end='')


main()
