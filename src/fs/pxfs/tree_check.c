// SPDX-License-Identifier: MIT
//
// Walking all of a tree: every node sound, in order within its bounds, all leaves on one level.
#include "pxfs_impl.h"

struct bounds {
	struct pxfs_where low, high; // low ≤ keys < high
	bool has_low, has_high;
};

static err_t broken(const struct pxfs_tree *tree, const struct pxfs_node *node, const char *what)
{
	log_err("pxfs: %s: tree %llu: node at sector %llu: %s", block_name(tree->volume->device),
		(unsigned long long)tree->id, (unsigned long long)node->address, what);
	return ERR(EUCLEAN);
}

static bool is_within(const struct bounds *bounds, const struct pxfs_where *where)
{
	if (bounds->has_low && where_compare(where, &bounds->low) < 0)
		return false;
	return !bounds->has_high || where_compare(where, &bounds->high) < 0;
}

static err_t leaf_check(const struct pxfs_tree *tree, const struct pxfs_node *node, const struct bounds *bounds,
			uint64_t *items)
{
	for (uint32_t i = 0; i < node_count(node); i++) {
		struct pxfs_where where = where_of(&node_items(node)[i].key);
		if (!is_within(bounds, &where))
			return broken(tree, node, "an item lies outside its parent's keys");
	}
	*items += node_count(node);
	return node_count(node) != 0 ? 0 : broken(tree, node, "an empty leaf");
}

static void bounds_of_child(const struct pxfs_node *node, uint32_t slot, const struct bounds *above,
			    struct bounds *bounds)
{
	*bounds = *above;
	if (slot != 0) {
		bounds->low = where_of(&node_children(node)[slot].key);
		bounds->has_low = true;
	}
	if (slot + 1 < node_count(node)) {
		bounds->high = where_of(&node_children(node)[slot + 1].key);
		bounds->has_high = true;
	}
}

// As deep as a tree may be: PXFS_LEVELS_MAX.
static err_t node_check(struct pxfs_tree *tree, const struct pxfs_pointer *pointer, uint32_t level,
			const struct bounds *bounds, uint64_t *items, uint64_t *nodes)
{
	struct pxfs_volume *volume = tree->volume;
	struct pxfs_node *node = NULL;
	const char *problem = NULL;
	err_t err = node_get(volume, pointer, tree->id, level, &node);

	if (err != 0)
		return err;
	(*nodes)++;
	if (node_validate(volume, node->bytes, node->address, level, &problem) != 0)
		err = broken(tree, node, problem);
	else if (node_level(node) == 0)
		err = leaf_check(tree, node, bounds, items);
	for (uint32_t i = 0; err == 0 && node_level(node) != 0 && i < node_count(node); i++) {
		const struct pxfs_child *child = &node_children(node)[i];
		struct bounds own;
		bounds_of_child(node, i, bounds, &own);
		if (le64_get(&child->pointer.birth) > le64_get(&node_header(node)->birth))
			err = broken(tree, node, "a child is younger than its parent");
		else
			err = node_check(tree, &child->pointer, node_level(node) - 1, &own, items, nodes);
	}
	node_put(volume, node);
	return err;
}

err_t tree_check(struct pxfs_tree *tree, uint64_t *items, uint64_t *nodes)
{
	struct bounds all = {.has_low = false};

	*items = 0;
	*nodes = 0;
	return pointer_is_null(&tree->root) ? 0 : node_check(tree, &tree->root, UINT32_MAX, &all, items, nodes);
}
