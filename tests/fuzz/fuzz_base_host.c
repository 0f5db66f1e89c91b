// SPDX-License-Identifier: MIT
//
// The host half of fuzz_base: kernel code finds its instance by masking the stack pointer, and the fuzzer calls it on the
// host's stack. Zeros where struct kernel would lie mean "before base_init()": no trace, no log ring.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SLOT_SIZE 0x100000000ull
#define KERNEL_ROOM 65536

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	uintptr_t base = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(SLOT_SIZE - 1);

	(void)argc;
	(void)argv;
	void *room = mmap((void *)base, KERNEL_ROOM, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (room != (void *)base) {
		perror("fuzz_base: no room for a kernel below the stack");
		exit(2);
	}
	return 0;
}
