// SPDX-License-Identifier: MIT
//
// The drill's threads and steps; drill.h tells what it is. Every wait has a deadline, so none can hang.
#include "drill.h"

#include "kern/math.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/sched.h"

#define DRILL_PAUSE_NS 200000u
#define LOOK_NS (100 * NS_PER_MS) // between two looks for an interruption

struct drill {
	struct mutex first, second;
	struct semaphore tokens;
	struct condvar changed; // with `first`
	struct rwlock book;
	struct waitq queue;
	uint32_t value;  // under first
	uint32_t opened; // atomic
	uint32_t stop;   // atomic
	uint32_t rounds;
	uint64_t seed;
};

struct drill_thread {
	struct drill *drill;
	struct thread *thread;
	struct rand_stream chance;
	struct timer timer;
};

// What one run needs: too much for a small machine's stack.
struct drill_field {
	struct drill drill;
	struct drill_thread threads[DRILL_THREADS];
};

static uint64_t pause_ns(struct drill_thread *self)
{
	return rand_below(&self->chance, DRILL_PAUSE_NS);
}

static uint64_t soon_ns(struct drill_thread *self)
{
	return clock_now_ns() + pause_ns(self);
}

static void step_nested(struct drill_thread *self)
{
	struct drill *drill = self->drill;
	mutex_lock(&drill->first);
	drill->value++;
	sleep_ns(pause_ns(self));
	if (mutex_lock_until(&drill->second, soon_ns(self)) == 0) {
		sleep_ns(pause_ns(self));
		mutex_unlock(&drill->second);
	}
	mutex_unlock(&drill->first);
}

static void step_inner(struct drill_thread *self)
{
	mutex_lock(&self->drill->second);
	sleep_ns(pause_ns(self));
	mutex_unlock(&self->drill->second);
}

static void step_tokens(struct drill_thread *self)
{
	struct semaphore *tokens = &self->drill->tokens;
	if (rand_chance(&self->chance, 1, 2) || sem_down_until(tokens, soon_ns(self)) == 0) {
		sleep_ns(pause_ns(self));
		sem_up(tokens);
	}
}

static void step_condition(struct drill_thread *self)
{
	struct drill *drill = self->drill;
	err_t err = 0;
	mutex_lock(&drill->first);
	if (rand_chance(&self->chance, 1, 2)) {
		uint32_t seen = drill->value;
		while (err == 0 && drill->value == seen)
			err = condvar_wait_until(&drill->changed, &drill->first, soon_ns(self));
	} else {
		drill->value++;
		if (rand_chance(&self->chance, 1, 3))
			condvar_broadcast(&drill->changed);
		else
			condvar_signal(&drill->changed);
	}
	mutex_unlock(&drill->first);
}

static void step_book(struct drill_thread *self)
{
	struct rwlock *book = &self->drill->book;
	if (rand_chance(&self->chance, 3, 4)) {
		rwlock_read_lock(book);
		sleep_ns(pause_ns(self));
		rwlock_read_unlock(book);
	} else {
		rwlock_write_lock(book);
		sleep_ns(pause_ns(self));
		rwlock_write_unlock(book);
	}
}

static void step_queue(struct drill_thread *self)
{
	struct drill *drill = self->drill;
	if (rand_chance(&self->chance, 2, 3)) {
		uint32_t seen = atomic_load_u32_acquire(&drill->opened);
		(void)!waitq_wait_until(&drill->queue, atomic_load_u32_acquire(&drill->opened) != seen, soon_ns(self));
	} else {
		(void)atomic_fetch_add_u32_acq_rel(&drill->opened, 1);
		(void)waitq_wake_all(&drill->queue);
	}
}

static void timer_rings(struct timer *timer)
{
	struct drill_thread *self = container_of(timer, struct drill_thread, timer);
	(void)waitq_wake_all(&self->drill->queue);
}

static void step_timer(struct drill_thread *self)
{
	timer_arm(&self->timer, soon_ns(self));
	sleep_ns(pause_ns(self));
	if (rand_chance(&self->chance, 1, 2))
		(void)timer_cancel_sync(&self->timer);
}

static void step_prio(struct drill_thread *self)
{
	enum thread_class klass = (enum thread_class)rand_below(&self->chance, CLASS_FAIR + 1);
	int32_t prio = (int32_t)rand_below(&self->chance, 20);
	err_t err =
		thread_set_prio(current, klass, klass == CLASS_FAIR ? 0 : prio, klass == CLASS_FAIR ? prio - 10 : 0);
	VERIFY3(err, ==, 0);
	thread_yield();
}

static void drill_main(void *arg)
{
	static void (*const steps[])(struct drill_thread *) = {step_nested, step_inner, step_tokens, step_condition,
							       step_book,   step_queue, step_timer,  step_prio};
	struct drill_thread *self = arg;
	timer_setup(&self->timer, timer_rings);
	for (uint32_t round = 0; round < self->drill->rounds && atomic_load_u32_acquire(&self->drill->stop) == 0;
	     round++)
		steps[rand_below(&self->chance, array_count(steps))](self);
	(void)timer_cancel_sync(&self->timer);
}

static void drill_init(struct drill *drill)
{
	mutex_init(&drill->first, LOCK_RANK_DRILL, "drill: first");
	mutex_init(&drill->second, LOCK_RANK_DRILL_INNER, "drill: second");
	sem_init(&drill->tokens, 2, "drill: tokens");
	condvar_init(&drill->changed, "drill: changed");
	rwlock_init(&drill->book, LOCK_RANK_DRILL, "drill: book");
	waitq_init(&drill->queue, "drill: queue");
}

static const struct thread_params params[DRILL_THREADS] = {{.name = "drill0", .klass = CLASS_FAIR},
							   {.name = "drill1", .klass = CLASS_FAIR, .nice = -5},
							   {.name = "drill2", .klass = CLASS_FAIR, .nice = 5},
							   {.name = "drill3", .klass = CLASS_RR, .rt_prio = 20},
							   {.name = "drill4", .klass = CLASS_RR, .rt_prio = 20},
							   {.name = "drill5", .klass = CLASS_FIFO, .rt_prio = 10}};

// Starts them in order and waits for them in order; what could be started.
static err_t field_run(struct drill_field *field, bool (*interrupted)(void *), void *arg)
{
	struct drill *drill = &field->drill;
	uint32_t started = 0;
	err_t err = 0;

	for (; started < DRILL_THREADS && err == 0; started += err == 0) {
		struct drill_thread *self = &field->threads[started];
		*self = (struct drill_thread){.drill = drill};
		rand_init(&self->chance, drill->seed + started);
		err = thread_start(&params[started], drill_main, self, &self->thread);
	}
	for (uint32_t i = 0; i < started; i++) {
		while (thread_join_until(field->threads[i].thread, NULL, clock_now_ns() + LOOK_NS) != 0)
			if (interrupted != NULL && interrupted(arg))
				atomic_store_u32_release(&drill->stop, 1);
	}
	mutex_fini(&drill->first);
	mutex_fini(&drill->second);
	rwlock_fini(&drill->book);
	return err;
}

err_t drill_run(const struct drill_options *options, bool (*interrupted)(void *), void *arg, struct trace_hash *hash)
{
	struct drill_field *field = kmalloc(sizeof *field, MEM_ZERO);

	if (field == NULL)
		return ERR(ENOMEM);
	field->drill.rounds = options->rounds;
	field->drill.seed = options->seed;
	drill_init(&field->drill);
	sleep_ns(NS_PER_MS); // whoever was ready has run
	bool hashed = trace_hash_begin(hash, options->print) == 0;
	err_t err = field_run(field, interrupted, arg);
	if (hashed)
		trace_hash_end(hash);
	else
		hash->events = 0;
	kfree(field);
	return err;
}
