// SPDX-License-Identifier: MIT
//
// The hosted side of the HAL's conformance tests: what its files share. A host test runs in a process of its own; it fails by
// returning after FAIL, and passes otherwise.
#ifndef CONFORM_H
#define CONFORM_H

#include "mini.h"
#include "tbos/tbos.h"

#include <stdio.h>
#include <stdlib.h>

struct conform_options {
	enum tb_engine engine;
	uint64_t seed;
	const char *policy;
	const char *module_path; // 10,000 bytes, byte i being i % 251
	uint32_t timeout_s;
};

extern struct conform_options conform_options;

struct host_test {
	const char *name;
	void (*fn)(void);
	bool threads_only;
};

extern const struct host_test host_tests_life[], host_tests_call[], host_tests_end[]; // ended by a NULL name

#define FAIL(...)                                                                                                      \
	do {                                                                                                           \
		printf("# %s:%d: ", __FILE__, __LINE__);                                                               \
		printf(__VA_ARGS__);                                                                                   \
		printf("\n");                                                                                          \
		fflush(stdout);                                                                                        \
		_exit(1);                                                                                              \
	} while (0)
#define EXPECT(expr)                                                                                                   \
	do {                                                                                                           \
		if (!(expr))                                                                                           \
			FAIL("%s", #expr);                                                                             \
	} while (0)
#define EXPECT_ERR(expr, want)                                                                                         \
	do {                                                                                                           \
		int err_ = (expr);                                                                                     \
		if (err_ != (want))                                                                                    \
			FAIL("%s is %d, expected %d", #expr, err_, (int)(want));                                       \
	} while (0)

// What the console of a test's instances has said.
struct console_text {
	char text[65536];
	size_t size;
};
extern struct console_text console_text;

struct tb_config config_of(uint32_t cpus); // persona mini, console kept in console_text
tb_instance *instance_boot(const struct tb_config *config);
tb_instance *instance_of(uint32_t cpus);
void instance_end(tb_instance *instance, tb_err expected);
uint64_t host_now_ns(void);
uint32_t host_rounds(uint32_t full); // fewer under sim and sanitizers

#endif
