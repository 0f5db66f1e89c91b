// SPDX-License-Identifier: MIT
//
// A place in the tree of files: a dentry seen through the mount that shows it (kern/fs.h). Here alone because a process
// holds two of them and stands below the filesystems.
#ifndef KERN_PATH_H
#define KERN_PATH_H

struct mount;
struct dentry;

struct path {
	struct mount *mount;
	struct dentry *dentry;
};

#endif
