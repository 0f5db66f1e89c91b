// SPDX-License-Identifier: MIT
//
// Device tree: `reg`, and its way up through the `ranges` of the buses to an address of the CPU.
#include "fdt.h"

#include "pure.h"

enum {
	FDT_RANGES_MAX = 256 // windows of one bus that are looked at
};

bool fdt_read_cells(const uint8_t *at, uint32_t cells, uint64_t *value)
{
	uint64_t sum = 0;
	bool fits = true;
	for (uint32_t i = 0; i < cells; i++) {
		fits = fits && sum >> 32 == 0;
		sum = sum << 32 | be32(at + 4 * i);
	}
	*value = sum;
	return fits;
}

// #address-cells and #size-cells of a bus, for its children.
static tb_err bus_cells(const struct fdt *fdt, const struct fdt_node *bus, uint32_t *address_cells,
			uint32_t *size_cells)
{
	*address_cells = 2;
	*size_cells = 1;
	if (fdt_has(fdt, bus, "#address-cells") && !fdt_u32(fdt, bus, "#address-cells", address_cells))
		return -PURE_EINVAL;
	if (fdt_has(fdt, bus, "#size-cells") && !fdt_u32(fdt, bus, "#size-cells", size_cells))
		return -PURE_EINVAL;
	if (*address_cells == 0 || *address_cells > FDT_CELLS_MAX || *size_cells > FDT_CELLS_MAX)
		return -PURE_EINVAL;
	return 0;
}

tb_err fdt_cells(const struct fdt *fdt, const struct fdt_node *node, uint32_t *address_cells, uint32_t *size_cells)
{
	struct fdt_node parent;
	if (!fdt_parent(node, &parent))
		return -PURE_EINVAL;
	return bus_cells(fdt, &parent, address_cells, size_cells);
}

static tb_err reg_entry(const struct fdt *fdt, const struct fdt_node *node, uint32_t index, struct fdt_range *range)
{
	uint32_t address_cells, size_cells;
	struct fdt_prop prop;
	tb_err err = fdt_cells(fdt, node, &address_cells, &size_cells);

	if (!fdt_prop(fdt, node, "reg", &prop))
		return -PURE_ENOENT;
	if (err != 0)
		return err;
	uint32_t entry_size = 4 * (address_cells + size_cells);
	if (prop.size_bytes % entry_size != 0)
		return -PURE_EINVAL;
	if (index >= prop.size_bytes / entry_size)
		return -PURE_ENOENT;
	const uint8_t *at = prop.value + (size_t)index * entry_size;
	bool fits = fdt_read_cells(at, address_cells, &range->start);
	fits = fdt_read_cells(at + 4 * (size_t)address_cells, size_cells, &range->size_bytes) && fits;
	return fits ? 0 : -PURE_EOVERFLOW;
}

tb_err fdt_reg_raw(const struct fdt *fdt, const struct fdt_node *node, uint32_t index, struct fdt_range *range)
{
	return reg_entry(fdt, node, index, range);
}

uint32_t fdt_reg_count(const struct fdt *fdt, const struct fdt_node *node)
{
	uint32_t address_cells, size_cells;
	struct fdt_prop prop;

	if (fdt_cells(fdt, node, &address_cells, &size_cells) != 0 || !fdt_prop(fdt, node, "reg", &prop))
		return 0;
	uint32_t entry_size = 4 * (address_cells + size_cells);
	return prop.size_bytes % entry_size == 0 ? prop.size_bytes / entry_size : 0;
}

// Moves a range of the bus's children into the space above the bus by the first window that holds all of it.
static tb_err window_apply(const struct fdt_prop *ranges, const uint32_t cells[3], struct fdt_range *range)
{
	uint32_t entry_size = 4 * (cells[0] + cells[1] + cells[2]);
	uint32_t count = ranges->size_bytes / entry_size;

	if (ranges->size_bytes % entry_size != 0 || count > FDT_RANGES_MAX)
		return -PURE_EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *at = ranges->value + (size_t)i * entry_size;
		uint64_t child, parent, size;
		bool fits = fdt_read_cells(at, cells[0], &child);
		fits = fdt_read_cells(at + 4 * (size_t)cells[0], cells[1], &parent) && fits;
		fits = fdt_read_cells(at + 4 * (size_t)(cells[0] + cells[1]), cells[2], &size) && fits;
		if (!fits || range->start < child || range->start - child >= size ||
		    range->size_bytes > size - (range->start - child))
			continue;
		uint64_t start;
		if (__builtin_add_overflow(parent, range->start - child, &start))
			return -PURE_EOVERFLOW;
		range->start = start;
		return 0;
	}
	return -PURE_ERANGE;
}

// One bus up: from the addresses below `bus` to those around it.
static tb_err bus_translate(const struct fdt *fdt, const struct fdt_node *bus, struct fdt_range *range)
{
	struct fdt_prop ranges;
	uint32_t cells[3], unused;

	if (!fdt_prop(fdt, bus, "ranges", &ranges))
		return -PURE_ERANGE;
	if (ranges.size_bytes == 0)
		return 0;
	tb_err err = bus_cells(fdt, bus, &cells[0], &cells[2]);
	if (err == 0)
		err = fdt_cells(fdt, bus, &cells[1], &unused);
	return err != 0 ? err : window_apply(&ranges, cells, range);
}

tb_err fdt_reg(const struct fdt *fdt, const struct fdt_node *node, uint32_t index, struct fdt_range *range)
{
	struct fdt_node bus = *node;
	uint64_t last;
	tb_err err = reg_entry(fdt, node, index, range);

	while (err == 0 && fdt_parent(&bus, &bus) && bus.depth > 0)
		err = bus_translate(fdt, &bus, range);
	if (err == 0 && range->size_bytes > 0 && __builtin_add_overflow(range->start, range->size_bytes - 1, &last))
		err = -PURE_EOVERFLOW;
	return err;
}
