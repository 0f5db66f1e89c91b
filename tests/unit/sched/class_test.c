// SPDX-License-Identifier: MIT
//
// Who runs first, and for how long: each class by itself, the classes among each other, changes of class while it matters.
// Orders are watched on one CPU, whose threads are started while a more urgent one, the body, keeps it.
#include "sched_test.h"

#define SLICE_NS 100000ull
#define NOTES_MAX 64
#define SLICE_MAX_NS_TEST 1000000000ull

struct notes {
	uint32_t count; // atomic
	uint32_t entries[NOTES_MAX];
};

static void note(struct notes *notes, uint32_t entry)
{
	uint32_t place = atomic_fetch_add_u32_acq_rel(&notes->count, 1);
	if (place < NOTES_MAX)
		notes->entries[place] = entry;
}

struct writer {
	struct notes *notes;
	uint32_t mark;
	uint32_t times;
	uint64_t between_ns; // CPU taken between two notes; 0: yields instead
};

static void burn_ns(uint64_t duration_ns)
{
	uint64_t end_ns = clock_now_ns() + duration_ns;
	while (clock_now_ns() < end_ns)
		let_in();
}

static void body_write(void *arg)
{
	const struct writer *writer = arg;
	for (uint32_t i = 0; i < writer->times; i++) {
		note(writer->notes, writer->mark);
		if (writer->between_ns != 0)
			burn_ns(writer->between_ns);
		else
			thread_yield();
	}
}

// Takes CPU 0 for the body, above everything that it starts there.
static void take_cpu0(TEST_RUN)
{
	move_to(test_run_, 0);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 0, 0), 0);
	CHECK_EQ(sched_set_slice_ns(SLICE_NS), 0);
}

TEST(sched, fifo_runs_by_priority_then_arrival)
{
	static const int32_t levels[] = {50, 20, 50, 99, 1, 20, 31, 32, 64, 63};
	static const uint32_t order[] = {4, 1, 5, 6, 7, 0, 2, 9, 8, 3};
	struct notes notes = {0};
	struct writer writers[array_count(levels)];
	struct thread *threads[array_count(levels)];
	take_cpu0(test_run_);
	CHECK_EQ(sched_set_slice_ns(SLICE_MAX_NS_TEST), 0); // RR must not rotate, however slow the host
	for (uint32_t i = 0; i < array_count(levels); i++) {
		writers[i] = (struct writer){&notes, i, 1, 1};
		threads[i] = spawn(test_run_, i % 2 ? CLASS_RR : CLASS_FIFO, levels[i], 0, body_write, &writers[i]);
	}
	CHECK_EQ(sched_check(), 0);
	for (uint32_t i = 0; i < array_count(levels); i++)
		join(test_run_, threads[i]);
	for (uint32_t i = 0; i < array_count(levels); i++)
		CHECK_EQ(notes.entries[i], order[i]);
}

TEST(sched, yield_lets_equals_run_and_nobody_below)
{
	static const uint32_t order[] = {0, 1, 0, 1, 0, 1, 2, 2, 2};
	struct notes notes = {0};
	struct writer writers[3] = {{&notes, 0, 3, 0}, {&notes, 1, 3, 0}, {&notes, 2, 3, 0}};
	struct thread *threads[3];
	take_cpu0(test_run_);
	for (uint32_t i = 0; i < 3; i++)
		threads[i] = spawn(test_run_, CLASS_FIFO, i < 2 ? 10 : 11, 0, body_write, &writers[i]);
	for (uint32_t i = 0; i < 3; i++)
		join(test_run_, threads[i]);
	for (uint32_t i = 0; i < array_count(order); i++)
		CHECK_EQ(notes.entries[i], order[i]);
}

#if !CONFIG_TINY // where fair threads of unlike nice values are strictly ordered

struct yielder {
	struct writer writer;
	uint32_t preempted;
};

static void body_yield(void *arg)
{
	struct yielder *yielder = arg;
	body_write(&yielder->writer);
	yielder->preempted = info_of(current).stats.preemptions;
}

// Unless the host has held a thread up for a whole slice between its turn and its note: then it was preempted.
TEST(sched, fair_yield_switches_each_time)
{
	struct notes notes = {0};
	struct yielder yielders[2] = {{{&notes, 0, 10, 0}, 0}, {{&notes, 1, 10, 0}, 0}};
	struct thread *threads[2];
	uint32_t repeated = 0;
	take_cpu0(test_run_);
	for (uint32_t i = 0; i < 2; i++)
		threads[i] = spawn(test_run_, CLASS_FAIR, i == 0 ? 0 : 5, 0, body_yield, &yielders[i]);
	for (uint32_t i = 0; i < 2; i++)
		join(test_run_, threads[i]);
	for (uint32_t i = 2; i < 20; i++)
		repeated += notes.entries[i] == notes.entries[i - 1];
	// Once then, and once at the end, where the other has notes left.
	CHECK(repeated <= 2 * (yielders[0].preempted + yielders[1].preempted));
}

#endif

static uint32_t turns_of(const struct notes *notes)
{
	uint32_t turns = 1;
	for (uint32_t i = 1; i < notes->count && i < NOTES_MAX; i++)
		turns += notes->entries[i] != notes->entries[i - 1];
	return turns;
}

// Two threads that each need four slices: RR takes turns, FIFO runs to the end.
static uint32_t turns_taken(TEST_RUN, enum thread_class klass)
{
	struct notes notes = {0};
	struct writer writers[2] = {{&notes, 0, 16, SLICE_NS / 4}, {&notes, 1, 16, SLICE_NS / 4}};
	struct thread *threads[2];
	take_cpu0(test_run_);
	for (uint32_t i = 0; i < 2; i++)
		threads[i] = spawn(test_run_, klass, klass == CLASS_FAIR ? 0 : 40, 0, body_write, &writers[i]);
	for (uint32_t i = 0; i < 2; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(notes.count, 32);
	return turns_of(&notes);
}

TEST(sched, fifo_runs_to_the_end)
{
	CHECK_EQ(turns_taken(test_run_, CLASS_FIFO), 2);
}

TEST_WITH(sched, round_robin_takes_turns, 0, TEST_SIM_ONLY, NULL)
{
	CHECK(turns_taken(test_run_, CLASS_RR) >= 5);
}

TEST_WITH(sched, fair_takes_turns, 0, TEST_SIM_ONLY, NULL)
{
	CHECK(turns_taken(test_run_, CLASS_FAIR) >= 5);
}

// A preempted FIFO thread goes on before its equals; so does an RR thread, with the rest of its slice.
static void preempted_goes_on(TEST_RUN, enum thread_class klass)
{
	struct notes notes = {0};
	struct writer writers[2] = {{&notes, 0, 4, 8000}, {&notes, 1, 4, 8000}};
	struct thread *threads[2];
	take_cpu0(test_run_);
	CHECK_EQ(sched_set_slice_ns(SLICE_MAX_NS_TEST), 0);
	for (uint32_t i = 0; i < 2; i++)
		threads[i] = spawn(test_run_, klass, 40, 0, body_write, &writers[i]);
	for (uint32_t i = 0; i < 5; i++)
		sleep_ns(4000); // each return preempts whoever runs
	for (uint32_t i = 0; i < 2; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(turns_of(&notes), 2);
}

TEST(sched, preempted_fifo_goes_on_first)
{
	preempted_goes_on(test_run_, CLASS_FIFO);
}

TEST(sched, preempted_round_robin_goes_on_first)
{
	preempted_goes_on(test_run_, CLASS_RR);
}

#if !CONFIG_TINY

static void hogs_run(TEST_RUN, struct hog *hogs, const int32_t *nices, uint32_t count, uint64_t span_ns)
{
	take_cpu0(test_run_);
	for (uint32_t i = 0; i < count; i++) {
		hogs[i] = (struct hog){0};
		hogs[i].thread = spawn(test_run_, CLASS_FAIR, nices[i], 0, hog_body, &hogs[i]);
	}
	sleep_ns(span_ns);
	for (uint32_t i = 0; i < count; i++) {
		struct thread_info info = info_of(hogs[i].thread);
		hogs[i].ran_ns = info.stats.run_ns;
		hogs[i].wait_max_ns = info.stats.wait_max_ns;
	}
	CHECK_EQ(sched_check(), 0);
	for (uint32_t i = 0; i < count; i++)
		hog_stop(test_run_, &hogs[i]);
}

// Within 2% of what the weights say. CPU time is counted by the clock, so that a busy host takes some away from whoever happens to
// run: with real time only the extremes are compared.
TEST(sched, fair_shares_follow_nice)
{
	static const int32_t nices[] = {0, 3, -3, 5};
	static const uint64_t weights[] = {4096, 2097, 8000, 1342};
	struct hog hogs[4];
	uint64_t ran_ns = 0, weight = 4096 + 2097 + 8000 + 1342;
	hogs_run(test_run_, hogs, nices, 4, simulated() ? 200 * SLICE_NS : 2000 * SLICE_NS);
	for (uint32_t i = 0; i < 4; i++)
		ran_ns += hogs[i].ran_ns;
	CHECK(hogs[2].ran_ns > hogs[3].ran_ns);
	for (uint32_t i = 0; i < 4 && simulated(); i++) {
		uint64_t wanted_ns = ran_ns * weights[i] / weight;
		uint64_t error_ns =
			wanted_ns > hogs[i].ran_ns ? wanted_ns - hogs[i].ran_ns : hogs[i].ran_ns - wanted_ns;
		// The last request of each is not over.
		CHECK(error_ns * 100 <= wanted_ns * 2 + 100 * SLICE_NS);
	}
}

struct sleeper {
	struct hog hog;
	uint64_t sleep_ns;
};

static void body_sleeper(void *arg)
{
	struct sleeper *sleeper = arg;
	while (atomic_load_u32_relaxed(&sleeper->hog.stop) == 0) {
		burn_ns(3 * SLICE_NS);
		sleep_ns(sleeper->sleep_ns);
	}
}

// Someone who sleeps comes back at most one request behind the others: however long it slept, the hog gets its half of what follows.
TEST(sched, sleepers_do_not_save_up)
{
	struct hog hog = {0};
	struct sleeper sleeper = {.sleep_ns = 20 * SLICE_NS};
	take_cpu0(test_run_);
	hog.thread = spawn(test_run_, CLASS_FAIR, 0, 0, hog_body, &hog);
	sleeper.hog.thread = spawn(test_run_, CLASS_FAIR, 0, 0, body_sleeper, &sleeper);
	struct thread_stats before = {0};
	bool fair = false;
	// A busy host may hold the CPU up in the sleeper's turn: one good span of several says enough there.
	for (uint32_t i = 0; i < (simulated() ? 1u : 10u) && !fair; i++) {
		sleep_ns(simulated() ? 120 * SLICE_NS : 1000 * SLICE_NS);
		struct thread_stats after = info_of(hog.thread).stats;
		fair = (after.run_ns - before.run_ns) * 2 >= after.wait_ns - before.wait_ns;
		// One request of the sleeper's, one of each other fair thread, and what the body takes.
		CHECK(!simulated() || after.wait_max_ns <= 4 * SLICE_NS);
		before = after;
	}
	CHECK(fair);
	hog_stop(test_run_, &hog);
	hog_stop(test_run_, &sleeper.hog);
}

#endif

// One class above another: nothing below runs while something above wants to.
TEST(sched, real_time_runs_before_fair)
{
	struct notes notes = {0};
	struct writer writers[3] = {{&notes, 0, 5, 5000}, {&notes, 1, 5, 5000}, {&notes, 2, 5, 5000}};
	struct thread *threads[3];
	take_cpu0(test_run_);
	threads[0] = spawn(test_run_, CLASS_FAIR, -20, 0, body_write, &writers[0]);
	threads[1] = spawn(test_run_, CLASS_RR, 99, 0, body_write, &writers[1]);
	threads[2] = spawn(test_run_, CLASS_FIFO, 98, 0, body_write, &writers[2]);
	for (uint32_t i = 0; i < 3; i++)
		join(test_run_, threads[i]);
	for (uint32_t i = 0; i < 15; i++)
		CHECK_EQ(notes.entries[i], 2 - i / 5);
}

// Ready threads move between the queues when their priority does.
TEST(sched, priority_of_ready_threads_changes)
{
	struct notes notes = {0};
	struct writer writers[4];
	struct thread *threads[4];
	take_cpu0(test_run_);
	for (uint32_t i = 0; i < 4; i++) {
		writers[i] = (struct writer){&notes, i, 1, 1};
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, 0, body_write, &writers[i]);
	}
	CHECK_EQ(thread_set_prio(threads[2], CLASS_RR, 10, 0), 0);
	CHECK_EQ(thread_set_prio(threads[3], CLASS_FIFO, 10, 0), 0);
	CHECK_EQ(thread_set_prio(threads[1], CLASS_FIFO, 9, 0), 0);
	CHECK_EQ(sched_check(), 0);
	CHECK_EQ(thread_set_prio(threads[2], CLASS_FAIR, 0, 19), 0);
	CHECK_EQ(info_of(threads[2]).prio, PRIO_FAIR_MIN);
	CHECK_EQ(info_of(threads[1]).klass, CLASS_FIFO);
	CHECK_EQ(sched_check(), 0);
	for (uint32_t i = 0; i < 4; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(notes.entries[0], 1);
	CHECK_EQ(notes.entries[1], 3);
}

#if !CONFIG_TINY // where the priority counts and the class stays

// Inheritance, through the hook that mutexes use: the better of the two counts, and the class follows.
TEST(sched, lent_priority_counts_while_it_lasts)
{
	const struct sched_hooks *hooks = kernel_self()->hooks;
	struct notes notes = {0};
	struct writer writers[3] = {{&notes, 0, 1, 1}, {&notes, 1, 1, 1}, {&notes, 2, 1, 1}};
	struct thread *threads[3];
	take_cpu0(test_run_);
	threads[0] = spawn(test_run_, CLASS_FIFO, 60, 0, body_write, &writers[0]);
	threads[1] = spawn(test_run_, CLASS_FAIR, 0, 0, body_write, &writers[1]);
	threads[2] = spawn(test_run_, CLASS_FAIR, 0, 0, body_write, &writers[2]);
	hooks->inherit(threads[1], 30);
	hooks->inherit(threads[2], 10);
	hooks->inherit(threads[0], 80); // worse than its own
	CHECK_EQ(info_of(threads[0]).prio, 60);
	CHECK_EQ(info_of(threads[2]).klass, CLASS_FIFO);
	CHECK_EQ(info_of(threads[2]).prio_base, PRIO_FAIR_DEFAULT);
	hooks->inherit(threads[2], PRIO_COUNT);
	CHECK_EQ(info_of(threads[2]).klass, CLASS_FAIR);
	CHECK_EQ(sched_check(), 0);
	for (uint32_t i = 0; i < 3; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(notes.entries[0], 1);
	CHECK_EQ(notes.entries[1], 0);
	CHECK_EQ(notes.entries[2], 2);
}

#endif
