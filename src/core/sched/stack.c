// SPDX-License-Identifier: MIT
//
// Kernel stacks: CONFIG_KSTACK_SIZE bytes aligned to their size, struct thread at the base, growing down towards it. A few
// ended ones are kept per CPU, so that a thread costs no trip to the frame allocator. The canary at the end of the header
// tells that a stack was too small; how deep a stack was used is exact with CONFIG_MEMDEBUG, which fills it
// beforehand, and otherwise the deepest of what was seen at switches and interrupts.
#include "sched_impl.h"

#include "hal/mem.h"

#define STACK_FILL 0xa5u

static_assert(IS_POWER_OF_2(CONFIG_KSTACK_SIZE), "current is a mask of the stack pointer");
static_assert(sizeof(struct thread) <= CONFIG_KSTACK_SIZE / 4, "the header leaves no room for a stack");

// Only the kernel's own are cached: others are charged to an account that must get them back.
static bool stack_is_cacheable(const struct account *account)
{
	return account == NULL || account == account_root();
}

static struct thread *stack_take_cached(void)
{
	bool was = hal_irq_save();
	struct runq *rq = this_cpu()->runq;
	biased_own(&rq->lock);
	struct thread *thread = rq->stacks;
	if (thread != NULL) {
		rq->stacks = thread->dead_next;
		rq->stack_count--;
	}
	biased_drop(&rq->lock);
	hal_irq_restore(was);
	return thread;
}

struct thread *stack_get(struct account *account)
{
	struct thread *thread = stack_is_cacheable(account) ? stack_take_cached() : NULL;
	if (thread == NULL)
		thread = frame_alloc(STACK_ORDER, 0, account);
	if (thread == NULL)
		return NULL;
	hal_ram_unpoison(thread, CONFIG_KSTACK_SIZE);
	memset(thread, 0, sizeof *thread);
	if (CONFIG_MEMDEBUG)
		memset(thread + 1, STACK_FILL, CONFIG_KSTACK_SIZE - sizeof *thread);
	return thread;
}

void stack_put(struct thread *thread)
{
	bool was = hal_irq_save();
	struct runq *rq = this_cpu()->runq;
	thread->magic = 0;
	biased_own(&rq->lock);
	if (rq->stack_count < STACK_CACHE_COUNT && stack_is_cacheable(thread->account)) {
		thread->dead_next = rq->stacks;
		rq->stacks = thread;
		rq->stack_count++;
	} else {
		thread->dead_next = rq->dead;
		rq->dead = thread;
	}
	biased_drop(&rq->lock);
	irq_restore(was);
}

static void stack_free_list(struct thread *list)
{
	while (list != NULL) {
		struct thread *next = list->dead_next;
		frame_free(list, STACK_ORDER);
		list = next;
	}
}

void stack_reap(void)
{
	bool was = hal_irq_save();
	struct runq *rq = this_cpu()->runq;
	struct thread *list = NULL;
	biased_own(&rq->lock);
	list = rq->dead;
	rq->dead = NULL;
	biased_drop(&rq->lock);
	irq_restore(was);
	stack_free_list(list);
}

void stack_drain(struct runq *rq)
{
	bool was = runq_lock(rq);
	struct thread *cached = rq->stacks;
	struct thread *dead = rq->dead;
	rq->stacks = NULL;
	rq->stack_count = 0;
	rq->dead = NULL;
	runq_unlock(rq, was);
	stack_free_list(cached);
	stack_free_list(dead);
}

void stack_check(const struct thread *thread)
{
	VERIFY3(thread->magic, ==, THREAD_MAGIC);
	VERIFY3(thread->stack_canary, ==, THREAD_CANARY);
}

#if CONFIG_MEMDEBUG
// Reads another thread's stack while it runs: a race whose outcome is at worst a stale figure.
static no_asan no_tsan size_t stack_scan(const struct thread *thread)
{
	const unsigned char *low = (const unsigned char *)thread + MAX(sizeof *thread, (size_t)HAL_STACK_OFFSET);
	const unsigned char *high = (const unsigned char *)thread + CONFIG_KSTACK_SIZE;
	while (low < high && *(const volatile unsigned char *)low == STACK_FILL)
		low++;
	return (size_t)(high - low);
}
#endif

size_t stack_used_bytes(const struct thread *thread)
{
#if CONFIG_MEMDEBUG
	// The boot stack was not filled.
	if (thread->id != 1)
		return stack_scan(thread);
#endif
	return CONFIG_KSTACK_SIZE - atomic_load_u32_relaxed_nopoint(&thread->stack_low);
}
