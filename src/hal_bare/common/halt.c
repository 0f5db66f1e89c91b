// SPDX-License-Identifier: MIT
//
// The end: other CPUs stop, then the exit device, power off, reboot or standing still, as the command line chose.
#include "../arch.h"

#include "hal/halt.h"

#define STATUS_BROKEN 125 // a panic or an error of the kernel, to whoever waits for the emulator

void bare_end(int32_t status, bool panicked)
{
	uint32_t policy = panicked ? bare.options.panic : CMDLINE_PANIC_EXIT;
	if (policy == CMDLINE_PANIC_REBOOT)
		arch_reboot();
	if (policy != CMDLINE_PANIC_HALT) {
		arch_exit_debug(status < 0 ? STATUS_BROKEN : status);
		if (policy == CMDLINE_PANIC_EXIT)
			arch_power_off();
	}
	bare_print("halted%s: the machine may be switched off\n", panicked ? " after a panic" : "");
	arch_stop();
}

// Nobody outside a machine of its own can listen; `trace` and kern/trace_hash.h look from inside.
void hal_trace_event(const struct hal_trace_event *event)
{
	(void)event;
}

void hal_halt(int32_t status)
{
	(void)hal_irq_save();
	if (__atomic_exchange_n(&bare.halting, 1, __ATOMIC_SEQ_CST) != 0)
		arch_stop();
	cpu_stop_others();
	if (status == 0 && __atomic_load_n(&bare.call_ended, __ATOMIC_ACQUIRE) != 0)
		status = bare.exit_status;
	if (status < 0)
		bare_print("boot: the kernel ended with error %u\n", (uint32_t)-status);
	bare_end(status, false);
}
