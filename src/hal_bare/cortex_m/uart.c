// SPDX-License-Identifier: MIT
//
// The console: UART 0, a PL011, 115200 8N1. Both ways go through a small ring and interrupts. A full receive ring masks its interrupt,
// so that bytes wait in the UART; a full send ring is helped along by the writer. Once the machine is failing, writes poll.
#include "cortex_impl.h"

#define UART_DR REG(UART0_BASE + 0x00)
#define UART_FR REG(UART0_BASE + 0x18)
#define UART_IBRD REG(UART0_BASE + 0x24)
#define UART_FBRD REG(UART0_BASE + 0x28)
#define UART_LCRH REG(UART0_BASE + 0x2c)
#define UART_CTL REG(UART0_BASE + 0x30)
#define UART_IFLS REG(UART0_BASE + 0x34)
#define UART_IM REG(UART0_BASE + 0x38)
#define UART_ICR REG(UART0_BASE + 0x44)
#define FR_TX_FULL (1u << 5)
#define FR_RX_EMPTY (1u << 4)
#define FR_BUSY (1u << 3)
#define INT_RX (1u << 4 | 1u << 6) // level, and bytes that have waited
#define INT_TX (1u << 5)
#define PORT_A_AFSEL REG(0x40004420)
#define PORT_A_DEN REG(0x4000451c)

#define RING_SIZE (CONFIG_FRAME_SHIFT < 10 ? 32u : 256u) // a power of two

struct uart_ring {
	uint16_t head; // next to take
	uint16_t tail; // next to put
	uint8_t bytes[RING_SIZE];
};

static struct uart_ring received, sending;

static bool ring_is_full(const struct uart_ring *ring)
{
	return (uint16_t)(ring->tail - ring->head) == RING_SIZE;
}

static void ring_put(struct uart_ring *ring, uint8_t byte)
{
	ring->bytes[ring->tail % RING_SIZE] = byte;
	ring->tail++;
}

void uart_start(void)
{
	PORT_A_AFSEL |= 3;
	PORT_A_DEN |= 3;
	UART_CTL = 0;
	UART_IBRD = 27; // 50 MHz / (16 · 115200) = 27.127
	UART_FBRD = 8;
	UART_LCRH = 3u << 5 | 1u << 4;
	UART_IFLS = 0;
	UART_ICR = 0x7ff;
	UART_IM = INT_RX;
	UART_CTL = 1u << 9 | 1u << 8 | 1u;
	NVIC_ISER(0) = 1u << UART0_IRQ;
}

// Moves what is to be sent into the UART, as far as it takes it.
static void send_some(void)
{
	while (sending.head != sending.tail && (UART_FR & FR_TX_FULL) == 0) {
		UART_DR = sending.bytes[sending.head % RING_SIZE];
		sending.head++;
	}
	if (sending.head == sending.tail)
		UART_IM &= ~INT_TX;
	else
		UART_IM |= INT_TX;
}

static void receive_some(void)
{
	while (!ring_is_full(&received) && (UART_FR & FR_RX_EMPTY) == 0)
		ring_put(&received, (uint8_t)UART_DR);
	if (ring_is_full(&received))
		UART_IM &= ~INT_RX;
}

void cortex_uart(void)
{
	UART_ICR = INT_RX | INT_TX;
	cortex.entropy = cortex.entropy * 0x9e3779b1u ^ cortex.clock_seen;
	send_some();
	receive_some();
	cortex_raise(HAL_IRQ_CONSOLE);
}

static void poll_byte(uint8_t byte)
{
	while ((UART_FR & FR_TX_FULL) != 0)
		;
	UART_DR = byte;
}

void hal_console_write(const char *bytes, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		uint32_t was = cortex_lock();
		if (cortex.state == CORTEX_FAILING) {
			poll_byte((uint8_t)bytes[i]);
		} else {
			while (ring_is_full(&sending))
				send_some();
			ring_put(&sending, (uint8_t)bytes[i]);
			send_some();
		}
		cortex_unlock(was);
	}
}

size_t hal_console_read(char *bytes, size_t size_bytes, bool *end)
{
	size_t count = 0;
	uint32_t was = cortex_lock();

	while (count < size_bytes && received.head != received.tail)
		bytes[count++] = (char)received.bytes[received.head++ % RING_SIZE];
	receive_some();
	if (!ring_is_full(&received))
		UART_IM |= INT_RX;
	cortex_unlock(was);
	*end = false;
	return count;
}

void hal_console_wait(bool waits)
{
	(void)waits;
}

struct hal_window hal_console_window(void)
{
	return (struct hal_window){.columns = 80, .rows = 24};
}

void uart_drain(void)
{
	uint32_t was = cortex_lock();
	while (sending.head != sending.tail)
		send_some();
	while ((UART_FR & FR_BUSY) != 0)
		;
	cortex_unlock(was);
}

void uart_puts(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			hal_console_write("\r", 1);
		hal_console_write(text, 1);
	}
}

void uart_put_hex(uint32_t value)
{
	for (int32_t shift = 28; shift >= 0; shift -= 4)
		hal_console_write(&"0123456789abcdef"[value >> shift & 15], 1);
}
