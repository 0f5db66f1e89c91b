// SPDX-License-Identifier: MIT
//
// What arrives at the vector: interrupts go to their causes, exceptions to the report. Two exceptions are survived: a page fault
// on a page that is mapped by now (a processor may remember that nothing was there), and a refused access to a register that
// was only tried. User mode will look here first.
#include "riscv.h"

extern const char trap_vector[], trap_vector_end[], trap_refused[];

static const char *const cause_names[] = {
	[0] = "misaligned fetch",   [1] = "fetch access fault", [2] = "undefined instruction",
	[3] = "breakpoint",         [4] = "misaligned load",    [5] = "load access fault",
	[6] = "misaligned store",   [7] = "store access fault", [8] = "call from user mode",
	[9] = "call to the kernel", [12] = "page fault",        [13] = "page fault",
	[15] = "page fault"};

static const char *page_fault_why(uint64_t cause, uint64_t address)
{
	bool mapped = paging_is_mapped(address);
	if (!arch_address_is_canonical(address))
		return "no address of Sv39";
	if (!mapped && address < BARE_PAGE_SIZE)
		return "null pointer";
	if (cause == CAUSE_FETCH_PAGE)
		return mapped ? "execution of data" : "execution where nothing is mapped";
	if (cause == CAUSE_STORE_PAGE)
		return mapped ? "write to what is read-only" : "write where nothing is mapped";
	return mapped ? "read that is not allowed" : "read where nothing is mapped";
}

static const char *cause_why(const struct trap_frame *frame)
{
	switch (frame->cause) {
	case CAUSE_FETCH_PAGE:
	case CAUSE_LOAD_PAGE:
	case CAUSE_STORE_PAGE:
		return page_fault_why(frame->cause, frame->x[0]);
	case 1:
	case 5:
	case 7:
		return "physical memory that is not there, or the firmware's";
	default:
		return "";
	}
}

// A function that calls no other leaves its return address in ra, and its frame holds only the caller's frame pointer; one that
// was jumped to and is none has no frame at all.
static void link_find(struct fault_report *report, uintptr_t ra)
{
	uintptr_t at = report->fp - sizeof(uintptr_t);
	bool is_code = report->pc >= (uintptr_t)bare_image_start && report->pc < (uintptr_t)bare_text_end;
	if (!is_code) {
		report->link = ra;
	} else if (at % sizeof(uintptr_t) == 0 && paging_is_mapped(at)) {
		uintptr_t above = *(const uintptr_t *)at;
		if (above <= report->fp || above - report->fp >= CONFIG_KSTACK_SIZE)
			return;
		report->link = ra;
		report->fp = above;
	}
}

static void exception_die(const struct trap_frame *frame, const char *what, const char *why)
	__attribute__((__noreturn__));

static void exception_die(const struct trap_frame *frame, const char *what, const char *why)
{
	static const char *const names[] = {"ra ", "sp ", "gp ", "tp ", "t0 ", "t1 ", "t2 ", "s0 ", "s1 ",
					    "a0 ", "a1 ", "a2 ", "a3 ", "a4 ", "a5 ", "a6 ", "a7 ", "s2 ",
					    "s3 ", "s4 ", "s5 ", "s6 ", "s7 ", "s8 ", "s9 ", "s10", "s11",
					    "t3 ", "t4 ", "t5 ", "t6 ", "pc ", "sts", "cau", "val"};
	uint64_t values[BARE_COUNT(names)];
	memcpy(values, &frame->x[1], 31 * sizeof values[0]);
	values[31] = frame->pc;
	values[32] = frame->status;
	values[33] = frame->cause;
	values[34] = frame->x[0];
	uint64_t cause = frame->cause;
	struct fault_report report = {
		.what = what,
		.why = why,
		.pc = frame->pc,
		.sp = frame->x[2],
		.fp = frame->x[8],
		.address = frame->x[0],
		.has_address = cause <= 15 && cause != 2 && cause != 3 && cause != 8 && cause != 9,
		.names = names,
		.values = values,
		.count = BARE_COUNT(values),
	};
	link_find(&report, frame->x[1]);
	fault_die(&report);
}

static bool exception_is_stale(const struct trap_frame *frame)
{
	uint64_t cause = frame->cause;
	if (cause != CAUSE_FETCH_PAGE && cause != CAUSE_LOAD_PAGE && cause != CAUSE_STORE_PAGE)
		return false;
	return paging_allows(paging_entry(frame->x[0]), cause);
}

static void exception_handle(struct trap_frame *frame)
{
	if (frame->cause == CAUSE_UNDEFINED &&
	    (frame->pc == (uintptr_t)trap_try_stimecmp || frame->pc == (uintptr_t)trap_try_seed ||
	     frame->pc == (uintptr_t)trap_try_cycle)) {
		frame->pc = (uintptr_t)trap_refused;
		return;
	}
	if (exception_is_stale(frame)) {
		arch_tlb_flush_page(frame->x[0]);
		return;
	}
	const char *what = frame->cause < BARE_COUNT(cause_names) ? cause_names[frame->cause] : NULL;
	exception_die(frame, what != NULL ? what : "unknown exception", cause_why(frame));
}

void trap_handle(struct trap_frame *frame);
void trap_handle(struct trap_frame *frame)
{
	struct bare_cpu *cpu = arch_cpu();
	switch (frame->cause) {
	case 1ull << 63 | IRQ_TIMER:
		clock_interrupt_ends(cpu);
		clock_timer_fired(cpu);
		break;
	case 1ull << 63 | IRQ_SOFTWARE:
		csr_clear(sip, 1u << IRQ_SOFTWARE);
		bare_ipi_received(cpu);
		break;
	case 1ull << 63 | IRQ_EXTERNAL:
		plic_interrupt(cpu);
		break;
	default:
		exception_handle(frame);
	}
}

// On the emergency stack: the interrupted one has no room for a frame, or is none.
void trap_stranded(struct trap_frame *frame);
void trap_stranded(struct trap_frame *frame)
{
	bool nested = frame->pc >= (uintptr_t)trap_vector && frame->pc < (uintptr_t)trap_vector_end;
	bool wild = frame->x[2] < HAL_RAM_BASE;
	const char *what = frame->cause < BARE_COUNT(cause_names) ? cause_names[frame->cause] : NULL;
	exception_die(frame, what != NULL ? what : "interrupt",
		      nested || wild ? "the stack pointer was no stack's" : "no room on the stack");
}

void trap_init(struct bare_cpu *cpu)
{
	(void)cpu;
	csr_write(sscratch, 0);
	csr_write(stvec, (uintptr_t)trap_vector);
	csr_write(sie, 1u << IRQ_SOFTWARE);
}

// ---- contexts -----------------------------------------------------------------------------------------------------------

extern const char context_start[];
const intptr_t arch_frame_offset = -16;

struct switch_frame {
	uint64_t ra, s0, s1, s2, rest[10];
};
_Static_assert(sizeof(struct switch_frame) == 112, "known to trap.S");

void *arch_context_frame(void *top, void (*entry)(void *), void *arg)
{
	struct switch_frame *frame = (struct switch_frame *)top - 1;
	*frame = (struct switch_frame){.ra = (uintptr_t)context_start, .s1 = (uintptr_t)entry, .s2 = (uintptr_t)arg};
	return frame;
}
