// SPDX-License-Identifier: MIT
//
// One row per component of small machines, in the order in which they come up. Applications have their rows beside themselves.
#include "boot_impl.h"

#include "kern/base.h"
#include "kern/console.h"
#include "kern/heap.h"
#include "kern/mem.h"
#include "kern/sync.h"

#include "boot_rows.h"

#define ROW(name_, stage_, init_, check_)                                                                              \
	const struct component component_##name_ = {                                                                   \
		.name = #name_, .stage = (stage_), .init = (init_), .check = (check_)}

// Adapts init functions that need no boot information.
#define INIT(name_, function_)                                                                                         \
	static err_t init_##name_(struct kernel *kernel, const struct hal_boot_info *info)                             \
	{                                                                                                              \
		(void)info;                                                                                            \
		return function_(kernel);                                                                              \
	}

INIT(sync, sync_init)
INIT(heap, heap_init)
INIT(sched, sched_init)
INIT(console, console_init)

ROW(base, STAGE_BASE, base_init, base_check);
ROW(sync, STAGE_BASE, init_sync, NULL);
ROW(frames, STAGE_MEMORY, frame_init, frame_check);
ROW(heap, STAGE_MEMORY, init_heap, heap_check);
ROW(sched, STAGE_MEMORY, init_sched, sched_check);
ROW(console, STAGE_MEMORY, init_console, NULL);
