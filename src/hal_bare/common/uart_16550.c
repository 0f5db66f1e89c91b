// SPDX-License-Identifier: MIT
//
// The 16550 (National Semiconductor PC16550D, June 1995), by ports or memory, its registers any power of two apart.
#include "../arch.h"

enum {
	REG_DATA = 0,
	REG_IER = 1,
	REG_FCR = 2,
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5
};

#define IER_RECEIVED 1u
#define FCR_ENABLE 0x01u // FIFOs on, interrupt at one byte; what was typed before stays
#define LCR_8N1 3u
#define MCR_OUT 0x0bu // DTR, RTS, OUT2: lets the interrupt out on a PC
#define LSR_DATA 1u
#define LSR_EMPTY 0x20u
#define SPINS_MAX 1000000u // a UART that takes nothing costs a delay, not the boot

static uint32_t reg_read(const struct bare_uart *uart, uint32_t reg)
{
	uintptr_t at = uart->base + ((uintptr_t)reg << uart->shift);
#if defined(__x86_64__)
	if (uart->width == 0) {
		uint8_t value;
		__asm__ volatile("inb %w1, %0" : "=a"(value) : "d"((uint16_t)at));
		return value;
	}
#endif
	return uart->width == 4 ? *(volatile uint32_t *)at : *(volatile uint8_t *)at;
}

static void reg_write(const struct bare_uart *uart, uint32_t reg, uint32_t value)
{
	uintptr_t at = uart->base + ((uintptr_t)reg << uart->shift);
#if defined(__x86_64__)
	if (uart->width == 0) {
		__asm__ volatile("outb %0, %w1" : : "a"((uint8_t)value), "d"((uint16_t)at));
		return;
	}
#endif
	if (uart->width == 4)
		*(volatile uint32_t *)at = value;
	else
		*(volatile uint8_t *)at = (uint8_t)value;
}

static void put(struct bare_uart *uart, char byte)
{
	for (uint32_t i = 0; i < SPINS_MAX && (reg_read(uart, REG_LSR) & LSR_EMPTY) == 0; i++)
		arch_relax();
	reg_write(uart, REG_DATA, (uint8_t)byte);
}

static int get(struct bare_uart *uart)
{
	uint32_t status = reg_read(uart, REG_LSR);
	if (status == 0xff || (status & LSR_DATA) == 0)
		return -1;
	return (int)(reg_read(uart, REG_DATA) & 0xff);
}

static void receive(struct bare_uart *uart, bool on)
{
	reg_write(uart, REG_IER, on ? IER_RECEIVED : 0);
}

static void listen(struct bare_uart *uart)
{
	reg_write(uart, REG_LCR, LCR_8N1);
	reg_write(uart, REG_FCR, FCR_ENABLE);
	reg_write(uart, REG_MCR, MCR_OUT);
	receive(uart, true);
}

struct bare_uart uart_16550 = {.put = put, .get = get, .listen = listen, .receive = receive};
