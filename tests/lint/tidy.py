# SPDX-License-Identifier: MIT
#
# Budgets and manners of every file: the SPDX line, a header that says what the file owns, at most 500 lines a file and 60 a
# function, no banned words. exceptions.txt names what is over budget and how far; it may only shrink: an entry that is
# larger than the truth is a failure too.
import argparse
import ast
import re
import sys

import files

FILE_LINES = 500
FUNCTION_LINES = 60
HEADER_MAX = 20
STORY_MAX = 82  # *_impl.h opens with the subsystem's page
CODE = ('.c', '.h', '.S')
MARKED = CODE + ('.py', '.sh', '.ini', 'meson.build', 'meson_options.txt', '.wrap', '.clang-format')
NO_HEADER = ('.wrap',)


def is_script(name, text):
    return name.endswith('.py') or text.startswith('#!')


def check_header(name, lines):
    """The SPDX line, and in C the comment that follows it."""
    first = 1 if lines and lines[0].startswith('#!') else 0
    mark = '//' if name.endswith(CODE) else '#'
    if len(lines) <= first or lines[first] != f'{mark} SPDX-License-Identifier: MIT':
        return [f'{name}:1: no SPDX line']
    if not name.endswith(CODE + ('.py',)):
        return []
    count = 0
    while first + 1 + count < len(lines) and lines[first + 1 + count].startswith(mark):
        count += 1
    limit = STORY_MAX if name.endswith('_impl.h') else HEADER_MAX
    if count < 2:
        return [f'{name}:2: no header that says what the file owns']
    return [f'{name}:2: a header of {count} lines, at most {limit}'] if count > limit else []


def c_functions(lines):
    """(name, first line, length) of each function: clang-format puts its braces into column 0."""
    start = None
    for number, line in enumerate(lines):
        if line == '{':
            start = number
        elif line == '}' and start is not None:
            first = start
            while first > 0 and lines[first - 1].strip() and not lines[first - 1].startswith(('}', '#', '//')) \
                    and not lines[first - 1].endswith(';'):
                first -= 1
            found = re.search(r'(\w+)\s*\(', ' '.join(lines[first:start]))
            yield (found.group(1) if found else '?', first + 1, number - first + 1)
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield (node.name, node.lineno, node.end_lineno - node.lineno + 1)


def sizes(name, text):
    """{what: lines} of everything in the file that is over budget."""
    lines = text.splitlines()
    functions = c_functions(lines) if name.endswith(('.c', '.h')) else python_functions(text) if is_script(name, text) and 'python' in \
        (lines[0] if lines[0].startswith('#!') else 'python') else []
    over = {f'{name}:{function}': length for function, _, length in functions if length > FUNCTION_LINES}
    if len(lines) > FILE_LINES:
        over[name] = len(lines)
    return over


def check_sizes(over, root):
    problems, allowed = [], {}
    for line in files.read('tests/lint/exceptions.txt', root).splitlines():
        words = line.split('#')[0].split()
        if words:
            allowed[words[0]] = int(words[1])
    for what, length in sorted(over.items()):
        if what not in allowed:
            problems.append(f'{what}: {length} lines; a file has at most {FILE_LINES}, a function {FUNCTION_LINES}')
        elif length > allowed[what]:
            problems.append(f'{what}: grew to {length} lines, its exception says {allowed[what]}')
        elif length < allowed[what]:
            problems.append(f'exceptions.txt: {what} has {length} lines now: lower the entry from {allowed[what]}')
    problems += [f'exceptions.txt: {what} needs no exception: remove it' for what in sorted(set(allowed) - set(over))]
    return problems


def banned_words(root):
    """(pattern, prefixes of paths, what to do instead) from banned.txt."""
    found = []
    for line in files.read('tests/lint/banned.txt', root).splitlines():
        if line and not line.startswith('#'):
            where, pattern, instead = re.split(r'\t+', line)
            found.append((re.compile(pattern), tuple(where.split(',')) if where != '*' else ('',), instead))
    return found


def check_lines(name, lines, banned):
    problems = []
    rules = [(pattern, instead) for pattern, where, instead in banned if name.startswith(where)]
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            problems.append(f'{name}:{number}: blanks at the end of the line')
        for pattern, instead in rules:
            found = pattern.search(line)
            if found:
                problems.append(f'{name}:{number}: "{found.group()}": {instead}')
    return problems


def check_file(name, text, banned):
    problems = []
    if name.endswith(MARKED) or text.startswith('#!'):
        problems += check_header(name, text.splitlines()) if not name.endswith(NO_HEADER) else []
    if text and not text.endswith('\n'):
        problems.append(f'{name}: no newline at the end')
    if not name.startswith('tests/lint/banned.txt'):
        problems += check_lines(name, text.splitlines(), banned)
    return problems


def main():
    parser = argparse.ArgumentParser(description='check budgets and manners')
    parser.add_argument('--root', default=files.ROOT)
    args = parser.parse_args()
    banned, problems, over, looked_at = banned_words(args.root), [], {}, 0
    for name in files.all_files(args.root):
        try:
            text = files.read(name, args.root)
        except UnicodeDecodeError:
            continue
        if '\0' in text or name.startswith(('LICENSES/', 'tests/fuzz/seeds/')):
            continue
        looked_at += 1
        problems += check_file(name, text, banned)
        if name.endswith(('.c', '.h', '.S', '.py')) or text.startswith('#!'):
            over.update(sizes(name, text))
    problems += check_sizes(over, args.root)
    return files.finish('tidy', problems, looked_at)


sys.exit(main())
