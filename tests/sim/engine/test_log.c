// SPDX-License-Identifier: MIT
//
// The decision log's codec: what is written is read back, and nothing damaged is taken for a log.
#include "engine.h"

#include "../../../src/hal_hosted/sim/sim_cost.h"
#include "../../../src/hal_hosted/sim/sim_log.h"
#include "../../../src/hal_hosted/sim/sim_set.h"

#include <stdlib.h>
#include <string.h>

#define LOG_MAX 65536u

struct log {
	uint8_t bytes[LOG_MAX];
	size_t size_bytes;
};

static void log_add(struct log *log, const struct sim_log_record *record)
{
	size_t size = sim_log_encode(record, log->bytes + log->size_bytes, LOG_MAX - log->size_bytes);
	CHECK(size > 0);
	log->size_bytes += size;
}

static void log_begin(struct log *log)
{
	struct sim_log_record options = {.tag = SIM_LOG_OPTIONS};
	struct sim_log_record instance = {.tag = SIM_LOG_INSTANCE};
	log->size_bytes = sim_log_encode_header(log->bytes, LOG_MAX);
	options.options.seed = 0xfedcba9876543210ull;
	options.options.time_limit_ns = 1000000;
	snprintf(options.options.build_id, sizeof(options.options.build_id), "%s", "0123456789abcdef");
	snprintf(options.options.policy, sizeof(options.options.policy), "%s", "pct:3");
	log_add(log, &options);
	instance.instance.time_ns = 5;
	instance.instance.cpu_count = 3;
	instance.instance.flags = 7;
	instance.instance.mem_bytes = 16u << 20;
	snprintf(instance.instance.persona, sizeof(instance.instance.persona), "%s", "mini");
	snprintf(instance.instance.cmdline, sizeof(instance.instance.cmdline), "%s", "a=b c=d");
	log_add(log, &instance);
}

// Random decisions; returns how many.
static uint32_t log_decisions(struct log *log, struct sim_stream *stream, uint32_t count)
{
	static struct sim_log_chunk chunk;
	struct sim_log_record record;
	uint32_t last = SIM_CPU_NONE;
	sim_log_chunk_reset(&chunk);
	for (uint32_t i = 0; i < count; ++i) {
		uint32_t cpu = sim_draw_below(stream, 3) == 0 ? sim_draw_below(stream, SIM_CPUS_MAX) : last;
		cpu = cpu == SIM_CPU_NONE ? 1023 : cpu;
		sim_log_chunk_add(&chunk, sim_draw_below(stream, SIM_KIND_COUNT), sim_draw(stream), cpu != last, cpu);
		last = cpu;
	}
	sim_log_chunk_record(&chunk, 0x1122334455667788ull, &record);
	log_add(log, &record);
	return count;
}

static void log_end(struct log *log, uint64_t decisions)
{
	struct sim_log_record end = {.tag = SIM_LOG_END};
	end.end.decisions = decisions;
	end.end.time_ns = 99;
	memset(end.end.hash, 0xab, sizeof(end.end.hash));
	log_add(log, &end);
}

static void log_whole(struct log *log, uint64_t seed)
{
	struct sim_stream stream;
	struct sim_log_record input = {.tag = SIM_LOG_INPUT}, call = {.tag = SIM_LOG_CALL},
			      module = {.tag = SIM_LOG_MODULE};
	sim_stream_init(&stream, seed, "log", 0);
	log_begin(log);
	call.call = (struct sim_log_call){7, 0, SIM_LOG_CALL_BOOT, 0, 42};
	log_add(log, &call);
	uint64_t decisions = log_decisions(log, &stream, 1 + sim_draw_below(&stream, SIM_LOG_CHUNK));
	input.input = (struct sim_log_input){300, 0, true, (const uint8_t *)"help\n", 5};
	log_add(log, &input);
	module.module = (struct sim_log_module){.instance = 0, .size_bytes = 77, .name = "file", .name_size_bytes = 4};
	log_add(log, &module);
	decisions += log_decisions(log, &stream, 1 + sim_draw_below(&stream, 50));
	log_end(log, decisions);
}

static enum sim_log_status status_of(const struct log *log, struct sim_log_reader *reader)
{
	struct sim_log_summary summary;
	return sim_log_check(reader, log->bytes, log->size_bytes, &summary);
}

static void round_trip(void)
{
	static struct log log;
	for (uint64_t seed = 0; seed < 50; ++seed) {
		struct sim_log_reader reader;
		struct sim_log_record record;
		static uint8_t again[LOG_MAX];
		size_t size = sim_log_encode_header(again, sizeof(again));
		log_whole(&log, seed);
		CHECK_ERR(sim_log_open(&reader, log.bytes, log.size_bytes), SIM_LOG_OK);
		while (sim_log_next(&reader, &record) == SIM_LOG_OK)
			size += sim_log_encode(&record, again + size, sizeof(again) - size);
		CHECK(size == log.size_bytes);
		CHECK(memcmp(again, log.bytes, size) == 0);
		CHECK_ERR(status_of(&log, &reader), SIM_LOG_EOF);
	}
}

static void moves_come_back(void)
{
	static struct sim_log_chunk chunk;
	static uint32_t cpus[SIM_LOG_CHUNK];
	struct sim_stream stream;
	struct sim_log_record record;
	sim_stream_init(&stream, 2, "moves", 0);
	sim_log_chunk_reset(&chunk);
	for (uint32_t i = 0; i < SIM_LOG_CHUNK; ++i) {
		bool moved = i == 0 || sim_draw_below(&stream, 4) == 0;
		cpus[i] = moved ? sim_draw_below(&stream, SIM_CPUS_MAX) : cpus[i - 1];
		sim_log_chunk_add(&chunk, 0, 0, moved, cpus[i]);
	}
	sim_log_chunk_record(&chunk, 0, &record);
	const uint8_t *next = record.decisions.moves;
	uint32_t at = 0;
	for (uint32_t i = 0; i < record.decisions.move_count; ++i) {
		uint32_t gap, cpu;
		sim_log_move_next(&next, &gap, &cpu);
		at += gap;
		CHECK(cpus[at] == cpu);
	}
	CHECK(next == record.decisions.moves + record.decisions.moves_size_bytes);
}

// Any byte changed, anywhere, is noticed, and the place named is in the file.
static void damage_is_refused(void)
{
	static struct log log, damaged;
	struct sim_log_reader reader;
	log_whole(&log, 1);
	for (size_t at = 0; at < log.size_bytes; ++at) {
		memcpy(&damaged, &log, sizeof(log));
		damaged.bytes[at] ^= (uint8_t)(1 + at % 255);
		CHECK_ERR(status_of(&damaged, &reader), SIM_LOG_BAD);
		CHECK(reader.offset <= log.size_bytes);
		CHECK(reader.reason != NULL);
	}
}

// A cut between records leaves a log that was not ended, elsewhere it is refused.
static void cuts_are_noticed(void)
{
	static struct log log;
	struct sim_log_reader reader;
	struct sim_log_summary summary;
	unsigned sound = 0;
	log_whole(&log, 1);
	for (size_t size = 0; size < log.size_bytes; ++size) {
		enum sim_log_status status = sim_log_check(&reader, log.bytes, size, &summary);
		CHECK(status == SIM_LOG_BAD || !summary.complete);
		sound += status == SIM_LOG_EOF;
	}
	CHECK(sound == 7);
}

// What a checksum cannot show: each of these is a well-formed file that is no log.
static void nonsense_is_refused(void)
{
	static struct log log;
	struct sim_log_reader reader;
	struct sim_log_record call = {.tag = SIM_LOG_CALL}, again = {.tag = SIM_LOG_INSTANCE};

	log_begin(&log);
	call.call.instance = 1;
	log_add(&log, &call);
	CHECK_ERR(status_of(&log, &reader), SIM_LOG_BAD);
	CHECK(strcmp(reader.reason, "an instance that was not created") == 0);

	log_begin(&log);
	log_end(&log, 1);
	CHECK_ERR(status_of(&log, &reader), SIM_LOG_BAD);
	CHECK(strcmp(reader.reason, "an end that counts other decisions") == 0);

	log_begin(&log);
	log_end(&log, 0);
	log_end(&log, 0);
	CHECK_ERR(status_of(&log, &reader), SIM_LOG_BAD);
	CHECK(strcmp(reader.reason, "a record after the end") == 0);

	log_begin(&log);
	again.instance.index = 5;
	again.instance.cpu_count = 1;
	log_add(&log, &again);
	CHECK_ERR(status_of(&log, &reader), SIM_LOG_BAD);
	CHECK(strcmp(reader.reason, "an instance out of turn") == 0);

	log.size_bytes = sim_log_encode_header(log.bytes, LOG_MAX);
	CHECK_ERR(status_of(&log, &reader), SIM_LOG_BAD);
	CHECK(strcmp(reader.reason, "a log without options") == 0);
}

const struct engine_test engine_log_tests[] = {
	{"what is written is read back", round_trip},
	{"moves come back", moves_come_back},
	{"every changed byte is refused", damage_is_refused},
	{"every cut is noticed", cuts_are_noticed},
	{"well-formed nonsense is refused", nonsense_is_refused},
	{NULL, NULL},
};
