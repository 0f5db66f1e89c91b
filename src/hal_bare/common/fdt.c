// SPDX-License-Identifier: MIT
//
// Device tree: header, structure block, nodes and properties. Each step checks its own bounds again, although fdt_open() has
// seen the whole block: a blob that firmware or a device changes later then gives wrong answers, but no wild reads.
#include "fdt.h"

#include "pure.h"

#include <string.h>

enum {
	FDT_MAGIC = 0xd00dfeed,
	FDT_HEADER_SIZE_16 = 36,
	FDT_HEADER_SIZE_17 = 40,
	FDT_VERSION_MIN = 16,
	FDT_VERSION_MAX = 17, // of last_comp_version
	FDT_RESERVATIONS_MAX = 4096
};

enum token {
	TOKEN_BAD = 0,
	TOKEN_BEGIN = 1,
	TOKEN_END_NODE = 2,
	TOKEN_PROP = 3,
	TOKEN_NOP = 4,
	TOKEN_END = 9
};

// ---- tokens ---------------------------------------------------------------------------------------------------------

static uint32_t begin_size(const struct fdt *fdt, uint32_t at)
{
	uint32_t end = at + 4;
	while (end < fdt->structure_size_bytes && fdt->structure[end] != 0)
		end++;
	return end < fdt->structure_size_bytes ? ((end + 1 - at + 3) & ~3u) : 0;
}

static uint32_t prop_size(const struct fdt *fdt, uint32_t at)
{
	uint32_t left = fdt->structure_size_bytes - at;
	if (left < 12)
		return 0;
	uint32_t size = be32(fdt->structure + at + 4);
	// The last NUL of the strings block ends strings_size_bytes, so that every offset inside is a string.
	if (size > left - 12 || be32(fdt->structure + at + 8) >= fdt->strings_size_bytes)
		return 0;
	return 12 + ((size + 3) & ~3u);
}

// The token at or after *at that is no NOP; *at becomes its offset, *next where the following one is looked for.
static enum token token_read(const struct fdt *fdt, uint32_t *at, uint32_t *next)
{
	uint32_t word = TOKEN_NOP;
	while (*at <= fdt->structure_size_bytes && fdt->structure_size_bytes - *at >= 4) {
		word = be32(fdt->structure + *at);
		if (word != TOKEN_NOP)
			break;
		*at += 4;
	}
	uint32_t size = 0;
	if (word == TOKEN_BEGIN)
		size = begin_size(fdt, *at);
	else if (word == TOKEN_PROP)
		size = prop_size(fdt, *at);
	else if (word == TOKEN_END_NODE || word == TOKEN_END)
		size = 4;
	if (size == 0 || size > fdt->structure_size_bytes - *at)
		return TOKEN_BAD;
	*next = *at + size;
	return (enum token)word;
}

// ---- opening --------------------------------------------------------------------------------------------------------

uint32_t fdt_size_peek(const void *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	uint32_t size = be32(bytes + 4);
	return be32(bytes) == FDT_MAGIC && size >= FDT_HEADER_SIZE_16 && size <= FDT_SIZE_MAX ? size : 0;
}

// Every token belongs where it stands, properties before children, one root.
static tb_err structure_check(const struct fdt *fdt)
{
	uint32_t depth = 0, at = 0;
	bool had_child = false, had_root = false;

	for (uint32_t next = 0;; at = next) {
		enum token token = token_read(fdt, &at, &next);
		switch (token) {
		case TOKEN_BEGIN:
			if (depth == 0 && had_root)
				return -PURE_EINVAL;
			if (depth == FDT_DEPTH_MAX)
				return -PURE_E2BIG;
			had_root = true;
			had_child = false;
			depth++;
			break;
		case TOKEN_END_NODE:
			if (depth == 0)
				return -PURE_EINVAL;
			had_child = true; // for what follows in the parent
			depth--;
			break;
		case TOKEN_PROP:
			if (depth == 0 || had_child)
				return -PURE_EINVAL;
			break;
		case TOKEN_END:
			return depth == 0 && had_root ? 0 : -PURE_EINVAL;
		default:
			return -PURE_EINVAL;
		}
	}
}

static tb_err rsvmap_open(struct fdt *fdt, uint32_t offset)
{
	if (offset > fdt->size_bytes)
		return -PURE_EINVAL;
	fdt->rsvmap = fdt->blob + offset;
	for (uint32_t left = fdt->size_bytes - offset; left >= 16; left -= 16) {
		const uint8_t *at = fdt->rsvmap + 16 * fdt->rsvmap_count;
		if (be64(at) == 0 && be64(at + 8) == 0)
			return 0;
		if (++fdt->rsvmap_count > FDT_RESERVATIONS_MAX)
			return -PURE_E2BIG;
	}
	return -PURE_EINVAL;
}

static tb_err blocks_open(struct fdt *fdt, const uint8_t *header)
{
	uint32_t structure = be32(header + 8), strings = be32(header + 12);
	uint32_t strings_size = be32(header + 32);

	if (structure % 4 != 0 || structure < FDT_HEADER_SIZE_16 || structure > fdt->size_bytes ||
	    strings > fdt->size_bytes)
		return -PURE_EINVAL;
	fdt->structure = fdt->blob + structure;
	fdt->structure_size_bytes = fdt->size_bytes - structure;
	if (fdt->version >= 17) {
		uint32_t size = be32(header + 36);
		if (size > fdt->structure_size_bytes)
			return -PURE_EINVAL;
		fdt->structure_size_bytes = size;
	}
	if (strings_size > fdt->size_bytes - strings)
		return -PURE_EINVAL;
	fdt->strings = (const char *)fdt->blob + strings;
	while (strings_size > 0 && fdt->strings[strings_size - 1] != '\0')
		strings_size--;
	fdt->strings_size_bytes = strings_size;
	return rsvmap_open(fdt, be32(header + 16));
}

tb_err fdt_open(struct fdt *fdt, const void *blob, size_t max_size_bytes)
{
	const uint8_t *header = (const uint8_t *)blob;

	memset(fdt, 0, sizeof *fdt);
	if (max_size_bytes < FDT_HEADER_SIZE_16 || be32(header) != FDT_MAGIC)
		return -PURE_EINVAL;
	fdt->blob = header;
	fdt->size_bytes = be32(header + 4);
	if (fdt->size_bytes > FDT_SIZE_MAX)
		return -PURE_E2BIG;
	fdt->version = be32(header + 20);
	if (fdt->version < FDT_VERSION_MIN || be32(header + 24) > FDT_VERSION_MAX)
		return -PURE_EPROTO;
	uint32_t header_size = fdt->version >= 17 ? FDT_HEADER_SIZE_17 : FDT_HEADER_SIZE_16;
	if (fdt->size_bytes > max_size_bytes || fdt->size_bytes < header_size)
		return -PURE_EINVAL;
	fdt->boot_cpu = be32(header + 28);
	tb_err err = blocks_open(fdt, header);
	return err != 0 ? err : structure_check(fdt);
}

bool fdt_reservation(const struct fdt *fdt, uint32_t index, uint64_t *start, uint64_t *size_bytes)
{
	if (index >= fdt->rsvmap_count)
		return false;
	*start = be64(fdt->rsvmap + 16 * index);
	*size_bytes = be64(fdt->rsvmap + 16 * index + 8);
	return true;
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

void fdt_root(const struct fdt *fdt, struct fdt_node *node)
{
	uint32_t at = 0, next;
	memset(node, 0, sizeof *node);
	if (token_read(fdt, &at, &next) == TOKEN_BEGIN)
		node->at[0] = at;
}

// Moves on to the next node that is `down` levels deeper at most (0: a sibling); stops where the tree rises above `floor`.
static bool node_move(const struct fdt *fdt, struct fdt_node *node, uint32_t depth_max, uint32_t floor)
{
	uint32_t at = node->at[node->depth], next, depth = node->depth + 1; // of a node that begins here
	enum token token = token_read(fdt, &at, &next);

	if (token != TOKEN_BEGIN)
		return false;
	for (;;) {
		at = next;
		token = token_read(fdt, &at, &next);
		if (token == TOKEN_BEGIN) {
			if (depth <= depth_max && depth < FDT_DEPTH_MAX) {
				node->depth = depth;
				node->at[depth] = at;
				return true;
			}
			depth++;
		} else if (token == TOKEN_END_NODE) {
			if (depth == 0 || --depth < floor)
				return false;
		} else if (token != TOKEN_PROP) {
			return false;
		}
	}
}

bool fdt_walk(const struct fdt *fdt, struct fdt_node *node)
{
	return node_move(fdt, node, FDT_DEPTH_MAX - 1, 1);
}

bool fdt_child(const struct fdt *fdt, const struct fdt_node *node, struct fdt_node *child)
{
	struct fdt_node moved = *node;
	if (!node_move(fdt, &moved, node->depth + 1, node->depth + 1))
		return false;
	*child = moved;
	return true;
}

bool fdt_next(const struct fdt *fdt, const struct fdt_node *node, struct fdt_node *next)
{
	struct fdt_node moved = *node;
	if (node->depth == 0 || !node_move(fdt, &moved, node->depth, node->depth))
		return false;
	*next = moved;
	return true;
}

bool fdt_parent(const struct fdt_node *node, struct fdt_node *parent)
{
	if (node->depth == 0)
		return false;
	*parent = *node;
	parent->depth--;
	return true;
}

const char *fdt_name(const struct fdt *fdt, const struct fdt_node *node)
{
	uint32_t at = node->at[node->depth], next;
	return token_read(fdt, &at, &next) == TOKEN_BEGIN ? (const char *)fdt->structure + at + 4 : "";
}

// Whether `name` is the `size` bytes at `base`, or, when those have no '@', begins with them and has an '@' there.
static bool name_matches(const char *name, const char *base, size_t size)
{
	bool has_unit = false;
	for (size_t i = 0; i < size; i++) {
		if (name[i] == '\0' || name[i] != base[i])
			return false;
		has_unit = has_unit || base[i] == '@';
	}
	return name[size] == '\0' || (name[size] == '@' && !has_unit);
}

bool fdt_name_is(const struct fdt *fdt, const struct fdt_node *node, const char *base)
{
	return name_matches(fdt_name(fdt, node), base, text_size(base));
}

// ---- properties -----------------------------------------------------------------------------------------------------

void fdt_prop_first(const struct fdt *fdt, const struct fdt_node *node, struct fdt_prop *prop)
{
	uint32_t at = node->at[node->depth];

	*prop = (struct fdt_prop){.name = "", .value = fdt->structure, .next = fdt->structure_size_bytes};
	uint32_t next;
	if (token_read(fdt, &at, &next) == TOKEN_BEGIN)
		prop->next = next;
}

bool fdt_prop_next(const struct fdt *fdt, struct fdt_prop *prop)
{
	uint32_t at = prop->next, next;
	if (token_read(fdt, &at, &next) != TOKEN_PROP)
		return false;
	prop->size_bytes = be32(fdt->structure + at + 4);
	prop->name = fdt->strings + be32(fdt->structure + at + 8);
	prop->value = fdt->structure + at + 12;
	prop->next = next;
	return true;
}

bool fdt_prop(const struct fdt *fdt, const struct fdt_node *node, const char *name, struct fdt_prop *prop)
{
	fdt_prop_first(fdt, node, prop);
	while (fdt_prop_next(fdt, prop))
		if (text_equal(prop->name, name))
			return true;
	return false;
}

bool fdt_has(const struct fdt *fdt, const struct fdt_node *node, const char *name)
{
	struct fdt_prop prop;
	return fdt_prop(fdt, node, name, &prop);
}

bool fdt_u32(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint32_t *value)
{
	struct fdt_prop prop;
	if (!fdt_prop(fdt, node, name, &prop) || prop.size_bytes != 4)
		return false;
	*value = be32(prop.value);
	return true;
}

bool fdt_u64(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint64_t *value)
{
	struct fdt_prop prop;
	if (!fdt_prop(fdt, node, name, &prop) || (prop.size_bytes != 4 && prop.size_bytes != 8))
		return false;
	*value = prop.size_bytes == 4 ? be32(prop.value) : be64(prop.value);
	return true;
}

const char *fdt_string(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint32_t index)
{
	struct fdt_prop prop;
	uint32_t at = 0, start = 0;

	if (!fdt_prop(fdt, node, name, &prop))
		return NULL;
	for (; at < prop.size_bytes; at++) {
		if (prop.value[at] != 0)
			continue;
		if (index-- == 0)
			return (const char *)prop.value + start;
		start = at + 1;
	}
	return NULL;
}

bool fdt_string_has(const struct fdt *fdt, const struct fdt_node *node, const char *name, const char *text)
{
	struct fdt_prop prop;
	uint32_t start = 0;

	if (!fdt_prop(fdt, node, name, &prop))
		return false;
	for (uint32_t at = 0; at < prop.size_bytes; at++) {
		if (prop.value[at] != 0)
			continue;
		if (text_equal((const char *)prop.value + start, text))
			return true;
		start = at + 1;
	}
	return false;
}

bool fdt_is_compatible(const struct fdt *fdt, const struct fdt_node *node, const char *name)
{
	return fdt_string_has(fdt, node, "compatible", name);
}

bool fdt_is_okay(const struct fdt *fdt, const struct fdt_node *node)
{
	if (!fdt_has(fdt, node, "status"))
		return true;
	const char *status = fdt_string(fdt, node, "status", 0);
	return status != NULL && (text_equal(status, "okay") || text_equal(status, "ok"));
}

// ---- looking for nodes ----------------------------------------------------------------------------------------------

static bool path_walk(const struct fdt *fdt, struct fdt_node *node, const char *path, size_t size)
{
	size_t at = 0;
	for (;;) {
		while (at < size && path[at] == '/')
			at++;
		size_t start = at;
		while (at < size && path[at] != '/')
			at++;
		if (at == start)
			return true;
		bool found = fdt_child(fdt, node, node);
		while (found && !name_matches(fdt_name(fdt, node), path + start, at - start))
			found = fdt_next(fdt, node, node);
		if (!found)
			return false;
	}
}

static bool alias_find(const struct fdt *fdt, const char *alias, size_t size, struct fdt_node *node)
{
	struct fdt_node aliases;
	struct fdt_prop prop;

	fdt_root(fdt, &aliases);
	if (size == 0 || !path_walk(fdt, &aliases, "/aliases", 8))
		return false;
	fdt_prop_first(fdt, &aliases, &prop);
	while (fdt_prop_next(fdt, &prop)) {
		if (text_size(prop.name) != size || memcmp(prop.name, alias, size) != 0)
			continue;
		const char *path = (const char *)prop.value;
		size_t path_size = 0;
		while (path_size < prop.size_bytes && path[path_size] != '\0')
			path_size++;
		fdt_root(fdt, node);
		return path_size > 0 && path_size < prop.size_bytes && path[0] == '/' &&
		       path_walk(fdt, node, path, path_size);
	}
	return false;
}

bool fdt_find(const struct fdt *fdt, const char *path, size_t size_bytes, struct fdt_node *node)
{
	struct fdt_node found;
	size_t size = 0, alias_size = 0;

	while (size < size_bytes && path[size] != '\0' && path[size] != ':')
		size++;
	fdt_root(fdt, &found);
	if (size == 0)
		return false;
	if (path[0] != '/') {
		while (alias_size < size && path[alias_size] != '/')
			alias_size++;
		if (!alias_find(fdt, path, alias_size, &found))
			return false;
	}
	if (!path_walk(fdt, &found, path + alias_size, size - alias_size))
		return false;
	*node = found;
	return true;
}

bool fdt_by_phandle(const struct fdt *fdt, uint32_t phandle, struct fdt_node *node)
{
	struct fdt_node at;
	struct fdt_prop prop;

	if (phandle == 0 || phandle == UINT32_MAX)
		return false;
	fdt_root(fdt, &at);
	do {
		fdt_prop_first(fdt, &at, &prop);
		while (fdt_prop_next(fdt, &prop)) {
			if (prop.size_bytes != 4 || be32(prop.value) != phandle)
				continue;
			if (text_equal(prop.name, "phandle") || text_equal(prop.name, "linux,phandle")) {
				*node = at;
				return true;
			}
		}
	} while (fdt_walk(fdt, &at));
	return false;
}

bool fdt_find_compatible(const struct fdt *fdt, const struct fdt_node *after, const char *name, struct fdt_node *node)
{
	struct fdt_node at;
	bool more = true;

	if (after != NULL) {
		at = *after;
		more = fdt_walk(fdt, &at);
	} else {
		fdt_root(fdt, &at);
	}
	for (; more; more = fdt_walk(fdt, &at)) {
		if (fdt_is_compatible(fdt, &at, name)) {
			*node = at;
			return true;
		}
	}
	return false;
}
