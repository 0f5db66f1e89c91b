// SPDX-License-Identifier: MIT
//
// The conformance kernel of the HAL: just enough kernel to exercise every core door on any HAL and engine, and nothing
// of the real one, so that a failure here is the HAL's. Threads on one run queue under one lock, time slices, sleeping,
// joining, calls from the host. Freestanding.
#ifndef MINI_H
#define MINI_H

#include "hal/call.h"
#include "hal/clock.h"
#include "hal/console.h"
#include "hal/cpu.h"
#include "hal/hal.h"
#include "hal/halt.h"
#include "hal/inline.h"
#include "hal/mem.h"
#include "hal/module.h"

#define MINI_SLICE_NS 1000000u
#define MINI_MS 1000000u
// Of the bodies about RAM: a page, and how much they take.
#define MINI_PAGE (CONFIG_TINY ? 1u << CONFIG_FRAME_SHIFT : 4096u)
#define MINI_AREA (CONFIG_TINY ? 4u << 10 : 1u << 20)
#define MINI_PAGES (CONFIG_TINY ? 12u : 64u)

// ---- locks: masked, hosted-friendly -----------------------------------------------------------------------------------

struct mini_lock {
	uint32_t word; // 0 free, 1 held, 2 held and waited for
};

bool mini_lock(struct mini_lock *lock); // returns what mini_unlock() wants
void mini_unlock(struct mini_lock *lock, bool was);

// ---- threads ----------------------------------------------------------------------------------------------------------

enum mini_state {
	MINI_READY,
	MINI_RUNS,
	MINI_BLOCKED,
	MINI_DEAD
};

struct mini_thread {
	struct hal_thread hal; // first
	enum mini_state state;
	void (*entry)(void *);
	void *arg;
	struct mini_thread *next;   // run queue, sleepers, free list
	struct mini_thread *joiner; // waits for our end
	uint64_t wake_ns;
	uint64_t token; // call that it serves, 0: none
	struct hal_call call;
	bool pinned; // stays on `home`
	uint32_t home;
};

struct mini_cpu {
	struct hal_cpu hal; // first
	struct mini_thread *current;
	struct mini_thread *idle;
	uint32_t idles; // atomic: in or near hal_cpu_idle()
	uint32_t resched;
	uint32_t irqs[4]; // timer, ipi, console, call; atomic
};

struct mini_kernel {
	struct mini_lock lock; // all below up to cpus
	struct mini_thread *run_head, *run_tail;
	struct mini_thread *sleepers; // by wake_ns
	struct mini_thread *free_threads;
	struct mini_thread *free_callers; // idle call threads
	char *ram_next, *ram_end;
	uint32_t cpu_count;
	uint32_t online;    // atomic
	uint32_t raw_timer; // atomic: the timers belong to a test, which hears of them by hook
	void (*hook)(struct mini_cpu *cpu, uint32_t bits);
	struct hal_boot_info info;
	struct mini_cpu cpus[CONFIG_MAX_CPUS];
};

static inline struct mini_kernel *mini(void)
{
	return (struct mini_kernel *)hal_kernel();
}

static inline struct mini_thread *mini_self(void)
{
	return (struct mini_thread *)hal_self();
}

// Masked.
static inline struct mini_cpu *mini_cpu(void)
{
	return (struct mini_cpu *)hal_self()->cpu;
}

struct mini_thread *mini_start(void (*entry)(void *), void *arg);                  // NULL: no RAM
struct mini_thread *mini_start_on(uint32_t cpu, void (*entry)(void *), void *arg); // runs on that CPU alone
void mini_join(struct mini_thread *thread);
void mini_yield(void);
void mini_sleep_ns(uint64_t duration_ns);
// Blocks until mini_wake(); the caller checks its condition under mini()->lock, which is released meanwhile and taken again.
void mini_block_locked(void);
void mini_wake_locked(struct mini_thread *thread);
void mini_wake(struct mini_thread *thread);
uint32_t mini_cpu_index(void);

// For mini_call.c.
void mini_calls_take(void);
struct mini_thread *mini_create_locked(void (*entry)(void *), void *arg);
void mini_ready_locked(struct mini_thread *thread, bool front);
void mini_switch_finish(void);

// ---- RAM --------------------------------------------------------------------------------------------------------------

void *mini_alloc(size_t size_bytes, size_t align); // never given back; NULL: none left

// ---- checks -----------------------------------------------------------------------------------------------------------

struct conform_result {
	uint32_t checks;   // atomic
	uint32_t failures; // atomic
	char message[160]; // the first failure
	const char *input; // what a body is told by the runner (module path…); NULL
};

void conform_check(struct conform_result *result, bool ok, const char *what, const char *file, int line);
#define CHECK(expr) conform_check(result, (expr), #expr, __FILE__, __LINE__)

enum conform_flags {
	CONFORM_TWO_NODES = 1u << 0, // wants RAM of two nodes
	CONFORM_REAL_TIME = 1u << 1  // not under sim, which calls a wait that nobody can end a deadlock
};

struct conform_body {
	const char *name;
	void (*fn)(struct conform_result *result);
	uint32_t cpus;
	uint32_t flags;
};

extern const struct conform_body conform_bodies[];
extern const uint32_t conform_body_count;
int64_t conform_run(void *arg); // for tb_call(); arg: struct conform_job *

struct conform_job {
	const struct conform_body *body;
	struct conform_result result;
};

// Rounds of a stress: fewer under sim and in instrumented builds.
uint32_t conform_rounds(uint32_t full);
// A step of a loop that waits for others by polling: a place to be preempted or simulated at.
void conform_poll(void);
// Polls until *word (atomic) is at least `least`; false after ten seconds.
bool conform_await(const uint32_t *word, uint32_t least);

#endif
