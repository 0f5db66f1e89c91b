// SPDX-License-Identifier: MIT
//
// Figures: a thread's times add up to its life, a CPU's to the time it has been up; and everything at once, checked all the time.
#include "sched_test.h"

struct living {
	uint32_t stop;  // atomic
	uint32_t alive; // atomic
	uint64_t born_ns;
};

static void body_live(void *arg)
{
	struct living *living = arg;
	living->born_ns = clock_now_ns();
	atomic_store_u32_release(&living->alive, 1);
	while (atomic_load_u32_acquire(&living->stop) == 0) {
		uint64_t end_ns = clock_now_ns() + 20000;
		while (clock_now_ns() < end_ns)
			let_in();
		sleep_ns(10000);
		thread_yield();
	}
}

TEST(sched, times_add_up)
{
	struct living living = {0};
	struct hog hog = {0};
	uint64_t begin_ns = clock_now_ns();
	CHECK_EQ(sched_set_slice_ns(200000), 0);
	struct thread *thread = spawn(test_run_, CLASS_FAIR, 0, 0, body_live, &living);
	hog.thread = spawn(test_run_, CLASS_FAIR, 0, 0, hog_body, &hog);
	wait_until(&living.alive, 1);
	for (uint32_t i = 0; i < 20; i++) {
		sleep_ns(50000);
		uint64_t before_ns = clock_now_ns();
		struct thread_stats stats = info_of(thread).stats;
		uint64_t after_ns = clock_now_ns();
		uint64_t sum_ns = stats.run_ns + stats.wait_ns + stats.park_ns;
		CHECK(sum_ns <= after_ns - begin_ns);
		CHECK(sum_ns >= before_ns - living.born_ns);
		CHECK(stats.wait_max_ns <= stats.wait_ns);
	}
	while (info_of(thread).stats.wakeups < 3)
		sleep_ns(50000);
	struct thread_stats stats = info_of(thread).stats;
	CHECK(stats.switches >= 3);
	CHECK(stats.run_ns >= 3 * 20000);
	CHECK(stats.park_ns >= 3 * 10000);
	CHECK(stats.wait_ns > 0);
	atomic_store_u32_release(&living.stop, 1);
	join(test_run_, thread);
	hog_stop(test_run_, &hog);
}

TEST(sched, cpu_times_add_up)
{
	struct cpu_info info;
	sleep_ns(200000);
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		CHECK_EQ(sched_cpu_info(i, &info), 0);
		CHECK_EQ(info.index, i);
		CHECK_EQ(info.online, 1);
		CHECK(info.busy_ns + info.idle_ns <= clock_now_ns());
		CHECK(info.switches < 1u << 30);
	}
	CHECK_EQ(sched_cpu_info(kernel_self()->cpu_count, &info), -EINVAL);
}

#define CREW 12u

struct crew {
	struct thread *threads[CREW]; // atomic
	uint32_t left;                // atomic: still working
	uint32_t go;                  // atomic
	uint32_t rounds;
	uint32_t failures; // atomic
};

struct member {
	struct crew *crew;
	uint64_t random;
};

static uint32_t member_random(struct member *member)
{
	member->random = member->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(member->random >> 33);
}

static void body_nothing(void *arg)
{
	(void)arg;
}

static err_t member_child(struct member *member)
{
	struct thread_params params = {.klass = CLASS_FAIR,
				       .flags = member_random(member) % 2 ? THREAD_FLAG_DETACHED : 0};
	struct thread *thread;
	err_t err = thread_start(&params, body_nothing, NULL, &thread);
	if (err == 0 && params.flags == 0)
		err = thread_join(thread, NULL);
	return err;
}

static err_t member_affinity(struct member *member)
{
	uint32_t count = kernel_self()->cpu_count;
	struct cpu_mask mask = mask_of(member_random(member) % count);
	cpu_mask_set(&mask, 0); // never isolated
	return thread_set_affinity(current, &mask);
}

static err_t member_step(struct member *member)
{
	uint32_t random = member_random(member);
	switch (member_random(member) % 8) {
	case 0:
		thread_yield();
		return 0;
	case 1:
		return thread_park(clock_now_ns() + random % 20000) == -EINVAL;
	case 2:
		sleep_ns(random % 20000);
		return 0;
	case 3:
		thread_unpark(member->crew->threads[random % CREW]);
		return 0;
	case 4:
		return thread_set_prio(current, random % 3, (int32_t)(random % 100), (int32_t)(random % 40) - 20);
	case 5:
		return member_affinity(member);
	case 6:
		return member_child(member);
	default:
		for (uint32_t i = 0; i < 50; i++)
			let_in();
		return 0;
	}
}

static void body_member(void *arg)
{
	struct member *member = arg;
	wait_until(&member->crew->go, 1);
	for (uint32_t i = 0; i < member->crew->rounds; i++)
		if (member_step(member) != 0)
			(void)atomic_fetch_add_u32_relaxed(&member->crew->failures, 1);
	(void)atomic_fetch_sub_u32_acq_rel(&member->crew->left, 1);
	// Others may still unpark us.
	while (atomic_load_u32_acquire(&member->crew->left) != 0)
		sleep_ns(20000);
}

// Everything a thread may do, at random, on all CPUs, with isolation coming and going and the invariants looked at all the time.
// ThreadSanitizer makes a fiber of each stack, and each switch of it dear: that takes minutes (--slow).
TEST_WITH(sched, everything_at_once, 3, CONFIG_TSAN ? TEST_SLOW : 0, NULL)
{
	struct crew crew = {.left = CREW, .rounds = loops(CONFIG_TSAN ? 40 : 400, 25)};
	struct member members[CREW];
	for (uint32_t i = 0; i < CREW; i++) {
		members[i] = (struct member){&crew, 1000003u * (i + 1)};
		crew.threads[i] = spawn(test_run_, CLASS_FAIR, 0, ANY_CPU, body_member, &members[i]);
		REQUIRE(crew.threads[i] != NULL);
	}
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 0, 0), 0);
	atomic_store_u32_release(&crew.go, 1);
	for (uint32_t i = 0; atomic_load_u32_acquire(&crew.left) != 0; i++) {
		CHECK_EQ(sched_check(), 0);
		if (i % 8 == 0)
			CHECK_EQ(sched_isolate(1 + i / 16 % 2, i % 16 == 0), 0);
		sleep_ns(30000);
	}
	for (uint32_t i = 0; i < CREW; i++)
		join(test_run_, crew.threads[i]);
	CHECK_EQ(crew.failures, 0);
}
