// SPDX-License-Identifier: MIT
//
// Fuzz target: struct tb_config. Six bytes give numbers; the rest is cut at newlines into policy, persona and command line. Either
// tb_create() names what is wrong, or the instance boots, or its boot fails in order (the command line may ask for a failing
// allocation); in any case nothing is left.
#include "kept_console.h"
#include "tbos/tbos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS 6u
#define TEXTS 3u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void fail(const char *what, tb_err err, const tb_instance *instance)
{
	fprintf(stderr, "fuzz_config: %s: error %d, %s\n%s\n", what, err, tb_error(instance), console);
	abort();
}

// Cuts `text` at newlines; an empty piece leaves the default.
static void texts_cut(char *text, const char *pieces[TEXTS])
{
	for (size_t i = 0; i < TEXTS; i++) {
		char *end = text != NULL ? strchr(text, '\n') : NULL;
		pieces[i] = text != NULL && text[0] != '\n' && text[0] != '\0' ? text : NULL;
		if (end != NULL)
			*end = '\0';
		text = end != NULL ? end + 1 : NULL;
	}
}

static void config_fill(struct tb_config *config, const uint8_t *bytes, const char *texts[TEXTS])
{
	tb_config_init(config);
	config->engine = bytes[0] < 250 ? TB_ENGINE_SIM : bytes[0] - 250;
	config->cpu_count = bytes[1] < 240 ? bytes[1] % 5 : bytes[1];
	config->mem_bytes = bytes[2] < 240 ? ((uint64_t)bytes[2] % 16 << 20) + ((uint64_t)bytes[3] << 12) : bytes[3];
	config->flags = TB_CONFIG_QUIET | (bytes[4] < 240 ? bytes[4] % 16u : bytes[4]);
	config->poison = bytes[5];
	config->slot = bytes[5] > 0xf0 ? bytes[4] : 0;
	config->policy = texts[0];
	config->persona = texts[1];
	config->cmdline = texts[2];
	config->time_limit_ns = 5000000;
	config->write_fn = console_keep;
}

static void config_try(const struct tb_config *config)
{
	tb_instance *instance = NULL;
	tb_err err = tb_create(config, &instance);

	if (err != 0) {
		if (tb_error(NULL)[0] == '\0' || instance != NULL)
			fail("a refusal without a reason", err, NULL);
		return;
	}
	tb_err boot = tb_boot(instance);
	if (boot == -EIO)
		fail("boot", boot, instance);
	err = tb_destroy(instance);
	if (err == -EIO || err == -EUCLEAN || err == -EBUSY)
		fail("end", err, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *texts[TEXTS];
	struct tb_config config;

	if (size < NUMBERS)
		return 0;
	char *text = malloc(size - NUMBERS + 1); // exact, so that the sanitizer sees a read past the end
	if (text == NULL)
		return 0;
	memcpy(text, bytes + NUMBERS, size - NUMBERS);
	text[size - NUMBERS] = '\0';
	texts_cut(text, texts);
	config_fill(&config, bytes, texts);
	console_size = 0;
	config_try(&config);
	free(text);
	return 0;
}
