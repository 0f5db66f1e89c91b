// SPDX-License-Identifier: MIT
//
// Parts of the simulator that need no kernel: SHA-256, random streams, CPU sets, policies.
#include "engine.h"

#include "../../../src/hal_hosted/sim/sim_policy.h"
#include "../../../src/hal_hosted/sim/sim_sha256.h"

#include <stdlib.h>
#include <string.h>

static void digest_check(const char *text, size_t repeat, const char *wanted)
{
	struct sim_sha256 sha;
	uint8_t digest[32];
	char hex[65];
	sim_sha256_init(&sha);
	for (size_t i = 0; i < repeat; ++i)
		sim_sha256_update(&sha, text, strlen(text));
	sim_sha256_final(&sha, digest);
	for (unsigned i = 0; i < sizeof(digest); ++i)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	CHECK(strcmp(hex, wanted) == 0);
}

// FIPS 180-4's examples.
static void sha256_vectors(void)
{
	digest_check("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_check("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	digest_check("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void sha256_instructions(void)
{
#if defined(__x86_64__)
	struct sim_stream stream;
	uint8_t blocks[8 * SIM_SHA256_BLOCK];
	if (!sim_sha256_has_x86()) {
		engine_note("this processor has no SHA instructions");
		return;
	}
	sim_stream_init(&stream, 1, "test", 0);
	for (unsigned round = 0; round < 1000; ++round) {
		uint32_t a[8], b[8];
		for (unsigned i = 0; i < sizeof(blocks); ++i)
			blocks[i] = (uint8_t)sim_draw(&stream);
		for (unsigned i = 0; i < 8; ++i)
			a[i] = b[i] = (uint32_t)sim_draw(&stream);
		size_t count = 1 + sim_draw_below(&stream, 8);
		sim_sha256_blocks_c(a, blocks, count);
		sim_sha256_blocks_x86(b, blocks, count);
		CHECK(memcmp(a, b, sizeof(a)) == 0);
	}
#endif
}

static void streams_differ(void)
{
	struct sim_stream a, b, c, d;
	unsigned same = 0;
	sim_stream_init(&a, 7, "cost", 0);
	sim_stream_init(&b, 7, "policy", 0);
	sim_stream_init(&c, 7, "cost", 1);
	sim_stream_init(&d, 8, "cost", 0);
	for (unsigned i = 0; i < 1000; ++i) {
		uint64_t draw = sim_draw(&a);
		same += draw == sim_draw(&b);
		same += draw == sim_draw(&c);
		same += draw == sim_draw(&d);
	}
	CHECK(same == 0);
}

// Every value of a small range comes up about equally often (three standard deviations).
static void stream_is_even(void)
{
	struct sim_stream stream;
	unsigned counts[7] = {0};
	sim_stream_init(&stream, 3, "even", 0);
	for (unsigned i = 0; i < 70000; ++i)
		++counts[sim_draw_below(&stream, 7)];
	for (unsigned i = 0; i < 7; ++i)
		CHECK(counts[i] > 10000 - 280 && counts[i] < 10000 + 280);
}

static void set_against_array(void)
{
	static struct sim_set set;
	static bool has[SIM_CPUS_MAX];
	struct sim_stream stream;
	sim_stream_init(&stream, 5, "set", 0);
	for (unsigned round = 0; round < 2000; ++round) {
		uint32_t cpu = sim_draw_below(&stream, SIM_CPUS_MAX);
		has[cpu] = sim_draw_below(&stream, 2) == 0;
		(has[cpu] ? sim_set_add : sim_set_remove)(&set, cpu);
		uint32_t count = 0, probe = sim_draw_below(&stream, SIM_CPUS_MAX), from = SIM_CPU_NONE;
		for (uint32_t i = 0; i < SIM_CPUS_MAX; ++i) {
			if (has[i] && i >= probe && from == SIM_CPU_NONE)
				from = i;
			if (has[i])
				CHECK(sim_set_at(&set, count) == i);
			count += has[i];
			CHECK(sim_set_has(&set, i) == has[i]);
		}
		CHECK(set.count == count);
		CHECK(sim_set_from(&set, probe) == from);
	}
}

static void policy_words(void)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{"rr", true},
		{"random", true},
		{"pct:1", true},
		{"pct:64", true},
		{"pct:3:1000", true},
		{"", false},
		{"rr ", false},
		{"Random", false},
		{"pct", false},
		{"pct:", false},
		{"pct:0", false},
		{"pct:65", false},
		{"pct:3:", false},
		{"pct:3:0", false},
		{"pct:-1", false},
		{"pct:3x", false},
		{"pct:3:9x", false},
		{"pct:3:1:1", false},
		{"pct:18446744073709551617", false},
		{"pct:3:1000000001", false},
	};
	static struct sim_policy policy;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i)
		engine_check(sim_policy_parse(&policy, cases[i].text) == cases[i].ok, __FILE__, __LINE__, "\"%s\"",
			     cases[i].text);
}

// The chosen one is ready; who yields is not chosen again while others are ready; nobody is left out for ever when all yield.
static void policy_fair(const char *text)
{
	static struct sim_policy policy;
	static struct sim_set ready;
	unsigned chosen[5] = {0};
	uint32_t current = 0;
	memset(&policy, 0, sizeof(policy));
	memset(&ready, 0, sizeof(ready));
	CHECK(sim_policy_parse(&policy, text));
	sim_policy_init(&policy, 11);
	sim_policy_grow(&policy, 5);
	for (uint32_t i = 0; i < 5; ++i)
		sim_set_add(&ready, i);
	for (unsigned i = 0; i < 10000; ++i) {
		uint32_t next = sim_policy_pick(&policy, &ready, current, true);
		CHECK(sim_set_has(&ready, next));
		CHECK(next != current);
		++chosen[next];
		current = next;
	}
	for (unsigned i = 0; i < 5; ++i)
		CHECK(chosen[i] >= 1000);
}

static void policies_fair(void)
{
	policy_fair("rr");
	policy_fair("random");
	policy_fair("pct:1");
	policy_fair("pct:5");
}

// A CPU that works without ever yielding cannot keep the others out for ever, under any policy.
static void policies_starve_nobody(void)
{
	static const char *const texts[] = {"rr", "random", "pct:1:1000000000"};
	static struct sim_policy policy;
	static struct sim_set ready;
	for (unsigned t = 0; t < 3; ++t) {
		unsigned chosen[3] = {0};
		uint32_t current = 0;
		memset(&policy, 0, sizeof(policy));
		memset(&ready, 0, sizeof(ready));
		CHECK(sim_policy_parse(&policy, texts[t]));
		sim_policy_init(&policy, 3);
		sim_policy_grow(&policy, 3);
		for (uint32_t i = 0; i < 3; ++i)
			sim_set_add(&ready, i);
		for (unsigned i = 0; i < 200000; ++i) {
			current = sim_policy_pick(&policy, &ready, current, false);
			++chosen[current];
		}
		for (unsigned i = 0; i < 3; ++i)
			engine_check(chosen[i] > 10000, __FILE__, __LINE__, "%s: CPU %u chosen %u times", texts[t], i,
				     chosen[i]);
	}
}

// The paper's guarantee for depth 2 on two CPUs of n steps each: a given point of the first is followed by the whole of the
// second with probability ≥ 1/(2·K).
static void pct_guarantee(void)
{
	static struct sim_policy policy;
	enum {
		STEPS = 20,
		EPISODES = 20000,
		POINT = 7
	};
	unsigned found = 0;
	memset(&policy, 0, sizeof(policy));
	CHECK(sim_policy_parse(&policy, "pct:2:40"));
	sim_policy_init(&policy, 9);
	sim_policy_grow(&policy, 2);
	for (unsigned i = 0; i < EPISODES; ++i) {
		unsigned done[2] = {0}, first_at_end = 0;
		uint32_t current = SIM_CPU_NONE;
		sim_policy_episode(&policy);
		while (done[0] < STEPS || done[1] < STEPS) {
			struct sim_set ready = {.words = 0};
			for (uint32_t cpu = 0; cpu < 2; ++cpu)
				if (done[cpu] < STEPS)
					sim_set_add(&ready, cpu);
			current = sim_policy_pick(&policy, &ready, current, false);
			if (++done[current] == STEPS && current == 1)
				first_at_end = done[0];
		}
		found += first_at_end == POINT;
	}
	engine_note("pct:2:40: found %u times in %u episodes, the bound is %u", found, EPISODES, EPISODES / 80);
	CHECK(found >= EPISODES / 80 * 8 / 10);
}

const struct engine_test engine_unit_tests[] = {
	{"SHA-256 gives the standard's examples", sha256_vectors},
	{"SHA-256 by instructions equals the portable one", sha256_instructions},
	{"streams of other names, numbers and seeds differ", streams_differ},
	{"draws are even", stream_is_even},
	{"a CPU set equals an array of flags", set_against_array},
	{"policies are read strictly", policy_words},
	{"who yields is followed by others", policies_fair},
	{"nobody starves", policies_starve_nobody},
	{"pct keeps its bound", pct_guarantee},
	{NULL, NULL},
};
