// SPDX-License-Identifier: MIT
//
// Policies: parsing, rr and random. PCT has its own file.
#include "sim_policy.h"

#include <stdlib.h>
#include <string.h>

#define RR_TURN 50u
#define RANDOM_SHIFT_MAX 6u // picks every 2^0 … 2^5 points
#define PCT_LENGTH_MAX 1000000000u

// Decimal digits up to `end`, in [1, max]; 0 for anything else.
static uint64_t number_parse(const char *text, char end, uint64_t max, const char **rest)
{
	uint64_t value = 0;
	const char *next = text;
	for (; *next >= '0' && *next <= '9'; ++next) {
		value = value * 10 + (uint64_t)(*next - '0');
		if (value > max)
			return 0;
	}
	*rest = next;
	return *next == end || *next == '\0' ? value : 0;
}

static bool pct_parse(struct sim_policy *policy, const char *text)
{
	const char *rest;
	uint64_t depth = number_parse(text, ':', SIM_PCT_DEPTH_MAX, &rest);
	uint64_t length = 0;
	if (depth == 0)
		return false;
	if (*rest == ':') {
		length = number_parse(rest + 1, '\0', PCT_LENGTH_MAX, &rest);
		if (length == 0)
			return false;
	}
	policy->kind = SIM_POLICY_PCT;
	policy->depth = (uint32_t)depth;
	policy->length = (uint32_t)length;
	return true;
}

bool sim_policy_parse(struct sim_policy *policy, const char *text)
{
	if (strcmp(text, "rr") == 0)
		policy->kind = SIM_POLICY_RR;
	else if (strcmp(text, "random") == 0)
		policy->kind = SIM_POLICY_RANDOM;
	else
		return strncmp(text, "pct:", 4) == 0 && pct_parse(policy, text + 4);
	return true;
}

void sim_policy_init(struct sim_policy *policy, uint64_t seed)
{
	sim_stream_init(&policy->stream, seed, "policy", 0);
	sim_policy_episode(policy);
}

void sim_policy_episode(struct sim_policy *policy)
{
	switch (policy->kind) {
	case SIM_POLICY_RR:
		policy->turn = RR_TURN;
		break;
	case SIM_POLICY_RANDOM:
		policy->switch_mask = (1u << sim_draw_below(&policy->stream, RANDOM_SHIFT_MAX)) - 1;
		break;
	case SIM_POLICY_PCT:
		sim_pct_episode(policy);
		break;
	}
}

void sim_policy_grow(struct sim_policy *policy, uint32_t cpus)
{
	if (policy->kind == SIM_POLICY_PCT)
		sim_pct_grow(policy, cpus);
}

static uint32_t rr_pick(struct sim_policy *policy, const struct sim_set *ready, uint32_t current, bool yields)
{
	if (!yields && policy->turn > 0 && sim_set_has(ready, current)) {
		--policy->turn;
		return current;
	}
	policy->turn = RR_TURN;
	return sim_set_after(ready, current);
}

static uint32_t random_pick(struct sim_policy *policy, const struct sim_set *ready, uint32_t current, bool yields)
{
	bool stays = sim_set_has(ready, current);
	uint32_t draw = (uint32_t)sim_draw(&policy->stream);
	if (stays && !yields && (draw & policy->switch_mask) != 0)
		return current;
	uint32_t count = ready->count;
	if (!stays || !yields || count == 1)
		return sim_set_at(ready, sim_draw_below(&policy->stream, count));
	uint32_t other = sim_set_at(ready, sim_draw_below(&policy->stream, count - 1));
	return other < current ? other : sim_set_after(ready, other);
}

uint32_t sim_policy_pick(struct sim_policy *policy, const struct sim_set *ready, uint32_t current, bool yields)
{
	switch (policy->kind) {
	case SIM_POLICY_RR:
		return rr_pick(policy, ready, current, yields);
	case SIM_POLICY_RANDOM:
		return random_pick(policy, ready, current, yields);
	default:
		return sim_pct_pick(policy, ready, current, yields);
	}
}
