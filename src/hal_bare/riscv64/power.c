// SPDX-License-Identifier: MIT
//
// The end of the machine: SiFive's test device, which is how an emulator is left with a status, and the firmware's reset.
#include "riscv.h"

#define TEST_PASS 0x5555u
#define TEST_FAIL 0x3333u

static volatile uint32_t *test_device; // NULL: none

void power_init(void)
{
	if (riscv_machine.sifive_test.size_bytes >= 4)
		test_device = bare_map(riscv_machine.sifive_test.start, 4, PROT_WRITE | PROT_DEVICE);
}

void arch_exit_debug(int32_t status)
{
	if (test_device == NULL)
		return;
	*test_device = status == 0 ? TEST_PASS : (uint32_t)status << 16 | TEST_FAIL;
}

void arch_power_off(void)
{
	sbi_power_off();
}

void arch_reboot(void)
{
	sbi_reboot();
}
