// SPDX-License-Identifier: MIT
//
// What arrives at the vectors: interrupts go to their causes, exceptions to the report. Nothing is survivable yet, because
// nothing but the kernel runs; user mode will look here first.
#include "arm.h"

extern const char semihosting_instruction[];

_Static_assert(sizeof(struct trap_frame) == ARM_FRAME_SIZE, "trap.S knows the size");
_Static_assert(offsetof(struct trap_frame, sp) == ARM_FRAME_SP, "trap.S knows the place");
_Static_assert(offsetof(struct trap_frame, pc) == ARM_FRAME_PC, "trap.S knows the place");
_Static_assert(offsetof(struct trap_frame, record) == ARM_FRAME_RECORD, "trap.S knows the place");
_Static_assert(offsetof(struct bare_cpu, scratch) == ARM_CPU_SCRATCH, "trap.S knows the place");
_Static_assert(offsetof(struct bare_cpu, emergency) == ARM_CPU_EMERGENCY, "trap.S knows the place");
_Static_assert(BARE_GUARD_OFFSET + BARE_PAGE_SIZE == 8192, "trap.S knows where a stack ends");

static const char *const kind_names[] = {"exception", "interrupt", "fast interrupt", "system error"};

// The caller of a function that has laid no frame, because it calls no other or has only begun: x30, unless the frame pointer
// leads there anyway, or it is left over from a call that this function made.
static uintptr_t link_of(const struct trap_frame *frame)
{
	uintptr_t link = frame->x[30], saved = frame->x[29] + sizeof(uintptr_t), from_link = 0, from_pc = 0;
	bool on_stack = saved >= frame->sp && saved - frame->sp < CONFIG_KSTACK_SIZE && saved % sizeof(uintptr_t) == 0;
	if (on_stack && paging_is_mapped(saved) && *(const uintptr_t *)saved == link)
		return 0;
	const char *name = symbol_find(link - 1, &from_link);
	return name != NULL && name == symbol_find(frame->pc, &from_pc) ? 0 : link;
}

static void exception_die(const struct trap_frame *frame, uint32_t kind) __attribute__((__noreturn__));

static void exception_die(const struct trap_frame *frame, uint32_t kind)
{
	static const char *const names[] = {"x0  ", "x1  ", "x2  ", "x3  ", "x4  ", "x5  ", "x6  ", "x7  ", "x8  ",
					    "x9  ", "x10 ", "x11 ", "x12 ", "x13 ", "x14 ", "x15 ", "x16 ", "x17 ",
					    "x18 ", "x19 ", "x20 ", "x21 ", "x22 ", "x23 ", "x24 ", "x25 ", "x26 ",
					    "x27 ", "x28 ", "x29 ", "x30 ", "sp  ", "pc  ", "psr ", "esr ", "far "};
	uint64_t values[BARE_COUNT(names)];
	char why[96] = "";
	uint64_t esr = arm_read(esr_el1), far = arm_read(far_el1);
	bool is_sync = kind % TRAP_FOREIGN == TRAP_SYNC, is_error = kind % TRAP_FOREIGN == TRAP_SERROR;
	memcpy(values, frame->x, sizeof frame->x);
	values[31] = frame->sp;
	values[32] = frame->pc;
	values[33] = frame->pstate;
	values[34] = esr;
	values[35] = far;
	if (is_sync || is_error)
		esr_why(esr, far, why, sizeof why);
	struct fault_report report = {
		.what = is_sync ? esr_what(esr) : kind_names[kind % TRAP_FOREIGN],
		.why = why,
		.pc = frame->pc,
		.sp = frame->sp,
		.fp = frame->x[29],
		.link = link_of(frame),
		.address = far,
		.has_address = is_sync && esr_has_address(esr),
		.names = names,
		.values = values,
		.count = BARE_COUNT(values),
	};
	fault_die(&report);
}

// System errors are let in again at once: they report, and do not come back here.
void trap_handle(struct trap_frame *frame, uint64_t kind);
void trap_handle(struct trap_frame *frame, uint64_t kind)
{
	if (kind == TRAP_IRQ) {
		__asm__ volatile("msr daifclr, #4" : : : "memory");
		intc_handle(arch_cpu());
	} else if (kind == TRAP_SYNC && frame->pc == (uintptr_t)semihosting_instruction) {
		frame->pc += 4;
	} else {
		exception_die(frame, (uint32_t)kind);
	}
}

// ---- contexts -----------------------------------------------------------------------------------------------------------

extern void context_start(void);
const intptr_t arch_frame_offset = 0;

struct switch_frame {
	uint64_t x29;
	void (*x30)(void);
	uint64_t x19, x20, others[8];
	uint64_t zero[2]; // keeps sp below top
};

void *arch_context_frame(void *top, void (*entry)(void *), void *arg)
{
	struct switch_frame *frame = (struct switch_frame *)top - 1;
	*frame = (struct switch_frame){.x30 = context_start};
	frame->x19 = (uintptr_t)entry;
	frame->x20 = (uintptr_t)arg;
	return frame;
}
