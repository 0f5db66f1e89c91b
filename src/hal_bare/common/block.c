// SPDX-License-Identifier: MIT
//
// The block door of machines whose disks have drivers in the kernel.
#include "../bare_impl.h"

#include "hal/block.h"

bool hal_block_info(uint32_t disk, struct hal_block_info *info)
{
	(void)disk;
	(void)info;
	return false;
}

tb_err hal_block_submit(const struct hal_block_request *request, bool *done)
{
	(void)request;
	*done = false;
	return -BARE_EINVAL;
}

bool hal_block_take(uint32_t *disk, uint32_t *slot, tb_err *err)
{
	(void)disk;
	(void)slot;
	(void)err;
	return false;
}
