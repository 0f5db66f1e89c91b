// SPDX-License-Identifier: MIT
//
// The list checker; everything else about lists is inline in its header.
#include "kern/list.h"

size_t list_check(const struct list *list)
{
	const struct list_node *node = &list->head;
	size_t count = 0;

	do {
		VERIFY(list_node_is_linked(node));
		VERIFY3(node->next->prev, ==, node);
		node = node->next;
		count++;
	} while (node != &list->head);
	return count - 1;
}
