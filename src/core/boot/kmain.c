// SPDX-License-Identifier: MIT
//
// The way up. kernel_boot() is what the HAL jumps to; init_main() is the first thread.
#include "boot_impl.h"

#include "hal/cpu.h"
#include "hal/halt.h"
#include "hal/hal.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/monitor.h"
#include "kern/string.h"

static_assert(FRAME_SIZE == 1u << CONFIG_FRAME_SHIFT, "one executable serves one frame size");

static err_t kernel_setup(struct kernel *kernel, const struct hal_boot_info *info)
{
	if (info->version != HAL_VERSION || info->cpu_count == 0 || info->cpu_count > CONFIG_MAX_CPUS)
		return -EINVAL;
	kernel->magic = KERNEL_MAGIC;
	kernel->cpu_count = info->cpu_count;
	kernel->flags = info->flags;
	kernel->poison = info->poison;
	kernel->seed = info->seed;
	kernel->ram = info->ram;
	kernel->ram_size_bytes = info->ram_size_bytes;
	kernel->arena_next_bytes = info->ram_used_bytes;
	kernel->arena_limit_bytes = info->nodes[0].offset + info->nodes[0].size_bytes;
	strlcpy(kernel->cmdline, info->cmdline, sizeof kernel->cmdline);
	kernel->persona = persona_find(info->persona);
	return kernel->persona != NULL ? 0 : -ENOENT;
}

// Only what every per-CPU access needs: the rest of each struct cpu is filled in by its subsystem.
static err_t kernel_make_cpus(struct kernel *kernel)
{
	for (uint32_t i = 0; i < kernel->cpu_count; i++) {
		struct cpu *cpu = boot_alloc(kernel, sizeof *cpu, 64);
		if (cpu == NULL)
			return -ENOMEM;
		cpu->hal.index = i;
		cpu->kernel = kernel;
		cpu->node = i * kernel->persona->node_count / kernel->cpu_count;
		kernel->cpus[i] = cpu;
	}
	thread_boot_init(kernel->cpus[0]);
	hal_cpu_bind(&kernel->cpus[0]->hal);
	return 0;
}

static err_t boot_run_stage(struct kernel *kernel, enum boot_stage stage, const struct hal_boot_info *info)
{
	struct boot_state *boot = kernel->boot;
	const struct persona *persona = kernel->persona;

	while (boot->started < persona->component_count) {
		const struct component *component = persona->components[boot->started];
		if (component->stage != stage)
			break;
		err_t err = component->init(kernel, info);
		if (err != 0) {
			log_err("boot: component %s: %pe", component->name, ERR_PTR(err));
			return err;
		}
		boot->started++;
	}
	return 0;
}

static err_t boot_begin(struct kernel *kernel, const struct hal_boot_info *info)
{
	err_t err = kernel_setup(kernel, info);
	if (err == 0)
		err = kernel_make_cpus(kernel);
	if (err != 0)
		return err;
	kernel->boot = boot_alloc(kernel, sizeof *kernel->boot, 64);
	if (kernel->boot == NULL)
		return -ENOMEM;
	kernel->boot->phase = BOOT_BOOTING;
	return boot_run_stage(kernel, STAGE_BASE, info);
}

static err_t boot_threads(struct kernel *kernel)
{
	struct boot_state *boot = kernel->boot;
	err_t err = boot_run_stage(kernel, STAGE_CPUS, boot->info);
	if (err == 0)
		err = boot_run_stage(kernel, STAGE_SERVICES, boot->info);
	if (err == 0)
		err = boot_run_stage(kernel, STAGE_FRONT, boot->info);
	if (err == 0 && boot->started != kernel->persona->component_count) {
		log_err("boot: component %s: named after a later stage",
			kernel->persona->components[boot->started]->name);
		err = ERR(EINVAL);
	}
	return err;
}

// The first thread: the upper stages, then the wait for the end.
static void init_main(void *arg)
{
	struct kernel *kernel = arg;
	struct boot_state *boot = kernel->boot;

	err_t err = boot_threads(kernel);
	boot->info = NULL;
	if (err == 0) {
		boot->phase = BOOT_RUNNING;
		log_info("boot: persona %s, %u CPUs, %llu KiB", kernel->persona->name, kernel->cpu_count,
			 (unsigned long long)(kernel->ram_size_bytes / 1024));
		hal_boot_done();
		completion_wait(&boot->stop);
	} else {
		shutdown_request(err);
	}
	boot->phase = BOOT_STOPPING;
	boot_stop_components(boot);
	boot_finish(boot);
}

static void kernel_boot(const struct hal_boot_info *info)
{
	struct kernel *kernel = kernel_self();
	struct thread_params params = {.name = "init", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE};

	err_t err = boot_begin(kernel, info);
	if (err == 0)
		err = boot_run_stage(kernel, STAGE_MEMORY, info);
	if (err == 0)
		err = boot_run_stage(kernel, STAGE_SCHED, info);
	if (err == 0) {
		struct frame_info frames;
		frame_get_info(&frames);
		kernel->boot->baseline_frames = frames.total - frames.free - frames.cached;
		kernel->boot->info = (struct hal_boot_info *)(uintptr_t)info;
		completion_init(&kernel->boot->stop, "boot: stop");
		err = thread_start(&params, init_main, kernel, &kernel->boot->init);
	}
	if (err != 0)
		hal_halt(err);
	sched_idle_loop();
}

static void kernel_cpu_entry(struct hal_cpu *cpu)
{
	sched_cpu_entry((struct cpu *)cpu);
}

static void kernel_resched(void)
{
	kernel_self()->hooks->resched();
}

static int64_t kernel_command(void *arg)
{
	const struct hal_command *command = arg;
	return monitor_run_line(command->line, command->size_bytes);
}

static int64_t kernel_file(void *arg)
{
	int64_t (*call)(void *) = kernel_self()->file_call;
	return call != NULL ? call(arg) : ERR(ENOSYS);
}

const struct hal_upcalls tb_upcalls = {
	.version = HAL_VERSION,
	.kernel_size_bytes = sizeof(struct kernel),
	.kstack_size_bytes = CONFIG_KSTACK_SIZE,
	.frame_size_bytes = FRAME_SIZE,
	.boot = kernel_boot,
	.cpu_entry = kernel_cpu_entry,
	.irq = sched_interrupt,
	.resched = kernel_resched,
	.command = kernel_command,
	.file = kernel_file,
};
