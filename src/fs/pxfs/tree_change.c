// SPDX-License-Identifier: MIT
//
// Changing trees. First the nodes from the root to the leaf are made dirty, from the top: each step leaves a tree that says the same, so an error on the way
// changes nothing. Then, where there is no room, nodes are made for all levels that must be split, and only then is anything moved: taking
// space may read the very tree that is being changed.
#include "tree_impl.h"

err_t tree_give_up(struct pxfs_tree *tree, const struct pxfs_node *node)
{
	struct pxfs_volume *volume = tree->volume;
	struct pxfs_subvol *subvol = tree->subvol;
	uint64_t addresses[2] = {node->address, node->address2};

	if (subvol != NULL && node->birth <= subvol->shared)
		return subvol_dead(subvol, PXFS_RANGE_NODE, addresses, node->address2 != 0 ? 2 : 1,
				   node_sectors(volume), node->birth);
	return space_give_up(volume, tree->id == PXFS_TREE_SPACE, addresses, node->address2 != 0 ? 2 : 1,
			     node_sectors(volume));
}

// ---- dirty paths ------------------------------------------------------------------------------------------------------------

static struct pxfs_pointer *pointer_above(struct pxfs_path *path, uint32_t level)
{
	if (level + 1 == path->levels)
		return &path->tree->root;
	return &node_children(path->nodes[level + 1])[path->slots[level + 1]].pointer;
}

err_t path_make_dirty(struct pxfs_path *path, uint32_t lowest_level)
{
	for (uint32_t level = path->levels; level-- > lowest_level;) {
		struct pxfs_node *node = path->nodes[level], *copy = NULL;
		if (node->dirty)
			continue;
		err_t err = node_copy(path->tree, node, &copy);
		if (err != 0)
			return err;
		node_pointer(copy, pointer_above(path, level));
		path->nodes[level] = copy;
		node_put(path->tree->volume, node);
	}
	return 0;
}

// ---- leaves -----------------------------------------------------------------------------------------------------------------

static uint32_t leaf_room(const struct pxfs_node *leaf)
{
	const struct pxfs_node_header *header = node_header(leaf);
	return le32_get(&header->data) - (uint32_t)sizeof *header -
	       node_count(leaf) * (uint32_t)sizeof(struct pxfs_item);
}

// Where the data of items before `slot` begin: that of an item that comes to `slot` end there.
static uint32_t data_end(const struct pxfs_volume *volume, const struct pxfs_node *leaf, uint32_t slot)
{
	return slot == 0 ? node_bytes(volume) : le32_get(&node_items(leaf)[slot - 1].at);
}

static void items_shift(struct pxfs_node *leaf, uint32_t from, int32_t by)
{
	struct pxfs_item *items = node_items(leaf);

	for (uint32_t i = from; i < node_count(leaf); i++)
		le32_put(&items[i].at, (uint32_t)((int32_t)le32_get(&items[i].at) + by));
}

// Makes room for an item at `slot`; there is enough. Its data are anything.
static void item_open(const struct pxfs_volume *volume, struct pxfs_node *leaf, uint32_t slot,
		      const struct pxfs_where *where, uint32_t size_bytes)
{
	struct pxfs_node_header *header = node_header(leaf);
	struct pxfs_item *items = node_items(leaf);
	uint32_t count = node_count(leaf), data = le32_get(&header->data), size = ALIGN_UP(size_bytes, 8u);
	uint32_t end = data_end(volume, leaf, slot);

	memmove(leaf->bytes + data - size, leaf->bytes + data, end - data);
	items_shift(leaf, slot, -(int32_t)size);
	memmove(&items[slot + 1], &items[slot], (count - slot) * sizeof *items);
	key_put(&items[slot].key, where);
	le32_put(&items[slot].at, end - size);
	le32_put(&items[slot].size, size_bytes);
	le32_put(&header->count, count + 1);
	le32_put(&header->data, data - size);
}

static void item_close(struct pxfs_node *leaf, uint32_t slot)
{
	struct pxfs_node_header *header = node_header(leaf);
	struct pxfs_item *items = node_items(leaf);
	uint32_t count = node_count(leaf), data = le32_get(&header->data);
	uint32_t at = le32_get(&items[slot].at), size = ALIGN_UP(le32_get(&items[slot].size), 8u);

	memmove(leaf->bytes + data + size, leaf->bytes + data, at - data);
	memset(leaf->bytes + data, 0, size);
	items_shift(leaf, slot + 1, (int32_t)size);
	memmove(&items[slot], &items[slot + 1], (count - slot - 1) * sizeof *items);
	memset(&items[count - 1], 0, sizeof *items);
	le32_put(&header->count, count - 1);
	le32_put(&header->data, data + size);
}

static void item_fill(struct pxfs_node *leaf, uint32_t slot, const void *data, uint32_t size_bytes)
{
	uint8_t *at = leaf->bytes + le32_get(&node_items(leaf)[slot].at);

	memcpy(at, data, size_bytes);
	memset(at + size_bytes, 0, ALIGN_UP(size_bytes, 8u) - size_bytes);
}

// Items from `from` on go to the end of `to`.
static void items_move(const struct pxfs_volume *volume, struct pxfs_node *leaf, uint32_t from, struct pxfs_node *to)
{
	uint32_t count = node_count(leaf);

	for (uint32_t i = from; i < count; i++) {
		const struct pxfs_item *item = &node_items(leaf)[i];
		struct pxfs_where where = where_of(&item->key);
		uint32_t slot = node_count(to);
		item_open(volume, to, slot, &where, le32_get(&item->size));
		item_fill(to, slot, leaf->bytes + le32_get(&item->at), le32_get(&item->size));
	}
	for (uint32_t i = count; i-- > from;)
		item_close(leaf, i);
}

// ---- inner nodes --------------------------------------------------------------------------------------------------------------

static uint32_t children_max(const struct pxfs_volume *volume)
{
	return (node_bytes(volume) - (uint32_t)sizeof(struct pxfs_node_header)) / (uint32_t)sizeof(struct pxfs_child);
}

static void child_open(struct pxfs_node *node, uint32_t slot, const struct pxfs_key *key, const struct pxfs_node *child)
{
	struct pxfs_child *children = node_children(node);
	uint32_t count = node_count(node);

	memmove(&children[slot + 1], &children[slot], (count - slot) * sizeof *children);
	children[slot].key = *key;
	node_pointer(child, &children[slot].pointer);
	le32_put(&node_header(node)->count, count + 1);
}

void child_close(struct pxfs_node *node, uint32_t slot)
{
	struct pxfs_child *children = node_children(node);
	uint32_t count = node_count(node);

	memmove(&children[slot], &children[slot + 1], (count - slot - 1) * sizeof *children);
	memset(&children[count - 1], 0, sizeof *children);
	le32_put(&node_header(node)->count, count - 1);
}

static void children_move(struct pxfs_node *node, uint32_t from, struct pxfs_node *to)
{
	uint32_t count = node_count(node) - from, at = node_count(to);

	memcpy(&node_children(to)[at], &node_children(node)[from], count * sizeof(struct pxfs_child));
	memset(&node_children(node)[from], 0, count * sizeof(struct pxfs_child));
	le32_put(&node_header(to)->count, at + count);
	le32_put(&node_header(node)->count, from);
}

// ---- splitting ----------------------------------------------------------------------------------------------------------------

// The nodes that a split needs: one for each level from the leaf up that is full, and a root when all are.
struct split {
	struct pxfs_node *fresh[PXFS_LEVELS_MAX];
	struct pxfs_node *root;
	uint32_t levels;
};

static void split_undo(struct pxfs_tree *tree, struct split *split)
{
	for (uint32_t i = 0; i < split->levels; i++)
		if (split->fresh[i] != NULL)
			node_drop(tree, split->fresh[i]);
	if (split->root != NULL)
		node_drop(tree, split->root);
}

static err_t split_prepare(const struct pxfs_path *path, struct split *split)
{
	struct pxfs_tree *tree = path->tree;
	err_t err = 0;

	*split = (struct split){.levels = 1};
	while (split->levels < path->levels && node_count(path->nodes[split->levels]) == children_max(tree->volume))
		split->levels++;
	if (split->levels == path->levels && path->levels == PXFS_LEVELS_MAX)
		return ERR(EFBIG);
	for (uint32_t i = 0; i < split->levels && err == 0; i++)
		err = node_make(tree, i, &split->fresh[i]);
	if (err == 0 && split->levels == path->levels)
		err = node_make(tree, path->levels, &split->root);
	if (err != 0)
		split_undo(tree, split);
	return err;
}

// Bytes that an item takes in a leaf.
static uint32_t item_cost(uint32_t size_bytes)
{
	return (uint32_t)sizeof(struct pxfs_item) + ALIGN_UP(size_bytes, 8u);
}

// How many of the leaf's items and the new one, which comes to `slot`, stay: 1 … count. Who writes on at the end leaves full leaves behind;
// otherwise the halves are alike in bytes. As an item is at most some third of a node, one of two places always leaves both halves room.
static uint32_t leaf_split_point(const struct pxfs_volume *volume, const struct pxfs_node *leaf, uint32_t slot,
				 uint32_t new_cost)
{
	uint32_t count = node_count(leaf), left = 0, point = 0;
	uint32_t capacity = node_bytes(volume) - (uint32_t)sizeof(struct pxfs_node_header);
	uint32_t total = capacity - leaf_room(leaf) + new_cost;

	if (slot == count)
		return count;
	while (point < count && left < total / 2) {
		uint32_t old = point > slot ? point - 1 : point;
		uint32_t cost = point == slot ? new_cost : item_cost(le32_get(&node_items(leaf)[old].size));
		if (point != 0 && left + cost > capacity)
			break;
		left += cost;
		point++;
	}
	return point;
}

// Hangs fresh[level] behind nodes[level], which has been halved, into the node above.
static void split_hang(struct pxfs_path *path, struct split *split, uint32_t level, const struct pxfs_key *key)
{
	struct pxfs_node *above = path->nodes[level + 1];
	uint32_t slot = path->slots[level + 1] + 1;

	if (level + 1 < split->levels) { // it is full, and halved itself
		struct pxfs_node *other = split->fresh[level + 1];
		uint32_t half = node_count(above) / 2;
		if (slot == node_count(above)) // somebody who goes on at the end
			half = node_count(above) - 1;
		children_move(above, half, other);
		if (slot > half) {
			slot -= half;
			above = other;
		}
	}
	child_open(above, slot, key, split->fresh[level]);
}

static void split_root(struct pxfs_path *path, struct split *split)
{
	struct pxfs_node *old = path->nodes[path->levels - 1], *root = split->root;
	struct pxfs_key least = {0};

	child_open(root, 0, &least, old);
	path->nodes[path->levels] = root;
	path->slots[path->levels] = 0;
	path->levels++;
	node_pointer(root, &path->tree->root);
}

static void first_key(const struct pxfs_node *node, struct pxfs_key *key)
{
	*key = node_level(node) == 0 ? node_items(node)[0].key : node_children(node)[0].key;
}

// The leaf is halved, the item put into its half, and the new nodes are hung in. The path is good for nothing but its release afterwards.
static void split_do(struct pxfs_path *path, struct split *split, const struct pxfs_where *where, const void *data,
		     uint32_t size_bytes)
{
	struct pxfs_volume *volume = path->tree->volume;
	struct pxfs_node *leaf = path->nodes[0], *other = split->fresh[0];
	uint32_t slot = path->slots[0], point = leaf_split_point(volume, leaf, slot, item_cost(size_bytes));
	struct pxfs_key key;

	items_move(volume, leaf, point > slot ? point - 1 : point, other);
	if (slot >= point) {
		slot -= point;
		leaf = other;
	}
	item_open(volume, leaf, slot, where, size_bytes);
	item_fill(leaf, slot, data, size_bytes);
	uint32_t top = split->levels;
	if (split->root != NULL)
		split_root(path, split);
	for (uint32_t level = 0; level < top; level++) {
		first_key(split->fresh[level], &key);
		split_hang(path, split, level, &key);
	}
	for (uint32_t level = 0; level < top; level++)
		node_put(volume, split->fresh[level]);
}

// ---- setting ------------------------------------------------------------------------------------------------------------------

static err_t tree_begin(struct pxfs_tree *tree, const struct pxfs_where *where, const void *data, uint32_t size_bytes)
{
	struct pxfs_node *leaf = NULL;
	err_t err = node_make(tree, 0, &leaf);

	if (err != 0)
		return err;
	item_open(tree->volume, leaf, 0, where, size_bytes);
	item_fill(leaf, 0, data, size_bytes);
	node_pointer(leaf, &tree->root);
	node_put(tree->volume, leaf);
	return 0;
}

// An item that is there gets other data.
static err_t item_replace(struct pxfs_path *path, const struct pxfs_where *where, const void *data, uint32_t size_bytes)
{
	struct pxfs_node *leaf = path->nodes[0];
	struct pxfs_volume *volume = path->tree->volume;
	uint32_t slot = path->slots[0], old = ALIGN_UP(le32_get(&node_items(leaf)[slot].size), 8u);
	struct split split;

	if (ALIGN_UP(size_bytes, 8u) == old) {
		le32_put(&node_items(leaf)[slot].size, size_bytes);
		item_fill(leaf, slot, data, size_bytes);
		return 0;
	}
	if (leaf_room(leaf) + old >= ALIGN_UP(size_bytes, 8u)) {
		item_close(leaf, slot);
		item_open(volume, leaf, slot, where, size_bytes);
		item_fill(leaf, slot, data, size_bytes);
		return 0;
	}
	err_t err = split_prepare(path, &split);
	if (err != 0)
		return err;
	item_close(leaf, slot);
	split_do(path, &split, where, data, size_bytes);
	return 0;
}

err_t tree_put(struct pxfs_tree *tree, const struct pxfs_where *where, const void *data, uint32_t size_bytes)
{
	struct pxfs_path path;
	struct split split;
	bool exact = false;

	VERIFY3(size_bytes, <=, PXFS_ITEM_BYTES_MAX);
	err_t err = tree_find(tree, where, &path, &exact);
	if (err != 0)
		return err;
	if (tree->subvol != NULL)
		log_note(tree->subvol, where, exact);
	if (path.levels == 0)
		return tree_begin(tree, where, data, size_bytes);
	err = path_make_dirty(&path, 0);
	if (err != 0)
		goto out;
	if (exact) {
		err = item_replace(&path, where, data, size_bytes);
	} else if (leaf_room(path.nodes[0]) >= item_cost(size_bytes)) {
		item_open(tree->volume, path.nodes[0], path.slots[0], where, size_bytes);
		item_fill(path.nodes[0], path.slots[0], data, size_bytes);
	} else {
		err = split_prepare(&path, &split);
		if (err == 0)
			split_do(&path, &split, where, data, size_bytes);
	}
out:
	path_release(&path);
	return err;
}

// ---- taking away ----------------------------------------------------------------------------------------------------------------

// The dirty node at `level` is empty: it goes, and those above that are empty then.
void path_prune(struct pxfs_path *path, uint32_t level)
{
	struct pxfs_tree *tree = path->tree;

	while (level < path->levels && node_count(path->nodes[level]) == 0) {
		node_drop(tree, path->nodes[level]);
		path->nodes[level] = NULL;
		if (level + 1 == path->levels)
			tree->root = (struct pxfs_pointer){0};
		else
			child_close(path->nodes[level + 1], path->slots[level + 1]);
		level++;
	}
}

static bool can_join(const struct pxfs_volume *volume, const struct pxfs_node *a, const struct pxfs_node *b)
{
	uint32_t capacity = node_bytes(volume) - (uint32_t)sizeof(struct pxfs_node_header);

	if (node_level(a) != 0)
		return node_count(a) + node_count(b) <= children_max(volume);
	return (capacity - leaf_room(a)) + (capacity - leaf_room(b)) <= capacity;
}

static bool is_sparse(const struct pxfs_volume *volume, const struct pxfs_node *node)
{
	uint32_t capacity = node_bytes(volume) - (uint32_t)sizeof(struct pxfs_node_header);

	if (node_level(node) != 0)
		return node_count(node) < children_max(volume) / 3;
	return capacity - leaf_room(node) < capacity / 3;
}

// A dirty node that holds little takes in what its right neighbour has, or goes into its left one, when one of them is at hand and it fits. What
// cannot be read or copied stays as it is. True: joined.
static bool path_join(struct pxfs_path *path, uint32_t level)
{
	struct pxfs_tree *tree = path->tree;
	struct pxfs_volume *volume = tree->volume;
	struct pxfs_node *above = path->nodes[level + 1], *own = path->nodes[level], *other = NULL;
	uint32_t slot = path->slots[level + 1];
	bool left = slot + 1 >= node_count(above);

	if (node_count(above) < 2 || !is_sparse(volume, own))
		return false;
	uint32_t other_slot = left ? slot - 1 : slot + 1;
	if (node_get(volume, &node_children(above)[other_slot].pointer, tree->id, level, &other) != 0)
		return false;
	if (!can_join(volume, own, other)) {
		node_put(volume, other);
		return false;
	}
	if (!other->dirty) { // the one that goes must be one of ours
		struct pxfs_node *copy = NULL;
		if (node_copy(tree, other, &copy) != 0) {
			node_put(volume, other);
			return false;
		}
		node_pointer(copy, &node_children(above)[other_slot].pointer);
		node_put(volume, other);
		other = copy;
	}
	struct pxfs_node *first = left ? other : own, *second = left ? own : other;
	uint32_t second_slot = left ? slot : other_slot;
	if (level != 0) // the first child's key was nobody's business
		node_children(second)[0].key = node_children(above)[second_slot].key;
	if (level == 0)
		items_move(volume, second, 0, first);
	else
		children_move(second, 0, first);
	child_close(above, second_slot);
	path->nodes[level] = first;
	path->slots[level + 1] = left ? other_slot : slot;
	node_drop(tree, second);
	return true;
}

// A root with one child is that child.
static void root_shrink(struct pxfs_path *path)
{
	struct pxfs_tree *tree = path->tree;

	while (path->levels > 1 && path->nodes[path->levels - 1] != NULL && path->nodes[path->levels - 2] != NULL &&
	       node_count(path->nodes[path->levels - 1]) == 1) {
		struct pxfs_node *root = path->nodes[path->levels - 1];
		tree->root = node_children(root)[0].pointer;
		node_drop(tree, root);
		path->nodes[--path->levels] = NULL;
	}
}

err_t tree_take(struct pxfs_tree *tree, const struct pxfs_where *where)
{
	struct pxfs_path path;
	bool exact = false;
	err_t err = tree_find(tree, where, &path, &exact);

	if (err == 0 && !exact)
		err = -ENOENT;
	if (err == 0 && tree->subvol != NULL)
		log_note(tree->subvol, where, true);
	if (err == 0)
		err = path_make_dirty(&path, 0);
	if (err == 0) {
		item_close(path.nodes[0], path.slots[0]);
		if (node_count(path.nodes[0]) == 0)
			path_prune(&path, 0);
		for (uint32_t level = 0; level + 1 < path.levels; level++)
			if (path.nodes[level] != NULL && path.nodes[level + 1] != NULL)
				(void)path_join(&path, level);
		root_shrink(&path);
	}
	path_release(&path);
	return err;
}
