// SPDX-License-Identifier: MIT
//
// Fuzz target: nodes of PXFS and the trees that they make. The input is up to seven nodes of 16, 32 or 64 KiB, three levels of them, made of lists of items and children
// and then changed anywhere, with checksums made right. Each is judged; then they are a subvolume's tree, in which is looked, walked, set and taken away, and which
// is taken apart. It may be refused anywhere; a tree that was whole must stay it, and hold what was put into it.
#include "pxfs_image.h"

#include "kern/component.h"
#include "kern/fmt.h"

#define IMAGE_BYTES MIB(8)
#define NODES 7u // 0 the root, 1 and 2, then leaves
#define FIRST_SECTOR 8192u
#define ID (PXFS_TREE_SUBVOLUME + 40u)
#define STEPS_MAX 64u

struct input {
	const uint8_t *at, *end;
};

struct grove {
	struct image images[3]; // by size of node
	uint8_t data[PXFS_ITEM_BYTES_MAX];
};

static uint32_t take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static uint32_t take16(struct input *input)
{
	uint32_t low = take(input);
	return low | take(input) << 8;
}

static struct grove *grove_get(void)
{
	static struct grove grove;
	char name[16];

	for (uint32_t i = 0; i < 3 && grove.images[i].bytes == NULL; i++) {
		ksnprintf(name, sizeof name, "nodes%u", i);
		image_make(&grove.images[i], name, IMAGE_BYTES,
			   &(struct pxfs_format_params){.node_bytes = 16384u << i, .copies = 1});
	}
	return &grove;
}

// ---- nodes --------------------------------------------------------------------------------------------------------------------------

static uint64_t sector_of(const struct pxfs_volume *volume, uint32_t index)
{
	return FIRST_SECTOR + (uint64_t)index * node_sectors(volume);
}

static void where_step(struct input *input, struct pxfs_where *where)
{
	uint32_t step = take(input);

	where->offset += step & 31;
	if ((step & 96) == 32) {
		where->type++;
		where->offset = step & 15;
	} else if ((step & 96) == 64) {
		*where = (struct pxfs_where){where->object + (step & 3) + 1, PXFS_INODE, 0};
	}
}

static void leaf_build(const struct pxfs_volume *volume, struct input *input, uint8_t *bytes, struct pxfs_where *where)
{
	struct pxfs_node_header *header = (struct pxfs_node_header *)bytes;
	struct pxfs_item *items = (struct pxfs_item *)(header + 1);
	uint32_t count = take(input) % 160, data = node_bytes(volume), i = 0;

	for (; i < count; i++) {
		uint32_t shape = take(input);
		uint32_t size = shape < 200 ? shape % 96 : shape < 250 ? 72 : take16(input) % (PXFS_ITEM_BYTES_MAX + 1);
		uint32_t room = data - (uint32_t)sizeof *header - i * (uint32_t)sizeof *items;
		if (room < sizeof *items + ALIGN_UP(size, 8u))
			break;
		where_step(input, where);
		data -= ALIGN_UP(size, 8u);
		key_put(&items[i].key, where);
		le32_put(&items[i].at, data);
		le32_put(&items[i].size, size);
		memset(bytes + data, (int)shape, size);
	}
	le32_put(&header->count, i);
	le32_put(&header->data, data);
}

static void header_build(const struct pxfs_volume *volume, uint32_t index, uint32_t level, uint8_t *bytes)
{
	struct pxfs_node_header *header = (struct pxfs_node_header *)bytes;

	memset(bytes, 0, node_bytes(volume));
	le32_put(&header->magic, PXFS_NODE_MAGIC);
	header->level = (uint8_t)level;
	le64_put(&header->volume, volume->identity_word);
	le64_put(&header->address, sector_of(volume, index));
	le64_put(&header->birth, volume->generation - 1);
	le64_put(&header->owner, ID);
	le32_put(&header->data, node_bytes(volume));
}

static void child_add(const struct pxfs_volume *volume, uint8_t *bytes, const struct pxfs_where *where, uint32_t index)
{
	struct pxfs_node_header *header = (struct pxfs_node_header *)bytes;
	struct pxfs_child *child = (struct pxfs_child *)(header + 1) + le32_get(&header->count);

	*child = (struct pxfs_child){.key = {.type = 0}};
	key_put(&child->key, where);
	le64_put(&child->pointer.address[0], sector_of(volume, index));
	le64_put(&child->pointer.birth, volume->generation - 1);
	le32_put(&header->count, le32_get(&header->count) + 1);
}

static uint8_t *node_of(struct image *image, const struct pxfs_volume *volume, uint32_t index)
{
	return image->bytes + (sector_of(volume, index) << SECTOR_SHIFT);
}

// Leaves 3 … 6 hang below 1 and 2, or, where the tree has two levels, below 0. Returns how many levels.
static uint32_t nodes_build(struct image *image, const struct pxfs_volume *volume, struct input *input)
{
	uint32_t shape = take(input), levels = shape % 3 + 1;
	struct pxfs_where where = {1, PXFS_INODE, 0};

	if (levels == 1) {
		header_build(volume, 0, 0, node_of(image, volume, 0));
		leaf_build(volume, input, node_of(image, volume, 0), &where);
		return levels;
	}
	for (uint32_t i = 0; i < 3; i++)
		header_build(volume, i, i == 0 ? levels - 1 : 1, node_of(image, volume, i));
	for (uint32_t i = 0; i < 4; i++) {
		struct pxfs_where low = where;
		low.offset++;
		uint32_t above = levels == 2 ? 0 : 1 + i / 2;
		header_build(volume, 3 + i, 0, node_of(image, volume, 3 + i));
		where.offset++;
		leaf_build(volume, input, node_of(image, volume, 3 + i), &where);
		child_add(volume, node_of(image, volume, above), &low, 3 + i);
		if (levels == 3 && i % 2 == 0)
			child_add(volume, node_of(image, volume, 0), &low, above);
	}
	return levels;
}

static void nodes_change(struct image *image, const struct pxfs_volume *volume, struct input *input)
{
	for (uint32_t n = take(input) % 8; n > 0; n--) {
		uint8_t *bytes = node_of(image, volume, take(input) % NODES);
		uint32_t at = take16(input), run = take(input) % 16 + 1;
		at = at < 32768 ? at % 1024 : at * 2 % node_bytes(volume); // headers and first items, often
		for (uint32_t i = 0; i < run && at + i < node_bytes(volume); i++)
			bytes[at + i] = (uint8_t)take(input);
	}
}

static uint64_t sum_of(struct image *image, const struct pxfs_volume *volume, uint64_t sector)
{
	uint32_t bytes = node_bytes(volume);
	bool inside = sector <= (IMAGE_BYTES - bytes) >> SECTOR_SHIFT;

	return inside ? checksum_xxh3(image->bytes + (sector << SECTOR_SHIFT), bytes, 0) : 0;
}

// From the leaves up: indices fall as levels rise.
static void nodes_sign(struct image *image, const struct pxfs_volume *volume, struct pxfs_pointer *root)
{
	for (uint32_t index = 3; index-- > 0;) {
		struct pxfs_node_header *header = (struct pxfs_node_header *)node_of(image, volume, index);
		struct pxfs_child *children = (struct pxfs_child *)(header + 1);
		uint32_t count = header->level == 0 ? 0 : MIN(le32_get(&header->count), 200u);
		for (uint32_t i = 0; i < count; i++)
			le64_put(&children[i].pointer.checksum,
				 sum_of(image, volume, le64_get(&children[i].pointer.address[0])));
	}
	*root = (struct pxfs_pointer){0};
	le64_put(&root->address[0], sector_of(volume, 0));
	le64_put(&root->birth, volume->generation - 1);
	le64_put(&root->checksum, sum_of(image, volume, sector_of(volume, 0)));
}

// ---- a tree -------------------------------------------------------------------------------------------------------------------------

struct garden {
	struct pxfs_subvol *subvol;
	struct pxfs_volume *volume;
	uint8_t *data;
	uint64_t items;
	bool whole; // nothing is wrong with it, and nothing has failed
};

static err_t extent_let_go(struct pxfs_subvol *subvol, const struct pxfs_extent *extent)
{
	(void)subvol;
	return le32_get(&extent->length) == UINT32_MAX ? -EUCLEAN : 0;
}

static struct pxfs_where where_take(struct input *input)
{
	return (struct pxfs_where){take(input) % 8, (uint8_t)(take(input) % 8), take(input)};
}

static void tree_walk(struct garden *garden, const struct pxfs_where *from)
{
	struct pxfs_path path;
	struct pxfs_where where, before = {0, 0, 0};
	const uint8_t *data = NULL;
	uint32_t size = 0, sum = 0;
	uint64_t count = 0;
	bool exact = false, there = false;
	err_t err = tree_find(&garden->subvol->tree, from, &path, &exact);

	while (err == 0) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there)
			break;
		for (uint32_t i = 0; i < size; i++)
			sum += data[i];
		VERIFY(!garden->whole || count == 0 || where_compare(&before, &where) < 0);
		before = where;
		count++;
		path_step(&path);
	}
	path_release(&path);
	garden->data[0] = (uint8_t)sum;
	VERIFY(!garden->whole || (err == 0 && count <= garden->items));
}

static void tree_set(struct garden *garden, struct input *input)
{
	struct pxfs_tree *tree = &garden->subvol->tree;
	struct pxfs_where where = where_take(input);
	uint32_t size = take16(input) % (PXFS_ITEM_BYTES_MAX + 1), found = PXFS_ITEM_BYTES_MAX;

	size = size % 3 != 0 ? size % 200 : size;
	bool was = tree_get(tree, &where, garden->data, &found) == 0;
	memset(garden->data, (int)size, size);
	err_t err = tree_put(tree, &where, garden->data, size);
	garden->whole = garden->whole && err == 0;
	garden->items += !was;
	if (!garden->whole)
		return;
	found = PXFS_ITEM_BYTES_MAX;
	VERIFY(tree_get(tree, &where, garden->data, &found) == 0 && found == size);
	VERIFY(size == 0 || (garden->data[0] == (uint8_t)size && garden->data[size - 1] == (uint8_t)size));
}

static void tree_unset(struct garden *garden, struct input *input)
{
	struct pxfs_where where = where_take(input);
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;
	err_t err = tree_find(&garden->subvol->tree, &where, &path, &exact);

	if (err == 0)
		err = path_item(&path, &where, &data, &size, &there);
	path_release(&path);
	if (err != 0 || !there)
		return;
	err = tree_take(&garden->subvol->tree, &where);
	garden->whole = garden->whole && err == 0;
	garden->items -= err == 0;
}

static void tree_cut(struct garden *garden, struct input *input)
{
	struct pxfs_subvol *subvol = garden->subvol;
	uint32_t budget = take(input) % 8;
	uint64_t nodes = 0;
	bool done = false;

	subvol->shared = take(input) % 4 == 0 ? garden->volume->generation - 1 : 0;
	err_t err = tree_prune(subvol, extent_let_go, &budget, &done);
	if (err != 0)
		garden->whole = false;
	if (garden->whole)
		VERIFY(tree_check(&subvol->tree, &garden->items, &nodes) == 0);
	VERIFY(!done || pointer_is_null(&subvol->tree.root));
}

static void tree_use(struct garden *garden, struct input *input)
{
	struct pxfs_tree *tree = &garden->subvol->tree;
	struct pxfs_where where;
	struct pxfs_path path;
	uint64_t items = 0, nodes = 0;
	bool there = false;

	garden->whole = tree_check(tree, &garden->items, &nodes) == 0;
	for (uint32_t i = 0; i < STEPS_MAX && input->at < input->end; i++)
		switch (take(input) % 8) {
		case 0:
			where = where_take(input);
			tree_walk(garden, &where);
			break;
		case 1:
			where = where_take(input);
			VERIFY(tree_last(tree, &where, &path, &there) == 0 || !garden->whole);
			path_release(&path);
			break;
		case 2:
			tree_cut(garden, input);
			break;
		case 3:
		case 4:
			tree_unset(garden, input);
			break;
		default:
			tree_set(garden, input);
		}
	if (garden->whole)
		VERIFY(tree_check(tree, &items, &nodes) == 0 && items == garden->items);
}

static void nodes_judge(struct image *image, const struct pxfs_volume *volume)
{
	const char *problem = NULL;

	for (uint32_t i = 0; i < NODES; i++) {
		const uint8_t *bytes = node_of(image, volume, i);
		err_t err = node_validate(volume, bytes, sector_of(volume, i), UINT32_MAX, &problem);
		VERIFY((err == 0) == (problem == NULL));
	}
}

int64_t tb_fuzz_pxfs(void *arg)
{
	static uint32_t inputs;
	const struct fuzz_input *bytes = arg;
	struct input input = {bytes->bytes, bytes->bytes + bytes->size};
	struct grove *grove = grove_get();
	struct image *image = &grove->images[take(&input) % 3];
	struct garden garden = {.data = grove->data};
	struct pxfs_subvolume item = {.name_size = 1};
	const char *problem = NULL;

	VERIFY(volume_open(block_name(image->device), false, &garden.volume, &problem) == 0);
	memset(node_of(image, garden.volume, 0), 0, (size_t)NODES * node_bytes(garden.volume));
	(void)nodes_build(image, garden.volume, &input);
	nodes_change(image, garden.volume, &input);
	nodes_sign(image, garden.volume, &item.root);
	nodes_judge(image, garden.volume);
	rwlock_write_lock(&garden.volume->epoch);
	// They are used, unless the space map has other plans for them.
	VERIFY(space_claim(garden.volume, sector_of(garden.volume, 0), NODES * node_sectors(garden.volume)) == 0);
	garden.subvol = subvol_make(garden.volume, ID, &item);
	VERIFY(garden.subvol != NULL);
	rwlock_write_lock(&garden.subvol->tree.lock);
	tree_use(&garden, &input);
	rwlock_write_unlock(&garden.subvol->tree.lock);
	subvol_close(garden.subvol);
	rwlock_write_unlock(&garden.volume->epoch);
	volume_abandon(garden.volume);
	if (++inputs % 32 == 0)
		VERIFY(components_check() == 0);
	return 0;
}
