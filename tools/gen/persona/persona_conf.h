// SPDX-License-Identifier: MIT
//
// The persona files: "key = value" lines, '#' comments, "key += value" to add to a list. An overlay (config/packages) is
// parsed into the same structure after the persona, so that later lines win. The parser is pure: text in, structure or an
// error with its line out; the fuzz target and the generator share it.
#ifndef PERSONA_CONF_H
#define PERSONA_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERSONA_TEXT_SIZE 256
#define PERSONA_NAME_SIZE 32
#define PERSONA_COMPONENTS_MAX 64
#define PERSONA_FILE_MAX 65536

struct persona_conf {
	char name[PERSONA_NAME_SIZE];
	char summary[PERSONA_TEXT_SIZE];
	char devices[PERSONA_TEXT_SIZE];
	char qemu[PERSONA_TEXT_SIZE];
	char components[PERSONA_COMPONENTS_MAX][PERSONA_NAME_SIZE];
	uint32_t component_count;
	uint64_t memory_bytes;
	uint64_t frame_size_bytes;
	uint64_t slice_ns;
	uint64_t cpu_count;
	uint64_t node_count;
	uint64_t log_size_bytes;
	uint64_t trace_events;
	uint64_t thread_limit;
};

struct persona_error {
	uint32_t line; // 1 …; 0: the file as a whole
	char reason[160];
};

// Everything unset but the name. `name` must be a C identifier of at most 31 bytes; false otherwise.
bool persona_conf_init(struct persona_conf *conf, const char *name);

// Applies one file's text, which need not end in 0. On false *error says where and why and *conf is of no use.
bool persona_conf_parse(struct persona_conf *conf, const char *text, size_t size_bytes, struct persona_error *error);

// Whether it is whole and within limits.
bool persona_conf_validate(const struct persona_conf *conf, struct persona_error *error);

#endif
