# SPDX-License-Identifier: MIT
#
# What hangs must say where. While a suite runs, its tests are watched from outside: one whose processes together use next to no
# processor time for STALL_S is taken for stuck. Its threads are shown as the debugger and the host see them, then it is ended,
# so that a hang costs seconds, fails, and leaves its cause in the log.
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from ui import ROOT

STALL_S = 45
LOOK_S = 5
BUSY_SHARE = 0.015  # of one processor: what polls every two milliseconds uses less
LINES_MAX = 200
VIEWS = ['instances', 'threads', 'cpus', 'runq', 'timers', 'locks', 'sim', 'log 10']


def read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return ''


def processes():
    """pid → (parent, ticks used by itself and the children it has waited for, name)."""
    found = {}
    for entry in os.listdir('/proc'):
        match = re.match(r'\d+ \((.*)\) \S (\d+) ', read(f'/proc/{entry}/stat'), re.S) if entry.isdigit() else None
        if match:
            fields = read(f'/proc/{entry}/stat').rpartition(') ')[2].split()
            if len(fields) > 14:
                found[int(entry)] = (int(match.group(2)), sum(map(int, fields[11:15])), match.group(1))
    return found


def below(table, root):
    """The process and all that it has started, parents first."""
    family = [root]
    for pid in family:
        family += [child for child, row in table.items() if row[0] == pid]
    return family


def host_view(pid):
    lines = []
    for task in sorted(os.listdir(f'/proc/{pid}/task')):
        path = f'/proc/{pid}/task/{task}'
        state = re.search(r'State:\s*(\S)', read(path + '/status'))
        masks = re.findall(r'(SigPnd|ShdPnd|SigBlk):\s*(\w+)', read(path + '/status'))
        lines.append(f'  thread {task} {read(path + "/comm").strip()}: {state.group(1) if state else "?"}, waits in '
                     f'{read(path + "/wchan") or "?"}, call {read(path + "/syscall").strip()}, ' + ' '.join(map('='.join, masks)))
    return lines


def debugger_view(pid):
    if not shutil.which('gdb'):
        return ['  no debugger here']
    command = ['gdb', '-p', str(pid), '-batch', '-nx']
    for line in ['set width 0', 'set print frame-arguments scalars', 'thread apply all bt 24', 'echo viewers\\n',
                 'source ' + os.path.join(ROOT, 'tools/gdb/tbos.py')] + ['tbos ' + what for what in VIEWS]:
        command += ['-ex', line]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=60)
    except subprocess.TimeoutExpired:
        return ['  the debugger does not come to an end']
    stacks, _, views = done.stdout.partition('viewers\n')
    return ['  ' + line for line in stacks.splitlines() if re.match(r'#|Thread ', line)] + ['  ' + line for line in views.splitlines()]


def describe(pid, name, debugger):
    words = read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip()
    lines = [f'process {pid} {name}: {words}']
    try:
        lines += host_view(pid) + (debugger_view(pid) if debugger else [])
    except OSError as error:
        lines.append(f'  gone meanwhile: {error}')
    return lines


class Watch(threading.Thread):
    """Watches what `root` starts. say() gets the report's lines."""

    def __init__(self, root, say, stall_s=STALL_S, look_s=LOOK_S):
        super().__init__(daemon=True)
        self.root, self.say, self.stall_s, self.look_s = root, say, stall_s, look_s
        self.over = threading.Event()
        self.since = {}  # pid of a test → (when it was last seen busy, its ticks then)
        self.found, self.debugger = 0, True

    def run(self):
        while not self.over.wait(self.look_s):
            self.look()

    def stop(self):
        self.over.set()
        self.join()

    def look(self):
        table, now = processes(), time.monotonic()
        tests = [pid for pid, row in table.items() if row[0] == self.root]
        self.since = {pid: self.since[pid] for pid in tests if pid in self.since}
        for pid in tests:
            family = below(table, pid)
            ticks = sum(table[member][1] for member in family)
            when, before = self.since.setdefault(pid, (now, ticks))
            used_s = (ticks - before) / os.sysconf('SC_CLK_TCK')
            if ticks < before or used_s > BUSY_SHARE * max(now - when, self.look_s):
                self.since[pid] = (now, ticks)
            elif now - when >= self.stall_s:
                self.end(table, family)
                self.since.pop(pid)

    def end(self, table, family):
        parents = {table[pid][0] for pid in family}
        leaves = [pid for pid in family if pid not in parents]
        self.found += 1
        for pid in leaves:
            self.say(f'STALLED for {self.stall_s} s: ' + '\n    '.join(describe(pid, table[pid][2], self.debugger)[:LINES_MAX]))
        for pid in leaves:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
