// SPDX-License-Identifier: MIT
//
// The panel door of machines that have none.
#include "../bare_impl.h"

#include "hal/panel.h"

void hal_panel_get(struct hal_panel *panel)
{
	*panel = (struct hal_panel){.columns = 0};
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
