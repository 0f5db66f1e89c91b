// SPDX-License-Identifier: MIT
//
// Conformance, host side: calls borrowed by many host threads, console input, commands, what a host thread gets back of its
// own state.
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int64_t add_one(void *arg)
{
	return (int64_t)(uintptr_t)arg + 1;
}

static int64_t sleep_and_add(void *arg)
{
	mini_sleep_ns(100000);
	return (int64_t)(uintptr_t)arg + 1;
}

// Long enough to be preempted several times.
static int64_t compute(void *arg)
{
	uint64_t until_ns = hal_clock_mono_ns() + 5 * MINI_MS;
	while (hal_clock_mono_ns() < until_ns)
		conform_poll();
	return (int64_t)(uintptr_t)arg + 1;
}

static void calls_return_results(void)
{
	tb_instance *instance = instance_of(1);
	int64_t value;
	for (uintptr_t i = 0; i < host_rounds(100000); i++) {
		EXPECT_ERR(tb_call(instance, add_one, (void *)i, &value), 0);
		EXPECT(value == (int64_t)i + 1);
	}
	EXPECT_ERR(tb_call(instance, add_one, NULL, NULL), 0);
	instance_end(instance, 0);
}

struct caller {
	tb_instance *instance;
	uint32_t seed;
	uint32_t rounds;
	bool sleeps;
};

static void *caller_main(void *arg)
{
	struct caller *caller = arg;
	for (uint32_t i = 0; i < caller->rounds; i++) {
		uintptr_t input = (uintptr_t)caller->seed * 100000 + i;
		uint32_t kind = (caller->seed + i) % 16;
		int64_t value = 0;
		int64_t (*fn)(void *) = !caller->sleeps || kind > 1 ? add_one : kind == 0 ? compute : sleep_and_add;
		EXPECT_ERR(tb_call(caller->instance, fn, (void *)input, &value), 0);
		if (value != (int64_t)input + 1)
			FAIL("a call with %lu returned %lld", (unsigned long)input, (long long)value);
	}
	return NULL;
}

static void callers_run(tb_instance *instance, uint32_t count, uint32_t rounds, bool sleeps)
{
	pthread_t threads[32];
	struct caller callers[32];
	for (uint32_t i = 0; i < count; i++) {
		callers[i] = (struct caller){instance, i + 1, rounds, sleeps};
		EXPECT(pthread_create(&threads[i], NULL, caller_main, &callers[i]) == 0);
	}
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void calls_of_many_threads(void)
{
	for (uint32_t cpus = 1; cpus <= 4; cpus++) {
		tb_instance *instance = instance_of(cpus);
		callers_run(instance, 8, host_rounds(3000), false);
		instance_end(instance, 0);
	}
}

static void calls_that_sleep_and_compute(void)
{
	for (uint32_t cpus = 1; cpus <= 4; cpus += 3) {
		tb_instance *instance = instance_of(cpus);
		callers_run(instance, 20, host_rounds(100), true);
		instance_end(instance, 0);
	}
}

// Host threads that come and go: records are used again.
static void calls_of_short_lived_threads(void)
{
	tb_instance *instance = instance_of(2);
	for (uint32_t i = 0; i < host_rounds(200); i++)
		callers_run(instance, 3, 3, false);
	instance_end(instance, 0);
}

// ---- the kernel's own threads keep every CPU busy ------------------------------------------------------------------------------

static uint32_t hogs_stop;

static void hog_main(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&hogs_stop, __ATOMIC_RELAXED) == 0)
		conform_poll();
}

static int64_t hogs_start(void *arg)
{
	uint32_t count = (uint32_t)(uintptr_t)arg;
	for (uint32_t i = 0; i < count; i++)
		if (mini_start(hog_main, NULL) == NULL)
			return 1;
	return 0;
}

static void calls_while_cpus_are_busy(void)
{
	tb_instance *instance = instance_of(2);
	int64_t value;
	EXPECT_ERR(tb_call(instance, hogs_start, (void *)4, &value), 0);
	EXPECT(value == 0);
	callers_run(instance, 4, host_rounds(50), true);
	__atomic_store_n(&hogs_stop, 1, __ATOMIC_RELAXED);
	instance_end(instance, 0);
}

// Calls that wait for each other all get in, whatever their interrupts have been melted into.
static uint32_t gathered;
#define GATHERING 6u

static int64_t gather(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&gathered, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&gathered, __ATOMIC_SEQ_CST) < GATHERING)
		mini_sleep_ns(50000);
	return 0;
}

static void *gatherer_main(void *arg)
{
	EXPECT_ERR(tb_call(arg, gather, NULL, NULL), 0);
	return NULL;
}

static void calls_all_get_in(void)
{
	pthread_t threads[GATHERING];
	tb_instance *instance = instance_of(1);
	int64_t value;
	EXPECT_ERR(tb_call(instance, hogs_start, (void *)1, &value), 0);
	for (uint32_t i = 0; i < host_rounds(50); i++) {
		__atomic_store_n(&gathered, 0, __ATOMIC_SEQ_CST);
		for (uint32_t k = 0; k < GATHERING; k++)
			EXPECT(pthread_create(&threads[k], NULL, gatherer_main, instance) == 0);
		for (uint32_t k = 0; k < GATHERING; k++)
			pthread_join(threads[k], NULL);
	}
	__atomic_store_n(&hogs_stop, 1, __ATOMIC_RELAXED);
	instance_end(instance, 0);
}

// A call leaves its CPU to the threads that it has started, which go on without any host thread inside.
static int64_t counter_value;

static void counter_main(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 50; i++) {
		mini_sleep_ns(100000);
		__atomic_fetch_add(&counter_value, 1, __ATOMIC_RELAXED);
	}
}

static int64_t counter_start(void *arg)
{
	(void)arg;
	return mini_start(counter_main, NULL) != NULL;
}

static void threads_go_on_after_the_call(void)
{
	tb_instance *instance = instance_of(1);
	int64_t value;
	EXPECT_ERR(tb_call(instance, counter_start, NULL, &value), 0);
	EXPECT(value == 1);
	for (uint32_t i = 0; i < 10000 && __atomic_load_n(&counter_value, __ATOMIC_RELAXED) < 50; i++)
		usleep(1000);
	EXPECT(__atomic_load_n(&counter_value, __ATOMIC_RELAXED) == 50);
	instance_end(instance, 0);
}

// ---- the host thread's own state -----------------------------------------------------------------------------------------------------

static void *masked_caller(void *arg)
{
	struct caller *caller = arg;
	sigset_t set, before, after;
	stack_t own = {.ss_sp = malloc(65536), .ss_size = 65536}, now;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1 + (int)(caller->seed % 2)); // SIGUSR1 or SIGSEGV's neighbour: different per thread
	sigaddset(&set, caller->seed % 3 == 0 ? SIGTERM : SIGHUP);
	EXPECT(own.ss_sp != NULL && sigaltstack(&own, NULL) == 0);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (uint32_t i = 0; i < caller->rounds; i++) {
		int64_t value;
		pthread_sigmask(SIG_SETMASK, NULL, &before);
		errno = 77;
		EXPECT_ERR(tb_call(caller->instance, i % 2 ? compute : sleep_and_add, NULL, &value), 0);
		pthread_sigmask(SIG_SETMASK, NULL, &after);
		for (int number = 1; number < 32; number++)
			if (sigismember(&before, number) != sigismember(&after, number))
				FAIL("signal %d is %s after a call", number,
				     sigismember(&after, number) ? "blocked" : "open");
		EXPECT(sigaltstack(NULL, &now) == 0 && now.ss_sp == own.ss_sp && now.ss_size == own.ss_size);
	}
	own.ss_flags = SS_DISABLE;
	sigaltstack(&own, NULL);
	free(own.ss_sp);
	return NULL;
}

static void signal_masks_and_stacks_stay(void)
{
	enum {
		COUNT = 6
	};
	pthread_t threads[COUNT];
	struct caller callers[COUNT];
	tb_instance *instance = instance_of(2);
	for (uint32_t i = 0; i < COUNT; i++) {
		callers[i] = (struct caller){instance, i, host_rounds(60), true};
		EXPECT(pthread_create(&threads[i], NULL, masked_caller, &callers[i]) == 0);
	}
	for (uint32_t i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
	instance_end(instance, 0);
}

// ---- console, commands ---------------------------------------------------------------------------------------------------------------------

struct input {
	uint64_t sum;
	uint32_t size;
	bool ended;
};

static int64_t input_read(void *arg)
{
	struct input *input = arg;
	char bytes[100];
	for (;;) {
		bool end = false;
		size_t got = hal_console_read(bytes, sizeof bytes, &end);
		for (size_t i = 0; i < got; i++)
			input->sum = input->sum * 31 + (unsigned char)bytes[i];
		input->size += (uint32_t)got;
		if (got == 0 && end)
			break;
		if (got == 0) {
			uint32_t *irqs = &mini()->cpus[0].irqs[2];
			uint32_t before = __atomic_load_n(irqs, __ATOMIC_ACQUIRE);
			hal_console_wait(true);
			if (hal_console_read(bytes, 0, &end) == 0 && !end)
				for (uint32_t k = 0; k < 100 && __atomic_load_n(irqs, __ATOMIC_ACQUIRE) == before; k++)
					mini_sleep_ns(MINI_MS);
			hal_console_wait(false);
		}
	}
	input->ended = true;
	return 0;
}

static void *input_write(void *arg)
{
	int fd = *(int *)arg;
	for (uint32_t i = 0; i < 3000; i++) {
		char line[40];
		int size = snprintf(line, sizeof line, "line %u of the input\n", i);
		EXPECT(write(fd, line, (size_t)size) == size);
		if (i % 500 == 0)
			usleep(2000);
	}
	close(fd);
	return NULL;
}

static void console_input_comes(void)
{
	struct tb_config config = config_of(1);
	struct input input = {0}, expected = {0};
	pthread_t writer;
	int fds[2];
	EXPECT(pipe(fds) == 0);
	config.input_fd = fds[0];
	tb_instance *instance = instance_boot(&config);
	EXPECT(pthread_create(&writer, NULL, input_write, &fds[1]) == 0);
	EXPECT_ERR(tb_call(instance, input_read, &input, NULL), 0);
	pthread_join(writer, NULL);
	for (uint32_t i = 0; i < 3000; i++) {
		char line[40];
		int size = snprintf(line, sizeof line, "line %u of the input\n", i);
		for (int k = 0; k < size; k++)
			expected.sum = expected.sum * 31 + (unsigned char)line[k];
		expected.size += (uint32_t)size;
	}
	EXPECT(input.ended && input.size == expected.size && input.sum == expected.sum);
	instance_end(instance, 0);
	close(fds[0]);
}

static void destroy_while_input_waits(void)
{
	struct tb_config config = config_of(1);
	int fds[2];
	EXPECT(pipe(fds) == 0);
	config.input_fd = fds[0];
	for (uint32_t i = 0; i < 20; i++) {
		tb_instance *instance = instance_boot(&config);
		instance_end(instance, 0);
	}
	close(fds[0]);
	close(fds[1]);
}

static void commands_run(void)
{
	tb_instance *instance = instance_of(1);
	char *huge = malloc(70000);
	int32_t status = 0;
	EXPECT_ERR(tb_command(instance, "hello", &status), 0);
	EXPECT(status == 5);
	EXPECT(strstr(console_text.text, "hello") != NULL);
	EXPECT(huge != NULL);
	memset(huge, 'x', 69999);
	huge[69999] = '\0';
	EXPECT_ERR(tb_command(instance, huge, &status), -EMSGSIZE);
	free(huge);
	instance_end(instance, 0);
}

const struct host_test host_tests_call[] = {
	{"calls_return_results", calls_return_results, false},
	{"calls_of_many_threads", calls_of_many_threads, false},
	{"calls_that_sleep_and_compute", calls_that_sleep_and_compute, false},
	{"calls_of_short_lived_threads", calls_of_short_lived_threads, false},
	{"calls_while_cpus_are_busy", calls_while_cpus_are_busy, false},
	{"calls_all_get_in", calls_all_get_in, false},
	{"threads_go_on_after_the_call", threads_go_on_after_the_call, true},
	{"signal_masks_and_stacks_stay", signal_masks_and_stacks_stay, false},
	{"console_input_comes", console_input_comes, true},
	{"destroy_while_input_waits", destroy_while_input_waits, true},
	{"commands_run", commands_run, false},
	{NULL, NULL, false},
};
