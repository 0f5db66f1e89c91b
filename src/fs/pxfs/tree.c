// SPDX-License-Identifier: MIT
//
// Trees of items: finding and walking. A path holds its nodes, so what it points to stays as long as nobody changes the tree.
#include "tree_impl.h"

void tree_init(struct pxfs_tree *tree, struct pxfs_volume *volume, uint64_t id, const struct pxfs_pointer *root)
{
	*tree = (struct pxfs_tree){.volume = volume, .id = id, .root = *root};
	enum lock_rank rank = id == PXFS_TREE_ROOT   ? LOCK_RANK_FS_TREE_ROOT
			      : id == PXFS_TREE_REFS ? LOCK_RANK_FS_TREE_REFS
						     : LOCK_RANK_FS_TREE;
	rwlock_init(&tree->lock, rank, "pxfs: tree");
}

void tree_fini(struct pxfs_tree *tree)
{
	rwlock_fini(&tree->lock);
}

void path_release(struct pxfs_path *path)
{
	for (uint32_t i = 0; i < PXFS_LEVELS_MAX; i++)
		if (path->nodes[i] != NULL)
			node_put(path->tree->volume, path->nodes[i]);
	memset(path->nodes, 0, sizeof path->nodes);
	path->levels = 0;
}

// The first item that does not come before `where`; the count when there is none.
uint32_t leaf_slot(const struct pxfs_node *leaf, const struct pxfs_where *where, bool *exact)
{
	const struct pxfs_item *items = node_items(leaf);
	uint32_t low = 0, high = node_count(leaf);

	*exact = false;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		struct pxfs_where found = where_of(&items[middle].key);
		int order = where_compare(&found, where);
		if (order == 0)
			*exact = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

// The last child whose key does not come after `where`; 0 when all do.
static uint32_t child_slot(const struct pxfs_node *node, const struct pxfs_where *where)
{
	const struct pxfs_child *children = node_children(node);
	uint32_t low = 0, high = node_count(node);

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		struct pxfs_where found = where_of(&children[middle].key);
		if (where_compare(&found, where) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? 0 : low - 1;
}

err_t path_descend(struct pxfs_path *path, uint32_t from_level, const struct pxfs_where *where)
{
	for (uint32_t level = from_level; level > 0; level--) {
		const struct pxfs_node *node = path->nodes[level];
		if (where != NULL)
			path->slots[level] = child_slot(node, where);
		const struct pxfs_child *child = &node_children(node)[path->slots[level]];
		err_t err = node_get(path->tree->volume, &child->pointer, path->tree->id, level - 1,
				     &path->nodes[level - 1]);
		if (err != 0)
			return err;
		path->slots[level - 1] = 0;
	}
	return 0;
}

err_t tree_find(struct pxfs_tree *tree, const struct pxfs_where *where, struct pxfs_path *path, bool *exact)
{
	struct pxfs_node *root = NULL;

	*path = (struct pxfs_path){.tree = tree};
	*exact = false;
	if (pointer_is_null(&tree->root))
		return 0;
	err_t err = node_get(tree->volume, &tree->root, tree->id, UINT32_MAX, &root);
	if (err != 0)
		return err;
	path->levels = node_level(root) + 1;
	path->nodes[path->levels - 1] = root;
	err = path_descend(path, path->levels - 1, where);
	if (err != 0)
		path_release(path);
	else
		path->slots[0] = leaf_slot(path->nodes[0], where, exact);
	return err;
}

// From the node at `level` down along its slot: to what comes first below it, or behind what comes last. An error releases the path.
static err_t path_to_edge(struct pxfs_path *path, uint32_t level, bool to_end)
{
	for (uint32_t i = 0; i < level; i++) {
		node_put(path->tree->volume, path->nodes[i]);
		path->nodes[i] = NULL;
	}
	for (uint32_t i = level; i > 0; i--) {
		const struct pxfs_child *child = &node_children(path->nodes[i])[path->slots[i]];
		err_t err = node_get(path->tree->volume, &child->pointer, path->tree->id, i - 1, &path->nodes[i - 1]);
		if (err != 0) {
			path_release(path);
			return err;
		}
		uint32_t count = node_count(path->nodes[i - 1]);
		path->slots[i - 1] = !to_end ? 0 : i > 1 ? count - 1 : count;
	}
	return 0;
}

// To the first item of the next leaf; levels 0 when there is none.
static err_t path_next_leaf(struct pxfs_path *path)
{
	uint32_t level = 1;

	while (level < path->levels && path->slots[level] + 1 >= node_count(path->nodes[level]))
		level++;
	if (level >= path->levels) {
		path_release(path);
		return 0;
	}
	path->slots[level]++;
	return path_to_edge(path, level, false);
}

err_t path_item(struct pxfs_path *path, struct pxfs_where *where, const uint8_t **data, uint32_t *size_bytes,
		bool *there)
{
	*there = false;
	while (path->levels != 0 && path->slots[0] >= node_count(path->nodes[0])) {
		err_t err = path_next_leaf(path);
		if (err != 0)
			return err;
	}
	if (path->levels == 0)
		return 0;
	const struct pxfs_item *item = &node_items(path->nodes[0])[path->slots[0]];
	*where = where_of(&item->key);
	*data = path->nodes[0]->bytes + le32_get(&item->at);
	*size_bytes = le32_get(&item->size);
	*there = true;
	return 0;
}

void path_step(struct pxfs_path *path)
{
	path->slots[0]++;
}

// To the last item of the leaf before; levels 0 when there is none.
static err_t path_leaf_before(struct pxfs_path *path)
{
	uint32_t level = 1;

	while (level < path->levels && path->slots[level] == 0)
		level++;
	if (level >= path->levels) {
		path_release(path);
		return 0;
	}
	path->slots[level]--;
	return path_to_edge(path, level, true);
}

err_t tree_last(struct pxfs_tree *tree, const struct pxfs_where *before, struct pxfs_path *path, bool *there)
{
	bool exact = false;
	err_t err = tree_find(tree, before, path, &exact);

	*there = false;
	while (err == 0 && path->levels != 0 && path->slots[0] == 0)
		err = path_leaf_before(path);
	if (err != 0 || path->levels == 0)
		return err;
	path->slots[0]--;
	*there = true;
	return 0;
}

err_t tree_get(struct pxfs_tree *tree, const struct pxfs_where *where, void *data, uint32_t *size_bytes)
{
	struct pxfs_path path;
	bool exact = false;
	err_t err = tree_find(tree, where, &path, &exact);

	if (err != 0)
		return err;
	if (!exact) {
		path_release(&path);
		return -ENOENT;
	}
	const struct pxfs_item *item = &node_items(path.nodes[0])[path.slots[0]];
	uint32_t size = le32_get(&item->size);
	if (size > *size_bytes)
		err = ERR(ERANGE);
	else
		memcpy(data, path.nodes[0]->bytes + le32_get(&item->at), size);
	*size_bytes = size;
	path_release(&path);
	return err;
}
