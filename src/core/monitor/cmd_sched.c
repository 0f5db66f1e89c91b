// SPDX-License-Identifier: MIT
//
// Commands about threads and CPUs: ps, top, cpus.
#include "commands.h"

#include "kern/component.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"

#define TOP_ROWS 20

struct snapshot {
	struct thread_info *infos;
	uint32_t count, capacity;
	uint64_t taken_ns;
};

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {"new", "ready", "running", "parked", "dead", "reaped"};
	return state < array_count(names) ? names[state] : "?";
}

static const char *class_name(uint32_t klass)
{
	static const char *const names[] = {"fifo", "rr", "fair", "idle"};
	return klass < array_count(names) ? names[klass] : "?";
}

static void count_thread(const struct thread_info *info, void *arg)
{
	(void)info;
	++*(uint32_t *)arg;
}

static void keep_thread(const struct thread_info *info, void *arg)
{
	struct snapshot *snapshot = arg;
	if (snapshot->count < snapshot->capacity)
		snapshot->infos[snapshot->count++] = *info;
}

// A little room is left for threads that are born between counting and copying. Free with kfree(infos).
static err_t snapshot_take(struct snapshot *snapshot)
{
	uint32_t count = 0;
	thread_each(count_thread, &count);
	snapshot->count = 0;
	snapshot->capacity = count + 16;
	snapshot->infos = kmalloc_array(snapshot->capacity, sizeof *snapshot->infos, 0);
	if (snapshot->infos == NULL)
		return ERR(ENOMEM);
	snapshot->taken_ns = clock_now_ns();
	thread_each(keep_thread, snapshot);
	return 0;
}

static void print_thread_json(struct monitor_session *session, const struct thread_info *info, bool first)
{
	monitor_printf(
		session,
		"%s{\"id\": %u, \"name\": \"%s\", \"state\": \"%s\", \"class\": \"%s\", \"prio\": %d, \"cpu\": %u, "
		"\"run_ns\": %llu, \"wait_ns\": %llu, \"wait_max_ns\": %llu, \"switches\": %u, \"stack_bytes\": %llu}",
		first ? "" : ",\n ", info->id, info->name, state_name(info->state), class_name(info->klass), info->prio,
		info->cpu, (unsigned long long)info->stats.run_ns, (unsigned long long)info->stats.wait_ns,
		(unsigned long long)info->stats.wait_max_ns, info->stats.switches,
		(unsigned long long)info->stack_used_bytes);
}

static void print_thread(struct monitor_session *session, const struct thread_info *info)
{
	monitor_printf(session, "%4u %-15s %-7s %-4s %4d %3u %10s %10s %8u %6llu  %s\n", info->id, info->name,
		       state_name(info->state), class_name(info->klass), info->prio, info->cpu,
		       monitor_duration(info->stats.run_ns).text, monitor_duration(info->stats.wait_max_ns).text,
		       info->stats.switches, (unsigned long long)info->stack_used_bytes,
		       info->waiting_on != NULL ? info->waiting_on : "");
}

static int32_t run_ps(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool json = argc == 2 && str_equal(argv[1], "-j");
	struct snapshot snapshot;
	if (argc > 2 || (argc == 2 && !json))
		return monitor_usage(session, argv[0]);
	if (snapshot_take(&snapshot) != 0) {
		monitor_error(session, "ps: out of memory\n");
		return 1;
	}
	monitor_printf(
		session, "%s",
		json ? "["
		     : "  id name            state   cls  prio cpu        run   max wait switches  stack  waits for\n");
	for (uint32_t i = 0; i < snapshot.count; i++)
		if (json)
			print_thread_json(session, &snapshot.infos[i], i == 0);
		else
			print_thread(session, &snapshot.infos[i]);
	monitor_printf(session, "%s", json ? "]\n" : "");
	kfree(snapshot.infos);
	return 0;
}

const struct monitor_command monitor_cmd_ps = {"ps", "[-j]", "threads: state, class, priority, CPU time, worst wait",
					       run_ps, NULL};

static uint64_t run_before(const struct snapshot *before, uint32_t id)
{
	for (uint32_t i = 0; i < before->count; i++)
		if (before->infos[i].id == id)
			return before->infos[i].stats.run_ns;
	return 0;
}

// The busiest threads between two snapshots; picks the largest remaining one row by row.
static void print_top(struct monitor_session *session, const struct snapshot *before, struct snapshot *now)
{
	uint64_t span_ns = now->taken_ns - before->taken_ns;
	monitor_printf(session, "%s  id name            state   cls  prio cpu   cpu%%\n",
		       monitor_is_terminal(session) ? "\x1b[H\x1b[2J" : "");
	for (uint32_t row = 0; row < TOP_ROWS; row++) {
		struct thread_info *best = NULL;
		uint64_t best_ns = 0;
		for (uint32_t i = 0; i < now->count; i++) {
			struct thread_info *info = &now->infos[i];
			uint64_t ran_ns = info->stats.run_ns - run_before(before, info->id);
			if (info->id != 0 && info->klass != CLASS_IDLE && (best == NULL || ran_ns > best_ns)) {
				best = info;
				best_ns = ran_ns;
			}
		}
		if (best == NULL)
			break;
		uint64_t permille = span_ns != 0 ? best_ns * 1000 / span_ns : 0;
		monitor_printf(session, "%4u %-15s %-7s %-4s %4d %3u %4llu.%llu\n", best->id, best->name,
			       state_name(best->state), class_name(best->klass), best->prio, best->cpu,
			       (unsigned long long)(permille / 10), (unsigned long long)(permille % 10));
		best->id = 0;
	}
}

static int32_t top_round(struct monitor_session *session, uint64_t delay_ns)
{
	struct snapshot before, now;
	if (snapshot_take(&before) != 0)
		return 1;
	sleep_ns(delay_ns);
	err_t err = snapshot_take(&now);
	if (err == 0) {
		print_top(session, &before, &now);
		kfree(now.infos);
	}
	kfree(before.infos);
	return err != 0;
}

static int32_t run_top(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint32_t rounds = monitor_is_terminal(session) ? UINT32_MAX : 1, delay_ms = 1000;
	for (uint32_t i = 1; i < argc; i += 2) {
		uint32_t *value = str_equal(argv[i], "-n") ? &rounds : str_equal(argv[i], "-d") ? &delay_ms : NULL;
		if (value == NULL || i + 1 == argc || str_to_u32(argv[i + 1], 10, value) != 0 || *value == 0)
			return monitor_usage(session, argv[0]);
	}
	int32_t status = 0;
	for (uint32_t i = 0; i < rounds && status == 0 && !monitor_interrupted(session) && !shutdown_requested(); i++)
		status = top_round(session, (uint64_t)delay_ms * 1000000);
	if (status != 0)
		monitor_error(session, "top: out of memory\n");
	return status;
}

const struct monitor_command monitor_cmd_top = {"top", "[-n ROUNDS] [-d MILLISECONDS]",
						"the busiest threads, until Ctrl-C or ROUNDS", run_top, NULL};

static void print_cpu(struct monitor_session *session, const struct cpu_info *info, bool json)
{
	if (json)
		monitor_printf(
			session,
			"%s{\"cpu\": %u, \"node\": %u, \"online\": %u, \"isolated\": %u, \"ready\": %u, \"switches\": "
			"%u, "
			"\"steals\": %u, \"interrupts\": %u, \"ipis\": %u, \"busy_ns\": %llu, \"idle_ns\": %llu, "
			"\"latency_max_ns\": %llu, \"current\": \"%s\"}",
			info->index == 0 ? "" : ",\n ", info->index, info->node, info->online, info->isolated,
			info->ready_count, info->switches, info->steals, info->interrupts, info->ipis,
			(unsigned long long)info->busy_ns, (unsigned long long)info->idle_ns,
			(unsigned long long)info->latency_max_ns, info->current_name);
	else
		monitor_printf(session, "%3u %4u %-8s %5u %9u %6u %9u %6u %10s %10s %10s  %s\n", info->index,
			       info->node,
			       !info->online    ? "off"
			       : info->isolated ? "isolated"
						: "on",
			       info->ready_count, info->switches, info->steals, info->interrupts, info->ipis,
			       monitor_duration(info->busy_ns).text, monitor_duration(info->idle_ns).text,
			       monitor_duration(info->latency_max_ns).text, info->current_name);
}

static int32_t run_cpus(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool json = argc == 2 && str_equal(argv[1], "-j");
	struct cpu_info info;
	if (argc > 2 || (argc == 2 && !json))
		return monitor_usage(session, argv[0]);
	monitor_printf(session, "%s",
		       json ? "["
			    : "cpu node state    ready  switches steals interrupts ipis       busy       idle   max "
			      "wait  runs\n");
	for (uint32_t i = 0; sched_cpu_info(i, &info) == 0; i++)
		print_cpu(session, &info, json);
	monitor_printf(session, "%s", json ? "]\n" : "");
	return 0;
}

const struct monitor_command monitor_cmd_cpus = {
	"cpus", "[-j]", "processors: load, switches, interrupts, worst latency", run_cpus, NULL};
