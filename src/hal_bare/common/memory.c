// SPDX-License-Identifier: MIT
//
// The memory door. Nobody takes memory back; poison is the sanitizers'.
#include "../bare_impl.h"

#include "hal/mem.h"

void hal_ram_discard(void *start, size_t size_bytes)
{
	memset(start, 0, size_bytes);
}

void hal_ram_poison(const void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}

void hal_ram_unpoison(const void *start, size_t size_bytes)
{
	(void)start;
	(void)size_bytes;
}
