// SPDX-License-Identifier: MIT
//
// Free space: a bit for each sector, by regions of 16 MiB whose bitmaps are in memory once somebody needed them. What is taken is whole blocks, and a
// block is free when none of its sectors is used, so what was packed into one goes piece by piece.
#include "pxfs_impl.h"

#define RANGES_FIRST 64u

uint64_t space_margin(const struct pxfs_volume *volume)
{
	return MIN(volume->sectors / 64, MIB(64) >> SECTOR_SHIFT) + 64 * node_sectors(volume);
}

err_t space_init(struct pxfs_volume *volume)
{
	struct pxfs_space_state *space = &volume->space;

	mutex_init(&space->lock, LOCK_RANK_FS_SPACE, "pxfs: space");
	space->region_count = (uint32_t)DIV_ROUND_UP(volume->sectors, (uint64_t)PXFS_REGION_SECTORS);
	space->regions = kmalloc_array(space->region_count, sizeof *space->regions, MEM_ZERO);
	space->margin_sectors = space_margin(volume);
	space->cursors[SPACE_NODE] = space->region_count / 2;
	space->cursors[SPACE_COPY] = space->region_count - 1;
	if (space->regions == NULL)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < space->region_count; i++)
		region_learn(volume, i);
	return 0;
}

void space_fini(struct pxfs_volume *volume)
{
	struct pxfs_space_state *space = &volume->space;

	for (uint32_t i = 0; space->regions != NULL && i < space->region_count; i++)
		kfree(space->regions[i].bits);
	for (uint32_t i = 0; i < 3; i++)
		kfree(space->rests[i].ranges);
	kfree(space->regions);
	mutex_fini(&space->lock);
}

static void space_lock(struct pxfs_volume *volume, bool locked)
{
	if (!locked)
		mutex_lock(&volume->space.lock);
}

static void space_unlock(struct pxfs_volume *volume, bool locked)
{
	if (!locked)
		mutex_unlock(&volume->space.lock);
}

// ---- bits -------------------------------------------------------------------------------------------------------------------

static uint32_t region_sectors(const struct pxfs_volume *volume, uint32_t index)
{
	uint64_t begin = (uint64_t)index << PXFS_REGION_SHIFT;
	return (uint32_t)MIN(volume->sectors - begin, (uint64_t)PXFS_REGION_SECTORS);
}

static bool bits_are_clear(const uint64_t *bits, uint32_t from, uint32_t count)
{
	const uint8_t *bytes = (const uint8_t *)bits; // a block is whole bytes

	for (uint32_t i = from / 8; i < (from + count) / 8; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static void bits_set(uint64_t *bits, uint32_t from, uint32_t count, bool on)
{
	for (uint32_t i = from; i < from + count;) {
		uint32_t in = i % 64, part = MIN(64 - in, from + count - i);
		uint64_t mask = (part == 64 ? UINT64_MAX : (1ull << part) - 1) << in;
		if (on)
			bits[i / 64] |= mask;
		else
			bits[i / 64] &= ~mask;
		i += part;
	}
}

static uint32_t region_end(const struct pxfs_volume *volume, uint32_t index)
{
	uint32_t block = block_sectors_of(volume);
	return region_sectors(volume, index) / block * block;
}

// Where and what is looked for.
enum run_kind {
	RUN_ANY,
	RUN_CHUNK, // a whole one
	RUN_LAST,  // the last whole one
	RUN_BROKEN // within a chunk that is not free
};

// The first run of free blocks that is long enough; UINT32_MAX: there is none.
static uint32_t run_any(const struct pxfs_volume *volume, const struct pxfs_region *region, uint32_t index,
			uint32_t sectors)
{
	uint32_t block = block_sectors_of(volume), end = region_end(volume, index), run = 0;

	for (uint32_t at = 0; at < end; at += block) {
		if (at % 64 == 0 && region->bits[at / 64] == UINT64_MAX && block <= 64) {
			run = 0;
			at += 64 - block;
			continue;
		}
		run = bits_are_clear(region->bits, at, block) ? run + block : 0;
		if (run >= sectors)
			return at + block - run;
	}
	return UINT32_MAX;
}

static uint32_t run_chunk(const struct pxfs_volume *volume, const struct pxfs_region *region, uint32_t index)
{
	uint32_t chunk = node_sectors(volume), end = region_end(volume, index);

	for (uint32_t at = 0; at + chunk <= end; at += chunk)
		if (bits_are_clear(region->bits, at, chunk))
			return at;
	return UINT32_MAX;
}

static uint32_t run_last(const struct pxfs_volume *volume, const struct pxfs_region *region, uint32_t index)
{
	uint32_t chunk = node_sectors(volume), count = region_end(volume, index) / chunk;

	while (count-- > 0)
		if (bits_are_clear(region->bits, count * chunk, chunk))
			return count * chunk;
	return UINT32_MAX;
}

static uint32_t run_broken(const struct pxfs_volume *volume, const struct pxfs_region *region, uint32_t index,
			   uint32_t sectors)
{
	uint32_t block = block_sectors_of(volume), chunk = node_sectors(volume), end = region_end(volume, index);

	for (uint32_t at = 0; at < end; at += chunk) {
		uint32_t chunk_end = MIN(at + chunk, end), run = 0;
		if (chunk_end == at + chunk && bits_are_clear(region->bits, at, chunk))
			continue;
		for (uint32_t i = at; i < chunk_end; i += block) {
			run = bits_are_clear(region->bits, i, block) ? run + block : 0;
			if (run >= sectors)
				return i + block - run;
		}
	}
	return UINT32_MAX;
}

// ---- counting -----------------------------------------------------------------------------------------------------------------

// What may be taken of the chunks that [from, to) touches is taken from the counts, or added.
static void span_count(struct pxfs_volume *volume, uint32_t index, uint32_t from, uint32_t to, bool add)
{
	uint32_t block = block_sectors_of(volume), chunk = node_sectors(volume), end = region_end(volume, index);
	struct pxfs_region *region = &volume->space.regions[index];
	bool all_free = region->bits == NULL && from == 0 && to == end;
	uint32_t blocks = all_free ? end / block : 0, chunks = all_free ? end / chunk : 0;

	for (uint32_t at = from / chunk * chunk; at < MIN(to, end) && !all_free; at += chunk) {
		uint32_t chunk_end = MIN(at + chunk, end), found = 0;
		for (uint32_t i = at; i < chunk_end; i += block)
			found += region->bits == NULL || bits_are_clear(region->bits, i, block);
		blocks += found;
		chunks += found == chunk / block;
	}
	region->free_blocks = add ? region->free_blocks + blocks : region->free_blocks - blocks;
	region->free_chunks = add ? region->free_chunks + chunks : region->free_chunks - chunks;
	volume->space.free_blocks = add ? volume->space.free_blocks + blocks : volume->space.free_blocks - blocks;
	volume->space.free_chunks = add ? volume->space.free_chunks + chunks : volume->space.free_chunks - chunks;
}

void region_learn(struct pxfs_volume *volume, uint32_t index)
{
	struct pxfs_region *region = &volume->space.regions[index];

	volume->space.free_blocks -= region->free_blocks;
	volume->space.free_chunks -= region->free_chunks;
	region->free_blocks = 0;
	region->free_chunks = 0;
	if (region->bits != NULL || region->used == 0)
		span_count(volume, index, 0, region_end(volume, index), true);
}

// ---- taking -------------------------------------------------------------------------------------------------------------------

static void region_change(struct pxfs_volume *volume, uint32_t index, uint32_t from, uint32_t count, bool on)
{
	struct pxfs_region *region = &volume->space.regions[index];

	span_count(volume, index, from, from + count, false);
	bits_set(region->bits, from, count, on);
	span_count(volume, index, from, from + count, true);
	region->flags |= PXFS_REGION_CHANGED;
	if (on) {
		region->used += count;
		volume->space.used_sectors += count;
	} else {
		region->used -= count;
		volume->space.used_sectors -= count;
		region->no_run = 0;
	}
}

static bool may_have(const struct pxfs_volume *volume, const struct pxfs_region *region, enum run_kind kind,
		     uint32_t sectors)
{
	uint32_t in_chunk = node_sectors(volume) / block_sectors_of(volume);

	if (region->bits == NULL) // to be loaded, but not for pieces
		return kind != RUN_BROKEN && region->used < PXFS_REGION_SECTORS;
	if (kind == RUN_CHUNK || kind == RUN_LAST)
		return region->free_chunks != 0;
	if (kind == RUN_BROKEN)
		return region->free_blocks > region->free_chunks * in_chunk;
	return region->free_blocks >= sectors / block_sectors_of(volume) &&
	       (region->no_run == 0 || sectors < region->no_run);
}

static err_t region_try(struct pxfs_volume *volume, uint32_t index, enum run_kind kind, uint32_t sectors,
			uint64_t *address, bool *taken)
{
	struct pxfs_region *region = &volume->space.regions[index];
	err_t err = 0;

	*taken = false;
	if (!may_have(volume, region, kind, sectors))
		return 0;
	if (region->bits == NULL)
		err = region_load(volume, index);
	if (err != 0)
		return err;
	uint32_t at = kind == RUN_CHUNK    ? run_chunk(volume, region, index)
		      : kind == RUN_LAST   ? run_last(volume, region, index)
		      : kind == RUN_BROKEN ? run_broken(volume, region, index, sectors)
					   : run_any(volume, region, index, sectors);
	if (at == UINT32_MAX) {
		if (kind == RUN_ANY)
			region->no_run = sectors;
		return 0;
	}
	region_change(volume, index, at, sectors, true);
	*address = ((uint64_t)index << PXFS_REGION_SHIFT) + at;
	*taken = true;
	return 0;
}

// From the cursor on, once around; copies go the other way. Each has a cursor of its own, so that its things lie together.
static err_t regions_try(struct pxfs_volume *volume, enum space_user user, enum run_kind kind, uint32_t sectors,
			 uint64_t *address)
{
	struct pxfs_space_state *space = &volume->space;
	uint32_t *cursor = &space->cursors[user], count = space->region_count;
	bool taken = false;
	err_t err = 0;

	for (uint32_t i = 0; i < count && err == 0 && !taken; i++) {
		uint32_t index = (*cursor + (user == SPACE_COPY ? count - i : i)) % count;
		err = region_try(volume, index, kind, sectors, address, &taken);
		if (taken)
			*cursor = index;
	}
	return err != 0 || taken ? err : -ENOSPC;
}

err_t space_take(struct pxfs_volume *volume, bool locked, enum space_user user, uint32_t sectors, uint64_t *address)
{
	bool for_node = user != SPACE_DATA;
	err_t err = -ENOSPC;

	VERIFY3(sectors % block_sectors_of(volume), ==, 0);
	space_lock(volume, locked);
	bool small = sectors < node_sectors(volume), spares = !for_node && space_spares_chunks(volume, sectors);
	if (for_node)
		err = regions_try(volume, user, user == SPACE_COPY ? RUN_LAST : RUN_CHUNK, sectors, address);
	else if (small && !spares)
		err = regions_try(volume, user, RUN_BROKEN, sectors, address);
	if (err == -ENOSPC && (for_node || small || spares))
		err = regions_try(volume, user, RUN_ANY, sectors, address);
	space_unlock(volume, locked);
	return err == -ENOSPC ? ERR(ENOSPC) : err;
}

// Regions that hold something used have their bits in memory or on disk; reading them may fail, and then the sectors stay used until fsck.
static err_t range_clear(struct pxfs_volume *volume, uint64_t address, uint32_t sectors)
{
	while (sectors > 0) {
		uint32_t index = (uint32_t)(address >> PXFS_REGION_SHIFT), from = address & (PXFS_REGION_SECTORS - 1);
		uint32_t count = MIN(sectors, PXFS_REGION_SECTORS - from);
		err_t err = volume->space.regions[index].bits == NULL ? region_load(volume, index) : 0;
		if (err != 0)
			return err;
		region_change(volume, index, from, count, false);
		address += count;
		sectors -= count;
	}
	return 0;
}

void space_return(struct pxfs_volume *volume, bool locked, uint64_t address, uint32_t sectors)
{
	space_lock(volume, locked);
	err_t err = range_clear(volume, address, sectors);
	space_unlock(volume, locked);
	VERIFY3(err, ==, 0); // they were taken, so their bits are there
}

uint64_t space_free_sectors(struct pxfs_volume *volume)
{
	mutex_lock(&volume->space.lock);
	uint64_t free = volume->sectors - volume->space.used_sectors;
	mutex_unlock(&volume->space.lock);
	return free;
}

// ---- giving up ----------------------------------------------------------------------------------------------------------------

static err_t rest_grow(struct pxfs_rest *rest, uint32_t more)
{
	if (rest->count + more <= rest->room)
		return 0;
	uint32_t room = MAX(rest->room * 2, RANGES_FIRST) + more;
	struct pxfs_range_in *ranges = krealloc(rest->ranges, (size_t)room * sizeof *ranges, 0);
	if (ranges == NULL)
		return ERR(ENOMEM);
	rest->ranges = ranges;
	rest->room = room;
	return 0;
}

err_t space_give_up(struct pxfs_volume *volume, bool locked, const uint64_t *addresses, uint32_t count,
		    uint32_t sectors)
{
	struct pxfs_rest *rest = &volume->space.rests[volume->generation % 3];

	space_lock(volume, locked);
	err_t err = rest_grow(rest, count);
	for (uint32_t i = 0; err == 0 && i < count; i++)
		rest->ranges[rest->count++] = (struct pxfs_range_in){addresses[i], sectors};
	rest->sectors += err == 0 ? (uint64_t)count * sectors : 0;
	space_unlock(volume, locked);
	return err;
}

static bool bits_any(const uint64_t *bits, uint32_t from, uint32_t count)
{
	for (uint32_t i = from; i < from + count; i++)
		if ((bits[i / 64] >> i % 64 & 1) != 0)
			return true;
	return false;
}

static err_t claim(struct pxfs_volume *volume, uint64_t address, uint64_t sectors, bool must_be_free)
{
	err_t err = 0;

	mutex_lock(&volume->space.lock);
	while (sectors > 0 && err == 0) {
		uint32_t index = (uint32_t)(address >> PXFS_REGION_SHIFT), from = address & (PXFS_REGION_SECTORS - 1);
		uint32_t count = (uint32_t)MIN(sectors, (uint64_t)(PXFS_REGION_SECTORS - from));
		if (volume->space.regions[index].bits == NULL)
			err = region_load(volume, index);
		if (err == 0 && must_be_free && bits_any(volume->space.regions[index].bits, from, count))
			err = ERR(EEXIST);
		if (err == 0)
			region_change(volume, index, from, count, true);
		address += count;
		sectors -= count;
	}
	mutex_unlock(&volume->space.lock);
	return err;
}

err_t space_claim(struct pxfs_volume *volume, uint64_t address, uint64_t sectors)
{
	return claim(volume, address, sectors, false);
}

err_t space_claim_free(struct pxfs_volume *volume, uint64_t address, uint64_t sectors)
{
	return claim(volume, address, sectors, true);
}

err_t space_clear(struct pxfs_volume *volume, uint64_t address, uint32_t sectors)
{
	return range_clear(volume, address, sectors);
}
