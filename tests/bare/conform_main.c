// SPDX-License-Identifier: MIT
//
// Runs the HAL's conformance bodies on a bare machine, in the conformance kernel.
#include "tap.h"

#include "../conform/hal/mini.h"

int64_t tb_test_main(void *text);

static const char *body_reason(const struct conform_body *body)
{
	const struct mini_kernel *kernel = mini();
	if (body->cpus > kernel->cpu_count)
		return "SKIP more CPUs wanted";
	if ((body->flags & CONFORM_TWO_NODES) != 0 && kernel->info.node_count < 2)
		return "SKIP two nodes wanted";
	return NULL;
}

static bool body_run(const struct conform_body *body, uint32_t index)
{
	struct conform_job job = {.body = body};
	job.result.input = CONFIG_HAL_CORTEX_M ? "window" : "initrd";
	tap_line("# begin", index, "hal", body->name, NULL);
	(void)conform_run(&job);
	bool good = job.result.failures == 0 && job.result.checks != 0;
	tap_line(good ? "ok" : "not ok", index, "hal", body->name, good ? NULL : job.result.message);
	return good;
}

int64_t tb_test_main(void *text)
{
	struct tap_filter filter;
	uint32_t failed = 0;
	tap_filter_read(&filter, text);
	for (uint32_t i = 0; i < conform_body_count; i++) {
		const struct conform_body *body = &conform_bodies[i];
		if (!tap_filter_takes(&filter, i, "hal", body->name))
			continue;
		const char *reason = body_reason(body);
		if (reason != NULL)
			tap_line("ok", i, "hal", body->name, reason);
		else
			failed += !body_run(body, i);
	}
	tap_print("# end\r\n");
	hal_halt(failed != 0); // this kernel knows no orderly shutdown
}
