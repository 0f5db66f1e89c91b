// SPDX-License-Identifier: MIT
//
// Groups of user frames: aligned blocks that hold nothing else, so that what a process maps lies together and the host
// maps a group as one piece (scattered 4 KiB pages would exhaust its mappings at 240 MB). A group is either kept for an
// address range, whose owner takes frames by index, or anybody's. A kept group is a wish, not a promise: its untaken frames go
// to others when nothing else is left (Navarro, Iyer, Druschel, Cox 2002).
#include "mem_impl.h"

// How many groups an order above 0 looks into before it opens a new one.
#define GROUP_LOOKS 8u

static uint32_t *group_list(struct frame_region *region, uint32_t head_word)
{
	return head_word & FRAME_FLAG_KEPT ? &region->kept : &region->groups;
}

// Where 2^order aligned frames of the group are untaken, relative to its head; the group's size when nowhere.
static uint32_t group_find(const struct frame_region *region, uint32_t head, uint32_t order)
{
	uint32_t size = 1u << frame_word_group_order(frame_word(region_frame(region, head)));
	uint32_t wanted = 1u << order;
	uint32_t seen = 0;
	uint32_t at = 0;
	while (at < size) {
		uint32_t word = frame_word(region_frame(region, head + at));
		if (frame_word_kind(word) != FRAME_INSIDE) {
			seen = 0;
			at += 1u << frame_word_order(word);
			continue;
		}
		seen++;
		at++;
		if (seen >= wanted && IS_ALIGNED(at, wanted))
			return at - wanted;
	}
	return size;
}

static void group_mark_taken(struct frame_region *region, uint32_t head, uint32_t at, uint32_t order)
{
	struct frame *group = region_frame(region, head);
	struct frame *frame = region_frame(region, head + at);
	uint32_t keep = frame_word(frame) & (FRAME_FLAG_GROUP | FRAME_FLAG_KEPT);
	uint32_t group_order = frame_word_group_order(frame_word(group));
	frame_word_set(frame,
		       FRAME_WORD(FRAME_USED, order) | group_order << FRAME_GROUP_SHIFT | FRAME_FLAG_USER | keep);
	group->group_free -= 1u << order;
	region->group_free -= 1u << order;
	if (group->group_free == 0)
		frame_list_remove(region, group_list(region, frame_word(group)), head);
}

static void group_open(struct frame_region *region, uint32_t head, uint32_t group_order, uint32_t flags)
{
	struct frame *group = region_frame(region, head);
	frame_word_set(group,
		       FRAME_WORD(FRAME_INSIDE, 0) | group_order << FRAME_GROUP_SHIFT | FRAME_FLAG_GROUP | flags);
	group->group_free = 1u << group_order;
	region->group_free += 1u << group_order;
	frame_list_push(region, group_list(region, flags), head);
}

static void group_close(struct frame_region *region, uint32_t head)
{
	struct frame *group = region_frame(region, head);
	uint32_t word = frame_word(group);
	uint32_t group_order = frame_word_group_order(word);
	frame_list_remove(region, group_list(region, word), head);
	region->group_free -= 1u << group_order;
	buddy_give_locked(region, head, group_order);
}

static uint32_t group_take_open(struct frame_region *region, uint32_t list, uint32_t order)
{
	uint32_t looks = 0;
	for (uint32_t head = list; head != 0 && looks < GROUP_LOOKS; head = region_frame(region, head)->next, looks++) {
		uint32_t at = group_find(region, head, order);
		if (at == 1u << frame_word_group_order(frame_word(region_frame(region, head))))
			continue;
		group_mark_taken(region, head, at, order);
		return head + at;
	}
	return 0;
}

uint32_t group_take_locked(struct frame_region *region, uint32_t order, uint32_t mem_flags)
{
	LOCK_HELD(&region->lock);
	uint32_t index = group_take_open(region, region->groups, order);
	if (index != 0)
		return index;
	// The last resort before stealing is a group no larger than what is wanted.
	for (uint32_t group_order = MAX(order, GROUP_ORDER) + 1; group_order-- > order;) {
		if (!region_may_take_locked(region, 1u << group_order, mem_flags))
			continue;
		uint32_t head = buddy_take_locked(region, group_order);
		if (head == 0)
			continue;
		group_open(region, head, group_order, 0);
		group_mark_taken(region, head, 0, order);
		return head;
	}
	return order == 0 ? group_take_open(region, region->kept, 0) : 0;
}

void group_give_locked(struct frame_region *region, uint32_t index)
{
	LOCK_HELD(&region->lock);
	struct frame *frame = region_frame(region, index);
	uint32_t word = frame_word(frame);
	uint32_t size = 1u << frame_word_group_order(word);
	uint32_t head = ALIGN_DOWN(index, size);
	struct frame *group = region_frame(region, head);
	uint32_t count = 1u << frame_word_order(word);

	if (index == head)
		frame_word_set(frame, word & (0xfu << FRAME_GROUP_SHIFT | FRAME_FLAG_GROUP | FRAME_FLAG_KEPT));
	else
		frame_word_set(frame, 0);
	if (group->group_free == 0)
		frame_list_push(region, group_list(region, frame_word(group)), head);
	group->group_free += count;
	region->group_free += count;
	if (group->group_free == size && (frame_word(group) & FRAME_FLAG_KEPT) == 0)
		group_close(region, head);
}

// ---- kept groups ---------------------------------------------------------------------------------------------------

err_t frame_group_keep(uint32_t order, void **out)
{
	struct frame_state *state = frame_state();
	if (order > GROUP_ORDER_MAX || order == 0)
		return ERR(EINVAL);
	if (fault_should_fail(0))
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < state->region_count; i++) {
		struct frame_region *region = &state->regions[i];
		uint32_t head = 0;
		spin_lock(&region->lock);
		if (region_may_take_locked(region, 1u << order, 0))
			head = buddy_take_locked(region, order);
		if (head != 0)
			group_open(region, head, order, FRAME_FLAG_KEPT);
		spin_unlock(&region->lock);
		if (head != 0) {
			*out = frame_address(state, head);
			return 0;
		}
	}
	return ERR(ENOMEM);
}

static struct frame_region *kept_region(struct frame_state *state, uint32_t head)
{
	struct frame_region *region = frame_region_of(state, head);
	VERIFY(region != NULL);
	VERIFY((frame_word(region_frame(region, head)) & FRAME_FLAG_KEPT) != 0);
	return region;
}

void *frame_group_take(void *group, uint32_t index, uint32_t mem_flags, struct account *account)
{
	struct frame_state *state = frame_state();
	uint32_t head = frame_index(state, group);
	struct frame_region *region = kept_region(state, head);
	VERIFY3(index, <, 1u << frame_word_group_order(frame_word(region_frame(region, head))));

	account = account_or_current(account);
	if (fault_should_fail(mem_flags) || account_charge(account, 1) != 0)
		return NULL;
	struct frame *frame = region_frame(region, head + index);
	spin_lock(&region->lock);
	bool mine = frame_word_kind(frame_word(frame)) == FRAME_INSIDE;
	if (mine) {
		group_mark_taken(region, head, index, 0);
		frame->account = account;
	}
	spin_unlock(&region->lock);
	if (!mine) {
		account_uncharge(account, 1);
		return NULL;
	}
	void *memory = frame_address(state, head + index);
	frame_prepare(memory, FRAME_SIZE, mem_flags);
	return memory;
}

void frame_group_release(void *group)
{
	struct frame_state *state = frame_state();
	uint32_t head = frame_index(state, group);
	struct frame_region *region = kept_region(state, head);
	struct frame *frame = region_frame(region, head);

	spin_lock(&region->lock);
	if (frame->group_free != 0)
		frame_list_remove(region, &region->kept, head);
	frame_word_set(frame, frame_word(frame) & ~FRAME_FLAG_KEPT);
	if (frame->group_free != 0)
		frame_list_push(region, &region->groups, head);
	if (frame->group_free == 1u << frame_word_group_order(frame_word(frame)))
		group_close(region, head);
	spin_unlock(&region->lock);
}
