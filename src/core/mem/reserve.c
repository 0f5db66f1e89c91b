// SPDX-License-Identifier: MIT
//
// Reservations: frames taken out of the free ones and charged in advance, chained through their descriptors, so that
// taking one of them later can fail neither for want of memory nor at a limit. The reservation itself is its owner's: whoever
// calls these functions for it serialises them.
#include "mem_impl.h"

static uint32_t reservation_pop(struct frame_state *state, struct frame_reservation *reservation)
{
	uint32_t index = reservation->first;
	struct frame *frame = frame_at(state, index);
	VERIFY3(frame_word_kind(frame_word(frame)), ==, (uint32_t)FRAME_RESERVED);
	reservation->first = frame->next;
	reservation->left_frames--;
	frame->next = 0;
	atomic_fetch_sub_u32_relaxed(&state->reserved, 1);
	return index;
}

static void reservation_push(struct frame_state *state, struct frame_reservation *reservation, uint32_t index)
{
	struct frame *frame = frame_at(state, index);
	frame_kind_set(frame, FRAME_RESERVED);
	frame->account = reservation->account;
	frame->next = reservation->first;
	reservation->first = index;
	reservation->left_frames++;
	atomic_fetch_add_u32_relaxed(&state->reserved, 1);
}

err_t frame_reserve(struct frame_reservation *reservation, uint32_t frames, struct account *account)
{
	struct frame_state *state = frame_state();
	*reservation = (struct frame_reservation){.account = account_or_current(account)};
	if (fault_should_fail(0))
		return ERR(ENOMEM);
	if (account_charge(reservation->account, frames) != 0)
		return ERR(ENOMEM);
	while (reservation->left_frames < frames) {
		uint32_t index = frame_take(state, FRAME_NODE_ANY, 0, 0);
		if (index == 0)
			break;
		reservation_push(state, reservation, index);
	}
	if (reservation->left_frames == frames)
		return 0;
	account_uncharge(reservation->account, frames - reservation->left_frames);
	frame_unreserve(reservation);
	return ERR(ENOMEM);
}

void *frame_alloc_reserved(struct frame_reservation *reservation, uint32_t mem_flags)
{
	struct frame_state *state = frame_state();
	ASSERT3(mem_flags & MEM_USER, ==, 0);
	if (reservation->left_frames == 0)
		return NULL;
	uint32_t index = reservation_pop(state, reservation);
	frame_kind_set(frame_at(state, index), FRAME_USED);
	void *memory = frame_address(state, index);
	frame_prepare(memory, FRAME_SIZE, mem_flags);
	return memory;
}

void frame_unreserve(struct frame_reservation *reservation)
{
	struct frame_state *state = frame_state();
	uint32_t frames = reservation->left_frames;
	while (reservation->left_frames != 0) {
		uint32_t index = reservation_pop(state, reservation);
		frame_kind_set(frame_at(state, index), FRAME_CACHED);
		frame_at(state, index)->account = NULL;
		frame_give(state, index, 0);
	}
	account_uncharge(reservation->account, frames);
}
