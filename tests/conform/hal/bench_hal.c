// SPDX-License-Identifier: MIT
//
// Costs of the HAL's doors under the conformance kernel: what a real kernel's figures cannot go below. One line each; the
// best and the median of several runs, in nanoseconds unless named otherwise.
#include "mini.h"
#include "tbos/tbos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 201 // short ones: on a busy host the best is what the code costs

static enum tb_engine engine;

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void must(tb_err err, const char *what, const tb_instance *instance)
{
	if (err == 0)
		return;
	fprintf(stderr, "%s: %d: %s\n", what, err, tb_error(instance));
	exit(1);
}

static void quiet(void *ctx, const char *bytes, size_t size)
{
	(void)ctx;
	(void)bytes;
	(void)size;
}

static tb_instance *instance_new(uint32_t cpus)
{
	struct tb_config config;
	tb_instance *instance;
	tb_config_init(&config);
	config.engine = engine;
	config.cpu_count = cpus;
	config.persona = "mini";
	config.write_fn = quiet;
	must(tb_create(&config, &instance), "tb_create", NULL);
	must(tb_boot(instance), "tb_boot", instance);
	return instance;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(const char *name, double *runs)
{
	qsort(runs, RUNS, sizeof *runs, compare);
	printf("%-36s %10.1f %10.1f\n", name, runs[0], runs[RUNS / 2]);
}

// ---- inside -----------------------------------------------------------------------------------------------------------------

struct job {
	uint32_t rounds;
	uint64_t spent_ns;
	uint32_t turn; // atomic
	struct hal_thread *a, *b;
};

static int64_t job_clock(void *arg)
{
	struct job *job = arg;
	uint64_t start_ns = hal_clock_mono_ns(), sum = 0;
	for (uint32_t i = 0; i < job->rounds; i++)
		sum += hal_clock_mono_ns();
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	return (int64_t)sum;
}

static int64_t job_clock_rough(void *arg)
{
	struct job *job = arg;
	bool was = hal_irq_save();
	uint64_t start_ns = hal_clock_mono_ns(), sum = 0;
	for (uint32_t i = 0; i < job->rounds; i++)
		sum += hal_clock_rough_ns();
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	hal_irq_restore(was);
	return (int64_t)sum;
}

static int64_t job_mask(void *arg)
{
	struct job *job = arg;
	uint64_t start_ns = hal_clock_mono_ns();
	for (uint32_t i = 0; i < job->rounds; i++)
		hal_irq_restore(hal_irq_save());
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	return 0;
}

static int64_t job_timer_later(void *arg)
{
	struct job *job = arg;
	bool was = hal_irq_save();
	uint64_t start_ns = hal_clock_mono_ns();
	for (uint32_t i = 0; i < job->rounds; i++)
		hal_timer_arm(start_ns + 3600ull * 1000 * MINI_MS + i);
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	hal_irq_restore(was);
	return 0;
}

// Each earlier than the one before; the kernel's own slice is first left to pass.
static int64_t job_timer_earlier(void *arg)
{
	struct job *job = arg;
	bool was = hal_irq_save();
	hal_timer_arm(TB_FOREVER);
	uint64_t start_ns = hal_clock_mono_ns() + 2 * MINI_SLICE_NS;
	while (hal_clock_mono_ns() < start_ns)
		hal_cpu_relax();
	start_ns = hal_clock_mono_ns();
	for (uint32_t i = 0; i < job->rounds; i++)
		hal_timer_arm(start_ns + 1000u * MINI_MS - i * 1000);
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	hal_irq_restore(was);
	return 0;
}

static int64_t job_ipi_self(void *arg)
{
	struct job *job = arg;
	uint64_t start_ns = hal_clock_mono_ns();
	for (uint32_t i = 0; i < job->rounds; i++)
		hal_ipi(&mini()->cpus[0].hal);
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	return 0;
}

// The bare switch: masked, past the scheduler, both sides at the same depth of the same calls, as in a kernel.
static __attribute__((noinline)) void switch_to(struct hal_thread *from, struct hal_thread *to)
{
	hal_context_switch(from, to);
	__asm__ volatile(""); // no tail call
}

static __attribute__((noinline)) void switch_often(struct hal_thread *from, struct hal_thread *to, uint32_t rounds)
{
	for (uint32_t i = 0; i < rounds; i++)
		switch_to(from, to);
}

static void bounce_main(void *arg)
{
	struct job *job = arg;
	hal_irq_save();
	switch_often(job->b, job->a, UINT32_MAX);
}

static int64_t job_switch(void *arg)
{
	struct job *job = arg;
	struct mini_kernel *kernel = mini();
	bool was = mini_lock(&kernel->lock);
	struct mini_thread *other = mini_create_locked(bounce_main, job);
	mini_unlock(&kernel->lock, was);
	if (other == NULL)
		return -1;
	hal_context_fini(&other->hal);
	if (hal_context_init(&other->hal, sizeof *other, bounce_main, job) != 0)
		return -1;
	was = hal_irq_save();
	job->a = hal_self();
	job->b = &other->hal;
	other->hal.cpu = job->a->cpu;
	switch_often(job->a, job->b, 1);
	uint64_t start_ns = hal_clock_mono_ns();
	switch_often(job->a, job->b, job->rounds / 2);
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	hal_irq_restore(was);
	hal_context_fini(&other->hal);
	return 0;
}

// An interrupt to another CPU and its answer. spin: the other polls unmasked; else it idles.
static int64_t job_ipi_other(void *arg)
{
	struct job *job = arg;
	struct mini_cpu *cpu = &mini()->cpus[1];
	uint64_t start_ns = hal_clock_mono_ns();
	for (uint32_t i = 0; i < job->rounds; i++) {
		uint32_t before = __atomic_load_n(&cpu->irqs[1], __ATOMIC_ACQUIRE);
		hal_ipi(&cpu->hal);
		while (__atomic_load_n(&cpu->irqs[1], __ATOMIC_ACQUIRE) == before)
			hal_cpu_relax();
	}
	job->spent_ns = hal_clock_mono_ns() - start_ns;
	return 0;
}

static uint32_t spinner_stop;

static void spinner_main(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&spinner_stop, __ATOMIC_RELAXED) == 0)
		__builtin_ia32_pause();
}

static int64_t job_spinner(void *arg)
{
	(void)arg;
	return mini_start_on(1, spinner_main, NULL) == NULL;
}

static int64_t job_nothing(void *arg)
{
	(void)arg;
	return 0;
}

// ---- outside ----------------------------------------------------------------------------------------------------------------

static void bench_job(tb_instance *instance, const char *name, int64_t (*fn)(void *), uint32_t rounds)
{
	double runs[RUNS];
	for (uint32_t i = 0; i < RUNS; i++) {
		struct job job = {.rounds = rounds};
		must(tb_call(instance, fn, &job, NULL), name, instance);
		runs[i] = (double)job.spent_ns / rounds;
	}
	report(name, runs);
}

static void bench_call(tb_instance *instance, const char *name)
{
	double runs[RUNS];
	uint32_t rounds = 500;
	for (uint32_t i = 0; i < RUNS; i++) {
		uint64_t start_ns = now_ns();
		for (uint32_t k = 0; k < rounds; k++)
			must(tb_call(instance, job_nothing, NULL, NULL), name, instance);
		runs[i] = (double)(now_ns() - start_ns) / rounds;
	}
	report(name, runs);
}

static void bench_instances(uint32_t cpus, const char *name)
{
	double runs[RUNS];
	uint32_t rounds = 10;
	for (uint32_t i = 0; i < RUNS; i++) {
		uint64_t start_ns = now_ns();
		for (uint32_t k = 0; k < rounds; k++)
			must(tb_destroy(instance_new(cpus)), name, NULL);
		runs[i] = (double)(now_ns() - start_ns) / rounds / 1000;
	}
	report(name, runs);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "sim") == 0)
		engine = TB_ENGINE_SIM;
	printf("%-36s %10s %10s\n", engine == TB_ENGINE_SIM ? "sim, ns" : "threads, ns", "best", "median");
	tb_instance *instance = instance_new(1);
	bench_job(instance, "hal_clock_mono_ns", job_clock, 5000);
	bench_job(instance, "hal_clock_rough_ns", job_clock_rough, 5000);
	bench_job(instance, "hal_irq_save + hal_irq_restore", job_mask, 50000);
	bench_job(instance, "hal_context_switch", job_switch, 10000);
	bench_job(instance, "hal_timer_arm, earlier than armed", job_timer_earlier, 500);
	bench_job(instance, "hal_timer_arm, later than armed", job_timer_later, 10000);
	bench_job(instance, "hal_ipi to self, delivered", job_ipi_self, 2000);
	bench_call(instance, "tb_call round trip, 1 CPU");
	must(tb_destroy(instance), "tb_destroy", NULL);
	instance = instance_new(2);
	bench_call(instance, "tb_call round trip, 2 CPUs");
	bench_job(instance, "hal_ipi to idle CPU, there and seen", job_ipi_other, 20);
	must(tb_call(instance, job_spinner, NULL, NULL), "spinner", instance);
	bench_job(instance, "hal_ipi to busy CPU, there and seen", job_ipi_other, 20);
	__atomic_store_n(&spinner_stop, 1, __ATOMIC_RELAXED);
	must(tb_destroy(instance), "tb_destroy", NULL);
	bench_instances(1, "create+boot+destroy, 1 CPU, us");
	bench_instances(4, "create+boot+destroy, 4 CPUs, us");
	return 0;
}
