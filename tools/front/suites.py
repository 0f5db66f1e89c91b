# SPDX-License-Identifier: MIT
#
# The test run: rows of tests/suites.conf, each a suite of Meson tests in one build within a budget. Counts every TAP point;
# a test without TAP is one point. A suite over its budget, or without tests, is a failure: neither may slip away unseen.
import collections
import json
import os
import re
import resource
import shutil
import subprocess
import time

import builds
import packages
import stall
from ui import ROOT, Failure, Progress, say, show

PLAIN = 'release-gcc'
TIERS = ['quick', 'normal', 'full']
LIMIT_S = {'quick': 10 * 60, 'normal': 25 * 60, 'full': 90 * 60}  # whole runs on two cores, builds included
Row = collections.namedtuple('Row', 'suite build tier budget_s env')


class Count:
    """Points passed, failed and skipped."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def rows(tier):
    """The table's rows that this tier runs, in the table's order."""
    path = os.path.join(ROOT, 'tests/suites.conf')
    found = []
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            words = line.split('#')[0].split()
            if not words:
                continue
            if len(words) < 4 or words[2] not in TIERS or not words[3].isdigit() or not all('=' in word for word in words[4:]):
                raise Failure(f'{show(path)}:{number}: not a row', 'suite build quick|normal|full seconds [NAME=value]…')
            if TIERS.index(words[2]) <= TIERS.index(tier):
                found.append(Row(words[0], words[1], words[2], int(words[3]), dict(word.split('=', 1) for word in words[4:])))
    return found


def tsan_wrapper():
    """ThreadSanitizer of this age needs a host whose mappings are randomised by 28 bits at most, or not at all."""
    with open('/proc/sys/vm/mmap_rnd_bits', encoding='utf-8') as file:
        if int(file.read()) <= 28:
            return []
    if shutil.which('setarch') and subprocess.run(['setarch', '-R', 'true'], stderr=subprocess.DEVNULL).returncode == 0:
        return ['setarch', '-R']
    return None


def tap_points(text):
    """Counts of one TAP stream; indented lines belong to subtests and are not points."""
    count = Count()
    for line in text.splitlines():
        point = re.match(r'(not )?ok\b(.*)', line)
        if point is None:
            count.skipped += bool(re.match(r'1\.\.0\s*#\s*skip', line, re.I))
        elif re.search(r'#\s*skip', point.group(2), re.I):
            count.skipped += 1
        elif point.group(1):
            count.failed += 1
        else:
            count.passed += 1
    return count


def judge(entry, is_tap):
    """Points of one finished Meson test: what it printed, and what its end says beyond that."""
    count = tap_points(entry.get('stdout') or '') if is_tap else Count()
    good = entry['result'] in ('OK', 'EXPECTEDFAIL')
    if not is_tap and entry['result'] == 'SKIP':
        count.skipped += 1
    elif not is_tap and good:
        count.passed += 1
    elif not good and entry['result'] != 'SKIP' and count.failed == 0:
        count.failed += 1
    elif is_tap and good and count.passed + count.skipped == 0:
        count.failed += 1
    return count


def failed_points(text):
    """The failed points of a TAP stream, each with the comment that follows it."""
    shown, keep = [], False
    for line in text.splitlines():
        keep = line.startswith('not ok') or (keep and line.startswith('#'))
        if keep:
            shown.append(line)
    return shown


def report_failure(build, entry):
    out, err = (entry.get('stdout') or ''), (entry.get('stderr') or '')
    command = ' '.join(entry.get('command', []))
    say(f'FAILED {entry["name"]} ({build.name}): {entry["result"]}, exit {entry.get("returncode")}')
    lines = failed_points(out)[:40] or out.splitlines()[-40:]
    say('\n'.join('    ' + line for line in lines + err.splitlines()[-30:]))
    say(f'    repeat: {command}')


def cpu_seconds():
    """What finished children have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def introspect(build, what):
    done = subprocess.run(['meson', 'introspect', what, build.folder], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def tests_of(build, suites):
    """The Meson tests of some suites by name."""
    return {test['name']: test for test in introspect(build, '--tests') if any(s.split(':')[-1] in suites for s in test['suite'])}


def files_for(build, suites):
    """What ninja makes for these suites: a build that is only sampled need not be whole."""
    wanted = {target for test in tests_of(build, suites).values() for target in test['depends']}
    return sorted(os.path.relpath(name, build.folder) for target in introspect(build, '--targets') if target['id'] in wanted
                  for name in target['filename'])


def meson_test(build, row, tier, total):
    """Runs one suite; returns its log entries, the seconds it took, and the CPU seconds."""
    env = build.environment()
    env.setdefault('MALLOC_PERTURB_', '165')
    # Without the last word ThreadSanitizer sleeps a second at the end of every process, and each body is one.
    env.update(TBOS_TEST_TIER=tier, TSAN_OPTIONS='halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=0', **row.env)
    command = ['meson', 'test', '-C', build.folder, '--no-rebuild', '--suite', row.suite, '--logbase', 'log-' + row.suite]
    wrapper = tsan_wrapper() if build.flavour == 'tsan' else []
    if wrapper:
        command += ['--wrapper', ' '.join(wrapper)]
    log = os.path.join(build.folder, 'meson-logs', f'log-{row.suite}.json')
    if wrapper:
        log = os.path.join(build.folder, 'meson-logs', f'log-{row.suite}-{wrapper[0]}.json')
    if os.path.exists(log):
        os.unlink(log)
    bar = Progress(f'{row.suite} {build.name}')
    start, cpu = time.monotonic(), cpu_seconds()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors='replace')
    watch = stall.Watch(process.pid, say)
    watch.start()
    said, done = [], 0
    for line in process.stdout:
        said.append(line)
        if re.match(r'\s*\d+/\d+ ', line):
            done += 1
            bar.step(done, total, line.strip())
    process.wait()
    watch.stop()
    bar.close()
    took = time.monotonic() - start, cpu_seconds() - cpu
    if not os.path.exists(log):
        raise Failure(f'the suite {row.suite} left no log in {build.name}:\n' + ''.join(said[-20:]), f'repeat it with: {" ".join(command)}')
    with open(log, encoding='utf-8') as file:
        return [json.loads(line) for line in file], took


def run_row(build, row, tier):
    tests = tests_of(build, [row.suite])
    if not tests:
        say(f'FAILED {row.suite} ({build.name}): the build has no such tests')
        return Count(failed=1), (0.0, 0.0)
    if build.flavour == 'tsan' and tsan_wrapper() is None:
        say(f'skipped {row.suite} ({build.name}): vm.mmap_rnd_bits is above 28 and setarch -R is not allowed here')
        return Count(skipped=len(tests)), (0.0, 0.0)
    entries, took = meson_test(build, row, tier, len(tests))
    count = Count()
    for entry in entries:
        name = entry['name'].split(' / ')[-1]
        one = judge(entry, tests.get(name, {}).get('protocol') == 'tap')
        if one.failed:
            report_failure(build, entry)
        count.add(one)
    if took[0] > row.budget_s:
        say(f'FAILED {row.suite} ({build.name}): took {took[0]:.0f} s, its budget is {row.budget_s} s')
        count.failed += 1
    return count, took


def make(name, suites):
    """The plain build and images whole, because their suites try all that is finished; of the others what their suites run."""
    build = builds.Build(name)
    build.configure()
    whole = name == PLAIN or build.flavour in builds.CROSS
    return build.make([] if whole else files_for(build, suites))


def run(table, tier, whole=False):
    """Builds and runs every row; returns the exit status. The last line is the sum. A whole tier has a limit of its own."""
    if not table:
        raise Failure('no suite to run', 'see tests/suites.conf')
    packages.setup(packages.ALL)
    total, started, made = Count(), time.monotonic(), {}
    started_cpu = cpu_seconds()
    for row in table:
        if row.build not in made:
            start, cpu = time.monotonic(), cpu_seconds()
            try:
                made[row.build] = make(row.build, [other.suite for other in table if other.build == row.build])
                say(f'built {row.build} in {time.monotonic() - start:.0f} s, {cpu_seconds() - cpu:.0f} s of CPU')
            except Failure as failure:
                say(f'FAILED build {row.build}: {failure.what}')
                made[row.build] = None
                total.failed += 1
        if made[row.build] is None:
            continue
        count, took = run_row(made[row.build], row, tier)
        total.add(count)
        say(f'{row.suite:<12} {row.build:<14} {str(count):<40} {took[0]:6.0f} s of {row.budget_s}, {took[1]:.0f} s of CPU')
    minutes = (time.monotonic() - started) / 60
    say(f'in {minutes:.1f} min, {(cpu_seconds() - started_cpu) / 60:.1f} min of CPU')
    if whole and minutes * 60 > LIMIT_S[tier]:
        say(f'FAILED the {tier} run: it may take {LIMIT_S[tier] // 60} min')
        total.failed += 1
    say(str(total))
    return 1 if total.failed or not total.passed else 0
