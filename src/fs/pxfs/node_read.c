// SPDX-License-Identifier: MIT
//
// Reading a node: its copies, what makes one sound, and writing a damaged one again.
#include "pxfs_impl.h"

static const char *leaf_problem(const struct pxfs_volume *volume, const uint8_t *bytes, uint32_t count)
{
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)bytes;
	const struct pxfs_item *items = (const struct pxfs_item *)(header + 1);
	uint32_t end = node_bytes(volume), data = le32_get(&header->data);

	if (count > (end - sizeof *header) / sizeof *items || data > end ||
	    data < sizeof *header + count * sizeof *items)
		return "items and data overlap";
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = le32_get(&items[i].at), size = le32_get(&items[i].size);
		if (at < data || at > end || size > end - at || size > PXFS_ITEM_BYTES_MAX || at % 8 != 0)
			return "an item's data lie outside";
		struct pxfs_where where = where_of(&items[i].key);
		struct pxfs_where before = i == 0 ? where : where_of(&items[i - 1].key);
		if (i != 0 && where_compare(&before, &where) >= 0)
			return "items are out of order";
		if (i != 0 && at + ALIGN_UP(size, 8u) != le32_get(&items[i - 1].at))
			return "items' data are not side by side";
		if (i == 0 && at + ALIGN_UP(size, 8u) != end)
			return "the first item's data do not end the node";
	}
	uint32_t lowest = count == 0 ? end : le32_get(&items[count - 1].at);
	return lowest != data ? "there are data of no item" : NULL;
}

static const char *inner_problem(const struct pxfs_volume *volume, const uint8_t *bytes, uint32_t count)
{
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)bytes;
	const struct pxfs_child *children = (const struct pxfs_child *)(header + 1);
	uint32_t sectors = node_sectors(volume);

	if (count == 0 || count > (node_bytes(volume) - sizeof *header) / sizeof *children)
		return "the number of children is impossible";
	for (uint32_t i = 0; i < count; i++) {
		struct pxfs_where where = where_of(&children[i].key);
		struct pxfs_where before = i == 0 ? where : where_of(&children[i - 1].key);
		if (i != 0 && where_compare(&before, &where) >= 0)
			return "children are out of order";
		for (uint32_t copy = 0; copy < 2; copy++) {
			uint64_t address = le64_get(&children[i].pointer.address[copy]);
			if ((address == 0 && copy == 0) || address > volume_sectors(volume) - sectors ||
			    address % block_sectors_of(volume) != 0)
				return "a child lies outside the volume";
		}
	}
	return NULL;
}

err_t node_validate(const struct pxfs_volume *volume, const uint8_t *bytes, uint64_t address, uint32_t level,
		    const char **problem)
{
	const struct pxfs_node_header *header = (const struct pxfs_node_header *)bytes;
	uint32_t count = le32_get(&header->count);

	*problem = NULL;
	if (le32_get(&header->magic) != PXFS_NODE_MAGIC)
		*problem = "no node";
	else if (le64_get(&header->volume) != volume->identity_word)
		*problem = "another volume's node";
	else if (le64_get(&header->address) != address)
		*problem = "a node that belongs elsewhere";
	else if (header->level >= PXFS_LEVELS_MAX || (level != UINT32_MAX && header->level != level))
		*problem = "a node of another level";
	else
		*problem =
			header->level == 0 ? leaf_problem(volume, bytes, count) : inner_problem(volume, bytes, count);
	return *problem == NULL ? 0 : ERR(EBADMSG);
}

// Reads one copy. Errors: -EIO, -EBADMSG.
static err_t copy_read(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t copy, uint32_t level,
		       uint8_t *bytes)
{
	uint64_t address = le64_get(&pointer->address[0]), at = le64_get(&pointer->address[copy]);
	const char *problem = NULL;

	err_t err = block_read(volume->device, at, bytes, node_bytes(volume));
	if (err == 0 && checksum_xxh3(bytes, node_bytes(volume), 0) != le64_get(&pointer->checksum)) {
		problem = "its checksum is wrong";
		err = ERR(EBADMSG);
	} else if (err == 0) {
		err = node_validate(volume, bytes, address, level, &problem);
	}
	if (err == 0)
		return 0;
	(void)__atomic_fetch_add(&volume->errors_read, 1, __ATOMIC_RELAXED);
	log_warn_limited("pxfs: %s: node at sector %llu: %s", block_name(volume->device), (unsigned long long)at,
			 problem != NULL ? problem : "cannot be read");
	return err;
}

static bool copy_repair(struct pxfs_volume *volume, uint64_t address, const uint8_t *bytes)
{
	if (volume->read_only || (block_flags(volume->device) & BLOCK_READ_ONLY) != 0)
		return false;
	if (block_write(volume->device, address, bytes, node_bytes(volume), 0) != 0)
		return false;
	(void)__atomic_fetch_add(&volume->errors_repaired, 1, __ATOMIC_RELAXED);
	log_notice("pxfs: %s: node at sector %llu repaired from its copy", block_name(volume->device),
		   (unsigned long long)address);
	return true;
}

uint32_t node_copies_read(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t level,
			  uint8_t *bytes[2])
{
	uint32_t copies = le64_get(&pointer->address[1]) != 0 ? 2 : 1, bad = 0;

	for (uint32_t copy = 0; copy < copies; copy++)
		if (copy_read(volume, pointer, copy, level, bytes[copy]) != 0)
			bad |= 1u << copy;
	return bad;
}

bool node_copy_write(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t copy,
		     const uint8_t *bytes)
{
	return copy_repair(volume, le64_get(&pointer->address[copy]), bytes);
}

uint32_t node_copies_check(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t level,
			   uint8_t *bytes, uint32_t *repaired)
{
	uint32_t copies = le64_get(&pointer->address[1]) != 0 ? 2 : 1, bad = 0, wrong = 0;

	*repaired = 0;
	for (uint32_t copy = 0; copy < copies; copy++) {
		bool sound = copy_read(volume, pointer, copy, level, bytes) == 0;
		wrong = sound ? wrong : copy;
		bad += !sound;
	}
	if (bad == 1 && copies == 2 && copy_read(volume, pointer, 1 - wrong, level, bytes) == 0)
		*repaired = copy_repair(volume, le64_get(&pointer->address[wrong]), bytes);
	return bad;
}

err_t node_read(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint32_t level, uint8_t *bytes)
{
	bool second = le64_get(&pointer->address[1]) != 0;
	err_t err = copy_read(volume, pointer, 0, level, bytes);

	if (err == 0 || !second)
		goto out;
	err = copy_read(volume, pointer, 1, level, bytes);
	if (err == 0)
		(void)copy_repair(volume, le64_get(&pointer->address[0]), bytes);
out:
	if (err != 0)
		(void)__atomic_fetch_add(&volume->errors_lost, 1, __ATOMIC_RELAXED);
	return err;
}
