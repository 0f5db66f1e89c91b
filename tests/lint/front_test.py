# SPDX-License-Identifier: MIT
#
# The front door's own judgement: how it counts points, what it takes for a failure, which package sources it derives. TAP.
import contextlib
import io
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tools/front'))

import matrix  # noqa: E402
import packages  # noqa: E402
import qemusweep  # noqa: E402
import stall  # noqa: E402
import suites  # noqa: E402
import ui  # noqa: E402

DEB_LINES = '''deb [signed-by=/x.gpg] http://one.invalid/debian bookworm main
deb http://one.invalid/debian bookworm-updates main contrib
deb http://two.invalid/other stable-two main
# deb http://three.invalid/debian bookworm main
'''
DEB_STANZAS = '''Types: deb
URIs: http://one.invalid/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://two.invalid/other
Suites: nodistro
Components: main

Types: deb
Enabled: no
URIs: http://three.invalid/debian
Suites: bookworm
Components: main
'''


def derive(name, text, release=None):
    """The text of the source lists derived from one file of an apt folder; of those for binaries of another release."""
    with tempfile.TemporaryDirectory() as folder:
        apt, out = os.path.join(folder, 'apt'), os.path.join(folder, 'out')
        os.makedirs(os.path.join(apt, 'sources.list.d'))
        os.makedirs(out)
        with open(os.path.join(apt, name), 'w', encoding='utf-8') as file:
            file.write(text)
        count = packages.binary_lists(out, release, apt, 'bookworm') if release else packages.source_lists(out, apt, 'bookworm')
        written = ''
        for path in sorted(os.listdir(out)):
            with open(os.path.join(out, path), encoding='utf-8') as file:
                written += file.read()
        return count, written


def numbers(count):
    return count.passed, count.failed, count.skipped


def judged(result, is_tap, stdout=''):
    return numbers(suites.judge({'result': result, 'stdout': stdout}, is_tap))


class FakeBuild:
    flavour, name, folder = 'asan', 'asan-gcc', '/nowhere'


def row_result(entries, took, tests=('a',), budget_s=10):
    """What run_row makes of a suite that left these log entries and took so long."""
    saved = suites.introspect, suites.meson_test
    suites.introspect = lambda build, what: [{'name': name, 'suite': ['tbos:unit'], 'protocol': 'exitcode'} for name in tests]
    suites.meson_test = lambda build, row, tier, total: (entries, (took, took))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            count, _ = suites.run_row(FakeBuild(), suites.Row('unit', 'asan-gcc', 'quick', budget_s, {}), 'quick')
        return numbers(count)
    finally:
        suites.introspect, suites.meson_test = saved


def duration(text):
    try:
        return ui.parse_duration(text)
    except ui.Failure:
        return 'refused'


def matrix_of(personas, overlays):
    try:
        return [(cell.persona, ','.join(cell.overlays), cell.target) for cell in matrix.cells(personas, overlays)]
    except ui.Failure as failure:
        return failure.what


def swept(returncode, text):
    """Whether qemu-sweep lets a boot of x86-64 pass."""
    return qemusweep.judge('x86_64', returncode, text) is None


def watched(script):
    """Status of a test that runs `script`, how many the watch took for stuck, and whether it named what they ran."""
    text = []
    root = subprocess.Popen(['/bin/sh', '-c', f'{script} & wait $!; exit $?'])
    watch = stall.Watch(root.pid, text.append, stall_s=1.0, look_s=0.1)
    watch.debugger = False
    watch.start()
    status = root.wait()
    watch.stop()
    return status, watch.found, any(script in line for line in text)


def cases():
    tap = '1..5\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no host\n    not ok 1 - subtest\nok 4 - d\n# ok\n'
    good = {'name': 'a', 'result': 'OK', 'returncode': 0}
    bad = {'name': 'a', 'result': 'FAIL', 'returncode': 1}
    yield 'TAP points', numbers(suites.tap_points(tap)), (2, 1, 1)
    yield 'a skipped plan', numbers(suites.tap_points('1..0 # SKIP nothing here\n')), (0, 0, 1)
    yield 'exit status 0', judged('OK', False), (1, 0, 0)
    yield 'exit status 1', judged('FAIL', False), (0, 1, 0)
    yield 'exit status 77', judged('SKIP', False), (0, 0, 1)
    yield 'a timeout', judged('TIMEOUT', False), (0, 1, 0)
    yield 'TAP cut short by a crash', judged('ERROR', True, 'ok 1 - a\n'), (1, 1, 0)
    yield 'TAP with a failed point is one failure', judged('FAIL', True, 'ok 1 - a\nnot ok 2 - b\n'), (1, 1, 0)
    yield 'TAP without a point', judged('OK', True, '1..0\n'), (0, 1, 0)
    yield 'suite in time', row_result([good], 9), (1, 0, 0)
    yield 'suite over its budget', row_result([good], 11), (1, 1, 0)
    yield 'suite with a failure', row_result([good, bad], 1), (1, 1, 0)
    yield 'suite without tests', row_result([], 1, tests=()), (0, 1, 0)
    for tier in suites.TIERS:
        budget_s = sum(row.budget_s for row in suites.rows(tier))
        yield f'budgets of the {tier} tier leave a fifth of its time to builds', budget_s <= suites.LIMIT_S[tier] * 0.8, True
    yield 'the explanation of a failed point is shown', suites.failed_points('ok 1\n# x\nnot ok 2\n# why\n# how\nok 3\n# y\n'), [
        'not ok 2', '# why', '# how']
    yield 'a small persona comes bare, as a process and on its board', matrix_of(['calc_4k'], []), [('calc_4k', '', 'hosted'), ('calc_4k', '', 'cortex_m')]
    yield 'a large one with the overlays that suit it, too', len(matrix_of(['super_1g'], [])), 2 + 2 * len(matrix.FULL_OVERLAYS)
    yield 'overlays that are named', matrix_of(['super_1g'], ['wide_trace']), [('super_1g', 'wide_trace', 'hosted'), ('super_1g', 'wide_trace', 'x86_64')]
    yield 'a persona that is none', matrix_of(['nosuch'], []), 'there is no nosuch in config/personas'
    yield 'an overlay that is none', matrix_of([], ['nosuch']), 'there is no nosuch in config/packages'
    good = 'contents right; digest 1\ncontents right; digest 2\ncheck: all invariants hold\n'
    yield 'a boot that qemu-sweep lets pass', swept(1, good), True
    yield 'boots that it does not', [swept(3, good), swept(1, good[10:]), swept(1, good + 'shutdown: 1 frames were not given back'), swept(-9, good)], [False] * 4
    yield 'what hangs is named and ended', watched('sleep 71'), (137, 1, True)
    yield 'what works long is left alone', watched("timeout -s INT 2 sh -c 'while :; do :; done'"), (124, 0, False)
    yield 'durations', [duration(text) for text in ('90', '90s', '10m', '2h', 'x', '0', '')], [90, 90, 600, 7200] + ['refused'] * 3
    count, text = derive('sources.list', DEB_LINES)
    yield 'one-line sources: entries of the distribution', count, 2
    yield 'one-line sources: text', text, ('deb-src [signed-by=/x.gpg] http://one.invalid/debian bookworm main\n'
                                          'deb-src http://one.invalid/debian bookworm-updates main contrib\n')
    _, text = derive('sources.list', DEB_LINES, 'trixie')
    yield 'another release, one-line lists', text, 'deb [signed-by=/x.gpg] http://one.invalid/debian trixie main\n'
    _, text = derive('sources.list.d/debian.sources', DEB_STANZAS, 'trixie')
    yield 'another release, stanzas', text, 'Types: deb\nURIs: http://one.invalid/debian\nSuites: trixie\nComponents: main\n'
    count, text = derive('sources.list.d/debian.sources', DEB_STANZAS)
    yield 'stanza sources: entries of the distribution', count, 1
    yield 'stanza sources: text', (text.count('Types: deb-src'), 'two.invalid' in text, 'three.invalid' in text), (1, False, False)


def main():
    failed, number = 0, 0
    for number, (what, got, wanted) in enumerate(cases(), 1):
        failed += got != wanted
        print(('ok' if got == wanted else 'not ok'), number, '-', what)
        if got != wanted:
            print(f'# got {got!r}, wanted {wanted!r}')
    print(f'1..{number}')
    return 1 if failed else 0


sys.exit(main())
