// SPDX-License-Identifier: MIT
//
// Fuzz target: images of PXFS. The input changes bytes of a sound volume with snapshots, clones, reflinks, lists of what is dead and two subvolumes that are being
// deleted, inside superblocks, nodes or anywhere; then every checksum on the way to them is made right again, so that what lies behind is reached. The volume is checked;
// then it is scrubbed and repaired, which must hold if it says so, or mounted, walked, read, written to and unmounted. It may be refused or fail; it may not crash,
// hang or eat memory.
#include "pxfs_image.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/process.h"
#include "kern/vfs.h"

#define IMAGE_BYTES MIB(8)
#define NODE_BYTES 16384u
#define VISITS_MAX 400u
#define SUBVOLUMES_MAX 16u
#define DEPTH_MAX 8u

struct walk {
	struct image *image;
	uint32_t visits;
	struct pxfs_volume geometry; // for sizes alone
	struct pxfs_pointer *roots[SUBVOLUMES_MAX];
	uint32_t root_count;
};

// ---- a sound one --------------------------------------------------------------------------------------------------------------------

static struct process *root(void)
{
	return image_process();
}

static void main_fill(void)
{
	char path[40];

	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p/d", 0755) == 0);
	for (uint32_t i = 0; i < 120; i++) {
		ksnprintf(path, sizeof path, "/p/d/file%u", i);
		image_file_make(path, 10 + i, 3);
	}
	image_file_make("/p/large", 300000, 251);
	image_file_make("/p/small", 2000, 7);
	VERIFY(vfs_symlink(root(), "large", TB_AT_FDCWD, "/p/link") == 0);
	VERIFY(vfs_link(root(), TB_AT_FDCWD, "/p/large", TB_AT_FDCWD, "/p/d/hard", 0) == 0);
	VERIFY(vfs_setxattr(root(), TB_AT_FDCWD, "/p/large", 0, "user.x", path, 30, 0) == 0);
	VERIFY(vfs_truncate(root(), TB_AT_FDCWD, "/p/small", 100000) == 0);
}

// What a snapshot has too becomes another, or goes.
static void subvolume_change(struct image *image, const char *options, uint32_t from)
{
	char path[40];

	VERIFY(image_mount(image, 0, options) == 0);
	for (uint32_t i = from; i < from + 20; i++) {
		ksnprintf(path, sizeof path, "/p/d/file%u", i);
		VERIFY(vfs_unlink(root(), TB_AT_FDCWD, path, 0) == 0);
	}
	image_file_make("/p/large", 70000, 13 + from);
	ksnprintf(path, sizeof path, "/p/new%u", from);
	image_file_make(path, 90000, 17);
	image_umount();
}

static void large_share(void)
{
	int32_t from = -1, to = -1;

	VERIFY(vfs_open(root(), TB_AT_FDCWD, "/p/large", TB_O_RDONLY, 0, &from) == 0);
	VERIFY(vfs_open(root(), TB_AT_FDCWD, "/p/copy", TB_O_RDWR | TB_O_CREAT, 0644, &to) == 0);
	VERIFY(vfs_ioctl(root(), to, TB_FICLONE, &from) == 0);
	VERIFY(vfs_close(root(), from) == 0 && vfs_close(root(), to) == 0);
}

// It is being deleted, and nobody has begun with that.
static void deletion_mark(struct image *image, const char *name)
{
	struct pxfs_volume *volume = NULL;
	struct pxfs_subvolume item;
	const char *problem = NULL;
	uint64_t id = 0;

	VERIFY(volume_open(block_name(image->device), false, &volume, &problem) == 0);
	rwlock_write_lock(&volume->epoch);
	VERIFY(subvol_find(volume, name, &id, &item) == 0);
	le64_put(&item.flags, le64_get(&item.flags) | PXFS_SUBVOLUME_DELETING);
	VERIFY(subvol_item_put(volume, id, &item) == 0);
	rwlock_write_unlock(&volume->epoch);
	VERIFY(volume_close(volume) == 0);
}

static void image_fill(struct image *image)
{
	VERIFY(image_mount(image, 0, "") == 0);
	main_fill();
	image_umount();
	image_request(image, TB_PXFS_SNAPSHOT, "first", "");
	subvolume_change(image, "", 20);
	image_request(image, TB_PXFS_SNAPSHOT, "going", "");
	subvolume_change(image, "", 40);
	image_request(image, TB_PXFS_SNAPSHOT, "third", "");
	image_request(image, TB_PXFS_CLONE, "clone", "first");
	image_request(image, TB_PXFS_CLONE, "gone", "third");
	subvolume_change(image, "subvol=clone", 60);
	subvolume_change(image, "subvol=gone", 70);
	VERIFY(image_mount(image, 0, "") == 0);
	large_share();
	image_umount();
	VERIFY(image_check(image) == 0);
	deletion_mark(image, "going");
	deletion_mark(image, "gone");
	VERIFY(image_check(image) == 0);
	image_keep(image);
}

static struct walk *walk_get(void)
{
	static struct image image;
	static struct walk walk;

	if (walk.image != NULL)
		return &walk;
	image_make(&image, "image", IMAGE_BYTES, &(struct pxfs_format_params){.copies = 1, .log_bytes = 65536});
	image_fill(&image);
	walk.geometry =
		(struct pxfs_volume){.block_shift = 12, .node_shift = 14, .sectors = IMAGE_BYTES >> SECTOR_SHIFT};
	walk.image = &image;
	return &walk;
}

// ---- changes ------------------------------------------------------------------------------------------------------------------------

static struct pxfs_super *super_newest(struct walk *walk)
{
	struct pxfs_super *newest = NULL;

	for (uint32_t slot = 0; slot < PXFS_SLOTS; slot++) {
		struct pxfs_super *super =
			(struct pxfs_super *)(walk->image->bytes + (super_ring(&walk->geometry, 0) << SECTOR_SHIFT) +
					      slot * 4096u);
		if (le64_get(&super->magic) == PXFS_MAGIC &&
		    (newest == NULL || le64_get(&super->generation) > le64_get(&newest->generation)))
			newest = super;
	}
	return newest;
}

static uint8_t *node_at(struct walk *walk, const struct pxfs_pointer *pointer)
{
	uint64_t address = le64_get(&pointer->address[0]);
	bool outside = address == 0 || address > (IMAGE_BYTES - NODE_BYTES) >> SECTOR_SHIFT;

	return outside || walk->visits++ > VISITS_MAX ? NULL : walk->image->bytes + (address << SECTOR_SHIFT);
}

static uint32_t child_count(const uint8_t *node)
{
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)node;

	return header->level == 0 ? 0 : MIN(le32_get(&header->count), 200u);
}

static struct pxfs_child *children_of(uint8_t *node)
{
	return (struct pxfs_child *)(node + sizeof(struct pxfs_node_header));
}

// The n-th node that a walk from a pointer comes to.
static uint8_t *node_find(struct walk *walk, const struct pxfs_pointer *pointer, uint32_t *n)
{
	uint8_t *bytes = node_at(walk, pointer), *found = NULL;

	if (bytes == NULL || (*n)-- == 0)
		return bytes;
	for (uint32_t i = 0; found == NULL && i < child_count(bytes); i++)
		found = node_find(walk, &children_of(bytes)[i].pointer, n);
	return found;
}

static void roots_find(struct walk *walk, const struct pxfs_pointer *pointer, uint32_t depth)
{
	uint8_t *bytes = node_at(walk, pointer);

	if (bytes == NULL || depth == 0)
		return;
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)bytes;
	const struct pxfs_item *items = (const struct pxfs_item *)(header + 1);
	for (uint32_t i = 0; i < child_count(bytes); i++)
		roots_find(walk, &children_of(bytes)[i].pointer, depth - 1);
	for (uint32_t i = 0; header->level == 0 && i < MIN(le32_get(&header->count), 400u); i++) {
		uint32_t at = le32_get(&items[i].at);
		if (items[i].key.type == PXFS_SUBVOLUME && at <= NODE_BYTES - sizeof(struct pxfs_subvolume) &&
		    walk->root_count < SUBVOLUMES_MAX)
			walk->roots[walk->root_count++] = &((struct pxfs_subvolume *)(bytes + at))->root;
	}
}

static void roots_collect(struct walk *walk, const struct pxfs_super *super)
{
	walk->visits = 0;
	walk->root_count = 0;
	roots_find(walk, &super->root, DEPTH_MAX);
}

static uint8_t *place_find(struct walk *walk, struct pxfs_super *super, uint32_t which, uint32_t n)
{
	walk->visits = 0;
	switch (which) {
	case 0:
		return (uint8_t *)super;
	case 1:
		return node_find(walk, &super->root, &n);
	case 2:
		return node_find(walk, &super->space, &n);
	case 3:
		return node_find(walk, &super->refs, &n);
	case 4:
		return walk->root_count == 0 ? NULL : node_find(walk, walk->roots[0], &n);
	default: { // a subvolume by number, then a node
		uint32_t of = (which - 5) * 2 + (n & 1);
		n >>= 1;
		return of >= walk->root_count ? NULL : node_find(walk, walk->roots[of], &n);
	}
	}
}

// A change: which tree and node, where in it, how many bytes, the bytes.
static void changes_apply(struct walk *walk, const uint8_t *bytes, size_t size)
{
	struct pxfs_super *super = super_newest(walk);

	roots_collect(walk, super);
	while (size >= 5) {
		uint32_t at = (uint32_t)bytes[1] | (uint32_t)bytes[2] << 8;
		uint32_t run = MIN((uint32_t)bytes[3] % 32 + 1, (uint32_t)size - 4);
		uint32_t room = (bytes[0] & 7) == 0 ? PXFS_SUPER_BYTES : NODE_BYTES;
		uint8_t *to = place_find(walk, super, bytes[0] & 7, bytes[0] >> 3);
		at %= room;
		for (uint32_t i = 0; to != NULL && i < run && at + i < room; i++)
			to[at + i] = bytes[4 + i];
		bytes += 4 + run;
		size -= 4 + run;
	}
}

// Checksums from the leaves up.
static void tree_sign(struct walk *walk, struct pxfs_pointer *pointer, uint32_t depth)
{
	uint8_t *bytes = depth == 0 ? NULL : node_at(walk, pointer);

	if (bytes == NULL)
		return;
	for (uint32_t i = 0; i < child_count(bytes); i++)
		tree_sign(walk, &children_of(bytes)[i].pointer, depth - 1);
	le64_put(&pointer->checksum, checksum_xxh3(bytes, NODE_BYTES, 0));
}

static void image_sign(struct walk *walk)
{
	struct pxfs_super *super = super_newest(walk);

	if (super == NULL)
		return;
	roots_collect(walk, super);
	for (uint32_t i = 0; i < walk->root_count; i++) {
		walk->visits = 0;
		tree_sign(walk, walk->roots[i], DEPTH_MAX);
	}
	walk->visits = 0;
	tree_sign(walk, &super->space, DEPTH_MAX);
	tree_sign(walk, &super->refs, DEPTH_MAX);
	tree_sign(walk, &super->root, DEPTH_MAX);
	struct pxfs_super own = *super;
	le64_put(&own.checksum, 0);
	le64_put(&super->checksum, checksum_xxh3(&own, sizeof own, 0));
}

// ---- use ----------------------------------------------------------------------------------------------------------------------------

// Mounted for writing, what is being deleted goes on going.
static void volume_use_all(struct image *image, size_t which)
{
	static const char *const others[] = {"subvol=first", "subvol=clone", "subvol=third", "subvol=going"};

	if (which % 4 == 0 && image_mount(image, 0, others[which / 4 % array_count(others)]) == 0) {
		image_walk(image, true);
		image_umount();
	}
	if (image_mount(image, 0, "") != 0)
		return;
	image_walk(image, true);
	image_umount();
}

int64_t tb_fuzz_pxfs(void *arg)
{
	static uint32_t inputs;
	const struct fuzz_input *input = arg;
	struct walk *walk = walk_get();

	image_restore(walk->image);
	changes_apply(walk, input->bytes, input->size);
	image_sign(walk);
	(void)image_check(walk->image);
	if (input->size % 2 != 0)
		image_repair(walk->image);
	else
		volume_use_all(walk->image, input->size / 2);
	if (++inputs % 32 == 0)
		VERIFY(components_check() == 0);
	return 0;
}
