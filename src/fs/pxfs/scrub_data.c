// SPDX-License-Identifier: MIT
//
// Scrubbing: what extents store.
#include "scrub_impl.h"

#define STORED_MAX (1u << PXFS_CLUSTER_SHIFT_MAX)
#define LOGICAL_MAX 65536u

size_t scrub_data_bytes(void)
{
	return STORED_MAX + 2 * LOGICAL_MAX;
}

static bool is_sound(const struct pxfs_volume *volume, const struct pxfs_extent *extent)
{
	uint64_t address = le64_get(&extent->address), stored = le32_get(&extent->stored);

	return stored != 0 && stored <= STORED_MAX && address < volume_sectors(volume) &&
	       DIV_ROUND_UP(stored, (uint64_t)SECTOR_SIZE) <= volume_sectors(volume) - address;
}

// Whether what lies there is what was written.
static bool is_whole(struct scrub *scrub, const struct pxfs_extent *extent)
{
	struct block_device *device = scrub->volume->device;
	uint64_t address = le64_get(&extent->address);
	uint32_t stored = le32_get(&extent->stored), logical = block_logical_bytes(device);
	uint32_t before = (uint32_t)((address << SECTOR_SHIFT) % logical);

	if (!is_sound(scrub->volume, extent))
		return false;
	if (block_read(device, address - (before >> SECTOR_SHIFT), scrub->data, ALIGN_UP(before + stored, logical)) !=
	    0)
		return false;
	return checksum_xxh3(scrub->data + before, stored, 0) == le64_get(&extent->checksum);
}

static void lost_add(struct scrub *scrub, const struct pxfs_where *where, const struct pxfs_extent *extent)
{
	struct pxfs_volume *volume = scrub->volume;

	(void)__atomic_fetch_add(&volume->errors_read, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&volume->errors_lost, 1, __ATOMIC_RELAXED);
	scrub->report->lost_extents++;
	if (scrub->lost_count == SCRUB_LOST_MAX)
		scrub_lost_say(scrub);
	scrub->lost[scrub->lost_count++] = (struct scrub_lost){.ino = where->object,
							       .offset = where->offset,
							       .sector = le64_get(&extent->address),
							       .size_bytes = le32_get(&extent->length)};
}

// Data do not fit. The extent may have been given up since the lock was let go, and something else lie there: what the file has now at those offsets is what counts, and
// it is read under the lock.
static err_t look_again(struct scrub *scrub, const struct scrub_extent *found, bool *whole)
{
	uint64_t end = found->where.offset + le32_get(&found->extent.length);
	struct pxfs_where where;
	struct pxfs_extent extent;
	struct pxfs_tree *tree = NULL;
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = true;
	err_t err = scrub_enter(scrub, &tree);

	if (tree == NULL)
		return err;
	err = tree_find(tree, &found->where, &path, &exact);
	while (err == 0) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there || where.object != found->where.object || where.type != PXFS_EXTENT ||
		    where.offset >= end)
			break;
		path_step(&path);
		if (size != sizeof extent)
			continue;
		memcpy(&extent, data, sizeof extent);
		if (le64_get(&extent.address) != le64_get(&found->extent.address) ||
		    le64_get(&extent.physical_birth) != le64_get(&found->extent.physical_birth) ||
		    is_whole(scrub, &extent))
			continue;
		*whole = false;
		break;
	}
	path_release(&path);
	scrub_leave(scrub, tree);
	if (err == 0 && !*whole)
		lost_add(scrub, &where, &extent);
	return err;
}

err_t scrub_extents(struct scrub *scrub, bool *whole)
{
	err_t err = 0;

	*whole = true;
	for (uint32_t i = 0; i < scrub->extent_count && err == 0; i++) {
		const struct scrub_extent *found = &scrub->extents[i];
		uint64_t address = le64_get(&found->extent.address);
		uint64_t *good = &scrub->good[address % SCRUB_GOOD];
		bool sound = true;
		if (address == 0 || *good == address || le64_get(&found->extent.physical_birth) >= scrub->born_before)
			continue;
		if (!scrub_goes_on(scrub)) {
			*whole = false;
			break;
		}
		scrub->report->extents++;
		scrub->report->bytes += le32_get(&found->extent.stored);
		if (!is_whole(scrub, &found->extent))
			err = look_again(scrub, found, &sound);
		*whole = *whole && sound;
		if (sound && err == 0)
			*good = address;
	}
	return err;
}
