// SPDX-License-Identifier: MIT
//
// Between the files of trees.
#ifndef PXFS_TREE_IMPL_H
#define PXFS_TREE_IMPL_H

#include "pxfs_impl.h"

uint32_t leaf_slot(const struct pxfs_node *leaf, const struct pxfs_where *where, bool *exact);

// Fills in the path below `from_level`, by `where`, or by the slots that are there (NULL).
err_t path_descend(struct pxfs_path *path, uint32_t from_level, const struct pxfs_where *where) must_check;

// Copies the nodes that are not dirty, from the root down to `lowest_level`. Errors: -ENOSPC, -ENOMEM; what was copied stays so.
err_t path_make_dirty(struct pxfs_path *path, uint32_t lowest_level) must_check;
void child_close(struct pxfs_node *node, uint32_t slot); // a dirty inner node loses a child
void path_prune(struct pxfs_path *path,
		uint32_t level); // the dirty node at `level` goes if it is empty, and those above it

#endif
