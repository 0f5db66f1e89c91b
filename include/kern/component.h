// SPDX-License-Identifier: MIT
//
// Components and personas. A persona (config/personas/*.conf) names components, limits and the machine; the build turns
// the files into one readable table, src/core/boot/components.c in the build directory. Boot walks the components by
// stage and, within a stage, in the persona's order; shutdown walks back.
#ifndef KERN_COMPONENT_H
#define KERN_COMPONENT_H

#include "kern/kernel.h"

struct hal_boot_info;
struct monitor_command;
struct tunable;

enum boot_stage {
	STAGE_BASE,     // no locks to sleep on, no allocator: boot_alloc() only
	STAGE_MEMORY,   // frames, slab, ranges
	STAGE_SCHED,    // threads exist from here on, on CPU 0
	STAGE_CPUS,     // all CPUs run
	STAGE_SERVICES, // thread context
	STAGE_FRONT,    // what people see: API, monitor
	STAGE_COUNT
};

struct component {
	const char *name;
	enum boot_stage stage;
	err_t (*init)(struct kernel *kernel, const struct hal_boot_info *info);
	void (*stop)(void);   // undoes init, in thread context; NULL where nothing is to be undone
	err_t (*check)(void); // the invariants of the whole component; NULL where it has none
#if !CONFIG_TINY
	const struct monitor_command *const *commands; // what it adds to the monitor, ends with NULL; NULL: nothing
	const struct tunable *tunables;                // kern/tunable.h, ends with a NULL name; NULL: nothing
#endif
};

struct persona {
	const char *name;
	const char *summary;
	uint64_t memory_bytes;
	uint64_t slice_ns;
	uint32_t frame_size_bytes;
	uint32_t cpu_count;
	uint32_t node_count;
	uint32_t log_size_bytes; // ring behind dmesg
	uint32_t trace_events;   // ring per CPU
	uint32_t thread_limit;   // 0: memory decides
	uint32_t component_count;
	const struct component *const *components;
	const char *devices; // space-separated; read by HALs and device discovery
	const char *qemu;    // flags for the bootable image
};

// The generated table.
extern const struct persona *const personas[];
extern const uint32_t persona_count;

const struct persona *persona_find(const char *name); // NULL: no such persona

// Runs every check of the running persona's components: 0, or the first error, logged with the component's name.
err_t components_check(void) must_check;

// Asks for an orderly shutdown with this exit status; returns at once. irq-safe. Only the first request counts.
void shutdown_request(int32_t status);
bool shutdown_requested(void);

#endif
