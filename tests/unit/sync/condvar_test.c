// SPDX-License-Identifier: MIT
//
// Condition variables: a bounded buffer, who is woken, and what holds after a deadline.
#include "sync_test.h"

#define BUFFER_SIZE 3

struct buffer {
	struct mutex mutex;
	struct condvar not_full;
	struct condvar not_empty;
	uint32_t items[BUFFER_SIZE]; // under mutex, as all below
	uint32_t count;
	uint32_t first;
	uint32_t rounds;
	uint32_t sum_in;
	uint32_t sum_out;
	uint32_t taken;
};

static void buffer_init(struct buffer *buffer, uint32_t rounds)
{
	*buffer = (struct buffer){.rounds = rounds};
	mutex_init(&buffer->mutex, LOCK_RANK_TEST_OUTER, "test: buffer");
	condvar_init(&buffer->not_full, "test: not full");
	condvar_init(&buffer->not_empty, "test: not empty");
}

static void put_main(void *arg)
{
	struct worker *worker = arg;
	struct buffer *buffer = worker->shared;

	for (uint32_t i = 0; i < buffer->rounds; i++) {
		mutex_lock(&buffer->mutex);
		while (buffer->count == BUFFER_SIZE)
			condvar_wait(&buffer->not_full, &buffer->mutex);
		buffer->items[(buffer->first + buffer->count++) % BUFFER_SIZE] = i;
		buffer->sum_in += i;
		condvar_signal(&buffer->not_empty);
		mutex_unlock(&buffer->mutex);
	}
}

static void take_main(void *arg)
{
	struct worker *worker = arg;
	struct buffer *buffer = worker->shared;
	TEST_RUN = worker->run;

	for (uint32_t i = 0; i < buffer->rounds; i++) {
		mutex_lock(&buffer->mutex);
		while (buffer->count == 0) {
			// Half of the takers wait with a deadline that passes often.
			if (worker->index == 0)
				condvar_wait(&buffer->not_empty, &buffer->mutex);
			else
				(void)(condvar_wait_until(&buffer->not_empty, &buffer->mutex, after_ns(2000)) == 0);
			CHECK(mutex_held(&buffer->mutex));
		}
		buffer->sum_out += buffer->items[buffer->first];
		buffer->first = (buffer->first + 1) % BUFFER_SIZE;
		buffer->count--;
		buffer->taken++;
		condvar_signal(&buffer->not_full);
		mutex_unlock(&buffer->mutex);
	}
}

TEST(sync_condvar, bounded_buffer)
{
	struct worker putters[2];
	struct worker takers[2];
	struct buffer buffer;

	buffer_init(&buffer, loops(2000, 12));
	workers_start(test_run_, takers, 2, take_main, &buffer);
	workers_start(test_run_, putters, 2, put_main, &buffer);
	workers_join(test_run_, putters, 2);
	workers_join(test_run_, takers, 2);
	CHECK_EQ(buffer.taken, 2 * buffer.rounds);
	CHECK_EQ(buffer.sum_in, buffer.sum_out);
	CHECK_EQ(buffer.count, 0);
	CHECK_EQ(mutex_check(&buffer.mutex), 0);
	mutex_fini(&buffer.mutex);
}

struct audience {
	struct mutex mutex;
	struct condvar condvar;
	uint32_t seen;  // under mutex
	uint32_t ready; // atomic
};

static void listener_main(void *arg)
{
	struct worker *worker = arg;
	struct audience *audience = worker->shared;

	mutex_lock(&audience->mutex);
	(void)atomic_fetch_add_u32_relaxed(&audience->ready, 1);
	condvar_wait(&audience->condvar, &audience->mutex);
	audience->seen++;
	mutex_unlock(&audience->mutex);
}

static uint32_t audience_seen(struct audience *audience)
{
	mutex_lock(&audience->mutex);
	uint32_t seen = audience->seen;
	mutex_unlock(&audience->mutex);
	return seen;
}

TEST(sync_condvar, signal_wakes_one_broadcast_all)
{
	struct worker listeners[5];
	struct audience audience = {.seen = 0};

	mutex_init(&audience.mutex, LOCK_RANK_TEST_MIDDLE, "test: audience");
	condvar_init(&audience.condvar, "test: audience");
	workers_start(test_run_, listeners, 5, listener_main, &audience);
	wait_word(&audience.ready, 5);
	mutex_lock(&audience.mutex); // whoever counted itself waits, since it held this
	condvar_signal(&audience.condvar);
	mutex_unlock(&audience.mutex);
	while (audience_seen(&audience) < 1)
		sleep_ns(10000);
	sleep_ns(100000);
	CHECK_EQ(audience_seen(&audience), 1);
	condvar_broadcast(&audience.condvar);
	workers_join(test_run_, listeners, 5);
	CHECK_EQ(audience.seen, 5);
	CHECK_EQ(waitq_check(&audience.condvar.queue), 0);
}

TEST(sync_condvar, deadline_returns_with_the_mutex)
{
	struct mutex mutex;
	struct condvar condvar;

	mutex_init(&mutex, LOCK_RANK_TEST_MIDDLE, "test: alone");
	condvar_init(&condvar, "test: alone");
	mutex_lock(&mutex);
	uint64_t deadline_ns = after_ns(50000);
	CHECK_EQ(condvar_wait_until(&condvar, &mutex, deadline_ns), -ETIMEDOUT);
	CHECK(clock_now_ns() >= deadline_ns);
	CHECK(mutex_held(&mutex));
	condvar_signal(&condvar); // nobody waits: it is forgotten
	CHECK_EQ(condvar_wait_until(&condvar, &mutex, 0), -ETIMEDOUT);
	mutex_unlock(&mutex);
	mutex_fini(&mutex);
}
