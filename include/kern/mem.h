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
	uint32_t refs;         // atomic
	struct list_node link; // list of all accounts, by creation
};

struct account *account_root(void); // the kernel's own; never goes

// `parent` NULL: the kernel's; the new account holds a reference of it. `name` is copied, cut to 15 bytes. Thread context. Errors:
// -ENOMEM.
err_t account_create(struct account *parent, const char *name, uint32_t limit_frames, struct account **out) must_check;
void account_ref(struct account *account); // one more holder; the caller holds a reference. Any context

// Drops a reference. The last one ends the account: VERIFY that nothing is charged. Thread context.
void account_release(struct account *account);

// From now on at most `limit_frames` (0: no limit). What is charged stays so: if that is more, pressure callbacks are asked, and when
// they cannot help the old limit stays. Limits of accounts above still hold. Thread context. Errors: -EBUSY (more is in use).
err_t account_set_limit(struct account *account, uint32_t limit_frames) must_check;

// Charges the account and all above it, or none. Any context. Errors: -ENOMEM (over a limit, counted in `failed`).
err_t account_charge(struct account *account, uint32_t frames) must_check;
void account_uncharge(struct account *account, uint32_t frames); // VERIFY: no more than was charged. Any context

// Calls fn for each, oldest first, under a spinlock: fn may neither sleep nor allocate. Any context but interrupts.
void account_each(void (*fn)(const struct account *, void *), void *arg);

// ---- frames --------------------------------------------------------------------------------------------------------------

// Allocates 2^order contiguous frames, aligned to their size, in instance RAM. `account` NULL: the running thread's, else the
// kernel's. NULL when there are none (MEM_ATOMIC unset: after pressure callbacks ran and all per-CPU caches were drained).
// Thread context unless MEM_ATOMIC; never in an interrupt. O(order).
void *frame_alloc(uint32_t order, uint32_t mem_flags, struct account *account) must_check;

// Gives back what frame_alloc() returned, same order. Any thread context. A frame that is not allocated, or has another order, is
// a bug: VERIFY names it.
void frame_free(void *frames, uint32_t order);

// Prefers a node (< HAL_MAX_NODES), falls back to others by distance; past the running CPU's caches.
void *frame_alloc_node(uint32_t node, uint32_t order, uint32_t mem_flags, struct account *account) must_check;

// Frames put aside, so that later frame_alloc_reserved() calls cannot fail; charged from the beginning. The reservation is its
// owner's, who serialises calls for it. frame_reserve() fills it in; frame_unreserve() gives the rest back and leaves it empty; what
// was taken is freed by frame_free(, 0). Thread context. Errors: -ENOMEM (not that many left, or over a limit).
struct frame_reservation {
	uint32_t left_frames;
	uint32_t first; // index of the first frame
	struct account *account;
};
err_t frame_reserve(struct frame_reservation *reservation, uint32_t frames, struct account *account) must_check;
void *frame_alloc_reserved(struct frame_reservation *reservation,
			   uint32_t mem_flags); // one frame; NULL only when used up
void frame_unreserve(struct frame_reservation *reservation);

// Gives the host every free block of 64 KiB or more that has been used since the last time: the instance's memory stays what it is,
// the host's resident set falls, and touching it again costs a page fault. Empties the CPUs' caches first. Returns how many frames. Thread
// context; takes about as long as the host needs to free the pages.
uint32_t frame_trim(void);

// An aligned group of 2^order user frames kept for an equally aligned piece of somebody's address space (64 KiB; 2 MiB where
// large), so that what lies side by side there lies side by side in RAM. frame_group_take() hands out its frame `index`, to be
// freed by frame_free(, 0), after which it may be taken again; NULL when the account is at its limit, or when the frame went
// to somebody else, because memory ran short: then take any frame by frame_alloc(0, MEM_USER). Untaken frames are not charged.
// frame_group_release() ends the keeping; frames that are taken stay so. The owner does not take while it releases. Thread context.
// Errors of keep: -EINVAL (order 0 or above 2 MiB), -ENOMEM (no such block is free).
err_t frame_group_keep(uint32_t order, void **group) must_check;
void *frame_group_take(void *group, uint32_t index, uint32_t mem_flags, struct account *account) must_check;
void frame_group_release(void *group);

struct frame_info {
	uint32_t total; // frames under management: all of RAM but boot's own and descriptors
	uint32_t free;  // in the regions; those in per-CPU caches are `cached`
	uint32_t cached;
	uint32_t reserved;      // put aside by frame_reserve()
	uint32_t grouped;       // of groups, not taken
	uint32_t peak_used;     // most frames ever out of the regions (caches count), summed over regions
	uint32_t largest_order; // of any free block
	uint32_t free_by_order[FRAME_ORDER_MAX];
	uint32_t allocs, frees; // blocks that left and came back to the regions; wrap
	uint32_t failures;
};
void frame_get_info(struct frame_info *info);                     // thread context
void frame_get_node_info(uint32_t node, struct frame_info *info); // without cached, reserved and failures

// Recounts everything. Takes locks one after the other, so call it when nobody allocates. -EUCLEAN with a log line.
err_t frame_check(void) must_check;
void frame_drain_caches(void); // all per-CPU caches back to the regions. Thread context

// Boot, STAGE_MEMORY, with all struct cpu made: describes all RAM of info that is not used, makes every CPU's caches, ends the boot
// arena. Touches a fixed amount of memory, however much there is. Errors: -EINVAL (nodes overlap or have no room), -ENOMEM.
struct hal_boot_info;
err_t frame_init(struct kernel *kernel, const struct hal_boot_info *info) must_check;

// ---- pressure ------------------------------------------------------------------------------------------------------------

// Called when frames run short, by whoever needs them, in order of `order`, one at a time; returns how many frames it gave back. May
// sleep; what it allocates itself finds no relief. Register and unregister in thread context; the callback stays its owner's.
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

// All objects must have been freed: else the leaks are logged by call site and -EBUSY is returned (the cache stays). Nobody may
// use the cache meanwhile. Thread context.
err_t slab_cache_destroy(struct slab_cache *cache) must_check;

// An object, constructed state if the cache has a constructor, otherwise unspecified unless MEM_ZERO. NULL: no memory. Thread context, not in
// interrupts. Fast path: preemption off, one magazine, no lock, no atomic.
void *slab_alloc(struct slab_cache *cache, uint32_t mem_flags) must_check;
void slab_free(struct slab_cache *cache, void *object);

// Sizes of any kind: size classes to 8 KiB, whole frames above; charged to the kernel's account. At least 8-byte aligned, 16-byte from
// 16 bytes on, and powers of two to their size (at most a frame). Size 0 is a block of its own. Contexts as slab_alloc(). NULL: no
// memory. kfree(NULL) does nothing; kfree() also takes what slab_alloc() and range_alloc() gave. What no caller may ever use
// is more than kmalloc_usable() bytes.
void *kmalloc(size_t size_bytes, uint32_t mem_flags) must_check;
void *kmalloc_array(size_t count, size_t size_bytes, uint32_t mem_flags) must_check;   // NULL on overflow too
void *kmalloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags) must_check; // align: power of two
void kfree(void *memory);
size_t kmalloc_usable(const void *memory);

// The block with the old contents up to the smaller size, maybe moved. NULL: no memory, the old block stays. MEM_ZERO: bytes beyond
// the old usable size are zero.
void *krealloc(void *memory, size_t size_bytes, uint32_t mem_flags) must_check;

struct slab_info {
	const char *name;
	uint32_t object_size_bytes, align, objects_live, objects_total, slabs, frames, magazine_rounds;
	uint32_t allocs, frees; // that reached depot or slab; pairs inside a magazine are not counted. Wrap
};
void slab_each(void (*fn)(const struct slab_info *, void *),
	       void *arg); // thread context; fn may not make or destroy caches

// Live objects by allocation site, most first; only with CONFIG_MEMDEBUG, else none. `where` is an image offset (kern/image.h). Returns how
// many of `capacity` ≥ 1 entries were filled; when there are more sites, the last entry sums up the others. Thread context.
struct slab_leak {
	const char *cache;
	uintptr_t where;
	uint32_t objects, bytes;
};
uint32_t slab_leaks(struct slab_leak *leaks, uint32_t capacity);

// The invariants of all caches. Call it when nobody allocates. Thread context. -EUCLEAN with a log line.
err_t slab_check(void) must_check;

// Empties the magazines of all CPUs and all depots and gives empty slabs back. Thread context, no spinlock held. slab_shutdown(): the
// same when nobody else allocates and CPUs may be gone; allocating still works afterwards.
void slab_reap(void);
err_t slab_init(struct kernel *kernel) must_check; // after frame_init(). -ENOMEM
void slab_shutdown(void);

// ---- kernel ranges -------------------------------------------------------------------------------------------------------

// Large blocks of any size in whole frames: what a power of two would waste goes back, so that 5 frames cost 5. Physically contiguous;
// aligned to a frame, or to `align`, a power of two up to 2^(FRAME_ORDER_MAX-1) frames where more than that are not asked for. Thread
// context, contexts of frame_alloc(). NULL: no memory.
void *range_alloc(size_t size_bytes, uint32_t mem_flags, struct account *account) must_check;
void *range_alloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags, struct account *account) must_check;
void range_free(void *memory);                      // VERIFY: a range that is not free
void range_shrink(void *memory, size_t size_bytes); // ≥ 1 byte stays; larger sizes change nothing
size_t range_size_bytes(const void *memory);
err_t range_init(struct kernel *kernel) must_check;
err_t range_check(void) must_check;

// ---- allocation failure on purpose ---------------------------------------------------------------------------------------

// CONFIG_FAULTINJECT: each allocation's call stack (depth 4, by frame pointers) is a site. In recording mode sites are counted; then one
// (site, hit) at a time is made to fail. Tests drive it. Without the option nothing fails and there are no sites.
struct fault_plan {
	uint32_t site; // hash of the call stack to fail; 0: none
	uint32_t hit;  // which occurrence, from 1
	bool record;   // collect sites
};
void fault_set(const struct fault_plan *plan);
uint32_t fault_sites(uint32_t *sites, uint32_t *hits, uint32_t capacity); // in order of first occurrence
bool fault_fired(void);                                                   // whether the plan's failure has happened

// Allocators ask, once for each call from outside.
#if CONFIG_FAULTINJECT
bool fault_should_fail(uint32_t mem_flags);
#else
static inline bool fault_should_fail(uint32_t mem_flags)
{
	(void)mem_flags;
	return false;
}
#endif

#endif
