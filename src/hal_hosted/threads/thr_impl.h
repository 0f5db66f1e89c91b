// SPDX-License-Identifier: MIT
//
// The threads engine: kernel CPUs run in parallel on host threads, in host time.
//
// 1 Driving. host_cpu.driver says which host thread drives a CPU; NULL means parked. Whoever swaps NULL for itself drives: it
//   enters the CPU's idle thread and runs the kernel until the idle thread calls hal_cpu_idle() again, which leads back to the
//   host stack; then it writes NULL and looks at irq_pending once more. Two kinds of host thread drive:
//     worker    a thread of the process-wide pool (thr_pool.c). One is the *home* of a CPU from the first time that
//               somebody must run it unasked, until the instance goes; it sleeps on a futex while the CPU is parked.
//     borrower  a host thread inside tb_boot(), tb_call() or tb_destroy() (thr_call.c). It drives an idle CPU itself, so a
//               call costs two stack switches and no hand-over.
//   States of a CPU: OFFLINE → (cpu_start) PARKED ⇄ DRIVEN.
//
// 2 Interrupts (thr_ring). The sender ORs its bits into hal_cpu.irq_pending, then looks at the driver: NULL, and it wakes the home
//   worker; a thread, and it sends that thread the doorbell signal. As a parking driver writes NULL before it looks at
//   irq_pending, one of the two always notices. Bits that were set already have such a carrier on its way: nothing is sent.
//   The doorbell's handler (thr_signal.c) delivers when it interrupted an unmasked kernel stack and does nothing otherwise:
//   masked code finds the bits when it unmasks. Delivery may switch threads inside the handler, so the signal frame stays
//   on the kernel stack and may be returned from by another host thread; what in it belongs to the host thread (signal mask,
//   alternate stack) is then replaced. THR_KICK is a private bit: it makes a CPU look, and is never handed to the kernel.
//   Under TSan the handler never delivers: a thread is preempted where it unmasks, or waits in a door.
//
// 3 Timers (thr_timer.c). Each worker owns one POSIX timer whose signal comes to it; a home's timer is its CPU's. The host timer is
//   set only when the kernel's deadline is earlier than what is set already; when it goes off too early it is set anew.
//   They go by CLOCK_MONOTONIC, as hal_clock_mono_ns() does; only accounts have a cheaper clock (thr_clock.c).
//
// 4 Halting. host_instance_halt() makes the state HALTED; thr_stop_cpus() kicks all. Each driver leaves for good at the next
//   signal, unmask, pause or idle; thr_quiesce() waits until none is left, so that no fn of a tb_call() runs on when it returns.
//
//   In plain builds a masked kernel is cut off too, wherever it is, except where it is HOST_CRITICAL.
//
// Lock order: thr_instance.lock (host stacks) → pool lock. call_lock and the pool's free_lock are leaves that critical
//   doors on kernel stacks take too.
#ifndef THR_IMPL_H
#define THR_IMPL_H

#include "../host_fiber.h"
#include "../host_impl.h"
#include "../host_syscall.h"

#define THR_KICK (1u << 30)
#define THR_CACHE_LINE 64

struct thr_cpu;
struct thr_disks;

// ---- calls (thr_call.c) ---------------------------------------------------------------------------------------------

enum thr_borrow_kind {
	THR_BORROW_CALL,
	THR_BORROW_BOOT,
	THR_BORROW_STOP
};

// host_thread.word of a thread inside a call.
enum thr_call_word {
	THR_CALL_RUNS,
	THR_CALL_DONE,
	THR_CALL_WAITS, // its host thread sleeps on the word
	THR_CALL_HALTED // the instance ended first
};

// On the stack of the host thread that calls.
struct thr_call {
	enum thr_borrow_kind kind;
	struct host_thread *owner;
	uint64_t token;
	int64_t (*fn)(void *);
	void *arg;
	int64_t result;
	uint32_t sleeping;                       // atomic: the kernel thread that serves it sleeps
	struct thr_cpu *cpu;                     // atomic: the CPU that its owner drives, NULL: none
	bool queued;                             // under call_lock
	struct thr_call *next;                   // under call_lock
	struct thr_call *wait_next, **wait_link; // under lock: those that wait
};

// ---- objects --------------------------------------------------------------------------------------------------------

// thr_worker.word
enum worker_word {
	WORKER_LOOKS,  // it will look at its CPU before it sleeps
	WORKER_KICKED, // the same, and it has been told to
	WORKER_SLEEPS
};

struct thr_worker {
	struct host_thread *thread;
	struct thr_cpu *cpu; // atomic: whose home it is
	uint32_t word;       // futex, enum worker_word
	uint32_t busy;       // atomic: > 0 while it uses `cpu`
	uint32_t ready;      // futex, at its start
	int32_t timer;       // the kernel's number
	uint64_t armed_ns;   // atomic: CLOCK_MONOTONIC time its timer is set for, TB_FOREVER: none
	struct thr_worker *next_free;
};

struct thr_cpu {
	struct host_cpu *host;
	struct tb_instance *instance;
	struct thr_worker *home; // atomic; set once
	struct thr_call *borrow; // what its borrower wants; NULL: driven by a worker, or parked. Written by the driver
	uint64_t deadline_ns;    // atomic: what the kernel armed, TB_FOREVER: nothing
	uint32_t online;         // atomic: may be driven
	uint32_t relaxed;        // pauses so far
} __attribute__((aligned(THR_CACHE_LINE)));

struct thr_instance {
	struct tb_instance *instance;
	uint32_t spin_waiters; // atomic
	uint32_t input_early;  // atomic: input came before CPU 0 was bound
	uint32_t next_cpu;     // atomic: who gets the next call when all are busy
	uint32_t call_lock;
	struct thr_call *call_head, **call_tail; // under call_lock: calls that no kernel thread has taken
	pthread_mutex_t lock;
	struct thr_call *waiting; // under lock
	pthread_t watchdog;
	bool watchdog_runs;
	struct thr_disks *disks; // thr_block.c; NULL: it has none
	struct thr_cpu cpus[];
};

static inline struct thr_instance *thr_of(const struct tb_instance *instance)
{
	return instance->engine_data;
}

// The kernel's header of a CPU; NULL before it is bound.
static inline struct hal_cpu *thr_hal(const struct thr_cpu *cpu)
{
	return __atomic_load_n(&cpu->host->hal, __ATOMIC_SEQ_CST);
}

static inline bool thr_halted(const struct tb_instance *instance)
{
	return __atomic_load_n(&instance->state, __ATOMIC_RELAXED) == HOST_HALTED;
}

// The running CPU; K, masked.
static inline struct thr_cpu *thr_cpu_self(struct tb_instance *instance)
{
	return &thr_of(instance)->cpus[host_cpu(instance)->index];
}

static inline uint64_t thr_clock_ns(const struct tb_instance *instance)
{
	return host_clock_mono_ns() - instance->clock_base_ns;
}

// ---- CPUs (thr_cpu.c) -----------------------------------------------------------------------------------------------

// Makes `self` the driver of a parked CPU. False when it is driven, offline, or the instance halted. H.
bool thr_cpu_claim(struct thr_cpu *cpu, struct host_thread *self);
// Drives until the CPU idles or the instance halts; the CPU is parked again on return. H.
void thr_cpu_drive(struct thr_cpu *cpu, struct host_thread *self, struct thr_call *borrow);
// Whether a parked CPU has something to do.
bool thr_cpu_pending(const struct thr_cpu *cpu);

// Raises bits on a CPU. `self` is the calling host thread: to itself it sends nothing, the caller delivers. Any stack; masked
// on kernel stacks.
void thr_ring(struct thr_cpu *cpu, uint32_t bits, const struct host_thread *self);

// Kicks every CPU of a halted instance and wakes calls that wait. H.
void thr_stop_cpus(struct tb_instance *instance);
// Waits until no CPU of a halted instance is driven. H, not driving.
void thr_quiesce(struct tb_instance *instance);
// Leaves the kernel stack for good. K.
void thr_abandon(struct tb_instance *instance) __attribute__((noreturn));

tb_err thr_cpu_start(struct tb_instance *instance, struct host_cpu *host) TB_MUST_USE;
void thr_cpu_bound(struct tb_instance *instance, struct host_cpu *host);
void thr_cpu_idle(struct tb_instance *instance);
void thr_cpu_relax(struct tb_instance *instance);
void thr_ipi(struct tb_instance *instance, struct host_cpu *host);
void thr_irq_deliver(struct tb_instance *instance);
void thr_spin_wait(struct tb_instance *instance, const uint32_t *word, uint32_t seen);
void thr_spin_wake(struct tb_instance *instance, const uint32_t *word);

// ---- signals, clock, timers, pool ------------------------------------------------------------------------------------------

// Installs the doorbell, once per process. Errors, noted for tb_error(NULL): -EINVAL, -ENOTSUP (stacks too small for this CPU).
tb_err thr_signal_install(void) TB_MUST_USE;
void thr_signal_send(const struct host_thread *thread);
void thr_signal_forked(void); // in the child
// What belongs to the host thread in a signal frame: its mask for signals. Lets the doorbell through. H.
void thr_signal_unblock(void);

void thr_clock_prepare(void);                             // H; once is enough
uint64_t thr_clock_look_ns(struct tb_instance *instance); // K, masked: hal_clock_rough_ns() looks

void thr_timer_arm(struct tb_instance *instance, uint64_t deadline_ns);
tb_err thr_timer_create(struct thr_worker *worker) TB_MUST_USE; // Errors: -EAGAIN
void thr_timer_fired(struct thr_worker *worker);                // in the handler, on the worker's thread

// Makes sure that `count` more workers can be had by thr_home() without asking the host. H. Errors, noted: -EAGAIN.
tb_err thr_pool_reserve(uint32_t count) TB_MUST_USE;
void thr_pool_unreserve(uint32_t count);
struct thr_worker *thr_home(struct thr_cpu *cpu); // the CPU's home worker, given one now if need be. Any stack, masked
void thr_home_kick(struct thr_cpu *cpu);          // has it look at its CPU. Any stack, masked
void thr_home_release(struct thr_cpu *cpu);       // H; the instance is halted and quiet, or never ran

// ---- calls (thr_call.c), engine table's names --------------------------------------------------------------------------------------------------------------------

bool thr_borrow_wants(const struct thr_call *call); // to be let go
tb_err thr_boot(struct tb_instance *instance) TB_MUST_USE;
tb_err thr_call(struct tb_instance *instance, int64_t (*fn)(void *), void *arg, int64_t *result) TB_MUST_USE;
tb_err thr_wait(struct tb_instance *instance) TB_MUST_USE;
tb_err thr_stop(struct tb_instance *instance) TB_MUST_USE;
bool thr_call_take(struct tb_instance *instance, struct hal_call *call);
void thr_call_done(struct tb_instance *instance, uint64_t token, int64_t result);
bool thr_call_wants_cpu(struct tb_instance *instance);
void thr_call_sleeping(struct tb_instance *instance, uint64_t token, bool sleeping);
void thr_calls_halted(struct tb_instance *instance); // wakes those that wait

#endif
