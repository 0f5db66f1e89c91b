// SPDX-License-Identifier: MIT
//
// The kernel's half of the test bench: walks the registry that TEST() fills, counts checks, keeps the first failure. It is
// pre-linked with the bodies; its tb_test_* entries are what runners on the other side of the HAL line call.
#include "test_entry.h"

#include "kern/atomic.h"
#include "kern/component.h"
#include "kern/counter.h"
#include "kern/fmt.h"
#include "kern/test.h"

// Weak: a program may bring bodies of another kind.
extern const struct test_case *const __start_tbos_tests[] __attribute__((__weak__));
extern const struct test_case *const __stop_tbos_tests[] __attribute__((__weak__));

uint32_t test_count(void)
{
	return (uint32_t)(__stop_tbos_tests - __start_tbos_tests);
}

const struct test_case *test_at(uint32_t index)
{
	return index < test_count() ? __start_tbos_tests[index] : NULL;
}

void test_check(struct test_run *run, bool ok, const char *what, const char *file, int line)
{
	atomic_fetch_add_u32_relaxed_nopoint(&run->checks, 1);
	if (ok)
		return;
	if (atomic_fetch_add_u32_relaxed_nopoint(&run->failures, 1) == 0)
		ksnprintf(run->message, sizeof run->message, "%s:%d: %s", file, line, what);
}

void test_check_eq(struct test_run *run, int64_t a, int64_t b, const char *what, const char *file, int line)
{
	atomic_fetch_add_u32_relaxed_nopoint(&run->checks, 1);
	if (a == b)
		return;
	if (atomic_fetch_add_u32_relaxed_nopoint(&run->failures, 1) == 0)
		ksnprintf(run->message, sizeof run->message, "%s:%d: %s (%lld, %lld)", file, line, what, (long long)a,
			  (long long)b);
}

void test_execute(const struct test_case *test, struct test_run *run)
{
	run->test = test;
	test->body(run);
	test_check(run, components_check() == 0, "components_check()", test->suite, 0);
}

uint32_t tb_test_count(void)
{
	return test_count();
}

void tb_test_describe(uint32_t index, struct tb_test_info *info)
{
	const struct test_case *test = test_at(index);
	info->suite = test->suite;
	info->name = test->name;
	info->expect = test->expect;
	info->cpus = test->cpus;
	info->flags = test->flags;
}

static uint32_t concurrency(void)
{
	return (uint32_t)(counter_read(COUNTER_THREADS_STARTED) + counter_read(COUNTER_TIMER_ARMED));
}

int64_t tb_test_body(void *arg)
{
	struct tb_test_call *call = arg;
	struct test_run run = {0};
	uint32_t before = concurrency();

	test_execute(test_at(call->index), &run);
	call->concurrent = CONFIG_TINY ? 1 : concurrency() - before; // small machines do not count
	call->checks = run.checks;
	call->failures = run.failures;
	for (uint32_t i = 0; i < sizeof call->message && i < sizeof run.message; i++)
		call->message[i] = run.message[i];
	return run.failures != 0;
}
