# SPDX-License-Identifier: MIT
#
# core/mem below the slab: `tbos frames`, `tbos ranges`, `tbos accounts`.
import reach
from reach import Viewer, at, chars, cpus_of, frame_size, pointer, walk_list

import gdb

KINDS = ('inside', 'free', 'used', 'cached', 'reserved', 'run', 'slab')
RUN, SLAB = KINDS.index('run'), KINDS.index('slab')
REGIONS_MAX = 8
SHOWN = 50  # ranges


def kib(frames):
    return frames * frame_size() // 1024


def regions_of(kernel):
    frames = kernel['frames'].dereference()
    count = int(frames['region_count'])
    if not 0 < count <= REGIONS_MAX:
        raise reach.Damaged(f'damaged struct frame_state at {int(frames.address):#x}: {count} regions')
    for i in range(count):
        yield frames['regions'][i]


class Descriptors:
    """struct frame of one region, read in pieces: there may be a million of them."""
    PIECE = 1 << 12

    def __init__(self, region):
        self.kind = gdb.lookup_type('struct frame')
        self.size = self.kind.sizeof
        self.base = pointer(region['frames'])
        self.first, self.end = int(region['first']), int(region['end'])
        self.pieces = {}
        self.offsets = {name: reach.offset_of('struct frame', name) for name in ('word', 'next', 'prev')}
        union = next(f for f in self.kind.fields() if f.name is None and any(g.name == 'run_frames' for g in f.type.fields()))
        self.offsets['run_frames'] = union.bitpos // 8
        account = next(f for f in self.kind.fields() if f.name is None and any(g.name == 'account' for g in f.type.fields()))
        self.offsets['account'] = account.bitpos // 8

    def raw(self, index):
        if not self.first <= index < self.end:
            raise reach.Damaged(f'damaged list of frames: there is no frame {index}')
        piece, within = divmod(index - self.first, self.PIECE)
        if piece not in self.pieces:
            start = piece * self.PIECE
            count = min(self.PIECE, self.end - self.first - start)
            self.pieces[piece] = bytes(gdb.selected_inferior().read_memory(self.base + start * self.size, count * self.size))
        return self.pieces[piece][within * self.size:(within + 1) * self.size]

    def get(self, index, name, size=4):
        offset = self.offsets[name]
        return int.from_bytes(self.raw(index)[offset:offset + size], 'little')

    def kind_of(self, index):
        return self.get(index, 'word') & 15

    def list(self, head, what):
        """Indexes on a list by links; a list that is damaged ends in a message."""
        seen, previous, index = set(), 0, head
        while index != 0:
            if index in seen or self.get(index, 'prev') != previous:
                raise reach.Damaged(f'damaged list at {what}: frame {index} does not lead back to {previous}')
            seen.add(index)
            yield index
            previous, index = index, self.get(index, 'next')


class Frames(Viewer):
    """tbos frames: the buddy system of each node: free blocks by order, groups; and what CPUs keep in their caches."""
    name, needs = 'frames', 'frames'

    def show(self, kernel, instance, words):
        for region in regions_of(kernel):
            with reach.section(f'node {int(region["node"])}'):
                self.show_region(region)
        for index, cpu in cpus_of(kernel):
            if pointer(cpu['frames']) != 0:
                caches = cpu['frames'].dereference()['caches']
                print(f'  cpu {index} keeps ' + ', '.join(f'{int(caches[i]["count"])} of {int(caches[i]["limit"])} {name}' for i, name in
                                                          enumerate(('frames', 'user frames', 'stacks'))))

    def show_region(self, region):
        descriptors = Descriptors(region)
        print(f'  node {int(region["node"])}: frames {descriptors.first} to {descriptors.end - 1}, usable from {int(region["usable"])}, '
              f'never touched from {int(region["untouched"])}')
        print(f'    free {kib(int(region["free"]))} KiB, in groups {kib(int(region["group_free"]))} KiB, least ever '
              f'{kib(int(region["least_free"]))} KiB, allocs {int(region["allocs"])}, frees {int(region["frees"])}')
        heads, counts = region['heads'], region['counts']
        print('    free blocks by order: ' + ' '.join(str(int(counts[i])) for i in range(counts.type.range()[1] + 1)))
        for order in range(heads.type.range()[1] + 1):
            with reach.section(f'order {order}'):
                self.check_order(descriptors, heads[order], order, int(counts[order]))

    def check_order(self, descriptors, head, order, counted):
        found = 0
        for index in descriptors.list(int(head), f'{int(head.address):#x} (order {order})'):
            word = descriptors.get(index, 'word')
            if word & 15 != KINDS.index('free') or word >> 4 & 15 != order:
                raise reach.Damaged(f'damaged list at {int(head.address):#x} (order {order}): frame {index} is '
                                    f'{KINDS[word & 15] if word & 15 < len(KINDS) else "?"} of order {word >> 4 & 15}')
            found += 1
        if found != counted:
            raise reach.Damaged(f'damaged list at {int(head.address):#x} (order {order}): {found} blocks, {counted} counted')


class Ranges(Viewer):
    """tbos ranges [COUNT]: kernel ranges (runs of whole frames), the COUNT (50) largest, and who pays."""
    name, usage, needs, arguments = 'ranges', '[COUNT]', 'frames', (0, 1)

    def show(self, kernel, instance, words):
        found = []
        base = pointer(kernel['frames'].dereference()['base'])
        for region in regions_of(kernel):
            descriptors = Descriptors(region)
            index = int(region['usable'])
            while index < min(int(region['untouched']), descriptors.end):
                if descriptors.kind_of(index) == RUN:
                    found.append((descriptors.get(index, 'run_frames'), index, descriptors.get(index, 'account', 8)))
                index += 1
        found.sort(key=lambda run: (-run[0], run[1]))
        shown = int(words[0]) if words else SHOWN
        print(f'  {len(found)} ranges, {kib(sum(run[0] for run in found))} KiB')
        for frames, index, account in found[:shown]:
            with reach.section(f'range at frame {index}'):
                payer = chars(at(account, 'struct account')['name']) if account else 'nobody'
                print(f'  {base + index * frame_size():#x} {kib(frames):9} KiB  {payer}')


class Accounts(Viewer):
    """tbos accounts: who pays for frames: used, peak, limit, refused charges, by whom it is held."""
    name, needs = 'accounts', 'accounts'

    def show(self, kernel, instance, words):
        print('account           used KiB  peak KiB limit KiB failed  refs parent')
        for account in walk_list(kernel['accounts'].dereference()['all'], 'struct account', 'link'):
            parent = chars(at(pointer(account['parent']), 'struct account')['name']) if pointer(account['parent']) else ''
            print(f'{chars(account["name"]):16} {kib(int(account["used_frames"])):9} {kib(int(account["peak_frames"])):9} '
                  f'{kib(int(account["limit_frames"])):9} {int(account["failed"]):6} {int(account["refs"]):5} {parent}'.rstrip())


Frames()
Ranges()
Accounts()
