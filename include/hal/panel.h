// SPDX-License-Identifier: MIT
//
// Core door: the front of a small machine: lamps, keys, a display of pages. A machine without any reports zeros, and the calls
// do nothing then. A page is 8 rows of pixels; a byte of it is one column, least significant bit on top, as small displays
// themselves are organised.
#ifndef HAL_PANEL_H
#define HAL_PANEL_H

#include "hal/inline.h"

enum hal_key {
	HAL_KEY_UP = 1u << 0,
	HAL_KEY_DOWN = 1u << 1,
	HAL_KEY_LEFT = 1u << 2,
	HAL_KEY_RIGHT = 1u << 3,
	HAL_KEY_SELECT = 1u << 4
};

struct hal_panel {
	uint32_t columns; // pixels across; 0: no display
	uint32_t pages;   // pages of 8 rows
	uint32_t lamps;
	uint32_t keys; // enum hal_key: those that exist
};

// What there is. irq-safe.
void hal_panel_get(struct hal_panel *panel);

// Switches lamp 0 … lamps-1. irq-safe.
void hal_panel_lamp(uint32_t lamp, bool on);

// Keys that are down now. HAL_IRQ_PANEL on CPU 0 follows each change. irq-safe.
uint32_t hal_panel_keys(void);

// Shows `count` bytes at column, page; what lies outside the display is left out. `level` 1 … 15 is the brightness of set pixels,
// where the display has several; clear ones are dark. Thread context, one caller at a time; may take a millisecond.
void hal_panel_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level);

#endif
