// SPDX-License-Identifier: MIT
//
// Letters on a display of pages. A letter is 5 columns and a blank one; twice as large, each pixel becomes four.
#include "mobile.h"

#include "hal/panel.h"
#include "kern/string.h"

#define CELL 6u

static const uint8_t *glyph_of(char c)
{
	return font[c >= ' ' && c <= '~' ? c - ' ' : '?' - ' '];
}

static void put(uint32_t column, uint32_t row, uint32_t width, uint32_t level, uint8_t flip, const char *text)
{
	uint8_t bytes[TEXT_COLUMNS * CELL];
	size_t length = strlen(text);

	width = MIN(width, TEXT_COLUMNS);
	for (uint32_t i = 0; i < width; i++) {
		const uint8_t *glyph = glyph_of(i < length ? text[i] : ' ');
		for (uint32_t x = 0; x < CELL; x++)
			bytes[i * CELL + x] = (x < 5 ? glyph[x] : 0) ^ flip;
	}
	hal_panel_draw(column * CELL, row, bytes, width * CELL, level);
}

void text_put(uint32_t column, uint32_t row, uint32_t width, uint32_t level, const char *text)
{
	put(column, row, width, level, 0, text);
}

void text_put_inverse(uint32_t column, uint32_t row, uint32_t width, const char *text)
{
	put(column, row, width, TEXT_BRIGHT, 0xff, text);
}

// Bits 0 … 3 (or 4 … 7) of a column, each twice.
static uint8_t stretch(uint8_t bits)
{
	uint8_t wide = 0;
	for (uint32_t i = 0; i < 4; i++)
		if ((bits >> i & 1) != 0)
			wide |= (uint8_t)(3u << 2 * i);
	return wide;
}

void text_put_large(uint32_t column, uint32_t row, const char *text)
{
	for (; *text != '\0'; text++, column += 2) {
		const uint8_t *glyph = glyph_of(*text);
		for (uint32_t half = 0; half < 2; half++) {
			uint8_t bytes[2 * CELL] = {0};
			for (uint32_t x = 0; x < 10; x++)
				bytes[x] = stretch((uint8_t)(glyph[x / 2] >> 4 * half & 15));
			hal_panel_draw(column * CELL, row + half, bytes, sizeof bytes, TEXT_BRIGHT);
		}
	}
}

void text_clear(void)
{
	for (uint32_t row = 0; row < TEXT_ROWS; row++)
		text_put(0, row, TEXT_COLUMNS, TEXT_BRIGHT, "");
}
