// SPDX-License-Identifier: MIT
//
// Frames for tiny personas: the interface of kern/mem.h over bitmaps, which is all that 4 … 64 KiB of RAM can afford (16
// frames: 12 bytes; 256: 96). One says which frames are taken, the other which is the last of its block, so that a block's
// length is known when it comes back. First fit; one CPU, so switching preemption off is lock enough. There is one payer: naming an
// account other than none is a bug. No user memory, hence no groups; reservations are a count, as a single frame always fits.
#include "frame_bitmap.h"

#include "hal/hal.h"
#include "kern/assert.h"
#include "kern/bitmap.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/string.h"

// Blocks are aligned to their size from here down; more alignment than all of RAM has nobody needs.
#define BASE_ALIGN 65536u

static struct frame_state *tiny_state(void)
{
	return kernel_self()->frames;
}

err_t frame_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct frame_state *state = boot_alloc(kernel, sizeof *state, sizeof(void *));
	if (state == NULL)
		return ERR(ENOMEM);
	state->base = (char *)ALIGN_DOWN((uintptr_t)info->ram, (uintptr_t)BASE_ALIGN);
	size_t skew = (size_t)((const char *)info->ram - state->base);
	size_t count = (skew + (size_t)(info->nodes[0].offset + info->nodes[0].size_bytes)) >> FRAME_SHIFT;
	if (count > UINT16_MAX)
		return ERR(EINVAL);
	state->count = (uint16_t)count;
	state->taken = boot_alloc(kernel, BITMAP_WORDS(count) * sizeof(uint32_t), sizeof(uint32_t));
	state->last = boot_alloc(kernel, BITMAP_WORDS(count) * sizeof(uint32_t), sizeof(uint32_t));
	state->shared = boot_alloc(kernel, BITMAP_WORDS(count) * sizeof(uint32_t), sizeof(uint32_t));
	if (state->taken == NULL || state->last == NULL || state->shared == NULL)
		return ERR(ENOMEM);
	size_t used = (skew + (size_t)kernel->arena_next_bytes + FRAME_SIZE - 1) >> FRAME_SHIFT;
	if (used >= count)
		return ERR(ENOMEM);
	kernel->arena_limit_bytes = kernel->arena_next_bytes;
	state->first = (uint16_t)used;
	bitmap_set_range(state->taken, 0, state->first);
	state->free = (uint16_t)(count - used);
	state->least_free = state->free;
	kernel->frames = state;
	return 0;
}

// ---- blocks --------------------------------------------------------------------------------------------------------

static void *run_take(struct frame_state *state, uint32_t size, uint32_t align, uint32_t floor_frames)
{
	if (size > state->free || state->free - size < floor_frames)
		return NULL;
	uint32_t index = bitmap_find_clear_range(state->taken, state->count, state->first, size, align);
	if (index == state->count)
		return NULL;
	bitmap_set_range(state->taken, index, size);
	bitmap_set(state->last, index + size - 1);
	state->free = (uint16_t)(state->free - size);
	state->least_free = MIN(state->least_free, state->free);
	state->allocs++;
	return state->base + ((size_t)index << FRAME_SHIFT);
}

static void *block_take(struct frame_state *state, uint32_t order, uint32_t floor_frames)
{
	return run_take(state, 1u << order, 1u << order, floor_frames);
}

static void block_prepare(void *memory, size_t size_bytes, uint32_t mem_flags)
{
	uint32_t poison = kernel_self()->poison;
	if (mem_flags & MEM_ZERO)
		memset(memory, 0, size_bytes);
	else if (poison != 0)
		memset(memory, (int)poison, size_bytes);
}

void *frame_alloc(uint32_t order, uint32_t mem_flags, struct account *account)
{
	struct frame_state *state = tiny_state();
	VERIFY3(order, <, FRAME_ORDER_MAX);
	ASSERT(account == NULL);
	preempt_disable();
	void *memory = block_take(state, order, state->reserved);
	if (memory == NULL)
		state->failures++;
	preempt_enable();
	if (memory != NULL)
		block_prepare(memory, (size_t)FRAME_SIZE << order, mem_flags);
	return memory;
}

void *frame_alloc_node(uint32_t node, uint32_t order, uint32_t mem_flags, struct account *account)
{
	(void)node;
	return frame_alloc(order, mem_flags, account);
}

// What is wrong with giving back 2^order frames at `index`; NULL: nothing.
static const char *free_error(const struct frame_state *state, uint32_t index, uint32_t order)
{
	uint32_t size = 1u << order;
	if (index >= state->count || size > state->count - index)
		return "not a frame";
	if (index < state->first)
		return "boot's own";
	if (!bitmap_test(state->taken, index))
		return "free already";
	if (index > state->first && bitmap_test(state->taken, index - 1) && !bitmap_test(state->last, index - 1))
		return "not the start of an allocated block";
	if (bitmap_find_set(state->last, state->count, index) != index + size - 1)
		return "freed with another order than allocated";
	return NULL;
}

void frame_free(void *frames, uint32_t order)
{
	struct frame_state *state = tiny_state();
	size_t offset = (size_t)((uintptr_t)frames - (uintptr_t)state->base);
	uint32_t index = (uint32_t)MIN(offset >> FRAME_SHIFT, (size_t)UINT16_MAX);
	VERIFY3(order, <, FRAME_ORDER_MAX);
	preempt_disable();
	const char *error = offset % FRAME_SIZE == 0 ? free_error(state, index, order) : "not a frame";
	if (error != NULL)
		panic("frame_free: frame %u, order %u: %s", index, order, error);
	bitmap_clear_range(state->taken, index, 1u << order);
	bitmap_clear(state->last, index + (1u << order) - 1);
	state->free = (uint16_t)(state->free + (1u << order));
	state->frees++;
	preempt_enable();
}

// ---- ranges --------------------------------------------------------------------------------------------------------

// A range is a run of whole frames, which the two bitmaps describe as they do blocks.
void *range_alloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags, struct account *account)
{
	struct frame_state *state = tiny_state();
	uint32_t frames = (uint32_t)(DIV_ROUND_UP(MIN(size_bytes, (size_t)UINT16_MAX << FRAME_SHIFT), FRAME_SIZE));
	uint32_t align_frames = MAX((uint32_t)(align >> FRAME_SHIFT), 1u);
	ASSERT(account == NULL);
	if (size_bytes == 0)
		frames = 1;
	preempt_disable();
	void *memory = align > BASE_ALIGN ? NULL : run_take(state, frames, align_frames, state->reserved);
	if (memory == NULL)
		state->failures++;
	preempt_enable();
	if (memory != NULL)
		block_prepare(memory, (size_t)frames << FRAME_SHIFT, mem_flags);
	return memory;
}

void *range_alloc(size_t size_bytes, uint32_t mem_flags, struct account *account)
{
	return range_alloc_aligned(size_bytes, FRAME_SIZE, mem_flags, account);
}

// Index of the run's first frame; *frames is its length.
static uint32_t range_find(const struct frame_state *state, const void *memory, uint32_t *frames)
{
	size_t offset = (size_t)((uintptr_t)memory - (uintptr_t)state->base);
	uint32_t index = (uint32_t)MIN(offset >> FRAME_SHIFT, (size_t)UINT16_MAX);
	uint32_t last = index < state->count ? bitmap_find_set(state->last, state->count, index) : state->count;
	bool start =
		offset % FRAME_SIZE == 0 && index >= state->first && last < state->count &&
		bitmap_range_is_set(state->taken, index, last - index + 1) &&
		(index == state->first || !bitmap_test(state->taken, index - 1) || bitmap_test(state->last, index - 1));
	if (!start)
		panic("range: frame %u is no range's first", index);
	*frames = last - index + 1;
	return index;
}

size_t range_size_bytes(const void *memory)
{
	uint32_t frames;
	preempt_disable();
	(void)range_find(tiny_state(), memory, &frames);
	preempt_enable();
	return (size_t)frames << FRAME_SHIFT;
}

static void range_keep(void *memory, uint32_t kept)
{
	struct frame_state *state = tiny_state();
	uint32_t frames;
	preempt_disable();
	uint32_t index = range_find(state, memory, &frames);
	if (kept < frames) {
		bitmap_clear_range(state->taken, index + kept, frames - kept);
		bitmap_clear(state->last, index + frames - 1);
		if (kept != 0)
			bitmap_set(state->last, index + kept - 1);
		state->free = (uint16_t)(state->free + frames - kept);
		state->frees += kept == 0;
	}
	preempt_enable();
}

void range_free(void *memory)
{
	range_keep(memory, 0);
}

void range_shrink(void *memory, size_t size_bytes)
{
	range_keep(memory, (uint32_t)MIN(DIV_ROUND_UP(MAX(size_bytes, (size_t)1), FRAME_SIZE), (size_t)UINT16_MAX));
}

// ---- reservations and groups ---------------------------------------------------------------------------------------

err_t frame_reserve(struct frame_reservation *reservation, uint32_t frames, struct account *account)
{
	struct frame_state *state = tiny_state();
	ASSERT(account == NULL);
	*reservation = (struct frame_reservation){0};
	preempt_disable();
	bool there = frames <= state->free && state->reserved <= state->free - frames;
	if (there)
		state->reserved = (uint16_t)(state->reserved + frames);
	preempt_enable();
	if (!there)
		return ERR(ENOMEM);
	reservation->left_frames = frames;
	return 0;
}

void *frame_alloc_reserved(struct frame_reservation *reservation, uint32_t mem_flags)
{
	struct frame_state *state = tiny_state();
	if (reservation->left_frames == 0)
		return NULL;
	preempt_disable();
	reservation->left_frames--;
	state->reserved--;
	void *memory = block_take(state, 0, 0);
	preempt_enable();
	VERIFY(memory != NULL);
	block_prepare(memory, FRAME_SIZE, mem_flags);
	return memory;
}

void frame_unreserve(struct frame_reservation *reservation)
{
	struct frame_state *state = tiny_state();
	preempt_disable();
	state->reserved = (uint16_t)(state->reserved - reservation->left_frames);
	reservation->left_frames = 0;
	preempt_enable();
}

err_t frame_group_keep(uint32_t order, void **group)
{
	(void)order;
	(void)group;
	return ERR(ENOMEM);
}

// ---- figures and checks --------------------------------------------------------------------------------------------

void frame_get_info(struct frame_info *info)
{
	const struct frame_state *state = tiny_state();
	*info = (struct frame_info){
		.total = (uint32_t)(state->count - state->first),
		.free = state->free,
		.reserved = state->reserved,
		.peak_used = (uint32_t)(state->count - state->first - state->least_free),
		.allocs = state->allocs,
		.frees = state->frees,
		.failures = state->failures,
	};
	// Aligned blocks, greatest first, as a buddy system would list them.
	for (uint32_t at = state->first; at < state->count;) {
		uint32_t order = 0;
		while (order + 1 < FRAME_ORDER_MAX && IS_ALIGNED(at, 2u << order) &&
		       at + (2u << order) <= state->count && bitmap_range_is_clear(state->taken, at, 2u << order))
			order++;
		if (!bitmap_test(state->taken, at)) {
			info->free_by_order[order]++;
			info->largest_order = MAX(info->largest_order, order);
		}
		at += bitmap_test(state->taken, at) ? 1 : 1u << order;
	}
}

void frame_get_node_info(uint32_t node, struct frame_info *info)
{
	*info = (struct frame_info){0};
	if (node == 0)
		frame_get_info(info);
}

void frame_drain_caches(void)
{
}

// What others take and give back meanwhile would be counted half: preemption stays off.
err_t frame_check(void)
{
	const struct frame_state *state = tiny_state();
	uint32_t ends = 0;
	uint32_t bit;

	preempt_disable();
	bitmap_for_each (bit, state->last, state->count)
		ends += bitmap_test(state->taken, bit) && bit >= state->first;
	bool good = ends == bitmap_count(state->last, state->count) && state->reserved <= state->free &&
		    bitmap_count(state->taken, state->count) + state->free == state->count;
	preempt_enable();
	if (good)
		return 0;
	log_err("frame_check: bitmaps and counts disagree");
	return ERR(EUCLEAN);
}
