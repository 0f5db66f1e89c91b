// SPDX-License-Identifier: MIT
//
// Fuzz target: monitor command lines with every command and its arguments, through tb_command(). One simulated instance serves many
// inputs; it has a few milliseconds of virtual time, which bounds what `stress`, `bench` and `sleep` can cost, and is replaced when they
// are used up or a line has switched it off. Nothing may panic or be left behind.
#include "kept_console.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (16u << 20)
#define LIFE_NS 6000000u
#define CHECK_EVERY 50u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static tb_instance *instance;

static void fail(const char *what, tb_err err)
{
	fprintf(stderr, "fuzz_monitor: %s: error %d, %s\n%s\n", what, err, tb_error(instance), console);
	abort();
}

static void instance_make(void)
{
	struct tb_config config;

	quiet_config(&config, TB_ENGINE_SIM, 2, RAM_BYTES, LIFE_NS);
	tb_err err = tb_create(&config, &instance);
	if (err == 0)
		err = tb_boot(instance);
	if (err != 0)
		fail("boot", err);
}

static void instance_end(void)
{
	tb_err err = tb_destroy(instance);
	if (err != 0 && err != -ETIME)
		fail("end", err);
	instance = NULL;
}

// Half of its life must be left for a line.
static void instance_refresh(void)
{
	struct tb_sim_stats stats;

	if (instance != NULL && (tb_sim_stats(instance, &stats) != 0 || stats.time_ns > LIFE_NS / 2))
		instance_end();
	if (instance == NULL)
		instance_make();
}

static void line_run(const char *line)
{
	int32_t status = -1;
	tb_err err = tb_command(instance, line, &status);

	if (err == -ESHUTDOWN || err == -ETIME) {
		instance_end();
		return;
	}
	if (err != 0)
		fail("command", err);
	if (status < 0 || status > 255)
		fail("exit status", status);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static unsigned inputs;
	char *line = malloc(size + 1); // exact, so that the sanitizer sees a read past the end

	if (line == NULL)
		return 0;
	memcpy(line, bytes, size);
	line[size] = '\0';
	instance_refresh();
	line_run(line);
	free(line);
	if (++inputs % CHECK_EVERY == 0) {
		int32_t status = 0;
		instance_refresh();
		tb_err err = tb_command(instance, "check", &status);
		if (err != -ESHUTDOWN && (err != 0 || status != 0))
			fail("check", err);
		instance_end(); // what a line has left behind shows here
	}
	return 0;
}
