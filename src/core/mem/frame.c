// SPDX-License-Identifier: MIT
//
// The buddy system of one region (Knowlton 1965; Knuth, TAOCP 1, 2.5): free blocks by order on lists of indexes, split on
// the way out and merged on the way back. What has never been used is not on the lists, but above `untouched`.
// Everything here runs under the region's lock.
#include "mem_impl.h"

#include "kern/counter.h"

void frame_list_push(struct frame_region *region, uint32_t *head, uint32_t index)
{
	struct frame *frame = region_frame(region, index);
	frame->next = *head;
	frame->prev = 0;
	if (*head != 0)
		region_frame(region, *head)->prev = index;
	*head = index;
}

void frame_list_remove(struct frame_region *region, uint32_t *head, uint32_t index)
{
	struct frame *frame = region_frame(region, index);
	if (frame->prev != 0)
		region_frame(region, frame->prev)->next = frame->next;
	else
		*head = frame->next;
	if (frame->next != 0)
		region_frame(region, frame->next)->prev = frame->prev;
	frame->next = 0;
	frame->prev = 0;
}

static void free_push(struct frame_region *region, uint32_t index, uint32_t order)
{
	region_frame(region, index)->trimmed = 0;
	frame_word_set(region_frame(region, index), FRAME_WORD(FRAME_FREE, order));
	frame_list_push(region, &region->heads[order], index);
	region->counts[order]++;
	region->nonempty |= 1u << order;
}

static void free_remove(struct frame_region *region, uint32_t index, uint32_t order)
{
	frame_list_remove(region, &region->heads[order], index);
	if (--region->counts[order] == 0)
		region->nonempty &= ~(1u << order);
	region_frame(region, index)->trimmed = 0;
	frame_word_set(region_frame(region, index), 0);
}

// The largest block that may start at `index` and end by `end`.
static uint32_t order_at(uint32_t index, uint32_t end)
{
	uint32_t fits = MIN(bit_highest_u32(end - index), FRAME_TOP_ORDER);
	return MIN(bit_lowest_u32(index), fits);
}

// Puts the next untouched block on its list; false when there is none.
static bool region_carve(struct frame_region *region)
{
	if (region->untouched == region->end)
		return false;
	uint32_t index = region->untouched;
	uint32_t order = order_at(index, region->end);
	region->untouched += 1u << order;
	free_push(region, index, order);
#if CONFIG_ASAN
	hal_ram_poison(frame_address(frame_state(), index), (size_t)FRAME_SIZE << order);
#endif
	return true;
}

bool region_may_take_locked(const struct frame_region *region, uint32_t count, uint32_t mem_flags)
{
	uint32_t left = mem_flags & MEM_ATOMIC ? 0 : region->emergency;
	return region->free >= count && region->free - count >= left;
}

static void region_note_taken(struct frame_region *region, uint32_t count)
{
	region->free -= count;
	region->least_free = MIN(region->least_free, region->free);
}

uint32_t buddy_take_locked(struct frame_region *region, uint32_t order)
{
	LOCK_HELD(&region->lock);
	while (region->nonempty >> order == 0)
		if (!region_carve(region))
			return 0;
	uint32_t found = order + bit_lowest_u32(region->nonempty >> order);
	uint32_t index = region->heads[found];
	free_remove(region, index, found);
	while (found > order) {
		found--;
		free_push(region, index + (1u << found), found);
	}
	frame_word_set(region_frame(region, index), FRAME_WORD(FRAME_USED, order));
	region_note_taken(region, 1u << order);
	region->allocs++;
	counter_add_local(COUNTER_FRAME_ALLOCS, 1);
	return index;
}

void buddy_give_locked(struct frame_region *region, uint32_t index, uint32_t order)
{
	LOCK_HELD(&region->lock);
	region->free += 1u << order;
	region->frees++;
	counter_add_local(COUNTER_FRAME_FREES, 1);
	frame_word_set(region_frame(region, index), 0);
	for (; order < FRAME_TOP_ORDER; order++) {
		uint32_t buddy = index ^ (1u << order);
		if (buddy < region->usable || buddy >= region->untouched)
			break;
		if (frame_word(region_frame(region, buddy)) != FRAME_WORD(FRAME_FREE, order))
			break;
		free_remove(region, buddy, order);
		index &= ~(1u << order);
	}
	free_push(region, index, order);
}

void buddy_give_span_locked(struct frame_region *region, uint32_t start, uint32_t end)
{
	while (start < end) {
		uint32_t order = order_at(start, end);
		buddy_give_locked(region, start, order);
		start += 1u << order;
	}
}

// ---- runs ----------------------------------------------------------------------------------------------------------

static void run_mark(struct frame_region *region, uint32_t index, uint32_t count)
{
	struct frame *frame = region_frame(region, index);
	frame_word_set(frame, FRAME_WORD(FRAME_RUN, 0));
	frame->run_frames = count;
}

static bool top_block_is_free(const struct frame_region *region, uint32_t index)
{
	return index >= region->untouched ||
	       frame_word(region_frame(region, index)) == FRAME_WORD(FRAME_FREE, FRAME_TOP_ORDER);
}

// First fit over whole blocks of the greatest order; returns where `blocks` of them lie side by side, or 0.
static uint32_t top_blocks_find(const struct frame_region *region, uint32_t blocks)
{
	uint32_t start = ALIGN_UP(region->usable, FRAME_TOP_COUNT);
	uint32_t seen = 0;
	for (uint32_t at = start; at < region->end && region->end - at >= FRAME_TOP_COUNT; at += FRAME_TOP_COUNT) {
		seen = top_block_is_free(region, at) ? seen + 1 : 0;
		if (seen == blocks)
			return at - (blocks - 1) * FRAME_TOP_COUNT;
	}
	return 0;
}

static uint32_t buddy_take_large_run(struct frame_region *region, uint32_t count)
{
	uint32_t blocks = DIV_ROUND_UP(count, FRAME_TOP_COUNT);
	uint32_t index = top_blocks_find(region, blocks);
	if (index == 0)
		return 0;
	uint32_t end = index + blocks * FRAME_TOP_COUNT;
	while (region->untouched < end)
		if (!region_carve(region))
			break;
	for (uint32_t at = index; at < end; at += FRAME_TOP_COUNT)
		free_remove(region, at, FRAME_TOP_ORDER);
	region_note_taken(region, end - index);
	run_mark(region, index, count);
	buddy_give_span_locked(region, index + count, end);
	return index;
}

uint32_t buddy_take_run_locked(struct frame_region *region, uint32_t count, uint32_t align_order)
{
	uint32_t order = MAX((uint32_t)log2_ceil(count), align_order);
	if (order > FRAME_TOP_ORDER)
		return align_order > FRAME_TOP_ORDER ? 0 : buddy_take_large_run(region, count);
	uint32_t index = buddy_take_locked(region, order);
	if (index == 0)
		return 0;
	run_mark(region, index, count);
	buddy_give_span_locked(region, index + count, index + (1u << order));
	return index;
}
