// SPDX-License-Identifier: MIT
//
// The report of a fault that nobody handles, and of a panic: what, where, registers, backtrace with names; then the end by
// policy. It trusts nothing: every word it follows is looked up in the page tables first.
#include "../arch.h"

#include "hal/cpu.h"
#include "hal/halt.h"

#define FRAMES_MAX 32u
#define WORDS_MAX 512u // of a stack that is searched

static const char *symbol_find_or(uintptr_t address, uintptr_t *offset)
{
	const char *name = symbol_find(address, offset);
	return name != NULL ? name : "?";
}

static void print_place(const char *before, uintptr_t address)
{
	uintptr_t offset = 0;
	const char *name = symbol_find_or(address, &offset);
	bare_print("%s%16lx %s+0x%lx\n", before, (uint64_t)address, name, (uint64_t)offset);
}

static bool is_text(uintptr_t address)
{
	return address >= (uintptr_t)bare_image_start && address < (uintptr_t)bare_text_end;
}

static bool may_read(uintptr_t address)
{
	return address % sizeof(uintptr_t) == 0 && paging_is_mapped(address);
}

// By frame pointers: arch_frame_next() knows where a frame keeps its caller's.
void fault_backtrace(uintptr_t pc, uintptr_t link, uintptr_t fp, uintptr_t sp)
{
	bare_print("backtrace:\n");
	print_place("  ", pc);
	if (is_text(link))
		print_place("  ", link - 1);
	uint32_t count = 0;
	uintptr_t last = 0;
	while (count < FRAMES_MAX && fp > last) {
		uintptr_t caller_pc, caller_fp;
		uintptr_t at = fp + (uintptr_t)arch_frame_offset;
		if (!may_read(at) || !may_read(at + sizeof(uintptr_t)))
			break;
		caller_fp = ((const uintptr_t *)at)[0];
		caller_pc = ((const uintptr_t *)at)[1];
		if (!is_text(caller_pc))
			break;
		print_place("  ", caller_pc - 1);
		last = fp;
		fp = caller_fp;
		count++;
	}
	if (count > 0)
		return;
	bare_print("  no frame pointer leads on; return addresses on the stack:\n");
	for (uint32_t i = 0; i < WORDS_MAX && count < FRAMES_MAX; i++) {
		uintptr_t at = (sp & ~(sizeof(uintptr_t) - 1)) + i * sizeof(uintptr_t);
		if (!may_read(at))
			break;
		uintptr_t word = *(const uintptr_t *)at;
		if (!is_text(word))
			continue;
		print_place("  ? ", word);
		count++;
	}
}

// A stack's guard page: every kernel stack has one at the same place.
static bool is_guard(uintptr_t address)
{
	uintptr_t inside = address % CONFIG_KSTACK_SIZE;
	return address >= HAL_RAM_BASE && address - HAL_RAM_BASE < bare.ram_end - bare.ram_phys &&
	       inside >= BARE_GUARD_OFFSET && inside < BARE_GUARD_OFFSET + BARE_PAGE_SIZE && !paging_is_mapped(address);
}

static void print_registers(const struct fault_report *report)
{
	for (uint32_t i = 0; i < report->count; i++)
		bare_print("%s%s %16lx", i % 4 == 0 ? (i == 0 ? "  " : "\n  ") : "  ", report->names[i],
			   report->values[i]);
	bare_print("\n");
}

void fault_die(const struct fault_report *report)
{
	struct bare_cpu *cpu = arch_cpu();
	console_panic_mode();
	if (cpu->in_fault++ != 0) {
		bare_print("\nfault: %s inside a fault report at %16lx\n", report->what, (uint64_t)report->pc);
		bare_end(-5, true);
	}
	cpu_stop_others();
	uintptr_t near = report->has_address ? report->address : report->sp;
	bool overflow = is_guard(near) || is_guard(report->sp) || is_guard(report->sp - 1);
	bare_print("\nfault: %s%s%s on CPU %u%s\n", report->what, report->why[0] != '\0' ? ": " : "", report->why,
		   cpu->index, overflow ? ": kernel stack overflow" : "");
	if (report->has_address)
		bare_print("  address %16lx\n", (uint64_t)report->address);
	print_place("  at ", report->pc);
	print_registers(report);
	fault_backtrace(report->pc, report->link, report->fp, report->sp);
	bare_end(-5, true);
}

void hal_panic(const char *message)
{
	struct bare_cpu *cpu = arch_cpu();
	(void)hal_irq_save();
	console_panic_mode();
	if (cpu->in_fault++ != 0)
		bare_end(-5, true);
	cpu_stop_others();
	bare_print("\npanic: %s\n", message);
	fault_backtrace((uintptr_t)hal_panic, 0, (uintptr_t)__builtin_frame_address(0), hal_stack_pointer());
	bare_end(-5, true);
}
