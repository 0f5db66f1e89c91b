// SPDX-License-Identifier: MIT
//
// The sim engine: all CPUs of all instances of a world on one host thread, in an order that the seed decides.
//
// 1 World (struct tb_sim)   one clock, one seed, one stream of decisions, any number of instances. A host thread inside
//   tb_boot, tb_call, tb_wait or tb_destroy *drives* the world: it enters a kernel stack and comes back when its own request is
//   done. One thread drives at a time; others wait, and one of them drives on. Nothing runs while nobody drives.
//
// 2 Points   A virtual CPU is the kernel stack it was last on (sim_cpu.thread). Every schedule point costs virtual time (sim_cost.h),
//   raises what is due (timers, IPIs, calls, input), then the policy names the CPU that goes on (sim_policy.h): a *decision*.
//   Switching CPUs is hal_context_switch() between the two stacks. After its point a CPU with interrupts unmasked takes those
//   that have arrived: that is a point itself, then the irq upcall, on the interrupted stack, which may switch threads.
//   When no CPU is ready, time jumps to the next due interrupt; when there is none, only the host can help (4), else -EDEADLK.
//
//   A stepped world (TB_CONFIG_STEPPED) has one CPU, and nothing in it costs time: only those jumps move the clock.
//
// 3 CPU states   OFF → READY ⇄ IDLE (hal_cpu_idle, until an interrupt is pending), READY ⇄ SPIN (hal_spin_wait, until the word
//   changes, a wake, or a deliverable interrupt), any → OFF (halt). READY includes the one that runs. sim_cpu_state() alone changes them.
//
// 4 Attention   A point decides on the host stack, where it first serves what sim->attention asks: callers, logs, consoles, a
//   stuck world. That is invisible to the run, except for what enters. When the driver's own request is done the point leaves with its
//   decision untaken, and whoever drives next takes it.
//
// 5 Inputs   Host calls, new instances and console bytes enter only while attention is served, at a known decision and time; they
//   are recorded there and replayed there. With one host thread and input from a file they are the same in every run without
//   a log. What a disk's image holds is an input too: its hash enters with the instance. Input from a file or pipe is taken line by line, when a kernel thread waits for it, all CPUs are idle, nothing but
//   timers is under way to them and a host thread is in tb_wait(): that may take for ever. A terminal's when it comes.
//
// 6 Hash and log   sim_hash.h says what the trace hash covers, sim_log.h what the log holds. A replay takes the decisions from the
//   log, draws costs and latencies as the recording did, and compares each decision's kind and part of the rolling mix: the
//   first difference stops the world with -EPROTO and the decision's number.
//
// 7 Not in a run: host time, host randomness, addresses, the slot, malloc, uninitialised memory. Interleavings are exact,
//   but sequentially consistent: weak memory is TSan's job on the threads engine.
//
// Files: sim_engine.c table · sim_world.c worlds · sim_sched.c points · sim_due.c time and interrupts · sim_door.c doors · sim_drive.c
//   host threads · sim_enter.c what enters · sim_console.c input · sim_disk.c, sim_overlay.c,
//   sim_fault.c disks · sim_record.c, sim_replay.c logs · sim_report.c words for people ·
//   sim_tb.c tb_sim_* · sim_policy*.c · sim_cost.c · sim_hash.c · sim_sha256*.c · sim_log_*.c
//
// Locks: sim.lock guards callers, driven. Never held while a kernel stack runs. All else belongs to the driver.
#ifndef SIM_IMPL_H
#define SIM_IMPL_H

#include "../host_impl.h"
#include "sim_cost.h"
#include "sim_hash.h"
#include "sim_log.h"
#include "sim_policy.h"

enum sim_cpu_state {
	SIM_CPU_OFF,
	SIM_CPU_READY,
	SIM_CPU_IDLE,
	SIM_CPU_SPIN
};

// What can be under way to a CPU; the number is the bit of enum hal_irq.
enum sim_due {
	SIM_DUE_TIMER,
	SIM_DUE_IPI,
	SIM_DUE_CONSOLE,
	SIM_DUE_CALL,
	SIM_DUE_STOP,
	SIM_DUE_PANEL, // never: there is none
	SIM_DUE_BLOCK,
	SIM_DUE_COUNT
};

#define SIM_HOSTS_MAX 64u

struct sim_instance;

struct sim_cpu {
	uint32_t id;    // in the world
	uint32_t index; // in the instance
	enum sim_cpu_state state;
	struct sim_instance *instance;
	struct hal_thread *thread; // the stack it was last on
	uint32_t irq_off;          // that stack's mask when it came to its point
	uint32_t pending;          // enum hal_irq: arrived, not delivered
	uint32_t spin_seen;
	const uint32_t *spin_word;
	uint64_t due_ns[SIM_DUE_COUNT]; // when it arrives, world time; TB_FOREVER: nothing under way
};

// A host call on its way through the kernel; lives with its caller.
struct sim_call {
	uint64_t token;
	int64_t (*fn)(void *);
	void *arg;
	int64_t result;
	bool taken, done, sleeping;
	struct sim_call *next;
};

// Console input that has entered and waits for the kernel.
struct sim_console {
	int fd; // -1: none
	bool interactive;
	bool end;         // has entered
	bool wanted;      // the kernel waits for more
	uint32_t waiters; // host threads in tb_wait()
	size_t size_bytes, taken_bytes;
	char bytes[SIM_LOG_INPUT_MAX];
	char line[4096];
};

struct sim_instance {
	struct tb_instance *host;
	struct tb_sim *sim;
	struct sim_instance *next; // in order of creation
	uint32_t index;            // in the world, by creation
	bool private_world;        // made with the instance, destroyed with it
	uint64_t born_ns;
	uint64_t next_token;
	struct sim_call *calls;      // entered, in order
	struct sim_console *console; // NULL: no input
	struct sim_disks *disks;     // NULL: it has none
	struct sim_stream entropy;
	uint32_t cpu_count;
	struct sim_cpu cpus[];
};

enum sim_caller_kind {
	SIM_CALLER_CREATE,
	SIM_CALLER_BOOT,
	SIM_CALLER_CALL,
	SIM_CALLER_WAIT,
	SIM_CALLER_STOP,
	SIM_CALLER_DESTROY,
	SIM_CALLER_STATS
};

// A host thread's request, on its stack.
struct sim_caller {
	enum sim_caller_kind kind;
	struct sim_instance *instance;
	uint32_t host; // struct host_thread.tid: records are used again
	struct sim_call call;
	struct tb_sim_stats *stats;
	bool entered;
	bool finished; // guarded by sim.lock
	tb_err err;
	char reason[HOST_ERROR_SIZE]; // of err, "": nothing to say
	struct sim_caller *next;
};

// Reasons to visit the host stack; sim.attention.
enum sim_attention {
	SIM_ATTEND_CALLERS = 1u << 0, // somebody wants to enter, or may be finished
	SIM_ATTEND_RECORD = 1u << 1,  // the recorder's chunk is full
	SIM_ATTEND_REPLAY = 1u << 2,  // an input of the log is due
	SIM_ATTEND_IDLE = 1u << 3,    // no CPU is ready and the console may be asked
	SIM_ATTEND_POLL = 1u << 4,    // look at terminals
	SIM_ATTEND_STUCK = 1u << 5,   // nothing can happen any more
	SIM_ATTEND_STOP = 1u << 6     // see sim.stop
};

// Why a world runs no more. Noted on kernel stacks; sim_report.c makes words of it.
enum sim_stop_cause {
	SIM_STOP_NOT,
	SIM_STOP_LIMIT,     // a: the limit, ns
	SIM_STOP_KIND,      // a: kind in the log, b: kind in the run
	SIM_STOP_TRACE,     // a: kind; the mix differs
	SIM_STOP_CPU,       // a: the log's choice, which is not ready
	SIM_STOP_LOG_END,   // a: whether the log has an END
	SIM_STOP_LOG_OTHER, // a: tag of the record that stands where the run decides, b: kind
	SIM_STOP_LOG_TIME,  // a: when the log's input enters, b: tag
	SIM_STOP_LOG_INPUT, // a: kind of the host call that is not the log\'s
	SIM_STOP_LOG_CALL,  // a: kind of the host call that nobody makes
	SIM_STOP_LOG_MODULE // another module or other content
};

struct sim_stop {
	enum sim_stop_cause cause;
	uint64_t decision;
	uint64_t a, b;
};

struct sim_disks;
struct sim_recorder;
struct sim_replay;

struct tb_sim {
	// The decision path.
	struct sim_cpu *running; // NULL: none has been chosen yet
	uint32_t attention;      // atomic
	uint32_t last;           // the CPU of the last decision
	uint64_t now_ns;
	bool stepped;         // nothing costs time: the clock moves when all CPUs are idle
	uint64_t next_due_ns; // nothing is due before; may be too early, never too late
	uint64_t hashed_ns;   // time of the last decision
	uint32_t polls;       // relax points since anything else
	uint64_t decisions, switches, interrupts;
	struct sim_set ready;
	struct sim_set spinning;
	struct sim_stream costs, latencies;
	struct sim_recorder *recorder; // NULL: none
	struct sim_replay *replay;     // NULL: the policy decides
	struct sim_policy policy;
	struct sim_hash hash;

	// Time and inputs.
	uint64_t limit_ns;    // TB_FOREVER: none
	uint64_t log_due_ns;  // replay: when the log's next input enters
	uint64_t poll_due_ns; // when to look at terminals
	uint32_t wait_count;  // tb_wait() callers that entered and have a console
	struct sim_instance *instances;
	uint32_t instance_count; // ever created
	struct sim_cpu *cpus[SIM_CPUS_MAX];

	// The host side.
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sim_caller *callers;
	bool driven;
	bool choosing; // a decision of kind SIM_KIND_HOST is under way
	struct host_thread *driver;
	const struct sim_caller *driving; // the driver's own request
	struct sim_stop stop;
	uint32_t hosts[SIM_HOSTS_MAX]; // host threads by their first call
	uint32_t host_count;
	uint64_t seed;
	char policy_name[SIM_POLICY_NAME_SIZE];
	uint64_t time_limit_ns;
};

static inline void sim_spend(struct tb_sim *sim, uint64_t cost_ns)
{
	if (host_likely(!sim->stepped))
		sim->now_ns += cost_ns;
}

// How late an interrupt comes that is raised now.
static inline uint64_t sim_latency(struct tb_sim *sim, enum sim_latency kind)
{
	return host_unlikely(sim->stepped) ? 0 : sim_latency_draw(&sim->latencies, kind);
}

static inline struct sim_instance *sim_instance(const struct tb_instance *instance)
{
	return instance->engine_data;
}

static inline void sim_attend(struct tb_sim *sim, enum sim_attention reason)
{
	__atomic_fetch_or(&sim->attention, reason, __ATOMIC_RELEASE);
}

// ---- sim_sched.c ----------------------------------------------------------------------------------------------------

// Changes a CPU's state and the sets that follow from it.
void sim_cpu_state_set(struct sim_cpu *cpu, enum sim_cpu_state state);

// A schedule point of the running CPU. K.
void sim_point(struct tb_sim *sim, uint32_t kind);

// Delivers what has arrived at the running CPU, if unmasked. K.
void sim_interrupts_take(struct tb_sim *sim);

// The decision at a point: the CPU that goes on, NULL when the host must act first.
struct sim_cpu *sim_choose(struct tb_sim *sim, uint32_t kind);

// Stops the world for good; the first reason stays.
void sim_stop(struct tb_sim *sim, enum sim_stop_cause cause, uint64_t a, uint64_t b);

// ---- sim_due.c ------------------------------------------------------------------------------------------------------

// Lets an interrupt arrive at time_ns at the earliest, unless an earlier one is under way.
void sim_due_set(struct sim_cpu *cpu, enum sim_due due, uint64_t time_ns);
// Raises everything that is due by now.
void sim_due_run(struct tb_sim *sim);
// Moves the clock to time_ns, or to the time limit if that comes first.
void sim_due_jump(struct tb_sim *sim, uint64_t time_ns);
// No CPU is ready: jumps to the next event or asks the host.
void sim_due_advance(struct tb_sim *sim);
// When the next event comes, TB_FOREVER for never; the time limit is none.
uint64_t sim_due_next(const struct tb_sim *sim);
// Whether anything but timers is under way to a CPU.
bool sim_due_soon(const struct tb_sim *sim);

// ---- sim_drive.c, sim_enter.c: H --------------------------------------------------------------------------------------

// Waits until the request is finished, driving the world when nobody else does; returns caller->err.
tb_err sim_run(struct tb_sim *sim, struct sim_caller *caller);
// Lets callers enter who may; and marks those finished who are.
void sim_callers_enter(struct tb_sim *sim);
// Does what sim->attention asks; true when the driver's own request is finished.
bool sim_attention_serve(struct tb_sim *sim);
void sim_callers_settle(struct tb_sim *sim);
// Whether any caller has entered and waits; ends the calls of all such.
bool sim_callers_entered(struct tb_sim *sim);
void sim_callers_fail(struct tb_sim *sim, tb_err err);
// The number of a host thread in this world, sim->host_count when it has not called yet.
uint32_t sim_host_find(const struct tb_sim *sim, uint32_t host);
// The rolling mix as it would be if this call entered now.
uint64_t sim_caller_mix(const struct sim_caller *caller);
void sim_caller_enter(struct tb_sim *sim, struct sim_caller *caller);
// Lets console input enter now.
void sim_input_enter(struct sim_instance *instance, const void *bytes, size_t size_bytes, bool end);

// ---- sim_console.c: H, but for sim_console_read, sim_console_wait -----------------------------------------------------------------------

tb_err sim_console_create(struct sim_instance *instance);
void sim_console_destroy(struct sim_instance *instance);
void sim_console_add(struct sim_instance *instance, const void *bytes, size_t size_bytes, bool end);
// Begins or ends looking at terminals, by who is in tb_wait().
void sim_console_poll_arm(struct tb_sim *sim);
// All CPUs are idle: takes input if some may enter, otherwise jumps.
void sim_console_idle(struct tb_sim *sim);
// Looks at terminals without waiting.
void sim_console_poll(struct tb_sim *sim);
void sim_console_wait(struct tb_instance *instance, bool waits);
size_t sim_console_read(struct tb_instance *instance, char *bytes, size_t size_bytes, bool *end);

// ---- sim_record.c, sim_replay.c: H unless said otherwise --------------------------------------------------------------

tb_err sim_record_create(struct tb_sim *sim, const char *path);
// Writes the end. -EIO with the reason when the log is not whole.
tb_err sim_record_destroy(struct tb_sim *sim, char *reason, size_t size_bytes);
void sim_record_flush(struct tb_sim *sim);
void sim_record_put(struct tb_sim *sim, const struct sim_log_record *record);
void sim_record_decision(struct tb_sim *sim, uint32_t kind, bool moved, uint32_t cpu); // K
void sim_options_describe(const struct tb_sim *sim, struct sim_log_options *options);

tb_err sim_replay_create(struct tb_sim *sim, const char *path);
// -EPROTO with the reason when the run was not the log's.
tb_err sim_replay_destroy(struct tb_sim *sim, char *reason, size_t size_bytes);
// The log's choice for a decision of this kind; SIM_CPU_NONE after stopping the world. K.
uint32_t sim_replay_pick(struct tb_sim *sim, uint32_t kind);
// Compares the rolling mix after the decision; false after stopping the world. K.
bool sim_replay_check(struct tb_sim *sim);
// Lets in the one thing that the log has next, which is due.
void sim_replay_input(struct tb_sim *sim);
// Whether the log has this instance created, this module opened, now. A module that differs stops the world.
bool sim_replay_instance(struct tb_sim *sim, const struct sim_log_instance *made, char *reason, size_t size_bytes);
bool sim_replay_module(struct tb_sim *sim, const struct sim_log_module *module);

// Reads and checks a whole log; *bytes is the caller's to free. Errors, noted for tb_error(NULL): those of open(2), -ENOMEM, -EBADMSG.
tb_err sim_log_load(const char *path, uint8_t **bytes, size_t *size_bytes, struct sim_log_summary *summary);

// ---- sim_report.c ---------------------------------------------------------------------------------------------------

// Why the world stopped; returns -ETIME or -EPROTO.
tb_err sim_report_stop(const struct tb_sim *sim, char *buffer, size_t size_bytes);
// What every CPU and call waits for.
void sim_report_stuck(const struct tb_sim *sim, char *buffer, size_t size_bytes);

#endif
