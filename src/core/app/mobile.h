// SPDX-License-Identifier: MIT
//
// mobile_64k inside: applications as threads that serve requests, letters on the display.
#ifndef MOBILE_H
#define MOBILE_H

#include "app_impl.h"

// ---- applications ----------------------------------------------------------------------------------------------------

enum request_kind {
	REQUEST_LINE, // a command from the serial line
	REQUEST_KEY,  // a key, while the application is on the display
	REQUEST_SHOW  // draw yourself
};

struct request {
	enum request_kind kind;
	struct monitor_session *session; // LINE
	uint32_t argc;                   // LINE
	char **argv;                     // LINE
	uint32_t key;                    // KEY: one bit of enum hal_key
	int32_t status;                  // answer: exit status; KEY: 1 when the application gives the display back
	struct completion done;
};

// An application: its functions run in its own thread and are the only ones that touch its state.
struct app {
	const char *name;
	int32_t (*line)(struct app *app, const struct request *request);
	bool (*key)(struct app *app, uint32_t key); // false: back to the menu
	void (*show)(struct app *app);
	void (*tick)(struct app *app); // when next_ns has come; sets the next one
	uint64_t next_ns;              // TB_FOREVER: no tick
	struct mutex turn;             // one request at a time
	struct semaphore arrived;
	struct request *request;
	struct thread *thread;
};

err_t app_start(struct app *app) must_check;
int32_t app_ask(struct app *app, struct request *request); // thread context; the answer's status

// ---- letters: 6 by 8 pixels, or twice as large; columns and rows count letters of the small size --------------------------

#define TEXT_COLUMNS 21u
#define TEXT_ROWS 8u
#define TEXT_BRIGHT 15u
#define TEXT_DIM 5u

void text_clear(void);
// Pads with blanks to `width` letters; what is longer is cut. One caller at a time: the display is its owner's (panel.c).
void text_put(uint32_t column, uint32_t row, uint32_t width, uint32_t level, const char *text);
void text_put_inverse(uint32_t column, uint32_t row, uint32_t width, const char *text);
void text_put_large(uint32_t column, uint32_t row, const char *text); // two rows

extern const uint8_t font[95][5]; // ASCII 32 … 126, columns, least significant bit on top

// ---- the three -------------------------------------------------------------------------------------------------------

#define NOTES_MAX 12u
#define KEYPAD_TEXT_SIZE 20u

struct notes {
	struct app app; // must be first
	char *texts[NOTES_MAX];
	uint32_t count;
	uint32_t first_shown;
};

struct calculator {
	struct app app; // must be first
	struct calc calc;
	char entry[KEYPAD_TEXT_SIZE];
	char result[DECIMAL_TEXT_SIZE];
	uint8_t key_column, key_row;
};

struct clock {
	struct app app;       // must be first
	uint64_t midnight_ns; // monotonic time of a midnight, modulo a day
	uint64_t alarm_ns;    // TB_FOREVER: none
	bool on_display;
	bool ringing;
};

struct mobile {
	struct monitor_state state; // must be first
	struct notes notes;
	struct calculator calculator;
	struct clock clock;
	struct waitq keys; // the panel waits for key interrupts
	uint32_t keys_seen;
	struct mutex screen; // whoever draws
	struct app *front;   // under screen; NULL: the menu
	uint32_t menu;
};

static inline struct mobile *mobile(void)
{
	return (struct mobile *)app_state();
}

void notes_setup(struct notes *notes);
void calculator_setup(struct calculator *calculator);
void clock_setup(struct clock *clock);
err_t panel_start(void) must_check; // the thread behind keys and display; none without a display

extern const struct monitor_command command_replay;

#endif
