// SPDX-License-Identifier: MIT
//
// Fuzz target: images of PXFS. The input changes bytes of a sound volume, inside superblocks, nodes or anywhere; then every checksum on the way to them is
// made right again, so that what lies behind is reached. The volume is checked; then it is scrubbed and repaired, which must hold if it says so, or mounted, walked, read,
// written to and unmounted. It may be refused or fail; it may not crash, hang or eat memory.
#include "../../src/fs/pxfs/volume_impl.h"
#include "../support/memdisk.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/process.h"
#include "kern/pxfs.h"
#include "kern/vfs.h"

#define IMAGE_BYTES MIB(8)
#define VISITS_MAX 400u
#define FILES_MAX 200u

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_pxfs(void *arg);

// ---- a disk -----------------------------------------------------------------------------------------------------------------------

struct image {
	struct block_device *device;
	uint8_t *bytes, *sound; // what is mounted; what mkfs and some work left
	uint32_t visits, files;
	struct pxfs_volume geometry; // for sizes alone
};

static void image_start(struct block_command *command)
{
	const struct image *image = block_data(command->device);

	(void)memdisk_copy(command, image->bytes);
	block_command_done(command, 0);
}

static const struct block_driver image_driver = {.model = "image", .start = image_start};

static struct process *root(void)
{
	return vfs_monitor_process();
}

static void file_make(const char *path, uint32_t size, uint32_t pattern)
{
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = -1;

	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i % pattern * i);
	VERIFY(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd) == 0);
	VERIFY(vfs_write(root(), fd, bytes, size, &done) == 0);
	VERIFY(vfs_close(root(), fd) == 0);
	kfree(bytes);
}

static void image_fill(struct image *image)
{
	char path[40];

	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p", 0755) == 0);
	VERIFY(vfs_mount(root(), block_name(image->device), "/p", "pxfs", 0, "", NULL) == 0);
	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p/d", 0755) == 0);
	for (uint32_t i = 0; i < 120; i++) {
		ksnprintf(path, sizeof path, "/p/d/file%u", i);
		file_make(path, 10 + i, 3);
	}
	file_make("/p/large", 300000, 251);
	file_make("/p/small", 2000, 7);
	VERIFY(vfs_symlink(root(), "large", TB_AT_FDCWD, "/p/link") == 0);
	VERIFY(vfs_link(root(), TB_AT_FDCWD, "/p/large", TB_AT_FDCWD, "/p/d/hard", 0) == 0);
	VERIFY(vfs_setxattr(root(), TB_AT_FDCWD, "/p/large", 0, "user.x", path, 30, 0) == 0);
	VERIFY(vfs_truncate(root(), TB_AT_FDCWD, "/p/small", 100000) == 0);
	VERIFY(vfs_umount(root(), "/p", 0) == 0);
}

static struct image *image_get(void)
{
	static struct image image;
	struct block_limits limits = memdisk_limits(IMAGE_BYTES);
	const char *problem = NULL;

	if (image.sound != NULL)
		return &image;
	image.bytes = range_alloc(IMAGE_BYTES, MEM_ZERO, NULL);
	image.sound = range_alloc(IMAGE_BYTES, 0, NULL);
	VERIFY(image.bytes != NULL && image.sound != NULL);
	VERIFY(block_add("image", &image_driver, &limits, &image, &image.device) == 0);
	VERIFY(pxfs_format("image", &(struct pxfs_format_params){.copies = 1, .log_bytes = 65536}, &problem) == 0);
	image_fill(&image);
	memcpy(image.sound, image.bytes, IMAGE_BYTES);
	image.geometry =
		(struct pxfs_volume){.block_shift = 12, .node_shift = 14, .sectors = IMAGE_BYTES >> SECTOR_SHIFT};
	return &image;
}

// ---- changes ------------------------------------------------------------------------------------------------------------------------

static struct pxfs_super *super_newest(struct image *image)
{
	struct pxfs_super *newest = NULL;

	for (uint32_t slot = 0; slot < PXFS_SLOTS; slot++) {
		struct pxfs_super *super =
			(struct pxfs_super *)(image->bytes + (super_ring(&image->geometry, 0) << SECTOR_SHIFT) +
					      slot * 4096u);
		if (le64_get(&super->magic) == PXFS_MAGIC &&
		    (newest == NULL || le64_get(&super->generation) > le64_get(&newest->generation)))
			newest = super;
	}
	return newest;
}

// The n-th node that a walk from a pointer comes to.
static uint8_t *node_find(struct image *image, const struct pxfs_pointer *pointer, uint32_t *n)
{
	uint64_t address = le64_get(&pointer->address[0]);

	if (address == 0 || address > (IMAGE_BYTES >> SECTOR_SHIFT) - 32 || image->visits++ > VISITS_MAX)
		return NULL;
	uint8_t *bytes = image->bytes + (address << SECTOR_SHIFT);
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)bytes;
	const struct pxfs_child *children = (const struct pxfs_child *)(header + 1);
	if ((*n)-- == 0)
		return bytes;
	for (uint32_t i = 0; header->level != 0 && i < MIN(le32_get(&header->count), 200u); i++) {
		uint8_t *found = node_find(image, &children[i].pointer, n);
		if (found != NULL)
			return found;
	}
	return NULL;
}

static struct pxfs_pointer *subvolume_root(struct image *image, struct pxfs_super *super)
{
	uint64_t address = le64_get(&super->root.address[0]);

	if (address == 0 || address > (IMAGE_BYTES >> SECTOR_SHIFT) - 32)
		return NULL;
	uint8_t *bytes = image->bytes + (address << SECTOR_SHIFT);
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)bytes;
	const struct pxfs_item *items = (const struct pxfs_item *)(header + 1);
	for (uint32_t i = 0; header->level == 0 && i < MIN(le32_get(&header->count), 400u); i++) {
		uint32_t at = le32_get(&items[i].at);
		if (items[i].key.type == PXFS_SUBVOLUME && at <= 16384 - sizeof(struct pxfs_subvolume))
			return &((struct pxfs_subvolume *)(bytes + at))->root;
	}
	return NULL;
}

// A change: which tree and node, where in it, how many bytes, the bytes.
static void changes_apply(struct image *image, const uint8_t *bytes, size_t size)
{
	struct pxfs_super *super = super_newest(image);
	struct pxfs_pointer *subvolume = subvolume_root(image, super);

	while (size >= 5) {
		uint32_t n = bytes[0] >> 3, at = (uint32_t)bytes[1] | (uint32_t)bytes[2] << 8;
		uint32_t run = MIN((uint32_t)bytes[3] % 32 + 1, (uint32_t)size - 4);
		uint8_t *to = NULL;
		image->visits = 0;
		switch (bytes[0] & 7) {
		case 0:
			to = (uint8_t *)super;
			at %= 4096;
			break;
		case 1:
			to = node_find(image, &super->root, &n);
			break;
		case 2:
			to = node_find(image, &super->space, &n);
			break;
		case 3:
			to = node_find(image, &super->refs, &n);
			break;
		default:
			to = subvolume == NULL ? NULL : node_find(image, subvolume, &n);
		}
		at %= 16384;
		for (uint32_t i = 0; to != NULL && i < run && at + i < ((bytes[0] & 7) == 0 ? 4096u : 16384u); i++)
			to[at + i] = bytes[4 + i];
		bytes += 4 + run;
		size -= 4 + run;
	}
}

// Checksums from the leaves up.
static void tree_sign(struct image *image, struct pxfs_pointer *pointer, uint32_t depth)
{
	uint64_t address = le64_get(&pointer->address[0]);

	if (address == 0 || address > (IMAGE_BYTES >> SECTOR_SHIFT) - 32 || depth == 0 || image->visits++ > VISITS_MAX)
		return;
	uint8_t *bytes = image->bytes + (address << SECTOR_SHIFT);
	struct pxfs_node_header *header = (struct pxfs_node_header *)bytes;
	struct pxfs_child *children = (struct pxfs_child *)(header + 1);
	for (uint32_t i = 0; header->level != 0 && i < MIN(le32_get(&header->count), 200u); i++)
		tree_sign(image, &children[i].pointer, depth - 1);
	le64_put(&pointer->checksum, checksum_xxh3(bytes, 16384, 0));
}

static void image_sign(struct image *image)
{
	struct pxfs_super *super = super_newest(image);
	struct pxfs_pointer *subvolume = super == NULL ? NULL : subvolume_root(image, super);

	if (super == NULL)
		return;
	image->visits = 0;
	if (subvolume != NULL)
		tree_sign(image, subvolume, 8);
	tree_sign(image, &super->space, 8);
	tree_sign(image, &super->refs, 8);
	tree_sign(image, &super->root, 8);
	struct pxfs_super own = *super;
	le64_put(&own.checksum, 0);
	le64_put(&super->checksum, checksum_xxh3(&own, sizeof own, 0));
}

// ---- use ----------------------------------------------------------------------------------------------------------------------------

static void file_use(struct image *image, const char *path)
{
	struct tb_stat stat;
	uint8_t buffer[512];
	uint64_t position = 0;
	size_t done = 0, size = sizeof buffer;
	int32_t fd = -1;
	err_t err = vfs_stat(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, &stat);

	err = vfs_getxattr(root(), TB_AT_FDCWD, path, TB_AT_SYMLINK_NOFOLLOW, "user.x", buffer, &size);
	if (++image->files > FILES_MAX || vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_NOFOLLOW, 0, &fd) != 0)
		return;
	for (uint32_t i = 0; i < 4; i++)
		err = vfs_pread(root(), fd, buffer, sizeof buffer, i * 70000ull, &done);
	err = vfs_seek(root(), fd, 0, TB_SEEK_DATA, &position);
	if (image->files % 8 == 1) {
		err = vfs_pwrite(root(), fd, buffer, sizeof buffer, 5000, &done);
		err = vfs_ftruncate(root(), fd, 3000);
	}
	err = vfs_close(root(), fd);
	(void)err;
}

static void folder_use(struct image *image, const char *path, uint32_t depth)
{
	struct tb_dirent *entries = kmalloc(8 * sizeof *entries, 0);
	uint32_t count = 0, listed = 0;
	int32_t fd = -1;
	char below[600];

	if (vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDONLY | TB_O_DIRECTORY, 0, &fd) != 0) {
		kfree(entries);
		return;
	}
	while (listed < FILES_MAX && vfs_readdir(root(), fd, entries, 8, &count) == 0 && count != 0)
		for (uint32_t i = 0; i < count; i++, listed++) {
			if (strchr(entries[i].name, '/') != NULL || str_equal(entries[i].name, ".") ||
			    str_equal(entries[i].name, ".."))
				continue;
			ksnprintf(below, sizeof below, "%s/%s", path, entries[i].name);
			if (entries[i].type == TB_S_IFDIR && depth < 4)
				folder_use(image, below, depth + 1);
			else
				file_use(image, below);
		}
	VERIFY(vfs_close(root(), fd) == 0);
	kfree(entries);
}

// What says that nothing is wrong any more is right.
static void volume_repair(void)
{
	struct pxfs_scrub_calls calls = {.say = NULL};
	struct pxfs_scrub_report scrubbed;
	struct pxfs_check_report report;
	const char *problem = NULL;
	err_t err = pxfs_scrub("image", PXFS_SCRUB_REPAIR, &calls, &scrubbed, &problem);

	err = pxfs_check_volume("image", PXFS_CHECK_REPAIR, NULL, NULL, &report, &problem);
	if (err != 0 || report.problems != 0)
		return;
	VERIFY(pxfs_check_volume("image", PXFS_CHECK_REPAIR, NULL, NULL, &report, &problem) == 0);
	VERIFY(report.problems == 0 && report.mended == 0);
}

static void volume_use_all(struct image *image)
{
	const char *problem = NULL;
	err_t err = vfs_mount(root(), "image", "/p", "pxfs", 0, "", &problem);

	if (err != 0)
		return;
	folder_use(image, "/p", 0);
	err = vfs_mkdir(root(), TB_AT_FDCWD, "/p/made", 0755);
	err = vfs_unlink(root(), TB_AT_FDCWD, "/p/d/file7", 0);
	err = vfs_rename(root(), TB_AT_FDCWD, "/p/d/file8", TB_AT_FDCWD, "/p/made/f", 0);
	VERIFY(vfs_umount(root(), "/p", 0) == 0);
}

int64_t tb_fuzz_pxfs(void *arg)
{
	static uint32_t inputs;
	const struct fuzz_input *input = arg;
	struct image *image = image_get();
	struct pxfs_check_report report;
	const char *problem = NULL;

	memcpy(image->bytes, image->sound, IMAGE_BYTES);
	changes_apply(image, input->bytes, input->size);
	image_sign(image);
	image->files = 0;
	err_t err = pxfs_check_volume("image", PXFS_CHECK_DATA, NULL, NULL, &report, &problem);
	VERIFY(err == 0 || problem != NULL || err == -EIO || err == -EUCLEAN || err == -EBADMSG || err == -ENOMEM);
	if (input->size % 2 != 0)
		volume_repair();
	else
		volume_use_all(image);
	if (++inputs % 32 == 0)
		VERIFY(components_check() == 0);
	return 0;
}
