# SPDX-License-Identifier: MIT
#
# The slab of core/mem: `tbos slab [CACHE]`: figures as the monitor's; of one cache also its slabs, magazines and, with tags
# (debug builds), its live objects by the place that allocated them.
import collections

import reach
from frames import SLAB, Descriptors, kib, regions_of
from reach import Viewer, at, cpus_of, pointer, text_at


TAG_LIVE = 0x4C495645
SITES = 20


def link_at(cache, obj):
    return at(obj + int(cache['link_offset']), 'struct slab_link')


def magazine_count(cache, line, member):
    """Objects in a CPU's magazine; its first object knows. It may be on its way out: then a guess, as in slab_info.c."""
    first = pointer(line[member])
    return min(int(link_at(cache, first)['depth']), 2 * int(line['limit'])) if first else 0


def depot_count(cache):
    """(magazines, objects) in the depot."""
    magazine, seen, objects = pointer(cache['depot']['first']), set(), 0
    while magazine != 0:
        if magazine in seen or magazine & 7:
            raise reach.Damaged(f'damaged list at {int(cache["depot"].address):#x}: magazine {magazine:#x} comes twice or is none')
        seen.add(magazine)
        link = link_at(cache, magazine)
        objects += int(link_at(cache, pointer(link['next']))['depth']) + 1
        magazine = pointer(link['chain'])
    if len(seen) != int(cache['depot']['count']):
        raise reach.Damaged(f'damaged list at {int(cache["depot"].address):#x}: {len(seen)} magazines, {int(cache["depot"]["count"])} counted')
    return len(seen), objects


class Tally:
    """What CPUs and depot have of a cache."""

    def __init__(self, kernel, cache):
        self.refilled = self.flushed = self.held = 0
        self.lines = []
        for index, cpu in cpus_of(kernel):
            line = cpu['slab'].dereference()['lines'][int(cache['id'])]
            hot, previous = magazine_count(cache, line, 'hot'), magazine_count(cache, line, 'previous')
            self.refilled += int(line['refilled'])
            self.flushed += int(line['flushed'])
            self.held += hot + previous
            self.lines.append((index, hot, previous, int(line['limit'])))
        self.magazines, self.depot = depot_count(cache)
        self.live = (self.refilled - self.flushed - self.held) & 0xffffffff


def caches_of(kernel):
    table = kernel['slab'].dereference()['caches']
    for i in range(table.type.range()[1] + 1):
        if pointer(table[i]) != 0:
            yield table[i].dereference()


class Slab(Viewer):
    """tbos slab: every cache of objects, as the monitor's `slab` shows them.
tbos slab CACHE: one cache: slabs, magazines of each CPU, depot, and (debug builds) who allocated the live objects."""
    name, usage, needs, arguments = 'slab', '[CACHE]', 'slab', (0, 1)

    def show(self, kernel, instance, words):
        found = 0
        print('cache                  size align      live     total  slabs      KiB rounds')
        for cache in caches_of(kernel):
            with reach.section(f'cache at {int(cache.address):#x}'):
                name = text_at(pointer(cache['name']))
                if words and name != words[0]:
                    continue
                found += 1
                tally = Tally(kernel, cache)
                slabs = int(cache['slab_count'])
                print(f'{name:20} {int(cache["size_bytes"]):6} {int(cache["align"]):5} {tally.live:9} {slabs * int(cache["per_slab"]):9} '
                      f'{slabs:6} {kib(slabs << min(int(cache["order"]), 16)):8} {int(cache["depot"]["limit"]):6}')
                if words:
                    self.show_cache(kernel, cache, tally)
        if words and found == 0:
            print(f'  no cache {words[0]}')

    def show_cache(self, kernel, cache, tally):
        print(f'  at {int(cache.address):#x}: {int(cache["per_slab"])} objects of {int(cache["stride_bytes"])} bytes a slab, '
              f'{int(cache["out_count"])} out of their slabs')
        for index, hot, previous, limit in tally.lines:
            print(f'  cpu {index}: {hot} loaded, {previous} in the previous magazine, at most {limit} in one')
        print(f'  depot: {tally.magazines} magazines, {tally.depot} objects')
        regions = [Descriptors(region) for region in regions_of(kernel)]
        slabs = []
        for name in ('partial', 'full', 'empty'):
            with reach.section(name):
                slabs += self.slabs_on(kernel, cache, regions, name)
        if reach.has_field('struct thread', 'held_locks') and slabs:
            self.show_sites(cache, slabs)

    def slabs_on(self, kernel, cache, regions, name):
        """Addresses of the slabs on a list that may lead from region to region."""
        base = pointer(kernel['frames'].dereference()['base'])
        seen, previous, index = [], 0, int(cache[name])
        while index != 0:
            region = next((r for r in regions if r.first <= index < r.end), None)
            where = f'{int(cache[name].address):#x} ({name} slabs)'
            if region is None or len(seen) > int(cache['slab_count']) or region.get(index, 'prev') != previous:
                raise reach.Damaged(f'damaged list at {where}: frame {index} after {len(seen)} slabs')
            if region.kind_of(index) != SLAB or region.get(index, 'account', 8) != int(cache.address):
                raise reach.Damaged(f'damaged list at {where}: frame {index} is no slab of this cache')
            seen.append(base + index * reach.frame_size())
            previous, index = index, region.get(index, 'next')
        print(f'  {name}: {len(seen)} slabs{" at " + " ".join(hex(a) for a in seen[:8]) if seen else ""}{" …" if len(seen) > 8 else ""}')
        return seen

    def show_sites(self, cache, slabs):
        sites = collections.Counter()
        stride, count, offset = int(cache['stride_bytes']), int(cache['per_slab']), int(cache['tag_offset'])
        for slab in slabs:
            for i in range(min(count, 1 << 16)):
                tag = at(slab + i * stride + offset, 'struct slab_tag')
                if int(tag['state']) == TAG_LIVE:
                    sites[int(tag['where'])] += 1
        for where, objects in sorted(sites.items(), key=lambda site: (-site[1], site[0]))[:SITES]:
            print(f'  {objects:6} live from {reach.symbol_of(reach.image_pointer(where))}')


Slab()
