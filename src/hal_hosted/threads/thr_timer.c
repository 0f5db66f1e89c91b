// SPDX-License-Identifier: MIT
//
// The one-shot timers. thr_impl.h, 3. The kernel's deadline is in thr_cpu.deadline_ns; the host timer of the home worker is
// only a promise to look at it in time, so it may be early (a later deadline or none replaced the one it was set for) and need not
// be touched then: arming costs a system call only when the new deadline is the earliest since the last look.
//
// The CPU stores its deadline, then looks at armed_ns; the handler stores armed_ns = TB_FOREVER, then looks at the deadline
// (all sequentially consistent): one of them sees the other. After setting the timer the handler looks once more,
// because its older setting may have overwritten the CPU's.
#include "thr_impl.h"

#include <errno.h>

host_uninstrumented static uint64_t absolute_ns(const struct thr_cpu *cpu, uint64_t deadline_ns)
{
	uint64_t at;
	if (__builtin_add_overflow(deadline_ns, cpu->instance->clock_base_ns, &at))
		return TB_FOREVER - 1;
	return at;
}

host_uninstrumented static void timer_set(struct thr_worker *worker, uint64_t at_ns)
{
	// Not 0, which would disarm; not beyond what the host's time can hold.
	uint64_t limited = at_ns == 0 ? 1 : at_ns > INT64_MAX ? INT64_MAX : at_ns;
	struct itimerspec setting = {
		.it_value = {.tv_sec = (time_t)(limited / 1000000000u), .tv_nsec = (long)(limited % 1000000000u)}};
	__atomic_store_n(&worker->armed_ns, at_ns, __ATOMIC_SEQ_CST);
	host_syscall(SYS_timer_settime, (uintptr_t)worker->timer, TIMER_ABSTIME, (uintptr_t)&setting, 0);
}

void thr_timer_arm(struct tb_instance *instance, uint64_t deadline_ns)
{
	struct thr_cpu *cpu = thr_cpu_self(instance);
	__atomic_store_n(&cpu->deadline_ns, deadline_ns, __ATOMIC_SEQ_CST);
	if (deadline_ns == TB_FOREVER)
		return;
	host_critical_begin();
	struct thr_worker *worker = thr_home(cpu);
	uint64_t at_ns = absolute_ns(cpu, deadline_ns);
	if (at_ns < __atomic_load_n(&worker->armed_ns, __ATOMIC_SEQ_CST))
		timer_set(worker, at_ns);
	host_critical_end();
}

// thr_ring() for the handler, which runs on the worker's own thread and may have interrupted anything there, its futex wait too.
host_uninstrumented static void timer_ring(struct thr_worker *worker, struct thr_cpu *cpu)
{
	__atomic_fetch_or(&cpu->host->hal->irq_pending, HAL_IRQ_TIMER, __ATOMIC_SEQ_CST);
	const struct host_thread *driver = __atomic_load_n(&cpu->host->driver, __ATOMIC_SEQ_CST);
	if (driver == NULL)
		__atomic_store_n(&worker->word, WORKER_KICKED, __ATOMIC_SEQ_CST);
	else if (driver != worker->thread)
		thr_signal_send(driver);
}

// Whether to look again.
host_uninstrumented static bool deadline_look(struct thr_worker *worker, struct thr_cpu *cpu)
{
	uint64_t deadline_ns = __atomic_load_n(&cpu->deadline_ns, __ATOMIC_SEQ_CST);
	if (deadline_ns == TB_FOREVER)
		return false;
	if (host_clock_mono_ns() >= absolute_ns(cpu, deadline_ns)) {
		// Only once for each arming: a second look finds TB_FOREVER or a new deadline.
		if (__atomic_compare_exchange_n(&cpu->deadline_ns, &deadline_ns, TB_FOREVER, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			timer_ring(worker, cpu);
		return true;
	}
	timer_set(worker, absolute_ns(cpu, deadline_ns));
	return __atomic_load_n(&cpu->deadline_ns, __ATOMIC_SEQ_CST) != deadline_ns;
}

// The CPU too is looked up after the store: the worker may become another CPU's home meanwhile, whose first deadline then
// met the old armed_ns.
host_uninstrumented void thr_timer_fired(struct thr_worker *worker)
{
	struct thr_cpu *cpu;
	__atomic_fetch_add(&worker->busy, 1, __ATOMIC_SEQ_CST);
	do {
		__atomic_store_n(&worker->armed_ns, TB_FOREVER, __ATOMIC_SEQ_CST);
		cpu = __atomic_load_n(&worker->cpu, __ATOMIC_SEQ_CST);
	} while (cpu != NULL && deadline_look(worker, cpu));
	__atomic_fetch_sub(&worker->busy, 1, __ATOMIC_SEQ_CST);
}

// SIGEV_THREAD_ID: to the calling thread, which is the worker's.
tb_err thr_timer_create(struct thr_worker *worker)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = tb_signal()};
	event.sigev_value.sival_ptr = worker;
	event._sigev_un._tid = worker->thread->tid;
	long result = host_syscall(SYS_timer_create, CLOCK_MONOTONIC, (uintptr_t)&event, (uintptr_t)&worker->timer, 0);
	return result == 0 ? 0 : -EAGAIN;
}
