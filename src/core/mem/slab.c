// SPDX-License-Identifier: MIT
//
// Caches: made, destroyed and reaped; and what happens when this CPU's loaded magazine does not serve, which is the only
// place where anything is counted.
#include "slab_impl.h"

#include "kern/counter.h"
#include "kern/image.h"
#include "kern/log.h"
#include "kern/trace.h"

// ---- magazines of a CPU --------------------------------------------------------------------------------------------
// All with preemption off.

static struct magazine *magazine_of(void **rounds)
{
	return (struct magazine *)((uintptr_t)rounds - offsetof(struct magazine, rounds));
}

static struct magazine *local_unload(struct slab_cpu *local)
{
	if (local->rounds == NULL)
		return NULL;
	struct magazine *magazine = magazine_of(local->rounds);
	magazine->count = local->count;
	return magazine;
}

static void local_load(struct slab_cpu *local, struct magazine *magazine)
{
	local->rounds = magazine->rounds;
	local->capacity = (uint16_t)magazine->capacity;
	atomic_store_u32_relaxed_nopoint(&local->count, magazine->count);
}

static void local_previous_set(struct slab_cpu *local, struct magazine *magazine)
{
	uint16_t count = magazine != NULL ? (uint16_t)magazine->count : 0;
	local->previous = magazine;
	__atomic_store_n(&local->previous_count, count, __ATOMIC_RELAXED);
}

static void local_swap(struct slab_cpu *local)
{
	struct magazine *loaded = local_unload(local);
	local_load(local, local->previous);
	local_previous_set(local, loaded);
}

// The loaded magazine is empty. True: it no longer is.
static bool local_refill(struct slab_cache *cache, struct slab_cpu *local)
{
	if (local->previous != NULL && local->previous->count != 0) {
		local_swap(local);
		return true;
	}
	struct magazine *full = depot_take_full(cache, local->previous);
	if (full != NULL) {
		local_previous_set(local, local_unload(local));
		local_load(local, full);
	} else {
		if (local->rounds == NULL) {
			struct magazine *empty = depot_take_empty(cache);
			if (empty == NULL)
				return false;
			local_load(local, empty);
		}
		uint32_t count = slab_take(cache, local->rounds, (local->capacity + 1) / 2);
		atomic_store_u32_relaxed_nopoint(&local->count, count);
	}
	local_add(&local->refilled, local->count);
	counter_inc(COUNTER_SLAB_REFILLS);
	return local->count != 0;
}

// The loaded magazine is full. True: it no longer is.
static bool local_flush(struct slab_cache *cache, struct slab_cpu *local)
{
	if (local->previous != NULL && local->previous->count < local->previous->capacity) {
		local_swap(local);
		return true;
	}
	struct magazine *empty = depot_take_empty(cache);
	if (empty == NULL)
		return false;
	struct magazine *full = local->previous;
	local_previous_set(local, local_unload(local));
	local_load(local, empty);
	if (full != NULL) {
		local_add(&local->flushed, full->count);
		depot_give_full(cache, full);
		counter_inc(COUNTER_SLAB_FLUSHES);
	}
	return true;
}

// ---- allocating ----------------------------------------------------------------------------------------------------

static void *alloc_once(struct slab_cache *cache)
{
	preempt_disable();
	struct slab_cpu *local = slab_cpu_of(hal_self(), cache->id);
	void *object = slab_cpu_pop(local);
	if (object == NULL) {
		// Without memory for a magazine the object comes from its slab.
		if (local_refill(cache, local))
			object = slab_cpu_pop(local);
		else if (slab_take(cache, &object, 1) != 0)
			local_add(&local->refilled, 1);
	}
	preempt_enable();
	return object;
}

no_inline void *slab_alloc_slow(struct slab_cache *cache, uint32_t mem_flags)
{
	for (;;) {
		void *object = alloc_once(cache);
		if (object != NULL)
			return object;
		if (slab_grow(cache, mem_flags) != 0) {
			counter_inc(COUNTER_SLAB_FAILURES);
			return NULL;
		}
	}
}

no_inline void slab_free_slow(struct slab_cache *cache, void *object)
{
	preempt_disable();
	struct slab_cpu *local = slab_cpu_of(hal_self(), cache->id);
	if (!slab_cpu_push(local, object)) {
		bool room = local_flush(cache, local);
		if (!room || !slab_cpu_push(local, object)) {
			local_add(&local->flushed, 1);
			slab_give(cache, &object, 1);
		}
	}
	preempt_enable();
}

// Contents that a constructor made are left alone.
no_inline void slab_fill(const struct slab_cache *cache, void *object, uint32_t mem_flags)
{
	uint32_t poison = kernel_self()->poison;
	uint32_t size_bytes = cache->size_bytes;
#if SLAB_TAGGED
	size_bytes = slab_tag(cache, object)->requested_bytes;
#endif
	if (cache->construct != NULL)
		return;
	if (mem_flags & MEM_ZERO)
		memset(object, 0, size_bytes);
	else if (poison != 0)
		memset(object, (int)poison, size_bytes);
}

void *slab_alloc(struct slab_cache *cache, uint32_t mem_flags)
{
	if (fault_should_fail(mem_flags))
		return NULL;
	void *object = slab_alloc_fast(cache->id);
	if (unlikely(object == NULL))
		object = slab_alloc_slow(cache, mem_flags);
	if (unlikely(object == NULL))
		return NULL;
#if SLAB_TAGGED
	slab_debug_alloc(cache, object, cache->size_bytes, CALLER());
#endif
	if (unlikely((mem_flags | kernel_self()->poison) != 0))
		slab_fill(cache, object, mem_flags);
	return object;
}

void slab_free(struct slab_cache *cache, void *object)
{
#if SLAB_TAGGED
	slab_debug_free(cache, object, CALLER());
#endif
	if (unlikely(!slab_free_fast(cache->id, object)))
		slab_free_slow(cache, object);
}

// ---- caches --------------------------------------------------------------------------------------------------------

// The smallest slab that wastes at most an eighth and holds 8 objects, else the largest.
static void cache_choose_order(struct slab_cache *cache)
{
	for (cache->order = 0; cache->order < SLAB_ORDER_MAX; cache->order++) {
		uint32_t size_bytes = FRAME_SIZE << cache->order;
		uint32_t objects = size_bytes / cache->stride_bytes;
		if (objects >= 8 && (size_bytes - objects * cache->stride_bytes) * 8 <= size_bytes)
			break;
	}
	cache->per_slab = (FRAME_SIZE << cache->order) / cache->stride_bytes;
}

// Where the link and the tag go, and how far apart objects are.
static void cache_lay_out(struct slab_cache *cache)
{
	uint32_t size_bytes = ALIGN_UP(cache->size_bytes, 8u);
#if SLAB_TAGGED
	cache->tag_offset = size_bytes + SLAB_RED_SIZE;
	cache->link_offset = cache->tag_offset + (uint32_t)offsetof(struct slab_tag, link);
	size_bytes = cache->tag_offset + (uint32_t)sizeof(struct slab_tag);
#else
	cache->link_offset = cache->construct != NULL ? size_bytes : 0;
	if (cache->construct != NULL)
		size_bytes += 8;
#endif
	cache->stride_bytes = ALIGN_UP(size_bytes, cache->align);
}

err_t slab_cache_setup(struct slab_cache *cache, uint32_t id, const struct slab_params *params, bool bare)
{
	uint32_t natural = MIN(1u << bit_lowest_u32(params->size_bytes | SLAB_ALIGN_MAX), SLAB_ALIGN_MAX);
	cache->name = params->name;
	cache->id = id;
	cache->size_bytes = params->size_bytes;
	cache->align = MAX(params->align != 0 ? params->align : natural, 8u);
	cache->flags = params->flags;
	cache->bare = bare;
	cache->construct = params->construct;
	cache->destruct = params->destruct;
	cache->account = params->account != NULL ? params->account : account_root();
	cache_lay_out(cache);
	cache_choose_order(cache);
	if (cache->per_slab == 0)
		return ERR(EINVAL);
	spin_init(&cache->lock, LOCK_RANK_SLAB, cache->name);
	depot_init(cache);
	slab_state()->caches[id] = cache;
	return 0;
}

static bool params_are_valid(const struct slab_params *params)
{
	if (params->name == NULL || params->size_bytes == 0 || params->size_bytes > SLAB_OBJECT_MAX)
		return false;
	if (params->align != 0 && (!IS_POWER_OF_2(params->align) || params->align > SLAB_ALIGN_MAX))
		return false;
	return (params->flags & MEM_USER) == 0;
}

static uint32_t free_id_locked(const struct slab_state *state)
{
	for (uint32_t id = 1; id < SLAB_CACHES_MAX; id++)
		if (state->caches[id] == NULL)
			return id;
	return 0;
}

err_t slab_cache_create(const struct slab_params *params, struct slab_cache **out)
{
	struct slab_state *state = slab_state();
	if (!params_are_valid(params))
		return ERR(EINVAL);
	struct slab_cache *cache = kmalloc_aligned(sizeof *cache, CACHE_LINE_SIZE, MEM_ZERO);
	if (cache == NULL)
		return ERR(ENOMEM);
	mutex_lock(&state->lock);
	uint32_t id = free_id_locked(state);
	err_t err = id == 0 ? ERR(ENOMEM) : slab_cache_setup(cache, id, params, false);
	mutex_unlock(&state->lock);
	if (err != 0) {
		kfree(cache);
		return err;
	}
	account_ref(cache->account);
	*out = cache;
	return 0;
}

static void local_empty(struct slab_cache *cache, struct slab_cpu *local)
{
	struct magazine *loaded = local_unload(local);
	struct magazine *previous = local->previous;
	local_add(&local->flushed, atomic_load_u32_relaxed_nopoint(&local->count) + local->previous_count);
	atomic_store_u32_relaxed_nopoint(&local->count, 0);
	local->capacity = 0;
	local->rounds = NULL;
	local_previous_set(local, NULL);
	if (loaded != NULL)
		magazine_drain(cache, loaded);
	if (previous != NULL)
		magazine_drain(cache, previous);
}

uint32_t slab_cache_empty(struct kernel *kernel, struct slab_cache *cache)
{
	for (uint32_t i = 0; i < kernel->cpu_count && !cache->bare; i++)
		local_empty(cache, &kernel->cpus[i]->slab[cache->id]);
	depot_reap(cache);
	slab_release_empty(cache, 0);
	spin_lock(&cache->lock);
	uint32_t live = cache->out_count;
	spin_unlock(&cache->lock);
	return live;
}

err_t slab_cache_destroy(struct slab_cache *cache)
{
	struct slab_state *state = slab_state();
	mutex_lock(&state->lock);
	uint32_t live = slab_cache_empty(kernel_self(), cache);
	if (live == 0)
		state->caches[cache->id] = NULL;
	mutex_unlock(&state->lock);
	if (live != 0) {
		slab_log_leaks(cache, live);
		return ERR(EBUSY);
	}
	account_release(cache->account);
	kfree(cache);
	return 0;
}

// ---- giving back ---------------------------------------------------------------------------------------------------

// This CPU's magazines and the depot; what other CPUs have loaded is theirs.
static uint32_t cache_reap(struct slab_cache *cache)
{
	if (!cache->bare) {
		preempt_disable();
		local_empty(cache, slab_cpu_of(hal_self(), cache->id));
		preempt_enable();
	}
	depot_reap(cache);
	return slab_release_empty(cache, 0);
}

static uint32_t reap_all(void)
{
	struct slab_state *state = slab_state();
	uint32_t frames = 0;
	mutex_lock(&state->lock);
	// Magazines have the lowest ids and come last: emptying the others fills theirs.
	for (uint32_t id = SLAB_CACHES_MAX; id-- > 1;)
		if (state->caches[id] != NULL)
			frames += cache_reap(state->caches[id]);
	mutex_unlock(&state->lock);
	return frames;
}

void slab_reap(void)
{
	reap_all();
}

static uint32_t slab_shrink(struct pressure_callback *callback, uint32_t wanted_frames)
{
	(void)callback;
	(void)wanted_frames;
	return reap_all();
}

void slab_shutdown(void)
{
	struct kernel *kernel = kernel_self();
	struct slab_state *state = kernel->slab;
	mutex_lock(&state->lock);
	for (uint32_t id = SLAB_CACHES_MAX; id-- > 1;)
		if (state->caches[id] != NULL)
			(void)slab_cache_empty(kernel, state->caches[id]);
	mutex_unlock(&state->lock);
}

// ---- boot ----------------------------------------------------------------------------------------------------------

static err_t magazines_init(struct slab_state *state)
{
	static const char *const names[MAGAZINE_TYPES] = {"magazine-6", "magazine-14", "magazine-30", "magazine-62",
							  "magazine-126"};
	for (uint32_t type = 0; type < MAGAZINE_TYPES; type++) {
		uint32_t size_bytes = (uint32_t)offsetof(struct magazine, rounds) +
				      magazine_capacity(type) * (uint32_t)sizeof(void *);
		struct slab_params params = {.name = names[type], .size_bytes = size_bytes};
		err_t err = slab_cache_setup(&state->magazines[type], SLAB_ID_MAGAZINES + type, &params, true);
		if (err != 0)
			return err;
	}
	return 0;
}

err_t slab_init_arena(struct kernel *kernel)
{
	struct slab_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	if (state == NULL)
		return ERR(ENOMEM);
	state->magazines = boot_alloc(kernel, MAGAZINE_TYPES * sizeof(struct slab_cache), CACHE_LINE_SIZE);
	state->classes = boot_alloc(kernel, KMALLOC_CLASSES * sizeof(struct slab_cache), CACHE_LINE_SIZE);
	if (state->magazines == NULL || state->classes == NULL)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		size_t size_bytes = SLAB_CACHES_MAX * sizeof(struct slab_cpu);
		kernel->cpus[i]->slab = boot_alloc(kernel, size_bytes, CACHE_LINE_SIZE);
		if (kernel->cpus[i]->slab == NULL)
			return ERR(ENOMEM);
	}
	kernel->slab = state;
	return 0;
}

err_t slab_init(struct kernel *kernel)
{
	struct slab_state *state = kernel->slab;
	mutex_init(&state->lock, LOCK_RANK_CACHE_LIST, "slab: caches");
	err_t err = magazines_init(state);
	if (err == 0)
		err = kmalloc_init(state);
	if (err != 0)
		return err;
	state->pressure = (struct pressure_callback){.name = "slab", .order = 100, .shrink = slab_shrink};
	pressure_register(&state->pressure);
	return 0;
}
