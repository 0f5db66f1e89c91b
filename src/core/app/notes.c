// SPDX-License-Identifier: MIT
//
// Notes: up to NOTES_MAX short texts from the heap, oldest first; added and deleted over the serial line, read on the display.
#include "mobile.h"

#include "hal/panel.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"

static int32_t note_add(struct notes *notes, struct monitor_session *session, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = notes->count < NOTES_MAX ? kmalloc(size, 0) : NULL;

	if (copy == NULL) {
		monitor_printf(session, "error: no room for another note\n");
		return 1;
	}
	memcpy(copy, text, size);
	notes->texts[notes->count++] = copy;
	monitor_printf(session, "note %u\n", notes->count);
	return 0;
}

static int32_t note_delete(struct notes *notes, struct monitor_session *session, const char *text)
{
	uint32_t number;

	if (str_to_u32(text, 10, &number) != 0 || number == 0 || number > notes->count) {
		monitor_printf(session, "error: there is no note %s\n", text);
		return 1;
	}
	kfree(notes->texts[number - 1]);
	for (notes->count--; number <= notes->count; number++)
		notes->texts[number - 1] = notes->texts[number];
	notes->first_shown = 0;
	return 0;
}

static int32_t notes_line(struct app *app, const struct request *request)
{
	struct notes *notes = (struct notes *)app;
	const char *verb = request->argc > 1 ? request->argv[1] : "list";

	if (str_equal(verb, "add") && request->argc == 3)
		return note_add(notes, request->session, request->argv[2]);
	if (str_equal(verb, "delete") && request->argc == 3)
		return note_delete(notes, request->session, request->argv[2]);
	if (!str_equal(verb, "list") || request->argc > 2)
		return 2;
	for (uint32_t i = 0; i < notes->count; i++) {
		monitor_printf(request->session, "%u: ", i + 1);
		monitor_write(request->session, notes->texts[i], strlen(notes->texts[i]));
		monitor_write(request->session, "\n", 1);
	}
	return 0;
}

static void notes_show(struct app *app)
{
	const struct notes *notes = (const struct notes *)app;
	char title[TEXT_COLUMNS + 1];

	ksnprintf(title, sizeof title, "Notes: %u", notes->count);
	text_put_inverse(0, 0, TEXT_COLUMNS, title);
	for (uint32_t row = 1; row < TEXT_ROWS; row++) {
		uint32_t index = notes->first_shown + row - 1;
		text_put(0, row, TEXT_COLUMNS, TEXT_BRIGHT, index < notes->count ? notes->texts[index] : "");
	}
}

static bool notes_key(struct app *app, uint32_t key)
{
	struct notes *notes = (struct notes *)app;

	if (key == HAL_KEY_LEFT)
		return false;
	if (key == HAL_KEY_UP && notes->first_shown > 0)
		notes->first_shown--;
	if (key == HAL_KEY_DOWN && notes->first_shown + 1 < notes->count)
		notes->first_shown++;
	notes_show(app);
	return true;
}

void notes_setup(struct notes *notes)
{
	notes->app = (struct app){
		.name = "notes", .line = notes_line, .key = notes_key, .show = notes_show, .next_ns = TB_FOREVER};
}
