// SPDX-License-Identifier: MIT
//
// The crash explorer, its host half: sequences are dealt to processes, each of which boots an instance once and forks for every sequence, so that each begins with the
// same memory, whoever runs it.
#ifndef SWEEP_H
#define SWEEP_H

#include "crash_entry.h"
#include "tbos/tbos.h"

#include <stdio.h>

#define SWEEP_JOBS_MAX 64u
#define SWEEP_LENGTH_MAX 3u
#define FINDINGS_MAX 4u // that a process keeps

struct settings {
	const char *program;
	uint32_t length, jobs, depth, limit_s;
	uint64_t seed, budget_s; // budget 0: to the end
	uint32_t sample;         // of sequences longer than one, one in so many
	uint32_t nest, damage;   // one in so many; 0: none
	uint32_t disk;           // enum crash_disk
	bool cuts, deep, json, tap, resume, verbose;
	const char *state; // file; NULL
};

struct finding {
	struct crash_call call; // what came out too
	char ended[80];         // of a process that died; else ""
};

struct totals {
	struct crash_sums sums;
	uint64_t violations;             // sequences that have some
	uint64_t done[SWEEP_LENGTH_MAX]; // sequences by length
	uint32_t finding_count;
	struct finding findings[FINDINGS_MAX];
};

// What a run of sequences came to; `next` is where another goes on.
struct outcome {
	struct totals totals;
	uint64_t next, count; // sequences, all lengths behind each other
	double seconds, cpu_seconds;
	bool failed; // a process could not begin: said on stderr
};

extern const char no_place[]; // what `ended` is then
extern const char *const disk_names[CRASH_DISK_COUNT];

// sweep.c
uint32_t op_count(void);
uint64_t sequence_count(uint32_t length); // of all lengths up to it
void sums_add(struct crash_sums *to, const struct crash_sums *from);
void sweep_run(const struct settings *settings, uint64_t first, struct outcome *outcome);
bool instance_begin(const struct settings *settings,
		    tb_instance **out); // booted and prepared; false: said on stderr

// Runs one in a process of its own. call: mapped so that it is shared. `ended` gets how the process died, or "".
void sequence_run(tb_instance *instance, struct crash_call *call, uint32_t limit_s, char *ended, size_t ended_size);
struct crash_call *call_map(void); // NULL: no memory

// case.c
void call_make(const struct settings *settings, struct crash_call *call);
bool case_parse(const char *text, struct crash_call *call); // false: said on stderr
void case_print(const struct crash_call *call, char *text, size_t size);
void finding_shrink(const struct settings *settings, tb_instance *instance, struct finding *finding);
void finding_print(FILE *to, const char *before, const struct settings *settings, const struct finding *finding);

#endif
