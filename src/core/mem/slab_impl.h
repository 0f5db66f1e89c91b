// SPDX-License-Identifier: MIT
//
// The slab: objects of equal size out of slabs of frames, with per-CPU magazines in front (Bonwick 1994; Bonwick, Adams 2001).
//
// Layers, from the caller down
//   slab_alloc, kmalloc   this CPU's loaded magazine: a count and an array of pointers, touched with preemption off. No
//                         lock, no atomic, no statistics. kfree() finds the cache by a byte per frame (slab_of).
//   slab.c                loaded magazine empty (full): swap with the previous one, or exchange with the depot
//   depot.c               full and empty magazines of a cache, one lock; a contended depot makes larger magazines
//   slab_page.c           slabs: objects that are in no magazine, one lock a cache; grows by frames, gives empty slabs back
//   slab_debug.c          red zones, poison and owners of objects (CONFIG_MEMDEBUG, in part CONFIG_ASAN)
//   slab_info.c           caches listed, leaks by call site, slab_check()
//   kmalloc.c             size classes
//
// An object is: in its slab (free list, or never carved) → in a magazine (loaded, previous, depot) → live → in a magazine → in its slab.
// slab_used counts the objects that are out of their slab. All metadata of a slab is in its first frame's descriptor; the
// free list runs through the objects at link_offset, behind the object where its contents must survive (constructor, debug).
//
// A slab is partial, full or empty, and on the cache's list of that name. Some empty ones are kept against flapping.
//
// Invariants (slab_check). Lists match slab_used; free list + uncarved + used = objects of a slab; a magazine that is not
// loaded knows its count; loaded ones count in slab_cpu. Objects out = live + in magazines.
//
// Magazines come from caches of their own that have none, so nothing here recurs. Locks: cache_list (mutex) < depot < cache.
// Growing takes no lock while it waits for frames, so only it may sleep, unless MEM_ATOMIC or preemption is off.
#ifndef SLAB_IMPL_H
#define SLAB_IMPL_H

#include "kern/sync.h"
#include "mem_impl.h"

#define SLAB_CACHES_MAX 128u // ids fit the byte of slab_of; one word of per-CPU state each
#define SLAB_SIZE_MAX 32768u // of a slab, unless a frame is larger
#define SLAB_ORDER_MAX (FRAME_SHIFT < 15 ? 15 - FRAME_SHIFT : 0)
#define SLAB_OBJECT_MAX 8192u
#define SLAB_ALIGN_MAX 4096u
#define MAGAZINE_TYPES 5u          // 6, 14, 30, 62, 126 rounds: 64 bytes … 1 KiB
#define DEPOT_LIMIT_BYTES 1048576u // objects that a depot keeps at most (never less than two magazines)

// Objects carry a tag behind them.
#define SLAB_TAGGED (CONFIG_MEMDEBUG || CONFIG_ASAN)
#define SLAB_RED_SIZE 16u

enum slab_tag_state {
	SLAB_TAG_FREE = 0x46524545, // text, so that a dump is readable
	SLAB_TAG_LIVE = 0x4c495645
};

struct slab_tag {
	uint32_t state;           // atomic; enum slab_tag_state
	uint32_t requested_bytes; // what the caller asked for: the red zone begins there
	uintptr_t where;          // who allocated it or, when free, who freed it: image offset
	uint32_t link;
};

struct magazine {
	struct magazine *next;
	uint32_t count; // while not loaded
	uint32_t capacity;
	void *rounds[];
};

// One CPU's part of one cache. Written by its own CPU alone, with preemption off; the counts are read by anybody.
// refilled - flushed, over all CPUs, are the objects that are live or in a CPU's magazine.
struct slab_cpu {
	uint32_t count; // rounds of the loaded magazine
	uint16_t capacity;
	uint16_t previous_count;
	void **rounds; // of the loaded magazine; NULL: none
	struct magazine *previous;
	uint32_t refilled; // rounds that came in from depot or slabs; wraps
	uint32_t flushed;  // … went there
};
static_assert(sizeof(struct slab_cpu) <= 32, "two to a cache line");

struct depot {
	struct spinlock lock;
	struct magazine *full;
	struct magazine *empty;
	uint32_t full_count;
	uint32_t empty_count;
	uint32_t type; // of new magazines
	uint32_t type_max;
	uint32_t exchanges; // since contention was last looked at
	uint32_t contended;
};

struct slab_cache {
	// Immutable.
	const char *name;
	uint32_t id;
	uint32_t size_bytes;
	uint32_t align;
	uint32_t stride_bytes;
	uint32_t link_offset;
	uint32_t tag_offset;
	uint32_t order; // of a slab
	uint32_t per_slab;
	uint32_t flags;
	bool bare; // a magazine's own cache: has none
	err_t (*construct)(void *object);
	void (*destruct)(void *object);
	struct account *account;

	struct depot depot cache_aligned;

	// Under lock.
	struct spinlock lock cache_aligned;
	uint32_t partial; // lists of slabs
	uint32_t full;
	uint32_t empty;
	uint32_t slab_count;
	uint32_t empty_count;
	uint32_t out_count; // objects out of their slabs
};

struct slab_state {
	struct mutex lock;                          // caches come and go
	struct slab_cache *caches[SLAB_CACHES_MAX]; // by id; [0] stays NULL
	struct pressure_callback pressure;
	struct slab_cache *magazines; // MAGAZINE_TYPES of them
	struct slab_cache *classes;   // kmalloc's
};

static inline struct slab_state *slab_state(void)
{
	return kernel_self()->slab;
}

// A counter that its own CPU writes and others read.
static force_inline void local_add(uint32_t *counter, uint32_t amount)
{
	atomic_store_u32_relaxed_nopoint(counter, atomic_load_u32_relaxed_nopoint(counter) + amount);
}

static inline uint32_t magazine_capacity(uint32_t type)
{
	return (4u << type << 1) - 2u;
}

#define KMALLOC_CLASSES 33u
#define SLAB_ID_MAGAZINES 1u
#define SLAB_ID_CLASSES (SLAB_ID_MAGAZINES + MAGAZINE_TYPES)

#if CONFIG_SCHEDPOINTS_FULL
#define PERCPU_POINT() hal_point(HAL_POINT_PERCPU)
#else
#define PERCPU_POINT() ((void)0)
#endif

// ---- the fast path -------------------------------------------------------------------------------------------------

// Preemption off and on again for code that neither nests nor calls: constants instead of counts, so that no load waits for a
// store. False: preemption is off already, take the general way.
static force_inline bool percpu_enter(struct hal_thread *self)
{
	if (unlikely(*(volatile uint32_t *)&self->preempt_count != 0))
		return false;
	*(volatile uint32_t *)&self->preempt_count = 1;
	barrier();
	return true;
}

static force_inline void percpu_leave(struct hal_thread *self)
{
	barrier();
	*(volatile uint32_t *)&self->preempt_count = 0;
	barrier();
	if (unlikely(*(volatile uint32_t *)&self->resched != 0))
		preempt_enable_slow();
}

static force_inline struct slab_cpu *slab_cpu_of(const struct hal_thread *self, uint32_t id)
{
	ASSERT3(((struct cpu *)self->cpu)->irq_depth, ==, 0);
	return &((struct cpu *)self->cpu)->slab[id];
}

static force_inline void *slab_cpu_pop(struct slab_cpu *local)
{
	uint32_t count = atomic_load_u32_relaxed_nopoint(&local->count);
	if (unlikely(count == 0))
		return NULL;
	void *object = local->rounds[count - 1];
	PERCPU_POINT();
	atomic_store_u32_relaxed_nopoint(&local->count, count - 1);
	return object;
}

static force_inline bool slab_cpu_push(struct slab_cpu *local, void *object)
{
	uint32_t count = atomic_load_u32_relaxed_nopoint(&local->count);
	if (unlikely(count == local->capacity))
		return false;
	local->rounds[count] = object;
	PERCPU_POINT();
	atomic_store_u32_relaxed_nopoint(&local->count, count + 1);
	return true;
}

// An object of the cache, or NULL: ask slab_alloc_slow().
static force_inline void *slab_alloc_fast(uint32_t id)
{
	struct hal_thread *self = hal_self();
	PERCPU_POINT();
	if (unlikely(!percpu_enter(self)))
		return NULL;
	void *object = slab_cpu_pop(slab_cpu_of(self, id));
	percpu_leave(self);
	return object;
}

static force_inline bool slab_free_fast(uint32_t id, void *object)
{
	struct hal_thread *self = hal_self();
	PERCPU_POINT();
	if (unlikely(!percpu_enter(self)))
		return false;
	bool taken = slab_cpu_push(slab_cpu_of(self, id), object);
	percpu_leave(self);
	return taken;
}

// ---- the rest ------------------------------------------------------------------------------------------------------

// slab.c
void *slab_alloc_slow(struct slab_cache *cache, uint32_t mem_flags);
void slab_free_slow(struct slab_cache *cache, void *object);
void slab_fill(const struct slab_cache *cache, void *object, uint32_t mem_flags); // zeroes or poisons
err_t slab_cache_setup(struct slab_cache *cache, uint32_t id, const struct slab_params *params, bool bare) must_check;
uint32_t slab_cache_empty(struct kernel *kernel, struct slab_cache *cache); // nobody uses it; objects still live

// kmalloc.c, slab_info.c
err_t kmalloc_init(struct slab_state *state) must_check;
void slab_log_leaks(struct slab_cache *cache, uint32_t live);

// depot.c. Any of these may be called with preemption off; none sleeps.
void depot_init(struct slab_cache *cache);
struct magazine *depot_take_full(struct slab_cache *cache, struct magazine *empty); // empty: given in exchange; NULL
void depot_give_full(struct slab_cache *cache, struct magazine *full);
struct magazine *depot_take_empty(struct slab_cache *cache); // makes one if need be; NULL: no memory
void depot_give_empty(struct slab_cache *cache, struct magazine *empty);
void depot_reap(struct slab_cache *cache);
void magazine_drain(struct slab_cache *cache,
		    struct magazine *magazine); // objects to their slabs, magazine to the depot

// slab_page.c
uint32_t slab_take(struct slab_cache *cache, void **objects, uint32_t count); // as many as slabs have
void slab_give(struct slab_cache *cache, void *const *objects, uint32_t count);
err_t slab_grow(struct slab_cache *cache, uint32_t mem_flags) must_check;
uint32_t slab_release_empty(struct slab_cache *cache, uint32_t keep); // frames given back
struct frame *slab_of_object(struct frame_state *state, const struct slab_cache *cache, const void *object,
			     uint32_t *index);

// slab_debug.c: nothing unless SLAB_TAGGED.
void slab_debug_made(const struct slab_cache *cache, void *objects);
void slab_debug_alloc(const struct slab_cache *cache, void *object, uint32_t requested_bytes, uintptr_t where);
void slab_debug_free(const struct slab_cache *cache, void *object, uintptr_t where);
err_t slab_debug_check_free(const struct slab_cache *cache, void *object) must_check;

static inline struct slab_tag *slab_tag(const struct slab_cache *cache, const void *object)
{
	return (struct slab_tag *)((uintptr_t)object + cache->tag_offset);
}

static inline uint32_t *slab_link(const struct slab_cache *cache, void *object)
{
	return (uint32_t *)(void *)((char *)object + cache->link_offset);
}

// What a tag says about the caller of the public function that asks. (return addresses are ASLR's, image offsets are not)
#define CALLER() ((uintptr_t)image_offset(__builtin_return_address(0)))

#endif
