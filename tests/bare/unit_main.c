// SPDX-License-Identifier: MIT
//
// Runs the kernel's test bodies on a bare machine, all in the one instance that was booted, each in a thread of its own, since some
// leave theirs with another priority or affinity.
#include "fault.h"
#include "tap.h"

#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/thread.h"

// Called by the HAL once booted (src/hal_bare/common/call.c).
int64_t tb_test_main(void *text);

static bool body_skips(const struct test_case *test, const struct tap_filter *filter, uint32_t index)
{
	if ((test->flags & (TEST_SIM_ONLY | TEST_SLOW)) != 0)
		return true;
	if (test->cpus > kernel_self()->cpu_count) {
		tap_line("ok", index, test->suite, test->name, "SKIP more CPUs wanted");
		return true;
	}
	if ((test->flags & TEST_PANICS) == 0 || filter->alone)
		return false;
	tap_line("# alone", index, test->suite, test->name, test->expect);
	return true;
}

static void body_main(void *arg)
{
	struct test_run *run = arg;
	test_execute(run->test, run);
}

static bool body_run(const struct test_case *test, uint32_t index)
{
	struct thread_params params = {.name = "test", .klass = CLASS_FAIR};
	struct test_run run = {.test = test};
	struct thread *thread;
	tap_line("# begin", index, test->suite, test->name, NULL);
	err_t err = thread_start(&params, body_main, &run, &thread);
	if (err == 0)
		err = thread_join(thread, NULL);
	test_check(&run, err == 0, "a thread for the body", test->suite, 0);
	bool good = run.failures == 0 && run.checks != 0;
	tap_line(good ? "ok" : "not ok", index, test->suite, test->name,
		 good              ? NULL
		 : run.checks == 0 ? "no check was made"
				   : run.message);
	return good;
}

int64_t tb_test_main(void *text)
{
	struct tap_filter filter;
	uint32_t failed = 0;
#if !CONFIG_TINY // the small machines' monitor has a command
	if (str_has_prefix(text, "fault:")) {
		(void)fault_make((const char *)text + 6);
		tap_print("# no fault came\r\n");
		return 1;
	}
#endif
	tap_filter_read(&filter, text);
	for (uint32_t i = 0; i < test_count(); i++) {
		const struct test_case *test = test_at(i);
		if (tap_filter_takes(&filter, i, test->suite, test->name) && !body_skips(test, &filter, i))
			failed += !body_run(test, i);
	}
	tap_print("# end\r\n");
	return failed != 0;
}
