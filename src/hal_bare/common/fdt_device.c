// SPDX-License-Identifier: MIT
//
// Device tree to record: timers, serial lines, clock chips.
#include "fdt_machine_impl.h"

#include "pure.h"

// ---- Arm's generic timer --------------------------------------------------------------------------------------------

// Place of interrupt `name` by interrupt-names, or else its standard one.
static uint32_t irq_index(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint32_t standard)
{
	if (!fdt_has(fdt, node, "interrupt-names"))
		return standard;
	for (uint32_t i = 0; i < 8; i++) {
		const char *text = fdt_string(fdt, node, "interrupt-names", i);
		if (text == NULL)
			break;
		if (text_equal(text, name))
			return i;
	}
	return FDTM_NONE;
}

static void timer_irq(struct fdtm_reader *reader, const struct fdt_node *node, const char *name, uint32_t standard,
		      struct fdtm_irq *irq)
{
	uint32_t index = irq_index(reader->fdt, node, name, standard);
	if (index != FDTM_NONE)
		fdtm_irq(reader, node, index, irq);
}

void fdtm_arm_timer(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdtm_timer *timer = &reader->machine->timer;

	if (timer->present)
		return;
	timer->present = 1;
	(void)fdt_u32(reader->fdt, node, "clock-frequency", &timer->frequency_hz);
	timer_irq(reader, node, "sec-phys", 0, &timer->secure);
	timer_irq(reader, node, "phys", 1, &timer->nonsecure);
	timer_irq(reader, node, "virt", 2, &timer->virt);
	timer_irq(reader, node, "hyp-phys", 3, &timer->hyp);
}

// ---- serial lines ---------------------------------------------------------------------------------------------------

// The line's own clock-frequency, or that of its first clock when that is a fixed one.
static uint32_t clock_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdt_node clock;
	struct fdt_prop prop;
	uint32_t hz = 0;

	if (fdt_u32(reader->fdt, node, "clock-frequency", &hz))
		return hz;
	if (fdt_prop(reader->fdt, node, "clocks", &prop) && prop.size_bytes >= 4 &&
	    fdtm_by_phandle(reader, be32(prop.value), &clock))
		(void)fdt_u32(reader->fdt, &clock, "clock-frequency", &hz);
	return hz;
}

// Registers that are 1 << shift bytes apart and `width` wide.
struct uart_layout {
	enum fdtm_uart_kind kind;
	uint32_t shift;
	uint32_t width;
	uint32_t offset;
	uint32_t size_bytes; // that the driver reaches
};

static bool uart_regs(struct fdtm_reader *reader, const struct fdt_node *node, const struct uart_layout *layout,
		      struct fdt_range *regs)
{
	if (!fdtm_reg(reader, node, 0, regs))
		return false;
	if (layout->offset > regs->size_bytes || layout->size_bytes > regs->size_bytes - layout->offset) {
		reader->machine->damaged++;
		return false;
	}
	regs->start += layout->offset;
	regs->size_bytes -= layout->offset;
	return true;
}

static void uart_add(struct fdtm_reader *reader, const struct fdt_node *node, const struct uart_layout *layout)
{
	struct fdt_machine *machine = reader->machine;
	bool is_console = reader->has_console && reader->console.at[reader->console.depth] == node->at[node->depth];
	struct fdt_range regs;

	if (machine->uart_count == FDTM_UARTS_MAX && !is_console) {
		machine->truncated++;
		return;
	}
	if (!uart_regs(reader, node, layout, &regs))
		return;
	if (machine->uart_count == FDTM_UARTS_MAX) { // the console has a place whatever came before it
		machine->truncated++;
		machine->uart_count--;
	}
	struct fdtm_uart *uart = &machine->uarts[machine->uart_count];
	*uart = (struct fdtm_uart){
		.kind = layout->kind, .reg_shift = layout->shift, .reg_width = layout->width, .regs = regs};
	uart->clock_hz = clock_read(reader, node);
	(void)fdt_u32(reader->fdt, node, "current-speed", &uart->baud);
	fdtm_irq(reader, node, 0, &uart->irq);
	if (is_console) {
		machine->stdout_uart = machine->uart_count;
		reader->console_controller = uart->irq.controller;
	}
	machine->uart_count++;
}

void fdtm_pl011(struct fdtm_reader *reader, const struct fdt_node *node)
{
	uart_add(reader, node, &(struct uart_layout){FDTM_PL011, 2, 4, 0, 0x4c});
}

void fdtm_bcm2835_aux(struct fdtm_reader *reader, const struct fdt_node *node)
{
	uart_add(reader, node, &(struct uart_layout){FDTM_BCM2835_AUX, 2, 4, 0, 0x2c});
}

void fdtm_ns16550(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct uart_layout layout = {.kind = FDTM_NS16550, .width = 1};

	(void)fdt_u32(reader->fdt, node, "reg-shift", &layout.shift);
	(void)fdt_u32(reader->fdt, node, "reg-io-width", &layout.width);
	(void)fdt_u32(reader->fdt, node, "reg-offset", &layout.offset);
	if (layout.shift > 4 || (layout.width != 1 && layout.width != 2 && layout.width != 4)) {
		reader->machine->damaged++;
		return;
	}
	layout.size_bytes = 8u << layout.shift;
	uart_add(reader, node, &layout);
}

// ---- clock chips ----------------------------------------------------------------------------------------------------

static void rtc_read(struct fdtm_reader *reader, const struct fdt_node *node, enum fdtm_rtc_kind kind)
{
	struct fdt_machine *machine = reader->machine;
	if (machine->rtc_kind == FDTM_RTC_NONE && fdtm_reg(reader, node, 0, &machine->rtc))
		machine->rtc_kind = kind;
}

void fdtm_pl031(struct fdtm_reader *reader, const struct fdt_node *node)
{
	rtc_read(reader, node, FDTM_PL031);
}

void fdtm_goldfish(struct fdtm_reader *reader, const struct fdt_node *node)
{
	rtc_read(reader, node, FDTM_GOLDFISH_RTC);
}
