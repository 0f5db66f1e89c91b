// SPDX-License-Identifier: MIT
//
// Reader of flattened device trees (Devicetree Specification 0.4, chapter 5; versions 16 and 17), in place and without
// allocation. fdt_open() walks the whole structure block once; what it accepts, the others can walk without further faults. The
// blob must not change meanwhile, and needs no alignment. Functions are pure: any context, any CPU.
//
// A node is known by its path of offsets, so that a parent costs nothing to find. At most FDT_DEPTH_MAX levels.
#ifndef BARE_FDT_H
#define BARE_FDT_H

#include "tbos/types.h"

#define FDT_DEPTH_MAX 16u
#define FDT_SIZE_MAX (2u << 20) // total size that is accepted
#define FDT_CELLS_MAX 4u        // #address-cells, #size-cells, #interrupt-cells that are accepted

struct fdt {
	const uint8_t *blob;
	const uint8_t *structure; // structure_size_bytes, checked
	const char *strings;      // strings_size_bytes
	const uint8_t *rsvmap;    // rsvmap_count entries of 16 bytes
	uint32_t size_bytes;      // of the whole blob, as its header says
	uint32_t structure_size_bytes;
	uint32_t strings_size_bytes;
	uint32_t rsvmap_count;
	uint32_t version;
	uint32_t boot_cpu; // physical id of the booting CPU
};

struct fdt_node {
	uint32_t depth;             // 0: the root
	uint32_t at[FDT_DEPTH_MAX]; // offsets of the nodes from the root to this one, at[depth]
};

struct fdt_prop {
	const char *name;     // "" before the first
	const uint8_t *value; // size_bytes, unaligned
	uint32_t size_bytes;
	uint32_t next; // where the following one is looked for
};

// max_size_bytes is what may be read; the header's own size is not believed beyond it. Errors: -PURE_EINVAL (no tree, or
// damaged), -PURE_EPROTO (a version that is not understood), -PURE_E2BIG (larger than FDT_SIZE_MAX, deeper than FDT_DEPTH_MAX).
tb_err fdt_open(struct fdt *fdt, const void *blob, size_t max_size_bytes) TB_MUST_USE;

// The size that a header announces, to know how much to map: 40 readable bytes. 0: no device tree, or larger than FDT_SIZE_MAX.
uint32_t fdt_size_peek(const void *header);

// Entry `index` of the memory reservation block; false past the last.
bool fdt_reservation(const struct fdt *fdt, uint32_t index, uint64_t *start, uint64_t *size_bytes);

// ---- nodes ----------------------------------------------------------------------------------------------------------

void fdt_root(const struct fdt *fdt, struct fdt_node *node);
// Moves to the next node in the order of the blob; false (and unchanged) after the last. From the root it visits every node.
bool fdt_walk(const struct fdt *fdt, struct fdt_node *node);
// First child; next sibling. False: none. `node` may be the output.
bool fdt_child(const struct fdt *fdt, const struct fdt_node *node, struct fdt_node *child);
bool fdt_next(const struct fdt *fdt, const struct fdt_node *node, struct fdt_node *next);
bool fdt_parent(const struct fdt_node *node, struct fdt_node *parent); // false for the root
// "cpu@1", "" for the root.
const char *fdt_name(const struct fdt *fdt, const struct fdt_node *node);
// Whether the name is `base`, or `base` and a unit address behind '@'.
bool fdt_name_is(const struct fdt *fdt, const struct fdt_node *node, const char *base);
// By path: "/soc/uart@10000000"; a unit address may be left out, then the first match counts. A first component without '/' is
// looked up in /aliases. The path ends at `size_bytes` or at ':' or NUL.
bool fdt_find(const struct fdt *fdt, const char *path, size_t size_bytes, struct fdt_node *node);
// By phandle (phandle or linux,phandle), which is neither 0 nor 0xffffffff. Linear in the blob.
bool fdt_by_phandle(const struct fdt *fdt, uint32_t phandle, struct fdt_node *node);
// First node, after `node` when that is not NULL, that is compatible with `name`.
bool fdt_find_compatible(const struct fdt *fdt, const struct fdt_node *after, const char *name, struct fdt_node *node);

// ---- properties -----------------------------------------------------------------------------------------------------

// Begins an enumeration / moves to the next property; false after the last.
void fdt_prop_first(const struct fdt *fdt, const struct fdt_node *node, struct fdt_prop *prop);
bool fdt_prop_next(const struct fdt *fdt, struct fdt_prop *prop);
bool fdt_prop(const struct fdt *fdt, const struct fdt_node *node, const char *name, struct fdt_prop *prop);
bool fdt_has(const struct fdt *fdt, const struct fdt_node *node, const char *name);
// The property as one 32-bit number, or as one of 32 or 64 bits, by its size. False: not there or of another size.
bool fdt_u32(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint32_t *value);
bool fdt_u64(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint64_t *value);
// The property's string number `index`; NULL when there is none, or it has no end.
const char *fdt_string(const struct fdt *fdt, const struct fdt_node *node, const char *name, uint32_t index);
// Whether the string list `name` contains `text`.
bool fdt_string_has(const struct fdt *fdt, const struct fdt_node *node, const char *name, const char *text);
bool fdt_is_compatible(const struct fdt *fdt, const struct fdt_node *node, const char *name);
// status absent, "okay" or "ok", of this node alone.
bool fdt_is_okay(const struct fdt *fdt, const struct fdt_node *node);

// ---- addresses (fdt_reg.c) ------------------------------------------------------------------------------------------

struct fdt_range {
	uint64_t start;
	uint64_t size_bytes;
};

// #address-cells and #size-cells that hold for `reg` of the node, i.e. its parent's; 2 and 1 where not given. Errors:
// -PURE_EINVAL.
tb_err fdt_cells(const struct fdt *fdt, const struct fdt_node *node, uint32_t *address_cells,
		 uint32_t *size_cells) TB_MUST_USE;
// Entry `index` of reg as it stands. -PURE_ENOENT past the last; -PURE_EINVAL (property damaged), -PURE_EOVERFLOW (more than 64
// bits).
tb_err fdt_reg_raw(const struct fdt *fdt, const struct fdt_node *node, uint32_t index,
		   struct fdt_range *range) TB_MUST_USE;
// The same as an address of the CPU, translated by the `ranges` of every bus above. Further error: -PURE_ERANGE (a bus does not
// pass it on).
tb_err fdt_reg(const struct fdt *fdt, const struct fdt_node *node, uint32_t index, struct fdt_range *range) TB_MUST_USE;
// Number of entries of reg; 0 when there is none or it is damaged.
uint32_t fdt_reg_count(const struct fdt *fdt, const struct fdt_node *node);
// Reads `cells` big-endian 32-bit words; false when the number does not fit 64 bits.
bool fdt_read_cells(const uint8_t *at, uint32_t cells, uint64_t *value);

// ---- interrupts (fdt_irq.c) -----------------------------------------------------------------------------------------

struct fdt_irq {
	uint32_t
		controller; // phandle; 0 when the controller has none (it is the parent named by nothing but its place)
	uint32_t cell_count;
	uint32_t cells[FDT_CELLS_MAX];
	struct fdt_node node; // the controller
};

// Interrupt `index` of the node, from interrupts-extended or else from interrupts and the nearest interrupt-parent above. Nexus
// nodes (interrupt-map, PCI) are given as they stand. -PURE_ENOENT past the last; -PURE_EINVAL (damaged, controller not found).
tb_err fdt_irq(const struct fdt *fdt, const struct fdt_node *node, uint32_t index, struct fdt_irq *irq) TB_MUST_USE;

#endif
