# SPDX-License-Identifier: MIT
#
# The dependency rule of layers.txt over every #include: rejects arrows that are not listed, and cycles among headers. With
# --objects, over the symbols of the kernel's objects too: folders of core use only what lies below them.
import argparse
import collections
import os
import re
import subprocess
import sys

import files

COMPILER = {'stdalign.h', 'stdarg.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdnoreturn.h', 'limits.h', 'string.h', 'float.h'}
WRAPS = {'lz4.h', 'zstd.h', 'zstd_errors.h', 'xxhash.h'}
AREAS = ('kern/', 'hal/', 'tbos/')


class Rules:
    """layers.txt: arrows by folder, the order within core, the areas that share nothing."""

    def __init__(self, root):
        self.arrows, self.order, self.apart, self.above = {}, [], [], []
        for line in files.read('tests/lint/layers.txt', root).splitlines():
            words = line.split('#')[0].split()
            if words and words[0] == 'order':
                self.order = [word for word in words[1:] if word != '<']
            elif words and words[0] == 'apart':
                self.apart = words[1:]
            elif words and words[0] == 'above':
                self.above += words[1:]
            elif words:
                self.arrows[words[0]] = words[2:]

    def allowed(self, name):
        folders = [folder for folder in self.arrows if name.startswith(folder + '/')]
        return self.arrows[max(folders, key=len)] if folders else None


def includes(name, root):
    """(line, quoted?, header) of each #include."""
    found = []
    for number, line in enumerate(files.read(name, root).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            found.append((number, match.group(1) == '"', match.group(2)))
    return found


def resolve(name, header, root):
    """The project's file that a quoted header means, relative to root; None if there is none."""
    for base in (os.path.dirname(name), 'include'):
        path = os.path.normpath(os.path.join(base, header))
        if os.path.exists(os.path.join(root, path)):
            return path
    return None


def permitted(name, quoted, header, rules, root):
    allowed = rules.allowed(name)
    if allowed is None or 'anything' in allowed:
        return True
    if not quoted:
        return 'host' in allowed or (header in COMPILER and 'compiler' in allowed) or (header in WRAPS and 'wraps' in allowed)
    if header.startswith(AREAS):
        return header.split('/')[0] in allowed or header in allowed
    path = resolve(name, header, root)
    folder = os.path.dirname(path) if path else ''
    return (folder == os.path.dirname(name) and 'own' in allowed) or folder in allowed


def cycles(graph):
    """Each header that can reach itself, with the way there."""
    found = []
    for start in sorted(graph):
        ways = collections.deque([(start, [start])])
        seen = set()
        while ways:
            at, way = ways.popleft()
            if start in graph.get(at, ()):
                found.append(' -> '.join([*way, start]))
                break
            for onward in sorted(graph.get(at, set()) - seen):
                seen.add(onward)
                ways.append((onward, [*way, onward]))
    return found


def check_includes(rules, root):
    problems, graph = [], collections.defaultdict(set)
    names = [name for name in files.with_suffix(['.c', '.h', '.S'], root) if name.startswith(('include/', 'src/', 'tools/', 'tests/'))]
    for name in names:
        if rules.allowed(name) is None:
            problems.append(f'{name}: layers.txt has no rule for its folder')
        for number, quoted, header in includes(name, root):
            if not permitted(name, quoted, header, rules, root):
                problems.append(f'{name}:{number}: includes {header}, for which layers.txt has no arrow')
            path = resolve(name, header, root) if quoted else None
            if path and path.endswith('.h') and name.endswith('.h'):
                graph[name].add(path)
    problems += [f'cycle of headers: {way}' for way in cycles(graph)]
    return problems, len(names)


def layer_of(member):
    """'core_base_list.c.o' as Meson names objects of src/core/base/list.c: ('core', 'base')."""
    words = os.path.basename(member).split('_')
    return (words[0], words[1]) if words[0] == 'core' else (words[0], '')


def symbols(archive, nm):
    """Where each global symbol is defined, and who refers to it: {name: member}, [(member, name)]."""
    text = subprocess.run([nm, '-A', '-g', archive], capture_output=True, text=True, check=True).stdout
    defined, used = {}, []
    for line in text.splitlines():
        match = re.match(r'(?:.*[:/])?([^:/]+\.o):\s*[0-9a-f]*\s+([A-Za-z])\s+(\S+)$', line)
        if match and match.group(2) in 'Uw':
            used.append((match.group(1), match.group(3)))
        elif match:
            defined[match.group(3)] = match.group(1)
    return defined, used


def check_symbols(rules, archive, nm):
    problems = []
    defined, used = symbols(archive, nm)
    for member, name in sorted(used):
        area, layer = layer_of(member)
        to_area, to_layer = layer_of(defined[name]) if name in defined else (None, None)
        if to_area is None or member.startswith('meson-generated') or member in rules.above:
            continue
        upward = area == to_area == 'core' and rules.order.index(to_layer) > rules.order.index(layer)
        across = area != to_area and to_area in rules.apart
        if upward or across:
            problems.append(f'{member} uses {name} of {defined[name]}: layers.txt has no such arrow')
    return problems, len(defined)


def main():
    parser = argparse.ArgumentParser(description='check the dependency rule')
    parser.add_argument('--root', default=files.ROOT)
    parser.add_argument('--objects', help='archive of the kernel\'s objects: check their symbols instead of the includes')
    parser.add_argument('--nm', default='nm')
    args = parser.parse_args()
    rules = Rules(args.root)
    if args.objects:
        return files.finish('layers of symbols', *check_symbols(rules, args.objects, args.nm))
    return files.finish('layers', *check_includes(rules, args.root))


sys.exit(main())
