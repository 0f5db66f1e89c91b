// SPDX-License-Identifier: MIT
//
// A database's work and the model of it: transaction n of a seed inserts, replaces and takes away some blobs, and writes into a log that it did. What a
// database must hold behind n transactions is known without it.
#ifndef SQLITE_WORK_H
#define SQLITE_WORK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define WORK_KEYS 40u

struct work_row {
	uint32_t size_bytes; // 0: no such row
	uint64_t word;       // what its contents follow from
};

struct work {
	uint64_t seed;
	uint32_t size_bytes_max; // of a blob; 10 at least
	uint32_t done;           // transactions
	struct work_row rows[WORK_KEYS];
};

struct work work_begin(uint64_t seed, uint32_t size_bytes_max);
uint64_t work_mix(uint64_t a, uint64_t b);

// All return codes of SQLite. work_step() is one transaction; when it is done the model has it, too. work_skip() is the model's alone.
int work_schema(sqlite3 *db);
int work_step(sqlite3 *db, struct work *work);
void work_skip(struct work *work);

// Whether the database holds just what the model does, by table and by index; prints what is wrong.
bool work_compare(sqlite3 *db, const struct work *work);

int work_run(sqlite3 *db, const char *sql);
int64_t work_number(sqlite3 *db, const char *sql); // of the first column of the first row; -1: none, or an error
bool work_says(sqlite3 *db, const char *sql, const char *text);

#endif
