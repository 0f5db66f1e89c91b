// SPDX-License-Identifier: MIT
//
// procfs: what the kernel knows of itself, as text files (proc(5)).
//
// Purpose. A file's text is made whole when the file is opened, and read from there, so that what is read in pieces fits together. Formats
// are Linux's where it has the file.
//
// Files
//   procfs.c     inodes, names, directories, open files
//   machine.c    meminfo cpuinfo stat uptime version interrupts slabinfo · tree.c  mounts filesystems locks
//   thread.c     what a folder of a thread holds · text.c  text that grows
//
// Objects. A node is a constant row of a table: a file with what makes its text, or a directory with rows of its own. Two directories
// have more: the root a folder for each thread, named by its number, and sys what component.tunables names, GROUP/NAME. An inode
// is a node and a number (thread or tunable); it is made when its name is looked up, and goes with its dentry. Names come and go
// by themselves, so each look-up asks (superblock_ops.name_holds).
//
// Cookies. A node's place in its table; behind those, a thread's or a tunable's number: they stay right whatever starts and ends.
//
// Locks: none of its own. May sleep: everything.
#ifndef PROCFS_IMPL_H
#define PROCFS_IMPL_H

#include "kern/fmt.h"
#include "kern/fs.h"

struct text {
	char *bytes;
	size_t used, room;
	bool failed; // no memory: it has not all
	bool fixed;  // it may not grow now: what does not fit is left out
};

void text_add(struct text *text, const char *format, ...) printf_like(2, 3);
void text_add_bytes(struct text *text, const char *bytes, size_t size_bytes);
void text_reserve(struct text *text, size_t size_bytes); // room for so many more
void text_free(struct text *text);

// `number` is the thread's, in its folder. Errors: -ESRCH (it has ended), -ENOMEM.
typedef err_t proc_show_fn(struct text *text, uint32_t number);

struct proc_node {
	const char *name;
	proc_show_fn *show;            // of a file
	const struct proc_node *nodes; // of a directory, ends with a NULL name
};

// thread.c
extern const struct proc_node proc_thread_nodes[];
struct thread_info;
bool proc_thread_find(uint32_t id, struct thread_info *info) must_check; // info may be NULL
err_t proc_threads(uint32_t **ids, uint32_t *count) must_check;          // all, in order; to be freed. -ENOMEM

// machine.c, tree.c
proc_show_fn proc_meminfo, proc_cpuinfo, proc_stat, proc_uptime, proc_version, proc_interrupts, proc_slabinfo;
proc_show_fn proc_mounts, proc_filesystems, proc_locks;

#endif
