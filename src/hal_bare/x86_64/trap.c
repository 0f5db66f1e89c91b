// SPDX-License-Identifier: MIT
//
// What arrives at the vectors: interrupts go to their causes, exceptions to the report. Nothing is survivable yet, because
// nothing but the kernel runs; user mode will look here first.
#include "x86.h"

static const char *const exception_names[32] = {"divide error",
						"debug",
						"NMI",
						"breakpoint",
						"overflow",
						"bound range",
						"undefined instruction",
						"no coprocessor",
						"double fault",
						"coprocessor overrun",
						"invalid TSS",
						"segment not present",
						"stack segment",
						"general protection",
						"page fault",
						"reserved",
						"floating point",
						"alignment check",
						"machine check",
						"SIMD",
						"virtualisation",
						"control protection"};

static const char *page_fault_why(uint64_t error, uint64_t address)
{
	if ((error & 8) != 0)
		return "reserved bit in a page table";
	if ((error & 1) == 0 && address < 4096)
		return "null pointer";
	if ((error & 16) != 0)
		return (error & 1) != 0 ? "execution of data" : "execution where nothing is mapped";
	if ((error & 1) == 0)
		return (error & 2) != 0 ? "write where nothing is mapped" : "read where nothing is mapped";
	return (error & 2) != 0 ? "write to what is read-only" : "read that is not allowed";
}

static void exception_die(const struct trap_frame *frame) __attribute__((__noreturn__));

static void exception_die(const struct trap_frame *frame)
{
	static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8 ", "r9 ",
					    "r10", "r11", "r12", "r13", "r14", "r15", "rip", "flg", "err", "cr2"};
	uintptr_t cr2;
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	uint64_t values[] = {frame->rax, frame->rbx, frame->rcx, frame->rdx,    frame->rsi,   frame->rdi, frame->rbp,
			     frame->rsp, frame->r8,  frame->r9,  frame->r10,    frame->r11,   frame->r12, frame->r13,
			     frame->r14, frame->r15, frame->rip, frame->rflags, frame->error, cr2};
	bool page = frame->vector == 14 || frame->vector == 8;
	struct fault_report report = {
		.what = frame->vector < 32 && exception_names[frame->vector] != NULL ? exception_names[frame->vector]
										     : "unknown exception",
		.why = frame->vector == 14 ? page_fault_why(frame->error, cr2) : "",
		.pc = frame->rip,
		.sp = frame->rsp,
		.fp = frame->rbp,
		.address = cr2,
		.has_address = page,
		.names = names,
		.values = values,
		.count = BARE_COUNT(values),
	};
	fault_die(&report);
}

static void interrupt_handle(struct bare_cpu *cpu, uint32_t vector)
{
	if (vector == VECTOR_TIMER) {
		apic_eoi();
		clock_timer_fired(cpu);
	} else if (vector == VECTOR_IPI) {
		apic_eoi();
		bare_ipi_received(cpu);
	} else if (vector == VECTOR_IOAPIC + 4) {
		apic_eoi();
		console_interrupt(cpu);
	} else if (vector >= VECTOR_PIC && vector < VECTOR_PIC + 16) {
		pic_eoi(vector - VECTOR_PIC);
		if (vector == VECTOR_PIC)
			timer_line_fired();
		else if (vector == VECTOR_PIC + 4)
			console_interrupt(cpu);
	} else if (vector != VECTOR_SPURIOUS) {
		apic_eoi();
	}
}

void trap_handle(struct trap_frame *frame);
void trap_handle(struct trap_frame *frame)
{
	struct bare_cpu *cpu = arch_cpu();
	if (frame->vector >= 32) {
		interrupt_handle(cpu, (uint32_t)frame->vector);
		return;
	}
	// An NMI is how a CPU is stopped that does not unmask.
	if (frame->vector == 2 && __atomic_load_n(&bare.halting, __ATOMIC_ACQUIRE) != 0) {
		__atomic_store_n(&cpu->state, CPU_STOPPED, __ATOMIC_RELEASE);
		arch_stop();
	}
	exception_die(frame);
}

// ---- contexts -----------------------------------------------------------------------------------------------------------

extern void context_start(void);
const intptr_t arch_frame_offset = 0;

struct switch_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp;
	void (*start)(void);
	uint64_t zero[2];
};

void *arch_context_frame(void *top, void (*entry)(void *), void *arg)
{
	struct switch_frame *frame = (struct switch_frame *)top - 1;
	*frame = (struct switch_frame){.start = context_start};
	frame->rbx = (uintptr_t)entry;
	frame->r12 = (uintptr_t)arg;
	return frame;
}
