// SPDX-License-Identifier: MIT
//
// The platform-level interrupt controller: one source is used, the console's, and only CPU 0 takes it. Which context of the
// PLIC belongs to a hart's supervisor mode is said by the device tree.
#include "riscv.h"

#define PLIC_ENABLE 0x2000u
#define PLIC_ENABLE_STEP 0x80u
#define PLIC_CONTEXT 0x200000u
#define PLIC_CONTEXT_STEP 0x1000u
#define PLIC_CLAIM 4u
#define SOURCES_MAX 1024u
#define CLAIMS_MAX 64u // in one interrupt

static char *plic; // NULL: none
static uint64_t plic_size_bytes;
static uint32_t context; // of CPU 0
static uint32_t console_source;

static volatile uint32_t *reg(uint64_t offset)
{
	return (volatile uint32_t *)(void *)(plic + offset);
}

static uint64_t context_at(uint32_t offset)
{
	return PLIC_CONTEXT + (uint64_t)context * PLIC_CONTEXT_STEP + offset;
}

// The index in the device tree of the hart that CPU 0 is.
static bool context_find(void)
{
	const struct fdtm_intc *intc = &riscv_machine.intc;
	for (uint32_t i = 0; i < intc->context_count; i++) {
		const struct fdtm_context *found = &intc->contexts[i];
		if (found->irq == IRQ_EXTERNAL && found->cpu < riscv_machine.cpu_count &&
		    riscv_machine.cpus[found->cpu].hw_id == bare_cpus[0].hw_id) {
			context = i;
			return true;
		}
	}
	return false;
}

void plic_init(void)
{
	const struct fdtm_intc *intc = &riscv_machine.intc;
	if (intc->kind != FDTM_PLIC || !context_find())
		return;
	plic_size_bytes = intc->distributor.size_bytes;
	if (context_at(PLIC_CONTEXT_STEP) > plic_size_bytes)
		return;
	plic = bare_map(intc->distributor.start, plic_size_bytes, PROT_WRITE | PROT_DEVICE);
	if (plic == NULL)
		return;
	for (uint32_t word = 0; word <= intc->sources / 32 && word < SOURCES_MAX / 32; word++)
		*reg(PLIC_ENABLE + context * PLIC_ENABLE_STEP + word * 4) = 0;
	*reg(context_at(0)) = 0; // threshold: every priority passes
}

void plic_route(uint32_t source)
{
	if (plic == NULL || source == 0 || source > riscv_machine.intc.sources || source >= SOURCES_MAX)
		return;
	console_source = source;
	*reg(source * 4) = 1;
	*reg(PLIC_ENABLE + context * PLIC_ENABLE_STEP + source / 32 * 4) |= 1u << (source % 32);
	csr_set(sie, 1u << IRQ_EXTERNAL);
}

void plic_interrupt(struct bare_cpu *cpu)
{
	for (uint32_t i = 0; i < CLAIMS_MAX && plic != NULL; i++) {
		uint32_t source = *reg(context_at(PLIC_CLAIM));
		if (source == 0)
			return;
		if (source == console_source)
			console_quiet();
		*reg(context_at(PLIC_CLAIM)) = source;
		if (source == console_source)
			console_interrupt(cpu);
	}
}
