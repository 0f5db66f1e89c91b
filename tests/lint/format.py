# SPDX-License-Identifier: MIT
#
# Every C file is as clang-format-14 would write it with the tree's .clang-format.
#   format.py [--fix] [FILE…]
import argparse
import os
import shutil
import subprocess
import sys

import files


def main():
    parser = argparse.ArgumentParser(description='check the layout of C files')
    parser.add_argument('--root', default=files.ROOT)
    parser.add_argument('--fix', action='store_true', help='rewrite the files')
    parser.add_argument('files', nargs='*')
    args = parser.parse_args()
    tool = shutil.which('clang-format-14')
    if tool is None:
        sys.exit('format: clang-format-14 is missing: ./tools/tbos setup')
    names = args.files or [name for name in files.with_suffix(['.c', '.h'], args.root)
                           if name.startswith(('include/', 'src/', 'tools/', 'tests/', 'subprojects/packagefiles/'))]
    command = [tool, '--style=file', *(['-i'] if args.fix else ['--dry-run', '-Werror', '--ferror-limit=2'])]
    problems = []
    for start in range(0, len(names), 40):
        done = subprocess.run(command + names[start:start + 40], cwd=args.root if not args.files else os.getcwd(), capture_output=True, text=True)
        problems += [line for line in done.stderr.splitlines() if ': error: ' in line or ': warning: ' in line]
        if done.returncode != 0 and not problems:
            problems.append(done.stderr)
    return files.finish('format', problems, len(names))


sys.exit(main())
