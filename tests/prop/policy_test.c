// SPDX-License-Identifier: MIT
//
// Properties of policies, stated as what a user may rely on: shares follow weights within 2%, nobody runnable starves, and a
// lock's waiter is held up by the holder's section alone. Each is known to fail when its policy is replaced by a trivial one:
// inheritance by a hook that does nothing, here; the others by mutants.py, which builds the kernel with the policy replaced.
#include "kern/atomic.h"
#include "kern/sched.h"
#include "kern/test.h"

#define SPINNERS_MAX 6u
#define SLICE_NS 100000ull

struct spinner {
	struct thread *thread;
	uint64_t ran_ns;
	uint64_t wait_max_ns;
	uint32_t *stop;
	int32_t nice;
};

static void spin_body(void *arg)
{
	struct spinner *spinner = arg;
	while (READ_ONCE(*spinner->stop) == 0)
		hal_point(HAL_POINT_PERCPU);
}

static void spinner_note(const struct thread_info *info, void *arg)
{
	struct spinner *spinners = arg;
	for (uint32_t i = 0; i < SPINNERS_MAX; i++) {
		if (spinners[i].thread == NULL || spinners[i].thread->id != info->id)
			continue;
		spinners[i].ran_ns = info->stats.run_ns;
		spinners[i].wait_max_ns = info->stats.wait_max_ns;
	}
}

// Spinners of the given nice values share the last CPU for span_ns; the watcher stays on the first.
static void share_cpu(TEST_RUN, struct spinner *spinners, uint32_t count, uint64_t span_ns)
{
	struct cpu_mask last = {0}, first = {0};
	struct thread_params params = {.name = "spinner", .klass = CLASS_FAIR, .affinity = &last};
	uint32_t stop = 0;

	cpu_mask_set(&last, kernel_self()->cpu_count - 1);
	cpu_mask_set(&first, 0);
	CHECK(thread_set_affinity(current_thread(), &first) == 0);
	CHECK(sched_set_slice_ns(SLICE_NS) == 0);
	for (uint32_t i = 0; i < count; i++) {
		spinners[i].stop = &stop;
		params.nice = spinners[i].nice;
		REQUIRE(thread_start(&params, spin_body, &spinners[i], &spinners[i].thread) == 0);
	}
	sleep_ns(span_ns);
	thread_each(spinner_note, spinners);
	WRITE_ONCE(stop, 1);
	for (uint32_t i = 0; i < count; i++)
		CHECK(thread_join(spinners[i].thread, NULL) == 0);
}

// Real time is shared with the host's other work, so that the bound holds for the simulator, whose CPUs are ours alone.
TEST_WITH(prop, shares_follow_weights, 2, TEST_SIM_ONLY, NULL)
{
	static const uint64_t weights[] = {8000, 4096, 2097}; // nice −3, 0, 3: a quarter a step
	struct spinner spinners[SPINNERS_MAX] = {{.nice = -3}, {.nice = 0}, {.nice = 3}};
	uint64_t ran_ns = 0, weight = 8000 + 4096 + 2097;

	share_cpu(test_run_, spinners, 3, 400 * SLICE_NS);
	for (uint32_t i = 0; i < 3; i++)
		ran_ns += spinners[i].ran_ns;
	CHECK(ran_ns > 300 * SLICE_NS);
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t expected_ns = ran_ns * weights[i] / weight;
		uint64_t error_ns = expected_ns > spinners[i].ran_ns ? expected_ns - spinners[i].ran_ns
								     : spinners[i].ran_ns - expected_ns;
		CHECK(error_ns * 50 <= expected_ns);
	}
}

// A thread of weight w waits at most while all others are served once per its own request: Σ weights / w slices, and one more of each.
TEST_WITH(prop, nobody_starves, 2, TEST_SIM_ONLY, NULL)
{
	static const uint64_t weights[] = {12500, 4096, 4096, 1342};
	struct spinner spinners[SPINNERS_MAX] = {{.nice = -5}, {.nice = 0}, {.nice = 0}, {.nice = 5}};
	uint64_t weight = 12500 + 4096 + 4096 + 1342;

	share_cpu(test_run_, spinners, 4, 300 * SLICE_NS);
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t bound_ns = (weight / weights[i] + 1 + 4) * SLICE_NS;
		CHECK(spinners[i].ran_ns > 0);
		CHECK(spinners[i].wait_max_ns <= bound_ns);
	}
}

#define SECTION_NS 30000ull
#define HOG_NS 3000000ull

struct inversion {
	struct mutex mutex;
	uint32_t held, waited_ns;
};

static void work_until(uint64_t run_ns)
{
	uint64_t end_ns = clock_now_ns() + run_ns;
	while (clock_now_ns() < end_ns)
		hal_point(HAL_POINT_PERCPU);
}

static void inversion_low(void *arg)
{
	struct inversion *state = arg;
	mutex_lock(&state->mutex);
	WRITE_ONCE(state->held, 1);
	work_until(SECTION_NS);
	mutex_unlock(&state->mutex);
}

static void inversion_hog(void *arg)
{
	struct inversion *state = arg;
	while (READ_ONCE(state->held) == 0)
		sleep_ns(2000);
	sleep_ns(4000);
	work_until(HOG_NS);
}

static void inversion_high(void *arg)
{
	struct inversion *state = arg;
	while (READ_ONCE(state->held) == 0)
		sleep_ns(2000);
	uint64_t begin_ns = clock_now_ns();
	mutex_lock(&state->mutex);
	WRITE_ONCE(state->waited_ns, (uint32_t)(clock_now_ns() - begin_ns));
	mutex_unlock(&state->mutex);
}

static uint64_t inversion_measure(TEST_RUN)
{
	static void (*const bodies[])(void *) = {inversion_high, inversion_hog, inversion_low};
	struct cpu_mask mask = {0};
	struct inversion state = {.held = 0};
	struct thread *threads[3];

	cpu_mask_set(&mask, kernel_self()->cpu_count - 1);
	mutex_init(&state.mutex, LOCK_RANK_TEST_INNER, "prop: inversion");
	for (uint32_t i = 0; i < 3; i++) {
		struct thread_params params = {
			.name = "prop", .klass = CLASS_FIFO, .rt_prio = 10 * (int32_t)(i + 1), .affinity = &mask};
		err_t err = thread_start(&params, bodies[i], &state, &threads[i]);
		VERIFY(err == 0);
	}
	for (uint32_t i = 0; i < 3; i++)
		CHECK(thread_join(threads[i], NULL) == 0);
	mutex_fini(&state.mutex);
	return state.waited_ns;
}

static void inherit_nothing(struct thread *thread, int32_t prio)
{
	(void)thread;
	(void)prio;
}

TEST_WITH(prop, inheritance_bounds_inversion, 2, TEST_SIM_ONLY, NULL)
{
	CHECK(inversion_measure(test_run_) <= 2 * SECTION_NS);
}

// The same measure must see the difference, or it proves nothing.
TEST_WITH(prop, without_inheritance_it_is_unbounded, 2, TEST_SIM_ONLY, NULL)
{
	const struct sched_hooks *real = kernel_self()->hooks;
	struct sched_hooks trivial = *real;

	trivial.inherit = inherit_nothing;
	kernel_self()->hooks = &trivial;
	uint64_t waited_ns = inversion_measure(test_run_);
	kernel_self()->hooks = real;
	CHECK(waited_ns > HOG_NS / 2);
}
