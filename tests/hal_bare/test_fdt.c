// SPDX-License-Identifier: MIT
//
// The device tree reader: what the specification says about blocks, nodes, addresses and interrupts, and what it refuses.
#include "pure_test.h"

#include "../../src/hal_bare/common/fdt.h"
#include "../../src/hal_bare/common/pure.h"

static struct tree tree;

static tb_err tree_open(struct fdt *fdt)
{
	tree_finish(&tree);
	return fdt_open(fdt, tree.blob, tree.size_bytes);
}

static void root_begin(uint32_t address_cells, uint32_t size_cells)
{
	tree_begin(&tree);
	tree_node(&tree, "");
	tree_words(&tree, "#address-cells", 1, address_cells);
	tree_words(&tree, "#size-cells", 1, size_cells);
}

static void root_open(struct fdt *fdt)
{
	tree_end(&tree);
	tree_token(&tree, 9);
	assert_int_equal(tree_open(fdt), 0);
}

static struct fdt_node find(const struct fdt *fdt, const char *path)
{
	struct fdt_node node = {0};
	if (!fdt_find(fdt, path, SIZE_MAX, &node))
		fail_msg("%s: not found", path);
	return node;
}

static void walk_meets_every_node_in_order(void **state)
{
	static const char *const names[] = {"", "a", "b@1", "c", "d", "e"};
	static const uint32_t depths[] = {0, 1, 2, 2, 3, 1};
	struct fdt_node node;
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	tree_token(&tree, 4);
	tree_node(&tree, "a");
	tree_text(&tree, "x", "y");
	tree_token(&tree, 4);
	tree_node(&tree, "b@1");
	tree_end(&tree);
	tree_node(&tree, "c");
	tree_node(&tree, "d");
	tree_end(&tree);
	tree_end(&tree);
	tree_end(&tree);
	tree_token(&tree, 4);
	tree_node(&tree, "e");
	tree_end(&tree);
	root_open(&fdt);
	fdt_root(&fdt, &node);
	for (size_t i = 0; i < PURE_COUNT(names); i++) {
		assert_string_equal(fdt_name(&fdt, &node), names[i]);
		assert_int_equal(node.depth, depths[i]);
		assert_int_equal(fdt_walk(&fdt, &node), i + 1 < PURE_COUNT(names));
	}
	struct fdt_node c = find(&fdt, "/a/c"), other;
	assert_string_equal(fdt_name(&fdt, &c), "c");
	assert_false(fdt_next(&fdt, &c, &other));
	assert_true(fdt_child(&fdt, &c, &other));
	assert_false(fdt_child(&fdt, &other, &other));
	assert_true(fdt_parent(&other, &other) && fdt_parent(&other, &other));
	assert_true(fdt_next(&fdt, &other, &other));
	assert_string_equal(fdt_name(&fdt, &other), "e");
	fdt_root(&fdt, &node);
	assert_false(fdt_next(&fdt, &node, &other));
}

static void paths_know_units_and_aliases(void **state)
{
	struct fdt_node node;
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	tree_node(&tree, "aliases");
	tree_text(&tree, "serial0", "/soc/uart@10");
	tree_text(&tree, "bad", "serial0");
	tree_bytes(&tree, "open", "/soc", 4);
	tree_end(&tree);
	tree_node(&tree, "soc");
	tree_node(&tree, "uart@30@1");
	tree_end(&tree);
	tree_node(&tree, "uart@20");
	tree_end(&tree);
	tree_node(&tree, "uart@10");
	tree_node(&tree, "port");
	tree_end(&tree);
	tree_end(&tree);
	tree_end(&tree);
	root_open(&fdt);
	assert_true(fdt_find(&fdt, "serial0:115200n8", SIZE_MAX, &node));
	assert_string_equal(fdt_name(&fdt, &node), "uart@10");
	assert_true(fdt_find(&fdt, "serial0/port", SIZE_MAX, &node));
	assert_true(fdt_find(&fdt, "/soc/uart", SIZE_MAX, &node));
	assert_string_equal(fdt_name(&fdt, &node), "uart@30@1");
	assert_true(fdt_find(&fdt, "/soc/uart@10xyz", 12, &node));
	assert_true(fdt_find(&fdt, "//soc///uart@10/", SIZE_MAX, &node));
	assert_true(fdt_name_is(&fdt, &node, "uart"));
	assert_false(fdt_name_is(&fdt, &node, "uar"));
	assert_true(fdt_find(&fdt, "/", SIZE_MAX, &node));
	assert_int_equal(node.depth, 0);
	static const char *const none[] = {"",    ":",    "/soc/uart@1", "/soc/uar",
					   "bad", "open", "serial1",     "/soc/uart@30"};
	for (size_t i = 0; i < PURE_COUNT(none); i++)
		assert_false(fdt_find(&fdt, none[i], SIZE_MAX, &node));
}

static void properties_are_typed_by_size(void **state)
{
	struct fdt fdt;
	uint32_t small;
	uint64_t large;

	(void)state;
	root_begin(1, 1);
	tree_words(&tree, "one", 1, 7u);
	tree_words(&tree, "two", 2, 1u, 2u);
	tree_bytes(&tree, "list", "ab\0cd\0ef", 8);
	tree_bytes(&tree, "empty", "", 0);
	tree_words(&tree, "phandle", 1, 9u);
	root_open(&fdt);
	struct fdt_node node = find(&fdt, "/");
	assert_true(fdt_u32(&fdt, &node, "one", &small) && small == 7);
	assert_false(fdt_u32(&fdt, &node, "two", &small));
	assert_true(fdt_u64(&fdt, &node, "one", &large) && large == 7);
	assert_true(fdt_u64(&fdt, &node, "two", &large) && large == 0x100000002);
	assert_false(fdt_u64(&fdt, &node, "list", &large) && large == 0);
	assert_string_equal(fdt_string(&fdt, &node, "list", 1), "cd");
	assert_null(fdt_string(&fdt, &node, "list", 2)); // has no end
	assert_null(fdt_string(&fdt, &node, "empty", 0));
	assert_null(fdt_string(&fdt, &node, "none", 0));
	assert_true(fdt_string_has(&fdt, &node, "list", "ab"));
	assert_false(fdt_string_has(&fdt, &node, "list", "ef"));
	assert_true(fdt_has(&fdt, &node, "empty"));
	assert_true(fdt_by_phandle(&fdt, 9, &node));
	assert_false(fdt_by_phandle(&fdt, 0, &node) || fdt_by_phandle(&fdt, UINT32_MAX, &node) ||
		     fdt_by_phandle(&fdt, 8, &node));
}

static void reg_is_translated_up_to_the_root(void **state)
{
	struct fdt_range range;
	struct fdt fdt;

	(void)state;
	root_begin(2, 1);
	tree_node(&tree, "outer");
	tree_words(&tree, "#address-cells", 1, 1u);
	tree_words(&tree, "#size-cells", 1, 1u);
	tree_words(&tree, "ranges", 8, 0u, 0u, 0x1000u, 0x1000u, 0x8000u, 5u, 0u, 0x4000u);
	tree_node(&tree, "inner");
	tree_words(&tree, "#address-cells", 1, 1u);
	tree_words(&tree, "#size-cells", 1, 1u);
	tree_bytes(&tree, "ranges", "", 0);
	tree_node(&tree, "device");
	tree_words(&tree, "reg", 10, 0x8100u, 0x100u, 0xfffu, 1u, 0xfffu, 2u, 0x7000u, 1u, 0x1000u, 0u);
	tree_end(&tree);
	tree_end(&tree);
	tree_node(&tree, "shut");
	tree_words(&tree, "#address-cells", 1, 1u);
	tree_words(&tree, "#size-cells", 1, 0u);
	tree_node(&tree, "device");
	tree_words(&tree, "reg", 1, 5u);
	tree_end(&tree);
	tree_end(&tree);
	tree_end(&tree);
	root_open(&fdt);
	struct fdt_node device = find(&fdt, "/outer/inner/device"), shut = find(&fdt, "/outer/shut/device");
	assert_int_equal(fdt_reg_count(&fdt, &device), 5);
	assert_int_equal(fdt_reg(&fdt, &device, 0, &range), 0);
	assert_true(range.start == 0x500000100 && range.size_bytes == 0x100);
	assert_int_equal(fdt_reg(&fdt, &device, 1, &range), 0);
	assert_true(range.start == 0x1fff && range.size_bytes == 1);
	assert_int_equal(fdt_reg(&fdt, &device, 2, &range), -PURE_ERANGE); // leaves its window
	assert_int_equal(fdt_reg(&fdt, &device, 3, &range), -PURE_ERANGE); // in no window
	assert_int_equal(fdt_reg(&fdt, &device, 4, &range), -PURE_ERANGE); // empty, at the end of its window
	assert_int_equal(fdt_reg(&fdt, &device, 5, &range), -PURE_ENOENT);
	assert_int_equal(fdt_reg(&fdt, &shut, 0, &range), -PURE_ERANGE); // no ranges at all
	assert_int_equal(fdt_reg_raw(&fdt, &shut, 0, &range), 0);
	assert_true(range.start == 5 && range.size_bytes == 0);
}

static void reg_refuses_what_does_not_fit(void **state)
{
	struct fdt_range range;
	struct fdt fdt;

	(void)state;
	root_begin(3, 2);
	tree_node(&tree, "wide");
	tree_words(&tree, "reg", 10, 1u, 0u, 0u, 0u, 1u, 0u, 2u, 3u, 0u, 4u);
	tree_end(&tree);
	tree_node(&tree, "wraps");
	tree_words(&tree, "reg", 5, 0u, ~0u, ~0u, 0u, 2u);
	tree_end(&tree);
	tree_node(&tree, "odd");
	tree_words(&tree, "reg", 4, 0u, 0u, 0u, 0u);
	tree_end(&tree);
	tree_node(&tree, "cells");
	tree_words(&tree, "#address-cells", 1, 5u);
	tree_node(&tree, "device");
	tree_words(&tree, "reg", 6, 0u, 0u, 0u, 0u, 0u, 0u);
	tree_end(&tree);
	tree_end(&tree);
	root_open(&fdt);
	struct fdt_node wide = find(&fdt, "/wide"), wraps = find(&fdt, "/wraps"), odd = find(&fdt, "/odd"),
			device = find(&fdt, "/cells/device");
	assert_int_equal(fdt_reg(&fdt, &wide, 0, &range), -PURE_EOVERFLOW);
	assert_int_equal(fdt_reg(&fdt, &wide, 1, &range), 0);
	assert_true(range.start == 0x200000003 && range.size_bytes == 4);
	assert_int_equal(fdt_reg(&fdt, &wraps, 0, &range), -PURE_EOVERFLOW);
	assert_int_equal(fdt_reg(&fdt, &odd, 0, &range), -PURE_EINVAL);
	assert_int_equal(fdt_reg_count(&fdt, &odd), 0);
	assert_int_equal(fdt_reg(&fdt, &device, 0, &range), -PURE_EINVAL);
}

static void interrupts_find_their_controller(void **state)
{
	struct fdt_irq irq;
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	tree_words(&tree, "interrupt-parent", 1, 1u);
	tree_node(&tree, "gic");
	tree_words(&tree, "phandle", 1, 1u);
	tree_words(&tree, "#interrupt-cells", 1, 3u);
	tree_end(&tree);
	tree_node(&tree, "plain");
	tree_words(&tree, "interrupts", 6, 0u, 1u, 4u, 1u, 13u, 8u);
	tree_end(&tree);
	tree_node(&tree, "nest");
	tree_words(&tree, "#interrupt-cells", 1, 1u);
	tree_node(&tree, "bus");
	tree_node(&tree, "child");
	tree_words(&tree, "interrupt-parent", 1, 2u);
	tree_words(&tree, "interrupts", 1, 3u);
	tree_end(&tree);
	tree_node(&tree, "both");
	tree_words(&tree, "interrupts", 1, 3u);
	tree_words(&tree, "interrupts-extended", 6, 2u, 21u, 1u, 0u, 22u, 1u);
	tree_end(&tree);
	tree_end(&tree);
	tree_end(&tree);
	tree_node(&tree, "pic");
	tree_words(&tree, "linux,phandle", 1, 2u);
	tree_words(&tree, "#interrupt-cells", 1, 1u);
	tree_end(&tree);
	root_open(&fdt);
	struct fdt_node plain = find(&fdt, "/plain"), child = find(&fdt, "/nest/bus/child"),
			both = find(&fdt, "/nest/bus/both");
	assert_int_equal(fdt_irq(&fdt, &plain, 1, &irq), 0);
	assert_true(irq.controller == 1 && irq.cell_count == 3 && irq.cells[0] == 1 && irq.cells[1] == 13 &&
		    irq.cells[2] == 8);
	assert_int_equal(fdt_irq(&fdt, &plain, 2, &irq), -PURE_ENOENT);
	assert_int_equal(fdt_irq(&fdt, &child, 0, &irq), 0);
	assert_true(irq.controller == 2 && irq.cell_count == 1 && irq.cells[0] == 3);
	assert_int_equal(fdt_irq(&fdt, &both, 1, &irq), 0);
	assert_true(irq.controller == 1 && irq.cells[1] == 22);
	assert_int_equal(fdt_irq(&fdt, &both, 2, &irq), -PURE_ENOENT);
	struct fdt_node root = find(&fdt, "/");
	assert_int_equal(fdt_irq(&fdt, &root, 0, &irq), -PURE_ENOENT);
}

static void a_circle_of_interrupt_parents_ends(void **state)
{
	struct fdt_irq irq;
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	tree_node(&tree, "a");
	tree_words(&tree, "phandle", 1, 1u);
	tree_words(&tree, "interrupt-parent", 1, 2u);
	tree_words(&tree, "interrupts", 1, 0u);
	tree_end(&tree);
	tree_node(&tree, "b");
	tree_words(&tree, "phandle", 1, 2u);
	tree_words(&tree, "interrupt-parent", 1, 1u);
	tree_words(&tree, "interrupts-extended", 2, 77u, 0u);
	tree_end(&tree);
	root_open(&fdt);
	struct fdt_node a = find(&fdt, "/a"), b = find(&fdt, "/b");
	assert_int_equal(fdt_irq(&fdt, &a, 0, &irq), -PURE_EINVAL);
	assert_int_equal(fdt_irq(&fdt, &b, 0, &irq), -PURE_EINVAL); // no such controller
}

static void reservations_end_at_two_zeros(void **state)
{
	uint64_t start, size;
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	tree_reserve(&tree, 0x1000, 0);
	tree_reserve(&tree, 0x123456789a, 0x2000);
	root_open(&fdt);
	assert_true(fdt_reservation(&fdt, 0, &start, &size) && start == 0x1000 && size == 0);
	assert_true(fdt_reservation(&fdt, 1, &start, &size) && start == 0x123456789a && size == 0x2000);
	assert_false(fdt_reservation(&fdt, 2, &start, &size));
}

// ---- refusals -------------------------------------------------------------------------------------------------------

static void headers_that_lie_are_refused(void **state)
{
	static const struct {
		uint32_t offset, value;
		tb_err err;
	} lies[] = {
		{0, 0xd00dfeec, -PURE_EINVAL}, {4, 39, -PURE_EINVAL},          {4, 0x7fffffff, -PURE_E2BIG},
		{4, 100000, -PURE_EINVAL},     {8, 3, -PURE_EINVAL},           {8, 0xfffffffc, -PURE_EINVAL},
		{8, 0, -PURE_EINVAL},          {12, 0xffffffff, -PURE_EINVAL}, {16, 0xffffffff, -PURE_EINVAL},
		{20, 15, -PURE_EPROTO},        {24, 18, -PURE_EPROTO},         {32, 0xffffffff, -PURE_EINVAL},
		{32, 0, -PURE_EINVAL},         {36, 0xffffffff, -PURE_EINVAL}, {36, 8, -PURE_EINVAL},
	};
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	root_open(&fdt);
	for (size_t i = 0; i < PURE_COUNT(lies); i++) {
		tree_finish(&tree);
		be32_put(tree.blob + lies[i].offset, lies[i].value);
		assert_int_equal(fdt_open(&fdt, tree.blob, tree.size_bytes), lies[i].err);
	}
	tree_finish(&tree);
	be32_put(tree.blob + 32, tree.strings_size - 1); // the last name has no end now
	assert_int_equal(fdt_open(&fdt, tree.blob, tree.size_bytes), -PURE_EINVAL);
	tree_finish(&tree);
	for (size_t size = 0; size < tree.size_bytes; size++)
		assert_int_equal(fdt_open(&fdt, tree.blob, size), -PURE_EINVAL);
	assert_int_equal(fdt_size_peek(tree.blob), tree.size_bytes);
	be32_put(tree.blob + 4, FDT_SIZE_MAX + 1);
	assert_int_equal(fdt_size_peek(tree.blob), 0);
}

static void version_16_has_no_structure_size(void **state)
{
	struct fdt fdt;

	(void)state;
	root_begin(1, 1);
	root_open(&fdt);
	be32_put(tree.blob + 20, 16);
	be32_put(tree.blob + 36, 0xffffffff);
	assert_int_equal(fdt_open(&fdt, tree.blob, tree.size_bytes), 0);
}

static void structures_out_of_order_are_refused(void **state)
{
	static const uint32_t orders[][8] = {
		{9},                   // no root
		{1, 0, 9},             // root not closed
		{1, 0, 2, 2, 9},       // closed twice
		{1, 0, 2, 1, 0, 2, 9}, // two roots
		{1, 0, 2, 4, 4},       // no end
		{1, 0, 5, 2, 9},       // no such token
		{3, 0, 0, 1, 0, 2, 9}, // property before the root
		{1, 0x61616161, 2, 9}, // name without an end; what follows has zeros, but no closing token
	};
	struct fdt fdt;

	(void)state;
	for (size_t i = 0; i < PURE_COUNT(orders); i++) {
		tree_begin(&tree);
		tree.strings_size = 1;
		for (size_t k = 0; k == 0 || orders[i][k] != 0 || (orders[i][k - 1] & 0xfd) == 1; k++)
			tree_token(&tree, orders[i][k]);
		assert_int_equal(tree_open(&fdt), -PURE_EINVAL);
	}
	root_begin(1, 1); // a property behind a child
	tree_node(&tree, "a");
	tree_end(&tree);
	tree_text(&tree, "late", "x");
	tree_end(&tree);
	tree_token(&tree, 9);
	assert_int_equal(tree_open(&fdt), -PURE_EINVAL);
}

static void depth_is_bounded(void **state)
{
	struct fdt_node node;
	struct fdt fdt;

	(void)state;
	for (uint32_t depth = FDT_DEPTH_MAX; depth <= FDT_DEPTH_MAX + 1; depth++) {
		tree_begin(&tree);
		for (uint32_t i = 0; i < depth; i++)
			tree_node(&tree, "n");
		for (uint32_t i = 0; i < depth; i++)
			tree_end(&tree);
		tree_token(&tree, 9);
		assert_int_equal(tree_open(&fdt), depth <= FDT_DEPTH_MAX ? 0 : -PURE_E2BIG);
		if (depth > FDT_DEPTH_MAX)
			continue;
		fdt_root(&fdt, &node);
		uint32_t count = 1;
		while (fdt_walk(&fdt, &node))
			count++;
		assert_int_equal(count, depth);
	}
}

const struct CMUnitTest fdt_tests[] = {
	cmocka_unit_test(walk_meets_every_node_in_order),      cmocka_unit_test(paths_know_units_and_aliases),
	cmocka_unit_test(properties_are_typed_by_size),        cmocka_unit_test(reg_is_translated_up_to_the_root),
	cmocka_unit_test(reg_refuses_what_does_not_fit),       cmocka_unit_test(interrupts_find_their_controller),
	cmocka_unit_test(a_circle_of_interrupt_parents_ends),  cmocka_unit_test(reservations_end_at_two_zeros),
	cmocka_unit_test(headers_that_lie_are_refused),        cmocka_unit_test(version_16_has_no_structure_size),
	cmocka_unit_test(structures_out_of_order_are_refused), cmocka_unit_test(depth_is_bounded),
};
TESTS_OF(fdt);
