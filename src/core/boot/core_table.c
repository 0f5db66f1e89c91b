// SPDX-License-Identifier: MIT
//
// One row per component of the core, in the order in which a full persona brings them up. What each does is in its own
// folder; here stands only how boot calls it.
#include "boot_impl.h"

#include "kern/base.h"
#include "kern/block.h"
#include "kern/console.h"
#include "kern/mem.h"
#include "kern/monitor.h"
#include "kern/process.h"
#include "kern/rcu.h"
#include "kern/sync.h"

#include "boot_rows.h"

#define ROW(name_, stage_, init_, stop_, check_)                                                                       \
	const struct component component_##name_ = {                                                                   \
		.name = #name_, .stage = (stage_), .init = (init_), .stop = (stop_), .check = (check_)}

// Adapts init functions that need no boot information.
#define INIT(name_, function_)                                                                                         \
	static err_t init_##name_(struct kernel *kernel, const struct hal_boot_info *info)                             \
	{                                                                                                              \
		(void)info;                                                                                            \
		return function_(kernel);                                                                              \
	}

static err_t init_rcu(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	return rcu_start();
}

INIT(sync, sync_init)
INIT(slab, slab_init)
INIT(ranges, range_init)
INIT(sched, sched_init)
INIT(timers, timer_init)
INIT(cpus, sched_start_cpus)
INIT(console, console_init)
INIT(block, block_init)
INIT(processes, process_init)
INIT(api, api_init)
INIT(monitor, monitor_init)

ROW(base, STAGE_BASE, base_init, NULL, base_check);
ROW(sync, STAGE_BASE, init_sync, NULL, NULL);
ROW(frames, STAGE_MEMORY, frame_init, NULL, frame_check);
ROW(slab, STAGE_MEMORY, init_slab, slab_shutdown, slab_check);
ROW(ranges, STAGE_MEMORY, init_ranges, NULL, range_check);
ROW(sched, STAGE_SCHED, init_sched, sched_stop, sched_check);
ROW(timers, STAGE_SCHED, init_timers, NULL, NULL);
ROW(cpus, STAGE_CPUS, init_cpus, NULL, NULL);
ROW(rcu, STAGE_SERVICES, init_rcu, rcu_stop, rcu_check);
ROW(console, STAGE_SERVICES, init_console, console_stop, NULL);
ROW(block, STAGE_SERVICES, init_block, block_stop, block_check);
ROW(processes, STAGE_SERVICES, init_processes, process_stop, process_check);
ROW(calls, STAGE_FRONT, call_init, call_stop, NULL);
const struct component component_api = {
	.name = "api", .stage = STAGE_FRONT, .init = init_api, .stop = api_stop, .tunables = core_tunables};
ROW(monitor, STAGE_FRONT, init_monitor, monitor_stop, NULL);
