// SPDX-License-Identifier: MIT
//
// What the address and thread sanitizers must be told of stack switches. ASan wants the bounds of the stack that is
// entered; TSan wants a fiber for every kernel thread. Fibers are named in hal_thread.sanitizer by a number, because RAM
// holds no host pointers; the instance's table maps numbers to fibers and frees what a halted kernel left behind.
#ifndef HOST_FIBER_H
#define HOST_FIBER_H

#include "host_impl.h"

// For functions that run between two stacks or inside a signal handler.
#if defined(__clang__)
#define host_uninstrumented __attribute__((no_sanitize("address", "undefined"), disable_sanitizer_instrumentation))
#else
#define host_uninstrumented __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

#define HOST_FIBERS (CONFIG_ASAN || CONFIG_TSAN)

#if CONFIG_TSAN
tb_err host_fibers_create(struct tb_instance *instance) TB_MUST_USE;
void host_fibers_destroy(struct tb_instance *instance); // with all that is left in it
// A fiber for a new kernel thread, its number in thread->sanitizer. H. Errors: -EAGAIN.
tb_err host_fiber_init(struct tb_instance *instance, struct hal_thread *thread) TB_MUST_USE;
void host_fiber_fini(struct tb_instance *instance, struct hal_thread *thread); // H
#else
static inline TB_MUST_USE tb_err host_fibers_create(struct tb_instance *instance)
{
	(void)instance;
	return 0;
}

static inline void host_fibers_destroy(struct tb_instance *instance)
{
	(void)instance;
}

static inline TB_MUST_USE tb_err host_fiber_init(struct tb_instance *instance, struct hal_thread *thread)
{
	(void)instance;
	thread->sanitizer = 0;
	return 0;
}

static inline void host_fiber_fini(struct tb_instance *instance, struct hal_thread *thread)
{
	(void)instance;
	(void)thread;
}
#endif

#if HOST_FIBERS
// Around a switch. begin: just before; `fake` is NULL when the present stack is never continued. end: just after, on the
// new stack, with what begin left in that stack's own `fake`.
void host_fiber_begin_thread(void **fake, const struct hal_thread *to);
void host_fiber_begin_host(void **fake, const struct host_thread *to);
void host_fiber_end(void *fake);
#else
static inline void host_fiber_begin_thread(void **fake, const struct hal_thread *to)
{
	(void)fake;
	(void)to;
}

static inline void host_fiber_begin_host(void **fake, const struct host_thread *to)
{
	(void)fake;
	(void)to;
}

static inline void host_fiber_end(void *fake)
{
	(void)fake;
}
#endif

// ASan: marks memory usable. Frames that were abandoned on a stack left their red zones there.
#if CONFIG_ASAN
void host_fiber_clean(void *start, size_t size_bytes);
#else
static inline void host_fiber_clean(void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}
#endif

#endif
