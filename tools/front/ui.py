# SPDX-License-Identifier: MIT
#
# What the front door says: lines, a progress bar on a terminal (nothing in a pipe), failures that say what to do.
import os
import shutil
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, 'build')


class Failure(Exception):
    """An expected failure: what went wrong, and what to do about it."""

    def __init__(self, what, do=None):
        super().__init__(what)
        self.what = what
        self.do = do


def say(text):
    print(text, flush=True)


def show(path):
    """A path as a reader in the current folder would type it."""
    short = os.path.relpath(path)
    return path if short.startswith('../..') else short


class Progress:
    """One line that is redrawn. On anything but a terminal it prints nothing."""

    def __init__(self, label):
        self.label = label
        self.on = sys.stderr.isatty() and os.environ.get('TERM') != 'dumb'
        self.drawn_at = 0.0

    def step(self, done, total, text=''):
        now = time.monotonic()
        if not self.on or (now - self.drawn_at < 0.1 and done != total):
            return
        self.drawn_at = now
        width = shutil.get_terminal_size().columns
        filled = 24 * done // total if total else 0
        line = f'{self.label} [{"#" * filled}{"." * (24 - filled)}] {done}/{total} {text}'
        sys.stderr.write('\r\033[K' + line[:width - 1])
        sys.stderr.flush()

    def close(self):
        if self.on:
            sys.stderr.write('\r\033[K')
            sys.stderr.flush()


def parse_duration(text):
    """'90', '90s', '10m', '2h' in seconds."""
    unit = {'s': 1, 'm': 60, 'h': 3600}.get(text[-1:], 0)
    digits = text[:-1] if unit else text
    if not digits.isdigit() or int(digits) == 0:
        raise Failure(f"'{text}' is not a duration", 'write it as 90s, 10m or 2h')
    return int(digits) * (unit or 1)
