// SPDX-License-Identifier: MIT
//
// Which CPU: where a thread that becomes ready goes, what an idle CPU takes from the others, who may run where. All by CPU
// index, so that one seed gives one order. Only the least loaded CPU of a node-blind machine is looked for; nodes come with
// the NUMA policy, in balance_best_idle() and balance_busiest().
#include "runq.h"

static uint32_t mask_word(const uint32_t *words, uint32_t index)
{
	return atomic_load_u32_relaxed_nopoint(&words[index]);
}

static bool mask_has(const uint32_t *words, uint32_t cpu)
{
	return (mask_word(words, cpu / 32) >> (cpu % 32) & 1u) != 0;
}

static bool mask_is_only(const struct cpu_mask *mask, uint32_t cpu)
{
	for (uint32_t i = 0; i < CPU_MASK_WORDS; i++)
		if (mask_word(mask->words, i) != (i == cpu / 32 ? 1u << (cpu % 32) : 0))
			return false;
	return true;
}

// An isolated CPU takes only threads that name it alone.
static bool mask_allows(const struct cpu_mask *mask, uint32_t cpu)
{
	const struct sched_state *state = sched_state();
	if (!mask_has(mask->words, cpu) || !mask_has(state->online, cpu))
		return false;
	return likely(!mask_has(state->isolated, cpu)) || mask_is_only(mask, cpu);
}

bool balance_allows(const struct thread *thread, uint32_t cpu)
{
	return mask_allows(&thread->affinity, cpu);
}

// Whether there is a CPU for the mask, even if `without` (NO_CPU: none) were isolated too.
bool balance_has_cpu(const struct cpu_mask *mask, uint32_t without)
{
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		if (mask_allows(mask, i) && (i != without || mask_is_only(mask, i)))
			return true;
	return false;
}

bool balance_is_isolated(uint32_t cpu)
{
	return mask_has(sched_state()->isolated, cpu);
}

void balance_idle_set(const struct cpu *cpu, bool idle)
{
	uint32_t *word = &sched_state()->idle[cpu->hal.index / 32];
	uint32_t bit = 1u << (cpu->hal.index % 32);
	if (idle)
		(void)atomic_fetch_or_u32_seq_cst(word, bit);
	else if ((atomic_load_u32_relaxed_nopoint(word) & bit) != 0)
		(void)atomic_fetch_and_u32_seq_cst(word, ~bit);
}

// Takes the CPU's bit, so that two who look for an idle CPU find two.
static bool idle_claim(uint32_t cpu)
{
	uint32_t bit = 1u << (cpu % 32);
	return (atomic_fetch_and_u32_acq_rel(&sched_state()->idle[cpu / 32], ~bit) & bit) != 0;
}

// The lowest idle CPU that the thread may use, claimed; NULL.
static struct cpu *balance_best_idle(const struct thread *thread)
{
	struct kernel *kernel = kernel_self();
	for (uint32_t i = 0; i < CPU_MASK_WORDS; i++) {
		uint32_t idle = mask_word(sched_state()->idle, i) & mask_word(thread->affinity.words, i);
		for (; idle != 0; idle &= idle - 1) {
			uint32_t cpu = i * 32 + bit_lowest_u32(idle);
			if (balance_allows(thread, cpu) && idle_claim(cpu))
				return kernel->cpus[cpu];
		}
	}
	return NULL;
}

static uint32_t runq_load(const struct cpu *cpu)
{
	const struct runq *rq = cpu->runq;
	uint32_t running = (int32_t)atomic_load_u32_relaxed_nopoint((const uint32_t *)&rq->running_prio) != PRIO_IDLE;
	return atomic_load_u32_relaxed_nopoint(&rq->ready_count) + running;
}

// The CPU with the fewest threads; `preferred` among equals, then the lowest. NULL: isolation has changed while we looked.
static struct cpu *balance_least_loaded(const struct thread *thread, struct cpu *preferred)
{
	struct kernel *kernel = kernel_self();
	struct cpu *best = balance_allows(thread, preferred->hal.index) ? preferred : NULL;
	uint32_t best_load = best != NULL ? runq_load(best) : UINT32_MAX;
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		uint32_t load = runq_load(kernel->cpus[i]);
		if (load < best_load && balance_allows(thread, i)) {
			best = kernel->cpus[i];
			best_load = load;
		}
	}
	return best;
}

// For a real-time thread that could not run at home at once: the CPU that does the least urgent work.
static struct cpu *balance_least_urgent(const struct thread *thread, struct cpu *home)
{
	struct kernel *kernel = kernel_self();
	struct cpu *best = NULL;
	int32_t best_prio = thread->prio;
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		const struct runq *rq = kernel->cpus[i]->runq;
		int32_t prio = (int32_t)atomic_load_u32_relaxed_nopoint((const uint32_t *)&rq->running_prio);
		if (prio > best_prio && balance_allows(thread, i)) {
			best = kernel->cpus[i];
			best_prio = prio;
		}
	}
	return best != NULL ? best : home;
}

static bool runq_is_idle(const struct runq *rq)
{
	return rq->cpu->running == rq->cpu->idle && rq->ready_mask == 0;
}

// Where a thread that is about to become ready is to run: at home if that is idle, on another idle CPU, where it may run at
// once by its priority, else at home. `settled`: it has been sent here already. NULL: nowhere until its home has finished
// switching away from it; look again.
struct cpu *balance_place_locked(struct runq *home, const struct thread *thread, bool settled)
{
	bool allowed = balance_allows(thread, home->cpu->hal.index);
	if (atomic_load_u32_acquire(&thread->on_cpu) != 0)
		return allowed ? home->cpu : NULL;
	struct cpu *here = this_cpu();
	if (allowed && settled)
		return home->cpu;
	if ((thread->flags & THREAD_FLAG_API) != 0 && current == here->idle && balance_allows(thread, here->hal.index))
		return here; // the host thread that calls drives this one
	if (allowed && runq_is_idle(home))
		return home->cpu;
	struct cpu *idle = balance_best_idle(thread);
	if (idle != NULL)
		return idle;
	if (!allowed || thread->stats.switches == 0)
		return balance_least_loaded(thread, home->cpu);
	if (thread->prio <= PRIO_RT_MIN && !runq_beats(thread, home->cpu->running))
		return balance_least_urgent(thread, home->cpu);
	return home->cpu;
}

// Hands a thread that is on no queue from the lock of its home to that of another CPU.
void balance_rehome_locked(struct runq *home, struct thread *thread, struct cpu *target)
{
	fair_detach(home, thread);
	thread->expelled = 0; // perhaps it parked before it could be sent away
	thread->stats.migrations++;
	atomic_store_ptr_release(&thread->home, target);
}

// Also right after it was taken from the queue of a CPU that has not finished switching away from it.
void balance_send(struct thread *thread)
{
	for (bool settled = false;; settled = true) {
		bool was;
		struct runq *rq = thread_lock(thread, &was);
		struct cpu *target = balance_place_locked(rq, thread, settled);
		if (target == rq->cpu)
			runq_enqueue_locked(rq, thread, clock_now_ns());
		else if (target != NULL)
			balance_rehome_locked(rq, thread, target);
		runq_unlock(rq, was);
		if (target == rq->cpu)
			return;
		if (target == NULL)
			hal_cpu_relax();
	}
}

// An idle CPU that could run `waiting`, which this queue makes wait; NULL.
struct cpu *balance_find_helper(struct runq *rq, const struct thread *waiting)
{
	const struct sched_state *state = sched_state();
	uint32_t any = 0;
	for (uint32_t i = 0; i < CPU_MASK_WORDS; i++)
		any |= mask_word(state->idle, i) & mask_word(waiting->affinity.words, i);
	if (likely(any == 0) || atomic_load_u32_relaxed_nopoint(&rq->ready_count) == 0)
		return NULL;
	return balance_best_idle(waiting);
}

// The best queued thread that `cpu` may run; the one that ran last, whose cache is still warm over there, only if it is alone.
static struct thread *victim_choose(const struct runq *rq, uint32_t cpu)
{
	static const enum thread_class firsts[] = {CLASS_FIFO, CLASS_FAIR};
	struct thread *warm = NULL;
	for (uint32_t i = 0; i < array_count(firsts); i++) {
		const struct sched_class *klass = sched_classes[firsts[i]];
		if ((rq->ready_mask >> klass->order & 1u) == 0)
			continue;
		for (struct thread *t = klass->first(rq); t != NULL; t = klass->next(rq, t)) {
			if (atomic_load_u32_acquire(&t->on_cpu) != 0 || !balance_allows(t, cpu))
				continue;
			if (t != rq->last)
				return t;
			warm = t;
		}
	}
	return warm;
}

static bool balance_steal_from(struct cpu *thief, struct runq *rq)
{
	biased_visit(&rq->lock);
	// A CPU that is about to take its only thread keeps it.
	bool busy = rq->cpu->running != rq->cpu->idle || rq->ready_count > 1;
	struct thread *thread = busy ? victim_choose(rq, thief->hal.index) : NULL;
	if (thread != NULL) {
		trace_emit(TRACE_SCHED_STEAL, thread->id, rq->cpu->hal.index);
		runq_dequeue_locked(rq, thread);
		balance_rehome_locked(rq, thread, thief);
	}
	biased_leave(&rq->lock);
	if (thread == NULL)
		return false;
	struct runq *own = thief->runq;
	biased_own(&own->lock);
	own->steals++;
	// Its affinity may have changed on the way.
	bool allowed = balance_allows(thread, thief->hal.index);
	if (allowed)
		runq_enqueue_locked(own, thread, clock_now_ns());
	biased_drop(&own->lock);
	if (!allowed)
		balance_send(thread);
	return true;
}

// The CPU with the longest queue that has not been tried; the next after the thief among equals.
static struct cpu *balance_busiest(const struct cpu *thief, const struct cpu_mask *tried)
{
	struct kernel *kernel = kernel_self();
	struct cpu *busiest = NULL;
	uint32_t most = 0;
	for (uint32_t i = 1; i < kernel->cpu_count; i++) {
		struct cpu *cpu = kernel->cpus[(thief->hal.index + i) % kernel->cpu_count];
		if (!mask_has(sched_state()->online, cpu->hal.index) || cpu_mask_has(tried, cpu->hal.index))
			continue;
		uint32_t ready = atomic_load_u32_seq_cst(&cpu->runq->ready_count);
		if (ready > most) {
			most = ready;
			busiest = cpu;
		}
	}
	return busiest;
}

bool balance_steal(struct cpu *cpu)
{
	struct cpu_mask tried = {0};
	if (balance_is_isolated(cpu->hal.index))
		return false;
	for (;;) {
		struct cpu *victim = balance_busiest(cpu, &tried);
		if (victim == NULL)
			return false;
		if (balance_steal_from(cpu, victim->runq))
			return true;
		cpu_mask_set(&tried, victim->hal.index);
	}
}
