# SPDX-License-Identifier: MIT
#
# core/sched: `tbos threads`, `tbos cpus`, `tbos runq`, `tbos timers`.
import reach
from reach import Viewer, chars, cpus_of, duration, enum_names, pointer, text_at, walk_list, walk_tree

THREAD_MAGIC = 0x54485244
FOREVER = (1 << 64) - 1


def threads_of(kernel):
    """struct thread of every kernel thread, in order of creation."""
    for thread in walk_list(kernel['sched'].dereference()['threads'], 'struct thread', 'all_link'):
        if int(thread['magic']) != THREAD_MAGIC:
            raise reach.Damaged(f'damaged struct thread at {int(thread.address):#x}: magic {int(thread["magic"]):#x}')
        yield thread


def names():
    """(states, classes): {number: name}."""
    return enum_names('enum thread_state', 'THREAD_'), enum_names('enum thread_class', 'CLASS_')


def waits_for(thread):
    return text_at(pointer(thread['waiting_on']))


def cpu_index(thread):
    home = pointer(thread['home'])
    return int(thread['home'].dereference()['hal']['index']) if home else -1


def title(thread):
    return f'{int(thread["id"])} {chars(thread["name"])}'


class Threads(Viewer):
    """tbos threads: every kernel thread: id, name, state, class, priority, CPU, what it waits for, its stack's base."""
    name, needs = 'threads', 'sched'

    def show(self, kernel, instance, words):
        states, classes = names()
        print('  id name            state   cls  prio cpu        run  stack          waits for')
        for thread in threads_of(kernel):
            with reach.section(f'thread at {int(thread.address):#x}'):
                print(f'{int(thread["id"]):4} {chars(thread["name"]):15} {states.get(int(thread["state"]), "?"):7} '
                      f'{classes.get(int(thread["klass"]), "?"):4} {int(thread["prio"]):4} {cpu_index(thread):3} '
                      f'{duration(int(thread["stats"]["run_ns"])):>10}  {int(thread.address):#x} {waits_for(thread)}'.rstrip())



class Cpus(Viewer):
    """tbos cpus: what each CPU runs, its figures, interrupt and preemption state."""
    name, needs = 'cpus', 'sched'

    def show(self, kernel, instance, words):
        print('cpu node state    ready  switches steals interrupts ipis  pending  masked preempt  runs')
        for index, cpu in cpus_of(kernel):
            with reach.section(f'cpu {index}'):
                self.show_cpu(kernel, index, cpu)

    def show_cpu(self, kernel, index, cpu):
        isolated = int(kernel['sched'].dereference()['isolated'][index // 32]) >> index % 32 & 1
        state = 'off' if not int(cpu['online']) else 'isolated' if isolated else 'on'
        if pointer(cpu['runq']) == 0 or pointer(cpu['running']) == 0:
            print(f'{index:3} {int(cpu["node"]):4} {state}')
            return
        rq, running = cpu['runq'].dereference(), cpu['running'].dereference()
        print(f'{index:3} {int(cpu["node"]):4} {state:8} {int(rq["ready_count"]):5} {int(rq["switches"]):9} {int(rq["steals"]):6} '
              f'{int(rq["interrupts"]):10} {int(rq["ipis"]):4} {int(cpu["hal"]["irq_pending"]):#8x} {int(running["hal"]["irq_off"]):7} '
              f'{int(running["hal"]["preempt_count"]):7}  {title(running)}')


class Runq(Viewer):
    """tbos runq: the run queues: who is ready on each CPU, in the order of their turn, and when the running turn ends."""
    name, needs = 'runq', 'sched'

    def show(self, kernel, instance, words):
        for index, cpu in cpus_of(kernel):
            with reach.section(f'cpu {index}'):
                if pointer(cpu['runq']) == 0 or pointer(cpu['running']) == 0:
                    print(f'cpu {index}: off')
                    continue
                self.show_queue(index, cpu['runq'].dereference(), cpu['running'].dereference())

    def show_queue(self, index, rq, running):
        end = int(rq['slice_end_ns'])
        print(f'cpu {index}: runs {title(running)}, {int(rq["ready_count"])} ready, requests {int(rq["requests"]):#x}, '
              f'turn ends {"never" if end == FOREVER else f"at {end} ns"}')
        found = 0
        levels = rq['rt']['levels']
        for level in range(levels.type.range()[1] + 1):
            if int(rq['rt']['bitmap'][level // 32]) >> level % 32 & 1:
                for thread in walk_list(levels[level], 'struct thread', 'runq_link'):
                    found += 1
                    print(f'  real time {level:3}: {title(thread)}')
        for thread in walk_tree(rq['fair']['tree'], 'struct thread', 'runq_node'):
            found += 1
            print(f'  fair {int(thread["prio"]):3}: {title(thread)}, deadline {int(thread["deadline_v"])}, weight {int(thread["weight"])}')
        if found != int(rq['ready_count']):
            print(f'  damaged or changing: {found} threads in the queue, {int(rq["ready_count"])} counted')


class Timers(Viewer):
    """tbos timers: queued timers by CPU and deadline; what the HAL's timer of each CPU is set to."""
    name, needs = 'timers', 'sched'

    def show(self, kernel, instance, words):
        for index, cpu in cpus_of(kernel):
            if pointer(cpu['timers']) == 0:
                continue
            queue = cpu['timers'].dereference()
            armed = int(queue['armed_ns'])
            print(f'cpu {index}: {int(queue["count"])} queued, timer set {"to never" if armed == FOREVER else f"to {armed} ns"}')
            with reach.section(f'cpu {index}'):
                for timer in walk_tree(queue['tree'], 'struct timer', 'node'):
                    print(f'  {int(timer["deadline_ns"]):15} ns  {reach.symbol_of(pointer(timer["fn"]))}  timer at {int(timer.address):#x}')


Threads()
Cpus()
Runq()
Timers()
