// SPDX-License-Identifier: MIT
//
// The panel of a Linux process: it has none. Programs see that in hal_panel_get() and do without.
#include "host_impl.h"

#include "hal/panel.h"

void hal_panel_get(struct hal_panel *panel)
{
	*panel = (struct hal_panel){0};
}

void hal_panel_lamp(uint32_t lamp, bool on)
{
	(void)lamp;
	(void)on;
}

uint32_t hal_panel_keys(void)
{
	return 0;
}

void hal_panel_draw(uint32_t column, uint32_t page, const uint8_t *bytes, uint32_t count, uint32_t level)
{
	(void)column;
	(void)page;
	(void)bytes;
	(void)count;
	(void)level;
}
