// SPDX-License-Identifier: MIT
//
// Processes without an address space (kern/process.h).
//
// Files
//   process.c     the object: making, finding, credentials, the end
//   descriptor.c  the table of descriptors
//
// Objects. A process lives by references: its maker's, and one for each process_find(). When the last goes, its descriptors are
// closed, the filesystems take back root, directory and namespace, and it leaves the list. Credentials are replaced whole under
// process->lock and freed by RCU; who looks at them does so in a read section.
//
// Invariants. `used` slots of a table hold an object; none below lowest_free is free; ids rise along the list.
//
// Locks. state->lock (list), process->lock (root, cwd, cred), files.lock (descriptors): spinlocks of three ranks; nothing is closed,
// freed or allocated under them. May sleep: making, closing, ending.
#ifndef PROC_IMPL_H
#define PROC_IMPL_H

#include "kern/process.h"

struct process_state {
	struct spinlock lock;
	struct list processes; // by id
	uint32_t next_id;
	const struct process_hooks *hooks;
};

// descriptor.c
void descriptor_table_init(struct descriptor_table *table);
void descriptor_table_fini(struct process *process);
err_t descriptor_table_check(struct descriptor_table *table) must_check;

#endif
