// SPDX-License-Identifier: MIT
//
// Wait queues: order, counts, timeouts, and that neither a wake nor a token is lost.
#include "sync_test.h"

#define WAITERS 5

struct line {
	struct waitq queue;
	struct test_run *run;
	uint32_t next;           // atomic: whose turn in `order`
	uint32_t woken;          // atomic: how many are back and in `order`
	uint32_t order[WAITERS]; // who came back n-th
	bool exclusive[WAITERS];
};

struct in_line {
	struct line *line;
	struct thread *thread;
	uint32_t index;
};

static void line_main(void *arg)
{
	struct in_line *self = arg;
	struct line *line = self->line;
	TEST_RUN = line->run;
	struct waitq_entry entry;

	waitq_enter(&line->queue, &entry, line->exclusive[self->index]);
	CHECK_EQ(waitq_sleep(&line->queue, &entry, TB_FOREVER), 0);
	CHECK(waitq_leave(&line->queue, &entry));
	line->order[atomic_fetch_add_u32_relaxed(&line->next, 1)] = self->index;
	(void)atomic_fetch_add_u32_acq_rel(&line->woken, 1);
}

// Lets all waiters fall asleep, one after the other.
static void line_up(TEST_RUN, struct line *line, struct in_line *waiters)
{
	struct spawn how = {"in line", CLASS_FAIR, 0, ANY_CPU};

	waitq_init(&line->queue, "test: line");
	line->run = test_run_;
	for (uint32_t i = 0; i < WAITERS; i++) {
		waiters[i] = (struct in_line){.line = line, .index = i};
		waiters[i].thread = spawn(test_run_, &how, line_main, &waiters[i]);
		wait_asleep(waiters[i].thread);
	}
	CHECK_EQ(waitq_check(&line->queue), 0);
}

static void line_end(TEST_RUN, struct line *line, struct in_line *waiters)
{
	for (uint32_t i = 0; i < WAITERS; i++)
		join(test_run_, waiters[i].thread);
	CHECK_EQ(line->woken, WAITERS);
	CHECK_EQ(waitq_wake_all(&line->queue), 0);
	CHECK_EQ(waitq_check(&line->queue), 0);
}

TEST(sync_waitq, wakes_one_by_one_in_order)
{
	struct line line = {.exclusive = {true, true, true, true, true}};
	struct in_line waiters[WAITERS];

	line_up(test_run_, &line, waiters);
	CHECK_EQ(waitq_wake(&line.queue, 0), 0);
	for (uint32_t i = 0; i < WAITERS; i++) {
		CHECK_EQ(waitq_wake(&line.queue, 1), 1);
		wait_word(&line.woken, i + 1);
		CHECK_EQ(line.order[i], i);
		CHECK_EQ(waitq_check(&line.queue), 0);
	}
	line_end(test_run_, &line, waiters);
}

TEST(sync_waitq, those_not_exclusive_do_not_count)
{
	struct line line = {.exclusive = {false, true, false, false, true}};
	struct in_line waiters[WAITERS];

	line_up(test_run_, &line, waiters);
	CHECK_EQ(waitq_wake(&line.queue, 1), 2);
	wait_word(&line.woken, 2);
	CHECK_EQ(waitq_wake(&line.queue, 7), 3);
	line_end(test_run_, &line, waiters);
}

TEST(sync_waitq, wakes_all)
{
	struct line line = {.exclusive = {true, false, true, true, false}};
	struct in_line waiters[WAITERS];

	line_up(test_run_, &line, waiters);
	CHECK_EQ(waitq_wake_all(&line.queue), WAITERS);
	line_end(test_run_, &line, waiters);
}

TEST(sync_waitq, deadline_ends_the_wait)
{
	struct waitq queue;
	struct waitq_entry entry;

	waitq_init(&queue, "test: alone");
	uint64_t deadline_ns = after_ns(300000);
	waitq_enter(&queue, &entry, true);
	CHECK_EQ(waitq_sleep(&queue, &entry, deadline_ns), -ETIMEDOUT);
	CHECK(clock_now_ns() >= deadline_ns);
	CHECK_EQ(waitq_wake(&queue, 1), 0); // it has left already
	CHECK(!waitq_leave(&queue, &entry));
	CHECK_EQ(waitq_check(&queue), 0);

	waitq_enter(&queue, &entry, true);
	CHECK_EQ(waitq_sleep(&queue, &entry, 0), -ETIMEDOUT);
	CHECK(!waitq_leave(&queue, &entry));
}

TEST(sync_waitq, a_wake_before_sleep_is_kept)
{
	struct waitq queue;
	struct waitq_entry entry;

	waitq_init(&queue, "test: alone");
	waitq_enter(&queue, &entry, true);
	CHECK_EQ(waitq_wake(&queue, 1), 1);
	CHECK_EQ(waitq_sleep(&queue, &entry, TB_FOREVER), 0);
	CHECK(waitq_leave(&queue, &entry));
	CHECK_EQ(waitq_wait_until(&queue, true, 0), 0);
	CHECK_EQ(waitq_wait_until(&queue, false, after_ns(1000)), -ETIMEDOUT);
}

// Two threads throw a ball: each wake is needed, so one lost wake ends the test in a hang.
struct ball {
	struct waitq queue;
	struct test_run *run;
	uint32_t turns; // atomic
	uint32_t goal;
};

static void player_main(void *arg)
{
	struct worker *worker = arg;
	struct ball *ball = worker->shared;
	TEST_RUN = worker->run;

	while (atomic_load_u32_acquire(&ball->turns) < ball->goal) {
		CHECK_EQ(waitq_wait_exclusive_until(&ball->queue,
						    atomic_load_u32_acquire(&ball->turns) % 2 == worker->index ||
							    atomic_load_u32_acquire(&ball->turns) >= ball->goal,
						    TB_FOREVER),
			 0);
		if (atomic_load_u32_acquire(&ball->turns) < ball->goal)
			(void)atomic_fetch_add_u32_acq_rel(&ball->turns, 1);
		(void)waitq_wake(&ball->queue, 1);
	}
	(void)waitq_wake_all(&ball->queue);
}

TEST(sync_waitq, loses_no_wake)
{
	struct worker players[2];
	struct ball ball = {.goal = loops(5000, 20)};

	waitq_init(&ball.queue, "test: ball");
	workers_start(test_run_, players, 2, player_main, &ball);
	workers_join(test_run_, players, 2);
	CHECK_EQ(ball.turns, ball.goal);
	CHECK_EQ(waitq_check(&ball.queue), 0);
}

// From a timer, while others come and go by their deadlines.
struct ticking {
	struct waitq queue;
	struct timer timer;
	uint32_t ticks; // atomic
	uint32_t goal;
	uint32_t timeouts; // atomic
};

static void tick(struct timer *timer)
{
	struct ticking *ticking = container_of(timer, struct ticking, timer);
	uint32_t ticks = atomic_fetch_add_u32_acq_rel(&ticking->ticks, 1) + 1;
	(void)waitq_wake(&ticking->queue, 1);
	if (ticks < ticking->goal)
		timer_arm(timer, after_ns(7000));
	else
		(void)waitq_wake_all(&ticking->queue);
}

static void tick_waiter_main(void *arg)
{
	struct worker *worker = arg;
	struct ticking *ticking = worker->shared;
	TEST_RUN = worker->run;
	err_t err = 0;

	while (atomic_load_u32_acquire(&ticking->ticks) < ticking->goal) {
		uint32_t seen = atomic_load_u32_acquire(&ticking->ticks);
		err = waitq_wait_until(&ticking->queue, atomic_load_u32_acquire(&ticking->ticks) != seen,
				       after_ns(3000 * (worker->index + 1)));
		CHECK(err == 0 || err == -ETIMEDOUT);
		if (err != 0)
			(void)atomic_fetch_add_u32_relaxed(&ticking->timeouts, 1);
	}
}

TEST(sync_waitq, interrupts_wake_while_deadlines_pass)
{
	struct worker waiters[4];
	struct ticking ticking = {.goal = loops(300, 12)};

	waitq_init(&ticking.queue, "test: ticks");
	timer_setup(&ticking.timer, tick);
	workers_start(test_run_, waiters, 4, tick_waiter_main, &ticking);
	timer_arm(&ticking.timer, after_ns(5000));
	workers_join(test_run_, waiters, 4);
	(void)timer_cancel_sync(&ticking.timer);
	CHECK_EQ(ticking.ticks, ticking.goal);
	CHECK_EQ(waitq_check(&ticking.queue), 0);
}

// -- a wake of many ----------------------------------------------------------------------------------------------------------

#if !CONFIG_TINY // whose waiters are fewer

#define BATCH 16u // as many are woken between two looks at interrupts

struct crowded {
	struct waitq queue;
	uint64_t deadline_ns;
	uint32_t exclusive_woken; // atomic
};

static void crowded_main(void *arg)
{
	struct worker *self = arg;
	struct crowded *crowded = self->shared;
	bool exclusive = self->index >= BATCH;
	struct waitq_entry entry;

	waitq_enter(&crowded->queue, &entry, exclusive);
	err_t err = waitq_sleep(&crowded->queue, &entry, self->index == BATCH ? crowded->deadline_ns : TB_FOREVER);
	(void)waitq_leave(&crowded->queue, &entry);
	if (exclusive && err == 0)
		(void)atomic_fetch_add_u32_acq_rel(&crowded->exclusive_woken, 1);
}

// The one who is to have the wake gives up while those before it are being woken: it has the wake, or the next one has.
TEST(sync_waitq, a_long_wake_is_not_lost_to_a_deadline)
{
	struct worker workers[BATCH + 2];
	struct crowded crowded = {.deadline_ns = after_ns(3000000)};
	uint32_t count = BATCH + 2;

	waitq_init(&crowded.queue, "test: crowded");
	workers_start(test_run_, workers, count, crowded_main, &crowded);
	for (uint32_t i = 0; i < count; i++)
		wait_asleep(workers[i].thread);
	sleep_until_ns(crowded.deadline_ns);
	(void)waitq_wake(&crowded.queue, 1);
	for (uint32_t i = 0; i < 1000 && atomic_load_u32_acquire(&crowded.exclusive_woken) == 0; i++)
		sleep_ns(2000000); // the host may be busy
	CHECK_EQ(atomic_load_u32_acquire(&crowded.exclusive_woken), 1);
	(void)waitq_wake_all(&crowded.queue);
	workers_join(test_run_, workers, count);
	CHECK_EQ(waitq_check(&crowded.queue), 0);
}

#endif
