// SPDX-License-Identifier: MIT
//
// How memory is divided: what the firmware calls RAM, less what is taken, makes runs. The HAL's pool lies between
// the image and the next border of a large page, or else as high as it can; of the rest, up to HAL_MAX_NODES runs become the kernel's. Runs are cut at megabyte borders of large pages where the window begins.
#include "../arch.h"
#include "memmap.h"

#define POOL_FIXED (CONFIG_MAX_CPUS * (uint64_t)BARE_EMERGENCY_SIZE + (256ull << 10))
#define FIRST_SHARE 16
#define LOW_LIMIT (1ull << 20) // below: firmware's, and where CPUs start on x86-64

static struct memmap map; // boot only, too large for a stack

static void map_fill(const struct bare_boot *boot)
{
	memmap_init(&map);
	for (uint32_t i = 0; i < boot->ram_count; i++)
		memmap_add(&map, boot->ram[i].start, boot->ram[i].size_bytes, boot->ram[i].node);
	for (uint32_t i = 0; i < boot->taken_count; i++)
		memmap_reserve(&map, boot->taken[i].start, boot->taken[i].size_bytes);
	memmap_reserve(&map, 0, LOW_LIMIT);
	if (map.truncated != 0 || boot->truncated != 0)
		bare_print("boot: the memory map has %u entries too many; %lu KiB stay unused\n",
			   map.truncated + boot->truncated, map.dropped_bytes >> 10);
}

// `mem=` takes memory away at the top.
static void map_limit(uint64_t limit_bytes)
{
	struct memmap_request request = {.align = BARE_PAGE_SIZE, .node = MEMMAP_NODE_ANY, .from = MEMMAP_HIGHEST};
	uint64_t start;
	for (uint64_t left = memmap_usable_bytes(&map); left > limit_bytes; left = memmap_usable_bytes(&map)) {
		request.size_bytes = (left - limit_bytes) & ~(BARE_PAGE_SIZE - 1);
		while (request.size_bytes > 0 && memmap_take(&map, &request, &start) != 0)
			request.size_bytes = request.size_bytes / 2 & ~(BARE_PAGE_SIZE - 1);
		if (request.size_bytes == 0)
			return;
	}
}

// A table for every 2 MiB between the ends of RAM, whose holes cost none but are not worth the arithmetic; stacks and the rest.
static void pool_place(void)
{
	const struct memmap_entry *last = NULL, *first = NULL;
	for (uint32_t i = 0; i < map.count; i++) {
		if (map.entries[i].kind != MEMMAP_USABLE)
			continue;
		first = first == NULL ? &map.entries[i] : first;
		last = &map.entries[i];
	}
	if (last == NULL)
		bare_die("boot: the firmware names no memory that can be used");
	uint64_t size = POOL_FIXED + (last->end - first->start) / BARE_LARGE_SIZE * BARE_PAGE_SIZE / 64 * 65;
	struct memmap_request request = {.size_bytes = (size + BARE_PAGE_SIZE - 1) & ~(BARE_PAGE_SIZE - 1),
					 .align = BARE_PAGE_SIZE,
					 .min = bare.boot.image_phys,
					 .node = MEMMAP_NODE_ANY};
	// What is left of the image's last large page is of no other use: the window begins behind it.
	request.max = request.min + bare.boot.image_size_bytes + BARE_LARGE_SIZE - 1;
	request.max &= ~(BARE_LARGE_SIZE - 1);
	tb_err err = memmap_take(&map, &request, &bare.pool_phys);
	if (err != 0) {
		request.min = 0;
		request.max = arch_early_limit;
		request.from = MEMMAP_HIGHEST;
		err = memmap_take(&map, &request, &bare.pool_phys);
	}
	if (err != 0)
		bare_die("boot: no %lu KiB of memory for the HAL", size >> 10);
	bare.pool_size_bytes = request.size_bytes;
}

// The window begins at a large page, because struct kernel stands at its start. The first run also holds what the kernel needs to
// describe all the others: one that is small beside them (what lies below an image, say) is passed over.
static void runs_choose(void)
{
	struct hal_boot_info *info = &bare.info;
	struct memmap_run runs[HAL_MAX_NODES];
	uint64_t left_out, usable_bytes = memmap_usable_bytes(&map);
	uint32_t count = memmap_runs(&map, 0, 0 - BARE_LARGE_SIZE, BARE_PAGE_SIZE, runs, HAL_MAX_NODES, &left_out);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = runs[i].start, end = runs[i].start + runs[i].size_bytes;
		if (info->node_count == 0 && runs[i].size_bytes < usable_bytes / FIRST_SHARE)
			continue;
		if (info->node_count == 0) {
			start = (start + BARE_LARGE_SIZE - 1) & ~(BARE_LARGE_SIZE - 1);
			bare.ram_phys = start;
		}
		if (start >= end || end - start < BARE_LARGE_SIZE)
			continue;
		info->nodes[info->node_count++] =
			(struct hal_ram_node){start - bare.ram_phys, end - start, runs[i].node, 0};
		info->ram_size_bytes += end - start;
		bare.ram_end = end;
		if (runs[i].node >= bare.node_count)
			bare.node_count = runs[i].node + 1;
	}
	if (info->node_count == 0)
		bare_die("boot: no run of memory holds a large page");
}

void machine_init(void)
{
	map_fill(&bare.boot);
	if (bare.options.mem_size_bytes != 0)
		map_limit(bare.options.mem_size_bytes);
	pool_place();
	runs_choose();
}

// ---- the pool ---------------------------------------------------------------------------------------------------------

uint64_t pool_alloc(uint64_t size_bytes)
{
	uint64_t phys = 0;
	size_bytes = (size_bytes + BARE_PAGE_SIZE - 1) & ~(BARE_PAGE_SIZE - 1);
	bool was = bare_lock_take(&bare.pool_lock);
	if (size_bytes <= bare.pool_size_bytes - bare.pool_next) {
		phys = bare.pool_phys + bare.pool_next;
		bare.pool_next += size_bytes;
	}
	bare_lock_free(&bare.pool_lock, was);
	if (phys != 0)
		memset(bare_phys(phys), 0, size_bytes);
	return phys;
}

void *bare_phys(uint64_t phys)
{
	if (!bare.paged)
		return (void *)phys;
	return (void *)(BARE_POOL_BASE + (phys - bare.pool_phys));
}
