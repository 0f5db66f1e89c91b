# SPDX-License-Identifier: MIT
#
# What every viewer stands on: finding instances, walking lists and trees that may be damaged, texts, and the shape of a
# command. Loops are bounded, addresses are checked by reading them; what cannot be believed is said and left.
import contextlib

import gdb

LIMIT = 100000  # nodes of one list or tree
CPUS_MAX = 64
SHOWN_MAX = 200  # bytes of a text


class Damaged(Exception):
    """A structure that contradicts itself: damaged, or caught in the middle of a change."""


class Prefix(gdb.Command):
    """Look into TBOS instances: threads, CPUs, locks, memory, log, trace, simulator.
Works on a live process and on a core file; runs nothing in the inferior."""

    def __init__(self):
        super().__init__('tbos', gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


Prefix()
gdb.execute('handle SIG42 nostop noprint pass', to_string=True)  # the doorbell of the threads engine


# -- memory ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def section(what):
    """One part of an answer: what is wrong with it is said, and the next part follows."""
    try:
        yield
    except Damaged as error:
        print(f'  {error}')
    except gdb.MemoryError as error:
        print(f'  {what}: damaged: {error}')


def pointer(value):
    """The address in a pointer."""
    return int(value.cast(gdb.lookup_type('unsigned long')))


def at(address, type_name):
    """The object of that type at an address, read at once so that a bad address shows here."""
    value = gdb.Value(address).cast(gdb.lookup_type(type_name).pointer()).dereference()
    value.fetch_lazy()
    return value


def text_at(address, limit=SHOWN_MAX):
    """The C string at an address; what is not printable is shown as '?'."""
    if address == 0:
        return ''
    raw = b''
    inferior = gdb.selected_inferior()
    while len(raw) < limit and b'\0' not in raw:
        size = min(64, limit - len(raw), 4096 - (address + len(raw)) % 4096)
        raw += bytes(inferior.read_memory(address + len(raw), size))
    return clean(raw)


def clean(raw):
    raw = bytes(raw).split(b'\0')[0]
    return ''.join(c if c.isprintable() else '?' for c in raw.decode('utf-8', 'replace'))


def chars(array):
    """The text in an array of char."""
    size = array.type.sizeof
    return clean(gdb.selected_inferior().read_memory(int(array.address), size))


def symbol_of(address):
    """'name', or 'name+12', of code or data."""
    text = gdb.execute(f'info symbol {address:#x}', to_string=True).strip()
    return text.split(' in section ')[0].replace(' + ', '+') if ' in section ' in text else f'{address:#x}'


def image_pointer(offset):
    """The address that an image offset means (kern/image.h)."""
    offset &= (1 << 64) - 1
    return (int(gdb.parse_and_eval("&'image.c'::image_anchor").cast(gdb.lookup_type('unsigned long'))) + offset) & ((1 << 64) - 1)


def enum_names(type_name, prefix):
    """{number: name in lower case without its prefix}."""
    fields = gdb.lookup_type(type_name).fields()
    return {field.enumval: field.name[len(prefix):].lower() for field in fields if field.name.startswith(prefix)}


def has_field(type_name, name):
    return any(field.name == name for field in gdb.lookup_type(type_name).fields())


def offset_of(type_name, path):
    """Where a member lies; `path` may lead through structs ('hal.sp')."""
    offset, kind = 0, gdb.lookup_type(type_name)
    for part in path.split('.'):
        field = kind[part]
        offset += field.bitpos // 8
        kind = field.type
    return offset


# -- lists and trees ------------------------------------------------------------------------------------------------------


def walk_list(head, type_name, member):
    """The objects on a `struct list`, checking the links both ways."""
    start = int(head.address)
    offset = offset_of(type_name, member)
    previous, node, seen = start, pointer(head['head']['next']), 0
    while node != start:
        if node == 0 or node & 7 or seen == LIMIT:
            raise Damaged(f'damaged list at {start:#x}: after {seen} nodes comes {node:#x}')
        try:
            link = at(node, 'struct list_node')
        except gdb.MemoryError:
            raise Damaged(f'damaged list at {start:#x}: node {node:#x} cannot be read') from None
        if pointer(link['prev']) != previous:
            raise Damaged(f'damaged list at {start:#x}: node {node:#x} does not lead back to {previous:#x}')
        yield at(node - offset, type_name)
        previous, node, seen = node, pointer(link['next']), seen + 1


def walk_tree(root, type_name, member):
    """The objects in a `struct rb_root`, in order, checking each node's way back to its parent."""
    start = int(root.address)
    offset = offset_of(type_name, member)
    stack, seen = [], set()
    node, parent = pointer(root['top']), 0
    while node or stack:
        while node:
            if node & 7 or node in seen or len(seen) == LIMIT:
                raise Damaged(f'damaged tree at {start:#x}: node {node:#x} comes twice or is none')
            try:
                value = at(node, 'struct rb_node')
            except gdb.MemoryError:
                raise Damaged(f'damaged tree at {start:#x}: node {node:#x} cannot be read') from None
            if int(value['parent_color']) & ~1 != parent:
                raise Damaged(f'damaged tree at {start:#x}: node {node:#x} does not lead back to {parent:#x}')
            seen.add(node)
            stack.append((node, value))
            node, parent = pointer(value['child'][0]), node
        node, value = stack.pop()
        yield at(node - offset, type_name)
        node, parent = pointer(value['child'][1]), node


# -- instances ------------------------------------------------------------------------------------------------------------


def upcalls():
    return gdb.parse_and_eval('tb_upcalls')


def frame_size():
    return int(upcalls()['frame_size_bytes'])


def stack_size():
    return int(upcalls()['kstack_size_bytes'])


def instances():
    """(slot, struct tb_instance) of each instance of the process."""
    table = gdb.parse_and_eval('host_instances')
    low, high = table.type.range()
    for slot in range(low, high + 1):
        if pointer(table[slot]) != 0:
            yield slot, table[slot].dereference()


def kernel_of(instance):
    """The instance's struct kernel; None before it has booted far enough to have one."""
    kernel = at(pointer(instance['ram']['base']), 'struct kernel')
    return kernel if int(kernel['magic']) == 0x54424F53 else None


def cpus_of(kernel):
    count = int(kernel['cpu_count'])
    if not 1 <= count <= CPUS_MAX:
        raise Damaged(f'damaged struct kernel at {int(kernel.address):#x}: {count} CPUs')
    for index in range(count):
        if pointer(kernel['cpus'][index]) != 0:
            yield index, kernel['cpus'][index].dereference()


def engine_of(instance):
    return text_at(pointer(instance['engine']['name']))


def instance_title(slot, instance):
    state = enum_names('enum host_state', 'HOST_').get(int(instance['state']), '?')
    return f'slot {slot}: {engine_of(instance)}, {int(instance["cpu_count"])} CPUs, ' \
           f'{int(instance["ram"]["size_bytes"]) >> 10} KiB at {pointer(instance["ram"]["base"]):#x}, {state}'


# -- commands ----------------------------------------------------------------------------------------------------------


class Viewer(gdb.Command):
    """A command `tbos NAME` that shows something of every instance."""
    name = ''
    usage = ''
    needs = None  # a pointer of struct kernel that must not be NULL
    arguments = (0, 0)  # least, most

    def __init__(self):
        super().__init__(f'tbos {self.name}', gdb.COMMAND_DATA)

    def show(self, kernel, instance, words):
        raise NotImplementedError

    def show_instance(self, slot, instance, words):
        print(instance_title(slot, instance))
        kernel = kernel_of(instance)
        if kernel is None or (self.needs is not None and pointer(kernel[self.needs]) == 0):
            print('  (not booted that far)')
        else:
            self.show(kernel, instance, words)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not self.arguments[0] <= len(words) <= self.arguments[1]:
            print(f'usage: tbos {self.name} {self.usage}'.rstrip())
            return
        if gdb.selected_inferior().pid == 0:
            print(f'tbos {self.name}: no process and no core file')
            return
        shown = 0
        try:
            for slot, instance in instances():
                shown += 1
                with section(f'slot {slot}'):
                    self.show_instance(slot, instance, words)
        except (gdb.error, ValueError, LookupError, OverflowError, TypeError) as error:
            # Nothing that stands in memory may end in a Python trace.
            print(f'tbos {self.name}: cannot be shown: {type(error).__name__}: {error}')
            return
        if shown == 0:
            print('no instance')


def duration(ns):
    """As the monitor writes it."""
    for unit, name in ((10**9, 's'), (10**6, 'ms'), (10**3, 'us')):
        if ns >= unit:
            return f'{ns // unit}.{ns % unit // (unit // 100):02}{name}'
    return f'{ns}ns'
