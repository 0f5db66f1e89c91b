// SPDX-License-Identifier: MIT
//
// The depot of a cache: magazines that no CPU has loaded, full and empty. It is where objects freed on one CPU reach
// another, a magazine at a time. When CPUs meet at its lock often, new magazines are made larger; what is left of the old
// size goes back to its own cache when it comes by empty.
#include "slab_impl.h"

#include "kern/counter.h"

#define DEPOT_LOOK_EVERY 64u   // exchanges between two looks at contention
#define DEPOT_CONTENDED_MAX 4u // waits among them that call for larger magazines
#define DEPOT_EMPTY_MAX 4u     // empty magazines kept

static uint32_t magazine_type(const struct magazine *magazine)
{
	return bit_highest_u32(magazine->capacity + 2) - 3;
}

static struct magazine *magazine_new(uint32_t type)
{
	struct slab_cache *cache = &slab_state()->magazines[type];
	void *memory;
	while (slab_take(cache, &memory, 1) == 0)
		if (slab_grow(cache, 0) != 0)
			return NULL;
#if CONFIG_ASAN
	hal_ram_unpoison(memory, cache->size_bytes);
#endif
	struct magazine *magazine = memory;
	*magazine = (struct magazine){.capacity = magazine_capacity(type)};
	return magazine;
}

static void magazine_delete(struct magazine *magazine)
{
	void *memory = magazine;
	struct slab_cache *cache = &slab_state()->magazines[magazine_type(magazine)];
#if CONFIG_ASAN
	hal_ram_poison(memory, cache->size_bytes);
#endif
	slab_give(cache, &memory, 1);
}

static struct magazine *magazine_pop(struct magazine **list, uint32_t *count)
{
	struct magazine *magazine = *list;
	if (magazine == NULL)
		return NULL;
	*list = magazine->next;
	magazine->next = NULL;
	--*count;
	return magazine;
}

static void magazine_push(struct magazine **list, uint32_t *count, struct magazine *magazine)
{
	magazine->next = *list;
	*list = magazine;
	++*count;
}

static void depot_lock(struct depot *depot)
{
	if (!spin_trylock(&depot->lock)) {
		spin_lock(&depot->lock);
		depot->contended++;
	}
	if (++depot->exchanges < DEPOT_LOOK_EVERY)
		return;
	if (depot->contended >= DEPOT_CONTENDED_MAX && depot->type < depot->type_max)
		depot->type++;
	depot->exchanges = 0;
	depot->contended = 0;
}

void depot_init(struct slab_cache *cache)
{
	struct depot *depot = &cache->depot;
	// Two loaded magazines of a CPU: 8 KiB of objects to begin with, 64 KiB at most.
	while (depot->type < 3 && magazine_capacity(depot->type + 1) * cache->size_bytes <= 4096)
		depot->type++;
	depot->type_max = depot->type;
	while (depot->type_max < MAGAZINE_TYPES - 1 &&
	       magazine_capacity(depot->type_max + 1) * cache->size_bytes <= 32768)
		depot->type_max++;
	spin_init(&depot->lock, LOCK_RANK_SLAB_DEPOT, "slab: depot");
}

// Whether an empty magazine is worth keeping; its size may be out of fashion.
static bool empty_is_kept(const struct depot *depot, const struct magazine *magazine)
{
	return depot->empty_count < DEPOT_EMPTY_MAX && magazine_type(magazine) == depot->type;
}

struct magazine *depot_take_full(struct slab_cache *cache, struct magazine *empty)
{
	struct depot *depot = &cache->depot;
	depot_lock(depot);
	struct magazine *full = magazine_pop(&depot->full, &depot->full_count);
	if (full != NULL && empty != NULL && empty_is_kept(depot, empty)) {
		magazine_push(&depot->empty, &depot->empty_count, empty);
		empty = NULL;
	}
	spin_unlock(&depot->lock);
	if (full != NULL && empty != NULL)
		magazine_delete(empty);
	return full;
}

static uint32_t full_limit(const struct slab_cache *cache)
{
	return MAX(2u, DEPOT_LIMIT_BYTES / (magazine_capacity(cache->depot.type) * cache->size_bytes));
}

void depot_give_full(struct slab_cache *cache, struct magazine *full)
{
	struct depot *depot = &cache->depot;
	struct magazine *surplus = NULL;
	depot_lock(depot);
	magazine_push(&depot->full, &depot->full_count, full);
	if (depot->full_count > full_limit(cache))
		surplus = magazine_pop(&depot->full, &depot->full_count);
	spin_unlock(&depot->lock);
	if (surplus != NULL)
		magazine_drain(cache, surplus);
}

struct magazine *depot_take_empty(struct slab_cache *cache)
{
	struct depot *depot = &cache->depot;
	depot_lock(depot);
	struct magazine *empty = magazine_pop(&depot->empty, &depot->empty_count);
	uint32_t type = depot->type;
	spin_unlock(&depot->lock);
	return empty != NULL ? empty : magazine_new(type);
}

void depot_give_empty(struct slab_cache *cache, struct magazine *empty)
{
	struct depot *depot = &cache->depot;
	spin_lock(&depot->lock);
	bool kept = empty_is_kept(depot, empty);
	if (kept)
		magazine_push(&depot->empty, &depot->empty_count, empty);
	spin_unlock(&depot->lock);
	if (!kept)
		magazine_delete(empty);
}

void magazine_drain(struct slab_cache *cache, struct magazine *magazine)
{
	slab_give(cache, magazine->rounds, magazine->count);
	magazine->count = 0;
	depot_give_empty(cache, magazine);
}

// Everything the depot holds goes back to slabs.
void depot_reap(struct slab_cache *cache)
{
	struct depot *depot = &cache->depot;
	for (;;) {
		spin_lock(&depot->lock);
		struct magazine *full = magazine_pop(&depot->full, &depot->full_count);
		struct magazine *empty = magazine_pop(&depot->empty, &depot->empty_count);
		spin_unlock(&depot->lock);
		if (full != NULL) {
			slab_give(cache, full->rounds, full->count);
			magazine_delete(full);
		}
		if (empty != NULL)
			magazine_delete(empty);
		if (full == NULL && empty == NULL)
			return;
	}
}
