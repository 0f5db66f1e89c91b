// SPDX-License-Identifier: MIT
//
// The cost model: how much virtual time a schedule point, an interrupt or a clock read takes. Costs are drawn, not fixed,
// so that two loops never stay in step by accident; ranges are near what the threads engine measures on a real machine
// (uncontended atomics some ten ns, a switch about forty, an interrupt about a microsecond), which keeps slices, timeouts
// and statistics of simulated runs meaningful.
#ifndef SIM_COST_H
#define SIM_COST_H

#include "hal/inline.h"
#include "sim_stream.h"

// Kinds of decision: the HAL's schedule points, then the simulator's own. They fit four bits (decision log).
enum sim_kind {
	SIM_KIND_IDLE = HAL_POINT_COUNT, // a CPU has nothing to do
	SIM_KIND_SPIN,                   // a CPU waits for a spinlock's word
	SIM_KIND_HOST,                   // a host thread came in, or the last running instance halted
	SIM_KIND_COUNT
};
_Static_assert(SIM_KIND_COUNT <= 16, "a kind is four bits in the decision log");

struct sim_cost {
	uint16_t min_ns;
	uint16_t spread_ns; // a power of two minus one: the draw is min_ns … min_ns + spread_ns
};

extern const struct sim_cost sim_costs[SIM_KIND_COUNT];
extern const char *const sim_kind_names[SIM_KIND_COUNT];

// Reading the clock: a loop that polls it must see it move.
#define SIM_COST_CLOCK_NS 10u

static inline uint32_t sim_cost_draw(struct sim_stream *stream, uint32_t kind)
{
	return sim_costs[kind].min_ns + ((uint32_t)(sim_draw(stream) >> 32) & sim_costs[kind].spread_ns);
}

// How late an interrupt arrives. Mostly short; one in sixteen is sixteen times longer, so that orders which need a slow
// interrupt occur too. The bounds are 16 × (min + spread).
enum sim_latency {
	SIM_LATENCY_TIMER,
	SIM_LATENCY_IPI,
	SIM_LATENCY_CONSOLE,
	SIM_LATENCY_CALL,
	SIM_LATENCY_COUNT
};
uint32_t sim_latency_draw(struct sim_stream *stream, enum sim_latency kind);

#endif
