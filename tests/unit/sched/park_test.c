// SPDX-License-Identifier: MIT
//
// Parking: the permit, whoever comes first; timeouts; and the races between all of them.
#include "sched_test.h"

TEST(sched, permit_before_park)
{
	thread_unpark(current);
	thread_unpark(current); // one permit, however often
	CHECK_EQ(thread_park(TB_FOREVER), 0);
	CHECK_EQ(thread_park(clock_now_ns() + 50000), -ETIMEDOUT);
}

TEST(sched, permit_wins_over_a_passed_deadline)
{
	CHECK_EQ(thread_park(0), -ETIMEDOUT);
	thread_unpark(current);
	CHECK_EQ(thread_park(0), 0);
	CHECK_EQ(thread_park(clock_now_ns()), -ETIMEDOUT);
}

TEST(sched, park_times_out_never_early)
{
	for (uint64_t i = 1; i < 100; i *= 3) {
		uint64_t deadline_ns = clock_now_ns() + i * 10000;
		while (thread_park(deadline_ns) ==
		       0) // a permit may be stale: of who woke us for the call that runs this
			continue;
		CHECK(clock_now_ns() >= deadline_ns);
	}
}

struct relay {
	struct thread *next; // atomic
	uint32_t rounds;
	uint32_t done; // atomic
};

static void body_relay(void *arg)
{
	struct relay *relay = arg;
	for (uint32_t i = 0; i < relay->rounds; i++) {
		while (thread_park(TB_FOREVER) != 0)
			continue;
		thread_unpark(atomic_load_ptr_acquire(&relay->next));
	}
	atomic_store_u32_release(&relay->done, 1);
	// The predecessor may still hold a pointer to us: end only when all are done.
	while (atomic_load_u32_acquire(&relay->done) < 2)
		sleep_ns(10000);
}

// A permit runs round a ring of threads; if one wake is lost, it stops.
static void relay_run(TEST_RUN, uint32_t count, uint32_t rounds, uint32_t cpu)
{
	struct relay relays[8] = {0};
	struct thread *threads[8] = {0};
	for (uint32_t i = 0; i < count; i++) {
		relays[i].rounds = rounds;
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, cpu, body_relay, &relays[i]);
		REQUIRE(threads[i] != NULL);
	}
	for (uint32_t i = 0; i < count; i++)
		atomic_store_ptr_release(&relays[i].next, threads[(i + 1) % count]);
	thread_unpark(threads[0]);
	for (uint32_t i = 0; i < count; i++)
		wait_until(&relays[i].done, 1);
	for (uint32_t i = 0; i < count; i++)
		atomic_store_u32_release(&relays[i].done, 2);
	for (uint32_t i = 0; i < count; i++)
		join(test_run_, threads[i]);
}

TEST(sched, relay_on_one_cpu)
{
	relay_run(test_run_, 3, loops(5000, 50), 0);
}

TEST_CPUS(sched, relay_on_all_cpus, 2)
{
	relay_run(test_run_, 8, loops(500, 20), ANY_CPU);
}

struct duel {
	struct thread *parker;
	uint32_t round;    // atomic: the unparker's
	uint32_t seen;     // atomic: the parker's
	uint32_t timeouts; // parker's
	uint32_t permits;
	uint32_t rounds;
	bool timed;
};

static void body_parker(void *arg)
{
	struct duel *duel = arg;
	for (uint32_t round = 1; round <= duel->rounds; round++) {
		while (atomic_load_u32_acquire(&duel->round) < round) {
			uint64_t deadline_ns = duel->timed ? clock_now_ns() + round % 7 * 1500 : TB_FOREVER;
			if (thread_park(deadline_ns) == 0)
				duel->permits++;
			else
				duel->timeouts++;
			let_in();
		}
		atomic_store_u32_release(&duel->seen, round);
	}
}

// Says that something has happened, then unparks; the parker looks, then parks. Every round must come through.
static void duel_run(TEST_RUN, bool timed, uint32_t rounds)
{
	struct duel duel = {.rounds = rounds, .timed = timed};
	duel.parker = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, body_parker, &duel);
	for (uint32_t round = 1; round <= rounds; round++) {
		atomic_store_u32_release(&duel.round, round);
		thread_unpark(duel.parker);
		while (atomic_load_u32_acquire(&duel.seen) < round)
			thread_yield();
	}
	join(test_run_, duel.parker);
	CHECK(duel.permits <= rounds);
	CHECK(timed || duel.timeouts == 0);
}

TEST_CPUS(sched, unpark_races_with_park, 2)
{
	duel_run(test_run_, false, loops(2000, 50));
}

TEST_CPUS(sched, unpark_races_with_timeout, 2)
{
	duel_run(test_run_, true, loops(2000, 50));
}

static void body_park_once(void *arg)
{
	*(err_t *)arg = thread_park(TB_FOREVER);
}

struct waker {
	struct thread *thread;
	uint32_t go; // atomic
};

static void body_waker(void *arg)
{
	struct waker *waker = arg;
	while (atomic_load_u32_acquire(&waker->go) == 0)
		hal_cpu_relax();
	thread_unpark(waker->thread);
}

// Many wake one at once: it becomes ready once.
TEST_CPUS(sched, many_unpark_one, 3)
{
	for (uint32_t round = 0; round < loops(50, 3); round++) {
		struct waker waker = {0};
		struct thread *wakers[3];
		err_t err = 1;
		waker.thread = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, body_park_once, &err);
		for (uint32_t i = 0; i < 3; i++)
			wakers[i] = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, body_waker, &waker);
		wait_state(waker.thread, THREAD_PARKED);
		atomic_store_u32_release(&waker.go, 1);
		for (uint32_t i = 0; i < 3; i++)
			join(test_run_, wakers[i]);
		join(test_run_, waker.thread);
		CHECK_EQ(err, 0);
	}
}
