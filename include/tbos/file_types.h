// SPDX-License-Identifier: MIT
//
// Numbers and structures of file calls, shared by the kernel and the library's users. The values are those of Linux on x86-64
// (open(2), stat(2), rename(2), lseek(2), fcntl(2)), under names of our own, so that they go beside the host's headers.
#ifndef TBOS_FILE_TYPES_H
#define TBOS_FILE_TYPES_H

#include "tbos/types.h"

#define TB_PATH_MAX 4096u // with the terminator
#define TB_NAME_MAX 255u
#define TB_SYMLINKS_MAX 40u

enum tb_open_flags {
	TB_O_RDONLY = 0,
	TB_O_WRONLY = 1,
	TB_O_RDWR = 2,
	TB_O_ACCMODE = 3,
	TB_O_CREAT = 0100,
	TB_O_EXCL = 0200,
	TB_O_NOCTTY = 0400,
	TB_O_TRUNC = 01000,
	TB_O_APPEND = 02000,
	TB_O_NONBLOCK = 04000,
	TB_O_DSYNC = 010000,
	TB_O_DIRECT = 040000,
	TB_O_LARGEFILE = 0100000,
	TB_O_DIRECTORY = 0200000,
	TB_O_NOFOLLOW = 0400000,
	TB_O_NOATIME = 01000000,
	TB_O_CLOEXEC = 02000000,
	TB_O_SYNC = 04010000,
	TB_O_PATH = 010000000,
	TB_O_TMPFILE = 020200000
};

#define TB_AT_FDCWD (-100)

// A file without its path: it stays the file's through renames, and is another's never.
struct tb_handle {
	uint64_t ino;
	uint32_t dev; // of the filesystem
	uint32_t generation;
};

enum tb_at_flags {
	TB_AT_SYMLINK_NOFOLLOW = 0x100,
	TB_AT_REMOVEDIR = 0x200,
	TB_AT_SYMLINK_FOLLOW = 0x400,
	TB_AT_EMPTY_PATH = 0x1000
};

enum tb_rename_flags {
	TB_RENAME_NOREPLACE = 1,
	TB_RENAME_EXCHANGE = 2
};

enum tb_access_mode {
	TB_F_OK = 0,
	TB_X_OK = 1,
	TB_W_OK = 2,
	TB_R_OK = 4
};

enum tb_seek {
	TB_SEEK_SET,
	TB_SEEK_CUR,
	TB_SEEK_END,
	TB_SEEK_DATA,
	TB_SEEK_HOLE
};

enum tb_fallocate_mode {
	TB_FALLOC_KEEP_SIZE = 1,
	TB_FALLOC_PUNCH_HOLE = 2,
	TB_FALLOC_ZERO_RANGE = 16
};

// Requests of ioctl to block devices, and what their argument points to.
enum tb_block_request {
	TB_BLKROGET = 0x125e,             // int32_t, filled in: not 0: it cannot be written
	TB_BLKRRPART = 0x125f,            // nothing: the partition table is read again
	TB_BLKGETSIZE = 0x1260,           // uint64_t, filled in: sectors of 512 bytes
	TB_BLKFLSBUF = 0x1261,            // nothing: what was written is made durable
	TB_BLKSSZGET = 0x1268,            // int32_t, filled in: bytes of a logical block
	TB_BLKDISCARD = 0x1277,           // uint64_t[2]: offset and size in bytes, of whole logical blocks
	TB_BLKPBSZGET = 0x127b,           // uint32_t, filled in: bytes of a physical block
	TB_BLKZEROOUT = 0x127f,           // uint64_t[2]: as BLKDISCARD
	TB_BLKGETSIZE64 = (int)0x80081272 // uint64_t, filled in: bytes
};

enum tb_flock_operation {
	TB_LOCK_SH = 1,
	TB_LOCK_EX = 2,
	TB_LOCK_NB = 4,
	TB_LOCK_UN = 8
};

// Record locks (fcntl(2)); OFD: of the open file, not of the process.
enum tb_lock_command {
	TB_F_GETLK = 5,
	TB_F_SETLK = 6,
	TB_F_SETLKW = 7,
	TB_F_OFD_GETLK = 36,
	TB_F_OFD_SETLK = 37,
	TB_F_OFD_SETLKW = 38
};

enum tb_lock_type {
	TB_F_RDLCK = 0,
	TB_F_WRLCK = 1,
	TB_F_UNLCK = 2
};

struct tb_lock {
	int16_t type;              // enum tb_lock_type
	int16_t whence;            // enum tb_seek
	int32_t pid;               // told by GETLK: the process's number, -1 for an open file's; 0 to set
	int64_t start, size_bytes; // size 0: to the end, however far that moves; below 0: before start
};

enum tb_xattr_flags {
	TB_XATTR_CREATE = 1,
	TB_XATTR_REPLACE = 2
};

// Requests of ioctl on files and directories; the argument is a uint32_t of enum tb_fs_flags.
#define TB_FS_IOC_GETFLAGS 0x80086601u
#define TB_FS_IOC_SETFLAGS 0x40086602u

// Requests of ioctl on the file that is to have what another has, without copying (ioctl_ficlonerange(2)): the argument is an int32_t, the other's descriptor, or a
// struct tb_clone_range.
#define TB_FICLONE 0x40049409u
#define TB_FICLONERANGE 0x4020940du

struct tb_clone_range {
	int64_t from_fd;
	uint64_t from_offset, size_bytes; // size 0: to the end
	uint64_t to_offset;
};

enum tb_fs_flags {
	TB_FS_COMPR_FL = 0x4,   // compressed, by its own setting
	TB_FS_NOCOMP_FL = 0x400 // not compressed, by its own setting
};

enum tb_mode {
	TB_S_IFMT = 0170000,
	TB_S_IFSOCK = 0140000,
	TB_S_IFLNK = 0120000,
	TB_S_IFREG = 0100000,
	TB_S_IFBLK = 0060000,
	TB_S_IFDIR = 0040000,
	TB_S_IFCHR = 0020000,
	TB_S_IFIFO = 0010000,
	TB_S_ISUID = 04000,
	TB_S_ISGID = 02000,
	TB_S_ISVTX = 01000
};

// Seconds since 1970-01-01 UTC and 0 … 999,999,999 nanoseconds.
struct tb_time {
	int64_t seconds;
	uint32_t nanoseconds;
	uint32_t reserved;
};

#define TB_UTIME_NOW 0x3fffffffu  // as nanoseconds: the present
#define TB_UTIME_OMIT 0x3ffffffeu // as nanoseconds: leave it

// What statx(2) tells. `blocks` counts 512 bytes.
struct tb_stat {
	uint64_t dev, ino, size_bytes, blocks, rdev, mount_id;
	uint32_t mode, nlink, uid, gid, block_size_bytes, reserved;
	struct tb_time atime, mtime, ctime, btime;
};

struct tb_statfs {
	char type[16];
	uint64_t blocks, blocks_free, files, files_free, id; // 0 blocks or files: no limit is set
	uint32_t block_size_bytes, name_max;
	uint32_t flags; // enum tb_mount_flags
	uint32_t reserved;
};

enum tb_mount_flags {
	TB_MS_RDONLY = 1,
	TB_MS_NOSUID = 2,
	TB_MS_NODEV = 4,
	TB_MS_NOEXEC = 8,
	TB_MS_REMOUNT = 32,
	TB_MS_BIND = 4096,
	TB_MNT_DETACH = 2 // of tb_umount()
};

enum tb_clone_flags {
	TB_CLONE_NEWNS = 0x20000
};

// One directory entry. `cookie` continues after it (lseek and readdir); it stays right whatever else comes and goes.
struct tb_dirent {
	uint64_t ino, cookie;
	uint32_t type; // the TB_S_IFMT bits of its mode; 0: not known
	uint32_t name_size_bytes;
	char name[TB_NAME_MAX + 1]; // terminated
};

#endif
