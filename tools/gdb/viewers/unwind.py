# SPDX-License-Identifier: MIT
#
# `tbos bt ID`: where a kernel thread is. One that runs is seen through the host thread that drives its CPU; one that is switched
# out has left its registers on its stack (struct host_frame at hal_thread.sp). gdb is led there by an unwinder that,
# for as long as the command runs, says: the caller of the newest frame is that stack. Nothing is written.
import re

import host
import reach
import sched
from reach import at, pointer

import gdb
from gdb.unwinder import Unwinder, register_unwinder

SAVED = ('rbp', 'rbx', 'r12', 'r13', 'r14', 'r15')


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Detour(Unwinder):
    """Off unless `registers` is set; then it claims the frame whose stack pointer is `newest`."""

    def __init__(self):
        super().__init__('tbos detour')
        self.newest, self.registers = None, None

    def __call__(self, pending):
        if self.registers is None:
            return None
        rsp = pending.read_register('rsp')
        rip = pending.read_register('rip')
        if (pointer(rsp), pointer(rip)) != self.newest:
            return None
        # Below the stack that follows, or gdb takes the step for a corrupt one.
        info = pending.create_unwind_info(FrameId(gdb.Value(self.registers['rsp'] - 256).cast(rsp.type), rip))
        for name, value in self.registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return info


detour = Detour()
register_unwinder(None, detour, replace=True)


def saved_registers(thread):
    """The registers of a switched-out thread."""
    sp = pointer(thread['hal']['sp'])
    base = int(thread.address)
    size = gdb.lookup_type('struct host_frame').sizeof
    if sp & 7 or not base < sp <= base + reach.stack_size() - size:
        raise reach.Damaged(f'damaged struct thread at {base:#x}: its saved stack pointer is {sp:#x}')
    frame = at(sp, 'struct host_frame')
    registers = {name: int(frame[name]) for name in SAVED}
    registers['rip'] = pointer(frame['start'])
    if registers['rip'] == 0:
        raise reach.Damaged(f'damaged stack of thread {base:#x}: no return address at {sp:#x}')
    registers['rsp'] = sp + size
    return registers


def host_levels():
    """How many levels the newest frame of the host thread shows as: itself and what is inlined there."""
    frame, count = gdb.newest_frame(), 1
    while frame.type() == gdb.INLINE_FRAME:
        frame, count = frame.older(), count + 1
    return frame, count


def counted(options, extra):
    """The options of backtrace, a limit to the newest frames raised by those that are not shown."""
    words = options.split()
    if words and words[-1].isdigit():
        words[-1] = str(int(words[-1]) + extra)
    return ' '.join(words)


def print_detoured(registers, options):
    newest, hidden = host_levels()
    detour.newest = (pointer(newest.read_register('rsp')), newest.pc())
    detour.registers = registers
    gdb.invalidate_cached_frames()
    try:
        lines = gdb.execute(f'backtrace {counted(options, hidden)}', to_string=True).splitlines()
    finally:
        detour.registers = None
        gdb.invalidate_cached_frames()
    first = next((i for i, line in enumerate(lines) if re.match(rf'#{hidden}\b', line)), len(lines))
    for line in lines[first:] or ['  (nothing can be walked there)']:
        print(re.sub(r'^#(\d+) *', lambda found: f'#{int(found[1]) - hidden}'.ljust(4), line))


def print_live(thread, options):
    before = gdb.selected_thread()
    try:
        thread.switch()
        print(gdb.execute(f'backtrace {options}', to_string=True), end='')
    finally:
        if before is not None:
            before.switch()


class Backtrace(reach.Viewer):
    """tbos bt ID [OPTIONS]: backtrace of the kernel thread with that id, in each instance; OPTIONS go to gdb's backtrace (-full, 5)."""
    name, usage, needs, arguments = 'bt', 'ID [OPTIONS of backtrace]', 'sched', (1, 9)

    def show(self, kernel, instance, words):
        wanted = int(words[0], 0) if words[0].isdigit() else 0
        for thread in sched.threads_of(kernel):
            if int(thread['id']) == wanted:
                self.show_thread(instance, thread, ' '.join(words[1:]))
                return
        print(f'  no thread {words[0]}')

    def show_thread(self, instance, thread, options):
        states, _ = sched.names()
        state = states.get(int(thread['state']), '?')
        base = int(thread.address)
        waits = sched.waits_for(thread)
        print(f'thread {sched.title(thread)}: {state}{", waits for " + waits if waits else ""}')
        live = host.thread_on_stack(base, reach.stack_size()) or host.caller_on_host(instance, thread)
        if live is not None:
            print(f'running on host thread {live.ptid[1] or live.ptid[0]}')
            print_live(live, options)
        elif gdb.selected_thread() is None:
            print('  no host thread to start from')
        else:
            print_detoured(saved_registers(thread), options)


Backtrace()
