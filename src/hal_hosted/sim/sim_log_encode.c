// SPDX-License-Identifier: MIT
//
// Decision log, writing: records into a caller's buffer. Runs on kernel stacks too: no allocation, no libc beyond memcpy.
#include "sim_log.h"

#include "sim_set.h"

#include <string.h>

struct out {
	uint8_t *bytes;
	size_t size_bytes;
	size_t capacity;
	bool failed;
};

// CRC-32 of IEEE 802.3, four bits a step: small, and the log is a few bytes a decision.
uint32_t sim_log_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes)
{
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
					   0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
					   0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	crc = ~crc;
	for (size_t i = 0; i < size_bytes; ++i) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static void put_bytes(struct out *out, const void *bytes, size_t size_bytes)
{
	if (out->failed || size_bytes > out->capacity - out->size_bytes) {
		out->failed = true;
		return;
	}
	if (size_bytes > 0)
		memcpy(out->bytes + out->size_bytes, bytes, size_bytes);
	out->size_bytes += size_bytes;
}

static void put_fixed(struct out *out, uint64_t value, unsigned size_bytes)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < size_bytes; ++i)
		bytes[i] = (uint8_t)(value >> (i * 8));
	put_bytes(out, bytes, size_bytes);
}

static unsigned varint_encode(uint8_t *bytes, uint64_t value)
{
	unsigned size = 0;
	for (; value >= 0x80; value >>= 7)
		bytes[size++] = (uint8_t)(value | 0x80);
	bytes[size++] = (uint8_t)value;
	return size;
}

static void put_varint(struct out *out, uint64_t value)
{
	uint8_t bytes[10];
	put_bytes(out, bytes, varint_encode(bytes, value));
}

// `capacity` is that of the field in the record, terminator included.
static void put_string(struct out *out, const char *text, size_t capacity)
{
	size_t size = strnlen(text, capacity);
	if (size == capacity)
		out->failed = true;
	put_varint(out, size);
	put_bytes(out, text, size);
}

static void put_options(struct out *out, const struct sim_log_options *options)
{
	put_string(out, options->build_id, sizeof(options->build_id));
	put_varint(out, options->seed);
	put_string(out, options->policy, sizeof(options->policy));
	put_varint(out, options->time_limit_ns);
}

static void put_instance(struct out *out, const struct sim_log_instance *instance)
{
	put_varint(out, instance->time_ns);
	put_varint(out, instance->index);
	put_varint(out, instance->cpu_count);
	put_varint(out, instance->flags);
	put_varint(out, instance->mem_bytes);
	put_string(out, instance->persona, sizeof(instance->persona));
	put_string(out, instance->cmdline, sizeof(instance->cmdline));
}

static void put_decisions(struct out *out, const struct sim_log_decisions *decisions)
{
	put_varint(out, decisions->count);
	put_fixed(out, decisions->mix, 8);
	put_bytes(out, decisions->checks, decisions->count);
	put_varint(out, decisions->move_count);
	put_bytes(out, decisions->moves, decisions->moves_size_bytes);
}

static void put_input(struct out *out, const struct sim_log_input *input)
{
	put_varint(out, input->time_ns);
	put_varint(out, input->instance);
	put_fixed(out, input->end, 1);
	put_bytes(out, input->bytes, input->size_bytes);
}

static void put_module(struct out *out, const struct sim_log_module *module)
{
	put_varint(out, module->instance);
	put_varint(out, module->size_bytes);
	put_bytes(out, module->hash, sizeof(module->hash));
	put_bytes(out, module->name, module->name_size_bytes);
}

static void put_payload(struct out *out, const struct sim_log_record *record)
{
	switch (record->tag) {
	case SIM_LOG_OPTIONS:
		put_options(out, &record->options);
		break;
	case SIM_LOG_INSTANCE:
		put_instance(out, &record->instance);
		break;
	case SIM_LOG_DECISIONS:
		put_decisions(out, &record->decisions);
		break;
	case SIM_LOG_INPUT:
		put_input(out, &record->input);
		break;
	case SIM_LOG_MODULE:
		put_module(out, &record->module);
		break;
	case SIM_LOG_CALL:
		put_varint(out, record->call.time_ns);
		put_varint(out, record->call.instance);
		put_fixed(out, record->call.kind, 1);
		put_varint(out, record->call.thread);
		put_fixed(out, record->call.mix, 8);
		break;
	case SIM_LOG_END:
		put_varint(out, record->end.decisions);
		put_varint(out, record->end.time_ns);
		put_bytes(out, record->end.hash, sizeof(record->end.hash));
		break;
	}
}

size_t sim_log_encode_header(uint8_t *bytes, size_t capacity)
{
	struct out out = {.bytes = bytes, .capacity = capacity};
	put_bytes(&out, SIM_LOG_MAGIC, 8);
	put_fixed(&out, SIM_LOG_VERSION, 4);
	return out.failed ? 0 : out.size_bytes;
}

size_t sim_log_encode(const struct sim_log_record *record, uint8_t *bytes, size_t capacity)
{
	struct out out = {.bytes = bytes, .capacity = capacity < SIM_LOG_RECORD_MAX ? capacity : SIM_LOG_RECORD_MAX};
	put_fixed(&out, record->tag, 1);
	put_fixed(&out, 0, 4);
	put_payload(&out, record);
	if (out.failed)
		return 0;
	struct out size = {.bytes = bytes + 1, .capacity = 4};
	put_fixed(&size, out.size_bytes - 5, 4);
	put_fixed(&out, sim_log_crc32(0, bytes, out.size_bytes), 4);
	return out.failed ? 0 : out.size_bytes;
}

void sim_log_chunk_reset(struct sim_log_chunk *chunk)
{
	chunk->count = chunk->move_count = chunk->last_move = chunk->moves_size_bytes = 0;
}

void sim_log_chunk_add(struct sim_log_chunk *chunk, uint32_t kind, uint64_t mix, bool moved, uint32_t cpu)
{
	uint32_t index = chunk->count++;
	chunk->checks[index] = (uint8_t)(kind | mix << 4);
	if (!moved)
		return;
	uint8_t *moves = chunk->moves + chunk->moves_size_bytes;
	unsigned size = varint_encode(moves, index - chunk->last_move);
	size += varint_encode(moves + size, cpu);
	chunk->moves_size_bytes += size;
	chunk->last_move = index;
	++chunk->move_count;
}

_Static_assert(SIM_LOG_CHUNK <= 1u << 14, "a gap takes two bytes");
_Static_assert(SIM_CPUS_MAX <= 1u << 14, "a CPU number takes two bytes");

void sim_log_chunk_record(const struct sim_log_chunk *chunk, uint64_t mix, struct sim_log_record *record)
{
	record->tag = SIM_LOG_DECISIONS;
	record->decisions = (struct sim_log_decisions){
		.count = chunk->count,
		.mix = mix,
		.checks = chunk->checks,
		.move_count = chunk->move_count,
		.moves = chunk->moves,
		.moves_size_bytes = chunk->moves_size_bytes,
	};
}
