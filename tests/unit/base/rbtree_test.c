// SPDX-License-Identifier: MIT
//
// The red-black tree against a model: a sorted sequence of (key, serial). Every change is followed by rb_check().
#include "kern/rbtree.h"

#include "kern/rand.h"
#include "kern/test.h"

#define MODEL_SIZE 64u

struct item {
	struct rb_node node;
	uint32_t key;
	uint32_t serial; // order of insertion
	bool linked;
};

static struct item *item_of(const struct rb_node *node)
{
	return container_of(node, struct item, node);
}

static bool item_before(const struct rb_node *a, const struct rb_node *b)
{
	return item_of(a)->key < item_of(b)->key;
}

static int item_compare(const void *key, const struct rb_node *node)
{
	uint32_t wanted = *(const uint32_t *)key;
	uint32_t found = item_of(node)->key;
	return wanted < found ? -1 : wanted > found;
}

// Same keys keep the order of insertion.
static bool model_before(const struct item *a, const struct item *b)
{
	return a->key != b->key ? a->key < b->key : a->serial < b->serial;
}

// What the tree should yield at or after `key` first: the model's answer by looking at everything.
static struct item *model_at_least(struct item *items, uint32_t key)
{
	struct item *best = NULL;
	for (uint32_t i = 0; i < MODEL_SIZE; i++) {
		struct item *item = &items[i];
		if (item->linked && item->key >= key && (best == NULL || model_before(item, best)))
			best = item;
	}
	return best;
}

static struct item *model_at_most(struct item *items, uint32_t key)
{
	struct item *best = NULL;
	for (uint32_t i = 0; i < MODEL_SIZE; i++) {
		struct item *item = &items[i];
		if (item->linked && item->key <= key && (best == NULL || model_before(best, item)))
			best = item;
	}
	return best;
}

// Walks the tree both ways beside the model.
static void tree_compare(TEST_RUN, const struct rb_root *root, struct item *items, uint32_t linked)
{
	CHECK_EQ(rb_check(root, item_before), linked);
	struct item *previous = NULL;
	uint32_t seen = 0;
	for (struct rb_node *node = rb_first(root); node != NULL; node = rb_next(node), seen++) {
		CHECK(item_of(node)->linked);
		CHECK(previous == NULL || model_before(previous, item_of(node)));
		CHECK(rb_prev(node) == (previous == NULL ? NULL : &previous->node));
		previous = item_of(node);
	}
	CHECK_EQ(seen, linked);
	CHECK(rb_last(root) == (previous == NULL ? NULL : &previous->node));
	CHECK_EQ(rb_is_empty(root), linked == 0);
	(void)items;
}

static void tree_look_up(TEST_RUN, const struct rb_root *root, struct item *items, uint32_t key)
{
	struct item *at_least = model_at_least(items, key);
	struct item *at_most = model_at_most(items, key);
	struct item *equal = at_least != NULL && at_least->key == key ? at_least : NULL;

	CHECK(rb_find_at_least(root, &key, item_compare) == (at_least == NULL ? NULL : &at_least->node));
	CHECK(rb_find_at_most(root, &key, item_compare) == (at_most == NULL ? NULL : &at_most->node));
	CHECK(rb_find(root, &key, item_compare) == (equal == NULL ? NULL : &equal->node));
}

TEST(rbtree, matches_a_model_under_random_changes)
{
	struct item items[MODEL_SIZE] = {0};
	struct rb_root root = RB_ROOT_INIT;
	struct rand_stream chance;
	uint32_t linked = 0, serial = 0;

	rand_init(&chance, 7);
	for (uint32_t step = 0; step < 3000; step++) {
		struct item *item = &items[rand_below(&chance, MODEL_SIZE)];
		if (item->linked) {
			rb_remove(&root, &item->node);
			linked--;
		} else {
			item->key = rand_below(&chance, 40);
			item->serial = serial++;
			rb_insert(&root, &item->node, item_before);
			linked++;
		}
		item->linked = !item->linked;
		CHECK_EQ(rb_node_is_linked(&item->node), item->linked);
		if (step % 16 == 0)
			tree_compare(test_run_, &root, items, linked);
		tree_look_up(test_run_, &root, items, rand_below(&chance, 42));
	}
}

// Ascending, descending and organ-pipe insertion, then removal from the front: every rotation, both sides.
TEST(rbtree, survives_sorted_input_and_draining)
{
	struct item items[MODEL_SIZE] = {0};
	struct rb_root root;

	for (uint32_t shape = 0; shape < 3; shape++) {
		rb_init(&root);
		for (uint32_t i = 0; i < MODEL_SIZE; i++) {
			uint32_t pipe = i % 2 != 0 ? 1000 + i : 1000 - i;
			items[i].key = shape == 0 ? i : shape == 1 ? 1000 - i : pipe;
			rb_insert(&root, &items[i].node, item_before);
			CHECK_EQ(rb_check(&root, item_before), i + 1);
		}
		uint32_t last = 0;
		for (uint32_t left = MODEL_SIZE; left > 0; left--) {
			struct item *first = rb_first_entry(&root, struct item, node);
			CHECK(rb_pop_first(&root) == &first->node);
			CHECK(first->key >= last);
			last = first->key;
			CHECK_EQ(rb_check(&root, item_before), left - 1);
		}
		CHECK(rb_pop_first(&root) == NULL);
	}
}

TEST(rbtree, replace_keeps_the_place)
{
	struct item items[MODEL_SIZE] = {0};
	struct item others[MODEL_SIZE] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 0; i < MODEL_SIZE; i++) {
		items[i].key = i * 7 % MODEL_SIZE;
		rb_insert(&root, &items[i].node, item_before);
	}
	for (uint32_t i = 0; i < MODEL_SIZE; i++) {
		others[i].key = items[i].key;
		rb_replace(&root, &items[i].node, &others[i].node);
		CHECK(!rb_node_is_linked(&items[i].node));
		CHECK_EQ(rb_check(&root, item_before), MODEL_SIZE);
	}
	CHECK(rb_first(&root) == &others[0].node);
}

// The height stays within 2 log2(n + 1): for 64 nodes, 12.
TEST(rbtree, stays_balanced)
{
	struct item items[MODEL_SIZE] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 0; i < MODEL_SIZE; i++) {
		items[i].key = i;
		rb_insert(&root, &items[i].node, item_before);
	}
	uint32_t depth = 0;
	for (const struct rb_node *node = root.top; node != NULL; node = node->child[1])
		depth++;
	CHECK(depth <= 12);
}

TEST_WITH(rbtree, check_finds_a_wrong_color, 0, TEST_PANICS, "node_black_depth(node) == black_depth")
{
	struct item items[3] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 0; i < 3; i++) {
		items[i].key = i;
		rb_insert(&root, &items[i].node, item_before);
	}
	items[2].node.parent_color |= 1;
	rb_check(&root, item_before);
	CHECK(false);
}

TEST_WITH(rbtree, check_finds_a_wrong_parent, 0, TEST_PANICS, "parent == NULL")
{
	struct item items[3] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 0; i < 3; i++) {
		items[i].key = i;
		rb_insert(&root, &items[i].node, item_before);
	}
	items[0].node.parent_color = (uintptr_t)&items[2].node;
	rb_check(&root, NULL);
	CHECK(false);
}

TEST_WITH(rbtree, check_finds_two_red_nodes_in_a_row, 0, TEST_PANICS, "node_is_black(node) || node_is_black(child)")
{
	struct item items[4] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 0; i < 4; i++) {
		items[i].key = i;
		rb_insert(&root, &items[i].node, item_before);
	}
	items[2].node.parent_color &= ~(uintptr_t)1;
	items[0].node.parent_color &= ~(uintptr_t)1;
	rb_check(&root, item_before);
	CHECK(false);
}

TEST_WITH(rbtree, check_finds_them_on_the_left_too, 0, TEST_PANICS, "node_is_black(node) || node_is_black(child)")
{
	struct item items[4] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 4; i-- > 0;) {
		items[i].key = i;
		rb_insert(&root, &items[i].node, item_before);
	}
	items[1].node.parent_color &= ~(uintptr_t)1;
	items[3].node.parent_color &= ~(uintptr_t)1;
	rb_check(&root, item_before);
	CHECK(false);
}

TEST_WITH(rbtree, check_finds_a_wrong_order, 0, TEST_PANICS, "!before(node, previous)")
{
	struct item items[8] = {0};
	struct rb_root root = RB_ROOT_INIT;

	for (uint32_t i = 0; i < 8; i++) {
		items[i].key = i;
		rb_insert(&root, &items[i].node, item_before);
	}
	items[3].key = 9;
	rb_check(&root, item_before);
	CHECK(false);
}

TEST_WITH(rbtree, check_finds_a_wrong_leftmost, 0, TEST_PANICS, "root->leftmost == node")
{
	struct item items[2] = {{.key = 1}, {.key = 2}};
	struct rb_root root = RB_ROOT_INIT;

	rb_insert(&root, &items[0].node, item_before);
	rb_insert(&root, &items[1].node, item_before);
	root.leftmost = &items[1].node;
	rb_check(&root, item_before);
	CHECK(false);
}

#if CONFIG_ASSERTS
TEST_WITH(rbtree, removal_of_an_unlinked_node_is_caught, 0, TEST_PANICS, "rb_node_is_linked(node)")
{
	struct item item = {0};
	struct rb_root root = RB_ROOT_INIT;

	rb_insert(&root, &item.node, item_before);
	rb_remove(&root, &item.node);
	rb_remove(&root, &item.node);
	CHECK(false);
}
#endif
