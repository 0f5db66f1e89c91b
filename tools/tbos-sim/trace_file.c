// SPDX-License-Identifier: MIT
//
// The event log: Chrome Trace Event JSON, one instant event a line, so that Perfetto and a line-based tool can both read it.
// Events come from several host threads under the threads engine; one lock keeps lines whole.
#include "sim_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct trace_file {
	FILE *out;
	uint64_t events;
	pthread_mutex_t lock;
};

struct trace_file *trace_file_open(const char *path)
{
	struct trace_file *file = calloc(1, sizeof *file);
	if (file != NULL)
		file->out = fopen(path, "w");
	if (file == NULL || file->out == NULL) {
		free(file);
		return NULL;
	}
	pthread_mutex_init(&file->lock, NULL);
	fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", file->out);
	return file;
}

void trace_file_event(void *ctx, const struct tb_trace_record *record)
{
	struct trace_file *file = ctx;
	const char *name = tb_trace_name(record->event);

	pthread_mutex_lock(&file->lock);
	fprintf(file->out,
		"%s{\"name\": \"%s\", \"ph\": \"i\", \"s\": \"t\", \"ts\": %llu.%03llu, \"pid\": %u, \"tid\": %u, "
		"\"args\": {\"a\": %llu, \"b\": %llu}}",
		file->events++ == 0 ? "" : ",\n", name != NULL ? name : "unknown",
		(unsigned long long)(record->ts_ns / 1000), (unsigned long long)(record->ts_ns % 1000), record->cpu,
		record->thread, (unsigned long long)record->a, (unsigned long long)record->b);
	pthread_mutex_unlock(&file->lock);
}

bool trace_file_close(struct trace_file *file)
{
	fputs("\n]}\n", file->out);
	// What an earlier write failed by is no longer known.
	int error = ferror(file->out) ? EIO : 0;
	if (fflush(file->out) != 0)
		error = errno;
	if (fclose(file->out) != 0 && error == 0)
		error = errno;
	pthread_mutex_destroy(&file->lock);
	free(file);
	errno = error;
	return error == 0;
}
