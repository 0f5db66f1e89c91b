// SPDX-License-Identifier: MIT
//
// The conformance kernel's boot, calls and upcall table.
#include "mini.h"

#include "tbos/tbos.h"

void mini_irq(uint32_t bits);
void mini_idle_loop(void) __attribute__((noreturn));

// ---- calls from the host ------------------------------------------------------------------------------------------------

// A call thread waits in free_callers between calls; the interrupt gives it the next one.
static void call_main(void *arg)
{
	struct mini_kernel *kernel = mini();
	struct mini_thread *self = mini_self();
	(void)arg;
	for (;;) {
		int64_t value = self->call.fn(self->call.arg);
		// Reported when nothing can come between it and the wait: from then on our CPU is wanted back, and a thread
		// preempted here would be missing from the pool for as long.
		bool was = mini_lock(&kernel->lock);
		self->token = 0;
		hal_call_done(self->call.token, value);
		self->next = kernel->free_callers;
		kernel->free_callers = self;
		mini_block_locked();
		mini_unlock(&kernel->lock, was);
	}
}

static void call_serve_locked(const struct hal_call *call)
{
	struct mini_kernel *kernel = mini();
	struct mini_thread *caller = kernel->free_callers;
	if (caller != NULL)
		kernel->free_callers = caller->next;
	else
		caller = mini_create_locked(call_main, NULL);
	if (caller == NULL) {
		hal_call_done(call->token, -12);
		return;
	}
	caller->call = *call;
	caller->token = call->token;
	mini_ready_locked(caller, true);
}

// One for each interrupt: the HAL raises another when more wait.
void mini_calls_take(void)
{
	struct hal_call call;
	if (!hal_call_take(&call))
		return;
	bool was = mini_lock(&mini()->lock);
	call_serve_locked(&call);
	mini_unlock(&mini()->lock, was);
}

// ---- boot -----------------------------------------------------------------------------------------------------------------

void *mini_alloc(size_t size_bytes, size_t align)
{
	struct mini_kernel *kernel = mini();
	bool was = mini_lock(&kernel->lock);
	uintptr_t start = ((uintptr_t)kernel->ram_end - size_bytes) & ~(uintptr_t)(align - 1);
	void *memory = NULL;
	if (start >= (uintptr_t)kernel->ram_next && start < (uintptr_t)kernel->ram_end) {
		memory = (void *)start;
		kernel->ram_end = memory;
	}
	mini_unlock(&kernel->lock, was);
	return memory;
}

static void never(void *arg)
{
	(void)arg;
	hal_panic("the entry of an idle context ran");
}

static bool cpu_start(struct mini_kernel *kernel, uint32_t index)
{
	struct mini_cpu *cpu = &kernel->cpus[index];
	bool was = mini_lock(&kernel->lock);
	cpu->idle = mini_create_locked(never, NULL);
	mini_unlock(&kernel->lock, was);
	if (cpu->idle == NULL)
		return false;
	struct hal_thread *idle = &cpu->idle->hal;
	// Prepared again with an entry of its own, which hal_cpu_start() replaces.
	hal_context_fini(idle);
	if (hal_context_init(idle, sizeof *cpu->idle, never, NULL) != 0)
		return false;
	cpu->hal.index = index;
	cpu->current = cpu->idle;
	cpu->idle->state = MINI_RUNS;
	return hal_cpu_start(&cpu->hal, idle) == 0;
}

static void mini_cpu_entry(struct hal_cpu *hal)
{
	hal_self()->cpu = hal;
	__atomic_fetch_add(&mini()->online, 1, __ATOMIC_SEQ_CST);
	mini_idle_loop();
}

static void mini_boot(const struct hal_boot_info *info)
{
	struct mini_kernel *kernel = mini();
	struct mini_thread *self = mini_self();
	// Stacks are found by masking the stack pointer, except where the HAL keeps the running thread in a word.
	bool aligned = info->ram_used_bytes % (CONFIG_HAL_CORTEX_M ? 4 : CONFIG_KSTACK_SIZE) == 0;
#if CONFIG_HAL_CORTEX_M
	__asm__ volatile(".global tb_kernel_room\n\t.set tb_kernel_room, %c0\n\t"
			 ".global tb_thread_room\n\t.set tb_thread_room, %c1"
			 :
			 : "i"(sizeof(struct mini_kernel)), "i"(sizeof(struct mini_thread)));
#endif
	if (info->version != HAL_VERSION || info->ram != (void *)kernel || !aligned)
		hal_halt(-22);
	kernel->info = *info;
	kernel->cpu_count = info->cpu_count;
	kernel->ram_next = (char *)info->ram + info->ram_used_bytes;
	kernel->ram_end = (char *)info->ram + info->ram_size_bytes;
	kernel->cpus[0].idle = self;
	kernel->cpus[0].current = self;
	self->state = MINI_RUNS;
	hal_cpu_bind(&kernel->cpus[0].hal);
	hal_self()->preempt_count = 0;
	kernel->online = 1;
	for (uint32_t i = 1; i < kernel->cpu_count; i++)
		if (!cpu_start(kernel, i))
			hal_halt(-11);
	while (__atomic_load_n(&kernel->online, __ATOMIC_SEQ_CST) < kernel->cpu_count)
		hal_cpu_relax();
	hal_boot_done();
	mini_idle_loop();
}

static void mini_resched(void)
{
}

static int64_t mini_command(void *arg)
{
	const struct hal_command *command = arg;
	hal_console_write(command->line, command->size_bytes);
	return (int64_t)command->size_bytes;
}

const struct hal_upcalls tb_upcalls = {
	.version = HAL_VERSION,
	.kernel_size_bytes = sizeof(struct mini_kernel),
	.kstack_size_bytes = CONFIG_KSTACK_SIZE,
	.frame_size_bytes = 1u << CONFIG_FRAME_SHIFT,
	.boot = mini_boot,
	.cpu_entry = mini_cpu_entry,
	.irq = mini_irq,
	.resched = mini_resched,
	.command = mini_command,
};

bool tb_persona_get(uint32_t index, struct tb_persona *persona)
{
	static const struct tb_persona all[2] = {
		{"mini", "one node", 16u << 20, 1, 1, 1u << CONFIG_FRAME_SHIFT, 0},
		{"mini2", "two nodes", 32u << 20, 2, 2, 1u << CONFIG_FRAME_SHIFT, 0},
	};
	if (index >= 2)
		return false;
	*persona = all[index];
	return true;
}

// ---- checks -----------------------------------------------------------------------------------------------------------------

static size_t text_append(char *out, size_t size, size_t at, const char *text)
{
	while (*text != '\0' && at + 1 < size)
		out[at++] = *text++;
	out[at] = '\0';
	return at;
}

void conform_check(struct conform_result *result, bool ok, const char *what, const char *file, int line)
{
	char digits[12];
	size_t at = sizeof digits;
	__atomic_fetch_add(&result->checks, 1, __ATOMIC_RELAXED);
	if (ok || __atomic_fetch_add(&result->failures, 1, __ATOMIC_RELAXED) != 0)
		return;
	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + line % 10);
		line /= 10;
	} while (line > 0);
	size_t end = text_append(result->message, sizeof result->message, 0, file);
	end = text_append(result->message, sizeof result->message, end, ":");
	end = text_append(result->message, sizeof result->message, end, digits + at);
	end = text_append(result->message, sizeof result->message, end, ": ");
	text_append(result->message, sizeof result->message, end, what);
}

int64_t conform_run(void *arg)
{
	struct conform_job *job = arg;
	job->body->fn(&job->result);
	return (int64_t)job->result.failures;
}

uint32_t conform_rounds(uint32_t full)
{
	if (mini()->info.flags & HAL_BOOT_SIMULATED)
		return full / 100 + 1;
	if (CONFIG_HAL_BARE || CONFIG_HAL_CORTEX_M) // an emulator's CPUs take turns on the host's
		return full / 10 + 1;
	return CONFIG_TSAN ? full / 20 + 1 : CONFIG_ASAN ? full / 4 + 1 : full;
}

void conform_poll(void)
{
	hal_cpu_relax();
	hal_irq_restore(hal_irq_save());
}

bool conform_await(const uint32_t *word, uint32_t least)
{
	uint64_t limit_ns = hal_clock_mono_ns() + 10000ull * MINI_MS;
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < least) {
		if (hal_clock_mono_ns() > limit_ns)
			return false;
		conform_poll();
	}
	return true;
}
