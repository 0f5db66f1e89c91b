// SPDX-License-Identifier: MIT
//
// Who runs next. A policy sees the set of ready virtual CPUs, who runs now and what kind of point was reached, and names
// one member of the set. It draws from its own stream, so its choices leave costs and latencies alone.
//
//   rr          takes turns of RR_TURN points. The plainest schedule: what a bug hidden from it needs is said by the others.
//   random      goes on with the running CPU or picks a ready one, all alike. How often it picks is drawn per episode (each
//               point … each 32nd), because a walk that always switches rarely lets anyone get far ahead.
//   pct:D[:K]   probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with
//               Probabilistic Guarantees of Finding Bugs, ASPLOS 2010): random priorities, the highest ready CPU runs, and at D-1
//               random points among the next K the running one falls below all others. A bug of depth D among n CPUs shows with
//               probability ≥ 1/(n·K^(D-1)). Without K the length is drawn log-uniformly from 2^5 … 2^16 for each episode.
//
// An episode starts with the world, with each host call that enters, and (pct) after K points: a test body is one episode,
// whatever was before it, and a long run is many.
//
// No livelock: a CPU that polls (HAL_POINT_RELAX) yields to the others: rr and random pick another one; pct puts it below
// all until it does something else. So does it with one that it has chosen for PCT_STREAK points in a row.
#ifndef SIM_POLICY_H
#define SIM_POLICY_H

#include "sim_set.h"
#include "sim_stream.h"

#define SIM_POLICY_NAME_SIZE 32u
#define SIM_PCT_DEPTH_MAX 64u

enum sim_policy_kind {
	SIM_POLICY_RR,
	SIM_POLICY_RANDOM,
	SIM_POLICY_PCT
};

struct sim_policy {
	enum sim_policy_kind kind;
	struct sim_stream stream;

	uint32_t turn;        // rr: points left
	uint32_t switch_mask; // random: picks when draw & mask is 0

	// pct
	uint32_t depth;  // D
	uint32_t length; // K, 0: drawn per episode
	uint32_t step;   // of this episode
	uint32_t episode_steps;
	uint32_t streak;                       // points in a row for one CPU
	uint32_t changes;                      // change points left
	uint32_t cpus;                         // CPUs that have a priority
	uint64_t salt;                         // of this episode's first priorities
	int64_t lowest;                        // given to the last CPU put below all
	uint32_t change_at[SIM_PCT_DEPTH_MAX]; // descending, change_at[changes-1] is next
	uint32_t best;                         // chosen last, with the set at `version`; SIM_CPU_NONE: look again
	uint32_t version;
	int64_t priority[SIM_CPUS_MAX]; // the highest runs
	int64_t base[SIM_CPUS_MAX];     // what a CPU that was put below all gets back
};

// Reads "rr", "random", "pct:D" or "pct:D:K" (D 1 … 64, K 1 … 10^9). False, with *policy untouched, for anything else.
bool sim_policy_parse(struct sim_policy *policy, const char *text);

// Starts with the given seed; the kind has been parsed.
void sim_policy_init(struct sim_policy *policy, uint64_t seed);

// The world has CPUs 0 … cpus-1 now (it never has fewer).
void sim_policy_grow(struct sim_policy *policy, uint32_t cpus);

// A new episode.
void sim_policy_episode(struct sim_policy *policy);

// Names a member of `ready`, which is not empty. `current` is who reached the point (in `ready` or not), or SIM_CPU_NONE.
// `yields`: it polls, so somebody else should run.
uint32_t sim_policy_pick(struct sim_policy *policy, const struct sim_set *ready, uint32_t current, bool yields);

// sim_policy_pct.c
void sim_pct_grow(struct sim_policy *policy, uint32_t cpus);
void sim_pct_episode(struct sim_policy *policy);
uint32_t sim_pct_pick(struct sim_policy *policy, const struct sim_set *ready, uint32_t current, bool yields);

#endif
