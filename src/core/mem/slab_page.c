// SPDX-License-Identifier: MIT
//
// Slabs: blocks of frames cut into objects. Everything about a slab is in the descriptor of its first frame, so an object
// finds its slab by rounding its address down. Objects that were never out are not linked: they are carved in order,
// so that the pages of a fresh slab are touched one by one.
#include "slab_impl.h"

#include "kern/counter.h"
#include "kern/trace.h"

// ---- lists of slabs (by frame index, across regions) ---------------------------------------------------------------

static void slab_list_push(struct frame_state *state, uint32_t *head, uint32_t index)
{
	struct frame *slab = frame_at(state, index);
	slab->next = *head;
	slab->prev = 0;
	if (*head != 0)
		frame_at(state, *head)->prev = index;
	*head = index;
}

static void slab_list_remove(struct frame_state *state, uint32_t *head, uint32_t index)
{
	struct frame *slab = frame_at(state, index);
	if (slab->prev != 0)
		frame_at(state, slab->prev)->next = slab->next;
	else
		*head = slab->next;
	if (slab->next != 0)
		frame_at(state, slab->next)->prev = slab->prev;
}

static uint32_t *slab_list_of(struct slab_cache *cache, uint32_t used)
{
	if (used == 0)
		return &cache->empty;
	return used == cache->per_slab ? &cache->full : &cache->partial;
}

// The slab's count of used objects changes: the one place where it moves between lists.
static void slab_used_set(struct frame_state *state, struct slab_cache *cache, uint32_t index, uint32_t used)
{
	struct frame *slab = frame_at(state, index);
	uint32_t *from = slab_list_of(cache, slab->slab_used);
	uint32_t *to = slab_list_of(cache, used);
	cache->out_count += used - slab->slab_used;
	slab->slab_used = (uint16_t)used;
	if (from == to)
		return;
	slab_list_remove(state, from, index);
	slab_list_push(state, to, index);
	cache->empty_count += (to == &cache->empty) - (from == &cache->empty);
}

struct frame *slab_of_object(struct frame_state *state, const struct slab_cache *cache, const void *object,
			     uint32_t *index)
{
	*index = ALIGN_DOWN(frame_index(state, object), 1u << cache->order);
	return frame_at(state, *index);
}

// ---- objects in and out --------------------------------------------------------------------------------------------

// Carving begins at another object in each slab, or the hot objects of all caches would share the cache sets of page starts.
static void *slab_carve(const struct slab_cache *cache, const struct frame *slab, char *base, uint32_t number)
{
	uint32_t at = slab->slab_colour + number;
	if (at >= cache->per_slab)
		at -= cache->per_slab;
	return base + (size_t)at * cache->stride_bytes;
}

static void *slab_pop(const struct slab_cache *cache, struct frame *slab, char *base)
{
	char *object = base + (size_t)(slab->slab_free - 1) * 8;
	char *next = slab_link(cache, object)->next;
	// A link that leads out of the slab was overwritten by whoever used the object after freeing it.
	if (unlikely(next != NULL && (size_t)(next - base) >= (size_t)FRAME_SIZE << cache->order))
		panic("slab: %s: free list of %p is damaged: used after free?", cache->name, object);
	slab->slab_free = next == NULL ? 0 : (uint32_t)((size_t)(next - base) / 8) + 1;
	return object;
}

// Objects on their way from slabs into a magazine.
struct slab_haul {
	void *chain;
	uint32_t depth, count;
};

static void haul_add(struct slab_cache *cache, struct slab_haul *haul, void *object)
{
	*slab_link(cache, object) = (struct slab_link){.next = haul->chain, .depth = ++haul->depth};
	haul->chain = object;
}

// Takes what one slab has, listed objects first. Those never carved are only counted off here, and linked without the lock: they may be
// memory that nobody has touched. False: there is no slab.
static bool haul_slab(struct frame_state *state, struct slab_cache *cache, struct slab_haul *haul)
{
	uint32_t first = 0, fresh = 0;

	spin_lock(&cache->lock);
	uint32_t index = cache->partial != 0 ? cache->partial : cache->empty;
	if (index == 0) {
		spin_unlock(&cache->lock);
		return false;
	}
	struct frame *slab = frame_at(state, index);
	char *base = frame_address(state, index);
	uint32_t batch = MIN(haul->count - haul->depth, cache->per_slab - slab->slab_used);
	uint32_t listed = 0;
	for (; listed < batch && slab->slab_free != 0; listed++)
		haul_add(cache, haul, slab_pop(cache, slab, base));
	first = slab->slab_carved;
	fresh = batch - listed;
	slab->slab_carved = (uint16_t)(first + fresh);
	slab_used_set(state, cache, index, slab->slab_used + batch);
	spin_unlock(&cache->lock);
	for (uint32_t i = 0; i < fresh; i++)
		haul_add(cache, haul, slab_carve(cache, slab, base, first + i));
	return true;
}

void *slab_take(struct slab_cache *cache, uint32_t count)
{
	struct frame_state *state = frame_state();
	struct slab_haul haul = {.count = count};

	while (haul.depth < count && haul_slab(state, cache, &haul))
		continue;
	return haul.chain;
}

static void slab_push(struct frame_state *state, struct slab_cache *cache, void *object)
{
	uint32_t index;
	struct frame *slab = slab_of_object(state, cache, object, &index);
	char *base = frame_address(state, index);
	VERIFY(slab->cache == cache);
	slab_link(cache, object)->next = slab->slab_free == 0 ? NULL : base + (size_t)(slab->slab_free - 1) * 8;
	slab->slab_free = (uint32_t)((size_t)((char *)object - base) / 8) + 1;
	slab_used_set(state, cache, index, slab->slab_used - 1u);
}

// Empty slabs that stay: a few, in proportion, so that a cache at a slab's edge does not flap.
static uint32_t empty_limit(const struct slab_cache *cache)
{
	return 1 + cache->slab_count / 8;
}

void slab_give(struct slab_cache *cache, void *chain)
{
	struct frame_state *state = frame_state();
	spin_lock(&cache->lock);
	while (chain != NULL) {
		void *object = chain;
		chain = slab_link(cache, object)->next;
		slab_push(state, cache, object);
	}
	uint32_t keep = empty_limit(cache);
	bool surplus = cache->empty_count > keep;
	spin_unlock(&cache->lock);
	if (surplus)
		slab_release_empty(cache, keep);
}

// ---- slabs in and out ----------------------------------------------------------------------------------------------

// For kfree(), which expects links where kmalloc's caches have theirs.
static void slab_mark_frames(struct frame_state *state, uint32_t index, uint32_t order, uint32_t id)
{
	uint16_t offset = (uint16_t)(id * sizeof(struct slab_line));
	for (uint32_t i = 0; i < 1u << order; i++)
		__atomic_store_n(&state->line_of[index + i], offset, __ATOMIC_RELAXED);
}

static void slab_destruct(const struct slab_cache *cache, char *base, uint32_t count)
{
	if (cache->destruct == NULL)
		return;
	for (uint32_t i = 0; i < count; i++) {
		slab_debug_open(cache, base + (size_t)i * cache->stride_bytes);
		cache->destruct(base + (size_t)i * cache->stride_bytes);
	}
}

static err_t slab_construct(const struct slab_cache *cache, char *base)
{
	if (cache->construct == NULL)
		return 0;
	for (uint32_t i = 0; i < cache->per_slab; i++) {
		err_t err = cache->construct(base + (size_t)i * cache->stride_bytes);
		if (err == 0)
			continue;
		slab_destruct(cache, base, i);
		return err;
	}
	return 0;
}

// Frames of a slab that is on no list go back.
static void slab_unmake(struct frame_state *state, struct slab_cache *cache, uint32_t index)
{
	struct frame *slab = frame_at(state, index);
	slab_mark_frames(state, index, cache->order, 0);
	slab->cache = NULL;
	slab->slab_free = 0;
	slab->slab_colour = 0;
	slab->next = 0;
	slab->prev = 0;
	frame_kind_set(slab, FRAME_CACHED);
	frame_give(state, index, cache->order);
	account_uncharge(cache->account, 1u << cache->order);
}

err_t slab_grow(struct slab_cache *cache, uint32_t mem_flags)
{
	struct frame_state *state = frame_state();
	if (account_charge(cache->account, 1u << cache->order) != 0)
		return ERR(ENOMEM);
	uint32_t index = frame_take(state, FRAME_NODE_ANY, cache->order, mem_flags & MEM_ATOMIC);
	if (index == 0) {
		account_uncharge(cache->account, 1u << cache->order);
		return ERR(ENOMEM);
	}
	struct frame *slab = frame_at(state, index);
	char *base = frame_address(state, index);
	frame_prepare(base, (size_t)FRAME_SIZE << cache->order, cache->flags & MEM_ZERO);
	frame_kind_set(slab, FRAME_SLAB);
	slab->cache = cache;
	slab->slab_used = 0;
	slab->slab_carved = 0;
	slab->slab_free = 0;
	slab_mark_frames(state, index, cache->order, cache->construct != NULL ? 0 : cache->id);
	err_t err = slab_construct(cache, base);
	if (err != 0) {
		slab_unmake(state, cache, index);
		return err;
	}
	slab_debug_made(cache, base);
	spin_lock(&cache->lock);
	slab->slab_colour = (cache->id * 11 + cache->made_count++ * 5) % cache->per_slab;
	slab_list_push(state, &cache->empty, index);
	cache->slab_count++;
	cache->empty_count++;
	spin_unlock(&cache->lock);
	counter_inc(COUNTER_SLAB_GROWS);
	trace_emit(TRACE_SLAB_GROW, (uint64_t)image_offset(cache->name), 1u << cache->order);
	return 0;
}

uint32_t slab_release_empty(struct slab_cache *cache, uint32_t keep)
{
	struct frame_state *state = frame_state();
	uint32_t frames = 0;
	for (;;) {
		spin_lock(&cache->lock);
		uint32_t index = cache->empty_count > keep ? cache->empty : 0;
		if (index != 0) {
			slab_list_remove(state, &cache->empty, index);
			cache->empty_count--;
			cache->slab_count--;
		}
		spin_unlock(&cache->lock);
		if (index == 0)
			return frames;
		slab_destruct(cache, frame_address(state, index), cache->per_slab);
		slab_unmake(state, cache, index);
		frames += 1u << cache->order;
		counter_inc(COUNTER_SLAB_SHRINKS);
		trace_emit(TRACE_SLAB_SHRINK, (uint64_t)image_offset(cache->name), 1u << cache->order);
	}
}
