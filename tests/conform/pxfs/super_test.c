// SPDX-License-Identifier: MIT
//
// Slots of superblocks that are damaged, or were never written, while the other ring's are sound: opening a volume for writing makes them whole.
#include "hal/hal.h"
#include "kern/pxfs.h"
#include "kern/rand.h"
#include "kern/test.h"

#include "../../../src/fs/pxfs/volume_impl.h"

#define SLOT_BYTES 4096u
#define KINDS 4u // of damage

struct slots {
	struct block_device *disk;
	uint64_t newest, rings[2]; // generation; sectors
	uint8_t sound[2][PXFS_SLOTS * SLOT_BYTES], now[PXFS_SLOTS * SLOT_BYTES];
};

static err_t slots_open(struct slots *slots, bool read_only, struct pxfs_volume **volume)
{
	const char *problem = NULL;
	return volume_open(block_name(slots->disk), read_only, volume, &problem);
}

// A volume of some generations, and what its rings hold.
static struct slots *slots_make(TEST_RUN)
{
	struct slots *slots = kmalloc(sizeof *slots, MEM_ZERO);
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;

	if (slots == NULL)
		return NULL;
	CHECK_EQ(ramdisk_create(MIB(16), 512, 4096, &slots->disk), 0);
	CHECK_EQ(pxfs_format(block_name(slots->disk), &(struct pxfs_format_params){.copies = 2}, &problem), 0);
	CHECK_EQ(slots_open(slots, false, &volume), 0);
	rwlock_write_lock(&volume->epoch);
	for (uint32_t i = 0; i < 11; i++)
		CHECK_EQ(volume_checkpoint(volume), 0);
	rwlock_write_unlock(&volume->epoch);
	slots->newest = le64_get(&volume->super.generation);
	for (uint32_t ring = 0; ring < 2; ring++) {
		slots->rings[ring] = super_ring(volume, ring);
		CHECK_EQ(block_read(slots->disk, slots->rings[ring], slots->sound[ring], sizeof slots->now), 0);
	}
	volume_abandon(volume);
	return slots;
}

static void slots_free(TEST_RUN, struct slots *slots)
{
	CHECK_EQ(block_remove(slots->disk), 0);
	kfree(slots);
}

static bool ring_is_sound(TEST_RUN, struct slots *slots, uint32_t ring)
{
	CHECK_EQ(block_read(slots->disk, slots->rings[ring], slots->now, sizeof slots->now), 0);
	return memcmp(slots->now, slots->sound[ring], sizeof slots->now) == 0;
}

static uint64_t slot_sector(const struct slots *slots, uint32_t ring, uint64_t generation)
{
	return slots->rings[ring] + generation % PXFS_SLOTS * (SLOT_BYTES / SECTOR_SIZE);
}

// Kind 0: never written; 1: what was there eight generations before; 2: one bit; 3: something else altogether.
static void slot_damage(TEST_RUN, struct slots *slots, uint32_t ring, uint64_t generation, uint32_t kind)
{
	uint8_t *slot = slots->now;
	struct pxfs_super *super = (struct pxfs_super *)slot;

	memcpy(slot, slots->sound[ring] + generation % PXFS_SLOTS * SLOT_BYTES, SLOT_BYTES);
	switch (kind) {
	case 0:
		memset(slot, 0, SLOT_BYTES);
		break;
	case 1:
		le64_put(&super->generation, generation - PXFS_SLOTS);
		le64_put(&super->checksum, 0);
		le64_put(&super->checksum, checksum_xxh3(super, sizeof *super, 0));
		break;
	case 2:
		slot[300] ^= 8;
		break;
	default:
		memset(slot, 0x5a, SLOT_BYTES);
	}
	CHECK_EQ(block_write(slots->disk, slot_sector(slots, ring, generation), slot, SLOT_BYTES, 0), 0);
}

static void slot_try(TEST_RUN, struct slots *slots, uint32_t ring, uint64_t generation, uint32_t kind)
{
	struct pxfs_volume *volume = NULL;

	slot_damage(test_run_, slots, ring, generation, kind);
	CHECK_EQ(slots_open(slots, true, &volume), 0); // who may not write leaves it
	CHECK(!ring_is_sound(test_run_, slots, ring));
	volume_abandon(volume);
	CHECK_EQ(slots_open(slots, false, &volume), 0);
	CHECK_EQ(le64_get(&volume->super.generation), slots->newest);
	CHECK(ring_is_sound(test_run_, slots, 0));
	CHECK(ring_is_sound(test_run_, slots, 1));
	CHECK_EQ(volume->errors_repaired, kind >= 2);
	CHECK_EQ(volume->errors_read, kind >= 2);
	volume_abandon(volume);
}

TEST(pxfs_super, slots_are_written_again)
{
	struct slots *slots = slots_make(test_run_);
	REQUIRE(slots != NULL);
	for (uint32_t ring = 0; ring < 2; ring++)
		for (uint64_t back = 0; back < PXFS_GENERATIONS_KEPT; back++)
			for (uint32_t kind = 0; kind < KINDS; kind++)
				slot_try(test_run_, slots, ring, slots->newest - back, kind);
	slots_free(test_run_, slots);
}

// Where neither ring has the newest one, mounting goes back, and nothing is made up for it.
TEST(pxfs_super, a_generation_without_slots_is_gone)
{
	struct slots *slots = slots_make(test_run_);
	struct pxfs_volume *volume = NULL;
	REQUIRE(slots != NULL);
	for (uint32_t ring = 0; ring < 2; ring++)
		slot_damage(test_run_, slots, ring, slots->newest, 3);
	slot_damage(test_run_, slots, 1, slots->newest - 1, 3);
	CHECK_EQ(slots_open(slots, false, &volume), 0);
	CHECK_EQ(le64_get(&volume->super.generation), slots->newest - 1);
	for (uint32_t ring = 0; ring < 2; ring++) {
		uint64_t at = slot_sector(slots, ring, slots->newest);
		CHECK_EQ(block_read(slots->disk, at, slots->now, SLOT_BYTES), 0);
		CHECK_EQ(slots->now[100], 0x5a);
	}
	uint64_t at = slot_sector(slots, 1, slots->newest - 1);
	CHECK_EQ(block_read(slots->disk, at, slots->now, SLOT_BYTES), 0);
	CHECK(memcmp(slots->now, slots->sound[1] + (slots->newest - 1) % PXFS_SLOTS * SLOT_BYTES, SLOT_BYTES) == 0);
	volume_abandon(volume);
	slots_free(test_run_, slots);
}

// What was counted once is counted for ever.
TEST(pxfs_super, errors_are_counted_through_mounts)
{
	struct slots *slots = slots_make(test_run_);
	struct pxfs_volume *volume = NULL;
	REQUIRE(slots != NULL);
	for (uint64_t i = 1; i <= 3; i++) {
		slot_damage(test_run_, slots, 1, slots->newest, 2);
		CHECK_EQ(slots_open(slots, false, &volume), 0);
		CHECK_EQ(volume->errors_repaired, i);
		CHECK_EQ(volume_close(volume), 0);
		CHECK_EQ(slots_open(slots, true, &volume), 0);
		CHECK_EQ(volume->errors_repaired, i);
		slots->newest = le64_get(&volume->super.generation);
		for (uint32_t ring = 0; ring < 2; ring++)
			CHECK_EQ(block_read(slots->disk, slots->rings[ring], slots->sound[ring], sizeof slots->now), 0);
		volume_abandon(volume);
	}
	slots_free(test_run_, slots);
}
