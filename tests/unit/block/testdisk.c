// SPDX-License-Identifier: MIT
//
// The disk of the block layer's tests.
#include "testdisk.h"

#include "kern/mem.h"
#include "kern/string.h"

#include "../../support/memdisk.h"

static err_t command_do(struct testdisk *disk, const struct block_command *command)
{
	uint8_t *at = disk->bytes + (command->sector << SECTOR_SHIFT);
	uint64_t size_bytes = command->sectors << SECTOR_SHIFT;

	if (command->op == atomic_load_u32_relaxed(&disk->fail_op) &&
	    (command->op == BLOCK_FLUSH ||
	     (command->sector <= disk->fail_sector && disk->fail_sector < command->sector + command->sectors)))
		return ERR(EIO);
	if (command->op == BLOCK_DISCARD || command->op == BLOCK_ZERO)
		memset(at, 0, (size_t)size_bytes);
	(void)memdisk_copy(command, disk->bytes);
	return 0;
}

static void command_ends(struct timer *timer)
{
	struct testdisk_command *own = container_of(timer, struct testdisk_command, timer);
	block_command_done(own->command, command_do(own->disk, own->command));
}

static void command_arm(struct testdisk *disk, struct block_command *command)
{
	struct testdisk_command *own = command->driver;

	bool was = spin_lock_irqsave(&disk->lock);
	uint64_t delay_ns = 1000 + rand_below(&disk->rand, 100000);
	spin_unlock_irqrestore(&disk->lock, was);
	own->command = command;
	own->disk = disk;
	timer_setup(&own->timer, command_ends);
	timer_arm(&own->timer, clock_now_ns() + delay_ns);
}

static void start(struct block_command *command)
{
	struct testdisk *disk = block_data(command->device);
	uint32_t n = atomic_fetch_add_u32_relaxed(&disk->count, 1);

	bool was = spin_lock_irqsave(&disk->lock);
	if (n < TESTDISK_LOG)
		disk->log[n] = (struct testdisk_entry){command->op, command->flags, command->segment_count,
						       command->sector, command->sectors};
	bool held = atomic_load_u32_relaxed(&disk->held) != 0;
	if (held)
		disk->held_commands[disk->waiting++] = command;
	spin_unlock_irqrestore(&disk->lock, was);
	if (!held)
		command_arm(disk, command);
}

void testdisk_hold(struct testdisk *disk)
{
	atomic_store_u32_relaxed(&disk->held, 1);
}

void testdisk_release(struct testdisk *disk)
{
	struct block_command *commands[TESTDISK_DEPTH];

	bool was = spin_lock_irqsave(&disk->lock);
	uint32_t count = disk->waiting;
	memcpy(commands, disk->held_commands, sizeof commands);
	disk->waiting = 0;
	atomic_store_u32_relaxed(&disk->held, 0);
	spin_unlock_irqrestore(&disk->lock, was);
	for (uint32_t i = 0; i < count; i++)
		command_arm(disk, commands[i]);
}

static const struct block_driver driver = {.model = "test disk", .start = start};

struct testdisk *testdisk_make(const struct testdisk_params *params)
{
	struct block_limits limits = {.sectors = params->sectors == 0 ? 2048 : params->sectors,
				      .logical_bytes = params->logical_bytes == 0 ? SECTOR_SIZE : params->logical_bytes,
				      .physical_bytes = params->physical_bytes == 0 ? 4096 : params->physical_bytes,
				      .flags = params->flags,
				      .depth = TESTDISK_DEPTH,
				      .transfer_sectors = params->transfer_sectors == 0 ? 16 : params->transfer_sectors,
				      .segments = params->segments == 0 ? 4 : params->segments,
				      .command_bytes = sizeof(struct testdisk_command)};
	struct testdisk *disk = kmalloc(sizeof *disk, MEM_ZERO);

	if (disk == NULL)
		return NULL;
	disk->bytes = kmalloc((size_t)limits.sectors << SECTOR_SHIFT, MEM_ZERO);
	spin_init(&disk->lock, LOCK_RANK_NONE, "test disk");
	rand_open(&disk->rand, "testdisk", 0);
	disk->fail_op = BLOCK_OP_COUNT;
	if (disk->bytes == NULL || block_add("test%", &driver, &limits, disk, &disk->device) != 0) {
		kfree(disk->bytes);
		kfree(disk);
		return NULL;
	}
	return disk;
}

err_t testdisk_free(struct testdisk *disk)
{
	err_t err = block_remove(disk->device);
	if (err != 0)
		return err;
	kfree(disk->bytes);
	kfree(disk);
	return 0;
}
