// SPDX-License-Identifier: MIT
//
// The checker: nodes. Whatever is wrong with one is said, and the walk goes on beside it.
#include "check_impl.h"

struct frame {
	struct pxfs_node *node;
	uint32_t slot;
	struct pxfs_where low, high; // low ≤ keys < high
	bool has_low, has_high;
};

struct walk {
	struct check *check;
	uint64_t id;
	bool claim;
	check_item_fn *fn;
	struct frame frames[PXFS_LEVELS_MAX];
	uint32_t depth;
};

static bool is_within(const struct frame *frame, const struct pxfs_where *where)
{
	if (frame->has_low && where_compare(where, &frame->low) < 0)
		return false;
	return !frame->has_high || where_compare(where, &frame->high) < 0;
}

static bool is_shared(const struct check *check, const struct pxfs_pointer *pointer)
{
	return le64_get(&pointer->birth) <= check->shared;
}

static err_t node_claim(struct walk *walk, const struct pxfs_pointer *pointer)
{
	uint32_t sectors = node_sectors(walk->check->volume);

	if (walk->claim && is_shared(walk->check, pointer)) {
		if (!check_is_claimed(walk->check, le64_get(&pointer->address[0])))
			check_say(walk->check, "tree %llu: node at sector %llu is of a snapshot that has none there",
				  (unsigned long long)walk->id, (unsigned long long)le64_get(&pointer->address[0]));
		return 0;
	}
	err_t err = walk->claim ? check_claim(walk->check, le64_get(&pointer->address[0]), sectors, "a node") : 0;

	if (err == 0 && walk->claim && le64_get(&pointer->address[1]) != 0)
		err = check_claim(walk->check, le64_get(&pointer->address[1]), sectors, "a node's copy");
	return err;
}

// All copies, before the one that is sound is used. What was repaired is no problem any more; a node without a sound copy is told by who opens it.
static void copies_check(struct walk *walk, const struct pxfs_pointer *pointer, uint32_t level)
{
	struct check *check = walk->check;
	uint32_t repaired = 0;
	uint64_t outside = check->volume->sectors - node_sectors(check->volume);

	if (le64_get(&pointer->address[0]) > outside || le64_get(&pointer->address[1]) > outside)
		return;
	if (le64_get(&pointer->birth) == check->volume->generation) // the log's, and on no disk
		return;
	uint32_t bad = node_copies_check(check->volume, pointer, level, check->bytes, &repaired);
	if (bad == 1 && le64_get(&pointer->address[1]) != 0 && repaired == 0)
		check_say(check, "tree %llu: node at sector %llu has a damaged copy", (unsigned long long)walk->id,
			  (unsigned long long)le64_get(&pointer->address[0]));
}

// Opens the node below the pointer; a problem leaves the depth as it is.
static err_t frame_open(struct walk *walk, const struct pxfs_pointer *pointer, uint32_t level,
			const struct frame *bounds)
{
	struct check *check = walk->check;
	struct frame *frame = &walk->frames[walk->depth];
	err_t err = node_claim(walk, pointer);

	if (err != 0)
		return err;
	*frame = *bounds;
	frame->slot = 0;
	if (walk->claim && !is_shared(check, pointer))
		copies_check(walk, pointer, level);
	err = node_get(check->volume, pointer, walk->id, level, &frame->node);
	if (err == -ENOMEM)
		return err;
	if (err != 0) {
		check->blind = true;
		check_say(check, "tree %llu: node at sector %llu cannot be read: %s", (unsigned long long)walk->id,
			  (unsigned long long)le64_get(&pointer->address[0]), err_text(err));
		return 0;
	}
	if (le64_get(&node_header(frame->node)->birth) != le64_get(&pointer->birth))
		check_say(check, "tree %llu: node at sector %llu is of another generation than its parent says",
			  (unsigned long long)walk->id, (unsigned long long)frame->node->address);
	if (le64_get(&pointer->birth) > check->volume->generation ||
	    (le64_get(&pointer->birth) == check->volume->generation && !frame->node->dirty))
		check_say(check, "tree %llu: node at sector %llu is of a generation to come",
			  (unsigned long long)walk->id, (unsigned long long)frame->node->address);
	check->report->nodes += walk->claim && !is_shared(check, pointer);
	walk->depth++;
	return 0;
}

static err_t leaf_walk(struct walk *walk, const struct frame *frame)
{
	const struct pxfs_node *leaf = frame->node;
	err_t err = 0;

	walk->check->leaf_is_shared = leaf->birth <= walk->check->shared;

	for (uint32_t i = 0; i < node_count(leaf) && err == 0; i++) {
		const struct pxfs_item *item = &node_items(leaf)[i];
		struct pxfs_where where = where_of(&item->key);
		if (!is_within(frame, &where) && walk->claim)
			check_say(walk->check, "tree %llu: node at sector %llu has an item that is not its own",
				  (unsigned long long)walk->id, (unsigned long long)leaf->address);
		walk->check->report->items += walk->claim;
		if (walk->fn != NULL)
			err = walk->fn(walk->check, &where, leaf->bytes + le32_get(&item->at), le32_get(&item->size));
	}
	if (node_count(leaf) == 0 && walk->claim)
		check_say(walk->check, "tree %llu: node at sector %llu is an empty leaf", (unsigned long long)walk->id,
			  (unsigned long long)leaf->address);
	return err;
}

static err_t child_open(struct walk *walk, struct frame *above)
{
	const struct pxfs_child *children = node_children(above->node);
	uint32_t slot = above->slot++;
	struct frame bounds = *above;

	if (walk->check->own_only && is_shared(walk->check, &children[slot].pointer))
		return 0;

	if (slot != 0) {
		bounds.low = where_of(&children[slot].key);
		bounds.has_low = true;
	}
	if (slot + 1 < node_count(above->node)) {
		bounds.high = where_of(&children[slot + 1].key);
		bounds.has_high = true;
	}
	return frame_open(walk, &children[slot].pointer, node_level(above->node) - 1, &bounds);
}

err_t check_tree(struct check *check, const struct pxfs_pointer *root, uint64_t id, bool claim, check_item_fn *fn)
{
	struct walk *walk = kmalloc(sizeof *walk, MEM_ZERO);
	struct frame all = {.slot = 0};
	err_t err = 0;

	if (walk == NULL)
		return ERR(ENOMEM);
	*walk = (struct walk){.check = check, .id = id, .claim = claim, .fn = fn};
	if (!pointer_is_null(root) && !(check->own_only && is_shared(check, root)))
		err = frame_open(walk, root, UINT32_MAX, &all);
	while (walk->depth > 0) {
		struct frame *top = &walk->frames[walk->depth - 1];
		bool inner = node_level(top->node) != 0;
		if (err == 0 && inner && top->slot < node_count(top->node)) {
			err = child_open(walk, top);
			continue;
		}
		if (err == 0 && !inner)
			err = leaf_walk(walk, top);
		node_put(check->volume, top->node);
		walk->depth--;
	}
	kfree(walk);
	return err;
}
