// SPDX-License-Identifier: MIT
//
// The boot arena: memory for what is made once and never given back, before the frame allocator takes over. It belongs to base
// because the log and the trace rings live in it. Hosted RAM comes zeroed, so nothing needs to be cleared, or even touched; a real
// machine's (HAL_BOOT_RAM_DIRTY) is cleared as it is given out.
#include "hal/hal.h"
#include "kern/assert.h"
#include "kern/kernel.h"
#include "kern/math.h"
#include "kern/string.h"

void *boot_alloc(struct kernel *kernel, size_t size_bytes, size_t align)
{
	VERIFY(IS_POWER_OF_2(align));
	uint64_t start = ALIGN_UP(kernel->arena_next_bytes, align);
	if (start > kernel->arena_limit_bytes || size_bytes > kernel->arena_limit_bytes - start)
		return NULL;
	kernel->arena_next_bytes = start + size_bytes;
	if ((kernel->flags & HAL_BOOT_RAM_DIRTY) != 0)
		memset(kernel->ram + (size_t)start, 0, size_bytes);
	return kernel->ram + (size_t)start;
}
