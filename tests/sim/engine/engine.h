// SPDX-License-Identifier: MIT
//
// Tests of the simulator itself, on the mini kernel. A file lists its tests; main.c runs a group of them and speaks TAP.
#ifndef ENGINE_H
#define ENGINE_H

#include "tbos/tbos.h"

#include <stdio.h>

struct engine_test {
	const char *name;
	void (*body)(void);
};

// Each ends with a test without a name.
extern const struct engine_test engine_unit_tests[];
extern const struct engine_test engine_log_tests[];
extern const struct engine_test engine_determinism_tests[];
extern const struct engine_test engine_replay_tests[];
extern const struct engine_test engine_policy_tests[];
extern const struct engine_test engine_limit_tests[];
extern const struct engine_test engine_world_tests[];

// The test goes on after a failed check; the first failures are told. From any host thread.
void engine_check(bool ok, const char *file, int line, const char *format, ...)
	__attribute__((__format__(__printf__, 4, 5)));
#define CHECK(expression) engine_check((expression), __FILE__, __LINE__, "%s", #expression)
#define CHECK_ERR(err, wanted) engine_check_equal((int64_t)(err), (int64_t)(wanted), __FILE__, __LINE__, #err)
#define CHECK_HAS(text, part) engine_check_has((text), (part), __FILE__, __LINE__)
void engine_check_equal(int64_t got, int64_t wanted, const char *file, int line, const char *what);
void engine_check_has(const char *text, const char *part, const char *file, int line);

// A figure for the reader of the test's output.
void engine_note(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

#define ENGINE_COMMANDS_MAX 8

// What a run of boot, commands and destroy came to.
struct engine_run {
	tb_err create, boot, destroy;
	tb_err errs[ENGINE_COMMANDS_MAX];
	int32_t statuses[ENGINE_COMMANDS_MAX];
	struct tb_sim_stats stats; // after the last command
	char error[512];           // of the first error
};

// Simulated, 3 CPUs, seed 1, console output swallowed.
void engine_config(struct tb_config *config);
// Commands end with NULL.
void engine_run(const struct tb_config *config, const char *const *commands, struct engine_run *run);
bool engine_same(const struct engine_run *a, const struct engine_run *b); // errors and hashes

// The usual workload: locks, races, sleep, polling, chance.
extern const char *const engine_workload[];

uint64_t engine_now_ns(void);
char *engine_path(char *buffer, size_t size_bytes, const char *name); // of a scratch file
void engine_file_write(const char *path, const void *bytes, size_t size_bytes);
size_t engine_file_read(const char *path, void *bytes, size_t size_bytes);

#endif
