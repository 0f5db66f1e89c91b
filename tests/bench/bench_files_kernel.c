// SPDX-License-Identifier: MIT
//
// The kernel's half of bench_files: file calls in a loop, timed inside.
#include "bench_files.h"

#include "../../src/fs/initramfs/initramfs_impl.h"
#include "kern/fmt.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/timer.h"

#define ENTRIES 64u
#define WORKERS 2u
#define DEEP "/a/b/c/d/e/f"

static void name_make(char *name, const char *folder, char letter, uint32_t number)
{
	size_t size = strlen(folder);

	memcpy(name, folder, size);
	name[size++] = '/';
	name[size++] = letter;
	for (uint32_t place = 10000; place > 0; place /= 10)
		name[size++] = (char)('0' + number / place % 10);
	name[size] = '\0';
}

static err_t files_create(struct process *process, const char *folder, uint32_t count)
{
	char name[64];
	int32_t fd;
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < count; i++) {
		name_make(name, folder, 'f', i);
		err = vfs_open(process, TB_AT_FDCWD, name, TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
		if (err == 0)
			err = vfs_close(process, fd);
	}
	return err;
}

static err_t files_stat(struct process *process, const char *folder, uint32_t count)
{
	struct tb_stat stat;
	char name[64];
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < count; i++) {
		name_make(name, folder, 'f', i);
		err = vfs_stat(process, TB_AT_FDCWD, name, 0, &stat);
	}
	return err;
}

static err_t files_unlink(struct process *process, const char *folder, char letter, uint32_t count)
{
	char name[64];
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < count; i++) {
		name_make(name, folder, letter, i);
		err = vfs_unlink(process, TB_AT_FDCWD, name, 0);
	}
	return err;
}

static err_t files_rename(struct process *process)
{
	char from[64], to[64];
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < BENCH_FILES; i++) {
		name_make(from, "/b", 'f', i);
		name_make(to, "/b", 'g', i);
		err = vfs_rename(process, TB_AT_FDCWD, from, TB_AT_FDCWD, to, 0);
	}
	return err;
}

static err_t folder_read(struct process *process)
{
	static const size_t size = ENTRIES * sizeof(struct tb_dirent);
	struct tb_dirent *entries = kmalloc(size, 0);
	uint32_t count = 1, seen = 0;
	int32_t fd;

	err_t err = entries != NULL ? vfs_open(process, TB_AT_FDCWD, "/b", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd)
				    : ERR(ENOMEM);
	if (err != 0)
		return err;
	while (err == 0 && count > 0) {
		err = vfs_readdir(process, fd, entries, ENTRIES, &count);
		seen += count;
	}
	kfree(entries);
	err_t closed = vfs_close(process, fd);
	if (err == 0 && seen != BENCH_FILES + 2)
		err = ERR(EIO);
	return err != 0 ? err : closed;
}

static err_t paths_look_up(struct process *process)
{
	struct tb_stat stat;
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < BENCH_LOOKUPS; i++)
		err = vfs_stat(process, TB_AT_FDCWD, DEEP, 0, &stat);
	return err;
}

static err_t mebibyte_read(struct process *process, bool copy_only, uint64_t *took_ns)
{
	uint8_t *to = kmalloc(BENCH_MIB, MEM_ZERO);
	uint8_t *from = kmalloc(BENCH_MIB, MEM_ZERO);
	size_t done = 0;
	int32_t fd = -1;
	err_t err = to == NULL || from == NULL ? ERR(ENOMEM) : 0;

	if (err == 0)
		err = vfs_open(process, TB_AT_FDCWD, "/read", TB_O_RDWR | TB_O_CREAT, 0600, &fd);
	if (err == 0)
		err = vfs_pwrite(process, fd, from, BENCH_MIB, 0, &done);
	uint64_t start_ns = clock_now_ns();
	for (uint32_t i = 0; err == 0 && i < BENCH_READS; i++) {
		if (copy_only)
			memcpy(to, from, BENCH_MIB);
		else
			err = vfs_pread(process, fd, to, BENCH_MIB, 0, &done);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	*took_ns = clock_now_ns() - start_ns;
	if (fd >= 0)
		(void)!vfs_close(process, fd);
	kfree(to);
	kfree(from);
	return err;
}

static err_t file_write(struct process *process)
{
	uint8_t *from = kmalloc(BENCH_MIB, MEM_ZERO);
	size_t done = 0;
	int32_t fd = -1;
	err_t err = from == NULL ? ERR(ENOMEM) : 0;

	if (err == 0)
		err = vfs_open(process, TB_AT_FDCWD, "/write", TB_O_RDWR | TB_O_CREAT | TB_O_TRUNC, 0600, &fd);
	for (uint32_t i = 0; err == 0 && i < BENCH_WRITE_MIB; i++)
		err = vfs_write(process, fd, from, BENCH_MIB, &done);
	if (fd >= 0)
		(void)!vfs_close(process, fd);
	kfree(from);
	return err;
}

struct worker {
	struct thread *thread;
	const char *folder;
	err_t err;
};

static void worker_main(void *arg)
{
	struct worker *worker = arg;
	struct process *process;

	worker->err = process_create("bench", vfs_monitor_process(), &process);
	if (worker->err != 0)
		return;
	worker->err = files_create(process, worker->folder, BENCH_FILES);
	if (worker->err == 0)
		worker->err = files_stat(process, worker->folder, BENCH_FILES);
	if (worker->err == 0)
		worker->err = files_unlink(process, worker->folder, 'f', BENCH_FILES);
	process_put(process);
}

static err_t folders_work(uint32_t count)
{
	struct worker workers[WORKERS] = {{.folder = "/w1"}, {.folder = "/w2"}};
	err_t err = 0;

	for (uint32_t i = 0; i < count; i++)
		if (thread_start(NULL, worker_main, &workers[i], &workers[i].thread) != 0)
			return ERR(ENOMEM);
	for (uint32_t i = 0; i < count; i++) {
		err_t joined = thread_join(workers[i].thread, NULL);
		err = err != 0 ? err : joined != 0 ? joined : workers[i].err;
	}
	return err;
}

// ---- archives ------------------------------------------------------------------------------------------------------------

static err_t archive_unpack(struct bench_call *call)
{
	struct module_source source;
	struct tree_figures figures;
	struct trouble trouble;
	struct module module;

	err_t err = vfs_mount(vfs_monitor_process(), "x", "/t", "tmpfs", 0, "size=90%", NULL);
	if (err == 0)
		err = module_open(call->archive, &module);
	if (err != 0)
		return err;
	module_source_init(&source, &module);
	uint64_t start_ns = clock_now_ns();
	err = tree_unpack(&source.source, "/t", &figures, &trouble);
	call->took_ns = clock_now_ns() - start_ns;
	call->bytes = figures.bytes;
	module_close(&module);
	err_t gone = vfs_umount(vfs_monitor_process(), "/t", 0);
	return err != 0 ? err : gone;
}

#define CHUNK_BYTES (1u << 20)
#define CHUNKS_MAX 2048u

// Unpacks everything and copies it once, to memory that was not touched before.
static err_t stream_copy(struct unpack *unpack, uint8_t **chunks, uint64_t *bytes)
{
	size_t room = 0;
	uint32_t used = 0;
	uint8_t *to = NULL;
	enum unpack_method method;
	err_t err = unpack_begin(unpack, &method);

	while (err == 0) {
		const uint8_t *piece;
		size_t size;
		err = unpack_next(unpack, &piece, &size);
		if (err != 0 || size == 0)
			break;
		*bytes += size;
		while (size > 0) {
			if (room == 0) {
				to = used < CHUNKS_MAX ? range_alloc(CHUNK_BYTES, 0, NULL) : NULL;
				if (to == NULL)
					return ERR(ENOMEM);
				chunks[used++] = to;
				room = CHUNK_BYTES;
			}
			size_t part = size < room ? size : room;
			memcpy(to, piece, part);
			to += part;
			piece += part;
			room -= part;
			size -= part;
		}
	}
	return err;
}

static err_t archive_stream(struct bench_call *call)
{
	struct module_source source;
	struct module module;
	struct unpack unpack;
	uint8_t **chunks = kmalloc_array(CHUNKS_MAX, sizeof *chunks, MEM_ZERO);

	err_t err = chunks != NULL ? module_open(call->archive, &module) : ERR(ENOMEM);
	if (err != 0)
		return err;
	module_source_init(&source, &module);
	uint64_t start_ns = clock_now_ns();
	err = unpack_init(&unpack, &source.source);
	if (err == 0)
		err = stream_copy(&unpack, chunks, &call->bytes);
	call->took_ns = clock_now_ns() - start_ns;
	unpack_fini(&unpack);
	module_close(&module);
	for (uint32_t i = 0; i < CHUNKS_MAX && chunks[i] != NULL; i++)
		range_free(chunks[i]);
	kfree(chunks);
	return err;
}

// ---- calls ---------------------------------------------------------------------------------------------------------------

static err_t folders_make(struct process *process)
{
	static const char *const folders[] = {"/b",   "/w1",    "/w2",      "/t",         "/a",
					      "/a/b", "/a/b/c", "/a/b/c/d", "/a/b/c/d/e", DEEP};
	err_t err = 0;

	for (uint32_t i = 0; i < array_count(folders) && (err == 0 || err == -EEXIST); i++)
		err = vfs_mkdir(process, TB_AT_FDCWD, folders[i], 0755);
	return err == -EEXIST ? 0 : err;
}

static err_t run(struct process *process, struct bench_call *call)
{
	switch (call->op) {
	case BENCH_CREATE:
		return files_create(process, "/b", BENCH_FILES);
	case BENCH_STAT:
		return files_stat(process, "/b", BENCH_FILES);
	case BENCH_READDIR:
		return folder_read(process);
	case BENCH_RENAME:
		return files_rename(process);
	case BENCH_UNLINK:
		return files_unlink(process, "/b", 'g', BENCH_FILES);
	case BENCH_LOOKUP:
		return paths_look_up(process);
	case BENCH_WRITE:
		return file_write(process);
	case BENCH_FOLDERS_1:
	case BENCH_FOLDERS_2:
		return folders_work(call->op == BENCH_FOLDERS_1 ? 1 : 2);
	default:
		return ERR(EINVAL);
	}
}

int64_t tb_bench_files(void *arg)
{
	struct bench_call *call = arg;
	struct process *process = vfs_monitor_process();

	call->bytes = 0;
	call->err = folders_make(process);
	if (call->err != 0)
		return 0;
	if (call->op == BENCH_READ || call->op == BENCH_MEMCPY) {
		call->err = mebibyte_read(process, call->op == BENCH_MEMCPY, &call->took_ns);
	} else if (call->op == BENCH_UNPACK) {
		call->err = archive_unpack(call);
	} else if (call->op == BENCH_STREAM) {
		call->err = archive_stream(call);
	} else {
		uint64_t start_ns = clock_now_ns();
		call->err = run(process, call);
		call->took_ns = clock_now_ns() - start_ns;
	}
	if (call->op == BENCH_WRITE)
		(void)!vfs_unlink(process, TB_AT_FDCWD, "/write", 0);
	return 0;
}
