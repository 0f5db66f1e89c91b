// SPDX-License-Identifier: MIT
//
// The clock: the time of day, from the machine's wall clock or set by hand, on the serial line and, large, on the display, where
// its own thread moves it on every second; and one alarm, which flashes the lamp until somebody looks.
#include "mobile.h"

#include "hal/clock.h"
#include "hal/panel.h"
#include "kern/fmt.h"
#include "kern/string.h"

#define NS_PER_S 1000000000ull
#define DAY_S 86400u
#define DAY_NS (DAY_S * NS_PER_S)
#define FLASH_NS 100000000u
#define ALARM_MAX_S 86400u
#define TIME_TEXT_SIZE 9u

static uint32_t seconds_of_day(const struct clock *clock)
{
	return (uint32_t)((clock_now_ns() + DAY_NS - clock->midnight_ns) % DAY_NS / NS_PER_S);
}

static void time_text(const struct clock *clock, char text[TIME_TEXT_SIZE])
{
	uint32_t s = seconds_of_day(clock);
	ksnprintf(text, TIME_TEXT_SIZE, "%02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
}

// HH:MM or HH:MM:SS. False: no time.
static bool time_read(const char *text, uint32_t *seconds)
{
	uint32_t part[3] = {0};
	uint32_t count = 0;

	for (; count < 3; count++) {
		if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
			return false;
		part[count] = (uint32_t)(text[0] - '0') * 10 + (uint32_t)(text[1] - '0');
		text += 2;
		if (*text != ':' || count == 2)
			break;
		text++;
	}
	*seconds = part[0] * 3600 + part[1] * 60 + part[2];
	return *text == '\0' && count >= 1 && part[0] < 24 && part[1] < 60 && part[2] < 60;
}

static void clock_set(struct clock *clock, uint32_t seconds)
{
	clock->midnight_ns = (clock_now_ns() % DAY_NS + DAY_NS - seconds * NS_PER_S) % DAY_NS;
}

static void clock_show(struct app *app)
{
	struct clock *clock = (struct clock *)app;
	char text[TIME_TEXT_SIZE];

	if (!clock->on_display) {
		text_put_inverse(0, 0, TEXT_COLUMNS, "Clock");
		for (uint32_t row = 1; row < TEXT_ROWS; row++)
			text_put(0, row, TEXT_COLUMNS, TEXT_BRIGHT, "");
	}
	clock->on_display = true;
	time_text(clock, text);
	text_put_large(2, 3, text);
	text_put(0, 6, TEXT_COLUMNS, TEXT_DIM,
		 clock->ringing                  ? "alarm!"
		 : clock->alarm_ns != TB_FOREVER ? "alarm set"
						 : "");
}

// What comes first: the next whole second on the display, a flash, the alarm.
static void clock_plan(struct clock *clock)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t next_ns = clock->ringing ? now_ns + FLASH_NS : clock->alarm_ns;
	if (clock->on_display) {
		uint64_t into_ns = (now_ns + DAY_NS - clock->midnight_ns) % NS_PER_S;
		next_ns = MIN(next_ns, now_ns + NS_PER_S - into_ns);
	}
	clock->app.next_ns = next_ns;
}

static void clock_tick(struct app *app)
{
	struct clock *clock = (struct clock *)app;

	if (clock_now_ns() >= clock->alarm_ns) {
		clock->ringing = true;
		clock->alarm_ns = TB_FOREVER;
	}
	if (clock->ringing)
		hal_panel_lamp(0, clock_now_ns() / FLASH_NS % 2 == 0);
	mutex_lock(&mobile()->screen);
	if (clock->on_display && mobile()->front == app)
		clock_show(app);
	mutex_unlock(&mobile()->screen);
	clock_plan(clock);
}

static void alarm_silence(struct clock *clock)
{
	if (clock->ringing)
		hal_panel_lamp(0, false);
	clock->ringing = false;
}

static int32_t clock_command(struct clock *clock, const struct request *request)
{
	const char *verb = request->argc > 1 ? request->argv[1] : "";
	uint32_t seconds;
	char text[TIME_TEXT_SIZE];

	if (request->argc == 3 && str_equal(verb, "set")) {
		if (!time_read(request->argv[2], &seconds)) {
			monitor_printf(request->session, "error: no time: HH:MM or HH:MM:SS\n");
			return 1;
		}
		clock_set(clock, seconds);
	} else if (request->argc == 3 && str_equal(verb, "alarm")) {
		if (str_to_u32(request->argv[2], 10, &seconds) != 0 || seconds == 0 || seconds > ALARM_MAX_S) {
			monitor_printf(request->session, "error: an alarm is 1 to %u seconds away\n", ALARM_MAX_S);
			return 1;
		}
		clock->alarm_ns = clock_now_ns() + seconds * NS_PER_S;
	} else if (request->argc != 1) {
		return 2;
	}
	time_text(clock, text);
	monitor_printf(request->session, "%s%s\n", text,
		       clock->ringing                  ? " alarm!"
		       : clock->alarm_ns != TB_FOREVER ? " alarm set"
						       : "");
	alarm_silence(clock);
	return 0;
}

static int32_t clock_line(struct app *app, const struct request *request)
{
	int32_t status = clock_command((struct clock *)app, request);
	clock_plan((struct clock *)app);
	return status;
}

static void clock_front(struct app *app)
{
	struct clock *clock = (struct clock *)app;
	clock->on_display = false;
	clock_show(app);
	clock_plan(clock);
}

static bool clock_key(struct app *app, uint32_t key)
{
	struct clock *clock = (struct clock *)app;

	alarm_silence(clock);
	clock->on_display = key != HAL_KEY_LEFT;
	if (clock->on_display)
		clock_show(app);
	clock_plan(clock);
	return clock->on_display;
}

void clock_setup(struct clock *clock)
{
	clock->app = (struct app){.name = "clock",
				  .line = clock_line,
				  .key = clock_key,
				  .show = clock_front,
				  .tick = clock_tick,
				  .next_ns = TB_FOREVER};
	clock->alarm_ns = TB_FOREVER;
	clock_set(clock, (uint32_t)(hal_clock_wall_ns() / NS_PER_S % DAY_S));
}
