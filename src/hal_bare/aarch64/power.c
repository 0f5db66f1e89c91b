// SPDX-License-Identifier: MIT
//
// Off and on again: PSCI, or the watchdog of a BCM2835 (its firmware reads from RSTS what is wanted: partition 63 is "stay off"); and
// semihosting's exit for emulators.
#include "arm.h"

enum {
	PM_RSTC = 0x1c,
	PM_RSTS = 0x20,
	PM_WDOG = 0x24,
	PM_SIZE = 0x28
};

#define PM_PASSWORD 0x5a000000u
#define PM_FULL_RESET 0x20u
#define PM_RSTC_MASK 0x30u
#define PM_HALT 0x555u
#define PM_TICKS 10u
#define SYS_EXIT_EXTENDED 0x20u
#define EXIT_APPLICATION 0x20026u

uint64_t semihosting_call(uint64_t operation, const void *parameters);

static struct fdt_range watchdog;
static uintptr_t watchdog_base;

void power_init(const struct fdt *fdt)
{
	struct fdt_node node;
	if ((fdt_find_compatible(fdt, NULL, "brcm,bcm2835-pm-wdt", &node) ||
	     fdt_find_compatible(fdt, NULL, "brcm,bcm2835-pm", &node)) &&
	    fdt_reg(fdt, &node, 0, &watchdog) != 0)
		watchdog.size_bytes = 0;
}

void power_map(void)
{
	if (watchdog.size_bytes >= PM_SIZE)
		watchdog_base = (uintptr_t)bare_map(watchdog.start, PM_SIZE, PROT_WRITE | PROT_DEVICE);
}

uint64_t psci_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;
	if (function == 0 || arm.machine.psci.conduit == FDTM_PSCI_NONE)
		return UINT64_MAX;
	if (arm.machine.psci.conduit == FDTM_PSCI_HVC)
		__asm__ volatile("hvc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
				   "x17", "memory");
	else
		__asm__ volatile("smc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
				   "x17", "memory");
	return x0;
}

static void watchdog_fire(uint32_t status)
{
	if (watchdog_base == 0)
		return;
	mmio_write(watchdog_base + PM_RSTS, PM_PASSWORD | status);
	mmio_write(watchdog_base + PM_WDOG, PM_PASSWORD | PM_TICKS);
	uint32_t control = mmio_read(watchdog_base + PM_RSTC) & ~PM_RSTC_MASK & 0xffffffu;
	mmio_write(watchdog_base + PM_RSTC, PM_PASSWORD | control | PM_FULL_RESET);
	bare_delay_ns(100000000);
}

void arch_power_off(void)
{
	(void)psci_call(arm.machine.psci.system_off, 0, 0, 0);
	watchdog_fire(PM_HALT);
}

void arch_reboot(void)
{
	(void)psci_call(arm.machine.psci.system_reset, 0, 0, 0);
	watchdog_fire(0);
}

void arch_exit_debug(int32_t status)
{
	uint64_t block[2] = {EXIT_APPLICATION, (uint64_t)(uint32_t)status};
	if (bare.options.exit != CMDLINE_EXIT_NONE)
		(void)semihosting_call(SYS_EXIT_EXTENDED, block);
}
