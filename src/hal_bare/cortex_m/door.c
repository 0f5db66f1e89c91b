// SPDX-License-Identifier: MIT
//
// The doors that are trivial on one CPU without a host: interrupts to oneself, RAM that nobody wants back.
#include "cortex_impl.h"

#include <string.h>

#define ERROR_INVALID (-22)

void hal_cpu_bind(struct hal_cpu *cpu)
{
	cortex.cpu = cpu;
	hal_cortex_self->cpu = cpu;
	cortex_raise(HAL_IRQ_CONSOLE); // what came before
}

tb_err hal_cpu_start(struct hal_cpu *cpu, struct hal_thread *idle)
{
	(void)cpu;
	(void)idle;
	return ERROR_INVALID;
}

// PRIMASK holds the handlers back but not the end of the wait; BASEPRI would hold both.
void cpu_wait(void)
{
	__asm__ volatile("cpsid i\n\t"
			 "msr basepri, %0\n\t"
			 "isb\n\t"
			 "wfi\n\t"
			 "msr basepri, %1\n\t"
			 "cpsie i"
			 :
			 : "r"(0), "r"(HAL_CORTEX_MASK)
			 : "memory");
}

void hal_ipi(struct hal_cpu *cpu)
{
	(void)cpu;
	cortex_raise(HAL_IRQ_IPI);
}

void hal_cpu_relax(void)
{
}

void hal_spin_wait(const uint32_t *word, uint32_t seen)
{
	(void)word;
	(void)seen;
}

void hal_spin_wake(const uint32_t *word)
{
	(void)word;
}

bool hal_cpu_barrier(void)
{
	__asm__ volatile("dmb" : : : "memory");
	return true;
}

void hal_ram_discard(void *start, size_t size_bytes)
{
	memset(start, 0, size_bytes);
}

void hal_ram_poison(const void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}

void hal_ram_unpoison(const void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}

void hal_trace_event(const struct hal_trace_event *event)
{
	(void)event;
}

// The jitter between interrupts and the processor's clock, which handlers collect. Not for keys.
void hal_entropy(void *buffer, size_t size_bytes)
{
	uint8_t *bytes = buffer;
	for (size_t i = 0; i < size_bytes; i++) {
		(void)hal_clock_mono_ns();
		cortex.entropy = (cortex.entropy ^ cortex.clock_seen) * 0x7feb352du;
		bytes[i] = (uint8_t)(cortex.entropy >> 24);
	}
}
