// SPDX-License-Identifier: MIT
//
// The HAL's conformance bodies, run in a thread of the conformance kernel on every HAL and engine.
#ifndef BODIES_H
#define BODIES_H

#include "mini.h"

void body_switch_keeps_registers(struct conform_result *result);
void body_switch_keeps_control_words(struct conform_result *result);
void body_context_exit_reuses_stacks(struct conform_result *result);
void body_context_many(struct conform_result *result);
void body_preempt_spinning_threads(struct conform_result *result);
void body_mask_defers(struct conform_result *result);
void body_ipi_to_self_unmasked(struct conform_result *result);
void body_ipi_none_lost(struct conform_result *result);
void body_ipi_wakes_idle(struct conform_result *result);
void body_ipi_all_pairs(struct conform_result *result);
void body_spin_excludes(struct conform_result *result);
void body_spin_wait_is_bounded(struct conform_result *result);
void body_spin_wake_ends_wait(struct conform_result *result);
void body_timer_is_never_early(struct conform_result *result);
void body_timer_past_fires_at_once(struct conform_result *result);
void body_timer_is_replaced(struct conform_result *result);
void body_timer_is_disarmed(struct conform_result *result);
void body_clock_is_one_line(struct conform_result *result);
void body_clock_rough_is_near(struct conform_result *result);
void body_sleep_many(struct conform_result *result);
void body_ram_is_where_it_belongs(struct conform_result *result);
void body_ram_is_zeroed_and_holds(struct conform_result *result);
void body_ram_discard_zeroes(struct conform_result *result);
void body_ram_discard_crosses_nodes(struct conform_result *result);
void body_ram_poison_is_harmless(struct conform_result *result);
void body_module_reads(struct conform_result *result);
void body_module_errors(struct conform_result *result);
void body_console_writes(struct conform_result *result);
void body_entropy_differs(struct conform_result *result);
void body_panel_is_consistent(struct conform_result *result);
void body_trace_event_is_taken(struct conform_result *result);

#endif
