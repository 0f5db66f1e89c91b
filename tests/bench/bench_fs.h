// SPDX-License-Identifier: MIT
//
// What bench_fs does to a filesystem, once for PXFS within an instance and once for the host's: the same source, over a table of calls. Included by both
// halves; freestanding.
#ifndef BENCH_FS_H
#define BENCH_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FS_FILES 10000u
#define FS_FILE_BYTES 4096u
#define FS_CHUNK (1u << 20)
#define FS_DATA (4u << 20) // of each kind, again and again
#define FS_STREAM_MIB 192u
#define FS_RANDOM_MIB 64u
#define FS_RANDOM_WRITES 4000u
#define FS_RANDOM_SYNC 100u // writes from one fsync to the next
#define FS_APPENDS 400u
#define FS_CROWD 1000000u
#define FS_LOOKUPS 50000u

enum fs_work {
	FS_CREATE,    // FS_FILES files of FS_FILE_BYTES, and a sync
	FS_STAT_COLD, // all of them, after mounting anew
	FS_STAT_WARM, // once more
	FS_RENAME,    // within their folder
	FS_UNLINK,
	FS_WRITE_TEXT, // FS_STREAM_MIB that LZ4 makes half of, or less, and an fsync
	FS_WRITE_NOISE,
	FS_READ_TEXT, // the same, after mounting anew
	FS_READ_NOISE,
	FS_OVERWRITE,    // FS_RANDOM_WRITES blocks of 4 KiB anywhere in FS_RANDOM_MIB
	FS_APPEND,       // 4 KiB and an fsync; the median
	FS_CROWD_MAKE,   // FS_CROWD names in one folder, and a sync
	FS_CROWD_LOOKUP, // FS_LOOKUPS of them, after mounting anew; the 99th of a hundred
	FS_MOUNT,        // mounting what is not mounted, and the memory that it takes
	FS_WORK_COUNT
};

struct fs_result {
	uint64_t took_ns; // of all of it, or of the one that stands for all
	uint64_t count;   // files, MiB, writes: what took_ns is divided by
	uint64_t kib;     // FS_MOUNT: memory that went; 0: not known
};

enum fs_open {
	FS_OPEN_WRITE = 1, // else for reading
	FS_OPEN_CREATE = 2
};

// 0, or a negative error, or a descriptor.
struct fs_calls {
	int (*open)(const char *path, int how);
	int (*close)(int fd);
	int (*pread)(int fd, void *bytes, size_t size, uint64_t at); // all of it
	int (*pwrite)(int fd, const void *bytes, size_t size, uint64_t at);
	int (*fsync)(int fd);
	int (*stat)(const char *path);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*mkdir)(const char *path);
	int (*sync)(void);
	int (*mount)(void);
	int (*unmount)(void);         // 0 as well when it is not mounted
	uint64_t (*memory_kib)(void); // of the machine that are taken; 0: not known
	uint64_t (*now_ns)(void);
	const char *top; // where it is mounted
};

struct fs_bench {
	const struct fs_calls *calls;
	uint8_t *text, *noise; // FS_DATA each
	uint64_t *times;       // FS_LOOKUPS
	char path[128], other[128];
	uint64_t rand;
};

static inline uint64_t fs_rand(struct fs_bench *bench)
{
	bench->rand ^= bench->rand << 13;
	bench->rand ^= bench->rand >> 7;
	bench->rand ^= bench->rand << 17;
	return bench->rand;
}

// Words of eight bytes, of which there are 64; and noise.
static inline void fs_data_fill(struct fs_bench *bench)
{
	bench->rand = 0x9e3779b97f4a7c15u;
	for (uint32_t i = 0; i < FS_DATA; i += 8) {
		uint64_t value = fs_rand(bench);
		for (uint32_t byte = 0; byte < 8; byte++) {
			bench->noise[i + byte] = (uint8_t)(value >> 8 * byte);
			bench->text[i + byte] = (uint8_t)('a' + (value % 64 * (2 * byte + 7) >> byte) % 26);
		}
	}
}

// "TOP/b/f0000017".
static inline const char *fs_name(char *to, const struct fs_bench *bench, const char *kind, uint32_t number)
{
	char *at = to;

	for (const char *from = bench->calls->top; *from != '\0'; from++)
		*at++ = *from;
	for (; *kind != '\0'; kind++)
		*at++ = *kind;
	for (uint32_t place = 1000000; place > 0; place /= 10)
		*at++ = (char)('0' + number / place % 10);
	*at = '\0';
	return to;
}

static inline int fs_file_make(struct fs_bench *bench, const char *kind, uint32_t number, uint32_t size)
{
	const struct fs_calls *calls = bench->calls;
	int fd = calls->open(fs_name(bench->path, bench, kind, number), FS_OPEN_WRITE | FS_OPEN_CREATE);
	int err = fd < 0 ? fd : 0;

	if (err == 0 && size > 0)
		err = calls->pwrite(fd, bench->text + (uint64_t)number * 64 % (FS_DATA - size), size, 0);
	int closed = fd < 0 ? 0 : calls->close(fd);
	return err != 0 ? err : closed;
}

static inline int fs_files(struct fs_bench *bench, enum fs_work work)
{
	const struct fs_calls *calls = bench->calls;
	int err = 0;

	for (uint32_t i = 0; i < FS_FILES && err == 0; i++) {
		if (work == FS_CREATE)
			err = fs_file_make(bench, "/b0000000/f", i, FS_FILE_BYTES);
		else if (work == FS_RENAME)
			err = calls->rename(fs_name(bench->path, bench, "/b0000000/f", i),
					    fs_name(bench->other, bench, "/b0000000/g", i));
		else if (work == FS_UNLINK)
			err = calls->unlink(fs_name(bench->path, bench, "/b0000000/g", i));
		else
			err = calls->stat(fs_name(bench->path, bench, "/b0000000/f", i));
	}
	return err == 0 && work == FS_CREATE ? calls->sync() : err;
}

static inline int fs_stream(struct fs_bench *bench, const char *kind, const uint8_t *data, uint8_t *into, uint32_t mib)
{
	const struct fs_calls *calls = bench->calls;
	int fd = calls->open(fs_name(bench->path, bench, kind, 0), into == NULL ? FS_OPEN_WRITE | FS_OPEN_CREATE : 0);
	int err = fd < 0 ? fd : 0;

	for (uint32_t i = 0; i < mib && err == 0; i++) {
		uint64_t at = (uint64_t)i * FS_CHUNK;
		if (into == NULL)
			err = calls->pwrite(fd, data + at % FS_DATA, FS_CHUNK, at);
		else
			err = calls->pread(fd, into, FS_CHUNK, at);
	}
	if (err == 0 && into == NULL)
		err = calls->fsync(fd);
	int closed = fd < 0 ? 0 : calls->close(fd);
	return err != 0 ? err : closed;
}

static inline int fs_overwrite(struct fs_bench *bench)
{
	const struct fs_calls *calls = bench->calls;
	int fd = calls->open(fs_name(bench->path, bench, "/r", 0), FS_OPEN_WRITE);
	int err = fd < 0 ? fd : 0;

	for (uint32_t i = 0; i < FS_RANDOM_WRITES && err == 0; i++) {
		uint64_t place = fs_rand(bench) % (FS_RANDOM_MIB * 256);
		err = calls->pwrite(fd, bench->text + place * 4096 % FS_DATA, 4096, place * 4096);
		if (err == 0 && i % FS_RANDOM_SYNC == FS_RANDOM_SYNC - 1)
			err = calls->fsync(fd);
	}
	int closed = fd < 0 ? 0 : calls->close(fd);
	return err != 0 ? err : closed;
}

static inline void fs_sort(uint64_t *times, uint32_t count)
{
	for (uint32_t gap = count / 2; gap > 0; gap /= 2)
		for (uint32_t i = gap; i < count; i++) {
			uint64_t value = times[i];
			uint32_t at = i;
			for (; at >= gap && times[at - gap] > value; at -= gap)
				times[at] = times[at - gap];
			times[at] = value;
		}
}

static inline int fs_append(struct fs_bench *bench)
{
	const struct fs_calls *calls = bench->calls;
	int fd = calls->open(fs_name(bench->path, bench, "/a", 0), FS_OPEN_WRITE | FS_OPEN_CREATE);
	int err = fd < 0 ? fd : 0;

	for (uint32_t i = 0; i < FS_APPENDS && err == 0; i++) {
		uint64_t start_ns = calls->now_ns();
		err = calls->pwrite(fd, bench->text, 4096, (uint64_t)i * 4096);
		if (err == 0)
			err = calls->fsync(fd);
		bench->times[i] = calls->now_ns() - start_ns;
	}
	fs_sort(bench->times, FS_APPENDS);
	int closed = fd < 0 ? 0 : calls->close(fd);
	return err != 0 ? err : closed;
}

static inline int fs_crowd_make(struct fs_bench *bench)
{
	int err = bench->calls->mkdir(fs_name(bench->path, bench, "/c", 0));

	for (uint32_t i = 0; i < FS_CROWD && err == 0; i++)
		err = fs_file_make(bench, "/c0000000/n", i, 0);
	return err == 0 ? bench->calls->sync() : err;
}

static inline int fs_crowd_lookup(struct fs_bench *bench)
{
	const struct fs_calls *calls = bench->calls;
	int err = 0;

	for (uint32_t i = 0; i < FS_LOOKUPS && err == 0; i++) {
		fs_name(bench->path, bench, "/c0000000/n", (uint32_t)(fs_rand(bench) % FS_CROWD));
		uint64_t start_ns = calls->now_ns();
		err = calls->stat(bench->path);
		bench->times[i] = calls->now_ns() - start_ns;
	}
	fs_sort(bench->times, FS_LOOKUPS);
	return err;
}

// What a piece of work wants to find, not timed.
static inline int fs_prepare(struct fs_bench *bench, enum fs_work work)
{
	const struct fs_calls *calls = bench->calls;
	int err = 0;

	bench->rand = 88172645463325252u + (uint64_t)work;
	switch (work) {
	case FS_CREATE:
		return calls->mkdir(fs_name(bench->path, bench, "/b", 0));
	case FS_STAT_COLD:
	case FS_READ_TEXT:
	case FS_READ_NOISE:
	case FS_CROWD_LOOKUP:
		err = calls->unmount();
		return err == 0 ? calls->mount() : err;
	case FS_MOUNT:
		return calls->unmount();
	case FS_OVERWRITE:
		return fs_stream(bench, "/r", bench->text, NULL, FS_RANDOM_MIB);
	default:
		return calls->sync();
	}
}

static inline int fs_work(struct fs_bench *bench, enum fs_work work)
{
	switch (work) {
	case FS_WRITE_TEXT:
		return fs_stream(bench, "/t", bench->text, NULL, FS_STREAM_MIB);
	case FS_WRITE_NOISE:
		return fs_stream(bench, "/n", bench->noise, NULL, FS_STREAM_MIB);
	case FS_READ_TEXT:
		return fs_stream(bench, "/t", NULL, bench->text, FS_STREAM_MIB);
	case FS_READ_NOISE:
		return fs_stream(bench, "/n", NULL, bench->noise, FS_STREAM_MIB);
	case FS_OVERWRITE:
		return fs_overwrite(bench);
	case FS_APPEND:
		return fs_append(bench);
	case FS_CROWD_MAKE:
		return fs_crowd_make(bench);
	case FS_CROWD_LOOKUP:
		return fs_crowd_lookup(bench);
	case FS_MOUNT:
		return bench->calls->mount();
	default:
		return fs_files(bench, work);
	}
}

static inline uint64_t fs_count(enum fs_work work)
{
	switch (work) {
	case FS_WRITE_TEXT:
	case FS_WRITE_NOISE:
	case FS_READ_TEXT:
	case FS_READ_NOISE:
		return FS_STREAM_MIB;
	case FS_OVERWRITE:
		return FS_RANDOM_WRITES;
	case FS_CROWD_MAKE:
		return FS_CROWD;
	case FS_APPEND:
	case FS_CROWD_LOOKUP:
	case FS_MOUNT:
		return 1;
	default:
		return FS_FILES;
	}
}

static inline int fs_measure(struct fs_bench *bench, enum fs_work work, struct fs_result *result)
{
	const struct fs_calls *calls = bench->calls;
	int err = fs_prepare(bench, work);

	if (err != 0)
		return err;
	uint64_t memory_kib = work == FS_MOUNT ? calls->memory_kib() : 0, start_ns = calls->now_ns();
	err = fs_work(bench, work);
	result->took_ns = calls->now_ns() - start_ns;
	result->count = fs_count(work);
	if (work == FS_APPEND)
		result->took_ns = bench->times[FS_APPENDS / 2];
	else if (work == FS_CROWD_LOOKUP)
		result->took_ns = bench->times[FS_LOOKUPS / 100 * 99];
	else if (work == FS_MOUNT)
		result->kib = calls->memory_kib() - memory_kib;
	return err;
}

// The kernel's half, for tb_call(): with disk0, at /m.
enum fs_job {
	FS_JOB_WARM, // touches the instance's memory, which the host gives page by page
	FS_JOB_FORMAT,
	FS_JOB_MOUNT,
	FS_JOB_WORK,
	FS_JOB_UNMOUNT
};

struct fs_call {
	uint32_t job;  // enum fs_job
	uint32_t work; // enum fs_work
	int32_t err;   // out
	struct fs_result result;
};

int64_t tb_bench_fs(void *arg); // struct fs_call *

#endif
