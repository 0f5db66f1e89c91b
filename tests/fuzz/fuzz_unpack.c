// SPDX-License-Identifier: MIT
//
// Fuzz target: the initramfs, from compressed bytes to files. The input is an archive, unpacked into a small tmpfs. Whatever it holds,
// there must be files or a place and a reason; the root around the tmpfs must stay what it was; and when it is unmounted nothing may
// be left.
#include "../../src/fs/initramfs/initramfs_impl.h"

#include "kern/component.h"
#include "kern/math.h"
#include "kern/string.h"

#define CHECK_EVERY 64u
#define ENTRIES 4u

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg);

struct input_source {
	struct unpack_source source;
	const struct fuzz_input *input;
	size_t at;
	uint32_t live; // allocations
};

// In pieces that depend on the input, so that every border falls somewhere.
static err_t source_read(struct unpack_source *source, void *buffer, size_t capacity, size_t *done_bytes)
{
	struct input_source *from = container_of(source, struct input_source, source);
	size_t piece = MIN(from->input->size - from->at, capacity);

	if (piece > 1 && from->input->bytes[from->at] % 2)
		piece = 1 + from->input->bytes[from->at] % piece;
	memcpy(buffer, from->input->bytes + from->at, piece);
	from->at += piece;
	*done_bytes = piece;
	return 0;
}

static void *source_alloc(struct unpack_source *source, size_t size_bytes)
{
	void *memory = kmalloc(size_bytes, 0);
	container_of(source, struct input_source, source)->live += memory != NULL;
	return memory;
}

static void source_free(struct unpack_source *source, void *memory)
{
	container_of(source, struct input_source, source)->live--;
	kfree(memory);
}

// The root holds /f and nothing else, with the permissions that it had.
static void root_check(void)
{
	struct process *process = vfs_monitor_process();
	struct tb_dirent entries[ENTRIES];
	struct tb_stat stat;
	uint32_t count = 0;
	int32_t fd = -1;

	VERIFY(vfs_open(process, TB_AT_FDCWD, "/", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) == 0);
	VERIFY(vfs_readdir(process, fd, entries, ENTRIES, &count) == 0);
	VERIFY3(count, ==, 3);
	VERIFY(vfs_fstat(process, fd, &stat) == 0);
	VERIFY3(stat.mode, ==, TB_S_IFDIR | 0755);
	VERIFY(vfs_close(process, fd) == 0);
}

int64_t tb_fuzz_mem(void *arg)
{
	static uint32_t inputs;
	struct process *process = vfs_monitor_process();
	struct input_source source = {
		.source = {.read = source_read, .alloc = source_alloc, .free = source_free},
		.input = arg,
	};
	struct tree_figures figures;
	struct trouble trouble;

	err_t err = vfs_mkdir(process, TB_AT_FDCWD, "/f", 0755);
	VERIFY(err == 0 || err == -EEXIST);
	VERIFY(vfs_mount(process, "fuzz", "/f", "tmpfs", 0, "size=256K,nr_inodes=60", NULL) == 0);
	err = tree_unpack(&source.source, "/f", &figures, &trouble);
	VERIFY((err != 0) == (trouble.reason[0] != '\0') || err == -ENOMEM);
	VERIFY3(trouble.file_at, <=, source.input->size);
	VERIFY3(source.live, ==, 0);
	root_check();
	if (++inputs % CHECK_EVERY == 0)
		VERIFY(components_check() == 0);
	VERIFY(vfs_umount(process, "/f", 0) == 0);
	return 0;
}
