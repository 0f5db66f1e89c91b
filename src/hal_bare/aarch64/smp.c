// SPDX-License-Identifier: MIT
//
// Other CPUs: who the device tree says there is, started by PSCI (Arm DEN 0022) or by the spin table of the boot protocol. A started CPU
// finds its slot by its affinity (entry.S).
#include "arm.h"

#define START_TIMEOUT_NS 10000000000ull // emulators on busy hosts take their time

struct smp_slot {
	uint64_t affinity;
	uintptr_t stack;
	struct bare_cpu *cpu;
};

_Static_assert(sizeof(struct smp_slot) == ARM_SLOT_SIZE, "entry.S knows the size");
_Static_assert(offsetof(struct smp_slot, stack) == ARM_SLOT_STACK, "entry.S knows the place");
_Static_assert(offsetof(struct smp_slot, cpu) == ARM_SLOT_CPU, "entry.S knows the place");

struct smp_slot smp_slots[CONFIG_MAX_CPUS];
uint32_t smp_slot_count;
uint64_t smp_root; // physical address of the final tables; read with the MMU off

extern const char smp_entry[];

static void cpu_add(const struct fdtm_cpu *found)
{
	if (bare.cpu_count == CONFIG_MAX_CPUS) {
		bare_print("smp: more than %u CPUs: the rest stays off\n", (uint32_t)CONFIG_MAX_CPUS);
		return;
	}
	struct bare_cpu *cpu = &bare_cpus[bare.cpu_count++];
	cpu->hw_id = found->hw_id;
	cpu->node = found->node;
	cpu->release_address = found->enable == FDTM_ENABLE_SPIN_TABLE ? found->release : 0;
}

// Without firmware above us nobody starts CPUs, and those of a GICv2 are at most eight.
static bool may_add(const struct fdtm_cpu *found)
{
	if (!found->is_okay || found->enable == FDTM_ENABLE_NONE || arm.is_secure)
		return false;
	return arm.machine.intc.kind != FDTM_GICV2 || bare.cpu_count < 8;
}

void smp_init(void)
{
	const struct fdt_machine *machine = &arm.machine;
	uint64_t self = arm_affinity();
	bare_cpus[0].hw_id = self;
	bare.cpu_count = 1;
	for (uint32_t i = 0; i < machine->cpu_count; i++) {
		if (machine->cpus[i].hw_id == self)
			bare_cpus[0].node = machine->cpus[i].node;
		else if (may_add(&machine->cpus[i]))
			cpu_add(&machine->cpus[i]);
	}
	if (arm.is_secure && machine->cpu_count > 1)
		bare_print("smp: entered at EL3: %u CPUs stay off for want of firmware\n", machine->cpu_count - 1);
}

// CPUs get their stacks after smp_init(). Only smp_root is read past the caches.
static void slots_fill(void)
{
	for (uint32_t i = 0; i < bare.cpu_count; i++)
		smp_slots[i] = (struct smp_slot){bare_cpus[i].hw_id, bare_cpus[i].emergency, &bare_cpus[i]};
	smp_slot_count = bare.cpu_count;
	smp_root = paging_root();
	__asm__ volatile("dc cvac, %0\n\tdsb sy" : : "r"(&smp_root) : "memory");
}

static bool is_online(void *arg)
{
	const struct bare_cpu *cpu = arg;
	return __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_ONLINE;
}

static tb_err release(uint64_t address, uint64_t entry)
{
	volatile uint64_t *at = bare_map(address, sizeof *at, PROT_WRITE | PROT_DEVICE);
	if (at == NULL || address % sizeof *at != 0)
		return -BARE_EIO;
	*at = entry;
	__asm__ volatile("dsb sy\n\tsev" : : : "memory");
	return 0;
}

tb_err arch_cpu_start(struct bare_cpu *cpu)
{
	uint64_t entry = bare.boot.image_phys + (uint64_t)(smp_entry - bare_image_start);
	if (smp_slot_count == 0)
		slots_fill();
	if (cpu->release_address != 0) {
		tb_err err = release(cpu->release_address, entry);
		if (err != 0)
			return err;
	} else if ((int64_t)psci_call(arm.machine.psci.cpu_on, cpu->hw_id, entry, 0) != 0) {
		return -BARE_EIO;
	}
	return bare_wait_until(is_online, cpu, START_TIMEOUT_NS) ? 0 : -BARE_EIO;
}

void smp_entered(struct bare_cpu *cpu);
void smp_entered(struct bare_cpu *cpu)
{
	bare_cpu_main(cpu);
}

void arch_cpu_init(struct bare_cpu *cpu)
{
	arm_protect();
	clock_arm_cpu_init();
	intc_cpu_init(cpu);
	__asm__ volatile("msr daifclr, #4" : : : "memory");
}
