// SPDX-License-Identifier: MIT
//
// The tree: inodes by node and number, names, directories, open files.
#include "procfs_impl.h"

#include "kern/component.h"
#include "kern/math.h"
#include "kern/string.h"
#include "kern/tunable.h"

#define COOKIE_NUMBERS 0x10000u // of threads and tunables
#define WRITE_MAX 64u
#define INO_ROOT 1u

struct proc_inode {
	struct inode inode;
	const struct proc_node *node; // NULL: of sys
	uint32_t number;              // thread, or tunable; of a group its first tunable
};

static const struct proc_node root_nodes[] = {
	{"cpuinfo", proc_cpuinfo, NULL},
	{"filesystems", proc_filesystems, NULL},
	{"interrupts", proc_interrupts, NULL},
	{"locks", proc_locks, NULL},
	{"meminfo", proc_meminfo, NULL},
	{"mounts", proc_mounts, NULL},
	{"slabinfo", proc_slabinfo, NULL},
	{"stat", proc_stat, NULL},
	{"uptime", proc_uptime, NULL},
	{"version", proc_version, NULL},
	{NULL, NULL, NULL},
};
static const struct proc_node root_node = {"", NULL, root_nodes};
static const struct proc_node thread_node = {"", NULL, proc_thread_nodes};
static const struct proc_node sys_node = {"sys", NULL, NULL};

static const struct inode_ops dir_inode_ops, file_inode_ops, tunable_inode_ops;
static const struct file_ops dir_ops, file_ops, tunable_ops;

static struct proc_inode *proc_of(const struct inode *inode)
{
	return container_of(inode, struct proc_inode, inode);
}

// ---- inodes --------------------------------------------------------------------------------------------------------------

static void inode_free(struct rcu_head *head)
{
	kfree(proc_of(container_of(head, struct inode, rcu)));
}

static void proc_destroy(struct inode *inode)
{
	inode_free_later(inode, inode_free);
}

static err_t inode_make(struct superblock *sb, uint64_t ino, uint32_t mode, const struct proc_node *node,
			uint32_t number, struct inode **out)
{
	struct proc_inode *made = kmalloc(sizeof *made, MEM_ZERO);
	struct inode_params params = {.mode = mode};

	if (made == NULL)
		return ERR(ENOMEM);
	inode_init(&made->inode, sb, ino, &params);
	made->node = node;
	made->number = number;
	if ((mode & TB_S_IFMT) == TB_S_IFDIR) {
		made->inode.ops = &dir_inode_ops;
		made->inode.file_ops = &dir_ops;
	} else {
		made->inode.ops = node != NULL ? &file_inode_ops : &tunable_inode_ops;
		made->inode.file_ops = node != NULL ? &file_ops : &tunable_ops;
	}
	*out = &made->inode;
	return 0;
}

static err_t dir_make(struct superblock *sb, uint64_t ino, const struct proc_node *node, uint32_t number,
		      struct inode **out)
{
	return inode_make(sb, ino, TB_S_IFDIR | 0555, node, number, out);
}

// Numbers that say what an inode is: a directory's kind and number above, its file's place below.
static uint64_t ino_of(const struct proc_inode *dir, uint32_t place)
{
	uint64_t kind = dir->node == &root_node ? 0 : dir->node == &thread_node ? 1 : 2;
	return kind << 48 | (uint64_t)dir->number << 16 | (place + INO_ROOT + 1);
}

// ---- sys -----------------------------------------------------------------------------------------------------------------

static size_t group_size(const struct tunable *tunable)
{
	return (size_t)(strchr(tunable->name, '.') - tunable->name);
}

static bool same_group(const struct tunable *a, const struct tunable *b)
{
	size_t size = group_size(a);
	return group_size(b) == size && memcmp(a->name, b->name, size) == 0;
}

static bool is_first_of_group(uint32_t number)
{
	for (uint32_t i = 0; i < number; i++)
		if (same_group(tunable_at(i), tunable_at(number)))
			return false;
	return true;
}

static bool name_is(const struct name *name, const char *bytes, size_t size_bytes)
{
	return name->size_bytes == size_bytes && memcmp(name->bytes, bytes, size_bytes) == 0;
}

static bool is_sys(const struct proc_inode *dir)
{
	return dir->node == &sys_node;
}

// The name that entry `number` has in a directory of sys; false: it is not in it.
static bool sys_name(const struct proc_inode *dir, uint32_t number, struct name *name)
{
	const struct tunable *tunable = tunable_at(number);
	size_t group = group_size(tunable);

	if (is_sys(dir)) {
		*name = (struct name){.bytes = tunable->name, .size_bytes = (uint32_t)group};
		return is_first_of_group(number);
	}
	*name = (struct name){.bytes = tunable->name + group + 1,
			      .size_bytes = (uint32_t)strlen(tunable->name + group + 1)};
	return same_group(tunable, tunable_at(dir->number));
}

static err_t sys_lookup(struct proc_inode *dir, const struct name *name, struct inode **out)
{
	struct name there;

	for (uint32_t i = 0; tunable_at(i) != NULL; i++) {
		if (!sys_name(dir, i, &there) || !name_is(name, there.bytes, there.size_bytes))
			continue;
		if (is_sys(dir))
			return dir_make(dir->inode.sb, ino_of(dir, i), NULL, i, out);
		uint32_t mode = TB_S_IFREG | (tunable_at(i)->set != NULL ? 0644 : 0444);
		return inode_make(dir->inode.sb, ino_of(dir, i), mode, NULL, i, out);
	}
	return -ENOENT;
}

// ---- names ---------------------------------------------------------------------------------------------------------------

// A decimal number without a leading zero.
static bool thread_of(const struct name *name, uint32_t *id)
{
	uint64_t value = 0;

	if (name->size_bytes > 10 || name->bytes[0] == '0')
		return false;
	for (uint32_t i = 0; i < name->size_bytes; i++) {
		if (name->bytes[i] < '0' || name->bytes[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(name->bytes[i] - '0');
	}
	*id = (uint32_t)value;
	return value <= UINT32_MAX;
}

static err_t proc_lookup(struct inode *inode, const struct name *name, struct inode **out)
{
	struct proc_inode *dir = proc_of(inode);
	uint32_t id;

	if (dir->node == NULL || is_sys(dir))
		return sys_lookup(dir, name, out);
	for (uint32_t i = 0; dir->node->nodes[i].name != NULL; i++) {
		const struct proc_node *node = &dir->node->nodes[i];
		if (name_is(name, node->name, strlen(node->name)))
			return inode_make(inode->sb, ino_of(dir, i), TB_S_IFREG | 0444, node, dir->number, out);
	}
	if (dir->node != &root_node)
		return -ENOENT;
	if (name_is(name, sys_node.name, strlen(sys_node.name)))
		return dir_make(inode->sb, ino_of(dir, array_count(root_nodes)), &sys_node, 0, out);
	if (!thread_of(name, &id) || !proc_thread_find(id, NULL))
		return -ENOENT;
	return dir_make(inode->sb, (uint64_t)1 << 48 | (uint64_t)id << 16 | INO_ROOT, &thread_node, id, out);
}

// Only threads come and go.
static bool proc_name_holds(struct inode *dir, const struct name *name, struct inode *inode)
{
	uint32_t id;

	if (proc_of(dir)->node != &root_node || !thread_of(name, &id))
		return true;
	return proc_thread_find(id, NULL) == (inode != NULL);
}

static bool emit(struct dir_context *context, const char *text, size_t size, uint64_t ino, uint32_t mode,
		 uint64_t cookie)
{
	struct name name = {.bytes = text, .size_bytes = (uint32_t)size};
	return context->emit(context, &name, ino, mode, cookie);
}

static err_t sys_iterate(const struct proc_inode *dir, uint64_t cookie, struct dir_context *context)
{
	uint32_t from = cookie >= COOKIE_NUMBERS ? (uint32_t)(cookie - COOKIE_NUMBERS) + 1 : 0;
	struct name name;

	for (uint32_t i = from; tunable_at(i) != NULL; i++) {
		if (!sys_name(dir, i, &name))
			continue;
		if (!emit(context, name.bytes, name.size_bytes, ino_of(dir, i), is_sys(dir) ? TB_S_IFDIR : TB_S_IFREG,
			  COOKIE_NUMBERS + i))
			break;
	}
	return 0;
}

static err_t threads_iterate(uint64_t cookie, struct dir_context *context)
{
	uint32_t *ids;
	uint32_t count;
	bool room = true;

	err_t err = proc_threads(&ids, &count);
	if (err != 0)
		return err;
	for (uint32_t i = 0; i < count && room; i++) {
		char name[12];
		uint64_t own = COOKIE_NUMBERS + (uint64_t)ids[i];
		if (own <= cookie)
			continue;
		size_t size = ksnprintf(name, sizeof name, "%u", ids[i]);
		room = emit(context, name, size, (uint64_t)1 << 48 | (uint64_t)ids[i] << 16 | INO_ROOT, TB_S_IFDIR,
			    own);
	}
	kfree(ids);
	return 0;
}

static err_t proc_iterate(struct file *file, uint64_t cookie, struct dir_context *context)
{
	const struct proc_inode *dir = proc_of(file->inode);
	uint32_t place = cookie < DIR_COOKIE_FIRST ? 0 : (uint32_t)(MIN(cookie, COOKIE_NUMBERS) - DIR_COOKIE_FIRST) + 1;
	uint32_t count = 0;

	if (dir->node == NULL || is_sys(dir))
		return sys_iterate(dir, cookie, context);
	while (dir->node->nodes[count].name != NULL)
		count++;
	for (uint32_t i = place; i < count; i++) {
		const char *name = dir->node->nodes[i].name;
		if (!emit(context, name, strlen(name), ino_of(dir, i), TB_S_IFREG, DIR_COOKIE_FIRST + i))
			return 0;
	}
	if (dir->node != &root_node)
		return 0;
	if (place <= count && !emit(context, sys_node.name, strlen(sys_node.name), ino_of(dir, array_count(root_nodes)),
				    TB_S_IFDIR, DIR_COOKIE_FIRST + count))
		return 0;
	return threads_iterate(cookie, context);
}

// ---- open files ----------------------------------------------------------------------------------------------------------

static err_t text_open(struct file *file)
{
	const struct proc_inode *inode = proc_of(file->inode);
	struct text *text = kmalloc(sizeof *text, MEM_ZERO);
	err_t err = 0;

	if (text == NULL)
		return ERR(ENOMEM);
	if (inode->node != NULL)
		err = inode->node->show(text, inode->number);
	else
		text_add(text, "%llu\n", (unsigned long long)tunable_at(inode->number)->get());
	if (err == 0 && text->failed)
		err = ERR(ENOMEM);
	if (err != 0) {
		text_free(text);
		kfree(text);
		return err;
	}
	file->data = text;
	return 0;
}

static void text_release(struct file *file)
{
	struct text *text = file->data;
	text_free(text);
	kfree(text);
}

static err_t text_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	const struct text *text = file->data;

	if (offset >= text->used)
		return 0;
	size_t size = MIN(text->used - (size_t)offset, io->left_bytes);
	err_t err = io_put(io, text->bytes + offset, size);
	*done_bytes = err == 0 ? size : 0;
	return err;
}

static err_t tunable_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	char text[WRITE_MAX];
	size_t size = io->left_bytes;

	if (*offset != 0 || size >= sizeof text)
		return ERR(EINVAL);
	err_t err = io_get(io, text, size);
	text[err == 0 ? size : 0] = '\0';
	if (err == 0)
		err = tunable_set(tunable_at(proc_of(file->inode)->number), text);
	*done_bytes = err == 0 ? size : 0;
	return err;
}

// Opening with O_TRUNC is what everybody does who writes.
static err_t tunable_resize(struct inode *inode, uint64_t size_bytes)
{
	(void)inode;
	(void)size_bytes;
	return 0;
}

static const struct inode_ops dir_inode_ops = {.lookup = proc_lookup};
static const struct inode_ops file_inode_ops = {.lookup = NULL};
static const struct inode_ops tunable_inode_ops = {.resize = tunable_resize};
static const struct file_ops dir_ops = {.iterate = proc_iterate};
static const struct file_ops file_ops = {.open = text_open, .release = text_release, .read = text_read};
static const struct file_ops tunable_ops = {
	.open = text_open, .release = text_release, .read = text_read, .write = tunable_write};

// ---- superblock ----------------------------------------------------------------------------------------------------------

static void proc_statfs(struct superblock *sb, struct tb_statfs *out)
{
	(void)sb;
	(void)out;
}

static void proc_unmount(struct superblock *sb)
{
	(void)sb;
	rcu_barrier(); // inodes
}

static const struct superblock_ops ops = {
	.destroy = proc_destroy, .unmount = proc_unmount, .statfs = proc_statfs, .name_holds = proc_name_holds};

static err_t proc_mount(struct superblock *sb, const char *source, const char *options, struct inode **root,
			const char **problem)
{
	(void)source;
	if (*options != '\0') {
		*problem = "proc: it has no options";
		return ERR(EINVAL);
	}
	sb->ops = &ops;
	return dir_make(sb, INO_ROOT, &root_node, 0, root);
}

static const struct fs_type proc_type = {.name = "proc", .mount = proc_mount};

static err_t proc_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	return fs_register(&proc_type);
}

static void proc_stop(void)
{
	fs_unregister(&proc_type);
}

const struct component component_procfs = {
	.name = "procfs", .stage = STAGE_SERVICES, .init = proc_init, .stop = proc_stop};
