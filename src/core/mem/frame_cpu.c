// SPDX-License-Identifier: MIT
//
// Per-CPU caches before the buddy system, for what is asked for most: single frames, single user frames, kernel stacks.
// Frames move between a cache and its node by half a cache at a time. Each cache set has a lock of its own, nearly
// always free, so that another CPU that runs short can empty it.
#include "mem_impl.h"

static uint32_t cache_order(enum frame_cache_kind kind)
{
	return kind == FRAME_CACHE_STACK ? KSTACK_ORDER : 0;
}

static uint32_t region_take_locked(struct frame_region *region, enum frame_cache_kind kind)
{
	uint32_t order = cache_order(kind);
	if (kind == FRAME_CACHE_USER)
		return group_take_locked(region, 0, 0);
	return region_may_take_locked(region, 1u << order, 0) ? buddy_take_locked(region, order) : 0;
}

static void region_give_locked(struct frame_region *region, uint32_t index, enum frame_cache_kind kind)
{
	if (kind == FRAME_CACHE_USER)
		group_give_locked(region, index);
	else
		buddy_give_locked(region, index, cache_order(kind));
}

// Only frames of the node nearest to a CPU go through its caches, and none of the emergency ones: those go out one by one.
static uint32_t near_node(const struct frame_state *state, uint32_t node)
{
	return state->regions[state->preference[node][0]].node;
}

static void cache_refill(struct frame_state *state, struct frame_cache *cache, enum frame_cache_kind kind,
			 uint32_t node)
{
	for (uint32_t i = 0; i < state->region_count && cache->count == 0; i++) {
		struct frame_region *region = &state->regions[state->preference[node][i]];
		if (region->node != near_node(state, node))
			continue;
		spin_lock(&region->lock);
		while (cache->count < cache->limit / 2) {
			uint32_t index = region_take_locked(region, kind);
			if (index == 0)
				break;
			frame_kind_set(region_frame(region, index), FRAME_CACHED);
			cache->frames[cache->count++] = index;
		}
		spin_unlock(&region->lock);
	}
}

// Gives back frames until `keep` are left, the longest cached first.
static void cache_drain(struct frame_state *state, struct frame_cache *cache, enum frame_cache_kind kind, uint32_t keep)
{
	uint32_t given = cache->count > keep ? cache->count - keep : 0;
	struct frame_region *region = NULL;
	for (uint32_t i = 0; i < given; i++) {
		struct frame_region *home = frame_region_of(state, cache->frames[i]);
		if (home != region) {
			if (region != NULL)
				spin_unlock(&region->lock);
			region = home;
			spin_lock(&region->lock);
		}
		region_give_locked(region, cache->frames[i], kind);
	}
	if (region != NULL)
		spin_unlock(&region->lock);
	cache->count -= given;
	memmove(cache->frames, cache->frames + given, cache->count * sizeof cache->frames[0]);
}

// The running CPU's caches, locked; preemption stays off until frame_cpu_unlock().
static struct frame_cpu *frame_cpu_lock(void)
{
	preempt_disable();
	hal_point(HAL_POINT_PERCPU);
	struct frame_cpu *cpu = this_cpu()->frames;
	spin_lock(&cpu->lock);
	return cpu;
}

static void frame_cpu_unlock(struct frame_cpu *cpu)
{
	spin_unlock(&cpu->lock);
	preempt_enable();
}

uint32_t frame_cpu_take(struct frame_state *state, enum frame_cache_kind kind)
{
	struct frame_cpu *cpu = frame_cpu_lock();
	struct frame_cache *cache = &cpu->caches[kind];
	uint32_t index = 0;
	if (cache->count == 0 && cache->limit != 0)
		cache_refill(state, cache, kind, this_cpu()->node);
	if (cache->count != 0) {
		index = cache->frames[--cache->count];
		frame_kind_set(frame_at(state, index), FRAME_USED);
	}
	frame_cpu_unlock(cpu);
	return index;
}

static bool cache_kind_of(uint32_t word, enum frame_cache_kind *kind)
{
	uint32_t order = frame_word_order(word);
	if (word & FRAME_FLAG_USER)
		*kind = FRAME_CACHE_USER;
	else
		*kind = order == 0 ? FRAME_CACHE_SINGLE : FRAME_CACHE_STACK;
	return order == cache_order(*kind);
}

bool frame_cpu_give(struct frame_state *state, uint32_t index, uint32_t word)
{
	enum frame_cache_kind kind;
	if (!cache_kind_of(word, &kind))
		return false;
	struct frame_cpu *cpu = frame_cpu_lock();
	struct frame_cache *cache = &cpu->caches[kind];
	bool taken = cache->limit != 0 && frame_region_of(state, index)->node == near_node(state, this_cpu()->node);
	if (taken) {
		if (cache->count == cache->limit)
			cache_drain(state, cache, kind, cache->limit / 2);
		cache->frames[cache->count++] = index;
	}
	frame_cpu_unlock(cpu);
	return taken;
}

void frame_drain_caches(void)
{
	struct kernel *kernel = kernel_self();
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct frame_cpu *cpu = kernel->cpus[i]->frames;
		spin_lock(&cpu->lock);
		for (uint32_t kind = 0; kind < FRAME_CACHE_COUNT; kind++)
			cache_drain(kernel->frames, &cpu->caches[kind], kind, 0);
		spin_unlock(&cpu->lock);
	}
}

// Caches of all CPUs together hold at most a sixteenth of RAM; where that is next to nothing there are none.
static uint32_t cache_limit(uint32_t usable_frames, uint32_t cpu_count, uint32_t order)
{
	uint32_t share = usable_frames / 16 / FRAME_CACHE_COUNT / cpu_count >> order;
	uint32_t limit = MIN(share, FRAME_CACHE_MAX >> MIN(order, 3u));
	return limit < 4 ? 0 : limit;
}

err_t frame_cpu_init(struct kernel *kernel, uint32_t usable_frames)
{
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct frame_cpu *cpu = boot_alloc(kernel, sizeof *cpu, CACHE_LINE_SIZE);
		if (cpu == NULL)
			return ERR(ENOMEM);
		spin_init(&cpu->lock, LOCK_RANK_FRAME_CPU, "frame: cpu");
		for (uint32_t kind = 0; kind < FRAME_CACHE_COUNT; kind++)
			cpu->caches[kind].limit = cache_limit(usable_frames, kernel->cpu_count, cache_order(kind));
		kernel->cpus[i]->frames = cpu;
	}
	return 0;
}
