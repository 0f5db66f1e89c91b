// SPDX-License-Identifier: MIT
//
// The operations, each a few calls with fixed arguments, on names that every sequence begins with: a (100 bytes, in its leaf), b (three pages), d with d/x (300 bytes),
// e (empty). A step is one call that changes something; what is durable is what a step has left. The model is a tmpfs, whose answers must be the same.
#include "crash.h"

#include "../../src/fs/cache/cache_impl.h"

#include "kern/timer.h"

#define BIG 12288u

static struct process *root(void)
{
	return vfs_monitor_process();
}

// ---- actors ----------------------------------------------------------------------------------------------------------------

static const char *at(const struct actor *actor, char *buffer, const char *name)
{
	ksnprintf(buffer, 32, "%s/%s", actor->root, name);
	return buffer;
}

// One call has returned.
static void step(struct actor *actor, err_t err)
{
	VERIFY3(actor->steps, <, STEPS_MAX);
	if (actor->disk == NULL) {
		actor->errors[actor->steps++] = err;
		tree_capture(actor->root, &actor->trees[actor->steps]);
		actor->digests[actor->steps] = tree_digest(&actor->trees[actor->steps]) + actor->snaps.sum;
		return;
	}
	if (err != actor->errors[actor->steps] && !actor->differs) {
		actor->differs = true;
		actor->differs_at = actor->steps;
		actor->differs_err = err;
	}
	actor->disk->step = ++actor->steps;
}

// A call has returned by which all steps before it are durable.
static void synced(struct actor *actor, err_t err)
{
	if (actor->disk == NULL || err != 0)
		return;
	actor->disk->synced = actor->steps;
	disk_note(actor->disk, NOTE_SYNCED);
}

static int32_t opened(struct actor *actor, const char *name, uint32_t flags)
{
	char path[32];
	int32_t fd = -1;
	err_t err = vfs_open(root(), TB_AT_FDCWD, at(actor, path, name), flags, 0644, &fd);

	step(actor, err);
	return err == 0 ? fd : -1;
}

static void closed(int32_t fd)
{
	err_t err = fd >= 0 ? vfs_close(root(), fd) : 0;
	VERIFY3(err, ==, 0);
}

static void bytes_make(uint8_t *bytes, uint32_t size, uint32_t seed)
{
	struct rand_stream rand;

	rand_init(&rand, seed);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = seed % 2 != 0 ? (uint8_t)rand_u32(&rand) : (uint8_t)(i / 96 * seed); // odd: incompressible
}

static void write_at(struct actor *actor, const char *name, uint32_t flags, uint64_t offset, uint32_t size)
{
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = opened(actor, name, TB_O_RDWR | flags);

	VERIFY(bytes != NULL);
	bytes_make(bytes, size, size + (uint32_t)offset);
	if (fd >= 0)
		step(actor, (flags & TB_O_APPEND) != 0 ? vfs_write(root(), fd, bytes, size, &done)
						       : vfs_pwrite(root(), fd, bytes, size, offset, &done));
	closed(fd);
	kfree(bytes);
}

void actor_end(struct actor *actor)
{
	closed(actor->held);
	actor->held = -1;
}

// ---- operations --------------------------------------------------------------------------------------------------------------

struct op {
	const char *name, *text;
	void (*run)(struct actor *actor, const struct op *op);
	const char *a, *b;
	uint32_t flags;
	uint64_t offset, size;
};

static void do_write(struct actor *actor, const struct op *op)
{
	write_at(actor, op->a, op->flags, op->offset, (uint32_t)op->size);
}

static void do_create(struct actor *actor, const struct op *op)
{
	closed(opened(actor, op->a, TB_O_RDWR | TB_O_CREAT | TB_O_EXCL));
}

static void do_truncate(struct actor *actor, const struct op *op)
{
	char path[32];
	step(actor, vfs_truncate(root(), TB_AT_FDCWD, at(actor, path, op->a), (int64_t)op->size));
}

static void do_link(struct actor *actor, const struct op *op)
{
	char a[32], b[32];
	step(actor, vfs_link(root(), TB_AT_FDCWD, at(actor, a, op->a), TB_AT_FDCWD, at(actor, b, op->b), 0));
}

static void do_unlink(struct actor *actor, const struct op *op)
{
	char path[32];
	step(actor, vfs_unlink(root(), TB_AT_FDCWD, at(actor, path, op->a), op->flags));
}

static void do_rename(struct actor *actor, const struct op *op)
{
	char a[32], b[32];
	step(actor, vfs_rename(root(), TB_AT_FDCWD, at(actor, a, op->a), TB_AT_FDCWD, at(actor, b, op->b), op->flags));
}

static void do_mkdir(struct actor *actor, const struct op *op)
{
	char path[32];
	step(actor, vfs_mkdir(root(), TB_AT_FDCWD, at(actor, path, op->a), 0755));
}

static void do_symlink(struct actor *actor, const struct op *op)
{
	char path[32];
	step(actor, vfs_symlink(root(), op->b, TB_AT_FDCWD, at(actor, path, op->a)));
}

static void do_setxattr(struct actor *actor, const struct op *op)
{
	char path[32];
	uint8_t *value = kmalloc((size_t)op->size, 0);

	VERIFY(value != NULL);
	bytes_make(value, (uint32_t)op->size, 7);
	step(actor, vfs_setxattr(root(), TB_AT_FDCWD, at(actor, path, op->a), 0, op->b, value, (size_t)op->size, 0));
	kfree(value);
}

static void do_times(struct actor *actor, const struct op *op)
{
	const struct tb_time times[2] = {{.nanoseconds = TB_UTIME_OMIT}, {.seconds = 1000000000}};
	char path[32];

	step(actor, vfs_chmod(root(), TB_AT_FDCWD, at(actor, path, op->a), 0600, 0));
	step(actor, vfs_utimens(root(), TB_AT_FDCWD, path, times, 0));
}

static void do_fallocate(struct actor *actor, const struct op *op)
{
	int32_t fd = opened(actor, op->a, TB_O_RDWR);
	if (fd >= 0)
		step(actor, vfs_fallocate(root(), fd, op->flags, (int64_t)op->offset, (int64_t)op->size));
	closed(fd);
}

static void do_tmpfile(struct actor *actor, const struct op *op)
{
	char to[32];
	uint8_t bytes[600];
	size_t done = 0;
	int32_t fd = opened(actor, op->a, TB_O_RDWR | TB_O_TMPFILE);

	if (fd < 0)
		return;
	bytes_make(bytes, sizeof bytes, 9);
	step(actor, vfs_pwrite(root(), fd, bytes, sizeof bytes, op->offset, &done));
	step(actor, vfs_link(root(), fd, "", TB_AT_FDCWD, at(actor, to, op->b), TB_AT_EMPTY_PATH));
	closed(fd);
}

// Unlinked while somebody has it open: taken apart when that ends, or after a power cut.
static void do_hold(struct actor *actor, const struct op *op)
{
	char path[32];
	int32_t fd = opened(actor, op->a, TB_O_RDWR);

	step(actor, vfs_unlink(root(), TB_AT_FDCWD, at(actor, path, op->a), 0));
	closed(actor->held);
	actor->held = fd;
}

// What mmap's first store and the stores behind it do to a page of a cached file.
static err_t page_store(struct inode *inode, const uint8_t *bytes, uint32_t into, uint32_t size)
{
	const struct cache_ops *ops = cache_of(inode)->ops;
	struct page *page = NULL;

	mutex_lock(&inode->lock);
	err_t err = ops->begin(inode);
	if (err == 0) {
		err = cache_page_get(inode, 0, &page);
		if (err == 0) {
			page_lock(page);
			page_wait_writeback(page);
			if ((page_flags(page) & PAGE_DIRTY) == 0)
				err = ops->reserve(inode, 0, 1);
			if (err == 0) {
				memcpy((uint8_t *)page->frame + into, bytes, size);
				cache_page_dirty(page);
			}
			page_unlock(page);
			page_put(page);
		}
		ops->end(inode);
	}
	mutex_unlock(&inode->lock);
	return err;
}

// The model writes, and keeps the time.
static err_t model_store(int32_t fd, const char *path, const uint8_t *bytes, uint32_t into, uint32_t size)
{
	struct tb_stat stat;
	size_t done = 0;
	err_t err = vfs_fstat(root(), fd, &stat);

	if (err == 0)
		err = vfs_pwrite(root(), fd, bytes, size, into, &done);
	const struct tb_time times[2] = {{.nanoseconds = TB_UTIME_OMIT}, stat.mtime};
	return err == 0 ? vfs_utimens(root(), TB_AT_FDCWD, path, times, 0) : err;
}

static void do_store(struct actor *actor, const struct op *op)
{
	char path[32];
	uint8_t bytes[50];
	struct tb_stat stat;
	struct object *object = NULL;
	int32_t fd = opened(actor, op->a, TB_O_RDWR);

	bytes_make(bytes, sizeof bytes, 11);
	if (fd < 0)
		return;
	err_t err = vfs_fstat(root(), fd, &stat);
	if (err == 0 && stat.size_bytes < op->offset + sizeof bytes) {
		err = -ENXIO; // behind the end
	} else if (actor->disk == NULL) {
		err = model_store(fd, at(actor, path, op->a), bytes, (uint32_t)op->offset, sizeof bytes);
	} else if (err == 0) {
		err = descriptor_get(root(), fd, NULL, 0, &object, NULL);
		if (err == 0) {
			err = page_store(container_of(object, struct file, object)->inode, bytes, (uint32_t)op->offset,
					 sizeof bytes);
			object_put(object);
		}
	}
	step(actor, err);
	closed(fd);
}

static void do_fsync(struct actor *actor, const struct op *op)
{
	int32_t fd = opened(actor, op->a, op->flags);

	if (fd < 0)
		return;
	err_t err = vfs_fsync(root(), fd);
	step(actor, err);
	synced(actor, err);
	closed(fd);
}

static void do_sync(struct actor *actor, const struct op *op)
{
	(void)op;
	err_t err = actor->disk == NULL ? 0 : vfs_sync();
	step(actor, err);
	synced(actor, err);
}

// The volume closes an epoch by itself, which promises nothing to anybody.
static void do_wait(struct actor *actor, const struct op *op)
{
	if (actor->disk != NULL)
		sleep_ns(op->size * NS_PER_S);
}

err_t volume_mount(uint32_t flags, const char **problem)
{
	return vfs_mount(root(), DEVICE, MOUNT, "pxfs", flags, "", problem);
}

static void do_snap(struct actor *actor, const struct op *op)
{
	uint64_t before = actor->snaps.sum;
	err_t err = op->flags == 0 ? snap_take(actor) : op->flags == 1 ? snap_drop(actor) : snap_clone(actor);

	step(actor, err);
	if (actor->snaps.sum != before) // else there was nothing to be done
		synced(actor, err);
}

// The model copies.
static void do_reflink(struct actor *actor, const struct op *op)
{
	int32_t fd = opened(actor, op->a, TB_O_RDONLY), to = -1;
	uint64_t from_offset = 0, to_offset = 0;
	struct tb_stat stat = {.size_bytes = 0};
	size_t done = 0;
	err_t err = fd >= 0 ? vfs_fstat(root(), fd, &stat) : 0;

	if (fd >= 0)
		to = opened(actor, op->b, TB_O_RDWR | TB_O_CREAT | TB_O_EXCL);
	if (to >= 0 && err == 0 && actor->disk != NULL)
		err = vfs_ioctl(root(), to, TB_FICLONE, &fd);
	else if (to >= 0 && err == 0)
		err = vfs_copy_range(root(), fd, &from_offset, to, &to_offset, stat.size_bytes, 0, &done);
	if (to >= 0)
		step(actor, err);
	closed(to);
	closed(fd);
}

static void do_remount(struct actor *actor, const struct op *op)
{
	const char *problem = NULL;
	(void)op;

	actor_end(actor);
	err_t err = actor->disk == NULL ? 0 : vfs_umount(root(), actor->root, 0);
	step(actor, err);
	synced(actor, err);
	if (actor->disk != NULL && err == 0)
		err = volume_mount(0, &problem);
	step(actor, err);
}

#define PUNCH (TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE)

// One more operation is one more row.
static const struct op ops[] = {
	{"create", "a new, empty file c", do_create, "c", NULL, 0, 0, 0},
	{"write-small", "120 bytes into a, in its leaf", do_write, "a", NULL, 0, 40, 120},
	{"write-new", "three pages into c, which is made if need be", do_write, "c", NULL, TB_O_CREAT, 0, BIG},
	{"write-dense", "three pages into c that do not compress", do_write, "c", NULL, TB_O_CREAT, 1, BIG},
	{"overwrite", "5,000 bytes in the middle of b", do_write, "b", NULL, 0, 3000, 5000},
	{"append", "700 bytes behind b", do_write, "b", NULL, TB_O_APPEND, 0, 700},
	{"outgrow", "2,500 bytes behind a, which outgrows its leaf", do_write, "a", NULL, TB_O_APPEND, 0, 2500},
	{"cut", "b to 5,000 bytes", do_truncate, "b", NULL, 0, 0, 5000},
	{"cut-all", "b to nothing", do_truncate, "b", NULL, 0, 0, 0},
	{"grow", "a to 20,000 bytes", do_truncate, "a", NULL, 0, 0, 20000},
	{"link", "b gets the name d/y", do_link, "b", "d/y", 0, 0, 0},
	{"unlink-a", "a goes", do_unlink, "a", NULL, 0, 0, 0},
	{"unlink-b", "b goes", do_unlink, "b", NULL, 0, 0, 0},
	{"unlink-x", "d/x goes", do_unlink, "d/x", NULL, 0, 0, 0},
	{"rename-over", "a becomes b", do_rename, "a", "b", 0, 0, 0},
	{"rename-new", "b becomes c", do_rename, "b", "c", TB_RENAME_NOREPLACE, 0, 0},
	{"rename-up", "d/x becomes a", do_rename, "d/x", "a", 0, 0, 0},
	{"rename-dir", "d becomes e, if that is empty", do_rename, "d", "e", 0, 0, 0},
	{"exchange", "a and b change places", do_rename, "a", "b", TB_RENAME_EXCHANGE, 0, 0},
	{"exchange-dir", "e and d/x change places", do_rename, "e", "d/x", TB_RENAME_EXCHANGE, 0, 0},
	{"mkdir", "a directory d/g", do_mkdir, "d/g", NULL, 0, 0, 0},
	{"rmdir", "e goes", do_unlink, "e", NULL, TB_AT_REMOVEDIR, 0, 0},
	{"symlink", "a symbolic link s", do_symlink, "s", "d/x", 0, 0, 0},
	{"xattr", "a short attribute of a", do_setxattr, "a", "user.k", 0, 0, 30},
	{"xattr-long", "an attribute of 3,000 bytes of b", do_setxattr, "b", "user.long", 0, 0, 3000},
	{"times", "mode and time of b", do_times, "b", NULL, 0, 0, 0},
	{"allocate", "room from 8,000 on for b, which grows", do_fallocate, "b", NULL, 0, 8000, 30000},
	{"punch", "a hole in the middle of b", do_fallocate, "b", NULL, PUNCH, 2000, 7000},
	{"tmpfile", "a file without a name, written, then named t", do_tmpfile, "", "t", 0, 0, 0},
	{"hold", "b goes while it is open", do_hold, "b", NULL, 0, 0, 0},
	{"store", "a store into b through a mapping", do_store, "b", NULL, 0, 1000, 0},
	{"reflink", "r shares what b has", do_reflink, "b", "r", 0, 0, 0},
	{"snapshot", "a snapshot", do_snap, NULL, NULL, 0, 0, 0},
	{"snap-gone", "the last snapshot or clone goes", do_snap, NULL, NULL, 1, 0, 0},
	{"clone", "a clone of the first snapshot", do_snap, NULL, NULL, 2, 0, 0},
	{"wait", "seven seconds pass, in which the volume commits", do_wait, NULL, NULL, 0, 0, 7},
	{"fsync", "fsync of a", do_fsync, "a", NULL, TB_O_RDWR, 0, 0},
	{"fsync-dir", "fsync of d", do_fsync, "d", NULL, TB_O_RDONLY | TB_O_DIRECTORY, 0, 0},
	{"sync", "sync", do_sync, NULL, NULL, 0, 0, 0},
	{"remount", "unmounted and mounted", do_remount, NULL, NULL, 0, 0, 0},
};

uint32_t ops_count(void)
{
	return (uint32_t)array_count(ops);
}

void op_run(struct actor *actor, uint32_t op)
{
	ops[op].run(actor, &ops[op]);
}

const char *tb_crash_op_name(uint32_t op)
{
	return op < array_count(ops) ? ops[op].name : NULL;
}

const char *tb_crash_op_text(uint32_t op)
{
	return op < array_count(ops) ? ops[op].text : NULL;
}

// ---- the beginning -----------------------------------------------------------------------------------------------------------

static void file_put(const char *top, const char *name, uint32_t size)
{
	uint8_t *bytes = kmalloc(size, 0);
	char path[32];
	size_t done = 0;
	int32_t fd = -1;

	VERIFY(bytes != NULL);
	bytes_make(bytes, size, size);
	ksnprintf(path, sizeof path, "%s/%s", top, name);
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd);
	if (err == 0)
		err = vfs_write(root(), fd, bytes, size, &done);
	VERIFY3(err, ==, 0);
	closed(fd);
	kfree(bytes);
}

// Attributes that take several leaves, so that the tree has an inner node.
static void attributes_put(const char *top)
{
	uint8_t *value = kmalloc(3900, 0);
	char path[32], name[16];

	VERIFY(value != NULL);
	bytes_make(value, 3900, 13);
	ksnprintf(path, sizeof path, "%s/d/x", top);
	for (uint32_t i = 0; i < 12; i++) {
		ksnprintf(name, sizeof name, "user.%u", i);
		err_t err = vfs_setxattr(root(), TB_AT_FDCWD, path, 0, name, value, 3900, 0);
		VERIFY3(err, ==, 0);
	}
	kfree(value);
}

void volume_fill(const char *top, bool deep)
{
	static const char *const folders[] = {"d", "e"};
	char path[32];
	err_t err = vfs_chmod(root(), TB_AT_FDCWD, top, 0755, 0);

	VERIFY3(err, ==, 0);
	for (uint32_t i = 0; i < array_count(folders); i++) {
		ksnprintf(path, sizeof path, "%s/%s", top, folders[i]);
		err = vfs_mkdir(root(), TB_AT_FDCWD, path, 0755);
		VERIFY3(err, ==, 0);
	}
	file_put(top, "a", 100);
	file_put(top, "b", BIG);
	file_put(top, "d/x", 300);
	if (deep)
		attributes_put(top);
}
