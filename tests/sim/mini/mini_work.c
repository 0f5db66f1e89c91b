// SPDX-License-Identifier: MIT
//
// Mini kernel: the commands that tests give it. A command is a word and up to three numbers.
#include "mini.h"

#include <string.h>

#define TEAM_MAX 64

struct team {
	uint32_t size, rounds;
	uint32_t finished;         // atomic
	uint32_t guarded;          // by lock
	uint32_t bare;             // by nobody
	uint32_t flag, data, seen; // the planted order bug
	struct mini_lock lock;
	struct mini_sem done;
};

// Of a kind that is a point in every build.
static void atomic_step(void)
{
	hal_point(HAL_POINT_LOCK);
}

// ---- teams ------------------------------------------------------------------------------------------------------------

static int64_t team_run(struct team *team, void (*fn)(void *))
{
	for (uint32_t i = 0; i < team->size; ++i)
		if (mini_spawn(fn, team) == NULL)
			return -12;
	for (uint32_t i = 0; i < team->size; ++i)
		mini_down(&team->done);
	return 0;
}

static void count_main(void *arg)
{
	struct team *team = arg;
	for (uint32_t i = 0; i < team->rounds; ++i) {
		bool was = mini_lock(&team->lock);
		++team->guarded;
		mini_unlock(&team->lock, was);
		atomic_step();
		uint32_t value = *(volatile uint32_t *)&team->bare;
		atomic_step();
		*(volatile uint32_t *)&team->bare = value + 1;
	}
	mini_event(10, team->guarded, team->bare);
	mini_up(&team->done);
}

// Returns what the unguarded counter has lost.
static int64_t count(uint32_t threads, uint32_t rounds)
{
	struct team team = {.size = threads, .rounds = rounds};
	int64_t err = team_run(&team, count_main);
	if (err != 0 || team.guarded != threads * rounds)
		return -1;
	return (int64_t)(team.guarded - team.bare);
}

static void points_main(void *arg)
{
	struct team *team = arg;
	for (uint32_t i = 0; i < team->rounds; ++i)
		atomic_step();
	mini_up(&team->done);
}

// A bug of depth 2: the flag is raised before the data is there, and the reader looks once, after long work. It shows only if
// the writer is held up between the two for as long as that work takes.
static void order_main(void *arg)
{
	struct team *team = arg;
	bool writer = __atomic_fetch_add(&team->seen, 1, __ATOMIC_RELAXED) == 0;
	for (uint32_t i = 0; i < (writer ? 5 : team->rounds); ++i)
		atomic_step();
	if (writer) {
		*(volatile uint32_t *)&team->flag = 1;
		atomic_step();
		*(volatile uint32_t *)&team->data = 1;
	} else if (*(volatile uint32_t *)&team->flag != 0) {
		team->bare += *(volatile uint32_t *)&team->data == 0;
	}
	mini_up(&team->done);
}

// One thread works, the others poll until it is done.
static void poll_main(void *arg)
{
	struct team *team = arg;
	if (__atomic_fetch_add(&team->seen, 1, __ATOMIC_RELAXED) == 0) {
		for (uint32_t i = 0; i < team->rounds; ++i)
			atomic_step();
		__atomic_store_n(&team->finished, 1, __ATOMIC_RELEASE);
	} else {
		while (__atomic_load_n(&team->finished, __ATOMIC_ACQUIRE) == 0)
			hal_cpu_relax();
	}
	mini_up(&team->done);
}

// ---- single commands --------------------------------------------------------------------------------------------------

static int64_t lock_twice(void)
{
	struct mini_lock lock = {0};
	mini_lock(&lock);
	mini_lock(&lock);
	return 0;
}

static __attribute__((noreturn)) void poll_forever(void)
{
	for (;;)
		hal_cpu_relax();
}

static __attribute__((noreturn)) void sleep_forever(void)
{
	for (;;)
		mini_sleep(1000000);
}

static int64_t wait_forever(void)
{
	struct mini_sem never = {0};
	mini_down(&never);
	return 0;
}

// What a program does that looks at memory nobody wrote, and one that believes in addresses.
static int64_t fresh(bool address)
{
	const uint64_t *memory = mini_alloc(64);
	mini_event(11, address ? (uintptr_t)memory : memory[3], 0);
	return 0;
}

static int64_t entropy(void)
{
	uint64_t value;
	hal_entropy(&value, sizeof(value));
	mini_event(12, value, 0);
	return (int64_t)(value >> 1);
}

static int64_t module_sum(const char *name)
{
	uint8_t bytes[256];
	uint64_t size, sum = 0;
	int32_t id;
	tb_err err = hal_module_open(name, &id, &size);
	for (uint64_t at = 0; err == 0 && at < size; at += sizeof(bytes)) {
		size_t part = size - at < sizeof(bytes) ? (size_t)(size - at) : sizeof(bytes);
		err = hal_module_read(id, at, bytes, part);
		for (size_t i = 0; err == 0 && i < part; ++i)
			sum += bytes[i];
	}
	if (err != 0)
		return err;
	hal_module_close(id);
	return (int64_t)sum;
}

#define STACK_PAINT 0xc5a96b3d71f28e54u // never a saved register: a zero would be

// How deep this stack gets in `rounds` points, as a kernel that paints its stacks would see it.
__attribute__((noinline, no_sanitize_address)) static int64_t stack_depth(uint32_t rounds)
{
	uintptr_t here = hal_stack_pointer();
	uintptr_t low = (uintptr_t)(mini_self() + 1);
	for (uintptr_t at = low; at < here - 64; at += sizeof(uint64_t))
		*(volatile uint64_t *)at = STACK_PAINT;
	for (uint32_t i = 0; i < rounds; ++i)
		atomic_step();
	mini_event(13, 1, 0);
	while (low < here - 64 && *(volatile uint64_t *)low == STACK_PAINT)
		low += sizeof(uint64_t);
	mini_event(13, here - low, 0);
	return (int64_t)(here - low);
}

static int64_t sleep_sum(uint32_t times, uint32_t duration_ns)
{
	uint64_t begin_ns = hal_clock_mono_ns();
	for (uint32_t i = 0; i < times; ++i)
		mini_sleep(duration_ns);
	return (int64_t)(hal_clock_mono_ns() - begin_ns);
}

static int64_t fault(void)
{
	return *(volatile int *)(uintptr_t)0xfffffffffff0ull;
}

// ---- reading commands -------------------------------------------------------------------------------------------------

static uint32_t number_next(const char **text)
{
	uint32_t value = 0;
	while (**text == ' ')
		++*text;
	for (; **text >= '0' && **text <= '9'; ++*text)
		value = value * 10 + (uint32_t)(**text - '0');
	return value;
}

static bool word_is(const char *line, const char *word, const char **rest)
{
	size_t size = strlen(word);
	if (strncmp(line, word, size) != 0 || (line[size] != '\0' && line[size] != ' '))
		return false;
	*rest = line + size;
	return true;
}

static int64_t team_command(void (*fn)(void *), const char *rest, bool result)
{
	struct team team = {0};
	team.size = number_next(&rest);
	team.rounds = number_next(&rest);
	int64_t err = team.size <= TEAM_MAX ? team_run(&team, fn) : -22;
	return err != 0 || !result ? err : team.bare;
}

static int64_t word_command(const char *line)
{
	const char *rest = line;
	if (word_is(line, "deadlock", &rest))
		return wait_forever();
	if (word_is(line, "spin", &rest))
		return lock_twice();
	if (word_is(line, "poll", &rest))
		poll_forever();
	if (word_is(line, "forever", &rest))
		sleep_forever();
	if (word_is(line, "fresh", &rest))
		return fresh(false);
	if (word_is(line, "address", &rest))
		return fresh(true);
	if (word_is(line, "entropy", &rest))
		return entropy();
	if (word_is(line, "depth", &rest))
		return stack_depth(number_next(&rest));
	if (word_is(line, "panic", &rest))
		hal_panic("asked for");
	if (word_is(line, "fault", &rest))
		return fault();
	if (word_is(line, "module", &rest))
		return module_sum(rest + 1);
	return -2;
}

int64_t mini_command(const char *line, size_t size_bytes)
{
	char copy[256] = {0};
	const char *rest = copy;
	if (size_bytes >= sizeof(copy))
		return -7;
	memcpy(copy, line, size_bytes);
	if (word_is(copy, "count", &rest)) {
		uint32_t threads = number_next(&rest);
		return count(threads, number_next(&rest));
	}
	if (word_is(copy, "points", &rest))
		return team_command(points_main, rest, false);
	if (word_is(copy, "order", &rest))
		return team_command(order_main, rest, true);
	if (word_is(copy, "relax", &rest))
		return team_command(poll_main, rest, false);
	if (word_is(copy, "sleep", &rest)) {
		uint32_t times = number_next(&rest);
		return sleep_sum(times, number_next(&rest));
	}
	if (word_is(copy, "halt", &rest))
		hal_halt((int32_t)number_next(&rest));
	return word_command(copy);
}

// Lines of the console are commands; its end halts with the last command's result.
void mini_console(void *arg)
{
	char line[256];
	size_t size = 0;
	bool end = false;
	int64_t result = 0;
	(void)arg;
	while (!end) {
		size_t got = hal_console_read(line + size, 1, &end);
		if (got == 0 && !end) {
			hal_console_wait(true);
			mini_down(&hal_kernel()->console);
			hal_console_wait(false);
			continue;
		}
		size += got;
		if (size == 0 || (line[size - 1] != '\n' && !end && size < sizeof(line)))
			continue;
		hal_console_write(line, size);
		result = mini_command(line, line[size - 1] == '\n' ? size - 1 : size);
		size = 0;
	}
	hal_halt((int32_t)(result & 0xff));
}
