// SPDX-License-Identifier: MIT
//
// Mini kernel: boot, interrupts, the table of upcalls. See mini.h.
#include "mini.h"

#include <string.h>

#include "tbos/tbos.h"

void mini_event(uint32_t event, uint64_t a, uint64_t b)
{
	bool was = hal_irq_save();
	struct mini_cpu *cpu = mini_cpu();
	struct hal_trace_event record = {.ts_ns = hal_clock_mono_ns(), .cpu = cpu->hal.index, .event = event};
	record.thread = mini_self()->id;
	record.a = a;
	record.b = b;
	hal_trace_event(&record);
	hal_irq_restore(was);
}

void mini_print(const char *text)
{
	hal_console_write(text, strlen(text));
}

static void cpu_begin(struct mini_cpu *cpu, struct mini_thread *idle)
{
	idle->state = MINI_RUNNING;
	idle->hal.cpu = &cpu->hal;
	cpu->current = idle;
	cpu->idle = idle;
}

static void cpus_start(struct kernel *kernel)
{
	for (uint32_t i = 1; i < kernel->cpu_count; ++i) {
		struct mini_cpu *cpu = &kernel->cpus[i];
		char *base = mini_alloc(2 * CONFIG_KSTACK_SIZE);
		uintptr_t aligned = ((uintptr_t)base + CONFIG_KSTACK_SIZE - 1) & ~(uintptr_t)(CONFIG_KSTACK_SIZE - 1);
		struct mini_thread *idle = (struct mini_thread *)aligned;
		memset(idle, 0, sizeof(*idle));
		cpu->hal.index = i;
		cpu_begin(cpu, idle);
		if (hal_context_init(&idle->hal, sizeof(*idle), NULL, NULL) != 0 ||
		    hal_cpu_start(&cpu->hal, &idle->hal) != 0)
			hal_halt(-11);
	}
}

static void boot(const struct hal_boot_info *info)
{
	struct kernel *kernel = hal_kernel();
	kernel->info = *info;
	kernel->cpu_count = info->cpu_count;
	kernel->seed = info->seed;
	kernel->poison = info->poison;
	kernel->ready_end = &kernel->ready;
	kernel->fresh = (char *)info->ram + info->ram_used_bytes;
	kernel->limit = (char *)info->ram + info->ram_size_bytes;
	hal_cpu_bind(&kernel->cpus[0].hal);
	cpu_begin(&kernel->cpus[0], mini_self());
	cpus_start(kernel);
	mini_event(3, kernel->seed, kernel->cpu_count);
	if ((info->flags & HAL_BOOT_MONITOR) != 0)
		mini_spawn(mini_console, NULL);
	hal_boot_done();
	mini_idle();
}

static void cpu_entry(struct hal_cpu *cpu)
{
	(void)cpu;
	mini_idle();
}

static void call_main(void *arg)
{
	struct hal_call call = *(struct hal_call *)arg;
	hal_call_done(call.token, call.fn(call.arg));
}

static void calls_take(void)
{
	struct hal_call call;
	while (hal_call_take(&call)) {
		struct hal_call *copy = mini_alloc(sizeof(*copy));
		if (copy == NULL) {
			hal_call_done(call.token, -12);
			continue;
		}
		*copy = call;
		mini_spawn(call_main, copy);
	}
}

static void irq(uint32_t causes)
{
	struct mini_cpu *cpu = mini_cpu();
	mini_event(4, causes, 0);
	if ((causes & HAL_IRQ_STOP) != 0)
		hal_halt(0);
	if ((causes & HAL_IRQ_CALL) != 0)
		calls_take();
	if ((causes & HAL_IRQ_CONSOLE) != 0)
		mini_up(&hal_kernel()->console);
	if ((causes & HAL_IRQ_TIMER) != 0)
		mini_tick();
	bool over = (causes & HAL_IRQ_TIMER) != 0 && hal_clock_mono_ns() >= cpu->slice_end_ns;
	if (cpu->current == cpu->idle || over)
		mini_schedule();
}

static void resched(void)
{
}

static int64_t command(void *arg)
{
	struct hal_command copy = *(struct hal_command *)arg;
	return mini_command(copy.line, copy.size_bytes);
}

bool tb_persona_get(uint32_t index, struct tb_persona *persona)
{
	*persona =
		(struct tb_persona){.name = CONFIG_PERSONA, .summary = "a kernel of one page", .mem_bytes = 16u << 20};
	persona->cpu_count = 2;
	persona->node_count = 1;
	persona->frame_size_bytes = 4096;
	return index == 0;
}

const struct hal_upcalls tb_upcalls = {
	.version = HAL_VERSION,
	.kernel_size_bytes = sizeof(struct kernel),
	.kstack_size_bytes = CONFIG_KSTACK_SIZE,
	.frame_size_bytes = 4096,
	.boot = boot,
	.cpu_entry = cpu_entry,
	.irq = irq,
	.resched = resched,
	.command = command,
};
