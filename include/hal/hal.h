// SPDX-License-Identifier: MIT
//
// The HAL line: every way out of the kernel is a hal_* function of include/hal, every way in is an entry of
// struct hal_upcalls. One version number covers both; a HAL refuses a kernel object of another version.
//
// Contexts named in the doors: "any" is any code on a kernel stack; "masked" needs interrupts masked; "irq-safe" may be
// called from an interrupt. Only hal_cpu_idle() blocks a CPU. A HAL function that enters a host library masks interrupts
// itself and runs there on a host stack.
#ifndef HAL_HAL_H
#define HAL_HAL_H

#include "hal/inline.h"

#define HAL_VERSION 4u
#define HAL_MAX_NODES (CONFIG_TINY ? 1u : 8u)
#define HAL_NAME_SIZE (CONFIG_TINY ? 16u : 32u)
#define HAL_CMDLINE_SIZE (CONFIG_TINY ? 32u : 512u)

enum hal_boot_flags {
	HAL_BOOT_SIMULATED = 1u << 0,   // the simulator drives the CPUs: hal_trace_event() wants every event
	HAL_BOOT_TRACE = 1u << 1,       // a trace sink is attached: enable all trace points
	HAL_BOOT_QUIET = 1u << 2,       // no banner, no log on the console below "err"
	HAL_BOOT_MONITOR = 1u << 3,     // start the monitor on the console when booted
	HAL_BOOT_INTERACTIVE = 1u << 4, // the console is a terminal: line editing
	HAL_BOOT_RAM_DIRTY =
		1u << 5, // RAM beyond ram_used_bytes holds anything: what must start as zero is to be cleared
	HAL_BOOT_INITRAMFS = 1u << 6 // the module "initramfs" is to be unpacked into the root filesystem
};

// One run of RAM. Offsets count from the start of the instance's RAM. On machines of their own there may be holes between runs, and
// several runs of one node.
struct hal_ram_node {
	uint64_t offset;
	uint64_t size_bytes;
	uint32_t node; // 0 … node_count-1, ascending offsets
	uint32_t reserved;
};

// What the kernel is told at boot; valid until hal_boot_done(), so the kernel copies what it keeps.
struct hal_boot_info {
	uint32_t version; // HAL_VERSION
	uint32_t flags;   // enum hal_boot_flags
	void *ram;        // start of RAM; struct kernel sits here, zeroed as all of RAM is (but see HAL_BOOT_RAM_DIRTY)
	uint64_t ram_size_bytes;
	uint64_t ram_used_bytes; // from the start: struct kernel and CPU 0's boot stack; free RAM follows
	uint32_t node_count;
	uint32_t cpu_count;
	struct hal_ram_node nodes[HAL_MAX_NODES];
	uint64_t seed;   // root of the instance's named random streams
	uint32_t poison; // != 0: byte that fresh, non-zeroed memory is filled with (--verify)
	uint32_t reserved;
	char engine[HAL_NAME_SIZE];     // "threads", "sim", or the architecture
	char persona[HAL_NAME_SIZE];    // row of the persona table to boot
	char cmdline[HAL_CMDLINE_SIZE]; // "key=value key=value"; unknown keys are logged and ignored
};

// The only door in. The kernel object exports one constant table, tb_upcalls.
struct hal_upcalls {
	uint32_t version;           // HAL_VERSION
	uint32_t kernel_size_bytes; // sizeof(struct kernel); the HAL puts CPU 0's stack behind it, stack-aligned
	uint32_t kstack_size_bytes;
	uint32_t frame_size_bytes;

	// CPU 0, on its boot stack (hal_thread at its base prepared: irq_off 1, preempt_count 1), masked. Never returns:
	// it becomes CPU 0's idle thread. A boot that fails calls hal_halt() with a negative error.
	void (*boot)(const struct hal_boot_info *info);

	// A CPU that hal_cpu_start() started, on the given idle stack, masked. Never returns.
	void (*cpu_entry)(struct hal_cpu *cpu);

	// Pending interrupts of this CPU, enum hal_irq without HAL_IRQ_POINT. Masked on entry and on return, on the interrupted
	// kernel stack. May switch threads, so it may return on another CPU.
	void (*irq)(uint32_t bits);

	// preempt_enable() found HAL_RESCHED_WANTED while interrupts were unmasked; unmasked on entry and return.
	void (*resched)(void);

	// One monitor command line, to be run through hal_call: arg is struct hal_command *. Returns the exit status.
	int64_t (*command)(void *arg);

	// One file call of the library, to be run through hal_call: arg is struct tb_file_call (tbos/file_call.h). Returns an error
	// number or 0. NULL: this kernel has no files.
	int64_t (*file)(void *arg);
};

struct hal_command {
	const char *line;
	size_t size_bytes;
};

extern const struct hal_upcalls tb_upcalls;

// Boot has finished and the instance accepts calls. Any context, once, CPU 0.
void hal_boot_done(void);

#endif
