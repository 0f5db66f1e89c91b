// SPDX-License-Identifier: MIT
//
// The beginning on RISC-V: everything that is to be known stands in the device tree, which is read once while low memory is still
// mapped one to one, and the order in which the machine comes up.
#include "riscv.h"

const char arch_name[] = "riscv64";

struct fdt_machine riscv_machine;

#define SEED_TRIES 64u
#define SEED_STATUS 0xc0000000ull
#define SEED_ENTROPY 0x80000000ull // ES16
#define SEED_DEAD 0xc0000000ull

static uint64_t boot_hart;

static const struct fdtm_uart *uart_found(void)
{
	const struct fdt_machine *machine = &riscv_machine;
	if (machine->stdout_uart < machine->uart_count && machine->uarts[machine->stdout_uart].kind == FDTM_NS16550)
		return &machine->uarts[machine->stdout_uart];
	for (uint32_t i = 0; i < machine->uart_count; i++)
		if (machine->uarts[i].kind == FDTM_NS16550)
			return &machine->uarts[i];
	return NULL;
}

// Uses the registers where they are: low memory is mapped one to one still.
static void uart_early(void)
{
	const struct fdtm_uart *found = uart_found();
	if (found == NULL || found->regs.start >= arch_early_limit) {
		console_set(&uart_sbi);
		return;
	}
	uart_16550.base = found->regs.start;
	uart_16550.shift = found->reg_shift;
	uart_16550.width = found->reg_width;
	console_set(&uart_16550);
}

static void uart_init(void)
{
	const struct fdtm_uart *found = uart_found();
	void *base =
		found == NULL ? NULL : bare_map(found->regs.start, found->regs.size_bytes, PROT_WRITE | PROT_DEVICE);
	if (base == NULL) {
		console_set(&uart_sbi);
		return;
	}
	uart_16550.base = (uintptr_t)base;
	uart_16550.listen(&uart_16550);
	if (found->irq.valid != 0 && found->irq.controller == riscv_machine.intc.phandle)
		plic_route(found->irq.number);
}

void arch_early(uint64_t protocol, uint64_t info)
{
	static char stack[BARE_EMERGENCY_SIZE] __attribute__((aligned(16)));
	struct fdt fdt;
	boot_hart = protocol;
	bare_cpus[0].emergency = (uintptr_t)stack + sizeof stack;
	trap_init(&bare_cpus[0]);
	sbi_init();
	const void *tree = bare_phys(info);
	uint32_t size_bytes = info % 8 == 0 && info != 0 && info < arch_early_limit ? fdt_size_peek(tree) : 0;
	if (size_bytes == 0 || fdt_open(&fdt, tree, size_bytes) != 0) {
		console_set(&uart_sbi);
		bare_die("boot: the firmware passed no device tree that can be read");
	}
	fdt_machine_read(&riscv_machine, &fdt);
	uart_early();
}

void arch_boot_record(struct bare_boot *boot, uint64_t protocol, uint64_t info)
{
	const struct fdt_machine *machine = &riscv_machine;
	(void)protocol;
	boot->protocol = "sbi";
	boot->dtb = info;
	bare_strcpy(boot->cmdline, machine->cmdline, sizeof boot->cmdline);
	for (uint32_t i = 0; i < machine->ram_count; i++)
		boot_add_ram(boot, machine->ram[i].start, machine->ram[i].size_bytes, machine->ram[i].node);
	for (uint32_t i = 0; i < machine->reserved_count; i++)
		boot_add_taken(boot, machine->reserved[i].start, machine->reserved[i].size_bytes);
	boot_add_taken(boot, info, fdt_size_peek(bare_phys(info)));
	if (machine->initrd_end > machine->initrd_start)
		boot_add_module(boot, machine->initrd_start, machine->initrd_end - machine->initrd_start, "initrd");
	if (machine->truncated != 0 || machine->damaged != 0)
		bare_print("boot: device tree: %u entries too many, %u damaged\n", machine->truncated,
			   machine->damaged);
	entropy_keep(machine->seed, machine->seed_size_bytes);
}

// Interrupts stay masked until the kernel's first thread unmasks them.
void arch_init(void)
{
	smp_init(boot_hart);
	plic_init();
	uart_init();
	power_init();
	clock_riscv_init();
	uint64_t seed;
	riscv_features.has_seed = trap_try_seed(&seed);
	riscv_features.has_cycle = trap_try_cycle();
}

// 16 bits at a time; the source may need some tries, or be dead.
bool arch_entropy(uint64_t *value)
{
	uint64_t seed, collected = 0;
	uint32_t parts = 0;
	for (uint32_t tries = 0; riscv_features.has_seed && parts < 4 && tries < SEED_TRIES; tries++) {
		if (!trap_try_seed(&seed) || (seed & SEED_STATUS) == SEED_DEAD)
			return false;
		if ((seed & SEED_STATUS) != SEED_ENTROPY)
			continue;
		collected = collected << 16 | (seed & 0xffff);
		parts++;
	}
	*value = collected;
	return parts == 4;
}
