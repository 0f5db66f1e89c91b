// SPDX-License-Identifier: MIT
//
// Faults on purpose, as AArch64 has them: test=NAME does what NAME says, in a kernel thread, and does not come back. run_faults.py
// knows what each must report.
#include "tap.h"

#include "../../src/hal_bare/arch.h"

int64_t tb_test_main(void *text);

static volatile uint64_t sink;
static const uint64_t constant = 5;

static void __attribute__((__noinline__)) write_to(uintptr_t address)
{
	*(volatile uint32_t *)address = 1;
}

static void __attribute__((__noinline__)) read_from(uintptr_t address)
{
	sink = *(volatile uint32_t *)address;
}

static void __attribute__((__noinline__)) jump_to(uintptr_t address)
{
	((void (*)(void))address)();
	sink++;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
static uint64_t __attribute__((__noinline__)) deeper(uint64_t depth)
{
	volatile uint8_t filler[200];
	filler[depth % sizeof filler] = (uint8_t)depth;
	return deeper(depth + 1) + filler[depth % sizeof filler];
}
#pragma GCC diagnostic pop

static void null_read(void)
{
	read_from(16);
}

static void null_write(void)
{
	write_to(16);
}

static void null_jump(void)
{
	jump_to(64);
}

static void text_write(void)
{
	write_to((uintptr_t)bare_image_start);
}

static void constant_write(void)
{
	write_to((uintptr_t)&constant);
}

static void data_jump(void)
{
	jump_to((uintptr_t)&sink);
}

static void stack_overflow(void)
{
	sink = deeper(0);
}

static void guard_read(void)
{
	read_from((uintptr_t)hal_self() + BARE_GUARD_OFFSET + 16);
}

static void undefined_instruction(void)
{
	__asm__ volatile("udf #0");
}

static void compiler_trap(void)
{
	__builtin_trap();
}

// A stack that is not there: the vector's own first store faults.
static void no_stack(void)
{
	__asm__ volatile("mov sp, %0\n\tstr xzr, [sp]" : : "r"(0x12340ull) : "memory");
}

static void no_stack_in_window(void)
{
	__asm__ volatile("mov sp, %0\n\tstr xzr, [sp]" : : "r"(HAL_RAM_BASE + 0x80000004000ull) : "memory");
}

// Mapped, and nobody answers: an external abort.
static void nobody_there(void)
{
	read_from((uintptr_t)bare_map(0x0b800000, BARE_PAGE_SIZE, PROT_WRITE | PROT_DEVICE));
}

// The report follows a frame pointer to such a place.
static void report_faults(void)
{
	uintptr_t place = (uintptr_t)bare_map(0x0b800000, BARE_PAGE_SIZE, PROT_WRITE | PROT_DEVICE);
	__asm__ volatile("mov x29, %0\n\tbrk #7" : : "r"(place) : "memory");
}

static void misaligned_jump(void)
{
	jump_to((uintptr_t)bare_image_start + 2);
}

static void floating_point(void)
{
	__asm__ volatile(".inst 0x1e602800"); // fadd d0, d0, d0
}

static const struct {
	const char *name;
	void (*fn)(void);
} faults[] = {
	{"null_read", null_read},
	{"null_write", null_write},
	{"null_jump", null_jump},
	{"text_write", text_write},
	{"constant_write", constant_write},
	{"data_jump", data_jump},
	{"stack_overflow", stack_overflow},
	{"guard_read", guard_read},
	{"undefined_instruction", undefined_instruction},
	{"compiler_trap", compiler_trap},
	{"no_stack", no_stack},
	{"no_stack_in_window", no_stack_in_window},
	{"nobody_there", nobody_there},
	{"report_faults", report_faults},
	{"misaligned_jump", misaligned_jump},
	{"floating_point", floating_point},
};

int64_t tb_test_main(void *text)
{
	for (size_t i = 0; i < BARE_COUNT(faults); i++) {
		if (!bare_streq(faults[i].name, text))
			continue;
		faults[i].fn();
		tap_print("survived\r\n");
		return 1;
	}
	tap_print("no such fault\r\n");
	return 2;
}
