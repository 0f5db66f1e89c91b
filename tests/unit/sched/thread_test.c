// SPDX-License-Identifier: MIT
//
// The life of threads: start, end, join in every order, refusals, the list of all.
#include "sched_test.h"

#include "kern/mem.h"
#include "kern/string.h"

static void body_nothing(void *arg)
{
	(void)arg;
}

static void body_value(void *arg)
{
	thread_exit((int64_t)(intptr_t)arg);
}

static void body_mark(void *arg)
{
	atomic_store_u32_release((uint32_t *)arg, 1);
}

static void body_wait_mark(void *arg)
{
	wait_until(arg, 1);
}

struct id_order {
	uint32_t last, count;
	bool broken;
};

static void id_look(const struct thread_info *info, void *arg)
{
	struct id_order *order = arg;
	order->broken |= info->id <= order->last;
	order->last = info->id;
	order->count++;
}

static uint32_t threads_now(void)
{
	struct id_order order = {0};
	thread_each(id_look, &order);
	return order.count;
}

// Detached threads go when they like.
static void wait_threads(uint32_t count)
{
	while (threads_now() != count)
		sleep_ns(10000);
}

TEST(sched, join_returns_the_exit_value)
{
	const intptr_t big = INTPTR_MAX / 23;
	for (int32_t i = 0; i < 20; i++) {
		struct thread *thread;
		int64_t value = 0;
		REQUIRE(thread_start(NULL, body_value, (void *)(-i * big), &thread) == 0);
		CHECK_EQ(thread_join(thread, &value), 0);
		CHECK_EQ(value, -i * big);
	}
}

TEST(sched, returning_is_exit_with_zero)
{
	struct thread *thread;
	int64_t value = 5;
	REQUIRE(thread_start(NULL, body_nothing, NULL, &thread) == 0);
	CHECK_EQ(thread_join(thread, &value), 0);
	CHECK_EQ(value, 0);
}

TEST(sched, join_after_the_end)
{
	uint32_t mark = 0;
	struct thread *thread;
	REQUIRE(thread_start(NULL, body_mark, &mark, &thread) == 0);
	wait_state(thread, THREAD_DEAD);
	CHECK_EQ(atomic_load_u32_acquire(&mark), 1);
	CHECK_EQ(thread_join(thread, NULL), 0);
}

TEST(sched, join_refuses)
{
	uint32_t mark = 0;
	struct thread_params detached = {.klass = CLASS_FAIR, .flags = THREAD_FLAG_DETACHED};
	struct thread *thread;
	uint32_t before = threads_now();

	CHECK_EQ(thread_join(current, NULL), -EDEADLK);
	REQUIRE(thread_start(&detached, body_wait_mark, &mark, &thread) == 0);
	CHECK_EQ(thread_join(thread, NULL), -EINVAL);
	atomic_store_u32_release(&mark, 1);
	wait_threads(before);
}

TEST(sched, join_times_out_and_can_be_repeated)
{
	uint32_t mark = 0;
	struct thread *thread;
	REQUIRE(thread_start(NULL, body_wait_mark, &mark, &thread) == 0);
	uint64_t deadline_ns = clock_now_ns() + 100000;
	CHECK_EQ(thread_join_until(thread, NULL, deadline_ns), -ETIMEDOUT);
	CHECK(clock_now_ns() >= deadline_ns);
	CHECK_EQ(thread_join_until(thread, NULL, 0), -ETIMEDOUT);
	atomic_store_u32_release(&mark, 1);
	CHECK_EQ(thread_join(thread, NULL), 0);
}

struct second_joiner {
	struct thread *thread;
	err_t err;
};

static void body_join(void *arg)
{
	struct second_joiner *joiner = arg;
	joiner->err = thread_join_until(joiner->thread, NULL, TB_FOREVER);
}

TEST(sched, only_one_may_join)
{
	uint32_t mark = 0;
	struct second_joiner joiner = {0};
	struct thread *thread;
	REQUIRE(thread_start(NULL, body_wait_mark, &mark, &joiner.thread) == 0);
	REQUIRE(thread_start(NULL, body_join, &joiner, &thread) == 0);
	wait_state(thread, THREAD_PARKED);
	CHECK_EQ(thread_join(joiner.thread, NULL), -EINVAL);
	atomic_store_u32_release(&mark, 1);
	join(test_run_, thread);
	CHECK_EQ(joiner.err, 0);
}

// The joiner's time runs out at about the moment the thread ends: whoever wins, nothing is lost.
TEST(sched, join_races_with_its_deadline)
{
	for (uint32_t i = 0; i < loops(300, 10); i++) {
		struct thread *thread;
		REQUIRE(thread_start(NULL, body_nothing, NULL, &thread) == 0);
		err_t err = -ETIMEDOUT;
		for (uint64_t wait_ns = 1; err == -ETIMEDOUT; wait_ns *= 3)
			err = thread_join_until(thread, NULL, clock_now_ns() + wait_ns * 100);
		CHECK_EQ(err, 0);
	}
}

TEST(sched, bad_parameters_are_refused)
{
	struct cpu_mask none = {0};
	const struct thread_params bad[] = {
		{.klass = CLASS_IDLE},
		{.klass = (enum thread_class)9},
		{.klass = CLASS_FIFO, .rt_prio = 100},
		{.klass = CLASS_RR, .rt_prio = -1},
		{.klass = CLASS_FAIR, .nice = 20},
		{.klass = CLASS_FAIR, .nice = -21},
		{.klass = CLASS_FAIR, .affinity = &none},
	};
	struct thread *thread = NULL;
	for (uint32_t i = 0; i < array_count(bad); i++)
		CHECK_EQ(thread_start(&bad[i], body_nothing, NULL, &thread), -EINVAL);
	CHECK(thread == NULL);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 100, 0), -EINVAL);
	CHECK_EQ(thread_set_affinity(current, &none), -EINVAL);
	CHECK_EQ(sched_set_slice_ns(99999), -EINVAL);
	CHECK_EQ(sched_set_slice_ns(1000000001), -EINVAL);
	CHECK_EQ(sched_isolate(0, true), -EINVAL);
	CHECK_EQ(sched_isolate(kernel_self()->cpu_count, true), -EINVAL);
}

TEST(sched, names_are_cut_and_ids_grow)
{
	struct thread_params params = {.name = "a name that is too long", .klass = CLASS_FAIR};
	struct thread *a, *b;
	uint32_t mark = 0;
	REQUIRE(thread_start(&params, body_wait_mark, &mark, &a) == 0);
	REQUIRE(thread_start(NULL, body_wait_mark, &mark, &b) == 0);
	struct thread_info info = info_of(a);
	CHECK_EQ(strncmp(info.name, params.name, sizeof info.name - 1), 0);
	CHECK_EQ(info.name[sizeof info.name - 1], '\0');
	CHECK(b->id > a->id);
	CHECK_EQ(strncmp(info_of(b).name, "thread", sizeof info.name), 0);
	atomic_store_u32_release(&mark, 1);
	join(test_run_, a);
	join(test_run_, b);
}

TEST(sched, the_list_is_in_order)
{
	struct id_order before = {0}, during = {0}, after = {0};
	struct thread *threads[CONFIG_TINY ? 8 : 20];
	uint32_t mark = 0;
	thread_each(id_look, &before);
	for (uint32_t i = 0; i < array_count(threads); i++)
		REQUIRE(thread_start(NULL, body_wait_mark, &mark, &threads[i]) == 0);
	thread_each(id_look, &during);
	atomic_store_u32_release(&mark, 1);
	for (uint32_t i = 0; i < array_count(threads); i++)
		join(test_run_, threads[i]);
	thread_each(id_look, &after);
	CHECK(!before.broken && !during.broken && !after.broken);
	CHECK_EQ(during.count, before.count + array_count(threads));
	CHECK_EQ(after.count, before.count);
}

static void body_count(void *arg)
{
	(void)atomic_fetch_add_u32_acq_rel((uint32_t *)arg, 1);
}

TEST(sched, detached_threads_leave_nothing)
{
	struct thread_params params = {.klass = CLASS_FAIR, .flags = THREAD_FLAG_DETACHED};
	uint32_t before = threads_now();
	uint32_t count = 0;
	uint32_t wanted = loops(500, 30);
	for (uint32_t i = 0; i < wanted; i++) {
		err_t err;
		while ((err = thread_start(&params, body_count, &count, NULL)) != 0 && CONFIG_TINY)
			thread_yield(); // a dozen have room there
		CHECK_EQ(err, 0);
	}
	wait_until(&count, wanted);
	wait_threads(before);
}

static void body_park(void *arg)
{
	if (thread_park(TB_FOREVER) != 0)
		(void)atomic_fetch_add_u32_relaxed((uint32_t *)arg, 1);
}

TEST(sched, a_thousand_threads_give_their_memory_back)
{
	struct frame_info before, after;
	uint32_t count = loops(CONFIG_TSAN ? 100 : 1000, 50);
	struct thread **threads = kmalloc_array(count, sizeof *threads, 0);
	uint32_t failed = 0;
	REQUIRE(threads != NULL);
	frame_drain_caches();
	frame_get_info(&before);
	for (uint32_t i = 0; i < count; i++)
		if (thread_start(NULL, body_park, &failed, &threads[i]) != 0)
			count = i;
	CHECK(count >= (CONFIG_TINY ? 8 : 50));
	for (uint32_t i = 0; i < count; i++) {
		thread_unpark(threads[i]);
		join(test_run_, threads[i]);
	}
	CHECK_EQ(failed, 0);
	kfree(threads);
	frame_drain_caches();
	frame_get_info(&after);
	// Each CPU keeps a few stacks for later.
	uint32_t kept = kernel_self()->cpu_count * 6 * (CONFIG_KSTACK_SIZE / FRAME_SIZE);
	CHECK(after.free + after.cached + kept >= before.free + before.cached);
}

#define EAT_BYTES (CONFIG_KSTACK_SIZE / 32)

static no_inline uint32_t stack_eat(uint32_t depth)
{
	volatile char room[EAT_BYTES];
	uint32_t at = depth * 97 % sizeof room; // not known to the compiler, so that all of the room is real
	room[at] = (char)depth;
	if (depth == 0) {
		thread_yield();
		return (uint32_t)room[at];
	}
	return stack_eat(depth - 1) + (uint32_t)room[at];
}

struct eater {
	uint32_t ready, go;
	uint32_t depth;
};

static void body_eat(void *arg)
{
	struct eater *eater = arg;
	(void)stack_eat(eater->depth);
	atomic_store_u32_release(&eater->ready, 1);
	wait_until(&eater->go, 1);
}

TEST(sched, stack_use_is_seen)
{
	struct eater eaters[2] = {{.depth = 0}, {.depth = 6}};
	struct thread *threads[2];
	uint64_t used[2];
	struct hog hog = {0};
	CHECK_EQ(sched_set_slice_ns(100000), 0);
	// Somebody to yield to, so that the depth is seen at a switch.
	hog.thread = spawn(test_run_, CLASS_FAIR, 0, 0, hog_body, &hog);
	for (uint32_t i = 0; i < 2; i++) {
		threads[i] = spawn(test_run_, CLASS_FAIR, 0, 0, body_eat, &eaters[i]);
		wait_until(&eaters[i].ready, 1);
		used[i] = info_of(threads[i]).stack_used_bytes;
		atomic_store_u32_release(&eaters[i].go, 1);
		join(test_run_, threads[i]);
	}
	hog_stop(test_run_, &hog);
	// An interrupt may have made the shallow one's deeper.
	CHECK(used[0] > 0);
	CHECK(used[0] < CONFIG_KSTACK_SIZE);
	CHECK(used[1] >= 6ull * EAT_BYTES);
	CHECK(used[1] < CONFIG_KSTACK_SIZE);
}
