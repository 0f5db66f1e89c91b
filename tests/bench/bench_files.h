// SPDX-License-Identifier: MIT
//
// Between bench_files' two halves: one call into the instance measures one thing.
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

#include "tbos/types.h"

#define BENCH_FILES 20000u
#define BENCH_LOOKUPS 200000u
#define BENCH_READS 400u
#define BENCH_WRITE_MIB 64u
#define BENCH_MIB (1u << 20)

enum bench_op {
	BENCH_CREATE, // BENCH_FILES files in one folder, opened and closed
	BENCH_STAT,
	BENCH_READDIR, // all names, BENCH_FILES of them
	BENCH_RENAME,
	BENCH_UNLINK,
	BENCH_LOOKUP,    // stat of a path of six components
	BENCH_READ,      // 1 MiB, again and again
	BENCH_MEMCPY,    // the same by memcpy
	BENCH_WRITE,     // BENCH_WRITE_MIB of a new file, removed afterwards
	BENCH_FOLDERS_1, // create, stat and unlink of BENCH_FILES files by one thread
	BENCH_FOLDERS_2, // twice as many by two, in folders of their own
	BENCH_UNPACK,    // an archive, as an initramfs
	BENCH_STREAM,    // its bytes alone: unpacked, and copied once to fresh memory
	BENCH_OP_COUNT
};

struct bench_call {
	uint32_t op;      // enum bench_op
	uint64_t took_ns; // out
	uint64_t bytes;   // out: of BENCH_UNPACK and BENCH_STREAM
	int32_t err;      // out
	const char *archive;
};

int64_t tb_bench_files(void *arg); // for tb_call(); struct bench_call *

#endif
