// SPDX-License-Identifier: MIT
//
// The event log: Chrome Trace Event JSON, one instant event a line, so that Perfetto and a line-based tool can both read it.
// Events come from several host threads under the threads engine; one lock keeps lines whole.
#include "sim_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct trace_file {
	FILE *out;
	const char *path;
	uint64_t events;
	pthread_mutex_t lock;
};

struct trace_file *trace_file_open(const char *path)
{
	struct trace_file *file = calloc(1, sizeof *file);
	if (file != NULL)
		file->out = fopen(path, "w");
	if (file == NULL || file->out == NULL) {
		fprintf(stderr, "tbos-sim: --trace %s: %s\n", path, strerror(errno));
		free(file);
		return NULL;
	}
	file->path = path;
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
	bool ok = !ferror(file->out);
	ok = fclose(file->out) == 0 && ok;
	if (!ok)
		fprintf(stderr, "tbos-sim: --trace %s: %s\n", file->path, strerror(errno));
	pthread_mutex_destroy(&file->lock);
	free(file);
	return ok;
}
