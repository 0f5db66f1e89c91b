// SPDX-License-Identifier: MIT
//
// Bringing up the recorders. A persona that gives the log or the trace no room does without: log lines then go to the
// console only, and trace points cost their look at a NULL pointer.
#include "base_impl.h"

#include "kern/base.h"
#include "kern/component.h"
#include "kern/cpu.h"
#include "kern/math.h"

#define SLOTS_MIN 16u
#define SLOTS_MAX (1u << 20)

static uint32_t slots_for(uint64_t wanted)
{
	return (uint32_t)power_of_2_floor(CLAMP(wanted, SLOTS_MIN, SLOTS_MAX));
}

err_t base_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	const struct persona *persona = kernel->persona;
	err_t err = 0;

	(void)info; // the flags are in struct kernel
	if (persona->log_size_bytes != 0)
		err = log_init(kernel, slots_for(persona->log_size_bytes / sizeof(struct log_record)));
	if (err == 0 && persona->trace_events != 0)
		err = trace_init(kernel, slots_for(persona->trace_events));
	if (err == 0 && !CONFIG_TINY)
		err = counter_init(kernel);
	return err;
}

err_t base_check(void)
{
	const struct kernel *kernel = hal_kernel();

	if (kernel->log != NULL)
		ring_check(&kernel->log->ring);
	for (uint32_t i = 0; kernel->trace != NULL && i < kernel->cpu_count; i++)
		ring_check(&kernel->cpus[i]->trace->ring);
	return 0;
}
