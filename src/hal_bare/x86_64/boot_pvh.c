// SPDX-License-Identifier: MIT
//
// The PVH start info (Xen, public/arch-x86/hvm/start_info.h, version 1): memory map, RSDP, command line, modules.
#include "../common/pure.h"
#include "x86.h"

#define START_MAGIC 0x336ec578u
#define MAP_TYPE_RAM 1u
#define MAP_MAX 1024u

// Offsets within the structures.
enum {
	START_VERSION = 4,
	START_MODULES = 12,
	START_MODULE_LIST = 16,
	START_CMDLINE = 24,
	START_RSDP = 32,
	START_MAP = 40,
	START_MAP_COUNT = 48,
	MODULE_SIZE = 32,
	MAP_ENTRY_SIZE = 24
};

static bool is_early(uint64_t phys, uint64_t size_bytes)
{
	return phys < arch_early_limit && size_bytes <= arch_early_limit - phys;
}

static void early_text(char *to, size_t size_bytes, uint64_t phys)
{
	size_t at = 0;
	while (at + 1 < size_bytes && phys != 0 && is_early(phys + at, 1) &&
	       ((const char *)bare_phys(phys))[at] != '\0') {
		to[at] = ((const char *)bare_phys(phys))[at];
		at++;
	}
	to[at] = '\0';
}

static void modules_read(struct bare_boot *boot, uint64_t list, uint32_t count)
{
	if (count > 64)
		count = 64;
	if (!is_early(list, (uint64_t)count * MODULE_SIZE))
		return;
	const uint8_t *module = bare_phys(list);
	for (uint32_t i = 0; i < count; i++, module += MODULE_SIZE) {
		char name[64];
		early_text(name, sizeof name, le64(module + 16));
		boot_add_module(boot, le64(module), le64(module + 8), name);
	}
}

static void map_read(struct bare_boot *boot, uint64_t map, uint32_t count)
{
	if (count > MAP_MAX)
		count = MAP_MAX;
	if (!is_early(map, (uint64_t)count * MAP_ENTRY_SIZE))
		return;
	const uint8_t *entry = bare_phys(map);
	for (uint32_t i = 0; i < count; i++, entry += MAP_ENTRY_SIZE) {
		if (le32(entry + 16) == MAP_TYPE_RAM)
			boot_add_ram(boot, le64(entry), le64(entry + 8), 0);
		else
			boot_add_taken(boot, le64(entry), le64(entry + 8));
	}
}

void pvh_record(struct bare_boot *boot, uint64_t info)
{
	const uint8_t *start = bare_phys(info);
	if (!is_early(info, 64) || le32(start) != START_MAGIC)
		bare_die("boot: the PVH start info has no magic number");
	boot->protocol = "pvh";
	boot_add_taken(boot, info, 64);
	early_text(boot->cmdline, sizeof boot->cmdline, le64(start + START_CMDLINE));
	modules_read(boot, le64(start + START_MODULE_LIST), le32(start + START_MODULES));
	boot->rsdp = le64(start + START_RSDP);
	if (le32(start + START_VERSION) < 1)
		bare_die("boot: the PVH start info is of version 0, which has no memory map");
	map_read(boot, le64(start + START_MAP), le32(start + START_MAP_COUNT));
}
