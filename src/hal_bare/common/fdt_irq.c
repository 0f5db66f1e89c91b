// SPDX-License-Identifier: MIT
//
// Device tree: the interrupts of a node. The way to a controller follows interrupt-parent, or else the tree, until a node that
// says #interrupt-cells; a bound on its steps keeps circles from hanging the boot.
#include "fdt.h"

#include "pure.h"

enum {
	FDT_IRQ_HOPS_MAX = 2 * FDT_DEPTH_MAX,
	FDT_IRQ_INDEX_MAX = 64 // of an entry of interrupts-extended that is asked for
};

static bool cells_of(const struct fdt *fdt, const struct fdt_node *controller, uint32_t *cells)
{
	return fdt_u32(fdt, controller, "#interrupt-cells", cells) && *cells >= 1 && *cells <= FDT_CELLS_MAX;
}

static bool controller_find(const struct fdt *fdt, const struct fdt_node *node, struct fdt_node *controller)
{
	struct fdt_node at = *node;

	for (uint32_t hop = 0; hop < FDT_IRQ_HOPS_MAX; hop++) {
		uint32_t phandle;
		if (fdt_u32(fdt, &at, "interrupt-parent", &phandle)) {
			if (!fdt_by_phandle(fdt, phandle, &at))
				return false;
		} else if (!fdt_parent(&at, &at)) {
			return false;
		}
		if (fdt_has(fdt, &at, "#interrupt-cells")) {
			*controller = at;
			return true;
		}
	}
	return false;
}

static void irq_fill(struct fdt_irq *irq, const uint8_t *at)
{
	for (uint32_t i = 0; i < FDT_CELLS_MAX; i++)
		irq->cells[i] = i < irq->cell_count ? be32(at + 4 * i) : 0;
}

static tb_err irq_extended(const struct fdt *fdt, const struct fdt_prop *prop, uint32_t index, struct fdt_irq *irq)
{
	uint32_t at = 0;

	if (index >= FDT_IRQ_INDEX_MAX)
		return -PURE_ENOENT;
	for (uint32_t i = 0; prop->size_bytes - at >= 4; i++) {
		irq->controller = be32(prop->value + at);
		if (!fdt_by_phandle(fdt, irq->controller, &irq->node) || !cells_of(fdt, &irq->node, &irq->cell_count))
			return -PURE_EINVAL;
		at += 4;
		if (4 * irq->cell_count > prop->size_bytes - at)
			return -PURE_EINVAL;
		if (i == index) {
			irq_fill(irq, prop->value + at);
			return 0;
		}
		at += 4 * irq->cell_count;
	}
	return at == prop->size_bytes ? -PURE_ENOENT : -PURE_EINVAL;
}

tb_err fdt_irq(const struct fdt *fdt, const struct fdt_node *node, uint32_t index, struct fdt_irq *irq)
{
	struct fdt_prop prop;

	if (fdt_prop(fdt, node, "interrupts-extended", &prop))
		return irq_extended(fdt, &prop, index, irq);
	if (!fdt_prop(fdt, node, "interrupts", &prop))
		return -PURE_ENOENT;
	if (!controller_find(fdt, node, &irq->node) || !cells_of(fdt, &irq->node, &irq->cell_count))
		return -PURE_EINVAL;
	uint32_t entry_size = 4 * irq->cell_count;
	if (prop.size_bytes % entry_size != 0)
		return -PURE_EINVAL;
	if (index >= prop.size_bytes / entry_size)
		return -PURE_ENOENT;
	irq->controller = 0;
	if (!fdt_u32(fdt, &irq->node, "phandle", &irq->controller))
		(void)fdt_u32(fdt, &irq->node, "linux,phandle", &irq->controller);
	irq_fill(irq, prop.value + (size_t)index * entry_size);
	return 0;
}
