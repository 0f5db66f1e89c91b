// SPDX-License-Identifier: MIT
//
// The way up of small machines: the same stages and component tables as kmain.c, all on the boot stack, which then becomes the
// idle thread; no init thread waits for the end. Components of later stages may therefore start threads but not sleep. There is
// nothing to bring down: the wish to stop is a halt.
#include "boot_impl.h"

#include "hal/cpu.h"
#include "hal/hal.h"
#include "hal/halt.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/monitor.h"
#include "kern/string.h"

static_assert(FRAME_SIZE == 1u << CONFIG_FRAME_SHIFT, "one executable serves one frame size");

static err_t kernel_setup(struct kernel *kernel, const struct hal_boot_info *info)
{
	if (info->version != HAL_VERSION || info->cpu_count != 1)
		return -EINVAL;
	kernel->magic = KERNEL_MAGIC;
	kernel->cpu_count = 1;
	kernel->flags = info->flags;
	kernel->poison = info->poison;
	kernel->seed = info->seed;
	kernel->ram = info->ram;
	kernel->ram_size_bytes = info->ram_size_bytes;
	kernel->arena_next_bytes = info->ram_used_bytes;
	kernel->arena_limit_bytes = info->nodes[0].offset + info->nodes[0].size_bytes;
	(void)strlcpy(kernel->cmdline, info->cmdline, sizeof kernel->cmdline);
	kernel->persona = persona_find(info->persona);
	return kernel->persona != NULL ? 0 : -ENOENT;
}

static err_t kernel_make_cpu(struct kernel *kernel)
{
	struct cpu *cpu = boot_alloc(kernel, sizeof *cpu, 8);
	if (cpu == NULL)
		return -ENOMEM;
	cpu->kernel = kernel;
	cpu->online = 1;
	kernel->cpus[0] = cpu;
	kernel->boot = boot_alloc(kernel, sizeof *kernel->boot, 8);
	if (kernel->boot == NULL)
		return -ENOMEM;
	kernel->boot->phase = BOOT_BOOTING;
	thread_boot_init(cpu);
	hal_cpu_bind(&cpu->hal);
	return 0;
}

static err_t boot_components(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct boot_state *boot = kernel->boot;
	const struct persona *persona = kernel->persona;

	for (; boot->started < persona->component_count; boot->started++) {
		const struct component *component = persona->components[boot->started];
		if (boot->started > 0 && component->stage < persona->components[boot->started - 1]->stage) {
			log_err("boot: %s: named after a later stage", component->name);
			return ERR(EINVAL);
		}
		err_t err = component->init(kernel, info);
		if (err != 0) {
			log_err("boot: component %s: %pe", component->name, ERR_PTR(err));
			return err;
		}
	}
	return 0;
}

static void kernel_boot(const struct hal_boot_info *info)
{
	struct kernel *kernel = kernel_self();

#if !CONFIG_HAL_HOSTED
	// The linker script reserves exactly this much at the start of RAM; the HAL guards what lies above the boot thread's header.
	__asm__ volatile(".global tb_kernel_room\n\t.set tb_kernel_room, %c0\n\t"
			 ".global tb_thread_room\n\t.set tb_thread_room, %c1"
			 :
			 : "i"(sizeof(struct kernel)), "i"(sizeof(struct thread)));
#endif
	err_t err = kernel_setup(kernel, info);
	if (err == 0)
		err = kernel_make_cpu(kernel);
	if (err == 0)
		err = boot_components(kernel, info);
	if (err != 0)
		hal_halt(err);
	kernel->boot->phase = BOOT_RUNNING;
	hal_boot_done();
	sched_idle_loop();
}

void shutdown_request(int32_t status)
{
	hal_halt(status);
}

bool shutdown_requested(void)
{
	return false;
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
};
