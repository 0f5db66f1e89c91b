// SPDX-License-Identifier: MIT
//
// Allocation failure on purpose. Each allocation is attributed to a site, a hash of the four innermost return addresses as
// image offsets, so that it is the same in every run of one build; a plan names the occurrence of one site that is to fail.
// Needs frame pointers; the walk stays inside the running kernel stack, whatever it finds there.
#include "mem_impl.h"

#include "kern/hash.h"
#include "kern/image.h"
#include "kern/option.h"

#define FAULT_SITES_MAX 4096u
#define FAULT_DEPTH 4u

#if CONFIG_FAULTINJECT

struct fault_site {
	uint32_t hash; // 0: free entry
	uint32_t hits;
	uint32_t rank; // order of first occurrence
};

struct fault_state {
	struct spinlock lock;
	struct fault_plan plan;
	uint32_t plan_hits;
	uint32_t fired;
	uint32_t count;
	uint32_t lost;                            // sites beyond the table
	struct fault_site sites[FAULT_SITES_MAX]; // open addressing
};

err_t fault_init(struct kernel *kernel)
{
	struct fault_state *state = boot_alloc(kernel, sizeof *state, CACHE_LINE_SIZE);
	if (state == NULL)
		return ERR(ENOMEM);
	spin_init(&state->lock, LOCK_RANK_FAULT, "mem: faults");
	state->plan = (struct fault_plan){
		.site = (uint32_t)option_u64_or("fault_site", 0),
		.hit = (uint32_t)option_u64_or("fault_hit", 1),
		.record = option_u64_or("fault_record", 0) != 0,
	};
	kernel->faults = state;
	return 0;
}

void fault_set(const struct fault_plan *plan)
{
	struct fault_state *state = kernel_self()->faults;
	spin_lock(&state->lock);
	if (plan->record)
		memset(state->sites, 0, sizeof state->sites);
	if (plan->record)
		state->count = 0;
	state->lost = 0;
	state->plan = *plan;
	state->plan_hits = 0;
	state->fired = 0;
	spin_unlock(&state->lock);
}

uint32_t fault_sites(uint32_t *sites, uint32_t *hits, uint32_t capacity)
{
	struct fault_state *state = kernel_self()->faults;
	spin_lock(&state->lock);
	for (uint32_t i = 0; i < FAULT_SITES_MAX; i++) {
		const struct fault_site *site = &state->sites[i];
		if (site->hash == 0 || site->rank >= capacity)
			continue;
		sites[site->rank] = site->hash;
		hits[site->rank] = site->hits;
	}
	uint32_t count = state->count + state->lost;
	spin_unlock(&state->lock);
	return count;
}

bool fault_fired(void)
{
	struct fault_state *state = kernel_self()->faults;
	spin_lock(&state->lock);
	bool fired = state->fired != 0;
	spin_unlock(&state->lock);
	return fired;
}

static void site_record(struct fault_state *state, uint32_t hash)
{
	for (uint32_t probe = 0; probe < FAULT_SITES_MAX; probe++) {
		struct fault_site *site = &state->sites[(hash + probe) % FAULT_SITES_MAX];
		if (site->hash == 0)
			*site = (struct fault_site){.hash = hash, .rank = state->count++};
		if (site->hash != hash)
			continue;
		site->hits++;
		return;
	}
	state->lost++;
}

// A frame record is {caller's frame pointer, return address}; on RISC-V it ends where the frame pointer points.
#if defined(__riscv)
#define FRAME_RECORD(fp) ((const uintptr_t *)(fp)-2)
#else
#define FRAME_RECORD(fp) ((const uintptr_t *)(fp))
#endif

// Reads what may be dead or foreign stack words, which only the bounds make harmless.
static no_asan no_tsan uint32_t stack_hash(uintptr_t fp)
{
	uintptr_t low = (uintptr_t)hal_self() + sizeof(struct thread);
	uintptr_t high = (uintptr_t)hal_self() + CONFIG_KSTACK_SIZE - 4 * sizeof(uintptr_t);
	uint32_t hash = 1;
	for (uint32_t depth = 0; depth <= FAULT_DEPTH; depth++) {
		if (fp <= low + 2 * sizeof(uintptr_t) || fp > high || !IS_ALIGNED(fp, sizeof(uintptr_t)))
			break;
		const uintptr_t *record = FRAME_RECORD(fp);
		hash = hash_combine(hash, (uint32_t)image_offset((const void *)record[1]));
		if (record[0] <= fp)
			break;
		fp = record[0];
	}
	return hash == 0 ? 1 : hash;
}

no_inline bool fault_should_fail(uint32_t mem_flags)
{
	struct fault_state *state = kernel_self()->faults;
	if (state == NULL || (mem_flags & MEM_NO_FAIL_INJECT) != 0)
		return false;
	if (!READ_ONCE(state->plan.record) && READ_ONCE(state->plan.site) == 0)
		return false;
	uint32_t hash = stack_hash((uintptr_t)__builtin_frame_address(0));
	spin_lock(&state->lock);
	if (state->plan.record)
		site_record(state, hash);
	bool fail = hash == state->plan.site && ++state->plan_hits == state->plan.hit;
	if (fail)
		state->fired = 1;
	spin_unlock(&state->lock);
	return fail;
}

#else

err_t fault_init(struct kernel *kernel)
{
	kernel->faults = NULL;
	return 0;
}

void fault_set(const struct fault_plan *plan)
{
	(void)plan;
}

uint32_t fault_sites(uint32_t *sites, uint32_t *hits, uint32_t capacity)
{
	(void)sites;
	(void)hits;
	(void)capacity;
	return 0;
}

bool fault_fired(void)
{
	return false;
}

#endif
