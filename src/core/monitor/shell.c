// SPDX-License-Identifier: MIT
//
// Running one line of the monitor. The exit status is that of the last command, of a pipe its last one's.
#include "monitor_impl.h"

#include "kern/console.h"
#include "kern/counter.h"
#include "kern/image.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/trace.h"

int32_t monitor_run_words(struct monitor_session *session, uint32_t argc, char **argv)
{
	const struct monitor_command *command = monitor_find(argv[0]);
	if (command == NULL) {
		monitor_error(session, "%s: no such command; 'help' lists them\n", argv[0]);
		return STATUS_UNKNOWN;
	}
	preempt_disable();
	counter_inc(COUNTER_MONITOR_COMMANDS);
	preempt_enable();
	int32_t status = command->run(session, argc, argv) & 0xff;
	trace_emit(TRACE_MONITOR_COMMAND, image_offset(command->name), (uint64_t)status);
	return status;
}

// ---- pipelines -----------------------------------------------------------------------------------------------------------

// One command with its own input and output; both are closed when it ends.
struct runner {
	struct monitor_session session;
	const struct monitor_stage *stage;
	struct thread *thread; // NULL: the line's own
	int32_t status;
};

static err_t stream_open(struct runner *runner, const char *path, uint32_t how, struct monitor_stream **stream)
{
	monitor_open_fn *open = kernel_self()->monitor_open;
	err_t err = open != NULL ? open(path, how, stream) : ERR(ENOSYS);
	if (err != 0)
		monitor_error(&runner->session, "monitor: %s: %s\n", path, err_text(err));
	return err;
}

static void stream_close(struct runner *runner, struct monitor_stream **stream, const char *path)
{
	if (*stream == NULL)
		return;
	err_t err = (*stream)->ops->close(*stream);
	*stream = NULL;
	if (err == 0 && path != NULL)
		err = runner->session.output_err;
	if (err == 0)
		return;
	monitor_error(&runner->session, "monitor: %s: %s\n", path != NULL ? path : "input", err_text(err));
	runner->status = 1;
}

static void runner_run(struct runner *runner)
{
	const struct monitor_stage *stage = runner->stage;
	struct monitor_session *session = &runner->session;
	err_t err = 0;

	if (stage->input != NULL)
		err = stream_open(runner, stage->input, MONITOR_READ, &session->input);
	if (err == 0 && stage->output != NULL)
		err = stream_open(runner, stage->output, stage->append ? MONITOR_APPEND : MONITOR_WRITE,
				  &session->output);
	runner->status = err == 0 ? monitor_run_words(session, stage->argc, stage->argv) : 1;
	stream_close(runner, &session->input, NULL);
	stream_close(runner, &session->output, stage->output);
}

static void runner_main(void *arg)
{
	struct runner *runner = arg;

	process_set_of_thread(runner->session.process);
	runner_run(runner);
	process_set_of_thread(NULL);
}

// A command that cannot be started gives its ends back, so that its neighbours see an end.
static void runner_start(struct runner *runner)
{
	struct thread_params params = {.name = "pipe", .klass = CLASS_FAIR};
	err_t err = thread_start(&params, runner_main, runner, &runner->thread);

	if (err == 0)
		return;
	runner->thread = NULL;
	monitor_error(&runner->session, "monitor: %s: %s\n", runner->stage->argv[0], err_text(err));
	stream_close(runner, &runner->session.input, NULL);
	stream_close(runner, &runner->session.output, NULL);
}

static err_t pipes_make(struct runner *runners, uint32_t count)
{
	err_t err = 0;
	for (uint32_t i = 0; err == 0 && i + 1 < count; i++)
		err = pipe_make(&runners[i + 1].session.input, &runners[i].session.output);
	return err;
}

static int32_t pipeline_run(struct monitor_session *session, const struct monitor_parse *parse)
{
	struct runner *runners = kmalloc_array(parse->stage_count, sizeof *runners, MEM_ZERO);
	uint32_t last = parse->stage_count - 1;

	if (runners == NULL) {
		monitor_error(session, "monitor: %s\n", err_text(-ENOMEM));
		return 1;
	}
	for (uint32_t i = 0; i <= last; i++) {
		runners[i].session = *session;
		runners[i].stage = &parse->stages[i];
	}
	err_t err = pipes_make(runners, parse->stage_count);
	for (uint32_t i = 0; err == 0 && i < last; i++)
		runner_start(&runners[i]);
	if (err == 0) {
		runner_run(&runners[last]);
	} else {
		monitor_error(session, "monitor: %s\n", err_text(err));
		runners[last].status = 1;
	}
	for (uint32_t i = 0; i <= last; i++) {
		if (runners[i].thread != NULL) {
			err_t joined = thread_join(runners[i].thread, NULL);
			VERIFY(joined == 0);
		} else if (err != 0) {
			stream_close(&runners[i], &runners[i].session.input, NULL);
			stream_close(&runners[i], &runners[i].session.output, NULL);
		}
	}
	int32_t status = runners[last].status;
	kfree(runners);
	return status;
}

// The usual line: one command, to where everything goes.
static bool is_plain(const struct monitor_parse *parse)
{
	return parse->stage_count == 1 && parse->stages[0].input == NULL && parse->stages[0].output == NULL;
}

int32_t monitor_run_inner(struct monitor_session *session, char *line)
{
	struct monitor_parse parse = {.at = line};
	int32_t status = 0;

	while (parse.error == NULL && monitor_parse(&parse)) {
		if (parse.error != NULL) {
			monitor_error(session, "monitor: %s\n", parse.error);
			status = STATUS_USAGE;
		} else if (is_plain(&parse)) {
			status = monitor_run_words(session, parse.stages[0].argc, parse.stages[0].argv);
		} else {
			status = pipeline_run(session, &parse);
		}
		if (monitor_interrupted(session))
			return STATUS_INTERRUPTED;
	}
	return status;
}

int32_t monitor_run(struct monitor_session *session, char *line)
{
	if (session->interrupted != NULL)
		atomic_store_u32_release(session->interrupted, 0);
	if (session->console)
		console_watch_interrupt(true);
	int32_t status = monitor_run_inner(session, line);
	if (session->console)
		console_watch_interrupt(false);
	return status;
}

int32_t monitor_usage(struct monitor_session *session, const char *name)
{
	const struct monitor_command *command = monitor_find(name);
	monitor_error(session, "usage: %s %s\n", name, command->usage);
	return STATUS_USAGE;
}

int32_t monitor_run_line(const char *line, size_t size_bytes)
{
	struct monitor_session session = {0};
	if (size_bytes > MONITOR_LINE_MAX)
		return STATUS_USAGE;
	char *copy = kmalloc(size_bytes + 1, 0);
	if (copy == NULL)
		return STATUS_USAGE;
	memcpy(copy, line, size_bytes);
	copy[size_bytes] = '\0';
	int32_t status = monitor_run(&session, copy);
	kfree(copy);
	return status;
}
