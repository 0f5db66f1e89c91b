// SPDX-License-Identifier: MIT
//
// Tunables of all components, and those of the core.
#include "boot_impl.h"

#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/tunable.h"

#define TEXT_MAX 32u

const struct tunable *tunable_at(uint32_t n)
{
	const struct persona *persona = kernel_self()->persona;

	for (uint32_t i = 0; i < persona->component_count; i++) {
		const struct tunable *tunable = persona->components[i]->tunables;
		for (; tunable != NULL && tunable->name != NULL; tunable++)
			if (n-- == 0)
				return tunable;
	}
	return NULL;
}

const struct tunable *tunable_find(const char *name)
{
	const struct tunable *tunable;

	for (uint32_t i = 0; (tunable = tunable_at(i)) != NULL; i++)
		if (str_equal(tunable->name, name))
			return tunable;
	return NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

err_t tunable_set(const struct tunable *tunable, const char *text)
{
	char number[TEXT_MAX];
	uint64_t value;

	while (is_blank(*text))
		text++;
	size_t size = strlen(text);
	while (size > 0 && is_blank(text[size - 1]))
		size--;
	if (size >= sizeof number)
		return ERR(EINVAL);
	memcpy(number, text, size);
	number[size] = '\0';
	err_t err = str_to_u64(number, 0, &value);
	if (err != 0)
		return err;
	if (value < tunable->min || value > tunable->max)
		return ERR(ERANGE);
	return tunable->set != NULL ? tunable->set(value) : ERR(EACCES);
}

// ---- the core's ----------------------------------------------------------------------------------------------------------

static uint64_t console_level_get(void)
{
	return log_console_level();
}

static err_t console_level_set(uint64_t value)
{
	log_set_console_level((uint32_t)value);
	return 0;
}

static uint64_t slice_get(void)
{
	return sched_slice_ns() / 1000;
}

static err_t slice_set(uint64_t value)
{
	return sched_set_slice_ns(value * 1000);
}

static uint64_t memory_limit_get(void)
{
	return (uint64_t)atomic_load_u32_relaxed(&account_root()->limit_frames) * (FRAME_SIZE / 1024);
}

static err_t memory_limit_set(uint64_t value)
{
	return account_set_limit(account_root(), (uint32_t)(value / (FRAME_SIZE / 1024)));
}

static uint64_t cpus_get(void)
{
	return kernel_self()->cpu_count;
}

const struct tunable core_tunables[] = {
	{"kernel.console_level", "how grave a line of the log must be to go to the console, 0 to 7", 0, 7,
	 console_level_get, console_level_set},
	{"kernel.cpus", "processors", 0, UINT64_MAX, cpus_get, NULL},
	{"sched.slice_us", "slice of fair threads, in microseconds", 100, 1000000, slice_get, slice_set},
	{"vm.limit_kib", "memory that may be in use, in KiB; 0: all", 0, UINT32_MAX, memory_limit_get,
	 memory_limit_set},
	{NULL, NULL, 0, 0, NULL, NULL},
};
