// SPDX-License-Identifier: MIT
//
// The row that describes a board, and the display drivers that rows name.
#ifndef BOARD_H
#define BOARD_H

#include "cortex_impl.h"

#define PORT_A 0x40004000u
#define PORT_B 0x40005000u
#define PORT_C 0x40006000u
#define PORT_D 0x40007000u
#define PORT_E 0x40024000u
#define PORT_F 0x40025000u
#define BOARD_KEYS 5

struct board_pin {
	uint32_t port, mask;
};

struct board_key {
	uint32_t port, mask, key;
};

struct board {
	struct hal_panel panel;
	struct board_pin lamp;
	struct board_key keys[BOARD_KEYS]; // up to the first without a key
	void (*oled_start)(void);
	void (*oled_draw)(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level);
};

// oled_ssi.c: SSD0323, 4-bit grey. oled_i2c.c: SSD0303, one bit.
void oled_ssi_start(void);
void oled_ssi_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level);
void oled_i2c_start(void);
void oled_i2c_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level);

#endif
