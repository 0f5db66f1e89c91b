// SPDX-License-Identifier: MIT
//
// Read-copy-update: CPUs tell, one service thread asks. The argument for its memory orders is in sync_impl.h, 4. Callbacks
// wait on a stack of the CPU that called, so that CPUs which free things do not meet here; the thread takes all stacks, and runs each
// on its own CPU when it is long: what is freed there is in that CPU's cache, and goes to that CPU's magazines. Barriers wait
// on a stack of their own, which is taken before the others and run behind them: whatever was called before a barrier is in its batch or
// an earlier one. All numbers are 32 bits and compared by difference.
#include "sync_impl.h"

#include "hal/clock.h"
#include "hal/cpu.h"
#include "kern/counter.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/trace.h"

// How long the driver sleeps between two looks at a CPU that is late; doubles up to the greatest.
#define RCU_PAUSE_MIN_NS 20000ull
#define RCU_PAUSE_MAX_NS 1000000ull
#define RCU_BATCH_NS 4000000ull   // that callbacks gather for, so that a grace period serves many
#define RCU_BATCH_MAX 2048u       // so many do not wait for more
#define RCU_RESCUE_NS 50000000ull // who waits longer looks after the thread …
#define RCU_RESCUES 4u            // … so many times
#define RCU_VISIT_MIN 64u         // so many are worth going to their CPU

enum rcu_cpu_state {
	RCU_CPU_IDLE, // zero: before the CPU has come up it is idle
	RCU_CPU_ACTIVE
};

struct rcu_cpu {
	uint32_t seen;            // atomic: the grace period that this CPU knew of at its last quiescent state
	uint32_t state;           // atomic: enum rcu_cpu_state
	uint32_t section_max_ns;  // atomic: own CPU
	uint32_t long_sections;   // atomic: own CPU
	struct rcu_head *pending; // atomic: callbacks called here, newest first
	uint32_t called;          // atomic: own CPU; callbacks, ever
	uint32_t taken;           // atomic: the driver's; what `called` was when it took them
	uint32_t batch_count;     // the driver's, about
	struct rcu_head *batch;   // the driver's: what it has taken, newest first
} cache_aligned;

struct rcu_state {
	uint32_t gp;               // atomic: the grace period that runs or ran last; the driver's
	struct rcu_head *barriers; // atomic: callbacks that run behind all others, newest first
	uint32_t asked;            // atomic: barriers, ever
	uint32_t stopping;         // atomic
	struct thread *thread;
	struct waitq queue; // the driver waits for work
	uint32_t callbacks; // atomic, like the two below: the driver's
	uint32_t kicks;
	uint32_t grace_max_ns;
	struct rcu_cpu cpus[];
};

static struct rcu_state *rcu_state(void)
{
	return kernel_self()->rcu;
}

err_t rcu_init(struct kernel *kernel)
{
	size_t size_bytes = sizeof(struct rcu_state) + kernel->cpu_count * sizeof(struct rcu_cpu);
	struct rcu_state *rcu = boot_alloc(kernel, size_bytes, CACHE_LINE_SIZE);

	if (rcu == NULL)
		return ERR(ENOMEM);
	waitq_init(&rcu->queue, "rcu: idle");
	rcu->cpus[0].state = RCU_CPU_ACTIVE;
	kernel->rcu = rcu;
	return 0;
}

// -- what CPUs tell --------------------------------------------------------------------------------------------------------

static struct rcu_cpu *rcu_own_cpu(struct rcu_state *rcu)
{
	return &rcu->cpus[this_cpu()->hal.index];
}

static void rcu_note_seen(struct rcu_state *rcu, struct rcu_cpu *cpu)
{
	uint32_t gp = atomic_load_u32_acquire_nopoint(&rcu->gp);
	if (atomic_load_u32_relaxed_nopoint(&cpu->seen) != gp)
		atomic_store_u32_release_nopoint(&cpu->seen, gp);
}

void rcu_quiescent(void)
{
	struct rcu_state *rcu = rcu_state();
	rcu_note_seen(rcu, rcu_own_cpu(rcu));
}

void rcu_interrupt(void)
{
	struct rcu_state *rcu = rcu_state();
	struct hal_thread *self = hal_self();
	struct rcu_cpu *cpu = rcu_own_cpu(rcu);

	if (self->preempt_count == 0) {
		rcu_note_seen(rcu, cpu);
	} else if (atomic_load_u32_relaxed_nopoint(&cpu->seen) != atomic_load_u32_relaxed_nopoint(&rcu->gp)) {
		uint32_t why = atomic_load_u32_relaxed_nopoint(&self->resched);
		atomic_store_u32_relaxed_nopoint(&self->resched, why | HAL_RESCHED_WANTED);
	}
}

void rcu_idle_enter(void)
{
	struct rcu_cpu *cpu = rcu_own_cpu(rcu_state());
	(void)atomic_xchg_u32_acq_rel_nopoint(&cpu->state, RCU_CPU_IDLE);
}

void rcu_idle_exit(void)
{
	struct rcu_state *rcu = rcu_state();
	struct rcu_cpu *cpu = rcu_own_cpu(rcu);
	(void)atomic_xchg_u32_acq_rel_nopoint(&cpu->state, RCU_CPU_ACTIVE);
	rcu_note_seen(rcu, cpu);
}

// -- read sections ---------------------------------------------------------------------------------------------------------

#if CONFIG_LOCKCHECK

static void rcu_section_begins(struct thread *self)
{
	struct rcu_state *rcu = rcu_state();

	self->rcu_since_ns = hal_clock_mono_ns();
	if (atomic_load_u32_relaxed_nopoint(&rcu_own_cpu(rcu)->state) == RCU_CPU_IDLE) {
		struct lockcheck_party what = lockcheck_party_of(NULL, self, NULL);
		struct lockcheck_party none = {0};
		what.name = "read section on a CPU that is idle for RCU";
		lockcheck_fault(LOCKCHECK_RCU, &what, &none);
	}
}

static void rcu_section_ends(uint64_t took_ns)
{
	struct rcu_cpu *cpu = rcu_own_cpu(rcu_state());
	uint32_t kept_ns = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;

	if (kept_ns > atomic_load_u32_relaxed_nopoint(&cpu->section_max_ns))
		atomic_store_u32_relaxed_nopoint(&cpu->section_max_ns, kept_ns);
	if (took_ns <= RCU_SECTION_LIMIT_NS)
		return;
	(void)atomic_fetch_add_u32_relaxed_nopoint(&cpu->long_sections, 1);
	log_warn_limited("rcu: a read section of thread %u (%s) took %u us", current->id, current->name,
			 kept_ns / 1000);
}

void rcu_read_lock(void)
{
	struct thread *self = current;
	preempt_disable();
	if (self->rcu_nesting++ == 0)
		rcu_section_begins(self);
}

void rcu_read_unlock(void)
{
	struct thread *self = current;
	VERIFY3(self->rcu_nesting, >, 0);
	uint64_t since_ns = self->rcu_since_ns;
	if (--self->rcu_nesting == 0)
		rcu_section_ends(hal_clock_mono_ns() - since_ns);
	preempt_enable();
}

#endif

bool rcu_read_held(void)
{
#if CONFIG_LOCKCHECK
	return current->rcu_nesting > 0;
#else
	return hal_self()->preempt_count > 0;
#endif
}

// -- the driver ------------------------------------------------------------------------------------------------------------

// The exchange that changes nothing orders us against rcu_idle_exit(): it finds us, or we find it active.
static bool rcu_cpu_passed(struct rcu_cpu *cpu, uint32_t gp)
{
	uint32_t found = RCU_CPU_IDLE;

	if ((int32_t)(atomic_load_u32_acquire(&cpu->seen) - gp) >= 0)
		return true;
	return atomic_cmpxchg_u32_acq_rel(&cpu->state, &found, RCU_CPU_IDLE);
}

static void rcu_kick(struct rcu_state *rcu, uint32_t index)
{
	(void)atomic_fetch_add_u32_relaxed_nopoint(&rcu->kicks, 1);
	counter_inc(COUNTER_RCU_KICKS);
	hal_ipi(&kernel_self()->cpus[index]->hal);
}

static void rcu_wait_for_cpu(struct rcu_state *rcu, uint32_t index, uint32_t gp)
{
	uint64_t pause_ns = RCU_PAUSE_MIN_NS;

	while (!rcu_cpu_passed(&rcu->cpus[index], gp)) {
		(void)kernel_self()->hooks->park(hal_clock_mono_ns() + pause_ns);
		if (pause_ns < RCU_PAUSE_MAX_NS)
			pause_ns *= 2;
		else
			rcu_kick(rcu, index);
	}
}

// The CPU under us is quiescent because we are preemptible; the others are asked at once, then waited for one by one.
static void rcu_grace_period(struct rcu_state *rcu)
{
	uint32_t cpu_count = kernel_self()->cpu_count;
	uint64_t start_ns = hal_clock_mono_ns();
	uint32_t gp = atomic_fetch_add_u32_acq_rel(&rcu->gp, 1) + 1;

	trace_emit(TRACE_RCU_GP_START, gp, 0);
	bool was = hal_irq_save();
	rcu_quiescent();
	hal_irq_restore(was);
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (!rcu_cpu_passed(&rcu->cpus[i], gp))
			rcu_kick(rcu, i);
	}
	for (uint32_t i = 0; i < cpu_count; i++)
		rcu_wait_for_cpu(rcu, i, gp);

	uint64_t took_ns = hal_clock_mono_ns() - start_ns;
	uint32_t kept_ns = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
	if (kept_ns > atomic_load_u32_relaxed_nopoint(&rcu->grace_max_ns))
		atomic_store_u32_relaxed_nopoint(&rcu->grace_max_ns, kept_ns);
	counter_inc(COUNTER_RCU_GRACE_PERIODS);
}

// Oldest first.
static struct rcu_head *rcu_turn(struct rcu_head *head)
{
	struct rcu_head *turned = NULL;

	while (head != NULL) {
		struct rcu_head *next = head->next;
		head->next = turned;
		turned = head;
		head = next;
	}
	return turned;
}

// Takes all that has been queued, barriers first; whether there was any.
static bool rcu_take_pending(struct rcu_state *rcu, struct rcu_head **barriers)
{
	*barriers = atomic_xchg_ptr_acq_rel(&rcu->barriers, NULL);
	bool any = *barriers != NULL;

	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		struct rcu_cpu *cpu = &rcu->cpus[i];
		uint32_t called = atomic_load_u32_relaxed_nopoint(&cpu->called);
		cpu->batch_count = called - atomic_load_u32_relaxed_nopoint(&cpu->taken);
		atomic_store_u32_relaxed_nopoint(&cpu->taken, called);
		cpu->batch = atomic_xchg_ptr_acq_rel(&cpu->pending, NULL);
		any |= cpu->batch != NULL;
	}
	return any;
}

#define RCU_COUNT_EVERY 64u // callbacks between two changes of the figures

static void rcu_waiter_done(struct rcu_head *head);

static void rcu_count(struct rcu_state *rcu, uint32_t ran)
{
	counter_add(COUNTER_RCU_CALLBACKS, ran);
	(void)atomic_fetch_add_u32_relaxed_nopoint(&rcu->callbacks, ran);
}

static uint32_t rcu_run(struct rcu_state *rcu, struct rcu_head *head)
{
	uint32_t count = 0, counted = 0;

	while (head != NULL) {
		struct rcu_head *next = head->next;
		bool last = next == NULL || head->fn == rcu_waiter_done; // who waits may look at the figures
		if (++count % RCU_COUNT_EVERY == 0 || last) {
			rcu_count(rcu, count - counted);
			counted = count;
		}
		head->fn(head); // frees it
		head = next;
	}
	return count;
}

// Each batch on its CPU, that of the one under us first; short ones wherever we are.
static void rcu_run_all(struct rcu_state *rcu, struct rcu_head *barriers)
{
	uint32_t cpu_count = kernel_self()->cpu_count;
	uint32_t here = this_cpu()->hal.index;
	uint32_t ran = 0;

	for (uint32_t i = 0; i < cpu_count; i++) {
		uint32_t index = (here + i) % cpu_count;
		struct rcu_cpu *cpu = &rcu->cpus[index];
		if (i > 0 && cpu->batch_count >= RCU_VISIT_MIN)
			kernel_self()->hooks->service_move(index);
		ran += rcu_run(rcu, rcu_turn(cpu->batch));
	}
	ran += rcu_run(rcu, rcu_turn(barriers));
	trace_emit(TRACE_RCU_GP_END, atomic_load_u32_relaxed_nopoint(&rcu->gp), ran);
}

static bool rcu_has_work(const struct rcu_state *rcu)
{
	bool work = atomic_load_ptr_relaxed(&rcu->barriers) != NULL || atomic_load_u32_acquire(&rcu->stopping) != 0;

	for (uint32_t i = 0; i < kernel_self()->cpu_count && !work; i++)
		work = atomic_load_ptr_relaxed(&rcu->cpus[i].pending) != NULL;
	return work;
}

static uint32_t rcu_cpu_waiting(const struct rcu_cpu *cpu)
{
	return atomic_load_u32_relaxed(&cpu->called) - atomic_load_u32_relaxed(&cpu->taken);
}

static bool rcu_is_urgent(const struct rcu_state *rcu)
{
	bool urgent = atomic_load_ptr_relaxed(&rcu->barriers) != NULL || atomic_load_u32_acquire(&rcu->stopping) != 0;

	for (uint32_t i = 0; i < kernel_self()->cpu_count && !urgent; i++)
		urgent = rcu_cpu_waiting(&rcu->cpus[i]) >= RCU_BATCH_MAX;
	return urgent;
}

static void rcu_main(void *arg)
{
	struct rcu_state *rcu = arg;

	for (;;) {
		err_t err = waitq_wait_until(&rcu->queue, rcu_has_work(rcu), TB_FOREVER);
		ASSERT3(err, ==, 0);
		(void)!waitq_wait_until(&rcu->queue, rcu_is_urgent(rcu), hal_clock_mono_ns() + RCU_BATCH_NS);
		struct rcu_head *barriers;
		if (!rcu_take_pending(rcu, &barriers))
			break; // stopping
		rcu_grace_period(rcu);
		rcu_run_all(rcu, barriers);
	}
}

err_t rcu_start(void)
{
	struct rcu_state *rcu = rcu_state();
	return kernel_self()->hooks->service_start("rcu", rcu_main, rcu, &rcu->thread);
}

void rcu_stop(void)
{
	struct rcu_state *rcu = rcu_state();

	atomic_store_u32_release(&rcu->stopping, 1);
	(void)waitq_wake_all(&rcu->queue);
	kernel_self()->hooks->service_join(rcu->thread);
	rcu->thread = NULL;
	ASSERT(!rcu_has_work(rcu) || atomic_load_u32_acquire(&rcu->stopping) != 0);
}

// -- what everybody asks ---------------------------------------------------------------------------------------------------

// Whether it is the first.
static bool rcu_push(struct rcu_head **stack, struct rcu_head *head)
{
	struct rcu_head *first = atomic_load_ptr_relaxed(stack);

	do {
		head->next = first;
	} while (!atomic_cmpxchg_ptr_release(stack, &first, head));
	return first == NULL;
}

void rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	struct rcu_state *rcu = rcu_state();

	head->fn = fn;
	preempt_disable();
	struct rcu_cpu *cpu = rcu_own_cpu(rcu);
	atomic_fetch_add_u32_relaxed_nopoint(&cpu->called, 1);
	bool wake = rcu_push(&cpu->pending, head) || rcu_cpu_waiting(cpu) == RCU_BATCH_MAX;
	preempt_enable();
	if (wake)
		(void)waitq_wake_all(&rcu->queue);
}

struct rcu_waiter {
	struct rcu_head head;
	struct completion done;
};

static void rcu_waiter_done(struct rcu_head *head)
{
	completion_done(&container_of(head, struct rcu_waiter, head)->done);
}

void rcu_barrier(void)
{
	struct rcu_waiter waiter;

	might_sleep();
	ASSERT3(current, !=, rcu_state()->thread);
	completion_init(&waiter.done, "rcu: grace period");
	waiter.head.fn = rcu_waiter_done;
	(void)atomic_fetch_add_u32_relaxed_nopoint(&rcu_state()->asked, 1);
	(void)rcu_push(&rcu_state()->barriers, &waiter.head);
	(void)waitq_wake_all(&rcu_state()->queue);
	for (uint32_t i = 0; i < RCU_RESCUES; i++) {
		if (completion_wait_until(&waiter.done, hal_clock_mono_ns() + RCU_RESCUE_NS) == 0)
			return;
		kernel_self()->hooks->service_free(rcu_state()->thread);
	}
	completion_wait(&waiter.done);
}

// On the only CPU nobody can be inside a section while we run outside one.
void rcu_synchronize(void)
{
	might_sleep();
	if (kernel_self()->cpu_count > 1)
		rcu_barrier();
}

void rcu_get_info(struct rcu_info *info)
{
	struct rcu_state *rcu = rcu_state();

	*info = (struct rcu_info){
		.grace_periods = atomic_load_u32_relaxed(&rcu->gp),
		.callbacks = atomic_load_u32_relaxed(&rcu->callbacks),
		.kicks = atomic_load_u32_relaxed(&rcu->kicks),
		.grace_max_ns = atomic_load_u32_relaxed(&rcu->grace_max_ns),
	};
	info->waiting = atomic_load_u32_relaxed(&rcu->asked) - info->callbacks;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		info->waiting += atomic_load_u32_relaxed(&rcu->cpus[i].called);
		uint32_t section_max_ns = atomic_load_u32_relaxed(&rcu->cpus[i].section_max_ns);
		info->section_max_ns = MAX(info->section_max_ns, section_max_ns);
		info->long_sections += atomic_load_u32_relaxed(&rcu->cpus[i].long_sections);
	}
}

err_t rcu_check(void)
{
	struct rcu_state *rcu = rcu_state();
	err_t err = 0;

	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		const struct rcu_cpu *cpu = &rcu->cpus[i];
		uint32_t seen = atomic_load_u32_acquire(&cpu->seen);
		uint32_t state = atomic_load_u32_relaxed(&cpu->state);
		SYNC_EXPECT(err, "rcu", (int32_t)(atomic_load_u32_acquire(&rcu->gp) - seen) >= 0);
		SYNC_EXPECT(err, "rcu", state == RCU_CPU_IDLE || state == RCU_CPU_ACTIVE);
	}
	return err;
}
