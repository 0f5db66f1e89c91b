// SPDX-License-Identifier: MIT
//
// Intrusive lists: order, ends, moving, splicing, removal while walking, and the checks that debug builds make.
#include "kern/list.h"

#include "kern/test.h"

struct item {
	uint32_t number;
	struct list_node link;
};

static void items_push(struct list *list, struct item *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		items[i].number = i;
		list_push_back(list, &items[i].link);
	}
}

// The numbers on the list, as decimal digits.
static uint64_t list_digits(struct list *list)
{
	struct item *item;
	uint64_t digits = 0;
	list_for_each (item, list, link)
		digits = digits * 10 + item->number;
	return digits;
}

TEST(list, empty_list_has_no_ends)
{
	struct list list = LIST_INIT(list);

	CHECK(list_is_empty(&list));
	CHECK(!list_is_single(&list));
	CHECK(list_first(&list) == NULL);
	CHECK(list_last(&list) == NULL);
	CHECK(list_pop_front(&list) == NULL);
	CHECK(list_pop_back(&list) == NULL);
	CHECK(list_first_entry(&list, struct item, link) == NULL);
	CHECK_EQ(list_check(&list), 0);
}

TEST(list, pushes_keep_order)
{
	struct item items[6] = {0};
	struct list list;

	list_init(&list);
	items_push(&list, items, 3);
	items[3].number = 3;
	items[4].number = 4;
	items[5].number = 5;
	list_push_front(&list, &items[3].link);
	list_insert_after(&items[0].link, &items[4].link);
	list_insert_before(&items[0].link, &items[5].link);
	CHECK_EQ(list_digits(&list), 350412);
	CHECK_EQ(list_check(&list), 6);
	CHECK(list_first_entry(&list, struct item, link) == &items[3]);
	CHECK(list_last_entry(&list, struct item, link) == &items[2]);
}

TEST(list, neighbours_end_with_null)
{
	struct item items[2] = {0};
	struct list list;

	list_init(&list);
	items_push(&list, items, 2);
	CHECK(list_next(&list, &items[0].link) == &items[1].link);
	CHECK(list_next(&list, &items[1].link) == NULL);
	CHECK(list_prev(&list, &items[1].link) == &items[0].link);
	CHECK(list_prev(&list, &items[0].link) == NULL);
}

TEST(list, removal_unlinks)
{
	struct item items[3] = {0};
	struct list list;

	list_init(&list);
	CHECK(!list_node_is_linked(&items[1].link));
	items_push(&list, items, 3);
	CHECK(list_node_is_linked(&items[1].link));
	list_remove(&items[1].link);
	CHECK(!list_node_is_linked(&items[1].link));
	CHECK_EQ(list_digits(&list), 2);
	CHECK_EQ(list_check(&list), 2);
	list_push_front(&list, &items[1].link);
	CHECK_EQ(list_digits(&list), 102);
	CHECK(list_pop_back(&list) == &items[2].link);
	CHECK(list_pop_front(&list) == &items[1].link);
	CHECK(list_is_single(&list));
}

TEST(list, body_may_remove_while_walking_safely)
{
	struct item items[9] = {0};
	struct item *item, *following;
	struct list list;

	list_init(&list);
	items_push(&list, items, 9);
	list_for_each_safe (item, following, &list, link) {
		if (item->number % 3 != 0)
			list_remove(&item->link);
	}
	CHECK_EQ(list_digits(&list), 36);
	CHECK_EQ(list_check(&list), 3);
	uint64_t reversed = 0;
	list_for_each_reverse(item, &list, link) reversed = reversed * 10 + item->number;
	CHECK_EQ(reversed, 630);
}

TEST(list, moves_and_splices)
{
	struct item items[6] = {0};
	struct list a, b;

	list_init(&a);
	list_init(&b);
	items_push(&a, items, 6);
	list_move_back(&b, &items[1].link);
	list_move_back(&b, &items[4].link);
	list_move_front(&a, &items[5].link);
	CHECK_EQ(list_digits(&a), 5023);
	CHECK_EQ(list_digits(&b), 14);
	list_splice_back(&a, &b);
	CHECK_EQ(list_digits(&a), 502314);
	CHECK(list_is_empty(&b));
	CHECK_EQ(list_check(&a), 6);
	CHECK_EQ(list_check(&b), 0);
	list_splice_back(&a, &b);
	CHECK_EQ(list_check(&a), 6);
	list_splice_back(&b, &a);
	CHECK_EQ(list_digits(&b), 502314);
	CHECK_EQ(list_check(&b), 6);
}

TEST_WITH(list, check_finds_a_link_that_is_not_mutual, 0, TEST_PANICS, "node->next->prev == node")
{
	struct item items[3] = {0};
	struct list list;

	list_init(&list);
	items_push(&list, items, 3);
	items[2].link.prev = &items[0].link;
	list_check(&list);
	CHECK(false);
}

#if CONFIG_ASSERTS
TEST_WITH(list, double_removal_is_caught, 0, TEST_PANICS, "list_node_is_linked(node)")
{
	struct item items[2] = {0};
	struct list list;

	list_init(&list);
	items_push(&list, items, 2);
	list_remove(&items[0].link);
	list_remove(&items[0].link);
	CHECK(false);
}

TEST_WITH(list, second_insertion_is_caught, 0, TEST_PANICS, "!list_node_is_linked(node)")
{
	struct item items[2] = {0};
	struct list list;

	list_init(&list);
	items_push(&list, items, 2);
	list_push_back(&list, &items[0].link);
	CHECK(false);
}
#endif
