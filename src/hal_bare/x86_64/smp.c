// SPDX-License-Identifier: MIT
//
// Other CPUs: who the MADT says there is, and INIT-SIPI-SIPI through a page below 1 MiB (SDM 3A, 9.4). They start one at a time.
#include "x86.h"

#define TRAMPOLINE_PHYS 0x8000ull
#define EFER_LME 0x100u
#define EFER_NXE 0x800u
#define START_TIMEOUT_NS 1000000000ull

extern const char trampoline_start[], trampoline_end[], trampoline_data[];
extern const char trampoline_far32[], trampoline_far64[], trampoline_gdt_pointer[];
extern uint32_t boot_pml4_phys;
extern void smp_entered_asm(void);
void apic_start(uint32_t id, uint32_t page);

static char *trampoline; // mapped copy

static void cpu_add(uint32_t id, uint32_t node)
{
	if (bare.cpu_count == CONFIG_MAX_CPUS) {
		bare_print("smp: more than %u CPUs: the rest stays off\n", (uint32_t)CONFIG_MAX_CPUS);
		return;
	}
	bare_cpus[bare.cpu_count].hw_id = id;
	bare_cpus[bare.cpu_count].node = node;
	bare.cpu_count++;
}

void smp_init(void)
{
	uint32_t self = apic_id();
	bare_cpus[0].hw_id = self;
	bare.cpu_count = 1;
	for (uint32_t i = 0; i < x86_acpi.cpu_count && timer_is_local(); i++) {
		const struct acpi_cpu *cpu = &x86_acpi.cpus[i];
		if (cpu->apic_id == self)
			bare_cpus[0].node = cpu->node;
		else if (cpu->is_enabled)
			cpu_add(cpu->apic_id, cpu->node);
	}
}

static uint32_t *word_of(const char *symbol)
{
	return (uint32_t *)(void *)(trampoline + (symbol - trampoline_start));
}

static bool trampoline_make(void)
{
	size_t size = (size_t)(trampoline_end - trampoline_start);
	trampoline = bare_map(TRAMPOLINE_PHYS, BARE_PAGE_SIZE, PROT_WRITE);
	if (trampoline == NULL)
		return false;
	memcpy(trampoline, trampoline_start, size);
	*word_of(trampoline_far32) += TRAMPOLINE_PHYS;
	*word_of(trampoline_far64) += TRAMPOLINE_PHYS;
	uint32_t base;
	char *pointer = (char *)word_of(trampoline_gdt_pointer) + 2;
	memcpy(&base, pointer, sizeof base);
	base += TRAMPOLINE_PHYS;
	memcpy(pointer, &base, sizeof base);
	return true;
}

static bool is_online(void *arg)
{
	const struct bare_cpu *cpu = arg;
	return __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_ONLINE;
}

tb_err arch_cpu_start(struct bare_cpu *cpu)
{
	if (trampoline == NULL && !trampoline_make())
		return -BARE_EIO;
	uint32_t *low = word_of(trampoline_data);
	uint64_t *words = (uint64_t *)(void *)(low + 2);
	low[0] = boot_pml4_phys;
	low[1] = EFER_LME | (x86_features.has_nx ? EFER_NXE : 0);
	words[0] = cpu->emergency;
	words[1] = (uintptr_t)cpu;
	words[2] = paging_root();
	words[3] = (uintptr_t)smp_entered_asm;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	apic_start((uint32_t)cpu->hw_id, (uint32_t)(TRAMPOLINE_PHYS >> 12));
	return bare_wait_until(is_online, cpu, START_TIMEOUT_NS) ? 0 : -BARE_EIO;
}

void smp_entered(struct bare_cpu *cpu);
void smp_entered(struct bare_cpu *cpu)
{
	bare_cpu_main(cpu);
}

void arch_cpu_init(struct bare_cpu *cpu)
{
	desc_init(cpu);
	x86_protect();
	apic_cpu_init();
}
