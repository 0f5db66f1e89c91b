// SPDX-License-Identifier: MIT
//
// Semihosting ("Semihosting for AArch32 and AArch64", ARM): requests to a debugger, or to QEMU, by a breakpoint. Without
// one the breakpoint is a fault, which fault.c steps over with -1 as the answer, so every caller must live without.
#include "cortex_impl.h"

#define SYS_TIME 0x11u
#define SYS_GET_CMDLINE 0x15u
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u

int32_t semihost_call(uint32_t operation, const void *argument)
{
	register uint32_t r0 __asm__("r0") = operation;
	register const void *r1 __asm__("r1") = argument;
	__asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
	return (int32_t)r0;
}

void semihost_exit(int32_t status)
{
	const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
	(void)semihost_call(SYS_EXIT_EXTENDED, block);
}

void semihost_command_line(char *text, uint32_t size_bytes)
{
	uint32_t block[2] = {(uint32_t)(uintptr_t)text, size_bytes - 1};
	uint32_t from = 0, to = 0;

	text[0] = '\0';
	if (semihost_call(SYS_GET_CMDLINE, block) != 0 || block[1] >= size_bytes)
		return;
	text[block[1]] = '\0';
	while (text[from] != '\0' && text[from] != ' ')
		from++;
	while (text[from] == ' ')
		from++;
	do
		text[to++] = text[from];
	while (text[from++] != '\0');
}

uint32_t semihost_time_s(void)
{
	int32_t time_s = semihost_call(SYS_TIME, NULL);
	return time_s == -1 ? 0 : (uint32_t)time_s;
}
