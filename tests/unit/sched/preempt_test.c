// SPDX-License-Identifier: MIT
//
// Preemption: a more urgent thread that becomes ready runs at once where it may, and when preemption comes back where it may not.
#include "sched_test.h"

struct alarm {
	struct thread *thread;
	uint32_t rung; // atomic
	uint64_t rung_at_ns;
	uint32_t rounds;
};

static void body_alarm(void *arg)
{
	struct alarm *alarm = arg;
	for (uint32_t i = 0; i < alarm->rounds; i++) {
		while (thread_park(TB_FOREVER) != 0)
			continue;
		alarm->rung_at_ns = clock_now_ns();
		atomic_store_u32_release(&alarm->rung, i + 1);
	}
}

static void alarm_start(TEST_RUN, struct alarm *alarm, uint32_t rounds)
{
	*alarm = (struct alarm){.rounds = rounds};
	alarm->thread = spawn(test_run_, CLASS_FIFO, 5, 0, body_alarm, alarm);
	wait_state(alarm->thread, THREAD_PARKED);
}

TEST(sched, an_urgent_wake_runs_before_unpark_returns)
{
	struct alarm alarm;
	move_to(test_run_, 0);
	alarm_start(test_run_, &alarm, 10);
	for (uint32_t i = 1; i <= 10; i++) {
		thread_unpark(alarm.thread);
		CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), i);
	}
	join(test_run_, alarm.thread);
}

TEST(sched, preempt_disable_puts_the_switch_off)
{
	struct alarm alarm;
	move_to(test_run_, 0);
	alarm_start(test_run_, &alarm, 2);
	preempt_disable();
	thread_unpark(alarm.thread);
	let_in();
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 0);
	preempt_disable();
	preempt_enable();
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 0);
	preempt_enable();
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 1);

	bool was = hal_irq_save();
	thread_unpark(alarm.thread);
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 1);
	irq_restore(was);
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 2);
	join(test_run_, alarm.thread);
}

// A less urgent one waits until the running thread gives way.
TEST(sched, a_modest_wake_waits)
{
	struct alarm alarm;
	move_to(test_run_, 0);
	alarm_start(test_run_, &alarm, 1);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 5, 0), 0);
	thread_unpark(alarm.thread);
	let_in();
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 0);
	thread_yield();
	CHECK_EQ(atomic_load_u32_acquire(&alarm.rung), 1);
	join(test_run_, alarm.thread);
}

// From another CPU: the hog that runs over there is interrupted.
TEST_CPUS(sched, an_urgent_wake_reaches_another_cpu, 2)
{
	struct alarm alarm;
	struct hog hog = {0};
	alarm_start(test_run_, &alarm, 5);
	hog.thread = spawn(test_run_, CLASS_FAIR, 0, 0, hog_body, &hog);
	move_to(test_run_, 1);
	wait_until(&hog.turns, 1);
	for (uint32_t i = 1; i <= 5; i++) {
		thread_unpark(alarm.thread);
		while (atomic_load_u32_acquire(&alarm.rung) < i)
			hal_cpu_relax();
	}
	CHECK_EQ(sched_check(), 0);
	hog_stop(test_run_, &hog);
	join(test_run_, alarm.thread);
	CHECK(info_of(current).stats.run_ns > 0);
}

// A timer that wakes somebody urgent preempts a hog that never calls into the kernel's scheduler.
TEST(sched, a_timer_preempts)
{
	struct hog hog = {0};
	move_to(test_run_, 0);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 0, 0), 0);
	hog.thread = spawn(test_run_, CLASS_FIFO, 50, 0, hog_body, &hog);
	uint32_t wanted = simulated() ? 9 : CONFIG_TSAN ? 0 : 1; // under TSan a thread is preempted where it unmasks
	struct thread_info info = {0};
	// A busy host lets the moment pass before the body sleeps, so that there it takes more than ten, also until the hog has run at all.
	for (uint32_t i = 0;
	     i < 10 || (!simulated() && i < 10000 && (info.stats.preemptions < wanted || info.stats.run_ns == 0));
	     i++) {
		uint64_t due_ns = clock_now_ns() + 20000 + (simulated() ? 0 : i * 1000);
		sleep_until_ns(due_ns);
		CHECK(!simulated() || clock_now_ns() < due_ns + 40000);
		info = info_of(hog.thread);
	}
	CHECK(info.stats.preemptions >= wanted);
	CHECK(info.stats.run_ns > 0);
	hog_stop(test_run_, &hog);
}

#if !CONFIG_TINY // where equals take turns by arrival

// A fair thread that slept has an earlier deadline than one that ran all the time: it does not wait for the end of the slice.
TEST(sched, a_fair_sleeper_preempts_a_fair_hog)
{
	struct hog hog = {0};
	move_to(test_run_, 0);
	CHECK_EQ(sched_set_slice_ns(simulated() ? 3000000 : 50000000), 0);
	hog.thread = spawn(test_run_, CLASS_FAIR, 0, 0, hog_body, &hog);
	uint64_t period_ns = simulated() ? 200000 : 1000000;
	sleep_ns(simulated() ? 400000 : 150000000);
	uint64_t worst_ns = 0;
	for (uint32_t i = 0; i < 10; i++) {
		uint64_t due_ns = clock_now_ns() + period_ns;
		sleep_until_ns(due_ns);
		worst_ns = MAX(worst_ns, clock_now_ns() - due_ns);
	}
	CHECK(!simulated() || worst_ns < period_ns);
	hog_stop(test_run_, &hog);
}

#endif

static void body_set_flag(void *arg)
{
	atomic_store_u32_release((uint32_t *)arg, 1);
}

// Raising the running thread's equal, or lowering oneself, takes effect at once.
TEST(sched, changed_priority_preempts)
{
	uint32_t flag = 0;
	move_to(test_run_, 0);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 20, 0), 0);
	struct thread *thread = spawn(test_run_, CLASS_FIFO, 30, 0, body_set_flag, &flag);
	CHECK_EQ(flag, 0);
	CHECK_EQ(thread_set_prio(thread, CLASS_FIFO, 10, 0), 0);
	CHECK_EQ(atomic_load_u32_acquire(&flag), 1);
	join(test_run_, thread);

	flag = 0;
	thread = spawn(test_run_, CLASS_FIFO, 30, 0, body_set_flag, &flag);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 40, 0), 0);
	CHECK_EQ(atomic_load_u32_acquire(&flag), 1);
	join(test_run_, thread);
}

#if !CONFIG_TINY // which counts no interrupts

static uint32_t interrupts_now(void)
{
	struct cpu_info info;
	return sched_cpu_info(0, &info) == 0 ? info.interrupts : 0;
}

struct holder {
	uint32_t interrupts; // while it held
	uint64_t held_ns;
};

// Keeps the CPU far beyond its slice, as the holder of a spinlock may, with an equal waiting.
static void body_hold(void *arg)
{
	struct holder *holder = arg;
	uint64_t begin_ns = clock_now_ns();
	preempt_disable();
	uint32_t before = interrupts_now();
	while (clock_now_ns() < begin_ns + 1000000)
		let_in();
	holder->interrupts = interrupts_now() - before;
	holder->held_ns = clock_now_ns() - begin_ns;
	preempt_enable();
}

// A slice that is over, where no switch is possible yet, does not fill the time with timer interrupts: on a machine where each takes
// longer than the pause between them, the holder would never come to its end.
TEST(sched, an_ended_slice_does_not_storm)
{
	struct holder holder = {0};
	struct hog hog = {0};
	move_to(test_run_, 0);
	CHECK_EQ(thread_set_prio(current, CLASS_FIFO, 0, 0), 0);
	CHECK_EQ(sched_set_slice_ns(100000), 0);
	struct thread *thread = spawn(test_run_, CLASS_RR, 40, 0, body_hold, &holder);
	hog.thread = spawn(test_run_, CLASS_RR, 40, 0, hog_body, &hog);
	join(test_run_, thread);
	hog_stop(test_run_, &hog);
	CHECK(holder.interrupts >= 1 || !simulated());
	CHECK(holder.interrupts <= holder.held_ns / 10000 + 20);
}

#endif
