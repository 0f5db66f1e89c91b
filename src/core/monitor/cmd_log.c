// SPDX-License-Identifier: MIT
//
// Commands that look back: dmesg, trace, counters.
#include "commands.h"

#include "kern/counter.h"
#include "kern/log.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/trace_hash.h"

static int32_t dmesg_option(struct monitor_session *session, uint32_t argc, char **argv)
{
	uint32_t level = 0;
	if (argc == 2 && str_equal(argv[1], "-c")) {
		log_clear();
		return 0;
	}
	if (argc != 3 || !str_equal(argv[1], "-n") || str_to_u32(argv[2], 10, &level) != 0 || level >= LOG_LEVEL_COUNT)
		return monitor_usage(session, argv[0]);
	log_set_console_level((enum log_level)level);
	return 0;
}

static int32_t run_dmesg(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct ring_cursor cursor;
	struct log_record record;
	char line[LOG_LINE_SIZE];

	if (argc > 1)
		return dmesg_option(session, argc, argv);
	log_cursor_init(&cursor);
	while (log_cursor_next(&cursor, &record)) {
		log_format(&record, line, sizeof line);
		monitor_printf(session, "%s\n", line);
	}
	if (log_lost() != 0)
		monitor_printf(session, "(%u lines were lost)\n", log_lost());
	return 0;
}

const struct monitor_command monitor_cmd_dmesg = {
	"dmesg", "[-c | -n LEVEL]", "the kernel log; -c clear, -n lines up to LEVEL (0 to 7) go to the console",
	run_dmesg, NULL};

static int32_t trace_dump(struct monitor_session *session, bool json)
{
	struct trace_cursor *cursor = kmalloc(sizeof *cursor, 0);
	struct trace_record record;
	char line[TRACE_LINE_SIZE];

	if (cursor == NULL) {
		monitor_error(session, "trace: out of memory\n");
		return 1;
	}
	trace_cursor_init(cursor);
	while (trace_cursor_next(cursor, &record) && !monitor_interrupted(session)) {
		if (json)
			trace_format_json(&record, line, sizeof line);
		else
			trace_format(&record, line, sizeof line);
		monitor_printf(session, "%s\n", line);
	}
	kfree(cursor);
	if (trace_lost() != 0 && !json)
		monitor_printf(session, "(%u events were lost)\n", trace_lost());
	return 0;
}

static int32_t trace_list(struct monitor_session *session)
{
	for (uint32_t i = 0; i < TRACE_EVENT_COUNT; i++)
		monitor_printf(session, "%-3s %s\n", trace_is_ringed((enum trace_event)i) ? "on" : "off",
			       trace_event_name(i));
	return 0;
}

void monitor_hash_show(struct monitor_session *session, const struct trace_hash *hash)
{
	monitor_printf(session, "event hash %016llx over %u events\n", (unsigned long long)hash->hash, hash->events);
}

static int32_t trace_hash_run(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool print = argc > 0 && str_equal(argv[0], "--print");
	struct trace_hash hash;

	if (argc == (print ? 1 : 0))
		return monitor_usage(session, "trace");
	sleep_ns(NS_PER_MS); // whoever was ready has run
	err_t err = trace_hash_begin(&hash, print);
	if (err != 0) {
		monitor_printf(session, "trace: hash: %s\n",
			       err == -EINVAL ? "events of several CPUs have no order; boot with one" : err_text(err));
		return 1;
	}
	int32_t status = monitor_run_words(session, argc - print, argv + print);
	trace_hash_end(&hash);
	monitor_hash_show(session, &hash);
	return status;
}

static int32_t run_trace(struct monitor_session *session, uint32_t argc, char **argv)
{
	if (argc == 1 || (argc == 2 && str_equal(argv[1], "-j")))
		return trace_dump(session, argc == 2);
	if (argc == 2 && str_equal(argv[1], "list"))
		return trace_list(session);
	if (argc == 2 && str_equal(argv[1], "clear")) {
		trace_clear();
		return 0;
	}
	if (argc > 1 && str_equal(argv[1], "hash"))
		return trace_hash_run(session, argc - 2, argv + 2);
	if (argc != 3 || (!str_equal(argv[1], "on") && !str_equal(argv[1], "off")))
		return monitor_usage(session, argv[0]);
	err_t err = trace_enable(argv[2], str_equal(argv[1], "on"));
	if (err != 0)
		monitor_error(session, "trace: %s: no such event; 'trace list' names them\n", argv[2]);
	return err != 0;
}

static const char *complete_trace(uint32_t index, const char *prefix, uint32_t n)
{
	static const char *const words[] = {"list", "clear", "on", "off", "hash"};
	uint32_t count = index == 1 ? array_count(words) : index == 2 ? TRACE_EVENT_COUNT : 0;
	for (uint32_t i = 0; i < count; i++) {
		const char *word = index == 1 ? words[i] : trace_event_name(i);
		if (str_has_prefix(word, prefix) && n-- == 0)
			return word;
	}
	return NULL;
}

const struct monitor_command monitor_cmd_trace = {
	"trace", "[-j | list | clear | on PATTERN | off PATTERN | hash [--print] COMMAND]",
	"show recorded events, choose which are recorded, or hash those of a command", run_trace, complete_trace};

static int32_t run_counters(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool json = argc == 2 && str_equal(argv[1], "-j");
	if (argc > 2 || (argc == 2 && !json))
		return monitor_usage(session, argv[0]);
	for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
		unsigned long long value = counter_read((enum counter_id)i);
		if (json)
			monitor_printf(session, "%s\"%s\": %llu", i == 0 ? "{" : ", ", counter_name((enum counter_id)i),
				       value);
		else
			monitor_printf(session, "%-20s %12llu  %s\n", counter_name((enum counter_id)i), value,
				       counter_help((enum counter_id)i));
	}
	monitor_printf(session, "%s", json ? "}\n" : "");
	return 0;
}

const struct monitor_command monitor_cmd_counters = {"counters", "[-j]", "counters of every subsystem", run_counters,
						     NULL};
