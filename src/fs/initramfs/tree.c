// SPDX-License-Identifier: MIT
//
// Entries to files. Every way goes component by component through directories that are no links, and ends at the one that is
// kept open (tree->dir); what an archive says twice, the later entry replaces.
#include "initramfs_impl.h"

#include "kern/string.h"

struct tree {
	struct archive archive;
	struct links links;
	struct process *process;
	struct entry entry;
	struct tree_figures *figures;
	int32_t root;            // descriptor of the directory that is unpacked into
	int32_t dir;             // of the one that is worked in; -1: none
	struct tb_time times[2]; // dir's, to be put back
	char *dir_name;          // relative to root
};

static err_t fail(struct tree *tree, err_t err, const char *what)
{
	return archive_fail(&tree->archive, err, "%.60s: %s: %s", tree->entry.name, what, err_text(err));
}

// ---- directories ---------------------------------------------------------------------------------------------------------

static err_t times_of(struct tree *tree, int32_t fd, struct tb_time times[2])
{
	struct tb_stat stat;
	err_t err = vfs_fstat(tree->process, fd, &stat);

	if (err == 0) {
		times[0] = stat.atime;
		times[1] = stat.mtime;
	}
	return err;
}

static err_t dir_leave(struct tree *tree)
{
	if (tree->dir < 0)
		return 0;
	err_t err = vfs_utimens(tree->process, tree->dir, "", tree->times, TB_AT_EMPTY_PATH);
	err_t closed = vfs_close(tree->process, tree->dir);
	tree->dir = -1;
	return err != 0 ? err : closed;
}

// A directory that no entry named, made on the way.
static err_t way_make(struct tree *tree, int32_t fd, const char *name)
{
	struct tb_time times[2];
	err_t err = times_of(tree, fd, times);

	if (err == 0)
		err = vfs_mkdir(tree->process, fd, name, 0755);
	if (err == 0)
		err = vfs_utimens(tree->process, fd, "", times, TB_AT_EMPTY_PATH);
	return err;
}

static err_t step(struct tree *tree, int32_t *fd, const char *name)
{
	const uint32_t flags = TB_O_PATH | TB_O_DIRECTORY | TB_O_NOFOLLOW;
	int32_t next = -1;

	err_t err = vfs_open(tree->process, *fd, name, flags, 0, &next);
	if (err == -ENOENT) {
		err = way_make(tree, *fd, name);
		if (err == 0)
			err = vfs_open(tree->process, *fd, name, flags, 0, &next);
	}
	err_t closed = vfs_close(tree->process, *fd);
	*fd = next;
	return err != 0 ? err : closed;
}

// Opens the directory of `name`'s first size_bytes, below the root.
static err_t way_open(struct tree *tree, const char *name, size_t size_bytes, int32_t *fd)
{
	char part[TB_NAME_MAX + 1];
	const char *end = name + size_bytes;

	err_t err = vfs_open(tree->process, tree->root, ".", TB_O_PATH | TB_O_DIRECTORY, 0, fd);
	while (err == 0 && name < end) {
		size_t size = 0;
		while (name + size < end && name[size] != '/')
			size++;
		memcpy(part, name, size);
		part[size] = '\0';
		err = step(tree, fd, part);
		name += size + (name + size < end);
	}
	if (err != 0 && *fd >= 0)
		(void)!vfs_close(tree->process, *fd);
	return err;
}

// Makes the directory of this name the one that is worked in; returns the name's last part.
static err_t dir_enter(struct tree *tree, const char *name, const char **last)
{
	const char *slash = strrchr(name, '/');
	size_t size = slash != NULL ? (size_t)(slash - name) : 0;
	int32_t fd = -1;

	*last = slash != NULL ? slash + 1 : name;
	if (tree->dir >= 0 && strlen(tree->dir_name) == size && memcmp(tree->dir_name, name, size) == 0)
		return 0;
	err_t err = dir_leave(tree);
	if (err == 0)
		err = way_open(tree, name, size, &fd);
	if (err == -ENOTDIR || err == -ELOOP)
		return fail(tree, err, "the way to it is not made of directories");
	if (err != 0)
		return fail(tree, err, "the way to it");
	tree->dir = fd;
	memcpy(tree->dir_name, name, size);
	tree->dir_name[size] = '\0';
	return times_of(tree, fd, tree->times);
}

// ---- entries -------------------------------------------------------------------------------------------------------------

static err_t attributes_set(struct tree *tree, int32_t dir, const char *name, bool mode_too)
{
	const struct entry *entry = &tree->entry;
	struct tb_time times[2] = {{.seconds = entry->mtime}, {.seconds = entry->mtime}};
	bool link = (entry->mode & TB_S_IFMT) == TB_S_IFLNK;
	err_t err = 0;

	if (entry->uid != 0 || entry->gid != 0 || mode_too)
		err = vfs_chown(tree->process, dir, name, entry->uid, entry->gid, TB_AT_SYMLINK_NOFOLLOW);
	if (err == 0 && !link && (mode_too || (entry->mode & 07000))) // which chown(2) takes away
		err = vfs_chmod(tree->process, dir, name, entry->mode & 07777, 0);
	if (err == 0)
		err = vfs_utimens(tree->process, dir, name, times, TB_AT_SYMLINK_NOFOLLOW);
	return err;
}

struct file_end {
	struct tree *tree;
	int32_t fd;
	err_t err; // of the file, not of the archive
};

static err_t file_write(void *arg, const uint8_t *bytes, size_t size_bytes)
{
	struct file_end *end = arg;

	while (end->err == 0 && size_bytes > 0) {
		size_t done = 0;
		end->err = vfs_write(end->tree->process, end->fd, bytes, size_bytes, &done);
		bytes += done;
		size_bytes -= done;
	}
	return end->err;
}

// The contents into a file that is open; closes it.
static err_t contents_take(struct tree *tree, int32_t fd)
{
	struct file_end end = {.tree = tree, .fd = fd};
	err_t err = cpio_contents(&tree->archive, &tree->entry, file_write, &end);
	err_t closed = vfs_close(tree->process, fd);

	if (end.err != 0)
		return fail(tree, end.err, "its contents");
	if (err == 0)
		tree->figures->bytes += tree->entry.size_bytes;
	return err != 0 ? err : closed;
}

static err_t name_link(struct tree *tree, int32_t way, const char *name, const char *last)
{
	struct tb_stat stat, there;

	err_t err = vfs_stat(tree->process, way, name, TB_AT_SYMLINK_NOFOLLOW, &stat);
	if (err == 0 && (stat.mode & TB_S_IFMT) != TB_S_IFREG)
		err = ERR(EINVAL); // something else has taken its name meanwhile
	if (err == 0)
		err = vfs_link(tree->process, way, name, tree->dir, last, 0);
	if (err != -EEXIST)
		return err;
	err = vfs_stat(tree->process, tree->dir, last, TB_AT_SYMLINK_NOFOLLOW, &there);
	if (err == 0 && there.ino == stat.ino && there.dev == stat.dev)
		err = ERR(EEXIST); // the name itself, once more
	if (err == 0)
		err = vfs_unlink(tree->process, tree->dir, last, 0);
	return err == 0 ? vfs_link(tree->process, way, name, tree->dir, last, 0) : err;
}

// Another name of a file that is there. Contents may come with any of them.
static err_t name_add(struct tree *tree, const char *first, const char *last)
{
	const char *slash = strrchr(first, '/');
	int32_t way = -1;
	int32_t fd = -1;

	err_t err = way_open(tree, first, slash != NULL ? (size_t)(slash - first) : 0, &way);
	if (err == 0) {
		err = name_link(tree, way, slash != NULL ? slash + 1 : first, last);
		(void)!vfs_close(tree->process, way);
	}
	if (err == 0 && tree->entry.size_bytes > 0)
		err = vfs_open(tree->process, tree->dir, last, TB_O_WRONLY | TB_O_TRUNC | TB_O_NOFOLLOW, 0, &fd);
	if (err != 0)
		return fail(tree, err, "another name of an earlier file");
	return fd >= 0 ? contents_take(tree, fd) : cpio_contents(&tree->archive, &tree->entry, NULL, NULL);
}

// One try at making the name itself. -EEXIST: something is there.
static err_t name_make(struct tree *tree, const char *last, int32_t *fd)
{
	const struct entry *entry = &tree->entry;

	switch (entry->mode & TB_S_IFMT) {
	case TB_S_IFREG:
		return vfs_open(tree->process, tree->dir, last, TB_O_WRONLY | TB_O_CREAT | TB_O_EXCL | TB_O_NOFOLLOW,
				entry->mode & 07777, fd);
	case TB_S_IFDIR:
		return vfs_mkdir(tree->process, tree->dir, last, entry->mode & 07777);
	case TB_S_IFLNK:
		return vfs_symlink(tree->process, entry->target, tree->dir, last);
	default:
		return vfs_mknod(tree->process, tree->dir, last, entry->mode,
				 device_number(entry->rdev_major, entry->rdev_minor));
	}
}

// Makes the name, in the place of what has it. *kept: a directory that was there already.
static err_t name_take(struct tree *tree, const char *last, int32_t *fd, bool *kept)
{
	struct tb_stat stat;
	err_t err = name_make(tree, last, fd);

	*kept = false;
	if (err != -EEXIST)
		return err;
	err = vfs_stat(tree->process, tree->dir, last, TB_AT_SYMLINK_NOFOLLOW, &stat);
	if (err != 0)
		return err;
	if ((stat.mode & TB_S_IFMT) == TB_S_IFDIR) {
		*kept = (tree->entry.mode & TB_S_IFMT) == TB_S_IFDIR;
		return *kept ? 0 : ERR(EISDIR);
	}
	err = vfs_unlink(tree->process, tree->dir, last, 0);
	return err == 0 ? name_make(tree, last, fd) : err;
}

static err_t entry_make(struct tree *tree)
{
	struct entry *entry = &tree->entry;
	bool regular = (entry->mode & TB_S_IFMT) == TB_S_IFREG;
	const char *last;
	bool kept = false;
	int32_t fd = -1;

	err_t err = dir_enter(tree, entry->name, &last);
	if (err != 0)
		return err;
	const char *first = regular ? links_find(&tree->links, entry) : NULL;
	if (first != NULL) {
		err = name_add(tree, first, last);
		links_seen(&tree->links, entry);
	} else {
		err = name_take(tree, last, &fd, &kept);
		if (err != 0)
			return fail(tree, err, "cannot be made");
		if (fd >= 0)
			err = contents_take(tree, fd);
		if (err == 0 && regular)
			err = links_add(&tree->links, entry);
		if (err == -E2BIG)
			return fail(tree, err, "too many files wait for their other names");
	}
	if (err == 0)
		err = attributes_set(tree, tree->dir, last, kept || first != NULL);
	return err;
}

// The directory that is unpacked into: an entry named ".".
static err_t root_take(struct tree *tree)
{
	if ((tree->entry.mode & TB_S_IFMT) != TB_S_IFDIR)
		return fail(tree, ERR(EISDIR), "cannot be replaced");
	err_t err = dir_leave(tree);
	return err == 0 ? attributes_set(tree, tree->root, ".", true) : err;
}

static err_t one_archive(struct tree *tree)
{
	bool last = false;
	err_t err = 0;

	while (err == 0) {
		err = cpio_entry(&tree->archive, &tree->entry, &last);
		if (err != 0 || last)
			break;
		err = tree->entry.name[0] == '\0' ? root_take(tree) : entry_make(tree);
		if (err != 0) // where nobody has said why
			(void)!fail(tree, err, "cannot be unpacked");
		else
			tree->figures->files++;
	}
	return err;
}

static err_t all_archives(struct tree *tree)
{
	bool found = false;
	uint32_t count = 0;
	err_t err = 0;

	while (err == 0) {
		err = archive_next(&tree->archive, &found);
		if (err != 0 || !found)
			break;
		err = one_archive(tree);
		links_free(&tree->links); // inode numbers are an archive's own
		count++;
	}
	if (err == 0 && count == 0)
		err = archive_fail(&tree->archive, ERR(EBADMSG), "it holds no archive");
	return err;
}

static err_t tree_init(struct tree *tree, const char *directory)
{
	tree->dir_name = kmalloc(TB_PATH_MAX, 0);
	tree->entry.name = kmalloc(NAME_BYTES_MAX, 0);
	tree->entry.target = kmalloc(NAME_BYTES_MAX, 0);
	if (tree->dir_name == NULL || tree->entry.name == NULL || tree->entry.target == NULL)
		return archive_fail(&tree->archive, ERR(ENOMEM), "no memory");
	err_t err = process_create("unpack", vfs_monitor_process(), &tree->process);
	if (err != 0)
		return archive_fail(&tree->archive, err, "no memory for a process");
	atomic_store_u32_relaxed(&tree->process->umask, 0);
	err = vfs_open(tree->process, TB_AT_FDCWD, directory, TB_O_PATH | TB_O_DIRECTORY, 0, &tree->root);
	return err != 0 ? archive_fail(&tree->archive, err, "%.60s: %s", directory, err_text(err)) : 0;
}

static void tree_fini(struct tree *tree)
{
	if (tree->process != NULL)
		process_put(tree->process); // closes root and dir
	kfree(tree->dir_name);
	kfree(tree->entry.name);
	kfree(tree->entry.target);
}

err_t tree_unpack(struct unpack_source *source, const char *directory, struct tree_figures *figures,
		  struct trouble *trouble)
{
	*figures = (struct tree_figures){0};
	*trouble = (struct trouble){0};
	struct tree *tree = kmalloc(sizeof *tree, MEM_ZERO);
	if (tree == NULL)
		return ERR(ENOMEM);
	tree->figures = figures;
	tree->dir = tree->root = -1;
	rb_init(&tree->links.root);
	err_t err = archive_init(&tree->archive, source, kernel_self()->ram_size_bytes, trouble);
	if (err == 0)
		err = tree_init(tree, directory);
	if (err == 0)
		err = all_archives(tree);
	err_t left = dir_leave(tree);
	if (err == 0)
		err = left;
	tree_fini(tree);
	archive_fini(&tree->archive);
	kfree(tree);
	return err;
}
