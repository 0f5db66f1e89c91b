// SPDX-License-Identifier: MIT
//
// Magazines of other CPUs, for whoever runs short. A line belongs to its CPU with preemption off, so an interrupt there takes
// its magazines, and only where it has interrupted code with preemption on, which is in no line, or the idle thread, which
// allocates nothing. Giving objects to slabs needs locks that no interrupt may take, so the one who asked does it. CPUs with
// nothing are left in peace.
#include "slab_impl.h"

#include "hal/cpu.h"

#define COLLECT_TRIES 64u // of a CPU that is busy with its magazines

struct collect {
	struct slab_cache *cache;
	void *magazines[SLAB_MAGAZINES];
	bool taken;
};

// Interrupt context: the interrupt's own count is 1.
static void collect_here(void *arg)
{
	struct collect *collect = arg;
	struct cpu *cpu = this_cpu();
	if (hal_self()->preempt_count != 1 && current != cpu->idle)
		return;
	slab_cpu_take(collect->cache, cpu->slab, collect->magazines);
	collect->taken = true;
}

static void collect_give(struct slab_cache *cache, void *const magazines[SLAB_MAGAZINES])
{
	for (uint32_t i = 0; i < SLAB_MAGAZINES; i++)
		if (magazines[i] != NULL)
			slab_give(cache, magazines[i]);
}

static bool line_is_empty(const struct cpu *cpu, uint32_t id)
{
	const struct slab_line *line = &cpu->slab->lines[id];
	return atomic_load_ptr_relaxed_nopoint(&line->hot) == NULL &&
	       atomic_load_ptr_relaxed_nopoint(&line->previous) == NULL;
}

static void collect_from(struct slab_cache *cache, const struct cpu *cpu)
{
	struct collect collect = {.cache = cache};
	for (uint32_t tries = 0; tries < COLLECT_TRIES && !collect.taken && !line_is_empty(cpu, cache->id); tries++) {
		// A CPU that is not up yet has no magazines.
		if (kernel_self()->hooks->cpu_call(cpu->hal.index, collect_here, &collect) != 0)
			return;
		if (!collect.taken)
			hal_cpu_relax();
	}
	if (collect.taken)
		collect_give(cache, collect.magazines);
}

static uint32_t collect_own(struct slab_cache *cache)
{
	preempt_disable();
	const struct cpu *cpu = this_cpu();
	uint32_t index = cpu->hal.index;
	slab_cpu_empty(cache, cpu->slab);
	preempt_enable();
	return index;
}

void slab_magazines_collect(struct slab_cache *cache)
{
	struct kernel *kernel = kernel_self();
	uint32_t own = collect_own(cache);
	if (kernel->hooks == NULL || !preemptible())
		return;
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		if (i != own)
			collect_from(cache, kernel->cpus[i]);
}
