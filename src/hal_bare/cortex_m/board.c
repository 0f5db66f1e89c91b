// SPDX-License-Identifier: MIT
//
// What differs between the boards: pins, and the display. The chip says which board it is (DID1, part number), so one image
// form serves both. Keys pull their pin to ground and interrupt on both edges.
#include "board.h"

#include <string.h>

#define SYSCTL_DID1 REG(SYSCTL_BASE + 0x004)
#define PART_LM3S6965 0x73u

#define GPIO_DATA(port, mask) REG((port) + 4 * (mask))
#define GPIO_DIR(port) REG((port) + 0x400)
#define GPIO_IBE(port) REG((port) + 0x408)
#define GPIO_IM(port) REG((port) + 0x410)
#define GPIO_ICR(port) REG((port) + 0x41c)
#define GPIO_PUR(port) REG((port) + 0x510)
#define GPIO_DEN(port) REG((port) + 0x51c)

static const struct board lm3s811evb = {
	.panel = {.columns = 96, .pages = 2, .lamps = 1, .keys = HAL_KEY_SELECT},
	.lamp = {PORT_C, 1u << 5},
	.keys = {{PORT_C, 1u << 4, HAL_KEY_SELECT}},
	.oled_start = oled_i2c_start,
	.oled_draw = oled_i2c_draw,
};

static const struct board lm3s6965evb = {
	.panel = {.columns = 128,
		  .pages = 8,
		  .lamps = 1,
		  .keys = HAL_KEY_UP | HAL_KEY_DOWN | HAL_KEY_LEFT | HAL_KEY_RIGHT | HAL_KEY_SELECT},
	.lamp = {PORT_F, 1u << 0},
	.keys = {{PORT_E, 1u << 0, HAL_KEY_UP},
		 {PORT_E, 1u << 1, HAL_KEY_DOWN},
		 {PORT_E, 1u << 2, HAL_KEY_LEFT},
		 {PORT_E, 1u << 3, HAL_KEY_RIGHT},
		 {PORT_F, 1u << 1, HAL_KEY_SELECT}},
	.oled_start = oled_ssi_start,
	.oled_draw = oled_ssi_draw,
};

static const struct board *board(void)
{
	return (SYSCTL_DID1 >> 16 & 0xff) == PART_LM3S6965 ? &lm3s6965evb : &lm3s811evb;
}

static uint32_t port_irq(uint32_t port)
{
	return port >= PORT_E ? (port == PORT_E ? 4 : 30) : (port - PORT_A) >> 12;
}

void board_start(void)
{
	const struct board *here = board();

	GPIO_DIR(here->lamp.port) |= here->lamp.mask;
	GPIO_DEN(here->lamp.port) |= here->lamp.mask;
	for (uint32_t i = 0; i < BOARD_KEYS && here->keys[i].key != 0; i++) {
		const struct board_key *key = &here->keys[i];
		GPIO_PUR(key->port) |= key->mask;
		GPIO_DEN(key->port) |= key->mask;
		GPIO_IBE(key->port) |= key->mask;
		GPIO_ICR(key->port) = key->mask;
		GPIO_IM(key->port) |= key->mask;
		NVIC_ISER(0) = 1u << port_irq(key->port);
	}
	here->oled_start();
}

void cortex_gpio(void)
{
	const struct board *here = board();
	for (uint32_t i = 0; i < BOARD_KEYS && here->keys[i].key != 0; i++)
		GPIO_ICR(here->keys[i].port) = here->keys[i].mask;
	cortex_raise(HAL_IRQ_PANEL);
}

void hal_panel_get(struct hal_panel *panel)
{
	*panel = board()->panel;
}

void hal_panel_lamp(uint32_t lamp, bool on)
{
	const struct board_pin *pin = &board()->lamp;
	if (lamp == 0)
		GPIO_DATA(pin->port, pin->mask) = on ? pin->mask : 0;
}

uint32_t hal_panel_keys(void)
{
	const struct board *here = board();
	uint32_t down = 0;
	for (uint32_t i = 0; i < BOARD_KEYS && here->keys[i].key != 0; i++)
		if (GPIO_DATA(here->keys[i].port, here->keys[i].mask) == 0)
			down |= here->keys[i].key;
	return down;
}

void hal_panel_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level)
{
	const struct board *here = board();
	if (page >= here->panel.pages || column >= here->panel.columns)
		return;
	uint32_t room = here->panel.columns - column;
	here->oled_draw(column, page, bytes, count < room ? count : room, level & 15);
}
