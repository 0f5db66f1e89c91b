// SPDX-License-Identifier: MIT
//
// Conformance, host side: the ends of an instance. Halts, panics, faults, time limits, destruction at a bad moment.
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int64_t halt_now(void *arg)
{
	hal_halt((int32_t)(intptr_t)arg);
}

static void halt_gives_its_status(void)
{
	for (intptr_t status = -3; status <= 3; status++) {
		tb_instance *instance = instance_of(2);
		int32_t got = 99;
		EXPECT_ERR(tb_call(instance, halt_now, (void *)status, NULL), -ESHUTDOWN);
		EXPECT_ERR(tb_call(instance, nothing, NULL, NULL), -ESHUTDOWN);
		EXPECT_ERR(tb_wait(instance, &got), 0);
		EXPECT(got == status);
		instance_end(instance, status < 0 ? (tb_err)status : 0);
	}
}

// ---- calls in flight --------------------------------------------------------------------------------------------------------------

static uint32_t inside;
static uint32_t hogs_stop;

static int64_t sleep_long(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
	mini_sleep_ns(3600ull * 1000 * MINI_MS);
	return 0;
}

static int64_t spin_long(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&hogs_stop, __ATOMIC_RELAXED) == 0)
		conform_poll();
	return 0;
}

static int64_t spin_masked(void *arg)
{
	(void)arg;
	hal_irq_save();
	__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&hogs_stop, __ATOMIC_RELAXED) == 0)
		hal_cpu_relax();
	return 0;
}

struct stuck {
	tb_instance *instance;
	int64_t (*fn)(void *);
	tb_err err;
};

static void *stuck_main(void *arg)
{
	struct stuck *stuck = arg;
	stuck->err = tb_call(stuck->instance, stuck->fn, NULL, NULL);
	return NULL;
}

static void inside_await(uint32_t count)
{
	while (__atomic_load_n(&inside, __ATOMIC_SEQ_CST) < count)
		usleep(100);
}

static void halt_ends_calls_in_flight(void)
{
	int64_t (*const fns[])(void *) = {sleep_long, spin_long, sleep_long, spin_masked, sleep_long};
	enum {
		COUNT = sizeof fns / sizeof fns[0]
	};
	struct stuck stuck[COUNT];
	pthread_t threads[COUNT];
	tb_instance *instance = instance_of(4);
	for (uint32_t i = 0; i < COUNT; i++) {
		stuck[i] = (struct stuck){instance, fns[i], 0};
		EXPECT(pthread_create(&threads[i], NULL, stuck_main, &stuck[i]) == 0);
	}
	inside_await(COUNT);
	EXPECT_ERR(tb_destroy(instance), -EBUSY);
	EXPECT_ERR(tb_call(instance, halt_now, (void *)5, NULL), -ESHUTDOWN);
	for (uint32_t i = 0; i < COUNT; i++) {
		pthread_join(threads[i], NULL);
		EXPECT(stuck[i].err == -ESHUTDOWN);
	}
	instance_end(instance, 0);
}

static void *waiter_main(void *arg)
{
	struct stuck *stuck = arg;
	int32_t status = 0;
	stuck->err = tb_wait(stuck->instance, &status);
	EXPECT(status == 9);
	return NULL;
}

static void wait_returns_at_halt(void)
{
	tb_instance *instance = instance_of(2);
	struct stuck stuck = {.instance = instance, .err = 1};
	pthread_t waiter;
	EXPECT(pthread_create(&waiter, NULL, waiter_main, &stuck) == 0);
	usleep(20000);
	EXPECT_ERR(tb_call(instance, halt_now, (void *)9, NULL), -ESHUTDOWN);
	pthread_join(waiter, NULL);
	EXPECT(stuck.err == 0);
	instance_end(instance, 0);
}

// ---- panics and faults ----------------------------------------------------------------------------------------------------------------

static __attribute__((noinline)) int64_t panic_deep(const char *message)
{
	hal_panic(message);
}

static __attribute__((noinline)) int64_t panic_middle(const char *message)
{
	return panic_deep(message) + 1;
}

static int64_t panic_now(void *arg)
{
	(void)arg;
	return panic_middle("as the test wants it") + 1;
}

static int64_t fault_null(void *arg)
{
	return *(volatile int64_t *)((uintptr_t)arg + 8);
}

// Above RAM, inside the slot.
static int64_t fault_guard(void *arg)
{
	(void)arg;
	*(volatile char *)((char *)mini() + (4ull << 30) - 4096) = 1;
	return 0;
}

static int64_t fault_jump(void *arg)
{
	((void (*)(void))(uintptr_t)(16 + (uintptr_t)arg))();
	return 0;
}

static int64_t fault_masked(void *arg)
{
	hal_irq_save();
	return *(volatile int64_t *)((uintptr_t)arg + 8);
}

static void expect_broken(int64_t (*fn)(void *), const char *text)
{
	tb_instance *instance = instance_of(2);
	memset(&console_text, 0, sizeof console_text);
	EXPECT_ERR(tb_call(instance, fn, NULL, NULL), -EIO);
	EXPECT_ERR(tb_call(instance, nothing, NULL, NULL), -EIO);
	if (strstr(console_text.text, text) == NULL)
		FAIL("the console lacks '%s':\n%s", text, console_text.text);
	if (strstr(console_text.text, "  #0") == NULL)
		FAIL("no backtrace:\n%s", console_text.text);
	instance_end(instance, -EIO);
}

static void panic_is_reported(void)
{
	expect_broken(panic_now, "panic: as the test wants it");
	EXPECT(strstr(console_text.text, "panic_deep") != NULL);
}

static void faults_are_reported(void)
{
	expect_broken(fault_null, "SIGSEGV at address 8");
	EXPECT(strstr(console_text.text, "fault_null") != NULL);
	EXPECT(strstr(console_text.text, "rip") != NULL || strstr(console_text.text, "rax") != NULL);
	expect_broken(fault_guard, "SIGSEGV");
	expect_broken(fault_jump, "SIGSEGV at address 10");
	expect_broken(fault_masked, "SIGSEGV at address 8");
}

// One instance breaks, the others do not notice.
static void panic_stays_alone(void)
{
	tb_instance *good = instance_of(2);
	expect_broken(fault_null, "SIGSEGV");
	expect_broken(panic_now, "panic");
	EXPECT_ERR(tb_call(good, nothing, NULL, NULL), 0);
	instance_end(good, 0);
}

static sigjmp_buf jump;
static volatile sig_atomic_t own_faults;

static void own_handler(int number)
{
	(void)number;
	own_faults++;
	siglongjmp(jump, 1);
}

static void host_faults_go_to_the_host(void)
{
	struct sigaction action = {.sa_handler = own_handler, .sa_flags = SA_NODEFER};
	EXPECT(sigaction(SIGSEGV, &action, NULL) == 0);
	tb_instance *instance = instance_of(1);
	void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 3; i++)
		if (sigsetjmp(jump, 1) == 0)
			*(volatile char *)page = 1;
	EXPECT(own_faults == 3);
	EXPECT_ERR(tb_call(instance, nothing, NULL, NULL), 0);
	instance_end(instance, 0);
}

// ---- time limit ---------------------------------------------------------------------------------------------------------------------------

static void time_limit_ends_it(void)
{
	struct tb_config config = config_of(2);
	config.time_limit_ns = (CONFIG_TSAN ? 500 : 50) * MINI_MS; // the boot must fit
	tb_instance *instance = instance_boot(&config);
	EXPECT_ERR(tb_call(instance, sleep_long, NULL, NULL), -ETIME);
	EXPECT_ERR(tb_wait(instance, NULL), -ETIME);
	instance_end(instance, -ETIME);
	instance = instance_boot(&config);
	EXPECT_ERR(tb_call(instance, spin_long, NULL, NULL), -ETIME);
	instance_end(instance, -ETIME);
	instance = instance_boot(&config); // a limit that is not reached
	instance_end(instance, 0);
}

const struct host_test host_tests_end[] = {
	{"halt_gives_its_status", halt_gives_its_status, false},
	{"halt_ends_calls_in_flight", halt_ends_calls_in_flight, true},
	{"wait_returns_at_halt", wait_returns_at_halt, true},
	{"panic_is_reported", panic_is_reported, false},
	{"faults_are_reported", faults_are_reported, false},
	{"panic_stays_alone", panic_stays_alone, false},
	{"host_faults_go_to_the_host", host_faults_go_to_the_host, false},
	{"time_limit_ends_it", time_limit_ends_it, false},
	{NULL, NULL, false},
};
