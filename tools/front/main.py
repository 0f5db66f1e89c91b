# SPDX-License-Identifier: MIT
#
# The commands of ./tools/tbos.
import argparse
import os
import sys

import builds
import crashsweep
import fssweep
import matrix
import packages
import qemu
import qemusweep
import sweep
import suites
from ui import ROOT, Failure, parse_duration, say


RUN_TEXT = 'build if needed and boot ./tbos-sim, which gets every further argument (its own list: run -- --help)'
BENCH_TEXT = (
    'measure, beside named peers; further arguments go to tests/bench/bench.py (its own list: bench -- --help); '
    "`bench bare`: images in the emulator; `bench files`: files beside the host's tmpfs; `bench fs`: PXFS beside ext4 and btrfs"
)


def add_build_options(parser):
    parser.add_argument('--persona', default=builds.DEFAULT_PERSONA, metavar='P', help='persona of config/personas (default: %(default)s)')
    parser.add_argument('--packages', default='', metavar='A,B', help='overlays of config/packages')
    parser.add_argument('--arch', choices=builds.ARCHES, help='an image for a machine of its own; default: a program of this Linux')
    parser.add_argument('--sanitize', choices=['asan', 'tsan'], help='asan: address and undefined behaviour; tsan: data races')
    parser.add_argument('--compiler', default='gcc', choices=list(builds.COMPILERS), help='default: %(default)s')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--release', dest='kind', action='store_const', const='release', help='optimised, no checks (default)')
    kind.add_argument('--debug', dest='kind', action='store_const', const='debug', help='all checks, all schedule points')


def words_of(text):
    return [word for word in text.split(',') if word]


def build_name(args):
    if args.arch:
        return ('baredebug-' if args.kind == 'debug' else 'bare-') + args.arch
    return f'{args.sanitize or args.kind or "release"}-{args.compiler}'


def command_setup(args):
    packages.setup(packages.BUILD if args.build_only else packages.ALL)
    say('setup: everything is there')


def command_build(args):
    if args.arch and (args.sanitize or args.compiler != 'gcc'):
        raise Failure('an image is built by gcc, without sanitizers', 'leave out --sanitize and --compiler, or --arch')
    made = builds.build(build_name(args), args.persona, words_of(args.packages))
    if args.arch and args.arch != 'cortex_m':
        qemu.size_report(made.folder)


def command_qemu(args):
    made = builds.build(build_name(args), args.persona, words_of(args.packages), quiet=True)
    return qemu.run_board(made.folder, args, made.persona) if args.arch == 'cortex_m' else qemu.run(made.folder, args)


def command_run(arguments):
    builds.build(quiet=True)
    simulator = os.path.join(ROOT, 'tbos-sim')
    if not os.path.exists(simulator):
        raise Failure('the build made no tbos-sim', 'see tools/tbos-sim/meson.build')
    os.execv(simulator, [simulator, *arguments])


def command_test(args):
    tier = 'quick' if args.quick else 'full' if args.full else 'normal'
    table = suites.rows(tier)
    if args.suite:
        table = [row for row in suites.rows('full') if row.suite in args.suite]
    return suites.run(table, tier, whole=not args.suite)


def command_lint(_):
    return suites.run([row for row in suites.rows('full') if row.suite in ('lint', 'lint-null', 'symbols')], 'normal')


def command_bench(arguments):
    packages.setup(packages.ALL)
    if arguments[:1] == ['bare']:
        os.execv(sys.executable, [sys.executable, '-B', os.path.join(ROOT, 'tests/bench/bench_bare.py'), *arguments[1:]])
    if arguments[:1] == ['fs']:
        packages.install(packages.BENCH_FS)
    made = builds.build('release-gcc', quiet=True)
    if arguments[:1] == ['fs']:
        script = os.path.join(ROOT, 'tests/bench/bench_fs.py')
        os.execv(sys.executable, [sys.executable, '-B', script, '--build', made.folder, *arguments[1:]])
    if arguments[:1] == ['files']:
        program = os.path.join(made.folder, 'tests/bench_files')
        os.execv(program, [program, *arguments[1:]])
    script = os.path.join(ROOT, 'tests/bench/bench.py')
    if not os.path.exists(script):
        raise Failure('tests/bench/bench.py is missing', 'it belongs to the repository: check the clone')
    os.execv(sys.executable, [sys.executable, '-B', script, '--build', made.folder, *arguments])


def command_fuzz(args):
    return sweep.fuzz(parse_duration(args.budget), args.target)


def command_sweep(args):
    return sweep.seeds(parse_duration(args.budget), args.first_seed)


def command_persona_ci(args):
    return matrix.persona_ci(words_of(args.personas), words_of(args.packages), args.json)


def command_qemu_sweep(args):
    return qemusweep.qemu_sweep(args.budget, [args.arch] if args.arch else builds.ARCHES, args.json)


def command_crash_sweep(args):
    return crashsweep.crash_sweep(args)


def command_fs_sweep(args):
    return fssweep.fs_sweep(args)


def qemu_options(parser):
    machines = '; '.join(f'{arch}: {" ".join(names)}' for arch, names in qemu.MACHINES.items())
    parser.add_argument('--arch', choices=builds.ARCHES, default='x86_64', help='default: %(default)s; cortex_m: the board of calc_4k or mobile_64k')
    parser.add_argument('--machine', metavar='M', help=f'default: the first of its architecture. {machines}')
    parser.add_argument('--persona', default=builds.DEFAULT_PERSONA, metavar='P', help='persona of config/personas (default: %(default)s)')
    parser.add_argument('--packages', default='', metavar='A,B', help='overlays of config/packages')
    parser.add_argument('--cpus', type=int, metavar='N', help="default: the persona's")
    parser.add_argument('--mem', metavar='SIZE', help="default: the persona's")
    parser.add_argument('--initrd', metavar='FILE', help='boot module, which monitor commands know as initrd')
    parser.add_argument('--initramfs', metavar='FILE', help='boot module that fills the file tree: a cpio archive, plain, LZ4 or Zstandard')
    parser.add_argument('--debug', dest='kind', action='store_const', const='debug', help='all checks')
    parser.add_argument('--line', default='', metavar='TEXT', help='more words for the boot command line')
    parser.add_argument('-c', dest='commands', metavar='COMMANDS', help='monitor commands, separated by ";"; without, the monitor is yours')
    parser.add_argument('flags', nargs='*', metavar='QEMU FLAG', help='after --, handed to the emulator')


def parser_make():
    parser = argparse.ArgumentParser(prog='./tools/tbos', description='TBOS: set up, build, run, test. Each command prepares what it needs.')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)

    def command(name, function, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        return sub

    sub = command('setup', command_setup, 'install missing packages (root or sudo) and fetch the sources of the wraps')
    sub.add_argument('--build-only', action='store_true', help='only what building and running need')
    add_build_options(command('build', command_build, 'build; ./tbos-sim then runs the result'))
    qemu_options(command('qemu', command_qemu, "build an image and boot it in the emulator; the exit status is the guest's"))
    command('run', None, RUN_TEXT)
    sub = command('persona-ci', command_persona_ci, 'build, boot and test personas with overlays, as processes and on their boards; logs stay')
    sub.add_argument('--personas', default='', metavar='A,B', help='default: all of config/personas')
    sub.add_argument('--packages', default='', metavar='A,B', help='overlays to combine each persona with; default: none, and each that suits')
    sub.add_argument('--json', action='store_true', help='the results as JSON')
    sub = command('test', command_test, 'run the tests; the last line sums them up')
    tier = sub.add_mutually_exclusive_group()
    tier.add_argument('--quick', action='store_true', help='the most telling part, some minutes')
    tier.add_argument('--full', action='store_true', help='everything, up to 90 minutes')
    sub.add_argument('suite', nargs='*', help='only these suites of tests/suites.conf, in all their builds')
    command('lint', command_lint, 'run the lints')
    command('bench', None, BENCH_TEXT)
    sub = command('fuzz', command_fuzz, 'run the libFuzzer targets, the budget shared among them')
    sub.add_argument('--budget', default='2m', metavar='TIME', help='90s, 10m, 2h (default: %(default)s)')
    sub.add_argument('target', nargs='*', help='only these')
    sub = command('qemu-sweep', command_qemu_sweep, 'stress the images in the emulator under new seeds until the budget is spent; goes on where it stopped')
    sub.add_argument('--budget', default='30m', metavar='TIME', help='90s, 10m, 2h, shared by the architectures (default: %(default)s)')
    sub.add_argument('--arch', choices=builds.ARCHES, help='only this one')
    sub.add_argument('--json', action='store_true', help='the sums so far as JSON')
    crashsweep.options(command('crash-sweep', command_crash_sweep, crashsweep.TEXT))
    fssweep.options(command('fs-sweep', command_fs_sweep, fssweep.TEXT))
    sub = command('sim-sweep', command_sweep, 'run the simulated tests under new seeds until the budget is spent')
    sub.add_argument('--budget', default='10m', metavar='TIME', help='90s, 10m, 2h (default: %(default)s)')
    sub.add_argument('--first-seed', type=int, metavar='N', help='default: behind the seeds that the suite runs')
    return parser


def dispatch(arguments):
    """`run` and `bench` hand their arguments on unread; the rest is argparse's."""
    passing = {'run': command_run, 'bench': command_bench}
    if arguments[:1] and arguments[0] in passing and arguments[1:2] not in (['--help'], ['-h']):
        rest = arguments[1:]
        return passing[arguments[0]](rest[1:] if rest[:1] == ['--'] else rest)
    args = parser_make().parse_args(arguments)
    return args.function(args)


def main():
    try:
        return dispatch(sys.argv[1:]) or 0
    except Failure as failure:
        print(f'tbos: {failure.what}', file=sys.stderr)
        if failure.do:
            print(f'tbos: what to do: {failure.do}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


sys.exit(main())
