# SPDX-License-Identifier: MIT
#
# The project's own files, for the lints: what git tracks and what it would track, or every file where there is no git.
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = {'build', '.git', '__pycache__'}


def all_files(root=ROOT):
    """Paths relative to root, sorted. Third-party sources are no part of the project."""
    if os.path.exists(os.path.join(root, '.git')):
        done = subprocess.run(['git', '-c', 'safe.directory=*', '-C', root, 'ls-files', '--cached', '--others', '--exclude-standard'],
                              capture_output=True, text=True, check=True)
        names = [name for name in done.stdout.splitlines() if os.path.exists(os.path.join(root, name))]
        return sorted(set(names))
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(names)


def with_suffix(suffixes, root=ROOT):
    return [name for name in all_files(root) if name.endswith(tuple(suffixes))]


def read(name, root=ROOT):
    with open(os.path.join(root, name), encoding='utf-8') as file:
        return file.read()


def finish(lint, problems, looked_at):
    """Prints the verdict and returns the exit status. A lint that looked at nothing has failed."""
    for problem in problems:
        print(problem)
    if not looked_at:
        problems = [*problems, 'nothing to look at']
        print('nothing to look at')
    print(f'{lint}: {looked_at} looked at, {len(problems)} problems')
    return 1 if problems else 0
