# SPDX-License-Identifier: MIT
#
# What lies beneath the kernel: `tbos sim`, the world of the simulator, and which host thread drives a CPU.
import reach
from reach import Viewer, enum_names, pointer, text_at

import gdb

DUE = ('timer', 'ipi', 'console', 'call', 'stop')


def host_threads():
    """{thread id of the host's kernel: gdb thread}."""
    return {thread.ptid[1] or thread.ptid[0]: thread for thread in gdb.selected_inferior().threads()}


def driver_of(instance, cpu_index):
    """The gdb thread that drives this CPU now; None while it is parked."""
    cpu = instance['cpus'][cpu_index]
    if pointer(cpu['driver']) == 0:
        return None
    return host_threads().get(int(cpu['driver'].dereference()['tid']))


def stack_pointer_of(thread):
    """The real one, whatever frame is selected."""
    before = gdb.selected_thread()
    try:
        thread.switch()
        return int(gdb.newest_frame().read_register('rsp').cast(gdb.lookup_type('unsigned long')))
    finally:
        if before is not None:
            before.switch()


def thread_on_stack(low, size):
    """The gdb thread whose stack pointer lies in [low, low + size); None."""
    for thread in gdb.selected_inferior().threads():
        if low <= stack_pointer_of(thread) < low + size:
            return thread
    return None


def world_of(instance):
    """struct tb_sim; None under another engine."""
    if reach.engine_of(instance) != 'sim' or pointer(instance['engine_data']) == 0:
        return None
    return reach.at(pointer(instance['engine_data']), 'struct sim_instance')['sim'].dereference()


def caller_on_host(instance, thread):
    """The gdb thread that serves a call of this kernel thread to the host stack: its frames lead back. None: it is switched out."""
    if not int(thread['on_cpu']) or pointer(thread['hal']['cpu']) == 0:
        return None
    cpu = reach.at(pointer(thread['hal']['cpu']), 'struct hal_cpu')
    index = int(cpu['host'])
    if index >= int(instance['cpu_count']):
        return None
    # Under sim one host thread drives all CPUs, of which one runs.
    world = world_of(instance)
    if world is not None and (pointer(world['running']) == 0 or pointer(world['running'].dereference()['thread']) != int(thread.address)):
        return None
    return driver_of(instance, index)


def number_or_never(ns):
    return 'never' if ns == (1 << 64) - 1 else f'{ns} ns'


class Sim(Viewer):
    """tbos sim: the simulated world: virtual time, seed, policy, decisions so far, and the state of each CPU."""
    name = 'sim'

    def show_instance(self, slot, instance, words):
        print(reach.instance_title(slot, instance))
        if reach.engine_of(instance) != 'sim':
            print('  (not simulated)')
            return
        if pointer(instance['engine_data']) == 0:
            print('  (no world yet)')
            return
        member = reach.at(pointer(instance['engine_data']), 'struct sim_instance')
        sim = member['sim'].dereference()
        self.show_world(sim)
        for i in range(min(int(member['cpu_count']), reach.CPUS_MAX)):
            self.show_cpu(sim, member['cpus'][i])

    def show_world(self, sim):
        source = 'the log' if pointer(sim['replay']) else reach.chars(sim['policy_name'])
        print(f'  time {int(sim["now_ns"])} ns, seed {int(sim["seed"])}, decided by {source}'
              f'{", recorded" if pointer(sim["recorder"]) else ""}')
        print(f'  decisions {int(sim["decisions"])}, switches {int(sim["switches"])}, interrupts {int(sim["interrupts"])}, '
              f'limit {number_or_never(int(sim["limit_ns"]))}, instances {int(sim["instance_count"])}')
        cause = enum_names('enum sim_stop_cause', 'SIM_STOP_').get(int(sim['stop']['cause']), '?')
        if cause != 'not':
            print(f'  stopped at decision {int(sim["stop"]["decision"])}: {cause}')
        print(f'  {"driven by host thread " + str(int(sim["driver"].dereference()["tid"])) if pointer(sim["driver"]) else "not driven"}')

    def show_cpu(self, sim, cpu):
        state = enum_names('enum sim_cpu_state', 'SIM_CPU_').get(int(cpu['state']), '?')
        due = ', '.join(f'{name} at {int(cpu["due_ns"][i])} ns' for i, name in enumerate(DUE)
                        if int(cpu['due_ns'][i]) != (1 << 64) - 1)
        mark = '*' if pointer(sim['running']) == int(cpu.address) else ' '
        print(f' {mark}cpu {int(cpu["index"])}: {state}, pending {int(cpu["pending"]):#x}, '
              f'on stack {pointer(cpu["thread"]):#x}{", under way: " + due if due else ""}')


class Instances(Viewer):
    """tbos instances: every instance of the process: slot, engine, CPUs, RAM, state, persona, last error."""
    name = 'instances'

    def show_instance(self, slot, instance, words):
        print(reach.instance_title(slot, instance))
        print(f'  error: {reach.chars(instance["error"]) or "none"}; status {int(instance["status"])}, '
              f'panicked {int(instance["panicked"])}, host threads inside {int(instance["users"])}')
        kernel = reach.kernel_of(instance)
        if kernel is not None and pointer(kernel['persona']) != 0:
            print(f'  persona {text_at(pointer(kernel["persona"].dereference()["name"]))}, options "{reach.chars(kernel["cmdline"])}", '
                  f'struct kernel at {int(kernel.address):#x}')


Sim()
Instances()
