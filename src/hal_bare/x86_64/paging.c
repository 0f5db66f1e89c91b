// SPDX-License-Identifier: MIT
//
// Page table entries of 4-level paging (SDM 3A, 4.5), and turning them on with what protects the kernel: WP, NX, SMEP, SMAP, UMIP.
#include "x86.h"

const uint32_t arch_levels = 4;
const uint64_t arch_phys_limit = 1ull << 46;
const bool arch_tlb_is_broadcast = false;

#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_UNCACHED 0x18ull // PWT, PCD
#define PTE_ACCESSED 0x20ull
#define PTE_DIRTY 0x40ull
#define PTE_LARGE 0x80ull
#define PTE_GLOBAL 0x100ull
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define CR4_PGE 0x80ull
#define CR4_UMIP 0x800ull
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)

uint64_t arch_pte_leaf(uint64_t phys, uint32_t prot, uint32_t level)
{
	uint64_t pte = phys | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL;
	if ((prot & PROT_WRITE) != 0)
		pte |= PTE_WRITE;
	if ((prot & PROT_EXEC) == 0 && x86_features.has_nx)
		pte |= PTE_NX;
	if ((prot & PROT_DEVICE) != 0)
		pte |= PTE_UNCACHED;
	return level > 0 ? pte | PTE_LARGE : pte;
}

uint64_t arch_pte_table(uint64_t phys)
{
	return phys | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
}

bool arch_pte_is_valid(uint64_t pte)
{
	return (pte & PTE_PRESENT) != 0;
}

bool arch_pte_is_leaf(uint64_t pte, uint32_t level)
{
	return level == 0 || (pte & PTE_LARGE) != 0;
}

uint64_t arch_pte_phys(uint64_t pte)
{
	return pte & PTE_ADDRESS;
}

uint64_t arch_pte_sub(uint64_t pte, uint32_t level, uint32_t index)
{
	uint64_t part = pte + ((uint64_t)index << (12 + 9 * (level - 1)));
	return level == 1 ? part & ~PTE_LARGE : part;
}

bool arch_address_is_canonical(uintptr_t address)
{
	return address >> 47 == 0 || address >> 47 == 0x1ffff;
}

void arch_tlb_flush_page(uintptr_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

// Global pages go with the PGE bit.
void arch_tlb_flush_all(void)
{
	uintptr_t cr4;
	__asm__ volatile("mov %%cr4, %0\n\t"
			 "xor $0x80, %0\n\tmov %0, %%cr4\n\t"
			 "xor $0x80, %0\n\tmov %0, %%cr4"
			 : "=&r"(cr4)
			 :
			 : "memory");
}

void x86_protect(void)
{
	uintptr_t cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 |= CR4_PGE;
	cr4 |= x86_features.has_smep ? CR4_SMEP : 0;
	cr4 |= x86_features.has_smap ? CR4_SMAP : 0;
	cr4 |= x86_features.has_umip ? CR4_UMIP : 0;
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

void arch_paging_activate(uint64_t root_phys)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(root_phys) : "memory");
	x86_protect();
}
