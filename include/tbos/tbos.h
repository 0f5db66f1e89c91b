// SPDX-License-Identifier: MIT
//
// TBOS as a library: create an instance of the kernel in this process, boot it, call into it, destroy it.
//
// Threads: every function may be called from any host thread, at any time, for any instance, unless it says otherwise.
// Signals: the library owns one real-time signal, tb_signal() (SIGRTMIN+8), from the first tb_create() on, and SIGSEGV and
// SIGBUS for addresses inside its instances (others go to the handler that was there before). It sends tb_signal() to its own
// threads and to threads inside tb_call(); such threads must not block it. No other signal disposition is touched. A handler of the
// program's own that may run while its thread is inside a call must be installed with SA_ONSTACK: the kernel stack beneath is
// small, and may be preempted and go on under another host thread. The library gives each such thread an alternate stack.
// fork(): the child may make instances of its own; it must not touch those of its parent.
// Memory: instances live at fixed addresses, 0x550000000000 + slot × 4 GiB. The library needs no other fixed address.
// Errors: 0 or a negative Linux error number; this header defines no error names.
#ifndef TBOS_TBOS_H
#define TBOS_TBOS_H

#include "tbos/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TB_API_VERSION 1u

typedef struct tb_instance tb_instance;
typedef struct tb_sim tb_sim;

enum tb_engine {
	TB_ENGINE_THREADS = 0, // each CPU is a host thread
	TB_ENGINE_SIM = 1      // all CPUs on the calling thread, replayable from the seed
};

enum tb_config_flags {
	TB_CONFIG_MONITOR = 1u << 0,     // start the monitor on the console
	TB_CONFIG_INTERACTIVE = 1u << 1, // the console is a terminal: line editing
	TB_CONFIG_QUIET = 1u << 2,       // no banner, only errors on the console
	TB_CONFIG_TRACE = 1u << 3,       // enable all trace points, hand events to trace_fn
	// TB_ENGINE_SIM, one CPU, a world of its own: time stands still while anybody runs and moves, when the CPU is idle, to the
	// next timer. What polls the clock for an end never sees it. For comparing runs with those of machines (clock=stepped).
	TB_CONFIG_STEPPED = 1u << 4
};

// A disk of the machine: a file or block device of the host. Nobody else may have it open for writing. Under TB_ENGINE_SIM the image stays as it
// is: what is written lives in memory, and goes with the instance unless it is to be published.
enum tb_disk_flags {
	TB_DISK_READ_ONLY = 1u << 0,
	TB_DISK_PUBLISH =
		1u
		<< 1 // TB_ENGINE_SIM: tb_destroy() writes into the file what the disk holds, after a power cut what survived
};

struct tb_disk {
	const char *path;
	uint32_t flags;          // enum tb_disk_flags
	uint32_t logical_bytes;  // 512 or 4096; 0: 512, or the device's
	uint32_t physical_bytes; // what a power cut destroys whole, 512 … 65536; 0: 4096, or the device's
	uint32_t reserved;
	uint64_t offset_bytes; // where the disk begins in the file
	uint64_t size_bytes;   // 0: to the file's end; else a file that does not exist, or is empty, is made so large
	// TB_ENGINE_SIM: "eio=N,full=N,lost=N,torn=N,misdirected=N,stale=N,flip=N,lying=N,slow=N", each one request in N;
	// "cut=N": the power goes with the N-th write, and the instance ends with TB_STATUS_POWER_CUT. NULL: none.
	const char *faults;
};

#define TB_STATUS_POWER_CUT 254

struct tb_trace_record {
	uint64_t ts_ns;
	uint32_t cpu;
	uint32_t event;
	uint32_t thread;
	uint32_t reserved;
	uint64_t a, b;
};

// How an instance is to be made. Zero everything, set version and size_bytes, then what differs from the default.
struct tb_config {
	uint32_t version;    // TB_API_VERSION
	uint32_t size_bytes; // sizeof(struct tb_config)
	uint32_t engine;     // enum tb_engine
	uint32_t flags;      // enum tb_config_flags
	uint32_t cpu_count;  // 0: the persona's; 1 … 64
	uint32_t slot;       // 0: the lowest free one; else slot number + 1
	uint64_t mem_bytes;  // 0: the persona's; 2 MiB … 3 GiB
	const char *persona; // NULL: "desktop_512m"
	const char *cmdline; // NULL: none; "key=value …"

	tb_sim *sim; // TB_ENGINE_SIM: the world it lives in; NULL: a world of its own, made from the fields below
	uint64_t seed;
	const char *policy;      // "rr", "random" (NULL), "pct:D" or "pct:D:K" (K: length of an episode in decisions)
	const char *record_path; // write the decision log here
	const char *replay_path; // read decisions from this log
	uint32_t poison;         // != 0: byte that fills fresh memory
	uint32_t reserved;
	uint64_t time_limit_ns; // 0: none; virtual time under sim, host time under threads; -ETIME when passed

	// Console. NULL write_fn: standard output. input_fd < 0: no input. Called with interrupts masked on a host stack, by one CPU
	// after the other; must not call back into the library.
	void (*write_fn)(void *ctx, const char *bytes, size_t size_bytes);
	void *write_ctx;
	int32_t input_fd;
	uint32_t reserved2;

	// Every trace event, in order (TB_CONFIG_TRACE). Same rules as write_fn; called from several threads under threads.
	void (*trace_fn)(void *ctx, const struct tb_trace_record *record);
	void *trace_ctx;

	// A file of the host whose archive (cpio newc; plain, LZ4 or Zstandard) is unpacked into the root filesystem before tb_boot()
	// returns; one that is damaged makes the boot fail, and the console says where and why. NULL: the tree begins empty.
	const char *initramfs_path;

	// Up to 16, "disk0" and so on inside; copied. Threads: the library's own threads do their I/O.
	const struct tb_disk *disks;
	uint32_t disk_count;
	uint32_t reserved3;
};

// Fills *config with the defaults above.
void tb_config_init(struct tb_config *config);

// "major.minor.patch" and the build's identity.
const char *tb_version(void);
const char *tb_build_id(void);

// What a build offers: persona `index`, 0 …; false past the last. The strings are static.
struct tb_persona {
	const char *name;
	const char *summary;
	uint64_t mem_bytes;
	uint32_t cpu_count;
	uint32_t node_count;
	uint32_t frame_size_bytes;
	uint32_t reserved;
};
bool tb_persona_get(uint32_t index, struct tb_persona *persona);

// Name of a trace event, "sched.switch", for struct tb_trace_record; "?" for an unknown number.
const char *tb_trace_name(uint32_t event);

// The signal number the library owns.
int tb_signal(void);

// Makes an instance: reserves its slot and RAM, nothing runs yet. *out is owned by the caller until tb_destroy().
// Errors: -EINVAL (a field out of range; see tb_error()), -ENOMEM, -EBUSY (the slot is taken), -EAGAIN (no slot left),
// -ENOENT (persona or replay file), -EPROTO (a replay log of another build or other options), -EPERM (version).
tb_err tb_create(const struct tb_config *config, tb_instance **out) TB_MUST_USE;

// The last error of tb_create() on this host thread, or of this instance: one line that names the cause. Never NULL.
const char *tb_error(const tb_instance *instance);

// Boots; returns when the instance accepts calls. Errors: -EALREADY, or what made the boot fail.
tb_err tb_boot(tb_instance *instance) TB_MUST_USE;

// Runs fn(arg) on a kernel thread inside the instance and waits for it; *result (may be NULL) is what it returned. Under
// TB_ENGINE_THREADS the calling host thread borrows an idle CPU and runs fn itself. fn runs on a kernel stack of
// tb_stack_bytes() and may be preempted anywhere: it may call tb_k_*() only, no libc that keeps state.
// Errors: -ESHUTDOWN (halted or being destroyed), -ENOTCONN (not booted), -EDEADLK (sim: every CPU is idle for good), -ETIME, -EIO (panic).
tb_err tb_call(tb_instance *instance, int64_t (*fn)(void *), void *arg, int64_t *result) TB_MUST_USE;

// Runs monitor commands ("cmd; cmd"); *status is the last one's exit status. Errors: as tb_call(), -EMSGSIZE (> 64 KiB).
tb_err tb_command(tb_instance *instance, const char *line, int32_t *status) TB_MUST_USE;

// Waits until the instance halts by itself (monitor "poweroff", end of input, time limit); *status is its exit status.
tb_err tb_wait(tb_instance *instance, int32_t *status) TB_MUST_USE;

// Asks for an orderly shutdown and waits for it; afterwards the instance answers tb_sim_stats() and tb_error() only, and is
// still to be destroyed. *status (may be NULL) as in tb_wait(). Errors: -EBUSY, -EUCLEAN (something had not been given back; the console says
// what), -EIO (it had panicked), -ETIME, -ENOTCONN.
tb_err tb_shutdown(tb_instance *instance, int32_t *status) TB_MUST_USE;

// tb_shutdown() where that has not happened, then gives everything back. The instance is gone whatever is returned, except
// for -EBUSY: other host threads are inside a call, or the library has not seen the calling thread before and finds no host memory
// for it. Errors: those of tb_shutdown().
tb_err tb_destroy(tb_instance *instance) TB_MUST_USE;

size_t tb_stack_bytes(void);

// ---- simulation -----------------------------------------------------------------------------------------------------

struct tb_sim_stats {
	uint64_t decisions;  // schedule points decided
	uint64_t switches;   // decisions that changed the running CPU
	uint64_t interrupts; // delivered
	uint64_t time_ns;    // virtual
	uint8_t trace_hash[32];
};

// The figures so far of the world an instance lives in; waits for the next schedule point when another host thread is
// inside. The trace hash covers decisions, times, kernel trace events, interrupts, console bytes both ways, host calls and
// modules: every bit of them, by SHA-256. Errors: -EOPNOTSUPP (threads engine).
tb_err tb_sim_stats(const tb_instance *instance, struct tb_sim_stats *stats) TB_MUST_USE;

// A world that several instances share: one clock, one stream of decisions. Takes seed, policy, record_path, replay_path
// and time_limit_ns from the configuration; *out is owned by the caller. Errors: -EINVAL, -ENOMEM, those of open(2) for a log,
// -EBADMSG (replay: no sound log; tb_error(NULL) names offset and reason), -EPROTO (a log of another build or other options).
tb_err tb_sim_create(const struct tb_config *config, tb_sim **out) TB_MUST_USE;

// After its instances are destroyed. The world is gone unless -EBUSY (it still has instances). Errors, named by tb_error(NULL): -EIO (the
// recording is not whole), -EPROTO (the replay was not the run of the log). A world made by tb_create() ends with its
// instance: then tb_error(NULL) after tb_destroy() is where this is said, and tb_destroy() returns it.
tb_err tb_sim_destroy(tb_sim *sim) TB_MUST_USE;

// What a decision log says about the run it holds: the options that a replay must be given.
struct tb_sim_log_info {
	uint64_t seed;
	uint64_t time_limit_ns;
	uint64_t decisions;
	uint64_t mem_bytes; // of the first instance, as are the five below
	uint32_t cpu_count;
	uint32_t flags; // enum tb_config_flags
	char build_id[65];
	char policy[32];
	char persona[32];
	char cmdline[512];
	bool complete; // the recording was ended properly; else trace_hash is zero
	uint8_t trace_hash[32];
};

// Errors, named by tb_error(NULL): those of open(2), -ENOMEM, -EBADMSG.
tb_err tb_sim_log_info(const char *path, struct tb_sim_log_info *info) TB_MUST_USE;

// Two runs of the same configuration, the second replaying the first with other junk in fresh memory. A difference means
// that something was read before it was written, or ordered by an address or by chance.
struct tb_sim_verdict {
	struct tb_sim_stats first, second; // at the end of `body`
	tb_err first_err, second_err;      // what `body` returned
	bool equal;
	uint64_t diverged_at; // number of the first decision that differed; valid when !equal and not TB_FOREVER
	char reason[256];     // "" when equal
};

// `body` boots and uses the instance, and must do the same each time. `config` must not name a world or logs; its poison is
// ignored. Errors: those of tb_create(), -EINVAL. A difference is no error.
tb_err tb_sim_verify(const struct tb_config *config, tb_err (*body)(tb_instance *instance, void *ctx), void *ctx,
		     struct tb_sim_verdict *verdict) TB_MUST_USE;

// ---- inside an instance: only from a function that tb_call() runs, or a thread made by tb_k_thread_start() ------------

uint64_t tb_k_now_ns(void);
uint64_t tb_k_wall_ns(void); // since 1970-01-01 UTC; simulated: a world begins at the same time always
void tb_k_sleep_ns(uint64_t duration_ns);
void tb_k_yield(void);
uint32_t tb_k_cpu(void);

// Kernel memory, 16-byte aligned, not zeroed; NULL when there is none. May sleep. tb_k_free(NULL) does nothing.
void *tb_k_alloc(size_t size_bytes);
void tb_k_free(void *memory);

// Bytes for secrets; simulated: from the seed.
void tb_k_random(void *bytes, size_t size_bytes);

// A kernel thread; *id names it until tb_k_thread_join(). May sleep. Errors: -ENOMEM, -EAGAIN; join: -ESRCH.
tb_err tb_k_thread_start(const char *name, void (*fn)(void *), void *arg, uint32_t *id) TB_MUST_USE;
tb_err tb_k_thread_join(uint32_t id) TB_MUST_USE;

// Bytes to the console; a line to the kernel log.
void tb_k_print(const char *text);
void tb_k_log(const char *text);

#ifdef __cplusplus
}
#endif

#endif
