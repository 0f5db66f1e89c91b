// SPDX-License-Identifier: MIT
//
// The hosted HAL: a kernel instance inside a Linux process. This page is the story; the engines are below and in sim/.
//
// 1 Who is who
//   instance     one kernel: a slot of address space, RAM made of memfds, CPUs, a console. struct tb_instance lives in
//                host memory and is found from any kernel stack by the slot number, which is part of the stack pointer.
//   CPU          struct host_cpu. A CPU runs while a host thread *drives* it and is parked while nobody does: its idle
//                thread has then left through host_context_leave() and its registers lie on its kernel stack. Any host
//                thread may drive a parked CPU, so CPUs are not bound to host threads.
//   host thread  struct host_thread, one for each POSIX thread that ever drives a CPU (our own or a caller of tb_call).
//                While it drives, its own registers lie on its host stack, at host_thread.sp. Records are recycled, never freed.
//   engine       struct host_engine: who drives which CPU when, and what interrupts, timers and chance are. "threads"
//                (threads/) and "sim" (sim/). Everything else in this folder serves both.
//
// 2 Two kinds of stack
//   Kernel stacks lie in the slot and run kernel code; they may be preempted and may go on under another host thread, so
//   code there must not use thread-local storage, errno, or libc. A door that needs libc masks interrupts and does
//   its work through host_stack_call(), on the stack of the host thread that drives the CPU. In the table of operations below,
//   K marks operations called on a kernel stack, H those called on a host stack.
//
// 3 Contexts. hal_context_switch(): kernel thread to kernel thread, same CPU. host_context_enter(): host stack to a parked
//   kernel thread; it returns when some context leaves to this host thread. host_context_leave(): the way back.
//   host_context_abandon(): leave for good (halt). An engine that multiplexes CPUs on one host thread may use hal_context_switch()
//   between the running threads of two CPUs as well: a thread's saved registers are in its own header either way.
//
// 4 Life of an instance:  NEW → BOOTING → RUNNING → HALTED, or from any state → HALTED. host_instance_halt() makes the last
//   step, once; the first status wins. A halted instance runs no kernel code again; its RAM stays until tb_destroy().
//   An engine may cut a masked kernel off as soon as it is halted, but not one that is HOST_CRITICAL: who halts it is, until all who
//   wait have been woken.
//
// 5 Locks, in order: slot table → instance.lock → engine's own → fiber table. None is held while a kernel context runs, nor taken on
//   a kernel stack except inside host_stack_call().
//
// Files: host_tb.c the tb_* calls · host_config.c checks and copies the configuration · host_slot.c slots and RAM ·
//   host_door.c hal_* to engine · host_context.c, host_switch.S contexts · host_thread.c records of host threads · host_fiber.c
//   sanitizers · host_console.c, host_input.c console · host_module.c modules · host_disk.c,
//   host_disk_io.c disks · host_fault.c SIGSEGV · host_backtrace.c,
//   host_symbol.c panic · host_clock.c host clocks · terminal.c a terminal's raw mode, for programs.
#ifndef HOST_IMPL_H
#define HOST_IMPL_H

#include "hal/block.h"
#include "hal/call.h"
#include "hal/clock.h"
#include "hal/console.h"
#include "hal/cpu.h"
#include "hal/hal.h"
#include "hal/halt.h"
#include "hal/inline.h"
#include "hal/mem.h"
#include "hal/module.h"
#include "tbos/tbos.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/types.h>

#define HOST_SLOT_COUNT ((HAL_SLOT_LIMIT - HAL_SLOT_BASE) / HAL_SLOT_SIZE)
#define HOST_MODULE_COUNT 16
#define HOST_ERROR_SIZE 512
#define HOST_RAM_MIN (2ull << 20)
#define HOST_RAM_MAX (3ull << 30)

#define host_likely(x) __builtin_expect(!!(x), 1)
#define host_unlikely(x) __builtin_expect(!!(x), 0)

struct tb_instance;
struct host_engine;
struct host_fibers;
struct host_input;
struct host_disk;

// ---- host threads (host_thread.c) -----------------------------------------------------------------------------------

// What the fault handler leaves for the report.
struct host_fault {
	int signal;
	int code;
	uintptr_t address;
	uintptr_t pc, sp, frame;
	uintptr_t registers[16]; // rax rbx rcx rdx rsi rdi rbp rsp r8 … r15
};

struct host_thread {
	void *sp;    // while it drives: its registers, saved on its host stack
	void *fiber; // TSan: its own fiber
	char *stack; // its host stack, lowest address
	size_t stack_size_bytes;
	char *alternate;              // its alternate stack, where we gave it one
	struct tb_instance *instance; // whose CPU it drives, NULL otherwise
	uint32_t cpu;                 // which one
	uint32_t index;               // 1 …; names the record
	pid_t tid;                    // atomic; 0 when the thread has ended
	uint32_t word;                // futex: an engine may sleep on it
	void *engine;                 // for the engine that uses this thread
	bool unblocked;               // threads engine: lets the doorbell through
	struct host_thread *next_free;
	struct host_fault fault;
};

// The calling POSIX thread's record, made on first use: H only. Also gives it the alternate stack for faults. NULL: no memory.
struct host_thread *host_thread_self(void);
struct host_thread *host_thread_current(void); // the same without making one; also K and in signal handlers
// A host thread of our own: small stack, every signal blocked but faults; `handle` NULL: detached. Returns 0 or an errno.
int host_thread_start(pthread_t *handle, void *(*entry)(void *), void *arg);
struct host_thread *host_thread_at(uint32_t index); // NULL: never used

// ---- CPUs -----------------------------------------------------------------------------------------------------------

struct host_cpu {
	struct hal_cpu *hal;        // atomic; kernel's header; NULL until hal_cpu_bind() or hal_cpu_start()
	struct hal_thread *idle;    // the thread to enter when the CPU is parked
	struct host_thread *driver; // atomic: who drives it, NULL while parked or off. The engine writes it
	uint32_t index;
	uint32_t started; // atomic: 1 from boot or hal_cpu_start() on
};

// ---- instances ------------------------------------------------------------------------------------------------------

enum host_state {
	HOST_NEW,
	HOST_BOOTING,
	HOST_RUNNING,
	HOST_HALTED
};

struct host_ram {
	char *base;
	uint64_t size_bytes;
	uint64_t used_bytes; // struct kernel and the boot stack
	uint32_t node_count;
	struct hal_ram_node nodes[HAL_MAX_NODES];
	int fds[HAL_MAX_NODES]; // one memfd a node
	uint32_t mapped_count;  // nodes mapped
};

struct host_module {
	int fd; // -1: free
	uint64_t size_bytes;
	void *engine; // for the engine (sim: what it recorded)
};

struct host_console {
	uint64_t dropped_bytes;   // atomic
	pthread_mutex_t writing;  // CPUs write one after the other
	struct host_input *input; // NULL: no input
};

struct tb_instance {
	const struct host_engine *engine;
	bool engine_ready; // create has succeeded
	void *engine_data; // the engine's own; set by create, freed by destroy
	const struct hal_upcalls *upcalls;
	uint32_t slot;
	uint32_t cpu_count;
	uint32_t point_mask; // what hal_context_init() puts into a new thread: 0 under threads
	uint32_t resched;    // likewise: HAL_RESCHED_POINT under sim
	struct host_cpu *cpus;
	struct host_ram ram;
	struct host_console console;
	struct host_module modules[HOST_MODULE_COUNT];
	struct host_disk *disks; // host_disk.h
	uint32_t disk_count;
	struct host_fibers *fibers; // instrumented builds
	uint64_t clock_base_ns;     // CLOCK_MONOTONIC at creation

	uint32_t state;       // atomic, enum host_state; also a futex
	int32_t status;       // valid once HALTED: ≥ 0 exit status, < 0 error
	uint32_t halting;     // atomic: somebody makes the step to HALTED
	uint32_t booted;      // atomic: hal_boot_done() was called
	uint32_t panicked;    // atomic
	uint32_t closing;     // atomic: tb_destroy() has begun
	uint32_t users;       // atomic: host threads inside tb_call(), tb_command(), tb_wait()
	pthread_mutex_t lock; // error, modules, calls that wait
	char error[HOST_ERROR_SIZE];

	struct tb_config config; // strings below are our own copies
	struct hal_boot_info boot_info;
};

extern struct tb_instance *host_instances[HOST_SLOT_COUNT]; // by slot; atomic pointers

// The instance whose kernel stack is running. K only.
static inline struct tb_instance *host_instance(void)
{
	return host_instances[(hal_stack_pointer() - HAL_SLOT_BASE) / HAL_SLOT_SIZE];
}

static inline bool host_is_slot_address(uintptr_t address)
{
	return address - HAL_SLOT_BASE < HAL_SLOT_LIMIT - HAL_SLOT_BASE;
}

// The running CPU, masked or with preemption off. K only. CPU 0 before hal_cpu_bind().
static inline struct host_cpu *host_cpu(struct tb_instance *instance)
{
	struct hal_cpu *cpu = hal_self()->cpu;
	return &instance->cpus[cpu ? cpu->host : 0];
}

// The host thread that drives the running CPU. K, masked.
static inline struct host_thread *host_driver(struct tb_instance *instance)
{
	return __atomic_load_n(&host_cpu(instance)->driver, __ATOMIC_RELAXED);
}

// hal_thread.irq_off: masked, and not to be cut off by a halt.
#define HOST_CRITICAL 2u

// Around what outlives the instance, what other CPUs rely on, and what others still wait for. K; begin masks, end leaves masked.
static inline void host_critical_begin(void)
{
	*(volatile uint32_t *)&hal_self()->irq_off = HOST_CRITICAL;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void host_critical_end(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint32_t *)&hal_self()->irq_off = 1;
}

// Makes the state HALTED with this status, unless it is already; wakes tb_wait(). Any stack, K: critical; async-signal-safe. True when
// it was us.
bool host_instance_halt(struct tb_instance *instance, int32_t status);

// hal_boot_done(): BOOTING → RUNNING unless it has halted; wakes tb_boot(). Any stack.
void host_instance_booted(struct tb_instance *instance);

// Notes the reason of an error for tb_error(), and returns `error`: `return host_fail(instance, -EINVAL, "…")`. H only. A NULL
// instance notes it for this host thread's tb_create().
tb_err host_fail(struct tb_instance *instance, tb_err error, const char *format, ...)
	__attribute__((__format__(__printf__, 3, 4)));

// ---- contexts (host_context.c, host_switch.S, host_fiber.c) -------------------------------------------------------

// Runs fn(arg) on the host stack of the thread that drives this CPU. K only, masked; fn must not touch kernel contexts.
void host_stack_call(void (*fn)(void *), void *arg);

void host_context_enter(struct host_thread *self, struct hal_thread *to);    // H
void host_context_leave(struct hal_thread *from, struct host_thread *to);    // K, masked
void host_context_abandon(struct host_thread *to) __attribute__((noreturn)); // K, masked

// The boot stack of CPU 0: header at its base prepared, entry as given. H; hal_context_init() is the same for K.
tb_err host_context_prepare(struct tb_instance *instance, struct hal_thread *thread, size_t header_size_bytes,
			    void (*entry)(void *), void *arg) TB_MUST_USE;
// Gives a prepared context that never ran another entry (hal_cpu_start()).
void host_context_redirect(struct hal_thread *thread, void (*entry)(void *), void *arg);

// ---- engines --------------------------------------------------------------------------------------------------------

struct host_engine {
	const char *name; // hal_boot_info.engine

	// H, from tb_*. The instance is checked, has its slot, RAM, CPUs and console, and nobody else uses it (call: many do).
	// On an error of create nothing stays behind.
	tb_err (*create)(struct tb_instance *instance);
	tb_err (*destroy)(struct tb_instance *instance); // no call in flight; what is returned, tb_destroy() returns
	tb_err (*boot)(struct tb_instance *instance);    // enters cpus[0].idle; returns once RUNNING or HALTED
	tb_err (*call)(struct tb_instance *instance, int64_t (*fn)(void *), void *arg, int64_t *result);
	tb_err (*wait)(struct tb_instance *instance); // until HALTED
	tb_err (*stop)(struct tb_instance *instance); // raises HAL_IRQ_STOP on CPU 0, then as wait
	void (*input)(struct tb_instance *instance);  // any host thread: console input has come, raise HAL_IRQ_CONSOLE
	tb_err (*sim_stats)(const struct tb_instance *instance, struct tb_sim_stats *stats); // NULL: -EOPNOTSUPP

	// K. The doors of include/hal, same names, same contexts.
	tb_err (*cpu_start)(struct tb_instance *instance,
			    struct host_cpu *cpu); // hal, idle, redirect done by host_door.c
	void (*cpu_bound)(struct tb_instance *instance,
			  struct host_cpu *cpu);      // CPU 0 has its header; NULL: no interest
	void (*booted)(struct tb_instance *instance); // after host_instance_booted(); NULL: no interest
	void (*cpu_idle)(struct tb_instance *instance);
	void (*ipi)(struct tb_instance *instance, struct host_cpu *cpu);
	void (*cpu_relax)(struct tb_instance *instance);
	void (*spin_wait)(struct tb_instance *instance, const uint32_t *word, uint32_t seen);
	void (*spin_wake)(struct tb_instance *instance, const uint32_t *word);
	void (*irq_deliver)(struct tb_instance *instance);
	void (*point)(struct tb_instance *instance, enum hal_point_kind kind);
	uint64_t (*clock_mono_ns)(struct tb_instance *instance);
	uint64_t (*clock_look_ns)(struct tb_instance *instance); // hal_clock_rough_ns() has lost its reach
	uint64_t (*clock_wall_ns)(struct tb_instance *instance);
	void (*timer_arm)(struct tb_instance *instance, uint64_t deadline_ns);
	bool (*call_take)(struct tb_instance *instance, struct hal_call *call);
	void (*call_done)(struct tb_instance *instance, uint64_t token, int64_t result);
	bool (*call_wants_cpu)(struct tb_instance *instance);
	void (*call_sleeping)(struct tb_instance *instance, uint64_t token, bool sleeping);
	void (*entropy)(struct tb_instance *instance, void *buffer, size_t size_bytes);
	void (*trace_event)(struct tb_instance *instance, const struct hal_trace_event *event);
	// After host_instance_halt(): stops the other CPUs and leaves this one for good.
	void (*halt)(struct tb_instance *instance) __attribute__((noreturn));

	// K or H (see each). Common code does the work; the engine may watch, record and replace. NULL: no interest.
	void (*console_wrote)(struct tb_instance *instance, const char *bytes, size_t size_bytes); // H
	size_t (*console_read)(struct tb_instance *instance, char *bytes, size_t size_bytes,
			       bool *end);                                 // K; instead of ours
	void (*console_wait)(struct tb_instance *instance, bool waits);    // K
	struct hal_window (*console_window)(struct tb_instance *instance); // K; instead of ours
	tb_err (*module_opened)(struct tb_instance *instance, const char *name,
				struct host_module *module); // H; may refuse
	// H. The kernel asks what disks there are; an error: none. NULL: no interest.
	tb_err (*disks_asked)(struct tb_instance *instance);
	// H. The block door, requests checked. HOST_POWER_CUT: the instance ends now.
	tb_err (*block_submit)(struct tb_instance *instance, const struct hal_block_request *request, bool *done);
	bool (*block_take)(struct tb_instance *instance, uint32_t *disk, uint32_t *slot, tb_err *err);

	// H, on the host stack of the driver whose kernel code faulted, after the report; the instance is HALTED and panicked.
	// When it returns, this host thread goes on where it entered the kernel, as after host_context_abandon().
	void (*faulted)(struct tb_instance *instance, struct host_thread *thread);
};

#define HOST_POWER_CUT 1 // no error number

extern const struct host_engine host_engine_threads;
extern const struct host_engine host_engine_sim;

// What both console doors come down to. H.
void host_console_emit(struct tb_instance *instance, const char *bytes, size_t size_bytes);
// Takes input that has come from the host; see hal_console_read(). H.
size_t host_console_take(struct tb_instance *instance, char *bytes, size_t size_bytes, bool *end);

// CLOCK_MONOTONIC and CLOCK_REALTIME in ns. Any stack; masked on kernel stacks.
uint64_t host_clock_mono_ns(void);
uint64_t host_clock_wall_ns(void);

#endif
