// SPDX-License-Identifier: MIT
//
// Timers: order, ties, cancelling from anywhere, arming from the callback; sleep; interrupts on other CPUs.
#include "sched_test.h"

#include "kern/mem.h"

#define FIRED_MAX 64

struct journal {
	uint32_t count; // atomic
	uint32_t entries[FIRED_MAX];
};

struct marked_timer {
	struct timer timer;
	struct journal *journal;
	uint32_t mark;
	uint64_t due_ns;
	uint32_t early; // fired before its time
};

static void timer_note(struct timer *timer)
{
	struct marked_timer *marked = container_of(timer, struct marked_timer, timer);
	if (clock_now_ns() < marked->due_ns)
		marked->early++;
	uint32_t place = atomic_load_u32_relaxed(&marked->journal->count);
	if (place < FIRED_MAX)
		marked->journal->entries[place] = marked->mark;
	atomic_store_u32_release(&marked->journal->count, place + 1);
}

static void marked_arm(struct marked_timer *marked, struct journal *journal, uint32_t mark, uint64_t due_ns)
{
	marked->journal = journal;
	marked->mark = mark;
	marked->due_ns = due_ns;
	timer_setup(&marked->timer, timer_note);
	timer_arm(&marked->timer, due_ns);
}

TEST(sched, timers_fire_in_order_and_ties_as_armed)
{
	static const uint32_t delays[] = {5, 1, 3, 3, 1, 0, 5, 3, 2, 2, 2, 9, 1, 1};
	static const uint32_t order[] = {5, 1, 4, 12, 13, 8, 9, 10, 2, 3, 7, 0, 6, 11};
	struct marked_timer timers[array_count(delays)] = {0};
	struct journal journal = {0};
	move_to(test_run_, 0);     // one CPU, one queue
	bool was = hal_irq_save(); // on a slow machine the first would fire before the last is armed
	uint64_t base_ns = clock_now_ns() + 300000;
	for (uint32_t i = 0; i < array_count(delays); i++)
		marked_arm(&timers[i], &journal, i, base_ns + delays[i] * 20000);
	irq_restore(was);
	wait_until(&journal.count, array_count(delays));
	for (uint32_t i = 0; i < array_count(delays); i++) {
		CHECK_EQ(journal.entries[i], order[i]);
		CHECK_EQ(timers[i].early, 0);
		CHECK(!timer_cancel_sync(&timers[i].timer));
	}
}

TEST(sched, cancelled_timers_do_not_fire)
{
	struct marked_timer timers[20] = {0};
	struct journal journal = {0};
	move_to(test_run_, 0);
	uint64_t base_ns = clock_now_ns() + 400000;
	for (uint32_t i = 0; i < 20; i++)
		marked_arm(&timers[i], &journal, i, base_ns + i % 5);
	uint32_t cancelled = 0;
	for (uint32_t i = 0; i < 20; i += 2)
		cancelled += timer_cancel(&timers[i].timer);
	CHECK_EQ(timer_check(kernel_self()->cpus[0]), 0);
	wait_until(&journal.count, 20 - cancelled);
	sleep_ns(50000);
	CHECK_EQ(journal.count, 20 - cancelled);
	for (uint32_t i = 0; i < 20; i++)
		CHECK(!timer_cancel_sync(&timers[i].timer));
}

TEST(sched, timers_never_armed_can_be_cancelled)
{
	struct timer timer;
	timer_setup(&timer, timer_note);
	CHECK(!timer_cancel(&timer));
	CHECK(!timer_cancel_sync(&timer));
}

TEST(sched, arming_again_moves)
{
	struct marked_timer timer = {0};
	struct journal journal = {0};
	marked_arm(&timer, &journal, 1, clock_now_ns() + 1000000000000);
	timer.due_ns = clock_now_ns() + 100000;
	timer_arm(&timer.timer, timer.due_ns);
	wait_until(&journal.count, 1);
	CHECK_EQ(timer.early, 0);
	CHECK(!timer_cancel_sync(&timer.timer));
	CHECK_EQ(journal.count, 1);
}

struct ticker {
	struct timer timer;
	uint32_t ticks; // atomic
	uint32_t limit; // atomic
	uint32_t in_interrupt;
	uint64_t period_ns;
};

static void tick(struct timer *timer)
{
	struct ticker *ticker = container_of(timer, struct ticker, timer);
	ticker->in_interrupt += in_interrupt() && hal_irq_masked();
	uint32_t ticks = atomic_fetch_add_u32_acq_rel(&ticker->ticks, 1) + 1;
	if (ticks < atomic_load_u32_acquire(&ticker->limit))
		timer_arm(timer, timer->deadline_ns + ticker->period_ns);
}

TEST(sched, a_callback_may_arm_its_timer)
{
	struct ticker ticker = {.limit = 20, .period_ns = 10000};
	timer_setup(&ticker.timer, tick);
	timer_arm(&ticker.timer, clock_now_ns());
	wait_until(&ticker.ticks, 20);
	CHECK(!timer_cancel_sync(&ticker.timer));
	CHECK_EQ(ticker.ticks, 20);
	CHECK_EQ(ticker.in_interrupt, 20);
}

// A timer whose callback arms it for the past, over and over, does not take the CPU away from others.
TEST(sched, a_timer_in_the_past_starves_nobody)
{
	struct ticker ticker = {.limit = UINT32_MAX, .period_ns = 0};
	struct journal journal = {0};
	struct marked_timer other = {0};
	timer_setup(&ticker.timer, tick);
	timer_arm(&ticker.timer, 1);
	wait_until(&ticker.ticks, 2);
	marked_arm(&other, &journal, 7, clock_now_ns() + 20000);
	wait_until(&journal.count, 1);
	atomic_store_u32_release(&ticker.limit, 0);
	(void)timer_cancel_sync(&ticker.timer);
}

struct cross {
	struct ticker ticker;
	uint32_t stop;    // atomic
	uint32_t arrived; // atomic
};

static void body_cross(void *arg)
{
	struct cross *cross = arg;
	while (atomic_load_u32_acquire(&cross->stop) == 0) {
		timer_arm(&cross->ticker.timer, clock_now_ns() + 3000);
		let_in();
		(void)timer_cancel(&cross->ticker.timer);
		let_in();
	}
	(void)atomic_fetch_add_u32_acq_rel(&cross->arrived, 1);
}

// Several CPUs arm, move and cancel one timer that also fires: it is in one queue at most, and at the end in none.
TEST_CPUS(sched, one_timer_between_cpus, 3)
{
	struct cross cross = {.ticker = {.limit = 0}};
	struct thread *threads[3];
	timer_setup(&cross.ticker.timer, tick);
	for (uint32_t i = 0; i < 3; i++)
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, i, body_cross, &cross);
	for (uint32_t i = 0; i < loops(200, 10); i++) {
		sleep_ns(20000);
		(void)timer_cancel_sync(&cross.ticker.timer);
		CHECK_EQ(sched_check(), 0);
	}
	atomic_store_u32_release(&cross.stop, 1);
	for (uint32_t i = 0; i < 3; i++)
		join(test_run_, threads[i]);
	(void)timer_cancel_sync(&cross.ticker.timer);
	uint32_t ticks = atomic_load_u32_acquire(&cross.ticker.ticks);
	sleep_ns(20000);
	CHECK_EQ(atomic_load_u32_acquire(&cross.ticker.ticks), ticks);
}

struct slow_timer {
	struct timer timer;
	uint32_t begun, ended; // atomic
};

static void slow_callback(struct timer *timer)
{
	struct slow_timer *slow = container_of(timer, struct slow_timer, timer);
	atomic_store_u32_release(&slow->begun, 1);
	uint64_t end_ns = clock_now_ns() + 30000;
	while (clock_now_ns() < end_ns)
		hal_cpu_relax();
	atomic_store_u32_release(&slow->ended, 1);
}

static void body_arm(void *arg)
{
	struct slow_timer *slow = arg;
	timer_arm(&slow->timer, clock_now_ns() + 1000);
	while (atomic_load_u32_acquire(&slow->ended) == 0)
		let_in();
}

TEST_CPUS(sched, cancel_sync_waits_for_a_running_callback, 2)
{
	for (uint32_t i = 0; i < loops(20, 3); i++) {
		struct slow_timer slow = {0};
		timer_setup(&slow.timer, slow_callback);
		move_to(test_run_, 0);
		struct thread *thread = spawn(test_run_, CLASS_FAIR, 0, 1, body_arm, &slow);
		while (atomic_load_u32_acquire(&slow.begun) == 0)
			hal_cpu_relax();
		CHECK(!timer_cancel_sync(&slow.timer));
		CHECK_EQ(atomic_load_u32_acquire(&slow.ended), 1);
		join(test_run_, thread);
	}
}

static uint32_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

struct timer_walk {
	uint64_t last_ns;
	uint32_t cpu, count, disorder;
};

static void timer_look(const struct timer_info *info, void *arg)
{
	struct timer_walk *walk = arg;
	if (info->cpu == walk->cpu)
		walk->disorder += info->deadline_ns < walk->last_ns;
	walk->cpu = info->cpu;
	walk->last_ns = info->deadline_ns;
	walk->count++;
}

// Thousands that sleep far away, armed, moved and cancelled at random, against a count of our own.
TEST(sched, ten_thousand_timers)
{
	uint32_t count = CONFIG_TINY ? 100 : loops(10000, 500);
	struct marked_timer *timers = kmalloc_array(count, sizeof *timers, MEM_ZERO);
	uint64_t state = 4711;
	uint32_t armed = 0;
	struct journal journal = {0};
	struct timer_walk walk = {0};
	REQUIRE(timers != NULL);
	move_to(test_run_, 0);
	uint64_t base_ns = clock_now_ns() + 1000000000000;
	for (uint32_t i = 0; i < count * 3; i++) {
		struct marked_timer *timer = &timers[random_next(&state) % count];
		if (timer->journal == NULL)
			marked_arm(timer, &journal, 0, base_ns + random_next(&state) % 100000), armed++;
		else if (random_next(&state) % 2 == 0)
			armed -= timer_cancel(&timer->timer);
		else
			armed += !timer_cancel(&timer->timer), timer_arm(&timer->timer, base_ns + random_next(&state));
	}
	CHECK_EQ(timer_check(kernel_self()->cpus[0]), 0);
	timer_each(timer_look, &walk);
	CHECK_EQ(walk.disorder, 0);
	CHECK(walk.count >= armed);
	CHECK(walk.count <= armed + 8); // the kernel's own
	for (uint32_t i = 0; i < count; i++)
		if (timers[i].journal != NULL)
			armed -= timer_cancel_sync(&timers[i].timer);
	CHECK_EQ(armed, 0);
	CHECK_EQ(journal.count, 0);
	kfree(timers);
}

TEST(sched, sleep_is_never_short)
{
	for (uint64_t ns = 0; ns < 200000; ns = ns * 3 + 1) {
		uint64_t begin_ns = clock_now_ns();
		sleep_ns(ns);
		CHECK(clock_now_ns() >= begin_ns + ns);
	}
	sleep_until_ns(0);
	sleep_until_ns(clock_now_ns());
}

// A stale permit does not cut a sleep short.
TEST(sched, sleep_ignores_permits)
{
	uint64_t begin_ns = clock_now_ns();
	thread_unpark(current);
	sleep_ns(100000);
	CHECK(clock_now_ns() >= begin_ns + 100000);
}
