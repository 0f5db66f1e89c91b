// SPDX-License-Identifier: MIT
//
// liballoctrace.so: records every allocation event of a real program (LD_PRELOAD).
//
// Owns the raw per-process file (docs/ALLOC_TRACE.md, "Raw files"); tbat.py turns raw files into a TBAT trace.
// Three properties make it safe from the first instruction of a process to its last:
//   - it calls glibc's own allocator by its __libc_* names, so there is nothing to look up and nothing to bootstrap;
//   - it learns where to write from /proc/self/environ, so it works before libc has set up `environ`;
//   - records go straight into a shared file mapping, so _exit, exec and a crash lose nothing.
// All state lives in one page that the kernel wipes in a forked child: the child finds no recorder, and
// opens a file of its own. (A vfork child shares the memory, so its events rightly join its parent's.)

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"

#define EXPORT __attribute__((visibility("default")))

enum {
	WINDOW_SIZE = 4 << 20,
	WINDOW_RECORDS = WINDOW_SIZE / (int)sizeof(struct raw_record),
	ENVIRON_SIZE_MAX = 64 << 10,
	PATH_SIZE_MAX = 512,
	RECORDER_SIZE = 4096,
};

enum recorder_state {
	RECORDER_NEW = 0,
	RECORDER_ON,
	RECORDER_OFF
};

struct recorder {
	atomic_int lock;
	int state; // enum recorder_state
	int fd;
	uint32_t thread_count;
	uint64_t generation; // tells this process's thread numbers from those inherited over a fork
	struct raw_record *window;
	uint32_t window_used;
	uint64_t window_offset;
};

static_assert(sizeof(struct recorder) <= RECORDER_SIZE, "the recorder is one page");
static_assert(WINDOW_SIZE % sizeof(struct raw_record) == 0, "records do not straddle windows");

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static struct recorder *_Atomic recorder_page;
static __thread uint64_t thread_generation __attribute__((tls_model("initial-exec")));
static __thread uint32_t thread_index __attribute__((tls_model("initial-exec")));

// --- where to write -------------------------------------------------------------------------------------------------

static size_t file_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0)
		return 0;
	while (used < size) {
		ssize_t n = read(fd, buf + used, size - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	return used;
}

// Copies the value of ALLOCTRACE_DIR; an absent or overlong one gives an empty string: no recording.
static void directory_find(char *out, size_t out_size)
{
	static const char name[] = "ALLOCTRACE_DIR=";
	size_t mapped = ENVIRON_SIZE_MAX;
	char *env = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size;

	out[0] = '\0';
	if (env == MAP_FAILED)
		return;
	size = file_read("/proc/self/environ", env, mapped - 1);
	for (size_t at = 0; at < size; at += strlen(env + at) + 1) {
		const char *value = env + at + sizeof(name) - 1;

		if (strncmp(env + at, name, sizeof(name) - 1) != 0)
			continue;
		if (strlen(value) < out_size)
			memcpy(out, value, strlen(value) + 1);
		break;
	}
	munmap(env, mapped);
}

static char *text_append(char *at, const char *end, const char *text)
{
	while (*text != '\0' && at < end)
		*at++ = *text++;
	*at = '\0';
	return at;
}

static char *number_append(char *at, const char *end, uint64_t number)
{
	char digits[24];
	char *first = digits + sizeof(digits) - 1;

	*first = '\0';
	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	return text_append(at, end, first);
}

// DIR/COMM.PID.NANOSECONDS.tbar: the time keeps apart the images that one pid runs before and after exec.
static int raw_file_open(struct raw_header *header)
{
	char path[PATH_SIZE_MAX];
	const char *end = path + sizeof(path) - 1;
	char *at;
	size_t n;

	directory_find(path, sizeof(path) / 2);
	if (path[0] == '\0')
		return -1;
	n = file_read("/proc/self/comm", header->comm, sizeof(header->comm) - 1);
	while (n > 0 && (header->comm[n - 1] == '\n' || header->comm[n - 1] == '/'))
		header->comm[--n] = '\0';
	at = text_append(path + strlen(path), end, "/");
	at = text_append(at, end, header->comm);
	at = number_append(text_append(at, end, "."), end, header->pid);
	at = number_append(text_append(at, end, "."), end, header->start_ns);
	text_append(at, end, ".tbar");
	return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

// --- the recorder ---------------------------------------------------------------------------------------------------

static bool window_map(struct recorder *r)
{
	void *window;

	if (ftruncate(r->fd, (off_t)(r->window_offset + WINDOW_SIZE)) != 0)
		return false;
	window = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)r->window_offset);
	if (window == MAP_FAILED)
		return false;
	madvise(window, WINDOW_SIZE, MADV_DONTFORK);
	r->window = window;
	r->window_used = 0;
	return true;
}

static void recorder_stop(struct recorder *r)
{
	r->state = RECORDER_OFF;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

// The header takes the first record's place, so that records stay aligned with windows.
static void recorder_start(struct recorder *r)
{
	struct raw_header header = {.magic = RAW_MAGIC, .version = RAW_VERSION, .pid = (uint32_t)getpid()};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	header.start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	header.parent_pid = (uint32_t)getppid();
	r->generation = header.start_ns ^ ((uint64_t)header.pid << 32);
	r->thread_count = 0;
	r->window_offset = 0;
	r->fd = raw_file_open(&header);
	r->state = RECORDER_ON;
	if (r->fd < 0 || !window_map(r)) {
		recorder_stop(r);
		return;
	}
	memcpy(r->window, &header, sizeof(header));
	r->window_used = RAW_HEADER_RECORDS;
}

static struct recorder *recorder_get(void)
{
	struct recorder *r = atomic_load_explicit(&recorder_page, memory_order_acquire);
	struct recorder *expected = NULL;

	if (r != NULL)
		return r;
	r = mmap(NULL, RECORDER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		return NULL;
	if (madvise(r, RECORDER_SIZE, MADV_WIPEONFORK) != 0 ||
	    !atomic_compare_exchange_strong(&recorder_page, &expected, r)) {
		munmap(r, RECORDER_SIZE);
		return expected;
	}
	return r;
}

static struct recorder *recorder_lock(void)
{
	struct recorder *r = recorder_get();

	if (r == NULL)
		return NULL;
	while (atomic_exchange_explicit(&r->lock, 1, memory_order_acquire) != 0)
		sched_yield();
	if (r->state == RECORDER_NEW)
		recorder_start(r);
	return r;
}

static void recorder_unlock(struct recorder *r)
{
	if (r != NULL)
		atomic_store_explicit(&r->lock, 0, memory_order_release);
}

static uint32_t thread_number_locked(struct recorder *r)
{
	if (thread_generation != r->generation) {
		thread_generation = r->generation;
		thread_index = r->thread_count++;
	}
	return thread_index;
}

static void event_record_locked(struct recorder *r, struct raw_record event)
{
	if (r == NULL || r->state != RECORDER_ON)
		return;
	if (r->window_used == WINDOW_RECORDS) {
		munmap(r->window, WINDOW_SIZE);
		r->window_offset += WINDOW_SIZE;
		if (!window_map(r)) {
			recorder_stop(r);
			return;
		}
	}
	event.thread = (uint16_t)thread_number_locked(r);
	r->window[r->window_used++] = event;
}

static void event_record(struct raw_record event)
{
	int saved = errno;
	struct recorder *r = recorder_lock();

	event_record_locked(r, event);
	recorder_unlock(r);
	errno = saved;
}

static void *alloc_record(enum raw_op op, void *block, size_t size, size_t alignment)
{
	// glibc rounds a crooked alignment up to the next power of two.
	uint8_t align_log2 = alignment <= 1 ? 0 : (uint8_t)(64 - __builtin_clzll(alignment - 1));

	if (block != NULL)
		event_record((struct raw_record){
			.op = (uint8_t)op, .align_log2 = align_log2, .block = (uintptr_t)block, .size = size});
	return block;
}

// --- the interposed functions ---------------------------------------------------------------------------------------
//
// A block's release is recorded before the real call and its birth after it, so that in the file the two never
// appear to overlap when another thread is given the same address at once. A realloc is both: it holds the lock.

EXPORT void *malloc(size_t size)
{
	return alloc_record(RAW_ALLOC, __libc_malloc(size), size, 0);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return alloc_record(RAW_ZALLOC, __libc_calloc(count, size), count * size, 0);
}

EXPORT void free(void *block)
{
	if (block == NULL)
		return;
	event_record((struct raw_record){.op = RAW_FREE, .block = (uintptr_t)block});
	__libc_free(block);
}

EXPORT void *realloc(void *block, size_t size)
{
	struct recorder *r;
	void *moved;
	int saved;

	if (block == NULL)
		return alloc_record(RAW_ALLOC, __libc_realloc(NULL, size), size, 0);
	if (size == 0) {
		event_record((struct raw_record){.op = RAW_FREE, .block = (uintptr_t)block});
		return __libc_realloc(block, 0);
	}
	r = recorder_lock();
	moved = __libc_realloc(block, size);
	saved = errno;
	if (moved != NULL)
		event_record_locked(r, (struct raw_record){.op = RAW_REALLOC,
							   .block = (uintptr_t)moved,
							   .old_block = (uintptr_t)block,
							   .size = size});
	recorder_unlock(r);
	errno = saved;
	return moved;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	return alloc_record(RAW_ALIGNED, __libc_memalign(alignment, size), size, alignment);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
	int saved = errno;
	void *block;

	if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
		return EINVAL;
	block = memalign(alignment, size);
	errno = saved;
	if (block == NULL)
		return ENOMEM;
	*out = block;
	return 0;
}

EXPORT void *valloc(size_t size)
{
	return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}
