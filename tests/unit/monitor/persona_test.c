// SPDX-License-Identifier: MIT
//
// The persona command: what it shows is true, what it changes is changed, what it refuses stays; also while threads work.
#include "kern/atomic.h"
#include "kern/component.h"
#include "kern/mem.h"
#include "kern/monitor.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"

#define WORKERS 5u

static int32_t run(const char *line)
{
	return monitor_run_line(line, strlen(line));
}

static uint32_t isolated(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		struct cpu_info info;
		count += sched_cpu_info(i, &info) == 0 && info.isolated != 0;
	}
	return count;
}

TEST(persona, shows_what_there_is)
{
	CHECK_EQ(run("persona list"), 0);
	CHECK_EQ(run("persona list -j"), 0);
	CHECK_EQ(run("persona show"), 0);
	CHECK_EQ(run("persona show -j super_1g"), 0);
	CHECK_EQ(run("persona show nosuch"), 1);
	CHECK_EQ(run("persona"), 2);
	CHECK_EQ(run("persona show a b"), 2);
	CHECK_EQ(run("persona morph"), 2);
}

TEST(persona, morphs_the_slice)
{
	uint64_t before_ns = sched_slice_ns();
	CHECK_EQ(run("persona morph slice=3ms"), 0);
	CHECK_EQ(sched_slice_ns(), 3000000);
	CHECK_EQ(run("persona morph slice=250us"), 0);
	CHECK_EQ(sched_slice_ns(), 250000);
	CHECK_EQ(run("persona morph slice=99us"), 1);
	CHECK_EQ(run("persona morph slice=2s"), 1);
	CHECK_EQ(run("persona morph slice=18446744073709551615s"), 2);
	CHECK_EQ(run("persona morph slice=ms"), 2);
	CHECK_EQ(run("persona morph slice=4"), 2);
	CHECK_EQ(sched_slice_ns(), 250000);
	CHECK_EQ(sched_set_slice_ns(before_ns), 0);
}

TEST(persona, morphs_the_memory)
{
	struct account *root = account_root();
	CHECK_EQ(run("persona morph memory=8M"), 0);
	CHECK_EQ(root->limit_frames, (8u << 20) / FRAME_SIZE);
	CHECK(range_alloc(9u << 20, 0, root) == NULL);
	CHECK_EQ(run("persona morph memory=1K"), 1);
	CHECK_EQ(run("persona morph memory=1000G"), 1);
	CHECK_EQ(run("persona morph memory=17179869184G"), 2);
	CHECK_EQ(run("persona morph memory=0M"), 2);
	CHECK_EQ(root->limit_frames, (8u << 20) / FRAME_SIZE);
	CHECK_EQ(run("persona morph memory=all"), 0);
	CHECK_EQ(root->limit_frames, 0);
	void *memory = range_alloc(9u << 20, 0, root);
	CHECK(memory != NULL);
	if (memory != NULL)
		range_free(memory);
}

TEST_CPUS(persona, morphs_the_cpus, 3)
{
	uint32_t count = kernel_self()->cpu_count;
	CHECK_EQ(run("persona morph cpus=1"), 0);
	CHECK_EQ(isolated(), count - 1);
	CHECK_EQ(run("persona morph cpus=2"), 0);
	CHECK_EQ(isolated(), count - 2);
	CHECK_EQ(run("persona morph cpus=65"), 1);
	CHECK_EQ(run("persona morph cpus=0"), 2);
	CHECK_EQ(run("persona morph cpus=-1"), 2);
	CHECK_EQ(run("persona morph what=1"), 2);
	CHECK_EQ(isolated(), count - 2);
	CHECK_EQ(run("persona morph cpus=3"), 0);
	CHECK_EQ(isolated(), count - 3);
	char line[] = "persona morph cpus=?";
	line[sizeof line - 2] = (char)('0' + count);
	CHECK_EQ(count < 10 ? run(line) : 0, 0);
}

struct crew {
	uint32_t stop, rounds; // atomic
};

static void worker_main(void *arg)
{
	struct crew *crew = arg;
	while (atomic_load_u32_acquire(&crew->stop) == 0) {
		void *memory = kmalloc(300, 0);
		kfree(memory);
		(void)atomic_fetch_add_u32_relaxed(&crew->rounds, 1);
		thread_yield();
	}
}

// Under ThreadSanitizer these threads hardly get on on real CPUs: that takes minutes (--slow).
TEST_WITH(persona, morphs_while_threads_work, 3, CONFIG_TSAN ? TEST_SLOW : 0, NULL)
{
	static const char *const lines[] = {"persona morph cpus=1", "persona morph cpus=3 slice=1ms",
					    "persona morph cpus=2 memory=16M", "persona morph cpus=1 slice=8ms",
					    "persona morph cpus=3 memory=all"};
	struct thread *threads[WORKERS];
	struct crew crew = {0};
	uint32_t started = 0;

	for (; started < WORKERS; started++)
		if (thread_start(NULL, worker_main, &crew, &threads[started]) != 0)
			break;
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 5, 0), 0);
	for (uint32_t i = 0; i < 15; i++) {
		CHECK_EQ(run(lines[i % array_count(lines)]), 0);
		uint32_t before = atomic_load_u32_relaxed(&crew.rounds);
		while (atomic_load_u32_relaxed(&crew.rounds) < before + 20) // they still get on
			sleep_ns(20000);
		CHECK_EQ(sched_check(), 0);
	}
	atomic_store_u32_release(&crew.stop, 1);
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	CHECK_EQ(isolated(), kernel_self()->cpu_count - 3);
	for (uint32_t i = 1; i < kernel_self()->cpu_count; i++)
		CHECK_EQ(sched_isolate(i, false), 0);
}
