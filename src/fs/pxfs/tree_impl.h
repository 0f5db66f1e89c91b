// SPDX-License-Identifier: MIT
//
// Between the files of trees.
#ifndef PXFS_TREE_IMPL_H
#define PXFS_TREE_IMPL_H

#include "pxfs_impl.h"

uint32_t leaf_slot(const struct pxfs_node *leaf, const struct pxfs_where *where, bool *exact);

// Fills in the path below `from_level`, by `where`, or by the slots that are there (NULL).
err_t path_descend(struct pxfs_path *path, uint32_t from_level, const struct pxfs_where *where) must_check;

#endif
