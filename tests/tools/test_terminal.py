#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# tbos-sim on a terminal, under a shell with job control that is played here: stops and continues, the background, sizes, and
# every way to end. What is looked at is the terminal's mode, what is drawn, and how the process ends.
import contextlib
import ctypes
import fcntl
import json
import os
import re
import select
import signal
import struct
import sys
import termios
import time

from tap import TIMEOUT_S, run

SIM = os.path.abspath(sys.argv[1])
PROMPT = 'tbos> '
SYS_TGKILL = 234  # x86-64
libc = ctypes.CDLL(None)


def shell(commands, answers, slave):
    """The shell's life, in a session of its own: one JSON array a line in, one out."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (signal.SIGTTOU, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    cooked = termios.tcgetattr(slave)

    def start(foreground, *words):
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            if foreground:
                os.tcsetpgrp(slave, os.getpid())
            for number in (signal.SIGTTOU, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            for fd in (0, 1, 2):
                os.dup2(slave, fd)
            os.closerange(3, 64)
            os.execv(SIM, [SIM, *words])
        return pid

    def wait(pid):
        """What a shell does when its job stops or ends: it takes the terminal, but here it leaves its modes alone."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            found, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
            if found:
                with contextlib.suppress(OSError):  # hung up
                    os.tcsetpgrp(slave, os.getpgrp())
                kind = 'stopped' if os.WIFSTOPPED(status) else 'killed' if os.WIFSIGNALED(status) else 'exited'
                return [kind, os.WSTOPSIG(status) if kind == 'stopped' else status & 0x7f if kind == 'killed' else status >> 8]
            time.sleep(0.01)
        return ['nothing', 0]

    def foreground(pid):
        os.tcsetpgrp(slave, pid)
        os.kill(-pid, signal.SIGCONT)

    jobs = {'start': start, 'wait': wait, 'fg': foreground, 'bg': lambda pid: os.kill(-pid, signal.SIGCONT), 'kill': os.kill,
            'thread_kill': lambda pid, tid, number: libc.syscall(SYS_TGKILL, pid, tid, number),
            'cook': lambda: termios.tcsetattr(slave, termios.TCSANOW, cooked)}
    for line in commands:
        name, *arguments = json.loads(line)
        answers.write(json.dumps(jobs[name](*arguments)) + '\n')
        answers.flush()
    os._exit(0)


class Terminal:
    def __init__(self, columns=80):
        self.master, slave = os.openpty()
        self.size(columns)
        self.slave = slave
        self.first = termios.tcgetattr(slave)
        down, up = os.pipe(), os.pipe()
        self.shell = os.fork()
        if self.shell == 0:
            os.close(self.master)
            os.close(down[1])
            shell(os.fdopen(down[0]), os.fdopen(up[1], 'w'), slave)
        os.close(down[0])
        os.close(up[1])
        self.down, self.up = os.fdopen(down[1], 'w'), os.fdopen(up[0])
        self.screen = ''

    def size(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))

    def ask(self, *words):
        self.down.write(json.dumps(words) + '\n')
        self.down.flush()
        return json.loads(self.up.readline())

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, text):
        """Waits for text in what is drawn from now on, or since the last find; returns all up to it."""
        end = time.monotonic() + TIMEOUT_S
        while text not in self.screen:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f'{text!r} does not come: {self.screen!r}'
            self.screen = (self.screen + os.read(self.master, 65536).decode(errors='replace')).replace('\r\r\n', '\r\n')
        before, self.screen = self.screen.split(text, 1)
        return before + text

    def drain(self):
        while select.select([self.master], [], [], 0.2)[0]:
            self.screen += os.read(self.master, 65536).decode(errors='replace')
        drawn, self.screen = self.screen, ''
        return drawn

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_first(self):
        return termios.tcgetattr(self.slave) == self.first

    def becomes(self, condition, what):
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end, f'{what}: {termios.tcgetattr(self.slave)[:4]} {self.screen!r}'
            time.sleep(0.01)

    def start(self, *words, foreground=True):
        pid = self.ask('start', foreground, '--mem', '16M', *words)
        if foreground:
            self.expect(PROMPT)
            assert self.is_raw()
        return pid

    def close(self):
        os.kill(self.shell, signal.SIGKILL)
        os.waitpid(self.shell, 0)
        self.down.close()
        self.up.close()
        os.close(self.slave)
        os.close(self.master)


def with_terminal(body):
    def case():
        terminal = Terminal()
        try:
            body(terminal)
        finally:
            terminal.close()
    return case


def leave(terminal, pid, typed='\x15poweroff 7\r', status=7):
    terminal.type(typed)
    assert terminal.ask('wait', pid) == ['exited', status]
    assert terminal.is_first()


def test_stop(terminal, engine, how):
    """The terminal is given back on the stop, taken on the continue, and the half-typed line is drawn again."""
    pid = terminal.start('--engine', engine)
    terminal.type('ech')
    terminal.expect('ech')
    if isinstance(how, str):
        terminal.type(how)
    else:
        terminal.ask('kill', pid, how)
    stopped = terminal.ask('wait', pid)
    assert stopped == ['stopped', signal.SIGTSTP if isinstance(how, str) else how], stopped
    if how == signal.SIGSTOP:
        terminal.ask('cook')
    assert terminal.is_first()
    terminal.drain()
    terminal.ask('fg', pid)
    terminal.expect(PROMPT + 'ech')
    assert terminal.is_raw()
    terminal.type('o done\r')
    terminal.expect('\r\ndone')
    leave(terminal, pid)


def test_stop_and_continue_unseen(terminal):
    """SIGSTOP and SIGCONT from elsewhere: our raw mode is not taken for what is to be restored."""
    pid = terminal.start()
    terminal.ask('kill', pid, signal.SIGSTOP)
    assert terminal.ask('wait', pid) == ['stopped', signal.SIGSTOP]
    terminal.ask('fg', pid)
    terminal.expect(PROMPT)
    leave(terminal, pid)


def test_stop_while_a_command_runs(terminal):
    pid = terminal.start()
    terminal.type('sleep 86400000\r')
    terminal.expect('sleep 86400000\x1b[K\r\x1b[20C\r\n')
    terminal.type('\x1a')
    assert terminal.ask('wait', pid) == ['stopped', signal.SIGTSTP] and terminal.is_first()
    terminal.ask('fg', pid)
    terminal.becomes(terminal.is_raw, 'raw again')
    terminal.type('\x03')
    terminal.expect(PROMPT)
    leave(terminal, pid)


def test_background(terminal):
    """Continued in the background it leaves the terminal alone and stops where it would read."""
    pid = terminal.start()
    terminal.type('\x1a')
    assert terminal.ask('wait', pid) == ['stopped', signal.SIGTSTP]
    terminal.ask('bg', pid)
    terminal.type('x\n')
    stopped = terminal.ask('wait', pid)
    assert stopped == ['stopped', signal.SIGTTIN] and terminal.is_first(), stopped
    terminal.drain()
    terminal.ask('fg', pid)
    terminal.expect(PROMPT)
    terminal.becomes(terminal.is_raw, 'raw again')
    leave(terminal, pid)


def test_started_in_background(terminal):
    pid = terminal.start(foreground=False)
    assert terminal.ask('wait', pid) == ['stopped', signal.SIGTTIN]
    assert terminal.is_first() and PROMPT not in terminal.drain()
    terminal.ask('fg', pid)
    terminal.expect(PROMPT)
    leave(terminal, pid)


def test_second_in_background(terminal):
    """The second must not take the first one's raw mode for the terminal's own."""
    first = terminal.start()
    second = terminal.ask('start', False, '--mem', '16M')
    time.sleep(0.2)
    assert terminal.is_raw()
    leave(terminal, first)
    assert terminal.ask('wait', second) == ['stopped', signal.SIGTTIN]
    terminal.ask('fg', second)
    terminal.expect(PROMPT)
    leave(terminal, second)


def test_size(terminal):
    """A narrow terminal scrolls the line sideways; a wider one shows all of it, at once."""
    terminal.size(30)
    pid = terminal.start()
    terminal.type('echo ' + '0123456789' * 4)
    time.sleep(0.3)
    drawn = terminal.drain()
    rows = [re.sub(r'\x1b\[\d*[A-Z]', '', row) for row in drawn.split('\r')]
    assert max(map(len, rows)) <= 30 and rows[-1] == '' and rows[-2].startswith(PROMPT), rows[-3:]
    terminal.size(100)
    terminal.expect(PROMPT + 'echo ' + '0123456789' * 4)
    leave(terminal, pid)


def test_ends(terminal, number, typed=None):
    pid = terminal.start()
    if typed:
        terminal.type(typed)
    else:
        terminal.ask('kill', pid, number)
    ended = terminal.ask('wait', pid)
    assert ended == ['killed', number], ended
    terminal.becomes(terminal.is_first, 'restored')


def test_fault_sent(terminal, engine):
    """SIGSEGV from elsewhere that meets a kernel thread is no fault of the kernel's."""
    pid = terminal.start('--engine', engine)
    terminal.type('stress --workers 2 --rounds 1000000\r')
    time.sleep(0.3)
    busy = max(os.listdir(f'/proc/{pid}/task'), key=lambda tid: processor_time(pid, tid))
    terminal.ask('thread_kill', pid, int(busy), signal.SIGSEGV)
    ended = terminal.ask('wait', pid)
    assert ended == ['killed', signal.SIGSEGV], ended
    terminal.becomes(terminal.is_first, 'restored')


def processor_time(pid, tid):
    with open(f'/proc/{pid}/task/{tid}/stat', encoding='ascii') as file:
        return int(file.read().rsplit(')', 1)[1].split()[11])


def test_end_of_input(terminal):
    pid = terminal.start()
    leave(terminal, pid, '\x04', 0)


def test_hangup(terminal):
    """The terminal goes away: so does the process."""
    pid = terminal.start()
    master, terminal.master = terminal.master, os.dup(terminal.slave)
    os.close(master)
    ended = terminal.ask('wait', pid)
    assert ended[0] in ('killed', 'exited') and (ended[0] == 'exited' or ended[1] == signal.SIGHUP), ended


def test_time_limit(terminal, engine):
    pid = terminal.ask('start', True, '--mem', '16M', '--engine', engine, '--time-limit', '300ms')
    terminal.expect(PROMPT)
    assert terminal.ask('wait', pid) == ['exited', 124] and terminal.is_first()


def test_refused(terminal):
    """An instance that cannot be made leaves the terminal as it was."""
    pid = terminal.ask('start', True, '--persona', 'nosuch')
    assert terminal.ask('wait', pid) == ['exited', 1] and terminal.is_first()


def test_editing(terminal):
    """UTF-8, history, completion, long lines, all on a real terminal."""
    pid = terminal.start()
    terminal.type('echo grün→x\x02\x7f\r')
    terminal.expect('\r\ngrünx\r\n')
    terminal.type('\x1b[A\x05y\r')
    terminal.expect('\r\ngrünxy\r\n')
    terminal.type('coun\t\x7f -j\r')
    terminal.expect('{"log.lines": ')
    terminal.expect(PROMPT)
    terminal.type('echo ' + 'w' * 1500 + '\r')
    terminal.expect('\r\n' + 'w' * 1018 + '\r\n')
    terminal.type('\x12grü\r')
    terminal.expect('\r\ngrünxy\r\n')
    leave(terminal, pid)


def test_more(terminal, engine):
    """A screen at a time: rows and long lines are counted, keys do what they say, Ctrl-C ends it, and the prompt comes back."""
    pid = terminal.start('--engine', engine)
    mark = '\x1b[7m--more--\x1b[0m'
    for number in range(0, 60, 6):
        terminal.type('; '.join(f'echo line{n} >> /f' for n in range(number, number + 6)) + '\r')
        terminal.expect(PROMPT)
    terminal.type('more /f\r')
    terminal.expect('line22\r\n' + mark)
    terminal.type('x\r')
    terminal.expect('\r\x1b[Kline23\r\n' + mark)
    terminal.type(' ')
    terminal.expect('line46\r\n' + mark)
    terminal.type('q')
    terminal.expect(PROMPT)
    terminal.type('cat /f | more; echo behind\r')
    terminal.expect('line22\r\n' + mark)
    terminal.type('\x03')
    terminal.expect('behind\r\n')
    terminal.expect(PROMPT)
    terminal.type('echo ' + 'w' * 400 + ' > /w; cat /w /w /w /w /w /w /f | more\r')
    terminal.expect(mark)
    terminal.type('q')
    terminal.expect(PROMPT)
    leave(terminal, pid)


def command(terminal, line):
    """Runs a line; returns what it printed."""
    terminal.type(line + '\r')
    drawn = terminal.expect('\n\r' + PROMPT).removesuffix('\n\r' + PROMPT)
    return re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', drawn.split('C\r\n')[-1]).strip()


def test_lines(terminal, engine):
    """A command reads lines from the terminal: echo, editing, UTF-8, the end of file; Ctrl-C ends it, and the modes can be changed."""
    pid = terminal.start('--engine', engine)
    terminal.type('cat > /f\r')
    time.sleep(0.3)
    terminal.drain()
    terminal.type('wörx')
    terminal.expect('wörx')
    terminal.type('\x7fd')
    terminal.expect('\b \bd')
    terminal.type('\x7f' * 2 + '\x7f\x7fone two\x17three\r')
    terminal.expect('\b \bone two\b \b\b \b\b \bthree\r\n')
    terminal.type('half\x04\x04')
    terminal.expect(PROMPT)
    assert command(terminal, 'cat /f; echo; stat /f').startswith('one three\r\nhalf\r\n')
    terminal.type('cat /dev/null; cat\r')
    time.sleep(0.3)
    terminal.drain()
    terminal.type('line\r')
    terminal.expect('line\r\nline\r\n')
    terminal.type('\x03')
    terminal.expect('^C')
    terminal.expect(PROMPT)
    terminal.type('stty -echo intr ^X; cat\r')
    time.sleep(0.3)
    terminal.drain()
    terminal.type('a\x03b\r')
    terminal.expect('a\x03b\r\n')
    terminal.type('\x18')
    terminal.expect(PROMPT)
    assert command(terminal, 'stty').startswith('speed 38400 baud; rows 24; columns 80;\r\nintr = ^X;')
    terminal.type('stty sane\r')
    terminal.expect(PROMPT)
    leave(terminal, pid)


def test_consoles(terminal, engine):
    """Four consoles share the terminal: each has its shell, its directory and its screen, which is painted when its turn comes."""
    pid = terminal.start('--engine', engine)
    assert command(terminal, 'mkdir /d; cd /d; tty') == '/dev/tty1'
    terminal.type('\x1b[1;3Q')
    terminal.expect('\x1b[2J')
    terminal.expect(PROMPT)
    assert command(terminal, 'tty; pwd') == '/dev/tty2\r\n/'
    terminal.type('\x1d1')
    painted = terminal.expect('\x1b[?25h')
    assert '/dev/tty1' in painted and '/dev/tty2' not in painted, painted
    said = command(terminal, 'pwd')
    assert said == '/d', said
    terminal.type('\x1dn')
    painted = terminal.expect('\x1b[?25h')
    assert '/dev/tty2' in painted, painted
    terminal.type('\x1d9')  # there is none
    terminal.expect('\a')
    terminal.type('sleep 1s; echo out of sight\r\x1dp')
    terminal.expect('\x1b[?25h')
    time.sleep(1.5 if engine == 'threads' else 0.5)
    terminal.drain()
    terminal.type('chvt 2\r')
    terminal.expect('out of sight')
    terminal.expect('\x1b[?25h')
    terminal.type('\x04')  # the end of this one's line is not the machine's
    terminal.type('\x15mkdir /dev; mount -t devfs none /dev; cat > /dev/tty1\r')
    time.sleep(0.3)
    terminal.drain()
    terminal.type('for the first one\r\x04')
    time.sleep(0.3)
    terminal.type('\x1d1')
    terminal.expect('for the first one')  # typed
    assert 'for the first one' in terminal.expect('\x1b[?25h')  # written out of sight
    terminal.drain()
    said = command(terminal, 'check')
    assert 'all invariants hold' in said, said
    leave(terminal, pid)


def test_window(terminal):
    """What a command is told of the size follows the terminal's."""
    pid = terminal.start()
    terminal.size(132)
    end = time.monotonic() + TIMEOUT_S
    while 'columns 132' not in command(terminal, 'stty'):
        assert time.monotonic() < end
    leave(terminal, pid)


def cases():
    for engine in ('threads', 'sim'):
        for name, how in (('^Z', '\x1a'), ('SIGTSTP', signal.SIGTSTP), ('SIGSTOP', signal.SIGSTOP), ('SIGTTIN', signal.SIGTTIN),
                          ('SIGTTOU', signal.SIGTTOU)):
            yield f'{name} and back, {engine}', with_terminal(lambda t, e=engine, h=how: test_stop(t, e, h))
    yield 'stopped and continued from elsewhere', with_terminal(test_stop_and_continue_unseen)
    yield '^Z while a command runs', with_terminal(test_stop_while_a_command_runs)
    yield 'continued in the background', with_terminal(test_background)
    yield 'started in the background', with_terminal(test_started_in_background)
    yield 'a second one in the background', with_terminal(test_second_in_background)
    yield 'the terminal changes its size', with_terminal(test_size)
    for number in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGABRT', 'SIGSEGV', 'SIGKILL'):
        yield f'ends by {number}', with_terminal(lambda t, n=number: test_ends(t, getattr(signal, n)))
    for engine in ('threads', 'sim'):
        yield f'SIGSEGV sent to a busy CPU, {engine}', with_terminal(lambda t, e=engine: test_fault_sent(t, e))
    yield 'ends by ^\\', with_terminal(lambda t: test_ends(t, signal.SIGQUIT, '\x1c'))
    yield 'ends by ^D', with_terminal(test_end_of_input)
    yield 'the terminal hangs up', with_terminal(test_hangup)
    for engine in ('threads', 'sim'):
        yield f'ends by the time limit, {engine}', with_terminal(lambda t, e=engine: test_time_limit(t, e))
    yield 'refused', with_terminal(test_refused)
    for engine in ('threads', 'sim'):
        yield f'a screen at a time, {engine}', with_terminal(lambda t, e=engine: test_more(t, e))
    for engine in ('threads', 'sim'):
        yield f'lines for a command, {engine}', with_terminal(lambda t, e=engine: test_lines(t, e))
        yield f'virtual consoles, {engine}', with_terminal(lambda t, e=engine: test_consoles(t, e))
    yield 'the size is told', with_terminal(test_window)
    yield 'line editing', with_terminal(test_editing)


run(cases())
