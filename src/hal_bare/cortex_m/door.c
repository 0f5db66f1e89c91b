// SPDX-License-Identifier: MIT
//
// The doors that are trivial on one CPU without a host: idle, interrupts to oneself, calls that never come, RAM that nobody
// wants back. Boot modules: one, the allocation trace that may lie in the image's own window.
#include "cortex_impl.h"

#include <string.h>

#define ERROR_INVALID (-22)
#define ERROR_NO_ENTRY (-2)
#define WINDOW_NAME "window"
#define WINDOW_SIZE_AT 64 // a TBAT header; its record count says how much follows

void hal_cpu_bind(struct hal_cpu *cpu)
{
	cortex.cpu = cpu;
	cortex_raise(HAL_IRQ_CONSOLE); // what came before
}

tb_err hal_cpu_start(struct hal_cpu *cpu, struct hal_thread *idle)
{
	(void)cpu;
	(void)idle;
	return ERROR_INVALID;
}

// PRIMASK holds the handlers back but not the end of the wait; BASEPRI would hold both.
void hal_cpu_idle(void)
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

bool hal_call_take(struct hal_call *call)
{
	(void)call;
	return false;
}

void hal_call_done(uint64_t token, int64_t result)
{
	(void)token;
	(void)result;
}

bool hal_call_wants_cpu(void)
{
	return false;
}

void hal_call_sleeping(uint64_t token, bool sleeping)
{
	(void)token;
	(void)sleeping;
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

// Flash that was never written reads as all ones or, from a linker, as zero: no trace.
static size_t window_size(void)
{
	size_t room = (size_t)(hal_cortex_window_end - hal_cortex_window);
	uint32_t records;
	if (room < WINDOW_SIZE_AT || memcmp(hal_cortex_window, "TBAT", 4) != 0)
		return 0;
	memcpy(&records, hal_cortex_window + 16, sizeof records);
	return records <= (room - WINDOW_SIZE_AT) / 12 ? WINDOW_SIZE_AT + (size_t)records * 12 : 0;
}

tb_err hal_module_open(const char *name, int32_t *id, uint64_t *size_bytes)
{
	const char *known = WINDOW_NAME;
	for (; *known != '\0' && *known == *name; known++)
		name++;
	if (*known != *name || window_size() == 0)
		return ERROR_NO_ENTRY;
	*id = 0;
	*size_bytes = window_size();
	return 0;
}

tb_err hal_module_read(int32_t id, uint64_t offset, void *buffer, size_t size_bytes)
{
	if (id != 0 || offset > window_size() || size_bytes > window_size() - offset)
		return ERROR_INVALID;
	memcpy(buffer, hal_cortex_window + (size_t)offset, size_bytes);
	return 0;
}

void hal_module_close(int32_t id)
{
	(void)id;
}
