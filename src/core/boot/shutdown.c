// SPDX-License-Identifier: MIT
//
// The way down: the wish to stop, components in reverse order, and the search for what was not given back.
#include "boot_impl.h"

#include "hal/console.h"
#include "hal/halt.h"
#include "kern/atomic.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/option.h"
#include "kern/string.h"

#define LEAK_SITES 16
#define FAULT_SITES 512u

void shutdown_request(int32_t status)
{
	struct boot_state *boot = kernel_self()->boot;
	if (atomic_fetch_add_u32_acq_rel(&boot->stop_requested, 1) != 0)
		return;
	boot->status = status;
	completion_done(&boot->stop);
}

bool shutdown_requested(void)
{
	return atomic_load_u32_acquire(&kernel_self()->boot->stop_requested) != 0;
}

void boot_stop_components(struct boot_state *boot)
{
	const struct persona *persona = kernel_self()->persona;
	while (boot->started > 0) {
		const struct component *component = persona->components[--boot->started];
		if (component->stop != NULL)
			component->stop();
	}
}

static void thread_count(const struct thread_info *info, void *arg)
{
	uint32_t *others = arg;
	if (info->state == THREAD_DEAD || info->klass == CLASS_IDLE || info->id == current->id)
		return;
	log_err("shutdown: thread %u (%s) is still there", info->id, info->name);
	++*others;
}

static uint32_t leaked_objects(void)
{
	struct slab_leak leaks[LEAK_SITES];
	uint32_t sites = slab_leaks(leaks, LEAK_SITES);
	for (uint32_t i = 0; i < sites && i < LEAK_SITES; i++)
		log_err("shutdown: %u objects of %s (%u bytes) allocated at kernel+%#lx were not freed",
			leaks[i].objects, leaks[i].cache, leaks[i].bytes, (unsigned long)leaks[i].where);
	return sites;
}

// In use now, apart from the stacks of this thread and of the idle threads, against what the memory stage left.
static uint32_t leaked_frames(const struct boot_state *boot)
{
	struct frame_info frames;
	uint32_t stacks = kernel_self()->cpu_count * (CONFIG_KSTACK_SIZE / FRAME_SIZE);

	frame_drain_caches();
	frame_get_info(&frames);
	uint32_t used = frames.total - frames.free - frames.cached;
	return used > boot->baseline_frames + stacks ? used - boot->baseline_frames - stacks : 0;
}

// A recording run (fault_record=1) ends with the list of sites, which the allocation failure test reads.
static void report_fault_sites(void)
{
	uint32_t sites[FAULT_SITES], hits[FAULT_SITES];
	if (!CONFIG_FAULTINJECT || option_u64_or("fault_record", 0) == 0)
		return;
	uint32_t count = fault_sites(sites, hits, FAULT_SITES);
	for (uint32_t i = 0; i < count && i < FAULT_SITES; i++) {
		char line[64];
		ksnprintf(line, sizeof line, "fault-site %08x %u\n", sites[i], hits[i]);
		hal_console_write(line, strlen(line));
	}
}

void boot_finish(struct boot_state *boot)
{
	uint32_t threads = 0;
	thread_each(thread_count, &threads);
	uint32_t sites = leaked_objects();
	uint32_t frames = leaked_frames(boot);

	if (frames != 0)
		log_err("shutdown: %u frames were not given back", frames);
	report_fault_sites();
	boot->phase = BOOT_HALTED;
	if (threads != 0 || sites != 0 || frames != 0)
		hal_halt(boot->status < 0 ? boot->status : -EUCLEAN);
	hal_halt(boot->status);
}
