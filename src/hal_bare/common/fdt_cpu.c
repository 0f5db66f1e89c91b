// SPDX-License-Identifier: MIT
//
// Device tree to record: CPUs, how they are started, and the firmware that starts them.
#include "fdt_machine_impl.h"

#include "pure.h"

// ---- RISC-V: what a hart can ----------------------------------------------------------------------------------------

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static uint32_t letter_bit(char c)
{
	return c >= 'a' && c <= 'z' ? 1u << (c - 'a') : 0;
}

static uint32_t isa_expand(uint32_t letters)
{
	const uint32_t general =
		letter_bit('i') | letter_bit('m') | letter_bit('a') | letter_bit('f') | letter_bit('d');
	return letters & letter_bit('g') ? letters | general : letters;
}

// "rv64imafdch_zicsr": letters up to the first extension of more than one letter, versions (2p0) passed over.
static uint32_t isa_letters(const char *isa)
{
	uint32_t letters = 0;

	if (isa[0] != 'r' || isa[1] != 'v')
		return 0;
	isa += 2;
	while (is_digit(*isa))
		isa++;
	for (; *isa != '\0' && *isa != '_' && *isa != 'z' && *isa != 'x'; isa++) {
		if (*isa == 'p' && is_digit(isa[-1]) && is_digit(isa[1]))
			continue;
		letters |= letter_bit(*isa);
	}
	return isa_expand(letters);
}

static uint32_t isa_list_letters(const struct fdt *fdt, const struct fdt_node *node)
{
	struct fdt_prop prop;
	uint32_t letters = 0;

	if (!fdt_prop(fdt, node, "riscv,isa-extensions", &prop))
		return 0;
	for (uint32_t at = 0; at + 1 < prop.size_bytes; at++)
		if ((at == 0 || prop.value[at - 1] == 0) && prop.value[at + 1] == 0)
			letters |= letter_bit((char)prop.value[at]);
	return isa_expand(letters);
}

static void hart_read(struct fdtm_reader *reader, const struct fdt_node *node, struct fdtm_cpu *cpu)
{
	const struct fdt *fdt = reader->fdt;
	const char *isa = fdt_string(fdt, node, "riscv,isa", 0);
	const char *mmu = fdt_string(fdt, node, "mmu-type", 0);
	struct fdt_node child;

	cpu->isa_letters = (isa != NULL ? isa_letters(isa) : 0) | isa_list_letters(fdt, node);
	cpu->has_sv39 = mmu != NULL && (text_equal(mmu, "riscv,sv39") || text_equal(mmu, "riscv,sv48") ||
					text_equal(mmu, "riscv,sv57"));
	for (bool more = fdt_child(fdt, node, &child); more; more = fdt_next(fdt, &child, &child))
		if (fdt_is_compatible(fdt, &child, "riscv,cpu-intc"))
			(void)fdt_u32(fdt, &child, "phandle", &cpu->intc);
}

// ---- CPUs -----------------------------------------------------------------------------------------------------------

static void enable_read(struct fdtm_reader *reader, const struct fdt_node *node, struct fdtm_cpu *cpu)
{
	if (fdt_string_has(reader->fdt, node, "enable-method", "psci")) {
		cpu->enable = FDTM_ENABLE_PSCI;
	} else if (fdt_string_has(reader->fdt, node, "enable-method", "spin-table")) {
		if (fdt_u64(reader->fdt, node, "cpu-release-addr", &cpu->release) && cpu->release % 8 == 0)
			cpu->enable = FDTM_ENABLE_SPIN_TABLE;
		else
			reader->machine->damaged++;
	}
}

static void cpu_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdt_machine *machine = reader->machine;
	struct fdt_range reg;

	if (machine->cpu_count == FDTM_CPUS_MAX) {
		machine->truncated++;
		return;
	}
	if (fdt_reg_raw(reader->fdt, node, 0, &reg) != 0) {
		machine->damaged++;
		return;
	}
	for (uint32_t i = 0; i < machine->cpu_count; i++) {
		if (machine->cpus[i].hw_id == reg.start) { // two CPUs of one number cannot be told apart
			machine->damaged++;
			return;
		}
	}
	struct fdtm_cpu *cpu = &machine->cpus[machine->cpu_count++];
	cpu->hw_id = reg.start;
	cpu->is_okay = fdt_is_okay(reader->fdt, node);
	(void)fdt_u32(reader->fdt, node, "numa-node-id", &cpu->node);
	enable_read(reader, node, cpu);
	hart_read(reader, node, cpu);
}

void fdtm_cpus_read(struct fdtm_reader *reader)
{
	const struct fdt *fdt = reader->fdt;
	uint32_t *timebase_hz = &reader->machine->timebase_hz;
	struct fdt_node cpus, node;

	if (!fdt_find(fdt, "/cpus", SIZE_MAX, &cpus))
		return;
	(void)fdt_u32(fdt, &cpus, "timebase-frequency", timebase_hz);
	for (bool more = fdt_child(fdt, &cpus, &node); more; more = fdt_next(fdt, &node, &node)) {
		if (!fdt_string_has(fdt, &node, "device_type", "cpu") && !fdt_name_is(fdt, &node, "cpu"))
			continue;
		cpu_read(reader, &node);
		if (*timebase_hz == 0)
			(void)fdt_u32(fdt, &node, "timebase-frequency", timebase_hz);
	}
}

// ---- PSCI (Arm DEN 0022) --------------------------------------------------------------------------------------------

#define PSCI_CPU_SUSPEND_64 0xc4000001u
#define PSCI_CPU_OFF 0x84000002u
#define PSCI_CPU_ON_64 0xc4000003u
#define PSCI_MIGRATE_64 0xc4000005u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u

void fdtm_psci(struct fdtm_reader *reader, const struct fdt_node *node)
{
	const struct fdt *fdt = reader->fdt;
	struct fdtm_psci *psci = &reader->machine->psci;
	const char *method = fdt_string(fdt, node, "method", 0);

	if (psci->conduit != FDTM_PSCI_NONE)
		return;
	if (method != NULL && text_equal(method, "hvc"))
		psci->conduit = FDTM_PSCI_HVC;
	else if (method != NULL && text_equal(method, "smc"))
		psci->conduit = FDTM_PSCI_SMC;
	else {
		reader->machine->damaged++;
		return;
	}
	bool is_1_0 = fdt_is_compatible(fdt, node, "arm,psci-1.0");
	if (is_1_0 || fdt_is_compatible(fdt, node, "arm,psci-0.2")) {
		psci->version = is_1_0 ? 0x0100 : 0x0002;
		psci->cpu_suspend = PSCI_CPU_SUSPEND_64;
		psci->cpu_off = PSCI_CPU_OFF;
		psci->cpu_on = PSCI_CPU_ON_64;
		psci->migrate = PSCI_MIGRATE_64;
		psci->system_off = PSCI_SYSTEM_OFF;
		psci->system_reset = PSCI_SYSTEM_RESET;
	} else {
		psci->version = 0x0001;
		(void)fdt_u32(fdt, node, "cpu_suspend", &psci->cpu_suspend);
		(void)fdt_u32(fdt, node, "cpu_off", &psci->cpu_off);
		(void)fdt_u32(fdt, node, "cpu_on", &psci->cpu_on);
		(void)fdt_u32(fdt, node, "migrate", &psci->migrate);
	}
}
