// SPDX-License-Identifier: MIT
//
// The checker: inodes, names, extents of a subvolume, and the tree of references.
#include "check_impl.h"

// ---- tables -----------------------------------------------------------------------------------------------------------------------

err_t check_table_grow(void **table, uint64_t count, uint64_t *room, size_t size_bytes)
{
	if (count < *room)
		return 0;
	uint64_t wanted = *room * 2 + 256;
	void *more = krealloc(*table, wanted * size_bytes, 0);
	if (more == NULL)
		return ERR(ENOMEM);
	*table = more;
	*room = wanted;
	return 0;
}

static struct check_inode *inode_find(struct check *check, uint64_t ino)
{
	return numbered_find(check->inodes, check->inode_count, sizeof *check->inodes, ino);
}

// ---- first: inodes and extents ------------------------------------------------------------------------------------------------------

static err_t inode_take(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	const struct pxfs_inode *item = (const struct pxfs_inode *)data;

	if (size != sizeof *item || where->offset != 0) {
		check_say(check, "inode %llu: its item has an impossible size or place",
			  (unsigned long long)where->object);
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	err_t err = check_table_grow((void **)&check->inodes, check->inode_count, &check->inode_room,
				     sizeof *check->inodes);
	if (err != 0)
		return err;
	check->inodes[check->inode_count++] = (struct check_inode){.ino = where->object,
								   .mode = le32_get(&item->mode),
								   .links = le32_get(&item->links),
								   .entries = le64_get(&item->entries)};
	check->report->inodes++;
	if (le64_get(&item->size) > INT64_MAX)
		check_say(check, "inode %llu: its size is impossible", (unsigned long long)where->object);
	return 0;
}

static err_t data_read(struct check *check, const struct pxfs_where *where, const struct pxfs_extent *extent)
{
	struct pxfs_codec *codec = codec_take(check->volume, false);
	err_t err = codec_read(codec, check->volume, extent);

	codec_give(check->volume, codec);
	if (err == -EIO) {
		check->report->data_errors++;
		check_say(check, "inode %llu: its data at %llu, sector %llu, are not what was written",
			  (unsigned long long)where->object, (unsigned long long)where->offset,
			  (unsigned long long)le64_get(&extent->address));
		err = 0;
	}
	return err;
}

static err_t extent_take(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	const struct pxfs_extent *extent = (const struct pxfs_extent *)data;

	if (size != sizeof *extent || !extent_is_sound(check->volume, where->offset, extent)) {
		check_say(check, "inode %llu: what it has at %llu is no extent", (unsigned long long)where->object,
			  (unsigned long long)where->offset);
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	if (le64_get(&extent->address) == 0) {
		check->subvol->promised += le32_get(&extent->length) / SECTOR_SIZE;
		return 0;
	}
	if (check->leaf_is_shared)
		return 0;
	bool own = le64_get(&extent->reference_birth) > check->shared;
	if (!own && check->own_only) // whose it was may have gone
		return 0;
	check->report->extents += own;
	err_t err = check_reference_add(check, le64_get(&extent->address),
					DIV_ROUND_UP(le32_get(&extent->stored), SECTOR_SIZE), own);
	return err == 0 && own && (check->flags & PXFS_CHECK_DATA) != 0 ? data_read(check, where, extent) : err;
}

err_t check_reference_add(struct check *check, uint64_t address, uint32_t sectors, uint32_t count)
{
	err_t err = check_table_grow((void **)&check->extents, check->extent_count, &check->extent_room,
				     sizeof *check->extents);

	if (err == 0)
		check->extents[check->extent_count++] =
			(struct check_extent){.address = address, .sectors = sectors, .count = count};
	return err;
}

static err_t first_pass(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	switch (where->type) {
	case PXFS_INODE:
		return inode_take(check, where, data, size);
	case PXFS_EXTENT:
		return extent_take(check, where, data, size);
	case PXFS_INLINE:
	case PXFS_DIRENT:
	case PXFS_XATTR:
	case PXFS_ORPHAN:
		return 0;
	default:
		check_say(check, "an item of type %u, which is not known", where->type);
		return 0;
	}
}

// ---- second: names --------------------------------------------------------------------------------------------------------------------

static err_t name_take(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	const struct pxfs_dirent *entry = (const struct pxfs_dirent *)data;
	struct check_inode *dir = inode_find(check, where->object);

	check->report->names++;
	if (size <= sizeof *entry || size != sizeof *entry + entry->size) {
		check_say(check, "directory %llu: what it has at %llx is no name", (unsigned long long)where->object,
			  (unsigned long long)where->offset);
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	if (dir == NULL || (dir->mode & TB_S_IFMT) != TB_S_IFDIR) {
		check_say(check, "inode %llu has names and is no directory", (unsigned long long)where->object);
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	struct check_inode *to = inode_find(check, le64_get(&entry->inode));
	if (to == NULL) {
		check_say(check, "directory %llu: \"%.*s\" leads to inode %llu, which is not there",
			  (unsigned long long)where->object, (int)entry->size, (const char *)(entry + 1),
			  (unsigned long long)le64_get(&entry->inode));
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	bool is_dir = (to->mode & TB_S_IFMT) == TB_S_IFDIR;
	if (is_dir && ((to->flags & CHECK_NAMED) != 0 || to->ino == PXFS_ROOT_INO)) {
		check_say(check, "directory %llu: \"%.*s\" is one more name of directory %llu",
			  (unsigned long long)where->object, (int)entry->size, (const char *)(entry + 1),
			  (unsigned long long)to->ino);
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	err_t err = 0;
	dir->counted++;
	to->flags |= CHECK_NAMED;
	if (entry->kind != to->mode >> 12) {
		check_say(check, "directory %llu: \"%.*s\" is of another kind than its inode",
			  (unsigned long long)where->object, (int)entry->size, (const char *)(entry + 1));
		err = check_fix(check, CHECK_FIX_KIND, where, to->mode >> 12);
	}
	to->found++;
	if (is_dir) {
		to->found++;  // its own "."
		dir->found++; // and ".." below
	}
	return err;
}

static err_t second_pass(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	struct check_inode *inode = NULL;

	if (where->type == PXFS_DIRENT)
		return name_take(check, where, data, size);
	if (where->type == PXFS_ORPHAN) {
		inode = inode_find(check, where->offset);
		if (inode != NULL)
			inode->flags |= CHECK_ORPHAN;
	}
	if ((where->type == PXFS_EXTENT || where->type == PXFS_INLINE || where->type == PXFS_XATTR) &&
	    inode_find(check, where->object) == NULL) {
		check_say(check, "items of inode %llu, which is not there", (unsigned long long)where->object);
		return check_fix(check, CHECK_FIX_TAKE, where, 0);
	}
	return 0;
}

// One without a name that has links has lost it, as has a directory that holds something; one without either was on its way to be taken apart.
static err_t name_judge(struct check *check, const struct check_inode *inode, uint32_t found)
{
	bool named = (inode->flags & CHECK_NAMED) != 0 || inode->ino == PXFS_ROOT_INO;
	bool orphan = (inode->flags & CHECK_ORPHAN) != 0;
	struct pxfs_where where = {inode->ino, PXFS_INODE, 0};
	err_t err = 0;

	if (named && orphan)
		err = check_fix(check, CHECK_FIX_NAMED, &where, 0);
	if (err == 0 && (named || orphan) && found != inode->links)
		err = check_fix(check, CHECK_FIX_LINKS, &where, found);
	if (err == 0 && !named && !orphan)
		err = check_fix(check, inode->links != 0 || inode->counted != 0 ? CHECK_FIX_LOST : CHECK_FIX_ORPHAN,
				&where, 0);
	if (err == 0 && (inode->mode & TB_S_IFMT) == TB_S_IFDIR && inode->counted != inode->entries)
		err = check_fix(check, CHECK_FIX_ENTRIES, &where, inode->counted);
	return err;
}

static err_t inode_judge(struct check *check, const struct check_inode *inode)
{
	bool dir = (inode->mode & TB_S_IFMT) == TB_S_IFDIR, orphan = (inode->flags & CHECK_ORPHAN) != 0;
	uint32_t found = inode->found + (inode->ino == PXFS_ROOT_INO ? 2 : 0);

	if (found != inode->links)
		check_say(check, "inode %llu: it has %u links, and says %u", (unsigned long long)inode->ino, found,
			  inode->links);
	if (dir && inode->counted != inode->entries)
		check_say(check, "directory %llu: it has %llu names, and says %llu", (unsigned long long)inode->ino,
			  (unsigned long long)inode->counted, (unsigned long long)inode->entries);
	if (orphan != (inode->links == 0))
		check_say(check, "inode %llu: %s", (unsigned long long)inode->ino,
			  orphan ? "it has a name and waits to be taken apart"
				 : "it has no name and nobody will take it apart");
	if (dir && found > 2 && inode->links == 0)
		check_say(check, "directory %llu: nothing leads to it, and it holds directories",
			  (unsigned long long)inode->ino);
	return name_judge(check, inode, found);
}

static err_t own_pass(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	return where->type == PXFS_EXTENT ? extent_take(check, where, data, size) : 0;
}

err_t check_own_files(struct check *check, const struct pxfs_pointer *root, uint64_t id)
{
	check->own_only = true;
	err_t err = check_tree(check, root, id, true, own_pass);
	check->own_only = false;
	return err;
}

err_t check_files(struct check *check, const struct pxfs_pointer *root, uint64_t id)
{
	check->inode_count = 0;
	err_t err = check_tree(check, root, id, true, first_pass);

	if (err == 0)
		err = check_tree(check, root, id, false, second_pass);
	for (uint64_t i = 0; i < check->inode_count && err == 0; i++)
		err = inode_judge(check, &check->inodes[i]);
	if (err == 0 && inode_find(check, PXFS_ROOT_INO) == NULL)
		check_say(check, "subvolume %llu has no root directory", (unsigned long long)id);
	return err;
}

// ---- references -----------------------------------------------------------------------------------------------------------------------

// Pieces of one extent become one entry with a count.
static void extents_join(struct check *check)
{
	uint64_t to = 0;

	for (uint64_t i = 0; i < check->extent_count; i++) {
		struct check_extent *last = to == 0 ? NULL : &check->extents[to - 1];
		if (last == NULL || last->address != check->extents[i].address) {
			check->extents[to++] = check->extents[i];
			continue;
		}
		last->count += check->extents[i].count;
		if (last->sectors != check->extents[i].sectors)
			check_say(check, "the extent at sector %llu has two sizes", (unsigned long long)last->address);
	}
	check->extent_count = to;
}

static struct check_extent *extent_find_entry(struct check *check, uint64_t address)
{
	return numbered_find(check->extents, check->extent_count, sizeof *check->extents, address);
}

static err_t reference_take(struct check *check, const struct pxfs_where *where, const uint8_t *data, uint32_t size)
{
	const struct pxfs_refs *refs = (const struct pxfs_refs *)data;
	struct check_extent *extent = extent_find_entry(check, where->object);

	if (where->type != PXFS_REFS || size != sizeof *refs) {
		check_say(check, "the tree of references has an item that is none");
		return 0;
	}
	err_t err = 0;
	if (extent == NULL || extent->count != le32_get(&refs->count)) {
		check_say(check, "the extent at sector %llu has %u references, and %u are counted",
			  (unsigned long long)where->object, extent == NULL ? 0 : extent->count,
			  le32_get(&refs->count));
		struct pxfs_where fix = {where->object, PXFS_REFS, extent == NULL ? 0 : extent->sectors};
		err = check_fix(check, CHECK_FIX_REFERENCES, &fix, extent == NULL ? 0 : extent->count);
	}
	if (extent != NULL)
		extent->count = 1; // it is accounted for
	return err;
}

err_t check_references(struct check *check)
{
	err_t err = 0;

	numbered_sort(check->extents, check->extent_count, sizeof *check->extents);
	extents_join(check);
	for (uint64_t i = 0; i < check->extent_count; i++)
		if (check->extents[i].count == 0) {
			check_say(check, "the extent at sector %llu is of a snapshot that has none there",
				  (unsigned long long)check->extents[i].address);
			check->extents[i].count = 1;
		}
	for (uint64_t i = 0; i < check->extent_count && err == 0; i++)
		err = check_claim(check, check->extents[i].address, check->extents[i].sectors, "an extent");
	if (err == 0)
		err = check_tree(check, &check->volume->refs_tree.root, PXFS_TREE_REFS, true, reference_take);
	for (uint64_t i = 0; i < check->extent_count && err == 0; i++)
		if (check->extents[i].count != 1) {
			struct pxfs_where fix = {check->extents[i].address, PXFS_REFS, check->extents[i].sectors};
			check_say(check, "the extent at sector %llu has %u references, and none are counted",
				  (unsigned long long)check->extents[i].address, check->extents[i].count);
			err = check_fix(check, CHECK_FIX_REFERENCES, &fix, check->extents[i].count);
		}
	return err;
}
