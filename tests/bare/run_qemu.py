# SPDX-License-Identifier: MIT
#
# Runs the test bodies of a bare image in the emulator and prints TAP. The machine prints what it begins (tests/bare/tap.h): when it dies
# or hangs in a body, that body has failed, and the next boot goes on behind it. Bodies that must panic get a boot each.
#   run_qemu.py ARCH IMAGE [--machine M] [--cpus N] [--memory SIZE] [--filter PREFIX] [--timeout S] [--initrd FILE] [-- LINE…]
import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools/front'))
import qemu  # noqa: E402

BOOTS_MAX = 40
BOARD = 'lm3s6965evb'  # of Cortex-M, whatever the persona: it has the room


def boot_command(args, test):
    if args.arch == 'cortex_m': # time is virtual there: a busy host makes it slow, not wrong
        return qemu.board_command(BOARD, args.image, test, more=['-icount', 'shift=4'])
    line = ' '.join([f'test={test}', 'quiet', *args.line])
    return qemu.command(args.arch, args.image, args.machine, args.cpus, args.memory, line, args.initrd, nodes=args.nodes)


class Boot:
    """One run of the emulator: its lines, and whether it ended by itself."""

    def __init__(self, args, test):
        self.command = boot_command(args, test)
        self.lines, self.killed = [], False
        process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors='replace')
        timer = threading.Timer(args.timeout, self.kill, [process])
        timer.start()
        for text in process.stdout:
            self.lines.append(text.rstrip('\r\n'))
            timer.cancel()
            timer = threading.Timer(args.timeout, self.kill, [process])
            timer.start()
        process.wait()
        timer.cancel()
        self.status = qemu.status_of(args.arch, process.returncode)

    def kill(self, process):
        self.killed = True
        process.kill()


class Report:
    def __init__(self):
        self.rows = []

    def add(self, good, name, note='', detail=()):
        self.rows.append(good)
        print(f'{"ok" if good else "not ok"} {len(self.rows)} {name}{" # " + note if note else ""}')
        for text in detail:
            print('# ' + text)
        sys.stdout.flush()


def sweep(args, report):
    """The bodies that share a boot, going on behind what dies. Returns those that need a boot of their own."""
    first, alone = 0, []
    for _ in range(BOOTS_MAX):
        boot = Boot(args, f'{args.filter}@{first}')
        running = None
        for text in boot.lines:
            found = re.match(r'(# begin|# alone|ok|not ok) (\d+) (\S+)(?: # (.*))?$', text)
            if not found:
                continue
            word, index, name, note = found.group(1), int(found.group(2)), found.group(3), found.group(4) or ''
            if word == '# begin':
                running = (index, name)
            elif word == '# alone':
                alone.append((index, name, note))
            else:
                report.add(word == 'ok', name, note)
                running = None
            first = index + (word != '# begin')
        if '# end' in boot.lines:
            return alone
        where = running or (first, 'boot')
        why = f'no word for {args.timeout} s' if boot.killed else f'the machine ended, status {boot.status}'
        report.add(False, where[1], why, boot.lines[-25:] + ['repeat: ' + ' '.join(boot.command)])
        if running is None:
            return alone
        first = running[0] + 1
    report.add(False, 'boots', f'gave up after {BOOTS_MAX}')
    return alone


def must_panic(args, report, bodies):
    for index, name, expect in bodies:
        boot = Boot(args, f'{args.filter}@{index}!')
        text = '\n'.join(boot.lines)
        good = 'panic: ' in text and expect in text and ('backtrace:' in text or 'return addresses:' in text)
        report.add(good, name, 'panics' if good else f"no panic with '{expect}'", [] if good else boot.lines[-25:])


def pattern_module(args, folder):
    """What the bodies about modules read; on a board the window in the image, which by its head is an allocation trace of that size."""
    pattern = bytearray(i % 251 for i in range(10000))
    args.initrd = os.path.join(folder, 'pattern')
    if args.arch == 'cortex_m':
        pattern[0:4], pattern[16:20] = b'TBAT', ((10000 - 64) // 12).to_bytes(4, 'little')
    with open(args.initrd, 'wb') as file:
        file.write(pattern)
    if args.arch == 'cortex_m':
        image = os.path.join(folder, 'image')
        subprocess.run(['arm-none-eabi-objcopy', '--update-section', f'.trace_window={args.initrd}', args.image, image], check=True)
        args.image = image


def main():
    parser = argparse.ArgumentParser(description='run the test bodies of a bare image in QEMU')
    parser.add_argument('arch', choices=[*sorted(qemu.MACHINES), 'cortex_m'])
    parser.add_argument('image')
    parser.add_argument('--machine')
    parser.add_argument('--cpus', type=int, default=4)
    parser.add_argument('--memory', default='128M')
    parser.add_argument('--nodes', type=int, default=1)
    parser.add_argument('--filter', default='')
    parser.add_argument('--initrd')
    parser.add_argument('--pattern-module', action='store_true', help='boot with the module that the conformance bodies expect')
    parser.add_argument('--timeout', type=int, default=90, help='seconds without a word from the machine')
    parser.add_argument('line', nargs='*', help='more words for the boot command line')
    args = parser.parse_args()
    folder = tempfile.TemporaryDirectory(prefix='tbos-module-')
    if args.pattern_module:
        pattern_module(args, folder.name)
    try:
        report = Report()
        must_panic(args, report, sweep(args, report))
    except qemu.Failure as failure:
        sys.exit(f'run_qemu: {failure.what}: {failure.do}')
    print(f'1..{len(report.rows)}')
    return 0 if report.rows and all(report.rows) else 1


sys.exit(main())
