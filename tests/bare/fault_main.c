// SPDX-License-Identifier: MIT
//
// Faults on purpose, to see their reports: test=fault:KIND. Each is made in a kernel thread and does not return.
#include "fault.h"

#include "kern/compiler.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/thread.h"

#define DEPTH_STEP 512u

static volatile uint32_t zero;
static const uint32_t constant[4] = {1, 2, 3, 4};
static uint32_t data[64];

static void fault_null(void)
{
	*(volatile uint32_t *)(uintptr_t)zero = 1;
}

static void fault_write_text(void)
{
	*(volatile uint8_t *)(uintptr_t)fault_null = 0;
}

static void fault_write_constant(void)
{
	*(volatile uint32_t *)(uintptr_t)&constant[1] = 5;
}

static void fault_execute_data(void)
{
	void (*function)(void) = (void (*)(void))(uintptr_t)data;
	function();
}

static no_inline uint32_t descend(uint32_t depth)
{
	volatile uint8_t room[DEPTH_STEP];
	room[depth % DEPTH_STEP] = (uint8_t)depth;
	return zero == 0 ? descend(depth + 1) + room[0] : room[1];
}

static void fault_stack_overflow(void)
{
	(void)descend(0);
}

static void fault_undefined(void)
{
#if defined(__x86_64__)
	__asm__ volatile("ud2");
#elif defined(__aarch64__)
	__asm__ volatile("udf #0");
#elif defined(__riscv)
	__asm__ volatile(".word 0");
#endif
}

static void fault_divide(void)
{
#if defined(__x86_64__)
	__asm__ volatile("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tmov $1, %%eax\n\tdiv %%ecx"
			 :
			 :
			 : "eax", "ecx", "edx");
#endif
}

// A fault that cannot even push its frame.
static void fault_bad_stack(void)
{
#if defined(__x86_64__)
	__asm__ volatile("mov $0x1000, %%rsp\n\tpush %%rax" : : : "memory");
#elif defined(__aarch64__)
	__asm__ volatile("mov x9, #0x1000\n\tmov sp, x9\n\tstr x9, [sp, #-16]!" : : : "x9", "memory");
#elif defined(__riscv)
	__asm__ volatile("li t0, 0x1000\n\tmv sp, t0\n\tsd t0, -16(sp)" : : : "t0", "memory");
#endif
}

static const struct {
	const char *name;
	void (*make)(void);
} faults[] = {
	{"null", fault_null},
	{"write_text", fault_write_text},
	{"write_constant", fault_write_constant},
	{"execute_data", fault_execute_data},
	{"stack_overflow", fault_stack_overflow},
	{"undefined", fault_undefined},
	{"divide", fault_divide},
	{"bad_stack", fault_bad_stack},
};

static void fault_thread(void *arg)
{
	void (*make)(void) = *(void (*const *)(void))arg;
	make();
}

bool fault_make(const char *name)
{
	struct thread_params params = {.name = "faulty", .klass = CLASS_FAIR};
	struct thread *thread;
	for (uint32_t i = 0; i < array_count(faults); i++) {
		if (!str_equal(faults[i].name, name))
			continue;
		err_t err = thread_start(&params, fault_thread, (void *)(uintptr_t)&faults[i].make, &thread);
		if (err == 0)
			err = thread_join(thread, NULL);
		return err == 0;
	}
	return false;
}
