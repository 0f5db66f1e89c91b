// SPDX-License-Identifier: MIT
//
// Conformance, host side: creating, slots, many instances in one process, destroying.
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_create(const struct tb_config *config, tb_err want)
{
	tb_instance *instance;
	tb_err err = tb_create(config, &instance);
	if (err != want)
		FAIL("tb_create: %d, expected %d: %s", err, want, tb_error(NULL));
	EXPECT(tb_error(NULL)[0] != '\0');
}

static void create_checks_arguments(void)
{
	struct tb_config config = config_of(1);
	config.version = 99;
	expect_create(&config, -EPERM);
	config = config_of(65);
	expect_create(&config, -EINVAL);
	config = config_of(1);
	config.engine = 7;
	expect_create(&config, -EINVAL);
	config = config_of(1);
	config.flags = 1u << 20;
	expect_create(&config, -EINVAL);
	config = config_of(1);
	config.mem_bytes = 1u << 20;
	expect_create(&config, -EINVAL);
	config.mem_bytes = 4ull << 30;
	expect_create(&config, -EINVAL);
	config.mem_bytes = (16u << 20) + 5;
	expect_create(&config, -EINVAL);
	config = config_of(1);
	config.slot = 86;
	expect_create(&config, -EINVAL);
	config = config_of(1);
	config.persona = "no_such_persona";
	expect_create(&config, -ENOENT);
	config = config_of(1);
	config.reserved = 1;
	expect_create(&config, -EINVAL);
}

static int64_t ram_address(void *arg)
{
	(void)arg;
	return (int64_t)(uintptr_t)mini()->info.ram;
}

static void slots_are_fixed(void)
{
	struct tb_config config = config_of(1);
	tb_instance *high, *lowest, *next, *taken;
	int64_t address;
	config.slot = 18;
	high = instance_boot(&config);
	EXPECT_ERR(tb_call(high, ram_address, NULL, &address), 0);
	EXPECT(address == 0x550000000000ll + 17 * (4ll << 30));
	EXPECT_ERR(tb_create(&config, &taken), -EBUSY);
	lowest = instance_of(1);
	EXPECT_ERR(tb_call(lowest, ram_address, NULL, &address), 0);
	EXPECT(address == 0x550000000000ll);
	next = instance_of(1);
	EXPECT_ERR(tb_call(next, ram_address, NULL, &address), 0);
	EXPECT(address == 0x550000000000ll + (4ll << 30));
	instance_end(lowest, 0);
	lowest = instance_of(1);
	EXPECT_ERR(tb_call(lowest, ram_address, NULL, &address), 0);
	EXPECT(address == 0x550000000000ll);
	instance_end(lowest, 0);
	instance_end(next, 0);
	instance_end(high, 0);
}

static int64_t stain(void *arg)
{
	unsigned char *memory = mini_alloc(1 << 20, 4096);
	(void)arg;
	for (uint32_t i = 0; i < 1u << 20; i++)
		if (memory[i] != 0)
			return 1;
	memset(memory, 0xee, 1 << 20);
	hal_ram_poison(memory, 4096);
	return 0;
}

static void ram_is_fresh_every_time(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		tb_instance *instance = instance_of(1);
		int64_t value;
		EXPECT_ERR(tb_call(instance, stain, NULL, &value), 0);
		EXPECT(value == 0);
		instance_end(instance, 0);
	}
}

static int64_t whoami(void *arg)
{
	uint32_t *count = arg;
	for (uint32_t i = 0; i < 20; i++) {
		mini_sleep_ns(20000);
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	}
	return (int64_t)(uintptr_t)hal_kernel();
}

static void many_instances_at_once(void)
{
	enum {
		COUNT = 30
	};
	tb_instance *instances[COUNT];
	uint32_t count = 0;
	int64_t value;
	if (conform_options.engine == TB_ENGINE_THREADS)
		for (uint32_t i = 0; i < COUNT; i++)
			instances[i] = instance_of(1 + i % 3);
	else
		for (uint32_t i = 0; i < COUNT; i++)
			instances[i] = instance_of(1 + i % 2);
	for (uint32_t i = 0; i < COUNT; i++) {
		EXPECT_ERR(tb_call(instances[i], whoami, &count, &value), 0);
		EXPECT(value == (int64_t)(0x550000000000ull + i * (4ull << 30)));
	}
	EXPECT(count == COUNT * 20);
	for (uint32_t i = 0; i < COUNT; i++)
		instance_end(instances[(i * 7) % COUNT], 0);
}

static void *instance_user(void *arg)
{
	uint32_t *count = arg;
	for (uint32_t i = 0; i < host_rounds(20); i++) {
		tb_instance *instance = instance_of(2);
		int64_t value;
		EXPECT_ERR(tb_call(instance, whoami, count, &value), 0);
		instance_end(instance, 0);
	}
	return NULL;
}

static void instances_of_many_threads(void)
{
	enum {
		COUNT = 8
	};
	pthread_t threads[COUNT];
	uint32_t count = 0;
	for (uint32_t i = 0; i < COUNT; i++)
		EXPECT(pthread_create(&threads[i], NULL, instance_user, &count) == 0);
	for (uint32_t i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
	EXPECT(count == COUNT * 20 * host_rounds(20));
}

static uint32_t files_open(void)
{
	uint32_t count = 0;
	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static uint64_t memory_used_kib(void)
{
	unsigned long long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	EXPECT(file != NULL && fscanf(file, "%llu %llu", &size, &resident) == 2);
	fclose(file);
	return resident * 4;
}

static void churn(uint32_t rounds, uint32_t cpus)
{
	for (uint32_t i = 0; i < rounds; i++) {
		tb_instance *instance = instance_of(cpus);
		int64_t value;
		EXPECT_ERR(tb_call(instance, ram_address, NULL, &value), 0);
		instance_end(instance, 0);
	}
}

static void churn_leaks_nothing(void)
{
	churn(host_rounds(100), 3);
	uint32_t files = files_open();
	uint64_t used_kib = memory_used_kib();
	churn(host_rounds(1000), 1);
	churn(host_rounds(500), 3);
	EXPECT(files_open() == files);
	uint64_t allowed_kib = CONFIG_TSAN || CONFIG_ASAN ? 65536 : 512;
	if (memory_used_kib() > used_kib + allowed_kib)
		FAIL("resident memory has grown from %llu to %llu KiB", (unsigned long long)used_kib,
		     (unsigned long long)memory_used_kib());
}

static void destroy_without_boot(void)
{
	struct tb_config config = config_of(2);
	for (uint32_t i = 0; i < 10; i++) {
		tb_instance *instance;
		int64_t value;
		EXPECT_ERR(tb_create(&config, &instance), 0);
		EXPECT_ERR(tb_call(instance, ram_address, NULL, &value), -ENOTCONN);
		EXPECT_ERR(tb_wait(instance, NULL), -ENOTCONN);
		instance_end(instance, 0);
	}
}

static void boot_twice(void)
{
	tb_instance *instance = instance_of(1);
	EXPECT_ERR(tb_boot(instance), -EALREADY);
	instance_end(instance, 0);
}

static void biggest_machine(void)
{
	struct tb_config config = config_of(64);
	config.mem_bytes = 512u << 20;
	tb_instance *instance = instance_boot(&config);
	int64_t value;
	EXPECT_ERR(tb_call(instance, ram_address, NULL, &value), 0);
	instance_end(instance, 0);
}

// A child makes instances of its own beside the parent's, which it does not touch. TSan itself forbids new threads in the
// child of a process that has several, so there is nothing to be tested there.
static void forked_child_has_its_own(void)
{
	if (CONFIG_TSAN)
		return;
	tb_instance *instance = instance_of(2);
	uint32_t count = 0;
	int64_t value;
	int status;
	EXPECT_ERR(tb_call(instance, whoami, &count, &value), 0);
	pid_t child = fork();
	if (child == 0) {
		tb_instance *own = instance_of(2);
		EXPECT_ERR(tb_call(own, whoami, &count, &value), 0);
		EXPECT(value == 0x550000000000ll + (4ll << 30));
		instance_end(own, 0);
		_exit(0);
	}
	EXPECT(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	EXPECT_ERR(tb_call(instance, whoami, &count, &value), 0);
	instance_end(instance, 0);
}

const struct host_test host_tests_life[] = {
	{"create_checks_arguments", create_checks_arguments, false},
	{"slots_are_fixed", slots_are_fixed, false},
	{"ram_is_fresh_every_time", ram_is_fresh_every_time, false},
	{"many_instances_at_once", many_instances_at_once, false},
	{"instances_of_many_threads", instances_of_many_threads, false},
	{"churn_leaks_nothing", churn_leaks_nothing, false},
	{"destroy_without_boot", destroy_without_boot, false},
	{"boot_twice", boot_twice, false},
	{"forked_child_has_its_own", forked_child_has_its_own, true},
	{"biggest_machine", biggest_machine, false},
	{NULL, NULL, false},
};
