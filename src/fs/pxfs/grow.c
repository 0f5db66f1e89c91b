// SPDX-License-Identifier: MIT
//
// Growing a volume, mounted or not. The second ring of superblocks moves to the new end, which nobody refers to until a superblock says the new size; so a power cut leaves
// the old size or the new one. The old ring's place rests like everything that is given up, because mounting may go back to a superblock of the old size.
#include "use_impl.h"

// The sectors that the volume is to have; the same as before: nothing to do. Errors: -EINVAL with *problem.
static err_t size_choose(const struct pxfs_volume *volume, uint64_t size_bytes, uint64_t *sectors, const char **problem)
{
	uint32_t block = block_sectors_of(volume);
	uint64_t device = block_sectors(volume->device), old = volume_sectors(volume);
	uint64_t wanted = size_bytes != 0 ? size_bytes >> SECTOR_SHIFT : MIN(device, PXFS_VOLUME_SECTORS_MAX);
	struct pxfs_volume grown = {.block_shift = volume->block_shift, .sectors = wanted / block * block};

	*sectors = grown.sectors;
	if (wanted > device)
		*problem = "the device is smaller than that";
	else if (*sectors < old && size_bytes != 0)
		*problem = "a volume cannot become smaller";
	else if (wanted > PXFS_VOLUME_SECTORS_MAX)
		*problem = "no volume is as large as that";
	else if (*sectors > old && super_ring(&grown, 1) < old && size_bytes != 0)
		*problem = "that is too little: the second ring of superblocks must come to lie behind the old end";
	if (*problem == NULL && super_ring(&grown, 1) < old)
		*sectors = old;
	return *problem == NULL ? 0 : ERR(EINVAL);
}

static void sectors_set(struct pxfs_volume *volume, uint64_t sectors, uint32_t regions)
{
	struct pxfs_space_state *space = &volume->space;

	uint32_t old_regions = space->region_count;

	for (uint32_t i = regions; i < old_regions; i++) { // going back
		struct pxfs_region *region = &space->regions[i];
		space->used_sectors -= region->used;
		space->free_blocks -= region->free_blocks;
		space->free_chunks -= region->free_chunks;
		kfree(region->bits);
		*region = (struct pxfs_region){.used = 0};
	}
	__atomic_store_n(&volume->sectors, sectors, __ATOMIC_RELAXED);
	space->region_count = regions;
	space->known = 0;
	space->margin_sectors = space_margin(volume);
	for (uint32_t i = MIN(old_regions, regions) - 1; i < regions; i++) {
		space->regions[i].no_run = 0;
		region_learn(volume, i);
	}
}

static err_t regions_grow(struct pxfs_volume *volume, uint64_t sectors)
{
	struct pxfs_space_state *space = &volume->space;
	uint32_t count = (uint32_t)DIV_ROUND_UP(sectors, (uint64_t)PXFS_REGION_SECTORS);
	struct pxfs_region *regions = kmalloc_array(count, sizeof *regions, MEM_ZERO);

	if (regions == NULL)
		return ERR(ENOMEM);
	mutex_lock(&space->lock);
	memcpy(regions, space->regions, space->region_count * sizeof *regions);
	kfree(space->regions);
	space->regions = regions;
	sectors_set(volume, sectors, count);
	mutex_unlock(&space->lock);
	return 0;
}

// The epoch is held for writing. An error leaves the volume as it was.
static err_t grow_in_memory(struct pxfs_volume *volume, uint64_t sectors)
{
	uint64_t old = volume->sectors, old_ring = super_ring(volume, 1);
	uint32_t old_regions = volume->space.region_count;
	err_t err = regions_grow(volume, sectors);

	if (err != 0)
		return err;
	uint64_t ring = super_ring(volume, 1);
	err = space_claim(volume, ring, sectors - ring);
	if (err == 0) {
		err = space_give_up(volume, false, &old_ring, 1, (uint32_t)(old - old_ring));
		if (err != 0)
			space_return(volume, false, ring, (uint32_t)(sectors - ring));
	}
	if (err == 0) {
		le64_put(&volume->super.sectors, sectors);
		return 0;
	}
	mutex_lock(&volume->space.lock);
	sectors_set(volume, old, old_regions);
	mutex_unlock(&volume->space.lock);
	return err;
}

// What lies where the new ring comes to lie could be taken for superblocks.
static err_t place_clear(struct pxfs_volume *volume, uint64_t sectors)
{
	struct pxfs_volume grown = {.block_shift = volume->block_shift, .sectors = sectors};
	uint64_t ring = super_ring(&grown, 1);
	err_t err = block_zero(volume->device, ring, sectors - ring, 0);

	return err == 0 ? block_flush(volume->device) : err;
}

static err_t volume_grow(struct pxfs_volume *volume, uint64_t size_bytes, struct pxfs_sizes *sizes,
			 const char **problem)
{
	uint64_t sectors = 0;
	err_t err = 0;

	rwlock_write_lock(&volume->epoch);
	sizes->old_bytes = sizes->new_bytes = volume->sectors << SECTOR_SHIFT;
	if (volume->read_only || atomic_load_u32_acquire(&volume->failed) != 0)
		err = volume->read_only ? ERR(EROFS) : ERR(EIO);
	if (err == 0)
		err = size_choose(volume, size_bytes, &sectors, problem);
	bool grows = err == 0 && sectors > volume->sectors;
	if (grows)
		err = place_clear(volume, sectors);
	if (grows && err == 0)
		err = grow_in_memory(volume, sectors);
	rwlock_write_unlock(&volume->epoch);
	for (uint32_t i = 0; grows && err == 0 && i < 2;
	     i++) // so that one slot that is lost is not the only one of this size
		err = volume_generation_close(volume);
	if (grows && err == 0)
		sizes->new_bytes = sectors << SECTOR_SHIFT;
	return err;
}

err_t pxfs_grow(const char *where, uint64_t size_bytes, struct pxfs_sizes *sizes, const char **problem)
{
	struct pxfs_volume *volume = NULL;
	err_t err = volume_use(where, false, &volume, problem);

	*sizes = (struct pxfs_sizes){.old_bytes = 0};
	if (err != 0)
		return err;
	err = volume_grow(volume, size_bytes, sizes, problem);
	err_t closed = volume_unuse(volume);
	return err != 0 ? err : closed;
}
