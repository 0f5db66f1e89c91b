# SPDX-License-Identifier: MIT
#
# A board in QEMU and a conversation with it: the serial line on a socket, QEMU's own monitor (QMP) beside it, TAP out. Time is
# virtual (-icount): a busy host makes a test slow, not wrong. Without QEMU the tests count as skipped.
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

QEMU = 'qemu-system-arm'
PATIENCE_S = 240


class Lost(Exception):
    """The board did not say what was expected."""


class Board:
    """One run of an image. `line(text)` sends a line and gives what came before the next prompt."""

    def __init__(self, machine, image, icount='shift=4', prompt='> '):
        self.folder = tempfile.mkdtemp(prefix='tbos-board-')
        self.prompt, self.text, self.status = prompt, '', None
        paths = [os.path.join(self.folder, name) for name in ('serial', 'qmp')]
        listeners = []
        for path in paths:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(PATIENCE_S)
            listeners.append(listener)
        command = [QEMU, '-M', machine, '-display', 'none', '-serial', f'unix:{paths[0]}', '-qmp', f'unix:{paths[1]}', '-monitor', 'none',
                   '-semihosting-config', 'enable=on,target=native', '-kernel', image]
        if icount:
            command += ['-icount', icount]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.serial, self.qmp = (listener.accept()[0] for listener in listeners)
        self.qmp_file = self.qmp.makefile('rw', encoding='utf-8')
        self.qmp_file.readline()
        self.monitor('qmp_capabilities')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def monitor(self, command, **arguments):
        self.qmp_file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if 'return' in answer or 'error' in answer:
                return answer.get('return')

    def hmp(self, line):
        return self.monitor('human-monitor-command', **{'command-line': line})

    def word(self, address):
        """A word of the board's memory or of a device's register."""
        return int(self.hmp(f'xp /1wx {address}').split(':')[1], 0)

    def send(self, data):
        self.serial.sendall(data if isinstance(data, bytes) else data.encode())

    def more(self, wait_s):
        if not select.select([self.serial], [], [], wait_s)[0]:
            return False
        data = self.serial.recv(4096)
        self.text += data.decode('latin-1')
        return bool(data)

    def until(self, wanted, patience_s=PATIENCE_S):
        """Everything up to and with `wanted`."""
        end = time.monotonic() + patience_s
        while wanted not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not self.more(left):
                raise Lost(f'waited for {wanted!r}, got {self.text[-600:]!r}')
        at = self.text.index(wanted) + len(wanted)
        got, self.text = self.text[:at], self.text[at:]
        return got.replace('\r\n', '\n')

    def line(self, text):
        self.send(text + '\r' if isinstance(text, str) else text + b'\r')
        answer = self.until('\n' + self.prompt)
        return answer.split('\n', 1)[1].removesuffix('\n' + self.prompt)

    def end(self):
        """The rest of what it says, and QEMU's exit status."""
        while self.more(PATIENCE_S):
            pass
        return self.text.replace('\r\n', '\n'), self.process.wait(timeout=PATIENCE_S)


def run(tests):
    """Runs functions named after what holds; each gets nothing and raises, or returns a remark."""
    if shutil.which(QEMU) is None:
        print(f'1..0 # skip {QEMU} is missing: ./tools/tbos setup')
        return 0
    failed = 0
    print(f'1..{len(tests)}')
    for number, test in enumerate(tests, 1):
        try:
            remark = test() or ''
            print(f'ok {number} - {test.__name__}' + (f' # {remark}' if remark else ''), flush=True)
        except (AssertionError, Lost, OSError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f'not ok {number} - {test.__name__}', flush=True)
            for line in str(error).splitlines() or [repr(error)]:
                print(f'# {line}')
    return 1 if failed else 0


def expect(condition, *what):
    if not condition:
        raise AssertionError(' '.join(str(part) for part in what))


def image_from_arguments():
    return sys.argv[1]
