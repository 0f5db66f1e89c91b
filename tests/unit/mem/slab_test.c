// SPDX-License-Identifier: MIT
//
// Slab caches: parameters, constructors, figures, leaks, many CPUs, objects freed where they were not allocated, no memory.
#include "mem_test.h"

#include "kern/atomic.h"
#include "kern/string.h"

static struct slab_cache *cache_make(TEST_RUN, const char *name, uint32_t size_bytes)
{
	struct slab_params params = {.name = name, .size_bytes = size_bytes};
	struct slab_cache *cache = NULL;
	CHECK_EQ(slab_cache_create(&params, &cache), 0);
	return cache;
}

struct find_info {
	const char *name;
	struct slab_info info;
};

static void find_info_fn(const struct slab_info *info, void *arg)
{
	struct find_info *find = arg;
	if (strcmp(info->name, find->name) == 0)
		find->info = *info;
}

static struct slab_info info_of(const char *name)
{
	struct find_info find = {.name = name};
	slab_each(find_info_fn, &find);
	return find.info;
}

TEST(slab, parameters_are_judged)
{
	struct slab_cache *cache;
	static const struct slab_params wrong[] = {
		{.name = NULL, .size_bytes = 8},
		{.name = "zero", .size_bytes = 0},
		{.name = "large", .size_bytes = 8193},
		{.name = "crooked", .size_bytes = 8, .align = 24},
		{.name = "align", .size_bytes = 8, .align = 8192},
		{.name = "user", .size_bytes = 8, .flags = MEM_USER},
	};
	for (uint32_t i = 0; i < array_count(wrong); i++)
		CHECK_EQ(slab_cache_create(&wrong[i], &cache), -EINVAL);
}

TEST(slab, every_size_is_whole_and_aligned)
{
	static const uint32_t sizes[] = {1, 3, 8, 17, 24, 63, 100, 129, 500, 1000, 2048, 3000, 4096, 5000, 8192};
	static const uint32_t aligns[] = {0, 8, 64, 256, 4096};
	for (uint32_t i = 0; i < array_count(sizes) * array_count(aligns); i++) {
		uint32_t size_bytes = sizes[i / array_count(aligns)];
		uint32_t align = aligns[i % array_count(aligns)];
		struct slab_params params = {.name = "sized", .size_bytes = size_bytes, .align = align};
		struct slab_cache *cache;
		void *objects[20];
		REQUIRE(slab_cache_create(&params, &cache) == 0);
		for (uint32_t j = 0; j < array_count(objects); j++) {
			objects[j] = slab_alloc(cache, j % 2 ? MEM_ZERO : 0);
			REQUIRE(objects[j] != NULL);
			CHECK(is_aligned_to(objects[j], align != 0 ? align : 8));
			CHECK(j % 2 == 0 || block_is_all(objects[j], size_bytes, 0));
			block_fill(objects[j], size_bytes, j);
		}
		for (uint32_t j = 0; j < array_count(objects); j++) {
			CHECK(block_is_intact(objects[j], size_bytes, j));
			slab_free(cache, objects[j]);
		}
		CHECK_EQ(slab_check(), 0);
		CHECK_EQ(slab_cache_destroy(cache), 0);
	}
}

TEST(slab, figures_follow)
{
	struct slab_cache *cache = cache_make(test_run_, "figures", 200);
	void *objects[150];
	REQUIRE(cache != NULL);
	for (uint32_t i = 0; i < array_count(objects); i++) {
		objects[i] = slab_alloc(cache, 0);
		REQUIRE(objects[i] != NULL);
	}
	struct slab_info info = info_of("figures");
	CHECK_EQ(info.objects_live, array_count(objects));
	CHECK(info.objects_total >= array_count(objects));
	CHECK(info.slabs != 0);
	CHECK(info.frames >= info.slabs);
	CHECK_EQ(info.object_size_bytes, 200);
	CHECK(info.magazine_rounds >= 4);
	for (uint32_t i = 0; i < array_count(objects); i++)
		slab_free(cache, objects[i]);
	info = info_of("figures");
	CHECK_EQ(info.objects_live, 0);
	CHECK(info.allocs >= array_count(objects));
	mem_settle(test_run_);
	info = info_of("figures");
	CHECK_EQ(info.objects_live, 0);
	CHECK_EQ(info.slabs, 0);
	CHECK_EQ(slab_cache_destroy(cache), 0);
	CHECK(info_of("figures").name == NULL);
}

TEST(slab, leaks_keep_a_cache_alive)
{
	struct slab_cache *cache = cache_make(test_run_, "leaky", 40);
	REQUIRE(cache != NULL);
	char *object = slab_alloc(cache, 0);
	REQUIRE(object != NULL);
	CHECK_EQ(slab_cache_destroy(cache), -EBUSY);
	block_fill(object, 40, 3);
	char *second = slab_alloc(cache, 0);
	REQUIRE(second != NULL);
	CHECK(block_is_intact(object, 40, 3));
	slab_free(cache, second);
	slab_free(cache, object);
	CHECK_EQ(slab_cache_destroy(cache), 0);
}

TEST(slab, caches_run_out_and_come_back)
{
	static const struct slab_params params = {.name = "many", .size_bytes = 32};
	struct slab_cache *caches[200];
	uint32_t count = 0;
	while (count < array_count(caches) && slab_cache_create(&params, &caches[count]) == 0)
		count++;
	CHECK(count > 50);
	CHECK(count < array_count(caches));
	while (count > 0)
		CHECK_EQ(slab_cache_destroy(caches[--count]), 0);
	CHECK_EQ(slab_check(), 0);
}

// ---- constructors ----------------------------------------------------------------------------------------------------

#define MADE 0x6d616465u

struct made {
	uint32_t magic;
	uint32_t uses;
	struct list_node link;
};

static uint32_t constructed; // by one body at a time
static uint32_t destructed;
static uint32_t refuse_after;

static err_t made_construct(void *object)
{
	struct made *made = object;
	if (refuse_after != 0 && constructed - destructed >= refuse_after)
		return -ENOMEM;
	*made = (struct made){.magic = MADE};
	constructed++;
	return 0;
}

static void made_destruct(void *object)
{
	struct made *made = object;
	if (made->magic == MADE)
		destructed++;
}

static struct slab_cache *made_cache(TEST_RUN)
{
	struct slab_params params = {.name = "made",
				     .size_bytes = sizeof(struct made),
				     .construct = made_construct,
				     .destruct = made_destruct};
	struct slab_cache *cache = NULL;
	constructed = destructed = refuse_after = 0;
	CHECK_EQ(slab_cache_create(&params, &cache), 0);
	return cache;
}

TEST(slab, constructed_state_survives_freeing)
{
	struct slab_cache *cache = made_cache(test_run_);
	struct made *objects[100];
	REQUIRE(cache != NULL);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < array_count(objects); i++) {
			objects[i] = slab_alloc(cache, 0);
			REQUIRE(objects[i] != NULL);
			CHECK_EQ(objects[i]->magic, MADE);
			CHECK_EQ(objects[i]->uses, 0);
			objects[i]->uses++;
		}
		for (uint32_t i = 0; i < array_count(objects); i++) {
			objects[i]->uses--;
			slab_free(cache, objects[i]);
		}
	}
	CHECK_EQ(slab_cache_destroy(cache), 0);
	CHECK(constructed >= array_count(objects));
	CHECK_EQ(constructed, destructed);
}

TEST(slab, constructor_may_refuse)
{
	mem_settle(test_run_);
	uint32_t used = slab_frames();
	struct slab_cache *cache = made_cache(test_run_);
	REQUIRE(cache != NULL);
	refuse_after = 3;
	CHECK(slab_alloc(cache, 0) == NULL);
	CHECK_EQ(constructed, destructed);
	refuse_after = 0;
	struct made *made = slab_alloc(cache, 0);
	REQUIRE(made != NULL);
	CHECK_EQ(made->magic, MADE);
	slab_free(cache, made);
	CHECK_EQ(slab_cache_destroy(cache), 0);
	CHECK_EQ(constructed, destructed);
	mem_settle(test_run_);
	CHECK_EQ(slab_frames(), used);
}

TEST_WITH(slab, a_constructed_object_is_not_for_kfree, 0, TEST_PANICS, "range_free")
{
	struct slab_cache *cache = made_cache(test_run_);
	REQUIRE(cache != NULL);
	kfree(slab_alloc(cache, 0));
}

// ---- crowds ----------------------------------------------------------------------------------------------------------

#define SLOTS 200u
#define OBJECT_SIZE 72u

struct cross {
	struct slab_cache *cache;
	void *slots[SLOTS]; // atomic: what anybody may take out and free
	struct kernel *kernel;
};

static void *slot_exchange(void **slot, void *object)
{
	return atomic_xchg_ptr_acq_rel(slot, object);
}

// Every object goes through a slot that any CPU may empty, so most are freed elsewhere.
static void cross_crowd(struct crowd_member *member)
{
	TEST_RUN = member->run;
	struct cross *cross = member->shared;
	struct rand_stream random;
	rand_open(&random, "slab-cross", member->index);
	for (uint32_t i = 0; i < loops(30000, 60); i++) {
		char *object = slab_alloc(cross->cache, 0);
		if (object != NULL) {
			memcpy(object, &i, sizeof i);
			block_fill(object + sizeof i, OBJECT_SIZE - sizeof i, i);
		}
		char *other = slot_exchange(&cross->slots[rand_below(&random, SLOTS)], object);
		if (other == NULL)
			continue;
		uint32_t key;
		memcpy(&key, other, sizeof key);
		CHECK(block_is_intact(other + sizeof key, OBJECT_SIZE - sizeof key, key));
		slab_free(cross->cache, other);
		if (rand_chance(&random, 1, 3000))
			slab_reap();
	}
}

TEST_CPUS(slab, objects_are_freed_on_any_cpu, 2)
{
	struct cross cross = {.cache = cache_make(test_run_, "cross", OBJECT_SIZE)};
	REQUIRE(cross.cache != NULL);
	crowd_run(test_run_, 4, cross_crowd, &cross);
	CHECK_EQ(slab_check(), 0);
	uint32_t left = 0;
	for (uint32_t i = 0; i < SLOTS; i++)
		left += cross.slots[i] != NULL;
	CHECK_EQ(info_of("cross").objects_live, left);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (cross.slots[i] != NULL)
			slab_free(cross.cache, cross.slots[i]);
	CHECK_EQ(slab_cache_destroy(cross.cache), 0);
	CHECK_EQ(frame_check(), 0);
}

#define KEPT 40u

static void kept_member(struct crowd_member *member)
{
	TEST_RUN = member->run;
	struct slab_cache *cache = member->shared;
	void *objects[KEPT];
	if (member->index == 0)
		return;
	for (uint32_t i = 0; i < KEPT; i++)
		objects[i] = slab_alloc(cache, 0);
	for (uint32_t i = 0; i < KEPT; i++) {
		REQUIRE(objects[i] != NULL);
		slab_free(cache, objects[i]);
	}
}

static void kept_reaper(struct crowd_member *member)
{
	TEST_RUN = member->run;
	CHECK(info_of("kept").slabs > 0);
	slab_reap();
	CHECK_EQ(info_of("kept").slabs, 0);
}

// What CPU 1 has freed lies in its magazines; CPU 0 must get at it, whether CPU 1 sleeps by then or not.
TEST_CPUS(slab, reaping_takes_what_other_cpus_keep, 2)
{
	struct account *account;
	REQUIRE(account_create(NULL, "kept", 0, &account) == 0);
	struct slab_params params = {.name = "kept", .size_bytes = OBJECT_SIZE, .account = account};
	struct slab_cache *cache;
	REQUIRE(slab_cache_create(&params, &cache) == 0);
	for (uint32_t round = 0; round < loops(50, 3); round++) {
		crowd_run(test_run_, 2, kept_member, cache);
		crowd_run(test_run_, 1, kept_reaper, NULL);
		CHECK_EQ(account->used_frames, 0);
	}
	CHECK_EQ(slab_check(), 0);
	CHECK_EQ(slab_cache_destroy(cache), 0);
	account_release(account);
}

// Others go on allocating while one reaps again and again.
static void reap_crowd(struct crowd_member *member)
{
	TEST_RUN = member->run;
	struct slab_cache *cache = member->shared;
	for (uint32_t i = 0; i < loops(3000, 12); i++) {
		if (member->index == 0) {
			slab_reap();
			i += 20;
			continue;
		}
		char *object = slab_alloc(cache, 0);
		REQUIRE(object != NULL);
		block_fill(object, OBJECT_SIZE, i);
		CHECK(block_is_intact(object, OBJECT_SIZE, i));
		slab_free(cache, object);
	}
}

TEST_CPUS(slab, reaping_disturbs_nobody, 2)
{
	struct slab_cache *cache = cache_make(test_run_, "reaped", OBJECT_SIZE);
	REQUIRE(cache != NULL);
	crowd_run(test_run_, 4, reap_crowd, cache);
	CHECK_EQ(info_of("reaped").objects_live, 0);
	CHECK_EQ(slab_check(), 0);
	CHECK_EQ(slab_cache_destroy(cache), 0);
}

// One CPU allocates, another frees: magazines must travel, or memory would grow without end.
TEST_CPUS(slab, producer_and_consumer_do_not_hoard, 2)
{
	struct account *account;
	REQUIRE(account_create(NULL, "cross", 0, &account) == 0);
	struct slab_params params = {.name = "cross", .size_bytes = OBJECT_SIZE, .account = account};
	struct cross cross = {0};
	REQUIRE(slab_cache_create(&params, &cross.cache) == 0);
	crowd_run(test_run_, 2, cross_crowd, &cross);
	uint32_t objects_max = SLOTS + 6 * 256;
	CHECK(account->peak_frames <= objects_max * (OBJECT_SIZE + 64) / FRAME_SIZE + 64);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (cross.slots[i] != NULL)
			slab_free(cross.cache, cross.slots[i]);
	CHECK_EQ(slab_cache_destroy(cross.cache), 0);
	account_release(account);
}

// The account has room for few slabs: most allocations fail, none may lose anything.
TEST_CPUS(slab, many_cpus_near_the_end, 2)
{
	struct account *account;
	REQUIRE(account_create(NULL, "tight", 8, &account) == 0);
	struct slab_params params = {.name = "tight", .size_bytes = OBJECT_SIZE, .account = account};
	struct cross cross = {0};
	REQUIRE(slab_cache_create(&params, &cross.cache) == 0);
	crowd_run(test_run_, 4, cross_crowd, &cross);
	CHECK_EQ(slab_check(), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (cross.slots[i] != NULL)
			slab_free(cross.cache, cross.slots[i]);
	CHECK_EQ(slab_cache_destroy(cross.cache), 0);
	CHECK_EQ(atomic_load_u32_relaxed(&account->used_frames), 0);
	CHECK(account->peak_frames <= 8);
	account_release(account);
}

TEST(slab, usable_with_preemption_off)
{
	void *objects[300];
	preempt_disable();
	for (uint32_t i = 0; i < array_count(objects); i++)
		objects[i] = kmalloc(100, MEM_ATOMIC | MEM_ZERO);
	for (uint32_t i = 0; i < array_count(objects); i++) {
		CHECK(objects[i] != NULL);
		kfree(objects[i]);
	}
	preempt_enable();
	CHECK(preemptible());
	CHECK_EQ(slab_check(), 0);
}
