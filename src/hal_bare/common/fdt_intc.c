// SPDX-License-Identifier: MIT
//
// Device tree to record: interrupt controllers. The record has room for one; when a machine has several of a kind (RISC-V with
// several sockets), the one that the console's interrupt goes to is taken, else the first.
#include "fdt_machine_impl.h"

#include "pure.h"

#include <string.h>

enum {
	GIC_SPI = 0,
	GIC_PPI = 1,
	GIC_SPI_BASE = 32,
	GIC_PPI_BASE = 16,
	GIC_SPI_COUNT = 988,
	GIC_PPI_COUNT = 16,
	ARMCTRL_BANKS = 3,
	ARMCTRL_BANK_SIZE = 32,
	PLIC_SOURCES_MAX = 1023,
	BCM2836_SOURCES = 32
};

struct known {
	const char *compatible;
	enum fdtm_intc_kind kind;
};

static const struct known known_controllers[] = {
	{"arm,gic-v3", FDTM_GICV3},
	{"arm,cortex-a15-gic", FDTM_GICV2},
	{"arm,cortex-a7-gic", FDTM_GICV2},
	{"arm,cortex-a9-gic", FDTM_GICV2},
	{"arm,gic-400", FDTM_GICV2},
	{"sifive,plic-1.0.0", FDTM_PLIC},
	{"riscv,plic0", FDTM_PLIC},
	{"brcm,bcm2836-l1-intc", FDTM_BCM2836},
	{"brcm,bcm2836-armctrl-ic", FDTM_BCM2835_ARMCTRL},
	{"brcm,bcm2835-armctrl-ic", FDTM_BCM2835_ARMCTRL},
};

static enum fdtm_intc_kind kind_of(const struct fdt *fdt, const struct fdt_node *node)
{
	for (size_t i = 0; i < PURE_COUNT(known_controllers); i++)
		if (fdt_is_compatible(fdt, node, known_controllers[i].compatible))
			return known_controllers[i].kind;
	return FDTM_INTC_NONE;
}

// ---- numbering ------------------------------------------------------------------------------------------------------

static void gic_number(const struct fdt_irq *from, struct fdtm_irq *irq)
{
	uint32_t number = from->cells[1];

	if (from->cell_count < 3)
		return;
	if (from->cells[0] == GIC_SPI && number < GIC_SPI_COUNT) {
		irq->number = number + GIC_SPI_BASE;
		irq->valid = 1;
	} else if (from->cells[0] == GIC_PPI && number < GIC_PPI_COUNT) {
		irq->number = number + GIC_PPI_BASE;
		irq->valid = 1;
	}
	irq->flags = from->cells[2] & 15;
}

static void armctrl_number(const struct fdt_irq *from, struct fdtm_irq *irq)
{
	if (from->cell_count != 2 || from->cells[0] >= ARMCTRL_BANKS || from->cells[1] >= ARMCTRL_BANK_SIZE)
		return;
	irq->number = from->cells[0] * ARMCTRL_BANK_SIZE + from->cells[1];
	irq->valid = 1;
}

static void plain_number(const struct fdt_irq *from, uint32_t max, struct fdtm_irq *irq)
{
	irq->number = from->cells[0];
	irq->valid = from->cells[0] <= max;
}

void fdtm_irq(struct fdtm_reader *reader, const struct fdt_node *node, uint32_t index, struct fdtm_irq *irq)
{
	const struct fdt *fdt = reader->fdt;
	struct fdt_irq from;
	tb_err err = fdt_irq(fdt, node, index, &from);

	memset(irq, 0, sizeof *irq);
	if (err != 0) {
		reader->machine->damaged += err != -PURE_ENOENT;
		return;
	}
	irq->controller = from.controller;
	irq->kind = kind_of(fdt, &from.node);
	if (irq->kind == FDTM_GICV2 || irq->kind == FDTM_GICV3)
		gic_number(&from, irq);
	else if (irq->kind == FDTM_PLIC)
		plain_number(&from, PLIC_SOURCES_MAX, irq);
	else if (irq->kind == FDTM_BCM2836)
		plain_number(&from, BCM2836_SOURCES - 1, irq);
	else if (irq->kind == FDTM_BCM2835_ARMCTRL)
		armctrl_number(&from, irq);
	reader->machine->damaged += !irq->valid;
}

// ---- controllers ----------------------------------------------------------------------------------------------------

static void intc_drop(struct fdtm_reader *reader)
{
	struct fdt_range armctrl = reader->machine->intc.armctrl;

	memset(&reader->machine->intc, 0, sizeof reader->machine->intc);
	reader->machine->intc.armctrl = armctrl;
	reader->has_consoles_controller = false;
}

// Whether this controller is to be read into the record: the first, or the console's own.

static bool intc_begin(struct fdtm_reader *reader, const struct fdt_node *node, enum fdtm_intc_kind kind)
{
	struct fdtm_intc *intc = &reader->machine->intc;
	uint32_t phandle = 0;

	if (!fdt_u32(reader->fdt, node, "phandle", &phandle))
		(void)fdt_u32(reader->fdt, node, "linux,phandle", &phandle);
	bool is_consoles = phandle != 0 && phandle == reader->console_controller;
	if (reader->has_consoles_controller || (intc->kind != FDTM_INTC_NONE && !is_consoles)) {
		reader->machine->truncated++;
		return false;
	}
	reader->machine->truncated += intc->kind != FDTM_INTC_NONE;
	intc_drop(reader);
	if (!fdtm_reg(reader, node, 0, &intc->distributor))
		return false;
	intc->kind = kind;
	intc->phandle = phandle;
	reader->has_consoles_controller = is_consoles;
	return true;
}

void fdtm_gicv2(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdtm_intc *intc = &reader->machine->intc;

	if (intc_begin(reader, node, FDTM_GICV2) && !fdtm_reg(reader, node, 1, &intc->cpu_interface)) {
		reader->machine->damaged++;
		intc_drop(reader);
	}
}

void fdtm_gicv3(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdtm_intc *intc = &reader->machine->intc;
	uint32_t regions = 1;

	if (!intc_begin(reader, node, FDTM_GICV3))
		return;
	(void)fdt_u32(reader->fdt, node, "#redistributor-regions", &regions);
	(void)fdt_u64(reader->fdt, node, "redistributor-stride", &intc->redistributor_stride);
	for (uint32_t i = 0; i < regions; i++) {
		if (i == FDTM_REDISTRIBUTORS_MAX) {
			reader->machine->truncated += regions - i;
			break;
		}
		if (!fdtm_reg(reader, node, 1 + i, &intc->redistributors[intc->redistributor_count]))
			break;
		intc->redistributor_count++;
	}
	if (intc->redistributor_count == 0) {
		reader->machine->damaged++;
		intc_drop(reader);
	}
}

static uint32_t cpu_by_intc(const struct fdt_machine *machine, uint32_t phandle)
{
	for (uint32_t i = 0; i < machine->cpu_count && phandle != 0; i++)
		if (machine->cpus[i].intc == phandle)
			return i;
	return FDTM_NONE;
}

// Contexts are pairs of a hart's own controller, which has one cell, and a cause there.
static void contexts_read(struct fdtm_reader *reader, const struct fdt_prop *prop)
{
	struct fdtm_intc *intc = &reader->machine->intc;
	uint32_t count = prop->size_bytes / 8;

	reader->machine->damaged += prop->size_bytes % 8 != 0;
	if (count > FDTM_CONTEXTS_MAX) {
		reader->machine->truncated += count - FDTM_CONTEXTS_MAX;
		count = FDTM_CONTEXTS_MAX;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct fdtm_context *context = &intc->contexts[i];
		context->cpu = cpu_by_intc(reader->machine, be32(prop->value + 8 * (size_t)i));
		context->irq = be32(prop->value + 8 * (size_t)i + 4);
		reader->machine->damaged += context->cpu == FDTM_NONE && context->irq != FDTM_NONE;
	}
	intc->context_count = count;
}

void fdtm_plic(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdtm_intc *intc = &reader->machine->intc;
	struct fdt_prop prop;

	if (!intc_begin(reader, node, FDTM_PLIC))
		return;
	if (!fdt_u32(reader->fdt, node, "riscv,ndev", &intc->sources) || intc->sources > PLIC_SOURCES_MAX) {
		reader->machine->damaged++;
		intc->sources = PLIC_SOURCES_MAX;
	}
	if (fdt_prop(reader->fdt, node, "interrupts-extended", &prop))
		contexts_read(reader, &prop);
}

void fdtm_bcm2836(struct fdtm_reader *reader, const struct fdt_node *node)
{
	(void)intc_begin(reader, node, FDTM_BCM2836);
}

void fdtm_armctrl(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdt_range *armctrl = &reader->machine->intc.armctrl;

	if (armctrl->size_bytes == 0)
		(void)fdtm_reg(reader, node, 0, armctrl);
	else
		reader->machine->truncated++;
}
