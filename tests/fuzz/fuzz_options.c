// SPDX-License-Identifier: MIT
//
// Fuzz target: the command line of tbos-sim. Words are cut at NUL and newline. What is accepted is inside the limits that the usage text
// promises, and every refusal has said why.
#include "../../tools/tbos-sim/sim_impl.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 40

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char complaints[65536];

// The fuzzer has kept the real one for itself.
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	stdout = fopen("/dev/null", "w");
	stderr = fmemopen(complaints, sizeof complaints, "w");
	return stdout == NULL || stderr == NULL;
}

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void accepted_check(const struct sim_options *options)
{
	require(options->cpus <= 64 && options->slot <= 85);
	require(options->mem_bytes == 0 || (options->mem_bytes >= 2u << 20 && options->mem_bytes <= 3ull << 30));
	require(options->engine == TB_ENGINE_THREADS || options->engine == TB_ENGINE_SIM);
	require(options->engine == TB_ENGINE_SIM || (!options->verify && options->record_path == NULL &&
						     options->replay_path == NULL && options->policy == NULL));
	require(options->record_path == NULL || options->replay_path == NULL);
	require(!options->verify || options->commands != NULL);
	require(options->time_limit_ns <= UINT64_MAX / 2);
	require(options->disk_count <= SIM_DISKS_MAX);
	for (uint32_t i = 0; i < options->disk_count; i++)
		require(options->disks[i].path != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *argv[WORDS_MAX + 2] = {"tbos-sim"};
	char *words = malloc(size + 1); // exact, so that the sanitizer sees a read past the end
	struct sim_options options = {.seed = 1};
	bool done = false;
	int argc = 1;

	require(words != NULL);
	memcpy(words, bytes, size);
	words[size] = '\0';
	for (size_t i = 0; i < size; i++)
		words[i] = words[i] == '\n' ? '\0' : words[i];
	for (char *at = words; at < words + size && argc <= WORDS_MAX; at += strlen(at) + 1)
		argv[argc++] = at;
	optind = 0; // getopt begins anew
	rewind(stderr);
	complaints[0] = '\0';
	int status = options_parse(argc, argv, &options, &done);
	fflush(stderr);
	if (status == 0 && !done)
		accepted_check(&options);
	else if (status != 0)
		require(status == EXIT_USAGE && strstr(complaints, "tbos-sim") != NULL);
	for (uint32_t i = 0; i < options.disk_count; i++) {
		free((void *)(uintptr_t)options.disks[i].path);
		free((void *)(uintptr_t)options.disks[i].faults);
	}
	free(words);
	return 0;
}
