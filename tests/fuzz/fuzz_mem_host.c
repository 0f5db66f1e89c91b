// SPDX-License-Identifier: MIT
//
// The host half of fuzz_frame, fuzz_screen, fuzz_slab, fuzz_tunables and fuzz_unpack: one instance of one CPU with a small RAM serves all inputs; each is one call into it. A
// broken belief inside panics the instance, which ends the program.
#include "kept_console.h"
#include "tbos/tbos.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (8u << 20)

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg); // the kernel half, struct fuzz_input *
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static tb_instance *instance_get(void)
{
	static tb_instance *instance;
	struct tb_config config;

	if (instance != NULL)
		return instance;
	quiet_config(&config, TB_ENGINE_THREADS, 1, RAM_BYTES, 0);
	if (tb_create(&config, &instance) != 0 || tb_boot(instance) != 0) {
		fprintf(stderr, "fuzz_mem: %s\n", tb_error(instance));
		exit(2);
	}
	return instance;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fuzz_input input = {bytes, size};
	int64_t result = -1;

	if (tb_call(instance_get(), tb_fuzz_mem, &input, &result) != 0 || result != 0) {
		fprintf(stderr, "fuzz_mem: result %lld, %s\n%s\n", (long long)result, tb_error(instance_get()),
			console);
		abort();
	}
	return 0;
}
