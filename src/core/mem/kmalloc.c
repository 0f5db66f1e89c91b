// SPDX-License-Identifier: MIT
//
// kmalloc(): sizes of any kind. Up to 8 KiB a slab cache per size class, four classes to a doubling; above, a range of whole
// frames. kfree() looks up the byte of the frame that the address lies in: the id of its cache, or 0 for a range.
#include "slab_impl.h"

#include "kern/image.h"

static const uint16_t class_sizes[KMALLOC_CLASSES] = {
	8,   16,  32,  48,   64,   80,   96,   112,  128,  160,  192,  224,  256,  320,  384,  448,  512,
	640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
};

static const char *const class_names[KMALLOC_CLASSES] = {
	"kmalloc-8",    "kmalloc-16",   "kmalloc-32",   "kmalloc-48",   "kmalloc-64",   "kmalloc-80",   "kmalloc-96",
	"kmalloc-112",  "kmalloc-128",  "kmalloc-160",  "kmalloc-192",  "kmalloc-224",  "kmalloc-256",  "kmalloc-320",
	"kmalloc-384",  "kmalloc-448",  "kmalloc-512",  "kmalloc-640",  "kmalloc-768",  "kmalloc-896",  "kmalloc-1024",
	"kmalloc-1280", "kmalloc-1536", "kmalloc-1792", "kmalloc-2048", "kmalloc-2560", "kmalloc-3072", "kmalloc-3584",
	"kmalloc-4096", "kmalloc-5120", "kmalloc-6144", "kmalloc-7168", "kmalloc-8192",
};

// Size to class: by eighths of 64 bytes up to 1 KiB, by 128 bytes above (class_index).
static const uint8_t class_table[185] = {
	[0 ... 1] = 0,      [2] = 1,
	[3 ... 4] = 2,      [5 ... 6] = 3,
	[7 ... 8] = 4,      [9 ... 10] = 5,
	[11 ... 12] = 6,    [13 ... 14] = 7,
	[15 ... 16] = 8,    [17 ... 20] = 9,
	[21 ... 24] = 10,   [25 ... 28] = 11,
	[29 ... 32] = 12,   [33 ... 40] = 13,
	[41 ... 48] = 14,   [49 ... 56] = 15,
	[57 ... 64] = 16,   [65 ... 80] = 17,
	[81 ... 96] = 18,   [97 ... 112] = 19,
	[113 ... 128] = 20, [129 ... 130] = 21,
	[131 ... 132] = 22, [133 ... 134] = 23,
	[135 ... 136] = 24, [137 ... 140] = 25,
	[141 ... 144] = 26, [145 ... 148] = 27,
	[149 ... 152] = 28, [153 ... 160] = 29,
	[161 ... 168] = 30, [169 ... 176] = 31,
	[177 ... 184] = 32,
};

static force_inline uint32_t class_of(size_t size_bytes)
{
	uint32_t size = (uint32_t)size_bytes;
	return class_table[likely(size <= 1024) ? (size + 7) >> 3 : ((size + 127) >> 7) + 120];
}

static no_inline void *large_alloc(size_t size_bytes, size_t align, uint32_t mem_flags)
{
	return range_alloc_aligned(size_bytes, align, mem_flags, account_root());
}

// What every way in ends with: tags, zeroes, poison.
static force_inline void *object_finish(uint32_t id, void *object, size_t size_bytes, uint32_t mem_flags,
					uintptr_t where)
{
#if SLAB_TAGGED
	slab_debug_alloc(slab_state()->caches[id], object, (uint32_t)size_bytes, where);
#else
	(void)size_bytes;
	(void)where;
#endif
	if (unlikely((mem_flags | kernel_self()->poison) != 0))
		slab_fill(slab_state()->caches[id], object, mem_flags);
	return object;
}

static force_inline void *class_alloc(uint32_t class, size_t size_bytes, uint32_t mem_flags, uintptr_t where)
{
	uint32_t id = SLAB_ID_CLASSES + class;
	void *object = slab_alloc_fast(id);
	if (unlikely(object == NULL))
		object = slab_alloc_slow(slab_state()->caches[id], mem_flags);
	if (unlikely(object == NULL))
		return NULL;
	return object_finish(id, object, size_bytes, mem_flags, where);
}

void *kmalloc(size_t size_bytes, uint32_t mem_flags)
{
	if (unlikely(size_bytes > SLAB_OBJECT_MAX))
		return large_alloc(size_bytes, FRAME_SIZE, mem_flags);
	if (fault_should_fail(mem_flags))
		return NULL;
	return class_alloc(class_of(size_bytes), size_bytes, mem_flags, CALLER());
}

void *kmalloc_array(size_t count, size_t size_bytes, uint32_t mem_flags)
{
	size_t total;
	if (mul_overflows(count, size_bytes, &total))
		return NULL;
	if (unlikely(total > SLAB_OBJECT_MAX))
		return large_alloc(total, FRAME_SIZE, mem_flags);
	if (fault_should_fail(mem_flags))
		return NULL;
	return class_alloc(class_of(total), total, mem_flags, CALLER());
}

void *kmalloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags)
{
	VERIFY(IS_POWER_OF_2(align));
	if (size_bytes > SLAB_OBJECT_MAX || align > SLAB_ALIGN_MAX)
		return large_alloc(MAX(size_bytes, (size_t)1), align, mem_flags);
	if (fault_should_fail(mem_flags))
		return NULL;
	uint32_t class = class_of(MAX(size_bytes, align));
	while (slab_state()->classes[class].align < align)
		class ++;
	return class_alloc(class, size_bytes, mem_flags, CALLER());
}

// The id of the slab cache that the address belongs to; 0: of none.
static force_inline uint32_t owner_id(const void *memory)
{
	const struct frame_state *state = kernel_self()->frames;
	size_t index = ((uintptr_t)memory - (uintptr_t)state->base) >> FRAME_SHIFT;
	if (unlikely(index >= state->frame_limit))
		panic("kfree: %p is not memory of this kernel", memory);
	return __atomic_load_n(&state->slab_of[index], __ATOMIC_RELAXED);
}

static force_inline void object_free(uint32_t id, void *memory, uintptr_t where)
{
#if SLAB_TAGGED
	slab_debug_free(slab_state()->caches[id], memory, where);
#else
	(void)where;
#endif
	if (unlikely(!slab_free_fast(id, memory)))
		slab_free_slow(slab_state()->caches[id], memory);
}

void kfree(void *memory)
{
	if (unlikely(memory == NULL))
		return;
	uint32_t id = owner_id(memory);
	if (unlikely(id == 0))
		range_free(memory);
	else
		object_free(id, memory, CALLER());
}

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
		struct slab_params params = {.name = class_names[class], .size_bytes = class_sizes[class]};
		err_t err = slab_cache_setup(&state->classes[class], SLAB_ID_CLASSES + class, &params, false);
		if (err != 0)
			return err;
	}
	return 0;
}
