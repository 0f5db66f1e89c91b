// SPDX-License-Identifier: MIT
//
// Conformance: RAM, modules, console, entropy, and the table of all bodies.
#include "bodies.h"

#include "hal/panel.h"

// ---- RAM --------------------------------------------------------------------------------------------------------------------

void body_ram_is_where_it_belongs(struct conform_result *result)
{
	const struct hal_boot_info *info = &mini()->info;
	uint64_t offset = 0, size_bytes = 0;
	CHECK(info->ram == (void *)mini());
	CHECK(info->node_count >= 1 && info->node_count <= HAL_MAX_NODES);
	for (uint32_t i = 0; i < info->node_count; i++) {
		// A machine's RAM has holes, and so a node may have several runs.
		CHECK(CONFIG_HAL_HOSTED ? info->nodes[i].offset == offset : info->nodes[i].offset >= offset);
		CHECK(CONFIG_HAL_HOSTED ? info->nodes[i].node == i : info->nodes[i].node <= i);
		CHECK(info->nodes[i].size_bytes % 4096 == 0);
		offset = info->nodes[i].offset + info->nodes[i].size_bytes;
		size_bytes += info->nodes[i].size_bytes;
	}
	CHECK(size_bytes == info->ram_size_bytes);
#if CONFIG_HAL_HOSTED
	uintptr_t base = (uintptr_t)info->ram;
	CHECK(base >= HAL_SLOT_BASE && base < HAL_SLOT_LIMIT && base % HAL_SLOT_SIZE == 0);
#endif
}

static bool all_bytes(const unsigned char *bytes, size_t size, unsigned char value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

void body_ram_is_zeroed_and_holds(struct conform_result *result)
{
	enum {
		SIZE = MINI_AREA
	};
	unsigned char *memory = mini_alloc(SIZE, MINI_PAGE);
	CHECK(memory != NULL);
	if (memory == NULL)
		return;
	CHECK(all_bytes(memory, SIZE, 0));
	for (uint32_t i = 0; i < SIZE; i++)
		memory[i] = (unsigned char)(i * 31 >> 3);
	mini_yield();
	bool same = true;
	for (uint32_t i = 0; i < SIZE; i++)
		same = same && memory[i] == (unsigned char)(i * 31 >> 3);
	CHECK(same);
}

void body_ram_discard_zeroes(struct conform_result *result)
{
	enum {
		SIZE = MINI_PAGES * MINI_PAGE
	};
	unsigned char *memory = mini_alloc(SIZE, MINI_PAGE);
	CHECK(memory != NULL);
	if (memory == NULL)
		return;
	for (uint32_t i = 0; i < SIZE; i++)
		memory[i] = 0xa5;
	hal_ram_discard(memory + MINI_PAGE, 10 * MINI_PAGE);
	CHECK(all_bytes(memory, MINI_PAGE, 0xa5));
	CHECK(all_bytes(memory + MINI_PAGE, 10 * MINI_PAGE, 0));
	CHECK(all_bytes(memory + 11 * MINI_PAGE, SIZE - 11 * MINI_PAGE, 0xa5));
	memory[MINI_PAGE] = 1;
	CHECK(memory[MINI_PAGE] == 1 && memory[MINI_PAGE + 1] == 0);
	bool was = hal_irq_save();
	hal_ram_discard(memory, SIZE);
	CHECK(all_bytes(memory, SIZE, 0));
	hal_irq_restore(was);
}

// Across the border of two nodes.
void body_ram_discard_crosses_nodes(struct conform_result *result)
{
	struct mini_kernel *kernel = mini();
	const struct hal_boot_info *info = &kernel->info;
	CHECK(info->node_count > 0);
	if (HAL_MAX_NODES < 2 || info->node_count < 2 ||
	    info->nodes[1 % HAL_MAX_NODES].offset != info->nodes[0].size_bytes)
		return; // none, or a hole between
	unsigned char *border = (unsigned char *)info->ram + info->nodes[1 % HAL_MAX_NODES].offset;
	CHECK((char *)border - 8192 > kernel->ram_next); // free, and far from what is used
	for (int i = -8192; i < 8192; i++)
		border[i] = 0x5a;
	hal_ram_discard(border - 4096, 8192);
	CHECK(all_bytes(border - 8192, 4096, 0x5a));
	CHECK(all_bytes(border - 4096, 8192, 0));
	CHECK(all_bytes(border + 4096, 4096, 0x5a));
	hal_ram_discard(border - 8192, 16384);
}

void body_ram_poison_is_harmless(struct conform_result *result)
{
	unsigned char *memory = mini_alloc(MINI_PAGE, MINI_PAGE);
	CHECK(memory != NULL);
	if (memory == NULL)
		return;
	memory[5] = 1;
	hal_ram_poison(memory, MINI_PAGE);
	hal_ram_unpoison(memory, MINI_PAGE);
	CHECK(memory[5] == 1);
}

// ---- modules ------------------------------------------------------------------------------------------------------------------

// The runner's file holds 10,000 bytes, byte i being i % 251.
void body_module_reads(struct conform_result *result)
{
	unsigned char buffer[300];
	int32_t id = -1;
	uint64_t size = 0;
	tb_err err = hal_module_open(result->input, &id, &size);
	CHECK(err == 0);
	if (err != 0)
		return;
	CHECK(size == 10000);
	// A board's module is an allocation trace by its head, and the pattern behind it.
	for (uint32_t at = CONFIG_HAL_CORTEX_M ? 64 : 0; at + 300 <= 10000; at += 1111) {
		CHECK(hal_module_read(id, at, buffer, 300) == 0);
		bool same = true;
		for (uint32_t i = 0; i < 300; i++)
			same = same && buffer[i] == (at + i) % 251;
		CHECK(same);
	}
	CHECK(hal_module_read(id, 10000, buffer, 0) == 0);
	CHECK(hal_module_read(id, 9999, buffer, 2) == -22);
	CHECK(hal_module_read(id, 10001, buffer, 0) == -22);
	CHECK(hal_module_read(id, UINT64_MAX, buffer, 1) == -22);
	hal_module_close(id);
	CHECK(hal_module_read(id, 0, buffer, 1) == -9);
	CHECK(hal_module_read(-1, 0, buffer, 1) == -9);
	CHECK(hal_module_read(1000, 0, buffer, 1) == -9);
}

void body_module_errors(struct conform_result *result)
{
	int32_t ids[16];
	int32_t id;
	uint64_t size;
	CHECK(hal_module_open("/nonexistent/module", &id, &size) == -2);
	CHECK(hal_module_open("/", &id, &size) ==
	      (CONFIG_HAL_HOSTED ? -21 : -2)); // modules of a boot loader have no folders
	for (uint32_t i = 0; i < 16; i++)
		CHECK(hal_module_open(result->input, &ids[i], &size) == 0);
	CHECK(hal_module_open(result->input, &id, &size) == -24);
	for (uint32_t i = 0; i < 16; i++)
		hal_module_close(ids[i]);
	CHECK(hal_module_open(result->input, &id, &size) == 0);
	hal_module_close(id);
}

// ---- console, entropy, trace ----------------------------------------------------------------------------------------------------

void body_console_writes(struct conform_result *result)
{
	hal_console_write("conform", 7);
	bool was = hal_irq_save();
	hal_console_write("", 0);
	hal_console_write(" masked\n", 8);
	CHECK(hal_irq_masked());
	hal_irq_restore(was);
	CHECK(hal_console_window().columns > 0);
	CHECK(hal_console_window().rows > 0);
}

void body_entropy_differs(struct conform_result *result)
{
	unsigned char a[64], b[64];
	bool same = true;
	hal_entropy(a, sizeof a);
	hal_entropy(b, sizeof b);
	for (uint32_t i = 0; i < sizeof a; i++)
		same = same && a[i] == b[i];
	CHECK(!same);
	CHECK(!all_bytes(a, sizeof a, 0) && !all_bytes(b, sizeof b, 0));
}

// A machine may have no panel; then its calls do nothing. Keys that do not exist are never down.
void body_panel_is_consistent(struct conform_result *result)
{
	static const uint8_t bytes[4] = {1, 2, 4, 8};
	struct hal_panel panel;
	hal_panel_get(&panel);
	CHECK((panel.columns == 0) == (panel.pages == 0));
	CHECK((hal_panel_keys() & ~panel.keys) == 0);
	hal_panel_lamp(0, true);
	hal_panel_lamp(panel.lamps, true);
	hal_panel_draw(0, 0, bytes, sizeof bytes, 15);
	hal_panel_draw(panel.columns, panel.pages, bytes, sizeof bytes, 15);
	hal_panel_draw(panel.columns - 1, 0, bytes, sizeof bytes, 1);
	CHECK(!hal_irq_masked());
}

void body_trace_event_is_taken(struct conform_result *result)
{
	struct hal_trace_event event = {.ts_ns = hal_clock_mono_ns(), .event = 7, .a = 1, .b = 2};
	bool was = hal_irq_save();
	hal_trace_event(&event);
	CHECK(hal_irq_masked());
	hal_irq_restore(was);
	hal_trace_event(&event);
}

// ---- the table --------------------------------------------------------------------------------------------------------------------

const struct conform_body conform_bodies[] = {
	{"switch_keeps_registers", body_switch_keeps_registers, 1, 0},
	{"switch_keeps_control_words", body_switch_keeps_control_words, 1, 0},
	{"context_exit_reuses_stacks", body_context_exit_reuses_stacks, 1, 0},
	{"context_many", body_context_many, 1, 0},
	{"context_many_smp", body_context_many, 2, 0},
	{"preempt_spinning_threads", body_preempt_spinning_threads, 1, 0},
	{"preempt_spinning_threads_smp", body_preempt_spinning_threads, 4, 0},
	{"mask_defers", body_mask_defers, 1, 0},
	{"mask_defers_smp", body_mask_defers, 2, 0},
	{"ipi_to_self_unmasked", body_ipi_to_self_unmasked, 1, 0},
	{"ipi_to_self_unmasked_smp", body_ipi_to_self_unmasked, 2, 0},
	{"ipi_none_lost", body_ipi_none_lost, 2, 0},
	{"ipi_wakes_idle", body_ipi_wakes_idle, 4, 0},
	{"ipi_all_pairs", body_ipi_all_pairs, 4, 0},
	{"spin_excludes", body_spin_excludes, 1, 0},
	{"spin_excludes_smp", body_spin_excludes, 4, 0},
	{"spin_wait_is_bounded", body_spin_wait_is_bounded, 1, CONFORM_REAL_TIME},
	{"spin_wake_ends_wait", body_spin_wake_ends_wait, 2, 0},
	{"timer_is_never_early", body_timer_is_never_early, 1, 0},
	{"timer_past_fires_at_once", body_timer_past_fires_at_once, 1, 0},
	{"timer_is_replaced", body_timer_is_replaced, 1, 0},
	{"timer_is_disarmed", body_timer_is_disarmed, 1, 0},
	{"clock_is_one_line", body_clock_is_one_line, 1, 0},
	{"clock_is_one_line_smp", body_clock_is_one_line, 4, 0},
	{"clock_rough_is_near", body_clock_rough_is_near, 1, 0},
	{"clock_rough_is_near_smp", body_clock_rough_is_near, 4, 0},
	{"sleep_many", body_sleep_many, 1, 0},
	{"sleep_many_smp", body_sleep_many, 2, 0},
	{"ram_is_where_it_belongs", body_ram_is_where_it_belongs, 1, 0},
	{"ram_is_zeroed_and_holds", body_ram_is_zeroed_and_holds, 1, 0},
	{"ram_discard_zeroes", body_ram_discard_zeroes, 1, 0},
	{"ram_discard_crosses_nodes", body_ram_discard_crosses_nodes, 1, CONFORM_TWO_NODES},
	{"ram_poison_is_harmless", body_ram_poison_is_harmless, 1, 0},
	{"module_reads", body_module_reads, 1, 0},
	{"module_errors", body_module_errors, 1, 0},
	{"console_writes", body_console_writes, 1, 0},
	{"entropy_differs", body_entropy_differs, 1, 0},
	{"panel_is_consistent", body_panel_is_consistent, 1, 0},
	{"trace_event_is_taken", body_trace_event_is_taken, 1, 0},
};
const uint32_t conform_body_count = sizeof conform_bodies / sizeof conform_bodies[0];
