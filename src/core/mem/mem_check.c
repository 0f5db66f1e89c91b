// SPDX-License-Identifier: MIT
//
// frame_check() walks every block of every region and recounts what the allocator believes; range_check() looks at the runs
// among them.
#include "mem_impl.h"

#include "hal/cpu.h"
#include "kern/log.h"

// What the walk has seen, over all regions.
struct census {
	uint32_t free; // of one region
	uint32_t group_free;
	uint32_t cached;
	uint32_t reserved;
	uint32_t charged; // USED, RESERVED, RUN, SLAB
};

static err_t check_failed(const char *what, uint32_t index)
{
	log_err("frame_check: frame %u: %s", index, what);
	return ERR(EUCLEAN);
}

static err_t check_inside(const struct frame_region *region, uint32_t index, uint32_t count)
{
	if (count > region->untouched - index)
		return check_failed("block ends beyond the region", index);
	for (uint32_t i = 1; i < count; i++)
		if (frame_word(region_frame(region, index + i)) != 0)
			return check_failed("inside a block, but says otherwise", index + i);
	return 0;
}

static err_t check_free(const struct frame_region *region, uint32_t index, uint32_t order)
{
	uint32_t buddy = index ^ (1u << order);
	if (!IS_ALIGNED(index, 1u << order))
		return check_failed("free block is not aligned", index);
	if (order == FRAME_TOP_ORDER || buddy < region->usable || buddy >= region->untouched)
		return 0;
	if (frame_word(region_frame(region, buddy)) == FRAME_WORD(FRAME_FREE, order))
		return check_failed("two free buddies", index);
	return 0;
}

// One block that is no group: adds it to the census and tells how many frames it has.
static err_t check_block(const struct frame_region *region, uint32_t index, struct census *census, uint32_t *count)
{
	const struct frame *frame = region_frame(region, index);
	uint32_t word = frame_word(frame);
	err_t err = 0;
	*count = 1u << frame_word_order(word);
	switch (frame_word_kind(word)) {
	case FRAME_FREE:
		census->free += *count;
		err = check_free(region, index, frame_word_order(word));
		break;
	case FRAME_RUN:
		*count = frame->run_frames;
		census->charged += *count;
		break;
	case FRAME_RESERVED:
		census->reserved += *count;
		census->charged += *count;
		break;
	case FRAME_USED:
	case FRAME_SLAB:
		census->charged += *count;
		break;
	case FRAME_CACHED:
		census->cached += *count;
		break;
	default:
		return check_failed("not the start of any block", index);
	}
	return err == 0 ? check_inside(region, index, *count) : err;
}

static err_t check_group(const struct frame_region *region, uint32_t head, struct census *census)
{
	const struct frame *group = region_frame(region, head);
	uint32_t size = 1u << frame_word_group_order(frame_word(group));
	uint32_t untaken = 0;
	for (uint32_t at = 0; at < size;) {
		uint32_t count = 1;
		err_t err = 0;
		if (frame_word_kind(frame_word(region_frame(region, head + at))) == FRAME_INSIDE)
			untaken++;
		else
			err = check_block(region, head + at, census, &count);
		if (err != 0)
			return err;
		at += count;
	}
	census->group_free += untaken;
	return untaken == group->group_free ? 0 : check_failed("group is miscounted", head);
}

static err_t check_blocks(const struct frame_region *region, struct census *census)
{
	uint32_t index = region->usable;
	while (index < region->untouched) {
		uint32_t word = frame_word(region_frame(region, index));
		uint32_t count = 1u << frame_word_group_order(word);
		err_t err = word & FRAME_FLAG_GROUP ? check_group(region, index, census)
						    : check_block(region, index, census, &count);
		if (err != 0)
			return err;
		index += count;
	}
	return index == region->untouched ? 0 : check_failed("blocks overrun the untouched part", index);
}

static err_t check_free_list(const struct frame_region *region, uint32_t order)
{
	uint32_t prev = 0;
	uint32_t seen = 0;
	for (uint32_t index = region->heads[order]; index != 0; seen++) {
		const struct frame *frame = region_frame(region, index);
		if (frame_word(frame) != FRAME_WORD(FRAME_FREE, order))
			return check_failed("on a free list, but not free", index);
		if (frame->prev != prev || seen == region->counts[order])
			return check_failed("free list is damaged", index);
		prev = index;
		index = frame->next;
	}
	if (seen != region->counts[order] || (seen != 0) != (region->nonempty >> order & 1u))
		return check_failed("free list is miscounted", region->heads[order]);
	return 0;
}

static err_t check_region_locked(const struct frame_region *region, struct census *census)
{
	uint32_t group_free = census->group_free;
	uint32_t listed = 0;
	census->free = 0;
	err_t err = check_blocks(region, census);
	for (uint32_t order = 0; order < FRAME_ORDER_MAX && err == 0; order++) {
		err = check_free_list(region, order);
		listed += region->counts[order] << order;
	}
	if (err != 0)
		return err;
	if (listed != census->free || listed + region->end - region->untouched != region->free)
		return check_failed("free frames are miscounted", region->first);
	if (census->group_free - group_free != region->group_free)
		return check_failed("frames of groups are miscounted", region->first);
	return 0;
}

static err_t census_take(struct frame_state *state, struct census *census)
{
	*census = (struct census){0};
	for (uint32_t i = 0; i < state->region_count; i++) {
		struct frame_region *region = &state->regions[i];
		spin_lock(&region->lock);
		err_t err = check_region_locked(region, census);
		spin_unlock(&region->lock);
		if (err != 0)
			return err;
	}
	return 0;
}

err_t frame_check(void)
{
	struct frame_state *state = frame_state();
	for (uint32_t tries = 0; tries < CHECK_TRIES; tries++) {
		struct frame_info info;
		struct census census;
		err_t err = census_take(state, &census);
		if (err != 0)
			return err;
		frame_get_info(&info);
		if (census.cached == info.cached && census.reserved == info.reserved &&
		    census.charged == atomic_load_u32_relaxed(&account_root()->used_frames))
			return 0;
		hal_cpu_relax();
	}
	return check_failed("caches, reservations or charges do not add up", 0);
}

// How many frames to the next block, and whether a run that begins here is sound.
static err_t check_run(const struct frame_region *region, uint32_t index, uint32_t *count)
{
	const struct frame *frame = region_frame(region, index);
	uint32_t word = frame_word(frame);
	*count = 1u << frame_word_order(word);
	if (word & FRAME_FLAG_GROUP)
		*count = 1u << frame_word_group_order(word);
	if (frame_word_kind(word) != FRAME_RUN)
		return 0;
	*count = frame->run_frames;
	if (*count == 0 || *count > region->untouched - index)
		return check_failed("range of an impossible length", index);
	return frame->account != NULL ? 0 : check_failed("range that nobody pays for", index);
}

err_t range_check(void)
{
	struct frame_state *state = frame_state();
	err_t err = 0;
	for (uint32_t i = 0; i < state->region_count && err == 0; i++) {
		struct frame_region *region = &state->regions[i];
		uint32_t count = 0;
		spin_lock(&region->lock);
		for (uint32_t at = region->usable; at < region->untouched && err == 0; at += count)
			err = check_run(region, at, &count);
		spin_unlock(&region->lock);
	}
	return err;
}
