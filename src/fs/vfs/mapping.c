// SPDX-License-Identifier: MIT
//
// A file's pages by index: a radix tree of 64-way nodes. Readers walk it under RCU and take a reference of what they find; writers
// hold mapping->lock, and bring new nodes with them, because nothing is allocated under a lock. A page leaves the tree before its
// reference is put; whoever still has one goes on with a page that belongs to no file.
#include "vfs_impl.h"

#include "kern/string.h"

#define NODE_BITS 6u
#define NODE_SLOTS (1u << NODE_BITS)
#define NODES_MAX 24u // twice the levels of a 64-bit index, for one that grows upward and down again

struct page_node {
	struct rcu_head rcu;
	uint32_t shift;          // of this level's part of an index; 0: the slots hold pages
	uint32_t used;           // slots; mapping->lock
	uint64_t tagged;         // a bit for each slot that is, or leads to, a tagged page; mapping->lock
	void *slots[NODE_SLOTS]; // atomic: struct page_node, or struct page
};

size_t mapping_node_bytes(void)
{
	return sizeof(struct page_node);
}

void mapping_init(struct mapping *mapping)
{
	spin_init(&mapping->lock, LOCK_RANK_MAPPING, "mapping");
	mapping->root = NULL;
	mapping->count = 0;
	mapping->cache = NULL;
}

static void page_free(struct rcu_head *head)
{
	slab_free(vfs_state()->pages, container_of(head, struct page, rcu));
}

static void node_free(struct rcu_head *head)
{
	slab_free(vfs_state()->page_nodes, container_of(head, struct page_node, rcu));
}

void page_put(struct page *page)
{
	if (!refcount_put(&page->refs))
		return;
	frame_free(page->frame, 0);
	rcu_call(&page->rcu, page_free);
}

static uint32_t slot_of(const struct page_node *node, uint64_t index)
{
	return (uint32_t)(index >> node->shift) & (NODE_SLOTS - 1);
}

static bool node_covers(const struct page_node *node, uint64_t index)
{
	uint32_t bits = node->shift + NODE_BITS;
	return bits >= 64 || (index >> bits) == 0;
}

struct page *mapping_find(struct mapping *mapping, uint64_t index)
{
	struct page *page = NULL;

	rcu_read_lock();
	struct page_node *node = atomic_load_ptr_acquire(&mapping->root);
	if (node != NULL && node_covers(node, index)) {
		while (node != NULL && node->shift > 0)
			node = atomic_load_ptr_acquire(&node->slots[slot_of(node, index)]);
		page = node != NULL ? atomic_load_ptr_acquire(&node->slots[slot_of(node, index)]) : NULL;
		if (page != NULL && !refcount_get_unless_zero(&page->refs))
			page = NULL;
	}
	rcu_read_unlock();
	return page;
}

void mapping_find_range(struct mapping *mapping, uint64_t index, struct page **pages, uint32_t count)
{
	rcu_read_lock();
	struct page_node *node = NULL;
	for (uint32_t i = 0; i < count; i++, index++) {
		if (node == NULL || slot_of(node, index) == 0) { // another leaf
			node = atomic_load_ptr_acquire(&mapping->root);
			if (node != NULL && !node_covers(node, index))
				node = NULL;
			while (node != NULL && node->shift > 0)
				node = atomic_load_ptr_acquire(&node->slots[slot_of(node, index)]);
		}
		struct page *page = node != NULL ? atomic_load_ptr_acquire(&node->slots[slot_of(node, index)]) : NULL;
		pages[i] = page != NULL && refcount_get_unless_zero(&page->refs) ? page : NULL;
	}
	rcu_read_unlock();
}

// ---- adding --------------------------------------------------------------------------------------------------------------

// Nodes and a page, brought along for one insertion.
struct supply {
	struct page *page;
	struct page_node *nodes[NODES_MAX];
	uint32_t count;
};

static void supply_free(struct supply *supply)
{
	while (supply->count > 0)
		slab_free(vfs_state()->page_nodes, supply->nodes[--supply->count]);
	if (supply->page != NULL) {
		frame_free(supply->page->frame, 0);
		slab_free(vfs_state()->pages, supply->page);
	}
}

static err_t supply_nodes(struct supply *supply, uint32_t wanted)
{
	while (supply->count < wanted) {
		struct page_node *node = slab_alloc(vfs_state()->page_nodes, MEM_ZERO);
		if (node == NULL)
			return ERR(ENOMEM);
		supply->nodes[supply->count++] = node;
	}
	return 0;
}

static err_t supply_page(struct supply *supply, uint64_t index, uint32_t mem_flags)
{
	struct page *page = slab_alloc(vfs_state()->pages, MEM_ZERO);
	if (page == NULL)
		return ERR(ENOMEM);
	page->frame = frame_alloc(0, MEM_USER | mem_flags, NULL);
	if (page->frame == NULL) {
		slab_free(vfs_state()->pages, page);
		return ERR(ENOMEM);
	}
	page->index = index;
	refcount_init(&page->refs, 2);
	supply->page = page;
	return 0;
}

static uint32_t levels_for(uint64_t index)
{
	uint32_t levels = 1;
	while ((index >>= NODE_BITS) != 0)
		levels++;
	return levels;
}

// How many nodes are missing on the way to `index`.
static uint32_t nodes_missing_locked(struct mapping *mapping, uint64_t index)
{
	struct page_node *node = mapping->root;
	uint32_t missing = 0;

	if (node == NULL)
		return levels_for(index);
	for (uint32_t shift = node->shift; shift + NODE_BITS < 64 && (index >> (shift + NODE_BITS)) != 0;
	     shift += NODE_BITS)
		missing++;
	if (missing > 0)
		return missing + levels_for(index) - 1;
	while (node->shift > 0) {
		struct page_node *below = node->slots[slot_of(node, index)];
		if (below == NULL)
			return node->shift / NODE_BITS;
		node = below;
	}
	return 0;
}

static struct page_node *take_node(struct supply *supply, uint32_t shift)
{
	VERIFY3(supply->count, >, 0);
	struct page_node *node = supply->nodes[--supply->count];
	node->shift = shift;
	return node;
}

static void slot_fill(struct page_node *node, uint64_t index, void *value)
{
	node->used++;
	atomic_store_ptr_release(&node->slots[slot_of(node, index)], value);
}

// The leaf for `index`, made with what was brought.
static struct page_node *leaf_make_locked(struct mapping *mapping, uint64_t index, struct supply *supply)
{
	struct page_node *node = mapping->root;

	if (node == NULL) {
		node = take_node(supply, (levels_for(index) - 1) * NODE_BITS);
		atomic_store_ptr_release(&mapping->root, node);
	}
	while (!node_covers(node, index)) {
		struct page_node *above = take_node(supply, node->shift + NODE_BITS);
		slot_fill(above, 0, node);
		above->tagged = node->tagged != 0;
		atomic_store_ptr_release(&mapping->root, above);
		node = above;
	}
	while (node->shift > 0) {
		struct page_node *below = node->slots[slot_of(node, index)];
		if (below == NULL) {
			below = take_node(supply, node->shift - NODE_BITS);
			slot_fill(node, index, below);
		}
		node = below;
	}
	return node;
}

err_t mapping_add(struct mapping *mapping, uint64_t index, struct page **out, bool *made)
{
	return mapping_add_unzeroed(mapping, index, MEM_ZERO, out, made);
}

err_t mapping_add_unzeroed(struct mapping *mapping, uint64_t index, uint32_t mem_flags, struct page **out, bool *made)
{
	struct supply supply = {0};
	bool done = false;

	*made = false;
	*out = mapping_find(mapping, index);
	if (*out != NULL)
		return 0;
	err_t err = supply_page(&supply, index, mem_flags);
	while (err == 0 && !done) {
		spin_lock(&mapping->lock);
		uint32_t missing = nodes_missing_locked(mapping, index);
		if (missing <= supply.count) {
			struct page_node *leaf = leaf_make_locked(mapping, index, &supply);
			struct page *found = leaf->slots[slot_of(leaf, index)];
			if (found == NULL) {
				found = supply.page;
				found->mapping = mapping->cache != NULL ? mapping : NULL;
				supply.page = NULL;
				slot_fill(leaf, index, found);
				mapping->count++;
				*made = true;
			} else {
				refcount_get(&found->refs);
			}
			*out = found;
			done = true;
		}
		spin_unlock(&mapping->lock);
		if (!done)
			err = supply_nodes(&supply, missing);
	}
	supply_free(&supply);
	return err;
}

// ---- searching and removing ----------------------------------------------------------------------------------------------

// The first page with an index ≥ from, under RCU or the lock; NULL: none.
static struct page *find_from(const struct page_node *root, uint64_t from)
{
	const struct page_node *node = root;

	while (node != NULL && node_covers(node, from)) {
		const struct page_node *at = node;
		uint64_t span = 0;
		for (;;) { // down, as far as `from` leads
			void *below = atomic_load_ptr_acquire(&at->slots[slot_of(at, from)]);
			if (below == NULL) {
				span = (uint64_t)1 << at->shift;
				break;
			}
			if (at->shift == 0)
				return below;
			at = below;
		}
		if (from + span < from)
			return NULL;
		from = (from | (span - 1)) + 1;
		if (from == 0)
			return NULL;
	}
	return NULL;
}

bool mapping_next(struct mapping *mapping, uint64_t from, uint64_t *index)
{
	rcu_read_lock();
	const struct page *page = find_from(atomic_load_ptr_acquire(&mapping->root), from);
	if (page != NULL)
		*index = page->index;
	rcu_read_unlock();
	return page != NULL;
}

// Clears the tag of the last node's slot, and those that lead to it as long as they lead to no other.
static void untag_locked(struct page_node *const way[], uint32_t depth, uint64_t index)
{
	while (depth > 0) {
		struct page_node *node = way[--depth];
		node->tagged &= ~((uint64_t)1 << slot_of(node, index));
		if (node->tagged != 0)
			return;
	}
}

void mapping_tag(struct mapping *mapping, uint64_t index, bool on)
{
	struct page_node *way[NODES_MAX];
	uint32_t depth = 0;

	spin_lock(&mapping->lock);
	for (struct page_node *node = mapping->root; node != NULL;
	     node = node->shift > 0 ? node->slots[slot_of(node, index)] : NULL) {
		if (on)
			node->tagged |= (uint64_t)1 << slot_of(node, index);
		way[depth++] = node;
	}
	if (!on)
		untag_locked(way, depth, index);
	spin_unlock(&mapping->lock);
}

// Down along set bits; a slot that `from` itself does not lead to is entered at its beginning.
static bool tagged_below(const struct page_node *node, uint64_t from, uint64_t *index)
{
	for (;;) {
		uint64_t bits = node->tagged >> slot_of(node, from) << slot_of(node, from);
		if (bits == 0)
			return false;
		uint32_t slot = (uint32_t)__builtin_ctzll(bits);
		if (slot != slot_of(node, from)) {
			uint64_t span = (uint64_t)1 << node->shift;
			from = (from & ~(span * NODE_SLOTS - 1)) | slot * span;
		}
		if (node->shift == 0) {
			*index = from;
			return true;
		}
		uint64_t found = from;
		const struct page_node *below = node->slots[slot];
		if (tagged_below(below, from, &found)) {
			*index = found;
			return true;
		}
		uint64_t span = (uint64_t)1 << node->shift; // nothing behind `from` in this slot: on to the next
		if (slot == NODE_SLOTS - 1)
			return false;
		from = (from & ~(span - 1)) + span;
	}
}

bool mapping_next_tagged(struct mapping *mapping, uint64_t from, uint64_t *index)
{
	spin_lock(&mapping->lock);
	const struct page_node *root = mapping->root;
	bool found = root != NULL && node_covers(root, from) && tagged_below(root, from, index);
	spin_unlock(&mapping->lock);
	return found;
}

// Takes the page out, and the nodes that it leaves empty.
static void take_out_locked(struct mapping *mapping, uint64_t index)
{
	struct page_node *way[NODES_MAX];
	uint32_t depth = 0;
	struct page_node *node = mapping->root;

	for (; node->shift > 0; node = node->slots[slot_of(node, index)])
		way[depth++] = node;
	way[depth++] = node;
	mapping->count--;
	untag_locked(way, depth, index);
	while (depth > 0) {
		node = way[--depth];
		atomic_store_ptr_release(&node->slots[slot_of(node, index)], (void *)NULL);
		if (--node->used > 0)
			return;
		if (depth == 0)
			atomic_store_ptr_release(&mapping->root, (struct page_node *)NULL);
		rcu_call(&node->rcu, node_free);
	}
}

void mapping_take(struct mapping *mapping, struct page *page)
{
	spin_lock(&mapping->lock);
	take_out_locked(mapping, page->index);
	spin_unlock(&mapping->lock);
}

uint64_t mapping_remove(struct mapping *mapping, uint64_t first, uint64_t last)
{
	uint64_t removed = 0;

	for (;;) {
		spin_lock(&mapping->lock);
		struct page *page = find_from(mapping->root, first);
		if (page != NULL && page->index > last)
			page = NULL;
		if (page != NULL)
			take_out_locked(mapping, page->index);
		spin_unlock(&mapping->lock);
		if (page == NULL)
			return removed;
		first = page->index + 1;
		page_put(page);
		removed++;
	}
}

err_t mapping_check(struct mapping *mapping)
{
	uint64_t count = 0;
	uint64_t index = 0;

	spin_lock(&mapping->lock);
	for (struct page *page = find_from(mapping->root, 0); page != NULL;
	     page = find_from(mapping->root, index + 1)) {
		index = page->index;
		count++;
	}
	bool good = count == mapping->count;
	spin_unlock(&mapping->lock);
	return good ? 0 : -EUCLEAN;
}
