// SPDX-License-Identifier: MIT
//
// Reports of a broken kernel: the panic message or the faulting registers, then the calls that led there. Frames are found
// by frame pointers, which instrumented and debug builds always keep; a chain is believed only while it climbs within its
// kernel stack. Where the compiler kept none, the words of the stack that are return addresses are listed instead.
#include "host_backtrace.h"

#include <stdio.h>
#include <string.h>

#define FRAMES_MAX 48u
#define LINE_SIZE 256u

__attribute__((__format__(__printf__, 2, 3))) static void print(struct tb_instance *instance, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;
	va_start(args, format);
	int size = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (size > 0)
		host_console_emit(instance, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

static void frame_print(struct tb_instance *instance, uint32_t number, uintptr_t pc)
{
	char name[LINE_SIZE - 64];
	print(instance, "  #%-2u %012lx %s\n", number, (unsigned long)pc, host_symbol_name(pc, name, sizeof name));
}

// A call that does not return may be the last instruction of its function: name the byte before.
static void return_print(struct tb_instance *instance, uint32_t number, uintptr_t pc)
{
	char name[LINE_SIZE - 64];
	print(instance, "  #%-2u %012lx %s\n", number, (unsigned long)pc, host_symbol_name(pc - 1, name, sizeof name));
}

static bool on_stack(uintptr_t address, uintptr_t top)
{
	return address % sizeof(uintptr_t) == 0 && address < top && top - address <= CONFIG_KSTACK_SIZE &&
	       top - address >= 2 * sizeof(uintptr_t);
}

// A return address follows a call instruction: e8 rel32, or ff /2 with 2 to 7 bytes.
static bool is_return_address(uintptr_t pc)
{
	char name[8];
	if (host_symbol_name(pc, name, sizeof name)[0] == '\0' || pc < 8)
		return false;
	const uint8_t *code = (const uint8_t *)pc;
	if (code[-5] == 0xe8)
		return true;
	for (int length = 2; length <= 7; length++)
		if (code[-length] == 0xff && (code[1 - length] & 0x38) == 0x10)
			return true;
	return false;
}

static void stack_scan(struct tb_instance *instance, uintptr_t sp, uintptr_t top, uint32_t number)
{
	print(instance, "  no frame pointers from here; return addresses on the stack:\n");
	for (; on_stack(sp, top) && number < FRAMES_MAX; sp += sizeof(uintptr_t))
		if (is_return_address(*(const uintptr_t *)sp))
			return_print(instance, number++, *(const uintptr_t *)sp);
}

static void backtrace(struct tb_instance *instance, uintptr_t pc, uintptr_t sp, uintptr_t frame)
{
	uintptr_t top = (sp & ~(uintptr_t)(CONFIG_KSTACK_SIZE - 1)) + CONFIG_KSTACK_SIZE;
	uint32_t number = 0;

	if (pc != 0)
		frame_print(instance, number++, pc);
	while (number < FRAMES_MAX && on_stack(frame, top) && frame >= sp) {
		const uintptr_t *words = (const uintptr_t *)frame;
		if (words[1] == 0)
			return;
		if (!is_return_address(words[1]))
			break;
		return_print(instance, number++, words[1]);
		sp = frame + 2 * sizeof(uintptr_t);
		frame = words[0];
		if (frame == 0)
			return;
	}
	stack_scan(instance, sp, top, number);
}

void host_panic_report(struct tb_instance *instance, const char *message, const void *frame)
{
	size_t size = strlen(message);
	print(instance, "\npanic: ");
	host_console_emit(instance, message, size);
	print(instance, "\n");
	backtrace(instance, 0, (uintptr_t)frame, (uintptr_t)frame);
}

void host_fault_report(struct tb_instance *instance, const struct host_fault *fault)
{
	static const char *const names[16] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
					      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	print(instance, "\npanic: %s at address %lx, code %d\n", fault->signal == SIGBUS ? "SIGBUS" : "SIGSEGV",
	      (unsigned long)fault->address, fault->code);
	for (uint32_t i = 0; i < 16; i += 4)
		print(instance, "  %-3s %016lx  %-3s %016lx  %-3s %016lx  %-3s %016lx\n", names[i],
		      (unsigned long)fault->registers[i], names[i + 1], (unsigned long)fault->registers[i + 1],
		      names[i + 2], (unsigned long)fault->registers[i + 2], names[i + 3],
		      (unsigned long)fault->registers[i + 3]);
	if (host_is_slot_address(fault->sp))
		backtrace(instance, fault->pc, fault->sp, fault->frame);
	else
		frame_print(instance, 0, fault->pc);
}
