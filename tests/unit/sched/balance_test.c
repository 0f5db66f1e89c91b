// SPDX-License-Identifier: MIT
//
// Where threads run: affinity, isolation, stealing, placement of wakes, calls to other CPUs.
#include "sched_test.h"

static uint32_t cpu_of(const struct thread *thread)
{
	return info_of(thread).cpu;
}

TEST_CPUS(sched, affinity_moves_the_running_thread, 3)
{
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t cpu = 0; cpu < kernel_self()->cpu_count; cpu++) {
			move_to(test_run_, cpu);
			CHECK_EQ(cpu_now(), cpu);
		}
	}
}

TEST_CPUS(sched, affinity_moves_others, 3)
{
	struct hog hogs[3] = {0};
	move_to(test_run_, 0);
	for (uint32_t i = 0; i < 3; i++)
		hogs[i].thread = spawn(test_run_, CLASS_FAIR, 0, 1, hog_body, &hogs[i]);
	for (uint32_t i = 0; i < 3; i++)
		wait_until(&hogs[i].turns, 1);
	// One of them runs, the others wait.
	struct cpu_mask two = mask_of(2);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_EQ(thread_set_affinity(hogs[i].thread, &two), 0);
		CHECK_EQ(cpu_of(hogs[i].thread), 2);
	}
	CHECK_EQ(sched_check(), 0);
	for (uint32_t i = 0; i < 3; i++)
		hog_stop(test_run_, &hogs[i]);
}

struct wanderer {
	uint32_t stop;   // atomic
	uint32_t strays; // atomic: seen where it may not be
	uint32_t cpu;
};

static void body_wanderer(void *arg)
{
	struct wanderer *wanderer = arg;
	while (atomic_load_u32_acquire(&wanderer->stop) == 0) {
		if (cpu_now() != wanderer->cpu)
			(void)atomic_fetch_add_u32_relaxed(&wanderer->strays, 1);
		if (clock_now_ns() % 3 == 0)
			sleep_ns(2000);
		else
			let_in();
	}
}

// Pinned threads stay where they are, whoever is idle.
TEST_CPUS(sched, pinned_threads_are_not_stolen, 3)
{
	struct wanderer wanderers[6] = {0};
	struct thread *threads[6];
	for (uint32_t i = 0; i < 6; i++) {
		wanderers[i].cpu = 1 + i % 2;
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, wanderers[i].cpu, body_wanderer, &wanderers[i]);
	}
	for (uint32_t i = 0; i < loops(50, 5); i++) {
		sleep_ns(50000);
		CHECK_EQ(sched_check(), 0);
	}
	for (uint32_t i = 0; i < 6; i++) {
		atomic_store_u32_release(&wanderers[i].stop, 1);
		join(test_run_, threads[i]);
		CHECK_EQ(wanderers[i].strays, 0);
	}
}

// What the wanderer may use since the last change returned: even versions stand still.
struct ward {
	uint32_t stop;    // atomic
	uint32_t strays;  // atomic
	uint32_t version; // atomic: odd while its mask changes
	uint32_t allowed; // atomic: bit per CPU
	struct thread *thread;
};

static void body_ward(void *arg)
{
	struct ward *ward = arg;
	for (uint32_t i = 0; atomic_load_u32_acquire(&ward->stop) == 0; i++) {
		uint32_t before = atomic_load_u32_seq_cst(&ward->version);
		uint32_t allowed = atomic_load_u32_seq_cst(&ward->allowed);
		uint32_t cpu = cpu_now();
		uint32_t after = atomic_load_u32_seq_cst(&ward->version);
		if (before == after && before % 2 == 0 && (allowed >> cpu & 1u) == 0)
			(void)atomic_fetch_add_u32_relaxed(&ward->strays, 1);
		if (i % 16 == 0)
			sleep_ns(2000);
		else if (i % 4 == 0)
			thread_yield();
		else
			let_in();
	}
}

static void ward_move(TEST_RUN, struct ward *ward, uint32_t cpu)
{
	struct cpu_mask mask = mask_of(cpu);
	uint32_t version = atomic_load_u32_relaxed(&ward->version);
	atomic_store_u32_seq_cst(&ward->version, version + 1);
	CHECK_EQ(thread_set_affinity(ward->thread, &mask), 0);
	atomic_store_u32_seq_cst(&ward->allowed, 1u << cpu);
	atomic_store_u32_seq_cst(&ward->version, version + 2);
}

// Masks of threads that run, wait, sleep and are under way, changed by somebody else: in force when the change returns.
TEST_CPUS(sched, masks_change_under_way, 3)
{
	struct ward wards[6] = {0};
	for (uint32_t i = 0; i < 6; i++) {
		wards[i].allowed = UINT32_MAX;
		wards[i].thread = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, body_ward, &wards[i]);
	}
	for (uint32_t i = 0; i < loops(1500, 20); i++) {
		ward_move(test_run_, &wards[i * 5 % 6], i * 7 % 3);
		if (i % 4 == 0)
			CHECK_EQ(sched_check(), 0);
		if (i % 8 == 0)
			CHECK_EQ(sched_isolate(2, i % 16 == 0), 0);
		if (i % 32 == 0)
			sleep_ns(2000);
	}
	CHECK_EQ(sched_isolate(2, false), 0);
	for (uint32_t i = 0; i < 6; i++) {
		atomic_store_u32_release(&wards[i].stop, 1);
		join(test_run_, wards[i].thread);
		CHECK_EQ(wards[i].strays, 0);
	}
}

static bool all_apart(struct hog *hogs, uint32_t count)
{
	uint32_t seen = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct thread_info info = info_of(hogs[i].thread);
		if (info.state != THREAD_RUNNING || (seen >> info.cpu & 1u) != 0)
			return false;
		seen |= 1u << info.cpu;
	}
	return true;
}

// As many hogs as CPUs but one, all made to start on one CPU: the idle ones take theirs.
TEST_CPUS(sched, idle_cpus_steal, 3)
{
	struct hog hogs[2] = {0};
	struct cpu_mask any = mask_of(ANY_CPU);
	move_to(test_run_, 0);
	for (uint32_t i = 0; i < 2; i++)
		hogs[i].thread = spawn(test_run_, CLASS_FAIR, 0, 1, hog_body, &hogs[i]);
	for (uint32_t i = 0; i < 2; i++)
		CHECK_EQ(thread_set_affinity(hogs[i].thread, &any), 0);
	while (!all_apart(hogs, 2))
		sleep_ns(20000);
	CHECK_EQ(sched_check(), 0);
	for (uint32_t i = 0; i < 2; i++)
		hog_stop(test_run_, &hogs[i]);
}

// New threads spread over idle CPUs without anybody's help.
TEST_CPUS(sched, new_threads_go_to_idle_cpus, 3)
{
	struct hog hogs[2] = {0};
	move_to(test_run_, 0);
	sleep_ns(100000);
	for (uint32_t i = 0; i < 2; i++)
		hogs[i].thread = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, hog_body, &hogs[i]);
	while (!all_apart(hogs, 2))
		sleep_ns(20000);
	for (uint32_t i = 0; i < 2; i++)
		hog_stop(test_run_, &hogs[i]);
}

TEST_CPUS(sched, isolation_clears_a_cpu, 3)
{
	struct hog hogs[3] = {0}, own = {0};
	uint32_t last = kernel_self()->cpu_count - 1;
	for (uint32_t i = 0; i < 3; i++)
		hogs[i].thread = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, hog_body, &hogs[i]);
	own.thread = spawn(test_run_, CLASS_FAIR, 0, last, hog_body, &own);
	CHECK_EQ(sched_isolate(last, true), 0);
	for (uint32_t i = 0; i < loops(20, 3); i++) {
		for (uint32_t j = 0; j < 3; j++)
			CHECK(cpu_of(hogs[j].thread) != last);
		CHECK_EQ(cpu_of(own.thread), last);
		CHECK(cpu_now() != last);
		CHECK_EQ(sched_check(), 0);
		sleep_ns(30000);
	}
	struct cpu_info info;
	CHECK_EQ(sched_cpu_info(last, &info), 0);
	CHECK_EQ(info.isolated, 1);
	hog_stop(test_run_, &own);
	for (uint32_t j = 0; j < 3; j++)
		CHECK(cpu_of(hogs[j].thread) != last); // it does not steal, either
	CHECK_EQ(sched_isolate(last, false), 0);
	for (uint32_t i = 0; i < 3; i++)
		hog_stop(test_run_, &hogs[i]);
}

static void body_park(void *arg)
{
	*(err_t *)arg = thread_park(TB_FOREVER);
}

// A thread that may run on two CPUs only cannot be left without both.
TEST_CPUS(sched, isolation_leaves_everybody_a_cpu, 3)
{
	struct cpu_mask two = mask_of(1);
	struct thread_params params = {.klass = CLASS_FAIR, .affinity = &two};
	struct thread *thread;
	err_t parked = 1;
	cpu_mask_set(&two, 2);
	REQUIRE(thread_start(&params, body_park, &parked, &thread) == 0);
	CHECK_EQ(sched_isolate(1, true), 0);
	CHECK_EQ(sched_isolate(2, true), -EBUSY);
	CHECK_EQ(sched_isolate(1, false), 0);
	CHECK_EQ(sched_isolate(2, true), 0);
	thread_unpark(thread);
	join(test_run_, thread);
	CHECK_EQ(parked, 0);
	CHECK_EQ(sched_isolate(2, false), 0);
}

struct visit {
	uint32_t cpu, in_interrupt, masked;
};

static void visit_note(void *arg)
{
	struct visit *visit = arg;
	visit->cpu = this_cpu()->hal.index;
	visit->in_interrupt = in_interrupt();
	visit->masked = hal_irq_masked();
}

TEST(sched, cpu_call_runs_there)
{
	for (uint32_t i = 0; i < loops(20, 3); i++) {
		for (uint32_t cpu = 0; cpu < kernel_self()->cpu_count; cpu++) {
			struct visit visit = {.cpu = UINT32_MAX};
			CHECK_EQ(cpu_call(cpu, visit_note, &visit), 0);
			CHECK_EQ(visit.cpu, cpu);
			CHECK(visit.in_interrupt && visit.masked);
		}
	}
	CHECK_EQ(cpu_call(kernel_self()->cpu_count, visit_note, NULL), -EINVAL);
}

struct caller {
	uint32_t target, rounds;
	uint32_t calls; // atomic
};

static void call_count(void *arg)
{
	(void)atomic_fetch_add_u32_relaxed((uint32_t *)arg, 1);
}

static void body_caller(void *arg)
{
	struct caller *caller = arg;
	for (uint32_t i = 0; i < caller->rounds; i++) {
		err_t err = cpu_call(caller->target, call_count, &caller->calls);
		if (err != 0)
			return;
	}
}

// All call each other at once: who waits is callable.
TEST_CPUS(sched, cpus_call_each_other, 3)
{
	struct caller callers[6];
	struct thread *threads[6];
	for (uint32_t i = 0; i < 6; i++) {
		callers[i] = (struct caller){.target = (i + 1 + i / 3) % 3, .rounds = loops(100, 10)};
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, i % 3, body_caller, &callers[i]);
	}
	for (uint32_t i = 0; i < 6; i++) {
		join(test_run_, threads[i]);
		CHECK_EQ(callers[i].calls, callers[i].rounds);
	}
}
