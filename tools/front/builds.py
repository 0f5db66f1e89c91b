# SPDX-License-Identifier: MIT
#
# Builds: a flavour (what for), a compiler, a persona. Each has its folder in build/, named after it.
import glob
import os
import re
import shutil
import subprocess

import packages
from ui import BUILD, ROOT, Failure, Progress, say, show

DEBUG = ['-Doptimization=1', '-Dasserts=true', '-Dlockcheck=true', '-Dmemdebug=true', '-Dfaultinject=true', '-Dschedpoints=full']
FLAVOURS = {
    'release': [],
    'debug': DEBUG,
    'asan': DEBUG + ['-Db_sanitize=address,undefined'],
    'tsan': DEBUG + ['-Db_sanitize=thread'],
    'cover': DEBUG + ['-Db_coverage=true'],
    'fuzz': DEBUG + ['-Doptimization=2', '-Db_sanitize=address,undefined', '-Dfuzz=true'],
    'null': [],
    'bare': [],
    'baredebug': DEBUG,
}
COMPILERS = {'gcc': 'gcc', 'clang': 'clang-14'}
CROSS = ('null', 'bare', 'baredebug')  # flavours whose variant is an architecture
ARCHES = ['x86_64', 'aarch64', 'riscv64', 'cortex_m']
DEFAULT_PERSONA = 'desktop_512m'
BOARD_PERSONA = 'calc_4k'  # of Cortex-M, where the default does not fit


class Build:
    """One build folder. `name` is FLAVOUR-COMPILER; null-ARCH for cross builds on the null HAL, bare-ARCH and
    baredebug-ARCH for images; -PERSONA
    may follow."""

    def __init__(self, name, persona=DEFAULT_PERSONA, overlays=()):
        self.flavour, _, self.variant = name.partition('-')
        self.variant, _, named = self.variant.partition('-')
        persona = named or persona
        if named:
            name = name.removesuffix('-' + named)
        if name == 'bare-cortex_m' and persona == DEFAULT_PERSONA:
            persona = BOARD_PERSONA
        if self.flavour not in FLAVOURS or self.variant not in (ARCHES if self.flavour in CROSS else COMPILERS):
            raise Failure(f"there is no build '{name}'", 'flavours: ' + ' '.join(FLAVOURS) + '; compilers: ' + ' '.join(COMPILERS))
        self.persona = persona
        self.overlays = list(overlays)
        self.name = '-'.join([name] + ([persona] if persona != DEFAULT_PERSONA else []) + self.overlays)
        self.folder = os.path.join(BUILD, self.name)

    def arguments(self):
        arguments = list(FLAVOURS[self.flavour])
        if self.flavour == 'null':
            arguments += ['-Dhal=null', '-Dtests=false', '--cross-file', f'cross/{self.variant}.ini']
            if self.variant == 'cortex_m':
                arguments += ['-Dtiny=true', '-Dframe_shift=8', '-Dpersona=calc_4k']
            return arguments
        shift = persona_frame_shift(self.persona)
        if self.flavour in ('bare', 'baredebug'):
            arguments += ['-Dhal=bare', '--cross-file', f'cross/{self.variant}.ini']
        if shift < 12:
            arguments.append('-Dtiny=true')
        return arguments + [f'-Dpersona={self.persona}', f'-Dpackages={",".join(self.overlays)}', f'-Dframe_shift={shift}']

    def environment(self):
        env = dict(os.environ, LC_ALL='C.UTF-8')
        if self.flavour not in CROSS:
            env['CC'] = COMPILERS[self.variant]
        return env

    def configure(self):
        stamp = os.path.join(self.folder, 'tbos-arguments')
        wanted = '\n'.join(self.arguments())
        if os.path.exists(os.path.join(self.folder, 'build.ninja')) and os.path.exists(stamp):
            with open(stamp, encoding='utf-8') as file:
                if file.read() == wanted:
                    return
        shutil.rmtree(self.folder, ignore_errors=True)
        command = ['meson', 'setup', *self.arguments(), self.folder, ROOT]
        done = subprocess.run(command, cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f'meson refused the build {self.name}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}',
                          'if a tool or library is missing: ./tools/tbos setup')
        with open(stamp, 'w', encoding='utf-8') as file:
            file.write(wanted)

    def make(self, files=()):
        """Configures if needed and compiles, all or these files; the output of a failed command is shown, all else only as progress."""
        self.configure()
        bar = Progress(f'build {self.name}')
        command = ['ninja', '-C', self.folder] + (['-j', os.environ['TBOS_JOBS']] if 'TBOS_JOBS' in os.environ else [])
        process = subprocess.Popen([*command, *files], env=dict(self.environment(), NINJA_STATUS='[%f/%t] '), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        tail = []
        for line in process.stdout:
            status = re.match(r'\[(\d+)/(\d+)\] (.*)', line)
            if status:
                bar.step(int(status.group(1)), int(status.group(2)), status.group(3))
            else:
                tail = (tail + [line])[-200:]
        process.wait()
        bar.close()
        if process.returncode != 0:
            raise Failure(f'the build {self.name} failed:\n{"".join(tail)}', f'repeat it with: ninja -C {show(self.folder)}')
        return self


def persona_frame_shift(persona):
    path = os.path.join(ROOT, 'config/personas', persona + '.conf')
    if not os.path.exists(path):
        known = sorted(name[:-5] for name in os.listdir(os.path.dirname(path)) if name.endswith('.conf'))
        raise Failure(f"there is no persona '{persona}'", 'config/personas has: ' + ' '.join(known))
    with open(path, encoding='utf-8') as file:
        found = re.search(r'^frame_size\s*=\s*(\d+)([K]?)\s*$', file.read(), re.M)
    if not found:
        raise Failure(f'{show(path)} has no frame_size', 'write it as frame_size = 4K')
    size = int(found.group(1)) * (1024 if found.group(2) else 1)
    return size.bit_length() - 1


def sizes_show(build):
    for path in glob.glob(os.path.join(build.folder, 'src/hal_bare/*/sizes.txt')):
        with open(path, encoding='utf-8') as file:
            say(file.read().rstrip())


def link_simulator(build):
    target = os.path.join(build.folder, 'tools/tbos-sim/tbos-sim')
    if not os.path.exists(target):
        return None
    link = os.path.join(ROOT, 'tbos-sim')
    temporary = link + '.new'
    os.symlink(os.path.relpath(target, ROOT), temporary)
    os.replace(temporary, link)
    return link


def build(name='release-gcc', persona=DEFAULT_PERSONA, overlays=(), quiet=False):
    """Prepares what is missing, builds, and lets ./tbos-sim name the result."""
    full = name != 'release-gcc' and name != 'debug-gcc'
    packages.setup(packages.ALL if full else packages.BUILD)
    made = Build(name, persona, overlays).make()
    link = link_simulator(made)
    if not quiet:
        say(f'built {show(made.folder)}' + (f'; {show(link)} runs it' if link else ''))
        sizes_show(made)
    return made
