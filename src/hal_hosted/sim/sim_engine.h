// SPDX-License-Identifier: MIT
//
// The operations behind struct host_engine, for the table in sim_engine.c. What each does is said in ../host_impl.h and in the
// doors of include/hal that bear the same names.
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "sim_impl.h"

// sim_engine.c, H
tb_err sim_create(struct tb_instance *instance);
tb_err sim_destroy(struct tb_instance *instance);

// sim_door.c, K
void sim_booted(struct tb_instance *instance);
void sim_cpu_bound(struct tb_instance *instance, struct host_cpu *cpu);
tb_err sim_cpu_start(struct tb_instance *instance, struct host_cpu *cpu);
void sim_cpu_idle(struct tb_instance *instance);
void sim_ipi(struct tb_instance *instance, struct host_cpu *cpu);
void sim_cpu_relax(struct tb_instance *instance);
void sim_spin_wait(struct tb_instance *instance, const uint32_t *word, uint32_t seen);
void sim_spin_wake(struct tb_instance *instance, const uint32_t *word);
void sim_irq_deliver(struct tb_instance *instance);
void sim_at_point(struct tb_instance *instance, enum hal_point_kind kind);
uint64_t sim_clock_mono_ns(struct tb_instance *instance);
uint64_t sim_clock_wall_ns(struct tb_instance *instance);
void sim_timer_arm(struct tb_instance *instance, uint64_t deadline_ns);
bool sim_call_take(struct tb_instance *instance, struct hal_call *call);
void sim_call_done(struct tb_instance *instance, uint64_t token, int64_t result);
bool sim_call_wants_cpu(struct tb_instance *instance);
void sim_call_sleeping(struct tb_instance *instance, uint64_t token, bool sleeping);
void sim_entropy(struct tb_instance *instance, void *buffer, size_t size_bytes);
void sim_trace_event(struct tb_instance *instance, const struct hal_trace_event *event);
void sim_console_wrote(struct tb_instance *instance, const char *bytes, size_t size_bytes);
struct hal_window sim_console_window(struct tb_instance *instance);
void sim_halt(struct tb_instance *instance) __attribute__((noreturn));

// No CPU of the instance runs again. K or H.
void sim_instance_off(struct sim_instance *instance);
// The same, because the kernel has halted itself.
void sim_instance_halted(struct sim_instance *instance);

// sim_world.c, H
struct sim_options {
	uint64_t seed;
	const char *policy; // NULL: "random"
	const char *record_path, *replay_path;
	uint64_t time_limit_ns; // 0: none
};
tb_err sim_world_create(const struct sim_options *options, struct tb_sim **out);
// Writes the end of a recording, and compares the end of a replay. Errors, noted for tb_error(NULL): -EIO, -EPROTO.
tb_err sim_world_destroy(struct tb_sim *sim);
// The same without a word, for a world in which nothing has happened.
void sim_world_abandon(struct tb_sim *sim);
// Joins and leaves; sim_caller_enter() alone calls these. attach: -EAGAIN, -EPROTO, with caller->reason.
tb_err sim_instance_attach(struct tb_sim *sim, struct sim_caller *caller);
void sim_instance_detach(struct sim_instance *instance);

#endif
