// SPDX-License-Identifier: MIT
//
// The checker: subvolumes, snapshots and clones, how they hang together, and the lists of what is dead.
#include "check_impl.h"

static bool has_flag(const struct check_subvol *subvol, enum pxfs_subvolume_flags flag)
{
	return (le64_get(&subvol->item.flags) & (uint64_t)flag) != 0;
}

static struct check_subvol *subvol_of(struct check *check, uint64_t id)
{
	for (uint64_t i = 0; i < check->subvol_count; i++)
		if (check->subvols[i].id == id)
			return &check->subvols[i];
	return NULL;
}

static err_t subvols_find(struct check *check)
{
	struct pxfs_subvolume item;
	uint64_t id = 0;
	err_t err = 0;

	while (err == 0) {
		err = subvol_next(check->volume, &id, &item);
		if (err == 0)
			err = check_table_grow((void **)&check->subvols, check->subvol_count, &check->subvol_room,
					       sizeof *check->subvols);
		if (err == 0)
			check->subvols[check->subvol_count++] = (struct check_subvol){.id = id, .item = item};
		if (err == -EUCLEAN) {
			check_say(check, "the item of subvolume %llu is damaged", (unsigned long long)id);
			err = 0;
		}
	}
	if (err == -ENOENT && check->subvol_count == 0)
		check_say(check, "the volume has no subvolume");
	return err == -ENOENT ? 0 : err;
}

// ---- how they hang together ---------------------------------------------------------------------------------------------------

static uint64_t branch_of(const struct check_subvol *subvol)
{
	return has_flag(subvol, PXFS_SUBVOLUME_SNAPSHOT) ? le64_get(&subvol->item.parent) : subvol->id;
}

// Branches that began with the snapshot.
static uint64_t clones_count(const struct check *check, uint64_t id)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < check->subvol_count; i++) {
		const struct check_subvol *subvol = &check->subvols[i];
		bool first = le64_get(&subvol->item.origin) == id;
		for (uint64_t j = 0; j < i && first; j++)
			first = branch_of(&check->subvols[j]) != branch_of(subvol);
		count += first;
	}
	return count;
}

static void links_judge(struct check *check, struct check_subvol *subvol)
{
	uint64_t previous = le64_get(&subvol->item.previous), origin = le64_get(&subvol->item.origin);
	const struct check_subvol *before = subvol_of(check, previous), *from = subvol_of(check, origin);
	uint64_t clones = clones_count(check, subvol->id);
	unsigned long long id = subvol->id;

	if (previous != 0 && (before == NULL || before == subvol) && !has_flag(subvol, PXFS_SUBVOLUME_LAST))
		check_say(check, "subvolume %llu comes behind %llu, which is not there", id,
			  (unsigned long long)previous);
	if (origin != 0 && (from == NULL || le64_get(&from->item.created) != le64_get(&subvol->item.origin_created)))
		check_say(check, "subvolume %llu began with %llu, which is not there, or another", id,
			  (unsigned long long)origin);
	if (clones != le64_get(&subvol->item.users))
		check_say(check, "snapshot %llu has %llu clones, and says %llu", id, (unsigned long long)clones,
			  (unsigned long long)le64_get(&subvol->item.users));
}

// ---- their trees --------------------------------------------------------------------------------------------------------------

static bool may_come(struct check *check, const struct check_subvol *subvol)
{
	const struct check_subvol *before = subvol_of(check, le64_get(&subvol->item.previous));
	const struct check_subvol *from = subvol_of(check, le64_get(&subvol->item.origin));

	return (before == NULL || before->done) && (from == NULL || from->done);
}

// One that is going by its neighbour's lists has no tree any more; one that is going by its tree has only what is its own.
static err_t tree_look(struct check *check, struct check_subvol *subvol)
{
	err_t err = 0;

	check->subvol = subvol;
	check->shared = le64_get(&subvol->item.last_shared);
	if (has_flag(subvol, PXFS_SUBVOLUME_GOING))
		err = 0;
	else if (has_flag(subvol, PXFS_SUBVOLUME_LAST))
		err = check_own_files(check, &subvol->item.root, subvol->id);
	else
		err = check_files(check, &subvol->item.root, subvol->id);
	check->shared = 0;
	subvol->done = true;
	if (err != 0 || has_flag(subvol, PXFS_SUBVOLUME_SNAPSHOT) || has_flag(subvol, PXFS_SUBVOLUME_LAST))
		return err;
	check->promised += subvol->promised;
	if (subvol->promised == le64_get(&subvol->item.promised))
		return 0;
	check_say(check, "subvolume %llu: %llu sectors are promised in it, and it says %llu",
		  (unsigned long long)subvol->id, (unsigned long long)subvol->promised,
		  (unsigned long long)le64_get(&subvol->item.promised));
	return check_fix(check, CHECK_FIX_PROMISED, &(struct pxfs_where){PXFS_ROOT_INO, 0, 0}, subvol->promised);
}

static err_t trees_look(struct check *check)
{
	bool some = true;
	err_t err = 0;

	while (some && err == 0) {
		some = false;
		for (uint64_t i = 0; i < check->subvol_count && err == 0; i++)
			if (!check->subvols[i].done && may_come(check, &check->subvols[i])) {
				some = true;
				err = tree_look(check, &check->subvols[i]);
			}
	}
	for (uint64_t i = 0; i < check->subvol_count && err == 0; i++)
		if (!check->subvols[i].done) {
			check_say(check, "subvolume %llu comes behind itself",
				  (unsigned long long)check->subvols[i].id);
			err = tree_look(check, &check->subvols[i]);
		}
	return err;
}

// ---- what is dead ---------------------------------------------------------------------------------------------------------------

// The going one that comes before it, whose own what was born behind `last_shared` was.
static const struct check_subvol *going_before(struct check *check, const struct check_subvol *subvol)
{
	const struct check_subvol *before = subvol_of(check, le64_get(&subvol->item.previous));

	return before != NULL && has_flag(before, PXFS_SUBVOLUME_GOING) ? before : NULL;
}

static err_t range_look(struct check *check, const struct check_subvol *subvol, const struct pxfs_range *range)
{
	uint64_t address = le64_get(&range->address), birth = le64_get(&range->birth);
	uint32_t sectors = le32_get(&range->sectors);
	bool own = birth > le64_get(&subvol->item.last_shared); // of one that is going
	bool node = range->kind == PXFS_RANGE_NODE;

	if (own && going_before(check, subvol) == NULL)
		check_say(check, "subvolume %llu: sector %llu is noted as dead and was its own",
			  (unsigned long long)subvol->id, (unsigned long long)address);
	if (!node)
		return check_reference_add(check, address, sectors, own);
	if (own)
		return check_claim(check, address, sectors, "a node of a snapshot that goes");
	if (address >= check->volume->sectors || !check_is_claimed(check, address))
		check_say(check, "subvolume %llu: the node at sector %llu is noted as dead and nobody has it",
			  (unsigned long long)subvol->id, (unsigned long long)address);
	return 0;
}

static struct check_subvol *subvol_of_list(struct check *check, uint64_t list)
{
	for (uint64_t i = 0; i < check->subvol_count; i++)
		if (le64_get(&check->subvols[i].item.dead_list) == list)
			return &check->subvols[i];
	return NULL;
}

static err_t list_look(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	const struct pxfs_range *ranges = (const struct pxfs_range *)data;
	const struct check_subvol *subvol = NULL;
	err_t err = 0;

	if (where->type != PXFS_DEAD)
		return 0;
	subvol = subvol_of_list(check, where->object);
	if (subvol == NULL || where->offset >= le64_get(&subvol->item.dead_next) || size % sizeof *ranges != 0) {
		check_say(check, "list %llu of what is dead is nobody's", (unsigned long long)where->object);
		return 0;
	}
	if (has_flag(subvol, PXFS_SUBVOLUME_LAST)) // who had these has them again
		return 0;
	for (uint32_t i = 0; i < size / sizeof *ranges && err == 0; i++)
		err = range_look(check, subvol, &ranges[i]);
	return err;
}

err_t check_subvolumes(struct check *check)
{
	err_t err = subvols_find(check);

	for (uint64_t i = 0; i < check->subvol_count && err == 0; i++)
		links_judge(check, &check->subvols[i]);
	if (err == 0)
		err = trees_look(check);
	if (err == 0)
		err = check_tree(check, &check->volume->root_tree.root, PXFS_TREE_ROOT, false, list_look);
	return err;
}
