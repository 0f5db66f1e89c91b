// SPDX-License-Identifier: MIT
//
// Fuzz target: the arguments of the library's file calls. The input is a list of calls with any flags, modes, offsets, sizes, descriptors, names and
// NULLs; only what a pointer leads to is sound, and as large as the call is told, to the byte. One simulated instance serves many inputs, so that a
// call that would wait for ever is -EDEADLK or -ETIME. No call may panic, write past a buffer, or return what is no error number.
#include "fuzz_library.h"
#include "kept_console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (16u << 20)
#define LIFE_NS 20000000u
#define CHECK_EVERY 50u
#define CALLS_MAX 200u
#define ERRNO_LAST 133

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static tb_instance *instance;
static tb_context *admin, *context;

static void fail(const char *what, tb_err err)
{
	fprintf(stderr, "fuzz_library: %s: error %d, %s\n%s\n", what, err, tb_error(instance), console);
	abort();
}

// ---- calls -----------------------------------------------------------------------------------------------------------------

static void done_check(const char *what, tb_err err, const size_t *done, size_t size)
{
	if (err == 0 && done != NULL && *done > size)
		fail(what, (tb_err)*done);
}

static tb_err bytes_call(uint32_t which)
{
	size_t size = buffer_size();
	int32_t fd = descriptor();
	void *buffer = byte() == 255 ? NULL : memory(size, false);
	size_t *done = out(sizeof *done);
	tb_err err;

	switch (which % 6) {
	case 0:
		err = tb_read(context, fd, buffer, size, done);
		break;
	case 1:
		err = tb_write(context, fd, buffer, size, done);
		break;
	case 2:
		err = tb_pread(context, fd, buffer, size, number(), done);
		break;
	case 3:
		err = tb_pwrite(context, fd, buffer, size, number(), done);
		break;
	case 4:
		err = tb_readlink(context, fd, path(), buffer, size, done);
		break;
	default:
		err = tb_getcwd(context, buffer, size, done);
	}
	done_check("bytes", err, done, size);
	return err;
}

static tb_err descriptor_call(uint32_t which)
{
	int32_t fd = descriptor();

	switch (which % 12) {
	case 0:
		return tb_close(context, fd);
	case 1:
		return tb_dup(context, fd, out(sizeof(int32_t)));
	case 2:
		return tb_lseek(context, fd, (int64_t)number(), (enum tb_seek)word(), out(sizeof(uint64_t)));
	case 3:
		return tb_ftruncate(context, fd, (int64_t)number());
	case 4:
		return tb_fallocate(context, fd, byte() < 128 ? byte() % 32 : word(), (int64_t)number(),
				    (int64_t)number());
	case 5:
		return tb_fsync(context, fd);
	case 6:
		return tb_flock(context, fd, byte() < 200 ? byte() % 16 : word());
	case 7: {
		static const uint32_t commands[] = {TB_F_GETLK,     TB_F_SETLK,     TB_F_SETLKW,
						    TB_F_OFD_GETLK, TB_F_OFD_SETLK, TB_F_OFD_SETLKW};
		uint8_t shape = byte();
		struct tb_lock *lock = out(sizeof *lock);
		if (lock != NULL && shape < 200)
			*lock = (struct tb_lock){.type = (int16_t)(byte() % 3),
						 .whence = (int16_t)(byte() % 3),
						 .start = (int64_t)number(),
						 .size_bytes = (int64_t)number()};
		return tb_lock(context, fd, shape < 250 ? commands[shape % 6] : word(), lock);
	}
	case 8: {
		static const uint32_t requests[] = {TB_TCGETS,  TB_TCSETS,     TB_TCSETSW,    TB_TCSETSF,
						    TB_TCSBRK,  TB_TCXONC,     TB_TCFLSH,     TB_TIOCOUTQ,
						    TB_TIOCSTI, TB_TIOCGWINSZ, TB_TIOCSWINSZ, TB_FIONREAD};
		uint8_t shape = byte();
		return tb_ioctl(context, fd, shape < 240 ? requests[shape % 12] : word(), out(64));
	}
	case 9: {
		uint32_t capacity = byte() % 8, *count = out(sizeof *count);
		struct tb_dirent *entries = byte() == 255 ? NULL : memory(capacity * sizeof *entries, false);
		tb_err err = tb_readdir(context, fd, entries, capacity, count);
		if (err == 0 && count != NULL && *count > capacity)
			fail("readdir", (tb_err)*count);
		return err;
	}
	case 10:
		return tb_fstat(context, fd, out(sizeof(struct tb_stat)));
	default:
		return tb_fchdir(context, fd);
	}
}

static tb_err path_call(uint32_t which)
{
	int32_t dirfd = descriptor();
	const char *at = path();

	switch (which % 14) {
	case 0:
		return tb_open(context, dirfd, at, bits() | (byte() & 3), word(), out(sizeof(int32_t)));
	case 1:
		return tb_truncate(context, dirfd, at, (int64_t)number());
	case 2:
		return tb_stat(context, dirfd, at, bits(), out(sizeof(struct tb_stat)));
	case 3:
		return tb_access(context, dirfd, at, word(), bits());
	case 4:
		return tb_chmod(context, dirfd, at, word(), bits());
	case 5:
		return tb_chown(context, dirfd, at, word(), word(), bits());
	case 6:
		return tb_utimens(context, dirfd, at, out(2 * sizeof(struct tb_time)), bits());
	case 7:
		return tb_mkdir(context, dirfd, at, word());
	case 8:
		return tb_mknod(context, dirfd, at, (uint32_t)(byte() % 16) << 12 | word(), number());
	case 9:
		return tb_symlink(context, path(), dirfd, at);
	case 10:
		return tb_link(context, dirfd, at, descriptor(), path(), bits());
	case 11:
		return tb_unlink(context, dirfd, at, bits());
	case 12:
		return tb_rename(context, dirfd, at, descriptor(), path(), byte() < 200 ? byte() % 4 : word());
	default:
		return tb_statfs(context, dirfd, at, out(sizeof(struct tb_statfs)));
	}
}

static tb_err xattr_call(uint32_t which)
{
	int32_t dirfd = descriptor();
	const char *at = path();
	uint32_t flags = byte() < 200 ? 0 : bits();
	size_t size = buffer_size() % 2048, *room = out(sizeof *room);
	void *value = byte() >= 250 ? NULL : memory(size, false);
	tb_err err;

	if (room != NULL)
		*room = value != NULL ? size : byte() % 2;
	switch (which % 4) {
	case 0:
		err = tb_getxattr(context, dirfd, at, flags, name(), value, room);
		break;
	case 1:
		return tb_setxattr(context, dirfd, at, flags, name(), value, size, byte() % 4);
	case 2:
		err = tb_listxattr(context, dirfd, at, flags, value, room);
		break;
	default:
		return tb_removexattr(context, dirfd, at, flags, name());
	}
	if (value != NULL && size > 0)
		done_check("xattr", err, room, size);
	return err;
}

static tb_err world_call(uint32_t which)
{
	switch (which % 10) {
	case 0: {
		uint32_t count = byte() % 40;
		return tb_set_user(context, word() % 3, word(),
				   byte() == 255 ? NULL : memory(count * sizeof(uint32_t), true), count);
	}
	case 1:
		return tb_umask(context, word(), out(sizeof(uint32_t)));
	case 2:
		return tb_sync(context);
	case 3:
		return tb_chdir(context, path());
	case 4:
		return tb_chroot(context, path());
	case 5: {
		static const char *const types[] = {"tmpfs", "proc", "devfs", "ext4", "", NULL};
		static const char *const options[] = {
			NULL, "", "size=64k", "size=1%,nr_inodes=4", "mode=0", "size=", "uid=1,gid=99999999999", ",,,"};
		return tb_mount(context, path(), path(), types[byte() % 6], byte() < 128 ? 0 : bits(),
				byte() < 220 ? options[byte() % 8] : text(byte() % 40));
	}
	case 6:
		return tb_umount(context, path(), byte() % 4);
	case 7:
		return tb_unshare(context, byte() < 200 ? TB_CLONE_NEWNS : word());
	case 8:
		return tb_name_to_handle(context, descriptor(), path(), bits(), out(sizeof(struct tb_handle)));
	default: {
		struct tb_handle *handle = out(sizeof *handle);
		if (handle != NULL && byte() < 200) {
			tb_err err = tb_name_to_handle(context, TB_AT_FDCWD, path(), 0, handle);
			if (err != 0)
				return err;
		}
		return tb_open_handle(context, descriptor(), handle, bits() | (byte() & 3), out(sizeof(int32_t)));
	}
	}
}

static tb_err call(void)
{
	uint8_t group = byte(), which = byte();

	switch (group % 8) {
	case 0:
	case 1:
		return bytes_call(which);
	case 2:
	case 3:
		return descriptor_call(which);
	case 4:
	case 5:
		return path_call(which);
	case 6:
		return xattr_call(which);
	default:
		return world_call(which);
	}
}

// ---- the instance ----------------------------------------------------------------------------------------------------------

static void instance_make(void)
{
	struct tb_config config;

	quiet_config(&config, TB_ENGINE_SIM, 1, RAM_BYTES, LIFE_NS);
	tb_err err = tb_create(&config, &instance);
	if (err == 0)
		err = tb_boot(instance);
	if (err == 0)
		err = tb_context_create(instance, &admin);
	if (err == 0)
		err = tb_mkdir(admin, TB_AT_FDCWD, "/w", 0777);
	if (err != 0)
		fail("boot", err);
}

static void instance_end(void)
{
	if (admin != NULL)
		(void)!tb_context_destroy(admin);
	admin = NULL;
	tb_err err = tb_destroy(instance);
	if (err != 0 && err != -ETIME && err != -EDEADLK)
		fail("end", err);
	instance = NULL;
}

static tb_err stage_make(void)
{
	static const char *const folders[] = {"/w/dev", "/w/proc", "/w/d"};
	tb_err err = tb_mount(admin, "w", "/w", "tmpfs", 0, "size=1m,nr_inodes=200,mode=777");

	for (size_t i = 0; err == 0 && i < 3; i++)
		err = tb_mkdir(admin, TB_AT_FDCWD, folders[i], 0777);
	if (err == 0)
		err = tb_mount(admin, "dev", "/w/dev", "devfs", 0, NULL);
	if (err == 0)
		err = tb_mount(admin, "proc", "/w/proc", "proc", 0, NULL);
	if (err == 0)
		err = tb_symlink(admin, "d/a", TB_AT_FDCWD, "/w/link");
	if (err == 0)
		err = tb_symlink(admin, "ring", TB_AT_FDCWD, "/w/ring");
	if (err == 0)
		err = tb_context_create(instance, &context);
	if (err == 0)
		err = tb_chroot(context, "/w");
	return err == 0 ? tb_chdir(context, "/") : err;
}

// What ends an instance, not a call: everybody in it waits for ever, or its time is up.
static bool instance_is_over(tb_err err)
{
	return err == -EDEADLK || err == -ETIME || err == -ESHUTDOWN;
}

static bool calls_run(void)
{
	for (uint32_t i = 0; i < CALLS_MAX && input_left(); i++) {
		tb_err err = call();
		input_forget();
		if (instance_is_over(err))
			return false;
		if (err > 0 || err < -ERRNO_LAST || err == -EIO)
			fail("a call", err);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static unsigned inputs;
	struct tb_sim_stats stats;
	int32_t status = 0;

	if (instance == NULL)
		instance_make();
	input_begin(bytes, size);
	tb_err err = stage_make();
	if (err != 0)
		fail("stage", err);
	bool lives = calls_run();
	err = tb_context_destroy(context);
	if (lives && err != 0)
		fail("context", err);
	err = lives ? tb_umount(admin, "/w", TB_MNT_DETACH) : 0;
	if (err != 0 && err != -EINVAL) // the context's root, which it may have unmounted itself
		fail("umount", err);
	if (lives && ++inputs % CHECK_EVERY == 0 &&
	    ((err = tb_command(instance, "check", &status)) != 0 || status != 0))
		fail("check", err);
	if (!lives || tb_sim_stats(instance, &stats) != 0 || stats.time_ns > LIFE_NS / 2)
		instance_end();
	return 0;
}
