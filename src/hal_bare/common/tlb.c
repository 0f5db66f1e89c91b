// SPDX-License-Identifier: MIT
//
// Tickets: a counter of changes, and for each CPU the last one it has flushed for. Comparing differences keeps the order
// when the counter wraps. A CPU that sleeps or spins masked serves late, never not at all; one that is not online has no entries.
#include "../arch.h"

uint32_t tlb_last;

uint32_t tlb_ticket(bool tell)
{
	uint32_t ticket = __atomic_add_fetch(&tlb_last, 1, __ATOMIC_SEQ_CST);
	if (arch_tlb_is_broadcast)
		return ticket;
	bool was = hal_irq_save();
	const struct bare_cpu *self = arch_cpu();
	for (uint32_t i = 0; tell && i < bare.cpu_count; i++)
		if (&bare_cpus[i] != self && __atomic_load_n(&bare_cpus[i].state, __ATOMIC_ACQUIRE) == CPU_ONLINE)
			bare_raise(&bare_cpus[i], 0);
	hal_irq_restore(was);
	return ticket;
}

void tlb_serve(struct bare_cpu *cpu)
{
	uint32_t last = __atomic_load_n(&tlb_last, __ATOMIC_SEQ_CST);
	if (arch_tlb_is_broadcast || cpu->tlb_done == last)
		return;
	arch_tlb_flush_all();
	__atomic_store_n(&cpu->tlb_done, last, __ATOMIC_SEQ_CST);
}

bool tlb_is_done(uint32_t ticket)
{
	for (uint32_t i = 0; i < bare.cpu_count && !arch_tlb_is_broadcast; i++) {
		const struct bare_cpu *cpu = &bare_cpus[i];
		if (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_ONLINE &&
		    (int32_t)(__atomic_load_n(&cpu->tlb_done, __ATOMIC_SEQ_CST) - ticket) < 0)
			return false;
	}
	return true;
}

// Serves its own meanwhile, so that two that wait for each other do not wait for ever.
void tlb_wait(uint32_t ticket)
{
	while (!tlb_is_done(ticket)) {
		bool was = hal_irq_save();
		tlb_serve(arch_cpu());
		hal_irq_restore(was);
		arch_relax();
	}
}
