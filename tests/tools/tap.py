# SPDX-License-Identifier: MIT
#
# What the tests of the finished programs share: TAP, and a tbos-sim that is talked to through pipes.
import os
import select
import subprocess
import sys
import time

TIMEOUT_S = 60


def run(cases):
    """Runs (name, function) pairs; one failure does not hide the others."""
    table = list(cases)
    failures = 0
    print(f'1..{len(table)}', flush=True)
    for number, (name, fn) in enumerate(table, 1):
        try:
            fn()
            print(f'ok {number} {name}', flush=True)
        except Exception as error:  # one failure must not hide the others
            failures += 1
            text = f'{type(error).__name__}: {str(error)[:3000]}'.replace('\n', '\n# ')
            print(f'not ok {number} {name}\n# {text}', flush=True)
    sys.exit(1 if failures else 0)


class Monitor:
    """A tbos-sim whose monitor reads a pipe."""

    def __init__(self, program, *arguments, cwd=None, before=None):
        self.process = subprocess.Popen([program, '--mem', '16M', *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, cwd=cwd, preexec_fn=before)
        self.marks = 0

    @property
    def pid(self):
        return self.process.pid

    def send(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()

    def ask(self, line):
        """The output of one line."""
        self.marks += 1
        mark = f'=={self.marks}=='
        self.send(line)
        self.send(f'echo {mark}')
        text, end = b'', time.monotonic() + TIMEOUT_S
        while mark.encode() + b'\n' not in text:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b''
            assert more, f'{line}: no answer: {text.decode(errors="replace")} {self.process.poll()}'
            text += more
        return text.decode()[:-len(mark) - 1]

    def end(self):
        self.process.kill()
        self.process.communicate()


def table(text, heading, keys):
    """Rows of words below the line that begins with `heading`, by the words in columns `keys`."""
    rows, on = {}, False
    for line in text.splitlines():
        words = line.split()
        if on and not words:
            break
        if on:
            rows[tuple(words[key] for key in keys)] = words
        on = on or line.split()[:1] == [heading]
    assert on, f'no line begins with {heading}: {text}'
    return rows
