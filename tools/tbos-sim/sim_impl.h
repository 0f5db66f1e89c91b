// SPDX-License-Identifier: MIT
//
// tbos-sim: one instance of TBOS as a Linux process. main.c chooses; options.c and disk.c read the command line; run.c makes,
// boots, commands and ends an instance and collects what can be reported; persona.c goes on in another executable; verify.c runs twice and compares; report.c prints
// the report; trace_file.c writes the event log (Chrome Trace Event JSON, which Perfetto opens).
//
// Exit status: the last monitor command's, 0 … 255; 1 an error of ours, 2 a wrong command line, 3 --verify found a
// difference, 124 time limit, 125 panic, 130 Ctrl-C.
#ifndef SIM_IMPL_H
#define SIM_IMPL_H

#include "tbos/tbos.h"

#include <stdio.h>

enum sim_exit {
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_DIFFERS = 3,
	EXIT_TIME = 124,
	EXIT_PANIC = 125,
	EXIT_INTERRUPTED = 130
};

#define SIM_DISKS_MAX 16u

struct sim_options {
	uint32_t engine; // enum tb_engine
	uint32_t cpus;
	uint32_t slot; // 0: any, else slot + 1
	uint64_t mem_bytes;
	uint64_t seed;
	uint64_t time_limit_ns;
	const char *persona;
	const char *policy;
	const char *record_path;
	const char *replay_path;
	const char *trace_path;
	const char *initramfs_path;
	const char *commands; // NULL: the monitor on the console
	struct tb_disk disks[SIM_DISKS_MAX];
	uint32_t disk_count;
	bool stepped;
	bool verify;
	bool json;
	bool quiet;
};

// What one run came to.
struct sim_result {
	tb_err err;
	int32_t status; // exit status of the last command
	char error[256];
	bool panicked;
	uint64_t boot_ns, run_ns, end_ns; // host time of the three parts
	uint64_t console_bytes;
	bool have_stats;
	struct tb_sim_stats stats;
};

struct trace_file;

// 0 go on, else the exit status: 0 is never an error here; --help and --version print and set *done.
int options_parse(int argc, char **argv, struct sim_options *options, bool *done);
bool options_number(const char *option, const char *text, uint64_t max,
		    uint64_t *out);                             // with K, M, G; complains itself
bool disk_parse(const char *text, struct sim_options *options); // disk.c: one --disk; complains itself

// One run. `poison` as tb_config.poison; `silent` drops the console output (it still counts and is hashed).
void run_once(const struct sim_options *options, uint32_t poison, bool silent, struct sim_result *result);
int run_exit_status(const struct sim_result *result);

// persona.c: goes on in the executable that has the persona, if it is another. Returns when there is none.
void persona_enter(char **argv, const char *name);

int verify_run(const struct sim_options *options);

void report_json(FILE *out, const struct sim_options *options, const struct sim_result *result);
void report_hash(const struct sim_result *result); // `trace-hash: <hex>`, last line on stderr

// NULL / false with errno.
struct trace_file *trace_file_open(const char *path);
void trace_file_event(void *file, const struct tb_trace_record *record); // tb_config.trace_fn
bool trace_file_close(struct trace_file *file);

#endif
