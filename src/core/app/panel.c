// SPDX-License-Identifier: MIT
//
// Keys and display: a menu of the applications, and whichever is in front. Keys go to it; when it gives the display back, the
// menu returns. A key counts when it goes down; one that was down from the start (held at power-on, or on a line that nobody
// drives until its first change, as QEMU's) counts when it first comes up.
#include "mobile.h"

#include "hal/panel.h"

#define MENU_COUNT 3u

static struct app *menu_app(struct mobile *mobile, uint32_t index)
{
	struct app *apps[MENU_COUNT] = {&mobile->calculator.app, &mobile->notes.app, &mobile->clock.app};
	return apps[index];
}

static void menu_show(const struct mobile *mobile)
{
	static const char *const names[MENU_COUNT] = {"Calculator", "Notes", "Clock"};

	text_clear();
	text_put_inverse(0, 0, TEXT_COLUMNS, "TBOS");
	for (uint32_t i = 0; i < MENU_COUNT; i++) {
		if (i == mobile->menu)
			text_put_inverse(1, 2 + i, 12, names[i]);
		else
			text_put(1, 2 + i, 12, TEXT_BRIGHT, names[i]);
	}
	text_put(0, 7, TEXT_COLUMNS, TEXT_DIM, "up down select left");
}

// The screen is the panel's while the application draws at its request: app_ask() returns when it has.
static void front_set(struct mobile *mobile, struct app *app)
{
	mutex_lock(&mobile->screen);
	mobile->front = app;
	mutex_unlock(&mobile->screen);
	if (app == NULL) {
		menu_show(mobile);
		return;
	}
	struct request request = {.kind = REQUEST_SHOW};
	(void)app_ask(app, &request);
}

static void menu_key(struct mobile *mobile, uint32_t key)
{
	if (key == HAL_KEY_SELECT || key == HAL_KEY_RIGHT) {
		front_set(mobile, menu_app(mobile, mobile->menu));
		return;
	}
	if (key == HAL_KEY_UP && mobile->menu > 0)
		mobile->menu--;
	if (key == HAL_KEY_DOWN && mobile->menu + 1 < MENU_COUNT)
		mobile->menu++;
	menu_show(mobile);
}

static void key_pressed(struct mobile *mobile, uint32_t key)
{
	if (mobile->front == NULL) {
		menu_key(mobile, key);
		return;
	}
	struct request request = {.kind = REQUEST_KEY, .key = key};
	if (app_ask(mobile->front, &request) != 0)
		front_set(mobile, NULL);
}

static void keys_interrupt(uint32_t bits)
{
	(void)bits;
	(void)waitq_wake_all(&mobile()->keys);
}

static void panel_main(void *arg)
{
	struct mobile *self = arg;

	uint32_t stuck = hal_panel_keys();
	self->keys_seen = stuck;
	menu_show(self);
	for (;;) {
		uint32_t down = 0;
		err_t err = waitq_wait_until(&self->keys, (down = hal_panel_keys()) != self->keys_seen, TB_FOREVER);
		uint32_t fresh = err == 0 ? (down & ~self->keys_seen) | (stuck & ~down) : 0;
		stuck &= down;
		self->keys_seen = down;
		for (uint32_t key = 1; key <= HAL_KEY_SELECT; key <<= 1)
			if ((fresh & key) != 0)
				key_pressed(self, key);
	}
}

err_t panel_start(void)
{
	const struct thread_params params = {.name = "panel", .klass = CLASS_FAIR, .nice = -5};
	struct hal_panel panel;

	hal_panel_get(&panel);
	if (panel.columns == 0)
		return 0;
	waitq_init(&mobile()->keys, "panel: keys");
	irq_handler_set(HAL_IRQ_PANEL, keys_interrupt);
	return thread_start(&params, panel_main, mobile(), NULL);
}
