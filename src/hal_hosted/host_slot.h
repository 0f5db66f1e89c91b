// SPDX-License-Identifier: MIT
//
// Slots and RAM (host_slot.c), for host_tb.c and host_door.c.
#ifndef HOST_SLOT_H
#define HOST_SLOT_H

#include "host_impl.h"

// Takes slot `wanted` - 1 (0: the lowest free one), maps RAM of ram.size_bytes in ram.node_count nodes there, and makes the
// instance findable. Errors, noted for tb_error(NULL): -EBUSY, -EAGAIN, -ENOMEM.
tb_err host_slot_open(struct tb_instance *instance, uint32_t wanted) TB_MUST_USE;
void host_slot_close(struct tb_instance *instance);

// Gives pages back to the host; they read as zero afterwards. Within RAM, multiples of 4096. H.
void host_ram_discard(struct tb_instance *instance, uint64_t offset, uint64_t size_bytes);

#endif
