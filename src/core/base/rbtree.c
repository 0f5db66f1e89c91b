// SPDX-License-Identifier: MIT
//
// Red-black tree: rebalancing, neighbours and the checker. Left and right are child[0] and child[1], so that each case
// is written once with a side and its opposite. Searching and the order live in the header, inlined at each use.
#include "kern/rbtree.h"

#define RB_BLACK ((uintptr_t)1)

static inline struct rb_node *node_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_color & ~RB_BLACK);
}

// A missing child counts as black.
static inline bool node_is_black(const struct rb_node *node)
{
	return node == NULL || (node->parent_color & RB_BLACK) != 0;
}

static inline void node_set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->parent_color = (uintptr_t)parent | (node->parent_color & RB_BLACK);
}

static inline void node_set_black(struct rb_node *node)
{
	node->parent_color |= RB_BLACK;
}

static inline void node_set_red(struct rb_node *node)
{
	node->parent_color &= ~RB_BLACK;
}

static inline int node_side(const struct rb_node *node, const struct rb_node *parent)
{
	return parent->child[1] == node;
}

static inline struct rb_node **link_to(struct rb_root *root, const struct rb_node *node)
{
	struct rb_node *parent = node_parent(node);
	return parent == NULL ? &root->top : &parent->child[node_side(node, parent)];
}

static struct rb_node *node_extreme(struct rb_node *node, int side)
{
	while (node != NULL && node->child[side] != NULL)
		node = node->child[side];
	return node;
}

// `node` sinks to `side`; its child on the other side takes its place.
static void tree_rotate(struct rb_root *root, struct rb_node *node, int side)
{
	struct rb_node *riser = node->child[!side];
	struct rb_node *moved = riser->child[side];

	*link_to(root, node) = riser;
	node_set_parent(riser, node_parent(node));
	node->child[!side] = moved;
	if (moved != NULL)
		node_set_parent(moved, node);
	riser->child[side] = node;
	node_set_parent(node, riser);
}

// `node` is red and may have a red parent.
static void tree_fix_insert(struct rb_root *root, struct rb_node *node)
{
	struct rb_node *parent;

	while ((parent = node_parent(node)) != NULL && !node_is_black(parent)) {
		struct rb_node *grand = node_parent(parent); // exists: the root is black
		int side = node_side(parent, grand);
		struct rb_node *uncle = grand->child[!side];

		if (!node_is_black(uncle)) {
			node_set_black(parent);
			node_set_black(uncle);
			node_set_red(grand);
			node = grand;
			continue;
		}
		if (parent->child[!side] == node) {
			tree_rotate(root, parent, side);
			parent = node;
		}
		node_set_black(parent);
		node_set_red(grand);
		tree_rotate(root, grand, !side);
		break;
	}
	node_set_black(root->top);
}

// Paths through `node` (maybe NULL), a child of `parent`, are one black node short.
static void tree_fix_remove(struct rb_root *root, struct rb_node *node, struct rb_node *parent)
{
	while (parent != NULL && node_is_black(node)) {
		int side = node_side(node, parent);
		struct rb_node *sibling = parent->child[!side]; // exists: it carries the black node that we lack

		if (!node_is_black(sibling)) {
			node_set_black(sibling);
			node_set_red(parent);
			tree_rotate(root, parent, side);
			sibling = parent->child[!side];
		}
		if (node_is_black(sibling->child[0]) && node_is_black(sibling->child[1])) {
			node_set_red(sibling);
			node = parent;
			parent = node_parent(node);
			continue;
		}
		if (node_is_black(sibling->child[!side])) { // the near one is red; colors are set below
			tree_rotate(root, sibling, !side);
			sibling = parent->child[!side];
		}
		sibling->parent_color = (uintptr_t)node_parent(sibling) | (parent->parent_color & RB_BLACK);
		node_set_black(parent);
		node_set_black(sibling->child[!side]);
		tree_rotate(root, parent, side);
		return;
	}
	if (node != NULL)
		node_set_black(node);
}

void rb_link(struct rb_root *root, struct rb_node *node, struct rb_node *parent, struct rb_node **link,
	     bool is_leftmost)
{
	ASSERT(!rb_node_is_linked(node));
	ASSERT3(*link, ==, NULL);
	node->parent_color = (uintptr_t)parent;
	node->child[0] = NULL;
	node->child[1] = NULL;
	*link = node;
	if (is_leftmost)
		root->leftmost = node;
	tree_fix_insert(root, node);
}

// Puts `heir`, the next node in order, where `node` with its two children is. Returns the parent of the gap it leaves.
static struct rb_node *tree_promote(struct rb_root *root, struct rb_node *node, struct rb_node *heir)
{
	struct rb_node *gap_parent = node_parent(heir);

	if (gap_parent == node) {
		gap_parent = heir;
	} else {
		gap_parent->child[0] = heir->child[1];
		if (heir->child[1] != NULL)
			node_set_parent(heir->child[1], gap_parent);
		heir->child[1] = node->child[1];
		node_set_parent(heir->child[1], heir);
	}
	heir->child[0] = node->child[0];
	node_set_parent(heir->child[0], heir);
	*link_to(root, node) = heir;
	heir->parent_color = node->parent_color;
	return gap_parent;
}

void rb_remove(struct rb_root *root, struct rb_node *node)
{
	struct rb_node *orphan; // what now hangs where a node is missing
	struct rb_node *parent;
	bool lost_black;

	ASSERT(rb_node_is_linked(node));
	if (root->leftmost == node)
		root->leftmost = rb_next(node);
	if (node->child[0] != NULL && node->child[1] != NULL) {
		struct rb_node *heir = node_extreme(node->child[1], 0);
		orphan = heir->child[1];
		lost_black = node_is_black(heir);
		parent = tree_promote(root, node, heir);
	} else {
		orphan = node->child[0] != NULL ? node->child[0] : node->child[1];
		lost_black = node_is_black(node);
		parent = node_parent(node);
		*link_to(root, node) = orphan;
		if (orphan != NULL)
			node_set_parent(orphan, parent);
	}
	if (lost_black)
		tree_fix_remove(root, orphan, parent);
	node->parent_color = 0;
}

void rb_replace(struct rb_root *root, struct rb_node *old, struct rb_node *node)
{
	ASSERT(rb_node_is_linked(old));
	ASSERT(!rb_node_is_linked(node));
	*link_to(root, old) = node;
	*node = *old;
	for (int side = 0; side < 2; side++)
		if (node->child[side] != NULL)
			node_set_parent(node->child[side], node);
	if (root->leftmost == old)
		root->leftmost = node;
	old->parent_color = 0;
}

// The in-order neighbour on the given side.
static struct rb_node *node_neighbour(const struct rb_node *node, int side)
{
	if (node->child[side] != NULL)
		return node_extreme(node->child[side], !side);
	struct rb_node *parent = node_parent(node);
	while (parent != NULL && node_side(node, parent) == side) {
		node = parent;
		parent = node_parent(node);
	}
	return parent;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return node_neighbour(node, 1);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return node_neighbour(node, 0);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return node_extreme(root->top, 1);
}

static uint32_t node_black_depth(const struct rb_node *node)
{
	uint32_t depth = 0;
	for (; node != NULL; node = node_parent(node))
		depth += node_is_black(node);
	return depth;
}

static void node_check(const struct rb_root *root, const struct rb_node *node, uint32_t black_depth)
{
	const struct rb_node *parent = node_parent(node);

	VERIFY3(parent == NULL ? root->top : parent->child[node_side(node, parent)], ==, node);
	for (int side = 0; side < 2; side++) {
		const struct rb_node *child = node->child[side];
		if (child == NULL) {
			VERIFY3(node_black_depth(node), ==, black_depth);
			continue;
		}
		VERIFY3(node_parent(child), ==, node);
		VERIFY(node_is_black(node) || node_is_black(child));
	}
}

size_t rb_check(const struct rb_root *root, rb_before_fn *before)
{
	const struct rb_node *node = node_extreme(root->top, 0);
	const struct rb_node *previous = NULL;
	uint32_t black_depth = node_black_depth(node);
	size_t count = 0;

	VERIFY(node_is_black(root->top));
	VERIFY3(root->leftmost, ==, node);
	for (; node != NULL; previous = node, node = rb_next(node), count++) {
		node_check(root, node, black_depth);
		if (before != NULL && previous != NULL)
			VERIFY(!before(node, previous));
	}
	return count;
}
