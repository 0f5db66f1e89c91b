// SPDX-License-Identifier: MIT
//
// The command source: lines of a file, run one after the other as if they had been typed.
#include "commands.h"

#include "kern/component.h"
#include "kern/mem.h"
#include "kern/string.h"

#define DEPTH_MAX 8u // of files that source files
#define PIECE_BYTES 1024u

struct source {
	struct monitor_session *session;
	const char *path;
	bool stop_at_error;
	char *line; // LINE_EDIT_SIZE bytes
	uint32_t size;
	bool cut;
	uint32_t number;
	int32_t status;
};

static void line_end(struct source *source)
{
	source->number++;
	source->line[source->size] = '\0';
	if (source->cut) {
		monitor_error(source->session, "source: %s: line %u is longer than %u bytes\n", source->path,
			      source->number, LINE_EDIT_SIZE - 1);
		source->status = STATUS_USAGE;
	} else {
		source->status = monitor_run_inner(source->session, source->line);
		if (source->status != 0 && source->stop_at_error)
			monitor_error(source->session, "source: %s: line %u ended with status %d\n", source->path,
				      source->number, source->status);
	}
	source->size = 0;
	source->cut = false;
}

static bool ended(const struct source *source)
{
	return monitor_interrupted(source->session) || shutdown_requested() ||
	       (source->stop_at_error && source->status != 0);
}

static err_t lines_run(struct source *source, struct monitor_stream *stream)
{
	char *piece = kmalloc(PIECE_BYTES, 0);
	err_t err = piece == NULL ? ERR(ENOMEM) : 0;
	size_t done = 1;

	while (err == 0 && done > 0 && !ended(source)) {
		err = stream->ops->read(stream, piece, PIECE_BYTES, &done);
		for (size_t i = 0; err == 0 && i < done && !ended(source); i++) {
			if (piece[i] == '\n')
				line_end(source);
			else if (source->size + 1 < LINE_EDIT_SIZE)
				source->line[source->size++] = piece[i];
			else
				source->cut = true;
		}
	}
	if (err == 0 && source->size > 0 && !ended(source))
		line_end(source);
	kfree(piece);
	return err;
}

static int32_t run_source(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool stop_at_error = argc == 3 && str_equal(argv[1], "-e");
	struct source source = {.session = session, .path = argv[argc - 1], .stop_at_error = stop_at_error};
	monitor_open_fn *open = kernel_self()->monitor_open;
	struct monitor_stream *stream = NULL;

	if (argc != (stop_at_error ? 3u : 2u))
		return monitor_usage(session, argv[0]);
	if (session->depth == DEPTH_MAX) {
		monitor_error(session, "source: %s: files source files, more than %u deep\n", source.path, DEPTH_MAX);
		return 1;
	}
	err_t err = open != NULL ? open(source.path, MONITOR_READ, &stream) : ERR(ENOSYS);
	source.line = err == 0 ? kmalloc(LINE_EDIT_SIZE, 0) : NULL;
	if (err == 0 && source.line == NULL)
		err = ERR(ENOMEM);
	session->depth++;
	if (err == 0)
		err = lines_run(&source, stream);
	session->depth--;
	kfree(source.line);
	err_t closed = stream != NULL ? stream->ops->close(stream) : 0;
	if (err == 0)
		err = closed;
	if (err != 0)
		monitor_error(session, "source: %s: %s\n", source.path, err_text(err));
	return err != 0 ? 1 : source.status;
}

const struct monitor_command monitor_cmd_source = {"source", "[-e] FILE", "run the lines of a file; -e until one fails",
						   run_source, NULL};
