// SPDX-License-Identifier: MIT
//
// Memory: from RAM to frames, from frames to objects.
//
// Purpose. frame_alloc() hands out 2^order frames; everything else here is made of them: slabs of equal objects, kmalloc's
// size classes, ranges of any number of frames, groups for user memory, reservations. The tiny personas replace all of it
// by frame_bitmap.c behind the same frame_*() calls.
//
// Files
//   node.c         frame_init(), regions of RAM, order of preference, figures
//   frame.c        the buddy system of one region
//   frame_cpu.c    per-CPU caches of single frames and kernel stacks
//   frame_alloc.c  frame_alloc(), frame_free(): charge, take, retry under pressure, clear or poison
//   frame_group.c  aligned groups of user frames
//   reserve.c      frame_reserve(): frames put aside
//   account.c      who pays          pressure.c  who can give back          fault.c  failures on purpose
//   frame_trim.c   free blocks back to the host
//   range.c        runs of whole frames, not rounded to a power of two
//   slab_impl.h    slab.c, slab_cpu.c, slab_page.c, depot.c, slab_debug.c, slab_info.c, kmalloc.c have a page of their own
//   mem_check.c    frame_check(), range_check(): recount it all
//
// Objects. A *region* is one run of RAM on one node. Its descriptors (struct frame) lie in an array; frames are named by their
// index, counted from the start of RAM for all regions alike; 0 is nobody, because struct kernel lies there. A zeroed
// descriptor says: inside a block, or never touched. Only the first descriptor of a block says what the block is:
//
//   FREE ──take──▶ USED ──frame_free──▶ CACHED ──drain──▶ FREE        RUN: a range      SLAB: a slab
//                   └──▶ RESERVED ──frame_alloc_reserved──▶ USED      GROUP flag: heads a group of user frames
//
// Untouched. Frames above region->untouched have never been handed out and appear on no list: a block as large as its
// alignment allows is carved off when the lists have nothing that fits. So boot writes a handful of descriptors, however
// much RAM there is, and pages that nobody needs are never touched.
//
// Groups. User frames come out of groups: blocks of 64 KiB (GROUP_ORDER), aligned to their size, holding nothing else. The
// host maps a group as one piece. A *kept* group (frame_group_reserve) belongs to a piece of somebody's address space, who takes
// frames at the index that suits the address; when memory runs short, others may take frames of it too.
//
// Invariants (mem_check.c). Blocks tile [usable, untouched) of each region; free buddies of equal order are merged below the
// greatest order; lists, counts and descriptors agree; free = lists + untouched; an account is charged for exactly the
// USED, RESERVED, RUN and SLAB frames that name it.
//
// Locks, in order: pressure.lock (mutex) < caches (mutex) < depot < cache < frame_cpu.lock < region.lock < accounts.lock. A descriptor belongs
// to whoever holds its block; the word alone is atomic, because a merge looks at its neighbour's. Nothing here is used in
// interrupts. Only frame_alloc()'s way through pressure sleeps.
#ifndef MEM_IMPL_H
#define MEM_IMPL_H

#include "hal/hal.h"
#include "hal/mem.h"
#include "kern/assert.h"
#include "kern/atomic.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/string.h"

#define FRAME_TOP_ORDER (FRAME_ORDER_MAX - 1)
#define FRAME_TOP_COUNT (1u << FRAME_TOP_ORDER)
#define CHECK_TRIES 8u            // of checks that count across locks, while others go on
#define FRAME_NODE_ANY UINT32_MAX // the running CPU's
#define GROUP_ORDER (FRAME_SHIFT < 16 ? 16 - FRAME_SHIFT : 0)
#define GROUP_ORDER_MAX                                                                                                \
	(FRAME_SHIFT < 21 ? (21 - FRAME_SHIFT < FRAME_TOP_ORDER ? 21 - FRAME_SHIFT : FRAME_TOP_ORDER) : 0)
#define KSTACK_ORDER (CONFIG_KSTACK_SIZE <= FRAME_SIZE ? 0 : __builtin_ctz(CONFIG_KSTACK_SIZE / FRAME_SIZE))

// What the first descriptor of a block says, low bits of its word.
enum frame_kind {
	FRAME_INSIDE, // not the first one, or never touched
	FRAME_FREE,
	FRAME_USED,
	FRAME_CACHED,
	FRAME_RESERVED,
	FRAME_RUN,
	FRAME_SLAB
};

#define FRAME_KIND_MASK 0xfu
#define FRAME_ORDER_SHIFT 4u
#define FRAME_GROUP_SHIFT 8u
#define FRAME_FLAG_USER (1u << 12)  // taken out of a group of order word >> 8 & 15
#define FRAME_FLAG_GROUP (1u << 13) // heads a group of that order; links and group_free are the group's
#define FRAME_FLAG_KEPT (1u << 14)  // … which somebody keeps for an address range
#define FRAME_WORD(kind, order) ((uint32_t)(kind) | (order) << FRAME_ORDER_SHIFT)

struct slab_cache;

struct frame {
	uint32_t word; // atomic
	uint32_t next; // FREE, group, slab: list links by index
	uint32_t prev;
	union {
		uint32_t run_frames; // RUN
		uint32_t group_free; // GROUP: frames not taken
		uint32_t trimmed;    // FREE: 1: given to the host since it was last used (frame_trim.c)
		struct {
			uint16_t slab_used;   // SLAB: objects out of the slab, in magazines or live
			uint16_t slab_carved; // objects that have ever been out; the rest was never touched
		};
	};
	union {
		struct account *account;  // USED, RESERVED, RUN
		struct slab_cache *cache; // SLAB; the cache names the account
	};
	uint32_t slab_free;   // SLAB: first free object, (offset / 8) + 1; 0 none
	uint32_t slab_colour; // SLAB: which object is carved first
};

struct frame_region {
	struct spinlock lock;
	// Immutable.
	uint32_t node;
	uint32_t first; // descriptors cover [first, end)
	uint32_t end;
	uint32_t usable;    // what lies before is the descriptors' or boot's
	uint32_t emergency; // left for MEM_ATOMIC
	struct frame *frames;
	// Under the lock.
	uint32_t untouched;
	uint32_t free;       // on lists and untouched
	uint32_t group_free; // in groups, not taken
	uint32_t least_free;
	uint32_t allocs; // blocks taken and given; wrap
	uint32_t frees;
	uint32_t nonempty; // bit per order
	uint32_t heads[FRAME_ORDER_MAX];
	uint32_t counts[FRAME_ORDER_MAX];
	uint32_t groups; // list: groups that nobody keeps, with frames to take
	uint32_t kept;   // list: kept ones, likewise
};

enum frame_cache_kind {
	FRAME_CACHE_SINGLE,
	FRAME_CACHE_USER,
	FRAME_CACHE_STACK,
	FRAME_CACHE_COUNT
};

#define FRAME_CACHE_MAX 64u

struct frame_cache {
	uint32_t count;
	uint32_t limit; // 0: not cached
	uint32_t frames[FRAME_CACHE_MAX];
};

struct frame_cpu {
	struct spinlock lock;
	struct frame_cache caches[FRAME_CACHE_COUNT];
};

struct pressure_state;

struct frame_state {
	char *base; // frame 0: RAM's start, rounded down to the greatest block
	uint32_t region_count;
	uint32_t frame_limit; // beyond the last frame of all regions
	uint32_t reserved;    // atomic: frames put aside by frame_reserve()
	uint32_t failures;    // atomic
	uint16_t *line_of;    // per frame, atomic: where in struct slab_cpu kfree() finds its line; 0: not a slab's
	struct pressure_state *pressure;
	uint8_t preference[HAL_MAX_NODES][HAL_MAX_NODES]; // regions from near to far, by node
	struct frame_region regions[HAL_MAX_NODES];
};

static inline struct frame_state *frame_state(void)
{
	return kernel_self()->frames;
}

static inline void *frame_address(const struct frame_state *state, uint32_t index)
{
	return state->base + ((size_t)index << FRAME_SHIFT);
}

// Only for addresses at or above base.
static inline uint32_t frame_index(const struct frame_state *state, const void *address)
{
	return (uint32_t)((size_t)((const char *)address - state->base) >> FRAME_SHIFT);
}

static inline uint32_t frame_word(const struct frame *frame)
{
	return atomic_load_u32_relaxed_nopoint(&frame->word);
}

static inline void frame_word_set(struct frame *frame, uint32_t word)
{
	atomic_store_u32_relaxed_nopoint(&frame->word, word);
}

static inline uint32_t frame_word_kind(uint32_t word)
{
	return word & FRAME_KIND_MASK;
}

static inline uint32_t frame_word_order(uint32_t word)
{
	return word >> FRAME_ORDER_SHIFT & 0xfu;
}

static inline uint32_t frame_word_group_order(uint32_t word)
{
	return word >> FRAME_GROUP_SHIFT & 0xfu;
}

// Another kind, everything else as it was. By the block's owner.
static inline void frame_kind_set(struct frame *frame, enum frame_kind kind)
{
	frame_word_set(frame, (frame_word(frame) & ~FRAME_KIND_MASK) | kind);
}

static inline struct frame *region_frame(const struct frame_region *region, uint32_t index)
{
	ASSERT3(index - region->first, <, region->end - region->first);
	return &region->frames[index - region->first];
}

// node.c
struct frame_region *frame_region_of(struct frame_state *state, uint32_t index); // NULL: no such frame
struct frame *frame_at(struct frame_state *state, uint32_t index);               // VERIFY: it exists

// frame.c: one region's buddy system, under its lock. Indexes; 0: nothing that large. The block taken is marked USED.
uint32_t buddy_take_locked(struct frame_region *region, uint32_t order);
void buddy_give_locked(struct frame_region *region, uint32_t index, uint32_t order);
void buddy_give_span_locked(struct frame_region *region, uint32_t start, uint32_t end);
uint32_t buddy_take_run_locked(struct frame_region *region, uint32_t count, uint32_t align_order); // marked RUN
bool region_may_take_locked(const struct frame_region *region, uint32_t count, uint32_t mem_flags);
void frame_list_push(struct frame_region *region, uint32_t *head, uint32_t index);
void frame_list_remove(struct frame_region *region, uint32_t *head, uint32_t index);

// frame_group.c: user frames, marked USED | USER.
uint32_t group_take_locked(struct frame_region *region, uint32_t order, uint32_t mem_flags);
void group_give_locked(struct frame_region *region, uint32_t index);

// frame_cpu.c. Take: 0 when neither the cache nor the node has any. Give: false when this block is not for a cache.
uint32_t frame_cpu_take(struct frame_state *state, enum frame_cache_kind kind);
bool frame_cpu_give(struct frame_state *state, uint32_t index, uint32_t word);
err_t frame_cpu_init(struct kernel *kernel, uint32_t usable_frames) must_check;

// frame_alloc.c
uint32_t frame_take_from_regions(struct frame_state *state, uint32_t node, uint32_t order, uint32_t mem_flags);
uint32_t frame_take(struct frame_state *state, uint32_t node, uint32_t order, uint32_t mem_flags);
void frame_give(struct frame_state *state, uint32_t index, uint32_t order); // marked CACHED or SLAB by the caller
struct frame *frame_verify_block(struct frame_state *state, const void *memory, const char *caller);
bool mem_relieve(uint32_t round, uint32_t frames, uint32_t mem_flags);   // whether another try makes sense
void frame_prepare(void *memory, size_t size_bytes, uint32_t mem_flags); // before it is handed out
void frame_retire(void *memory, size_t size_bytes);                      // when it has come back
bool mem_may_sleep(uint32_t mem_flags);
struct account *account_or_current(struct account *account);

// account.c, pressure.c, fault.c
err_t account_init(struct kernel *kernel) must_check;
err_t pressure_init(struct kernel *kernel) must_check;
uint32_t pressure_run(uint32_t wanted_frames); // frames given back; may sleep
err_t fault_init(struct kernel *kernel) must_check;

// range.c: range_alloc_aligned() for those who have asked fault_should_fail() themselves.
void *range_alloc_unasked(size_t size_bytes, size_t align, uint32_t mem_flags, struct account *account);

// slab.c: what the slab wants of the boot arena.
err_t slab_init_arena(struct kernel *kernel) must_check;

#endif
