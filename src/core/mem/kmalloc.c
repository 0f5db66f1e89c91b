// SPDX-License-Identifier: MIT
//
// kmalloc(): sizes of any kind. Up to 8 KiB a slab cache per size class, four classes to a doubling; above, a range of whole
// frames. kfree() looks up the byte of the frame that the address lies in: the id of its cache, or 0 for a range.
#include "slab_impl.h"

static const struct {
	const char *name;
	uint32_t size_bytes;
} classes[KMALLOC_CLASSES] = {
	{"kmalloc-16", 16},     {"kmalloc-32", 32},     {"kmalloc-48", 48},     {"kmalloc-64", 64},
	{"kmalloc-80", 80},     {"kmalloc-96", 96},     {"kmalloc-112", 112},   {"kmalloc-128", 128},
	{"kmalloc-160", 160},   {"kmalloc-192", 192},   {"kmalloc-224", 224},   {"kmalloc-256", 256},
	{"kmalloc-320", 320},   {"kmalloc-384", 384},   {"kmalloc-448", 448},   {"kmalloc-512", 512},
	{"kmalloc-640", 640},   {"kmalloc-768", 768},   {"kmalloc-896", 896},   {"kmalloc-1024", 1024},
	{"kmalloc-1280", 1280}, {"kmalloc-1536", 1536}, {"kmalloc-1792", 1792}, {"kmalloc-2048", 2048},
	{"kmalloc-2560", 2560}, {"kmalloc-3072", 3072}, {"kmalloc-3584", 3584}, {"kmalloc-4096", 4096},
	{"kmalloc-5120", 5120}, {"kmalloc-6144", 6144}, {"kmalloc-7168", 7168}, {"kmalloc-8192", 8192},
};

#define SMALL_MAX 1024u

// Size to slab id (class + SLAB_ID_CLASSES): by 16 bytes to SMALL_MAX, by 128 above.
static const uint8_t small_ids[SMALL_MAX / 16 + 1] = {
	[0 ... 1] = 1,    [2] = 2,          [3] = 3,          [4] = 4,          [5] = 5,
	[6] = 6,          [7] = 7,          [8] = 8,          [9 ... 10] = 9,   [11 ... 12] = 10,
	[13 ... 14] = 11, [15 ... 16] = 12, [17 ... 20] = 13, [21 ... 24] = 14, [25 ... 28] = 15,
	[29 ... 32] = 16, [33 ... 40] = 17, [41 ... 48] = 18, [49 ... 56] = 19, [57 ... 64] = 20,
};
static const uint8_t medium_ids[SLAB_OBJECT_MAX / 128 + 1] = {
	[9 ... 10] = 21,  [11 ... 12] = 22, [13 ... 14] = 23, [15 ... 16] = 24, [17 ... 20] = 25, [21 ... 24] = 26,
	[25 ... 28] = 27, [29 ... 32] = 28, [33 ... 40] = 29, [41 ... 48] = 30, [49 ... 56] = 31, [57 ... 64] = 32,
};

static force_inline uint32_t id_of_size(size_t size_bytes)
{
	uint32_t size = (uint32_t)size_bytes;
	return size <= SMALL_MAX ? small_ids[(size + 15) / 16] : medium_ids[(size + 127) / 128];
}

static force_inline void *object_alloc(uint32_t id, size_t size_bytes, uint32_t mem_flags, uintptr_t where)
{
	return slab_alloc_inline(id, KMALLOC_LINK_OFFSET(id), size_bytes, mem_flags, where);
}

static no_inline void *kmalloc_large(size_t size_bytes, uint32_t mem_flags, uintptr_t where)
{
	if (size_bytes <= SLAB_OBJECT_MAX)
		return object_alloc(id_of_size(size_bytes), size_bytes, mem_flags, where);
	return range_alloc_unasked(size_bytes, FRAME_SIZE, mem_flags, account_root());
}

void *kmalloc(size_t size_bytes, uint32_t mem_flags)
{
	if (fault_should_fail(mem_flags))
		return NULL;
	if (unlikely(size_bytes > SMALL_MAX))
		return kmalloc_large(size_bytes, mem_flags, CALLER());
	return object_alloc(id_of_size(size_bytes), size_bytes, mem_flags, CALLER());
}

void *kmalloc_array(size_t count, size_t size_bytes, uint32_t mem_flags)
{
	size_t total;
	if (mul_overflows(count, size_bytes, &total) || fault_should_fail(mem_flags))
		return NULL;
	return kmalloc_large(total, mem_flags, CALLER());
}

void *kmalloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags)
{
	VERIFY(IS_POWER_OF_2(align));
	if (fault_should_fail(mem_flags))
		return NULL;
	if (size_bytes > SLAB_OBJECT_MAX || align > SLAB_ALIGN_MAX)
		return range_alloc_unasked(MAX(size_bytes, (size_t)1), align, mem_flags, account_root());
	uint32_t id = id_of_size(MAX(size_bytes, align));
	while (slab_state()->caches[id]->align < align)
		id++;
	return object_alloc(id, size_bytes, mem_flags, CALLER());
}

// ---- freeing -------------------------------------------------------------------------------------------------------

static no_inline cold_path noreturn void kfree_panic(const void *memory)
{
	panic("kfree: %p is not memory of this kernel", memory);
}

// The id of the slab cache that the address belongs to; 0: of none.
static uint32_t owner_id(const void *memory)
{
	const struct frame_state *state = kernel_self()->frames;
	size_t index = ((uintptr_t)memory - (uintptr_t)state->base) >> FRAME_SHIFT;
	if (unlikely(index >= state->frame_limit))
		kfree_panic(memory);
	return __atomic_load_n(&state->line_of[index], __ATOMIC_RELAXED) / (uint32_t)sizeof(struct slab_line);
}

// What the fast path leaves: nothing, a range, an object for which there is no room.
static no_inline void kfree_slow(void *memory)
{
	if (memory == NULL)
		return;
	uint32_t id = owner_id(memory);
	if (id == 0)
		range_free(memory);
	else
		slab_free_slow(id, memory);
}

static void kfree_debug(void *memory, uintptr_t where)
{
	uint32_t id = SLAB_TAGGED && memory != NULL ? owner_id(memory) : 0;
	(void)where;
	if (id != 0)
		slab_debug_free(slab_state()->caches[id], memory, where);
}

void kfree(void *memory)
{
	kfree_debug(memory, CALLER());
	struct hal_thread *self = hal_self();
	if (unlikely(!percpu_enter(self))) {
		kfree_slow(memory);
		return;
	}
	struct slab_cpu *cpu = slab_cpu_of(self);
	size_t index = ((uintptr_t)memory - (uintptr_t)cpu->base) >> FRAME_SHIFT;
	bool taken = false;
	if (likely(index < cpu->frame_limit)) {
		// Line 0, which frames that belong to no cache have, never has room.
		uint32_t offset = __atomic_load_n(&cpu->line_of[index], __ATOMIC_RELAXED);
		taken = line_push(slab_line_at(cpu, offset), memory, KFREE_LINK_OFFSET(slab_line_at(cpu, offset)));
	}
	percpu_leave(self);
	if (unlikely(!taken))
		kfree_slow(memory);
	else if (unlikely(percpu_resched(self) != 0))
		preempt_enable_slow();
}

// ---- sizes ---------------------------------------------------------------------------------------------------------

size_t kmalloc_usable(const void *memory)
{
	uint32_t id = owner_id(memory);
	if (id == 0)
		return range_size_bytes(memory);
	const struct slab_cache *cache = slab_state()->caches[id];
#if SLAB_TAGGED
	return slab_tag(cache, memory)->requested_bytes;
#else
	return cache->size_bytes;
#endif
}

// Whether the block may stay where it is: it holds the new size, and would not be much too large for it.
static bool resize_in_place(void *memory, size_t old_bytes, size_t size_bytes)
{
	uint32_t id = owner_id(memory);
	if (size_bytes > old_bytes)
		return false;
	if (id == 0) {
		if (size_bytes <= SLAB_OBJECT_MAX)
			return false;
		range_shrink(memory, size_bytes);
		return true;
	}
	return !SLAB_TAGGED && size_bytes > old_bytes / 2;
}

void *krealloc(void *memory, size_t size_bytes, uint32_t mem_flags)
{
	if (memory == NULL)
		return kmalloc(size_bytes, mem_flags);
	size_t old_bytes = kmalloc_usable(memory);
	if (resize_in_place(memory, old_bytes, size_bytes))
		return memory;
	void *moved = kmalloc(size_bytes, mem_flags);
	if (moved == NULL)
		return NULL;
	memcpy(moved, memory, MIN(old_bytes, size_bytes));
	kfree(memory);
	return moved;
}

err_t kmalloc_init(struct slab_state *state)
{
	for (uint32_t class = 0; class < KMALLOC_CLASSES; class ++) {
		struct slab_params params = {.name = classes[class].name, .size_bytes = classes[class].size_bytes};
		err_t err = slab_cache_setup(&state->classes[class], SLAB_ID_CLASSES + class, &params);
		if (err != 0)
			return err;
	}
	return 0;
}
