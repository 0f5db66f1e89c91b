// SPDX-License-Identifier: MIT
//
// Contexts: the doors hal_context_*(), entering and leaving kernel stacks, and calls to the host stack. Engine-neutral. A
// switch tells the sanitizers first; in plain builds nothing is left of that and hal_context_switch() is host_switch.c's.
#include "host_fiber.h"
#include "host_switch.h"

#include <errno.h>

static void context_fill(struct tb_instance *instance, struct hal_thread *thread, size_t header_size_bytes)
{
	host_fiber_clean((char *)thread + header_size_bytes, CONFIG_KSTACK_SIZE - header_size_bytes);
	thread->irq_off = 1;
	thread->resched = instance->resched;
	thread->point_mask = instance->point_mask;
}

tb_err host_context_prepare(struct tb_instance *instance, struct hal_thread *thread, size_t header_size_bytes,
			    void (*entry)(void *), void *arg)
{
	context_fill(instance, thread, header_size_bytes);
	thread->sp = host_switch_frame((char *)thread + CONFIG_KSTACK_SIZE, entry, arg);
	return host_fiber_init(instance, thread);
}

void host_context_redirect(struct hal_thread *thread, void (*entry)(void *), void *arg)
{
	thread->sp = host_switch_frame((char *)thread + CONFIG_KSTACK_SIZE, entry, arg);
}

struct prepare {
	struct tb_instance *instance;
	struct hal_thread *thread;
	size_t header_size_bytes;
	void (*entry)(void *);
	void *arg;
	tb_err err;
};

static void prepare_on_host(void *arg)
{
	struct prepare *prepare = arg;
	prepare->err = host_context_prepare(prepare->instance, prepare->thread, prepare->header_size_bytes,
					    prepare->entry, prepare->arg);
}

static void fini_on_host(void *arg)
{
	struct prepare *prepare = arg;
	host_fiber_fini(prepare->instance, prepare->thread);
}

tb_err hal_context_init(struct hal_thread *thread, size_t header_size_bytes, void (*entry)(void *), void *arg)
{
	struct prepare prepare = {host_instance(), thread, header_size_bytes, entry, arg, 0};
	if (!HOST_FIBERS) {
		prepare_on_host(&prepare);
		return prepare.err;
	}
	bool was = hal_irq_save();
	host_stack_call(prepare_on_host, &prepare);
	hal_irq_restore(was);
	return prepare.err;
}

void hal_context_fini(struct hal_thread *thread)
{
	struct prepare prepare = {.instance = host_instance(), .thread = thread};
	if (!HOST_FIBERS)
		return;
	bool was = hal_irq_save();
	host_stack_call(fini_on_host, &prepare);
	hal_irq_restore(was);
}

#if HOST_FIBERS
host_uninstrumented void hal_context_switch(struct hal_thread *from, struct hal_thread *to)
{
	void *fake = NULL;
	host_fiber_begin_thread(&fake, to);
	host_switch(&from->sp, to->sp);
	host_fiber_end(fake);
}

// Called by host_switch_start: the first thing on a new stack.
void host_context_started(void);
host_uninstrumented void host_context_started(void)
{
	host_fiber_end(NULL);
}
#endif

host_uninstrumented void hal_context_exit(struct hal_thread *from, struct hal_thread *to)
{
	(void)from;
	host_fiber_begin_thread(NULL, to);
	host_switch_away(to->sp);
}

host_uninstrumented void host_context_enter(struct host_thread *self, struct hal_thread *to)
{
	void *fake = NULL;
	host_fiber_begin_thread(&fake, to);
	host_switch(&self->sp, to->sp);
	host_fiber_end(fake);
}

host_uninstrumented void host_context_leave(struct hal_thread *from, struct host_thread *to)
{
	void *fake = NULL;
	host_fiber_begin_host(&fake, to);
	host_switch(&from->sp, to->sp);
	host_fiber_end(fake);
}

host_uninstrumented void host_context_abandon(struct host_thread *to)
{
	host_fiber_begin_host(NULL, to);
	host_switch_away(to->sp);
}

// Far enough below the saved registers for the red zone of nothing: they are the last thing on that stack. No tail call: gdb 13
// makes a frame of its own of one before a signal frame, and falls over it when it looks a second time.
void host_stack_call(void (*fn)(void *), void *arg)
{
	host_switch_call(fn, arg, (void *)((uintptr_t)host_driver(host_instance())->sp & ~(uintptr_t)15));
	__asm__ volatile("");
}
