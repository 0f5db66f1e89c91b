// SPDX-License-Identifier: MIT
//
// Instances of fuzz targets: quiet, with what they say, or the end of it, kept for the message of one that fails.
#ifndef KEPT_CONSOLE_H
#define KEPT_CONSOLE_H

#include <stddef.h>
#include <string.h>

#include "tbos/tbos.h"

static char console[65536];
static size_t console_size;

static inline void console_keep(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	if (size >= sizeof console - console_size)
		console_size = 0;
	if (size >= sizeof console)
		return;
	memcpy(console + console_size, bytes, size);
	console_size += size;
	console[console_size] = '\0';
}

static inline void quiet_config(struct tb_config *config, enum tb_engine engine, uint32_t cpu_count, uint64_t mem_bytes,
				uint64_t time_limit_ns)
{
	tb_config_init(config);
	config->engine = (uint32_t)engine;
	config->cpu_count = cpu_count;
	config->mem_bytes = mem_bytes;
	config->flags = TB_CONFIG_QUIET;
	config->seed = 1;
	config->time_limit_ns = time_limit_ns;
	config->write_fn = console_keep;
	console_size = 0;
}

#endif
