// SPDX-License-Identifier: MIT
//
// Fuzz target: frames, ranges, reservations, kept groups and accounts against a model that knows the owner of every frame and what each
// account owes. Each operation takes three bytes: what, where, how much. At the end everything is given back and nothing may be missing.
#include "kern/atomic.h"
#include "kern/mem.h"
#include "kern/string.h"

#define FRAMES_MAX 4096u
#define SLOTS 64u
#define GROUPS 4u
#define GROUP_ORDER 4u

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg);

enum slot_kind {
	SLOT_EMPTY,
	SLOT_BLOCK,
	SLOT_RANGE
};

struct slot {
	enum slot_kind kind;
	char *memory;
	uint32_t order;  // BLOCK
	uint32_t frames; // RANGE, BLOCK
	uint32_t account;
};

// One input's model; too large for a kernel stack.
static struct model {
	uint8_t owner[FRAMES_MAX]; // slot + 1
	struct slot slots[SLOTS];
	struct account *accounts[2];
	uint32_t owes[2];
	struct frame_reservation reservation;
	uint32_t reserved;
	void *groups[GROUPS];
} model;

static void own(uint32_t slot, bool taken)
{
	const struct slot *from = &model.slots[slot];
	size_t first = (size_t)(from->memory - kernel_self()->ram) / FRAME_SIZE;
	VERIFY3(first + from->frames, <=, FRAMES_MAX);
	for (uint32_t i = 0; i < from->frames; i++) {
		VERIFY3(model.owner[first + i], ==, taken ? 0u : slot + 1);
		model.owner[first + i] = taken ? (uint8_t)(slot + 1) : 0;
	}
	model.owes[from->account] += taken ? from->frames : 0u - from->frames;
}

// First and last byte tell the owner; whoever writes elsewhere shows.
static void stamp(const struct slot *slot, uint8_t mark)
{
	slot->memory[0] = (char)mark;
	slot->memory[(size_t)slot->frames * FRAME_SIZE - 1] = (char)mark;
}

static void stamp_check(const struct slot *slot, uint8_t mark)
{
	VERIFY3((uint8_t)slot->memory[0], ==, mark);
	VERIFY3((uint8_t)slot->memory[(size_t)slot->frames * FRAME_SIZE - 1], ==, mark);
}

static void slot_keep(uint32_t at, enum slot_kind kind, void *memory, uint32_t frames, uint32_t account)
{
	struct slot *slot = &model.slots[at];
	if (memory == NULL)
		return;
	slot->kind = kind;
	slot->memory = memory;
	slot->frames = frames;
	slot->account = account;
	own(at, true);
	stamp(slot, (uint8_t)at);
}

static void slot_free(uint32_t at)
{
	struct slot *slot = &model.slots[at];
	if (slot->kind == SLOT_EMPTY)
		return;
	stamp_check(slot, (uint8_t)at);
	own(at, false);
	if (slot->kind == SLOT_RANGE)
		range_free(slot->memory);
	else
		frame_free(slot->memory, slot->order);
	slot->kind = SLOT_EMPTY;
}

static uint32_t flags_of(uint8_t value)
{
	static const uint32_t flags[] = {0, MEM_ZERO, MEM_ATOMIC, MEM_USER, MEM_USER | MEM_ZERO, MEM_ZERO | MEM_ATOMIC};
	return flags[value % array_count(flags)];
}

static void zero_check(const char *memory, size_t size_bytes, uint32_t flags)
{
	if (memory == NULL || (flags & MEM_ZERO) == 0)
		return;
	for (size_t i = 0; i < size_bytes; i += 61)
		VERIFY3(memory[i], ==, 0);
}

static void do_block(uint32_t at, uint8_t how)
{
	uint32_t order = how % 8u;
	uint32_t account = how >> 7;
	uint32_t flags = flags_of(how >> 3 & 15u);
	slot_free(at);
	char *memory = frame_alloc(order, flags, model.accounts[account]);
	zero_check(memory, (size_t)FRAME_SIZE << order, flags);
	VERIFY(((uintptr_t)memory & (((uintptr_t)FRAME_SIZE << order) - 1)) == 0);
	model.slots[at].order = order;
	slot_keep(at, SLOT_BLOCK, memory, 1u << order, account);
}

static void do_range(uint32_t at, uint8_t how)
{
	uint32_t account = how & 1u;
	uint32_t flags = flags_of(how) & ~(uint32_t)MEM_USER;
	uint32_t frames = 1 + how * (how > 250 ? 9u : 1u) / 2;
	slot_free(at);
	char *memory = range_alloc((size_t)frames * FRAME_SIZE - how, flags, model.accounts[account]);
	zero_check(memory, (size_t)frames * FRAME_SIZE - how, flags);
	if (memory != NULL)
		VERIFY3(range_size_bytes(memory), ==, (size_t)frames * FRAME_SIZE);
	slot_keep(at, SLOT_RANGE, memory, frames, account);
}

static void do_shrink(uint32_t at, uint8_t how)
{
	struct slot *slot = &model.slots[at];
	if (slot->kind != SLOT_RANGE)
		return;
	stamp_check(slot, (uint8_t)at);
	uint32_t keep = 1 + how % slot->frames;
	own(at, false);
	range_shrink(slot->memory, (size_t)keep * FRAME_SIZE);
	slot->frames = keep;
	own(at, true);
	stamp(slot, (uint8_t)at);
}

static void do_reserve(uint32_t at, uint8_t how)
{
	if (model.reserved == 0) {
		if (frame_reserve(&model.reservation, how % 40u, model.accounts[0]) == 0) {
			model.reserved = how % 40u;
			model.owes[0] += model.reserved;
		}
		return;
	}
	if (how % 8 == 0) {
		frame_unreserve(&model.reservation);
		model.owes[0] -= model.reserved;
		model.reserved = 0;
		return;
	}
	slot_free(at);
	void *memory = frame_alloc_reserved(&model.reservation, MEM_ZERO);
	VERIFY(memory != NULL);
	zero_check(memory, FRAME_SIZE, MEM_ZERO);
	model.reserved--;
	model.owes[0]--;
	model.slots[at].order = 0;
	slot_keep(at, SLOT_BLOCK, memory, 1, 0);
}

static void do_group(uint32_t at, uint8_t how)
{
	void **group = &model.groups[at % GROUPS];
	if (*group == NULL) {
		if (frame_group_keep(GROUP_ORDER, group) != 0)
			*group = NULL;
		return;
	}
	if (how % 16 == 0) {
		frame_group_release(*group);
		*group = NULL;
		return;
	}
	uint32_t index = how % (1u << GROUP_ORDER);
	slot_free(at);
	char *memory = frame_group_take(*group, index, 0, model.accounts[1]);
	VERIFY(memory == NULL || memory == (char *)*group + (size_t)index * FRAME_SIZE);
	model.slots[at].order = 0;
	slot_keep(at, SLOT_BLOCK, memory, 1, 1);
}

static void check_all(void)
{
	for (uint32_t i = 0; i < array_count(model.accounts); i++)
		VERIFY3(atomic_load_u32_relaxed(&model.accounts[i]->used_frames), ==, model.owes[i]);
	VERIFY(frame_check() == 0);
	VERIFY(range_check() == 0);
}

static void step(uint8_t what, uint8_t where, uint8_t how)
{
	uint32_t at = where % SLOTS;
	switch (what % 8) {
	case 0:
	case 1:
		do_block(at, how);
		break;
	case 2:
		do_range(at, how);
		break;
	case 3:
		do_shrink(at, how);
		break;
	case 4:
		do_reserve(at, how);
		break;
	case 5:
		do_group(at, how);
		break;
	case 6:
		slot_free(at);
		break;
	default:
		if (how % 4 == 0)
			frame_drain_caches();
		else if (how % 16 == 1)
			check_all();
		break;
	}
}

static void end(void)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		slot_free(i);
	for (uint32_t i = 0; i < GROUPS; i++)
		if (model.groups[i] != NULL)
			frame_group_release(model.groups[i]);
	if (model.reserved != 0)
		frame_unreserve(&model.reservation);
	model.owes[0] -= model.reserved;
	frame_drain_caches();
	check_all();
	for (uint32_t i = 0; i < array_count(model.accounts); i++)
		account_release(model.accounts[i]);
}

int64_t tb_fuzz_mem(void *arg)
{
	const struct fuzz_input *input = arg;
	struct frame_info before, after;

	memset(&model, 0, sizeof model);
	if (account_create(NULL, "first", 0, &model.accounts[0]) != 0)
		return -ENOMEM;
	if (account_create(NULL, "second", 300, &model.accounts[1]) != 0)
		return -ENOMEM;
	frame_drain_caches();
	frame_get_info(&before);
	for (size_t at = 0; at + 3 <= input->size; at += 3)
		step(input->bytes[at], input->bytes[at + 1], input->bytes[at + 2]);
	end();
	frame_get_info(&after);
	VERIFY3(after.free + 64, >=, before.free); // the slab may have grown by what the accounts are made of
	VERIFY3(after.grouped, ==, 0);
	VERIFY3(after.reserved, ==, 0);
	return 0;
}
