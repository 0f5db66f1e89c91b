// SPDX-License-Identifier: MIT
//
// Accounts and pressure: who pays, where a limit stops, who is asked to give back.
#include "mem_test.h"

#include "kern/atomic.h"
#include "kern/string.h"

static uint32_t used(struct account *account)
{
	return atomic_load_u32_relaxed(&account->used_frames);
}

TEST(account, charges_climb_and_limits_stop_them)
{
	struct account *parent, *child;
	REQUIRE(account_create(NULL, "parent", 10, &parent) == 0);
	REQUIRE(account_create(parent, "child-with-a-long-name", 8, &child) == 0);
	CHECK_EQ(strlen(child->name), sizeof child->name - 1);
	CHECK_EQ(account_charge(child, 8), 0);
	CHECK_EQ(used(parent), 8);
	CHECK(used(account_root()) >= 8);
	CHECK_EQ(account_charge(child, 1), -ENOMEM);
	CHECK_EQ(child->failed, 1);
	CHECK_EQ(account_charge(parent, 3), -ENOMEM);
	CHECK_EQ(account_charge(parent, 2), 0);
	account_uncharge(child, 8);
	CHECK_EQ(account_charge(child, 9), -ENOMEM);
	CHECK_EQ(used(child), 0);
	CHECK_EQ(used(parent), 2);
	account_uncharge(parent, 2);
	CHECK_EQ(parent->peak_frames, 10);
	account_release(child);
	account_release(parent);
}

TEST(account, a_limit_may_change_but_not_below_what_is_used)
{
	struct account *account;
	REQUIRE(account_create(NULL, "changing", 4, &account) == 0);
	CHECK_EQ(account_charge(account, 4), 0);
	CHECK_EQ(account_charge(account, 1), -ENOMEM);
	CHECK_EQ(account_set_limit(account, 6), 0);
	CHECK_EQ(account_charge(account, 2), 0);
	CHECK_EQ(account_set_limit(account, 5), -EBUSY);
	CHECK_EQ(account->limit_frames, 6);
	account_uncharge(account, 3);
	CHECK_EQ(account_set_limit(account, 3), 0);
	CHECK_EQ(account_charge(account, 1), -ENOMEM);
	CHECK_EQ(account_set_limit(account, 0), 0);
	CHECK_EQ(account_charge(account, 100), 0);
	account_uncharge(account, 103);
	account_release(account);
}

TEST(account, refusal_by_the_parent_leaves_the_child_uncharged)
{
	struct account *parent, *child;
	REQUIRE(account_create(NULL, "parent", 4, &parent) == 0);
	REQUIRE(account_create(parent, "child", 0, &child) == 0);
	CHECK_EQ(account_charge(child, 5), -ENOMEM);
	CHECK_EQ(used(child), 0);
	CHECK_EQ(used(parent), 0);
	CHECK_EQ(parent->failed, 1);
	CHECK(frame_alloc(3, 0, child) == NULL);
	void *block = frame_alloc(2, 0, child);
	CHECK(block != NULL);
	CHECK(range_alloc(FRAME_SIZE, 0, child) == NULL);
	if (block != NULL)
		frame_free(block, 2);
	CHECK_EQ(used(child), 0);
	account_release(child);
	account_release(parent);
}

TEST(account, threads_pay_from_their_own)
{
	struct account *account;
	struct account *before = current->account;
	REQUIRE(account_create(NULL, "mine", 0, &account) == 0);
	current->account = account;
	void *block = frame_alloc(1, 0, NULL);
	void *range = range_alloc(5 * FRAME_SIZE, 0, NULL);
	current->account = before;
	CHECK_EQ(used(account), 2 + 5);
	REQUIRE(block != NULL && range != NULL);
	frame_free(block, 1);
	CHECK_EQ(used(account), 5);
	range_free(range);
	CHECK_EQ(used(account), 0);
	account_release(account);
}

TEST(account, caches_pay_for_their_slabs)
{
	struct account *account;
	struct slab_cache *cache;
	REQUIRE(account_create(NULL, "cache", 4, &account) == 0);
	struct slab_params params = {.name = "paid", .size_bytes = FRAME_SIZE / 8, .account = account};
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	void *list = NULL;
	void **object;
	uint32_t count = 0;
	while ((object = slab_alloc(cache, 0)) != NULL) {
		*object = list;
		list = object;
		count++;
	}
	CHECK(count != 0);
	CHECK(used(account) <= 4);
	while (list != NULL) {
		void *next = *(void **)list;
		slab_free(cache, list);
		list = next;
	}
	CHECK_EQ(slab_cache_destroy(cache), 0);
	CHECK_EQ(used(account), 0);
	account_release(account);
}

static void account_count(const struct account *account, void *arg)
{
	uint32_t *count = arg;
	*count += strcmp(account->name, "listed") == 0;
}

TEST(account, all_are_listed)
{
	struct account *accounts[3];
	uint32_t count = 0;
	for (uint32_t i = 0; i < 3; i++)
		REQUIRE(account_create(NULL, "listed", 0, &accounts[i]) == 0);
	account_each(account_count, &count);
	CHECK_EQ(count, 3);
	account_ref(accounts[0]);
	for (uint32_t i = 0; i < 3; i++)
		account_release(accounts[i]);
	count = 0;
	account_each(account_count, &count);
	CHECK_EQ(count, 1);
	account_release(accounts[0]);
}

static void charge_crowd(struct crowd_member *member)
{
	TEST_RUN = member->run;
	for (uint32_t i = 0; i < loops(20000, 50); i++) {
		if (account_charge(member->shared, 1 + i % 5) != 0)
			continue;
		CHECK(used(member->shared) <= 24);
		account_uncharge(member->shared, 1 + i % 5);
	}
}

// A charge that is refused shows for a moment: 4 of them at most, of 5 frames each.
TEST_CPUS(account, limits_hold_under_contention, 2)
{
	struct account *account;
	REQUIRE(account_create(NULL, "tight", 4, &account) == 0);
	crowd_run(test_run_, 4, charge_crowd, account);
	CHECK_EQ(used(account), 0);
	CHECK(account->peak_frames <= 4);
	account_release(account);
}

TEST_WITH(account, a_charged_account_cannot_end, 0, TEST_PANICS, "used_frames")
{
	struct account *account;
	REQUIRE(account_create(NULL, "charged", 0, &account) == 0);
	CHECK_EQ(account_charge(account, 1), 0);
	account_release(account);
}

TEST_WITH(account, more_than_was_charged_is_noticed, 0, TEST_PANICS, "before >= frames")
{
	struct account *account;
	REQUIRE(account_create(NULL, "charged", 0, &account) == 0);
	account_uncharge(account, 1);
}

// ---- pressure --------------------------------------------------------------------------------------------------------

struct hoard {
	struct pressure_callback callback;
	void *list;
	uint32_t calls;
	uint32_t *order;     // counts all calls
	uint32_t first_call; // by that count, from 1
};

static void hoard_push(struct hoard *hoard, void *frame)
{
	*(void **)frame = hoard->list;
	hoard->list = frame;
}

static uint32_t hoard_shrink(struct pressure_callback *callback, uint32_t wanted_frames)
{
	struct hoard *hoard = container_of(callback, struct hoard, callback);
	uint32_t freed = 0;
	hoard->calls++;
	++*hoard->order;
	if (hoard->first_call == 0)
		hoard->first_call = *hoard->order;
	// Frames are short, or nobody would ask: what a callback wants for itself it does without.
	void *mine = frame_alloc(4, 0, NULL);
	if (mine != NULL)
		frame_free(mine, 4);
	for (; hoard->list != NULL && freed < wanted_frames; freed++) {
		void *next = *(void **)hoard->list;
		frame_free(hoard->list, 0);
		hoard->list = next;
	}
	return freed;
}

static void hoard_drop(struct hoard *hoard)
{
	while (hoard->list != NULL) {
		void *next = *(void **)hoard->list;
		frame_free(hoard->list, 0);
		hoard->list = next;
	}
}

TEST(pressure, callbacks_are_asked_in_order_until_enough_came_back)
{
	uint32_t order = 0;
	struct hoard second = {.callback = {.name = "second", .order = 2, .shrink = hoard_shrink}, .order = &order};
	struct hoard first = {.callback = {.name = "first", .order = 1, .shrink = hoard_shrink}, .order = &order};
	void *frame;
	slab_reap();
	while ((frame = frame_alloc(0, 0, NULL)) != NULL)
		hoard_push(&second, frame);
	for (uint32_t i = 0; i < 8 && second.list != NULL; i++) {
		frame = second.list;
		second.list = *(void **)frame;
		hoard_push(&first, frame);
	}
	pressure_register(&second.callback);
	pressure_register(&first.callback);
	uint32_t relieved = 0;
	for (uint32_t i = 0; i < 4; i++) {
		frame = frame_alloc(0, 0, NULL);
		relieved += frame != NULL;
		if (frame != NULL)
			frame_free(frame, 0);
	}
	CHECK_EQ(relieved, 4);
	CHECK(first.calls >= 1);
	CHECK_EQ(first.first_call, 1);
	CHECK(second.calls <= first.calls);
	CHECK(second.calls == 0 || first.list == NULL);
	pressure_unregister(&first.callback);
	pressure_unregister(&second.callback);
	hoard_drop(&first);
	hoard_drop(&second);
	CHECK_EQ(frame_check(), 0);
}

// User frames come back one by one, and a block that the kernel wants is made of a whole group of them.
TEST(pressure, single_user_frames_become_a_block)
{
	uint32_t order = 0;
	struct hoard hoard = {.callback = {.name = "hoard", .order = 1, .shrink = hoard_shrink}, .order = &order};
	void *frame, *blocks = NULL;
	slab_reap();
	while ((frame = frame_alloc(0, MEM_USER, NULL)) != NULL)
		hoard_push(&hoard, frame);
	while ((frame = frame_alloc(2, 0, NULL)) != NULL) {
		*(void **)frame = blocks;
		blocks = frame;
	}
	pressure_register(&hoard.callback);
	for (uint32_t i = 0; i < 8; i++) {
		frame = frame_alloc(2, 0, NULL);
		CHECK(frame != NULL);
		if (frame == NULL)
			break;
		*(void **)frame = blocks;
		blocks = frame;
	}
	CHECK(hoard.calls > 0);
	pressure_unregister(&hoard.callback);
	hoard_drop(&hoard);
	while (blocks != NULL) {
		void *next = *(void **)blocks;
		frame_free(blocks, 2);
		blocks = next;
	}
	CHECK_EQ(frame_check(), 0);
}

TEST(pressure, nobody_is_asked_by_those_who_cannot_wait)
{
	uint32_t order = 0;
	struct hoard hoard = {.callback = {.name = "hoard", .order = 1, .shrink = hoard_shrink}, .order = &order};
	void *frame;
	while ((frame = frame_alloc(0, MEM_ATOMIC, NULL)) != NULL)
		hoard_push(&hoard, frame);
	pressure_register(&hoard.callback);
	CHECK(frame_alloc(0, MEM_ATOMIC, NULL) == NULL);
	CHECK_EQ(hoard.calls, 0);
	preempt_disable();
	CHECK(frame_alloc(0, 0, NULL) == NULL);
	preempt_enable();
	CHECK_EQ(hoard.calls, 0);
	pressure_unregister(&hoard.callback);
	hoard_drop(&hoard);
}

// The slab itself answers: what lies in magazines and depots comes back.
TEST(pressure, idle_objects_become_frames)
{
	void *objects[400];
	struct frame_info info;
	void *list = NULL;
	void **frame;
	for (uint32_t i = 0; i < array_count(objects); i++)
		objects[i] = kmalloc(4000, 0);
	for (uint32_t i = 0; i < array_count(objects); i++)
		kfree(objects[i]);
	uint32_t before = frames_used();
	while ((frame = frame_alloc(0, 0, NULL)) != NULL) {
		*frame = list;
		list = frame;
	}
	frame_get_info(&info);
	CHECK(info.free <= 64 * HAL_MAX_NODES);
	while (list != NULL) {
		void *next = *(void **)list;
		frame_free(list, 0);
		list = next;
	}
	CHECK(frames_used() < before);
}
