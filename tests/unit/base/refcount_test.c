// SPDX-License-Identifier: MIT
//
// Reference counts: the last holder, the dead object, saturation, and several threads dropping at once.
#include "kern/refcount.h"

#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/test.h"

TEST(refcount, last_put_says_so)
{
	struct refcount ref;

	refcount_init(&ref, 1);
	refcount_get(&ref);
	refcount_get(&ref);
	CHECK_EQ(refcount_read(&ref), 3);
	CHECK(!refcount_put(&ref));
	CHECK(!refcount_put(&ref));
	CHECK(refcount_put(&ref));
	CHECK_EQ(refcount_read(&ref), 0);
	CHECK(!refcount_get_unless_zero(&ref));
	CHECK_EQ(refcount_read(&ref), 0);
}

TEST(refcount, get_unless_zero_takes_one)
{
	struct refcount ref;

	refcount_init(&ref, 2);
	CHECK(refcount_get_unless_zero(&ref));
	CHECK_EQ(refcount_read(&ref), 3);
}

TEST(refcount, runaway_count_saturates_and_never_ends)
{
	struct refcount ref;

	refcount_init(&ref, REFCOUNT_MAX);
	refcount_get(&ref);
	CHECK_EQ(refcount_read(&ref), REFCOUNT_SATURATED);
	CHECK(!refcount_put(&ref));
	CHECK_EQ(refcount_read(&ref), REFCOUNT_SATURATED);
	CHECK(refcount_get_unless_zero(&ref));
	refcount_get(&ref);
	CHECK_EQ(refcount_read(&ref), REFCOUNT_SATURATED);
}

TEST_WITH(refcount, get_of_a_dead_object_panics, 0, TEST_PANICS, "old != 0")
{
	struct refcount ref;

	refcount_init(&ref, 1);
	CHECK(refcount_put(&ref));
	refcount_get(&ref);
	CHECK(false);
}

TEST_WITH(refcount, one_put_too_many_panics, 0, TEST_PANICS, "old != 0")
{
	struct refcount ref;

	refcount_init(&ref, 1);
	CHECK(refcount_put(&ref));
	CHECK(!refcount_put(&ref));
	CHECK(false);
}

struct shared {
	struct refcount ref;
	uint32_t ends; // atomic: how often somebody was told to be the last
};

static void holder_main(void *arg)
{
	struct shared *shared = arg;

	for (uint32_t i = 0; i < 200; i++) {
		refcount_get(&shared->ref);
		if (i % 8 == 0)
			thread_yield();
		if (refcount_put(&shared->ref))
			(void)atomic_fetch_add_u32_relaxed(&shared->ends, 1);
	}
	if (refcount_put(&shared->ref))
		(void)atomic_fetch_add_u32_relaxed(&shared->ends, 1);
}

TEST_CPUS(refcount, exactly_one_of_many_threads_is_the_last, 4)
{
	struct shared *shared = kmalloc(sizeof *shared, MEM_ZERO);
	struct thread *threads[4];
	uint32_t started = 0;

	REQUIRE(shared != NULL);
	refcount_init(&shared->ref, array_count(threads));
	while (started < array_count(threads) && thread_start(NULL, holder_main, shared, &threads[started]) == 0)
		started++;
	REQUIRE(started == array_count(threads));
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	CHECK_EQ(shared->ends, 1);
	CHECK_EQ(refcount_read(&shared->ref), 0);
	kfree(shared);
}
