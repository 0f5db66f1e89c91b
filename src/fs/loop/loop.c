// SPDX-License-Identifier: MIT
//
// Loop devices: making, listing, taking away; the component.
#include "loop_impl.h"

#include "kern/component.h"
#include "kern/log.h"

static void loop_free(struct loop *loop)
{
	if (loop->file != NULL)
		vfs_file_close(loop->file);
	kfree(loop->zeroes);
	kfree(loop);
}

static void thread_end(struct loop *loop)
{
	atomic_store_u32_release(&loop->stop, 1);
	(void)waitq_wake_all(&loop->wake);
	err_t err = thread_join(loop->thread, NULL);
	VERIFY3(err, ==, 0);
}

// Nothing is under way.
static void loop_removed(struct block_device *device)
{
	struct loop_state *state = loop_state();
	struct loop *loop = block_data(device);

	spin_lock(&state->lock);
	list_remove(&loop->link);
	spin_unlock(&state->lock);
	thread_end(loop);
	loop_free(loop);
}

static const struct block_driver loop_driver = {
	.model = "loop", .major = BLOCK_MAJOR_LOOP, .start = loop_start, .remove = loop_removed};

// What of the file is the device.
static err_t range_choose(struct loop *loop, const struct loop_params *params)
{
	struct loop_info *info = &loop->info;
	uint64_t end = vfs_file_size(loop->file), unit = info->logical_bytes;

	info->offset_bytes = params->offset_bytes;
	if (params->offset_bytes % unit != 0 || params->size_bytes % unit != 0)
		return ERR(EINVAL);
	if (params->offset_bytes > end || params->size_bytes > end - params->offset_bytes)
		return ERR(EOVERFLOW);
	info->size_bytes = params->size_bytes != 0 ? params->size_bytes : (end - params->offset_bytes) / unit * unit;
	return info->size_bytes == 0 ? ERR(EINVAL) : 0;
}

static err_t file_take(struct loop *loop, struct process *process, const struct loop_params *params)
{
	uint32_t flags = (params->read_only ? TB_O_RDONLY : TB_O_RDWR) | TB_O_NONBLOCK;
	err_t err = vfs_file_open(process, params->path, flags, &loop->file);

	if (err != 0)
		return err;
	if (!inode_is(loop->file->inode, TB_S_IFREG))
		return ERR(EINVAL);
	if (vfs_file_path(process, loop->file, loop->info.path, sizeof loop->info.path) != 0)
		strlcpy(loop->info.path, params->path, sizeof loop->info.path);
	return range_choose(loop, params);
}

static err_t device_make(struct loop *loop, const struct loop_params *params)
{
	uint32_t logical = loop->info.logical_bytes;
	struct block_limits limits = {.sectors = loop->info.size_bytes >> SECTOR_SHIFT,
				      .logical_bytes = logical,
				      .physical_bytes = params->physical_bytes != 0 ? params->physical_bytes
										    : MAX(logical, FRAME_SIZE),
				      .flags = BLOCK_VOLATILE | BLOCK_REMOVABLE,
				      .depth = LOOP_DEPTH,
				      .transfer_sectors = LOOP_TRANSFER_BYTES >> SECTOR_SHIFT,
				      .segments = LOOP_SEGMENTS,
				      .command_bytes = sizeof(struct loop_command)};

	if (params->read_only)
		limits.flags |= BLOCK_READ_ONLY;
	if (loop->file->inode->ops->fallocate != NULL)
		limits.flags |= BLOCK_HAS_DISCARD | BLOCK_HAS_ZERO;
	return block_add_open("loop%", &loop_driver, &limits, loop, &loop->device);
}

static struct loop *loop_make(const struct loop_params *params)
{
	struct loop *loop = kmalloc(sizeof *loop, MEM_ZERO);

	if (loop == NULL)
		return NULL;
	loop->zeroes = kmalloc(LOOP_ZEROES_BYTES, MEM_ZERO);
	if (loop->zeroes == NULL) {
		kfree(loop);
		return NULL;
	}
	spin_init(&loop->lock, LOCK_RANK_FS, "loop: commands");
	list_init(&loop->commands);
	waitq_init(&loop->wake, "loop: commands");
	loop->info.logical_bytes = params->logical_bytes != 0 ? params->logical_bytes : SECTOR_SIZE;
	loop->info.read_only = params->read_only;
	return loop;
}

static void partitions_look(struct block_device *device)
{
	const char *problem = NULL;
	err_t err = block_partitions_read(device, &problem);

	if (err != 0)
		log_warn("loop: %s: partition table: %pe", block_name(device), ERR_PTR(err));
	else if (problem != NULL)
		log_warn("loop: %s: partition table: %s", block_name(device), problem);
}

err_t loop_create(struct process *process, const struct loop_params *params, char name[BLOCK_NAME_SIZE])
{
	struct thread_params thread = {.name = "loop", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE};
	struct loop_state *state = loop_state();
	uint32_t logical = params->logical_bytes != 0 ? params->logical_bytes : SECTOR_SIZE;

	if (!IS_POWER_OF_2(logical) || logical < SECTOR_SIZE || logical > BLOCK_PHYSICAL_MAX)
		return ERR(EINVAL);
	struct loop *loop = loop_make(params);
	if (loop == NULL)
		return ERR(ENOMEM);
	err_t err = file_take(loop, process, params);
	if (err == 0)
		err = thread_start(&thread, loop_main, loop, &loop->thread);
	if (err != 0)
		goto fail;
	err = device_make(loop, params);
	if (err != 0)
		goto fail_thread;
	memcpy(loop->info.name, block_name(loop->device), BLOCK_NAME_SIZE);
	memcpy(name, loop->info.name, BLOCK_NAME_SIZE);
	spin_lock(&state->lock);
	list_push_back(&state->loops, &loop->link);
	spin_unlock(&state->lock);
	partitions_look(loop->device);
	block_close(loop->device, false);
	return 0;

fail_thread:
	thread_end(loop);
fail:
	loop_free(loop);
	return err;
}

err_t loop_remove(const char *name)
{
	struct loop_info info;

	for (uint32_t n = 0; loop_info_at(n, &info); n++)
		if (str_equal(info.name, block_name_of(name)))
			return block_remove_by_name(name);
	return ERR(ENODEV);
}

bool loop_info_at(uint32_t n, struct loop_info *info)
{
	struct loop_state *state = loop_state();
	struct loop *loop = NULL;
	bool found = false;

	spin_lock(&state->lock);
	list_for_each (loop, &state->loops, link)
		if (n-- == 0) {
			*info = loop->info;
			found = true;
			break;
		}
	spin_unlock(&state->lock);
	return found;
}

// ---- component -----------------------------------------------------------------------------------------------------------

static err_t loops_init(struct kernel *kernel, const struct hal_boot_info *boot)
{
	struct loop_state *state = kmalloc(sizeof *state, MEM_ZERO);

	(void)boot;
	if (state == NULL)
		return ERR(ENOMEM);
	spin_init(&state->lock, LOCK_RANK_FS, "loop devices");
	list_init(&state->loops);
	kernel->loops = state;
	return 0;
}

// One whose file lies on another loop device keeps that one: as often round as one goes.
static void loops_stop(void)
{
	struct loop_state *state = loop_state();
	struct loop_info info;
	bool gone = true;

	while (gone) {
		gone = false;
		for (uint32_t n = 0; !gone && loop_info_at(n, &info); n++)
			gone = loop_remove(info.name) == 0;
	}
	VERIFY(list_is_empty(&state->loops)); // whoever used them has stopped before
	kernel_self()->loops = NULL;
	kfree(state);
}

const struct component component_loops = {
	.name = "loops", .stage = STAGE_SERVICES, .init = loops_init, .stop = loops_stop, .commands = loop_commands};
