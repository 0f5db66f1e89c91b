// SPDX-License-Identifier: MIT
//
// Fuzz target: persona files. The text is cut at the first 0xff byte into a persona and an overlay. Whatever they hold, the parser
// ends; an error names a line inside the text; what is accepted is within the limits it promises.
#include "../../tools/gen/persona/persona_conf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t lines_of(const uint8_t *bytes, size_t size)
{
	uint32_t lines = 1;
	for (size_t i = 0; i < size; i++)
		lines += bytes[i] == '\n';
	return lines;
}

static bool parse(struct persona_conf *conf, const uint8_t *bytes, size_t size)
{
	struct persona_error error = {0};
	char *copy = malloc(size > 0 ? size : 1); // exact, so that the sanitizer sees a read past the end
	check(copy != NULL);
	memcpy(copy, bytes, size);
	bool ok = persona_conf_parse(conf, copy, size, &error);
	free(copy);
	if (!ok) {
		check(error.line <= lines_of(bytes, size));
		check(error.reason[0] != '\0');
		check(memchr(error.reason, 0, sizeof error.reason) != NULL);
	}
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct persona_conf conf;
	struct persona_error error = {0};
	const uint8_t *cut = size > 0 ? memchr(bytes, 0xff, size) : NULL;
	size_t first = cut != NULL ? (size_t)(cut - bytes) : size;

	check(persona_conf_init(&conf, "fuzzed"));
	if (!parse(&conf, bytes, first) || (cut != NULL && !parse(&conf, cut + 1, size - first - 1)))
		return 0;
	if (!persona_conf_validate(&conf, &error)) {
		check(error.reason[0] != '\0');
		return 0;
	}
	check(conf.memory_bytes >= 4096 && conf.memory_bytes <= 3ull << 30);
	check(conf.cpu_count >= 1 && conf.cpu_count <= 64 && conf.node_count <= conf.cpu_count);
	check(conf.component_count >= 1 && conf.component_count <= PERSONA_COMPONENTS_MAX);
	for (uint32_t i = 0; i < conf.component_count; i++)
		check(memchr(conf.components[i], 0, PERSONA_NAME_SIZE) != NULL && conf.components[i][0] != '\0');
	check(memchr(conf.summary, 0, PERSONA_TEXT_SIZE) != NULL && memchr(conf.qemu, 0, PERSONA_TEXT_SIZE) != NULL);
	return 0;
}
