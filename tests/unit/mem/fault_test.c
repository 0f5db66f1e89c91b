// SPDX-License-Identifier: MIT
//
// Allocation failure on purpose: sites are told apart by their callers, and exactly the occurrence asked for fails.
#include "mem_test.h"

#define SITES 64u

static no_inline void *ask(size_t size_bytes)
{
	void *block = kmalloc(size_bytes, 0);
	__asm__ volatile("" : : "r"(block)); // a call, not a jump: the caller's frame stays
	return block;
}

static no_inline uint32_t one_way(void)
{
	void *block = ask(100);
	uint32_t failed = block == NULL;
	kfree(block);
	return failed;
}

static no_inline uint32_t other_way(void)
{
	void *block = ask(200);
	uint32_t failed = block == NULL;
	kfree(block);
	return failed << 16;
}

// What runs with a plan: three times one way, twice the other. Failures of the first are counted low, of the second high.
static no_inline uint32_t loops_run(void)
{
	volatile uint32_t three = 3; // so that a loop stays a loop: each copy of a call would be a site of its own
	volatile uint32_t two = 2;
	uint32_t failed = 0;
	for (uint32_t i = 0; i < three; i++)
		failed += one_way();
	for (uint32_t i = 0; i < two; i++)
		failed += other_way();
	return failed;
}

// The outermost of the four calls that tell sites apart: everybody comes this way.
static no_inline uint32_t workload(void)
{
	volatile uint32_t failed = loops_run();
	return failed;
}

static uint32_t record(uint32_t *sites, uint32_t *hits)
{
	fault_set(&(struct fault_plan){.record = true});
	(void)workload();
	fault_set(&(struct fault_plan){.record = false});
	return fault_sites(sites, hits, SITES);
}

// Other threads may allocate meanwhile; among what was recorded are our two sites, in order.
static bool find_sites(const uint32_t *sites, const uint32_t *hits, uint32_t count, uint32_t *one, uint32_t *other)
{
	*one = *other = 0;
	for (uint32_t i = 0; i < count && i < SITES; i++) {
		if (hits[i] == 3 && *one == 0)
			*one = sites[i];
		else if (hits[i] == 2 && *one != 0 && *other == 0)
			*other = sites[i];
	}
	return *one != 0 && *other != 0;
}

TEST(fault, each_occurrence_of_each_site_can_fail)
{
	uint32_t sites[SITES], hits[SITES], one, other;
	uint32_t count = record(sites, hits);
	REQUIRE(find_sites(sites, hits, count, &one, &other));
	for (uint32_t hit = 1; hit <= 4; hit++) {
		fault_set(&(struct fault_plan){.site = one, .hit = hit});
		CHECK_EQ(workload(), hit <= 3 ? 1 : 0);
		CHECK_EQ(fault_fired(), hit <= 3);
		fault_set(&(struct fault_plan){.site = other, .hit = hit});
		CHECK_EQ(workload(), hit <= 2 ? 1 << 16 : 0);
		CHECK_EQ(fault_fired(), hit <= 2);
	}
	fault_set(&(struct fault_plan){0});
	CHECK_EQ(workload(), 0);
}

TEST(fault, recording_repeats)
{
	uint32_t first[SITES], second[SITES], hits[SITES], one[2], other[2];
	REQUIRE(find_sites(first, hits, record(first, hits), &one[0], &other[0]));
	REQUIRE(find_sites(second, hits, record(second, hits), &one[1], &other[1]));
	CHECK_EQ(one[0], one[1]);
	CHECK_EQ(other[0], other[1]);
	CHECK(one[0] != other[0]);
}

TEST(fault, every_way_in_asks)
{
	struct frame_reservation reservation;
	uint32_t sites[SITES], hits[SITES];
	void *group;
	fault_set(&(struct fault_plan){.record = true});
	void *block = kmalloc(9000, 0);
	void *frames = frame_alloc(2, 0, NULL);
	void *range = range_alloc(FRAME_SIZE, 0, NULL);
	err_t reserved = frame_reserve(&reservation, 1, NULL);
	err_t kept = frame_group_keep(4, &group);
	fault_set(&(struct fault_plan){.record = false});
	CHECK(fault_sites(sites, hits, SITES) >= 5);
	REQUIRE(block != NULL && frames != NULL && range != NULL);
	REQUIRE(reserved == 0 && kept == 0);
	kfree(block);
	frame_free(frames, 2);
	range_free(range);
	frame_unreserve(&reservation);
	frame_group_release(group);
}

TEST(fault, exempt_allocations_do_not_count)
{
	uint32_t sites[SITES], hits[SITES];
	fault_set(&(struct fault_plan){.record = true});
	void *block = kmalloc(100, MEM_NO_FAIL_INJECT);
	fault_set(&(struct fault_plan){.record = false});
	uint32_t count = fault_sites(sites, hits, SITES);
	for (uint32_t i = 0; i < count && i < SITES; i++)
		CHECK(hits[i] != 0);
	CHECK(block != NULL);
	kfree(block);
}
