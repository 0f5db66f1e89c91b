// SPDX-License-Identifier: MIT
//
// The tables of the cost model. Changing a number changes every trace hash, and nothing else: no test may depend on one.
#include "sim_cost.h"

const struct sim_cost sim_costs[SIM_KIND_COUNT] = {
	[HAL_POINT_LOCK] = {12, 15},      [HAL_POINT_UNLOCK] = {6, 7},  [HAL_POINT_WAKE] = {40, 63},
	[HAL_POINT_IRQ_ENABLE] = {6, 15}, [HAL_POINT_IRQ] = {600, 511}, [HAL_POINT_PERCPU] = {4, 7},
	[HAL_POINT_RELAX] = {40, 31},     [HAL_POINT_ATOMIC] = {5, 15}, [HAL_POINT_BLOCK] = {2000, 4095},
	[HAL_POINT_TRAP] = {150, 127},    [SIM_KIND_IDLE] = {100, 127}, [SIM_KIND_SPIN] = {30, 31},
	[SIM_KIND_HOST] = {200, 127},
};

const char *const sim_kind_names[SIM_KIND_COUNT] = {
	[HAL_POINT_LOCK] = "lock",     [HAL_POINT_UNLOCK] = "unlock",
	[HAL_POINT_WAKE] = "wake",     [HAL_POINT_IRQ_ENABLE] = "irq-enable",
	[HAL_POINT_IRQ] = "interrupt", [HAL_POINT_PERCPU] = "per-cpu access",
	[HAL_POINT_RELAX] = "relax",   [HAL_POINT_ATOMIC] = "atomic",
	[HAL_POINT_BLOCK] = "block",   [HAL_POINT_TRAP] = "trap",
	[SIM_KIND_IDLE] = "idle",      [SIM_KIND_SPIN] = "spin-wait",
	[SIM_KIND_HOST] = "host",
};

static const struct sim_cost latencies[SIM_LATENCY_COUNT] = {
	[SIM_LATENCY_TIMER] = {50, 255},
	[SIM_LATENCY_IPI] = {150, 1023},
	[SIM_LATENCY_CONSOLE] = {2000, 4095},
	[SIM_LATENCY_CALL] = {300, 511},
};

uint32_t sim_latency_draw(struct sim_stream *stream, enum sim_latency kind)
{
	uint64_t draw = sim_draw(stream);
	uint32_t latency_ns = latencies[kind].min_ns + ((uint32_t)(draw >> 32) & latencies[kind].spread_ns);
	return (draw & 15) == 0 ? latency_ns * 16 : latency_ns;
}
