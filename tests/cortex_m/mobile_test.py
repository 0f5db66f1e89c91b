# SPDX-License-Identifier: MIT
#
# mobile_64k on its board: the serial line, the keys, the display, the replay of a real program's allocations.
#   mobile_test.py IMAGE WINDOW OBJCOPY WINDOW_TOOL
import os
import re
import subprocess
import sys
import tempfile
import time

from board import Board, expect, run

IMAGE, WINDOW, OBJCOPY, WINDOW_TOOL = sys.argv[1:]
FONT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../src/core/app/font.c')
PROMPT = '\n\r> \x1b[K\r\x1b[2C'  # as the line editor shows it
WINDOW_SIZE = 32768
LAMP = 0x40025004  # port F, bit 0
SCALE = 4  # QEMU draws each pixel four times as large
COLUMNS, ROWS = 128, 64


class Mobile(Board):
    def __init__(self, image=IMAGE):
        super().__init__('lm3s6965evb', image)
        self.until(PROMPT)

    def line(self, text):
        """The answer; what the editor shows while typing ends with the first line."""
        self.send(text + '\r' if isinstance(text, str) else text + b'\r')
        answer = self.until(PROMPT).split('\n', 1)[1]
        return '' if answer == PROMPT[1:] else answer.removesuffix(PROMPT)

    def until(self, wanted, patience_s=240):
        return super().until(wanted.replace('\n', '\r\n', 1) if wanted.startswith('\n') else wanted, patience_s).replace('\r\n', '\n')

    def key(self, name):
        for down in (True, False):
            self.monitor('input-send-event', events=[{'type': 'key', 'data': {'down': down, 'key': {'type': 'qcode', 'data': name}}}])
            time.sleep(0.05)

    def picture(self):
        """Lit pixels of the display, as a set of (x, y)."""
        path = os.path.join(self.folder, 'screen.ppm')
        self.hmp(f'screendump {path}')
        for _ in range(100):
            if os.path.exists(path) and os.path.getsize(path) >= COLUMNS * ROWS * SCALE * SCALE * 3:
                break
            time.sleep(0.02)
        with open(path, 'rb') as file:
            data = file.read()
        pixels = data[-COLUMNS * SCALE * ROWS * SCALE * 3:]
        lit = set()
        for y in range(ROWS):
            for x in range(COLUMNS):
                if pixels[((y * SCALE + 1) * COLUMNS * SCALE + x * SCALE + 1) * 3] > 40:
                    lit.add((x, y))
        return lit

    def shows(self, column, row, text, inverse=False, patience_s=120):
        """Waits until the display shows the text there, pixel by pixel."""
        end = time.monotonic() + patience_s
        wanted = drawn(column, row, text, inverse)
        while True:
            area = {(x, y) for x in range(column * 6, (column + len(text)) * 6) for y in range(row * 8, row * 8 + 8)}
            seen = self.picture() & area
            if seen == wanted:
                return
            expect(time.monotonic() < end, f'the display does not show {text!r} at {column},{row}:\n' + art(seen, column, row, len(text)))


def font():
    with open(FONT, encoding='utf-8') as file:
        return [[int(byte, 16) for byte in row.split(',')] for row in re.findall(r'\{((?:0x[0-9a-f]{2}(?:, )?){5})\}', file.read())]


GLYPHS = font()


def drawn(column, row, text, inverse):
    lit = set()
    for index, char in enumerate(text):
        for x in range(6):
            bits = (GLYPHS[ord(char) - 32][x] if x < 5 else 0) ^ (0xff if inverse else 0)
            lit |= {((column + index) * 6 + x, row * 8 + y) for y in range(8) if bits >> y & 1}
    return lit


def art(lit, column, row, width):
    return '\n'.join(''.join('#' if (x, y) in lit else '.' for x in range(column * 6, (column + width) * 6))
                     for y in range(row * 8, row * 8 + 8))


def boots_and_exits_with_the_status():
    with Mobile() as b:
        b.send('exit 42\r')
        _, status = b.end()
        expect(status == 42, status)


def forty_kibibytes_are_free_at_the_prompt():
    with Mobile() as b:
        answer = b.line('mem')
        free = int(re.match(r'(\d+) of 65536 bytes free', answer).group(1))
        expect(free >= 40 * 1024, answer)
        return f'{free} bytes'


def applications_answer_over_the_serial_line():
    table = [
        ('2+3*4', '#1 = 14'), ('ans/0', 'error at 6: division by zero'), ('ans*2', '#2 = 28'), ('history', '#1: 2+3*4 = 14\n#2: ans*2 = 28'),
        ('note add milk and bread', 'note 1'), ('note add call Ada', 'note 2'), ('note', '1: milk and bread\n2: call Ada'),
        ('note delete 1', ''), ('note list', '1: call Ada'), ('note delete 2', 'error: there is no note 2'),
        ('note delete x', 'error: there is no note x'), ('note burn 1', 'usage: note [list | add TEXT | delete N]'),
        ('clock set 23:59:58', '23:59:58'), ('clock set 24:00', 'error: no time: HH:MM or HH:MM:SS'),
        ('clock set 1:2', 'error: no time: HH:MM or HH:MM:SS'), ('clock alarm 0', 'error: an alarm is 1 to 86400 seconds away'),
    ]
    with Mobile() as b:
        for text, wanted in table:
            answer = b.line(text)
            expect(answer == wanted, text, 'gave', repr(answer))
        ps = b.line('ps')
        for name in ('notes', 'calc', 'clock', 'panel', 'shell'):
            expect(re.search(rf'\d+ {name} ', ps), 'no thread', name, 'in', ps)


def notes_have_a_limit_and_give_memory_back():
    with Mobile() as b:
        before = b.line('mem').split(' of')[0]
        for number in range(1, 13):
            expect(b.line(f'note add {"x" * 70}') == f'note {number}', 'note', number)
        expect(b.line('note add one more') == 'error: no room for another note', 'the thirteenth')
        for _ in range(12):
            expect(b.line('note delete 1') == '', 'deleting')
        after = b.line('mem').split(' of')[0]
        expect(before == after, before, 'free before,', after, 'after')


def the_line_editor_edits():
    with Mobile() as b:
        expect(b.line('1+2\x1b[D\x1b[D5') == '#1 = 17', 'cursor left')
        expect(b.line('\x1b[A*2') == '#2 = 19', 'history by the up key')
        expect(b.line('hist\t').startswith('#1: 15+2 = 17'), 'completion')
        expect(b.line(b'\xff\xfe2*4') == '#3 = 8', 'malformed UTF-8 is dropped')
        expect(b.line('1+' * 300 + '1') == '#4 = 48', 'what does not fit the line is not taken')
        expect(b.line('7*6') == '#5 = 42', 'afterwards')


def the_menu_moves():
    with Mobile() as b:
        b.shows(0, 0, 'TBOS' + ' ' * 17, inverse=True)
        b.shows(1, 2, 'Calculator  ', inverse=True)
        b.shows(1, 3, 'Notes       ')
        b.key('down')
        b.shows(1, 2, 'Calculator  ')
        b.shows(1, 3, 'Notes       ', inverse=True)
        b.key('down')
        b.key('down')
        b.shows(1, 4, 'Clock       ', inverse=True)
        b.key('up')
        b.shows(1, 3, 'Notes       ', inverse=True)


def the_calculator_has_a_pad():
    with Mobile() as b:
        b.key('ctrl')
        b.shows(0, 0, 'Calculator', inverse=True)
        # 7 * 5 = with the keys where they are drawn; each press is seen before the next one.
        b.key('ctrl')
        b.shows(0, 1, '7 ')
        for key in ('right', 'right', 'right', 'down', 'ctrl'):
            b.key(key)
        b.shows(0, 1, '7* ')
        for key in ('left', 'left', 'ctrl'):
            b.key(key)
        b.shows(0, 1, '7*5 ')
        for key in ('down', 'down', 'right', 'ctrl'):
            b.key(key)
        b.shows(0, 2, '35 ')
        expect(b.line('ans+1') == '#2 = 36', 'the history is shared')


def notes_are_read_on_the_display():
    with Mobile() as b:
        b.line('note add Buy milk')
        b.line('note add Call Ada')
        b.key('down')
        b.key('ctrl')
        b.shows(0, 0, 'Notes: 2', inverse=True)
        b.shows(0, 1, 'Buy milk ')
        b.shows(0, 2, 'Call Ada ')
        b.key('down')
        b.shows(0, 1, 'Call Ada ')
        b.key('left')
        b.shows(0, 0, 'TBOS ', inverse=True)


def the_clock_goes_and_rings():
    with Mobile() as b:
        b.line('clock set 23:59:58')
        b.key('down')
        b.key('down')
        b.key('ctrl')
        b.shows(0, 0, 'Clock', inverse=True)
        first = b.picture()
        expect(b.line('clock alarm 1').endswith('alarm set'), 'an alarm')
        seen = set()
        for _ in range(120):
            b.line('timer 2')
            seen.add(b.word(LAMP) & 1)
        expect(seen == {0, 1}, 'the lamp does not flash', seen)
        b.shows(0, 6, 'alarm! ')
        expect(b.picture() != first, 'the display stands still')
        answer = b.line('clock')
        expect(re.fullmatch(r'00:00:\d\d alarm!', answer), answer)
        expect(not b.line('clock').endswith('alarm!'), 'looking silences it')


def two_busy_threads_share_the_cpu():
    with Mobile() as b:
        found = re.match(r'spin: (\d+) and (\d+), (\d+) turns', b.line('spin 1000'))
        left, right, turns = (int(text) for text in found.groups())
        expect(abs(left - right) < 0.03 * (left + right) / 2 and 122 <= turns <= 128, found.group())
        return found.group()


def a_real_programs_allocations_replay():
    with tempfile.TemporaryDirectory() as folder:
        padded, image = os.path.join(folder, 'window'), os.path.join(folder, 'image')
        with open(WINDOW, 'rb') as file:
            data = file.read()
        with open(padded, 'wb') as file:
            file.write(data.ljust(WINDOW_SIZE, b'\0'))
        subprocess.run([OBJCOPY, '--update-section', f'.trace_window={padded}', IMAGE, image], check=True)
        wanted = subprocess.run([sys.executable, '-B', WINDOW_TOOL, 'digest', WINDOW], check=True, capture_output=True, text=True).stdout.strip()
        with Mobile(image) as b:
            before = b.line('mem').split(' of')[0]
            answer = b.line('replay')
            found = re.fullmatch(r'cc1: (\d+) events, (\d+) bytes at most, 0 refused\ncontents right; digest ([0-9a-f]{16})', answer)
            expect(found and found.group(3) == wanted, answer, 'instead of', wanted)
            expect(b.line('mem').split(' of')[0] == before, 'memory is missing after the replay')
        broken = bytearray(data)
        broken[200] ^= 1
        with open(padded, 'wb') as file:
            file.write(bytes(broken).ljust(WINDOW_SIZE, b'\0'))
        subprocess.run([OBJCOPY, '--update-section', f'.trace_window={padded}', IMAGE, image], check=True)
        with Mobile(image) as b:
            expect(b.line('replay').startswith('error at byte'), 'a damaged trace')
        return f'{found.group(1)} events, digest {wanted}'


def faults_and_panics_are_reported():
    for kind, wanted in (('null', 'access violation at 00000010'), ('divide', 'divide by zero'), ('stack', 'stack overflow')):
        with Mobile() as b:
            b.send(f'fault {kind}\r')
            text, status = b.end()
            expect(wanted in text and status == 125, kind, 'gave', text, status)


sys.exit(run([boots_and_exits_with_the_status, forty_kibibytes_are_free_at_the_prompt, applications_answer_over_the_serial_line,
              notes_have_a_limit_and_give_memory_back, the_line_editor_edits, the_menu_moves, the_calculator_has_a_pad,
              notes_are_read_on_the_display, the_clock_goes_and_rings, two_busy_threads_share_the_cpu, a_real_programs_allocations_replay,
              faults_and_panics_are_reported]))
