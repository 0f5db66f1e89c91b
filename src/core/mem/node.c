// SPDX-License-Identifier: MIT
//
// Regions: runs of RAM on their nodes. frame_init() lays descriptors over each and decides which regions serve which node
// first; what has been said about blocks stays in frame.c. Also the figures that everybody reads.
#include "mem_impl.h"

// Left for MEM_ATOMIC: 1/128 of a region, at most this many frames.
#define EMERGENCY_MAX 64u

struct frame_region *frame_region_of(struct frame_state *state, uint32_t index)
{
	for (uint32_t i = 0; i < state->region_count; i++) {
		struct frame_region *region = &state->regions[i];
		if (index - region->first < region->end - region->first)
			return region;
	}
	return NULL;
}

struct frame *frame_at(struct frame_state *state, uint32_t index)
{
	struct frame_region *region = frame_region_of(state, index);
	VERIFY(region != NULL);
	return &region->frames[index - region->first];
}

// ---- boot ----------------------------------------------------------------------------------------------------------

static uint32_t node_distance(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

// Regions by distance, then by address. Insertion sort: at most HAL_MAX_NODES of them.
static void preference_fill(struct frame_state *state, uint32_t node)
{
	uint8_t *order = state->preference[node];
	for (uint32_t i = 0; i < state->region_count; i++) {
		uint32_t at = i;
		uint32_t distance = node_distance(state->regions[i].node, node);
		while (at > 0 && node_distance(state->regions[order[at - 1]].node, node) > distance) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = (uint8_t)i;
	}
}

static void region_init(struct frame_region *region, uint32_t usable)
{
	uint32_t total = region->end - usable;
	spin_init(&region->lock, LOCK_RANK_FRAME, "frame: region");
	region->usable = usable;
	region->untouched = usable;
	region->free = total;
	region->least_free = total;
	region->emergency = MIN(total / 128, EMERGENCY_MAX);
}

// Descriptors of a region that boot did not begin to use: at its start.
static err_t region_describe(struct frame_state *state, struct frame_region *region)
{
	size_t size_bytes = (size_t)(region->end - region->first) * sizeof(struct frame);
	uint32_t taken = (uint32_t)(ALIGN_UP(size_bytes, FRAME_SIZE) >> FRAME_SHIFT);
	if (taken >= region->end - region->first)
		return ERR(EINVAL);
	region->frames = frame_address(state, region->first);
	if ((kernel_self()->flags & HAL_BOOT_RAM_DIRTY) != 0)
		memset(region->frames, 0, size_bytes);
	region_init(region, region->first + taken);
	return 0;
}

static err_t regions_measure(struct frame_state *state, const struct hal_boot_info *info)
{
	size_t skew = (size_t)((const char *)info->ram - state->base);
	if (info->node_count == 0 || info->node_count > HAL_MAX_NODES)
		return ERR(EINVAL);
	for (uint32_t i = 0; i < info->node_count; i++) {
		const struct hal_ram_node *from = &info->nodes[i];
		struct frame_region *region = &state->regions[i];
		region->first = (uint32_t)(ALIGN_UP(from->offset + skew, FRAME_SIZE) >> FRAME_SHIFT);
		region->end = (uint32_t)((from->offset + from->size_bytes + skew) >> FRAME_SHIFT);
		region->node = from->node;
		if (region->end <= region->first || region->first < state->frame_limit || from->node >= HAL_MAX_NODES)
			return ERR(EINVAL);
		state->frame_limit = region->end;
	}
	state->region_count = info->node_count;
	return 0;
}

// Everything that boot needs once, out of the arena, which lies in region 0; then the rest of region 0 is free.
static err_t regions_take_over(struct kernel *kernel, struct frame_state *state)
{
	struct frame_region *first = &state->regions[0];
	uint32_t usable_frames = 0;
	for (uint32_t i = 1; i < state->region_count; i++) {
		err_t err = region_describe(state, &state->regions[i]);
		if (err != 0)
			return err;
	}
	for (uint32_t i = 0; i < state->region_count; i++)
		usable_frames += state->regions[i].end - state->regions[i].first;
	first->frames = boot_alloc(kernel, (size_t)(first->end - first->first) * sizeof(struct frame), CACHE_LINE_SIZE);
	state->line_of = boot_alloc(kernel, state->frame_limit * sizeof(uint16_t), CACHE_LINE_SIZE);
	if (first->frames == NULL || state->line_of == NULL)
		return ERR(ENOMEM);
	err_t err = frame_cpu_init(kernel, usable_frames);
	if (err == 0)
		err = account_init(kernel);
	if (err == 0)
		err = pressure_init(kernel);
	if (err == 0)
		err = fault_init(kernel);
	if (err == 0)
		err = slab_init_arena(kernel);
	return err;
}

err_t frame_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct frame_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	if (state == NULL)
		return ERR(ENOMEM);
	kernel->frames = state;
	state->base = (char *)ALIGN_DOWN((uintptr_t)info->ram, (size_t)FRAME_SIZE << FRAME_TOP_ORDER);
	err_t err = regions_measure(state, info);
	if (err == 0)
		err = regions_take_over(kernel, state);
	if (err != 0)
		return err;
	const char *arena_end = kernel->ram + (size_t)ALIGN_UP(kernel->arena_next_bytes, FRAME_SIZE);
	if (frame_index(state, arena_end) >= state->regions[0].end)
		return ERR(ENOMEM);
	region_init(&state->regions[0], frame_index(state, arena_end));
	kernel->arena_limit_bytes = kernel->arena_next_bytes;
	for (uint32_t node = 0; node < HAL_MAX_NODES; node++)
		preference_fill(state, node);
	return 0;
}

// ---- figures -------------------------------------------------------------------------------------------------------

// Adds a region's figures. Untouched frames count as blocks of the sizes they would be carved into.
static void info_add_region(struct frame_info *info, struct frame_region *region)
{
	spin_lock(&region->lock);
	info->total += region->end - region->usable;
	info->free += region->free;
	info->grouped += region->group_free;
	info->peak_used += region->end - region->usable - region->least_free;
	info->allocs += region->allocs;
	info->frees += region->frees;
	for (uint32_t order = 0; order < FRAME_ORDER_MAX; order++)
		info->free_by_order[order] += region->counts[order];
	for (uint32_t at = region->untouched; at < region->end;) {
		uint32_t order = MIN(bit_highest_u32(region->end - at), FRAME_TOP_ORDER);
		order = MIN(order, bit_lowest_u32(at));
		info->free_by_order[order]++;
		at += 1u << order;
	}
	spin_unlock(&region->lock);
	for (uint32_t order = 0; order < FRAME_ORDER_MAX; order++)
		if (info->free_by_order[order] != 0)
			info->largest_order = order;
}

static void info_add_cached(struct frame_info *info, struct frame_cpu *cpu)
{
	spin_lock(&cpu->lock);
	info->cached += cpu->caches[FRAME_CACHE_SINGLE].count + cpu->caches[FRAME_CACHE_USER].count;
	info->cached += cpu->caches[FRAME_CACHE_STACK].count << KSTACK_ORDER;
	spin_unlock(&cpu->lock);
}

void frame_get_info(struct frame_info *info)
{
	struct kernel *kernel = kernel_self();
	struct frame_state *state = kernel->frames;
	*info = (struct frame_info){0};
	for (uint32_t i = 0; i < state->region_count; i++)
		info_add_region(info, &state->regions[i]);
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		info_add_cached(info, kernel->cpus[i]->frames);
	info->reserved = atomic_load_u32_relaxed(&state->reserved);
	info->failures = atomic_load_u32_relaxed(&state->failures);
}

void frame_get_node_info(uint32_t node, struct frame_info *info)
{
	struct frame_state *state = frame_state();
	*info = (struct frame_info){0};
	for (uint32_t i = 0; i < state->region_count; i++)
		if (state->regions[i].node == node)
			info_add_region(info, &state->regions[i]);
}
