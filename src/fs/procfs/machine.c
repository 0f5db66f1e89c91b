// SPDX-License-Identifier: MIT
//
// Files about the machine (proc(5)): meminfo, cpuinfo, stat, uptime, version, interrupts; slabinfo (slabinfo(5)).
#include "procfs_impl.h"

#include "kern/cpu.h"
#include "kern/page_cache.h"
#include "kern/sched.h"
#include "kern/timer.h"

#define ROW_BYTES 256u
#define NS_PER_TICK 10000000u // of USER_HZ
#define KIB_PER_FRAME (FRAME_SIZE / 1024u)

static unsigned long long kib(uint64_t frames)
{
	return (unsigned long long)(frames * KIB_PER_FRAME);
}

static void add_slab(const struct slab_info *info, void *arg)
{
	*(uint64_t *)arg += info->frames;
}

err_t proc_meminfo(struct text *text, uint32_t number)
{
	struct frame_info frames;
	struct cache_info cache;
	uint64_t slab = 0;

	(void)number;
	frame_get_info(&frames);
	slab_each(add_slab, &slab);
	uint64_t available = (uint64_t)frames.free + frames.cached;
	text_add(text, "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n",
		 kib(frames.total), kib(available), kib(available));
	cache_get_info(&cache);
	text_add(text, "Cached:         %8llu kB\nDirty:          %8llu kB\nWriteback:      %8llu kB\n",
		 kib(cache.pages), kib(cache.dirty), kib(cache.writeback));
	text_add(text, "Slab:           %8llu kB\nReserved:       %8llu kB\nPeakUsed:       %8llu kB\n", kib(slab),
		 kib(frames.reserved), kib(frames.peak_used));
	return 0;
}

err_t proc_cpuinfo(struct text *text, uint32_t number)
{
	struct cpu_info info;

	(void)number;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		if (sched_cpu_info(i, &info) != 0)
			continue;
		text_add(text, "processor\t: %u\nvendor_id\t: TBOS\nnode\t\t: %u\n", i, info.node);
		text_add(text, "online\t\t: %s\nisolated\t: %s\n\n", info.online ? "yes" : "no",
			 info.isolated ? "yes" : "no");
	}
	return 0;
}

struct tally {
	uint64_t interrupts, switches;
	uint32_t ready, last_id;
};

static void cpu_line(struct text *text, const char *name, const struct cpu_info *info)
{
	text_add(text, "%s 0 0 %llu %llu 0 0 0 0 0 0\n", name, (unsigned long long)(info->busy_ns / NS_PER_TICK),
		 (unsigned long long)(info->idle_ns / NS_PER_TICK));
}

static void see_thread(const struct thread_info *info, void *arg)
{
	struct tally *tally = arg;
	tally->ready += info->state == THREAD_READY || info->state == THREAD_RUNNING;
	tally->last_id = info->id;
}

err_t proc_stat(struct text *text, uint32_t number)
{
	struct cpu_info all = {0};
	struct cpu_info info;
	struct tally tally = {0};
	uint32_t count = kernel_self()->cpu_count;

	(void)number;
	for (uint32_t i = 0; i < count; i++) {
		if (sched_cpu_info(i, &info) != 0)
			continue;
		all.busy_ns += info.busy_ns;
		all.idle_ns += info.idle_ns;
		tally.interrupts += info.interrupts;
		tally.switches += info.switches;
	}
	cpu_line(text, "cpu ", &all);
	for (uint32_t i = 0; i < count; i++) {
		char name[16];
		if (sched_cpu_info(i, &info) != 0)
			continue;
		(void)ksnprintf(name, sizeof name, "cpu%u", i);
		cpu_line(text, name, &info);
	}
	thread_each(see_thread, &tally);
	text_add(text, "intr %llu\nctxt %llu\n", (unsigned long long)tally.interrupts,
		 (unsigned long long)tally.switches);
	text_add(text, "btime %llu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n",
		 (unsigned long long)((clock_wall_ns() - clock_now_ns()) / 1000000000u), tally.last_id, tally.ready);
	return 0;
}

err_t proc_uptime(struct text *text, uint32_t number)
{
	uint64_t up_ns = clock_now_ns();
	uint64_t idle_ns = 0;
	struct cpu_info info;

	(void)number;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		if (sched_cpu_info(i, &info) == 0)
			idle_ns += info.idle_ns;
	text_add(text, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up_ns / 1000000000u),
		 (unsigned long long)(up_ns / NS_PER_TICK % 100), (unsigned long long)(idle_ns / 1000000000u),
		 (unsigned long long)(idle_ns / NS_PER_TICK % 100));
	return 0;
}

err_t proc_version(struct text *text, uint32_t number)
{
	(void)number;
	text_add(text, "TBOS version %s, %u CPUs at most, frames of %u bytes\n", CONFIG_VERSION, CONFIG_MAX_CPUS,
		 FRAME_SIZE);
	return 0;
}

static void interrupt_row(struct text *text, const char *name, const char *what, bool ipis)
{
	struct cpu_info info;

	text_add(text, "%4s:", name);
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		if (sched_cpu_info(i, &info) == 0)
			text_add(text, " %10u", ipis ? info.ipis : info.interrupts);
	text_add(text, "   %s\n", what);
}

err_t proc_interrupts(struct text *text, uint32_t number)
{
	(void)number;
	text_add(text, "     ");
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		text_add(text, "       CPU%-u", i);
	text_add(text, "\n");
	interrupt_row(text, "ALL", "every interrupt", false);
	interrupt_row(text, "IPI", "from other CPUs", true);
	return 0;
}

static void slab_row(const struct slab_info *info, void *arg)
{
	uint32_t per_slab = info->slabs != 0 ? info->objects_total / info->slabs : 0;
	uint32_t pages = info->slabs != 0 ? info->frames / info->slabs : 0;

	text_add(arg, "%-17s %6u %6u %6u %4u %4u : tunables %4u %4u    0 : slabdata %6u %6u      0\n", info->name,
		 info->objects_live, info->objects_total, info->object_size_bytes, per_slab, pages,
		 info->magazine_rounds, info->magazine_rounds, info->slabs, info->slabs);
}

static void count_row(const struct slab_info *info, void *arg)
{
	(void)info;
	++*(uint32_t *)arg;
}

// Nothing may be allocated while the caches are walked.
err_t proc_slabinfo(struct text *text, uint32_t number)
{
	(void)number;
	text_add(text, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> "
		       "<pagesperslab> ");
	text_add(
		text,
		": tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	uint32_t rows = 0;
	slab_each(count_row, &rows);
	text_reserve(text, (rows + 1) * ROW_BYTES);
	text->fixed = true;
	slab_each(slab_row, text);
	text->fixed = false;
	return 0;
}
