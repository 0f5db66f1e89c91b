// SPDX-License-Identifier: MIT
//
// Disks of the threads engine. What the host can do without waiting is done by the thread that submits. Everything else goes to a libuv loop of the
// instance's, whose pool does it; the end is put in a ring and the CPU that submitted is rung.
#include "thr_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct job {
	struct thr_disks *disks;
	struct hal_block_request request; // its segments are the kernel's, until it is done
	uint32_t cpu;
	tb_err err;
	struct job *next; // lock: submitted, or done
};

// A job in the pool. The job is told done before libuv is done with this, and its slot may be used again at once.
struct job_work {
	uv_work_t work;
	struct job *job;
};

struct thr_disks {
	struct tb_instance *instance;
	uv_loop_t loop;
	uv_async_t wake;
	uv_thread_t thread;
	uint32_t ready; // atomic: done jobs that nobody has taken
	pthread_mutex_t lock;
	bool closing;
	struct job *submitted, **submitted_tail;
	struct job *done, **done_tail;
	struct job jobs[]; // disk × HAL_BLOCK_DEPTH + slot
};

static void list_push(struct job ***tail, struct job *job)
{
	job->next = NULL;
	**tail = job;
	*tail = &job->next;
}

static struct job *list_take(struct job **head, struct job ***tail)
{
	struct job *jobs = *head;
	*head = NULL;
	*tail = head;
	return jobs;
}

static void job_end(struct job *job, tb_err err)
{
	struct thr_disks *disks = job->disks;
	struct thr_instance *thr = thr_of(disks->instance);
	uint32_t cpu = job->cpu;

	job->err = err;
	pthread_mutex_lock(&disks->lock);
	list_push(&disks->done_tail, job);
	__atomic_fetch_add(&disks->ready, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&disks->lock);
	thr_ring(&thr->cpus[cpu], HAL_IRQ_BLOCK, NULL);
}

// On a thread of libuv's pool.
static void job_run(uv_work_t *work)
{
	struct job *job = ((struct job_work *)work)->job;
	job_end(job, host_disk_run(&job->disks->instance->disks[job->request.disk], &job->request));
}

static void job_ran(uv_work_t *work, int status)
{
	(void)status;
	free(work);
}

static void job_start(struct job *job)
{
	struct job_work *work = malloc(sizeof *work);
	if (work == NULL) {
		job_end(job, -EIO);
		return;
	}
	work->job = job;
	uv_queue_work(&job->disks->loop, &work->work, job_run, job_ran);
}

static void on_wake(uv_async_t *wake)
{
	struct thr_disks *disks = wake->data;
	pthread_mutex_lock(&disks->lock);
	struct job *job = list_take(&disks->submitted, &disks->submitted_tail), *next = NULL;
	bool closing = disks->closing;
	pthread_mutex_unlock(&disks->lock);
	for (; job != NULL && !closing; job = next) {
		next = job->next;
		job_start(job);
	}
	if (closing)
		uv_close((uv_handle_t *)&disks->wake, NULL);
}

static void loop_main(void *arg)
{
	struct thr_disks *disks = arg;
	uv_run(&disks->loop, UV_RUN_DEFAULT);
}

static int loop_start(struct thr_disks *disks)
{
	int err = uv_loop_init(&disks->loop);
	if (err != 0)
		return err;
	err = uv_async_init(&disks->loop, &disks->wake, on_wake);
	disks->wake.data = disks;
	if (err == 0) {
		err = uv_thread_create(&disks->thread, loop_main, disks);
		if (err != 0) {
			uv_close((uv_handle_t *)&disks->wake, NULL);
			uv_run(&disks->loop, UV_RUN_DEFAULT);
		}
	}
	if (err != 0)
		uv_loop_close(&disks->loop);
	return err;
}

tb_err thr_disks_open(struct tb_instance *instance)
{
	size_t count = (size_t)instance->disk_count * HAL_BLOCK_DEPTH;
	if (count == 0)
		return 0;
	struct thr_disks *disks = calloc(1, sizeof *disks + count * sizeof disks->jobs[0]);
	if (disks == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	disks->instance = instance;
	disks->submitted_tail = &disks->submitted;
	disks->done_tail = &disks->done;
	pthread_mutex_init(&disks->lock, NULL);
	for (size_t i = 0; i < count; i++)
		disks->jobs[i].disks = disks;
	int err = loop_start(disks);
	if (err != 0) {
		pthread_mutex_destroy(&disks->lock);
		free(disks);
		return host_fail(NULL, err, "disks: %s", strerror(-err));
	}
	thr_of(instance)->disks = disks;
	return 0;
}

// What runs in the pool ends first: it uses the instance's RAM.
void thr_disks_close(struct tb_instance *instance)
{
	struct thr_disks *disks = thr_of(instance)->disks;
	if (disks == NULL)
		return;
	pthread_mutex_lock(&disks->lock);
	disks->closing = true;
	pthread_mutex_unlock(&disks->lock);
	uv_async_send(&disks->wake);
	uv_thread_join(&disks->thread);
	uv_loop_close(&disks->loop);
	pthread_mutex_destroy(&disks->lock);
	free(disks);
	thr_of(instance)->disks = NULL;
}

tb_err thr_block_submit(struct tb_instance *instance, const struct hal_block_request *request, bool *done)
{
	struct thr_disks *disks = thr_of(instance)->disks;
	struct job *job = &disks->jobs[(size_t)request->disk * HAL_BLOCK_DEPTH + request->slot];
	tb_err err = host_disk_try(&instance->disks[request->disk], request);

	*done = err != -EAGAIN;
	if (*done)
		return err;
	job->request = *request;
	job->cpu = host_thread_current()->cpu;
	pthread_mutex_lock(&disks->lock);
	list_push(&disks->submitted_tail, job);
	pthread_mutex_unlock(&disks->lock);
	uv_async_send(&disks->wake);
	return 0;
}

bool thr_block_take(struct tb_instance *instance, uint32_t *disk, uint32_t *slot, tb_err *err)
{
	struct thr_disks *disks = thr_of(instance)->disks;
	if (disks == NULL || __atomic_load_n(&disks->ready, __ATOMIC_SEQ_CST) == 0)
		return false;
	pthread_mutex_lock(&disks->lock);
	struct job *job = disks->done;
	if (job != NULL) {
		disks->done = job->next;
		if (disks->done == NULL)
			disks->done_tail = &disks->done;
		__atomic_fetch_sub(&disks->ready, 1, __ATOMIC_SEQ_CST);
		*disk = job->request.disk;
		*slot = job->request.slot;
		*err = job->err;
	}
	pthread_mutex_unlock(&disks->lock);
	return job != NULL;
}
