// SPDX-License-Identifier: MIT
//
// The lock checker: each rule is broken once under a capture, and the report must name both sides and their lines; what is
// allowed must stay silent. Built with -Dlockcheck=true only.
#include "sync_test.h"

#include "kern/rcu.h"
#include "kern/string.h"

#define HERE "lockcheck_test.c:"

static struct lockcheck_capture *capture_begin(struct lockcheck_capture *capture)
{
	*capture = (struct lockcheck_capture){0};
	lockcheck_capture(capture);
	return capture;
}

static void capture_end(TEST_RUN, const struct lockcheck_capture *capture, enum lockcheck_kind kind, const char *lock,
			const char *other)
{
	lockcheck_capture(NULL);
	const struct lockcheck_report *report = &capture->reports[0];
	CHECK_EQ(capture->count, 1);
	if (capture->count == 0)
		return;
	CHECK_EQ(report->kind, kind);
	CHECK(str_equal(report->lock.name, lock));
	CHECK(str_equal(report->other.name, other));
	CHECK(report->lock.where != NULL && strstr(report->lock.where, HERE) != NULL);
	CHECK(lockcheck_kind_name(kind) != NULL);
}

static void other_is(TEST_RUN, const struct lockcheck_capture *capture, uint32_t thread_id)
{
	const struct lockcheck_party *other = &capture->reports[0].other;
	CHECK_EQ(other->thread_id, thread_id);
	CHECK(other->where != NULL && strstr(other->where, HERE) != NULL);
}

// -- order -------------------------------------------------------------------------------------------------------------------

TEST(sync_lockcheck, rank_of_spinlocks)
{
	struct lockcheck_capture capture;
	struct spinlock outer, inner, peer;

	spin_init(&outer, LOCK_RANK_SPIN_TEST_OUTER, "outer");
	spin_init(&inner, LOCK_RANK_SPIN_TEST_INNER, "inner");
	spin_init(&peer, LOCK_RANK_SPIN_TEST_INNER, "peer");
	capture_begin(&capture);
	spin_lock(&outer);
	spin_lock(&inner);
	spin_lock_nested(&peer);
	spin_unlock(&peer);
	CHECK_EQ(capture.count, 0);
	bool tried = spin_trylock(&peer);
	CHECK(tried);
	CHECK_EQ(capture.count, 0);
	if (tried)
		spin_unlock(&peer);
	spin_unlock(&outer);
	spin_lock(&outer);
	spin_unlock(&outer);
	spin_unlock(&inner);
	capture_end(test_run_, &capture, LOCKCHECK_RANK, "outer", "inner");
	other_is(test_run_, &capture, current->id);
	CHECK_EQ(capture.reports[0].other.rank, LOCK_RANK_SPIN_TEST_INNER);
	CHECK(preemptible());
}

TEST(sync_lockcheck, equal_rank_without_order)
{
	struct lockcheck_capture capture;
	struct spinlock a, b;

	spin_init(&a, LOCK_RANK_SPIN_TEST_OUTER, "a");
	spin_init(&b, LOCK_RANK_SPIN_TEST_OUTER, "b");
	capture_begin(&capture);
	spin_lock(&a);
	spin_lock(&b);
	spin_unlock(&b);
	spin_unlock(&a);
	capture_end(test_run_, &capture, LOCKCHECK_RANK, "b", "a");
}

TEST(sync_lockcheck, rank_of_mutexes)
{
	struct lockcheck_capture capture;
	struct mutex outer, inner;

	mutex_init(&outer, LOCK_RANK_TEST_OUTER, "outer");
	mutex_init(&inner, LOCK_RANK_TEST_INNER, "inner");
	capture_begin(&capture);
	mutex_lock(&inner);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	mutex_unlock(&inner);
	capture_end(test_run_, &capture, LOCKCHECK_RANK, "outer", "inner");
	mutex_fini(&outer);
	mutex_fini(&inner);
}

TEST(sync_lockcheck, order_of_unranked_locks)
{
	struct lockcheck_capture capture;
	struct mutex a, b, c;

	mutex_init(&a, LOCK_RANK_NONE, "a");
	mutex_init(&b, LOCK_RANK_NONE, "b");
	mutex_init(&c, LOCK_RANK_NONE, "c");
	capture_begin(&capture);
	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&c);
	mutex_unlock(&c);
	mutex_unlock(&b);
	CHECK_EQ(capture.count, 0);
	mutex_lock(&c);
	mutex_lock(&a); // a → b → c has been seen
	mutex_unlock(&a);
	mutex_unlock(&c);
	capture_end(test_run_, &capture, LOCKCHECK_ORDER, "a", "c");
	other_is(test_run_, &capture, current->id);

	mutex_fini(&b); // with b all that was learnt of it goes: a and c are free to choose
	capture_begin(&capture);
	mutex_lock(&c);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&c);
	lockcheck_capture(NULL);
	CHECK_EQ(capture.count, 0);
	mutex_fini(&a);
	mutex_fini(&c);
}

// -- recursion, strangers, ends ----------------------------------------------------------------------------------------------

TEST(sync_lockcheck, recursion)
{
	struct lockcheck_capture capture;
	struct spinlock spin;
	struct mutex mutex;
	struct rwlock rwlock;

	spin_init(&spin, LOCK_RANK_SPIN_TEST_OUTER, "spin");
	capture_begin(&capture);
	spin_lock(&spin);
	spin_lock(&spin);
	spin_unlock(&spin);
	CHECK(spin_held(&spin));
	spin_unlock(&spin);
	CHECK(!spin_held(&spin));
	CHECK(preemptible());
	capture_end(test_run_, &capture, LOCKCHECK_RECURSION, "spin", "spin");

	mutex_init(&mutex, LOCK_RANK_TEST_OUTER, "mutex");
	capture_begin(&capture);
	mutex_lock(&mutex);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	CHECK(mutex_held(&mutex));
	mutex_unlock(&mutex);
	CHECK(!mutex_held(&mutex));
	capture_end(test_run_, &capture, LOCKCHECK_RECURSION, "mutex", "mutex");
	mutex_fini(&mutex);

	rwlock_init(&rwlock, LOCK_RANK_TEST_OUTER, "rwlock");
	capture_begin(&capture);
	rwlock_read_lock(&rwlock);
	rwlock_read_lock(&rwlock); // hangs when a writer has come in between
	rwlock_read_unlock(&rwlock);
	rwlock_read_unlock(&rwlock);
	capture_end(test_run_, &capture, LOCKCHECK_RECURSION, "rwlock", "rwlock");
	rwlock_fini(&rwlock);
}

struct stranger {
	struct mutex mutex;
	struct spinlock spin;
};

static void stranger_main(void *arg)
{
	struct stranger *stranger = arg;
	mutex_unlock(&stranger->mutex);
}

TEST(sync_lockcheck, unlock_by_a_stranger)
{
	struct spawn how = {"stranger", CLASS_FAIR, 0, ANY_CPU};
	struct lockcheck_capture capture;
	struct stranger stranger;

	mutex_init(&stranger.mutex, LOCK_RANK_TEST_OUTER, "mutex");
	mutex_lock(&stranger.mutex);
	capture_begin(&capture);
	join(test_run_, spawn(test_run_, &how, stranger_main, &stranger));
	capture_end(test_run_, &capture, LOCKCHECK_OWNER, "mutex", "mutex");
	other_is(test_run_, &capture, current->id);
	CHECK(mutex_held(&stranger.mutex));
	mutex_unlock(&stranger.mutex);
	mutex_fini(&stranger.mutex);

	spin_init(&stranger.spin, LOCK_RANK_SPIN_TEST_OUTER, "spin");
	capture_begin(&capture);
	spin_unlock(&stranger.spin); // nobody's
	capture_end(test_run_, &capture, LOCKCHECK_OWNER, "spin", "spin");
	CHECK_EQ(capture.reports[0].other.thread_id, 0);
	CHECK(preemptible());
}

static void forgetful_main(void *arg)
{
	mutex_lock((struct mutex *)arg);
}

TEST(sync_lockcheck, lock_held_at_the_end)
{
	struct spawn how = {"forgetful", CLASS_FAIR, 0, ANY_CPU};
	struct lockcheck_capture capture;
	struct mutex mutex;

	mutex_init(&mutex, LOCK_RANK_TEST_OUTER, "forgotten");
	capture_begin(&capture);
	struct thread *thread = spawn(test_run_, &how, forgetful_main, &mutex);
	REQUIRE(thread != NULL);
	uint32_t id = thread->id;
	join(test_run_, thread);
	lockcheck_capture(NULL);
	REQUIRE(capture.count == 1);
	CHECK_EQ(capture.reports[0].kind, LOCKCHECK_EXIT);
	CHECK(str_equal(capture.reports[0].other.name, "forgotten"));
	other_is(test_run_, &capture, id);
}

TEST(sync_lockcheck, too_many_locks)
{
	struct lockcheck_capture capture;
	struct spinlock locks[LOCKCHECK_DEPTH + 1];
	struct lockcheck_party held[LOCKCHECK_DEPTH];

	for (uint32_t i = 0; i <= LOCKCHECK_DEPTH; i++)
		spin_init(&locks[i], LOCK_RANK_SPIN_TEST_OUTER, "many");
	bool was = hal_irq_save(); // an interrupt takes locks, too
	capture_begin(&capture);
	for (uint32_t i = 0; i < LOCKCHECK_DEPTH; i++)
		spin_lock_nested(&locks[i]);
	CHECK_EQ(capture.count, 0);
	CHECK_EQ(lockcheck_held(current, held, LOCKCHECK_DEPTH), LOCKCHECK_DEPTH);
	CHECK(str_equal(held[3].name, "many"));
	CHECK(strstr(held[3].where, HERE) != NULL);
	spin_lock_nested(&locks[LOCKCHECK_DEPTH]);
	lockcheck_capture(NULL);
	CHECK_EQ(capture.count, 1);
	CHECK_EQ(capture.reports[0].kind, LOCKCHECK_TOO_DEEP);
	for (uint32_t i = 0; i < LOCKCHECK_DEPTH; i++)
		spin_unlock(&locks[i]);
	preempt_enable(); // the one that found no slot cannot be unlocked
	irq_restore(was);
	CHECK_EQ(lockcheck_held(current, held, LOCKCHECK_DEPTH), 0);
	CHECK(preemptible());
}

// -- sleep -------------------------------------------------------------------------------------------------------------------

TEST(sync_lockcheck, sleep_under_a_spinlock)
{
	struct lockcheck_capture capture;
	struct spinlock spin;
	struct semaphore sem;

	spin_init(&spin, LOCK_RANK_SPIN_TEST_OUTER, "spin");
	sem_init(&sem, 1, "sem");
	capture_begin(&capture);
	spin_lock(&spin);
	sem_down(&sem); // would not have slept
	spin_unlock(&spin);
	capture_end(test_run_, &capture, LOCKCHECK_SLEEP, "sleep", "spin");
	other_is(test_run_, &capture, current->id);
}

TEST(sync_lockcheck, sleep_in_atomic_sections)
{
	struct lockcheck_capture capture;
	struct mutex mutex;

	mutex_init(&mutex, LOCK_RANK_TEST_OUTER, "mutex");
	capture_begin(&capture);
	preempt_disable();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	preempt_enable();
	capture_end(test_run_, &capture, LOCKCHECK_SLEEP, "sleep", "preemption off");

	capture_begin(&capture);
	bool was = hal_irq_save();
	might_sleep();
	hal_irq_restore(was);
	capture_end(test_run_, &capture, LOCKCHECK_SLEEP, "sleep", "interrupts masked");

	capture_begin(&capture);
	rcu_read_lock();
	might_sleep();
	rcu_read_unlock();
	capture_end(test_run_, &capture, LOCKCHECK_SLEEP, "sleep",
		    CONFIG_TINY ? "preemption off" : "an RCU read section");
	mutex_fini(&mutex);
}

struct in_irq {
	struct timer timer;
	struct spinlock lock;
	uint32_t fired; // atomic
};

static void sleep_interrupt(struct timer *timer)
{
	might_sleep();
	atomic_store_u32_release(&container_of(timer, struct in_irq, timer)->fired, 1);
}

static void in_irq_run(struct in_irq *in_irq, void (*fn)(struct timer *))
{
	atomic_store_u32_release(&in_irq->fired, 0);
	timer_setup(&in_irq->timer, fn);
	timer_arm(&in_irq->timer, after_ns(1000));
	wait_word(&in_irq->fired, 1);
	(void)timer_cancel_sync(&in_irq->timer);
}

TEST(sync_lockcheck, sleep_in_an_interrupt)
{
	struct lockcheck_capture capture;
	struct in_irq in_irq;

	capture_begin(&capture);
	in_irq_run(&in_irq, sleep_interrupt);
	capture_end(test_run_, &capture, LOCKCHECK_SLEEP, "sleep", "an interrupt");
}

// -- interrupts --------------------------------------------------------------------------------------------------------------

static void lock_interrupt(struct timer *timer)
{
	struct in_irq *in_irq = container_of(timer, struct in_irq, timer);
	spin_lock(&in_irq->lock);
	spin_unlock(&in_irq->lock);
	atomic_store_u32_release(&in_irq->fired, 1);
}

static void trylock_interrupt(struct timer *timer)
{
	struct in_irq *in_irq = container_of(timer, struct in_irq, timer);
	if (spin_trylock(&in_irq->lock))
		spin_unlock(&in_irq->lock);
	atomic_store_u32_release(&in_irq->fired, 1);
}

TEST(sync_lockcheck, interrupt_after_unmasked_use)
{
	struct lockcheck_capture capture;
	struct in_irq in_irq;

	spin_init(&in_irq.lock, LOCK_RANK_SPIN_TEST_IRQ, "shared");
	capture_begin(&capture);
	spin_lock(&in_irq.lock);
	spin_unlock(&in_irq.lock);
	in_irq_run(&in_irq, lock_interrupt);
	capture_end(test_run_, &capture, LOCKCHECK_IRQ, "shared", "shared");
	CHECK(strstr(capture.reports[0].other.where, HERE) != NULL);
}

TEST(sync_lockcheck, unmasked_use_after_interrupt)
{
	struct lockcheck_capture capture;
	struct in_irq in_irq;

	spin_init(&in_irq.lock, LOCK_RANK_SPIN_TEST_IRQ, "shared");
	capture_begin(&capture);
	in_irq_run(&in_irq, lock_interrupt);
	bool was = spin_lock_irqsave(&in_irq.lock);
	spin_unlock_irqrestore(&in_irq.lock, was);
	CHECK_EQ(capture.count, 0);
	spin_lock(&in_irq.lock);
	spin_unlock(&in_irq.lock);
	capture_end(test_run_, &capture, LOCKCHECK_IRQ, "shared", "shared");
	CHECK(strstr(capture.reports[0].other.where, HERE) != NULL);
}

TEST(sync_lockcheck, interrupts_may_try)
{
	struct lockcheck_capture capture;
	struct in_irq in_irq;

	spin_init(&in_irq.lock, LOCK_RANK_SPIN_TEST_IRQ, "shared");
	capture_begin(&capture);
	spin_lock(&in_irq.lock);
	spin_unlock(&in_irq.lock);
	in_irq_run(&in_irq, trylock_interrupt);
	lockcheck_capture(NULL);
	CHECK_EQ(capture.count, 0);
}

// -- cycles ------------------------------------------------------------------------------------------------------------------

// Two that take a and b crosswise. Unranked, so the graph speaks first; then the second one closes a true circle of waiters,
// which its deadline opens again.
struct cross {
	struct mutex a;
	struct mutex b;
	uint32_t holding; // atomic
	err_t err;
};

static void cross_main(void *arg)
{
	struct cross *cross = arg;

	mutex_lock(&cross->b);
	atomic_store_u32_release(&cross->holding, 1);
	mutex_lock(&cross->a);
	mutex_unlock(&cross->a);
	mutex_unlock(&cross->b);
}

TEST(sync_lockcheck, circle_of_waiters)
{
	struct spawn how = {"cross", CLASS_FAIR, 0, ANY_CPU};
	struct lockcheck_capture capture;
	struct cross cross = {.err = 0};

	mutex_init(&cross.a, LOCK_RANK_NONE, "a");
	mutex_init(&cross.b, LOCK_RANK_NONE, "b");
	capture_begin(&capture);
	mutex_lock(&cross.a);
	struct thread *thread = spawn(test_run_, &how, cross_main, &cross);
	wait_word(&cross.holding, 1);
	wait_asleep(thread);
	uint32_t other_id = thread->id;
	cross.err = mutex_lock_until(&cross.b, after_ns(1000000));
	CHECK_EQ(cross.err, -ETIMEDOUT);
	mutex_unlock(&cross.a);
	join(test_run_, thread);
	lockcheck_capture(NULL);
	CHECK_EQ(capture.count, 2);
	CHECK_EQ(capture.reports[0].kind, LOCKCHECK_ORDER);
	const struct lockcheck_report *circle = &capture.reports[1];
	CHECK_EQ(circle->kind, LOCKCHECK_DEADLOCK);
	CHECK(str_equal(circle->lock.name, "b"));
	CHECK_EQ(circle->lock.thread_id, other_id);
	CHECK(circle->lock.where != NULL && strstr(circle->lock.where, HERE) != NULL);
	CHECK(str_equal(circle->other.name, "a"));
	CHECK_EQ(circle->other.thread_id, current->id);
	CHECK(circle->other.where != NULL && strstr(circle->other.where, HERE) != NULL);
	mutex_fini(&cross.a);
	mutex_fini(&cross.b);
}

// -- without a capture -------------------------------------------------------------------------------------------------------

TEST_WITH(sync_lockcheck, a_fault_ends_the_instance, 0, TEST_PANICS, "lockcheck: rank order")
{
	struct spinlock outer, inner;

	spin_init(&outer, LOCK_RANK_SPIN_TEST_OUTER, "outer");
	spin_init(&inner, LOCK_RANK_SPIN_TEST_INNER, "inner");
	spin_lock(&inner);
	spin_lock(&outer);
	spin_unlock(&outer);
	spin_unlock(&inner);
}
