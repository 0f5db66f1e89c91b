// SPDX-License-Identifier: MIT
//
// The space map on disk: bitmaps and counts in the space tree, and in the root tree what rests. Writing them takes space, which changes them: it is
// done again until nothing more changes, which comes soon, since a node that is dirty is not copied again.
#include "pxfs_impl.h"

#define RANGES_ITEM 200u // of one list of what rests

static err_t map_broken(const struct pxfs_volume *volume, const char *what, uint64_t number)
{
	log_err("pxfs: %s: space map: %s (%llu)", block_name(volume->device), what, (unsigned long long)number);
	return ERR(EUCLEAN);
}

// ---- reading ----------------------------------------------------------------------------------------------------------------

err_t region_load(struct pxfs_volume *volume, uint32_t index)
{
	struct pxfs_region *region = &volume->space.regions[index];
	struct pxfs_where where = {index, PXFS_SPACE, 0};
	struct pxfs_space *stored = kmalloc(sizeof *stored, 0);
	uint64_t *bits = kmalloc(PXFS_REGION_SECTORS / 8, MEM_ZERO);
	uint32_t size = sizeof *stored;
	err_t err = stored == NULL || bits == NULL ? ERR(ENOMEM) : 0;

	if (err == 0 && (region->flags & PXFS_REGION_STORED) != 0) {
		err = tree_get(&volume->space_tree, &where, stored, &size);
		if (err == -ENOENT || (err == 0 && (size != sizeof *stored || le32_get(&stored->used) != region->used)))
			err = map_broken(volume, "a region's bitmap does not fit its count", index);
		if (err == 0)
			memcpy(bits, stored->bits, sizeof stored->bits);
	}
	kfree(stored);
	if (err == 0) {
		region->bits = bits;
		volume->space.loaded++;
		region_learn(volume, index);
	} else {
		kfree(bits);
	}
	return err;
}

static err_t sums_load(struct pxfs_volume *volume)
{
	struct pxfs_space_state *space = &volume->space;
	struct pxfs_where where = {0, PXFS_SPACE_SUMS, 0};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;
	uint32_t groups = DIV_ROUND_UP(space->region_count, PXFS_SUMS);
	err_t err = 0;

	for (uint32_t group = 0; group < groups && err == 0; group++) {
		where = (struct pxfs_where){group, PXFS_SPACE_SUMS, 0};
		err = tree_find(&volume->space_tree, &where, &path, &exact);
		if (err == 0 && exact)
			err = path_item(&path, &where, &data, &size, &there);
		for (uint32_t i = 0; err == 0 && exact && i < size / 4 && group * PXFS_SUMS + i < space->region_count;
		     i++) {
			struct pxfs_region *region = &space->regions[group * PXFS_SUMS + i];
			region->used = le32_get((const struct le32 *)data + i);
			region->flags = region->used != 0 ? PXFS_REGION_STORED : 0;
			space->used_sectors += region->used;
			region_learn(volume, group * PXFS_SUMS + i);
			if (region->used > PXFS_REGION_SECTORS)
				err = map_broken(volume, "a region has more used sectors than sectors", i);
		}
		path_release(&path);
	}
	return err;
}

static err_t rest_load(struct pxfs_volume *volume, uint64_t generation, const uint8_t *data, uint32_t size)
{
	const struct pxfs_range *ranges = (const struct pxfs_range *)data;
	struct pxfs_rest *rest = &volume->space.rests[generation % 3];

	if (generation >= volume->generation || generation + 3 < volume->generation)
		return map_broken(volume, "something rests from a generation that is not near", generation);
	for (uint32_t i = 0; i < size / sizeof *ranges; i++) {
		uint64_t address = le64_get(&ranges[i].address);
		uint32_t sectors = le32_get(&ranges[i].sectors);
		if (address >= volume->sectors || sectors > volume->sectors - address)
			return map_broken(volume, "a range that rests lies outside", address);
		if (rest->count == rest->room) {
			uint32_t room = rest->room * 2 + RANGES_ITEM;
			struct pxfs_range_in *more = krealloc(rest->ranges, room * sizeof *more, 0);
			if (more == NULL)
				return ERR(ENOMEM);
			rest->ranges = more;
			rest->room = room;
		}
		rest->ranges[rest->count++] = (struct pxfs_range_in){address, sectors};
		rest->sectors += sectors;
	}
	rest->written = rest->count;
	rest->generation = generation;
	return 0;
}

static err_t rests_load(struct pxfs_volume *volume)
{
	struct pxfs_where where = {0, PXFS_REST, 0};
	struct pxfs_path path;
	const uint8_t *data = NULL;
	uint32_t size = 0;
	bool exact = false, there = false;
	err_t err = tree_find(&volume->root_tree, &where, &path, &exact);

	while (err == 0) {
		err = path_item(&path, &where, &data, &size, &there);
		if (err != 0 || !there)
			break;
		if (where.type == PXFS_REST)
			err = rest_load(volume, where.object, data, size);
		path_step(&path);
	}
	path_release(&path);
	return err;
}

err_t space_load(struct pxfs_volume *volume)
{
	mutex_lock(&volume->space.lock);
	volume->space.promised_sectors = le64_get(&volume->super.promised_sectors);
	err_t err = sums_load(volume);
	mutex_unlock(&volume->space.lock);
	return err == 0 ? rests_load(volume) : err;
}

// ---- writing ----------------------------------------------------------------------------------------------------------------

static err_t region_store(struct pxfs_volume *volume, uint32_t index, struct pxfs_space *buffer)
{
	struct pxfs_region *region = &volume->space.regions[index];
	struct pxfs_where where = {index, PXFS_SPACE, 0};

	region->flags &= ~(uint32_t)PXFS_REGION_CHANGED;
	region->flags |= PXFS_REGION_STORED;
	*buffer = (struct pxfs_space){.reserved = {0}};
	le32_put(&buffer->used, region->used);
	memcpy(buffer->bits, region->bits, sizeof buffer->bits);
	err_t err = tree_put(&volume->space_tree, &where, buffer, sizeof *buffer);
	if (err != 0)
		region->flags |= PXFS_REGION_CHANGED;
	return err;
}

static err_t sums_store(struct pxfs_volume *volume, uint32_t group, struct le32 *buffer)
{
	struct pxfs_space_state *space = &volume->space;
	struct pxfs_where where = {group, PXFS_SPACE_SUMS, 0};
	uint32_t count = MIN(space->region_count - group * PXFS_SUMS, PXFS_SUMS);

	for (uint32_t i = 0; i < count; i++)
		le32_put(&buffer[i], space->regions[group * PXFS_SUMS + i].used);
	return tree_put(&volume->space_tree, &where, buffer, count * 4);
}

// Whatever changed; *again: writing it changed something.
static err_t map_store(struct pxfs_volume *volume, bool *again)
{
	struct pxfs_space_state *space = &volume->space;
	void *buffer = kmalloc(sizeof(struct pxfs_space), 0);
	bool group_changed = false;
	err_t err = buffer == NULL ? ERR(ENOMEM) : 0;

	for (uint32_t i = 0; i < space->region_count && err == 0; i++) {
		if ((space->regions[i].flags & PXFS_REGION_CHANGED) != 0) {
			group_changed = true;
			*again = true;
			err = region_store(volume, i, buffer);
		}
		if (group_changed && err == 0 && ((i + 1) % PXFS_SUMS == 0 || i + 1 == space->region_count)) {
			err = sums_store(volume, i / PXFS_SUMS, buffer);
			group_changed = false;
		}
	}
	kfree(buffer);
	return err;
}

// The last list that was begun is written again, with what has come since.
static err_t rest_store(struct pxfs_volume *volume, bool *again)
{
	struct pxfs_rest *rest = &volume->space.rests[volume->generation % 3];
	struct pxfs_range *buffer = kmalloc(RANGES_ITEM * sizeof *buffer, 0);
	err_t err = buffer == NULL ? ERR(ENOMEM) : 0;

	mutex_lock(&volume->space.lock);
	while (err == 0 && rest->written < rest->count) {
		uint32_t list = rest->written / RANGES_ITEM, first = list * RANGES_ITEM;
		uint32_t count = MIN(rest->count - first, RANGES_ITEM);
		struct pxfs_where where = {volume->generation, PXFS_REST, list};
		memset(buffer, 0, count * sizeof *buffer);
		for (uint32_t i = 0; i < count; i++) {
			le64_put(&buffer[i].address, rest->ranges[first + i].address);
			le32_put(&buffer[i].sectors, rest->ranges[first + i].sectors);
		}
		rest->written = first + count;
		*again = true;
		mutex_unlock(&volume->space.lock);
		err = tree_put(&volume->root_tree, &where, buffer, count * (uint32_t)sizeof *buffer);
		mutex_lock(&volume->space.lock);
		if (err != 0)
			rest->written = first;
	}
	mutex_unlock(&volume->space.lock);
	kfree(buffer);
	return err;
}

err_t space_store(struct pxfs_volume *volume)
{
	bool again = true;
	err_t err = 0;

	while (again && err == 0) {
		again = false;
		err = rest_store(volume, &again);
		mutex_lock(&volume->space.lock);
		if (err == 0)
			err = map_store(volume, &again);
		mutex_unlock(&volume->space.lock);
	}
	return err;
}

static struct pxfs_rest *rest_that_ends(struct pxfs_volume *volume)
{
	return volume->generation < 3 ? NULL : &volume->space.rests[(volume->generation - 2) % 3];
}

err_t space_rests_clear(struct pxfs_volume *volume)
{
	struct pxfs_rest *rest = rest_that_ends(volume);
	err_t err = 0;

	mutex_lock(&volume->space.lock);
	for (uint32_t i = rest == NULL ? 0 : rest->cleared; rest != NULL && i < rest->count && err == 0; i++)
		err = space_clear(volume, rest->ranges[i].address, rest->ranges[i].sectors);
	if (rest != NULL && err == 0)
		rest->cleared = rest->count;
	mutex_unlock(&volume->space.lock);
	return err;
}

// A generation has been opened: what was given up two before it is free.
err_t space_advance(struct pxfs_volume *volume)
{
	struct pxfs_rest *rest = rest_that_ends(volume);
	err_t err = space_rests_clear(volume);

	if (rest == NULL)
		return err;
	uint32_t lists = DIV_ROUND_UP(rest->count, RANGES_ITEM);
	mutex_lock(&volume->space.lock);
	rest->count = 0;
	rest->written = 0;
	rest->cleared = 0;
	rest->sectors = 0;
	mutex_unlock(&volume->space.lock);
	for (uint32_t list = 0; list < lists && err == 0; list++) {
		struct pxfs_where where = {volume->generation - 2, PXFS_REST, list};
		err = tree_take(&volume->root_tree, &where);
	}
	return err;
}
