// SPDX-License-Identifier: MIT
//
// The RAM disk against a model, its memory, and what it refuses.
#include "../sync/sync_test.h"

#include "kern/block.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/string.h"

#define SECTORS 512u

static void ramdisk_round(TEST_RUN, struct block_device *disk, struct rand_stream *rand, uint8_t *model,
			  uint8_t *memory)
{
	uint32_t at = rand_below(rand, SECTORS), sectors = 1 + rand_below(rand, MIN(SECTORS - at, 64u));
	size_t size = (size_t)sectors * 512;
	uint8_t *own = model + (size_t)at * 512;

	switch (rand_below(rand, 5)) {
	case 0:
	case 1:
		rand_fill(rand, memory, size);
		CHECK_EQ(block_write(disk, at, memory, size, 0), 0);
		memcpy(own, memory, size);
		break;
	case 2:
		CHECK_EQ(block_discard(disk, at, sectors), 0);
		memset(own, 0, size);
		break;
	case 3:
		CHECK_EQ(block_zero(disk, at, sectors, BLOCK_FUA), 0);
		memset(own, 0, size);
		break;
	default:
		CHECK_EQ(block_read(disk, at, memory, size), 0);
		CHECK(memcmp(memory, own, size) == 0);
	}
}

TEST(block_ramdisk, holds_what_was_written)
{
	struct block_device *disk = NULL;
	uint8_t *model = kmalloc(SECTORS * 512, MEM_ZERO), *memory = kmalloc(64 * 512, 0);
	struct rand_stream rand;

	REQUIRE(model != NULL && memory != NULL);
	REQUIRE(ramdisk_create(SECTORS * 512, 0, 0, &disk) == 0);
	rand_open(&rand, "ramdisk", 0);
	for (uint32_t i = 0; i < loops(2000, 60); i++)
		ramdisk_round(test_run_, disk, &rand, model, memory);
	CHECK_EQ(block_check(), 0);
	CHECK_EQ(block_remove(disk), 0);
	kfree(model);
	kfree(memory);
}

static uint32_t frames_used(void)
{
	struct frame_info info;
	frame_get_info(&info);
	return info.total - info.free - info.cached;
}

TEST(block_ramdisk, takes_memory_as_it_is_written)
{
	struct block_device *disk = NULL;
	uint32_t before = frames_used();
	uint8_t *memory = kmalloc(MIB(1), MEM_ZERO);

	REQUIRE(memory != NULL);
	REQUIRE(ramdisk_create(GIB(64), 0, 0, &disk) == 0); // far more than there is
	uint32_t empty = frames_used();
	CHECK_EQ(block_write(disk, GIB(63) >> SECTOR_SHIFT, memory, MIB(1), 0), 0);
	CHECK(frames_used() - empty >= 256);
	CHECK_EQ(block_discard(disk, 0, GIB(64) >> SECTOR_SHIFT), 0);
	CHECK(frames_used() - empty < 64);
	CHECK_EQ(block_read(disk, GIB(63) >> SECTOR_SHIFT, memory, 4096), 0);
	CHECK_EQ(memory[0], 0);
	kfree(memory);
	CHECK_EQ(block_remove(disk), 0);
	CHECK(frames_used() < before + 64);
}

// Writes to a disk that is larger than memory fail when there is none, and what was written stays.
TEST(block_ramdisk, is_full_when_memory_is)
{
	struct block_device *disk = NULL;
	uint8_t *memory = kmalloc(MIB(1), MEM_ZERO);
	uint64_t done = 0;
	err_t err = 0;

	REQUIRE(memory != NULL && ramdisk_create(GIB(64), 4096, 4096, &disk) == 0);
	memset(memory, 0x5a, MIB(1));
	while (err == 0 && done < GIB(8)) {
		err = block_write(disk, done >> SECTOR_SHIFT, memory, MIB(1), 0);
		done += err == 0 ? MIB(1) : 0;
	}
	CHECK_EQ(err, -ENOSPC);
	memset(memory, 0, 4096);
	CHECK_EQ(block_read(disk, done == 0 ? 0 : (done - 4096) >> SECTOR_SHIFT, memory, 4096), 0);
	CHECK(done == 0 || memory[4095] == 0x5a);
	CHECK_EQ(block_remove(disk), 0);
	kfree(memory);
}

TEST(block_ramdisk, refuses_what_it_cannot_be)
{
	struct block_device *disk = NULL;
	CHECK_EQ(ramdisk_create(0, 0, 0, &disk), -EINVAL);
	CHECK_EQ(ramdisk_create(MIB(1), 500, 4096, &disk), -EINVAL);
	CHECK_EQ(ramdisk_create(MIB(1), 4096, 512, &disk), -EINVAL);
	CHECK_EQ(ramdisk_create(MIB(1) + 512, 4096, 4096, &disk), -EINVAL);
	CHECK_EQ(ramdisk_create(1ull << 50, 0, 0, &disk), -EINVAL);
	CHECK_EQ(ramdisk_create(MIB(1), 0, 1u << 20, &disk), -EINVAL);
}
