// SPDX-License-Identifier: MIT
//
// Fuzz target: the decision log's decoder. Whatever the bytes, it ends, names a place inside the file and reads nothing beyond
// it; what it accepts says the same when it is encoded again, and its moves can be walked. The mutator puts sizes and checksums
// of records right again most of the time, so that the inside of the records is reached.
#include "../../src/hal_hosted/sim/sim_log.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_HEAD 5u // tag and size

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t size_max);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void put_le32(uint8_t *bytes, uint32_t value)
{
	for (unsigned i = 0; i < 4; ++i)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_le32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

// Checksums of all records that lie inside the file; the size of one that does not is cut to fit.
static void records_mend(uint8_t *bytes, size_t size)
{
	size_t at = SIM_LOG_HEADER_SIZE;
	while (at + SIM_LOG_FRAME_SIZE <= size) {
		size_t room = size - at - SIM_LOG_FRAME_SIZE;
		size_t payload = get_le32(bytes + at + 1);
		if (payload > room) {
			payload = room;
			put_le32(bytes + at + 1, (uint32_t)payload);
		}
		size_t body = FRAME_HEAD + payload;
		put_le32(bytes + at + body, sim_log_crc32(0, bytes + at, body));
		at += body + 4;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
	size = LLVMFuzzerMutate(bytes, size, size_max);
	if (seed % 8 != 0 && size >= SIM_LOG_HEADER_SIZE) {
		sim_log_encode_header(bytes, SIM_LOG_HEADER_SIZE);
		records_mend(bytes, size);
	}
	return size;
}

static void moves_walk(const struct sim_log_decisions *decisions)
{
	const uint8_t *next = decisions->moves;
	uint64_t at = 0;
	for (uint32_t i = 0; i < decisions->move_count; ++i) {
		uint32_t gap, cpu;
		sim_log_move_next(&next, &gap, &cpu);
		at += gap;
		require(at < decisions->count);
	}
	require(next == decisions->moves + decisions->moves_size_bytes);
}

// Numbers need not be written in their shortest form, so the bytes may differ; what they say may not.
static void record_again(const struct sim_log_record *record)
{
	static uint8_t once[2 * SIM_LOG_RECORD_MAX], twice[2 * SIM_LOG_RECORD_MAX];
	struct sim_log_reader reader;
	struct sim_log_record again;
	size_t head = sim_log_encode_header(once, sizeof(once));
	size_t size = sim_log_encode(record, once + head, sizeof(once) - head);
	if (size == 0)
		return; // a record of nearly the largest size, with long numbers
	require(sim_log_open(&reader, once, head + size) == SIM_LOG_OK);
	require(sim_log_next(&reader, &again) == SIM_LOG_OK);
	require(reader.offset == head + size);
	require(sim_log_encode(&again, twice, sizeof(twice)) == size);
	require(memcmp(once + head, twice, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct sim_log_summary summary;
	struct sim_log_reader reader;
	struct sim_log_record record;
	enum sim_log_status whole = sim_log_check(&reader, bytes, size, &summary);
	require(whole != SIM_LOG_OK);
	if (whole == SIM_LOG_BAD) {
		require(reader.reason != NULL && reader.reason[0] != '\0');
		require(reader.offset <= size);
	}
	uint64_t decisions = 0;
	enum sim_log_status status = sim_log_open(&reader, bytes, size);
	while (status == SIM_LOG_OK && (status = sim_log_next(&reader, &record)) == SIM_LOG_OK) {
		record_again(&record);
		if (record.tag == SIM_LOG_DECISIONS) {
			moves_walk(&record.decisions);
			decisions += record.decisions.count;
		}
	}
	if (whole == SIM_LOG_EOF)
		require(status == SIM_LOG_EOF && decisions == summary.decisions);
	return 0;
}
