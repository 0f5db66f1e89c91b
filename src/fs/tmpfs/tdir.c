// SPDX-License-Identifier: MIT
//
// tmpfs: directories. The caller holds the directory's inode->lock throughout.
#include "tmpfs_impl.h"

#include "kern/string.h"

#define ENTRY_SIZE 20u // what an entry counts in a directory's size, as elsewhere

static int key_compare(const struct name *name, const struct tmpfs_entry *entry)
{
	if (name->hash != entry->hash)
		return name->hash < entry->hash ? -1 : 1;
	if (name->size_bytes != entry->name_size)
		return name->size_bytes < entry->name_size ? -1 : 1;
	return memcmp(name->bytes, entry->name, name->size_bytes);
}

static int name_compare(const void *key, const struct rb_node *node)
{
	return key_compare(key, rb_entry(node, struct tmpfs_entry, by_name));
}

static bool name_before(const struct rb_node *a, const struct rb_node *b)
{
	const struct tmpfs_entry *entry = rb_entry(a, struct tmpfs_entry, by_name);
	struct name name = {.bytes = entry->name, .size_bytes = entry->name_size, .hash = entry->hash};
	return name_compare(&name, b) < 0;
}

static int cookie_compare(const void *key, const struct rb_node *node)
{
	uint64_t cookie = *(const uint64_t *)key;
	uint64_t other = rb_entry(node, struct tmpfs_entry, by_cookie)->cookie;
	return cookie < other ? -1 : cookie > other;
}

static bool cookie_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct tmpfs_entry, by_cookie)->cookie < rb_entry(b, struct tmpfs_entry, by_cookie)->cookie;
}

static struct tmpfs_entry *entry_find(struct inode *dir, const struct name *name)
{
	return rb_entry_or_null(rb_find(&tmpfs_inode_of(dir)->names, name, name_compare), struct tmpfs_entry, by_name);
}

static struct tmpfs_entry *entry_make(const struct name *name)
{
	struct tmpfs_entry *entry = kmalloc(sizeof *entry + name->size_bytes, MEM_ZERO);
	if (entry == NULL)
		return NULL;
	entry->hash = name->hash;
	entry->name_size = name->size_bytes;
	memcpy(entry->name, name->bytes, name->size_bytes);
	return entry;
}

static void dir_count(struct tmpfs_inode *dir, int32_t change)
{
	dir->entries = (uint32_t)((int32_t)dir->entries + change);
	inode_set_size(&dir->inode, (uint64_t)dir->entries * ENTRY_SIZE);
}

// The entry leads to that inode from now on; a directory knows its own, so that it is found by its number.
static void entry_point(struct inode *dir, struct tmpfs_entry *entry, struct inode *inode)
{
	struct tmpfs *fs = tmpfs_of(dir);

	entry->inode = inode;
	if (!inode_is(inode, TB_S_IFDIR))
		return;
	spin_lock(&fs->lock);
	tmpfs_inode_of(inode)->parent = dir;
	tmpfs_inode_of(inode)->entry = entry;
	spin_unlock(&fs->lock);
}

static void entry_leave(struct inode *dir, const struct tmpfs_entry *entry)
{
	struct tmpfs *fs = tmpfs_of(dir);
	struct tmpfs_inode *node = tmpfs_inode_of(entry->inode);

	if (!inode_is(entry->inode, TB_S_IFDIR))
		return;
	spin_lock(&fs->lock);
	if (node->entry == entry) {
		node->parent = NULL;
		node->entry = NULL;
	}
	spin_unlock(&fs->lock);
}

err_t tmpfs_parent(struct inode *dir, struct inode **parent, char *name, uint32_t *size_bytes)
{
	struct tmpfs *fs = tmpfs_of(dir);
	const struct tmpfs_inode *node = tmpfs_inode_of(dir);
	err_t err = -ESTALE;

	spin_lock(&fs->lock);
	if (node->entry != NULL && refcount_get_unless_zero(&node->parent->refs)) {
		*parent = node->parent;
		*size_bytes = node->entry->name_size;
		memcpy(name, node->entry->name, node->entry->name_size);
		err = 0;
	}
	spin_unlock(&fs->lock);
	return err;
}

// Takes over a reference of the inode.
static void entry_insert(struct inode *dir, struct tmpfs_entry *entry, struct inode *inode)
{
	struct tmpfs_inode *into = tmpfs_inode_of(dir);

	entry_point(dir, entry, inode);
	entry->cookie = into->next_cookie++;
	rb_insert(&into->names, &entry->by_name, name_before);
	rb_insert(&into->cookies, &entry->by_cookie, cookie_before);
	dir_count(into, 1);
}

// The entry goes; its inode's reference is the caller's.
static void entry_remove(struct inode *dir, struct tmpfs_entry *entry)
{
	struct tmpfs_inode *from = tmpfs_inode_of(dir);

	entry_leave(dir, entry);
	rb_remove(&from->names, &entry->by_name);
	rb_remove(&from->cookies, &entry->by_cookie);
	dir_count(from, -1);
	kfree(entry);
}

err_t tmpfs_lookup(struct inode *dir, const struct name *name, struct inode **out)
{
	struct tmpfs_entry *entry = entry_find(dir, name);
	if (entry == NULL)
		return -ENOENT;
	inode_get(entry->inode);
	*out = entry->inode;
	return 0;
}

err_t tmpfs_create(struct inode *dir, const struct name *name, const struct inode_params *params, struct inode **out)
{
	struct tmpfs_entry *entry = entry_make(name);
	if (entry == NULL)
		return ERR(ENOMEM);
	err_t err = tmpfs_inode_make(dir->sb, params, out);
	if (err != 0) {
		kfree(entry);
		return err;
	}
	inode_get(*out);
	entry_insert(dir, entry, *out);
	if ((params->mode & TB_S_IFMT) == TB_S_IFDIR)
		inode_add_links(dir, 1);
	inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
	return 0;
}

err_t tmpfs_link(struct inode *dir, const struct name *name, struct inode *inode)
{
	struct tmpfs_entry *entry = entry_make(name);
	if (entry == NULL)
		return ERR(ENOMEM);
	inode_get(inode);
	entry_insert(dir, entry, inode);
	inode_add_links(inode, 1);
	inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
	return 0;
}

bool tmpfs_is_empty(struct inode *dir)
{
	return tmpfs_inode_of(dir)->entries == 0;
}

// The name is gone from `dir`: what that means for the counts of links.
static void links_drop(struct inode *dir, struct inode *inode)
{
	bool directory = inode_is(inode, TB_S_IFDIR);
	inode_add_links(inode, directory ? -2 : -1);
	if (directory)
		inode_add_links(dir, -1);
}

err_t tmpfs_unlink(struct inode *dir, const struct name *name, struct inode *inode)
{
	entry_remove(dir, entry_find(dir, name));
	links_drop(dir, inode);
	inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
	inode_put(inode); // the caller has another
	return 0;
}

static void parents_change(struct inode *dir, struct inode *to_dir, struct inode *inode)
{
	if (dir == to_dir || !inode_is(inode, TB_S_IFDIR))
		return;
	inode_add_links(dir, -1);
	inode_add_links(to_dir, 1);
}

static void rename_touch(struct inode *dir, struct inode *to_dir, struct inode *inode)
{
	inode_touch(dir, ATTR_MTIME | ATTR_CTIME);
	if (to_dir != dir)
		inode_touch(to_dir, ATTR_MTIME | ATTR_CTIME);
	inode_touch(inode, ATTR_CTIME);
}

err_t tmpfs_rename(struct inode *dir, const struct name *name, struct inode *inode, struct inode *to_dir,
		   const struct name *to_name, struct inode *target, uint32_t flags)
{
	struct tmpfs_entry *from = entry_find(dir, name);
	struct tmpfs_entry *to = target != NULL ? entry_find(to_dir, to_name) : entry_make(to_name);

	if (to == NULL)
		return ERR(ENOMEM);
	if (flags & TB_RENAME_EXCHANGE) {
		entry_point(dir, from, target);
		entry_point(to_dir, to, inode);
		parents_change(dir, to_dir, inode);
		parents_change(to_dir, dir, target);
		inode_touch(target, ATTR_CTIME);
		rename_touch(dir, to_dir, inode);
		return 0;
	}
	entry_remove(dir, from);
	if (target != NULL) {
		entry_leave(to_dir, to);
		entry_point(to_dir, to, inode);
		links_drop(to_dir, target);
		inode_put(target);
	} else {
		entry_insert(to_dir, to, inode);
	}
	parents_change(dir, to_dir, inode);
	rename_touch(dir, to_dir, inode);
	return 0;
}

// A directory that goes with its entries, when all is unmounted. Those of directories below are taken in here first, so that a deep
// tree needs no deep stack.
static void entries_take(struct tmpfs_inode *into, struct tmpfs_inode *from)
{
	struct tmpfs_entry *entry;

	while ((entry = rb_first_entry(&from->cookies, struct tmpfs_entry, by_cookie)) != NULL) {
		rb_remove(&from->cookies, &entry->by_cookie);
		rb_remove(&from->names, &entry->by_name);
		dir_count(from, -1);
		entry->cookie = into->next_cookie++;
		rb_insert(&into->cookies, &entry->by_cookie, cookie_before);
		rb_insert(&into->names, &entry->by_name, name_before);
		dir_count(into, 1);
	}
}

void tmpfs_dir_clear(struct inode *dir)
{
	struct tmpfs_entry *entry;

	while ((entry = rb_first_entry(&tmpfs_inode_of(dir)->cookies, struct tmpfs_entry, by_cookie)) != NULL) {
		struct inode *inode = entry->inode;
		entry_remove(dir, entry);
		if (inode_is(inode, TB_S_IFDIR))
			entries_take(tmpfs_inode_of(dir), tmpfs_inode_of(inode));
		inode_put(inode);
	}
}

struct tmpfs_entry *tmpfs_entry_after(struct inode *dir, uint64_t cookie)
{
	uint64_t next = cookie + 1;

	if (cookie == UINT64_MAX)
		return NULL;
	return rb_entry_or_null(rb_find_at_least(&tmpfs_inode_of(dir)->cookies, &next, cookie_compare),
				struct tmpfs_entry, by_cookie);
}

err_t tmpfs_iterate(struct file *file, uint64_t cookie, struct dir_context *context)
{
	struct tmpfs_entry *entry = tmpfs_entry_after(file->inode, cookie);

	for (; entry != NULL; entry = rb_next_entry(entry, by_cookie)) {
		struct name name = {.bytes = entry->name, .size_bytes = entry->name_size, .hash = entry->hash};
		if (!context->emit(context, &name, entry->inode->ino, inode_mode(entry->inode), entry->cookie))
			break;
	}
	return 0;
}

const struct file_ops tmpfs_dir_ops = {.iterate = tmpfs_iterate};

err_t tmpfs_dir_check(struct tmpfs_inode *dir)
{
	size_t names = rb_check(&dir->names, name_before);
	size_t cookies = rb_check(&dir->cookies, cookie_before);
	return names == dir->entries && cookies == dir->entries ? 0 : -EUCLEAN;
}
