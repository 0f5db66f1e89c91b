// SPDX-License-Identifier: MIT
//
// The doors of include/hal: find the instance by the stack pointer, check, and hand on to its engine. What both engines
// do alike (console output, RAM, panic) is done here. Contexts are in host_context.c, modules in host_module.c.
#include "host_backtrace.h"
#include "host_console.h"
#include "host_fiber.h"
#include "host_slot.h"
#include "host_syscall.h"

#include <errno.h>
#include <linux/membarrier.h>

void hal_irq_deliver(void)
{
	struct tb_instance *instance = host_instance();
	instance->engine->irq_deliver(instance);
}

void hal_point_slow(enum hal_point_kind kind)
{
	struct tb_instance *instance = host_instance();
	instance->engine->point(instance, kind);
}

// ---- CPUs -----------------------------------------------------------------------------------------------------------

void hal_cpu_bind(struct hal_cpu *cpu)
{
	struct tb_instance *instance = host_instance();
	cpu->host = cpu->index;
	__atomic_store_n(&instance->cpus[cpu->index].hal, cpu, __ATOMIC_SEQ_CST);
	hal_self()->cpu = cpu;
	if (instance->engine->cpu_bound != NULL)
		instance->engine->cpu_bound(instance, &instance->cpus[cpu->index]);
}

static void cpu_entry(void *arg)
{
	struct hal_cpu *cpu = arg;
	host_instance()->upcalls->cpu_entry(cpu);
}

tb_err hal_cpu_start(struct hal_cpu *hal, struct hal_thread *idle)
{
	struct tb_instance *instance = host_instance();
	if (hal->index >= instance->cpu_count)
		return -EINVAL;
	struct host_cpu *cpu = &instance->cpus[hal->index];
	if (__atomic_exchange_n(&cpu->started, 1, __ATOMIC_ACQ_REL) != 0)
		return -EINVAL;
	host_context_redirect(idle, cpu_entry, hal);
	hal->host = hal->index;
	idle->cpu = hal;
	cpu->idle = idle;
	__atomic_store_n(&cpu->hal, hal, __ATOMIC_SEQ_CST);
	bool was = hal_irq_save();
	tb_err err = instance->engine->cpu_start(instance, cpu);
	if (err != 0)
		__atomic_store_n(&cpu->started, 0, __ATOMIC_RELEASE);
	hal_irq_restore(was);
	return err;
}

void hal_cpu_idle(void)
{
	struct tb_instance *instance = host_instance();
	instance->engine->cpu_idle(instance);
}

void hal_ipi(struct hal_cpu *cpu)
{
	struct tb_instance *instance = host_instance();
	instance->engine->ipi(instance, &instance->cpus[cpu->host]);
}

void hal_cpu_relax(void)
{
	struct tb_instance *instance = host_instance();
	instance->engine->cpu_relax(instance);
}

// Simulated CPUs share a host thread, and TSan knows nothing of barriers made by others.
bool hal_cpu_barrier(void)
{
	if (CONFIG_TSAN)
		return false;
	if (host_instance()->config.engine == TB_ENGINE_SIM)
		return true;
	return host_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0) == 0;
}

void hal_spin_wait(const uint32_t *word, uint32_t seen)
{
	struct tb_instance *instance = host_instance();
	instance->engine->spin_wait(instance, word, seen);
}

void hal_spin_wake(const uint32_t *word)
{
	struct tb_instance *instance = host_instance();
	instance->engine->spin_wake(instance, word);
}

// ---- time -----------------------------------------------------------------------------------------------------------

uint64_t hal_clock_mono_ns(void)
{
	struct tb_instance *instance = host_instance();
	return instance->engine->clock_mono_ns(instance);
}

uint64_t hal_clock_look_ns(void)
{
	struct tb_instance *instance = host_instance();
	return instance->engine->clock_look_ns(instance);
}

uint64_t hal_clock_wall_ns(void)
{
	struct tb_instance *instance = host_instance();
	return instance->engine->clock_wall_ns(instance);
}

void hal_timer_arm(uint64_t deadline_ns)
{
	struct tb_instance *instance = host_instance();
	instance->engine->timer_arm(instance, deadline_ns);
}

// ---- calls from the host --------------------------------------------------------------------------------------------

void hal_boot_done(void)
{
	struct tb_instance *instance = host_instance();
	host_instance_booted(instance);
	if (instance->engine->booted != NULL)
		instance->engine->booted(instance);
}

bool hal_call_take(struct hal_call *call)
{
	struct tb_instance *instance = host_instance();
	bool was = hal_irq_save();
	bool taken = instance->engine->call_take(instance, call);
	hal_irq_restore(was);
	return taken;
}

void hal_call_done(uint64_t token, int64_t result)
{
	struct tb_instance *instance = host_instance();
	bool was = hal_irq_save();
	instance->engine->call_done(instance, token, result);
	hal_irq_restore(was);
}

bool hal_call_wants_cpu(void)
{
	struct tb_instance *instance = host_instance();
	return instance->engine->call_wants_cpu(instance);
}

void hal_call_sleeping(uint64_t token, bool sleeping)
{
	struct tb_instance *instance = host_instance();
	instance->engine->call_sleeping(instance, token, sleeping);
}

// ---- console, entropy, trace ----------------------------------------------------------------------------------------

struct transfer {
	struct tb_instance *instance;
	char *bytes;
	size_t size_bytes;
	bool end;
	struct hal_window window;
};

static void write_on_host(void *arg)
{
	struct transfer *transfer = arg;
	host_console_emit(transfer->instance, transfer->bytes, transfer->size_bytes);
}

void hal_console_write(const char *bytes, size_t size_bytes)
{
	struct transfer transfer = {.instance = host_instance(), .size_bytes = size_bytes};
	transfer.bytes = (char *)(uintptr_t)bytes;
	bool was = hal_irq_save();
	host_stack_call(write_on_host, &transfer);
	hal_irq_restore(was);
}

static void read_on_host(void *arg)
{
	struct transfer *transfer = arg;
	transfer->size_bytes =
		host_console_take(transfer->instance, transfer->bytes, transfer->size_bytes, &transfer->end);
}

size_t hal_console_read(char *bytes, size_t size_bytes, bool *end)
{
	struct transfer transfer = {.instance = host_instance(), .bytes = bytes, .size_bytes = size_bytes};
	struct tb_instance *instance = transfer.instance;
	if (instance->engine->console_read != NULL)
		return instance->engine->console_read(instance, bytes, size_bytes, end);
	bool was = hal_irq_save();
	host_stack_call(read_on_host, &transfer);
	hal_irq_restore(was);
	*end = transfer.end;
	return transfer.size_bytes;
}

void hal_console_wait(bool waits)
{
	struct tb_instance *instance = host_instance();
	if (instance->engine->console_wait != NULL)
		instance->engine->console_wait(instance, waits);
}

static void window_on_host(void *arg)
{
	struct transfer *transfer = arg;
	transfer->window = host_console_window(transfer->instance);
}

struct hal_window hal_console_window(void)
{
	struct transfer transfer = {.instance = host_instance()};
	if (transfer.instance->engine->console_window != NULL)
		return transfer.instance->engine->console_window(transfer.instance);
	bool was = hal_irq_save();
	host_stack_call(window_on_host, &transfer);
	hal_irq_restore(was);
	return transfer.window;
}

void hal_entropy(void *buffer, size_t size_bytes)
{
	struct tb_instance *instance = host_instance();
	instance->engine->entropy(instance, buffer, size_bytes);
}

void hal_trace_event(const struct hal_trace_event *event)
{
	struct tb_instance *instance = host_instance();
	instance->engine->trace_event(instance, event);
}

// ---- RAM ------------------------------------------------------------------------------------------------------------

struct ram_range {
	struct tb_instance *instance;
	uint64_t offset;
	uint64_t size_bytes;
};

static void discard_on_host(void *arg)
{
	struct ram_range *range = arg;
	host_ram_discard(range->instance, range->offset, range->size_bytes);
}

void hal_ram_discard(void *start, size_t size_bytes)
{
	struct ram_range range = {.instance = host_instance(), .size_bytes = size_bytes};
	range.offset = (uint64_t)((char *)start - range.instance->ram.base);
	bool was = hal_irq_save();
	host_stack_call(discard_on_host, &range);
	hal_irq_restore(was);
}

#if CONFIG_ASAN
#include <sanitizer/asan_interface.h>

void hal_ram_poison(const void *start, size_t size_bytes)
{
	__asan_poison_memory_region(start, size_bytes);
}

void hal_ram_unpoison(const void *start, size_t size_bytes)
{
	__asan_unpoison_memory_region(start, size_bytes);
}
#else
void hal_ram_poison(const void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}

void hal_ram_unpoison(const void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}
#endif

// ---- the end --------------------------------------------------------------------------------------------------------

// Another CPU's kick, a timer, an IPI may come as soon as the state is HALTED: they must not cut us off before those who wait
// for it have been woken.
void hal_halt(int32_t status)
{
	struct tb_instance *instance = host_instance();
	host_critical_begin();
	host_instance_halt(instance, status);
	instance->engine->halt(instance);
}

void hal_reboot(void)
{
	hal_halt(0);
}

void hal_reboot_on_panic(bool reboot)
{
	(void)reboot;
}

struct panic {
	struct tb_instance *instance;
	const char *message;
	const void *frame;
};

static void panic_on_host(void *arg)
{
	struct panic *panic = arg;
	host_panic_report(panic->instance, panic->message, panic->frame);
}

void hal_panic(const char *message)
{
	struct panic panic = {host_instance(), message, __builtin_frame_address(0)};
	struct tb_instance *instance = panic.instance;
	host_critical_begin();
	if (__atomic_exchange_n(&instance->panicked, 1, __ATOMIC_ACQ_REL) == 0)
		host_stack_call(panic_on_host, &panic);
	host_instance_halt(instance, -EIO);
	instance->engine->halt(instance);
}
