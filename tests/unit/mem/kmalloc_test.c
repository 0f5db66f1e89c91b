// SPDX-License-Identifier: MIT
//
// kmalloc: every size, alignment, growing and shrinking, contents, crowds with a model of what lives.
#include "mem_test.h"

#include "kern/string.h"

TEST(kmalloc, every_size_has_a_fitting_block)
{
	for (uint32_t size = 0; size <= 8300; size++) {
		uint8_t *block = kmalloc(size, 0);
		REQUIRE(block != NULL);
		size_t usable = kmalloc_usable(block);
		CHECK(usable >= size);
		// Four classes to a doubling waste a fifth at most; below 64 bytes steps of 16.
		CHECK(size > 8192 || usable <= size + 16 || usable * 4 <= (size_t)size * 5 + 4);
		CHECK(is_aligned_to(block, 16));
		if (size != 0 && (size & (size - 1)) == 0 && size >= 16)
			CHECK(is_aligned_to(block, size <= FRAME_SIZE ? size : FRAME_SIZE));
		if (size != 0)
			block[0] = block[size - 1] = 0x77;
		kfree(block);
	}
	CHECK_EQ(slab_check(), 0);
}

TEST(kmalloc, zeroed_when_asked)
{
	static const size_t sizes[] = {1, 15, 16, 100, 1000, 1025, 5000, 8192, 8193, 40000};
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		void *block = kmalloc(sizes[i], 0);
		REQUIRE(block != NULL);
		memset(block, 0xff, sizes[i]);
		kfree(block);
		block = kmalloc(sizes[i], MEM_ZERO);
		REQUIRE(block != NULL);
		CHECK(block_is_all(block, sizes[i], 0));
		CHECK(block_is_all(block, kmalloc_usable(block), 0));
		kfree(block);
	}
}

TEST(kmalloc, recycled_memory_is_poisoned_on_request)
{
	struct kernel *kernel = kernel_self();
	if (kernel->poison == 0)
		return; // each CPU notes it at boot; runs with --verify have it
	for (size_t size = 16; size <= 8192; size *= 2) {
		void *block = kmalloc(size, 0);
		REQUIRE(block != NULL);
		memset(block, 0x11, size);
		kfree(block);
		block = kmalloc(size, 0);
		REQUIRE(block != NULL);
		CHECK(block_is_all(block, size, (uint8_t)kernel->poison));
		kfree(block);
	}
}

TEST(kmalloc, nothing_may_be_freed)
{
	kfree(NULL);
	preempt_disable();
	kfree(NULL);
	preempt_enable();
}

TEST(kmalloc, arrays_do_not_overflow)
{
	CHECK(kmalloc_array(SIZE_MAX / 2, 3, 0) == NULL);
	CHECK(kmalloc_array(3, SIZE_MAX / 2, 0) == NULL);
	CHECK(kmalloc_array((size_t)1 << 32, (size_t)1 << 31, 0) == NULL);
	void *block = kmalloc_array(12, 5, MEM_ZERO);
	REQUIRE(block != NULL);
	CHECK(kmalloc_usable(block) >= 60);
	kfree(block);
	block = kmalloc_array(0, 5, 0);
	CHECK(block != NULL);
	kfree(block);
}

TEST(kmalloc, aligned_to_any_power_of_two)
{
	for (size_t align = 1; align <= 65536; align *= 2)
		for (size_t size = 1; size <= 20000; size = size * 3 + 1) {
			char *block = kmalloc_aligned(size, align, MEM_ZERO);
			REQUIRE(block != NULL);
			CHECK(is_aligned_to(block, align));
			CHECK(kmalloc_usable(block) >= size);
			CHECK(block_is_all(block, size, 0));
			block_fill(block, size, 1);
			kfree(block);
		}
	CHECK_EQ(slab_check(), 0);
	CHECK_EQ(frame_check(), 0);
}

TEST(kmalloc, realloc_keeps_contents)
{
	static const size_t sizes[] = {10, 16, 17, 100, 60, 2000, 9000, 70000, 30000, 8000, 500, 1};
	char *block = krealloc(NULL, 5, 0);
	size_t before = 5;
	REQUIRE(block != NULL);
	block_fill(block, before, 7);
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		block = krealloc(block, sizes[i], 0);
		REQUIRE(block != NULL);
		CHECK(kmalloc_usable(block) >= sizes[i]);
		CHECK(block_is_intact(block, sizes[i] < before ? sizes[i] : before, 7));
		block_fill(block, sizes[i], 7);
		before = sizes[i];
	}
	kfree(block);
	CHECK_EQ(frame_check(), 0);
}

TEST(kmalloc, realloc_leaves_the_block_when_there_is_no_memory)
{
	char *block = kmalloc(100, 0);
	REQUIRE(block != NULL);
	block_fill(block, 100, 4);
	CHECK(krealloc(block, SIZE_MAX - 5000, 0) == NULL);
	CHECK(krealloc(block, (size_t)kernel_self()->ram_size_bytes, 0) == NULL);
	CHECK(block_is_intact(block, 100, 4));
	kfree(block);
}

TEST(kmalloc, realloc_zeroes_what_is_new)
{
	char *block = kmalloc(20, MEM_ZERO);
	REQUIRE(block != NULL);
	size_t usable = kmalloc_usable(block);
	memset(block, 5, usable);
	block = krealloc(block, 4000, MEM_ZERO);
	REQUIRE(block != NULL);
	CHECK(block_is_all(block, usable, 5));
	CHECK(block_is_all(block + usable, 4000 - usable, 0));
	kfree(block);
}

// ---- crowds ----------------------------------------------------------------------------------------------------------

struct model_slot {
	char *block;
	size_t size_bytes;
	uint32_t key;
};

#define SLOTS 100u

static size_t draw_size(struct rand_stream *random)
{
	uint32_t kind = rand_below(random, 20);
	if (kind == 0)
		return rand_below(random, 50000);
	if (kind < 4)
		return rand_below(random, 9000);
	return rand_below(random, 400);
}

static void slot_resize(struct test_run *test_run_, struct model_slot *slot, size_t size_bytes)
{
	char *moved = krealloc(slot->block, size_bytes, 0);
	if (moved == NULL)
		return;
	slot->block = moved;
	CHECK(block_is_intact(moved, size_bytes < slot->size_bytes ? size_bytes : slot->size_bytes, slot->key));
	slot->size_bytes = size_bytes;
	block_fill(moved, size_bytes, slot->key);
}

static void model_step(struct test_run *test_run_, struct model_slot *slot, struct rand_stream *random, uint32_t key)
{
	if (slot->block == NULL) {
		slot->size_bytes = draw_size(random);
		slot->key = key;
		slot->block = kmalloc(slot->size_bytes, 0);
		if (slot->block != NULL)
			block_fill(slot->block, slot->size_bytes, key);
		return;
	}
	CHECK(block_is_intact(slot->block, slot->size_bytes, slot->key));
	if (rand_chance(random, 1, 4)) {
		slot_resize(test_run_, slot, draw_size(random));
		return;
	}
	kfree(slot->block);
	slot->block = NULL;
}

static void model_crowd(struct crowd_member *member)
{
	struct model_slot slots[SLOTS] = {0};
	struct rand_stream random;
	rand_open(&random, "kmalloc-crowd", member->index);
	for (uint32_t i = 0; i < loops(8000, 60); i++)
		model_step(member->run, &slots[rand_below(&random, SLOTS)], &random, member->index << 20 | i);
	for (uint32_t i = 0; i < SLOTS; i++)
		kfree(slots[i].block);
}

TEST_CPUS(kmalloc, many_cpus_at_once, 2)
{
	mem_settle(test_run_);
	uint32_t used = slab_frames();
	crowd_run(test_run_, 4, model_crowd, NULL);
	CHECK_EQ(slab_check(), 0);
	CHECK_EQ(frame_check(), 0);
	mem_settle(test_run_);
	CHECK_EQ(slab_frames(), used);
}

// Another thread keeps taking all memory and giving it back, so that anything may fail at any time.
static void hunger_crowd(struct crowd_member *member)
{
	if (member->index != 0) {
		model_crowd(member);
		return;
	}
	for (uint32_t i = 0; i < loops(20, 2); i++) {
		void *list = NULL;
		void **frame;
		while ((frame = frame_alloc(0, MEM_ATOMIC, NULL)) != NULL) {
			*frame = list;
			list = frame;
		}
		thread_yield();
		while (list != NULL) {
			void *next = *(void **)list;
			frame_free(list, 0);
			list = next;
		}
	}
}

TEST_CPUS(kmalloc, many_cpus_without_memory, 2)
{
	crowd_run(test_run_, 4, hunger_crowd, NULL);
	CHECK_EQ(slab_check(), 0);
	CHECK_EQ(frame_check(), 0);
}

TEST_WITH(kmalloc, a_foreign_address_is_noticed, 0, TEST_PANICS, "not memory of this kernel")
{
	uint32_t local = 0;
	void *foreign = (void *)((uintptr_t)&local - (uintptr_t)kernel_self()->ram);
	kfree(foreign);
}

TEST_WITH(kmalloc, a_range_freed_twice_is_noticed, 0, TEST_PANICS, "not the start of a range")
{
	void *block = kmalloc(100000, 0);
	REQUIRE(block != NULL);
	kfree(block);
	kfree(block);
}
