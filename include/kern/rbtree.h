// SPDX-License-Identifier: MIT
//
// Intrusive red-black tree (Guibas and Sedgewick 1978; deletion after Cormen and others, ch. 13) that remembers its
// leftmost node, which timers and run queues ask for on every decision. A node is a member of the object; the tree owns
// nothing. Insertion and removal are O(log n), the first node is O(1). No lock is taken; any context. The order comes
// from a `before` function that is inlined at each use; equal keys keep their order of insertion, never address order.
#ifndef KERN_RBTREE_H
#define KERN_RBTREE_H

#include "kern/assert.h"

struct rb_node {
	uintptr_t parent_color;   // parent's address; bit 0 set: black. 0: on no tree (the root is black)
	struct rb_node *child[2]; // left, right
};

struct rb_root {
	struct rb_node *top;
	struct rb_node *leftmost;
};

#define RB_ROOT_INIT                                                                                                   \
	{                                                                                                              \
		.top = NULL, .leftmost = NULL                                                                          \
	}

// Strict order: whether a comes before b.
typedef bool rb_before_fn(const struct rb_node *a, const struct rb_node *b);

// < 0, 0 or > 0 as the key comes before, is equal to, or comes after the node's.
typedef int rb_compare_fn(const void *key, const struct rb_node *node);

static inline void rb_init(struct rb_root *root)
{
	root->top = NULL;
	root->leftmost = NULL;
}

static inline bool rb_is_empty(const struct rb_root *root)
{
	return root->top == NULL;
}

// Whether the node is on some tree; a zeroed node is not.
static inline bool rb_node_is_linked(const struct rb_node *node)
{
	return node->parent_color != 0;
}

// Hangs `node` at *link, a null child link of `parent` (or the root), and rebalances. `is_leftmost`: nothing comes before
// it. For callers that walk down themselves; others use rb_insert().
void rb_link(struct rb_root *root, struct rb_node *node, struct rb_node *parent, struct rb_node **link,
	     bool is_leftmost);

// Takes the node, which must be on this tree, off it.
void rb_remove(struct rb_root *root, struct rb_node *node);

// Puts `node` in the place of `old`, which has an equal key; `old` is then on no tree.
void rb_replace(struct rb_root *root, struct rb_node *old, struct rb_node *node);

// In-order neighbours; NULL at the ends.
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
struct rb_node *rb_last(const struct rb_root *root);

// Walks the whole tree (O(n)) and fails with VERIFY unless: the root is black, no red node has a red child, every path
// holds equally many black nodes, parent links match, the leftmost is right, and, when `before` is given, no node comes
// before its predecessor. Returns the number of nodes.
size_t rb_check(const struct rb_root *root, rb_before_fn *before);

static inline struct rb_node *rb_first(const struct rb_root *root)
{
	return root->leftmost;
}

static inline struct rb_node *rb_pop_first(struct rb_root *root)
{
	struct rb_node *node = root->leftmost;
	if (node != NULL)
		rb_remove(root, node);
	return node;
}

// Inserts after all equal keys. The node must be on no tree.
static force_inline void rb_insert(struct rb_root *root, struct rb_node *node, rb_before_fn *before)
{
	struct rb_node **link = &root->top;
	struct rb_node *parent = NULL;
	bool is_leftmost = true;
	while (*link != NULL) {
		parent = *link;
		if (before(node, parent)) {
			link = &parent->child[0];
		} else {
			link = &parent->child[1];
			is_leftmost = false;
		}
	}
	rb_link(root, node, parent, link, is_leftmost);
}

// Some node equal to the key (the first one where keys repeat); NULL when there is none.
static force_inline struct rb_node *rb_find(const struct rb_root *root, const void *key, rb_compare_fn *compare)
{
	struct rb_node *node = root->top;
	struct rb_node *found = NULL;
	while (node != NULL) {
		int order = compare(key, node);
		if (order == 0)
			found = node;
		node = order <= 0 ? node->child[0] : node->child[1];
	}
	return found;
}

// The first node not before the key (lower bound); NULL when all come before it.
static force_inline struct rb_node *rb_find_at_least(const struct rb_root *root, const void *key,
						     rb_compare_fn *compare)
{
	struct rb_node *node = root->top;
	struct rb_node *found = NULL;
	while (node != NULL) {
		bool at_or_after = compare(key, node) <= 0;
		if (at_or_after)
			found = node;
		node = at_or_after ? node->child[0] : node->child[1];
	}
	return found;
}

// The last node not after the key; NULL when all come after it.
static force_inline struct rb_node *rb_find_at_most(const struct rb_root *root, const void *key, rb_compare_fn *compare)
{
	struct rb_node *node = root->top;
	struct rb_node *found = NULL;
	while (node != NULL) {
		bool at_or_before = compare(key, node) >= 0;
		if (at_or_before)
			found = node;
		node = at_or_before ? node->child[1] : node->child[0];
	}
	return found;
}

#define rb_entry(node, type, member) container_of(node, type, member)
#define rb_entry_or_null(node, type, member)                                                                           \
	({                                                                                                             \
		struct rb_node *rb_entry_node = (node);                                                                \
		rb_entry_node == NULL ? NULL : container_of(rb_entry_node, type, member);                              \
	})
#define rb_first_entry(root, type, member) rb_entry_or_null(rb_first(root), type, member)
#define rb_next_entry(entry, member) rb_entry_or_null(rb_next(&(entry)->member), __typeof__(*(entry)), member)

#endif
