// SPDX-License-Identifier: MIT
//
// The checker: putting right what it has found. While it looks, what can be mended is noted; afterwards the space map in memory becomes what was claimed, so that nodes
// can be taken, the notes are carried out, and a checkpoint makes it a generation. Then all is looked at anew, because one thing leads to the next: a name that is taken
// away leaves a count. Where a node could not be read nobody knows what was below it, nor which sectors that had: nothing is put right then.
#include "check_impl.h"

#include "kern/fmt.h"
#include "kern/timer.h"

#define FIXES_MAX 65536u // of one pass; the rest is for the next one
#define LOST_NAME "lost+found"

err_t check_fix(struct check *check, enum check_fix_kind kind, const struct pxfs_where *where, uint64_t value)
{
	bool shared = check->subvol != NULL && (le64_get(&check->subvol->item.flags) & PXFS_SUBVOLUME_SNAPSHOT) != 0;

	if ((check->flags & PXFS_CHECK_REPAIR) == 0 || check->fix_count == FIXES_MAX)
		return 0;
	if (shared && kind != CHECK_FIX_REFERENCES) // others have its nodes
		return 0;
	if (check->fix_count == check->fix_room) {
		uint32_t room = check->fix_room * 2 + 64;
		struct check_fix *more = krealloc(check->fixes, room * sizeof *more, 0);
		if (more == NULL)
			return ERR(ENOMEM);
		check->fixes = more;
		check->fix_room = room;
	}
	check->fixes[check->fix_count++] =
		(struct check_fix){.kind = kind,
				   .subvolume = check->subvol == NULL ? 0 : check->subvol->id,
				   .where = *where,
				   .value = value};
	return 0;
}

// ---- a subvolume that is mended -------------------------------------------------------------------------------------------------------

struct mend {
	struct check *check;
	struct pxfs_volume *volume;
	struct pxfs_subvol *subvol; // NULL: none is open
	uint64_t lost_dir;          // lost+found of it; 0: not looked for yet
	uint32_t done;
};

static err_t subvol_end(struct mend *mend)
{
	if (mend->subvol == NULL)
		return 0;
	struct pxfs_subvol *subvol = mend->subvol;
	mend->subvol = NULL;
	mend->lost_dir = 0;
	subvol->changed = true;
	rwlock_write_lock(&mend->volume->epoch);
	err_t err = volume_checkpoint(mend->volume);
	subvol_close(subvol);
	rwlock_write_unlock(&mend->volume->epoch);
	return err;
}

// One that the log has been replayed into is open already, and nobody's.
static err_t subvol_begin(struct mend *mend, uint64_t id)
{
	struct pxfs_subvolume *item = NULL;

	if (mend->subvol != NULL && mend->subvol->id == id)
		return 0;
	err_t err = subvol_end(mend);
	if (err != 0)
		return err;
	mend->subvol = subvol_in_use(mend->volume, id);
	if (mend->subvol != NULL) {
		mend->subvol->users++;
		return 0;
	}
	item = kmalloc(sizeof *item, 0);
	err = item == NULL ? ERR(ENOMEM) : subvol_item_get(mend->volume, id, item);
	if (err == 0)
		mend->subvol = subvol_make(mend->volume, id, item);
	kfree(item);
	return err == 0 && mend->subvol == NULL ? ERR(ENOMEM) : err;
}

static err_t item_get(struct mend *mend, uint64_t ino, struct pxfs_inode *item)
{
	struct pxfs_where where = {ino, PXFS_INODE, 0};
	uint32_t size = sizeof *item;
	err_t err = tree_get(&mend->subvol->tree, &where, item, &size);

	return err == 0 && size != sizeof *item ? ERR(EUCLEAN) : err;
}

static err_t item_put(struct mend *mend, uint64_t ino, const struct pxfs_inode *item)
{
	return tree_put(&mend->subvol->tree, &(struct pxfs_where){ino, PXFS_INODE, 0}, item, sizeof *item);
}

// ---- lost and found ---------------------------------------------------------------------------------------------------------------------

// The first place of the name's hash that is free, or that the name has: *ino is what it leads to, or 0.
static err_t name_place(struct mend *mend, uint64_t dir, const char *name, struct pxfs_where *where, uint64_t *ino)
{
	uint32_t size = (uint32_t)strlen(name);
	uint64_t hash = checksum_xxh3(name, size, mend->volume->hash_seed) >> 9;
	uint8_t found[sizeof(struct pxfs_dirent) + PXFS_NAME_MAX];
	const struct pxfs_dirent *entry = (const struct pxfs_dirent *)found;

	*ino = 0;
	for (uint32_t slot = 0; slot < 256; slot++) {
		uint32_t room = sizeof found;
		*where = (struct pxfs_where){dir, PXFS_DIRENT, MAX(hash, 1ull) << 8 | slot};
		err_t err = tree_get(&mend->subvol->tree, where, found, &room);
		if (err == 0 && room == sizeof *entry + size && memcmp(entry + 1, name, size) == 0)
			*ino = le64_get(&entry->inode);
		if (err == -ENOENT || *ino != 0)
			return 0;
		if (err != 0)
			return err;
	}
	return ERR(ENOSPC);
}

static err_t name_put(struct mend *mend, const struct pxfs_where *where, const char *name, uint64_t ino,
		      const struct pxfs_inode *item)
{
	uint8_t buffer[sizeof(struct pxfs_dirent) + PXFS_NAME_MAX];
	struct pxfs_dirent *entry = (struct pxfs_dirent *)buffer;
	uint32_t size = (uint32_t)strlen(name);

	*entry = (struct pxfs_dirent){.kind = (uint8_t)(le32_get(&item->mode) >> 12), .size = (uint8_t)size};
	le64_put(&entry->inode, ino);
	le32_put(&entry->generation, (uint32_t)le64_get(&item->generation));
	memcpy(entry + 1, name, size);
	return tree_put(&mend->subvol->tree, where, buffer, (uint32_t)sizeof *entry + size);
}

static err_t lost_dir_make(struct mend *mend, const struct pxfs_where *where)
{
	struct pxfs_subvolume *subvolume = &mend->subvol->item;
	struct pxfs_inode item;
	struct tb_time now = time_now();
	uint64_t ino = le64_get(&subvolume->next_inode);
	err_t err = item_get(mend, PXFS_ROOT_INO, &item);

	if (err != 0)
		return err;
	le64_put(&subvolume->next_inode, ino + 1);
	le64_put(&item.generation, mend->volume->generation);
	le64_put(&item.parent, PXFS_ROOT_INO);
	le64_put(&item.entries, 0);
	le32_put(&item.mode, TB_S_IFDIR | 0700);
	le32_put(&item.uid, 0);
	le32_put(&item.gid, 0);
	le32_put(&item.links, 2);
	le64_put(&item.btime_s, (uint64_t)now.seconds);
	item.atime_s = item.mtime_s = item.ctime_s = item.btime_s;
	err = item_put(mend, ino, &item);
	if (err == 0)
		err = name_put(mend, where, LOST_NAME, ino, &item);
	if (err == 0)
		mend->lost_dir = ino;
	return err;
}

static err_t lost_dir_find(struct mend *mend)
{
	struct pxfs_where where;
	struct pxfs_inode item;
	uint64_t ino = 0;

	if (mend->lost_dir != 0)
		return 0;
	err_t err = name_place(mend, PXFS_ROOT_INO, LOST_NAME, &where, &ino);
	if (err == 0 && ino == 0)
		return lost_dir_make(mend, &where);
	if (err == 0)
		err = item_get(mend, ino, &item);
	if (err == 0 && (le32_get(&item.mode) & TB_S_IFMT) != TB_S_IFDIR)
		err = ERR(ENOTDIR);
	if (err == 0)
		mend->lost_dir = ino;
	return err;
}

// Links and entries are counted again in the next pass.
static err_t lost_name(struct mend *mend, uint64_t ino)
{
	struct pxfs_where where;
	struct pxfs_inode item;
	uint64_t there = 0;
	char name[24];
	err_t err = lost_dir_find(mend);

	ksnprintf(name, sizeof name, "#%llu", (unsigned long long)ino);
	if (err == 0)
		err = item_get(mend, ino, &item);
	if (err == 0)
		err = name_place(mend, mend->lost_dir, name, &where, &there);
	if (err != 0 || there == ino)
		return err;
	if (there != 0)
		return ERR(EEXIST);
	if ((le32_get(&item.mode) & TB_S_IFMT) == TB_S_IFDIR) {
		le64_put(&item.parent, mend->lost_dir);
		err = item_put(mend, ino, &item);
	}
	return err == 0 ? name_put(mend, &where, name, ino, &item) : err;
}

// ---- carrying out -------------------------------------------------------------------------------------------------------------------------

static err_t count_set(struct mend *mend, const struct check_fix *fix)
{
	struct pxfs_inode item;
	err_t err = item_get(mend, fix->where.object, &item);

	if (err != 0)
		return err;
	if (fix->kind == CHECK_FIX_LINKS)
		le32_put(&item.links, (uint32_t)fix->value);
	else
		le64_put(&item.entries, fix->value);
	return item_put(mend, fix->where.object, &item);
}

static err_t kind_set(struct mend *mend, const struct check_fix *fix)
{
	uint8_t buffer[sizeof(struct pxfs_dirent) + PXFS_NAME_MAX];
	uint32_t size = sizeof buffer;
	err_t err = tree_get(&mend->subvol->tree, &fix->where, buffer, &size);

	if (err != 0)
		return err;
	((struct pxfs_dirent *)buffer)->kind = (uint8_t)fix->value;
	return tree_put(&mend->subvol->tree, &fix->where, buffer, size);
}

static err_t references_set(struct mend *mend, const struct check_fix *fix)
{
	struct pxfs_tree *tree = &mend->volume->refs_tree;
	struct pxfs_refs refs = {.count = {{0}}};
	struct pxfs_where where = {fix->where.object, PXFS_REFS, 0};
	uint32_t size = sizeof refs;
	err_t err = tree_get(tree, &where, &refs, &size);

	if (err != 0 && err != -ENOENT)
		return err;
	if (fix->value < 2)
		return err == 0 ? tree_take(tree, &where) : 0;
	le32_put(&refs.count, (uint32_t)fix->value);
	le32_put(&refs.sectors, (uint32_t)fix->where.offset);
	if (err == -ENOENT)
		le64_put(&refs.birth, mend->volume->generation);
	return tree_put(tree, &where, &refs, sizeof refs);
}

static const char *const fix_names[] = {[CHECK_FIX_TAKE] = "the item is taken away",
					[CHECK_FIX_KIND] = "the name's kind is set",
					[CHECK_FIX_LINKS] = "its links are counted anew",
					[CHECK_FIX_ENTRIES] = "its names are counted anew",
					[CHECK_FIX_ORPHAN] = "it will be taken apart when the volume is mounted",
					[CHECK_FIX_NAMED] = "it is not taken apart",
					[CHECK_FIX_LOST] = "it is in lost+found now",
					[CHECK_FIX_REFERENCES] = "its references are counted anew",
					[CHECK_FIX_PROMISED] = "what its subvolume promises is counted anew"};

static err_t fix_do(struct mend *mend, const struct check_fix *fix)
{
	struct pxfs_where orphan = {0, PXFS_ORPHAN, fix->where.object};
	uint64_t ino = fix->where.object;
	err_t err = fix->kind == CHECK_FIX_REFERENCES ? 0 : subvol_begin(mend, fix->subvolume);

	if (err != 0)
		return err;
	switch ((enum check_fix_kind)fix->kind) {
	case CHECK_FIX_TAKE:
		return tree_take(&mend->subvol->tree, &fix->where);
	case CHECK_FIX_KIND:
		return kind_set(mend, fix);
	case CHECK_FIX_LINKS:
	case CHECK_FIX_ENTRIES:
		return count_set(mend, fix);
	case CHECK_FIX_ORPHAN:
		return tree_put(&mend->subvol->tree, &orphan, &ino, 0);
	case CHECK_FIX_NAMED:
		return tree_take(&mend->subvol->tree, &orphan);
	case CHECK_FIX_LOST:
		return lost_name(mend, ino);
	case CHECK_FIX_REFERENCES:
		return references_set(mend, fix);
	case CHECK_FIX_PROMISED:
		le64_put(&mend->subvol->item.promised, fix->value);
		return 0;
	}
	return ERR(EINVAL);
}

static void fix_tell(struct mend *mend, const struct check_fix *fix, err_t err)
{
	bool extent = fix->kind == CHECK_FIX_REFERENCES;

	if (err == 0)
		check_tell(mend->check, "mended: %s %llu: %s", extent ? "the extent at sector" : "inode",
			   (unsigned long long)fix->where.object, fix_names[fix->kind]);
	else
		check_tell(mend->check, "not mended: %s %llu: %s", extent ? "the extent at sector" : "inode",
			   (unsigned long long)fix->where.object, err_text(err));
	mend->done += err == 0;
}

// ---- space ----------------------------------------------------------------------------------------------------------------------------------

// What is claimed is used, what is not is free.
static void region_mend(struct mend *mend, uint32_t index)
{
	struct pxfs_region *region = &mend->volume->space.regions[index];
	const uint64_t *claims = mend->check->claims[index];
	uint32_t used = 0, changed = 0;

	for (uint32_t i = 0; i < PXFS_REGION_SECTORS / 64; i++) {
		uint64_t wanted = claims == NULL ? 0 : claims[i];
		changed += wanted != region->bits[i];
		region->bits[i] = wanted;
		used += bit_count_u32((uint32_t)wanted) + bit_count_u32((uint32_t)(wanted >> 32));
	}
	if (changed == 0 && used == region->used)
		return;
	mend->volume->space.used_sectors += used;
	mend->volume->space.used_sectors -= region->used;
	region->used = used;
	region->flags |= PXFS_REGION_CHANGED;
	region->no_run = 0;
	mend->done++;
}

// A map that cannot be read, or does not fit its count, is made from what is claimed.
static err_t space_mend(struct mend *mend)
{
	struct pxfs_volume *volume = mend->volume;
	err_t err = 0;

	mutex_lock(&volume->space.lock);
	for (uint32_t i = 0; i < volume->space.region_count && err == 0; i++) {
		struct pxfs_region *region = &volume->space.regions[i];
		if (mend->check->claims[i] == NULL && region->used == 0)
			continue;
		if (region->bits == NULL && region_load(volume, i) != 0) {
			region->bits = kmalloc(PXFS_REGION_SECTORS / 8, MEM_ZERO);
			err = region->bits == NULL ? ERR(ENOMEM) : 0;
		}
		if (err == 0)
			region_mend(mend, i);
		region_learn(volume, i);
	}
	if (mend->check->promised != volume->space.promised_sectors) {
		volume->space.promised_sectors = mend->check->promised;
		mend->done++;
	}
	mutex_unlock(&volume->space.lock);
	return err;
}

err_t check_repair(struct check *check, uint32_t *done)
{
	struct mend mend = {.check = check, .volume = check->volume};
	struct pxfs_volume *volume = check->volume;
	err_t end = 0;

	*done = 0;
	if (check->twice || check->blind) { // who writes might write over something
		check_tell(check, check->twice ? "two things lie in one place: nothing is put right"
					       : "not everything could be read: nothing is put right");
		return 0;
	}
	err_t err = space_mend(&mend);
	if (err == 0)
		err = space_advance(volume);
	for (uint32_t i = 0; i < check->fix_count && err == 0; i++) {
		err_t one = fix_do(&mend, &check->fixes[i]);
		fix_tell(&mend, &check->fixes[i], one);
		if (one == -ENOMEM || atomic_load_u32_acquire(&volume->failed) != 0)
			err = one;
	}
	end = subvol_end(&mend);
	err = err != 0 ? err : end;
	if (err == 0 && mend.done != 0) {
		rwlock_write_lock(&volume->epoch);
		err = volume_checkpoint(volume);
		rwlock_write_unlock(&volume->epoch);
	}
	*done = err == 0 ? mend.done : 0;
	return err;
}
