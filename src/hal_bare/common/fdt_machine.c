// SPDX-License-Identifier: MIT
//
// Device tree to record: the two walks, memory, /chosen, power switches.
#include "fdt_machine_impl.h"

#include "pure.h"

#include <string.h>

enum {
	PHANDLE_BUDGET = 64
};

bool fdtm_by_phandle(struct fdtm_reader *reader, uint32_t phandle, struct fdt_node *node)
{
	if (reader->phandle_budget == 0)
		return false;
	reader->phandle_budget--;
	return fdt_by_phandle(reader->fdt, phandle, node);
}

bool fdtm_reg(struct fdtm_reader *reader, const struct fdt_node *node, uint32_t index, struct fdt_range *range)
{
	struct fdt_range found = {0};
	tb_err err = fdt_reg(reader->fdt, node, index, &found);
	if (err == 0 && found.size_bytes > 0) {
		*range = found;
		return true;
	}
	if (err != -PURE_ENOENT)
		reader->machine->damaged++;
	return false;
}

// ---- memory ---------------------------------------------------------------------------------------------------------

static void ram_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdt_machine *machine = reader->machine;
	uint32_t count = fdt_reg_count(reader->fdt, node), numa = 0;

	(void)fdt_u32(reader->fdt, node, "numa-node-id", &numa);
	machine->damaged += count == 0;
	for (uint32_t i = 0; i < count; i++) {
		struct fdt_range range;
		if (machine->ram_count == FDTM_RAM_MAX || i == 2 * FDTM_RAM_MAX) {
			machine->truncated += count - i;
			return;
		}
		tb_err err = fdt_reg(reader->fdt, node, i, &range);
		machine->damaged += err != 0;
		if (err == 0 && range.size_bytes > 0)
			machine->ram[machine->ram_count++] = (struct fdtm_ram){range.start, range.size_bytes, numa, 0};
	}
}

static void reserve(struct fdt_machine *machine, uint64_t start, uint64_t size_bytes)
{
	if (size_bytes == 0)
		return;
	if (machine->reserved_count == FDTM_RESERVED_MAX)
		machine->truncated++;
	else
		machine->reserved[machine->reserved_count++] = (struct fdt_range){start, size_bytes};
}

// A child of /reserved-memory. One without reg asks for memory that somebody else would choose: nothing to keep free.
static void reserved_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdt_machine *machine = reader->machine;
	uint32_t count = fdt_reg_count(reader->fdt, node);

	machine->damaged += count == 0 && fdt_has(reader->fdt, node, "reg");
	for (uint32_t i = 0; i < count; i++) {
		struct fdt_range range;
		if (machine->reserved_count == FDTM_RESERVED_MAX || i == 2 * FDTM_RESERVED_MAX) {
			machine->truncated += count - i;
			return;
		}
		// A bus without ranges is against the rules, but what it means is plain.
		if (fdt_reg(reader->fdt, node, i, &range) == 0 || fdt_reg_raw(reader->fdt, node, i, &range) == 0)
			reserve(machine, range.start, range.size_bytes);
		else
			machine->damaged++;
	}
}

static void reservations_read(struct fdtm_reader *reader)
{
	struct fdt_node parent, node;
	uint64_t start, size_bytes;

	for (uint32_t i = 0; fdt_reservation(reader->fdt, i, &start, &size_bytes); i++)
		reserve(reader->machine, start, size_bytes);
	if (!fdt_find(reader->fdt, "/reserved-memory", SIZE_MAX, &parent))
		return;
	for (bool more = fdt_child(reader->fdt, &parent, &node); more; more = fdt_next(reader->fdt, &node, &node))
		if (fdt_is_okay(reader->fdt, &node))
			reserved_read(reader, &node);
}

static void memory_read(struct fdtm_reader *reader)
{
	struct fdt_node root, node;

	fdt_root(reader->fdt, &root);
	for (bool more = fdt_child(reader->fdt, &root, &node); more; more = fdt_next(reader->fdt, &node, &node))
		if (fdt_string_has(reader->fdt, &node, "device_type", "memory") && fdt_is_okay(reader->fdt, &node))
			ram_read(reader, &node);
	reservations_read(reader);
}

// ---- /chosen --------------------------------------------------------------------------------------------------------

static void text_read(struct fdtm_reader *reader, const struct fdt_node *node, const char *name, char *to, size_t size)
{
	const char *text = fdt_string(reader->fdt, node, name, 0);
	if (text != NULL)
		reader->machine->truncated += !text_copy(to, size, text, text_size(text));
	else if (fdt_has(reader->fdt, node, name))
		reader->machine->damaged++;
}

static void seed_read(struct fdtm_reader *reader, const struct fdt_node *node, const char *name)
{
	struct fdt_machine *machine = reader->machine;
	struct fdt_prop prop;

	if (!fdt_prop(reader->fdt, node, name, &prop))
		return;
	uint32_t size = FDTM_SEED_SIZE - machine->seed_size_bytes;
	if (size > prop.size_bytes)
		size = prop.size_bytes;
	memcpy(machine->seed + machine->seed_size_bytes, prop.value, size);
	machine->seed_size_bytes += size;
}

static void initrd_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	struct fdt_machine *machine = reader->machine;
	uint64_t start, end;

	if (!fdt_has(reader->fdt, node, "linux,initrd-start") && !fdt_has(reader->fdt, node, "linux,initrd-end"))
		return;
	if (!fdt_u64(reader->fdt, node, "linux,initrd-start", &start) ||
	    !fdt_u64(reader->fdt, node, "linux,initrd-end", &end) || end < start) {
		machine->damaged++;
	} else if (end > start) {
		machine->initrd_start = start;
		machine->initrd_end = end;
	}
}

static void console_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	const char *path = fdt_string(reader->fdt, node, "stdout-path", 0);
	size_t size = 0;

	if (path == NULL)
		path = fdt_string(reader->fdt, node, "linux,stdout-path", 0);
	if (path == NULL)
		return;
	while (path[size] != '\0' && path[size] != ':')
		size++;
	reader->has_console = fdt_find(reader->fdt, path, size, &reader->console);
	reader->machine->damaged += !reader->has_console;
	if (path[size] == ':') {
		const char *options = path + size + 1;
		bool fits = text_copy(reader->machine->stdout_options, FDTM_TEXT_SIZE, options, text_size(options));
		reader->machine->truncated += !fits;
	}
}

static void chosen_read(struct fdtm_reader *reader)
{
	struct fdt_node node;

	fdt_root(reader->fdt, &node);
	text_read(reader, &node, "model", reader->machine->model, FDTM_TEXT_SIZE);
	if (!fdt_find(reader->fdt, "/chosen", SIZE_MAX, &node))
		return;
	text_read(reader, &node, "bootargs", reader->machine->cmdline, FDTM_CMDLINE_SIZE);
	initrd_read(reader, &node);
	seed_read(reader, &node, "rng-seed");
	seed_read(reader, &node, "kaslr-seed");
	console_read(reader, &node);
}

// ---- power ----------------------------------------------------------------------------------------------------------

static void syscon_read(struct fdtm_reader *reader, const struct fdt_node *node, struct fdtm_power *power)
{
	struct fdt_node regmap;
	struct fdt_range regs;
	uint32_t phandle, offset = 0, value = 0, mask = UINT32_MAX;
	bool has_map = fdt_u32(reader->fdt, node, "regmap", &phandle) ? fdtm_by_phandle(reader, phandle, &regmap)
								      : fdt_parent(node, &regmap);
	bool has_value = fdt_u32(reader->fdt, node, "value", &value);
	bool has_mask = fdt_u32(reader->fdt, node, "mask", &mask);

	(void)fdt_u32(reader->fdt, node, "offset", &offset);
	if (!has_value && has_mask) { // the older binding
		value = mask;
		mask = UINT32_MAX;
	}
	if (!has_map || (!has_value && !has_mask) || fdt_reg(reader->fdt, &regmap, 0, &regs) != 0 ||
	    regs.size_bytes < 4 || offset > regs.size_bytes - 4 || offset % 4 != 0) {
		reader->machine->damaged++;
		return;
	}
	*power = (struct fdtm_power){.address = regs.start + offset, .value = value, .mask = mask};
}

static void poweroff_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	if (reader->machine->poweroff.address == 0)
		syscon_read(reader, node, &reader->machine->poweroff);
}

static void reboot_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	if (reader->machine->reboot.address == 0)
		syscon_read(reader, node, &reader->machine->reboot);
}

static void sifive_test_read(struct fdtm_reader *reader, const struct fdt_node *node)
{
	if (reader->machine->sifive_test.size_bytes == 0)
		(void)fdtm_reg(reader, node, 0, &reader->machine->sifive_test);
}

// ---- the second walk ------------------------------------------------------------------------------------------------

struct handler {
	const char *compatible;
	void (*read)(struct fdtm_reader *reader, const struct fdt_node *node);
};

// Consoles come before controllers: which controller counts depends on the console's.
static const struct handler devices[] = {
	{"arm,pl011", fdtm_pl011},
	{"arm,sbsa-uart", fdtm_pl011},
	{"ns16550a", fdtm_ns16550},
	{"ns16550", fdtm_ns16550},
	{"snps,dw-apb-uart", fdtm_ns16550},
	{"brcm,bcm2835-aux-uart", fdtm_bcm2835_aux},
	{"arm,psci-1.0", fdtm_psci},
	{"arm,psci-0.2", fdtm_psci},
	{"arm,psci", fdtm_psci},
	{"arm,armv8-timer", fdtm_arm_timer},
	{"arm,armv7-timer", fdtm_arm_timer},
	{"arm,pl031", fdtm_pl031},
	{"google,goldfish-rtc", fdtm_goldfish},
	{"sifive,test1", sifive_test_read},
	{"sifive,test0", sifive_test_read},
	{"syscon-poweroff", poweroff_read},
	{"syscon-reboot", reboot_read},
};

static const struct handler controllers[] = {
	{"arm,gic-v3", fdtm_gicv3},
	{"arm,cortex-a15-gic", fdtm_gicv2},
	{"arm,cortex-a7-gic", fdtm_gicv2},
	{"arm,cortex-a9-gic", fdtm_gicv2},
	{"arm,gic-400", fdtm_gicv2},
	{"sifive,plic-1.0.0", fdtm_plic},
	{"riscv,plic0", fdtm_plic},
	{"brcm,bcm2836-l1-intc", fdtm_bcm2836},
	{"brcm,bcm2835-armctrl-ic", fdtm_armctrl},
	{"brcm,bcm2836-armctrl-ic", fdtm_armctrl},
};

static const struct handler *handler_find(const struct handler *table, size_t count, const struct fdt_prop *compatible)
{
	for (uint32_t at = 0, start = 0; at < compatible->size_bytes; at++) {
		if (compatible->value[at] != 0)
			continue;
		for (size_t i = 0; i < count; i++)
			if (text_equal((const char *)compatible->value + start, table[i].compatible))
				return &table[i];
		start = at + 1;
	}
	return NULL;
}

static void nodes_read(struct fdtm_reader *reader, const struct handler *table, size_t count)
{
	uint32_t off_depth = FDT_DEPTH_MAX; // below a node of this depth that is not okay
	struct fdt_node node;
	struct fdt_prop compatible;

	fdt_root(reader->fdt, &node);
	while (fdt_walk(reader->fdt, &node)) {
		if (node.depth > off_depth)
			continue;
		off_depth = fdt_is_okay(reader->fdt, &node) ? FDT_DEPTH_MAX : node.depth;
		if (off_depth != FDT_DEPTH_MAX || !fdt_prop(reader->fdt, &node, "compatible", &compatible))
			continue;
		const struct handler *handler = handler_find(table, count, &compatible);
		if (handler != NULL)
			handler->read(reader, &node);
	}
}

void fdt_machine_read(struct fdt_machine *machine, const struct fdt *fdt)
{
	struct fdtm_reader reader = {.machine = machine, .fdt = fdt, .phandle_budget = PHANDLE_BUDGET};

	memset(machine, 0, sizeof *machine);
	machine->stdout_uart = FDTM_NONE;
	chosen_read(&reader);
	memory_read(&reader);
	fdtm_cpus_read(&reader);
	nodes_read(&reader, devices, PURE_COUNT(devices));
	nodes_read(&reader, controllers, PURE_COUNT(controllers));
}
