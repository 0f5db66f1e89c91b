// SPDX-License-Identifier: MIT
//
// Commands about waiting: locks, timers.
#include "commands.h"

#include "kern/counter.h"
#include "kern/lockcheck.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"

static unsigned long long count_of(enum counter_id id)
{
	return (unsigned long long)counter_read(id);
}

struct waiting {
	struct monitor_session *session;
	struct thread_info *infos;
	uint32_t count, capacity;
};

static void keep_waiting(const struct thread_info *info, void *arg)
{
	struct waiting *waiting = arg;
	bool interesting = info->waiting_on != NULL || info->held_count != 0;
	if (interesting && waiting->count < waiting->capacity)
		waiting->infos[waiting->count++] = *info;
}

static int32_t run_locks(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct waiting waiting = {.session = session, .capacity = 256};
	if (argc != 1)
		return monitor_usage(session, argv[0]);
	waiting.infos = kmalloc_array(waiting.capacity, sizeof *waiting.infos, 0);
	if (waiting.infos == NULL) {
		monitor_error(session, "locks: out of memory\n");
		return 1;
	}
	monitor_printf(session,
		       "spinlocks contended %llu, mutexes blocked %llu, RCU grace periods %llu, callbacks %llu\n",
		       count_of(COUNTER_LOCK_CONTENDED), count_of(COUNTER_MUTEX_BLOCKED),
		       count_of(COUNTER_RCU_GRACE_PERIODS), count_of(COUNTER_RCU_CALLBACKS));
	thread_each(keep_waiting, &waiting);
	monitor_printf(session, "  id name            holds waits for\n");
	for (uint32_t i = 0; i < waiting.count; i++)
		monitor_printf(session, "%4u %-15s %5u %s\n", waiting.infos[i].id, waiting.infos[i].name,
			       waiting.infos[i].held_count,
			       waiting.infos[i].waiting_on != NULL ? waiting.infos[i].waiting_on : "");
	kfree(waiting.infos);
	return 0;
}

const struct monitor_command monitor_cmd_locks = {"locks", "", "who holds and who waits for what; contention",
						  run_locks, NULL};

struct timer_list {
	struct timer_info *infos;
	uint32_t count, capacity, total;
};

static void keep_timer(const struct timer_info *info, void *arg)
{
	struct timer_list *list = arg;
	list->total++;
	if (list->count < list->capacity)
		list->infos[list->count++] = *info;
}

static int32_t run_timers(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct timer_list list = {.capacity = 64};
	if (argc != 1)
		return monitor_usage(session, argv[0]);
	list.infos = kmalloc_array(list.capacity, sizeof *list.infos, 0);
	if (list.infos == NULL) {
		monitor_error(session, "timers: out of memory\n");
		return 1;
	}
	timer_each(keep_timer, &list);
	uint64_t now_ns = clock_now_ns();
	monitor_printf(session, "armed %llu, fired %llu, cancelled %llu, queued now %u\ncpu      fires in  callback\n",
		       count_of(COUNTER_TIMER_ARMED), count_of(COUNTER_TIMER_FIRED), count_of(COUNTER_TIMER_CANCELLED),
		       list.total);
	for (uint32_t i = 0; i < list.count; i++) {
		uint64_t left_ns = list.infos[i].deadline_ns > now_ns ? list.infos[i].deadline_ns - now_ns : 0;
		monitor_printf(session, "%3u %12s  kernel+%#lx\n", list.infos[i].cpu, monitor_duration(left_ns).text,
			       (unsigned long)list.infos[i].where);
	}
	if (list.total > list.count)
		monitor_printf(session, "(%u more)\n", list.total - list.count);
	kfree(list.infos);
	return 0;
}

const struct monitor_command monitor_cmd_timers = {"timers", "", "queued timers by CPU and deadline", run_timers, NULL};
