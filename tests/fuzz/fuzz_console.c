// SPDX-License-Identifier: MIT
//
// Fuzz target: the console as a whole. The first byte chooses between a terminal (line editing, history, completion by the real commands,
// Ctrl-C) and a pipe (plain lines); the rest is typed, and its end ends the instance. Whatever comes, the instance ends in order and leaves
// nothing behind, or runs out of its virtual time.
#include "kept_console.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAM_BYTES (8u << 20)
#define LIFE_NS 5000000u
#define TYPED_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void fail(const char *what, tb_err err, const tb_instance *instance)
{
	fprintf(stderr, "fuzz_console: %s: error %d, %s\n%s\n", what, err, tb_error(instance), console);
	abort();
}

static void type(uint8_t how, int input_fd)
{
	struct tb_config config;
	tb_instance *instance = NULL;

	tb_config_init(&config);
	config.engine = TB_ENGINE_SIM;
	config.cpu_count = 1 + (how >> 1 & 1);
	config.mem_bytes = RAM_BYTES;
	config.flags = TB_CONFIG_MONITOR | (how & 1 ? TB_CONFIG_INTERACTIVE : 0) | (how & 4 ? 0 : TB_CONFIG_QUIET);
	config.seed = how;
	config.time_limit_ns = LIFE_NS;
	config.write_fn = console_keep;
	config.input_fd = input_fd;
	console_size = 0;
	tb_err err = tb_create(&config, &instance);
	if (err == 0)
		err = tb_boot(instance);
	if (err != 0 && err != -ESHUTDOWN)
		fail("boot", err, instance);
	int32_t status = 0;
	err = tb_wait(instance, &status);
	if (err != 0 && err != -ETIME)
		fail("wait", err, instance);
	err = tb_destroy(instance);
	if (err != 0 && err != -ETIME)
		fail("end", err, NULL);
	if (status < 0 || status > 255)
		fail("exit status", status, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int fds[2];

	if (size == 0 || size > TYPED_MAX || pipe(fds) != 0)
		return 0;
	if (write(fds[1], bytes + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	close(fds[1]);
	type(bytes[0], fds[0]);
	close(fds[0]);
	return 0;
}
