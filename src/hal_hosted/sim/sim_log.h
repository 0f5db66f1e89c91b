// SPDX-License-Identifier: MIT
//
// The decision log: what a simulated world decided and what came in from outside, so that a run can be repeated without its
// inputs. This is the whole format; sim_log_encode.c writes it, sim_log_decode.c reads it, nothing else knows a byte of it.
//
//   file      "TBOSLOG\n", version (4 bytes), records to the end of the file
//   record    tag (1), payload size (4), payload, CRC-32 of tag, size and payload (4); at most SIM_LOG_RECORD_MAX bytes
//   numbers   fixed sizes little endian; "v" is LEB128 of up to 64 bits; a string is v size, then bytes without NUL
//
//   OPTIONS   build id string, v seed, policy string, v time limit            first record, exactly one
//   INSTANCE  v time, v index, v CPUs, v flags, v memory, persona, command line       an instance was created
//   DECISIONS v count, mix (8), count check bytes, v moves, moves             the next `count` decisions
//               check byte: kind | low four bits of the rolling mix << 4      (mix and kinds: sim_hash.h, sim_cost.h)
//               move: v decisions since the previous move's, v the CPU that runs from this decision on
//   INPUT     v time, v instance, end (1), bytes to the record's end          console input arrived
//   MODULE    v instance, v size, SHA-256 (32), name                          the kernel opened a module
//   CALL      v time, v instance, kind (1), v host thread, mix (8) after it   a host call entered; threads by first call
//   END       v decisions, v time, trace hash (32)                            last record; absent when the recording was cut short
//
// Records stand in the order in which things happened: an input belongs after exactly the decisions that precede it.
#ifndef SIM_LOG_H
#define SIM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_LOG_MAGIC "TBOSLOG\n"
#define SIM_LOG_VERSION 1u
#define SIM_LOG_HEADER_SIZE 12u
#define SIM_LOG_FRAME_SIZE 9u // tag, size, checksum
#define SIM_LOG_RECORD_MAX (1u << 20)
#define SIM_LOG_CHUNK 4096u                    // decisions per record, at most
#define SIM_LOG_MOVES_MAX (SIM_LOG_CHUNK * 4u) // bytes: a gap and a CPU number take two bytes each
#define SIM_LOG_BUILD_ID_SIZE 65u
#define SIM_LOG_POLICY_SIZE 32u
#define SIM_LOG_PERSONA_SIZE 32u
#define SIM_LOG_CMDLINE_SIZE 512u
#define SIM_LOG_NAME_SIZE 4096u
#define SIM_LOG_INPUT_MAX 65536u

enum sim_log_tag {
	SIM_LOG_OPTIONS = 1,
	SIM_LOG_INSTANCE,
	SIM_LOG_DECISIONS,
	SIM_LOG_INPUT,
	SIM_LOG_MODULE,
	SIM_LOG_CALL,
	SIM_LOG_END
};

enum sim_log_call_kind {
	SIM_LOG_CALL_BOOT,
	SIM_LOG_CALL_CALL,
	SIM_LOG_CALL_STOP,
	SIM_LOG_CALL_DESTROY,
	SIM_LOG_CALL_COUNT
};

struct sim_log_options {
	uint64_t seed;
	uint64_t time_limit_ns;
	char build_id[SIM_LOG_BUILD_ID_SIZE];
	char policy[SIM_LOG_POLICY_SIZE];
};

struct sim_log_instance {
	uint64_t time_ns;
	uint32_t index;
	uint32_t cpu_count;
	uint32_t flags;
	uint64_t mem_bytes;
	char persona[SIM_LOG_PERSONA_SIZE];
	char cmdline[SIM_LOG_CMDLINE_SIZE];
};

struct sim_log_decisions {
	uint32_t count;
	uint64_t mix; // after the last of them
	const uint8_t *checks;
	uint32_t move_count;
	const uint8_t *moves; // well formed in a record that sim_log_next() returned
	size_t moves_size_bytes;
};

struct sim_log_input {
	uint64_t time_ns;
	uint32_t instance;
	bool end;
	const uint8_t *bytes;
	size_t size_bytes;
};

struct sim_log_module {
	uint32_t instance;
	uint64_t size_bytes;
	uint8_t hash[32];
	const char *name; // not terminated
	size_t name_size_bytes;
};

struct sim_log_call {
	uint64_t time_ns;
	uint32_t instance;
	enum sim_log_call_kind kind;
	uint32_t thread;
	uint64_t mix;
};

struct sim_log_end {
	uint64_t decisions;
	uint64_t time_ns;
	uint8_t hash[32];
};

struct sim_log_record {
	enum sim_log_tag tag;
	union {
		struct sim_log_options options;
		struct sim_log_instance instance;
		struct sim_log_decisions decisions; // pointers into the reader's bytes, as in the two below
		struct sim_log_input input;
		struct sim_log_module module;
		struct sim_log_call call;
		struct sim_log_end end;
	};
};

// ---- writing --------------------------------------------------------------------------------------------------------

// Encodes into `bytes`, which has room for `capacity`; returns the size, 0 when it does not fit or the record is not legal.
// Never allocates.
size_t sim_log_encode_header(uint8_t *bytes, size_t capacity);
size_t sim_log_encode(const struct sim_log_record *record, uint8_t *bytes, size_t capacity);

// Decisions on their way into a record.
struct sim_log_chunk {
	uint32_t count;
	uint32_t move_count;
	uint32_t last_move; // index of the decision that moved last; the first gap counts from 0
	uint32_t moves_size_bytes;
	uint8_t checks[SIM_LOG_CHUNK];
	uint8_t moves[SIM_LOG_MOVES_MAX];
};

// Adds one decision; the chunk must be emptied (count set to 0) when it has SIM_LOG_CHUNK of them. `moved`: cpu is not the
// one of the decision before. Fast.
void sim_log_chunk_add(struct sim_log_chunk *chunk, uint32_t kind, uint64_t mix, bool moved, uint32_t cpu);
void sim_log_chunk_reset(struct sim_log_chunk *chunk);
void sim_log_chunk_record(const struct sim_log_chunk *chunk, uint64_t mix, struct sim_log_record *record);

// ---- reading --------------------------------------------------------------------------------------------------------

struct sim_log_reader {
	const uint8_t *bytes;
	size_t size_bytes;
	size_t offset;      // of the next record; after an error, of the place that is wrong
	const char *reason; // of the error
};

enum sim_log_status {
	SIM_LOG_BAD = -1, // reader->offset and reader->reason say where and why
	SIM_LOG_EOF = 0,
	SIM_LOG_OK = 1
};

// Any bytes at all may be given. Checks the header.
enum sim_log_status sim_log_open(struct sim_log_reader *reader, const uint8_t *bytes, size_t size_bytes);

// The next record, every field checked. SIM_LOG_EOF at the end of the file.
enum sim_log_status sim_log_next(struct sim_log_reader *reader, struct sim_log_record *record);

struct sim_log_summary {
	struct sim_log_options options;
	struct sim_log_instance first; // cpu_count 0: none was created
	uint64_t decisions;
	bool complete; // has its END
	struct sim_log_end end;
};

// Reads the whole log and checks what one record alone cannot show: order, instances that exist, the count at the end.
enum sim_log_status sim_log_check(struct sim_log_reader *reader, const uint8_t *bytes, size_t size_bytes,
				  struct sim_log_summary *summary);

// One move of a decisions record; *next runs through it. The record has been checked.
void sim_log_move_next(const uint8_t **next, uint32_t *gap, uint32_t *cpu);

uint32_t sim_log_crc32(uint32_t crc, const uint8_t *bytes, size_t size_bytes);

#endif
