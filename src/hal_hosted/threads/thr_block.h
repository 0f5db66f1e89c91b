// SPDX-License-Identifier: MIT
//
// Disks of the threads engine (thr_block.c). H.
#ifndef THR_BLOCK_H
#define THR_BLOCK_H

#include "../host_disk.h"
#include "thr_impl.h"

// The loop and its thread, where the instance has disks. Errors, noted for tb_error(NULL): -ENOMEM, -EAGAIN and what libuv reports.
tb_err thr_disks_open(struct tb_instance *instance) TB_MUST_USE;
void thr_disks_close(struct tb_instance *instance); // the instance is quiet

// hal_block_submit(), hal_block_take().
tb_err thr_block_submit(struct tb_instance *instance, const struct hal_block_request *request, bool *done) TB_MUST_USE;
bool thr_block_take(struct tb_instance *instance, uint32_t *disk, uint32_t *slot, tb_err *err);

#endif
