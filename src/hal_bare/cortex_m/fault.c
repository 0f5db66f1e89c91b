// SPDX-License-Identifier: MIT
//
// What nobody wants to see, told as well as possible: which fault, why, where, the registers, and the return addresses on
// the stack (`arm-none-eabi-addr2line -e IMAGE ADDRESS` turns them into lines). The report polls the UART and uses the
// interrupt stack only. Afterwards the machine halts or reboots by policy. A fault inside the report ends it at once.
#include "cortex_impl.h"

#define STATUS_FAULT 125 // as tbos-sim's for a panic
#define BACKTRACE_MAX 8
#define BREAKPOINT_SEMIHOST 0xbeabu

struct fault_frame {
	uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

struct cause {
	uint32_t bit;
	const char *text;
};

// CFSR, from the most telling on.
static const struct cause causes[] = {
	{1u << 25, "divide by zero"},
	{1u << 24, "unaligned access"},
	{1u << 19, "no coprocessor"},
	{1u << 18, "return to a bad address"},
	{1u << 17, "jump to no Thumb code"},
	{1u << 16, "undefined instruction"},
	{1u << 12, "bus error while stacking"},
	{1u << 11, "bus error while unstacking"},
	{1u << 10, "imprecise bus error"},
	{1u << 9, "bus error"},
	{1u << 8, "instruction bus error"},
	{1u << 4, "access violation while stacking"},
	{1u << 3, "access violation while unstacking"},
	{1u << 1, "access violation"},
	{1u << 0, "execution of memory that holds no code"},
};

static const char *const exceptions[] = {"thread",       "reset",     "nmi",        "hard fault",
					 "memory fault", "bus fault", "usage fault"};

static void put_register(const char *name, uint32_t value)
{
	uart_puts(name);
	uart_put_hex(value);
}

void fault_end(int32_t status)
{
	uart_drain();
	if (cortex.reboots != 0)
		hal_reboot();
	semihost_exit(status);
	for (;;)
		__asm__ volatile("wfi");
}

static bool is_code(uint32_t address)
{
	return address >= (uintptr_t)hal_cortex_text && address < (uintptr_t)hal_cortex_text_end && (address & 1) != 0;
}

void fault_backtrace(const uint32_t *from, const uint32_t *to)
{
	uint32_t found = 0;
	uart_puts("return addresses:");
	for (; from < to && found < BACKTRACE_MAX; from++) {
		if (!is_code(*from))
			continue;
		put_register(" ", *from - 1);
		found++;
	}
	uart_puts("\n");
}

// The stack of the running thread, from `low` to its end; empty for a pointer that is not in it.
static void thread_backtrace(uintptr_t low)
{
	uintptr_t base = (uintptr_t)hal_cortex_self;
	uintptr_t end = base + (base == (uintptr_t)hal_cortex_boot_stack ? CONFIG_BOOT_STACK_SIZE : CONFIG_KSTACK_SIZE);
	if (low < base || low >= end || low % 4 != 0)
		low = end;
	fault_backtrace((const uint32_t *)low, (const uint32_t *)end);
}

static bool hits_guard(uint32_t address)
{
	return hal_cortex_self != NULL && address - (hal_cortex_self->sanitizer & ~31u) < 32;
}

static const char *cause_text(uint32_t cfsr, uintptr_t psp)
{
	bool touched = (cfsr & (1u << 7)) != 0 && hits_guard(SCB_MMFAR);
	if (touched || ((cfsr & (1u << 4)) != 0 && hits_guard((uint32_t)psp)))
		return "stack overflow";
	for (uint32_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if ((cfsr & causes[i].bit) != 0)
			return causes[i].text;
	return "unknown cause";
}

static void report(const struct fault_frame *frame, const uint32_t *saved, uint32_t exception, uintptr_t psp)
{
	uint32_t cfsr = SCB_CFSR;
	uart_puts("\nfault: ");
	uart_puts(exception < sizeof exceptions / sizeof exceptions[0] ? exceptions[exception] : "stray interrupt");
	uart_puts(": ");
	uart_puts(cause_text(cfsr, psp));
	if ((cfsr & (1u << 7)) != 0)
		put_register(" at ", SCB_MMFAR);
	if ((cfsr & (1u << 15)) != 0)
		put_register(" at ", SCB_BFAR);
	put_register("\ncfsr ", cfsr);
	put_register(" hfsr ", SCB_HFSR);
	put_register(" psp ", (uint32_t)psp);
	put_register(" exception ", exception);
	// A frame whose stacking failed was never written.
	if ((cfsr & (1u << 4 | 1u << 12)) == 0) {
		put_register("\npc ", frame->pc);
		put_register(" lr ", frame->lr);
		put_register(" xpsr ", frame->xpsr);
		put_register("\nr0 ", frame->r0);
		put_register(" r1 ", frame->r1);
		put_register(" r2 ", frame->r2);
		put_register(" r3 ", frame->r3);
		put_register(" r12 ", frame->r12);
	}
	put_register("\nr4 ", saved[0]);
	for (uint32_t i = 1; i < 8; i++) {
		char name[5] = {' ', 'r', i < 6 ? (char)('4' + i) : '1', i < 6 ? ' ' : (char)('0' + i - 6), '\0'};
		put_register(name, saved[i]);
	}
	uart_puts("\n");
	thread_backtrace(psp);
}

// frame: where the processor pushed; saved: r4 … r11 as they were.
void cortex_fault_judge(struct fault_frame *frame, const uint32_t *saved, uintptr_t psp);

__attribute__((used)) void cortex_fault_judge(struct fault_frame *frame, const uint32_t *saved, uintptr_t psp)
{
	uint32_t exception;
	__asm__ volatile("mrs %0, ipsr" : "=r"(exception));
	// Nobody answers a request to the debugger: go on behind it.
	if (exception == 3 && (SCB_HFSR & (1u << 31)) != 0 &&
	    *(const uint16_t *)(uintptr_t)frame->pc == BREAKPOINT_SEMIHOST) {
		SCB_HFSR = 1u << 31;
		frame->r0 = UINT32_MAX;
		frame->pc += 2;
		return;
	}
	bool again = cortex.state == CORTEX_FAILING;
	cortex.state = CORTEX_FAILING;
	MPU_CTRL = 0; // the report reads what threads may not
	if (again)
		uart_puts("\nfault: inside the report of another\n");
	else
		report(frame, saved, exception, psp);
	fault_end(STATUS_FAULT);
}

__attribute__((naked)) void cortex_fault(void)
{
	__asm__ volatile("	cpsid i\n"
			 "	mrs r2, psp\n"
			 "	tst lr, #4\n"
			 "	ite eq\n"
			 "	mrseq r0, msp\n"
			 "	mrsne r0, psp\n"
			 "	push {r4-r11}\n"
			 "	mov r1, sp\n"
			 "	push {r3, lr}\n"
			 "	bl cortex_fault_judge\n"
			 "	pop {r3, lr}\n"
			 "	pop {r4-r11}\n"
			 "	cpsie i\n"
			 "	bx lr\n");
}

void hal_panic(const char *message)
{
	uintptr_t psp;
	(void)cortex_lock();
	bool again = cortex.state == CORTEX_FAILING;
	uart_drain();
	cortex.state = CORTEX_FAILING;
	MPU_CTRL = 0;
	uart_puts("\npanic: ");
	uart_puts(message);
	uart_puts("\n");
	__asm__ volatile("mrs %0, psp" : "=r"(psp));
	if (!again)
		thread_backtrace(psp);
	fault_end(STATUS_FAULT);
}

void hal_halt(int32_t status)
{
	(void)cortex_lock();
	uart_drain();
	cortex.state = CORTEX_FAILING;
	if (status < 0) {
		uart_puts("\nhalted: error ");
		uart_put_hex((uint32_t)-status);
		uart_puts("\n");
	}
	semihost_exit(status < 0 ? 1 : status);
	for (;;)
		__asm__ volatile("wfi");
}
