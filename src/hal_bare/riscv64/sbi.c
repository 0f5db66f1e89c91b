// SPDX-License-Identifier: MIT
//
// Calls of the firmware (SBI 1.0). Where an extension is missing its predecessor of SBI 0.1 serves: timer, IPI, shutdown; a
// console only for output, before and in place of a UART. Remote fences are not used: TLB tickets (tlb.c) cost no call, and no
// code is written at run time.
#include "riscv.h"

enum {
	LEGACY_SET_TIMER = 0,
	LEGACY_PUTCHAR = 1,
	LEGACY_SEND_IPI = 4,
	LEGACY_SHUTDOWN = 8,
	EXT_BASE = 0x10,
	EXT_TIME = 0x54494d45,
	EXT_IPI = 0x735049,
	EXT_HSM = 0x48534d,
	EXT_SRST = 0x53525354
};

#define BASE_PROBE 3u
#define SRST_SHUTDOWN 0u
#define SRST_COLD_REBOOT 1u

struct riscv_features riscv_features;

struct sbi_result {
	int64_t error;
	uint64_t value;
};

static struct sbi_result sbi_call(uint64_t extension, uint64_t function, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	register uint64_t a0 __asm__("a0") = arg0;
	register uint64_t a1 __asm__("a1") = arg1;
	register uint64_t a2 __asm__("a2") = arg2;
	register uint64_t a6 __asm__("a6") = function;
	register uint64_t a7 __asm__("a7") = extension;
	__asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
	return (struct sbi_result){(int64_t)a0, a1};
}

static bool sbi_has(uint64_t extension)
{
	struct sbi_result result = sbi_call(EXT_BASE, BASE_PROBE, extension, 0, 0);
	return result.error == 0 && result.value != 0;
}

// Firmware of SBI 0.1 refuses the probe, and so has nothing.
void sbi_init(void)
{
	riscv_features.has_time = sbi_has(EXT_TIME);
	riscv_features.has_ipi = sbi_has(EXT_IPI);
	riscv_features.has_hsm = sbi_has(EXT_HSM);
	riscv_features.has_reset = sbi_has(EXT_SRST);
}

void sbi_timer_set(uint64_t time)
{
	(void)sbi_call(riscv_features.has_time ? EXT_TIME : LEGACY_SET_TIMER, 0, time, 0, 0);
}

// The predecessor takes the address of a mask, and knows harts 0 to 63.
void sbi_ipi(uint64_t hart)
{
	uint64_t mask = 1ull << (hart % 64);
	if (riscv_features.has_ipi)
		(void)sbi_call(EXT_IPI, 0, 1, hart, 0);
	else
		(void)sbi_call(LEGACY_SEND_IPI, 0, (uintptr_t)&mask, 0, 0);
}

int64_t sbi_hart_start(uint64_t hart, uint64_t phys, uint64_t opaque)
{
	return sbi_call(EXT_HSM, 0, hart, phys, opaque).error;
}

void sbi_power_off(void)
{
	if (riscv_features.has_reset)
		(void)sbi_call(EXT_SRST, 0, SRST_SHUTDOWN, 0, 0);
	else
		(void)sbi_call(LEGACY_SHUTDOWN, 0, 0, 0, 0); // with nothing to switch off by, it would not return
}

void sbi_reboot(void)
{
	if (riscv_features.has_reset)
		(void)sbi_call(EXT_SRST, 0, SRST_COLD_REBOOT, 0, 0);
}

static void put(struct bare_uart *uart, char byte)
{
	(void)uart;
	(void)sbi_call(LEGACY_PUTCHAR, 0, (uint8_t)byte, 0, 0);
}

static int get(struct bare_uart *uart)
{
	(void)uart;
	return -1;
}

static void listen(struct bare_uart *uart)
{
	(void)uart;
}

static void receive(struct bare_uart *uart, bool on)
{
	(void)uart;
	(void)on;
}

struct bare_uart uart_sbi = {.put = put, .get = get, .listen = listen, .receive = receive};
