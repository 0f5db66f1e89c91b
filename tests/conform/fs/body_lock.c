// SPDX-License-Identifier: MIT
//
// Locks on files: flock, record locks of processes and of open files.
#include "fsconform.h"

#include "kern/string.h"

#define RW (TB_O_RDWR | TB_O_CREAT)

void fsc_flock(struct fsc *fsc)
{
	int32_t a, b, c;

	EXPECT(OK, open, TB_AT_FDCWD, "f", RW, 0644, &a);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &b);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_WRONLY, 0, &c);
	EXPECT(-EINVAL, flock, a, 0);
	EXPECT(-EINVAL, flock, a, TB_LOCK_SH | TB_LOCK_EX);
	EXPECT(-EINVAL, flock, a, TB_LOCK_NB);
	EXPECT(-EBADF, flock, 999, TB_LOCK_SH);
	EXPECT(OK, flock, a, TB_LOCK_UN); // nothing is held
	EXPECT(OK, flock, a, TB_LOCK_SH);
	EXPECT(OK, flock, a, TB_LOCK_SH); // once more
	EXPECT(OK, flock, b, TB_LOCK_SH | TB_LOCK_NB);
	EXPECT(-EAGAIN, flock, c, TB_LOCK_EX | TB_LOCK_NB);
	EXPECT(OK, flock, b, TB_LOCK_UN);
	EXPECT(OK, flock, a, TB_LOCK_EX | TB_LOCK_NB); // upward
	EXPECT(-EAGAIN, flock, b, TB_LOCK_SH | TB_LOCK_NB);
	EXPECT(OK, flock, a, TB_LOCK_SH); // downward
	EXPECT(OK, flock, b, TB_LOCK_SH | TB_LOCK_NB);
	EXPECT(-EAGAIN, flock, a, TB_LOCK_EX | TB_LOCK_NB); // what a had is gone by that
	EXPECT(OK, flock, b, TB_LOCK_EX | TB_LOCK_NB);
	EXPECT(-EAGAIN, flock, a, TB_LOCK_SH | TB_LOCK_NB);
	EXPECT(OK, close, b);                          // goes with the open file
	EXPECT(OK, flock, c, TB_LOCK_EX | TB_LOCK_NB); // also of one that only writes
	EXPECT(OK, flock, c, TB_LOCK_UN | TB_LOCK_NB);
	EXPECT(OK, close, a);
	EXPECT(OK, close, c);
	EXPECT(OK, mkdir, TB_AT_FDCWD, "d", 0755);
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_RDONLY | TB_O_DIRECTORY, 0, &a);
	EXPECT(OK, open, TB_AT_FDCWD, "d", TB_O_RDONLY | TB_O_DIRECTORY, 0, &b);
	EXPECT(OK, flock, a, TB_LOCK_EX | TB_LOCK_NB);
	EXPECT(-EAGAIN, flock, b, TB_LOCK_SH | TB_LOCK_NB);
	EXPECT(OK, close, a);
	EXPECT(OK, close, b);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_PATH, 0, &a);
	EXPECT(-EBADF, flock, a, TB_LOCK_SH);
	EXPECT(OK, close, a);
}

static struct tb_lock range(int16_t type, int64_t start, int64_t size)
{
	return (struct tb_lock){.type = type, .whence = TB_SEEK_SET, .start = start, .size_bytes = size};
}

// What the other process would meet: "R10-19" and the like is too much for C; the start and size of the first lock in its way, or
// −1 where it may write.
static int64_t first_held(struct fsc *fsc, int64_t start, int64_t size, int64_t *held_size)
{
	struct tb_lock lock = range(TB_F_WRLCK, start, size);
	*held_size = 0;
	EXPECT(OK, other_lock, "f", TB_F_GETLK, &lock);
	if (lock.type == TB_F_UNLCK)
		return -1;
	EXPECT_EQ(lock.whence, TB_SEEK_SET);
	*held_size = lock.size_bytes;
	return lock.start;
}

#define HELD(start, size, wanted_start, wanted_size)                                                                   \
	do {                                                                                                           \
		int64_t held_size_;                                                                                    \
		EXPECT_EQ(first_held(fsc, start, size, &held_size_), wanted_start);                                    \
		EXPECT_EQ(held_size_, wanted_size);                                                                    \
	} while (0)

#define SET(wanted, fd, type, start, size)                                                                             \
	do {                                                                                                           \
		struct tb_lock lock_ = range(type, start, size);                                                       \
		EXPECT(wanted, lock, fd, TB_F_SETLK, &lock_);                                                          \
	} while (0)

// Ranges are split, cut and melt together.
void fsc_record_ranges(struct fsc *fsc)
{
	int32_t fd;

	EXPECT(OK, open, TB_AT_FDCWD, "f", RW, 0644, &fd);
	HELD(0, 0, -1, 0);
	SET(OK, fd, TB_F_WRLCK, 10, 10);
	HELD(0, 0, 10, 10);
	HELD(0, 10, -1, 0);
	HELD(20, 0, -1, 0);
	SET(OK, fd, TB_F_WRLCK, 20, 5); // touches
	HELD(0, 0, 10, 15);
	SET(OK, fd, TB_F_WRLCK, 5, 8); // overlaps
	HELD(0, 0, 5, 20);
	SET(OK, fd, TB_F_UNLCK, 10, 5); // a hole
	HELD(0, 0, 5, 5);
	HELD(10, 0, 15, 10);
	HELD(10, 5, -1, 0);
	SET(OK, fd, TB_F_RDLCK, 16, 2); // another type inside: three of them now
	HELD(10, 0, 15, 1);
	HELD(16, 0, 16, 2);
	HELD(18, 0, 18, 7);
	SET(OK, fd, TB_F_RDLCK, 0, 0); // over all, to the end
	HELD(0, 0, 0, 0);
	HELD(1000000, 1, 0, 0);
	SET(OK, fd, TB_F_UNLCK, 100, 0);
	HELD(0, 0, 0, 100);
	SET(OK, fd, TB_F_UNLCK, 0, 0);
	HELD(0, 0, -1, 0);
	SET(OK, fd, TB_F_UNLCK, 5, 5); // nothing is there
	SET(OK, fd, TB_F_WRLCK, INT64_MAX, 1);
	HELD(0, 0, INT64_MAX, 0);
	SET(OK, fd, TB_F_UNLCK, INT64_MAX, 0);
	SET(OK, fd, TB_F_WRLCK, 30, -10);
	HELD(0, 0, 20, 10);
	SET(-EINVAL, fd, TB_F_WRLCK, 5, -6);
	SET(-EINVAL, fd, TB_F_WRLCK, -1, 5);
	SET(-EOVERFLOW, fd, TB_F_WRLCK, INT64_MAX, 2);
	SET(-EINVAL, fd, 3, 0, 1);
	EXPECT(OK, other_end);
	EXPECT(OK, close, fd);
}

void fsc_record_locks(struct fsc *fsc)
{
	struct tb_lock lock;
	int32_t fd, again, reader, writer;
	size_t done;

	EXPECT(OK, open, TB_AT_FDCWD, "f", RW, 0644, &fd);
	EXPECT(OK, write, fd, "0123456789", 10, &done);
	lock = range(TB_F_WRLCK, 0, 5);
	EXPECT(OK, other_lock, "f", TB_F_SETLK, &lock);
	SET(-EAGAIN, fd, TB_F_WRLCK, 4, 1);
	SET(-EAGAIN, fd, TB_F_RDLCK, 0, 0);
	SET(OK, fd, TB_F_WRLCK, 5, 0);
	lock = range(TB_F_RDLCK, 0, 0);
	EXPECT(OK, lock, fd, TB_F_GETLK, &lock);
	EXPECT_EQ(lock.type, TB_F_WRLCK);
	EXPECT_EQ(lock.start, 0);
	EXPECT_EQ(lock.size_bytes, 5);
	EXPECT_EQ(lock.pid > 0, true);
	lock = range(TB_F_RDLCK, 0, 5); // downward
	EXPECT(OK, other_lock, "f", TB_F_SETLK, &lock);
	SET(OK, fd, TB_F_RDLCK, 0, 5);
	SET(-EAGAIN, fd, TB_F_WRLCK, 0, 1);
	lock = range(TB_F_WRLCK, 0, 1);
	EXPECT(-EAGAIN, other_lock, "f", TB_F_SETLK, &lock);
	// Whence, with the position at 10 and 10 bytes in the file.
	lock = (struct tb_lock){.type = TB_F_UNLCK, .whence = TB_SEEK_CUR, .start = -5, .size_bytes = 0};
	EXPECT(OK, lock, fd, TB_F_SETLK, &lock);
	HELD(5, 0, -1, 0);
	lock = (struct tb_lock){.type = TB_F_WRLCK, .whence = TB_SEEK_END, .start = -2, .size_bytes = 1};
	EXPECT(OK, lock, fd, TB_F_SETLK, &lock);
	HELD(5, 0, 8, 1);
	lock.whence = 7;
	EXPECT(-EINVAL, lock, fd, TB_F_SETLK, &lock);
	// Any descriptor of the file takes all of the process's with it.
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &again);
	HELD(5, 0, 8, 1);
	EXPECT(OK, close, again);
	HELD(5, 0, -1, 0);
	// What a lock wants to do, the descriptor must be allowed.
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &reader);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_WRONLY, 0, &writer);
	SET(-EBADF, reader, TB_F_WRLCK, 6, 1);
	SET(OK, reader, TB_F_RDLCK, 6, 1);
	SET(-EBADF, writer, TB_F_RDLCK, 7, 1);
	SET(OK, writer, TB_F_WRLCK, 7, 1);
	SET(-EBADF, 999, TB_F_RDLCK, 0, 1);
	// The other process ends, and what it held goes.
	EXPECT(OK, other_end);
	SET(OK, fd, TB_F_WRLCK, 0, 0);
	HELD(0, 0, 0, 0);
	EXPECT(OK, other_end);
	EXPECT(OK, close, fd);
	EXPECT(OK, close, reader);
	EXPECT(OK, close, writer);
}

void fsc_open_file_locks(struct fsc *fsc)
{
	struct tb_lock lock;
	int32_t a, b, again;

	EXPECT(OK, open, TB_AT_FDCWD, "f", RW, 0644, &a);
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDWR, 0, &b);
	lock = range(TB_F_WRLCK, 0, 10);
	EXPECT(OK, lock, a, TB_F_OFD_SETLK, &lock);
	lock = range(TB_F_RDLCK, 5, 1);
	EXPECT(-EAGAIN, lock, b, TB_F_OFD_SETLK, &lock);
	EXPECT(OK, lock, b, TB_F_OFD_GETLK, &lock);
	EXPECT_EQ(lock.type, TB_F_WRLCK);
	EXPECT_EQ(lock.pid, -1);
	EXPECT_EQ(lock.size_bytes, 10);
	EXPECT(-EINVAL, lock, b, TB_F_OFD_SETLK, &lock); // with a pid
	SET(-EAGAIN, b, TB_F_WRLCK, 0, 1);               // the process's own are another's to it
	SET(OK, a, TB_F_WRLCK, 10, 10);
	lock = range(TB_F_RDLCK, 15, 1);
	EXPECT(-EAGAIN, lock, a, TB_F_OFD_SETLK, &lock);
	EXPECT(OK, flock, b, TB_LOCK_EX | TB_LOCK_NB); // nobody minds flock
	// Another descriptor of the file takes the process's locks with it, and not the open file's.
	EXPECT(OK, open, TB_AT_FDCWD, "f", TB_O_RDONLY, 0, &again);
	EXPECT(OK, close, again);
	lock = range(TB_F_WRLCK, 15, 1);
	EXPECT(OK, lock, b, TB_F_OFD_SETLK, &lock);
	HELD(0, 0, 0, 10);
	EXPECT(OK, close, a);
	HELD(0, 0, 15, 1);
	EXPECT(OK, other_end);
	EXPECT(OK, close, b);
}
