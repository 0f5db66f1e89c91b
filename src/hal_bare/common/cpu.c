// SPDX-License-Identifier: MIT
//
// The CPU door: start, interrupts between CPUs, idle, contexts with their guards.
#include "../arch.h"

#include "hal/cpu.h"

static struct bare_cpu *cpu_of(const struct hal_cpu *cpu)
{
	return &bare_cpus[cpu->host];
}

void hal_cpu_bind(struct hal_cpu *cpu)
{
	struct bare_cpu *self = arch_cpu();
	cpu->host = self->index;
	hal_self()->cpu = cpu;
	__atomic_store_n(&self->hal, cpu, __ATOMIC_RELEASE);
}

tb_err hal_cpu_start(struct hal_cpu *cpu, struct hal_thread *idle)
{
	if (cpu->index >= bare.cpu_count)
		return -BARE_EINVAL;
	struct bare_cpu *started = &bare_cpus[cpu->index];
	uint32_t expected = CPU_PRESENT;
	if (!__atomic_compare_exchange_n(&started->state, &expected, CPU_STARTING, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return -BARE_EINVAL;
	cpu->host = cpu->index;
	idle->cpu = cpu;
	started->idle = idle;
	__atomic_store_n(&started->hal, cpu, __ATOMIC_RELEASE);
	tb_err err = arch_cpu_start(started);
	if (err != 0)
		bare_print("cpu %u: did not start: error %u\n", started->index, (uint32_t)-err);
	return err;
}

// ---- interrupts -------------------------------------------------------------------------------------------------------

void bare_irq(struct bare_cpu *cpu, uint32_t bits)
{
	cpu->irq_count++;
	if (cpu->idling)
		__atomic_fetch_or(&cpu->hal->irq_pending, bits, __ATOMIC_RELAXED);
	else if (cpu->hal != NULL && bits != 0)
		tb_upcalls.irq(bits);
}

void bare_raise(struct bare_cpu *cpu, uint32_t bits)
{
	struct hal_cpu *hal = __atomic_load_n(&cpu->hal, __ATOMIC_ACQUIRE);
	if (hal == NULL)
		return;
	__atomic_fetch_or(&hal->irq_pending, bits, __ATOMIC_SEQ_CST);
	arch_ipi(cpu);
}

void bare_ipi_received(struct bare_cpu *cpu)
{
	tlb_serve(cpu);
	if (__atomic_load_n(&bare.halting, __ATOMIC_ACQUIRE) != 0) {
		__atomic_store_n(&cpu->state, CPU_STOPPED, __ATOMIC_RELEASE);
		arch_stop();
	}
	if (cpu->hal != NULL && !cpu->idling)
		bare_irq(cpu, __atomic_exchange_n(&cpu->hal->irq_pending, 0, __ATOMIC_SEQ_CST));
}

void hal_ipi(struct hal_cpu *cpu)
{
	bare_raise(cpu_of(cpu), HAL_IRQ_IPI);
}

// Causes that came meanwhile were collected: they are raised again, to arrive when the caller unmasks.
void hal_cpu_idle(void)
{
	struct bare_cpu *cpu = arch_cpu();
	cpu->idling = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&cpu->hal->irq_pending, __ATOMIC_SEQ_CST) == 0 && !clock_step(cpu))
		arch_idle(cpu);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	cpu->idling = 0;
	if (__atomic_load_n(&cpu->hal->irq_pending, __ATOMIC_SEQ_CST) != 0)
		arch_ipi(cpu);
}

void cpu_stop_others(void)
{
	const struct bare_cpu *self = arch_cpu();
	__atomic_store_n(&bare.halting, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < bare.cpu_count; i++)
		if (&bare_cpus[i] != self && __atomic_load_n(&bare_cpus[i].state, __ATOMIC_ACQUIRE) == CPU_ONLINE)
			arch_ipi_stop(&bare_cpus[i]);
	// Those that never unmask are left to themselves.
	for (uint32_t spins = 0; spins < 1000000; spins++) {
		uint32_t running = 0;
		for (uint32_t i = 0; i < bare.cpu_count; i++)
			running += &bare_cpus[i] != self &&
				   __atomic_load_n(&bare_cpus[i].state, __ATOMIC_ACQUIRE) == CPU_ONLINE;
		if (running == 0)
			break;
		arch_relax();
	}
}

// ---- waiting ----------------------------------------------------------------------------------------------------------

void hal_cpu_relax(void)
{
	arch_relax();
}

void hal_spin_wait(const uint32_t *word, uint32_t seen)
{
	for (uint32_t i = 0; i < 64 && __atomic_load_n(word, __ATOMIC_RELAXED) == seen; i++)
		arch_relax();
}

void hal_spin_wake(const uint32_t *word)
{
	(void)word;
}

// Interrupting all CPUs would do, but costs more than the spinlocks it saves.
bool hal_cpu_barrier(void)
{
	return false;
}

// ---- contexts ---------------------------------------------------------------------------------------------------------

tb_err hal_context_init(struct hal_thread *thread, size_t header_size_bytes, void (*entry)(void *), void *arg)
{
	if (header_size_bytes > BARE_GUARD_OFFSET)
		bare_die("context: a thread header of %u bytes reaches into the guard", (uint32_t)header_size_bytes);
	thread->irq_off = 1;
	thread->resched = 0;
	thread->point_mask = 0;
	thread->sanitizer = 0;
	if (!paging_hole((uintptr_t)thread + BARE_GUARD_OFFSET, true))
		return -BARE_EAGAIN;
	thread->sp = arch_context_frame((char *)thread + CONFIG_KSTACK_SIZE, entry, arg);
	return 0;
}

void hal_context_switch(struct hal_thread *from, struct hal_thread *to)
{
	struct bare_cpu *cpu = arch_cpu();
	if (BARE_UNLIKELY(cpu->tlb_done != __atomic_load_n(&tlb_last, __ATOMIC_RELAXED)))
		tlb_serve(cpu);
	arch_switch(&from->sp, to->sp);
}

void hal_context_exit(struct hal_thread *from, struct hal_thread *to)
{
	hal_context_switch(from, to);
	__builtin_unreachable();
}

// A page that becomes valid needs no flush elsewhere: what a CPU remembers is at worst that it was valid before.
void hal_context_fini(struct hal_thread *thread)
{
	(void)!paging_hole((uintptr_t)thread + BARE_GUARD_OFFSET, false);
}
