// SPDX-License-Identifier: MIT
//
// A kernel of one page, for tests of the simulator alone: threads on a global FIFO, a spinlock, a semaphore, sleep, a tick,
// calls and a console reader. It uses every door that the engine has and nothing of the real kernel, so that what fails
// here is the engine's fault.
#ifndef MINI_H
#define MINI_H

#include "hal/call.h"
#include "hal/clock.h"
#include "hal/console.h"
#include "hal/cpu.h"
#include "hal/hal.h"
#include "hal/halt.h"
#include "hal/module.h"

#define MINI_CPUS 64
#define MINI_SLICE_NS 50000u

enum mini_state {
	MINI_READY,
	MINI_RUNNING,
	MINI_BLOCKED,
	MINI_DEAD
};

struct mini_lock {
	uint32_t word; // 0 free, 1 held
};

struct mini_thread {
	struct hal_thread hal; // must be first
	uint32_t id;
	uint32_t state; // guarded by kernel.lock
	uint64_t wake_ns;
	void (*fn)(void *);
	void *arg;
	struct mini_thread *next; // run queue, sleepers, free list or semaphore
};

struct mini_cpu {
	struct hal_cpu hal; // must be first
	struct mini_thread *current;
	struct mini_thread *idle;
	struct mini_thread *dead; // switched away from for good
	uint64_t slice_end_ns;
};

struct mini_sem {
	int32_t count;
	struct mini_thread *waiters; // FIFO
};

struct kernel {
	struct mini_lock lock;
	struct mini_thread *ready, **ready_end; // FIFO
	struct mini_thread *sleepers;
	struct mini_thread *free;
	char *fresh; // RAM never used
	char *limit;
	uint32_t cpu_count;
	uint32_t threads;
	uint32_t next_id;
	uint64_t seed;
	uint32_t poison;
	struct hal_boot_info info;
	struct mini_cpu cpus[MINI_CPUS];
	struct mini_sem console;
};

static inline struct mini_thread *mini_self(void)
{
	return (struct mini_thread *)hal_self();
}

static inline struct mini_cpu *mini_cpu(void)
{
	return (struct mini_cpu *)hal_self()->cpu;
}

// Masks, locks; the return value goes to mini_unlock().
bool mini_lock(struct mini_lock *lock);
void mini_unlock(struct mini_lock *lock, bool was);

// NULL when RAM is used up.
struct mini_thread *mini_spawn(void (*fn)(void *), void *arg);
void mini_exit(void) __attribute__((noreturn));
void mini_yield(void);
void mini_sleep(uint64_t duration_ns);
void mini_down(struct mini_sem *sem);
void mini_up(struct mini_sem *sem);
void *mini_alloc(size_t size_bytes); // never freed
void mini_event(uint32_t event, uint64_t a, uint64_t b);
void mini_print(const char *text);

// mini_sched.c, for mini_boot.c
void mini_schedule(void);      // masked
void mini_switch_finish(void); // after every switch, masked
void mini_idle(void) __attribute__((noreturn));
void mini_tick(void);

// mini_work.c: the commands.
int64_t mini_command(const char *line, size_t size_bytes);
void mini_console(void *arg); // runs console lines as commands

#endif
