// SPDX-License-Identifier: MIT
//
// Atomic accesses: results and failure values of each operation, and that they are atomic among threads.
#include "kern/atomic.h"

#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/test.h"

TEST(atomic, u32_operations)
{
	uint32_t x = 5, expected = 4;

	CHECK_EQ(atomic_load_u32_acquire(&x), 5);
	CHECK(!atomic_cmpxchg_u32_acq_rel(&x, &expected, 9));
	CHECK_EQ(expected, 5);
	CHECK(atomic_cmpxchg_u32_seq_cst(&x, &expected, 9));
	CHECK_EQ(atomic_xchg_u32_acquire(&x, 0xf0), 9);
	CHECK_EQ(atomic_fetch_add_u32_relaxed(&x, 0x0f), 0xf0);
	CHECK_EQ(atomic_fetch_and_u32_release(&x, 0x3c), 0xff);
	CHECK_EQ(atomic_fetch_or_u32_relaxed(&x, 1), 0x3c);
	CHECK_EQ(atomic_fetch_sub_u32_acq_rel(&x, 0x3e), 0x3d);
	CHECK_EQ(atomic_load_u32_seq_cst(&x), UINT32_MAX);
	atomic_store_u32_release(&x, 7);
	CHECK_EQ(atomic_load_u32_relaxed_nopoint(&x), 7);
}

TEST(atomic, word_and_u64_operations)
{
	uintptr_t word = 1;
	uint64_t wide = UINT32_MAX;

	CHECK(atomic_fetch_add_word_acq_rel(&word, UINTPTR_MAX) == 1);
	CHECK(atomic_load_word_relaxed(&word) == 0);
	CHECK(atomic_fetch_add_u64_relaxed(&wide, 1) == UINT32_MAX);
	CHECK(atomic_load_u64_acquire(&wide) == 1ull << 32);
}

TEST(atomic, pointers_keep_their_type)
{
	uint32_t a = 1, b = 2;
	uint32_t *p = &a;
	uint32_t *expected = &b;

	CHECK(*atomic_load_ptr_acquire(&p) == 1);
	CHECK(!atomic_cmpxchg_ptr_acquire(&p, &expected, NULL));
	CHECK(expected == &a);
	CHECK(atomic_cmpxchg_ptr_acq_rel(&p, &expected, &b));
	CHECK(atomic_xchg_ptr_seq_cst(&p, NULL) == &b);
	atomic_store_ptr_release(&p, &a);
	CHECK(READ_ONCE(p) == &a);
	WRITE_ONCE(p, &b);
	CHECK(LOAD_ACQUIRE(p) == &b);
	STORE_RELEASE(p, NULL);
	CHECK(p == NULL);
}

struct shared {
	uint32_t sum;
	uint32_t bits;
};

static void adder_main(void *arg)
{
	struct shared *shared = arg;

	for (uint32_t i = 0; i < 300; i++) {
		(void)atomic_fetch_add_u32_relaxed(&shared->sum, 3);
		uint32_t seen = atomic_load_u32_relaxed(&shared->bits);
		while (!atomic_cmpxchg_u32_relaxed(&shared->bits, &seen, seen + 1))
			;
	}
}

TEST_CPUS(atomic, no_update_is_lost, 2)
{
	struct shared *shared = kmalloc(sizeof *shared, MEM_ZERO);
	struct thread *threads[3];
	uint32_t started = 0;

	REQUIRE(shared != NULL);
	while (started < array_count(threads) && thread_start(NULL, adder_main, shared, &threads[started]) == 0)
		started++;
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	CHECK_EQ(started, array_count(threads));
	CHECK_EQ(shared->sum, started * 900);
	CHECK_EQ(shared->bits, started * 300);
	kfree(shared);
}
