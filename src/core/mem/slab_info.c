// SPDX-License-Identifier: MIT
//
// What can be known about caches: figures, leaks by call site, and whether every list and count agrees.
#include "slab_impl.h"

#include "hal/cpu.h"
#include "kern/log.h"

#define LEAKS_LOGGED 8u

// ---- figures -------------------------------------------------------------------------------------------------------

struct tally {
	uint32_t refilled, flushed;
	uint32_t held; // in CPUs' magazines
	uint32_t depot;
};

// How many objects another CPU's magazine has. Its first object may be handed out meanwhile and say anything: a guess then, but
// RAM is always readable.
static no_asan no_tsan uint32_t magazine_guess(const struct slab_line *line, void *const *magazine)
{
	void *first = *(void *const volatile *)magazine;
	if (first == NULL)
		return 0;
	uint32_t depth = *(volatile uint32_t *)&slab_link_at(first, line->link_offset)->depth;
	return MIN(depth, 2 * line->limit);
}

// Counts of other CPUs are read while they change: they agree when all is quiet.
static void tally_cache(struct slab_cache *cache, struct tally *tally)
{
	struct kernel *kernel = kernel_self();
	*tally = (struct tally){0};
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		const struct slab_line *line = &kernel->cpus[i]->slab->lines[cache->id];
		tally->refilled += atomic_load_u32_relaxed_nopoint(&line->refilled);
		tally->flushed += atomic_load_u32_relaxed_nopoint(&line->flushed);
		tally->held += magazine_guess(line, &line->hot) + magazine_guess(line, &line->previous);
	}
	spin_lock(&cache->depot.lock);
	for (void *magazine = cache->depot.first; magazine != NULL; magazine = slab_link(cache, magazine)->chain)
		tally->depot += slab_link(cache, slab_link(cache, magazine)->next)->depth + 1;
	spin_unlock(&cache->depot.lock);
}

static void cache_info(struct slab_cache *cache, struct slab_info *info)
{
	struct tally tally;
	tally_cache(cache, &tally);
	spin_lock(&cache->lock);
	*info = (struct slab_info){
		.name = cache->name,
		.object_size_bytes = cache->size_bytes,
		.align = cache->align,
		.objects_live = tally.refilled - tally.flushed - tally.held,
		.objects_total = cache->slab_count * cache->per_slab,
		.slabs = cache->slab_count,
		.frames = cache->slab_count << cache->order,
		.magazine_rounds = atomic_load_u32_relaxed_nopoint(&cache->depot.limit),
		.allocs = tally.refilled,
		.frees = tally.flushed,
	};
	spin_unlock(&cache->lock);
}

// fn runs without the lock, so that it may do whatever it likes.
void slab_each(void (*fn)(const struct slab_info *, void *), void *arg)
{
	struct slab_state *state = slab_state();
	for (uint32_t id = 1; id < SLAB_CACHES_MAX; id++) {
		struct slab_info info;
		mutex_lock(&state->lock);
		bool there = state->caches[id] != NULL;
		if (there)
			cache_info(state->caches[id], &info);
		mutex_unlock(&state->lock);
		if (there)
			fn(&info, arg);
	}
}

// ---- leaks ---------------------------------------------------------------------------------------------------------

struct leak_list {
	struct slab_leak *leaks;
	uint32_t capacity;
	uint32_t count;
};

#if CONFIG_MEMDEBUG

// What does not fit is summed up in the last entry.
static void leak_add(struct leak_list *list, const char *cache, uintptr_t where, uint32_t bytes)
{
	uint32_t i = 0;
	while (i < list->count && (list->leaks[i].cache != cache || list->leaks[i].where != where))
		i++;
	if (i == list->count && i < list->capacity)
		list->leaks[list->count++] = (struct slab_leak){.cache = cache, .where = where};
	if (i == list->capacity) {
		i = list->capacity - 1;
		list->leaks[i].cache = "(others)";
		list->leaks[i].where = 0;
	}
	list->leaks[i].objects++;
	list->leaks[i].bytes += bytes;
}

static void leaks_of_slab(struct leak_list *list, struct slab_cache *cache, const char *base)
{
	for (uint32_t i = 0; i < cache->per_slab; i++) {
		const struct slab_tag *tag = slab_tag(cache, base + (size_t)i * cache->stride_bytes);
		if (atomic_load_u32_relaxed_nopoint(&tag->state) == SLAB_TAG_LIVE)
			leak_add(list, cache->name, tag->where, tag->requested_bytes);
	}
}

static void leaks_of_cache(struct leak_list *list, struct slab_cache *cache)
{
	struct frame_state *state = frame_state();
	const uint32_t heads[] = {cache->partial, cache->full};
	spin_lock(&cache->lock);
	for (uint32_t i = 0; i < array_count(heads); i++)
		for (uint32_t at = heads[i]; at != 0; at = frame_at(state, at)->next)
			leaks_of_slab(list, cache, frame_address(state, at));
	spin_unlock(&cache->lock);
}

#else

static void leaks_of_cache(struct leak_list *list, struct slab_cache *cache)
{
	(void)list;
	(void)cache;
}

#endif

// Most objects first; equal ones by place, which is the same in every run.
static bool leak_before(const struct slab_leak *a, const struct slab_leak *b)
{
	if (a->objects != b->objects)
		return a->objects > b->objects;
	return (intptr_t)a->where < (intptr_t)b->where;
}

static void leaks_sort(struct leak_list *list)
{
	for (uint32_t i = 1; i < list->count; i++) {
		struct slab_leak leak = list->leaks[i];
		uint32_t at = i;
		for (; at > 0 && leak_before(&leak, &list->leaks[at - 1]); at--)
			list->leaks[at] = list->leaks[at - 1];
		list->leaks[at] = leak;
	}
}

uint32_t slab_leaks(struct slab_leak *leaks, uint32_t capacity)
{
	struct slab_state *state = slab_state();
	struct leak_list list = {.leaks = leaks, .capacity = capacity};
	VERIFY3(capacity, !=, 0);
	mutex_lock(&state->lock);
	for (uint32_t id = 1; id < SLAB_CACHES_MAX; id++)
		if (state->caches[id] != NULL)
			leaks_of_cache(&list, state->caches[id]);
	mutex_unlock(&state->lock);
	leaks_sort(&list);
	return list.count;
}

void slab_log_leaks(struct slab_cache *cache, uint32_t live)
{
	struct slab_leak leaks[LEAKS_LOGGED];
	struct leak_list list = {.leaks = leaks, .capacity = LEAKS_LOGGED};
	log_err("slab: %s: %u objects are still live", cache->name, live);
	leaks_of_cache(&list, cache);
	leaks_sort(&list);
	for (uint32_t i = 0; i < list.count; i++)
		log_err("slab: %s: %u of them (%u bytes) from image%+ld", leaks[i].cache, leaks[i].objects,
			leaks[i].bytes, (long)(intptr_t)leaks[i].where);
}

// ---- checking ------------------------------------------------------------------------------------------------------

static err_t check_failed(const struct slab_cache *cache, const char *what, uint32_t index)
{
	log_err("slab: %s: slab at frame %u: %s", cache->name, index, what);
	return ERR(EUCLEAN);
}

static err_t check_free_list(const struct slab_cache *cache, const struct frame *slab, char *base, uint32_t index)
{
	uint32_t expected = slab->slab_carved - slab->slab_used;
	char *object = slab->slab_free == 0 ? NULL : base + (size_t)(slab->slab_free - 1) * 8;
	uint32_t seen = 0;
	for (; object != NULL; seen++) {
		size_t offset = (size_t)(object - base);
		if (seen == expected)
			return check_failed(cache, "free list too long", index);
		if (offset >= (size_t)FRAME_SIZE << cache->order || offset % cache->stride_bytes != 0)
			return check_failed(cache, "free list leads out of the slab", index);
		err_t err = slab_debug_check_free(cache, object);
		if (err != 0)
			return err;
		object = slab_link(cache, object)->next;
	}
	return seen == expected ? 0 : check_failed(cache, "free list too short", index);
}

struct list_check {
	uint32_t min_used, max_used;
	uint32_t slabs, used;
};

static err_t check_list(const struct slab_cache *cache, uint32_t head, struct list_check *check)
{
	struct frame_state *state = frame_state();
	uint32_t prev = 0;
	for (uint32_t index = head; index != 0; index = frame_at(state, index)->next) {
		const struct frame *slab = frame_at(state, index);
		if (frame_word_kind(frame_word(slab)) != FRAME_SLAB || slab->cache != cache)
			return check_failed(cache, "not a slab of this cache", index);
		if (slab->prev != prev || check->slabs++ == cache->slab_count)
			return check_failed(cache, "list is damaged", index);
		if (slab->slab_used < check->min_used || slab->slab_used > check->max_used)
			return check_failed(cache, "on the wrong list", index);
		err_t err = check_free_list(cache, slab, frame_address(state, index), index);
		if (err != 0)
			return err;
		check->used += slab->slab_used;
		prev = index;
	}
	return 0;
}

static err_t check_cache_locked(const struct slab_cache *cache)
{
	struct list_check empty = {0, 0, 0, 0};
	struct list_check partial = {1, cache->per_slab - 1, 0, 0};
	struct list_check full = {cache->per_slab, cache->per_slab, 0, 0};
	err_t err = check_list(cache, cache->empty, &empty);
	if (err == 0)
		err = check_list(cache, cache->partial, &partial);
	if (err == 0)
		err = check_list(cache, cache->full, &full);
	if (err != 0)
		return err;
	if (empty.slabs != cache->empty_count || empty.slabs + partial.slabs + full.slabs != cache->slab_count)
		return check_failed(cache, "slabs are miscounted", 0);
	if (partial.used + full.used != cache->out_count)
		return check_failed(cache, "objects are miscounted", 0);
	return 0;
}

// Objects out of slabs against those that CPUs and depot account for; what moves meanwhile shows as a difference once.
static err_t check_tally(struct slab_cache *cache)
{
	for (uint32_t tries = 0; tries < CHECK_TRIES; tries++) {
		struct tally tally;
		tally_cache(cache, &tally);
		spin_lock(&cache->lock);
		uint32_t out = cache->out_count;
		spin_unlock(&cache->lock);
		if (out == tally.refilled - tally.flushed + tally.depot)
			return 0;
		hal_cpu_relax();
	}
	return check_failed(cache, "objects are lost between slabs and magazines", 0);
}

err_t slab_check(void)
{
	struct slab_state *state = slab_state();
	err_t err = 0;
	mutex_lock(&state->lock);
	for (uint32_t id = 1; id < SLAB_CACHES_MAX && err == 0; id++) {
		struct slab_cache *cache = state->caches[id];
		if (cache == NULL)
			continue;
		spin_lock(&cache->lock);
		err = check_cache_locked(cache);
		spin_unlock(&cache->lock);
		if (err == 0)
			err = check_tally(cache);
	}
	mutex_unlock(&state->lock);
	return err;
}
