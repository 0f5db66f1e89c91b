// SPDX-License-Identifier: MIT
//
// The LM3S811 board's display: SSD0303 (96 by 16, one bit) behind I2C 0, address 0x3d. Its memory is organised as our pages are,
// so bytes go through unchanged.
#include "board.h"

#define I2C_MSA REG(I2C0_BASE + 0x000)
#define I2C_MCS REG(I2C0_BASE + 0x004)
#define I2C_MDR REG(I2C0_BASE + 0x008)
#define I2C_MTPR REG(I2C0_BASE + 0x00c)
#define I2C_MCR REG(I2C0_BASE + 0x020)
#define MCS_RUN 1u
#define MCS_START 2u
#define MCS_STOP 4u
#define MCS_BUSY 1u
#define PATIENCE 10000u

#define ADDRESS 0x3du
#define CONTROL_COMMAND 0x80u
#define CONTROL_DATA 0x40u
#define FIRST_COLUMN 36u // where the glass begins in the controller's 132 columns

// A display that does not answer is left alone: bytes go nowhere.
static void put(uint8_t byte, uint32_t how)
{
	I2C_MDR = byte;
	I2C_MCS = MCS_RUN | how;
	for (uint32_t i = 0; i < PATIENCE && (I2C_MCS & MCS_BUSY) != 0; i++)
		;
}

static void command(uint8_t byte)
{
	I2C_MSA = ADDRESS << 1;
	put(CONTROL_COMMAND, MCS_START);
	put(byte, MCS_STOP);
}

static void data(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count)
{
	uint32_t at = column + FIRST_COLUMN;
	command((uint8_t)(0xb0 | page));
	command((uint8_t)(at & 15));
	command((uint8_t)(0x10 | at >> 4));
	I2C_MSA = ADDRESS << 1;
	put(CONTROL_DATA, MCS_START);
	for (uint32_t i = 0; i < count; i++)
		put(bytes != NULL ? bytes[i] : 0, i + 1 == count ? MCS_STOP : 0);
}

void oled_i2c_start(void)
{
	REG(PORT_B + 0x420) |= 0x0c; // PB2, PB3
	REG(PORT_B + 0x50c) |= 0x0c; // open drain
	REG(PORT_B + 0x51c) |= 0x0c;
	I2C_MCR = 1u << 4;
	I2C_MTPR = 24; // 50 MHz / (20 · 25) = 100 kHz
	command(0xaf);
	data(0, 0, NULL, 96);
	data(0, 1, NULL, 96);
}

void oled_i2c_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level)
{
	(void)level;
	if (count != 0)
		data(column, page, bytes, count);
}
