// SPDX-License-Identifier: MIT
//
// Priority inheritance: what is lent, along which chains, when it is taken back, and that inversion is bounded by it.
#include "sync_test.h"

#define CHAIN 4

// How long a waiter stays while others are checked: on real CPUs, on a host that has better things to do, that may take long; in virtual
// time it never does.
static uint64_t still_there_ns(void)
{
	if ((kernel_self()->flags & HAL_BOOT_SIMULATED) != 0)
		return 100000000ull;
	return CONFIG_TSAN || CONFIG_ASAN ? 3000000000ull : 300000000ull;
}

// A link holds mutex `index` and waits for mutex `index - 1`; the first one waits for the test's word.
struct chain {
	struct mutex mutexes[CHAIN];
	struct test_run *run;
	uint32_t held;   // atomic: links that hold theirs
	uint32_t let_go; // atomic
};

struct link {
	struct chain *chain;
	struct thread *thread;
	uint32_t index;
	uint64_t timeout_ns; // of the last waiter
	err_t err;
};

static void chain_init(struct chain *chain, struct test_run *run)
{
	*chain = (struct chain){.run = run};
	for (uint32_t i = 0; i < CHAIN; i++)
		mutex_init(&chain->mutexes[i], LOCK_RANK_NONE, "test: chain");
}

static void link_main(void *arg)
{
	struct link *link = arg;
	struct chain *chain = link->chain;

	mutex_lock(&chain->mutexes[link->index]);
	(void)atomic_fetch_add_u32_acq_rel(&chain->held, 1);
	if (link->index == 0) {
		wait_word(&chain->let_go, 1);
	} else {
		mutex_lock(&chain->mutexes[link->index - 1]);
		mutex_unlock(&chain->mutexes[link->index - 1]);
	}
	mutex_unlock(&chain->mutexes[link->index]);
}

static void last_main(void *arg)
{
	struct link *link = arg;
	struct chain *chain = link->chain;

	uint64_t deadline_ns = link->timeout_ns == TB_FOREVER ? TB_FOREVER : after_ns(link->timeout_ns);
	link->err = mutex_lock_until(&chain->mutexes[CHAIN - 1], deadline_ns);
	if (link->err == 0)
		mutex_unlock(&chain->mutexes[CHAIN - 1]);
}

static void links_start(TEST_RUN, struct chain *chain, struct link *links)
{
	struct spawn how = {"link", CLASS_FAIR, 5, ANY_CPU};

	for (uint32_t i = 0; i < CHAIN; i++) {
		links[i] = (struct link){.chain = chain, .index = i};
		links[i].thread = spawn(test_run_, &how, link_main, &links[i]);
		wait_word(&chain->held, i + 1);
		if (i > 0)
			wait_asleep(links[i].thread);
	}
}

static void last_start(TEST_RUN, struct chain *chain, struct link *last, int32_t rt_prio, uint64_t timeout_ns)
{
	struct spawn how = {"last", CLASS_FIFO, rt_prio, ANY_CPU};

	*last = (struct link){.chain = chain, .timeout_ns = timeout_ns};
	last->thread = spawn(test_run_, &how, last_main, last);
	wait_asleep(last->thread);
}

static void links_have_prio(TEST_RUN, const struct link *links, int32_t prio)
{
	for (uint32_t i = 0; i < CHAIN; i++) {
		CHECK_EQ(prio_of(links[i].thread), prio);
		CHECK_EQ(mutex_check(&links[i].chain->mutexes[i]), 0);
	}
}

static void chain_end(TEST_RUN, struct chain *chain, struct link *links, struct link *lasts, uint32_t last_count)
{
	atomic_store_u32_release(&chain->let_go, 1);
	for (uint32_t i = 0; i < CHAIN; i++)
		join(test_run_, links[i].thread);
	for (uint32_t i = 0; i < last_count; i++) {
		join(test_run_, lasts[i].thread);
		CHECK_EQ(lasts[i].err, 0);
	}
	for (uint32_t i = 0; i < CHAIN; i++) {
		CHECK_EQ(mutex_check(&chain->mutexes[i]), 0);
		mutex_fini(&chain->mutexes[i]);
	}
}

TEST_CPUS(sync_pi, lends_along_a_chain, 2)
{
	struct chain chain;
	struct link links[CHAIN];
	struct link last;

	chain_init(&chain, test_run_);
	links_start(test_run_, &chain, links);
	links_have_prio(test_run_, links, PRIO_FAIR_DEFAULT + 5);
	last_start(test_run_, &chain, &last, 7, TB_FOREVER);
	links_have_prio(test_run_, links, 7);
	chain_end(test_run_, &chain, links, &last, 1);
}

TEST_CPUS(sync_pi, a_deadline_takes_it_back, 2)
{
	struct chain chain;
	struct link links[CHAIN];
	struct link last;

	chain_init(&chain, test_run_);
	links_start(test_run_, &chain, links);
	last_start(test_run_, &chain, &last, 7, 20000000);
	join(test_run_, last.thread);
	CHECK_EQ(last.err, -ETIMEDOUT);
	links_have_prio(test_run_, links, PRIO_FAIR_DEFAULT + 5);
	chain_end(test_run_, &chain, links, NULL, 0);
}

TEST_CPUS(sync_pi, a_new_priority_travels, 2)
{
	struct chain chain;
	struct link links[CHAIN];
	struct link last;

	chain_init(&chain, test_run_);
	links_start(test_run_, &chain, links);
	last_start(test_run_, &chain, &last, 30, TB_FOREVER);
	links_have_prio(test_run_, links, 30);
	CHECK_EQ(thread_set_prio(last.thread, CLASS_FIFO, 3, 0), 0);
	links_have_prio(test_run_, links, 3);
	CHECK_EQ(thread_set_prio(last.thread, CLASS_FAIR, 0, -20), 0);
	links_have_prio(test_run_, links, PRIO_FAIR_MAX);
	CHECK_EQ(thread_set_prio(last.thread, CLASS_FAIR, 0, 19), 0);
	links_have_prio(test_run_, links, PRIO_FAIR_DEFAULT + 5);
	// The base of one that is lent to: it sinks no deeper than what it is lent.
	CHECK_EQ(thread_set_prio(last.thread, CLASS_FIFO, 12, 0), 0);
	CHECK_EQ(thread_set_prio(links[1].thread, CLASS_FAIR, 0, 19), 0);
	links_have_prio(test_run_, links, 12);
	CHECK_EQ(thread_set_prio(links[2].thread, CLASS_FIFO, 4, 0), 0);
	CHECK_EQ(prio_of(links[3].thread), 12);
	CHECK_EQ(prio_of(links[1].thread), 4);
	CHECK_EQ(prio_of(links[0].thread), 4);
	chain_end(test_run_, &chain, links, &last, 1);
}

TEST_CPUS(sync_pi, the_best_of_several_waiters, 2)
{
	struct chain chain;
	struct link links[CHAIN];
	struct link waiters[2];
	struct link gone;

	chain_init(&chain, test_run_);
	links_start(test_run_, &chain, links);
	last_start(test_run_, &chain, &waiters[0], 40, TB_FOREVER);
	links_have_prio(test_run_, links, 40);
	last_start(test_run_, &chain, &gone, 10, still_there_ns());
	links_have_prio(test_run_, links, 10);
	last_start(test_run_, &chain, &waiters[1], 20, TB_FOREVER);
	links_have_prio(test_run_, links, 10);
	join(test_run_, gone.thread);
	CHECK_EQ(gone.err, -ETIMEDOUT);
	links_have_prio(test_run_, links, 20);
	chain_end(test_run_, &chain, links, waiters, 2);
}

// One owner, several mutexes: the best lender of all of them counts, and each unlock takes back its own share.
struct several {
	struct mutex mutexes[3];
	struct test_run *run;
	uint32_t held; // atomic
	uint32_t step; // atomic: how many the owner may release
	uint32_t done; // atomic
	int32_t prios[3];
};

static void several_owner_main(void *arg)
{
	struct several *several = arg;

	for (uint32_t i = 0; i < 3; i++)
		mutex_lock(&several->mutexes[i]);
	atomic_store_u32_release(&several->held, 1);
	for (uint32_t i = 0; i < 3; i++) {
		wait_word(&several->step, i + 1);
		mutex_unlock(&several->mutexes[i]);
		several->prios[i] = prio_of(current);
		atomic_store_u32_release(&several->done, i + 1);
	}
}

static void several_waiter_main(void *arg)
{
	struct mutex *mutex = arg;
	mutex_lock(mutex);
	mutex_unlock(mutex);
}

TEST_CPUS(sync_pi, several_mutexes_of_one_owner, 2)
{
	static const int32_t prios[3] = {8, 16, 4};
	struct spawn owner = {"owner", CLASS_FAIR, 0, ANY_CPU};
	struct several several = {.run = test_run_};
	struct thread *waiters[3];

	for (uint32_t i = 0; i < 3; i++)
		mutex_init(&several.mutexes[i], LOCK_RANK_NONE, "test: several");
	struct thread *thread = spawn(test_run_, &owner, several_owner_main, &several);
	wait_word(&several.held, 1);
	for (uint32_t i = 0; i < 3; i++) {
		struct spawn waiter = {"waiter", CLASS_FIFO, prios[i], ANY_CPU};
		waiters[i] = spawn(test_run_, &waiter, several_waiter_main, &several.mutexes[i]);
		wait_asleep(waiters[i]);
	}
	CHECK_EQ(prio_of(thread), 4);
	for (uint32_t i = 0; i < 3; i++) {
		atomic_store_u32_release(&several.step, i + 1);
		wait_word(&several.done, i + 1);
		join(test_run_, waiters[i]);
	}
	join(test_run_, thread);
	CHECK_EQ(several.prios[0], 4);
	CHECK_EQ(several.prios[1], 4);
	CHECK_EQ(several.prios[2], PRIO_FAIR_DEFAULT);
	for (uint32_t i = 0; i < 3; i++)
		mutex_fini(&several.mutexes[i]);
}

// The classic: low holds what high wants, and middle, more urgent than low, has no end. All on one CPU.
struct inversion {
	struct mutex mutex;
	struct test_run *run;
	struct semaphore start_middle;
	struct semaphore start_high;
	uint32_t low_holds;   // atomic
	uint32_t middle_runs; // atomic
	uint32_t high_done;   // atomic
	uint32_t gave_up;     // atomic: middle saw no end of it
};

static void low_main(void *arg)
{
	struct inversion *inversion = arg;

	mutex_lock(&inversion->mutex);
	atomic_store_u32_release(&inversion->low_holds, 1);
	wait_word(&inversion->middle_runs, 1);
	burn_ns(20000);
	mutex_unlock(&inversion->mutex);
}

// Runs until high is through; without inheritance it never would be, so it gives up after a long while.
static void middle_main(void *arg)
{
	struct inversion *inversion = arg;

	sem_down(&inversion->start_middle);
	atomic_store_u32_release(&inversion->middle_runs, 1);
	sem_up(&inversion->start_high);
	uint64_t patience_ns = after_ns(500000000);
	while (atomic_load_u32_acquire(&inversion->high_done) == 0 && clock_now_ns() < patience_ns)
		hal_cpu_relax();
	atomic_store_u32_release(&inversion->gave_up, atomic_load_u32_acquire(&inversion->high_done) == 0);
}

static void high_main(void *arg)
{
	struct inversion *inversion = arg;

	sem_down(&inversion->start_high);
	mutex_lock(&inversion->mutex);
	atomic_store_u32_release(&inversion->high_done, 1);
	mutex_unlock(&inversion->mutex);
}

TEST_CPUS(sync_pi, inversion_is_bounded, 2)
{
	struct spawn low = {"low", CLASS_FIFO, 60, 1};
	struct spawn middle = {"middle", CLASS_FIFO, 40, 1};
	struct spawn high = {"high", CLASS_FIFO, 20, 1};
	struct inversion inversion = {.run = test_run_};

	mutex_init(&inversion.mutex, LOCK_RANK_TEST_MIDDLE, "test: inversion");
	sem_init(&inversion.start_middle, 0, "test: start middle");
	sem_init(&inversion.start_high, 0, "test: start high");
	struct thread *threads[3];
	threads[0] = spawn(test_run_, &low, low_main, &inversion);
	threads[1] = spawn(test_run_, &middle, middle_main, &inversion);
	threads[2] = spawn(test_run_, &high, high_main, &inversion);
	wait_word(&inversion.low_holds, 1);
	sem_up(&inversion.start_middle);
	for (uint32_t i = 0; i < 3; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(inversion.gave_up, 0);
	CHECK_EQ(inversion.high_done, 1);
	mutex_fini(&inversion.mutex);
}

// Threads of all classes on shared mutexes, with deadlines and changing priorities: at the end nothing is lent to anybody.
#define STORM_MUTEXES 3

struct storm {
	struct mutex mutexes[STORM_MUTEXES];
	uint32_t rounds;
};

static void storm_main(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < storm->rounds; i++) {
		uint32_t first = (i + worker->index) % STORM_MUTEXES;
		mutex_lock(&storm->mutexes[first]);
		if (first + 1 < STORM_MUTEXES && mutex_lock_until(&storm->mutexes[first + 1], after_ns(4000)) == 0)
			mutex_unlock(&storm->mutexes[first + 1]);
		if (i % 8 == worker->index) {
			int32_t step = (int32_t)(i % 10);
			enum thread_class klass = i % 16 < 8 ? CLASS_FAIR : CLASS_RR;
			CHECK_EQ(thread_set_prio(current, klass, 50 + step, step), 0);
		}
		mutex_unlock(&storm->mutexes[first]);
	}
	CHECK_EQ(current->pi_lent, 0);
	CHECK_EQ(prio_of(current), current->prio_base);
}

TEST(sync_pi, storm)
{
	struct worker workers[6];
	struct storm storm = {.rounds = loops(600, 16)};

	for (uint32_t i = 0; i < STORM_MUTEXES; i++)
		mutex_init(&storm.mutexes[i], LOCK_RANK_NONE, "test: storm");
	workers_start(test_run_, workers, 6, storm_main, &storm);
	workers_join(test_run_, workers, 6);
	for (uint32_t i = 0; i < STORM_MUTEXES; i++) {
		CHECK_EQ(mutex_check(&storm.mutexes[i]), 0);
		mutex_fini(&storm.mutexes[i]);
	}
}
