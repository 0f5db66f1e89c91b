// SPDX-License-Identifier: MIT
//
// Slab caches: laid out, made, destroyed, reaped; and the slab's own boot.
#include "slab_impl.h"

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
	size_bytes = MAX(size_bytes, cache->link_offset + (uint32_t)sizeof(struct slab_link));
#endif
	cache->stride_bytes = ALIGN_UP(size_bytes, cache->align);
}

err_t slab_cache_setup(struct slab_cache *cache, uint32_t id, const struct slab_params *params)
{
	uint32_t natural = MIN(1u << bit_lowest_u32(params->size_bytes | SLAB_ALIGN_MAX), SLAB_ALIGN_MAX);
	cache->name = params->name;
	cache->id = id;
	cache->size_bytes = params->size_bytes;
	cache->align = MAX(params->align != 0 ? params->align : natural, 8u);
	cache->flags = params->flags;
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
	err_t err = id == 0 ? ERR(ENOMEM) : slab_cache_setup(cache, id, params);
	mutex_unlock(&state->lock);
	if (err != 0) {
		kfree(cache);
		return err;
	}
	account_ref(cache->account);
	*out = cache;
	return 0;
}

uint32_t slab_cache_empty(struct kernel *kernel, struct slab_cache *cache)
{
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		slab_cpu_empty(cache, kernel->cpus[i]->slab);
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

static uint32_t cache_reap(struct slab_cache *cache)
{
	slab_magazines_collect(cache);
	depot_reap(cache);
	return slab_release_empty(cache, 0);
}

static uint32_t reap_all(void)
{
	struct slab_state *state = slab_state();
	uint32_t frames = 0;
	mutex_lock(&state->lock);
	for (uint32_t id = 1; id < SLAB_CACHES_MAX; id++)
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
	for (uint32_t id = 1; id < SLAB_CACHES_MAX; id++)
		if (state->caches[id] != NULL)
			(void)slab_cache_empty(kernel, state->caches[id]);
	mutex_unlock(&state->lock);
}

// ---- boot ----------------------------------------------------------------------------------------------------------

err_t slab_init_arena(struct kernel *kernel)
{
	struct slab_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	if (state == NULL)
		return ERR(ENOMEM);
	state->classes = boot_alloc(kernel, KMALLOC_CLASSES * sizeof(struct slab_cache), CACHE_LINE_SIZE);
	if (state->classes == NULL)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct slab_cpu *cpu = boot_alloc(kernel, sizeof *cpu, CACHE_LINE_SIZE);
		if (cpu == NULL)
			return ERR(ENOMEM);
		cpu->base = kernel->frames->base;
		cpu->line_of = kernel->frames->line_of;
		cpu->frame_limit = kernel->frames->frame_limit;
		cpu->poison = kernel->poison;
		kernel->cpus[i]->slab = cpu;
	}
	kernel->slab = state;
	return 0;
}

err_t slab_init(struct kernel *kernel)
{
	struct slab_state *state = kernel->slab;
	mutex_init(&state->lock, LOCK_RANK_CACHE_LIST, "slab: caches");
	err_t err = kmalloc_init(state);
	if (err != 0)
		return err;
	state->pressure = (struct pressure_callback){.name = "slab", .order = 100, .shrink = slab_shrink};
	pressure_register(&state->pressure);
	return 0;
}
