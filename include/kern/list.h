// SPDX-License-Identifier: MIT
//
// Intrusive doubly linked list. A node is a member of the object; the list owns nothing. A zeroed node is on no list; a
// list head must be initialised. Operations are O(1) unless they say otherwise, take no lock (the owner of the list
// names it) and suit any context. Debug builds (CONFIG_ASSERTS) check the neighbours' links at every change and poison a
// removed node, so that following it traps and removing it twice fails here and not elsewhere.
#ifndef KERN_LIST_H
#define KERN_LIST_H

#include "kern/assert.h"

struct list_node {
	struct list_node *next;
	struct list_node *prev;
};

struct list {
	struct list_node head; // next is the first node, prev the last; an empty list points at itself
};

#define LIST_INIT(name)                                                                                                \
	{                                                                                                              \
		.head = {.next = &(name).head, .prev = &(name).head }                                                  \
	}

// An address that no mapping ever holds, odd, so that a stray use shows.
#define LIST_POISON ((struct list_node *)(uintptr_t)0x5d1u)

// Walks the whole list (O(n)) and fails with VERIFY when a link is not mutual; returns the number of nodes.
size_t list_check(const struct list *list);

static inline void list_init(struct list *list)
{
	list->head.next = &list->head;
	list->head.prev = &list->head;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

static inline bool list_is_single(const struct list *list)
{
	return !list_is_empty(list) && list->head.next == list->head.prev;
}

// Whether the node is on some list.
static inline bool list_node_is_linked(const struct list_node *node)
{
	return node->next != NULL && node->next != LIST_POISON;
}

// Joins `node` between two neighbours; the building block of the rest.
static inline void list_link_between(struct list_node *node, struct list_node *prev, struct list_node *next)
{
	ASSERT(!list_node_is_linked(node));
	ASSERT3(prev->next, ==, next);
	ASSERT3(next->prev, ==, prev);
	node->next = next;
	node->prev = prev;
	next->prev = node;
	prev->next = node;
}

static inline void list_push_front(struct list *list, struct list_node *node)
{
	list_link_between(node, &list->head, list->head.next);
}

static inline void list_push_back(struct list *list, struct list_node *node)
{
	list_link_between(node, list->head.prev, &list->head);
}

static inline void list_insert_before(struct list_node *place, struct list_node *node)
{
	list_link_between(node, place->prev, place);
}

static inline void list_insert_after(struct list_node *place, struct list_node *node)
{
	list_link_between(node, place, place->next);
}

// Takes the node off its list. It must be on one.
static inline void list_remove(struct list_node *node)
{
	ASSERT(list_node_is_linked(node));
	ASSERT3(node->prev->next, ==, node);
	ASSERT3(node->next->prev, ==, node);
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = CONFIG_ASSERTS ? LIST_POISON : NULL;
	node->prev = node->next;
}

// First or last node; NULL when the list is empty.
static inline struct list_node *list_first(const struct list *list)
{
	return list_is_empty(list) ? NULL : list->head.next;
}

static inline struct list_node *list_last(const struct list *list)
{
	return list_is_empty(list) ? NULL : list->head.prev;
}

// The node after or before `node` on `list`; NULL at the end.
static inline struct list_node *list_next(const struct list *list, const struct list_node *node)
{
	return node->next == &list->head ? NULL : node->next;
}

static inline struct list_node *list_prev(const struct list *list, const struct list_node *node)
{
	return node->prev == &list->head ? NULL : node->prev;
}

// Takes off and returns the first or last node; NULL when the list is empty.
static inline struct list_node *list_pop_front(struct list *list)
{
	struct list_node *node = list_first(list);
	if (node != NULL)
		list_remove(node);
	return node;
}

static inline struct list_node *list_pop_back(struct list *list)
{
	struct list_node *node = list_last(list);
	if (node != NULL)
		list_remove(node);
	return node;
}

// From whatever list the node is on to the given end of this one.
static inline void list_move_front(struct list *list, struct list_node *node)
{
	list_remove(node);
	list_push_front(list, node);
}

static inline void list_move_back(struct list *list, struct list_node *node)
{
	list_remove(node);
	list_push_back(list, node);
}

// Appends all nodes of `from` to `list` in order and leaves `from` empty.
static inline void list_splice_back(struct list *list, struct list *from)
{
	if (list_is_empty(from))
		return;
	struct list_node *first = from->head.next;
	struct list_node *last = from->head.prev;
	first->prev = list->head.prev;
	list->head.prev->next = first;
	last->next = &list->head;
	list->head.prev = last;
	list_init(from);
}

// The object around a node; the _or_null form maps NULL to NULL.
#define list_entry(node, type, member) container_of(node, type, member)
#define list_entry_or_null(node, type, member)                                                                         \
	({                                                                                                             \
		struct list_node *list_entry_node = (node);                                                            \
		list_entry_node == NULL ? NULL : container_of(list_entry_node, type, member);                          \
	})
#define list_first_entry(list, type, member) list_entry_or_null(list_first(list), type, member)
#define list_last_entry(list, type, member) list_entry_or_null(list_last(list), type, member)
#define list_pop_front_entry(list, type, member) list_entry_or_null(list_pop_front(list), type, member)

// Visits each object; the body may not remove any. `entry` is a pointer variable of the object's type.
#define list_for_each(entry, list, member)                                                                             \
	for ((entry) = container_of((list)->head.next, __typeof__(*(entry)), member);                                  \
	     &(entry)->member != &(list)->head;                                                                        \
	     (entry) = container_of((entry)->member.next, __typeof__(*(entry)), member))

#define list_for_each_reverse(entry, list, member)                                                                     \
	for ((entry) = container_of((list)->head.prev, __typeof__(*(entry)), member);                                  \
	     &(entry)->member != &(list)->head;                                                                        \
	     (entry) = container_of((entry)->member.prev, __typeof__(*(entry)), member))

// The body may remove and free `entry` (but not `following`, a second variable of the same type).
#define list_for_each_safe(entry, following, list, member)                                                             \
	for ((entry) = container_of((list)->head.next, __typeof__(*(entry)), member),                                  \
	    (following) = container_of((entry)->member.next, __typeof__(*(entry)), member);                            \
	     &(entry)->member != &(list)->head;                                                                        \
	     (entry) = (following), (following) = container_of((entry)->member.next, __typeof__(*(entry)), member))

#endif
