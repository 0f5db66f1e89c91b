// SPDX-License-Identifier: MIT
//
// frame_alloc() and frame_free(): charge the account, take from the CPU's cache or the regions, empty the caches and ask for
// relief when that fails, clear or poison. Every block that comes back is compared with its descriptor first.
#include "mem_impl.h"

#include "kern/counter.h"
#include "kern/trace.h"

// How often relief is asked for before giving up; each time something must have come of it.
// Each round asks for twice as much as the one before: what comes back first may be of the wrong kind (scattered user frames do not make
// a slab) or be gone to another thread before we look.
#define PRESSURE_ROUNDS 8u
#define PRESSURE_FRAMES_MIN 32u

struct account *account_or_current(struct account *account)
{
	if (account == NULL)
		account = current->account;
	return account != NULL ? account : account_root();
}

bool mem_may_sleep(uint32_t mem_flags)
{
	return (mem_flags & MEM_ATOMIC) == 0 && kernel_self()->hooks != NULL && preemptible();
}

void frame_prepare(void *memory, size_t size_bytes, uint32_t mem_flags)
{
	uint32_t poison = kernel_self()->poison;
#if CONFIG_ASAN
	hal_ram_unpoison(memory, size_bytes);
#endif
	if (mem_flags & MEM_ZERO)
		memset(memory, 0, size_bytes);
	else if (unlikely(poison != 0))
		memset(memory, (int)poison, size_bytes);
}

void frame_retire(void *memory, size_t size_bytes)
{
#if CONFIG_ASAN
	hal_ram_poison(memory, size_bytes);
#else
	(void)memory;
	(void)size_bytes;
#endif
}

static uint32_t region_take(struct frame_region *region, uint32_t order, uint32_t mem_flags)
{
	uint32_t index = 0;
	spin_lock(&region->lock);
	if (mem_flags & MEM_USER)
		index = group_take_locked(region, order, mem_flags);
	else if (region_may_take_locked(region, 1u << order, mem_flags))
		index = buddy_take_locked(region, order);
	spin_unlock(&region->lock);
	return index;
}

uint32_t frame_take_from_regions(struct frame_state *state, uint32_t node, uint32_t order, uint32_t mem_flags)
{
	for (uint32_t i = 0; i < state->region_count; i++) {
		uint32_t index = region_take(&state->regions[state->preference[node][i]], order, mem_flags);
		if (index != 0)
			return index;
	}
	return 0;
}

bool mem_relieve(uint32_t round, uint32_t frames, uint32_t mem_flags)
{
	if (round > 0) {
		if (round > PRESSURE_ROUNDS || !mem_may_sleep(mem_flags))
			return false;
		uint64_t wanted_frames = (uint64_t)MAX(frames, PRESSURE_FRAMES_MIN) << (round - 1);
		if (pressure_run((uint32_t)MIN(wanted_frames, UINT32_MAX)) == 0)
			return false;
	}
	frame_drain_caches(); // what callbacks gave lies there
	return true;
}

// Node of the running CPU, if it has not moved meanwhile.
static uint32_t here(void)
{
	preempt_disable();
	uint32_t node = this_cpu()->node;
	preempt_enable();
	return node;
}

// 0 first tries the cache where there is one for this order and node.
static uint32_t take_once(struct frame_state *state, uint32_t node, uint32_t order, uint32_t mem_flags)
{
	uint32_t index = 0;
	if (node == FRAME_NODE_ANY) {
		if (order == 0)
			index = frame_cpu_take(state, mem_flags & MEM_USER ? FRAME_CACHE_USER : FRAME_CACHE_SINGLE);
		else if (order == KSTACK_ORDER && (mem_flags & MEM_USER) == 0)
			index = frame_cpu_take(state, FRAME_CACHE_STACK);
		if (index != 0)
			return index;
		node = here();
	}
	return frame_take_from_regions(state, node, order, mem_flags);
}

uint32_t frame_take(struct frame_state *state, uint32_t node, uint32_t order, uint32_t mem_flags)
{
	uint32_t index = take_once(state, node, order, mem_flags);
	for (uint32_t round = 0; unlikely(index == 0) && mem_relieve(round, 1u << order, mem_flags); round++)
		index = take_once(state, node, order, mem_flags);
	return index;
}

static void *frame_alloc_on(uint32_t node, uint32_t order, uint32_t mem_flags, struct account *account)
{
	struct frame_state *state = frame_state();
	VERIFY3(order, <, FRAME_ORDER_MAX);
	account = account_or_current(account);
	if (fault_should_fail(mem_flags))
		return NULL;
	if (account_charge(account, 1u << order) != 0)
		return NULL;
	uint32_t index = frame_take(state, node, order, mem_flags);
	if (index == 0) {
		account_uncharge(account, 1u << order);
		atomic_fetch_add_u32_relaxed(&state->failures, 1);
		counter_inc(COUNTER_FRAME_FAILURES);
		trace_emit(TRACE_FRAME_FAIL, order, 0);
		return NULL;
	}
	frame_at(state, index)->account = account;
	trace_emit(TRACE_FRAME_ALLOC, index, order);
	void *memory = frame_address(state, index);
	frame_prepare(memory, (size_t)FRAME_SIZE << order, mem_flags);
	return memory;
}

void *frame_alloc(uint32_t order, uint32_t mem_flags, struct account *account)
{
	return frame_alloc_on(FRAME_NODE_ANY, order, mem_flags, account);
}

void *frame_alloc_node(uint32_t node, uint32_t order, uint32_t mem_flags, struct account *account)
{
	VERIFY3(node, <, HAL_MAX_NODES);
	return frame_alloc_on(node, order, mem_flags, account);
}

void frame_give(struct frame_state *state, uint32_t index, uint32_t order)
{
	struct frame_region *region = frame_region_of(state, index);
	uint32_t word = frame_word(region_frame(region, index));
	frame_retire(frame_address(state, index), (size_t)FRAME_SIZE << order);
	if (frame_cpu_give(state, index, word))
		return;
	spin_lock(&region->lock);
	if (word & FRAME_FLAG_USER)
		group_give_locked(region, index);
	else
		buddy_give_locked(region, index, order);
	spin_unlock(&region->lock);
}

// The name of what is wrong with freeing this; NULL when nothing is.
static const char *free_error(uint32_t word, uint32_t order)
{
	switch (frame_word_kind(word)) {
	case FRAME_USED:
		return frame_word_order(word) == order ? NULL : "freed with another order than allocated";
	case FRAME_FREE:
	case FRAME_CACHED:
		return "free already";
	case FRAME_INSIDE:
		return "not the start of an allocated block";
	case FRAME_RESERVED:
		return "in a reservation";
	default:
		return "part of a range or slab";
	}
}

struct frame *frame_verify_block(struct frame_state *state, const void *memory, const char *caller)
{
	size_t offset = (size_t)((uintptr_t)memory - (uintptr_t)state->base);
	uint32_t index = (uint32_t)(offset >> FRAME_SHIFT);
	struct frame_region *region = NULL;
	if ((offset & (FRAME_SIZE - 1)) == 0 && offset >> FRAME_SHIFT < state->frame_limit)
		region = frame_region_of(state, index);
	if (region == NULL || index < region->usable)
		panic("%s: %p is not a frame", caller, memory);
	return region_frame(region, index);
}

void frame_free(void *frames, uint32_t order)
{
	struct frame_state *state = frame_state();
	struct frame *frame = frame_verify_block(state, frames, "frame_free");
	uint32_t index = frame_index(state, frames);
	uint32_t word = frame_word(frame);
	const char *error = free_error(word, order);
	// Claimed by exchange, so that of two who free it at once one fails here.
	if (error == NULL && !atomic_cmpxchg_u32_relaxed(&frame->word, &word, (word & ~FRAME_KIND_MASK) | FRAME_CACHED))
		error = "free already";
	if (unlikely(error != NULL))
		panic("frame_free: frame %u, order %u: %s", index, order, error);
	struct account *account = frame->account;
	frame->account = NULL;
	trace_emit(TRACE_FRAME_FREE, index, order);
	frame_give(state, index, order);
	account_uncharge(account, 1u << order);
}
