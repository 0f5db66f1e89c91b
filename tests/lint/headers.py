# SPDX-License-Identifier: MIT
#
# Compiles each header alone: an include order that matters, a forgotten include or a missing guard shows here. Kernel headers
# take the kernel's flags, the others the hosted side's, both read off the build's own compile commands. The public headers
# compile as strict C11 and as C++ too, for their users do not share our flags.
import argparse
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import tempfile

import files

KERNEL = ('include/', 'src/core/', 'src/fs/', 'src/net/', 'src/drivers/', 'src/freestd/')
# Not compiled alone here: halves of hal/inline.h and kern/thread.h, of which one is chosen, and what is for another machine.
BARE_ONLY = ('include/hal/inline_', 'include/kern/thread_', 'src/hal_bare/')
PUBLIC = 'include/tbos/'


def flags_of(commands, part):
    """Compile flags of some file whose path contains `part`, without input, output and dependency file."""
    for entry in commands:
        if part in os.path.normpath(os.path.join(entry['directory'], entry['file'])):
            words = shlex.split(entry['command'])[1:]
            kept, skip = [], False
            for word in words:
                if skip or word in ('-c', '-MD', '-fdiagnostics-color=always') or word == entry['file']:
                    skip = False
                elif word in ('-o', '-MF', '-MQ'):
                    skip = True
                else:
                    kept.append(word)
            return kept
    return None


def jobs(args, commands, names):
    """(name, command, folder) of every compilation."""
    kernel = flags_of(commands, '/src/core/')
    host = flags_of(commands, '/src/hal_hosted/') or flags_of(commands, '/tools/tbos-sim/')
    if kernel is None or host is None:
        sys.exit('headers: the build has no kernel or no hosted source')
    found = []
    for name in names:
        flags = kernel if name.startswith(KERNEL) or args.kernel_like(name) else host
        for compiler in args.compilers.split(','):
            found.append((name, [compiler, *flags, '-I' + os.path.join(args.root, os.path.dirname(name)), '-I' + os.path.join(args.root, 'tests')]))
        if name.startswith(PUBLIC):
            include = '-I' + os.path.join(args.root, 'include')
            found += [(name, [compiler, '-std=c11', '-pedantic', '-Wall', '-Wextra', '-Werror', include])
                      for compiler in args.compilers.split(',')]
            found += [(name, [compiler, '-xc++', '-std=c++11', '-pedantic', '-Wall', '-Wextra', '-Werror', include])
                      for compiler in args.compilers.split(',')]
    return found


def compile_one(job, args):
    name, command = job
    with tempfile.NamedTemporaryFile('w', suffix='.c', encoding='utf-8') as source:
        path = os.path.join(args.root, name)
        source.write(f'#include "{path}"\n#include "{path}"\n')
        source.write('extern int header_compiled_alone;\n')
        source.flush()
        done = subprocess.run([*command, '-fsyntax-only', source.name], cwd=args.build, capture_output=True, text=True, errors='replace')
    if done.returncode == 0:
        return None
    return f'{name}: does not compile alone: {" ".join(command[:3])} …\n{done.stderr[:2000]}'


def main():
    parser = argparse.ArgumentParser(description='compile each header alone')
    parser.add_argument('--root', default=files.ROOT)
    parser.add_argument('--build', required=True, help='build folder with compile_commands.json')
    parser.add_argument('--compilers', default='gcc,clang-14')
    args = parser.parse_args()
    args.root = os.path.abspath(args.root)

    def kernel_like(name):
        """Headers beside the tests' kernel-side bodies reach into include/kern."""
        return name.startswith('tests/') and 'include "kern/' in files.read(name, args.root)

    args.kernel_like = kernel_like
    with open(os.path.join(args.build, 'compile_commands.json'), encoding='utf-8') as file:
        commands = json.load(file)
    names = [name for name in files.with_suffix(['.h'], args.root)
             if name.startswith(('include/', 'src/', 'tools/', 'tests/')) and not name.startswith(BARE_ONLY)]
    work = jobs(args, commands, names)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [found for found in pool.map(lambda job: compile_one(job, args), work) if found]
    return files.finish('headers', problems, len(work))


sys.exit(main())
