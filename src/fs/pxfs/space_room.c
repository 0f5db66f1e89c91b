// SPDX-License-Identifier: MIT
//
// Whether there is room, and not only enough free sectors: a sector beside one that is used is nobody's until its block is free, and a node wants blocks side by side.
// Pages may lie block by block, first in chunks that are broken; what they do not find there they take from whole ones, of which nodes need some.
#include "pxfs_impl.h"

// The next region that is not known becomes it. False: there is none, or it cannot be read.
static bool learn_more(struct pxfs_volume *volume)
{
	struct pxfs_space_state *space = &volume->space;

	while (space->known < space->region_count) {
		uint32_t index = space->known;
		const struct pxfs_region *region = &space->regions[index];
		bool unknown = region->bits == NULL && region->used != 0;
		if (unknown && region_load(volume, index) != 0)
			return false;
		space->known++;
		if (unknown)
			return true;
	}
	return false;
}

// Chunks that are left when that many pages have come to lie somewhere; INT64_MIN: they do not all find a place.
static int64_t chunks_behind(const struct pxfs_volume *volume, uint64_t pages)
{
	const struct pxfs_space_state *space = &volume->space;
	uint64_t in_chunk = node_sectors(volume) / block_sectors_of(volume);
	uint64_t broken = space->free_blocks - space->free_chunks * in_chunk;
	uint64_t more = pages > broken ? DIV_ROUND_UP(pages - broken, in_chunk) : 0;

	return more > space->free_chunks ? INT64_MIN : (int64_t)(space->free_chunks - more);
}

static uint64_t pages_promised(const struct pxfs_space_state *space)
{
	return space->reserved_sectors / PXFS_PAGE_PROMISE + space->promised_sectors / (FRAME_SIZE / SECTOR_SIZE);
}

static uint64_t chunks_of(const struct pxfs_volume *volume, uint64_t sectors)
{
	return DIV_ROUND_UP(sectors, (uint64_t)node_sectors(volume));
}

// Of the margin so much must be whole chunks, for nodes; the rest may be anything.
static uint64_t chunks_kept(const struct pxfs_volume *volume, uint64_t margin_sectors)
{
	const struct pxfs_space_state *space = &volume->space;
	uint64_t all = MIN(chunks_of(volume, space->margin_sectors), (uint64_t)(32 * volume->copies));

	return margin_sectors < space->margin_sectors ? DIV_ROUND_UP(all, 2u) : all;
}

static bool sectors_fit(const struct pxfs_volume *volume, uint64_t sectors)
{
	const struct pxfs_space_state *space = &volume->space;
	uint64_t kept = space->reserved_sectors + space->promised_sectors;

	return (uint64_t)space->free_blocks * block_sectors_of(volume) >= kept + sectors;
}

bool space_fits(struct pxfs_volume *volume, uint64_t margin_sectors, uint64_t nodes_sectors, uint64_t pages)
{
	struct pxfs_space_state *space = &volume->space;
	uint64_t promised = space->reserved_sectors / PXFS_PAGE_PROMISE * PXFS_PAGE_NODES;
	uint64_t kept = chunks_kept(volume, space->margin_sectors) + chunks_of(volume, promised);
	uint64_t need = chunks_kept(volume, margin_sectors) + chunks_of(volume, promised + nodes_sectors);
	uint64_t sectors = margin_sectors + nodes_sectors + pages * PXFS_PAGE_PROMISE;
	int64_t left = 0;
	bool fits = false;

	do {
		left = chunks_behind(volume, pages_promised(space) + pages);
		fits = left >= (int64_t)need && sectors_fit(volume, sectors);
	} while (!fits && learn_more(volume));
	uint64_t spare = left > (int64_t)kept ? (uint64_t)left - kept : 0;
	__atomic_store_n(&space->spare_chunks, (uint32_t)MIN(spare, (uint64_t)UINT32_MAX), __ATOMIC_RELAXED);
	return fits;
}

bool space_spares_chunks(struct pxfs_volume *volume, uint64_t sectors)
{
	const struct pxfs_space_state *space = &volume->space;
	uint64_t promised = space->reserved_sectors / PXFS_PAGE_PROMISE * PXFS_PAGE_NODES;
	uint64_t need = chunks_kept(volume, space->margin_sectors) + chunks_of(volume, promised) +
			chunks_of(volume, sectors) + 1;

	while (space->free_chunks < need)
		if (!learn_more(volume))
			return false;
	return true;
}
