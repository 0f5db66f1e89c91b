// SPDX-License-Identifier: MIT
//
// Decision log: the checks over a whole file.
#include "sim_log.h"

#include <string.h>

struct check {
	struct sim_log_summary *summary;
	uint32_t instances; // created so far; numbers are given in order
	bool begun;
};

static uint32_t instance_named(const struct sim_log_record *record)
{
	switch (record->tag) {
	case SIM_LOG_INPUT:
		return record->input.instance;
	case SIM_LOG_MODULE:
		return record->module.instance;
	case SIM_LOG_CALL:
		return record->call.instance;
	default:
		return UINT32_MAX;
	}
}

// NULL, or what is wrong with this record in this place.
static const char *place_check(struct check *check, const struct sim_log_record *record)
{
	struct sim_log_summary *summary = check->summary;
	uint32_t named = instance_named(record);
	if (summary->complete)
		return "a record after the end";
	if (!check->begun != (record->tag == SIM_LOG_OPTIONS))
		return "the options are not the first record";
	if (named != UINT32_MAX && named >= check->instances)
		return "an instance that was not created";
	if (record->tag == SIM_LOG_INSTANCE && record->instance.index != check->instances)
		return "an instance out of turn";
	if (record->tag == SIM_LOG_DECISIONS && check->instances == 0)
		return "decisions without an instance";
	if (record->tag == SIM_LOG_END && record->end.decisions != summary->decisions)
		return "an end that counts other decisions";
	return NULL;
}

static void note(struct check *check, const struct sim_log_record *record)
{
	struct sim_log_summary *summary = check->summary;
	switch (record->tag) {
	case SIM_LOG_OPTIONS:
		check->begun = true;
		summary->options = record->options;
		break;
	case SIM_LOG_INSTANCE:
		if (check->instances++ == 0)
			summary->first = record->instance;
		break;
	case SIM_LOG_DECISIONS:
		summary->decisions += record->decisions.count;
		break;
	case SIM_LOG_END:
		summary->complete = true;
		summary->end = record->end;
		break;
	default:
		break;
	}
}

enum sim_log_status sim_log_check(struct sim_log_reader *reader, const uint8_t *bytes, size_t size_bytes,
				  struct sim_log_summary *summary)
{
	struct check check = {.summary = summary};
	struct sim_log_record record;
	memset(summary, 0, sizeof(*summary));
	enum sim_log_status status = sim_log_open(reader, bytes, size_bytes);
	while (status == SIM_LOG_OK) {
		size_t offset = reader->offset;
		status = sim_log_next(reader, &record);
		if (status != SIM_LOG_OK)
			break;
		reader->reason = place_check(&check, &record);
		if (reader->reason != NULL) {
			reader->offset = offset;
			return SIM_LOG_BAD;
		}
		note(&check, &record);
	}
	if (status == SIM_LOG_EOF && !check.begun) {
		reader->reason = "a log without options";
		return SIM_LOG_BAD;
	}
	return status;
}
