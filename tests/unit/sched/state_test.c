// SPDX-License-Identifier: MIT
//
// A change of state that is not in the table is a panic, in production too.
#include "sched_test.h"

#include "../src/core/sched/sched_impl.h"

TEST_WITH(sched, running_cannot_become_new, 0, TEST_PANICS, "thread_moves")
{
	(void)test_run_;
	(void)hal_irq_save();
	thread_state_set(current, THREAD_NEW);
}

TEST_WITH(sched, running_cannot_be_reaped, 0, TEST_PANICS, "thread_moves")
{
	(void)test_run_;
	(void)hal_irq_save();
	thread_state_set(current, THREAD_REAPED);
}

static void body_park(void *arg)
{
	*(err_t *)arg = thread_park(TB_FOREVER);
}

// Without the lock, on purpose: ThreadSanitizer would say so first.
TEST_WITH(sched, parked_cannot_run_at_once, 0, TEST_PANICS | (CONFIG_TSAN ? TEST_SLOW : 0), "thread_moves")
{
	err_t err;
	struct thread *thread = spawn(test_run_, CLASS_FAIR, 0, 0, body_park, &err);
	wait_state(thread, THREAD_PARKED);
	thread_state_set(thread, THREAD_RUNNING);
}

// Every legal move, and no other.
TEST(sched, the_table_of_moves)
{
	static const uint8_t legal[][2] = {
		{THREAD_NEW, THREAD_READY},     {THREAD_NEW, THREAD_REAPED},     {THREAD_READY, THREAD_RUNNING},
		{THREAD_RUNNING, THREAD_READY}, {THREAD_RUNNING, THREAD_PARKED}, {THREAD_RUNNING, THREAD_DEAD},
		{THREAD_PARKED, THREAD_READY},  {THREAD_DEAD, THREAD_REAPED},
	};
	uint32_t found = 0;
	for (uint32_t from = 0; from <= THREAD_REAPED; from++)
		found += bit_count_u32(thread_moves[from]);
	CHECK_EQ(found, array_count(legal));
	for (uint32_t i = 0; i < array_count(legal); i++)
		CHECK((thread_moves[legal[i][0]] >> legal[i][1] & 1u) != 0);
}
