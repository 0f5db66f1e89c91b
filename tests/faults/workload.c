// SPDX-License-Identifier: MIT
//
// The kernel's half of the allocation failure test: a workload that allocates in every way there is and treats each
// refusal as an error to be handled, never as a reason to leave something behind.
#include "faults_entry.h"

#include "kern/mem.h"
#include "kern/monitor.h"
#include "kern/rcu.h"
#include "kern/sched.h"

#define OBJECTS 40u

static void worker(void *arg)
{
	struct semaphore *sem = arg;
	void *memory = kmalloc(3000, MEM_ZERO);
	sleep_ns(1000);
	kfree(memory);
	sem_up(sem);
}

static err_t work_threads(void)
{
	struct semaphore done;
	struct thread *threads[3] = {NULL};
	err_t err = 0;
	uint32_t count = 0;

	sem_init(&done, 0, "faults");
	while (count < array_count(threads) && err == 0) {
		err = thread_start(NULL, worker, &done, &threads[count]);
		count += err == 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		sem_down(&done);
		err_t joined = thread_join(threads[i], NULL);
		VERIFY(joined == 0);
	}
	return err;
}

static err_t work_cache(void)
{
	struct slab_params params = {.name = "faults", .size_bytes = 200};
	struct slab_cache *cache;
	void *objects[OBJECTS];
	uint32_t count = 0;
	err_t err = slab_cache_create(&params, &cache);
	if (err != 0)
		return err;
	while (count < OBJECTS && (objects[count] = slab_alloc(cache, 0)) != NULL)
		count++;
	err = count == OBJECTS ? 0 : -ENOMEM;
	while (count > 0)
		slab_free(cache, objects[--count]);
	err_t destroyed = slab_cache_destroy(cache);
	VERIFY(destroyed == 0);
	return err;
}

static err_t work_sizes(void)
{
	static const size_t sizes[] = {1, 24, 100, 500, 2000, 8000, 9000, 70000, 300000};
	void *blocks[array_count(sizes)] = {NULL};
	err_t err = 0;
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		blocks[i] = kmalloc(sizes[i], 0);
		void *grown = blocks[i] != NULL ? krealloc(blocks[i], sizes[i] * 2, 0) : NULL;
		if (grown != NULL)
			blocks[i] = grown;
		if (blocks[i] == NULL || grown == NULL)
			err = -ENOMEM;
	}
	for (uint32_t i = 0; i < array_count(sizes); i++)
		kfree(blocks[i]);
	return err;
}

static err_t work_frames(void)
{
	struct account *account;
	struct frame_reservation reservation;
	err_t err = account_create(account_root(), "faults", 0, &account);
	if (err != 0)
		return err;
	err = frame_reserve(&reservation, 4, account);
	if (err == 0) {
		void *frame = frame_alloc_reserved(&reservation, 0);
		VERIFY(frame != NULL);
		frame_free(frame, 0);
		frame_unreserve(&reservation);
	}
	void *frames = frame_alloc(3, MEM_ZERO, account);
	if (frames != NULL)
		frame_free(frames, 3);
	else
		err = -ENOMEM;
	void *range = range_alloc(5 * FRAME_SIZE, 0, account);
	if (range != NULL)
		range_free(range);
	else
		err = -ENOMEM;
	account_release(account);
	return err;
}

int64_t tb_faults_workload(void *arg)
{
	static const char commands[] =
		"ps; top -d 1; mem; slab; locks; timers; trace; dmesg; cpus -j; counters; stress --workers 2";
	err_t results[] = {work_threads(), work_cache(), work_sizes(), work_frames()};
	struct tb_faults_result *result = arg;
	for (uint32_t i = 0; i < array_count(results); i++)
		result->errors += results[i] != 0;
	result->status = monitor_run_line(commands, sizeof commands - 1);
	rcu_synchronize();
	return 0;
}
