// SPDX-License-Identifier: MIT
//
// Page table entries of the 4 KiB granule (DDI 0487, D8.3), for the high half alone: the low half will be the processes'.
//
// A large page is split while other CPUs use it, which the architecture answers with break-before-make on processors without
// FEAT_BBM. The break would take the memory from CPUs that run on it; instead the split is done in place, to entries that say the
// same, and the one thing that may happen then, a TLB conflict abort, is answered in the vectors by a flush (trap.S).
#include "arm.h"

const uint32_t arch_levels = 4;
const uint64_t arch_phys_limit = 1ull << 44;
const uint64_t arch_early_limit = 1ull << 39;
const bool arch_tlb_is_broadcast = true;

#define PTE_VALID 1ull
#define PTE_TABLE 2ull // a table, or at the last level a page
#define PTE_DEVICE (1ull << 2)
#define PTE_READONLY (1ull << 7)
#define PTE_SHARED (3ull << 8)
#define PTE_ACCESSED (1ull << 10)
#define PTE_PXN (1ull << 53)
#define PTE_UXN (1ull << 54)
#define PTE_ADDRESS 0x0000fffffffff000ull

uint64_t arch_pte_leaf(uint64_t phys, uint32_t prot, uint32_t level)
{
	uint64_t pte = phys | PTE_VALID | PTE_ACCESSED | PTE_UXN;
	pte |= (prot & PROT_DEVICE) != 0 ? PTE_DEVICE : PTE_SHARED;
	if ((prot & PROT_WRITE) == 0)
		pte |= PTE_READONLY;
	if ((prot & PROT_EXEC) == 0)
		pte |= PTE_PXN;
	return level == 0 ? pte | PTE_TABLE : pte;
}

uint64_t arch_pte_table(uint64_t phys)
{
	return phys | PTE_VALID | PTE_TABLE;
}

bool arch_pte_is_valid(uint64_t pte)
{
	return (pte & PTE_VALID) != 0;
}

bool arch_pte_is_leaf(uint64_t pte, uint32_t level)
{
	return level == 0 || (pte & PTE_TABLE) == 0;
}

uint64_t arch_pte_phys(uint64_t pte)
{
	return pte & PTE_ADDRESS;
}

uint64_t arch_pte_sub(uint64_t pte, uint32_t level, uint32_t index)
{
	uint64_t part = pte + ((uint64_t)index << (12 + 9 * (level - 1)));
	return level == 1 ? part | PTE_TABLE : part;
}

bool arch_address_is_canonical(uintptr_t address)
{
	return address >> 48 == 0xffff;
}

void arch_tlb_flush_page(uintptr_t address)
{
	__asm__ volatile("dsb ishst\n\ttlbi vaale1is, %0\n\tdsb ish\n\tisb"
			 :
			 : "r"(address >> 12 & 0xfffffffffffull)
			 : "memory");
}

void arch_tlb_flush_all(void)
{
	__asm__ volatile("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" : : : "memory");
}

// The low half stays until arch_init() has moved what it needs from there.
void arch_paging_activate(uint64_t root_phys)
{
	arm_dsb();
	arm_write(ttbr1_el1, root_phys);
	arm_isb();
	__asm__ volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

void arm_protect(void)
{
	uint64_t control = arm_read(sctlr_el1) | ARM_SCTLR_WXN;
	arm_write(tcr_el1, arm_read(tcr_el1) | ARM_TCR_EPD0);
	if (arm.has_pan) {
		control &= ~(uint64_t)ARM_SCTLR_SPAN; // and at every exception
		__asm__ volatile(".inst 0xd500419f"); // msr pan, #1
	}
	arm_write(sctlr_el1, control);
	arm_isb();
	__asm__ volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}
