// SPDX-License-Identifier: MIT
//
// The host half of fuzz_pxfs and its kin: one instance serves all inputs.
#include "kept_console.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_pxfs(void *arg); // the kernel half, struct fuzz_input *
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static tb_instance *instance;
	struct fuzz_input input = {bytes, size};
	int64_t result = -1;

	if (instance == NULL) {
		struct tb_config config;
		quiet_config(&config, TB_ENGINE_THREADS, 1, 128u << 20, 0);
		if (tb_create(&config, &instance) != 0 || tb_boot(instance) != 0)
			abort();
	}
	if (tb_call(instance, tb_fuzz_pxfs, &input, &result) != 0 || result != 0) {
		fprintf(stderr, "fuzz_pxfs: result %lld, %s\n%s\n", (long long)result, tb_error(instance), console);
		abort();
	}
	console_size = 0;
	return 0;
}
