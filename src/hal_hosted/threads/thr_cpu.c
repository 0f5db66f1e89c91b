// SPDX-License-Identifier: MIT
//
// CPUs of the threads engine: claiming, driving, parking, ringing, halting, and the doors that concern one CPU. thr_impl.h,
// 1, 2 and 4.
#include "thr_impl.h"

#define RELAX_YIELD 64u
#define SPIN_PAUSES 200u
#define SPIN_SLEEP_NS 2000000
#define QUIESCE_SLEEP_NS 20000
#define QUIESCE_SLEEP_MAX_NS 2000000

static void pause_once(void)
{
	__builtin_ia32_pause();
}

// ---- driving ----------------------------------------------------------------------------------------------------------

// Sequentially consistent against thr_stop_cpus(): either we see HALTED or it sees us.
bool thr_cpu_claim(struct thr_cpu *cpu, struct host_thread *self)
{
	struct host_thread *nobody = NULL;
	if (__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE) == 0)
		return false;
	if (!__atomic_compare_exchange_n(&cpu->host->driver, &nobody, self, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return false;
	if (__atomic_load_n(&cpu->instance->state, __ATOMIC_SEQ_CST) == HOST_HALTED) {
		__atomic_store_n(&cpu->host->driver, NULL, __ATOMIC_SEQ_CST);
		return false;
	}
	return true;
}

void thr_cpu_drive(struct thr_cpu *cpu, struct host_thread *self, struct thr_call *borrow)
{
	cpu->borrow = borrow;
	self->instance = cpu->instance;
	self->cpu = cpu->host->index;
	host_context_enter(self, cpu->host->idle);
	self->instance = NULL;
	if (thr_halted(cpu->instance)) // perhaps cut off inside the handler
		thr_signal_unblock();
	cpu->borrow = NULL;
	__atomic_store_n(&cpu->host->driver, NULL, __ATOMIC_SEQ_CST);
}

bool thr_cpu_pending(const struct thr_cpu *cpu)
{
	const struct hal_cpu *hal = thr_hal(cpu);
	return hal != NULL && __atomic_load_n(&hal->irq_pending, __ATOMIC_SEQ_CST) != 0;
}

void thr_ring(struct thr_cpu *cpu, uint32_t bits, const struct host_thread *self)
{
	uint32_t before = __atomic_fetch_or(&thr_hal(cpu)->irq_pending, bits, __ATOMIC_SEQ_CST);
	if ((before & bits) == bits)
		return;
	const struct host_thread *driver = __atomic_load_n(&cpu->host->driver, __ATOMIC_SEQ_CST);
	if (driver == NULL)
		thr_home_kick(cpu);
	else if (driver != self)
		thr_signal_send(driver);
}

// ---- halting ----------------------------------------------------------------------------------------------------------

void thr_abandon(struct tb_instance *instance)
{
	hal_self()->irq_off = 1;
	host_context_abandon(host_driver(instance));
}

static bool cpus_kick(struct tb_instance *instance)
{
	const struct host_thread *self = host_thread_current();
	bool driven = false;
	for (uint32_t i = 0; i < instance->cpu_count; i++) {
		struct thr_cpu *cpu = &thr_of(instance)->cpus[i];
		struct hal_cpu *hal = thr_hal(cpu);
		if (hal != NULL)
			__atomic_fetch_or(&hal->irq_pending, THR_KICK, __ATOMIC_SEQ_CST);
		const struct host_thread *driver = __atomic_load_n(&cpu->host->driver, __ATOMIC_SEQ_CST);
		if (driver != NULL && driver != self) {
			driven = true;
			thr_signal_send(driver);
		}
	}
	return driven;
}

void thr_stop_cpus(struct tb_instance *instance)
{
	cpus_kick(instance);
	thr_calls_halted(instance);
}

// The signal is repeated: one that found a masked kernel, or a host stack, has had no effect.
void thr_quiesce(struct tb_instance *instance)
{
	struct timespec pause = {.tv_nsec = QUIESCE_SLEEP_NS};
	while (cpus_kick(instance)) {
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < QUIESCE_SLEEP_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

// ---- doors ------------------------------------------------------------------------------------------------------------

tb_err thr_cpu_start(struct tb_instance *instance, struct host_cpu *host)
{
	struct thr_cpu *cpu = &thr_of(instance)->cpus[host->index];
	__atomic_store_n(&cpu->online, 1, __ATOMIC_RELEASE);
	host_critical_begin();
	thr_ring(cpu, THR_KICK, NULL);
	host_critical_end();
	return 0;
}

void thr_cpu_bound(struct tb_instance *instance, struct host_cpu *host)
{
	if (__atomic_exchange_n(&thr_of(instance)->input_early, 0, __ATOMIC_SEQ_CST) != 0)
		__atomic_fetch_or(&host->hal->irq_pending, HAL_IRQ_CONSOLE, __ATOMIC_SEQ_CST);
}

void thr_cpu_idle(struct tb_instance *instance)
{
	struct thr_cpu *cpu = thr_cpu_self(instance);
	bool let_go = cpu->borrow != NULL && thr_borrow_wants(cpu->borrow);

	if (thr_halted(instance))
		thr_abandon(instance);
	if (!let_go && thr_cpu_pending(cpu))
		return;
	cpu->host->idle = hal_self();
	host_context_leave(hal_self(), host_driver(instance));
	if (thr_halted(instance))
		thr_abandon(instance);
}

void thr_ipi(struct tb_instance *instance, struct host_cpu *host)
{
	bool was = hal_irq_save();
	host_critical_begin();
	thr_ring(&thr_of(instance)->cpus[host->index], HAL_IRQ_IPI, host_driver(instance));
	host_critical_end();
	hal_irq_restore(was);
}

void thr_irq_deliver(struct tb_instance *instance)
{
	struct hal_thread *self = hal_self();
	do {
		hal_irq_save();
		if (thr_halted(instance))
			thr_abandon(instance);
		uint32_t bits = __atomic_exchange_n(&self->cpu->irq_pending, 0, __ATOMIC_SEQ_CST) & ~THR_KICK;
		if (bits != 0)
			instance->upcalls->irq(bits);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		*(volatile uint32_t *)&self->irq_off = 0;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} while (__atomic_load_n(&self->cpu->irq_pending, __ATOMIC_RELAXED) != 0);
}

static void halted_check(struct tb_instance *instance)
{
	if (host_unlikely(thr_halted(instance)))
		thr_abandon(instance);
}

// Under TSan no handler delivers, so whoever polls unmasked must look for interrupts: what it waits for may need them.
static void let_interrupts_in(void)
{
	if (CONFIG_TSAN)
		hal_irq_restore(hal_irq_save());
}

void thr_cpu_relax(struct tb_instance *instance)
{
	let_interrupts_in();
	struct thr_cpu *cpu = thr_cpu_self(instance); // unmasked callers may count on another CPU: no harm
	uint32_t count = __atomic_load_n(&cpu->relaxed, __ATOMIC_RELAXED) + 1;
	__atomic_store_n(&cpu->relaxed, count, __ATOMIC_RELAXED);
	pause_once();
	halted_check(instance);
	if (count % RELAX_YIELD == 0) // whom we wait for may not be running
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

void thr_spin_wait(struct tb_instance *instance, const uint32_t *word, uint32_t seen)
{
	static const struct timespec limit = {.tv_nsec = SPIN_SLEEP_NS};
	let_interrupts_in();
	for (uint32_t i = 0; i < SPIN_PAUSES; i++) {
		if (__atomic_load_n(word, __ATOMIC_RELAXED) != seen)
			return;
		pause_once();
	}
	halted_check(instance);
	__atomic_fetch_add(&thr_of(instance)->spin_waiters, 1, __ATOMIC_SEQ_CST);
	host_futex_wait(word, seen, &limit);
	__atomic_fetch_sub(&thr_of(instance)->spin_waiters, 1, __ATOMIC_SEQ_CST);
	halted_check(instance);
}

void thr_spin_wake(struct tb_instance *instance, const uint32_t *word)
{
	if (__atomic_load_n(&thr_of(instance)->spin_waiters, __ATOMIC_SEQ_CST) != 0)
		host_futex_wake(word, 1);
}
