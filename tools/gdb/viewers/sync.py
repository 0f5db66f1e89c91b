# SPDX-License-Identifier: MIT
#
# core/sync: `tbos locks`. With the checker (debug builds) every thread names what it holds; without it the mutexes are found
# through those who wait for them. `tbos locks ADDRESS TYPE` looks at one lock.
import reach
import sched
from reach import Viewer, at, pointer, text_at, walk_list, walk_tree

import gdb

MODES = ('', ' nested', ' read', ' try')
TYPES = ('spinlock', 'mutex', 'rwlock', 'semaphore', 'condvar', 'completion', 'waitq')


def held_locks(thread):
    """Lines about what a thread holds, by the checker's slots."""
    if not reach.has_field('struct thread', 'held_locks'):
        return
    slots = thread['held_locks']
    for i in range(slots.type.range()[1] + 1):
        slot = slots[i]
        if pointer(slot['lock']) != 0:
            mode = int(slot['mode'])
            yield f'holds {text_at(pointer(slot["name"]))}{MODES[mode] if mode < len(MODES) else "?"}, ' \
                  f'taken at {text_at(pointer(slot["where"]))}, lock class at {pointer(slot["lock"]):#x}'


def mutex_owner(mutex):
    address = int(mutex['word']) & ~1
    if address == 0:
        return 'nobody'
    owner = at(address, 'struct thread')
    if int(owner['magic']) != sched.THREAD_MAGIC:
        raise reach.Damaged(f'damaged mutex at {int(mutex.address):#x}: its owner {address:#x} is no thread')
    return sched.title(owner)


def show_mutex(mutex, indent='  '):
    print(f'{indent}mutex {text_at(pointer(mutex["name"]))} at {int(mutex.address):#x}, owner {mutex_owner(mutex)}')
    for thread in walk_tree(mutex['waiters'], 'struct thread', 'pi_node'):
        print(f'{indent}  waits: {sched.title(thread)}, priority {int(thread["pi_prio"])}')


def show_queue(queue, indent='  '):
    for entry in walk_list(queue['waiters'], 'struct waitq_entry', 'link'):
        thread = at(pointer(entry['thread']), 'struct thread')
        print(f'{indent}  waits: {sched.title(thread)}{", exclusive" if int(entry["exclusive"]) else ""}')


def show_one(kind, address):
    lock = at(address, f'struct {kind}')
    if kind == 'mutex':
        show_mutex(lock)
        return
    if kind == 'spinlock':
        word = int(lock['word'])
        state = ('free', 'held', 'held, somebody waits')[word] if word < 3 else f'damaged: word {word:#x}'
        print(f'  spinlock at {address:#x}: {state}')
    else:
        queue = lock if kind == 'waitq' else lock['queue']
        print(f'  {kind} {text_at(pointer(queue["name"]))} at {address:#x}')
        if kind == 'rwlock':
            state = int(lock['state'])
            print(f'    {"a writer" if state & 1 else f"{state // 4} readers"}')
        if kind in ('semaphore', 'completion'):
            member = 'count' if kind == 'semaphore' else 'done'
            print(f'    {member} {int(lock[member])}')
        show_queue(queue)
    if reach.has_field(f'struct {kind}', 'check') and pointer(lock['check']['owner']) != 0:
        owner = at(pointer(lock['check']['owner']), 'struct thread')
        print(f'    owner {sched.title(owner)}, taken at {text_at(pointer(lock["check"]["owner_where"]))}')


class Locks(Viewer):
    """tbos locks: who holds what (builds with the checker), who waits for what, and the owner and waiters of each contended mutex.
tbos locks ADDRESS TYPE: one lock: its owner and its waiters; TYPE is spinlock, mutex, rwlock, semaphore, condvar, completion, waitq."""
    name, usage, needs, arguments = 'locks', '[ADDRESS TYPE]', 'sched', (0, 2)

    def show(self, kernel, instance, words):
        mutexes = {}
        if not reach.has_field('struct thread', 'held_locks'):
            print('  (this build has no lock checker: holders are known of contended mutexes only)')
        for thread in sched.threads_of(kernel):
            with reach.section(f'thread at {int(thread.address):#x}'):
                lines = list(held_locks(thread))
                waits = sched.waits_for(thread)
                if waits:
                    lines.append(f'waits for {waits}')
                if pointer(thread['blocked_on']) != 0:
                    mutexes[pointer(thread['blocked_on'])] = True
                for line in lines:
                    print(f'  {sched.title(thread)}: {line}')
        for address in mutexes:
            with reach.section(f'mutex at {address:#x}'):
                show_mutex(at(address, 'struct mutex'))

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if len(words) != 2:
            super().invoke(argument if len(words) == 0 else '1 2 3', from_tty)
            return
        if words[1] not in TYPES:
            print(f'tbos locks: {words[1]} is none of {", ".join(TYPES)}')
            return
        with reach.section(f'{words[1]} at {words[0]}'):
            try:
                show_one(words[1], int(gdb.parse_and_eval(words[0]).cast(gdb.lookup_type('unsigned long'))))
            except gdb.MemoryError:
                raise
            except (gdb.error, ValueError, LookupError, TypeError, OverflowError) as error:
                print(f'tbos locks: cannot be shown: {error}')


Locks()
