// SPDX-License-Identifier: MIT
//
// drill: the workload of drill.h and the hash of its events.
#include "commands.h"
#include "drill.h"

#include "kern/string.h"

static bool drill_words(uint32_t argc, char **argv, struct drill_options *options)
{
	for (uint32_t i = 1; i < argc; i++) {
		uint32_t number = 0;
		if (str_equal(argv[i], "--print")) {
			options->print = true;
			continue;
		}
		if (i + 1 >= argc || str_to_u32(argv[i + 1], 10, &number) != 0)
			return false;
		if (str_equal(argv[i], "--seed"))
			options->seed = number;
		else if (str_equal(argv[i], "--rounds") && number > 0 && number <= DRILL_ROUNDS_MAX)
			options->rounds = number;
		else
			return false;
		i++;
	}
	return true;
}

static bool session_interrupted(void *session)
{
	return monitor_interrupted(session);
}

static int32_t run_drill(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct drill_options options = {.rounds = 20, .seed = 1};
	struct trace_hash hash;

	if (!drill_words(argc, argv, &options))
		return monitor_usage(session, argv[0]);
	err_t err = drill_run(&options, session_interrupted, session, &hash);
	if (err != 0) {
		monitor_printf(session, "drill: %s\n", err_text(err));
		return 1;
	}
	monitor_printf(session, "drill: %u threads, %u rounds, seed %llu: ", DRILL_THREADS, options.rounds,
		       (unsigned long long)options.seed);
	if (hash.events != 0)
		monitor_hash_show(session, &hash);
	else
		monitor_printf(session, "no event hash, for that needs one CPU and no other hash under way\n");
	return 0;
}

const struct monitor_command monitor_cmd_drill = {
	"drill", "[--seed N] [--rounds N] [--print]",
	"a workload that follows from its seed, and the hash of its events (--print: each of them)", run_drill, NULL};
