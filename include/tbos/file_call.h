// SPDX-License-Identifier: MIT
//
// How the library's file calls cross the HAL line: an operation and its arguments as words, through hal_upcalls.file. The two sides
// are src/hal_hosted/host_file.c and src/fs/vfs/api.c; users include tbos/file.h.
#ifndef TBOS_FILE_CALL_H
#define TBOS_FILE_CALL_H

#include "tbos/types.h"

#define TB_FILE_ARGS_MAX 8u

// X(operation)
#define TB_FILE_OPS(X)                                                                                                 \
	X(context_create)                                                                                              \
	X(context_destroy)                                                                                             \
	X(set_user)                                                                                                    \
	X(umask)                                                                                                       \
	X(open)                                                                                                        \
	X(name_to_handle)                                                                                              \
	X(open_handle)                                                                                                 \
	X(close)                                                                                                       \
	X(dup)                                                                                                         \
	X(read)                                                                                                        \
	X(write)                                                                                                       \
	X(pread)                                                                                                       \
	X(pwrite)                                                                                                      \
	X(lseek)                                                                                                       \
	X(truncate)                                                                                                    \
	X(ftruncate)                                                                                                   \
	X(fallocate)                                                                                                   \
	X(copy_range)                                                                                                  \
	X(fsync)                                                                                                       \
	X(sync)                                                                                                        \
	X(flock)                                                                                                       \
	X(lock)                                                                                                        \
	X(ioctl)                                                                                                       \
	X(readdir)                                                                                                     \
	X(stat)                                                                                                        \
	X(fstat)                                                                                                       \
	X(access)                                                                                                      \
	X(chmod)                                                                                                       \
	X(chown)                                                                                                       \
	X(utimens)                                                                                                     \
	X(mkdir)                                                                                                       \
	X(mknod)                                                                                                       \
	X(symlink)                                                                                                     \
	X(readlink)                                                                                                    \
	X(link)                                                                                                        \
	X(unlink)                                                                                                      \
	X(rename)                                                                                                      \
	X(chdir)                                                                                                       \
	X(fchdir)                                                                                                      \
	X(chroot)                                                                                                      \
	X(getcwd)                                                                                                      \
	X(getxattr)                                                                                                    \
	X(setxattr)                                                                                                    \
	X(listxattr)                                                                                                   \
	X(removexattr)                                                                                                 \
	X(mount)                                                                                                       \
	X(umount)                                                                                                      \
	X(unshare)                                                                                                     \
	X(statfs)

enum tb_file_op {
#define X(name) TB_FILE_##name,
	TB_FILE_OPS(X)
#undef X
	TB_FILE_OP_COUNT
};

// Pointers are the host's, valid during the call. The result is a tb_err.
struct tb_file_call {
	uint32_t op;                     // enum tb_file_op
	uint64_t context;                // what context_create gave
	uint64_t args[TB_FILE_ARGS_MAX]; // in the order of tbos/file.h
};

#endif
