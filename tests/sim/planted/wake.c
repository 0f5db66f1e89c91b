// SPDX-License-Identifier: MIT
//
// Planted mistakes in waiting and waking.
#include "planted.h"

// ---- lost wake-up: the condition is looked at before the waiter is in the queue, and not again ---------------------------

struct lost_wake {
	struct waitq queue;
	uint32_t ready;
	uint32_t timed_out;
	bool bug;
};

static void lost_wake_waiter(void *arg)
{
	struct lost_wake *state = arg;
	struct waitq_entry entry;
	err_t err = 0;

	if (READ_ONCE(state->ready) != 0)
		return;
	waitq_enter(&state->queue, &entry, true);
	if (state->bug || READ_ONCE(state->ready) == 0)
		err = waitq_sleep(&state->queue, &entry, planted_deadline());
	(void)waitq_leave(&state->queue, &entry);
	WRITE_ONCE(state->timed_out, err != 0);
}

static void lost_wake_waker(void *arg)
{
	struct lost_wake *state = arg;
	WRITE_ONCE(state->ready, 1);
	waitq_wake(&state->queue, 1);
}

static bool lost_wake(bool bug)
{
	struct lost_wake state = {.bug = bug};
	struct crew crew = {0};
	waitq_init(&state.queue, "planted");
	crew_add(&crew, lost_wake_waiter, &state);
	crew_add(&crew, lost_wake_waker, &state);
	crew_end(&crew);
	return state.timed_out != 0;
}

// ---- a token handed to a waiter that times out at that moment is dropped instead of being passed on ----------------------

struct dropped_token {
	struct waitq queue;
	uint32_t tokens; // under queue.lock in spirit: atomic
	uint32_t starved;
	bool bug;
};

static bool token_take(struct dropped_token *state)
{
	uint32_t have = atomic_load_u32_acquire(&state->tokens);
	while (have != 0)
		if (atomic_cmpxchg_u32_acq_rel(&state->tokens, &have, have - 1))
			return true;
	return false;
}

static void token_impatient(void *arg)
{
	struct dropped_token *state = arg;
	struct waitq_entry entry;

	waitq_enter(&state->queue, &entry, true);
	err_t err = waitq_sleep(&state->queue, &entry, clock_now_ns() + 500);
	bool woken = waitq_leave(&state->queue, &entry);
	bool gave_up = err != 0 || clock_now_ns() % 2 == 0;
	if (woken && gave_up && !state->bug)
		waitq_wake(&state->queue, 1);
	else if (woken && !gave_up && token_take(state))
		waitq_wake(&state->queue, 1);
}

static void token_patient(void *arg)
{
	struct dropped_token *state = arg;
	struct waitq_entry entry;
	err_t err = 0;

	for (;;) {
		waitq_enter(&state->queue, &entry, true);
		bool taken = token_take(state);
		if (!taken)
			err = waitq_sleep(&state->queue, &entry, planted_deadline());
		bool woken = waitq_leave(&state->queue, &entry);
		if (taken || (err != 0 && !woken))
			break;
	}
	WRITE_ONCE(state->starved, err != 0 && READ_ONCE(state->tokens) != 0);
}

static void token_giver(void *arg)
{
	struct dropped_token *state = arg;
	sleep_ns(400);
	atomic_fetch_add_u32_acq_rel(&state->tokens, 1);
	waitq_wake(&state->queue, 1);
}

static bool dropped_token(bool bug)
{
	struct dropped_token state = {.bug = bug};
	struct crew crew = {0};
	waitq_init(&state.queue, "planted");
	crew_add(&crew, token_impatient, &state);
	crew_add(&crew, token_patient, &state);
	crew_add(&crew, token_giver, &state);
	crew_end(&crew);
	return state.starved != 0;
}

// ---- one signal for two waiters whose conditions differ -------------------------------------------------------------------

struct wrong_signal {
	struct mutex lock;
	struct condvar changed;
	uint32_t even, odd, stuck;
	bool bug;
};

static void signal_wait(struct wrong_signal *state, uint32_t *condition)
{
	err_t err = 0;
	mutex_lock(&state->lock);
	while (*condition == 0 && err == 0)
		err = condvar_wait_until(&state->changed, &state->lock, planted_deadline());
	if (err != 0)
		state->stuck++;
	mutex_unlock(&state->lock);
}

static void signal_even(void *arg)
{
	struct wrong_signal *state = arg;
	signal_wait(state, &state->even);
}

static void signal_odd(void *arg)
{
	struct wrong_signal *state = arg;
	signal_wait(state, &state->odd);
}

static void signal_set(struct wrong_signal *state, uint32_t *condition)
{
	mutex_lock(&state->lock);
	*condition = 1;
	if (state->bug)
		condvar_signal(&state->changed);
	else
		condvar_broadcast(&state->changed);
	mutex_unlock(&state->lock);
}

static void signal_setter(void *arg)
{
	struct wrong_signal *state = arg;
	signal_set(state, &state->odd);
	thread_yield();
	signal_set(state, &state->even);
}

static bool wrong_signal(bool bug)
{
	struct wrong_signal state = {.bug = bug};
	struct crew crew = {0};
	mutex_init(&state.lock, LOCK_RANK_TEST_INNER, "planted");
	condvar_init(&state.changed, "planted");
	crew_add(&crew, signal_even, &state);
	crew_add(&crew, signal_odd, &state);
	crew_add(&crew, signal_setter, &state);
	crew_end(&crew);
	mutex_fini(&state.lock);
	return state.stuck != 0;
}

// ---- priority inversion: a semaphore used as a lock lends no priority -----------------------------------------------------

struct inversion {
	struct mutex mutex;
	struct semaphore sem;
	uint32_t high_done, medium_first, low_has_it;
	bool bug;
};

static void inversion_take(struct inversion *state)
{
	if (state->bug)
		sem_down(&state->sem);
	else
		mutex_lock(&state->mutex);
}

static void inversion_give(struct inversion *state)
{
	if (state->bug)
		sem_up(&state->sem);
	else
		mutex_unlock(&state->mutex);
}

static void inversion_work(uint32_t steps)
{
	static const uint32_t nothing = 0;
	for (uint32_t i = 0; i < steps; i++)
		(void)atomic_load_u32_relaxed(&nothing);
}

// Sleeps, in steps, until the low thread holds the lock.
static void inversion_await(struct inversion *state, uint64_t step_ns)
{
	uint64_t deadline_ns = planted_deadline();
	while (READ_ONCE(state->low_has_it) == 0 && clock_now_ns() < deadline_ns)
		sleep_ns(step_ns);
}

static void inversion_low(void *arg)
{
	struct inversion *state = arg;
	inversion_take(state);
	WRITE_ONCE(state->low_has_it, 1);
	inversion_work(200);
	inversion_give(state);
}

static void inversion_medium(void *arg)
{
	struct inversion *state = arg;
	inversion_await(state, 700);
	inversion_work(300);
	if (READ_ONCE(state->low_has_it) != 0 && READ_ONCE(state->high_done) == 2)
		WRITE_ONCE(state->medium_first, 1);
}

// high_done: 1 finished, 2 waiting for the lock.
static void inversion_high(void *arg)
{
	struct inversion *state = arg;
	inversion_await(state, 400);
	WRITE_ONCE(state->high_done, 2);
	inversion_take(state);
	WRITE_ONCE(state->high_done, 1);
	inversion_give(state);
}

static bool inversion(bool bug)
{
	struct inversion state = {.bug = bug};
	struct crew crew = {0};
	uint32_t cpu = kernel_self()->cpu_count - 1;
	mutex_init(&state.mutex, LOCK_RANK_TEST_INNER, "planted");
	sem_init(&state.sem, 1, "planted");
	crew_add_prio(&crew, inversion_high, &state, 10, cpu);
	crew_add_prio(&crew, inversion_medium, &state, 20, cpu);
	crew_add_prio(&crew, inversion_low, &state, 30, cpu);
	crew_end(&crew);
	mutex_fini(&state.mutex);
	return state.medium_first != 0;
}

// ---- a barrier that is reused without a generation: a fast thread laps a slow one -----------------------------------------

struct lapped {
	uint32_t arrived, generation;
	uint32_t phase[3];
	uint32_t wrong;
	uint32_t next_index;
	bool bug;
};

static bool lapped_wait(struct lapped *state)
{
	uint64_t deadline_ns = planted_deadline();
	uint32_t generation = atomic_load_u32_acquire(&state->generation);
	bool last = atomic_fetch_add_u32_acq_rel(&state->arrived, 1) == 2;
	if (last) {
		atomic_store_u32_release(&state->arrived, 0);
		atomic_fetch_add_u32_acq_rel(&state->generation, 1);
		return true;
	}
	for (;;) {
		bool open = state->bug ? atomic_load_u32_acquire(&state->arrived) == 0
				       : atomic_load_u32_acquire(&state->generation) != generation;
		if (open)
			return true;
		if (clock_now_ns() > deadline_ns)
			return false;
		thread_yield();
	}
}

static void lapped_thread(void *arg)
{
	struct lapped *state = arg;
	uint32_t me = atomic_fetch_add_u32_acq_rel(&state->next_index, 1);
	for (uint32_t phase = 1; phase <= 3; phase++) {
		WRITE_ONCE(state->phase[me], phase);
		bool in_time = lapped_wait(state);
		for (uint32_t i = 0; i < 3; i++)
			if (!in_time || READ_ONCE(state->phase[i]) < phase)
				WRITE_ONCE(state->wrong, 1);
		if (!in_time)
			break;
	}
}

static bool lapped(bool bug)
{
	struct lapped state = {.bug = bug};
	struct crew crew = {0};
	for (uint32_t i = 0; i < 3; i++)
		crew_add(&crew, lapped_thread, &state);
	crew_end(&crew);
	return state.wrong != 0;
}

const struct planted_program planted_wake[] = {
	{"lost_wake", "condition not looked at again once in the queue", lost_wake, 2},
	{"dropped_token", "a wake that meets a time-out is not passed on", dropped_token, 2},
	{"wrong_signal", "one signal where waiters have different conditions", wrong_signal, 2},
	{"priority_inversion", "a semaphore used as a lock lends no priority", inversion, 2},
	{"lapped_barrier", "a barrier reused without a generation", lapped, 3},
	{NULL, NULL, NULL, 0},
};
