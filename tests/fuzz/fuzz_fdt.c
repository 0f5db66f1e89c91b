// SPDX-License-Identifier: MIT
//
// Fuzz target: device trees. Whatever the blob, opening and reading end, stay inside it, and give a record within its bounds.
// What was opened can be walked: every node is met once, with its parent above it, and lookups find what was met. The mutator
// repairs the header's sizes most of the time, so that the structure behind it is reached.
#include "kern/assert.h"
#include "kern/string.h"

#include "../../src/hal_bare/common/fdt_machine.h"
#include "../../src/hal_bare/common/pure.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t size_max);

enum {
	PATHS_MAX = 16 // nodes whose neighbours are looked up too: that costs a walk each
};

static struct fdt_machine machine;

static void be32_put(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void node_verify(const struct fdt *fdt, const struct fdt_node *node)
{
	struct fdt_node parent, other;
	struct fdt_range range;
	struct fdt_irq irq;

	if (fdt_parent(node, &parent)) {
		bool found = fdt_child(fdt, &parent, &other);
		while (found && other.at[other.depth] != node->at[node->depth])
			found = fdt_next(fdt, &other, &other);
		VERIFY(found);
	}
	uint32_t count = fdt_reg_count(fdt, node);
	for (uint32_t i = 0; i < count && i < 4; i++) {
		tb_err err = fdt_reg(fdt, node, i, &range);
		VERIFY(err != -PURE_ENOENT);
		VERIFY(err != 0 || range.size_bytes == 0 || range.start <= UINT64_MAX - (range.size_bytes - 1));
	}
	if (count > 0)
		VERIFY3(fdt_reg_raw(fdt, node, count, &range), ==, -PURE_ENOENT);
	for (uint32_t i = 0; i < 3; i++) {
		if (fdt_irq(fdt, node, i, &irq) == 0)
			VERIFY(irq.cell_count >= 1 && irq.cell_count <= FDT_CELLS_MAX);
	}
}

static void tree_verify(const struct fdt *fdt)
{
	struct fdt_node node;
	uint32_t last = 0, met = 0;

	fdt_root(fdt, &node);
	do {
		struct fdt_prop prop;
		VERIFY(node.depth < FDT_DEPTH_MAX);
		VERIFY(met == 0 || node.at[node.depth] > last);
		last = node.at[node.depth];
		fdt_prop_first(fdt, &node, &prop);
		while (fdt_prop_next(fdt, &prop))
			VERIFY(prop.value + prop.size_bytes <= fdt->structure + fdt->structure_size_bytes);
		(void)fdt_name_is(fdt, &node, "memory");
		if (met < PATHS_MAX)
			node_verify(fdt, &node);
		met++;
	} while (fdt_walk(fdt, &node));
}

static void record_verify(const struct fdt *fdt)
{
	fdt_machine_read(&machine, fdt);
	VERIFY3(machine.ram_count, <=, FDTM_RAM_MAX);
	VERIFY3(machine.reserved_count, <=, FDTM_RESERVED_MAX);
	VERIFY3(machine.cpu_count, <=, FDTM_CPUS_MAX);
	VERIFY3(machine.uart_count, <=, FDTM_UARTS_MAX);
	VERIFY3(machine.seed_size_bytes, <=, FDTM_SEED_SIZE);
	VERIFY3(machine.intc.context_count, <=, FDTM_CONTEXTS_MAX);
	VERIFY3(machine.intc.redistributor_count, <=, FDTM_REDISTRIBUTORS_MAX);
	VERIFY(machine.stdout_uart == FDTM_NONE || machine.stdout_uart < machine.uart_count);
	VERIFY(machine.initrd_start <= machine.initrd_end);
	VERIFY(text_size(machine.cmdline) < sizeof machine.cmdline);
	for (uint32_t i = 0; i < machine.ram_count; i++)
		VERIFY(machine.ram[i].start <= UINT64_MAX - (machine.ram[i].size_bytes - 1));
	for (uint32_t i = 0; i < machine.uart_count; i++) {
		const struct fdtm_uart *uart = &machine.uarts[i];
		VERIFY(uart->kind != FDTM_UART_NONE && uart->reg_shift <= 4);
		VERIFY(uart->regs.size_bytes >= 8ull << uart->reg_shift);
	}
	for (uint32_t i = 0; i < machine.intc.context_count; i++) {
		uint32_t cpu = machine.intc.contexts[i].cpu;
		VERIFY(cpu == FDTM_NONE || cpu < machine.cpu_count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fdt_node node;
	struct fdt fdt;

	if (size >= 40)
		VERIFY(fdt_size_peek(bytes) <= FDT_SIZE_MAX);
	if (fdt_open(&fdt, bytes, size) != 0)
		return 0;
	VERIFY(fdt.size_bytes <= size);
	tree_verify(&fdt);
	if (fdt_find(&fdt, "serial0/x", SIZE_MAX, &node))
		VERIFY(fdt_name_is(&fdt, &node, "x"));
	record_verify(&fdt);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
	size = LLVMFuzzerMutate(bytes, size, size_max);
	if (size < 64 || seed % 8 == 0)
		return size;
	be32_put(bytes, 0xd00dfeed);
	be32_put(bytes + 4, (uint32_t)size);
	be32_put(bytes + 20, seed % 8 == 1 ? 16 : 17);
	be32_put(bytes + 24, 16);
	// Offsets that the mutation has led outside come back in.
	static const uint32_t offsets[] = {8, 12, 16};
	for (unsigned i = 0; i < PURE_COUNT(offsets); i++)
		if (be32(bytes + offsets[i]) >= size)
			be32_put(bytes + offsets[i], be32(bytes + offsets[i]) % (uint32_t)size & ~3u);
	uint32_t structure = be32(bytes + 8), strings = be32(bytes + 12);
	if (be32(bytes + 32) > size - strings)
		be32_put(bytes + 32, (uint32_t)size - strings);
	if (be32(bytes + 36) > size - structure)
		be32_put(bytes + 36, (uint32_t)size - structure);
	return size;
}
