# SPDX-License-Identifier: MIT
#
# calc_4k on its board: it boots in 4 KiB, calculates, survives what is typed, shares its CPU, and reports faults.
#   calc_test.py IMAGE
import os
import re
import subprocess
import sys

from board import Board, expect, image_from_arguments, run

IMAGE = image_from_arguments()
LAMP = 0x40006080  # port C, bit 5


def board():
    made = Board('lm3s811evb', IMAGE)
    made.until('> ')
    return made


def boots_and_exits_with_the_status():
    for status in (0, 7, 255):
        with board() as b:
            b.send(f'exit {status}\r')
            _, got = b.end()
            expect(got == status, 'exit status', got, 'instead of', status)


def exit_says_how_the_last_line_ended():
    for line, status in (('1/0', 1), ('1+1', 0), ('exit 300', 2)):
        with board() as b:
            b.line(line)
            b.send('exit\r')
            _, got = b.end()
            expect(got == status, line, 'exit status', got, 'instead of', status)


def the_front_door_runs_it():
    """What `tbos qemu --arch cortex_m -c` does with a build."""
    folder = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(IMAGE)), '../../..'))
    script = ('import sys, types, qemu; args = dict(machine=None, cpus=None, mem=None, initrd=None, initramfs=None, line="", flags=[], commands=sys.argv[2]); '
              'sys.exit(qemu.run_board(sys.argv[1], types.SimpleNamespace(**args), "calc_4k"))')
    for line, status in (('1+2*3', 0), ('1+2; 1/0', 1), ('exit 9', 9)):
        done = subprocess.run([sys.executable, '-B', '-c', script, folder, line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              cwd=os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../tools/front'))
        expect(done.returncode == status, line, 'status', done.returncode, 'instead of', status, done.stdout[-300:], done.stderr[-300:])
        expect(status == 9 or '#1 = ' in done.stdout, line, 'has no result', done.stdout)


def a_kibibyte_is_free_at_the_prompt():
    with board() as b:
        free = int(re.match(r'(\d+) of 4096 bytes free', b.line('mem')).group(1))
        expect(free >= 1024, free, 'bytes free')
        return f'{free} bytes'


def calculates():
    table = {
        '2+3*4': '14', '(2+3)*4': '20', '-7/2': '-3.5', '10/3': '3.333333', '2/3': '0.666667', '0.1+0.2': '0.3', '2--3': '5', '-(-(4))': '4',
        '1.5*1.5': '2.25', '9223372036854.775807': '9223372036854.775807', '0-9223372036854.775807-0.000001': '-9223372036854.775808',
        '3000000*3000000': '9000000000000', '.5+.25': '0.75', ' 1 + 1 ': '2', '0.0000005': '0.000001', '1/3*3': '0.999999',
    }
    with board() as b:
        for number, (text, result) in enumerate(table.items(), 1):
            answer = b.line(text)
            expect(answer == f'#{number} = {result}', text, 'gave', repr(answer))


def keeps_a_history():
    with board() as b:
        for text in ('1+1', 'ans*10', 'ans/4', '#1+#3', '#2'):
            b.line(text)
        expect(b.line('history') == '#2: ans*10 = 20\n#3: ans/4 = 5\n#4: #1+#3 = 7\n#5: #2 = 20', b.line('history'))
        expect(b.line('#1') == 'error at 1: no such result', 'a result that has gone')
        expect(b.line('#99999999999') == 'error at 1: no such result', 'a result that never was')


def refuses_what_is_wrong_and_goes_on():
    table = {
        '1/0': 'error at 4: division by zero', '9999999*9999999': 'error at 16: number too large', '1+': 'error at 3: not understood',
        '(1': 'error at 3: not understood', '1)': 'error at 2: not understood', '1 2': 'error at 3: not understood', 'foo': 'error at 1: not understood',
        '*': 'error at 1: not understood', '.': 'error at 1: not understood', '((((((((((((((1': 'error at 13: nested too deep',
        '1-(1-(1-(1-(1-(1-(1-(1-1': 'error at 20: nested too deep', '99999999999999999999999': 'error at 1: number too large',
        '#': 'error at 1: no such result', 'spin 0': 'usage: spin [MS]', 'exit 256': 'usage: exit [0-255]', 'exit 1 2': 'usage: exit [0-255]',
    }
    with board() as b:
        for text, result in table.items():
            answer = b.line(text)
            expect(answer == result, text, 'gave', repr(answer))
        expect(b.line('1+1') == '#1 = 2', 'the next line')


def survives_hostile_lines():
    with board() as b:
        expect(b.line('1' * 39) == 'error at 1: number too large', 'the longest line')
        expect(b.line('1' * 5000).endswith('error: longer than 39 characters'), 'a long line')
        expect(b.line(b'\x01\x02') == 'error: byte 0x01 is no text', 'control bytes')
        expect(b.line(b'1\x00+1') == 'error: byte 0x00 is no text', 'a zero byte')
        expect(b.line(bytes(range(128, 256))) == 'error: byte 0x80 is no text', 'high bytes')
        expect(b.line(b'\x1b[A\x1b[999;99~1+1') == '#1 = 2', 'escape sequences')
        expect(b.line(b'99\x7f\x7f\x7f\x083') == '#2 = 3', 'more rubbed out than there is')
        expect(b.line(b'garbage\x154*4') == '#3 = 16', 'a line wiped out')
        expect(b.line(b'%s%n%x') == 'error at 1: not understood', 'a format')
        free = b.line('mem')
        expect('1024 of 4096 bytes free, least 1024' in free, free)


def two_busy_threads_share_the_cpu():
    with board() as b:
        found = re.match(r'spin: (\d+) and (\d+), (\d+) turns', b.line('spin 1000'))
        left, right, turns = (int(text) for text in found.groups())
        expect(abs(left - right) < 0.03 * (left + right) / 2, left, right)
        expect(245 <= turns <= 255, turns, 'turns of 2 ms in a second')
        return f'{100 * left / (left + right):.2f} %, {turns} turns'


def timers_are_never_early_and_hardly_late():
    with board() as b:
        for how in ('', ' busy'):
            found = re.match(r'timer: (\d+) early, late by (\d+) us on average, (\d+) us at most', b.line('timer 100' + how))
            early, average, worst = (int(text) for text in found.groups())
            expect(early == 0, found.group())
        # Busy, the clock is the instructions' alone.
        expect(average <= 60 and worst <= 300, found.group())
        return found.group()


def the_lamp_beats():
    with board() as b:
        seen = set()
        for _ in range(40):
            seen.add(b.word(LAMP) != 0)
            b.line('timer 5')
        expect(seen == {True, False}, 'the lamp stays', seen)


def faults_are_reported():
    table = {
        'null': r'memory fault: access violation at 00000010', 'divide': r'usage fault: divide by zero', 'undefined': r'usage fault: undefined instruction',
        'stack': r'memory fault: stack overflow', 'execute': r'memory fault: execution of memory that holds no code',
    }
    for kind, wanted in table.items():
        with board() as b:
            b.send(f'fault {kind}\r')
            text, status = b.end()
            expect(re.search('fault: ' + wanted, text), kind, 'gave', text)
            expect(status == 125, kind, 'ended with', status)
            expect(kind in ('stack', 'execute') or re.search(r'\npc 0000[0-9a-f]{4} lr [0-9a-f]{8} xpsr', text), 'no registers:', text)
            expect(kind == 'stack' or re.search(r'return addresses:( 0000[0-9a-f]{4})+', text), 'no return addresses:', text)


def a_panic_is_reported():
    with board() as b:
        b.send('fault panic\r')
        text, status = b.end()
        expect('panic: asked for by the user' in text and status == 125, text, status)


def faults_reboot_by_policy():
    with board() as b:
        b.line('2*2')
        b.line('onfault reboot')
        b.send('fault divide\r')
        b.until('calc_4k: a calculator')
        b.until('> ')
        expect(b.line('ans') == 'error at 1: no such result', 'memory survived')
        b.send('reboot\r')
        b.until('> ')
        expect(b.line('1+2') == '#1 = 3', 'after a reboot')


sys.exit(run([boots_and_exits_with_the_status, exit_says_how_the_last_line_ended, the_front_door_runs_it,
              a_kibibyte_is_free_at_the_prompt, calculates, keeps_a_history, refuses_what_is_wrong_and_goes_on,
              survives_hostile_lines, two_busy_threads_share_the_cpu, timers_are_never_early_and_hardly_late, the_lamp_beats, faults_are_reported,
              a_panic_is_reported, faults_reboot_by_policy]))
