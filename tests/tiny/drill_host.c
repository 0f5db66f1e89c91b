// SPDX-License-Identifier: MIT
//
// drill_main.c in the simulator: one CPU, a stepped clock.
//   test-drill SEED:ROUNDS+…
#include "tbos/tbos.h"

#include <stdio.h>

int64_t tb_test_main(void *text);

static void console_print(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	fwrite(bytes, 1, size, stdout);
}

int main(int argc, char **argv)
{
	struct tb_config config;
	tb_instance *instance;
	int64_t result = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: %s SEED:ROUNDS[!]+...\n", argv[0]);
		return 2;
	}
	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM;
	config.flags = TB_CONFIG_QUIET | TB_CONFIG_STEPPED;
	config.cpu_count = 1;
	config.write_fn = console_print;
	config.input_fd = -1;
	tb_err err = tb_create(&config, &instance);
	if (err == 0)
		err = tb_boot(instance);
	if (err == 0)
		err = tb_call(instance, tb_test_main, argv[1], &result);
	if (err != 0)
		fprintf(stderr, "%s: error %d: %s\n", argv[0], err, tb_error(NULL));
	return err != 0 ? 1 : (int)result;
}
