// SPDX-License-Identifier: MIT
//
// The PL011 (Arm DDI 0183). The firmware has set its clock and rate.
#include "../arch.h"

enum {
	REG_DR = 0x00,
	REG_FR = 0x18,
	REG_LCRH = 0x2c,
	REG_CR = 0x30,
	REG_IFLS = 0x34,
	REG_IMSC = 0x38,
	REG_ICR = 0x44
};

#define FR_RXFE 0x10u
#define FR_TXFF 0x20u
#define INT_RECEIVE 0x50u // received, and receive timeout
#define CR_ON 0x301u      // UART, transmit, receive
#define LCRH_8BIT_FIFO 0x70u
#define SPINS_MAX 1000000u

static volatile uint32_t *reg(const struct bare_uart *uart, uint32_t offset)
{
	return (volatile uint32_t *)(uart->base + offset);
}

static void put(struct bare_uart *uart, char byte)
{
	for (uint32_t i = 0; i < SPINS_MAX && (*reg(uart, REG_FR) & FR_TXFF) != 0; i++)
		arch_relax();
	*reg(uart, REG_DR) = (uint8_t)byte;
}

static int get(struct bare_uart *uart)
{
	if ((*reg(uart, REG_FR) & FR_RXFE) != 0)
		return -1;
	return (int)(*reg(uart, REG_DR) & 0xff);
}

static void receive(struct bare_uart *uart, bool on)
{
	*reg(uart, REG_IMSC) = on ? INT_RECEIVE : 0;
}

static void listen(struct bare_uart *uart)
{
	*reg(uart, REG_LCRH) = LCRH_8BIT_FIFO;
	*reg(uart, REG_CR) = CR_ON;
	*reg(uart, REG_IFLS) = 0;
	*reg(uart, REG_ICR) = 0x7ff;
	receive(uart, true);
}

struct bare_uart uart_pl011 = {.put = put, .get = get, .listen = listen, .receive = receive};
