// SPDX-License-Identifier: MIT
//
// Device tree to record: QEMU's own trees and our raspi3b's give what these machines are known to have; damaged ones never do
// harm.
#include "pure_test.h"

#include "../../src/hal_bare/common/fdt_machine.h"
#include "../../src/hal_bare/common/pure.h"

static struct fdt_machine machine;
static struct tree tree;

static const char *const inputs[] = {"fuzz_fdt/virt_gicv2", "fuzz_fdt/virt_gicv3_numa", "fuzz_fdt/riscv_virt",
				     "fuzz_fdt/riscv_virt_numa", "raspi3b"};

static void machine_read(const char *name)
{
	struct fdt fdt;
	size_t size;
	uint8_t *blob = input_read(name, &size);
	assert_int_equal(fdt_open(&fdt, blob, size), 0);
	fdt_machine_read(&machine, &fdt);
	free(blob);
	assert_int_equal(machine.damaged, 0);
}

static void range_is(struct fdt_range range, uint64_t start, uint64_t size_bytes)
{
	assert_int_equal(range.start, start);
	assert_int_equal(range.size_bytes, size_bytes);
}

static void ram_is(uint32_t index, uint64_t start, uint64_t size_bytes, uint32_t node)
{
	assert_in_range(index, 0, machine.ram_count - 1);
	assert_int_equal(machine.ram[index].start, start);
	assert_int_equal(machine.ram[index].size_bytes, size_bytes);
	assert_int_equal(machine.ram[index].node, node);
}

// -M virt,gic-version=2 -smp 4 -append 'console=x c="a b"'
static void virt_with_gicv2(void **state)
{
	(void)state;
	machine_read("fuzz_fdt/virt_gicv2");
	assert_int_equal(machine.truncated, 0);
	assert_string_equal(machine.model, "linux,dummy-virt");
	assert_string_equal(machine.cmdline, "console=x c=\"a b\"");
	assert_int_equal(machine.ram_count, 1);
	ram_is(0, 0x40000000, 128u << 20, 0);
	assert_int_equal(machine.cpu_count, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(machine.cpus[i].hw_id == i && machine.cpus[i].enable == FDTM_ENABLE_PSCI &&
			    machine.cpus[i].is_okay);
	assert_int_equal(machine.psci.conduit, FDTM_PSCI_HVC);
	assert_int_equal(machine.psci.version, 0x0100);
	assert_int_equal(machine.psci.cpu_on, 0xc4000003);
	assert_int_equal(machine.psci.system_off, 0x84000008);
	assert_int_equal(machine.intc.kind, FDTM_GICV2);
	range_is(machine.intc.distributor, 0x8000000, 0x10000);
	range_is(machine.intc.cpu_interface, 0x8010000, 0x10000);
	assert_true(machine.timer.present && machine.timer.virt.valid);
	assert_int_equal(machine.timer.secure.number, 29);
	assert_int_equal(machine.timer.nonsecure.number, 30);
	assert_int_equal(machine.timer.virt.number, 27);
	assert_int_equal(machine.timer.hyp.number, 26);
	assert_int_equal(machine.timer.virt.flags, 4);
	assert_int_equal(machine.uart_count, 1);
	assert_int_equal(machine.stdout_uart, 0);
	assert_int_equal(machine.uarts[0].kind, FDTM_PL011);
	assert_int_equal(machine.uarts[0].clock_hz, 24000000);
	range_is(machine.uarts[0].regs, 0x9000000, 0x1000);
	assert_true(machine.uarts[0].irq.valid && machine.uarts[0].irq.number == 33);
	assert_int_equal(machine.uarts[0].irq.controller, machine.intc.phandle);
	assert_int_equal(machine.rtc_kind, FDTM_PL031);
	range_is(machine.rtc, 0x9010000, 0x1000);
	assert_int_equal(machine.seed_size_bytes, 40); // rng-seed 32, kaslr-seed 8
	assert_int_equal(machine.reserved_count, 0);
}

// gic-version=3,virtualization=on,secure=on, six CPUs on two nodes: the secure devices are another world's.
static void virt_with_gicv3_and_two_nodes(void **state)
{
	(void)state;
	machine_read("fuzz_fdt/virt_gicv3_numa");
	assert_int_equal(machine.ram_count, 2);
	ram_is(0, 0x60000000, 512u << 20, 1);
	ram_is(1, 0x40000000, 512u << 20, 0);
	assert_int_equal(machine.cpu_count, 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(machine.cpus[i].node, i / 3);
	assert_int_equal(machine.psci.conduit, FDTM_PSCI_SMC);
	assert_int_equal(machine.intc.kind, FDTM_GICV3);
	assert_int_equal(machine.intc.redistributor_count, 1);
	range_is(machine.intc.redistributors[0], 0x80a0000, 0xf60000);
	assert_int_equal(machine.uart_count, 1);
	range_is(machine.uarts[0].regs, 0x9000000, 0x1000);
}

static void riscv_virt(void **state)
{
	const uint32_t imac = 1u << 8 | 1u << 12 | 1u << 0 | 1u << 2;

	(void)state;
	machine_read("fuzz_fdt/riscv_virt");
	assert_int_equal(machine.truncated, 0);
	assert_int_equal(machine.timebase_hz, 10000000);
	ram_is(0, 0x80000000, 128u << 20, 0);
	assert_int_equal(machine.cpu_count, 1);
	assert_true(machine.cpus[0].has_sv39);
	assert_int_equal(machine.cpus[0].isa_letters & imac, imac);
	assert_int_equal(machine.cpus[0].isa_letters & 1u << 25, 0); // no 'z': zicsr is one extension
	assert_int_equal(machine.intc.kind, FDTM_PLIC);
	assert_int_equal(machine.intc.sources, 96);
	range_is(machine.intc.distributor, 0xc000000, 0x600000);
	assert_int_equal(machine.intc.context_count, 2);
	assert_true(machine.intc.contexts[1].cpu == 0 && machine.intc.contexts[1].irq == 9);
	assert_int_equal(machine.uarts[machine.stdout_uart].kind, FDTM_NS16550);
	assert_int_equal(machine.uarts[0].clock_hz, 3686400);
	assert_int_equal(machine.uarts[0].irq.number, 10);
	assert_int_equal(machine.rtc_kind, FDTM_GOLDFISH_RTC);
	range_is(machine.sifive_test, 0x100000, 0x1000);
	assert_true(machine.poweroff.address == 0x100000 && machine.poweroff.value == 0x5555);
	assert_true(machine.reboot.address == 0x100000 && machine.reboot.value == 0x7777);
}

// Two sockets have a PLIC each; the console's is the first socket's.
static void riscv_virt_with_two_sockets(void **state)
{
	(void)state;
	machine_read("fuzz_fdt/riscv_virt_numa");
	assert_int_equal(machine.truncated, 1);
	assert_int_equal(machine.cpu_count, 4);
	assert_int_equal(machine.cpus[3].node, 1);
	range_is(machine.intc.distributor, 0xc000000, 0x600000);
	assert_int_equal(machine.intc.context_count, 4);
	assert_int_equal(machine.intc.contexts[3].cpu, 1);
	assert_int_equal(machine.intc.phandle, machine.uarts[0].irq.controller);
}

static void raspi3b(void **state)
{
	(void)state;
	machine_read("raspi3b");
	ram_is(0, 0, 0x3c000000, 0);
	assert_int_equal(machine.reserved_count, 1);
	range_is(machine.reserved[0], 0, 0x1000);
	assert_int_equal(machine.cpu_count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(machine.cpus[i].enable, FDTM_ENABLE_SPIN_TABLE);
		assert_int_equal(machine.cpus[i].release, 0xd8 + 8 * i);
	}
	assert_int_equal(machine.intc.kind, FDTM_BCM2836);
	range_is(machine.intc.distributor, 0x40000000, 0x100);
	range_is(machine.intc.armctrl, 0x3f00b200, 0x200);
	assert_true(machine.timer.nonsecure.valid && machine.timer.nonsecure.number == 1);
	assert_true(machine.timer.virt.valid && machine.timer.virt.number == 3);
	assert_int_equal(machine.uart_count, 1);
	assert_string_equal(machine.stdout_options, "115200n8");
	range_is(machine.uarts[machine.stdout_uart].regs, 0x3f201000, 0x200);
	assert_int_equal(machine.uarts[0].irq.kind, FDTM_BCM2835_ARMCTRL);
	assert_int_equal(machine.uarts[0].irq.number, 2 * 32 + 25);
	assert_int_equal(machine.uarts[0].clock_hz, 48000000);
}

// ---- what QEMU does not show ----------------------------------------------------------------------------------------

static void hand_made_read(void)
{
	struct fdt fdt;
	tree_end(&tree);
	tree_token(&tree, 9);
	tree_finish(&tree);
	assert_int_equal(fdt_open(&fdt, tree.blob, tree.size_bytes), 0);
	fdt_machine_read(&machine, &fdt);
}

static void hand_made_begin(void)
{
	tree_begin(&tree);
	tree_node(&tree, "");
	tree_words(&tree, "#address-cells", 1, 1u);
	tree_words(&tree, "#size-cells", 1, 1u);
}

static void chosen_holds_initrd_and_console_options(void **state)
{
	(void)state;
	hand_made_begin();
	tree_node(&tree, "chosen");
	tree_words(&tree, "linux,initrd-start", 2, 1u, 0x1000u);
	tree_words(&tree, "linux,initrd-end", 1, 0x1000u);
	tree_text(&tree, "stdout-path", "/nowhere:9600");
	tree_bytes(&tree, "bootargs", "x", 1);
	tree_end(&tree);
	hand_made_read();
	assert_true(machine.initrd_start == 0 && machine.initrd_end == 0); // ends before it starts
	assert_string_equal(machine.stdout_options, "9600");
	assert_int_equal(machine.stdout_uart, FDTM_NONE);
	assert_int_equal(machine.damaged, 3); // initrd, console, bootargs without an end

	hand_made_begin();
	tree_node(&tree, "chosen");
	tree_words(&tree, "linux,initrd-start", 2, 1u, 0x1000u);
	tree_words(&tree, "linux,initrd-end", 2, 1u, 0x3000u);
	tree_end(&tree);
	hand_made_read();
	assert_true(machine.initrd_start == 0x100001000 && machine.initrd_end == 0x100003000);
}

static void reservations_come_from_both_places(void **state)
{
	(void)state;
	hand_made_begin();
	tree_reserve(&tree, 0x1000, 0x1000);
	tree_reserve(&tree, 0x5000, 0);
	tree_node(&tree, "reserved-memory");
	tree_words(&tree, "#address-cells", 1, 1u);
	tree_words(&tree, "#size-cells", 1, 1u);
	tree_node(&tree, "a@8000"); // no ranges above: against the rules, yet plain
	tree_words(&tree, "reg", 4, 0x8000u, 0x1000u, 0xa000u, 0x1000u);
	tree_end(&tree);
	tree_node(&tree, "off@c000");
	tree_words(&tree, "reg", 2, 0xc000u, 0x1000u);
	tree_text(&tree, "status", "disabled");
	tree_end(&tree);
	tree_node(&tree, "later");
	tree_words(&tree, "size", 1, 0x1000u);
	tree_end(&tree);
	tree_end(&tree);
	hand_made_read();
	assert_int_equal(machine.reserved_count, 3);
	range_is(machine.reserved[0], 0x1000, 0x1000);
	range_is(machine.reserved[2], 0xa000, 0x1000);
	assert_int_equal(machine.damaged, 0);
}

static void more_than_fits_is_counted(void **state)
{
	char name[] = "cpu@00";

	(void)state;
	hand_made_begin();
	for (uint32_t i = 0; i < FDTM_RAM_MAX + 3; i++) {
		tree_node(&tree, "memory");
		tree_text(&tree, "device_type", "memory");
		tree_words(&tree, "reg", 2, i << 20, 0x1000u);
		tree_end(&tree);
	}
	tree_node(&tree, "cpus");
	tree_words(&tree, "#address-cells", 1, 1u);
	tree_words(&tree, "#size-cells", 1, 0u);
	for (uint32_t i = 0; i < FDTM_CPUS_MAX + 2; i++) {
		name[4] = (char)('a' + i / 26);
		name[5] = (char)('a' + i % 26);
		tree_node(&tree, name);
		tree_words(&tree, "reg", 1, i);
		tree_end(&tree);
	}
	tree_end(&tree);
	hand_made_read();
	assert_int_equal(machine.ram_count, FDTM_RAM_MAX);
	assert_int_equal(machine.cpu_count, FDTM_CPUS_MAX);
	assert_int_equal(machine.truncated, 3 + 2);
}

static void uart_write(const char *name, uint32_t address, uint32_t shift, const char *status)
{
	tree_node(&tree, name);
	tree_text(&tree, "compatible", "ns16550a");
	tree_words(&tree, "reg", 2, address, 0x100u);
	tree_words(&tree, "reg-shift", 1, shift);
	tree_text(&tree, "status", status);
	tree_end(&tree);
}

static void the_console_has_a_place_among_many_lines(void **state)
{
	(void)state;
	hand_made_begin();
	tree_node(&tree, "chosen");
	tree_text(&tree, "stdout-path", "/serial@7");
	tree_end(&tree);
	uart_write("serial@1", 0x1000, 2, "okay");
	uart_write("serial@2", 0x2000, 2, "disabled");
	uart_write("serial@3", 0x3000, 9, "okay"); // shift that no driver knows
	uart_write("serial@4", 0x4000, 0, "okay");
	uart_write("serial@5", 0x5000, 0, "okay");
	uart_write("serial@6", 0x6000, 0, "okay");
	uart_write("serial@7", 0x7000, 4, "okay");
	uart_write("serial@8", 0x8000, 0, "okay");
	tree_node(&tree, "off");
	tree_text(&tree, "status", "disabled");
	uart_write("serial@9", 0x9000, 0, "okay"); // of a bus that is off
	tree_end(&tree);
	hand_made_read();
	assert_int_equal(machine.uart_count, FDTM_UARTS_MAX);
	assert_int_equal(machine.stdout_uart, 3);
	range_is(machine.uarts[3].regs, 0x7000, 0x100);
	assert_int_equal(machine.uarts[3].reg_shift, 4);
	assert_int_equal(machine.uarts[0].regs.start, 0x1000);
	assert_int_equal(machine.truncated, 2); // one made room, one came too late
	assert_int_equal(machine.damaged, 1);
}

static void plic_write(const char *name, uint32_t phandle, uint32_t address)
{
	tree_node(&tree, name);
	tree_text(&tree, "compatible", "riscv,plic0");
	tree_words(&tree, "phandle", 1, phandle);
	tree_words(&tree, "#interrupt-cells", 1, 1u);
	tree_words(&tree, "reg", 2, address, 0x400000u);
	tree_words(&tree, "riscv,ndev", 1, 10u + phandle);
	tree_end(&tree);
}

// The console's controller is taken wherever it stands, and what the first one had filled is gone.
static void the_consoles_controller_is_taken(void **state)
{
	(void)state;
	for (uint32_t consoles = 1; consoles <= 4; consoles++) {
		hand_made_begin();
		tree_node(&tree, "chosen");
		tree_text(&tree, "stdout-path", "/serial");
		tree_end(&tree);
		for (uint32_t i = 1; i <= 3; i++)
			plic_write("plic", i, i << 24);
		tree_node(&tree, "serial");
		tree_text(&tree, "compatible", "ns16550a");
		tree_words(&tree, "reg", 2, 0x1000u, 0x100u);
		tree_words(&tree, "interrupts-extended", 2, consoles, 5u);
		tree_end(&tree);
		hand_made_read();
		uint32_t expected = consoles <= 3 ? consoles : 1; // 4 is nobody's: then the first
		assert_int_equal(machine.intc.phandle, expected);
		assert_int_equal(machine.intc.sources, 10 + expected);
		range_is(machine.intc.distributor, (uint64_t)expected << 24, 0x400000);
		assert_int_equal(machine.truncated, 2);
		assert_int_equal(machine.uarts[0].irq.valid, consoles <= 3);
	}
}

static void psci_0_1_has_numbers_of_its_own(void **state)
{
	(void)state;
	hand_made_begin();
	tree_node(&tree, "psci");
	tree_text(&tree, "compatible", "arm,psci");
	tree_text(&tree, "method", "smc");
	tree_words(&tree, "cpu_on", 1, 0x95c10002u);
	tree_end(&tree);
	hand_made_read();
	assert_int_equal(machine.psci.version, 1);
	assert_int_equal(machine.psci.conduit, FDTM_PSCI_SMC);
	assert_int_equal(machine.psci.cpu_on, 0x95c10002);
	assert_int_equal(machine.psci.system_off, 0);
}

static void isa_texts_of_all_ages_are_read(void **state)
{
	static const struct {
		const char *isa;
		const char *letters;
	} texts[] = {{"rv64imafdc", "imafdc"},
		     {"rv64gc", "gimafdc"},
		     {"rv64i2p0m2p0_zicsr2p0", "im"},
		     {"rv64imafdch_zihintpause", "imafdch"},
		     {"rv64imaczicsr", "imac"},
		     {"x86", ""},
		     {"rv", ""},
		     {"r", ""}};

	(void)state;
	for (size_t i = 0; i < PURE_COUNT(texts); i++) {
		uint32_t expected = 0;
		for (const char *letter = texts[i].letters; *letter != '\0'; letter++)
			expected |= 1u << (*letter - 'a');
		hand_made_begin();
		tree_node(&tree, "cpus");
		tree_words(&tree, "#address-cells", 1, 1u);
		tree_words(&tree, "#size-cells", 1, 0u);
		tree_node(&tree, "cpu@0");
		tree_words(&tree, "reg", 1, 0u);
		tree_text(&tree, "riscv,isa", texts[i].isa);
		tree_end(&tree);
		tree_end(&tree);
		hand_made_read();
		assert_int_equal(machine.cpus[0].isa_letters, expected);
	}
}

// ---- damage ---------------------------------------------------------------------------------------------------------

static void record_is_within_bounds(void)
{
	assert_in_range(machine.ram_count, 0, FDTM_RAM_MAX);
	assert_in_range(machine.reserved_count, 0, FDTM_RESERVED_MAX);
	assert_in_range(machine.cpu_count, 0, FDTM_CPUS_MAX);
	assert_in_range(machine.uart_count, 0, FDTM_UARTS_MAX);
	assert_in_range(machine.seed_size_bytes, 0, FDTM_SEED_SIZE);
	assert_in_range(machine.intc.context_count, 0, FDTM_CONTEXTS_MAX);
	assert_in_range(machine.intc.redistributor_count, 0, FDTM_REDISTRIBUTORS_MAX);
	assert_true(machine.stdout_uart == FDTM_NONE || machine.stdout_uart < machine.uart_count);
	assert_non_null(memchr(machine.cmdline, 0, sizeof machine.cmdline));
	assert_non_null(memchr(machine.model, 0, sizeof machine.model));
	assert_non_null(memchr(machine.stdout_options, 0, sizeof machine.stdout_options));
}

static bool try_read(const uint8_t *blob, size_t size)
{
	struct fdt fdt;
	if (fdt_open(&fdt, blob, size) != 0)
		return false;
	fdt_machine_read(&machine, &fdt);
	record_is_within_bounds();
	return true;
}

// Every word of every input replaced by numbers that hurt; every length cut.
static void damaged_trees_do_no_harm(void **state)
{
	static const uint32_t numbers[] = {0, 1, 2, 3, 9, 0x7fffffff, 0xfffffffc, 0xffffffff};
	size_t size, opened = 0;

	(void)state;
	for (size_t i = 0; i < PURE_COUNT(inputs); i++) {
		uint8_t *blob = input_read(inputs[i], &size);
		for (size_t at = 0; at + 4 <= size; at += 4) {
			uint8_t saved[4];
			memcpy(saved, blob + at, 4);
			for (size_t k = 0; k < PURE_COUNT(numbers); k++) {
				be32_put(blob + at, numbers[k]);
				opened += try_read(blob, size);
			}
			memcpy(blob + at, saved, 4);
		}
		for (size_t cut = 0; cut < size; cut += 7) {
			uint8_t *exact = malloc(cut + 1);
			memcpy(exact, blob, cut);
			assert_false(try_read(exact, cut));
			free(exact);
		}
		free(blob);
	}
	assert_true(opened > 1000); // else the damage never got past the door
}

const struct CMUnitTest fdt_machine_tests[] = {
	cmocka_unit_test(virt_with_gicv2),
	cmocka_unit_test(virt_with_gicv3_and_two_nodes),
	cmocka_unit_test(riscv_virt),
	cmocka_unit_test(riscv_virt_with_two_sockets),
	cmocka_unit_test(raspi3b),
	cmocka_unit_test(chosen_holds_initrd_and_console_options),
	cmocka_unit_test(reservations_come_from_both_places),
	cmocka_unit_test(more_than_fits_is_counted),
	cmocka_unit_test(the_console_has_a_place_among_many_lines),
	cmocka_unit_test(the_consoles_controller_is_taken),
	cmocka_unit_test(psci_0_1_has_numbers_of_its_own),
	cmocka_unit_test(isa_texts_of_all_ages_are_read),
	cmocka_unit_test(damaged_trees_do_no_harm),
};
TESTS_OF(fdt_machine);
