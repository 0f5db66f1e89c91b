// SPDX-License-Identifier: MIT
//
// Free memory back to the host: large free blocks that have been used since they were last given. Nothing on the way of an
// allocation or a free knows of it; whoever thinks that an instance has shrunk calls it. Blocks already given say so by a
// flag that is lost as soon as a block is taken, split or merged.
#include "mem_impl.h"

#include "kern/counter.h"

#define TRIM_ORDER (FRAME_SHIFT < 16 ? 16 - FRAME_SHIFT : 0) // 64 KiB: what one call of the host is worth
#define TRIM_ONCE (16u * FRAME_TOP_COUNT)                    // frames given under the lock before others get it

// Goes on from nowhere each time: what has been given is skipped by its flag. 0: all of this order is given.
static uint32_t trim_order(struct frame_state *state, struct frame_region *region, uint32_t order)
{
	uint32_t given = 0;
	spin_lock(&region->lock);
	for (uint32_t at = region->heads[order]; at != 0 && given < TRIM_ONCE; at = region_frame(region, at)->next) {
		struct frame *frame = region_frame(region, at);
		if (frame->trimmed)
			continue;
		hal_ram_discard(frame_address(state, at), (size_t)FRAME_SIZE << order);
		frame->trimmed = 1;
		given += 1u << order;
	}
	spin_unlock(&region->lock);
	return given;
}

uint32_t frame_trim(void)
{
	struct frame_state *state = frame_state();
	uint32_t given = 0;
	frame_drain_caches();
	for (uint32_t i = 0; i < state->region_count; i++)
		for (uint32_t order = TRIM_ORDER; order < FRAME_ORDER_MAX; order++) {
			uint32_t now;
			while ((now = trim_order(state, &state->regions[i], order)) != 0)
				given += now;
		}
	counter_add(COUNTER_FRAME_TRIMMED, given);
	return given;
}
