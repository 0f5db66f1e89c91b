// SPDX-License-Identifier: MIT
//
// The drill of small machines, whose monitor has no room for it: "SEED:ROUNDS+SEED:ROUNDS…" runs it that often and prints the
// hash of each; a "!" behind a pair prints its events, too. The same on the board and in the simulator.
#include "core/monitor/drill.h"

#include "hal/console.h"
#include "kern/fmt.h"
#include "kern/string.h"

int64_t tb_test_main(void *text);

static uint32_t number(const char **at)
{
	uint32_t value = 0;
	while (**at >= '0' && **at <= '9')
		value = value * 10 + (uint32_t)(*(*at)++ - '0');
	return value;
}

static bool options_read(const char **at, struct drill_options *options)
{
	options->seed = number(at);
	if (*(*at)++ != ':')
		return false;
	options->rounds = number(at);
	options->print = **at == '!';
	*at += options->print;
	return options->rounds >= 1 && options->rounds <= DRILL_ROUNDS_MAX;
}

static void print(const char *line)
{
	hal_console_write(line, strlen(line));
}

int64_t tb_test_main(void *text)
{
	const char *at = text;
	char line[80];

	for (;;) {
		struct drill_options options;
		struct trace_hash hash;
		if (!options_read(&at, &options)) {
			print("drill: not SEED:ROUNDS[!]+...\n");
			return 2;
		}
		err_t err = drill_run(&options, NULL, NULL, &hash);
		if (err != 0) {
			ksnprintf(line, sizeof line, "drill: %s\n", err_text(err));
			print(line);
			return 1;
		}
		ksnprintf(line, sizeof line, "event hash %016llx over %u events\n", (unsigned long long)hash.hash,
			  hash.events);
		print(line);
		if (*at == '\0')
			return 0;
		if (*at++ != '+')
			return 2;
	}
}
