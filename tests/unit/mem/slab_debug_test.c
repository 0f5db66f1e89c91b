// SPDX-License-Identifier: MIT
//
// Builds with CONFIG_MEMDEBUG notice what callers do wrong: each body does one thing wrong. The wrong accesses are hidden from
// the address sanitizer, which would stop at the access itself.
#include "mem_test.h"

#include "kern/string.h"

static no_asan no_inline void write_byte(volatile char *at, char value)
{
	*at = value;
}

TEST_WITH(slab_debug, one_byte_beyond_the_end, 0, TEST_PANICS, "written beyond its end")
{
	char *block = kmalloc(61, 0);
	REQUIRE(block != NULL);
	write_byte(block + 61, 1);
	kfree(block);
}

TEST_WITH(slab_debug, one_byte_beyond_a_full_block, 0, TEST_PANICS, "written beyond its end")
{
	char *block = kmalloc(64, 0);
	REQUIRE(block != NULL);
	write_byte(block + 64, 1);
	kfree(block);
}

TEST_WITH(slab_debug, freed_twice, 0, TEST_PANICS, "freed twice")
{
	char *block = kmalloc(200, 0);
	REQUIRE(block != NULL);
	kfree(block);
	kfree(block);
}

// The first time it even went back to its slab.
TEST_WITH(slab_debug, freed_twice_long_after, 0, TEST_PANICS, "freed twice")
{
	struct slab_params params = {.name = "twice", .size_bytes = 48};
	struct slab_cache *cache;
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	void *keeps_the_slab = slab_alloc(cache, 0);
	void *object = slab_alloc(cache, 0);
	REQUIRE(keeps_the_slab != NULL && object != NULL);
	slab_free(cache, object);
	mem_settle(test_run_);
	slab_free(cache, object);
}

// Nothing but this object is in play, so it is the next one to be handed out.
TEST_WITH(slab_debug, written_after_free, 0, TEST_PANICS, "written to after it was freed")
{
	struct slab_params params = {.name = "late", .size_bytes = 80};
	struct slab_cache *cache;
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	preempt_disable();
	char *object = slab_alloc(cache, MEM_ATOMIC);
	slab_free(cache, object);
	write_byte(object + 30, 7);
	void *again = slab_alloc(cache, MEM_ATOMIC);
	preempt_enable();
	CHECK(again == NULL);
}

TEST_WITH(slab_debug, freed_to_another_cache, 0, TEST_PANICS, "not an object of this cache")
{
	struct slab_params params = {.name = "other", .size_bytes = 64};
	struct slab_cache *cache;
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	void *block = kmalloc(64, 0);
	REQUIRE(block != NULL);
	slab_free(cache, block);
}

TEST_WITH(slab_debug, freed_in_the_middle, 0, TEST_PANICS, "not the start of an object")
{
	char *block = kmalloc(64, 0);
	REQUIRE(block != NULL);
	kfree(block + 8);
}

TEST(slab_debug, check_finds_writes_to_free_objects)
{
	struct slab_params params = {.name = "quiet", .size_bytes = 80};
	struct slab_cache *cache;
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	char *keep = slab_alloc(cache, 0);
	char *object = slab_alloc(cache, 0);
	REQUIRE(keep != NULL && object != NULL);
	slab_free(cache, object);
	mem_settle(test_run_);
	CHECK_EQ(slab_check(), 0);
	if (!CONFIG_ASAN) {
		char before = object[9];
		write_byte(object + 9, 1);
		CHECK_EQ(slab_check(), -EUCLEAN);
		write_byte(object + 9, before);
	}
	slab_free(cache, keep);
	CHECK_EQ(slab_cache_destroy(cache), 0);
}

// ---- leaks -----------------------------------------------------------------------------------------------------------

static no_inline void *leak_here(struct slab_cache *cache)
{
	void *object = slab_alloc(cache, 0);
	return object;
}

static no_inline void *leak_there(struct slab_cache *cache)
{
	void *object = slab_alloc(cache, MEM_ZERO);
	return object;
}

static uint32_t leaks_named(const struct slab_leak *leaks, uint32_t count, const char *cache, uint32_t *objects)
{
	uint32_t sites = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(leaks[i].cache, cache) != 0)
			continue;
		objects[sites++] = leaks[i].objects;
	}
	return sites;
}

TEST(slab_debug, leaks_are_listed_by_call_site)
{
	struct slab_params params = {.name = "leaking", .size_bytes = 24};
	struct slab_cache *cache;
	struct slab_leak leaks[128];
	uint32_t objects[128];
	void *taken[9];
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	for (uint32_t i = 0; i < array_count(taken); i++)
		taken[i] = i < 6 ? leak_here(cache) : leak_there(cache);
	uint32_t count = slab_leaks(leaks, array_count(leaks));
	REQUIRE(leaks_named(leaks, count, "leaking", objects) == 2);
	CHECK_EQ(objects[0], 6);
	CHECK_EQ(objects[1], 3);
	for (uint32_t i = 1; i < count; i++)
		CHECK(leaks[i - 1].objects >= leaks[i].objects);
	CHECK_EQ(slab_leaks(leaks, 1), 1);
	CHECK_EQ(slab_cache_destroy(cache), -EBUSY);
	for (uint32_t i = 0; i < array_count(taken); i++)
		slab_free(cache, taken[i]);
	count = slab_leaks(leaks, array_count(leaks));
	CHECK_EQ(leaks_named(leaks, count, "leaking", objects), 0);
	CHECK_EQ(slab_cache_destroy(cache), 0);
}
