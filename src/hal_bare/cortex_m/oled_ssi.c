// SPDX-License-Identifier: MIT
//
// The LM3S6965 board's display: SSD0323 behind SSI 0 (a PL022), selected by its frame signal; data/command is PC7. PD0 selects the memory
// card that shares the wires, low, and stays high. Each byte of its
// memory is two pixels of 4 bits, so a column byte of ours becomes 8 rows; a pair of columns makes the bytes of one rectangle.
#include "board.h"

#define SSI_CR0 REG(SSI0_BASE + 0x00)
#define SSI_CR1 REG(SSI0_BASE + 0x04)
#define SSI_DR REG(SSI0_BASE + 0x08)
#define SSI_SR REG(SSI0_BASE + 0x0c)
#define SSI_CPSR REG(SSI0_BASE + 0x10)
#define SR_TX_ROOM (1u << 1)
#define SR_RX_FULL (1u << 2)
#define SR_BUSY (1u << 4)
#define CR1_ENABLE (1u << 1)

#define NO_CARD (1u << 0) // PD0
#define IS_DATA (1u << 7) // PC7
#define PIN(port, mask) REG((port) + 4 * (mask))

// SSD0323 data sheet, command table.
#define CMD_COLUMNS 0x15 // first, last byte of a row
#define CMD_ROWS 0x75    // first, last
#define CMD_REMAP 0xa0
#define CMD_START_LINE 0xa1
#define CMD_NORMAL 0xa4
#define CMD_ON 0xaf
#define CMD_CONTRAST 0x81

static void ssi_send(uint8_t byte)
{
	while ((SSI_SR & SR_TX_ROOM) == 0)
		;
	SSI_DR = byte;
	while ((SSI_SR & SR_BUSY) != 0)
		;
	while ((SSI_SR & SR_RX_FULL) != 0)
		(void)SSI_DR;
	(void)SSI_DR;
}

static void send(bool data, const uint8_t *bytes, uint32_t count)
{
	PIN(PORT_C, IS_DATA) = data ? IS_DATA : 0;
	for (uint32_t i = 0; i < count; i++)
		ssi_send(bytes[i]);
}

static void window(uint32_t first_byte, uint32_t bytes, uint32_t row)
{
	const uint8_t commands[] = {CMD_COLUMNS, (uint8_t)first_byte, (uint8_t)(first_byte + bytes - 1),
				    CMD_ROWS,    (uint8_t)row,        (uint8_t)(row + 7)};
	send(false, commands, sizeof commands);
}

static void clear(void)
{
	static const uint8_t dark[64] = {0};
	for (uint32_t page = 0; page < 8; page++) {
		window(0, 64, 8 * page);
		for (uint32_t row = 0; row < 8; row++)
			send(true, dark, sizeof dark);
	}
}

void oled_ssi_start(void)
{
	static const uint8_t commands[] = {CMD_REMAP, 0x52, CMD_START_LINE, 0, CMD_CONTRAST, 0x60, CMD_NORMAL, CMD_ON};

	REG(PORT_A + 0x420) |= 0x2c; // PA2, PA3, PA5: clock, frame, out
	REG(PORT_A + 0x51c) |= 0x2c;
	REG(PORT_C + 0x400) |= IS_DATA;
	REG(PORT_C + 0x51c) |= IS_DATA;
	REG(PORT_D + 0x400) |= NO_CARD;
	REG(PORT_D + 0x51c) |= NO_CARD;
	PIN(PORT_D, NO_CARD) = NO_CARD;
	SSI_CR1 = 0;
	SSI_CPSR = 10;    // 50 MHz / 10 = 5 MHz
	SSI_CR0 = 0x00c7; // 8 bits, idle high, second edge
	SSI_CR1 = CR1_ENABLE;
	send(false, commands, sizeof commands);
	clear();
}

void oled_ssi_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level)
{
	uint32_t pairs = (column % 2 + count + 1) / 2;
	if (count == 0)
		return;
	window(column / 2, pairs, 8 * page);
	for (uint32_t row = 0; row < 8; row++) {
		for (uint32_t pair = 0; pair < pairs; pair++) {
			// A pixel outside the run, at its odd ends, is drawn dark.
			uint32_t at = 2 * pair - column % 2;
			uint32_t left = at < count && (bytes[at] >> row & 1) != 0 ? level : 0;
			uint32_t right = at + 1 < count && (bytes[at + 1] >> row & 1) != 0 ? level : 0;
			uint8_t both = (uint8_t)(left << 4 | right);
			send(true, &both, 1);
		}
	}
}
