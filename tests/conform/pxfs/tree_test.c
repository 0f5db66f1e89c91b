// SPDX-License-Identifier: MIT
//
// Trees of PXFS against a model, through checkpoints and new beginnings; what is taken and given back, exactly.
#include "hal/hal.h"
#include "kern/panic.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/test.h"

#include "../../../src/fs/pxfs/volume_impl.h"

#define SLOTS 4096u // keys that the model knows

static uint32_t rounds(uint32_t many, uint32_t few)
{
	bool slow = CONFIG_ASAN || CONFIG_TSAN || (kernel_self()->flags & HAL_BOOT_SIMULATED) != 0;
	return slow ? few : many;
}

// A volume on a RAM disk, and what its tree of references is to hold: for the test it is a tree like any other.
struct bench {
	struct block_device *disk;
	struct pxfs_volume *volume;
	struct rand_stream rand;
	uint16_t sizes[SLOTS]; // of the item, and 1; 0: none
	uint32_t stamps[SLOTS];
	uint32_t count, stamp;
	uint8_t data[PXFS_ITEM_BYTES_MAX];
};

static struct bench *bench_make(TEST_RUN, uint64_t size_bytes, const struct pxfs_format_params *params)
{
	struct bench *bench = kmalloc(sizeof *bench, MEM_ZERO);
	const char *problem = NULL;

	if (bench == NULL)
		return NULL;
	rand_open(&bench->rand, "pxfs", 0);
	CHECK_EQ(ramdisk_create(size_bytes, 512, 4096, &bench->disk), 0);
	err_t err = volume_format(block_name(bench->disk), params, &bench->volume, &problem);
	CHECK_EQ(err, 0);
	if (err == 0) // a volume without a subvolume is none
		err = tree_put(&bench->volume->root_tree, &(struct pxfs_where){256, PXFS_SUBVOLUME, 0}, bench->data,
			       64);
	if (err == 0)
		return bench;
	CHECK_EQ(block_remove(bench->disk), 0);
	kfree(bench);
	return NULL;
}

static void bench_free(TEST_RUN, struct bench *bench)
{
	volume_abandon(bench->volume);
	CHECK_EQ(block_remove(bench->disk), 0);
	kfree(bench);
}

static void checkpoint(TEST_RUN, struct bench *bench)
{
	rwlock_write_lock(&bench->volume->epoch);
	CHECK_EQ(volume_checkpoint(bench->volume), 0);
	rwlock_write_unlock(&bench->volume->epoch);
}

static void reopen(TEST_RUN, struct bench *bench, bool write)
{
	const char *problem = NULL;
	if (write)
		CHECK_EQ(volume_close(bench->volume), 0);
	else
		volume_abandon(bench->volume);
	err_t err = volume_open(block_name(bench->disk), false, &bench->volume, &problem);
	if (err != 0)
		panic("reopen: %s: %s", err_text(err), problem != NULL ? problem : "");
}

// Objects and types of a slot are such that their order is not that of the slots' numbers.
static struct pxfs_where where_of_slot(uint32_t slot)
{
	return (struct pxfs_where){.object = slot % 61, .type = (uint8_t)(slot % 3 + 1), .offset = slot * 1000003ull};
}

static void data_fill(struct bench *bench, uint32_t slot, uint32_t stamp, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		bench->data[i] = (uint8_t)(slot * 7 + stamp * 13 + i);
}

static err_t slot_put(struct bench *bench, uint32_t slot, uint32_t size)
{
	struct pxfs_tree *tree = &bench->volume->refs_tree;
	struct pxfs_where where = where_of_slot(slot);

	data_fill(bench, slot, ++bench->stamp, size);
	rwlock_write_lock(&tree->lock);
	err_t err = tree_put(tree, &where, bench->data, size);
	rwlock_write_unlock(&tree->lock);
	if (err != 0)
		return err;
	bench->count += bench->sizes[slot] == 0;
	bench->sizes[slot] = (uint16_t)(size + 1);
	bench->stamps[slot] = bench->stamp;
	return 0;
}

static void slot_take(TEST_RUN, struct bench *bench, uint32_t slot)
{
	struct pxfs_tree *tree = &bench->volume->refs_tree;
	struct pxfs_where where = where_of_slot(slot);

	rwlock_write_lock(&tree->lock);
	err_t err = tree_take(tree, &where);
	rwlock_write_unlock(&tree->lock);
	CHECK_EQ(err, bench->sizes[slot] != 0 ? 0 : -ENOENT);
	bench->count -= bench->sizes[slot] != 0;
	bench->sizes[slot] = 0;
}

static bool slot_is_right(struct bench *bench, uint32_t slot)
{
	struct pxfs_where where = where_of_slot(slot);
	uint8_t *found = kmalloc(PXFS_ITEM_BYTES_MAX, 0);
	uint32_t size = PXFS_ITEM_BYTES_MAX;
	err_t err = found == NULL ? -ENOMEM : tree_get(&bench->volume->refs_tree, &where, found, &size);
	bool right = err == -ENOENT && bench->sizes[slot] == 0;

	if (err == 0 && bench->sizes[slot] == size + 1) {
		data_fill(bench, slot, bench->stamps[slot], size);
		right = memcmp(found, bench->data, size) == 0;
	}
	kfree(found);
	return right;
}

static void whole_check(TEST_RUN, struct bench *bench)
{
	uint64_t items = 0, nodes = 0;
	uint32_t wrong = 0;

	CHECK_EQ(tree_check(&bench->volume->refs_tree, &items, &nodes), 0);
	CHECK_EQ(items, bench->count);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		wrong += !slot_is_right(bench, slot);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(tree_check(&bench->volume->root_tree, &items, &nodes), 0);
	CHECK_EQ(tree_check(&bench->volume->space_tree, &items, &nodes), 0);
}

// Sizes of all kinds, large ones seldom.
static uint32_t size_draw(struct rand_stream *rand)
{
	switch (rand_below(rand, 12)) {
	case 0:
		return rand_below(rand, PXFS_ITEM_BYTES_MAX + 1);
	case 1:
		return rand_below(rand, 2000);
	default:
		return rand_below(rand, 120);
	}
}

static void churn(TEST_RUN, struct bench *bench, uint32_t steps, uint32_t put_percent)
{
	for (uint32_t i = 0; i < steps; i++) {
		uint32_t slot = rand_below(&bench->rand, SLOTS);
		if (rand_below(&bench->rand, 100) < put_percent)
			CHECK_EQ(slot_put(bench, slot, size_draw(&bench->rand)), 0);
		else
			slot_take(test_run_, bench, slot);
	}
}

TEST(pxfs_tree, holds_what_a_model_holds)
{
	struct bench *bench = bench_make(test_run_, MIB(64), &(struct pxfs_format_params){.copies = 0});
	REQUIRE(bench != NULL);
	for (uint32_t round = 0; round < rounds(12, 3); round++) {
		churn(test_run_, bench, rounds(3000, 500), round % 3 == 2 ? 20 : 75);
		whole_check(test_run_, bench);
		if (round % 2 == 1)
			checkpoint(test_run_, bench);
		if (round % 4 == 3)
			reopen(test_run_, bench, true);
	}
	reopen(test_run_, bench, true);
	whole_check(test_run_, bench);
	bench_free(test_run_, bench);
}

// In order, as who writes files and folders does, and backwards: nodes are well filled.
TEST(pxfs_tree, is_well_filled_by_who_writes_on)
{
	struct bench *bench = bench_make(test_run_, MIB(64), &(struct pxfs_format_params){.copies = 1});
	struct pxfs_tree *tree = NULL;
	uint64_t items = 0, nodes = 0, count = rounds(20000, 3000);
	REQUIRE(bench != NULL);
	tree = &bench->volume->refs_tree;
	for (uint64_t i = 0; i < count; i++) {
		struct pxfs_where where = {.object = 5, .type = 3, .offset = i * 4096};
		memset(bench->data, (int)i, 72);
		rwlock_write_lock(&tree->lock);
		CHECK_EQ(tree_put(tree, &where, bench->data, 72), 0);
		rwlock_write_unlock(&tree->lock);
	}
	CHECK_EQ(tree_check(tree, &items, &nodes), 0);
	CHECK_EQ(items, count);
	CHECK(nodes <= count * 104 / 16000 + 4);
	for (uint64_t i = count; i-- > 0;) {
		struct pxfs_where where = {.object = 5, .type = 3, .offset = i * 4096};
		rwlock_write_lock(&tree->lock);
		CHECK_EQ(tree_take(tree, &where), 0);
		rwlock_write_unlock(&tree->lock);
	}
	CHECK(pointer_is_null(&tree->root));
	bench_free(test_run_, bench);
}

// What no checkpoint wrote is gone, and nothing else.
TEST(pxfs_tree, an_unwritten_generation_never_was)
{
	struct bench *bench = bench_make(test_run_, MIB(32), &(struct pxfs_format_params){.copies = 0});
	REQUIRE(bench != NULL);
	churn(test_run_, bench, 400, 80);
	checkpoint(test_run_, bench);
	for (uint32_t round = 0; round < rounds(6, 2); round++) {
		struct bench *before = kmalloc(sizeof *before, 0);
		REQUIRE(before != NULL);
		*before = *bench;
		churn(test_run_, bench, 200, 50);
		reopen(test_run_, bench, false);
		before->volume = bench->volume;
		*bench = *before;
		kfree(before);
		whole_check(test_run_, bench);
		churn(test_run_, bench, 100, 50);
		checkpoint(test_run_, bench);
		whole_check(test_run_, bench);
	}
	bench_free(test_run_, bench);
}

// Given up space comes back after two checkpoints: an endless life on a small disk, and the same figures after each opening.
TEST(pxfs_space, what_is_given_up_comes_back)
{
	struct bench *bench = bench_make(test_run_, MIB(16), &(struct pxfs_format_params){.copies = 2});
	uint64_t least = UINT64_MAX;
	REQUIRE(bench != NULL);
	churn(test_run_, bench, 300, 80);
	for (uint32_t round = 0; round < rounds(60, 12); round++) {
		churn(test_run_, bench, 60, 50);
		checkpoint(test_run_, bench);
		uint64_t free = space_free_sectors(bench->volume);
		if (round > 4)
			least = MIN(least, free);
		if (round % 10 == 9) {
			reopen(test_run_, bench, true);
			CHECK(space_free_sectors(bench->volume) + 2000 >= free);
		}
	}
	CHECK(least > (MIB(8) >> SECTOR_SHIFT));
	whole_check(test_run_, bench);
	while (bench->count > 0) // and all of it
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			if (bench->sizes[slot] != 0)
				slot_take(test_run_, bench, slot);
	for (uint32_t i = 0; i < 4; i++)
		checkpoint(test_run_, bench);
	CHECK(space_free_sectors(bench->volume) > least);
	bench_free(test_run_, bench);
}

// A full volume says so, stays whole, and has room again for who takes something away.
TEST(pxfs_space, a_full_volume_is_whole)
{
	struct bench *bench = bench_make(test_run_, MIB(8), &(struct pxfs_format_params){.copies = 2});
	err_t err = 0;
	REQUIRE(bench != NULL);
	for (uint32_t slot = 0; slot < SLOTS && err == 0; slot++)
		err = slot_put(bench, slot, PXFS_ITEM_BYTES_MAX - slot % 100);
	CHECK_EQ(err, -ENOSPC);
	whole_check(test_run_, bench);
	bench_free(test_run_, bench);
}

// One copy of a node is enough, and is two again afterwards.
TEST(pxfs_node, a_damaged_copy_is_repaired)
{
	struct bench *bench = bench_make(test_run_, MIB(32), &(struct pxfs_format_params){.copies = 2});
	uint8_t *bytes = kmalloc(4096, 0);
	REQUIRE(bench != NULL && bytes != NULL);
	churn(test_run_, bench, 500, 90);
	reopen(test_run_, bench, true);
	struct pxfs_pointer root = bench->volume->refs_tree.root;
	uint64_t at = le64_get(&root.address[0]);
	reopen(test_run_, bench, false);
	memset(bytes, 0x99, 4096);
	CHECK_EQ(block_write(bench->disk, at, bytes, 4096, 0), 0);
	reopen(test_run_, bench, false);
	whole_check(test_run_, bench);
	CHECK(bench->volume->errors_repaired >= 1);
	CHECK_EQ(bench->volume->errors_lost, 0);
	CHECK_EQ(block_read(bench->disk, at, bytes, 4096), 0);
	CHECK(bytes[100] != 0x99);
	kfree(bytes);
	bench_free(test_run_, bench);
}

// Both gone: an error, and the generation before is there.
TEST(pxfs_node, mounting_goes_back_when_a_root_is_lost)
{
	struct bench *bench = bench_make(test_run_, MIB(32), &(struct pxfs_format_params){.copies = 2});
	uint8_t *bytes = kmalloc(4096, MEM_ZERO);
	const char *problem = NULL;
	REQUIRE(bench != NULL && bytes != NULL);
	CHECK_EQ(slot_put(bench, 1, 100), 0);
	checkpoint(test_run_, bench);
	CHECK_EQ(slot_put(bench, 2, 100), 0);
	checkpoint(test_run_, bench);
	struct pxfs_pointer root = bench->volume->super.refs;
	volume_abandon(bench->volume);
	for (uint32_t i = 0; i < 2; i++)
		CHECK_EQ(block_write(bench->disk, le64_get(&root.address[i]), bytes, 4096, 0), 0);
	CHECK_EQ(volume_open(block_name(bench->disk), false, &bench->volume, &problem), 0);
	CHECK(slot_is_right(bench, 1));
	bench->sizes[2] = 0;
	CHECK(slot_is_right(bench, 2));
	kfree(bytes);
	bench_free(test_run_, bench);
}

// A leaf without items has no data either: its room is counted from there.
TEST(pxfs_node, an_empty_leaf_is_empty)
{
	struct bench *bench = bench_make(test_run_, MIB(32), &(struct pxfs_format_params){.copies = 1});
	uint8_t *bytes = kmalloc(PXFS_NODE_BYTES_MAX, MEM_ZERO);
	REQUIRE(bench != NULL && bytes != NULL);
	struct pxfs_node_header *header = (struct pxfs_node_header *)bytes;
	const char *problem = NULL;
	uint32_t end = node_bytes(bench->volume);

	le32_put(&header->magic, PXFS_NODE_MAGIC);
	le64_put(&header->volume, bench->volume->identity_word);
	le64_put(&header->address, 4096);
	le32_put(&header->data, end);
	CHECK_EQ(node_validate(bench->volume, bytes, 4096, 0, &problem), 0);
	le32_put(&header->data, 124);
	CHECK_EQ(node_validate(bench->volume, bytes, 4096, 0, &problem), -EBADMSG);
	CHECK(problem != NULL && strcmp(problem, "there are data of no item") == 0);
	kfree(bytes);
	bench_free(test_run_, bench);
}

TEST(pxfs_super, what_is_no_volume)
{
	struct block_device *disk = NULL;
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;
	REQUIRE(ramdisk_create(MIB(16), 512, 4096, &disk) == 0);
	CHECK_EQ(volume_open(block_name(disk), false, &volume, &problem), -EINVAL);
	CHECK(problem != NULL && strcmp(problem, "no PXFS") == 0);
	CHECK_EQ(volume_open("nothing", false, &volume, &problem), -ENODEV);
	struct pxfs_format_params bad[] = {{.block_bytes = 3000},  {.node_bytes = 8192},  {.copies = 3},
					   {.size_bytes = GIB(1)}, {.size_bytes = 65536}, {.method = 9}};
	for (uint32_t i = 0; i < array_count(bad); i++) {
		problem = NULL;
		CHECK_EQ(volume_format(block_name(disk), &bad[i], &volume, &problem), -EINVAL);
		CHECK(problem != NULL);
	}
	CHECK_EQ(block_remove(disk), 0);
}

// Both copies of a root of the last two generations are lost: the one before them is whole, because what it had has rested since.
TEST(pxfs_node, two_generations_back_is_whole)
{
	struct bench *bench = bench_make(test_run_, MIB(32), &(struct pxfs_format_params){.copies = 2});
	struct bench *before = kmalloc(sizeof *before, 0);
	uint8_t *bytes = kmalloc(16384, MEM_ZERO);
	struct pxfs_pointer lost[2];
	const char *problem = NULL;
	REQUIRE(bench != NULL && bytes != NULL && before != NULL);
	churn(test_run_, bench, rounds(600, 300), 90);
	checkpoint(test_run_, bench);
	churn(test_run_, bench, 200, 60);
	checkpoint(test_run_, bench);
	*before = *bench;
	for (uint32_t i = 0; i < 2; i++) {
		churn(test_run_, bench, rounds(800, 300), 60);
		checkpoint(test_run_, bench);
		lost[i] = bench->volume->super.refs;
	}
	volume_abandon(bench->volume);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(block_write(bench->disk, le64_get(&lost[i / 2].address[i % 2]), bytes, 16384, 0), 0);
	CHECK_EQ(volume_open(block_name(bench->disk), false, &before->volume, &problem), 0);
	*bench = *before;
	whole_check(test_run_, bench);
	kfree(before);
	kfree(bytes);
	bench_free(test_run_, bench);
}

// A leaf with one bit wrong: an error for what lies in it, and nothing that was not written.
TEST(pxfs_node, a_wrong_bit_is_found)
{
	struct bench *bench = bench_make(test_run_, MIB(32), &(struct pxfs_format_params){.copies = 1});
	struct pxfs_node *root = NULL;
	uint8_t *bytes = kmalloc(512, 0), *found = kmalloc(PXFS_ITEM_BYTES_MAX, 0);
	uint32_t errors = 0, wrong = 0;
	REQUIRE(bench != NULL && bytes != NULL && found != NULL);
	churn(test_run_, bench, 600, 95);
	checkpoint(test_run_, bench);
	struct pxfs_tree *tree = &bench->volume->refs_tree;
	REQUIRE(node_get(bench->volume, &tree->root, tree->id, UINT32_MAX, &root) == 0);
	REQUIRE(node_level(root) == 1);
	uint64_t leaf = le64_get(&node_children(root)[1].pointer.address[0]);
	node_put(bench->volume, root);
	reopen(test_run_, bench, true);
	CHECK_EQ(block_read(bench->disk, leaf + 31, bytes, 512), 0); // the end: data of the first item
	bytes[500] ^= 4;
	CHECK_EQ(block_write(bench->disk, leaf + 31, bytes, 512, 0), 0);
	reopen(test_run_, bench, false);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		struct pxfs_where where = where_of_slot(slot);
		uint32_t size = PXFS_ITEM_BYTES_MAX;
		err_t err = tree_get(&bench->volume->refs_tree, &where, found, &size);
		errors += err != 0 && err != -ENOENT;
		wrong += (err == 0 || err == -ENOENT) && !slot_is_right(bench, slot);
	}
	CHECK(errors > 0);
	CHECK_EQ(wrong, 0);
	CHECK(bench->volume->errors_lost > 0);
	kfree(found);
	kfree(bytes);
	bench_free(test_run_, bench);
}
