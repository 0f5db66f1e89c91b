// SPDX-License-Identifier: MIT
//
// Harts: whom the device tree names, starting them by the firmware's hart state management, and waking them. A hart that never
// unmasks cannot be stopped by another: supervisor mode has no interrupt that cannot be masked, and the firmware stops only who
// asks for it. What such a hart still does ends with the machine.
#include "riscv.h"

#define START_TIMEOUT_NS 1000000000ull

uint64_t smp_satp; // of the final tables; entry.S loads it
extern const char entry[], entry_other[];

// Who is being started, for a hart that came to the wrong address (entry.S).
extern struct smp_start {
	uint64_t hart_plus_1; // 0: nobody
	struct bare_cpu *cpu;
} smp_start;

static void hart_add(const struct fdtm_cpu *hart)
{
	if (bare.cpu_count == CONFIG_MAX_CPUS) {
		bare_print("smp: more than %u harts: hart %lu stays off\n", (uint32_t)CONFIG_MAX_CPUS, hart->hw_id);
		return;
	}
	bare_cpus[bare.cpu_count].hw_id = hart->hw_id;
	bare_cpus[bare.cpu_count].node = hart->node;
	bare.cpu_count++;
}

// CPU 0 is the hart that the firmware chose; the others follow in the order of the tree.
void smp_init(uint64_t boot_hart)
{
	bare_cpus[0].hw_id = boot_hart;
	bare.cpu_count = 1;
	for (uint32_t i = 0; i < riscv_machine.cpu_count; i++) {
		const struct fdtm_cpu *hart = &riscv_machine.cpus[i];
		if (hart->hw_id == boot_hart)
			bare_cpus[0].node = hart->node;
		else if (hart->is_okay != 0 && hart->has_sv39 != 0 && riscv_features.has_hsm)
			hart_add(hart);
	}
}

static bool is_online(void *arg)
{
	const struct bare_cpu *cpu = arg;
	return __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_ONLINE;
}

tb_err arch_cpu_start(struct bare_cpu *cpu)
{
	uint64_t phys = bare.boot.image_phys + (uint64_t)(entry_other - entry);
	smp_start.cpu = cpu;
	__atomic_store_n(&smp_start.hart_plus_1, cpu->hw_id + 1, __ATOMIC_RELEASE);
	int64_t error = sbi_hart_start(cpu->hw_id, phys, (uintptr_t)cpu);
	if (error != 0) {
		bare_print("smp: hart %lu: the firmware refuses with error %u\n", cpu->hw_id, (uint32_t)-error);
		return -BARE_EIO;
	}
	bool came = bare_wait_until(is_online, cpu, START_TIMEOUT_NS);
	__atomic_store_n(&smp_start.hart_plus_1, 0, __ATOMIC_RELEASE);
	return came ? 0 : -BARE_EIO;
}

void arch_cpu_init(struct bare_cpu *cpu)
{
	trap_init(cpu);
	clock_cpu_init(cpu);
}

void arch_ipi(struct bare_cpu *cpu)
{
	if (cpu == arch_cpu())
		csr_set(sip, 1u << IRQ_SOFTWARE);
	else
		sbi_ipi(cpu->hw_id);
}

void arch_ipi_stop(struct bare_cpu *cpu)
{
	arch_ipi(cpu);
}

void arch_relax(void)
{
	__asm__ volatile(".word 0x0100000f" : : : "memory"); // pause: a hint, nothing where it is not known
}

void arch_stop(void)
{
	csr_write(sie, 0);
	for (;;)
		__asm__ volatile("csrci sstatus, 2\n\twfi" : : : "memory");
}

// wfi ends when an enabled interrupt is pending, masked or not; it stays pending until the caller unmasks.
void arch_idle(struct bare_cpu *cpu)
{
	(void)cpu;
	__asm__ volatile("wfi" : : : "memory");
}
