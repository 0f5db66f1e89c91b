// SPDX-License-Identifier: MIT
//
// Memory of an instance, from frames up: frames (buddy with per-CPU caches over NUMA nodes, or a bitmap on tiny personas,
// same interface), accounts that are charged, reservations, the slab, kernel ranges (large blocks), pressure callbacks.
// Running out is an error that the caller sees, never a panic.
#ifndef KERN_MEM_H
#define KERN_MEM_H

#include "kern/cpu.h"
#include "kern/lock.h"

#define FRAME_SHIFT CONFIG_FRAME_SHIFT
#define FRAME_SIZE (1u << FRAME_SHIFT)
#define FRAME_ORDER_MAX 11u // 2^10 frames: 4 MiB of 4 KiB frames

enum mem_flags {
	MEM_ZERO = 1u << 0,   // contents are zero; otherwise unspecified (and poisoned under --verify)
	MEM_ATOMIC = 1u << 1, // may not sleep: no reclaim, may use the emergency reserve
	MEM_USER = 1u << 2,   // will be mapped by user space: never shares a frame with kernel objects
	MEM_NO_FAIL_INJECT = 1u << 3
};

// ---- accounts ------------------------------------------------------------------------------------------------------------

// Who pays. Accounts form a tree; a charge climbs to the root and fails where a limit is passed. Counted in frames.
struct account {
	struct account *parent; // immutable
	char name[16];
	uint32_t limit_frames; // 0: none; atomic
	uint32_t used_frames;  // atomic
	uint32_t peak_frames;  // atomic
	uint32_t failed;       // atomic: refused charges
	uint32_t refs;
	struct list_node link; // list of all accounts, by creation
};

struct account *account_root(void); // the kernel's own
err_t account_create(struct account *parent, const char *name, uint32_t limit_frames,
		     struct account **out) must_check; // -ENOMEM
void account_release(struct account *account);         // last reference: VERIFY that nothing is charged
err_t account_charge(struct account *account, uint32_t frames) must_check; // -ENOMEM: over a limit; any context
void account_uncharge(struct account *account, uint32_t frames);
void account_each(void (*fn)(const struct account *, void *), void *arg);

// ---- frames --------------------------------------------------------------------------------------------------------------

// Allocates 2^order contiguous frames, aligned to their size, in instance RAM. `account` NULL: the running thread's, else the
// kernel's. NULL when there are none (MEM_ATOMIC unset: after pressure callbacks ran and all per-CPU caches were drained).
// Thread context unless MEM_ATOMIC; never in an interrupt. O(order).
void *frame_alloc(uint32_t order, uint32_t mem_flags, struct account *account) must_check;

// Gives back what frame_alloc() returned, same order. Any thread context. A frame that is not allocated, or has another order, is
// a bug: VERIFY names it.
void frame_free(void *frames, uint32_t order);

// A node preference; falls back to others by distance.
void *frame_alloc_node(uint32_t node, uint32_t order, uint32_t mem_flags, struct account *account) must_check;

// Puts `frames` aside so that later frame_alloc() calls naming the reservation cannot fail. -ENOMEM: not that many left.
struct frame_reservation {
	uint32_t left_frames;
	struct account *account;
};
err_t frame_reserve(struct frame_reservation *reservation, uint32_t frames, struct account *account) must_check;
void *frame_alloc_reserved(struct frame_reservation *reservation,
			   uint32_t mem_flags); // one frame; NULL only when used up
void frame_unreserve(struct frame_reservation *reservation);

struct frame_info {
	uint32_t total, free, cached, reserved, peak_used, largest_order;
	uint32_t free_by_order[FRAME_ORDER_MAX];
	uint32_t allocs, frees, failures; // wrap
};
void frame_get_info(struct frame_info *info);
void frame_get_node_info(uint32_t node, struct frame_info *info);
err_t frame_check(void)
	must_check; // recounts everything; -EUCLEAN with a log line. Stops nothing: call it when quiet or expect retries
void frame_drain_caches(void); // all per-CPU caches back to the nodes. Thread context

// Boot: takes over all RAM of info that is not used, ends the boot arena. Per-CPU part when a CPU comes up.
struct hal_boot_info;
err_t frame_init(struct kernel *kernel, const struct hal_boot_info *info) must_check;

// ---- pressure ------------------------------------------------------------------------------------------------------------

// Called when frames run short, by whoever needs them, in order of `order`; returns how many frames it gave back. May sleep, may
// not allocate without MEM_ATOMIC.
struct pressure_callback {
	struct list_node link;
	const char *name;
	uint32_t order;
	uint32_t (*shrink)(struct pressure_callback *callback, uint32_t wanted_frames);
};
void pressure_register(struct pressure_callback *callback);
void pressure_unregister(struct pressure_callback *callback); // returns after a running call has ended

// ---- slab ----------------------------------------------------------------------------------------------------------------

struct slab_cache;

struct slab_params {
	const char *name;                 // static
	uint32_t size_bytes;              // 1 … 8192
	uint32_t align;                   // power of two ≤ 4096; 0: natural, at least 8
	err_t (*construct)(void *object); // once per object when its slab is made; NULL
	void (*destruct)(void *object);
	uint32_t flags;          // enum mem_flags applied to slabs (MEM_USER is refused)
	struct account *account; // NULL: the kernel's
};

// A cache of equal objects: per-CPU magazines (Bonwick, Adams 2001), a depot, slabs of frames. Thread context.
// Errors: -EINVAL, -ENOMEM.
err_t slab_cache_create(const struct slab_params *params, struct slab_cache **out) must_check;

// All objects must have been freed: else the leaks are logged by call site and -EBUSY is returned (the cache stays).
err_t slab_cache_destroy(struct slab_cache *cache) must_check;

// An object, constructed state if the cache has a constructor, otherwise unspecified unless MEM_ZERO. NULL: no memory. Thread context, not in
// interrupts. Fast path: preemption off, one magazine, no lock, no atomic.
void *slab_alloc(struct slab_cache *cache, uint32_t mem_flags) must_check;
void slab_free(struct slab_cache *cache, void *object);

// Sizes of any kind: size classes to 8 KiB, frames above. 16-byte aligned (size ≥ 16). kfree(NULL) does nothing.
void *kmalloc(size_t size_bytes, uint32_t mem_flags) must_check;
void *kmalloc_array(size_t count, size_t size_bytes, uint32_t mem_flags) must_check; // NULL on overflow too
void *krealloc(void *memory, size_t size_bytes,
	       uint32_t mem_flags) must_check; // the old block stays when NULL is returned
void *kmalloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags) must_check;
void kfree(void *memory);
size_t kmalloc_usable(const void *memory);

struct slab_info {
	const char *name;
	uint32_t object_size_bytes, align, objects_live, objects_total, slabs, frames, magazine_rounds;
	uint32_t allocs, frees; // wrap
};
void slab_each(void (*fn)(const struct slab_info *, void *), void *arg);
// Live objects by allocation site, most first; only with CONFIG_MEMDEBUG. `where` is a kernel text offset.
struct slab_leak {
	const char *cache;
	uintptr_t where;
	uint32_t objects, bytes;
};
uint32_t slab_leaks(struct slab_leak *leaks, uint32_t capacity); // returns how many sites there are
err_t slab_check(void) must_check;
void slab_reap(void); // empties magazines and gives empty slabs back. Thread context
err_t slab_init(struct kernel *kernel) must_check;
void slab_shutdown(void);

// ---- kernel ranges -------------------------------------------------------------------------------------------------------

// Large blocks of any size in whole frames (first fit over buddy runs, so that 5 frames do not cost 8). Hosted and without
// an MMU they are physically contiguous. Thread context. NULL: no memory.
void *range_alloc(size_t size_bytes, uint32_t mem_flags, struct account *account) must_check;
void range_free(void *memory);
size_t range_size_bytes(const void *memory);
err_t range_init(struct kernel *kernel) must_check;
err_t range_check(void) must_check;

// ---- allocation failure on purpose ---------------------------------------------------------------------------------------

// CONFIG_FAULTINJECT: each allocation's call stack (depth 4) is a site. In recording mode sites are counted; then one (site, hit)
// at a time is made to fail. Tests drive it.
struct fault_plan {
	uint32_t site; // hash of the call stack to fail; 0: none
	uint32_t hit;  // which occurrence, from 1
	bool record;   // collect sites
};
void fault_set(const struct fault_plan *plan);
uint32_t fault_sites(uint32_t *sites, uint32_t *hits, uint32_t capacity); // in order of first occurrence
bool fault_fired(void);                                                   // whether the plan's failure has happened
bool fault_should_fail(uint32_t mem_flags);                               // allocators ask

#endif
