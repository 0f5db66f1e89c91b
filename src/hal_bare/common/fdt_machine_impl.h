// SPDX-License-Identifier: MIT
//
// From device tree to record: purpose in fdt_machine.h.
//
// Files: fdt_machine.c walks and fills memory, command line, seeds, power switches; fdt_cpu.c CPUs and PSCI; fdt_intc.c
// interrupt controllers and the numbering of interrupts; fdt_device.c timers, serial lines, clock chips.
//
// First what others refer to is read: the console's node, memory, CPUs. Then two walks over the blob, one for devices, one for
// interrupt controllers, hand each node whose ancestors are all okay to the handler of its `compatible`. Handlers with a full or
// already filled place only count, so that the work is bounded by the blob's size times a constant, however hostile it is.
#ifndef BARE_FDT_MACHINE_IMPL_H
#define BARE_FDT_MACHINE_IMPL_H

#include "fdt_machine.h"

struct fdtm_reader {
	struct fdt_machine *machine;
	const struct fdt *fdt;
	struct fdt_node console; // what stdout-path names; valid when has_console
	uint32_t has_console;
	uint32_t console_controller;      // phandle of the console's interrupt controller, 0 unknown
	uint32_t has_consoles_controller; // intc is the console's own
	uint32_t phandle_budget;          // look-ups by phandle that are left
};

// Look-ups by phandle are linear: all of one record share a budget.
bool fdtm_by_phandle(struct fdtm_reader *reader, uint32_t phandle, struct fdt_node *node);
// Range `index` of reg into *range; counts damage and leaves zeros. False: not there.
bool fdtm_reg(struct fdtm_reader *reader, const struct fdt_node *node, uint32_t index, struct fdt_range *range);
// Interrupt `index` of the node, as its controller numbers it; valid stays 0 when it cannot be told.
void fdtm_irq(struct fdtm_reader *reader, const struct fdt_node *node, uint32_t index, struct fdtm_irq *irq);

void fdtm_cpus_read(struct fdtm_reader *reader);

// Handlers of the second walk.
void fdtm_psci(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_gicv2(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_gicv3(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_plic(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_bcm2836(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_armctrl(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_arm_timer(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_pl011(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_ns16550(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_bcm2835_aux(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_pl031(struct fdtm_reader *reader, const struct fdt_node *node);
void fdtm_goldfish(struct fdtm_reader *reader, const struct fdt_node *node);

#endif
