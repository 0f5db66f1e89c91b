// SPDX-License-Identifier: MIT
//
// Devices, procfs and tunables: what they hold, what they refuse, and names that come and go with threads.
#include "fs/vfs/vfs_impl.h"
#include "kern/fmt.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "tbos/tty_types.h"
#include "kern/test.h"
#include "kern/tunable.h"
#include "kern/vfs.h"

static struct process *root(void)
{
	return vfs_monitor_process();
}

static void mount_new(TEST_RUN, const char *type, const char *path)
{
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, path, 0755), 0);
	CHECK_EQ(vfs_mount(root(), type, path, type, 0, "", NULL), 0);
}

static void unmount(TEST_RUN, const char *path)
{
	CHECK_EQ(vfs_umount(root(), path, 0), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, path, TB_AT_REMOVEDIR), 0);
}

static bool all_are(const uint8_t *bytes, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static uint32_t device_open(TEST_RUN, const char *name, int32_t *fd)
{
	char path[32];
	struct tb_stat stat = {0};

	(void)ksnprintf(path, sizeof path, "/dev/%s", name);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR, 0, fd), 0);
	CHECK_EQ(vfs_fstat(root(), *fd, &stat), 0);
	CHECK_EQ(stat.mode, TB_S_IFCHR | 0666);
	return (uint32_t)stat.rdev;
}

// Without a terminal there is one console, which gives what the machine's input gives: nothing, here.
TEST(fs_special, terminals)
{
	struct tb_termios modes;
	struct tb_stat stat;
	uint64_t position;
	int32_t fd, waiting = 9;
	char byte;
	size_t done = 9;

	mount_new(test_run_, "devfs", "/dev");
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/tty", TB_O_RDWR, 0, &fd), -ENXIO);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/tty2", TB_O_RDWR, 0, &fd), -ENXIO);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/tty0", TB_O_RDWR, 0, &fd), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/console", TB_O_RDWR | TB_O_NONBLOCK, 0, &fd), 0);
	CHECK(vfs_fstat(root(), fd, &stat) == 0 && stat.mode == (TB_S_IFCHR | 0600) &&
	      stat.rdev == device_number(5, 1));
	CHECK_EQ(vfs_seek(root(), fd, 0, TB_SEEK_SET, &position), -ESPIPE);
	CHECK_EQ(vfs_pread(root(), fd, &byte, 1, 0, &done), -ESPIPE);
	CHECK_EQ(vfs_pwrite(root(), fd, &byte, 1, 0, &done), -ESPIPE);
	CHECK(vfs_write(root(), fd, "seen\n", 5, &done) == 0 && done == 5);
	CHECK_EQ(vfs_read(root(), fd, &byte, 1, &done), -EAGAIN);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_TCGETS, &modes), 0);
	CHECK_EQ(modes.lflag, 0);
	modes = (struct tb_termios){.lflag = TB_ICANON, .cc = {[TB_VEOF] = 4}};
	CHECK_EQ(vfs_ioctl(root(), fd, TB_TCSETS, &modes), 0);
	for (const char *at = "ab\x04"; *at != '\0'; at++)
		CHECK_EQ(vfs_ioctl(root(), fd, TB_TIOCSTI, (void *)(uintptr_t)at), 0);
	CHECK(vfs_ioctl(root(), fd, TB_FIONREAD, &waiting) == 0 && waiting == 2);
	char text[8];
	CHECK(vfs_read(root(), fd, text, sizeof text, &done) == 0 && done == 2 && memcmp(text, "ab", 2) == 0);
	CHECK_EQ(vfs_ioctl(root(), fd, 0xdead, &waiting), -ENOTTY);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_TCGETS, &modes), -EBADF);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/null", TB_O_RDWR, 0, &fd), 0);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_TCGETS, &modes), -ENOTTY);
	CHECK_EQ(vfs_close(root(), fd), 0);
	unmount(test_run_, "/dev");
}

TEST(fs_special, devices)
{
	uint8_t bytes[1000], more[1000];
	uint64_t at = 9;
	size_t done = 9;
	int32_t fd;

	mount_new(test_run_, "devfs", "/dev");
	CHECK_EQ(device_open(test_run_, "null", &fd), device_number(1, 3));
	CHECK_EQ(vfs_write(root(), fd, bytes, 100, &done), 0);
	CHECK_EQ(done, 100);
	CHECK_EQ(vfs_read(root(), fd, bytes, 100, &done), 0);
	CHECK_EQ(done, 0);
	CHECK_EQ(vfs_seek(root(), fd, 5, TB_SEEK_SET, &at), 0);
	CHECK_EQ(vfs_ftruncate(root(), fd, 5), -EINVAL);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(device_open(test_run_, "zero", &fd), device_number(1, 5));
	memset(bytes, 1, sizeof bytes);
	CHECK_EQ(vfs_read(root(), fd, bytes, sizeof bytes, &done), 0);
	CHECK(done == sizeof bytes && all_are(bytes, sizeof bytes, 0));
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(device_open(test_run_, "full", &fd), device_number(1, 7));
	CHECK_EQ(vfs_write(root(), fd, bytes, 1, &done), -ENOSPC);
	CHECK_EQ(vfs_read(root(), fd, bytes, 1, &done), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_EQ(device_open(test_run_, i == 0 ? "random" : "urandom", &fd), device_number(1, 8 + i));
		CHECK_EQ(vfs_read(root(), fd, bytes, sizeof bytes, &done), 0);
		CHECK_EQ(done, sizeof bytes);
		CHECK_EQ(vfs_read(root(), fd, more, sizeof more, &done), 0);
		CHECK(memcmp(bytes, more, sizeof more) != 0);
		CHECK(memcmp(bytes, bytes + 500, 500) != 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
	}
	// Any special file of the number is the device; numbers that nobody has are none; nodev keeps them shut.
	CHECK_EQ(vfs_mknod(root(), TB_AT_FDCWD, "/z", TB_S_IFCHR | 0600, device_number(1, 5)), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/z", TB_O_RDONLY, 0, &fd), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/z", 0), 0);
	CHECK_EQ(vfs_mknod(root(), TB_AT_FDCWD, "/dev/none", TB_S_IFCHR | 0600, device_number(1, 99)), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/none", TB_O_RDONLY, 0, &fd), -ENXIO);
	CHECK_EQ(vfs_mknod(root(), TB_AT_FDCWD, "/dev/block", TB_S_IFBLK | 0600, device_number(1, 5)), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/block", TB_O_RDONLY, 0, &fd), -ENXIO);
	CHECK_EQ(vfs_mount(root(), "", "/dev", "", TB_MS_REMOUNT | TB_MS_NODEV, "", NULL), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/dev/null", TB_O_RDONLY, 0, &fd), -EACCES);
	CHECK_EQ(vfs_mount(root(), "x", "/dev", "devfs", 0, "size=1M", NULL), -EINVAL);
	unmount(test_run_, "/dev");
}

// ---- procfs --------------------------------------------------------------------------------------------------------------

static size_t text_read(TEST_RUN, const char *path, char *text, size_t size)
{
	size_t used = 0, done = 1;
	int32_t fd;

	text[0] = '\0';
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);
	CHECK_EQ(err, 0);
	if (err != 0)
		return 0;
	while (done > 0 && used + 1 < size) { // in small pieces
		CHECK_EQ(vfs_read(root(), fd, text + used, size - used - 1 < 7 ? size - used - 1 : 7, &done), 0);
		used += done;
	}
	text[used] = '\0';
	CHECK_EQ(vfs_close(root(), fd), 0);
	return used;
}

TEST(fs_special, proc_files)
{
	static const struct {
		const char *path, *has;
	} files[] = {{"/proc/meminfo", "MemTotal:"},
		     {"/proc/cpuinfo", "processor\t: 0\n"},
		     {"/proc/stat", "\nbtime "},
		     {"/proc/uptime", "."},
		     {"/proc/version", "TBOS version "},
		     {"/proc/mounts", "proc /proc proc rw 0 0\n"},
		     {"/proc/filesystems", "nodev\ttmpfs\n"},
		     {"/proc/slabinfo", "\ndentry "},
		     {"/proc/interrupts", " ALL:"},
		     {"/proc/locks", "1: FLOCK  ADVISORY  WRITE -1 00:"},
		     {"/proc/sys/kernel/cpus", "\n"}};
	char *text = kmalloc(16384, 0);
	size_t done;
	int32_t fd, locked;

	REQUIRE(text != NULL);
	mount_new(test_run_, "proc", "/proc");
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/locked", TB_O_RDWR | TB_O_CREAT, 0600, &locked), 0);
	CHECK_EQ(vfs_flock(root(), locked, TB_LOCK_EX), 0);
	for (uint32_t i = 0; i < array_count(files); i++) {
		size_t size = text_read(test_run_, files[i].path, text, 16384);
		CHECK(size > 0 && text[size - 1] == '\n' && strstr(text, files[i].has) != NULL);
		CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, files[i].path, TB_O_RDONLY, 0, &fd), 0);
		CHECK_EQ(vfs_pread(root(), fd, text, 10, 1000000, &done), 0);
		CHECK_EQ(done, 0);
		CHECK_EQ(vfs_close(root(), fd), 0);
		CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, files[i].path, 0), -EPERM);
	}
	CHECK_EQ(vfs_close(root(), locked), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/locked", 0), 0);
	CHECK_EQ(text_read(test_run_, "/proc/locks", text, 16384), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/proc/stat", TB_O_WRONLY, 0, &fd), 0);
	CHECK_EQ(vfs_write(root(), fd, "x", 1, &done), -EINVAL);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/proc/new", 0755), -EPERM);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/proc/new", TB_O_WRONLY | TB_O_CREAT, 0644, &fd), -EPERM);
	CHECK_EQ(vfs_rename(root(), TB_AT_FDCWD, "/proc/stat", TB_AT_FDCWD, "/proc/tats", 0), -EPERM);
	kfree(text);
	unmount(test_run_, "/proc");
}

static void number_write(TEST_RUN, const char *text, err_t wanted)
{
	size_t done;
	int32_t fd;

	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/proc/sys/sched/slice_us", TB_O_WRONLY | TB_O_TRUNC | TB_O_CREAT, 0644,
			  &fd),
		 0);
	CHECK_EQ(vfs_write(root(), fd, text, strlen(text), &done), wanted);
	CHECK_EQ(vfs_close(root(), fd), 0);
}

TEST(fs_special, tunables)
{
	const struct tunable *slice = tunable_find("sched.slice_us");
	char text[64];
	struct tb_stat stat;

	REQUIRE(slice != NULL);
	uint64_t before = slice->get();
	mount_new(test_run_, "proc", "/proc");
	number_write(test_run_, "750\n", 0);
	CHECK_EQ(slice->get(), 750);
	CHECK_EQ(text_read(test_run_, "/proc/sys/sched/slice_us", text, sizeof text), 4);
	CHECK(str_equal(text, "750\n"));
	number_write(test_run_, "  0x400 ", 0);
	CHECK_EQ(slice->get(), 1024);
	number_write(test_run_, "99", -ERANGE);
	number_write(test_run_, "1000001", -ERANGE);
	number_write(test_run_, "18446744073709551616", -ERANGE);
	number_write(test_run_, "", 0);
	number_write(test_run_, " ", -EINVAL);
	number_write(test_run_, "7x", -EINVAL);
	number_write(test_run_, "-7", -EINVAL);
	number_write(test_run_, "7 7", -EINVAL);
	number_write(test_run_, "00000000000000000000000000000000000000000000000000000000000000000500", -EINVAL);
	CHECK_EQ(slice->get(), 1024);
	CHECK_EQ(tunable_set(slice, "1000000"), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/proc/sys/sched/nothing", 0, &stat), -ENOENT);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/proc/sys/sched/slice_us", 0, &stat), 0);
	CHECK_EQ(stat.mode, TB_S_IFREG | 0644);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/proc/sys/kernel/cpus", 0, &stat), 0);
	CHECK_EQ(stat.mode, TB_S_IFREG | 0444);
	CHECK_EQ(tunable_set(tunable_find("kernel.cpus"), "1"), -EACCES);
	CHECK_EQ(tunable_set(slice, "8000"), 0);
	CHECK_EQ(slice->set(before), 0);
	unmount(test_run_, "/proc");
}

// ---- threads -------------------------------------------------------------------------------------------------------------

struct guest {
	uint32_t go; // atomic
};

static void guest_main(void *arg)
{
	struct guest *guest = arg;
	while (atomic_load_u32_acquire(&guest->go) == 0)
		thread_yield();
}

static err_t folder_stat(uint32_t id, struct tb_stat *stat)
{
	char path[32];
	(void)ksnprintf(path, sizeof path, "/proc/%u", id);
	return vfs_stat(root(), TB_AT_FDCWD, path, 0, stat);
}

// A name that was not there is looked up before its thread exists: what was learnt then must not hide it.
TEST(fs_special, folders_come_and_go_with_threads)
{
	struct guest guest = {0};
	struct thread_params params = {.name = "guest", .klass = CLASS_FAIR};
	struct tb_stat stat;
	struct thread *thread;
	char path[32], text[1024];
	int32_t fd;

	mount_new(test_run_, "proc", "/proc");
	REQUIRE(thread_start(&params, guest_main, &guest, &thread) == 0);
	uint32_t id = thread->id;
	CHECK_EQ(folder_stat(id + 1, &stat), -ENOENT);
	CHECK_EQ(folder_stat(id, &stat), 0);
	CHECK_EQ(stat.mode, TB_S_IFDIR | 0555);
	(void)ksnprintf(path, sizeof path, "/proc/%u/comm", id);
	CHECK(text_read(test_run_, path, text, sizeof text) == 6 && str_equal(text, "guest\n"));
	(void)ksnprintf(path, sizeof path, "/proc/%u/status", id);
	CHECK(text_read(test_run_, path, text, sizeof text) > 0 && strstr(text, "\nState:\tR (running)\n") != NULL);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_PATH, 0, &fd), 0);
	CHECK_EQ(vfs_close(root(), fd), 0);
	(void)ksnprintf(path, sizeof path, "/proc/%u", id);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd), 0);
	atomic_store_u32_release(&guest.go, 1);
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK_EQ(folder_stat(id, &stat), -ENOENT);
	int32_t inside = -1;
	CHECK_EQ(vfs_open(root(), fd, "status", TB_O_RDONLY, 0, &inside),
		 -ESRCH); // through the folder that is still open
	CHECK_EQ(vfs_close(root(), fd), 0);
	guest.go = 0;
	REQUIRE(thread_start(&params, guest_main, &guest, &thread) == 0);
	CHECK_EQ(folder_stat(thread->id, &stat), 0);
	atomic_store_u32_release(&guest.go, 1);
	CHECK_EQ(thread_join(thread, NULL), 0);
	unmount(test_run_, "/proc");
}

#define READERS 3u

struct readers {
	struct test_run *run;
	uint32_t next; // atomic
};

// Threads start and end all the while: everybody must see the files and the first thread once, and nothing twice.
static void reader_main(void *arg)
{
	struct readers *readers = arg;
	struct process *process;

	if (process_create("reader", vfs_monitor_process(), &process) != 0)
		return;
	for (uint32_t round = 0; round < 4; round++) {
		struct tb_dirent entry;
		uint32_t count = 1, seen = 0, first = 0;
		uint64_t last = 0;
		int32_t fd;
		bool rising = true;
		if (vfs_open(process, TB_AT_FDCWD, "/proc", TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0)
			break;
		while (vfs_readdir(process, fd, &entry, 1, &count) == 0 && count == 1) {
			rising = rising && entry.cookie > last;
			last = entry.cookie;
			first += str_equal(entry.name, "1");
			seen++;
		}
		test_check(readers->run, rising && first == 1 && seen > 12, "every name once", __FILE__, __LINE__);
		test_check(readers->run, vfs_close(process, fd) == 0, "close", __FILE__, __LINE__);
		struct tb_stat stat;
		(void)!vfs_stat(process, TB_AT_FDCWD, "/proc/1/stat", 0, &stat);
		for (uint32_t id = 8; id < 24; id++) {
			char path[32];
			(void)ksnprintf(path, sizeof path, "/proc/%u/status", id);
			err_t err = vfs_open(process, TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd);
			test_check(readers->run, err == 0 || err == -ENOENT || err == -ESRCH, "there or not", __FILE__,
				   __LINE__);
			if (err == 0)
				test_check(readers->run, vfs_close(process, fd) == 0, "close", __FILE__, __LINE__);
		}
	}
	process_put(process);
}

static void short_main(void *arg)
{
	(void)arg;
	thread_yield();
}

TEST(fs_special, proc_is_read_while_threads_come_and_go)
{
	struct readers readers = {.run = test_run_};
	struct thread *threads[READERS], *shorts[READERS];

	mount_new(test_run_, "proc", "/proc");
	for (uint32_t i = 0; i < READERS; i++)
		REQUIRE(thread_start(NULL, reader_main, &readers, &threads[i]) == 0);
	for (uint32_t round = 0; round < 6; round++) {
		for (uint32_t i = 0; i < READERS; i++)
			REQUIRE(thread_start(NULL, short_main, NULL, &shorts[i]) == 0);
		for (uint32_t i = 0; i < READERS; i++)
			CHECK_EQ(thread_join(shorts[i], NULL), 0);
	}
	for (uint32_t i = 0; i < READERS; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	unmount(test_run_, "/proc");
}

// With everything that is mounted within; who has a file open there goes on with it.
TEST(fs_special, a_lazy_umount_takes_the_tree)
{
	static const char *const places[] = {"/lazy", "/lazy/a", "/lazy/a/b", "/lazy/c"};
	struct tb_stat stat;
	int32_t fd;

	for (uint32_t i = 0; i < array_count(places); i++)
		mount_new(test_run_, "tmpfs", places[i]);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/lazy/a/b/file", TB_O_RDWR | TB_O_CREAT, 0600, &fd), 0);
	CHECK_EQ(vfs_umount(root(), "/lazy", 0), -EBUSY);
	CHECK_EQ(vfs_umount(root(), "/lazy/a/b", 0), -EBUSY);
	CHECK_EQ(vfs_umount(root(), "/lazy", TB_MNT_DETACH), 0);
	CHECK_EQ(vfs_stat(root(), TB_AT_FDCWD, "/lazy/a", 0, &stat), -ENOENT);
	CHECK(vfs_fstat(root(), fd, &stat) == 0 && stat.nlink == 1);
	CHECK_EQ(vfs_umount(root(), "/lazy", TB_MNT_DETACH), -EINVAL);
	CHECK_EQ(vfs_close(root(), fd), 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/lazy", TB_AT_REMOVEDIR), 0);
}
