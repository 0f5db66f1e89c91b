// SPDX-License-Identifier: MIT
//
// The bare HAL of Cortex-M3: Stellaris boards, as QEMU has them (lm3s811evb, lm3s6965evb).
//
// Purpose. Everything between the reset vector and the doors of include/hal on a machine with one CPU, no MMU and RAM counted
// in KiB. Written for two boards of one family: what differs between them is a table (board.c), nothing is compiled twice.
//
// Files
//   start.c      vector table, reset: clocks, RAM, priorities, boot record, first step onto a kernel stack
//   switch.c     SVC and PendSV: thread switches, delivery of interrupts to the kernel, contexts
//   clock.c      the clock (watchdog as a free-running counter), the one-shot timer (SysTick), idle; clock_stepped.c instead
//                where a run must depend on nothing outside
//   call.c       no calls; call_test.c instead in test images: one, which runs them
//   uart.c       PL011: bytes in and out by interrupt, polled once the machine is failing
//   fault.c      hard and configurable faults: registers, cause, return addresses; halt or reboot
//   mpu.c        no access to address 0, none to the word below a stack, no execution of RAM
//   semihost.c   the debugger's calls: exit status, host clock, command line, boot modules
//   board.c      pins of the boards: LED, keys; which display they have
//   oled_*.c     the displays: SSD0323 behind SSI (lm3s6965evb), SSD0303 behind I2C (lm3s811evb)
//   door.c       the doors that are trivial here               module.c     the trace window as a boot module
//   link.ld.in   where all of it lies; a persona that does not fit its RAM does not link
//
// 1 Memory. Flash: vectors, code, constants, the initial values of .data, and `.trace_window`, room for an allocation trace
//   that a test puts into the finished image. RAM from its first byte: struct kernel (sizes from the kernel object, checked at
//   boot), .data, .bss, the interrupt stack, the boot stack (later the idle thread's), and frames up to the end of what the persona says it
//   has (`memory`), even where the chip has more. The linker script asserts that the frames hold the persona's threads.
//
// 2 Two stacks. Threads run on PSP, on the kernel's stacks; everything else on MSP, the interrupt stack. A thread's stack so
//   needs room for its own calls and one exception frame with the saved registers (68 bytes), whatever interrupts do.
//
// 3 Priorities. Faults, then SVC (0x20), then BASEPRI's mask (0x40), devices and SysTick (0x80), PendSV (0xe0). Device handlers
//   move bytes, set bits in hal_cpu.irq_pending and pend PendSV. PendSV, when nothing else is active and the
//   interrupted thread is unmasked, masks, hands the bits to the irq upcall and unmasks; when the upcall has asked for a switch, PendSV
//   makes it on its way out. A thread that gives the CPU up by itself does so by SVC, which BASEPRI does not hold back.
//
// 4 A switched-out thread: PSP in hal_thread.sp; there lie BASEPRI and r4–r11, then the frame that the exception pushed.
//   hal_thread.sanitizer holds the address of the 32 bytes that the MPU forbids beneath its stack.
//
// 5 States of the machine: BOOT → RUN → FAILING → end. FAILING (a fault, a panic, a halt) masks everything, polls the UART, and never
//   returns to a thread. A fault inside FAILING ends the machine at once, without a second report.
//
// 6 The end. hal_halt() waits for the UART and asks the debugger to exit with the status; a machine without one skips
//   the request (the fault handler steps over its breakpoint) and stops, or, when the policy is to reboot, resets.
//
// Invariants: handlers of devices never call the kernel; nobody but the switch writes hal_cortex_self; PRIMASK is used for
// stretches of a few instructions only. May sleep: hal_cpu_idle(), in WFI. No locks: one CPU.
#ifndef CORTEX_IMPL_H
#define CORTEX_IMPL_H

#include "hal/build_id.h"
#include "hal/call.h"
#include "hal/clock.h"
#include "hal/console.h"
#include "hal/cpu.h"
#include "hal/hal.h"
#include "hal/halt.h"
#include "hal/mem.h"
#include "hal/module.h"
#include "hal/panel.h"

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))

// ARMv7-M Architecture Reference Manual, B3.
#define SYST_CSR REG(0xe000e010)
#define SYST_RVR REG(0xe000e014)
#define SYST_CVR REG(0xe000e018)
#define NVIC_ISER(n) REG(0xe000e100 + 4 * (n))
#define NVIC_IPR(irq) (*(volatile uint8_t *)(uintptr_t)(0xe000e400 + (irq)))
#define SCB_ICSR REG(0xe000ed04)
#define SCB_AIRCR REG(0xe000ed0c)
#define SCB_CCR REG(0xe000ed14)
#define SCB_SHPR(n) (*(volatile uint8_t *)(uintptr_t)(0xe000ed14 + (n))) // n: exception number, 4 … 15
#define SCB_SHCSR REG(0xe000ed24)
#define SCB_CFSR REG(0xe000ed28)
#define SCB_HFSR REG(0xe000ed2c)
#define SCB_MMFAR REG(0xe000ed34)
#define SCB_BFAR REG(0xe000ed38)
#define MPU_CTRL REG(0xe000ed94)
#define MPU_RNR REG(0xe000ed98)
#define MPU_RBAR REG(0xe000ed9c)
#define MPU_RASR REG(0xe000eda0)

#define PRIO_SVC 0x20u
#define PRIO_DEVICE 0x80u
#define PRIO_PENDSV 0xe0u
#define ICSR_PENDSVSET (1u << 28)

// Stellaris: LM3S811 and LM3S6965 data sheets.
#define SYSCTL_BASE 0x400fe000u
#define WATCHDOG_BASE 0x40000000u
#define SSI0_BASE 0x40008000u
#define UART0_BASE 0x4000c000u
#define I2C0_BASE 0x40020000u
#define UART0_IRQ 5u
#define TICKS_PER_US 50u // 50 MHz: the PLL's 200 MHz by 4
#define NS_PER_TICK 20u

// What the linker script says.
extern char hal_cortex_kernel[], hal_cortex_kernel_end[], hal_cortex_ram_end[];
extern char hal_cortex_data[], hal_cortex_data_end[], hal_cortex_data_load[], hal_cortex_bss[], hal_cortex_bss_end[];
extern char hal_cortex_interrupt_stack[], hal_cortex_interrupt_stack_end[];
extern char hal_cortex_boot_stack[], hal_cortex_boot_stack_end[], hal_cortex_frames[];
extern const char hal_cortex_text[], hal_cortex_text_end[], hal_cortex_window[], hal_cortex_window_end[];

extern char tb_thread_room[]; // kernel object: its value is the size of struct thread

enum cortex_state {
	CORTEX_BOOT,
	CORTEX_RUN,
	CORTEX_FAILING
};

// All that this HAL remembers, apart from hal_cortex_self.
struct cortex {
	uint8_t state;           // enum cortex_state
	uint8_t reboots;         // != 0: a fault or panic resets instead of halting
	uint16_t modules;        // a bit for each id that is open
	struct hal_cpu *cpu;     // NULL until bound
	struct hal_thread *next; // asked for inside the irq upcall
	uint64_t clock_ticks;    // clock.c: ticks since boot at the last look
	uint32_t clock_seen;     // the counter at the last look
	uint32_t entropy;
	uint64_t deadline_ns; // of the armed timer; TB_FOREVER: none
};
extern struct cortex cortex;

// A pending interrupt of the kernel's: from a device handler, or masked.
void cortex_raise(uint32_t bits);

static inline uint32_t cortex_lock(void)
{
	uint32_t was;
	__asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(was) : : "memory");
	return was;
}

static inline void cortex_unlock(uint32_t was)
{
	__asm__ volatile("msr primask, %0" : : "r"(was) : "memory");
}

// start.c
void cortex_start(void) __attribute__((__noreturn__));

// switch.c
void cortex_svc(void);
void cortex_pendsv(void);
void cortex_first(struct hal_thread *thread, void *stack_top, void (*entry)(const struct hal_boot_info *),
		  const struct hal_boot_info *info) __attribute__((__noreturn__));

// clock.c
void clock_start(void);
void cortex_systick(void);

// uart.c
void uart_start(void);
void cortex_uart(void);
void uart_drain(void); // until the last byte has left; also masked
void uart_puts(const char *text);
void uart_put_hex(uint32_t value);

// mpu.c
void mpu_start(void);

// fault.c
void cortex_fault(void);
void fault_end(int32_t status) __attribute__((__noreturn__)); // halts or reboots
void fault_backtrace(const uint32_t *from, const uint32_t *to);

// door.c: until an interrupt. Masked before and after
void cpu_wait(void);

// call.c or call_test.c: the machine is up
void call_begin(void);

// semihost.c: r0 of the answer; -1 when there is no debugger.
int32_t semihost_call(uint32_t operation, const void *argument);
void semihost_exit(int32_t status);
uint32_t semihost_time_s(void); // since 1970; 0: nobody knows
// What follows the program's name; empty when nobody knows, or when it is too long.
void semihost_command_line(char *text, uint32_t size_bytes);

// board.c, oled.c
void board_start(void);
void cortex_gpio(void);
void oled_start(void);

#endif
