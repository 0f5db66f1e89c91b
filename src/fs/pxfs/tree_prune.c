// SPDX-License-Identifier: MIT
//
// Taking a tree apart from its end, a piece at a time, so that each piece leaves a tree that is one. What is shared with a snapshot is let go of where it hangs.
#include "tree_impl.h"

static bool is_shared(const struct pxfs_subvol *subvol, const struct pxfs_pointer *pointer)
{
	return le64_get(&pointer->birth) <= subvol->shared;
}

// The path to the last leaf, or to the first node on the way whose last child is shared, at *level.
static err_t path_to_last(struct pxfs_subvol *subvol, struct pxfs_path *path, uint32_t *level)
{
	struct pxfs_tree *tree = &subvol->tree;
	struct pxfs_node *root = NULL;
	err_t err = node_get(tree->volume, &tree->root, tree->id, UINT32_MAX, &root);

	*path = (struct pxfs_path){.tree = tree};
	if (err != 0)
		return err;
	path->levels = node_level(root) + 1;
	*level = path->levels - 1;
	path->nodes[*level] = root;
	while (*level > 0) {
		const struct pxfs_node *node = path->nodes[*level];
		path->slots[*level] = node_count(node) - 1;
		const struct pxfs_pointer *child = &node_children(node)[path->slots[*level]].pointer;
		if (is_shared(subvol, child))
			break;
		err = node_get(tree->volume, child, tree->id, *level - 1, &path->nodes[*level - 1]);
		if (err != 0)
			break;
		--*level;
	}
	return err;
}

// The node there has one child less, or more: all at its end that are shared.
static err_t children_drop(struct pxfs_subvol *subvol, struct pxfs_path *path, uint32_t level)
{
	err_t err = path_make_dirty(path, level);

	if (err != 0)
		return err;
	struct pxfs_node *node = path->nodes[level];
	do {
		child_close(node, node_count(node) - 1);
	} while (node_count(node) != 0 && is_shared(subvol, &node_children(node)[node_count(node) - 1].pointer));
	path_prune(path, level);
	return 0;
}

static err_t extents_drop(struct pxfs_subvol *subvol, const struct pxfs_node *leaf, tree_prune_fn *fn)
{
	err_t err = 0;

	for (uint32_t i = 0; i < node_count(leaf) && err == 0; i++) {
		const struct pxfs_item *item = &node_items(leaf)[i];
		struct pxfs_extent extent;
		if (item->key.type != PXFS_EXTENT || le32_get(&item->size) != sizeof extent)
			continue;
		memcpy(&extent, leaf->bytes + le32_get(&item->at), sizeof extent);
		if (le64_get(&extent.reference_birth) > subvol->shared)
			err = fn(subvol, &extent);
	}
	return err;
}

static err_t leaf_drop(struct pxfs_subvol *subvol, struct pxfs_path *path, tree_prune_fn *fn)
{
	struct pxfs_tree *tree = &subvol->tree;
	struct pxfs_node *leaf = path->nodes[0];
	err_t err = path->levels > 1 ? path_make_dirty(path, 1) : 0;

	if (err == 0)
		err = extents_drop(subvol, leaf, fn);
	if (err == 0 && !leaf->dirty)
		err = tree_give_up(tree, leaf);
	if (err != 0)
		return err;
	path->nodes[0] = NULL;
	if (leaf->dirty)
		node_drop(tree, leaf);
	else
		node_put(tree->volume, leaf);
	if (path->levels == 1) {
		tree->root = (struct pxfs_pointer){0};
		return 0;
	}
	child_close(path->nodes[1], path->slots[1]);
	path_prune(path, 1);
	return 0;
}

err_t tree_prune(struct pxfs_subvol *subvol, tree_prune_fn *fn, uint32_t *budget, bool *done)
{
	struct pxfs_tree *tree = &subvol->tree;
	struct pxfs_path path;
	uint32_t level = 0;
	err_t err = 0;

	while (err == 0 && *budget > 0 && !pointer_is_null(&tree->root)) {
		if (is_shared(subvol, &tree->root)) {
			tree->root = (struct pxfs_pointer){0};
			break;
		}
		err = path_to_last(subvol, &path, &level);
		if (err == 0)
			err = level != 0 ? children_drop(subvol, &path, level) : leaf_drop(subvol, &path, fn);
		path_release(&path);
		--*budget;
	}
	*done = err == 0 && pointer_is_null(&tree->root);
	return err;
}
