# SPDX-License-Identifier: MIT
#
# Installs TBOS into a scratch folder and uses it as a stranger would: pkg-config, the shared and the static library, C and C++.
# The libraries show exactly what the public header declares. TAP.
#   install_test.py BUILD_FOLDER SOURCE_FOLDER
import os
import re
import subprocess
import sys
import tempfile


def run(command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', **more)
    return done.returncode, done.stdout


def find(folder, name):
    for where, _, names in os.walk(folder):
        if name in names:
            return os.path.join(where, name)
    raise FileNotFoundError(name)


def declared(header):
    """Functions of the public header, comments left out."""
    with open(header, encoding='utf-8') as file:
        text = re.sub(r'//[^\n]*', '', file.read())
    return set(re.findall(r'\b(tb_\w+)\s*\((?!\*)', text))


def exported(path, *flags):
    status, text = run(['nm', *flags, '--defined-only', path])
    return set(re.findall(r'^[0-9a-f]+ [A-Z] (\w+)$', text, re.M)) if status == 0 else set()


def compile_and_run(compiler, language, example, says, root, libraries, folder, words=(), package='tbos'):
    """Builds an example with what pkg-config says and runs it against the installed library, until it says what it should."""
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(find(root, 'tbos.pc')), PKG_CONFIG_SYSROOT_DIR=root)
    flags = run(['pkg-config', '--cflags', *libraries, package], env=env)[1].split()
    program = os.path.join(folder, f'{package}-{language}-{len(libraries)}')
    if '--static' in libraries:
        flags = [word for word in flags if word != '-ltbos'] + [find(root, 'libtbos.a'), '-luv', '-lpthread', '-ldl']
    status, text = run([compiler, '-x', language, '-Wall', '-Wextra', '-Werror', example, '-x', 'none', *flags, '-o', program])
    if status != 0:
        return False, text
    status, text = run([program, *words], env=dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(find(root, 'libtbos.so'))))
    return status == 0 and says in text, text


def declared_sqlite(root):
    """Whether the VFS was built: where SQLite is."""
    try:
        return find(root, 'tbos-sqlite.pc')
    except FileNotFoundError:
        return None


def imports(root, wanted):
    """Of TBOS the VFS knows the public interface alone."""
    status, text = run(['nm', '-u', find(root, 'libtbos-sqlite.a')])
    used = set(re.findall(r'U (tb_\w+)$', text, re.M))
    own = {name for name in used if name.startswith('tb_sqlite_')}
    return status == 0 and len(used) > 10 and used - own <= wanted, f'{used - own - wanted}'


def cases(build, source, folder):
    root = os.path.join(folder, 'root')
    status, text = run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet'], env=dict(os.environ, DESTDIR=root))
    yield 'meson install', status == 0, text
    if status != 0:
        return
    wanted = declared(os.path.join(source, 'include/tbos/tbos.h')) | declared(os.path.join(source, 'include/tbos/file.h'))
    yield 'the headers declare functions', len(wanted) > 50, ''
    for name, flags in (('libtbos.so', ('-D',)), ('libtbos.a', ('-g',))):
        shown = exported(find(root, name), *flags)
        yield f'{name} shows what the headers declare', shown == wanted, f'missing {wanted - shown}, surplus {shown - wanted}'
    for name, says in (('example', 'slept'), ('example_files', 'the same name again: -17')):
        example = os.path.join(source, f'docs/{name}.c')
        for language, compiler in (('c', 'gcc'), ('c++', 'g++')):
            for libraries in (['--libs'], ['--libs', '--static']):
                yield (f'{name} in {language}, {"static" if len(libraries) > 1 else "shared"} library',
                       *compile_and_run(compiler, language, example, says, root, libraries, folder))
    archive = os.path.join(source, 'tests/fuzz/seeds/fuzz_unpack/zstd')
    yield ('example_tree', *compile_and_run('gcc', 'c', os.path.join(source, 'docs/example_tree.c'), 'hello', root, ['--libs'], folder,
                                            [archive, 'sim', '1']))
    if declared_sqlite(root):
        yield ('example_sqlite', *compile_and_run('gcc', 'c', os.path.join(source, 'docs/example_sqlite.c'), 'integrity_check = ok', root, ['--libs'],
                                                  folder, package='tbos-sqlite'))
        yield ('the VFS imports what the library shows', *imports(root, wanted))
    status, text = run([find(root, 'tbos-sim'), '-c', 'uptime'])
    yield 'installed tbos-sim', status == 0, text
    for notice in ('LZ4.txt', 'zstd.txt', 'xxHash.txt', 'LICENSE'):
        yield f'notice {notice}', os.path.getsize(find(root, notice)) > 500, ''


def main():
    failed, number = 0, 0
    with tempfile.TemporaryDirectory(prefix='tbos-install-') as folder:
        for number, (what, good, text) in enumerate(cases(sys.argv[1], sys.argv[2], folder), 1):
            failed += not good
            print(('ok' if good else 'not ok'), number, '-', what)
            if not good:
                print('\n'.join('# ' + line for line in text.splitlines()[-20:]))
    print(f'1..{number}')
    return 1 if failed else 0


sys.exit(main())
