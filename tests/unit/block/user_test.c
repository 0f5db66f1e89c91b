// SPDX-License-Identifier: MIT
//
// Bytes that are no whole blocks against a model, who writes while somebody has a device, and the numbers that devices get.
#include "../sync/sync_test.h"

#include "kern/block.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/string.h"

#define BYTES 65536u

static void bytes_against_a_model(TEST_RUN, uint32_t block_bytes)
{
	struct block_device *disk = NULL;
	uint8_t *model = kmalloc(BYTES, MEM_ZERO), *memory = kmalloc(BYTES, 0);
	struct rand_stream rand;

	REQUIRE(model != NULL && memory != NULL && ramdisk_create(BYTES, block_bytes, block_bytes, &disk) == 0);
	rand_open(&rand, "bytes", block_bytes);
	for (uint32_t i = 0; i < loops(400, 60); i++) {
		uint32_t at = rand_below(&rand, BYTES), size = rand_below(&rand, MIN(BYTES - at, 20000u) + 1);
		if (rand_below(&rand, 2) == 0) {
			rand_fill(&rand, memory, size);
			CHECK_EQ(block_write_bytes(disk, at, memory, size, 0), 0);
			memcpy(model + at, memory, size);
		} else {
			CHECK_EQ(block_read_bytes(disk, at, memory, size), 0);
			CHECK(memcmp(memory, model + at, size) == 0);
		}
	}
	CHECK_EQ(block_read_bytes(disk, BYTES - 10, memory, 11), -EIO);
	CHECK_EQ(block_write_bytes(disk, BYTES + 1, memory, 0, 0), -EIO);
	CHECK_EQ(block_read_bytes(disk, 0, memory, BYTES), 0);
	CHECK(memcmp(memory, model, BYTES) == 0);
	CHECK_EQ(block_remove(disk), 0);
	kfree(model);
	kfree(memory);
}

TEST(block_user, bytes_against_a_model)
{
	bytes_against_a_model(test_run_, 512);
	bytes_against_a_model(test_run_, 4096);
}

struct halves {
	struct test_run *run;
	struct block_device *disk;
};

static void half_main(void *arg)
{
	struct halves *halves = arg;
	uint8_t mine[100];

	memset(mine, 0xa5, sizeof mine);
	for (uint32_t i = 0; i < 40; i++)
		test_check(halves->run, block_write_bytes(halves->disk, i * 200, mine, sizeof mine, 0) == 0, "write",
			   __FILE__, __LINE__);
}

// Two that write to the same blocks: neither puts back what it had read of the other's half.
TEST(block_user, two_write_parts_of_one_block)
{
	struct halves halves = {.run = test_run_};
	struct thread *thread = NULL;
	uint8_t mine[100], *all = kmalloc(8192, 0);
	uint32_t wrong = 0;

	REQUIRE(all != NULL && ramdisk_create(BYTES, 4096, 4096, &halves.disk) == 0);
	REQUIRE(thread_start(NULL, half_main, &halves, &thread) == 0);
	memset(mine, 0x5a, sizeof mine);
	for (uint32_t i = 0; i < 40; i++)
		CHECK_EQ(block_write_bytes(halves.disk, i * 200 + 100, mine, sizeof mine, 0), 0);
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK_EQ(block_read_bytes(halves.disk, 0, all, 8000), 0);
	for (uint32_t i = 0; i < 8000; i++)
		wrong += all[i] != (i % 200 < 100 ? 0xa5 : 0x5a);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(block_remove(halves.disk), 0);
	kfree(all);
}

TEST(block_user, one_who_has_it_writes_alone)
{
	struct block_device *disk = NULL, *had = NULL, *other = NULL;

	REQUIRE(ramdisk_create(BYTES, 0, 0, &disk) == 0);
	CHECK_EQ(block_write_begin(disk), 0);
	CHECK_EQ(block_open(block_name(disk), true, "test", &had), -EBUSY);
	CHECK_EQ(block_open(block_name(disk), false, NULL, &other), 0);
	block_write_end(disk);
	CHECK_EQ(block_open(block_name(disk), true, "test", &had), 0);
	CHECK_EQ(block_write_begin(disk), -EBUSY);
	block_close(had, true);
	CHECK_EQ(block_write_begin(disk), 0);
	block_write_end(disk);
	CHECK_EQ(block_remove_by_name(block_name(disk)), -EBUSY);
	block_close(other, false);
	CHECK_EQ(block_remove_by_name(block_name(disk)), 0);
	CHECK_EQ(block_remove_by_name("/dev/ram0"), -ENODEV);
}

TEST(block_user, numbers_are_found_again)
{
	struct block_device *first = NULL, *second = NULL, *found = NULL;
	struct block_info one, two;
	uint32_t before = block_generation();

	REQUIRE(ramdisk_create(BYTES, 0, 0, &first) == 0 && ramdisk_create(BYTES, 0, 0, &second) == 0);
	CHECK(block_generation() != before);
	block_device_info(first, &one);
	block_device_info(second, &two);
	CHECK(one.major == BLOCK_MAJOR_RAM && one.minor == 0 && two.minor == 1 && two.serial > one.serial);
	CHECK_EQ(block_remove(first), 0);
	CHECK_EQ(block_open_number(one.major, one.minor, &found), -ENODEV);
	CHECK(block_open_number(two.major, two.minor, &found) == 0 && found == second);
	block_close(found, false);
	REQUIRE(ramdisk_create(BYTES, 0, 0, &first) == 0);
	uint32_t serial = two.serial;
	block_device_info(first, &one);
	CHECK(one.minor == 0 && one.serial > serial);
	CHECK_EQ(block_remove(first), 0);
	CHECK_EQ(block_remove(second), 0);
}
