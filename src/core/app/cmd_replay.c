// SPDX-License-Identifier: MIT
//
// The command `replay`: an allocation trace (docs/ALLOC_TRACE.md) against the heap of this machine, every block's content checked. A
// board has its trace in the image; a process names a file. The digest is the one that `stress --workers 1` prints for the same
// trace elsewhere.
#include "app_impl.h"

#include "hal/module.h"
#include "kern/allocreplay.h"
#include "kern/mem.h"
#include "kern/string.h"

#define FILE_SIZE_MAX 65536u

struct replay {
	struct alloctrace_header header;
	struct replay_worker worker;
	uint8_t *bytes;
	size_t size;
};

static void *ops_alloc(void *context, size_t size_bytes, bool zero)
{
	(void)context;
	return kmalloc(size_bytes, zero ? MEM_ZERO : 0);
}

static void *ops_aligned(void *context, size_t size_bytes, size_t align)
{
	(void)context;
	return kmalloc_aligned(size_bytes, align, 0);
}

static void *ops_resize(void *context, void *block, size_t old_size_bytes, size_t size_bytes)
{
	(void)context;
	(void)old_size_bytes;
	return krealloc(block, size_bytes, 0);
}

static void ops_release(void *context, void *block, size_t size_bytes)
{
	(void)context;
	(void)size_bytes;
	kfree(block);
}

static const struct replay_ops ops = {
	.alloc = ops_alloc, .alloc_aligned = ops_aligned, .resize = ops_resize, .release = ops_release};

static err_t file_read(struct replay *replay, const char *name)
{
	uint64_t size;
	int32_t id;

	err_t err = hal_module_open(name, &id, &size);
	if (err != 0)
		return err;
	if (size > FILE_SIZE_MAX)
		err = ERR(EFBIG);
	replay->size = (size_t)size;
	if (err == 0 && (replay->bytes = kmalloc(replay->size, 0)) == NULL)
		err = ERR(ENOMEM);
	if (err == 0)
		err = hal_module_read(id, 0, replay->bytes, replay->size);
	hal_module_close(id);
	return err;
}

// Judges all of it before anything is done. Records are decoded in place.
static err_t trace_judge(struct replay *replay, struct alloctrace_error *error)
{
	struct alloctrace_ledger ledger;
	uint8_t *payload = replay->bytes + ALLOCTRACE_HEADER_SIZE;

	if (!alloctrace_header_decode(&replay->header, replay->bytes, replay->size, replay->size, error))
		return ERR(EBADMSG);
	uint32_t *sizes = kmalloc_array(MAX(replay->header.slot_count, 1u), sizeof *sizes, 0);
	if (sizes == NULL)
		return ERR(ENOMEM);
	alloctrace_ledger_init(&ledger, &replay->header, sizes);
	bool good = alloctrace_ledger_feed(&ledger, payload, (size_t)replay->header.record_count, error) &&
		    alloctrace_ledger_finish(&ledger, error);
	kfree(sizes);
	return good ? 0 : ERR(EBADMSG);
}

static err_t trace_run(struct replay *replay)
{
	struct replay_worker *worker = &replay->worker;

	worker->slots = kmalloc_array(MAX(replay->header.slot_count, 1u), sizeof *worker->slots, MEM_ZERO);
	if (worker->slots == NULL)
		return ERR(ENOMEM);
	worker->ops = &ops;
	worker->records = (const struct alloctrace_record *)(const void *)(replay->bytes + ALLOCTRACE_HEADER_SIZE);
	worker->record_count = replay->header.record_count;
	worker->slot_count = replay->header.slot_count;
	worker->check = true;
	(void)replay_run(worker);
	kfree(worker->slots);
	return 0;
}

static int32_t replay_report(struct monitor_session *session, const struct replay *replay, err_t err,
			     const struct alloctrace_error *error)
{
	const struct replay_result *result = &replay->worker.result;

	if (err == -EBADMSG)
		monitor_printf(session, "error at byte %u: %s\n", (uint32_t)error->offset,
			       alloctrace_fault_text(error->fault));
	else if (err != 0)
		monitor_printf(session, "error: %s\n", err_text(err));
	if (err != 0)
		return 1;
	monitor_printf(session, "%s: %u events, ", replay->header.source, (uint32_t)result->events);
	monitor_printf(session, "%u bytes at most, %u refused\n", (uint32_t)result->peak_bytes,
		       (uint32_t)result->refused);
	monitor_printf(session, "contents %s; digest %016llx\n", result->wrong == 0 ? "right" : "WRONG",
		       (unsigned long long)result->digest);
	return result->wrong == 0 ? 0 : 1;
}

static int32_t replay_command(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct alloctrace_error error = {0};
	struct replay *replay;

	if (argc > 2)
		return 2;
	replay = kmalloc(sizeof *replay, MEM_ZERO);
	if (replay == NULL)
		return 1;
	err_t err = file_read(replay, argc == 2 ? argv[1] : "window");
	if (err == 0)
		err = trace_judge(replay, &error);
	if (err == 0)
		err = trace_run(replay);
	int32_t status = replay_report(session, replay, err, &error);
	kfree(replay->bytes);
	kfree(replay);
	return status;
}

const struct monitor_command command_replay = {
	.name = "replay", .usage = "[FILE]", .summary = "an allocation trace, contents checked", .run = replay_command};
