// SPDX-License-Identifier: MIT
//
// Page table entries of Sv39 (privileged architecture, 4.4). Accessed and dirty are set beforehand: processors may fault
// instead of setting them. What kind of memory a page is follows from its physical address alone.
#include "riscv.h"

const uint32_t arch_levels = 3;
const uint64_t arch_phys_limit = 1ull << 56;
const uint64_t arch_early_limit = 1ull << 38;
const bool arch_tlb_is_broadcast = false;

#define PTE_VALID 0x01ull
#define PTE_READ 0x02ull
#define PTE_WRITE 0x04ull
#define PTE_EXEC 0x08ull
#define PTE_GLOBAL 0x20ull
#define PTE_ACCESSED 0x40ull
#define PTE_DIRTY 0x80ull
#define PTE_FRAME 0x003ffffffffffc00ull

uint64_t arch_pte_leaf(uint64_t phys, uint32_t prot, uint32_t level)
{
	uint64_t pte = phys >> 2 | PTE_VALID | PTE_READ | PTE_GLOBAL | PTE_ACCESSED;
	(void)level;
	if ((prot & PROT_WRITE) != 0)
		pte |= PTE_WRITE | PTE_DIRTY;
	if ((prot & PROT_EXEC) != 0)
		pte |= PTE_EXEC;
	return pte;
}

uint64_t arch_pte_table(uint64_t phys)
{
	return phys >> 2 | PTE_VALID;
}

bool arch_pte_is_valid(uint64_t pte)
{
	return (pte & PTE_VALID) != 0;
}

bool arch_pte_is_leaf(uint64_t pte, uint32_t level)
{
	(void)level;
	return (pte & (PTE_READ | PTE_WRITE | PTE_EXEC)) != 0;
}

uint64_t arch_pte_phys(uint64_t pte)
{
	return (pte & PTE_FRAME) << 2;
}

uint64_t arch_pte_sub(uint64_t pte, uint32_t level, uint32_t index)
{
	return pte + ((uint64_t)index << (10 + 9 * (level - 1)));
}

bool arch_address_is_canonical(uintptr_t address)
{
	return address >> 38 == 0 || address >> 38 == 0x3ffffff;
}

bool paging_allows(uint64_t pte, uint64_t cause)
{
	uint64_t wanted = cause == CAUSE_FETCH_PAGE ? PTE_EXEC : cause == CAUSE_STORE_PAGE ? PTE_WRITE : PTE_READ;
	return (pte & (PTE_VALID | wanted)) == (PTE_VALID | wanted);
}

void arch_tlb_flush_page(uintptr_t address)
{
	__asm__ volatile("sfence.vma %0" : : "r"(address) : "memory");
}

void arch_tlb_flush_all(void)
{
	__asm__ volatile("sfence.vma" : : : "memory");
}

void arch_paging_activate(uint64_t root_phys)
{
	smp_satp = (uint64_t)RISCV_SATP_SV39 << 60 | root_phys >> 12;
	csr_write(satp, smp_satp);
	arch_tlb_flush_all();
}
