// SPDX-License-Identifier: MIT
//
// A thread's folder: comm, stat, status (proc(5)). Threads of the kernel are processes of their own here; what belongs to address spaces
// is 0.
#include "procfs_impl.h"

#include "kern/sched.h"
#include "kern/string.h"

#define TICKS_PER_S 100u
#define NS_PER_TICK (1000000000u / TICKS_PER_S)
#define SPARE 16u // for threads that are born between counting and copying

struct search {
	uint32_t id;
	struct thread_info *info;
	bool found;
};

static void see(const struct thread_info *info, void *arg)
{
	struct search *search = arg;
	if (info->id != search->id)
		return;
	search->found = true;
	if (search->info != NULL)
		*search->info = *info;
}

bool proc_thread_find(uint32_t id, struct thread_info *info)
{
	struct search search = {.id = id, .info = info};
	thread_each(see, &search);
	return search.found;
}

struct ids {
	uint32_t *list;
	uint32_t count, room;
};

static void count(const struct thread_info *info, void *arg)
{
	(void)info;
	((struct ids *)arg)->room++;
}

static void keep(const struct thread_info *info, void *arg)
{
	struct ids *ids = arg;
	if (ids->count < ids->room)
		ids->list[ids->count++] = info->id;
}

err_t proc_threads(uint32_t **out, uint32_t *number)
{
	struct ids ids = {.room = SPARE};

	thread_each(count, &ids);
	ids.list = kmalloc_array(ids.room, sizeof *ids.list, 0);
	if (ids.list == NULL)
		return ERR(ENOMEM);
	thread_each(keep, &ids);
	*out = ids.list;
	*number = ids.count;
	return 0;
}

static char state_letter(uint32_t state)
{
	static const char letters[] = {[THREAD_NEW] = 'R',    [THREAD_READY] = 'R', [THREAD_RUNNING] = 'R',
				       [THREAD_PARKED] = 'S', [THREAD_DEAD] = 'Z',  [THREAD_REAPED] = 'X'};
	return state < sizeof letters ? letters[state] : '?';
}

static const char *state_word(char letter)
{
	return letter == 'R' ? "running" : letter == 'S' ? "sleeping" : letter == 'Z' ? "zombie" : "dead";
}

static err_t show_comm(struct text *text, uint32_t number)
{
	struct thread_info info;

	if (!proc_thread_find(number, &info))
		return ERR(ESRCH);
	text_add(text, "%s\n", info.name);
	return 0;
}

static err_t show_status(struct text *text, uint32_t number)
{
	static const char *const classes[] = {"fifo", "rr", "fair", "idle"};
	struct thread_info info;

	if (!proc_thread_find(number, &info))
		return ERR(ESRCH);
	char letter = state_letter(info.state);
	text_add(text, "Name:\t%s\nState:\t%c (%s)\nPid:\t%u\nThreads:\t1\n", info.name, letter, state_word(letter),
		 info.id);
	text_add(text, "Class:\t%s\nPriority:\t%d\nCpu:\t%u\n",
		 info.klass < array_count(classes) ? classes[info.klass] : "?", info.prio, info.cpu);
	text_add(text, "VmStk:\t%llu kB\nWaitingOn:\t%s\n", (unsigned long long)(info.stack_used_bytes + 1023) / 1024,
		 info.waiting_on != NULL ? info.waiting_on : "-");
	text_add(text, "voluntary_ctxt_switches:\t%u\nnonvoluntary_ctxt_switches:\t%u\n",
		 info.stats.switches - info.stats.preemptions, info.stats.preemptions);
	return 0;
}

// The fields of proc(5) by number: 1 pid, 2 comm, 3 state, … 15 stime, 18 priority, 19 nice, 20 threads, 39 processor, 52 in all.
static err_t show_stat(struct text *text, uint32_t number)
{
	struct thread_info info;

	if (!proc_thread_find(number, &info))
		return ERR(ESRCH);
	text_add(text, "%u (%s) %c", info.id, info.name, state_letter(info.state));
	for (uint32_t field = 4; field <= 52; field++) {
		int64_t value = 0;
		if (field == 8)
			value = -1; // no terminal
		else if (field == 15)
			value = (int64_t)(info.stats.run_ns / NS_PER_TICK);
		else if (field == 18)
			value = info.prio - PRIO_FAIR_MAX;
		else if (field == 19)
			value = info.prio_base - PRIO_FAIR_DEFAULT;
		else if (field == 20)
			value = 1;
		else if (field == 39)
			value = info.cpu;
		text_add(text, " %lld", (long long)value);
	}
	text_add(text, "\n");
	return 0;
}

const struct proc_node proc_thread_nodes[] = {
	{"comm", show_comm, NULL}, {"stat", show_stat, NULL}, {"status", show_status, NULL}, {NULL, NULL, NULL}};
