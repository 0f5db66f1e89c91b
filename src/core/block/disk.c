// SPDX-License-Identifier: MIT
//
// The machine's disks, behind the HAL's block door: "disk0", "disk1" …
#include "block_impl.h"

#include "hal/block.h"
#include "kern/log.h"
#include "kern/rcu.h"
#include "kern/sched.h"

_Static_assert(HAL_BLOCK_DEPTH <= BLOCK_DEPTH_MAX && HAL_BLOCK_SEGMENTS <= BLOCK_SEGMENTS_MAX,
	       "a queue can be as deep");
_Static_assert((uint32_t)BLOCK_READ == (uint32_t)HAL_BLOCK_READ && (uint32_t)BLOCK_WRITE == (uint32_t)HAL_BLOCK_WRITE &&
		       (uint32_t)BLOCK_FLUSH == (uint32_t)HAL_BLOCK_FLUSH &&
		       (uint32_t)BLOCK_DISCARD == (uint32_t)HAL_BLOCK_DISCARD &&
		       (uint32_t)BLOCK_ZERO == (uint32_t)HAL_BLOCK_ZERO,
	       "the operations are the HAL's");

struct disk {
	uint32_t number;
	struct block_device *device;
};

// Commands under way, by disk and slot, for the interrupt; atomic.
struct disks {
	struct disk disks[HAL_BLOCK_MAX];
	struct block_command *commands[HAL_BLOCK_MAX][HAL_BLOCK_DEPTH];
};

static void disk_start(struct block_command *command)
{
	const struct disk *disk = block_data(command->device);
	struct disks *disks = block_state()->disks;
	struct hal_block_segment *segments = command->driver;
	struct hal_block_request request = {.disk = disk->number,
					    .slot = command->tag,
					    .op = command->op,
					    .flags = (command->flags & BLOCK_FUA) != 0 ? HAL_BLOCK_FUA : 0,
					    .offset_bytes = command->sector << SECTOR_SHIFT,
					    .size_bytes = command->sectors << SECTOR_SHIFT,
					    .segments = segments,
					    .segment_count = command->segment_count};
	bool done = false;

	for (uint32_t i = 0; i < command->segment_count; i++)
		segments[i] = (struct hal_block_segment){command->segments[i].at, command->segments[i].size_bytes, 0};
	__atomic_store_n(&disks->commands[disk->number][command->tag], command, __ATOMIC_RELEASE);
	err_t err = hal_block_submit(&request, &done);
	if (done || err != 0)
		block_command_done(command, err);
}

static void disks_interrupt(uint32_t bits)
{
	struct disks *disks = block_state()->disks;
	uint32_t disk = 0, slot = 0;
	err_t err = 0;

	(void)bits;
	while (hal_block_take(&disk, &slot, &err))
		block_command_done(__atomic_load_n(&disks->commands[disk][slot], __ATOMIC_ACQUIRE), err);
}

static const struct block_driver disk_driver = {.model = "disk", .start = disk_start};

static err_t disk_attach(struct disk *disk, const struct hal_block_info *info)
{
	struct block_limits limits = {.sectors = info->size_bytes >> SECTOR_SHIFT,
				      .logical_bytes = info->logical_bytes,
				      .physical_bytes = info->physical_bytes,
				      .flags = BLOCK_HAS_FUA,
				      .depth = HAL_BLOCK_DEPTH,
				      .transfer_sectors = HAL_BLOCK_TRANSFER_BYTES >> SECTOR_SHIFT,
				      .segments = HAL_BLOCK_SEGMENTS,
				      .command_bytes = HAL_BLOCK_SEGMENTS * sizeof(struct hal_block_segment)};
	const char *problem = NULL;

	if ((info->flags & HAL_BLOCK_READ_ONLY) != 0)
		limits.flags |= BLOCK_READ_ONLY;
	if ((info->flags & HAL_BLOCK_VOLATILE) != 0)
		limits.flags |= BLOCK_VOLATILE;
	if ((info->flags & HAL_BLOCK_HAS_DISCARD) != 0)
		limits.flags |= BLOCK_HAS_DISCARD;
	if ((info->flags & HAL_BLOCK_HAS_ZERO) != 0)
		limits.flags |= BLOCK_HAS_ZERO;
	err_t err = block_add("disk%", &disk_driver, &limits, disk, &disk->device);
	if (err != 0)
		return err;
	ksnprintf(disk->device->model, sizeof disk->device->model, "%s", info->model);
	err = block_partitions_read(disk->device, &problem);
	if (err != 0)
		log_warn("block: %s: partition table: %pe", disk->device->name, ERR_PTR(err));
	else if (problem != NULL)
		log_warn("block: %s: partition table: %s", disk->device->name, problem);
	return 0;
}

err_t disks_attach(struct kernel *kernel)
{
	struct hal_block_info info;
	struct block_state *state = kernel->block;
	err_t err = 0;

	bool there = hal_block_info(0, &info);

	if (!there)
		return 0;
	state->disks = kmalloc(sizeof *state->disks, MEM_ZERO);
	if (state->disks == NULL)
		return ERR(ENOMEM);
	irq_handler_set(HAL_IRQ_BLOCK, disks_interrupt);
	for (uint32_t i = 0; i < HAL_BLOCK_MAX && err == 0 && there; i++) {
		state->disks->disks[i].number = i;
		err = disk_attach(&state->disks->disks[i], &info);
		there = i + 1 < HAL_BLOCK_MAX && hal_block_info(i + 1, &info);
	}
	return err;
}

// Devices are gone, so nothing is under way.
void disks_detach(void)
{
	struct block_state *state = block_state();

	if (state->disks == NULL)
		return;
	irq_handler_set(HAL_IRQ_BLOCK, NULL);
	rcu_synchronize(); // an interrupt that still saw the handler has returned
	kfree(state->disks);
	state->disks = NULL;
}
