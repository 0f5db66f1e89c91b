// SPDX-License-Identifier: MIT
//
// Boot: from the HAL's first jump to a prompt, and back down.
//
// Purpose. CPU 0 arrives on its boot stack with nothing but zeroed RAM. The persona's components are brought up stage by stage
// (kern/component.h); when threads exist, the init thread goes on with the rest, because only threads may sleep, and the boot
// stack becomes CPU 0's idle thread. The init thread then waits for the wish to stop, walks the components back down, counts
// what has not been given back, and halts.
//
// Files
//   kmain.c       upcalls, the stages, the init thread: reads like a contents page
//   shutdown.c    the wish to stop, the way down, the search for leaks
//   component.c   persona look-up, checks of all components
//   core_table.c  one row per core component
//   tunable.c     numbers that may be changed while the system runs
//   call.c        threads that serve the host's calls (hal/call.h)
//   api.c         tb_k_*: what such a call may use
//   components.c  generated from config/personas
//
// States. OFF → BOOTING → RUNNING → STOPPING → HALTED; a failure while booting goes straight to HALTED with the error.
//
// Invariants. Components [0, started) of the persona are up, and stop is called once for each, in reverse order. The exit
// status is set once, by the first shutdown_request().
//
// Locks. None of its own: boot runs alone, the wish to stop is one atomic word and a completion. May sleep: init thread only.
#ifndef BOOT_IMPL_H
#define BOOT_IMPL_H

#include "kern/component.h"
#include "kern/sched.h"
#include "kern/tunable.h"

enum boot_phase {
	BOOT_OFF,
	BOOT_BOOTING,
	BOOT_RUNNING,
	BOOT_STOPPING,
	BOOT_HALTED
};

struct boot_state {
	uint32_t phase;          // enum boot_phase; init thread
	uint32_t started;        // components up
	uint32_t stop_requested; // atomic
	int32_t status;          // written before stop_requested
	struct completion stop;
	struct thread *init;
	uint32_t baseline_frames; // in use when STAGE_MEMORY had ended
	uint32_t baseline_threads;
	struct call_state *calls;
	struct api_state *api;
	struct hal_boot_info *info; // the HAL's; NULL once booted
};

// tunable.c
extern const struct tunable core_tunables[];

// kmain.c
extern const struct hal_upcalls tb_upcalls;

// shutdown.c: walks down from boot->started and halts; init thread.
void boot_stop_components(struct boot_state *boot);
void boot_finish(struct boot_state *boot) __attribute__((__noreturn__));

// call.c
err_t call_init(struct kernel *kernel, const struct hal_boot_info *info) must_check;
void call_stop(void);

// api.c
err_t api_init(struct kernel *kernel) must_check;
void api_stop(void);

#endif
