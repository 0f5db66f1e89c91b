// SPDX-License-Identifier: MIT
//
// The identity map of the early tables: large pages of what is known to be memory or a device, and nothing else, because a
// processor may read ahead wherever normal memory is mapped. Below 512 GiB.
#include "arm.h"

extern uint64_t boot_low_1[512], boot_low_2[ARM_EARLY_TABLES][512];

static uint32_t used = 1; // the first holds the image

static uint64_t phys_of(const void *table)
{
	return bare.boot.image_phys + (uint64_t)((const char *)table - bare_image_start);
}

static uint64_t *table_of(uint64_t phys)
{
	uint64_t *entry = &boot_low_1[phys >> 30];
	if (*entry == 0) {
		if (used == ARM_EARLY_TABLES)
			return NULL;
		*entry = phys_of(boot_low_2[used++]) | ARM_PTE_TABLE;
	}
	if ((*entry & 3) != ARM_PTE_TABLE)
		return NULL; // a gigabyte as one
	return boot_low_2[((*entry & ~4095ull) - phys_of(boot_low_2)) / sizeof boot_low_2[0]];
}

// All of the range's large pages, as far as tables go. A whole gigabyte needs none.
bool early_map(uint64_t phys, uint64_t size_bytes, bool device)
{
	uint64_t kind = device ? ARM_PTE_DEVICE : ARM_PTE_BLOCK;
	if (size_bytes == 0 || phys >= arch_early_limit || size_bytes > arch_early_limit - phys)
		return false;
	uint64_t end = phys + size_bytes;
	phys &= ~(BARE_LARGE_SIZE - 1);
	while (phys < end) {
		if (phys % (1ull << 30) == 0 && end - phys >= 1ull << 30 && boot_low_1[phys >> 30] == 0) {
			boot_low_1[phys >> 30] = phys | kind;
			phys += 1ull << 30;
			continue;
		}
		uint64_t *table = table_of(phys);
		if (table == NULL && (boot_low_1[phys >> 30] & 3) != (ARM_PTE_BLOCK & 3))
			return false;
		uint64_t *entry = table == NULL ? NULL : &table[phys >> 21 & 511];
		if (entry != NULL && *entry == 0)
			*entry = phys | kind;
		phys += BARE_LARGE_SIZE;
	}
	__asm__ volatile("dsb ishst\n\tisb" : : : "memory");
	return true;
}
