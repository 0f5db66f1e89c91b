// SPDX-License-Identifier: MIT
//
// From the reset vector to the kernel: the vector table, the clock tree, RAM, exception priorities, the boot record. The record
// lives on the interrupt stack until hal_boot_done() takes that stack back whole.
#include "cortex_impl.h"

#include <string.h>

#define SYSCTL_RIS REG(SYSCTL_BASE + 0x050)
#define SYSCTL_RCC REG(SYSCTL_BASE + 0x060)
#define SYSCTL_RCGC(n) REG(SYSCTL_BASE + 0x100 + 4 * (n))
#define RCC_SYSDIV (0xfu << 23)
#define RCC_USESYSDIV (1u << 22)
#define RCC_PWRDN (1u << 13)
#define RCC_OEN (1u << 12)
#define RCC_BYPASS (1u << 11)
#define RIS_PLL_LOCKED (1u << 6)
#define PLL_PATIENCE 100000u

#define AIRCR_RESET 0x05fa0004u
#define SHCSR_FAULTS_ON (7u << 16) // memory, bus, usage
#define CCR_DIV_0_TRAP (1u << 4)
#define EXTERNAL_IRQS 44

struct hal_thread *volatile hal_cortex_self;
struct cortex cortex;

struct vectors {
	void *stack;
	void (*system[15])(void);
	void (*external[EXTERNAL_IRQS])(void);
};

// The watchdog's counter has wrapped: a look keeps the clock going.
static void cortex_watchdog(void)
{
	REG(WATCHDOG_BASE + 0x00c) = 1;
	(void)hal_clock_mono_ns();
}

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
	.stack = hal_cortex_interrupt_stack_end,
	.system = {cortex_start, cortex_fault, cortex_fault, cortex_fault, cortex_fault, cortex_fault, cortex_fault,
		   cortex_fault, cortex_fault, cortex_fault, cortex_svc, cortex_fault, cortex_fault, cortex_pendsv,
		   cortex_systick},
	.external = {[0 ... 4] = cortex_gpio,
		     [UART0_IRQ] = cortex_uart,
		     [6 ... 17] = cortex_fault,
		     [18] = cortex_watchdog,
		     [19 ... 29] = cortex_fault,
		     [30 ... 31] = cortex_gpio,
		     [32 ... EXTERNAL_IRQS - 1] = cortex_fault},
};

// 50 MHz out of the PLL. A PLL that never locks leaves the machine on its oscillator: slow, and wrong in time, but alive.
static void clocks_start(void)
{
	uint32_t rcc = SYSCTL_RCC | RCC_BYPASS;
	SYSCTL_RCC = rcc & ~RCC_USESYSDIV;
	rcc &= ~(RCC_PWRDN | RCC_OEN | RCC_SYSDIV);
	rcc |= 3u << 23 | RCC_USESYSDIV;
	SYSCTL_RCC = rcc;
	for (uint32_t i = 0; i < PLL_PATIENCE; i++) {
		if ((SYSCTL_RIS & RIS_PLL_LOCKED) != 0) {
			SYSCTL_RCC = rcc & ~RCC_BYPASS;
			break;
		}
	}
	SYSCTL_RCGC(0) |= 1u << 3;                      // watchdog
	SYSCTL_RCGC(1) |= 1u << 12 | 1u << 4 | 1u << 0; // I2C0, SSI0, UART0
	SYSCTL_RCGC(2) |= 0x7f;                         // ports A to G
	(void)SYSCTL_RCGC(2);
}

static void memory_start(void)
{
	memcpy(hal_cortex_data, hal_cortex_data_load, (size_t)(hal_cortex_data_end - hal_cortex_data));
	memset(hal_cortex_bss, 0, (size_t)(hal_cortex_bss_end - hal_cortex_bss));
	memset(hal_cortex_kernel, 0, (size_t)(hal_cortex_kernel_end - hal_cortex_kernel));
	memset(hal_cortex_boot_stack, 0, (size_t)(hal_cortex_ram_end - hal_cortex_boot_stack));
}

static void priorities_start(void)
{
	SCB_SHPR(11) = PRIO_SVC;
	SCB_SHPR(14) = PRIO_PENDSV;
	SCB_SHPR(15) = PRIO_DEVICE;
	for (uint32_t irq = 0; irq < EXTERNAL_IRQS; irq++)
		NVIC_IPR(irq) = PRIO_DEVICE;
	SCB_SHCSR |= SHCSR_FAULTS_ON;
	SCB_CCR |= CCR_DIV_0_TRAP;
}

static void info_fill(struct hal_boot_info *info)
{
	uint32_t used = (uint32_t)(hal_cortex_frames - hal_cortex_kernel);
	uint32_t size = (uint32_t)(hal_cortex_ram_end - hal_cortex_kernel);

	memset(info, 0, sizeof *info);
	info->version = HAL_VERSION;
	info->flags = HAL_BOOT_MONITOR | HAL_BOOT_INTERACTIVE;
	info->ram = hal_cortex_kernel;
	info->ram_size_bytes = size;
	info->ram_used_bytes = used;
	info->node_count = 1;
	info->cpu_count = 1;
	info->nodes[0].size_bytes = size;
	info->seed = 1;
	memcpy(info->engine, "cortex-m", sizeof "cortex-m");
	memcpy(info->persona, CONFIG_PERSONA, sizeof CONFIG_PERSONA);
}

void cortex_start(void)
{
	struct hal_boot_info info;

	__asm__ volatile("cpsid i");
	clocks_start();
	memory_start();
	priorities_start();
	mpu_start();
	clock_start();
	uart_start();
	board_start();
	info_fill(&info);
	struct hal_thread *thread = (struct hal_thread *)(void *)hal_cortex_boot_stack;
	thread->irq_off = 1;
	thread->preempt_count = 1;
	if (tb_upcalls.version != HAL_VERSION || tb_upcalls.kstack_size_bytes != CONFIG_KSTACK_SIZE ||
	    tb_upcalls.kernel_size_bytes > (size_t)(hal_cortex_kernel_end - hal_cortex_kernel))
		hal_panic("the kernel object is not made for this HAL");
	cortex_first(thread, hal_cortex_boot_stack_end, tb_upcalls.boot, &info);
}

// The record is read no more, and no handler is active in a thread: all of the interrupt stack is handlers' from here on.
void hal_boot_done(void)
{
	cortex.state = CORTEX_RUN;
	__asm__ volatile("msr msp, %0" : : "r"(hal_cortex_interrupt_stack_end));
	call_begin();
}

void hal_reboot_on_panic(bool reboot)
{
	cortex.reboots = reboot;
}

void hal_reboot(void)
{
	uart_drain();
	SCB_AIRCR = AIRCR_RESET;
	for (;;)
		__asm__ volatile("");
}
