// SPDX-License-Identifier: MIT
//
// The counters' words, their names and their sums.
#include "kern/counter.h"

#include "base_impl.h"

static const struct {
	const char *name;
	const char *help;
} rows[COUNTER_COUNT] = {
#define X(id, name, help) [id] = {name, help},
	COUNTER_TABLE(X)
#undef X
};

// Rounded up to whole cache lines: CPUs write these words all the time.
err_t counter_init(struct kernel *kernel)
{
	size_t size_bytes = ALIGN_UP(COUNTER_COUNT * sizeof(uintptr_t), CACHE_LINE_SIZE);

	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		kernel->cpus[i]->counters = boot_alloc(kernel, size_bytes, CACHE_LINE_SIZE);
		if (kernel->cpus[i]->counters == NULL)
			return ERR(ENOMEM);
	}
	return 0;
}

uint64_t counter_read_cpu(enum counter_id id, const struct cpu *cpu)
{
	ASSERT3(id, <, COUNTER_COUNT);
	return cpu->counters == NULL ? 0 : atomic_load_word_relaxed_nopoint(&cpu->counters[id]);
}

uint64_t counter_read(enum counter_id id)
{
	const struct kernel *kernel = hal_kernel();
	uint64_t sum = 0;
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		sum += counter_read_cpu(id, kernel->cpus[i]);
	return sum;
}

const char *counter_name(enum counter_id id)
{
	return (uint32_t)id < COUNTER_COUNT ? rows[id].name : "?";
}

const char *counter_help(enum counter_id id)
{
	return (uint32_t)id < COUNTER_COUNT ? rows[id].help : "?";
}
