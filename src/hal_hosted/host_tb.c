// SPDX-License-Identifier: MIT
//
// The calls of tbos/tbos.h that host programs make: arguments and states are checked here, the engine does the rest.
#include "host_config.h"
#include "host_console.h"
#include "host_disk.h"
#include "host_fault.h"
#include "host_fiber.h"
#include "host_module.h"
#include "host_slot.h"
#include "host_syscall.h"

#include "hal/build_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_SIZE_MAX 65536u

static __thread char create_error[HOST_ERROR_SIZE];

const char *tb_version(void)
{
	return CONFIG_VERSION;
}

const char *tb_build_id(void)
{
	return hal_build_id;
}

int tb_signal(void)
{
	return SIGRTMIN + 8;
}

size_t tb_stack_bytes(void)
{
	return CONFIG_KSTACK_SIZE;
}

// ---- errors and states ----------------------------------------------------------------------------------------------

tb_err host_fail(struct tb_instance *instance, tb_err error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (instance == NULL) {
		vsnprintf(create_error, sizeof create_error, format, args);
	} else {
		pthread_mutex_lock(&instance->lock);
		vsnprintf(instance->error, sizeof instance->error, format, args);
		pthread_mutex_unlock(&instance->lock);
	}
	va_end(args);
	return error;
}

const char *tb_error(const tb_instance *instance)
{
	return instance != NULL ? instance->error : create_error;
}

static enum host_state state_of(const struct tb_instance *instance)
{
	return __atomic_load_n(&instance->state, __ATOMIC_ACQUIRE);
}

// The status is written before the state is, by the one who moved `halting`.
bool host_instance_halt(struct tb_instance *instance, int32_t status)
{
	if (__atomic_exchange_n(&instance->halting, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	__atomic_store_n(&instance->status, status, __ATOMIC_RELAXED);
	__atomic_store_n(&instance->state, HOST_HALTED, __ATOMIC_SEQ_CST);
	host_futex_wake(&instance->state, INT32_MAX);
	return true;
}

void host_instance_booted(struct tb_instance *instance)
{
	uint32_t expected = HOST_BOOTING;
	__atomic_store_n(&instance->booted, 1, __ATOMIC_RELEASE);
	__atomic_compare_exchange_n(&instance->state, &expected, HOST_RUNNING, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	host_futex_wake(&instance->state, INT32_MAX);
}

// Why a halted instance cannot serve.
static tb_err halted_error(struct tb_instance *instance)
{
	int32_t status = __atomic_load_n(&instance->status, __ATOMIC_RELAXED);
	if (__atomic_load_n(&instance->panicked, __ATOMIC_ACQUIRE))
		return host_fail(instance, -EIO, "the kernel has panicked");
	if (status == -ETIME)
		return host_fail(instance, -ETIME, "the time limit has passed");
	return host_fail(instance, -ESHUTDOWN, "the instance has halted with status %d", status);
}

static tb_err instance_enter(struct tb_instance *instance)
{
	__atomic_fetch_add(&instance->users, 1, __ATOMIC_SEQ_CST);
	if (host_unlikely(__atomic_load_n(&instance->closing, __ATOMIC_SEQ_CST) != 0)) {
		__atomic_fetch_sub(&instance->users, 1, __ATOMIC_SEQ_CST);
		return -ESHUTDOWN;
	}
	return 0;
}

static void instance_exit(struct tb_instance *instance)
{
	__atomic_fetch_sub(&instance->users, 1, __ATOMIC_SEQ_CST);
}

// ---- create, destroy ------------------------------------------------------------------------------------------------

static void boot_main(void *arg)
{
	struct tb_instance *instance = arg;
	instance->upcalls->boot(&instance->boot_info);
}

static tb_err boot_stack_prepare(struct tb_instance *instance)
{
	uint64_t stack_offset = instance->upcalls->kernel_size_bytes + CONFIG_KSTACK_SIZE - 1;
	stack_offset -= stack_offset % CONFIG_KSTACK_SIZE;
	struct host_ram *ram = &instance->ram;
	ram->used_bytes = stack_offset + CONFIG_KSTACK_SIZE;
	if (ram->used_bytes >= ram->nodes[0].size_bytes)
		return host_fail(NULL, -EINVAL, "mem_bytes: too small for the kernel");
	struct hal_thread *boot = (struct hal_thread *)(ram->base + stack_offset);
	boot->preempt_count = 1;
	instance->cpus[0].idle = boot;
	return host_context_prepare(instance, boot, sizeof *boot, boot_main, instance);
}

static tb_err cpus_create(struct tb_instance *instance)
{
	instance->cpus = calloc(instance->cpu_count, sizeof *instance->cpus);
	if (instance->cpus == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	for (uint32_t i = 0; i < instance->cpu_count; i++)
		instance->cpus[i].index = i;
	instance->cpus[0].started = 1;
	return 0;
}

static void input_fresh(void *arg)
{
	struct tb_instance *instance = arg;
	instance->engine->input(instance);
}

// What comes after the slot is ours, in order; instance_undo() goes back from wherever it stopped.
static tb_err instance_build(struct tb_instance *instance)
{
	tb_err err = host_fibers_create(instance);
	if (err == 0)
		err = instance->engine->create(instance);
	if (err != 0)
		return err;
	instance->engine_ready = true;
	err = boot_stack_prepare(instance);
	if (err != 0)
		return err;
	host_config_boot_info(instance);
	if (instance->config.input_fd >= 0 && instance->engine->console_read == NULL)
		err = host_input_open(&instance->console.input, instance->config.input_fd, input_fresh, instance);
	return err;
}

static tb_err instance_undo(struct tb_instance *instance)
{
	tb_err err = 0;
	host_input_close(instance->console.input);
	host_modules_close(instance);
	if (instance->engine_ready)
		err = instance->engine->destroy(instance);
	host_disks_close(instance);
	host_fibers_destroy(instance);
	if (instance->ram.mapped_count > 0)
		host_slot_close(instance);
	free(instance->cpus);
	host_config_release(instance);
	pthread_mutex_destroy(&instance->lock);
	pthread_mutex_destroy(&instance->console.writing);
	free(instance);
	return err;
}

tb_err tb_create(const struct tb_config *config, tb_instance **out)
{
	struct tb_instance *instance = calloc(1, sizeof *instance);
	if (instance == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	pthread_mutex_init(&instance->lock, NULL);
	pthread_mutex_init(&instance->console.writing, NULL);
	instance->upcalls = &tb_upcalls;
	instance->clock_base_ns = host_clock_mono_ns();
	host_modules_init(instance);

	tb_err err = host_config_apply(instance, config);
	if (err == 0) {
		instance->engine = config->engine == TB_ENGINE_SIM ? &host_engine_sim : &host_engine_threads;
		err = cpus_create(instance);
	}
	if (err == 0)
		err = host_fault_install();
	if (err == 0)
		err = host_disks_open(instance);
	if (err == 0)
		err = host_slot_open(instance, instance->config.slot);
	if (err == 0)
		err = instance_build(instance);
	if (err != 0) {
		instance_undo(instance);
		return err;
	}
	*out = instance;
	return 0;
}

// Claims the instance for its end: from here on no call enters.
static tb_err instance_claim(struct tb_instance *instance)
{
	if (__atomic_exchange_n(&instance->closing, 1, __ATOMIC_SEQ_CST) != 0)
		return host_fail(instance, -EBUSY, "another thread destroys the instance");
	if (__atomic_load_n(&instance->users, __ATOMIC_SEQ_CST) == 0)
		return 0;
	__atomic_store_n(&instance->closing, 0, __ATOMIC_SEQ_CST);
	return host_fail(instance, -EBUSY, "other threads are inside a call");
}

// Brings a running instance down; what its end was, whoever brought it about.
static tb_err instance_stop(struct tb_instance *instance)
{
	tb_err err = 0;
	if (state_of(instance) == HOST_RUNNING)
		err = instance->engine->stop(instance);
	if (instance->panicked)
		return host_fail(instance, -EIO, "the kernel panicked; the console tells why");
	if (err == 0 && state_of(instance) == HOST_HALTED && instance->status < 0)
		err = host_fail(instance, instance->status, "ended by error %d (%s)", -instance->status,
				strerror(-instance->status));
	return err;
}

tb_err tb_shutdown(tb_instance *instance, int32_t *status)
{
	if (state_of(instance) == HOST_NEW)
		return host_fail(instance, -ENOTCONN, "the instance is not booted");
	tb_err err = instance_claim(instance);
	if (err != 0)
		return err;
	err = instance_stop(instance);
	if (status != NULL)
		*status = instance->status;
	__atomic_store_n(&instance->closing, 0, __ATOMIC_SEQ_CST);
	return err;
}

tb_err tb_destroy(tb_instance *instance)
{
	if (host_thread_self() == NULL) // nothing can be brought down by a thread without a record
		return host_fail(instance, -EBUSY, "no host memory for the calling thread's record");
	tb_err err = instance_claim(instance);
	if (err != 0)
		return err;
	err = instance_stop(instance);
	tb_err undone = instance_undo(instance);
	return err != 0 ? err : undone;
}

// ---- boot, call, wait -----------------------------------------------------------------------------------------------

tb_err tb_boot(tb_instance *instance)
{
	uint32_t expected = HOST_NEW;
	tb_err err = instance_enter(instance);
	if (err != 0)
		return err;
	if (!__atomic_compare_exchange_n(&instance->state, &expected, HOST_BOOTING, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		err = host_fail(instance, -EALREADY, "the instance was booted before");
		goto out;
	}
	err = instance->engine->boot(instance);
	if (err == 0 && state_of(instance) == HOST_HALTED && !instance->booted) {
		err = halted_error(instance);
		if (err == -ESHUTDOWN && instance->status < 0)
			err = host_fail(instance, instance->status, "boot has failed: %s", strerror(-instance->status));
	}
out:
	instance_exit(instance);
	return err;
}

tb_err tb_call(tb_instance *instance, int64_t (*fn)(void *), void *arg, int64_t *result)
{
	int64_t value = 0;
	tb_err err = instance_enter(instance);
	if (host_unlikely(err != 0))
		return err;
	enum host_state state = state_of(instance);
	if (host_likely(state == HOST_RUNNING))
		err = instance->engine->call(instance, fn, arg, &value);
	else if (state == HOST_HALTED)
		err = halted_error(instance);
	else
		err = host_fail(instance, -ENOTCONN, "the instance is not booted");
	if (host_unlikely(err == -ESHUTDOWN && state == HOST_RUNNING))
		err = halted_error(instance);
	if (err == 0 && result != NULL)
		*result = value;
	instance_exit(instance);
	return err;
}

tb_err tb_command(tb_instance *instance, const char *line, int32_t *status)
{
	struct hal_command command = {line, strlen(line)};
	int64_t result;
	if (command.size_bytes > COMMAND_SIZE_MAX)
		return host_fail(instance, -EMSGSIZE, "a command of more than %u bytes", COMMAND_SIZE_MAX);
	tb_err err = tb_call(instance, instance->upcalls->command, &command, &result);
	if (err == 0 && status != NULL)
		*status = (int32_t)result;
	return err;
}

tb_err tb_wait(tb_instance *instance, int32_t *status)
{
	tb_err err = instance_enter(instance);
	if (err != 0)
		return err;
	if (state_of(instance) == HOST_NEW)
		err = host_fail(instance, -ENOTCONN, "the instance is not booted");
	else
		err = instance->engine->wait(instance);
	if (err == 0 && (instance->panicked || instance->status == -ETIME))
		err = halted_error(instance);
	else if (err == 0 && status != NULL)
		*status = instance->status;
	instance_exit(instance);
	return err;
}

tb_err tb_sim_stats(const tb_instance *instance, struct tb_sim_stats *stats)
{
	if (instance->engine->sim_stats == NULL)
		return -EOPNOTSUPP;
	return instance->engine->sim_stats(instance, stats);
}
