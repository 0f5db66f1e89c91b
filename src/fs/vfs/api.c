// SPDX-License-Identifier: MIT
//
// The library's file calls, this side of the HAL line: words become arguments of the vfs_* calls. Contexts that the host has not ended
// are ended with the tree.
#include "vfs_impl.h"

#include "tbos/file_call.h"

struct api_context {
	struct list_node link; // vfs->api_lock
	struct process *process;
};

static err_t context_create(uint64_t *handle)
{
	struct vfs_state *vfs = vfs_state();
	struct api_context *context = kmalloc(sizeof *context, MEM_ZERO);

	if (context == NULL)
		return ERR(ENOMEM);
	err_t err = process_create("api", NULL, &context->process);
	if (err != 0) {
		kfree(context);
		return err;
	}
	spin_lock(&vfs->list_lock);
	list_push_back(&vfs->api_contexts, &context->link);
	spin_unlock(&vfs->list_lock);
	*handle = (uintptr_t)context;
	return 0;
}

static err_t context_destroy(struct api_context *context)
{
	struct vfs_state *vfs = vfs_state();

	spin_lock(&vfs->list_lock);
	list_remove(&context->link);
	spin_unlock(&vfs->list_lock);
	process_put(context->process);
	kfree(context);
	return 0;
}

void api_contexts_end(void)
{
	struct vfs_state *vfs = vfs_state();
	struct list_node *node;

	while ((node = list_first(&vfs->api_contexts)) != NULL)
		(void)!context_destroy(container_of(node, struct api_context, link));
}

// ---- words to arguments --------------------------------------------------------------------------------------------------

struct api_call {
	struct process *process;
	const uint64_t *args;
};

#define PTR(type, n) ((type *)(uintptr_t)call->args[n])
#define I32(n) ((int32_t)call->args[n])
#define U32(n) ((uint32_t)call->args[n])
#define I64(n) ((int64_t)call->args[n])
#define U64(n) (call->args[n])
#define TEXT(n) PTR(const char, n)

static err_t api_set_user(const struct api_call *call)
{
	return process_set_cred(call->process, U32(0), U32(1), PTR(const uint32_t, 2), U32(3));
}

static err_t api_umask(const struct api_call *call)
{
	uint32_t old = atomic_xchg_u32_relaxed(&call->process->umask, U32(0) & 0777);
	if (PTR(uint32_t, 1) != NULL)
		*PTR(uint32_t, 1) = old;
	return 0;
}

static err_t api_dup(const struct api_call *call)
{
	return descriptor_dup(call->process, I32(0), 0, 0, PTR(int32_t, 1));
}

static err_t api_sync(const struct api_call *call)
{
	(void)call;
	return vfs_sync();
}

static err_t api_mount(const struct api_call *call)
{
	return vfs_mount(call->process, TEXT(0), TEXT(1), TEXT(2), U32(3), TEXT(4), NULL);
}

static err_t api_open(const struct api_call *call)
{
	return vfs_open(call->process, I32(0), TEXT(1), U32(2), U32(3), PTR(int32_t, 4));
}

static err_t api_close(const struct api_call *call)
{
	return vfs_close(call->process, I32(0));
}

static err_t api_read(const struct api_call *call)
{
	return vfs_read(call->process, I32(0), PTR(void, 1), (size_t)U64(2), PTR(size_t, 3));
}

static err_t api_write(const struct api_call *call)
{
	return vfs_write(call->process, I32(0), PTR(const void, 1), (size_t)U64(2), PTR(size_t, 3));
}

static err_t api_pread(const struct api_call *call)
{
	return vfs_pread(call->process, I32(0), PTR(void, 1), (size_t)U64(2), U64(3), PTR(size_t, 4));
}

static err_t api_pwrite(const struct api_call *call)
{
	return vfs_pwrite(call->process, I32(0), PTR(const void, 1), (size_t)U64(2), U64(3), PTR(size_t, 4));
}

static err_t api_lseek(const struct api_call *call)
{
	return vfs_seek(call->process, I32(0), I64(1), (enum tb_seek)U32(2), PTR(uint64_t, 3));
}

static err_t api_flock(const struct api_call *call)
{
	return vfs_flock(call->process, I32(0), U32(1));
}

static err_t api_lock(const struct api_call *call)
{
	return vfs_lock(call->process, I32(0), U32(1), PTR(struct tb_lock, 2));
}

static err_t api_name_to_handle(const struct api_call *call)
{
	return vfs_name_to_handle(call->process, I32(0), TEXT(1), U32(2), PTR(struct tb_handle, 3));
}

static err_t api_open_handle(const struct api_call *call)
{
	return vfs_open_handle(call->process, I32(0), PTR(const struct tb_handle, 1), U32(2), PTR(int32_t, 3));
}

static err_t api_ioctl(const struct api_call *call)
{
	return vfs_ioctl(call->process, I32(0), U32(1), PTR(void, 2));
}

static err_t api_truncate(const struct api_call *call)
{
	return vfs_truncate(call->process, I32(0), TEXT(1), I64(2));
}

static err_t api_ftruncate(const struct api_call *call)
{
	return vfs_ftruncate(call->process, I32(0), I64(1));
}

static err_t api_copy_range(const struct api_call *call)
{
	return vfs_copy_range(call->process, I32(0), PTR(uint64_t, 1), I32(2), PTR(uint64_t, 3), (size_t)U64(4), U32(5),
			      PTR(size_t, 6));
}

static err_t api_fallocate(const struct api_call *call)
{
	return vfs_fallocate(call->process, I32(0), U32(1), I64(2), I64(3));
}

static err_t api_fsync(const struct api_call *call)
{
	return vfs_fsync(call->process, I32(0));
}

static err_t api_readdir(const struct api_call *call)
{
	return vfs_readdir(call->process, I32(0), PTR(struct tb_dirent, 1), U32(2), PTR(uint32_t, 3));
}

static err_t api_stat(const struct api_call *call)
{
	return vfs_stat(call->process, I32(0), TEXT(1), U32(2), PTR(struct tb_stat, 3));
}

static err_t api_fstat(const struct api_call *call)
{
	return vfs_fstat(call->process, I32(0), PTR(struct tb_stat, 1));
}

static err_t api_access(const struct api_call *call)
{
	return vfs_access(call->process, I32(0), TEXT(1), U32(2), U32(3));
}

static err_t api_chmod(const struct api_call *call)
{
	return vfs_chmod(call->process, I32(0), TEXT(1), U32(2), U32(3));
}

static err_t api_chown(const struct api_call *call)
{
	return vfs_chown(call->process, I32(0), TEXT(1), U32(2), U32(3), U32(4));
}

static err_t api_utimens(const struct api_call *call)
{
	return vfs_utimens(call->process, I32(0), TEXT(1), PTR(const struct tb_time, 2), U32(3));
}

static err_t api_mkdir(const struct api_call *call)
{
	return vfs_mkdir(call->process, I32(0), TEXT(1), U32(2));
}

static err_t api_mknod(const struct api_call *call)
{
	return vfs_mknod(call->process, I32(0), TEXT(1), U32(2), U64(3));
}

static err_t api_symlink(const struct api_call *call)
{
	return vfs_symlink(call->process, TEXT(0), I32(1), TEXT(2));
}

static err_t api_readlink(const struct api_call *call)
{
	return vfs_readlink(call->process, I32(0), TEXT(1), PTR(char, 2), (size_t)U64(3), PTR(size_t, 4));
}

static err_t api_link(const struct api_call *call)
{
	return vfs_link(call->process, I32(0), TEXT(1), I32(2), TEXT(3), U32(4));
}

static err_t api_unlink(const struct api_call *call)
{
	return vfs_unlink(call->process, I32(0), TEXT(1), U32(2));
}

static err_t api_rename(const struct api_call *call)
{
	return vfs_rename(call->process, I32(0), TEXT(1), I32(2), TEXT(3), U32(4));
}

static err_t api_chdir(const struct api_call *call)
{
	return vfs_chdir(call->process, TEXT(0));
}

static err_t api_fchdir(const struct api_call *call)
{
	return vfs_fchdir(call->process, I32(0));
}

static err_t api_chroot(const struct api_call *call)
{
	return vfs_chroot(call->process, TEXT(0));
}

static err_t api_getcwd(const struct api_call *call)
{
	return vfs_getcwd(call->process, PTR(char, 0), (size_t)U64(1), PTR(size_t, 2));
}

static err_t api_getxattr(const struct api_call *call)
{
	if (PTR(void, 4) == NULL && *PTR(size_t, 5) != 0)
		return ERR(EFAULT);
	return vfs_getxattr(call->process, I32(0), TEXT(1), U32(2), TEXT(3), PTR(void, 4), PTR(size_t, 5));
}

static err_t api_setxattr(const struct api_call *call)
{
	return vfs_setxattr(call->process, I32(0), TEXT(1), U32(2), TEXT(3), PTR(const void, 4), (size_t)U64(5),
			    U32(6));
}

static err_t api_listxattr(const struct api_call *call)
{
	if (PTR(char, 3) == NULL && *PTR(size_t, 4) != 0)
		return ERR(EFAULT);
	return vfs_listxattr(call->process, I32(0), TEXT(1), U32(2), PTR(char, 3), PTR(size_t, 4));
}

static err_t api_removexattr(const struct api_call *call)
{
	return vfs_removexattr(call->process, I32(0), TEXT(1), U32(2), TEXT(3));
}

static err_t api_umount(const struct api_call *call)
{
	return vfs_umount(call->process, TEXT(0), U32(1));
}

static err_t api_unshare(const struct api_call *call)
{
	return vfs_unshare(call->process, U32(0));
}

static err_t api_statfs(const struct api_call *call)
{
	return vfs_statfs(call->process, I32(0), TEXT(1), PTR(struct tb_statfs, 2));
}

// What must not be NULL is an error here, not a fault in there: a call does not know that its caller is no program with an address space.
struct api_op {
	err_t (*fn)(const struct api_call *call);
	uint8_t pointers; // arguments, by bit
	uint8_t buffers;  // likewise, whose size is the next one: NULL if that is 0
};

static const struct api_op ops[TB_FILE_OP_COUNT] = {
	[TB_FILE_set_user] = {api_set_user, 0, 1u << 2},
	[TB_FILE_umask] = {api_umask, 0, 0},
	[TB_FILE_open] = {api_open, 1u << 1 | 1u << 4, 0},
	[TB_FILE_close] = {api_close, 0, 0},
	[TB_FILE_dup] = {api_dup, 1u << 1, 0},
	[TB_FILE_read] = {api_read, 1u << 3, 1u << 1},
	[TB_FILE_write] = {api_write, 1u << 3, 1u << 1},
	[TB_FILE_pread] = {api_pread, 1u << 4, 1u << 1},
	[TB_FILE_pwrite] = {api_pwrite, 1u << 4, 1u << 1},
	[TB_FILE_lseek] = {api_lseek, 1u << 3, 0},
	[TB_FILE_truncate] = {api_truncate, 1u << 1, 0},
	[TB_FILE_ftruncate] = {api_ftruncate, 0, 0},
	[TB_FILE_fallocate] = {api_fallocate, 0, 0},
	[TB_FILE_copy_range] = {api_copy_range, 1u << 6, 0},
	[TB_FILE_fsync] = {api_fsync, 0, 0},
	[TB_FILE_sync] = {api_sync, 0, 0},
	[TB_FILE_flock] = {api_flock, 0, 0},
	[TB_FILE_ioctl] = {api_ioctl, 1u << 2, 0},
	[TB_FILE_name_to_handle] = {api_name_to_handle, 1u << 1 | 1u << 3, 0},
	[TB_FILE_open_handle] = {api_open_handle, 1u << 1 | 1u << 3, 0},
	[TB_FILE_lock] = {api_lock, 1u << 2, 0},
	[TB_FILE_readdir] = {api_readdir, 1u << 3, 1u << 1},
	[TB_FILE_stat] = {api_stat, 1u << 1 | 1u << 3, 0},
	[TB_FILE_fstat] = {api_fstat, 1u << 1, 0},
	[TB_FILE_access] = {api_access, 1u << 1, 0},
	[TB_FILE_chmod] = {api_chmod, 1u << 1, 0},
	[TB_FILE_chown] = {api_chown, 1u << 1, 0},
	[TB_FILE_utimens] = {api_utimens, 1u << 1, 0},
	[TB_FILE_mkdir] = {api_mkdir, 1u << 1, 0},
	[TB_FILE_mknod] = {api_mknod, 1u << 1, 0},
	[TB_FILE_symlink] = {api_symlink, 1u << 0 | 1u << 2, 0},
	[TB_FILE_readlink] = {api_readlink, 1u << 1 | 1u << 4, 1u << 2},
	[TB_FILE_link] = {api_link, 1u << 1 | 1u << 3, 0},
	[TB_FILE_unlink] = {api_unlink, 1u << 1, 0},
	[TB_FILE_rename] = {api_rename, 1u << 1 | 1u << 3, 0},
	[TB_FILE_chdir] = {api_chdir, 1u << 0, 0},
	[TB_FILE_fchdir] = {api_fchdir, 0, 0},
	[TB_FILE_chroot] = {api_chroot, 1u << 0, 0},
	[TB_FILE_getcwd] = {api_getcwd, 1u << 2, 1u << 0},
	[TB_FILE_getxattr] = {api_getxattr, 1u << 1 | 1u << 3 | 1u << 5, 0},
	[TB_FILE_setxattr] = {api_setxattr, 1u << 1 | 1u << 3, 1u << 4},
	[TB_FILE_listxattr] = {api_listxattr, 1u << 1 | 1u << 4, 0},
	[TB_FILE_removexattr] = {api_removexattr, 1u << 1 | 1u << 3, 0},
	[TB_FILE_mount] = {api_mount, 1u << 1, 0},
	[TB_FILE_umount] = {api_umount, 1u << 0, 0},
	[TB_FILE_unshare] = {api_unshare, 0, 0},
	[TB_FILE_statfs] = {api_statfs, 1u << 1 | 1u << 2, 0},
};

static bool pointers_are_there(const struct api_op *op, const uint64_t *args)
{
	for (uint32_t i = 0; i < TB_FILE_ARGS_MAX; i++) {
		bool wanted = (op->pointers >> i & 1) != 0 || ((op->buffers >> i & 1) != 0 && args[i + 1] != 0);
		if (wanted && args[i] == 0)
			return false;
	}
	return true;
}

int64_t api_file_call(void *arg)
{
	const struct tb_file_call *asked = arg;

	if (asked->op == TB_FILE_context_create)
		return context_create((uint64_t *)(uintptr_t)asked->args[0]);
	struct api_context *context = (struct api_context *)(uintptr_t)asked->context;
	if (asked->op == TB_FILE_context_destroy)
		return context_destroy(context);
	if (asked->op >= TB_FILE_OP_COUNT)
		return ERR(ENOSYS);
	if (!pointers_are_there(&ops[asked->op], asked->args))
		return ERR(EFAULT);
	struct api_call call = {.process = context->process, .args = asked->args};
	struct process *before = process_of_thread(); // for what asks who reads it: /proc/mounts, /dev/tty
	process_set_of_thread(call.process);
	err_t err = ops[asked->op].fn(&call);
	process_set_of_thread(before);
	return err;
}
