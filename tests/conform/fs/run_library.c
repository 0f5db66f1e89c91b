// SPDX-License-Identifier: MIT
//
// The filesystem bodies through the library (tbos/file.h), as its users call it; then what only the library has: several host threads
// in one context, contexts that are left over, calls of instances that are not there. TAP. Arguments: --engine threads|sim.
#include "fsconform.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tbos/file.h"

struct state {
	tb_context *context;
	uint32_t checks, failures;
};

static tb_context *context_of(struct fsc *fsc)
{
	return ((struct state *)fsc->state)->context;
}

static err_t l_open(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t flags, uint32_t mode, int32_t *fd)
{
	return tb_open(context_of(fsc), dirfd, path, flags, mode, fd);
}

static err_t l_close(struct fsc *fsc, int32_t fd)
{
	return tb_close(context_of(fsc), fd);
}

static err_t l_read(struct fsc *fsc, int32_t fd, void *buffer, size_t size, size_t *done)
{
	return tb_read(context_of(fsc), fd, buffer, size, done);
}

static err_t l_write(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, size_t *done)
{
	return tb_write(context_of(fsc), fd, buffer, size, done);
}

static err_t l_pread(struct fsc *fsc, int32_t fd, void *buffer, size_t size, uint64_t offset, size_t *done)
{
	return tb_pread(context_of(fsc), fd, buffer, size, offset, done);
}

static err_t l_pwrite(struct fsc *fsc, int32_t fd, const void *buffer, size_t size, uint64_t offset, size_t *done)
{
	return tb_pwrite(context_of(fsc), fd, buffer, size, offset, done);
}

static err_t l_seek(struct fsc *fsc, int32_t fd, int64_t offset, uint32_t whence, uint64_t *position)
{
	return tb_lseek(context_of(fsc), fd, offset, (enum tb_seek)whence, position);
}

static err_t l_truncate(struct fsc *fsc, const char *path, int64_t size)
{
	return tb_truncate(context_of(fsc), TB_AT_FDCWD, path, size);
}

static err_t l_ftruncate(struct fsc *fsc, int32_t fd, int64_t size)
{
	return tb_ftruncate(context_of(fsc), fd, size);
}

static err_t l_fallocate(struct fsc *fsc, int32_t fd, uint32_t mode, int64_t offset, int64_t size)
{
	return tb_fallocate(context_of(fsc), fd, mode, offset, size);
}

static err_t l_fsync(struct fsc *fsc, int32_t fd)
{
	return tb_fsync(context_of(fsc), fd);
}

static err_t l_readdir(struct fsc *fsc, int32_t fd, struct tb_dirent *entries, uint32_t capacity, uint32_t *count)
{
	return tb_readdir(context_of(fsc), fd, entries, capacity, count);
}

static err_t l_stat(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags, struct tb_stat *stat)
{
	return tb_stat(context_of(fsc), dirfd, path, at_flags, stat);
}

static err_t l_fstat(struct fsc *fsc, int32_t fd, struct tb_stat *stat)
{
	return tb_fstat(context_of(fsc), fd, stat);
}

static err_t l_access(struct fsc *fsc, const char *path, uint32_t access)
{
	return tb_access(context_of(fsc), TB_AT_FDCWD, path, access, 0);
}

static err_t l_chmod(struct fsc *fsc, const char *path, uint32_t mode)
{
	return tb_chmod(context_of(fsc), TB_AT_FDCWD, path, mode, 0);
}

static err_t l_chown(struct fsc *fsc, const char *path, uint32_t uid, uint32_t gid, uint32_t at_flags)
{
	return tb_chown(context_of(fsc), TB_AT_FDCWD, path, uid, gid, at_flags);
}

static err_t l_utimens(struct fsc *fsc, const char *path, const struct tb_time *times, uint32_t at_flags)
{
	return tb_utimens(context_of(fsc), TB_AT_FDCWD, path, times, at_flags);
}

static err_t l_mkdir(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t mode)
{
	return tb_mkdir(context_of(fsc), dirfd, path, mode);
}

static err_t l_mknod(struct fsc *fsc, const char *path, uint32_t mode, uint64_t rdev)
{
	return tb_mknod(context_of(fsc), TB_AT_FDCWD, path, mode, rdev);
}

static err_t l_symlink(struct fsc *fsc, const char *target, const char *path)
{
	return tb_symlink(context_of(fsc), target, TB_AT_FDCWD, path);
}

static err_t l_readlink(struct fsc *fsc, const char *path, char *buffer, size_t size, size_t *done)
{
	return tb_readlink(context_of(fsc), TB_AT_FDCWD, path, buffer, size, done);
}

static err_t l_link(struct fsc *fsc, int32_t old_dirfd, const char *old_path, const char *new_path, uint32_t at_flags)
{
	return tb_link(context_of(fsc), old_dirfd, old_path, TB_AT_FDCWD, new_path, at_flags);
}

static err_t l_unlink(struct fsc *fsc, int32_t dirfd, const char *path, uint32_t at_flags)
{
	return tb_unlink(context_of(fsc), dirfd, path, at_flags);
}

static err_t l_rename(struct fsc *fsc, const char *old_path, const char *new_path, uint32_t flags)
{
	return tb_rename(context_of(fsc), TB_AT_FDCWD, old_path, TB_AT_FDCWD, new_path, flags);
}

static err_t l_chdir(struct fsc *fsc, const char *path)
{
	return tb_chdir(context_of(fsc), path);
}

static err_t l_getxattr(struct fsc *fsc, const char *path, const char *name, void *value, size_t *size)
{
	return tb_getxattr(context_of(fsc), TB_AT_FDCWD, path, 0, name, value, size);
}

static err_t l_setxattr(struct fsc *fsc, const char *path, const char *name, const void *value, size_t size,
			uint32_t flags)
{
	return tb_setxattr(context_of(fsc), TB_AT_FDCWD, path, 0, name, value, size, flags);
}

static err_t l_listxattr(struct fsc *fsc, const char *path, char *names, size_t *size)
{
	return tb_listxattr(context_of(fsc), TB_AT_FDCWD, path, 0, names, size);
}

static err_t l_removexattr(struct fsc *fsc, const char *path, const char *name)
{
	return tb_removexattr(context_of(fsc), TB_AT_FDCWD, path, 0, name);
}

static err_t l_user(struct fsc *fsc, uint32_t uid, uint32_t gid)
{
	return tb_set_user(context_of(fsc), uid, gid, NULL, 0);
}

static void l_umask(struct fsc *fsc, uint32_t mask)
{
	uint32_t old;
	fsc->calls->check(fsc, tb_umask(context_of(fsc), mask, &old) == 0, 1, 0, "umask", __FILE__, __LINE__);
}

static void l_check(struct fsc *fsc, bool ok, int64_t got, int64_t wanted, const char *what, const char *file, int line)
{
	struct state *state = fsc->state;
	state->checks++;
	if (ok)
		return;
	state->failures++;
	printf("# %s:%d: %s (%lld, %lld)\n", file, line, what, (long long)got, (long long)wanted);
}

static const struct fsc_calls library_calls = {
	.open = l_open,
	.close = l_close,
	.read = l_read,
	.write = l_write,
	.pread = l_pread,
	.pwrite = l_pwrite,
	.seek = l_seek,
	.truncate = l_truncate,
	.ftruncate = l_ftruncate,
	.fallocate = l_fallocate,
	.fsync = l_fsync,
	.readdir = l_readdir,
	.stat = l_stat,
	.fstat = l_fstat,
	.access = l_access,
	.chmod = l_chmod,
	.chown = l_chown,
	.utimens = l_utimens,
	.mkdir = l_mkdir,
	.mknod = l_mknod,
	.symlink = l_symlink,
	.readlink = l_readlink,
	.link = l_link,
	.unlink = l_unlink,
	.rename = l_rename,
	.chdir = l_chdir,
	.getxattr = l_getxattr,
	.setxattr = l_setxattr,
	.listxattr = l_listxattr,
	.removexattr = l_removexattr,
	.user = l_user,
	.umask = l_umask,
	.check = l_check,
};

static unsigned points, failed;

static void point(bool ok, const char *name)
{
	printf("%sok %u - library %s\n", ok ? "" : "not ", ++points, name);
	failed += !ok;
}

static bool body_run(tb_instance *instance, void (*run)(struct fsc *fsc))
{
	struct state state = {0};
	struct fsc fsc = {.calls = &library_calls, .type = "tbos tmpfs", .state = &state};
	tb_context *root;
	bool good = tb_context_create(instance, &root) == 0 && tb_context_create(instance, &state.context) == 0;

	good = good && tb_mkdir(root, TB_AT_FDCWD, "/work", 0755) == 0;
	good = good && tb_mount(root, "work", "/work", "tmpfs", 0, "mode=755") == 0;
	good = good && tb_chdir(state.context, "/work") == 0;
	if (!good)
		return false;
	run(&fsc);
	good = state.failures == 0 && state.checks > 0 && tb_context_destroy(state.context) == 0;
	good = tb_umount(root, "/work", 0) == 0 && good;
	good = tb_unlink(root, TB_AT_FDCWD, "/work", TB_AT_REMOVEDIR) == 0 && good;
	return tb_context_destroy(root) == 0 && good;
}

static const struct {
	const char *name;
	void (*run)(struct fsc *fsc);
} bodies[] = {
#define X(name) {#name, fsc_##name},
	FSC_BODIES(X)
#undef X
};

// ---- threads in one context ----------------------------------------------------------------------------------------------

#define THREADS 4
#define FILES 50

struct worker {
	tb_context *context;
	int number;
	bool good;
};

static bool worker_file(const struct worker *worker, int i)
{
	char path[32], text[32], back[32];
	size_t done = 0;
	int32_t fd;

	snprintf(path, sizeof path, "/t%d-%d", worker->number, i);
	size_t size = (size_t)snprintf(text, sizeof text, "%d of %d", i, worker->number);
	if (tb_open(worker->context, TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT | TB_O_EXCL, 0644, &fd) != 0)
		return false;
	bool good = tb_write(worker->context, fd, text, size, &done) == 0 && done == size;
	good = good && tb_pread(worker->context, fd, back, sizeof back, 0, &done) == 0 && done == size;
	good = good && memcmp(text, back, size) == 0;
	good = tb_close(worker->context, fd) == 0 && good;
	return tb_unlink(worker->context, TB_AT_FDCWD, path, 0) == 0 && good;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	worker->good = true;
	for (int i = 0; i < FILES; i++)
		worker->good = worker_file(worker, i) && worker->good;
	return NULL;
}

static bool threads_share(tb_instance *instance)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	tb_context *context;
	bool good = true;

	if (tb_context_create(instance, &context) != 0)
		return false;
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.context = context, .number = i};
		if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0)
			return false;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		good = good && workers[i].good;
	}
	return tb_context_destroy(context) == 0 && good;
}

// ---- the whole -----------------------------------------------------------------------------------------------------------

int main(int argc, char **argv)
{
	struct tb_config config;
	tb_instance *instance;
	tb_context *left = NULL;
	int32_t fd, status;

	tb_config_init(&config);
	if (argc == 3 && strcmp(argv[1], "--engine") == 0 && strcmp(argv[2], "sim") == 0)
		config.engine = TB_ENGINE_SIM;
	if (tb_create(&config, &instance) != 0) {
		printf("Bail out! %s\n", tb_error(NULL));
		return 1;
	}
	point(tb_context_create(instance, &left) == -ENOTCONN, "an instance that is not booted");
	point(tb_boot(instance) == 0, "boot");
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
		point(body_run(instance, bodies[i].run), bodies[i].name);
	point(threads_share(instance), "threads share a context");
	point(tb_context_create(instance, &left) == 0 &&
		      tb_open(left, TB_AT_FDCWD, "/left", TB_O_WRONLY | TB_O_CREAT, 0644, &fd) == 0,
	      "a file is left open");
	point(tb_command(instance, "check", &status) == 0 && status == 0, "invariants hold");
	point(tb_shutdown(instance, NULL) == 0, "nothing is left over");
	point(tb_context_destroy(left) == -ESHUTDOWN, "a context outlives the kernel");
	point(tb_destroy(instance) == 0, "destroy");
	printf("1..%u\n", points);
	return failed != 0;
}
