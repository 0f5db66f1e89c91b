// SPDX-License-Identifier: MIT
//
// What slab_alloc() and slab_free() do when this CPU's loaded magazine does not serve: swap it with the previous one,
// exchange it at the depot, or go to the slabs. The only place where anything is counted. A line is touched by its own CPU
// with preemption off.
#include "slab_impl.h"

#include "kern/counter.h"

// ---- magazines -----------------------------------------------------------------------------------------------------

static uint32_t magazine_count(struct slab_cache *cache, void *magazine)
{
	return magazine == NULL ? 0 : slab_link(cache, magazine)->depth;
}

// A counter that its own CPU writes and others read.
static void local_add(uint32_t *counter, uint32_t amount)
{
	atomic_store_u32_relaxed_nopoint(counter, atomic_load_u32_relaxed_nopoint(counter) + amount);
}

// What the fast path needs to know; the depot may have changed its mind about the limit.
static void line_open(struct slab_cache *cache, struct slab_line *line)
{
	line->limit = atomic_load_u32_relaxed_nopoint(&cache->depot.limit);
	line->link_offset = cache->link_offset;
}

static void hot_set(struct slab_line *line, void *magazine)
{
	atomic_store_ptr_relaxed_nopoint(&line->hot, magazine);
}

static void previous_set(struct slab_line *line, void *magazine)
{
	atomic_store_ptr_relaxed_nopoint(&line->previous, magazine);
}

// The loaded magazine is empty. True: it no longer is.
static bool line_refill(struct slab_cache *cache, struct slab_line *line)
{
	if (line->previous != NULL) {
		hot_set(line, line->previous);
		previous_set(line, NULL);
		return true;
	}
	line_open(cache, line);
	void *magazine = depot_take(cache);
	if (magazine == NULL)
		magazine = slab_take(cache, line->limit / 2);
	hot_set(line, magazine);
	local_add(&line->refilled, magazine_count(cache, magazine));
	counter_inc(COUNTER_SLAB_REFILLS);
	return magazine != NULL;
}

// The loaded magazine is full, or the line not open yet. Makes room.
static void line_flush(struct slab_cache *cache, struct slab_line *line)
{
	void *full = line->previous;
	previous_set(line, line->hot);
	hot_set(line, NULL);
	line_open(cache, line);
	if (full == NULL)
		return;
	local_add(&line->flushed, magazine_count(cache, full));
	counter_inc(COUNTER_SLAB_FLUSHES);
	depot_give(cache, full);
}

void slab_cpu_take(struct slab_cache *cache, struct slab_cpu *cpu, void *magazines[SLAB_MAGAZINES])
{
	struct slab_line *line = &cpu->lines[cache->id];
	magazines[0] = line->hot;
	magazines[1] = line->previous;
	hot_set(line, NULL);
	previous_set(line, NULL);
	line->limit = 0;
	for (uint32_t i = 0; i < SLAB_MAGAZINES; i++)
		local_add(&line->flushed, magazine_count(cache, magazines[i]));
}

void slab_cpu_empty(struct slab_cache *cache, struct slab_cpu *cpu)
{
	void *magazines[SLAB_MAGAZINES];
	slab_cpu_take(cache, cpu, magazines);
	for (uint32_t i = 0; i < SLAB_MAGAZINES; i++)
		if (magazines[i] != NULL)
			slab_give(cache, magazines[i]);
}

// ---- the ways out of the fast path ---------------------------------------------------------------------------------

static void *alloc_once(struct slab_cache *cache)
{
	preempt_disable();
	struct slab_line *line = &slab_cpu_of(hal_self())->lines[cache->id];
	void *object = line_pop(line, cache->link_offset);
	if (object == NULL && line_refill(cache, line))
		object = line_pop(line, cache->link_offset);
	preempt_enable();
	return object;
}

void *slab_alloc_slow(uint32_t id, size_t size_bytes, uint32_t mem_flags, uintptr_t where)
{
	struct slab_cache *cache = slab_state()->caches[id];
	void *object;
	while ((object = alloc_once(cache)) == NULL) {
		if (slab_grow(cache, mem_flags) == 0)
			continue;
		counter_inc(COUNTER_SLAB_FAILURES);
		return NULL;
	}
	return slab_alloc_finish(id, object, size_bytes, mem_flags, where);
}

// What a constructor made is left alone.
static void object_fill(const struct slab_cache *cache, void *object, size_t size_bytes, uint32_t mem_flags)
{
	uint32_t poison = kernel_self()->poison;
	if (cache->construct != NULL)
		return;
	if (mem_flags & MEM_ZERO)
		memset(object, 0, SLAB_TAGGED ? size_bytes : cache->size_bytes);
	else if (poison != 0)
		memset(object, (int)poison, SLAB_TAGGED ? size_bytes : cache->size_bytes);
}

void *slab_alloc_finish(uint32_t id, void *object, size_t size_bytes, uint32_t mem_flags, uintptr_t where)
{
	struct slab_cache *cache = slab_state()->caches[id];
	if (hal_self()->preempt_count == 0 && percpu_resched(hal_self()) != 0)
		preempt_enable_slow();
	slab_debug_alloc(cache, object, (uint32_t)size_bytes, where);
	object_fill(cache, object, size_bytes, mem_flags);
	return object;
}

void slab_free_slow(uint32_t id, void *object)
{
	struct slab_cache *cache = slab_state()->caches[id];
	preempt_disable();
	struct slab_line *line = &slab_cpu_of(hal_self())->lines[id];
	if (!line_push(line, object, cache->link_offset)) {
		line_flush(cache, line);
		bool pushed = line_push(line, object, cache->link_offset);
		VERIFY(pushed);
	}
	preempt_enable();
}

void *slab_alloc(struct slab_cache *cache, uint32_t mem_flags)
{
	if (fault_should_fail(mem_flags))
		return NULL;
	return slab_alloc_inline(cache->id, cache->link_offset, cache->size_bytes, mem_flags, CALLER());
}

void slab_free(struct slab_cache *cache, void *object)
{
	slab_debug_free(cache, object, CALLER());
	slab_free_inline(cache->id, cache->link_offset, object);
}
