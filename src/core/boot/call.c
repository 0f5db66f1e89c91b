// SPDX-License-Identifier: MIT
//
// Threads that serve the host's calls. HAL_IRQ_CALL wakes one on the CPU that took the interrupt, which is the one that the
// calling host thread drives; it takes the call, runs it, and reports. The pool grows by one whenever its last idle thread
// takes a call, so that calls which sleep do not block others, up to CALL_THREADS_MAX.
#include "boot_impl.h"

#include "hal/call.h"
#include "kern/atomic.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/rcu.h"

#define CALL_THREADS_MAX 64

struct call_state {
	struct waitq queue;
	uint32_t idle;     // atomic: threads that take or wait
	uint32_t total;    // under grow
	uint32_t stopping; // atomic
	struct mutex grow;
	struct thread *threads[CALL_THREADS_MAX];
};

static void call_main(void *arg);

static err_t call_grow(struct call_state *calls)
{
	struct thread_params params = {
		.name = "call",
		.klass = CLASS_FAIR,
		.flags = THREAD_FLAG_API | THREAD_FLAG_KERNEL_SERVICE,
		.account = account_root(),
	};
	err_t err = 0;

	mutex_lock(&calls->grow);
	if (calls->total < CALL_THREADS_MAX && atomic_load_u32_acquire(&calls->stopping) == 0) {
		atomic_fetch_add_u32_acq_rel(&calls->idle, 1);
		err = thread_start(&params, call_main, calls, &calls->threads[calls->total]);
		if (err == 0)
			calls->total++;
		else
			atomic_fetch_sub_u32_acq_rel(&calls->idle, 1);
	}
	mutex_unlock(&calls->grow);
	return err;
}

static bool call_next(struct call_state *calls, struct hal_call *call)
{
	bool taken = false;
	err_t err = waitq_wait_until(&calls->queue,
				     (taken = hal_call_take(call)) || atomic_load_u32_acquire(&calls->stopping) != 0,
				     TB_FOREVER);
	return err == 0 && taken;
}

static void call_main(void *arg)
{
	struct call_state *calls = arg;
	struct hal_call call;

	while (call_next(calls, &call)) {
		current->call_token = call.token;
		if (atomic_fetch_sub_u32_acq_rel(&calls->idle, 1) == 1 && call_grow(calls) != 0)
			log_warn("call: no memory for another call thread");
		int64_t result = call.fn(call.arg);
		atomic_fetch_add_u32_acq_rel(&calls->idle, 1);
		current->call_token = 0;
		hal_call_done(call.token, result);
	}
}

static void call_interrupt(uint32_t bits)
{
	(void)bits;
	waitq_wake(&kernel_self()->boot->calls->queue, 1);
}

static void stop_interrupt(uint32_t bits)
{
	(void)bits;
	shutdown_request(0);
}

err_t call_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)info;
	struct call_state *calls = kmalloc(sizeof *calls, MEM_ZERO);
	if (calls == NULL)
		return ERR(ENOMEM);
	waitq_init(&calls->queue, "call: idle threads");
	mutex_init(&calls->grow, LOCK_RANK_BOOT, "call: grow");
	kernel->boot->calls = calls;
	err_t err = call_grow(calls);
	if (err != 0) {
		kernel->boot->calls = NULL;
		mutex_fini(&calls->grow);
		kfree(calls);
		return err;
	}
	irq_handler_set(HAL_IRQ_CALL, call_interrupt);
	irq_handler_set(HAL_IRQ_STOP, stop_interrupt);
	return 0;
}

void call_stop(void)
{
	struct call_state *calls = kernel_self()->boot->calls;
	irq_handler_set(HAL_IRQ_CALL, NULL);
	rcu_synchronize(); // an interrupt that still saw the handler has returned
	atomic_store_u32_release(&calls->stopping, 1);
	waitq_wake_all(&calls->queue);
	for (uint32_t i = 0; i < calls->total; i++) {
		err_t err = thread_join(calls->threads[i], NULL);
		VERIFY(err == 0);
	}
	mutex_fini(&calls->grow);
	kernel_self()->boot->calls = NULL;
	kfree(calls);
}
