// SPDX-License-Identifier: MIT
//
// Decision log, reading. Logs come from anywhere: nothing is believed before it is checked, and a refusal names the offset
// and the reason. tests/fuzz/fuzz_decision_log.c feeds this file.
#include "sim_log.h"

#include "sim_cost.h"
#include "sim_set.h"

#include <string.h>

#define INSTANCES_MAX 65536u

// What is left of a record's payload.
struct in {
	const uint8_t *next;
	const uint8_t *end;
	const char *reason; // first thing wrong, NULL: nothing
	const uint8_t *wrong;
};

static void refuse(struct in *in, const uint8_t *where, const char *reason)
{
	if (in->reason != NULL)
		return;
	in->reason = reason;
	in->wrong = where;
}

static const uint8_t *get_bytes(struct in *in, uint64_t size_bytes)
{
	const uint8_t *bytes = in->next;
	if (size_bytes > (uint64_t)(in->end - in->next)) {
		refuse(in, in->next, "the record ends inside a field");
		return NULL;
	}
	in->next += size_bytes;
	return bytes;
}

static uint64_t get_fixed(struct in *in, unsigned size_bytes)
{
	const uint8_t *bytes = get_bytes(in, size_bytes);
	uint64_t value = 0;
	for (unsigned i = 0; bytes != NULL && i < size_bytes; ++i)
		value |= (uint64_t)bytes[i] << (i * 8);
	return value;
}

static uint64_t get_varint(struct in *in, uint64_t max, const char *reason)
{
	const uint8_t *start = in->next;
	uint64_t value = 0;
	for (unsigned shift = 0;; shift += 7) {
		const uint8_t *byte = get_bytes(in, 1);
		if (byte == NULL)
			return 0;
		if (shift == 63 && *byte > 1) {
			refuse(in, start, "a number of more than 64 bits");
			return 0;
		}
		value |= (uint64_t)(*byte & 0x7f) << shift;
		if ((*byte & 0x80) == 0)
			break;
	}
	if (value > max) {
		refuse(in, start, reason);
		return 0;
	}
	return value;
}

static void get_string(struct in *in, char *text, size_t capacity)
{
	size_t size = (size_t)get_varint(in, capacity - 1, "a string that is too long");
	const uint8_t *bytes = get_bytes(in, size);
	memset(text, 0, capacity);
	if (bytes == NULL || size == 0)
		return;
	if (memchr(bytes, 0, size) != NULL)
		refuse(in, bytes, "a string with a NUL inside");
	else
		memcpy(text, bytes, size);
}

static void get_options(struct in *in, struct sim_log_options *options)
{
	get_string(in, options->build_id, sizeof(options->build_id));
	options->seed = get_varint(in, UINT64_MAX, "");
	get_string(in, options->policy, sizeof(options->policy));
	options->time_limit_ns = get_varint(in, UINT64_MAX, "");
}

static uint32_t get_instance_index(struct in *in)
{
	return (uint32_t)get_varint(in, INSTANCES_MAX - 1, "an instance number that is too large");
}

static void get_instance(struct in *in, struct sim_log_instance *instance)
{
	instance->time_ns = get_varint(in, UINT64_MAX, "");
	instance->index = get_instance_index(in);
	const uint8_t *where = in->next;
	instance->cpu_count = (uint32_t)get_varint(in, CONFIG_MAX_CPUS, "an instance with too many CPUs");
	if (instance->cpu_count == 0)
		refuse(in, where, "an instance without a CPU");
	instance->flags = (uint32_t)get_varint(in, UINT32_MAX, "flags of more than 32 bits");
	instance->mem_bytes = get_varint(in, UINT64_MAX, "");
	get_string(in, instance->persona, sizeof(instance->persona));
	get_string(in, instance->cmdline, sizeof(instance->cmdline));
}

static void check_moves(struct in *in, uint32_t count, uint32_t move_count)
{
	uint64_t index = 0;
	for (uint32_t i = 0; i < move_count && in->reason == NULL; ++i) {
		const uint8_t *where = in->next;
		uint64_t gap = get_varint(in, SIM_LOG_CHUNK, "a move past the record's decisions");
		get_varint(in, SIM_CPUS_MAX - 1, "a CPU number that is too large");
		index += gap;
		if (index >= count)
			refuse(in, where, "a move past the record's decisions");
		if (i > 0 && gap == 0)
			refuse(in, where, "two moves of one decision");
	}
}

static void get_decisions(struct in *in, struct sim_log_decisions *decisions)
{
	const uint8_t *where = in->next;
	decisions->count = (uint32_t)get_varint(in, SIM_LOG_CHUNK, "too many decisions in a record");
	if (decisions->count == 0)
		refuse(in, where, "a record of no decisions");
	decisions->mix = get_fixed(in, 8);
	decisions->checks = get_bytes(in, decisions->count);
	for (uint32_t i = 0; decisions->checks != NULL && i < decisions->count; ++i) {
		if ((decisions->checks[i] & 15) >= SIM_KIND_COUNT)
			refuse(in, decisions->checks + i, "a decision of an unknown kind");
	}
	decisions->move_count = (uint32_t)get_varint(in, decisions->count, "more moves than decisions");
	decisions->moves = in->next;
	check_moves(in, decisions->count, decisions->move_count);
	decisions->moves_size_bytes = (size_t)(in->next - decisions->moves);
}

static void get_input(struct in *in, struct sim_log_input *input)
{
	input->time_ns = get_varint(in, UINT64_MAX, "");
	input->instance = get_instance_index(in);
	const uint8_t *where = in->next;
	uint64_t end = get_fixed(in, 1);
	if (end > 1)
		refuse(in, where, "an end mark that is neither 0 nor 1");
	input->end = end == 1;
	input->bytes = in->next;
	input->size_bytes = (size_t)(in->end - in->next);
	if (input->size_bytes > SIM_LOG_INPUT_MAX)
		refuse(in, where, "an input that is too long");
	if (input->size_bytes == 0 && !input->end)
		refuse(in, where, "an input of no bytes");
	in->next = in->end;
}

static void get_module(struct in *in, struct sim_log_module *module)
{
	module->instance = get_instance_index(in);
	module->size_bytes = get_varint(in, UINT64_MAX, "");
	const uint8_t *hash = get_bytes(in, sizeof(module->hash));
	if (hash != NULL)
		memcpy(module->hash, hash, sizeof(module->hash));
	module->name_size_bytes = (size_t)(in->end - in->next);
	module->name = (const char *)in->next;
	if (module->name_size_bytes == 0 || module->name_size_bytes >= SIM_LOG_NAME_SIZE)
		refuse(in, in->next, "a module name that is empty or too long");
	in->next = in->end;
}

static void get_call(struct in *in, struct sim_log_call *call)
{
	call->time_ns = get_varint(in, UINT64_MAX, "");
	call->instance = get_instance_index(in);
	const uint8_t *where = in->next;
	uint64_t kind = get_fixed(in, 1);
	if (kind >= SIM_LOG_CALL_COUNT)
		refuse(in, where, "a host call of an unknown kind");
	call->kind = (enum sim_log_call_kind)kind;
	call->thread = (uint32_t)get_varint(in, UINT32_MAX, "a host thread number of more than 32 bits");
	call->mix = get_fixed(in, 8);
}

static void get_end(struct in *in, struct sim_log_end *end)
{
	end->decisions = get_varint(in, UINT64_MAX, "");
	end->time_ns = get_varint(in, UINT64_MAX, "");
	const uint8_t *hash = get_bytes(in, sizeof(end->hash));
	if (hash != NULL)
		memcpy(end->hash, hash, sizeof(end->hash));
}

static void get_payload(struct in *in, const uint8_t *frame, struct sim_log_record *record)
{
	switch (record->tag) {
	case SIM_LOG_OPTIONS:
		get_options(in, &record->options);
		break;
	case SIM_LOG_INSTANCE:
		get_instance(in, &record->instance);
		break;
	case SIM_LOG_DECISIONS:
		get_decisions(in, &record->decisions);
		break;
	case SIM_LOG_INPUT:
		get_input(in, &record->input);
		break;
	case SIM_LOG_MODULE:
		get_module(in, &record->module);
		break;
	case SIM_LOG_CALL:
		get_call(in, &record->call);
		break;
	case SIM_LOG_END:
		get_end(in, &record->end);
		break;
	default:
		refuse(in, frame, "a record of an unknown kind");
	}
	if (in->next != in->end)
		refuse(in, in->next, "a record longer than its fields");
}

static enum sim_log_status bad(struct sim_log_reader *reader, size_t offset, const char *reason)
{
	reader->offset = offset;
	reader->reason = reason;
	return SIM_LOG_BAD;
}

enum sim_log_status sim_log_open(struct sim_log_reader *reader, const uint8_t *bytes, size_t size_bytes)
{
	*reader = (struct sim_log_reader){.bytes = bytes, .size_bytes = size_bytes};
	if (size_bytes < SIM_LOG_HEADER_SIZE || memcmp(bytes, SIM_LOG_MAGIC, 8) != 0)
		return bad(reader, 0, "this is no decision log");
	struct in in = {.next = bytes + 8, .end = bytes + SIM_LOG_HEADER_SIZE};
	if (get_fixed(&in, 4) != SIM_LOG_VERSION)
		return bad(reader, 8, "a decision log of another version");
	reader->offset = SIM_LOG_HEADER_SIZE;
	return SIM_LOG_OK;
}

enum sim_log_status sim_log_next(struct sim_log_reader *reader, struct sim_log_record *record)
{
	const uint8_t *frame = reader->bytes + reader->offset;
	size_t left = reader->size_bytes - reader->offset;
	if (left == 0)
		return SIM_LOG_EOF;
	struct in in = {.next = frame + 1, .end = frame + left};
	uint64_t size = left < SIM_LOG_FRAME_SIZE ? left : get_fixed(&in, 4);
	if (size > SIM_LOG_RECORD_MAX)
		return bad(reader, reader->offset + 1, "a record that is too long");
	if (left < SIM_LOG_FRAME_SIZE || size > left - SIM_LOG_FRAME_SIZE)
		return bad(reader, reader->offset, "the file ends inside a record");

	in.end = in.next + size;
	struct in check = {.next = in.end, .end = in.end + 4};
	if (get_fixed(&check, 4) != sim_log_crc32(0, frame, 5 + (size_t)size))
		return bad(reader, reader->offset, "a record whose checksum is wrong");
	memset(record, 0, sizeof(*record));
	record->tag = (enum sim_log_tag)frame[0];
	get_payload(&in, frame, record);
	if (in.reason != NULL)
		return bad(reader, (size_t)(in.wrong - reader->bytes), in.reason);
	reader->offset += SIM_LOG_FRAME_SIZE + (size_t)size;
	return SIM_LOG_OK;
}

void sim_log_move_next(const uint8_t **next, uint32_t *gap, uint32_t *cpu)
{
	struct in in = {.next = *next, .end = *next + 20};
	*gap = (uint32_t)get_varint(&in, UINT64_MAX, "");
	*cpu = (uint32_t)get_varint(&in, UINT64_MAX, "");
	*next = in.next;
}
