// SPDX-License-Identifier: MIT
//
// The depot of a cache: full magazines that no CPU has loaded. It is where objects freed on one CPU reach another, a
// magazine at a time. When CPUs meet at its lock often, magazines are made larger.
#include "slab_impl.h"

#define MAGAZINE_BYTES 16384u     // objects of a magazine, at first …
#define MAGAZINE_BYTES_MAX 65536u // … and with contention
#define MAGAZINE_OBJECTS 64u      // likewise, and within these:
#define MAGAZINE_OBJECTS_MIN 4u
#define MAGAZINE_OBJECTS_MAX 256u
#define DEPOT_BYTES_MAX 1048576u // objects that a depot keeps, but never less than two magazines
#define DEPOT_LOOK_EVERY 64u     // exchanges between two looks at contention
#define DEPOT_CONTENDED_MAX 4u   // waits among them that call for larger magazines

void depot_init(struct slab_cache *cache)
{
	struct depot *depot = &cache->depot;
	depot->limit = CLAMP(MAGAZINE_BYTES / cache->size_bytes, MAGAZINE_OBJECTS_MIN, MAGAZINE_OBJECTS);
	depot->limit_max = CLAMP(MAGAZINE_BYTES_MAX / cache->size_bytes, MAGAZINE_OBJECTS_MIN, MAGAZINE_OBJECTS_MAX);
	spin_init(&depot->lock, LOCK_RANK_SLAB_DEPOT, "slab: depot");
}

static void depot_lock(struct depot *depot)
{
	if (!spin_trylock(&depot->lock)) {
		spin_lock(&depot->lock);
		depot->contended++;
	}
	if (++depot->exchanges < DEPOT_LOOK_EVERY)
		return;
	if (depot->contended >= DEPOT_CONTENDED_MAX)
		atomic_store_u32_relaxed_nopoint(&depot->limit, MIN(depot->limit * 2, depot->limit_max));
	depot->exchanges = 0;
	depot->contended = 0;
}

// The first object's link leads to the next magazine; how many objects there are its second one knows.
static void magazine_push(struct slab_cache *cache, void *magazine)
{
	slab_link(cache, magazine)->chain = cache->depot.first;
	cache->depot.first = magazine;
	cache->depot.count++;
}

static void *magazine_pop(struct slab_cache *cache)
{
	void *magazine = cache->depot.first;
	if (magazine == NULL)
		return NULL;
	struct slab_link *link = slab_link(cache, magazine);
	cache->depot.first = link->chain;
	cache->depot.count--;
	link->depth = slab_link(cache, link->next)->depth + 1;
	return magazine;
}

void *depot_take(struct slab_cache *cache)
{
	depot_lock(&cache->depot);
	void *magazine = magazine_pop(cache);
	spin_unlock(&cache->depot.lock);
	return magazine;
}

static uint32_t depot_limit(const struct slab_cache *cache)
{
	return MAX(2u, DEPOT_BYTES_MAX / (cache->depot.limit * cache->size_bytes));
}

void depot_give(struct slab_cache *cache, void *magazine)
{
	void *surplus = NULL;
	if (slab_link(cache, magazine)->next == NULL) {
		slab_give(cache, magazine);
		return;
	}
	depot_lock(&cache->depot);
	if (cache->depot.count >= depot_limit(cache))
		surplus = magazine_pop(cache);
	magazine_push(cache, magazine);
	spin_unlock(&cache->depot.lock);
	if (surplus != NULL)
		slab_give(cache, surplus);
}

void depot_reap(struct slab_cache *cache)
{
	void *magazine;
	while ((magazine = depot_take(cache)) != NULL)
		slab_give(cache, magazine);
}
