// SPDX-License-Identifier: MIT
//
// Settings of compression: what may be said, what holds where, and that files are what was written whatever the method and the size of clusters, also where it changes.
#include "hal/hal.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/monitor.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/test.h"
#include "kern/vfs.h"

#include "../../../src/fs/pxfs/volume_impl.h"

#define NAME "pxfs.compression"
#define FILE_BYTES (2u << 20)

static struct process *root(void)
{
	return vfs_monitor_process();
}

static err_t set(const char *path, const char *text)
{
	return vfs_setxattr(root(), TB_AT_FDCWD, path, 0, NAME, text, strlen(text), 0);
}

static bool says(const char *path, const char *wanted)
{
	char text[64];
	size_t size = sizeof text - 1;

	if (vfs_getxattr(root(), TB_AT_FDCWD, path, 0, NAME, text, &size) != 0)
		return false;
	text[size] = '\0';
	if (!str_equal(text, wanted))
		log_err("%s: \"%s\", not \"%s\"", path, text, wanted);
	return str_equal(text, wanted);
}

static bool is_listed(const char *path)
{
	char names[256];
	size_t size = sizeof names;

	if (vfs_listxattr(root(), TB_AT_FDCWD, path, 0, names, &size) != 0)
		return false;
	for (size_t at = 0; at < size; at += strlen(names + at) + 1)
		if (str_equal(names + at, NAME))
			return true;
	return false;
}

static int32_t command(const char *line)
{
	return monitor_run_line(line, strlen(line));
}

static err_t make(const char *path)
{
	return vfs_mknod(root(), TB_AT_FDCWD, path, TB_S_IFREG | 0644, 0);
}

static struct block_device *disk_make(TEST_RUN, uint64_t size_bytes)
{
	struct block_device *disk = NULL;
	const char *problem = NULL;

	CHECK_EQ(ramdisk_create(size_bytes, 512, 4096, &disk), 0);
	CHECK_EQ(pxfs_format(block_name(disk), &(struct pxfs_format_params){.copies = 1}, &problem), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v", 0755), 0);
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/v", "pxfs", 0, "", NULL), 0);
	return disk;
}

static void remount(TEST_RUN, struct block_device *disk)
{
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/v", "pxfs", 0, "", NULL), 0);
}

static void say(void *arg, const char *text)
{
	(void)arg;
	log_err("fsck: %s", text);
}

static void disk_end(TEST_RUN, struct block_device *disk)
{
	struct pxfs_check_report report;
	const char *problem = NULL;

	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	CHECK_EQ(pxfs_check_volume(block_name(disk), PXFS_CHECK_DATA, say, NULL, &report, &problem), 0);
	CHECK_EQ(report.problems, 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/v", TB_AT_REMOVEDIR), 0);
	CHECK_EQ(block_remove(disk), 0);
}

// ---- what holds -------------------------------------------------------------------------------------------------------------------

TEST(pxfs_compress, settings_are_inherited)
{
	struct block_device *disk = disk_make(test_run_, MIB(16));
	CHECK(says("/v", "lz4,64k inherited"));
	CHECK_EQ(make("/v/before"), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/d", 0755), 0);
	CHECK_EQ(set("/v/d", "zstd:19,1m"), 0);
	CHECK(says("/v/d", "zstd:19,1024k"));
	CHECK(is_listed("/v/d"));
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/v/d/e", 0755), 0);
	CHECK_EQ(make("/v/d/e/f"), 0);
	CHECK(says("/v/d/e/f", "zstd:19,1024k inherited"));
	CHECK(!is_listed("/v/d/e/f") && !is_listed("/v/d/e"));
	CHECK_EQ(set("/v/d/e/f", "none"), 0); // the cluster's size stays
	CHECK_EQ(set("/v", "zstd"), 0);
	CHECK_EQ(make("/v/after"), 0);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK(says("/v", "zstd:3,64k") && says("/v/after", "zstd:3,64k inherited"));
		CHECK(says("/v/d", "zstd:19,1024k") && says("/v/d/e", "zstd:19,1024k inherited"));
		CHECK(says("/v/d/e/f", "none,1024k") && says("/v/before", "lz4,64k inherited"));
		remount(test_run_, disk);
	}
	CHECK_EQ(vfs_removexattr(root(), TB_AT_FDCWD, "/v/d/e/f", 0, NAME), 0);
	CHECK(says("/v/d/e/f", "zstd:19,1024k inherited"));
	CHECK_EQ(vfs_removexattr(root(), TB_AT_FDCWD, "/v/d/e/f", 0, NAME), -ENODATA);
	CHECK_EQ(vfs_removexattr(root(), TB_AT_FDCWD, "/v/d", 0, NAME), 0);
	CHECK(says("/v/d", "zstd:3,64k inherited"));
	CHECK_EQ(vfs_removexattr(root(), TB_AT_FDCWD, "/v", 0, NAME), 0);
	CHECK(says("/v", "lz4,64k inherited"));
	disk_end(test_run_, disk);
}

TEST(pxfs_compress, what_may_be_said)
{
	static const char *const wrong[] = {"",          "gzip",     "zstd:0",
					    "zstd:20",   "zstd:",    "zstd:3,",
					    "zstd:3,8k", "lz4,2m",   "lz4,48k",
					    "none:1",    "lz4,64k ", "zstd:3,64k inherited",
					    ",64k",      "zstd:-1",  "zstd:99999999999999999999"};
	struct block_device *disk = disk_make(test_run_, MIB(16));
	struct process *other = NULL;
	char small[4];
	size_t size = sizeof small;
	CHECK_EQ(make("/v/f"), 0);
	for (uint32_t i = 0; i < array_count(wrong); i++)
		CHECK_EQ(set("/v/f", wrong[i]), -EINVAL);
	CHECK(says("/v/f", "lz4,64k inherited"));
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/f", 0, NAME, "lz4", 3, TB_XATTR_REPLACE), -ENODATA);
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/f", 0, NAME, "lz4:5,16k", 9, TB_XATTR_CREATE), 0);
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/f", 0, NAME, "lz4", 3, TB_XATTR_CREATE), -EEXIST);
	CHECK(says("/v/f", "lz4:5,16k"));
	CHECK_EQ(vfs_getxattr(root(), TB_AT_FDCWD, "/v/f", 0, NAME, small, &size), -ERANGE);
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/f", 0, "pxfs.other", "x", 1, 0), -EOPNOTSUPP);
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/", 0, NAME, "lz4", 3, 0), -EOPNOTSUPP); // no PXFS
	CHECK_EQ(vfs_symlink(root(), "f", TB_AT_FDCWD, "/v/l"), 0);
	CHECK_EQ(vfs_setxattr(root(), TB_AT_FDCWD, "/v/l", TB_AT_SYMLINK_NOFOLLOW, NAME, "lz4", 3, 0), -EPERM);
	CHECK_EQ(process_create("other", root(), &other), 0);
	CHECK_EQ(process_set_cred(other, 1000, 1000, NULL, 0), 0);
	CHECK_EQ(vfs_setxattr(other, TB_AT_FDCWD, "/v/f", 0, NAME, "none", 4, 0), -EPERM);
	CHECK_EQ(vfs_removexattr(other, TB_AT_FDCWD, "/v/f", 0, NAME), -EPERM);
	CHECK_EQ(vfs_chown(root(), TB_AT_FDCWD, "/v/f", 1000, 1000, 0), 0);
	CHECK_EQ(vfs_setxattr(other, TB_AT_FDCWD, "/v/f", 0, NAME, "none", 4, 0), 0);
	process_put(other);
	CHECK(says("/v/f", "none,16k"));
	CHECK_EQ(command("pxfs-compression zstd:5,128k /v/f"), 0);
	CHECK(says("/v/f", "zstd:5,128k"));
	CHECK_EQ(command("pxfs-compression inherit /v/f"), 0);
	CHECK_EQ(command("pxfs-compression /v/f"), 0);
	CHECK_EQ(command("pxfs-compression gzip /v/f"), 1);
	CHECK_EQ(command("pxfs-compression"), 2);
	CHECK(says("/v/f", "lz4,64k inherited"));
	disk_end(test_run_, disk);
}

TEST(pxfs_compress, flags_say_the_same)
{
	struct block_device *disk = disk_make(test_run_, MIB(16));
	struct process *other = NULL;
	uint32_t flags = 99;
	int32_t fd = -1;
	CHECK_EQ(make("/v/f"), 0);
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, "/v/f", TB_O_RDONLY, 0, &fd), 0);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_GETFLAGS, &flags), 0);
	CHECK_EQ(flags, 0);
	flags = TB_FS_NOCOMP_FL;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_SETFLAGS, &flags), 0);
	CHECK(says("/v/f", "none,64k"));
	flags = TB_FS_COMPR_FL;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_SETFLAGS, &flags), 0);
	CHECK(says("/v/f", "lz4,64k"));
	CHECK_EQ(set("/v/f", "zstd:7,128k"), 0);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_SETFLAGS, &flags), 0); // what is said more exactly stays
	CHECK(says("/v/f", "zstd:7,128k"));
	flags = 0;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_GETFLAGS, &flags), 0);
	CHECK_EQ(flags, TB_FS_COMPR_FL);
	flags = TB_FS_COMPR_FL | TB_FS_NOCOMP_FL;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_SETFLAGS, &flags), -EINVAL);
	flags = 0x10;
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_SETFLAGS, &flags), -EOPNOTSUPP);
	CHECK_EQ(vfs_ioctl(root(), fd, 12345, &flags), -ENOTTY);
	flags = 0;
	CHECK_EQ(process_create("other", root(), &other), 0);
	CHECK_EQ(process_set_cred(other, 1000, 1000, NULL, 0), 0);
	int32_t theirs = -1;
	CHECK_EQ(vfs_open(other, TB_AT_FDCWD, "/v/f", TB_O_RDONLY, 0, &theirs), 0);
	CHECK_EQ(vfs_ioctl(other, theirs, TB_FS_IOC_SETFLAGS, &flags), -EPERM);
	process_put(other);
	CHECK_EQ(vfs_ioctl(root(), fd, TB_FS_IOC_SETFLAGS, &flags), 0);
	CHECK(says("/v/f", "lz4,64k inherited"));
	CHECK_EQ(vfs_close(root(), fd), 0);
	disk_end(test_run_, disk);
}

// ---- contents ---------------------------------------------------------------------------------------------------------------------

// What extents of the volume there are: the largest cluster by method.
static void clusters_find(TEST_RUN, struct block_device *disk, uint32_t largest[PXFS_METHOD_COUNT], uint64_t *incompat)
{
	struct pxfs_volume *volume = NULL;
	struct pxfs_where where = {PXFS_TREE_SUBVOLUME, PXFS_SUBVOLUME, 0};
	struct pxfs_subvolume *item = kmalloc(sizeof *item, 0);
	struct pxfs_tree tree;
	struct pxfs_path path;
	const char *problem = NULL;
	const uint8_t *data = NULL;
	uint32_t size = sizeof *item;
	bool exact = false, there = true;

	memset(largest, 0, PXFS_METHOD_COUNT * sizeof *largest);
	REQUIRE(item != NULL && volume_open(block_name(disk), true, &volume, &problem) == 0);
	*incompat = le64_get(&volume->super.incompat);
	CHECK_EQ(tree_get(&volume->root_tree, &where, item, &size), 0);
	tree_init(&tree, volume, PXFS_TREE_SUBVOLUME, &item->root);
	CHECK_EQ(tree_find(&tree, &(struct pxfs_where){0, 0, 0}, &path, &exact), 0);
	while (path_item(&path, &where, &data, &size, &there) == 0 && there) {
		const struct pxfs_extent *extent = (const struct pxfs_extent *)data;
		if (where.type == PXFS_EXTENT && extent->method < PXFS_METHOD_COUNT)
			largest[extent->method] = MAX(largest[extent->method], le32_get(&extent->cluster));
		path_step(&path);
	}
	path_release(&path);
	tree_fini(&tree);
	volume_abandon(volume);
	kfree(item);
}

// Text in its first half, noise behind.
static void pattern_fill(uint8_t *bytes, uint32_t size, struct rand_stream *rand)
{
	uint32_t text = size / 2;

	for (uint32_t i = 0; i < text; i++)
		bytes[i] = (uint8_t)("the quick brown fox "[i % 20] + (i / 4096) % 7);
	rand_fill(rand, bytes + text, size - text);
}

static void overwrite(TEST_RUN, const char *path, uint8_t *bytes, uint32_t size, uint32_t times,
		      struct rand_stream *rand)
{
	size_t done = 0;
	int32_t fd = -1;

	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	if (times == 0)
		CHECK_EQ(vfs_pwrite(root(), fd, bytes, size, 0, &done), 0);
	for (uint32_t i = 0; i < times; i++) {
		uint32_t at = rand_below(rand, size), count = 1 + rand_below(rand, MIN(size - at, 70000u));
		memset(bytes + at, (int)(i + 1), count);
		CHECK_EQ(vfs_pwrite(root(), fd, bytes + at, count, at, &done), 0);
		if (i % 3 == 0)
			CHECK_EQ(vfs_fsync(root(), fd), 0);
	}
	CHECK_EQ(vfs_close(root(), fd), 0);
}

static bool holds(const char *path, const uint8_t *bytes, uint8_t *found, uint32_t size)
{
	size_t done = 0;
	int32_t fd = -1;

	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd) != 0)
		return false;
	err_t err = vfs_pread(root(), fd, found, size, 0, &done);
	return vfs_close(root(), fd) == 0 && err == 0 && done == size && memcmp(bytes, found, size) == 0;
}

struct setting {
	const char *text;
	uint32_t method, cluster;
};

static void contents_try(TEST_RUN, const struct setting *setting, uint32_t size)
{
	struct block_device *disk = disk_make(test_run_, MIB(16));
	uint8_t *bytes = kmalloc(size, 0), *found = kmalloc(size, 0);
	uint32_t largest[PXFS_METHOD_COUNT];
	struct rand_stream rand;
	uint64_t incompat = 0;
	REQUIRE(bytes != NULL && found != NULL);
	rand_open(&rand, setting->text, 0);
	pattern_fill(bytes, size, &rand);
	CHECK_EQ(set("/v", setting->text), 0);
	overwrite(test_run_, "/v/f", bytes, size, 0, &rand);
	CHECK_EQ(vfs_umount(root(), "/v", 0), 0);
	clusters_find(test_run_, disk, largest, &incompat);
	CHECK_EQ(largest[setting->method], setting->cluster);
	CHECK_EQ(largest[PXFS_METHOD_NONE], setting->cluster); // the noise
	for (uint32_t i = 0; i < PXFS_METHOD_NONE; i++)
		CHECK(i == setting->method || largest[i] == 0);
	CHECK_EQ(incompat, setting->method == PXFS_METHOD_ZSTD ? PXFS_INCOMPAT_ZSTD : 0);
	CHECK_EQ(vfs_mount(root(), block_name(disk), "/v", "pxfs", 0, "", NULL), 0);
	CHECK(holds("/v/f", bytes, found, size));
	overwrite(test_run_, "/v/f", bytes, size, 9, &rand);
	remount(test_run_, disk);
	CHECK(holds("/v/f", bytes, found, size));
	CHECK_EQ(set("/v/f", "lz4,16k"), 0); // and on with another one, in the same file
	overwrite(test_run_, "/v/f", bytes, size, 5, &rand);
	CHECK_EQ(set("/v/f", "zstd:1,1m"), 0);
	overwrite(test_run_, "/v/f", bytes, size, 5, &rand);
	CHECK(holds("/v/f", bytes, found, size));
	remount(test_run_, disk);
	CHECK(holds("/v/f", bytes, found, size));
	kfree(bytes);
	kfree(found);
	disk_end(test_run_, disk);
}

TEST(pxfs_compress, files_are_what_was_written)
{
	static const struct setting settings[] = {
		{"zstd:19,1m", PXFS_METHOD_ZSTD, 1 << 20}, {"lz4,16k", PXFS_METHOD_LZ4, 1 << 14},
		{"none,512k", PXFS_METHOD_NONE, 1 << 19},  {"zstd:3,256k", PXFS_METHOD_ZSTD, 1 << 18},
		{"lz4,128k", PXFS_METHOD_LZ4, 1 << 17},    {"zstd:1,32k", PXFS_METHOD_ZSTD, 1 << 15}};
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	for (uint32_t i = 0; i < array_count(settings); i += slow ? 5 : 1)
		contents_try(test_run_, &settings[i], FILE_BYTES);
}
