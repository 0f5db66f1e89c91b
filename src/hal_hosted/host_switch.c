// SPDX-License-Identifier: MIT
//
// The stack switch of x86-64, in assembly: what a System V callee must preserve, plus the control words of SSE and x87. A switched-out
// stack ends in struct host_frame. The first entry of a context marks the end of its stack (return address undefined for
// debuggers, frame pointer 0), so that gdb and our own backtraces stop there.
#include "host_switch.h"

#if !defined(__x86_64__)
#error "hosted HAL: write the switch for this architecture"
#endif

#define FRAME_OFFSET(member, offset)                                                                                   \
	_Static_assert(offsetof(struct host_frame, member) == (offset), "host_switch.c knows " #member)
FRAME_OFFSET(mxcsr, 0);
FRAME_OFFSET(fpu_control, 4);
FRAME_OFFSET(r12, 32);
FRAME_OFFSET(rbx, 40);
FRAME_OFFSET(start, 56);
_Static_assert(offsetof(struct hal_thread, sp) == 24, "hal_context_switch in assembly knows sp");

// The control words are loaded only when they differ, status flags apart: loading costs more than the rest of the switch. By
// `ret`, because threads mostly stop at the same depth of the same calls: the processor's stack of return addresses then
// fits the other thread's returns too, while an indirect jump would unbalance it.
#define RESTORE                                                                                                        \
	"	xor (%rsp), %eax\n"                                                                                          \
	"	test $0xffc0, %eax\n"                                                                                        \
	"	jne 1f\n"                                                                                                    \
	"	cmp %cx, 4(%rsp)\n"                                                                                          \
	"	jne 1f\n"                                                                                                    \
	"2:	add $8, %rsp\n"                                                                                            \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	pop %r15\n"                                                                                                  \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	pop %r14\n"                                                                                                  \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	pop %r13\n"                                                                                                  \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	pop %r12\n"                                                                                                  \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	pop %rbx\n"                                                                                                  \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	pop %rbp\n"                                                                                                  \
	"	.cfi_adjust_cfa_offset -8\n"                                                                                 \
	"	ret\n"                                                                                                       \
	"	.cfi_adjust_cfa_offset 56\n"                                                                                 \
	"1:	ldmxcsr (%rsp)\n"                                                                                          \
	"	fldcw 4(%rsp)\n"                                                                                             \
	"	jmp 2b\n"

#define PUSH(register, offset)                                                                                         \
	"	push %" register "\n	.cfi_adjust_cfa_offset 8\n	.cfi_rel_offset " register ", 0\n"

// void hal_context_switch(struct hal_thread *from, struct hal_thread *to)  (plain builds; host_context.c wraps it in others)
// void host_switch(void **save, void *load)
__asm__(".text\n"
	".p2align 4\n"
#if !CONFIG_ASAN && !CONFIG_TSAN
	".globl hal_context_switch\n"
	".hidden hal_context_switch\n"
	".type hal_context_switch, @function\n"
	"hal_context_switch:\n"
	"	.cfi_startproc\n"
	"	add $24, %rdi\n"
	"	mov 24(%rsi), %rsi\n"
	"	.cfi_endproc\n"
	"	.size hal_context_switch, . - hal_context_switch\n"
#endif
	".globl host_switch\n"
	".hidden host_switch\n"
	".type host_switch, @function\n"
	"host_switch:\n"
	"	.cfi_startproc\n" PUSH("rbp", "16") PUSH("rbx", "24") PUSH("r12", "32") PUSH("r13", "40")
		PUSH("r14", "48") PUSH("r15", "56") "	sub $8, %rsp\n"
						    "	.cfi_adjust_cfa_offset 8\n"
						    "	stmxcsr (%rsp)\n"
						    "	fnstcw 4(%rsp)\n"
						    "	mov (%rsp), %eax\n"
						    "	movzwl 4(%rsp), %ecx\n"
						    "	mov %rsp, (%rdi)\n"
						    "	mov %rsi, %rsp\n" RESTORE "	.cfi_endproc\n"
						    "	.size host_switch, . - host_switch\n");

// void host_switch_away(void *load): nothing is saved.
__asm__(".p2align 4\n"
	".globl host_switch_away\n"
	".hidden host_switch_away\n"
	".type host_switch_away, @function\n"
	"host_switch_away:\n"
	"	.cfi_startproc\n"
	"	mov %rdi, %rsp\n"
	"	.cfi_def_cfa rsp, 64\n"
	"	ldmxcsr (%rsp)\n"
	"	fldcw 4(%rsp)\n"
	"	mov (%rsp), %eax\n"
	"	movzwl 4(%rsp), %ecx\n" RESTORE "	.cfi_endproc\n"
	"	.size host_switch_away, . - host_switch_away\n");

// Where a new context starts: rbx holds the entry, r12 its argument.
__asm__(".p2align 4\n"
	".globl host_switch_start\n"
	".hidden host_switch_start\n"
	".type host_switch_start, @function\n"
	"host_switch_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	xor %ebp, %ebp\n"
#if CONFIG_ASAN || CONFIG_TSAN
	"	call host_context_started\n"
#endif
	"	mov %r12, %rdi\n"
	"	call *%rbx\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	"	.size host_switch_start, . - host_switch_start\n");

// void host_switch_call(void (*fn)(void *), void *arg, void *sp): calls fn on another stack. The frame pointer leads back. Said
// to be a signal frame, because a debugger believes in a caller at a lower address only there.
__asm__(".p2align 4\n"
	".globl host_switch_call\n"
	".hidden host_switch_call\n"
	".type host_switch_call, @function\n"
	"host_switch_call:\n"
	"	.cfi_startproc\n"
	"	.cfi_signal_frame\n"
	"	push %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset rbp, -16\n"
	"	mov %rsp, %rbp\n"
	"	.cfi_def_cfa_register rbp\n"
	"	mov %rdx, %rsp\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	call *%rax\n"
	"	leave\n"
	"	.cfi_def_cfa rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size host_switch_call, . - host_switch_call\n");

void *host_switch_frame(void *top, void (*entry)(void *), void *arg)
{
	// The word above the frame stays zero: it is where a return address of host_switch_start would be.
	struct host_frame *frame = (struct host_frame *)((char *)top - 16) - 1;

	*frame = (struct host_frame){.mxcsr = 0x1f80, .fpu_control = 0x037f, .start = host_switch_start};
	frame->r12 = (uintptr_t)arg;
	frame->rbx = (uintptr_t)entry;
	*(uint64_t *)((char *)top - 16) = 0;
	*(uint64_t *)((char *)top - 8) = 0;
	return frame;
}
