// SPDX-License-Identifier: MIT
//
// The slab: objects of equal size out of slabs of frames, with per-CPU magazines in front (Bonwick 1994; Bonwick, Adams 2001).
//
// Layers, from the caller down
//   slab_alloc, kmalloc   this CPU's loaded magazine, touched with preemption off. No lock, no atomic, no statistics. kfree() finds
//                         the cache by two bytes per frame (line_of).
//   slab_cpu.c            loaded magazine empty (full): swap with the previous one, or exchange with the depot
//   slab_reap.c           the magazines of all CPUs, back to their slabs
//   depot.c               full magazines of a cache, one lock; contention makes magazines larger
//   slab_page.c           slabs: objects that are in no magazine, one lock a cache; grows by frames, gives empty slabs back
//   slab_debug.c          red zones, poison and owners of objects (CONFIG_MEMDEBUG, in part CONFIG_ASAN)
//   slab_info.c           caches listed, leaks by call site, slab_check()
//   kmalloc.c             size classes      slab.c  caches made, destroyed, reaped
//
// A magazine is a chain of free objects, linked through themselves at link_offset (behind the object where its contents must
// survive: constructor, debug); each link knows how many objects there are from it on. So a magazine takes no memory, making one
// cannot fail, and freeing writes two words: the freed object's link and the CPU's `hot`.
//
// An object is: in its slab (free list, or never carved) → in a magazine (loaded, previous, depot) → live → in a magazine → in its
// slab. slab_used counts the objects that are out of their slab. All metadata of a slab is in its first frame's descriptor.
//
// A slab is partial, full or empty, and on the cache's list of that name. Some empty ones are kept against flapping.
//
// Invariants (slab_check). Lists match slab_used; free list + uncarved + used = objects of a slab. Objects out of slabs = live + in
// magazines; refilled - flushed over all CPUs = live + in CPUs' magazines. A magazine in the depot has two objects or more.
//
// Locks: cache_list (mutex) < depot < cache. Growing takes no lock while it waits for frames, so only it may sleep, unless
// MEM_ATOMIC or preemption is off.
#ifndef SLAB_IMPL_H
#define SLAB_IMPL_H

#include "kern/image.h"
#include "kern/sync.h"
#include "mem_impl.h"

#define SLAB_CACHES_MAX 128u
#define SLAB_ORDER_MAX (FRAME_SHIFT < 15 ? 15 - FRAME_SHIFT : 0) // slabs of 32 KiB at most, or one frame
#define SLAB_OBJECT_MAX 8192u
#define SLAB_ALIGN_MAX 4096u

// Objects carry a tag behind them.
#define SLAB_TAGGED (CONFIG_MEMDEBUG || CONFIG_ASAN)
#define SLAB_RED_SIZE 16u

enum slab_tag_state {
	SLAB_TAG_FREE = 0x46524545, // text, so that a dump is readable
	SLAB_TAG_LIVE = 0x4c495645
};

// In a free object.
struct slab_link {
	void *next; // object; NULL
	union {
		uint32_t depth; // objects from this one to the end of the chain
		void *chain;    // first object of a magazine in the depot: that of the next magazine
	};
};

struct slab_tag {
	uint32_t state;           // atomic; enum slab_tag_state
	uint32_t requested_bytes; // what the caller asked for: the red zone begins there
	uintptr_t where;          // who allocated it or, when free, who freed it: image offset
	struct slab_link link;
};

// One CPU's part of one cache. Written by its own CPU alone, with preemption off; the numbers are read by anybody.
struct slab_line {
	void *hot;            // the loaded magazine: its first object is what goes next; NULL: empty
	void *previous;       // the other magazine: what was loaded before, full, or NULL
	uint32_t limit;       // of objects in a magazine; 0: this CPU has not used the cache yet
	uint32_t link_offset; // the cache's
	uint32_t refilled;    // objects that came in from depot or slabs; wraps
	uint32_t flushed;     // … went there
};

// One CPU's part of the slab. The tail repeats what is the same for all CPUs, where the fast path has it at hand.
struct slab_cpu {
	struct slab_line lines[SLAB_CACHES_MAX]; // by cache id; [0] is nobody's
	const char *base;                        // frame_state's
	const uint16_t *line_of;                 // frame_state's
	uint32_t frame_limit;                    // frame_state's
	uint32_t poison;                         // struct kernel's
};
static_assert(sizeof(struct slab_line) <= 32, "two to a cache line");
static_assert(sizeof(struct slab_line) * SLAB_CACHES_MAX <= 65535, "offsets fit line_of");

struct depot {
	struct spinlock lock;
	void *first; // first object of the first magazine
	uint32_t count;
	uint32_t limit; // of objects in a magazine; atomic
	uint32_t limit_max;
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
	uint32_t made_count; // slabs ever made: their colour
	uint32_t empty_count;
	uint32_t out_count; // objects out of their slabs
};

struct slab_state {
	struct mutex lock;                          // caches come and go
	struct slab_cache *caches[SLAB_CACHES_MAX]; // by id; [0] stays NULL
	struct pressure_callback pressure;
	struct slab_cache *classes; // kmalloc's
};

static inline struct slab_state *slab_state(void)
{
	return kernel_self()->slab;
}

#define KMALLOC_CLASSES 32u
#define SLAB_ID_CLASSES 1u // ids of kmalloc's caches begin here

#if CONFIG_SCHEDPOINTS_FULL
#define PERCPU_POINT() hal_point(HAL_POINT_PERCPU)
#else
#define PERCPU_POINT() ((void)0)
#endif

// ---- the fast path -------------------------------------------------------------------------------------------------
//
// Preemption goes off and on by constants instead of counts, so that no load waits for a store; whoever comes with preemption
// off already takes the slow path. Everything that is rare is a tail call, so that nothing is saved on the stack.

static force_inline bool percpu_enter(struct hal_thread *self)
{
	PERCPU_POINT();
	if (unlikely(*(volatile uint32_t *)&self->preempt_count != 0))
		return false;
	*(volatile uint32_t *)&self->preempt_count = 1;
	barrier();
	return true;
}

// Whoever calls it looks at resched afterwards, or ends in something that does.
static force_inline void percpu_leave(struct hal_thread *self)
{
	barrier();
	*(volatile uint32_t *)&self->preempt_count = 0;
	barrier();
}

static force_inline uint32_t percpu_resched(const struct hal_thread *self)
{
	return *(const volatile uint32_t *)&self->resched;
}

static force_inline struct slab_cpu *slab_cpu_of(const struct hal_thread *self)
{
	ASSERT3(((struct cpu *)self->cpu)->irq_depth, ==, 0);
	return ((struct cpu *)self->cpu)->slab;
}

// The address is computed once and kept: compilers would rather compute it anew for each member.
static force_inline struct slab_line *slab_line_at(struct slab_cpu *cpu, uint32_t offset)
{
	struct slab_line *line = (struct slab_line *)(void *)((char *)cpu + offset);
	__asm__("" : "+r"(line));
	return line;
}

static force_inline struct slab_line *slab_line_of(struct slab_cpu *cpu, uint32_t id)
{
	return slab_line_at(cpu, id * (uint32_t)sizeof(struct slab_line));
}

static force_inline struct slab_link *slab_link_at(void *object, uint32_t link_offset)
{
	return (struct slab_link *)(void *)((char *)object + link_offset);
}

// The next object; NULL when the loaded magazine is empty.
static force_inline void *line_pop(struct slab_line *line, uint32_t link_offset)
{
	void *object = atomic_load_ptr_relaxed_nopoint(&line->hot);
	if (unlikely(object == NULL))
		return NULL;
	PERCPU_POINT();
	atomic_store_ptr_relaxed_nopoint(&line->hot, slab_link_at(object, link_offset)->next);
	return object;
}

// False when the loaded magazine is full.
static force_inline bool line_push(struct slab_line *line, void *object, uint32_t link_offset)
{
	void *hot = atomic_load_ptr_relaxed_nopoint(&line->hot);
	uint32_t depth = likely(hot != NULL) ? slab_link_at(hot, link_offset)->depth : 0;
	if (unlikely(depth >= line->limit))
		return false;
	PERCPU_POINT();
	slab_link_at(object, link_offset)->next = hot;
	slab_link_at(object, link_offset)->depth = depth + 1;
	atomic_store_ptr_relaxed_nopoint(&line->hot, object);
	return true;
}

// slab_cpu.c: the ways out of the fast path. slab_alloc_finish(): resched, zeroes, poison, tags; returns the object.
void *slab_alloc_slow(uint32_t id, size_t size_bytes, uint32_t mem_flags, uintptr_t where);
void *slab_alloc_finish(uint32_t id, void *object, size_t size_bytes, uint32_t mem_flags, uintptr_t where);
void slab_free_slow(uint32_t id, void *object);

// size_bytes is what the caller asked for, at most the cache's.
static force_inline void *slab_alloc_inline(uint32_t id, uint32_t link_offset, size_t size_bytes, uint32_t mem_flags,
					    uintptr_t where)
{
	struct hal_thread *self = hal_self();
	if (unlikely(!percpu_enter(self)))
		return slab_alloc_slow(id, size_bytes, mem_flags, where);
	struct slab_cpu *cpu = slab_cpu_of(self);
	void *object = line_pop(slab_line_of(cpu, id), link_offset);
	if (unlikely(object == NULL)) {
		percpu_leave(self);
		return slab_alloc_slow(id, size_bytes, mem_flags, where);
	}
	uint32_t special = mem_flags | cpu->poison;
	percpu_leave(self);
	if (SLAB_TAGGED || unlikely((special | percpu_resched(self)) != 0))
		return slab_alloc_finish(id, object, size_bytes, mem_flags, where);
	return object;
}

static force_inline void slab_free_inline(uint32_t id, uint32_t link_offset, void *object)
{
	struct hal_thread *self = hal_self();
	if (unlikely(!percpu_enter(self))) {
		slab_free_slow(id, object);
		return;
	}
	bool taken = line_push(slab_line_of(slab_cpu_of(self), id), object, link_offset);
	percpu_leave(self);
	if (unlikely(!taken))
		slab_free_slow(id, object);
	else if (unlikely(percpu_resched(self) != 0))
		preempt_enable_slow();
}

// ---- the rest ------------------------------------------------------------------------------------------------------

// slab_cpu.c: takes this CPU's magazines of the cache; what is taken goes to slab_give(). Its CPU with preemption off before (an
// interrupt: of the code it interrupted), or nobody uses the cache. slab_cpu_empty() does both.
#define SLAB_MAGAZINES 2u
void slab_cpu_take(struct slab_cache *cache, struct slab_cpu *cpu, void *magazines[SLAB_MAGAZINES]);
void slab_cpu_empty(struct slab_cache *cache, struct slab_cpu *cpu);

// slab_reap.c: gives the magazines of every CPU back to slabs. Thread context, no spinlock held. A CPU that is in the middle of an
// allocation time and again keeps its own.
void slab_magazines_collect(struct slab_cache *cache);

// slab.c
err_t slab_cache_setup(struct slab_cache *cache, uint32_t id, const struct slab_params *params) must_check;
uint32_t slab_cache_empty(struct kernel *kernel, struct slab_cache *cache); // nobody uses it; objects still live

// kmalloc.c, slab_info.c
err_t kmalloc_init(struct slab_state *state) must_check;
void slab_log_leaks(struct slab_cache *cache, uint32_t live);

// depot.c: magazines by their first object. Any of these may be called with preemption off; none sleeps.
void depot_init(struct slab_cache *cache);
void *depot_take(struct slab_cache *cache); // NULL: none
void depot_give(struct slab_cache *cache, void *magazine);
void depot_reap(struct slab_cache *cache);

// slab_page.c: chains of objects out of slabs and back into them.
void *slab_take(struct slab_cache *cache, uint32_t count); // at most so many; NULL: no slab has any
void slab_give(struct slab_cache *cache, void *chain);
err_t slab_grow(struct slab_cache *cache, uint32_t mem_flags) must_check;
uint32_t slab_release_empty(struct slab_cache *cache, uint32_t keep); // frames given back
struct frame *slab_of_object(struct frame_state *state, const struct slab_cache *cache, const void *object,
			     uint32_t *index);

// slab_debug.c
#if SLAB_TAGGED
void slab_debug_made(const struct slab_cache *cache, void *objects);
void slab_debug_open(const struct slab_cache *cache, void *object); // a free object is going to be looked at
void slab_debug_alloc(const struct slab_cache *cache, void *object, uint32_t requested_bytes, uintptr_t where);
void slab_debug_free(const struct slab_cache *cache, void *object, uintptr_t where);
err_t slab_debug_check_free(const struct slab_cache *cache, void *object) must_check;
#else
#define slab_debug_made(cache, objects) ((void)0)
#define slab_debug_open(cache, object) ((void)0)
#define slab_debug_alloc(cache, object, requested_bytes, where) ((void)(where))
#define slab_debug_free(cache, object, where) ((void)0)
#define slab_debug_check_free(cache, object) 0
#endif

static inline struct slab_tag *slab_tag(const struct slab_cache *cache, const void *object)
{
	return (struct slab_tag *)((uintptr_t)object + cache->tag_offset);
}

static inline struct slab_link *slab_link(const struct slab_cache *cache, void *object)
{
	return slab_link_at(object, cache->link_offset);
}

// Caches of kmalloc have no constructor, so their links lie at the start; with tags they lie where the cache says.
#if SLAB_TAGGED
#define KMALLOC_LINK_OFFSET(id) (slab_state()->caches[id]->link_offset)
#define KFREE_LINK_OFFSET(line) ((line)->link_offset)
#else
#define KMALLOC_LINK_OFFSET(id) 0
#define KFREE_LINK_OFFSET(line) 0
#endif

// What a tag says about the caller of the public function that asks.
#if SLAB_TAGGED
#define CALLER() ((uintptr_t)image_offset(__builtin_return_address(0)))
#else
#define CALLER() 0
#endif

#endif
