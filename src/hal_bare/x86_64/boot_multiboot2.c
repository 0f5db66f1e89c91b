// SPDX-License-Identifier: MIT
//
// Multiboot2 information (specification 2.0, 3.6): a list of tags on 8-byte borders.
#include "../common/pure.h"
#include "x86.h"

enum multiboot_tag {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MAP = 6,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15
};

#define INFO_MAX (1u << 20)
#define TAG_HEADER 8u
#define MAP_TYPE_RAM 1u

// GRUB puts a copy of the RSDP into the tag: ours is where it lies now.
static void tag_read(struct bare_boot *boot, uint32_t type, const uint8_t *tag, uint32_t size, uint64_t phys)
{
	char text[sizeof boot->cmdline];
	if (type == TAG_CMDLINE) {
		memcpy(text, tag + 8, size - 8 < sizeof text ? size - 8 : sizeof text);
		text[size - 8 < sizeof text ? size - 8 : sizeof text - 1] = '\0';
		bare_strcpy(boot->cmdline, text, sizeof boot->cmdline);
	} else if (type == TAG_MODULE && size > 16) {
		uint32_t length = size - 16 < 63 ? size - 16 : 63;
		memcpy(text, tag + 16, length);
		text[length] = '\0';
		uint32_t start = le32(tag + 8), end = le32(tag + 12);
		if (end > start)
			boot_add_module(boot, start, end - start, text);
	} else if (type == TAG_MAP && size >= 16) {
		uint32_t step = le32(tag + 8);
		for (uint32_t at = 16; step >= 24 && size - at >= step; at += step) {
			if (le32(tag + at + 16) == MAP_TYPE_RAM)
				boot_add_ram(boot, le64(tag + at), le64(tag + at + 8), 0);
			else
				boot_add_taken(boot, le64(tag + at), le64(tag + at + 8));
		}
	} else if (type == TAG_RSDP_NEW || (type == TAG_RSDP_OLD && boot->rsdp == 0)) {
		boot->rsdp = phys + 8;
	}
}

void multiboot2_record(struct bare_boot *boot, uint64_t info)
{
	const uint8_t *bytes = bare_phys(info);
	uint32_t total = le32(bytes);
	if (total > INFO_MAX || total < 16 || info > arch_early_limit - total)
		bare_die("boot: the Multiboot2 information has a size of %u bytes", total);
	boot->protocol = "multiboot2";
	boot_add_taken(boot, info, total);
	for (uint32_t at = 8; total - at >= TAG_HEADER;) {
		uint32_t type = le32(bytes + at), size = le32(bytes + at + 4);
		if (type == TAG_END || size < TAG_HEADER || size > total - at)
			break;
		tag_read(boot, type, bytes + at, size, info + at);
		uint32_t step = (size + 7) & ~7u;
		if (step > total - at)
			break;
		at += step;
	}
}
