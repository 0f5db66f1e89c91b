// SPDX-License-Identifier: MIT
//
// TBOS as a library: boots an instance in this process, runs a function on a kernel thread inside it, runs a monitor
// command, shuts it down. Built against an installed TBOS:
//   cc example.c $(pkg-config --cflags --libs tbos) -o example
#include <tbos/tbos.h>

#include <inttypes.h>
#include <stdio.h>

// Runs inside: on a kernel stack, so it calls tb_k_* alone.
static int64_t nap(void *arg)
{
	uint64_t before_ns = tb_k_now_ns();
	tb_k_sleep_ns(*(const uint64_t *)arg);
	return (int64_t)(tb_k_now_ns() - before_ns);
}

static int use(tb_instance *instance)
{
	uint64_t wanted_ns = 2000000;
	int64_t slept_ns = 0;
	int32_t status = 1;

	if (tb_boot(instance) != 0 || tb_call(instance, nap, &wanted_ns, &slept_ns) != 0)
		return 1;
	printf("slept %" PRId64 " ns of virtual time\n", slept_ns);
	if (slept_ns < (int64_t)wanted_ns || tb_command(instance, "uptime", &status) != 0)
		return 1;
	return status;
}

int main(void)
{
	struct tb_config config;
	tb_instance *instance = NULL;

	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM; // the same run each time, from this seed
	config.seed = 7;
	config.flags = TB_CONFIG_QUIET;
	if (tb_create(&config, &instance) != 0) {
		fprintf(stderr, "example: %s\n", tb_error(NULL));
		return 1;
	}
	int status = use(instance);
	if (status != 0)
		fprintf(stderr, "example: %s\n", tb_error(instance));
	return tb_destroy(instance) == 0 ? status : 1;
}
