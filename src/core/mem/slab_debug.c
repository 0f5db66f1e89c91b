// SPDX-License-Identifier: MIT
//
// Objects under suspicion. With CONFIG_MEMDEBUG each carries, behind its red zone, a tag that says whether it is live, how
// much of it was asked for and who took or freed it. A free object is filled with poison, so that writing to it later shows
// when it is handed out next; the red zone begins at the first byte that was not asked for and is looked at when the
// object is freed. Under the address sanitizer both are poisoned for it as well, which catches the access itself.
#include "slab_impl.h"

#include "kern/log.h"
#include "kern/trace.h"

#if SLAB_TAGGED

#define POISON_FREE 0xd5
#define POISON_RED 0xbb

// With a constructor the contents of a free object are what the next user relies on.
static bool contents_are_poisoned(const struct slab_cache *cache)
{
	return CONFIG_MEMDEBUG && cache->construct == NULL;
}

// Whether all bytes have the value; by words where they are aligned, because debug builds spend their time here.
static bool bytes_are(const uint8_t *bytes, size_t size_bytes, uint8_t value)
{
	const uintptr_t pattern = (uintptr_t)-1 / 0xff * value;
	const uint8_t *end = bytes + size_bytes;
	while (bytes < end && !IS_ALIGNED((uintptr_t)bytes, sizeof pattern))
		if (*bytes++ != value)
			return false;
	for (; (size_t)(end - bytes) >= sizeof pattern; bytes += sizeof pattern)
		if (*(const uintptr_t *)(const void *)bytes != pattern)
			return false;
	while (bytes < end)
		if (*bytes++ != value)
			return false;
	return true;
}

// No access but the allocator's own until the next allocation.
static void object_close(const struct slab_cache *cache, void *object)
{
	if (contents_are_poisoned(cache))
		memset(object, POISON_FREE, cache->size_bytes);
#if CONFIG_ASAN
	hal_ram_poison(object, cache->tag_offset);
#endif
}

void slab_debug_open(const struct slab_cache *cache, void *object)
{
#if CONFIG_ASAN
	hal_ram_unpoison(object, cache->tag_offset);
#else
	(void)cache;
	(void)object;
#endif
}

void slab_debug_made(const struct slab_cache *cache, void *objects)
{
	for (uint32_t i = 0; i < cache->per_slab; i++) {
		char *object = (char *)objects + (size_t)i * cache->stride_bytes;
		*slab_tag(cache, object) = (struct slab_tag){.state = SLAB_TAG_FREE};
		object_close(cache, object);
	}
}

static void panic_at(const struct slab_cache *cache, const void *object, const char *what)
{
	const struct slab_tag *tag = slab_tag(cache, object);
	panic("slab: %s: %s: object %p of %u bytes, by image%+ld", cache->name, what, object, tag->requested_bytes,
	      (long)(intptr_t)tag->where);
}

void slab_debug_alloc(const struct slab_cache *cache, void *object, uint32_t requested_bytes, uintptr_t where)
{
	struct slab_tag *tag = slab_tag(cache, object);
	slab_debug_open(cache, object);
	if (unlikely(atomic_load_u32_relaxed_nopoint(&tag->state) != SLAB_TAG_FREE))
		panic_at(cache, object, "allocated twice");
	if (contents_are_poisoned(cache) && !bytes_are(object, cache->size_bytes, POISON_FREE))
		panic_at(cache, object, "written to after it was freed");
	tag->requested_bytes = requested_bytes;
	tag->where = where;
	size_t red_bytes = cache->tag_offset - requested_bytes;
	memset((char *)object + requested_bytes, POISON_RED, red_bytes);
#if CONFIG_ASAN
	hal_ram_poison((char *)object + requested_bytes, red_bytes);
#endif
	atomic_store_u32_relaxed_nopoint(&tag->state, SLAB_TAG_LIVE);
#if CONFIG_ASSERTS
	trace_emit(TRACE_SLAB_ALLOC, (uint64_t)((uintptr_t)object - (uintptr_t)kernel_self()->ram), requested_bytes);
#endif
}

static void verify_address(const struct slab_cache *cache, const void *object)
{
	struct frame_state *state = frame_state();
	uint32_t index = frame_index(state, object);
	if (index >= state->frame_limit || frame_region_of(state, index) == NULL ||
	    slab_of_object(state, cache, object, &index)->cache != cache)
		panic("slab: %s: %p is not an object of this cache", cache->name, object);
	size_t offset = (size_t)((const char *)object - (const char *)frame_address(state, index));
	if (offset % cache->stride_bytes != 0)
		panic("slab: %s: %p is not the start of an object", cache->name, object);
}

void slab_debug_free(const struct slab_cache *cache, void *object, uintptr_t where)
{
	verify_address(cache, object);
	struct slab_tag *tag = slab_tag(cache, object);
	uint32_t state = SLAB_TAG_LIVE;
	if (unlikely(!atomic_cmpxchg_u32_relaxed_nopoint(&tag->state, &state, SLAB_TAG_FREE)))
		panic_at(cache, object, state == SLAB_TAG_FREE ? "freed twice" : "tag overwritten");
	slab_debug_open(cache, object);
	size_t red_bytes = cache->tag_offset - tag->requested_bytes;
	if (tag->requested_bytes > cache->size_bytes ||
	    !bytes_are((const uint8_t *)object + tag->requested_bytes, red_bytes, POISON_RED))
		panic_at(cache, object, "written beyond its end");
	tag->where = where;
	object_close(cache, object);
#if CONFIG_ASSERTS
	trace_emit(TRACE_SLAB_FREE, (uint64_t)((uintptr_t)object - (uintptr_t)kernel_self()->ram),
		   tag->requested_bytes);
#endif
}

// Of an object that is in its slab: nobody else looks at it.
err_t slab_debug_check_free(const struct slab_cache *cache, void *object)
{
	const struct slab_tag *tag = slab_tag(cache, object);
	if (atomic_load_u32_relaxed_nopoint(&tag->state) != SLAB_TAG_FREE) {
		log_err("slab: %s: free object %p has a wrong tag", cache->name, object);
		return ERR(EUCLEAN);
	}
	if (CONFIG_ASAN || !contents_are_poisoned(cache))
		return 0;
	if (bytes_are(object, cache->size_bytes, POISON_FREE))
		return 0;
	log_err("slab: %s: %p was written to after it was freed by image%+ld", cache->name, object,
		(long)(intptr_t)tag->where);
	return ERR(EUCLEAN);
}

#else

typedef int slab_debug_is_off; // a translation unit is not empty

#endif
