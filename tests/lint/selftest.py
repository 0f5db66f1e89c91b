# SPDX-License-Identifier: MIT
#
# Shows that every lint can fail: a small tree without fault passes, and each planted violation is reported. TAP output.
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SPDX = '// SPDX-License-Identifier: MIT\n//\n// A planted file: what it owns is one fault.\n'
KERNEL_FLAGS = ['-std=gnu17', '-Wall', '-Werror', '-ffreestanding', '-nostdinc', '-isystem', ROOT + '/src/freestd/include']

CLEAN = {
    'include/kern/low.h': SPDX + '#ifndef KERN_LOW_H\n#define KERN_LOW_H\n\nint low(int x);\n\n#endif\n',
    'include/tbos/tbos.h': SPDX + '#ifndef TBOS_H\n#define TBOS_H\n\nint tb_call(int x);\n\n#endif\n',
    'src/core/base/low.c': SPDX + '#include "kern/low.h"\n\nint low(int x)\n{\n\treturn x;\n}\n',
    'src/hal_hosted/host.c': SPDX + '#include <stdio.h>\n',
    'tests/lint/exceptions.txt': '# none\n',
}
LONG_FUNCTION = SPDX + 'int low(int x)\n{\n' + '\tx++;\n' * 58 + '\treturn x;\n}\n'


def plant(folder, changes):
    for name, text in {**CLEAN, **changes}.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    for name in ('.clang-format', 'tests/lint/layers.txt', 'tests/lint/banned.txt'):
        if name not in changes:
            shutil.copy(os.path.join(ROOT, name), os.path.join(folder, name))


def run(script, *arguments):
    done = subprocess.run([sys.executable, '-B', os.path.join(HERE, script), *arguments], capture_output=True, text=True, errors='replace')
    return done.returncode, done.stdout + done.stderr


def lint_tree(script, changes):
    """Runs a source lint on a planted tree."""
    with tempfile.TemporaryDirectory(prefix='tbos-selftest-') as folder:
        plant(folder, changes)
        arguments = ['--root', folder]
        if script == 'headers.py':
            commands = [{'directory': folder, 'file': name, 'command': ' '.join(['gcc', *flags, '-I', folder + '/include', '-c', name])}
                        for name, flags in (('src/core/base/low.c', KERNEL_FLAGS), ('src/hal_hosted/host.c', ['-Wall', '-Werror']))]
            with open(os.path.join(folder, 'compile_commands.json'), 'w', encoding='utf-8') as file:
                json.dump(commands, file)
            arguments += ['--build', folder]
        return run(script, *arguments)


def lint_object(source, *flags):
    """Runs symbols.py on an object compiled from `source`."""
    with tempfile.TemporaryDirectory(prefix='tbos-selftest-') as folder:
        path = os.path.join(folder, 'planted.o')
        subprocess.run(['gcc', '-ffreestanding', '-fPIE', *flags, '-xc', '-', '-c', '-o', path], input=source, text=True, check=True)
        return run('symbols.py', path)


def lint_archive(members):
    """Runs the symbol half of layers.py on an archive of objects named as Meson names them."""
    with tempfile.TemporaryDirectory(prefix='tbos-selftest-') as folder:
        paths = []
        for name, source in members.items():
            paths.append(os.path.join(folder, name + '.c.o'))
            subprocess.run(['gcc', '-ffreestanding', '-xc', '-', '-c', '-o', paths[-1]], input=source, text=True, check=True)
        archive = os.path.join(folder, 'kernel.a')
        subprocess.run(['ar', 'csrDT', archive, *paths], check=True)
        return run('layers.py', '--objects', archive)


def null_build(source):
    """Builds the tree, with one more kernel file, for AArch64 on the null HAL. (The clean case is a lint of its own.)"""
    with tempfile.TemporaryDirectory(prefix='tbos-selftest-') as folder:
        tree = os.path.join(folder, 'tree')
        shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns('build', '.git', 'tests', 'tbos-sim'))
        with open(os.path.join(tree, 'src/core/base/planted.c'), 'w', encoding='utf-8') as file:
            file.write(source)
        with open(os.path.join(tree, 'src/core/base/meson.build'), 'a', encoding='utf-8') as file:
            file.write("core_sources += files('planted.c')\n")
        return run('nullbuild.py', 'aarch64', os.path.join(folder, 'build'), '--root', tree, '--option=-Doptimization=0')


def cases():
    """(what is planted, the run, words that the report must contain; none: must pass)."""
    tree = lint_tree
    for script in ('layers.py', 'headers.py', 'format.py', 'tidy.py'):
        yield f'{script}: clean tree', lambda s=script: tree(s, {}), None
    low = 'src/core/base/low.c'
    yield 'layers: host header in the kernel', lambda: tree('layers.py', {low: SPDX + '#include <stdio.h>\n'}), 'stdio.h'
    yield 'layers: HAL includes kern', lambda: tree('layers.py', {'src/hal_hosted/host.c': SPDX + '#include "kern/low.h"\n'}), 'kern/low.h'
    yield 'layers: fs includes hal', lambda: tree('layers.py', {'src/fs/x/x.c': SPDX + '#include "hal/hal.h"\n'}), 'hal/hal.h'
    yield 'layers: kern includes a HAL door', lambda: tree('layers.py', {'include/kern/b.h': SPDX + '#include "hal/mem.h"\n'}), 'hal/mem.h'
    yield "layers: another folder's _impl.h", lambda: tree('layers.py', {
        low: SPDX + '#include "../mem/mem_impl.h"\n', 'src/core/mem/mem_impl.h': SPDX}), 'mem_impl.h'
    yield 'layers: a folder without a rule', lambda: tree('layers.py', {'src/new/x.c': SPDX}), 'no rule'
    yield 'layers: cycle of headers', lambda: tree('layers.py', {
        'include/kern/a.h': SPDX + '#include "kern/b.h"\n', 'include/kern/b.h': SPDX + '#include "kern/a.h"\n'}), 'cycle'
    upward = {'core_base_low': 'void high(void); void low(void) { high(); }', 'core_sched_high': 'void high(void) {}'}
    downward = {'core_base_low': 'void low(void) {}', 'core_sched_high': 'void low(void); void high(void) { low(); }'}
    across = {'fs_a': 'void wire(void); void a(void) { wire(); }', 'net_wire': 'void wire(void) {}'}
    yield 'layers of symbols: downward', lambda: lint_archive(downward), None
    yield 'layers of symbols: upward', lambda: lint_archive(upward), 'uses high'
    yield 'layers of symbols: fs uses net', lambda: lint_archive(across), 'uses wire'
    yield 'headers: forgotten include', lambda: tree('headers.py', {'include/kern/a.h': SPDX + 'extern uint32_t a;\n'}), 'kern/a.h'
    yield 'headers: no guard', lambda: tree('headers.py', {'include/kern/a.h': SPDX + 'struct a {\n\tint b;\n};\n'}), 'kern/a.h'
    yield 'headers: public header that is no C++', lambda: tree('headers.py', {
        'include/tbos/a.h': SPDX + '#ifndef A_H\n#define A_H\nint a(int class);\n#endif\n'}), 'tbos/a.h'
    yield 'symbols: clean', lambda: lint_object('void hal_x(void); void tb_y(void); void tb_y(void) { hal_x(); }'), None
    yield 'symbols: host import', lambda: lint_object('int getpid(void); int tb_y(void); int tb_y(void) { return getpid(); }'), 'imports getpid'
    yield 'symbols: stray export', lambda: lint_object('int leak(void); int leak(void) { return 1; }'), 'exports leak'
    yield 'symbols: writable global', lambda: lint_object('static int count; int tb_y(void); int tb_y(void) { return ++count; }'), 'count'
    yield 'symbols: static in a function', lambda: lint_object('int tb_y(void); int tb_y(void) { static int n = 3; return n++; }'), 'writable'
    yield 'symbols: constant table of pointers', lambda: lint_object(
        'extern const int hal_a; extern const int *const tb_t[2]; const int *const tb_t[2] = {&hal_a, &hal_a};'), None
    yield 'format: braces', lambda: tree('format.py', {low: SPDX + 'int low(int x) { return x; }\n'}), 'low.c'
    yield 'tidy: no SPDX line', lambda: tree('tidy.py', {low: 'int low(int x);\n'}), 'SPDX'
    yield 'tidy: no header', lambda: tree('tidy.py', {low: '// SPDX-License-Identifier: MIT\nint low;\n'}), 'owns'
    yield 'tidy: long file', lambda: tree('tidy.py', {low: SPDX + 'extern int x;\n' * 500}), '503 lines'
    yield 'tidy: long function', lambda: tree('tidy.py', {low: LONG_FUNCTION}), 'low: 62 lines'
    yield 'tidy: exception that could shrink', lambda: tree('tidy.py', {
        low: LONG_FUNCTION, 'tests/lint/exceptions.txt': low + ':low 70\n'}), 'lower the entry'
    yield 'tidy: exception in force', lambda: tree('tidy.py', {low: LONG_FUNCTION, 'tests/lint/exceptions.txt': low + ':low 62\n'}), None
    yield 'tidy: exception no longer needed', lambda: tree('tidy.py', {'tests/lint/exceptions.txt': low + ':low 62\n'}), 'remove it'
    yield 'tidy: banned word', lambda: tree('tidy.py', {low: SPDX + '// TO' + 'DO\n'}), 'finish it'
    yield 'tidy: 64-bit atomic below', lambda: tree('tidy.py', {low: SPDX + 'atomic_u64 ' + 'x;\n'}), '64-bit'
    yield 'null build: host call', lambda: null_build(
        SPDX + 'int getpid(void);\nint planted(void);\n\nint planted(void)\n{\n\treturn getpid();\n}\n'), 'getpid'
    yield 'null build: host header', lambda: null_build(SPDX + '#include <stdio.h>\n'), 'stdio.h'


def main():
    failed, number = 0, 0
    for number, (what, action, expected) in enumerate(cases(), 1):
        status, output = action()
        good = status == 0 if expected is None else status != 0 and expected in output
        failed += not good
        print(('ok' if good else 'not ok'), number, '-', what, flush=True)
        if not good:
            print(f'# exit status {status}, expected ' + ('0' if expected is None else f'another, and "{expected}" in:'))
            print('\n'.join('# ' + line for line in output.splitlines()[-15:]))
    print(f'1..{number}')
    return 1 if failed else 0


sys.exit(main())
