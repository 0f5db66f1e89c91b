// SPDX-License-Identifier: MIT
//
// Planted mistakes in the order of things: locks, flags, CPUs, interrupts.
#include "planted.h"

// ---- rank inversion: two locks taken in both orders. Semaphores, because the lock checker would name mutexes at once ------------

struct rank_state {
	struct semaphore first, second;
	uint32_t stuck;
	bool bug;
};

static void rank_take(struct rank_state *state, struct semaphore *outer, struct semaphore *inner)
{
	sem_down(outer);
	if (sem_down_until(inner, planted_deadline()) == 0)
		sem_up(inner);
	else
		WRITE_ONCE(state->stuck, 1);
	sem_up(outer);
}

static void rank_straight(void *arg)
{
	struct rank_state *state = arg;
	rank_take(state, &state->first, &state->second);
}

static void rank_crossed(void *arg)
{
	struct rank_state *state = arg;
	if (state->bug)
		rank_take(state, &state->second, &state->first);
	else
		rank_take(state, &state->first, &state->second);
}

static bool rank_inversion(bool bug)
{
	struct rank_state state = {.bug = bug};
	struct crew crew = {0};
	sem_init(&state.first, 1, "planted: first");
	sem_init(&state.second, 1, "planted: second");
	crew_add(&crew, rank_straight, &state);
	crew_add(&crew, rank_crossed, &state);
	crew_end(&crew);
	return state.stuck != 0;
}

// ---- Dekker's entry with the flag raised too late -------------------------------------------------------------------------------

struct dekker_state {
	uint32_t wants[2];
	uint32_t inside, wrong, next_index;
	bool bug;
};

static void dekker_thread(void *arg)
{
	struct dekker_state *state = arg;
	uint32_t me = atomic_fetch_add_u32_acq_rel(&state->next_index, 1);
	if (!state->bug)
		atomic_store_u32_seq_cst(&state->wants[me], 1);
	bool free = atomic_load_u32_seq_cst(&state->wants[1 - me]) == 0;
	if (state->bug && free)
		atomic_store_u32_seq_cst(&state->wants[me], 1);
	if (free) {
		if (atomic_fetch_add_u32_seq_cst(&state->inside, 1) != 0)
			WRITE_ONCE(state->wrong, 1);
		atomic_fetch_sub_u32_seq_cst(&state->inside, 1);
	}
	atomic_store_u32_seq_cst(&state->wants[me], 0);
}

static bool late_flag(bool bug)
{
	struct dekker_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, dekker_thread, &state);
	crew_add(&crew, dekker_thread, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

// ---- check, then act: room in a buffer looked at outside the lock ------------------------------------------------------------------

struct room_state {
	struct mutex lock;
	uint32_t used, overflow;
	bool bug;
};

static void room_thread(void *arg)
{
	struct room_state *state = arg;
	bool room = READ_ONCE(state->used) < 1;
	mutex_lock(&state->lock);
	if (!state->bug)
		room = READ_ONCE(state->used) < 1;
	if (room) {
		WRITE_ONCE(state->used, READ_ONCE(state->used) + 1);
		if (READ_ONCE(state->used) > 1)
			state->overflow = 1;
	}
	mutex_unlock(&state->lock);
}

static bool check_then_act(bool bug)
{
	struct room_state state = {.bug = bug};
	struct crew crew = {0};
	mutex_init(&state.lock, LOCK_RANK_TEST_INNER, "planted");
	crew_add(&crew, room_thread, &state);
	crew_add(&crew, room_thread, &state);
	crew_end(&crew);
	mutex_fini(&state.lock);
	return state.overflow != 0;
}

// ---- initialised twice: the flag is not looked at again under the lock ----------------------------------------------------------------

struct once_state {
	struct mutex lock;
	uint32_t done, times;
	bool bug;
};

static void once_thread(void *arg)
{
	struct once_state *state = arg;
	if (atomic_load_u32_acquire(&state->done) != 0)
		return;
	mutex_lock(&state->lock);
	if (state->bug || READ_ONCE(state->done) == 0) {
		state->times++;
		atomic_store_u32_release(&state->done, 1);
	}
	mutex_unlock(&state->lock);
}

static bool init_twice(bool bug)
{
	struct once_state state = {.bug = bug};
	struct crew crew = {0};
	mutex_init(&state.lock, LOCK_RANK_TEST_INNER, "planted");
	crew_add(&crew, once_thread, &state);
	crew_add(&crew, once_thread, &state);
	crew_end(&crew);
	mutex_fini(&state.lock);
	return state.times != 1 && !crew.failed;
}

// ---- data shared with an interrupt, updated without masking ------------------------------------------------------------------------------

struct irq_state {
	struct timer timer;
	uint32_t value, fired;
	bool bug;
};

static void irq_fire(struct timer *timer)
{
	struct irq_state *state = container_of(timer, struct irq_state, timer);
	WRITE_ONCE(state->value, READ_ONCE(state->value) + 1);
	WRITE_ONCE(state->fired, 1);
}

static void irq_thread(void *arg)
{
	struct irq_state *state = arg;
	timer_setup(&state->timer, irq_fire);
	timer_arm(&state->timer, clock_now_ns() + 300);
	for (uint32_t i = 0; i < 20; i++) {
		bool was = !state->bug && hal_irq_save();
		WRITE_ONCE(state->value, READ_ONCE(state->value) + 1);
		if (!state->bug)
			hal_irq_restore(was);
	}
	if (timer_cancel_sync(&state->timer))
		WRITE_ONCE(state->fired, 0);
}

static bool unmasked_share(bool bug)
{
	struct irq_state state = {.bug = bug};
	struct crew crew = {0};
	crew_add(&crew, irq_thread, &state);
	crew_end(&crew);
	return !crew.failed && state.value != 20 + state.fired;
}

// ---- per-CPU data touched with preemption on: the timer switches to a thread that touches it too ----------------------------------------------

struct percpu_state {
	uint32_t value, done;
	bool bug;
};

static void percpu_add(struct percpu_state *state)
{
	if (!state->bug)
		preempt_disable();
	WRITE_ONCE(state->value, READ_ONCE(state->value) + 1);
	if (!state->bug)
		preempt_enable();
}

static void percpu_low(void *arg)
{
	struct percpu_state *state = arg;
	uint64_t deadline_ns = planted_deadline();
	uint32_t added = 0;
	while (READ_ONCE(state->done) == 0 && clock_now_ns() < deadline_ns) {
		percpu_add(state);
		added++;
	}
	WRITE_ONCE(state->done, READ_ONCE(state->done) + added);
}

static void percpu_high(void *arg)
{
	struct percpu_state *state = arg;
	for (uint32_t i = 0; i < 4; i++) {
		sleep_ns(400);
		percpu_add(state);
	}
	WRITE_ONCE(state->done, 4);
}

static bool preempted_percpu(bool bug)
{
	struct percpu_state state = {.bug = bug};
	struct crew crew = {0};
	uint32_t cpu = kernel_self()->cpu_count - 1;
	crew_add_prio(&crew, percpu_low, &state, 30, cpu);
	crew_add_prio(&crew, percpu_high, &state, 10, cpu);
	crew_end(&crew);
	return !crew.failed && state.value != state.done;
}

const struct planted_program planted_order[] = {
	{"rank_inversion", "two locks taken in both orders", rank_inversion, 2},
	{"late_flag", "Dekker's entry: look first, raise the flag after", late_flag, 2},
	{"check_then_act", "room looked at outside the lock", check_then_act, 2},
	{"init_twice", "double-checked start without the second check", init_twice, 2},
	{"unmasked_share", "data shared with an interrupt, not masked", unmasked_share, 1},
	{"preempted_percpu", "per-CPU data touched with preemption on", preempted_percpu, 1},
	{NULL, NULL, NULL, 0},
};
