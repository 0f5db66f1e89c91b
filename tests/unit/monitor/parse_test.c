// SPDX-License-Identifier: MIT
//
// Lines of the monitor: how they are cut into pipelines, and what pipelines do: order, bounded memory, ends on both sides, statuses.
#include "../../../src/core/monitor/monitor_impl.h"

#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"

static void stage_show(struct fmt_buffer *out, const struct monitor_stage *stage)
{
	for (uint32_t i = 0; i < stage->argc; i++)
		fmt_append(out, "(%s)", stage->argv[i]);
	if (stage->argv[stage->argc] != NULL)
		fmt_append(out, "NOT ENDED");
	if (stage->input != NULL)
		fmt_append(out, "<%s", stage->input);
	if (stage->output != NULL)
		fmt_append(out, "%s%s", stage->append ? ">>" : ">", stage->output);
}

// "(a)(b)|(c)>f;(d)", or what is wrong.
static void line_show(const char *line, char *text, size_t size_bytes)
{
	char copy[256];
	struct fmt_buffer out;
	struct monitor_parse parse = {.at = copy};
	bool first = true;

	strlcpy(copy, line, sizeof copy);
	fmt_init(&out, text, size_bytes);
	while (parse.error == NULL && monitor_parse(&parse)) {
		fmt_append(&out, "%s", first ? "" : ";");
		first = false;
		if (parse.error != NULL) {
			fmt_append(&out, "!%s", parse.error);
			break;
		}
		for (uint32_t i = 0; i < parse.stage_count; i++) {
			fmt_append(&out, "%s", i > 0 ? "|" : "");
			stage_show(&out, &parse.stages[i]);
		}
	}
}

TEST(shell, lines_are_cut_as_they_are_written)
{
	static const struct {
		const char *line, *cut;
	} rows[] = {
		{"", ""},
		{" ; ;; # a", ""},
		{"a", "(a)"},
		{"a b;c", "(a)(b);(c)"},
		{"a 'b c' \"d'e\" f\\ g", "(a)(b c)(d'e)(f g)"},
		{"a ''", "(a)()"},
		{"a 'b;c|d>e'", "(a)(b;c|d>e)"},
		{"a b\\;c\\|d", "(a)(b;c|d)"},
		{"a#b # c", "(a#b)"},
		{"a|b", "(a)|(b)"},
		{"a | b x | c", "(a)|(b)(x)|(c)"},
		{"a>f", "(a)>f"},
		{"a > f x", "(a)(x)>f"},
		{"> f a", "(a)>f"},
		{"a>>f", "(a)>>f"},
		{"a >> f;b", "(a)>>f;(b)"},
		{"a<f>g", "(a)<f>g"},
		{"a <f|b >g; c", "(a)<f|(b)>g;(c)"},
		{"a > 'b c'", "(a)>b c"},
		{"a|b;c|d", "(a)|(b);(c)|(d)"},
		{"a 'b", "!a quote is not closed"},
		{"a |", "!a '|' without a command beside it"},
		{"| a", "!a '|' without a command beside it"},
		{"a || b", "!a '|' without a command beside it"},
		{"a |; b", "!a '|' without a command beside it"},
		{"a; > f", "(a);!a file's name without a command"},
		{"a >", "!no file's name behind '>'"},
		{"a > ; b", "!no file's name behind '>'"},
		{"a > > f", "!no file's name behind '>'"},
		{"a >>> f", "!no file's name behind '>'"},
		{"a < | b", "!no file's name behind '<'"},
		{"a >f >g", "!output that goes two ways"},
		{"a >f | b", "!output that goes two ways, to a file and a '|'"},
		{"a <f <g", "!input that comes from two places"},
		{"a | b <f", "!input that comes from two places"},
		{"a|b|c|d|e|f|g|h", "(a)|(b)|(c)|(d)|(e)|(f)|(g)|(h)"},
		{"a|b|c|d|e|f|g|h|i", "!too many commands in a pipe"},
	};
	char text[256];

	for (uint32_t i = 0; i < array_count(rows); i++) {
		line_show(rows[i].line, text, sizeof text);
		if (!str_equal(text, rows[i].cut))
			log_err("%s: %s, not %s", rows[i].line, text, rows[i].cut);
		CHECK(str_equal(text, rows[i].cut));
	}
}

TEST(shell, sixty_four_words)
{
	char line[160] = "";
	char text[256];

	for (uint32_t i = 0; i < MONITOR_ARGS_MAX; i++)
		strlcat(line, i % 9 == 8 ? "|a " : "a ", sizeof line);
	line_show(line, text, sizeof text);
	CHECK(text[0] == '(');
	strlcat(line, "a", sizeof line);
	line_show(line, text, sizeof text);
	CHECK(str_equal(text, "!too many words"));
}

static int32_t run(const char *line)
{
	return monitor_run_line(line, strlen(line));
}

TEST(shell, statuses_of_pipes)
{
	CHECK_EQ(run("echo a | nosuch"), 127);
	CHECK_EQ(run("nosuch | echo a"), 0);
	CHECK_EQ(run("poweroff 3 5 | help | help x"), 1);
	CHECK_EQ(run("echo |"), 2);
	CHECK_EQ(run("echo a > "), 2);
}

struct flow {
	struct test_run *run;
	struct monitor_stream *in;
	uint64_t sum, count;
};

static void flow_main(void *arg)
{
	struct flow *flow = arg;
	struct test_run *test_run_ = flow->run;
	uint8_t bytes[777];
	size_t done = 1;

	while (done > 0) {
		err_t err = flow->in->ops->read(flow->in, bytes, sizeof bytes, &done);
		CHECK_EQ(err, 0);
		for (size_t i = 0; i < done; i++)
			flow->sum += (uint64_t)bytes[i] * (flow->count++ % 251 + 1);
	}
	CHECK_EQ(flow->in->ops->close(flow->in), 0);
}

#define FLOW_BYTES 300000u

TEST(shell, a_pipe_carries_every_byte_in_order)
{
	struct monitor_stream *out;
	struct flow flow = {.run = test_run_};
	struct thread *reader;
	uint64_t sum = 0;
	uint8_t bytes[1000];

	REQUIRE(pipe_make(&flow.in, &out) == 0);
	REQUIRE(thread_start(NULL, flow_main, &flow, &reader) == 0);
	for (uint32_t at = 0; at < FLOW_BYTES; at += sizeof bytes) {
		for (uint32_t i = 0; i < sizeof bytes; i++) {
			bytes[i] = (uint8_t)((at + i) * 7 >> 3);
			sum += (uint64_t)bytes[i] * ((at + i) % 251 + 1);
		}
		CHECK_EQ(out->ops->write(out, bytes, sizeof bytes), 0);
	}
	CHECK_EQ(out->ops->close(out), 0);
	CHECK_EQ(thread_join(reader, NULL), 0);
	CHECK_EQ(flow.count, FLOW_BYTES);
	CHECK_EQ(flow.sum, sum);
}

static void leave_main(void *arg)
{
	struct flow *flow = arg;
	struct test_run *test_run_ = flow->run;
	struct monitor_stream *in = flow->in;
	uint8_t byte;
	size_t done;

	CHECK_EQ(in->ops->read(in, &byte, 1, &done), 0);
	CHECK_EQ(done, 1);
	CHECK_EQ(in->ops->close(in), 0);
}

TEST(shell, a_writer_learns_that_nobody_reads)
{
	struct monitor_stream *out;
	struct flow flow = {.run = test_run_};
	struct thread *reader;
	uint8_t bytes[1000] = {0};
	err_t err = 0;

	REQUIRE(pipe_make(&flow.in, &out) == 0);
	REQUIRE(thread_start(NULL, leave_main, &flow, &reader) == 0);
	for (uint32_t i = 0; err == 0 && i < 1000; i++)
		err = out->ops->write(out, bytes, sizeof bytes);
	CHECK_EQ(err, -EPIPE);
	CHECK_EQ(out->ops->close(out), 0);
	CHECK_EQ(thread_join(reader, NULL), 0);
}
