// SPDX-License-Identifier: MIT
//
// The beginning on AArch64: what the processor can do, the record out of the device tree, the console, and the order in which the
// machine comes up.
#include "arm.h"

const char arch_name[] = "aarch64";

struct arm_state arm;

extern const char vector_table[];

#define FDT_HEADER_SIZE 40u
#define FEATURE(reg, shift) ((arm_read(reg) >> (shift)&15) != 0)

void arch_early(uint64_t protocol, uint64_t info)
{
	static char stack[BARE_EMERGENCY_SIZE] __attribute__((aligned(16)));
	(void)info;
	bare_cpus[0].emergency = (uintptr_t)stack + sizeof stack;
	arm_write(tpidr_el1, (uintptr_t)&bare_cpus[0]);
	arm_write(vbar_el1, (uintptr_t)vector_table);
	arm_isb();
	arm.entry_level = (uint32_t)protocol;
	arm.is_secure = protocol == 3;
	arm.has_pan = FEATURE(id_aa64mmfr1_el1, 20);
	arm.has_rndr = FEATURE(id_aa64isar0_el1, 60);
	__asm__ volatile("msr daifclr, #4" : : : "memory"); // system errors report from now on
}

// ---- device tree --------------------------------------------------------------------------------------------------------

static bool tree_open(struct fdt *fdt, uint64_t phys)
{
	if (phys == 0 || !early_map(phys, FDT_HEADER_SIZE, false))
		return false;
	uint32_t size = fdt_size_peek(bare_phys(phys));
	return size != 0 && early_map(phys, size, false) && fdt_open(fdt, bare_phys(phys), size) == 0;
}

// Memory that lies within large pages; what is cut off is still RAM, only not reached before the final tables.
static void ram_record(struct bare_boot *boot)
{
	for (uint32_t i = 0; i < arm.machine.ram_count; i++) {
		const struct fdtm_ram *ram = &arm.machine.ram[i];
		uint64_t end = ram->size_bytes > UINT64_MAX - ram->start ? UINT64_MAX : ram->start + ram->size_bytes;
		end = end < arch_early_limit ? end & ~(BARE_LARGE_SIZE - 1) : arch_early_limit;
		uint64_t start =
			ram->start > UINT64_MAX - BARE_LARGE_SIZE ? UINT64_MAX : ram->start + BARE_LARGE_SIZE - 1;
		start &= ~(BARE_LARGE_SIZE - 1);
		boot_add_ram(boot, ram->start, ram->size_bytes, ram->node);
		if (start < end && !early_map(start, end - start, false))
			bare_print("boot: memory at %lx: no early tables left\n", start);
	}
}

// The tree itself is read once, now, and its memory is free afterwards.
static void taken_record(struct bare_boot *boot)
{
	const struct fdt_machine *machine = &arm.machine;
	for (uint32_t i = 0; i < machine->reserved_count; i++)
		boot_add_taken(boot, machine->reserved[i].start, machine->reserved[i].size_bytes);
	for (uint32_t i = 0; i < machine->cpu_count; i++)
		if (machine->cpus[i].enable == FDTM_ENABLE_SPIN_TABLE)
			boot_add_taken(boot, machine->cpus[i].release, 8);
	if (machine->initrd_end > machine->initrd_start)
		boot_add_module(boot, machine->initrd_start, machine->initrd_end - machine->initrd_start, "initrd");
}

// ---- console --------------------------------------------------------------------------------------------------------------

static const struct fdtm_uart *uart_found(void)
{
	const struct fdt_machine *machine = &arm.machine;
	if (machine->uart_count == 0)
		return NULL;
	return &machine->uarts[machine->stdout_uart < machine->uart_count ? machine->stdout_uart : 0];
}

static struct bare_uart *uart_driver(const struct fdtm_uart *found)
{
	return found->kind == FDTM_PL011 ? &uart_pl011 : &uart_16550;
}

static void console_early(void)
{
	const struct fdtm_uart *found = uart_found();
	if (found == NULL || !early_map(found->regs.start, found->regs.size_bytes, true))
		return;
	struct bare_uart *uart = uart_driver(found);
	uart->base = found->regs.start;
	uart->shift = found->reg_shift;
	uart->width = found->reg_width;
	uart->listen(uart); // early, so that what is typed meanwhile waits in its FIFO
	console_set(uart);
}

static void console_move(void)
{
	const struct fdtm_uart *found = uart_found();
	void *regs =
		found == NULL ? NULL : bare_map(found->regs.start, found->regs.size_bytes, PROT_WRITE | PROT_DEVICE);
	if (found == NULL)
		return;
	if (regs == NULL)
		bare_die("boot: the registers of the console at %lx cannot be mapped", found->regs.start);
	uart_driver(found)->base = (uintptr_t)regs;
}

static void console_listen(void)
{
	const struct fdtm_uart *found = uart_found();
	if (found != NULL && found->irq.valid)
		intc_uart_on();
}

const struct fdtm_irq *intc_uart_irq(void)
{
	static const struct fdtm_irq none;
	return uart_found() != NULL ? &uart_found()->irq : &none;
}

// ---- the doors --------------------------------------------------------------------------------------------------------------

// An ELF file that QEMU loads by itself gets no pointer; its virt leaves the tree where memory begins.
void arch_boot_record(struct bare_boot *boot, uint64_t protocol, uint64_t info)
{
	struct fdt fdt;
	(void)protocol;
	boot->protocol = "linux";
	boot->dtb = info != 0 ? info : boot->image_phys - BARE_LARGE_SIZE;
	if (!tree_open(&fdt, boot->dtb))
		bare_die("boot: no device tree at %lx", boot->dtb);
	fdt_machine_read(&arm.machine, &fdt);
	console_early();
	ram_record(boot);
	taken_record(boot);
	bare_strcpy(boot->cmdline, arm.machine.cmdline, sizeof boot->cmdline);
	entropy_keep(arm.machine.seed, arm.machine.seed_size_bytes);
	power_init(&fdt);
	if (arm.machine.truncated + arm.machine.damaged != 0)
		bare_print("boot: device tree: %u entries too many, %u damaged\n", arm.machine.truncated,
			   arm.machine.damaged);
}

// Interrupts stay masked until the kernel's first thread unmasks them.
void arch_init(void)
{
	console_move();
	arm_protect();
	power_map();
	smp_init();
	clock_arm_init();
	intc_init();
	console_listen();
}

bool arch_entropy(uint64_t *value)
{
	uint64_t number, good = 0;
	for (uint32_t tries = 0; arm.has_rndr && tries < 10 && good == 0; tries++)
		__asm__ volatile("mrs %0, s3_3_c2_c4_0\n\tcset %1, ne" : "=r"(number), "=r"(good) : : "cc");
	if (good != 0)
		*value = number;
	return good != 0;
}

uint64_t arch_jitter(void)
{
	return arm_read(cntvct_el0);
}

void arch_relax(void)
{
	__asm__ volatile("yield" : : : "memory");
}

void arch_stop(void)
{
	for (;;)
		__asm__ volatile("msr daifset, #15\n\twfi" : : : "memory");
}

// Wakes for what is pending although it is masked; it is delivered when the caller unmasks.
void arch_idle(struct bare_cpu *cpu)
{
	(void)cpu;
	__asm__ volatile("dsb sy\n\twfi" : : : "memory");
}
