// SPDX-License-Identifier: MIT
//
// The threads engine's table: making and ending its part of an instance, the time limit, and the doors that are a line.
#include "thr_block.h"
#include "thr_impl.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>

static void engine_free(struct thr_instance *thr)
{
	pthread_mutex_destroy(&thr->lock);
	free(thr);
}

// ---- time limit -------------------------------------------------------------------------------------------------------

static bool limit_left(const struct tb_instance *instance, struct timespec *left)
{
	uint64_t now_ns = thr_clock_ns(instance);
	uint64_t limit_ns = instance->config.time_limit_ns;
	if (now_ns >= limit_ns)
		return false;
	left->tv_sec = (time_t)((limit_ns - now_ns) / 1000000000u);
	left->tv_nsec = (long)((limit_ns - now_ns) % 1000000000u);
	return true;
}

// Sleeps on the state, which changes at the end at the latest.
static void *watchdog_main(void *arg)
{
	struct tb_instance *instance = arg;
	struct timespec left;
	for (;;) {
		uint32_t state = __atomic_load_n(&instance->state, __ATOMIC_ACQUIRE);
		if (state == HOST_HALTED)
			return NULL;
		if (!limit_left(instance, &left))
			break;
		host_futex_wait(&instance->state, state, &left);
	}
	host_instance_halt(instance, -ETIME);
	thr_stop_cpus(instance);
	return NULL;
}

static tb_err watchdog_start(struct tb_instance *instance)
{
	struct thr_instance *thr = thr_of(instance);
	if (instance->config.time_limit_ns == 0)
		return 0;
	int error = host_thread_start(&thr->watchdog, watchdog_main, instance);
	if (error != 0)
		return host_fail(NULL, -EAGAIN, "cannot start a host thread: %s", strerror(error));
	thr->watchdog_runs = true;
	return 0;
}

// ---- create, destroy --------------------------------------------------------------------------------------------------

static struct thr_instance *engine_alloc(struct tb_instance *instance)
{
	size_t size = sizeof(struct thr_instance) + instance->cpu_count * sizeof(struct thr_cpu);
	size = (size + THR_CACHE_LINE - 1) / THR_CACHE_LINE * THR_CACHE_LINE;
	struct thr_instance *thr = aligned_alloc(THR_CACHE_LINE, size);
	if (thr == NULL)
		return NULL;
	memset(thr, 0, size);
	thr->instance = instance;
	thr->call_tail = &thr->call_head;
	pthread_mutex_init(&thr->lock, NULL);
	for (uint32_t i = 0; i < instance->cpu_count; i++) {
		thr->cpus[i].host = &instance->cpus[i];
		thr->cpus[i].instance = instance;
		thr->cpus[i].deadline_ns = TB_FOREVER;
	}
	return thr;
}

// For hal_cpu_barrier(), which says so where this was refused. When the library is loaded, because the process has one thread
// then as a rule: with more, the host waits for all its processors, ten milliseconds and longer.
__attribute__((constructor)) static void barrier_register(void)
{
	(void)host_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0);
}

static tb_err engine_create(struct tb_instance *instance)
{
	tb_err err = thr_signal_install();
	if (err != 0)
		return err;
	thr_clock_prepare();
	err = thr_pool_reserve(instance->cpu_count);
	if (err != 0)
		return err;
	struct thr_instance *thr = engine_alloc(instance);
	if (thr == NULL) {
		err = host_fail(NULL, -ENOMEM, "no host memory");
		goto fail;
	}
	instance->engine_data = thr;
	err = thr_disks_open(instance);
	if (err == 0) {
		err = watchdog_start(instance);
		if (err != 0)
			thr_disks_close(instance);
	}
	if (err != 0) {
		engine_free(thr);
		goto fail;
	}
	return 0;
fail:
	thr_pool_unreserve(instance->cpu_count);
	return err;
}

static tb_err engine_destroy(struct tb_instance *instance)
{
	struct thr_instance *thr = thr_of(instance);
	host_instance_halt(instance, 0);
	if (thr->watchdog_runs)
		pthread_join(thr->watchdog, NULL);
	thr_quiesce(instance);
	thr_disks_close(instance);
	for (uint32_t i = 0; i < instance->cpu_count; i++)
		thr_home_release(&thr->cpus[i]);
	thr_pool_unreserve(instance->cpu_count);
	engine_free(thr);
	return 0;
}

// ---- doors ------------------------------------------------------------------------------------------------------------

// Before CPU 0 has its header the input is only noted; thr_cpu_bound() raises the interrupt then.
static void engine_input(struct tb_instance *instance)
{
	struct thr_instance *thr = thr_of(instance);
	__atomic_store_n(&thr->input_early, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&instance->cpus[0].hal, __ATOMIC_SEQ_CST) == NULL)
		return;
	if (__atomic_exchange_n(&thr->input_early, 0, __ATOMIC_SEQ_CST) != 0)
		thr_ring(&thr->cpus[0], HAL_IRQ_CONSOLE, NULL);
}

static void stop_on_host(void *arg)
{
	thr_stop_cpus(arg);
}

static __attribute__((noreturn)) void engine_halt(struct tb_instance *instance)
{
	host_stack_call(stop_on_host, instance);
	thr_abandon(instance);
}

static void engine_faulted(struct tb_instance *instance, struct host_thread *thread)
{
	(void)thread;
	thr_stop_cpus(instance);
}

static void engine_point(struct tb_instance *instance, enum hal_point_kind kind)
{
	(void)instance;
	(void)kind;
}

static uint64_t engine_clock_mono_ns(struct tb_instance *instance)
{
	return thr_clock_ns(instance);
}

static uint64_t engine_clock_wall_ns(struct tb_instance *instance)
{
	(void)instance;
	return host_clock_wall_ns();
}

static void engine_entropy(struct tb_instance *instance, void *buffer, size_t size_bytes)
{
	char *at = buffer;
	(void)instance;
	while (size_bytes > 0) {
		long got = host_syscall(SYS_getrandom, (uintptr_t)at, size_bytes, 0, 0);
		if (got > 0) {
			at += got;
			size_bytes -= (size_t)got;
		}
	}
}

struct trace_call {
	struct tb_instance *instance;
	const struct hal_trace_event *event;
};

_Static_assert(sizeof(struct tb_trace_record) == sizeof(struct hal_trace_event), "one layout on both sides");
_Static_assert(offsetof(struct tb_trace_record, b) == offsetof(struct hal_trace_event, b), "one layout on both sides");

static void trace_on_host(void *arg)
{
	const struct trace_call *call = arg;
	const struct tb_config *config = &call->instance->config;
	config->trace_fn(config->trace_ctx, (const struct tb_trace_record *)call->event);
}

static void engine_trace_event(struct tb_instance *instance, const struct hal_trace_event *event)
{
	struct trace_call call = {instance, event};
	if (instance->config.trace_fn == NULL)
		return;
	bool was = hal_irq_save();
	host_stack_call(trace_on_host, &call);
	hal_irq_restore(was);
}

const struct host_engine host_engine_threads = {
	.name = "threads",
	.create = engine_create,
	.destroy = engine_destroy,
	.boot = thr_boot,
	.call = thr_call,
	.wait = thr_wait,
	.stop = thr_stop,
	.input = engine_input,
	.cpu_start = thr_cpu_start,
	.cpu_bound = thr_cpu_bound,
	.cpu_idle = thr_cpu_idle,
	.ipi = thr_ipi,
	.cpu_relax = thr_cpu_relax,
	.spin_wait = thr_spin_wait,
	.spin_wake = thr_spin_wake,
	.irq_deliver = thr_irq_deliver,
	.point = engine_point,
	.clock_mono_ns = engine_clock_mono_ns,
	.clock_look_ns = thr_clock_look_ns,
	.clock_wall_ns = engine_clock_wall_ns,
	.timer_arm = thr_timer_arm,
	.call_take = thr_call_take,
	.call_done = thr_call_done,
	.call_wants_cpu = thr_call_wants_cpu,
	.call_sleeping = thr_call_sleeping,
	.entropy = engine_entropy,
	.trace_event = engine_trace_event,
	.block_submit = thr_block_submit,
	.block_take = thr_block_take,
	.halt = engine_halt,
	.faulted = engine_faulted,
};
