// SPDX-License-Identifier: MIT
//
// Programs to replay: a trace read from outside, judged whole before anything is done with it, or a synthetic one.
#include "stress.h"

#include "hal/module.h"
#include "kern/allocreplay.h"
#include "kern/mem.h"

#define READ_BYTES 65536u // at a time, so that interrupts and Ctrl-C are heard in between

static err_t refuse(struct monitor_session *session, const char *name, const struct alloctrace_error *error)
{
	monitor_error(session, "%s: not a valid trace: byte %llu: %s\n", name, (unsigned long long)error->offset,
		      alloctrace_fault_text(error->fault));
	return ERR(EINVAL);
}

static err_t payload_read(struct monitor_session *session, int32_t id, uint8_t *bytes, uint64_t size_bytes)
{
	for (uint64_t done = 0; done < size_bytes;) {
		size_t size = (size_t)MIN(size_bytes - done, (uint64_t)READ_BYTES);
		err_t err = hal_module_read(id, ALLOCTRACE_HEADER_SIZE + done, bytes + done, size);
		if (err != 0)
			return err;
		if (monitor_interrupted(session))
			return ERR(EINTR);
		done += size;
	}
	return 0;
}

static err_t payload_judge(struct monitor_session *session, const char *name, const struct alloctrace_header *header,
			   const uint8_t *bytes)
{
	uint32_t *slot_sizes = range_alloc(((size_t)header->slot_count + 1) * sizeof *slot_sizes, 0, NULL);
	struct alloctrace_ledger ledger;
	struct alloctrace_error error;
	bool good;

	if (slot_sizes == NULL)
		return ERR(ENOMEM);
	alloctrace_ledger_init(&ledger, header, slot_sizes);
	good = alloctrace_ledger_feed(&ledger, bytes, (size_t)header->record_count, &error) &&
	       alloctrace_ledger_finish(&ledger, &error);
	range_free(slot_sizes);
	return good ? 0 : refuse(session, name, &error);
}

// In place: a record in memory is as large as one in the file.
static err_t payload_decode(struct monitor_session *session, const char *name, struct program *program)
{
	const uint8_t *bytes = (const uint8_t *)program->records;
	struct alloctrace_error error;

	for (uint64_t i = 0; i < program->header.record_count; i++)
		if (!alloctrace_record_decode(&program->records[i], &program->header,
					      bytes + i * ALLOCTRACE_RECORD_SIZE, i, &error))
			return refuse(session, name, &error);
	return 0;
}

static err_t module_load(struct monitor_session *session, const char *name, int32_t id, uint64_t file_size_bytes,
			 struct program *program)
{
	uint8_t head[ALLOCTRACE_HEADER_SIZE];
	size_t head_size = (size_t)MIN(file_size_bytes, (uint64_t)sizeof head);
	struct alloctrace_error error;
	uint64_t payload_bytes;
	err_t err = hal_module_read(id, 0, head, head_size);

	if (err != 0)
		return err;
	if (!alloctrace_header_decode(&program->header, head, head_size, file_size_bytes, &error))
		return refuse(session, name, &error);
	payload_bytes = program->header.record_count * ALLOCTRACE_RECORD_SIZE;
	// No trace larger than RAM is asked for: beyond that size_t and the allocator's own limits decide.
	if (payload_bytes >= kernel_self()->ram_size_bytes)
		return ERR(ENOMEM);
	program->records = range_alloc((size_t)payload_bytes + 1, 0, NULL);
	if (program->records == NULL)
		return ERR(ENOMEM);
	err = payload_read(session, id, (uint8_t *)program->records, payload_bytes);
	if (err == 0)
		err = payload_judge(session, name, &program->header, (const uint8_t *)program->records);
	if (err == 0)
		err = payload_decode(session, name, program);
	return err;
}

err_t program_load(struct monitor_session *session, const char *name, struct program *program)
{
	uint64_t file_size_bytes;
	int32_t id;
	err_t err = hal_module_open(name, &id, &file_size_bytes);

	*program = (struct program){.records = NULL};
	if (err != 0)
		return err;
	err = module_load(session, name, id, file_size_bytes, program);
	hal_module_close(id);
	if (err != 0)
		program_free(program);
	return err;
}

err_t program_synthesise(struct program *program, uint64_t events, uint64_t seed)
{
	*program = (struct program){.header = {
					    .record_count = events,
					    .slot_count = REPLAY_SYNTHETIC_SLOTS,
					    .thread_count = 1,
					    .source = "synthetic",
				    }};
	if (events >= kernel_self()->ram_size_bytes / ALLOCTRACE_RECORD_SIZE)
		return ERR(ENOMEM);
	program->records = range_alloc((size_t)events * sizeof *program->records, 0, NULL);
	if (program->records == NULL)
		return ERR(ENOMEM);
	replay_synthesise(program->records, events, seed);
	return 0;
}

void program_free(struct program *program)
{
	if (program->records != NULL)
		range_free(program->records);
	program->records = NULL;
}
