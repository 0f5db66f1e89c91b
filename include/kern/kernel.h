// SPDX-License-Identifier: MIT
//
// One instance: the machine resources of a kernel and the private state of each subsystem, found by masking the stack
// pointer. Subsystem state is opaque here, so that this header is the only thing that everybody shares.
#ifndef KERN_KERNEL_H
#define KERN_KERNEL_H

#include "hal/inline.h"
#include "kern/compiler.h"
#include "kern/err.h"

#define KERNEL_CMDLINE_SIZE (CONFIG_TINY ? 32 : 512)
#define KERNEL_MAGIC 0x54424f53u
#define CPU_MASK_WORDS ((CONFIG_MAX_CPUS + 31) / 32)

struct cpu;
struct thread;
struct persona;
struct sched_hooks;
struct monitor_stream;

// A set of CPUs by index.
struct cpu_mask {
	uint32_t words[CPU_MASK_WORDS];
};

struct kernel {
	uint32_t magic;
	uint32_t cpu_count;
	uint32_t flags; // enum hal_boot_flags
	uint32_t poison;
	uint64_t seed;
	char *ram;
	uint64_t ram_size_bytes;
	const struct persona *persona;     // immutable after boot
	const struct sched_hooks *hooks;   // how lower layers reach the scheduler; immutable once set
	struct cpu *cpus[CONFIG_MAX_CPUS]; // immutable after boot
	uint32_t cpus_online;              // atomic count
	char cmdline[KERNEL_CMDLINE_SIZE]; // kern/option.h; immutable after boot
	uint32_t panicking;                // atomic; 1 once somebody panics

	// Boot arena: plain bumping before the frame allocator owns RAM; CPU 0 only.
	uint64_t arena_next_bytes;
	uint64_t arena_limit_bytes;

	struct log_state *log;
	struct trace_state *trace;
	struct counter_state *counters;
	struct rand_state *rand;
	struct sync_state *sync;
	struct lockcheck_state *lockcheck;
	struct rcu_state *rcu;
	struct frame_state *frames;
	struct slab_state *slab;
	struct range_state *ranges;
	struct account_state *accounts;
	struct fault_state *faults; // allocation failure injection
	struct sched_state *sched;
	struct timer_state *timers;
	struct boot_state *boot;
	struct monitor_state *monitor;
	struct console_state *console;
#if !CONFIG_TINY
	struct block_state *block;
	struct loop_state *loops;
	struct process_state *processes;
	struct vc_state *consoles;
	struct process *monitor_process; // whom the monitor's commands act as; the filesystems make it
	struct vfs_state *vfs;
	struct cache_state *page_cache;
	struct pxfs_state *pxfs;
	int64_t (*file_call)(void *arg); // struct tb_file_call; how the library's calls reach the filesystems
	err_t (*monitor_open)(const char *path, uint32_t how, struct monitor_stream **out); // monitor_set_open()
#endif
};

// Memory that is never given back, zeroed. Only while booting on CPU 0, before frame_init(). `align` a power of two ≤ 4096.
// NULL when the arena is used up.
void *boot_alloc(struct kernel *kernel, size_t size_bytes, size_t align) must_check;

#endif
