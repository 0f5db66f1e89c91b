// SPDX-License-Identifier: MIT
//
// Ranges: runs of whole frames of any number, cut from a buddy block whose tail goes back at once, so that 5 frames cost 5.
// The first descriptor of a run knows its length; nothing else is kept, so there is nothing to look up or to fail.
#include "mem_impl.h"

#include "kern/counter.h"
#include "kern/trace.h"

static uint32_t run_take_once(struct frame_state *state, uint32_t count, uint32_t align_order, uint32_t mem_flags)
{
	preempt_disable();
	uint32_t node = this_cpu()->node;
	preempt_enable();
	for (uint32_t i = 0; i < state->region_count; i++) {
		struct frame_region *region = &state->regions[state->preference[node][i]];
		uint32_t index = 0;
		spin_lock(&region->lock);
		if (region_may_take_locked(region, count, mem_flags))
			index = buddy_take_run_locked(region, count, align_order);
		spin_unlock(&region->lock);
		if (index != 0)
			return index;
	}
	return 0;
}

static uint32_t run_take(struct frame_state *state, uint32_t count, uint32_t align_order, uint32_t mem_flags)
{
	uint32_t index = run_take_once(state, count, align_order, mem_flags);
	for (uint32_t round = 0; unlikely(index == 0) && mem_relieve(round, count, mem_flags); round++)
		index = run_take_once(state, count, align_order, mem_flags);
	return index;
}

void *range_alloc_unasked(size_t size_bytes, size_t align, uint32_t mem_flags, struct account *account)
{
	struct frame_state *state = frame_state();
	size_t count = (size_bytes >> FRAME_SHIFT) + ((size_bytes & (FRAME_SIZE - 1)) != 0);
	VERIFY(IS_POWER_OF_2(align));
	uint32_t align_order = align <= FRAME_SIZE ? 0 : (uint32_t)log2_ceil(align) - FRAME_SHIFT;
	if (count == 0 || count >= state->frame_limit || align_order > FRAME_TOP_ORDER)
		return NULL;
	account = account_or_current(account);
	if (account_charge(account, (uint32_t)count) != 0)
		return NULL;
	uint32_t index = run_take(state, (uint32_t)count, align_order, mem_flags);
	if (index == 0) {
		account_uncharge(account, (uint32_t)count);
		atomic_fetch_add_u32_relaxed(&state->failures, 1);
		counter_inc(COUNTER_FRAME_FAILURES);
		trace_emit(TRACE_FRAME_FAIL, log2_ceil(count), 0);
		return NULL;
	}
	frame_at(state, index)->account = account;
	trace_emit(TRACE_FRAME_ALLOC, index, log2_ceil(count));
	void *memory = frame_address(state, index);
	frame_prepare(memory, count << FRAME_SHIFT, mem_flags);
	return memory;
}

void *range_alloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags, struct account *account)
{
	return fault_should_fail(mem_flags) ? NULL : range_alloc_unasked(size_bytes, align, mem_flags, account);
}

void *range_alloc(size_t size_bytes, uint32_t mem_flags, struct account *account)
{
	return range_alloc_aligned(size_bytes, FRAME_SIZE, mem_flags, account);
}

static struct frame *range_frame(struct frame_state *state, const void *memory, const char *caller)
{
	struct frame *frame = frame_verify_block(state, memory, caller);
	if (unlikely(frame_word_kind(frame_word(frame)) != FRAME_RUN))
		panic("%s: frame %u is not the start of a range", caller, frame_index(state, memory));
	return frame;
}

// Gives back the frames of the run beyond `keep`.
static void run_cut(struct frame_state *state, struct frame *frame, uint32_t index, uint32_t keep)
{
	struct frame_region *region = frame_region_of(state, index);
	uint32_t end = index + frame->run_frames;
	struct account *account = frame->account;

	frame_retire(frame_address(state, index + keep), (size_t)(end - index - keep) << FRAME_SHIFT);
	spin_lock(&region->lock);
	frame->run_frames = keep;
	if (keep == 0)
		frame->account = NULL;
	buddy_give_span_locked(region, index + keep, end);
	spin_unlock(&region->lock);
	account_uncharge(account, end - index - keep);
}

void range_free(void *memory)
{
	struct frame_state *state = frame_state();
	struct frame *frame = range_frame(state, memory, "range_free");
	uint32_t index = frame_index(state, memory);
	uint32_t word = FRAME_WORD(FRAME_RUN, 0);
	if (unlikely(!atomic_cmpxchg_u32_relaxed(&frame->word, &word, FRAME_WORD(FRAME_CACHED, 0))))
		panic("range_free: frame %u is free already", index);
	trace_emit(TRACE_FRAME_FREE, index, log2_ceil(frame->run_frames));
	run_cut(state, frame, index, 0);
}

void range_shrink(void *memory, size_t size_bytes)
{
	struct frame_state *state = frame_state();
	struct frame *frame = range_frame(state, memory, "range_shrink");
	uint32_t keep = (uint32_t)DIV_ROUND_UP(size_bytes, FRAME_SIZE);
	VERIFY3(keep, !=, 0);
	if (keep < frame->run_frames)
		run_cut(state, frame, frame_index(state, memory), keep);
}

size_t range_size_bytes(const void *memory)
{
	struct frame_state *state = frame_state();
	return (size_t)range_frame(state, memory, "range_size_bytes")->run_frames << FRAME_SHIFT;
}

err_t range_init(struct kernel *kernel)
{
	VERIFY(kernel->frames != NULL);
	return 0;
}
