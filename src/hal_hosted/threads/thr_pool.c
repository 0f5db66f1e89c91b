// SPDX-License-Identifier: MIT
//
// The process-wide pool of workers: host threads that become homes of CPUs and go back when the instance ends. An instance
// reserves as many as it has CPUs when it is created, so that giving a CPU its home later cannot fail. Workers live as
// long as the process and block every signal but the doorbell and faults.
#include "thr_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum worker_ready {
	READY_NOT,
	READY_OK,
	READY_FAILED
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t worker_count; // under lock
static uint32_t reserved;     // under lock
static uint32_t free_lock;    // spin; taken on kernel stacks too, with interrupts masked
static struct thr_worker *free_workers;

// ---- the free list ----------------------------------------------------------------------------------------------------

// Held for a few instructions; a holder that the host has preempted is waited for by yielding.
static void free_list_lock(void)
{
	while (__atomic_exchange_n(&free_lock, 1, __ATOMIC_ACQUIRE) != 0)
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

static void free_list_unlock(void)
{
	__atomic_store_n(&free_lock, 0, __ATOMIC_RELEASE);
}

static void worker_give(struct thr_worker *worker)
{
	free_list_lock();
	worker->next_free = free_workers;
	free_workers = worker;
	free_list_unlock();
}

static struct thr_worker *worker_take(void)
{
	free_list_lock();
	struct thr_worker *worker = free_workers;
	if (worker != NULL)
		free_workers = worker->next_free;
	free_list_unlock();
	return worker;
}

// ---- a worker's life --------------------------------------------------------------------------------------------------

static void worker_kick(struct thr_worker *worker)
{
	if (__atomic_exchange_n(&worker->word, WORKER_KICKED, __ATOMIC_SEQ_CST) == WORKER_SLEEPS)
		host_futex_wake(&worker->word, 1);
}

static void worker_look(struct thr_worker *worker)
{
	__atomic_fetch_add(&worker->busy, 1, __ATOMIC_SEQ_CST);
	struct thr_cpu *cpu = __atomic_load_n(&worker->cpu, __ATOMIC_SEQ_CST);
	while (cpu != NULL && thr_cpu_pending(cpu) && thr_cpu_claim(cpu, worker->thread))
		thr_cpu_drive(cpu, worker->thread, NULL);
	__atomic_fetch_sub(&worker->busy, 1, __ATOMIC_SEQ_CST);
}

static void worker_loop(struct thr_worker *worker)
{
	for (;;) {
		uint32_t looks = WORKER_LOOKS;
		__atomic_store_n(&worker->word, WORKER_LOOKS, __ATOMIC_SEQ_CST);
		worker_look(worker);
		if (__atomic_compare_exchange_n(&worker->word, &looks, WORKER_SLEEPS, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			host_futex_wait(&worker->word, WORKER_SLEEPS, NULL);
	}
}

static void *worker_main(void *arg)
{
	struct thr_worker *worker = arg;
	pthread_setname_np(pthread_self(), "tbos-cpu");
	worker->thread = host_thread_self();
	bool ok = worker->thread != NULL && thr_timer_create(worker) == 0;
	if (ok)
		thr_signal_unblock();
	__atomic_store_n(&worker->ready, ok ? READY_OK : READY_FAILED, __ATOMIC_RELEASE);
	host_futex_wake(&worker->ready, 1);
	if (ok)
		worker_loop(worker);
	return NULL;
}

static tb_err worker_create(void)
{
	struct thr_worker *worker = calloc(1, sizeof *worker);
	if (worker == NULL)
		return host_fail(NULL, -EAGAIN, "no host memory for a thread");
	worker->armed_ns = TB_FOREVER;
	int error = host_thread_start(NULL, worker_main, worker);
	if (error != 0) {
		free(worker);
		return host_fail(NULL, -EAGAIN, "cannot start a host thread: %s", strerror(error));
	}
	while (__atomic_load_n(&worker->ready, __ATOMIC_ACQUIRE) == READY_NOT)
		host_futex_wait(&worker->ready, READY_NOT, NULL);
	if (worker->ready == READY_FAILED) // its thread ends; the record stays, because the thread may still look at it
		return host_fail(NULL, -EAGAIN, "cannot make a host timer");
	worker_give(worker);
	worker_count++;
	return 0;
}

// A forked child has none of the workers: it starts with an empty pool, for instances of its own.
static void fork_before(void)
{
	pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void fork_child(void)
{
	worker_count = 0;
	reserved = 0;
	free_lock = 0;
	free_workers = NULL;
	thr_signal_forked();
	pthread_mutex_unlock(&lock);
}

static void once_init(void)
{
	if (pthread_atfork(fork_before, fork_parent, fork_child) != 0)
		abort();
}

tb_err thr_pool_reserve(uint32_t count)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	tb_err err = 0;
	pthread_once(&once, once_init);
	pthread_mutex_lock(&lock);
	while (err == 0 && worker_count < reserved + count)
		err = worker_create();
	if (err == 0)
		reserved += count;
	pthread_mutex_unlock(&lock);
	return err;
}

void thr_pool_unreserve(uint32_t count)
{
	pthread_mutex_lock(&lock);
	reserved -= count;
	pthread_mutex_unlock(&lock);
}

// ---- homes ------------------------------------------------------------------------------------------------------------

static void worker_drop_cpu(struct thr_worker *worker)
{
	__atomic_store_n(&worker->cpu, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&worker->busy, __ATOMIC_SEQ_CST) != 0)
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
	worker_give(worker);
}

// The reservation is exact; when two race for one home there may be none left for a moment.
struct thr_worker *thr_home(struct thr_cpu *cpu)
{
	for (;;) {
		struct thr_worker *home = __atomic_load_n(&cpu->home, __ATOMIC_SEQ_CST);
		if (host_likely(home != NULL))
			return home;
		struct thr_worker *worker = worker_take();
		if (worker == NULL) {
			host_syscall(SYS_sched_yield, 0, 0, 0, 0);
			continue;
		}
		__atomic_store_n(&worker->cpu, cpu, __ATOMIC_SEQ_CST);
		if (__atomic_compare_exchange_n(&cpu->home, &home, worker, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return worker;
		worker_drop_cpu(worker);
	}
}

void thr_home_kick(struct thr_cpu *cpu)
{
	worker_kick(thr_home(cpu));
}

void thr_home_release(struct thr_cpu *cpu)
{
	if (cpu->home != NULL)
		worker_drop_cpu(cpu->home);
	cpu->home = NULL;
}
