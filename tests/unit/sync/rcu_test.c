// SPDX-License-Identifier: MIT
//
// Read-copy-update: grace periods wait for readers and for nobody else, callbacks run once and in order.
#include "sync_test.h"

#include "kern/mem.h"
#include "kern/rcu.h"

// -- a reader is waited for ------------------------------------------------------------------------------------------------

struct reading {
	struct test_run *run;
	uint32_t inside; // atomic
	uint32_t let_go; // atomic
	uint32_t synced; // atomic
};

static void reader_main(void *arg)
{
	struct reading *reading = arg;
	TEST_RUN = reading->run;

	rcu_read_lock();
	rcu_read_lock();
	CHECK(rcu_read_held());
	atomic_store_u32_release(&reading->inside, 1);
	rcu_read_unlock();
	while (atomic_load_u32_acquire(&reading->let_go) == 0)
		hal_cpu_relax();
	CHECK_EQ(atomic_load_u32_acquire(&reading->synced), 0);
	rcu_read_unlock();
	CHECK(!rcu_read_held());
}

static void synchronizer_main(void *arg)
{
	struct reading *reading = arg;
	rcu_synchronize();
	atomic_store_u32_release(&reading->synced, 1);
}

TEST_CPUS(sync_rcu, waits_for_a_reader, 2)
{
	struct spawn reader = {"reader", CLASS_FAIR, 0, 1};
	struct spawn other = {"synchronizer", CLASS_FAIR, 0, 0};
	struct reading reading = {.run = test_run_};

	struct thread *first = spawn(test_run_, &reader, reader_main, &reading);
	wait_word(&reading.inside, 1);
	struct thread *second = spawn(test_run_, &other, synchronizer_main, &reading);
	sleep_ns(500000);
	CHECK_EQ(atomic_load_u32_acquire(&reading.synced), 0);
	atomic_store_u32_release(&reading.let_go, 1);
	join(test_run_, first);
	join(test_run_, second);
	CHECK_EQ(reading.synced, 1);
	CHECK_EQ(rcu_check(), 0);
}

// -- nobody else is ---------------------------------------------------------------------------------------------------------

// One that never switches by itself, and one that keeps preemption off now and then: interrupts must find the one quiescent and
// make the other tell.
static void busy_main(void *arg)
{
	struct worker *worker = arg;
	struct reading *reading = worker->shared;

	while (atomic_load_u32_acquire(&reading->let_go) == 0) {
		if (worker->index == 0) {
			hal_cpu_relax();
			continue;
		}
		preempt_disable();
		burn_ns(30000);
		preempt_enable();
	}
}

TEST(sync_rcu, waits_neither_for_busy_nor_for_idle_cpus)
{
	struct worker busy[2];
	struct reading reading = {.run = test_run_};
	struct rcu_info before, after;

	rcu_synchronize();
	rcu_get_info(&before);
	for (uint32_t i = 0; i < 3; i++)
		rcu_barrier();
	workers_start(test_run_, busy, 2, busy_main, &reading);
	for (uint32_t i = 0; i < 3; i++) {
		sleep_ns(100000);
		rcu_barrier();
	}
	rcu_get_info(&after);
	atomic_store_u32_release(&reading.let_go, 1);
	workers_join(test_run_, busy, 2);
	CHECK(after.grace_periods - before.grace_periods >= 6);
	CHECK(after.callbacks - before.callbacks >= 6);
	CHECK_EQ(rcu_check(), 0);
}

// -- callbacks ---------------------------------------------------------------------------------------------------------------

struct numbered {
	struct rcu_head head;
	struct numbers *numbers;
	uint32_t index, cpu;
};

#define NUMBERS 40

struct numbers {
	struct numbered each[NUMBERS];
	const struct numbered *order[NUMBERS];
	uint32_t ran; // atomic
};

static void numbered_run(struct rcu_head *head)
{
	struct numbered *numbered = container_of(head, struct numbered, head);
	struct numbers *numbers = numbered->numbers;
	numbers->order[atomic_fetch_add_u32_acq_rel(&numbers->ran, 1)] = numbered;
}

// The thread may move to another CPU on the way.
TEST(sync_rcu, callbacks_of_a_cpu_run_in_order_and_barrier_waits)
{
	struct numbers numbers = {.ran = 0};
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < NUMBERS; i++) {
		numbers.each[i] = (struct numbered){.numbers = &numbers, .index = i};
		preempt_disable();
		numbers.each[i].cpu = this_cpu()->hal.index;
		rcu_call(&numbers.each[i].head, numbered_run);
		preempt_enable();
		if (i % 16 == 7)
			thread_yield();
	}
	rcu_barrier();
	CHECK_EQ(atomic_load_u32_acquire(&numbers.ran), NUMBERS);
	for (uint32_t i = 0; i < NUMBERS; i++)
		for (uint32_t k = 0; k < i; k++)
			wrong += numbers.order[k]->cpu == numbers.order[i]->cpu &&
				 numbers.order[k]->index >= numbers.order[i]->index;
	CHECK_EQ(wrong, 0);
}

#define HOMES 200u

struct home {
	struct rcu_head head;
	uint32_t cpu, *elsewhere;
};

static void home_run(struct rcu_head *head)
{
	struct home *home = container_of(head, struct home, head);
	preempt_disable();
	*home->elsewhere += this_cpu()->hal.index != home->cpu;
	preempt_enable();
}

// With preemption off there is no end of a grace period between two calls, so they are two batches at most, and only a short one runs elsewhere.
static void homes_call(struct home *homes)
{
	preempt_disable();
	uint32_t cpu = this_cpu()->hal.index;
	for (uint32_t i = 0; i < HOMES; i++) {
		homes[i].cpu = cpu;
		rcu_call(&homes[i].head, home_run);
	}
	preempt_enable();
}

TEST_CPUS(sync_rcu, a_long_batch_runs_where_it_was_called, 2)
{
	struct home *homes = kmalloc(HOMES * sizeof *homes, MEM_ZERO);
	uint32_t elsewhere = 0;

	REQUIRE(homes != NULL);
	for (uint32_t cpu = 0; cpu < 2; cpu++) {
		struct cpu_mask mask = {0};
		cpu_mask_set(&mask, cpu);
		CHECK_EQ(thread_set_affinity(current, &mask), 0);
		elsewhere = 0;
		for (uint32_t i = 0; i < HOMES; i++)
			homes[i].elsewhere = &elsewhere;
		homes_call(homes);
		rcu_barrier();
		CHECK(homes[0].cpu == cpu && elsewhere < 64);
	}
	kfree(homes);
}

struct hog {
	struct home *homes;
	uint32_t called, let_go; // atomic
};

static void hog_main(void *arg)
{
	struct hog *hog = arg;

	homes_call(hog->homes);
	atomic_store_u32_release(&hog->called, 1);
	while (atomic_load_u32_acquire(&hog->let_go) == 0)
		hal_cpu_relax();
}

// The service thread does not go where it would wait for somebody more urgent.
TEST_CPUS(sync_rcu, real_time_work_holds_no_callbacks_up, 2)
{
	struct spawn urgent = {"urgent", CLASS_FIFO, 1, 1};
	struct hog hog = {.homes = kmalloc(HOMES * sizeof *hog.homes, MEM_ZERO)};
	uint32_t elsewhere = 0;

	REQUIRE(hog.homes != NULL);
	for (uint32_t i = 0; i < HOMES; i++)
		hog.homes[i].elsewhere = &elsewhere;
	struct thread *thread = spawn(test_run_, &urgent, hog_main, &hog);
	while (atomic_load_u32_acquire(&hog.called) == 0)
		thread_yield();
	rcu_barrier();
	CHECK(elsewhere >= HOMES - 64);
	atomic_store_u32_release(&hog.let_go, 1);
	join(test_run_, thread);
	kfree(hog.homes);
}

struct calling {
	struct timer timer;
	struct numbers numbers;
	uint32_t called; // atomic
};

static void call_interrupt(struct timer *timer)
{
	struct calling *calling = container_of(timer, struct calling, timer);
	uint32_t index = atomic_load_u32_relaxed(&calling->called);

	rcu_call(&calling->numbers.each[index].head, numbered_run);
	atomic_store_u32_release(&calling->called, index + 1);
	if (index + 1 < NUMBERS)
		timer_arm(timer, after_ns(3000));
}

TEST(sync_rcu, interrupts_may_call)
{
	struct calling calling = {.called = 0};

	for (uint32_t i = 0; i < NUMBERS; i++)
		calling.numbers.each[i] = (struct numbered){.numbers = &calling.numbers, .index = i};
	timer_setup(&calling.timer, call_interrupt);
	timer_arm(&calling.timer, after_ns(1000));
	wait_word(&calling.called, NUMBERS);
	(void)timer_cancel_sync(&calling.timer);
	rcu_barrier();
	CHECK_EQ(atomic_load_u32_acquire(&calling.numbers.ran), NUMBERS);
}

// -- replaced and freed under readers' eyes ----------------------------------------------------------------------------------

#define GOOD 0x600d600du
#define GONE 0xdeadbeefu

struct version {
	struct rcu_head head;
	uint32_t magic; // atomic, so that a reader who comes too late is found by us and not by TSan
	uint32_t a;
	uint32_t b;
};

struct published {
	struct version *version; // RCU
	struct mutex writers;
	uint32_t rounds;
	uint32_t made;  // atomic
	uint32_t freed; // atomic
	uint32_t stop;  // atomic
};

struct freeing {
	struct version version; // first
	struct published *published;
};

static void version_free(struct rcu_head *head)
{
	struct freeing *freeing = container_of(head, struct freeing, version.head);
	(void)atomic_fetch_add_u32_acq_rel(&freeing->published->freed, 1);
	atomic_store_u32_relaxed(&freeing->version.magic, GONE);
	kfree(freeing);
}

static struct version *version_make(struct published *published, uint32_t number)
{
	struct freeing *made = kmalloc(sizeof *made, 0);
	if (made == NULL)
		return NULL;
	made->published = published;
	made->version.magic = GOOD;
	made->version.a = number;
	made->version.b = ~number;
	(void)atomic_fetch_add_u32_acq_rel(&published->made, 1);
	return &made->version;
}

static void look_main(void *arg)
{
	struct worker *worker = arg;
	struct published *published = worker->shared;
	TEST_RUN = worker->run;
	uint32_t bad = 0;

	while (atomic_load_u32_acquire(&published->stop) == 0) {
		rcu_read_lock();
		const struct version *version = rcu_dereference(published->version);
		for (uint32_t i = 0; i < 3; i++) {
			bad += atomic_load_u32_relaxed(&version->magic) != GOOD;
			bad += version->a != ~version->b;
			hal_point(HAL_POINT_PERCPU);
		}
		rcu_read_unlock();
		hal_cpu_relax();
	}
	CHECK_EQ(bad, 0);
}

static void replace_main(void *arg)
{
	struct worker *worker = arg;
	struct published *published = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < published->rounds; i++) {
		struct version *made = version_make(published, i);
		REQUIRE(made != NULL);
		mutex_lock(&published->writers);
		struct version *old = published->version;
		rcu_assign(published->version, made);
		mutex_unlock(&published->writers);
		if (i % 4 != worker->index) {
			rcu_call(&old->head, version_free);
		} else {
			rcu_synchronize();
			version_free(&old->head);
		}
	}
}

TEST(sync_rcu, replaced_under_readers_eyes)
{
	struct worker lookers[3];
	struct worker replacers[2];
	struct published published = {.rounds = loops(200, 6)};

	mutex_init(&published.writers, LOCK_RANK_TEST_OUTER, "test: writers");
	published.version = version_make(&published, 0);
	REQUIRE(published.version != NULL);
	workers_start(test_run_, lookers, 3, look_main, &published);
	workers_start(test_run_, replacers, 2, replace_main, &published);
	workers_join(test_run_, replacers, 2);
	atomic_store_u32_release(&published.stop, 1);
	workers_join(test_run_, lookers, 3);
	rcu_call(&published.version->head, version_free);
	rcu_barrier();
	CHECK_EQ(published.made, 2 * published.rounds + 1);
	CHECK_EQ(published.freed, published.made);
	CHECK_EQ(rcu_check(), 0);
	mutex_fini(&published.writers);
}

// -- bounded sections --------------------------------------------------------------------------------------------------------

#if CONFIG_LOCKCHECK

TEST_WITH(sync_rcu, long_sections_are_noted, 0, TEST_THREADS_ONLY, NULL)
{
	struct rcu_info before, after;

	rcu_get_info(&before);
	rcu_read_lock();
	burn_ns(RCU_SECTION_LIMIT_NS + 1000);
	rcu_read_unlock();
	rcu_get_info(&after);
	CHECK(after.long_sections > before.long_sections);
	CHECK(after.section_max_ns > RCU_SECTION_LIMIT_NS);
}

#endif
