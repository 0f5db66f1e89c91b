// SPDX-License-Identifier: MIT
//
// Scrubbing: the whole, and trees node by node.
#include "scrub_impl.h"

#include "kern/fmt.h"

void scrub_say(struct scrub *scrub, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (scrub->calls->say == NULL)
		return;
	va_start(arguments, format);
	kvsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	scrub->calls->say(scrub->calls->arg, text);
}

bool scrub_goes_on(struct scrub *scrub)
{
	bool on = !(scrub->shared && volume_is_left(scrub->volume)) && !scrub->report->stopped;

	if (on && scrub->calls->progress != NULL)
		on = scrub->calls->progress(scrub->calls->arg, scrub->report);
	scrub->report->stopped = !on;
	return on;
}

// ---- what is done -----------------------------------------------------------------------------------------------------------------

static bool bit_get(struct scrub *scrub, uint64_t *const *bits, uint64_t address)
{
	uint32_t block = (uint32_t)(address & (PXFS_REGION_SECTORS - 1)) / block_sectors_of(scrub->volume);
	uint64_t region = address >> PXFS_REGION_SHIFT;

	return region < scrub->regions && bits[region] != NULL && (bits[region][block / 64] >> block % 64 & 1) != 0;
}

static void bit_set(struct scrub *scrub, uint64_t **bits, uint64_t address)
{
	uint32_t block = (uint32_t)(address & (PXFS_REGION_SECTORS - 1)) / block_sectors_of(scrub->volume);
	uint64_t region = address >> PXFS_REGION_SHIFT;

	if (region >= scrub->regions)
		return;
	if (bits[region] == NULL)
		bits[region] = kmalloc(PXFS_REGION_SECTORS / block_sectors_of(scrub->volume) / 8, MEM_ZERO);
	if (bits[region] != NULL)
		bits[region][block / 64] |= 1ull << block % 64;
}

static void bits_free(const struct scrub *scrub, uint64_t **bits)
{
	for (uint32_t i = 0; bits != NULL && i < scrub->regions; i++) {
		kfree(bits[i]);
		bits[i] = NULL;
	}
}

// *whole: nothing of it is lost.
static bool is_done(struct scrub *scrub, const struct pxfs_pointer *pointer, bool *whole)
{
	uint64_t address = le64_get(&pointer->address[0]);

	*whole = le64_get(&pointer->birth) < scrub->born_before && bit_get(scrub, scrub->done, address);
	return *whole || (le64_get(&pointer->birth) < scrub->born_before && bit_get(scrub, scrub->seen, address));
}

// What the step before led to is finished, as is each above it that it was the last child of.
static void levels_finish(struct scrub *scrub, bool whole)
{
	for (uint32_t i = scrub->level_from; i < scrub->level_count; i++) {
		struct scrub_level *level = &scrub->levels[i];
		level->whole = level->whole && whole;
		whole = level->whole;
		if (level->slot + 1 < level->count)
			return;
		if (level->old)
			bit_set(scrub, whole ? scrub->done : scrub->seen, level->address);
	}
}

static void level_set(struct scrub *scrub, uint32_t index, const struct pxfs_node *node, uint32_t slot, uint32_t count)
{
	struct scrub_level *level = &scrub->levels[index];
	bool goes_on = level->address == node->address && (level->slot == slot || level->slot + 1 == slot);

	*level = (struct scrub_level){.address = node->address,
				      .slot = slot,
				      .count = count,
				      .whole = goes_on ? level->whole : slot == 0,
				      .old = le64_get(&node_header(node)->birth) < scrub->born_before};
}

// ---- entering a tree ----------------------------------------------------------------------------------------------------------------

// One that nobody has open does not change while the epoch is held.
// One that is going has no tree any more, or not all of it.
static bool is_whole(const struct pxfs_subvolume *item)
{
	return (le64_get(&item->flags) & (PXFS_SUBVOLUME_GOING | PXFS_SUBVOLUME_LAST)) == 0;
}

static err_t closed_load(struct scrub *scrub)
{
	struct pxfs_subvolume *item = kmalloc(sizeof *item, 0);
	err_t err = item == NULL ? ERR(ENOMEM) : subvol_item_get(scrub->volume, scrub->tree, item);

	if (err == 0 && !is_whole(item))
		err = -ENOENT;
	scrub->closed.id = scrub->tree;
	if (err == 0)
		scrub->closed.root = item->root;
	kfree(item);
	return err;
}

err_t scrub_enter(struct scrub *scrub, struct pxfs_tree **tree)
{
	struct pxfs_volume *volume = scrub->volume;
	struct pxfs_subvol *subvol = NULL;
	err_t err = 0;

	*tree = NULL;
	rwlock_read_lock(&volume->epoch);
	if (scrub->tree == PXFS_TREE_ROOT)
		*tree = &volume->root_tree;
	else if (scrub->tree == PXFS_TREE_SPACE)
		*tree = &volume->space_tree;
	else if (scrub->tree == PXFS_TREE_REFS)
		*tree = &volume->refs_tree;
	else if ((subvol = subvol_in_use(volume, scrub->tree)) != NULL && is_whole(&subvol->item))
		*tree = &subvol->tree;
	if (*tree == NULL) {
		err = closed_load(scrub);
		if (err != 0) {
			rwlock_read_unlock(&volume->epoch);
			return err == -ENOENT ? 0 : err;
		}
		*tree = &scrub->closed;
	}
	if (scrub->tree == PXFS_TREE_SPACE)
		mutex_lock(&volume->space.lock);
	else
		rwlock_read_lock(&(*tree)->lock);
	return 0;
}

void scrub_leave(struct scrub *scrub, struct pxfs_tree *tree)
{
	if (scrub->tree == PXFS_TREE_SPACE)
		mutex_unlock(&scrub->volume->space.lock);
	else
		rwlock_read_unlock(&tree->lock);
	rwlock_read_unlock(&scrub->volume->epoch);
}

// ---- nodes ------------------------------------------------------------------------------------------------------------------------

static void copies_repair(struct scrub *scrub, const struct pxfs_pointer *pointer, uint32_t bad, const uint8_t *sound)
{
	for (uint32_t copy = 0; copy < 2; copy++) {
		if ((bad >> copy & 1) == 0)
			continue;
		scrub->report->damaged++;
		if ((scrub->flags & PXFS_SCRUB_REPAIR) != 0 && node_copy_write(scrub->volume, pointer, copy, sound))
			scrub->report->repaired++;
	}
}

// The step before came through it.
static bool is_met(const struct scrub *scrub, const struct pxfs_pointer *pointer)
{
	for (uint32_t i = 0; i < PXFS_LEVELS_MAX; i++)
		if (scrub->levels[i].old && scrub->levels[i].address == le64_get(&pointer->address[0]))
			return true;
	return false;
}

// Both copies, then the node itself, which may be in memory where no copy is sound. NULL: it is lost.
static err_t node_open(struct scrub *scrub, const struct pxfs_tree *tree, const struct pxfs_pointer *pointer,
		       uint32_t level, struct pxfs_node **out)
{
	struct pxfs_volume *volume = scrub->volume;
	uint64_t outside = volume->sectors - node_sectors(volume), address = le64_get(&pointer->address[0]);
	uint32_t copies = le64_get(&pointer->address[1]) != 0 ? 2 : 1, all = (1u << copies) - 1, bad = 0;
	bool old = le64_get(&pointer->birth) < scrub->born_before && !is_met(scrub, pointer);
	err_t err = 0;

	*out = NULL;
	if (address > outside || le64_get(&pointer->address[1]) > outside)
		err = ERR(EBADMSG);
	if (err == 0 && old)
		bad = node_copies_read(volume, pointer, level, scrub->nodes);
	if (err == 0 && bad != 0 && bad != all)
		copies_repair(scrub, pointer, bad, scrub->nodes[bad == 1 ? 1 : 0]);
	if (err == 0)
		err = node_get(volume, pointer, tree->id, level, out);
	if (err == 0 && bad == all)
		copies_repair(scrub, pointer, bad, (*out)->bytes);
	scrub->report->nodes += old;
	if (err == 0 || err == -ENOMEM)
		return err;
	scrub->report->lost_nodes++;
	scrub_say(scrub, "tree %llu: the node at sector %llu is lost, and what lies below it",
		  (unsigned long long)scrub->tree, (unsigned long long)address);
	return 0;
}

// What comes before the cursor has been looked at where it lay before: leaves are joined meanwhile.
static err_t leaf_take(struct scrub *scrub, const struct pxfs_node *leaf, const struct pxfs_where *cursor)
{
	uint32_t count = node_count(leaf);

	scrub->extent_count = 0;
	if (scrub->tree < PXFS_TREE_SUBVOLUME)
		return 0;
	if (count > scrub->extent_room) {
		kfree(scrub->extents);
		scrub->extents = kmalloc_array(count, sizeof *scrub->extents, 0);
		scrub->extent_room = scrub->extents == NULL ? 0 : count;
	}
	if (count > scrub->extent_room)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < count; i++) {
		const struct pxfs_item *item = &node_items(leaf)[i];
		struct pxfs_where where = where_of(&item->key);
		if (item->key.type != PXFS_EXTENT || le32_get(&item->size) != sizeof(struct pxfs_extent) ||
		    where_compare(&where, cursor) < 0)
			continue;
		struct scrub_extent *to = &scrub->extents[scrub->extent_count++];
		to->where = where;
		memcpy(&to->extent, leaf->bytes + le32_get(&item->at), sizeof to->extent);
	}
	return 0;
}

// A way down, and where what comes behind its end begins.
struct descent {
	struct pxfs_node *nodes[PXFS_LEVELS_MAX];
	uint32_t slots[PXFS_LEVELS_MAX], top, bottom; // levels: of the root, of the last node that was opened
	bool skipped, whole;                          // it ends above the leaves: all below is done, or lost
	bool has_next;
	struct pxfs_where next;
};

static uint32_t slot_of(const struct pxfs_node *node, const struct pxfs_where *where)
{
	const struct pxfs_child *children = node_children(node);
	uint32_t slot = 0;

	while (slot + 1 < node_count(node)) {
		struct pxfs_where next = where_of(&children[slot + 1].key);
		if (where_compare(&next, where) > 0)
			break;
		slot++;
	}
	return slot;
}

static err_t descend(struct scrub *scrub, const struct pxfs_tree *tree, const struct pxfs_where *cursor,
		     struct descent *way)
{
	const struct pxfs_pointer *pointer = &tree->root;
	uint32_t level = UINT32_MAX;
	err_t err = 0;

	for (;;) {
		struct pxfs_node *node = NULL;
		way->skipped = is_done(scrub, pointer, &way->whole);
		if (way->skipped)
			return 0;
		err = node_open(scrub, tree, pointer, level, &node);
		way->skipped = node == NULL;
		if (err != 0 || node == NULL)
			return err;
		level = node_level(node);
		way->top = way->nodes[way->top] == NULL ? level : way->top;
		way->bottom = level;
		way->nodes[level] = node;
		way->slots[level] = level == 0 ? 0 : slot_of(node, cursor);
		if (level == 0)
			return 0;
		uint32_t next = way->slots[level] + 1;
		if (next < node_count(node)) {
			way->has_next = true;
			way->next = where_of(&node_children(node)[next].key);
		}
		pointer = &node_children(node)[way->slots[level]].pointer;
		level--;
	}
}

// One leaf, or something above that need not, or cannot, be looked into. *more: *cursor is where to go on.
static err_t tree_step(struct scrub *scrub, const struct pxfs_tree *tree, struct pxfs_where *cursor, bool *more,
		       bool *whole)
{
	struct descent way = {.top = 0};
	err_t err = descend(scrub, tree, cursor, &way);
	bool opened = way.nodes[way.top] != NULL;

	scrub->extent_count = 0;
	scrub->level_count = opened ? way.top + 1 : 0;
	for (uint32_t i = way.bottom; err == 0 && opened && i <= way.top; i++)
		level_set(scrub, i, way.nodes[i], way.slots[i], i == 0 ? 1 : node_count(way.nodes[i]));
	if (err == 0 && !way.skipped)
		err = leaf_take(scrub, way.nodes[0], cursor);
	for (uint32_t i = 0; i < PXFS_LEVELS_MAX; i++)
		if (way.nodes[i] != NULL)
			node_put(scrub->volume, way.nodes[i]);
	if (err != 0)
		return err;
	*whole = !way.skipped || way.whole;
	*more = way.has_next;
	*cursor = way.next;
	scrub->level_from = way.bottom;
	return 0;
}

static err_t tree_scrub(struct scrub *scrub, uint64_t id)
{
	struct pxfs_where cursor = {0, 0, 0};
	bool more = true, whole = false;
	err_t err = 0;

	scrub->tree = id;
	memset(scrub->levels, 0, sizeof scrub->levels);
	while (err == 0 && more && scrub_goes_on(scrub)) {
		struct pxfs_tree *tree = NULL;
		more = false;
		err = scrub_enter(scrub, &tree);
		if (tree == NULL)
			break;
		scrub->level_count = scrub->extent_count = 0;
		if (!pointer_is_null(&tree->root))
			err = tree_step(scrub, tree, &cursor, &more, &whole);
		scrub_leave(scrub, tree);
		bool read = true;
		if (err == 0)
			err = scrub_extents(scrub, &read);
		if (err == 0)
			levels_finish(scrub, whole && read);
	}
	scrub_lost_say(scrub);
	bits_free(scrub, scrub->seen);
	return err;
}

// ---- the whole --------------------------------------------------------------------------------------------------------------------

static err_t subvolume_next(struct pxfs_volume *volume, uint64_t *id, bool *there)
{
	struct pxfs_subvolume *item = kmalloc(sizeof *item, 0);
	err_t err = item == NULL ? ERR(ENOMEM) : 0;

	rwlock_read_lock(&volume->epoch);
	do {
		if (err == 0)
			err = subvol_next(volume, id, item);
	} while (err == 0 && !is_whole(item));
	rwlock_read_unlock(&volume->epoch);
	kfree(item);
	*there = err == 0;
	return err == -ENOENT ? 0 : err;
}

static err_t volume_scrub(struct scrub *scrub)
{
	struct pxfs_volume *volume = scrub->volume;
	struct super_slots slots;
	uint64_t id = 0;
	bool there = true;

	rwlock_read_lock(&volume->epoch); // nobody writes a superblock
	err_t err = super_slots_check(volume, (scrub->flags & PXFS_SCRUB_REPAIR) != 0 && !volume->read_only, &slots);
	rwlock_read_unlock(&volume->epoch);
	if (err == 0) {
		scrub->report->damaged += slots.bad;
		scrub->report->repaired += slots.repaired;
	}
	for (uint32_t i = 0; i < 3 && err == 0; i++)
		err = tree_scrub(scrub, PXFS_TREE_ROOT + i);
	while (err == 0 && !scrub->report->stopped) {
		err = subvolume_next(volume, &id, &there);
		if (err != 0 || !there)
			break;
		err = tree_scrub(scrub, id);
	}
	return err;
}

static err_t scrub_make(struct scrub *scrub)
{
	struct pxfs_volume *volume = scrub->volume;
	struct pxfs_pointer nothing = {.birth = {{0}}};

	tree_init(&scrub->closed, volume, PXFS_TREE_SUBVOLUME, &nothing);
	scrub->nodes[0] = kmalloc(node_bytes(volume), 0);
	scrub->nodes[1] = kmalloc(node_bytes(volume), 0);
	scrub->data = range_alloc(scrub_data_bytes(), 0, NULL);
	rwlock_read_lock(&volume->epoch);
	scrub->born_before = volume->generation;
	mutex_lock(&volume->space.lock);
	scrub->regions = volume->space.region_count;
	scrub->report->bytes_used = volume->space.used_sectors << SECTOR_SHIFT;
	mutex_unlock(&volume->space.lock);
	rwlock_read_unlock(&volume->epoch);
	scrub->done = kmalloc_array(scrub->regions, sizeof *scrub->done, MEM_ZERO);
	scrub->seen = kmalloc_array(scrub->regions, sizeof *scrub->seen, MEM_ZERO);
	bool all = scrub->nodes[0] != NULL && scrub->nodes[1] != NULL && scrub->data != NULL && scrub->done != NULL &&
		   scrub->seen != NULL;
	return all ? 0 : ERR(ENOMEM);
}

static void scrub_free(struct scrub *scrub)
{
	bits_free(scrub, scrub->done);
	bits_free(scrub, scrub->seen);
	kfree(scrub->done);
	kfree(scrub->seen);
	kfree(scrub->extents);
	kfree(scrub->nodes[0]);
	kfree(scrub->nodes[1]);
	if (scrub->data != NULL)
		range_free(scrub->data);
	tree_fini(&scrub->closed);
	kfree(scrub);
}

err_t pxfs_scrub(const char *where, uint32_t flags, const struct pxfs_scrub_calls *calls,
		 struct pxfs_scrub_report *report, const char **problem)
{
	struct scrub *scrub = kmalloc(sizeof *scrub, MEM_ZERO);
	bool repair = (flags & PXFS_SCRUB_REPAIR) != 0;

	*report = (struct pxfs_scrub_report){.nodes = 0};
	*problem = NULL;
	if (scrub == NULL)
		return ERR(ENOMEM);
	err_t err = volume_use(where, !repair, &scrub->volume, problem);
	if (err != 0) {
		kfree(scrub);
		return err;
	}
	struct pxfs_volume *volume = scrub->volume;
	scrub->shared = !volume_is_left(volume);
	scrub->flags = flags;
	scrub->calls = calls;
	scrub->report = report;
	if (volume_commit(volume) != 0) // what is only in memory yet is looked at too
		log_warn("pxfs: %s: a scrub begins without what could not be written", block_name(volume->device));
	if (!scrub->shared) // opening has read some nodes, and the superblocks
		report->repaired = __atomic_load_n(&volume->errors_repaired, __ATOMIC_RELAXED) -
				   le64_get(&volume->super.errors_repaired);
	report->damaged = report->repaired;
	err = scrub_make(scrub);
	if (err == 0)
		err = volume_scrub(scrub);
	scrub_free(scrub);
	err_t closed = volume_unuse(volume);
	return err != 0 ? err : closed;
}
