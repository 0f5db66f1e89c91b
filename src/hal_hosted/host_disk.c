// SPDX-License-Identifier: MIT
//
// Opening and locking images, and the block door. What requests do is in host_disk_io.c.
#include "host_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

// Whether somebody else has the file open for writing, as far as the host tells: a read lease is refused then. We hold it for a moment only.
static bool has_writer(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	bool refused = fcntl(fd, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	return refused;
}

static bool image_lock(int fd, bool read_only)
{
	struct flock lock = {.l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

static tb_err disk_fail(const struct tb_disk *from, int error)
{
	return host_fail(NULL, -error, "disk %s: %s", from->path, strerror(error));
}

static tb_err config_check(const struct tb_disk *from)
{
	uint32_t physical = from->physical_bytes;
	if (from->path == NULL || from->path[0] == '\0')
		return host_fail(NULL, -EINVAL, "disk: no path");
	if (from->flags & ~(uint32_t)(TB_DISK_READ_ONLY | TB_DISK_PUBLISH) || from->reserved != 0)
		return host_fail(NULL, -EINVAL, "disk %s: flags 0x%x are unknown", from->path, from->flags);
	if (from->flags == (TB_DISK_READ_ONLY | TB_DISK_PUBLISH))
		return host_fail(NULL, -EINVAL, "disk %s: what may not be written cannot be published", from->path);
	if (physical != 0 && (physical < 512 || physical > 65536 || (physical & (physical - 1)) != 0))
		return host_fail(NULL, -EINVAL, "disk %s: physical=%u is no power of two from 512 to 65536", from->path,
				 physical);
	if (from->logical_bytes != 0 && from->logical_bytes != 512 && from->logical_bytes != 4096)
		return host_fail(NULL, -EINVAL, "disk %s: logical=%u is not 512 or 4096", from->path,
				 from->logical_bytes);
	if (from->offset_bytes % 512 != 0 || from->size_bytes % 512 != 0)
		return host_fail(NULL, -EINVAL, "disk %s: offset and size are multiples of 512", from->path);
	if (from->offset_bytes > INT64_MAX / 2 || from->size_bytes > INT64_MAX / 2)
		return host_fail(NULL, -EINVAL, "disk %s: offset or size is too large", from->path);
	return 0;
}

// A file that is not there, or empty, is made as large as was asked for.
static tb_err file_open(struct host_disk *disk, const struct tb_disk *from, bool read_only, uint64_t *end_bytes)
{
	struct stat status;
	struct statfs system;
	bool make = from->size_bytes != 0 && !read_only;

	if (!read_only && has_writer(from->path))
		return host_fail(NULL, -EBUSY, "disk %s: another program has it open for writing", from->path);
	disk->fd =
		open(from->path, (read_only ? O_RDONLY : O_RDWR) | (make ? O_CREAT : 0) | O_CLOEXEC | O_NONBLOCK, 0666);
	if (disk->fd < 0 || fstat(disk->fd, &status) != 0)
		return disk_fail(from, errno);
	if (!S_ISREG(status.st_mode))
		return host_fail(NULL, -EINVAL, "disk %s: neither a file nor a block device", from->path);
	if (!image_lock(disk->fd, read_only))
		return host_fail(NULL, -EBUSY, "disk %s: another program uses it", from->path);
	if (make && status.st_size == 0) {
		status.st_size = (off_t)(from->offset_bytes + from->size_bytes);
		if (ftruncate(disk->fd, status.st_size) != 0)
			return disk_fail(from, errno);
	}
	disk->memory = fstatfs(disk->fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
	disk->info.physical_bytes = 4096;
	*end_bytes = (uint64_t)status.st_size;
	return 0;
}

static tb_err device_open(struct host_disk *disk, const struct tb_disk *from, bool read_only, uint64_t *end_bytes)
{
	unsigned int physical = 0;
	int logical = 0;

	disk->fd = open(from->path, (read_only ? O_RDONLY : O_RDWR) | O_EXCL | O_CLOEXEC);
	if (disk->fd < 0 && errno == EBUSY)
		return host_fail(NULL, -EBUSY, "disk %s: the host uses it (is it mounted?)", from->path);
	if (disk->fd < 0 || ioctl(disk->fd, BLKGETSIZE64, end_bytes) != 0 ||
	    ioctl(disk->fd, BLKSSZGET, &logical) != 0 || ioctl(disk->fd, BLKPBSZGET, &physical) != 0)
		return disk_fail(from, errno);
	disk->device = true;
	disk->info.logical_bytes = logical == 4096 ? 4096 : 512;
	disk->info.physical_bytes = physical < 512 || physical > 65536 ? 4096 : physical;
	return 0;
}

static tb_err geometry_set(struct host_disk *disk, const struct tb_disk *from, uint64_t end_bytes)
{
	struct hal_block_info *info = &disk->info;

	if (from->logical_bytes != 0 && from->logical_bytes < info->logical_bytes)
		return host_fail(NULL, -EINVAL, "disk %s: its sectors have %u bytes", from->path, info->logical_bytes);
	if (from->logical_bytes != 0)
		info->logical_bytes = from->logical_bytes;
	if (from->physical_bytes != 0)
		info->physical_bytes = from->physical_bytes;
	if (info->physical_bytes < info->logical_bytes)
		info->physical_bytes = info->logical_bytes;
	if (from->offset_bytes > end_bytes || from->size_bytes > end_bytes - from->offset_bytes)
		return host_fail(NULL, -EINVAL, "disk %s: %llu bytes, which is less than offset and size say",
				 from->path, (unsigned long long)end_bytes);
	disk->offset_bytes = from->offset_bytes;
	info->size_bytes = from->size_bytes != 0 ? from->size_bytes : end_bytes - from->offset_bytes;
	info->size_bytes -= info->size_bytes % info->logical_bytes;
	if (info->size_bytes == 0)
		return host_fail(NULL, -EINVAL, "disk %s: it is empty; size=… makes it", from->path);
	return 0;
}

// A simulated disk's image is written only when that was asked for.
static tb_err disk_open(struct host_disk *disk, const struct tb_disk *from, bool simulated)
{
	bool read_only = (from->flags & TB_DISK_READ_ONLY) != 0 ||
			 (simulated && (from->flags & TB_DISK_PUBLISH) == 0 && from->size_bytes == 0);
	struct stat status;
	uint64_t end_bytes = 0;
	tb_err err = config_check(from);

	if (err != 0)
		return err;
	disk->path = strdup(from->path);
	if (disk->path == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	disk->info.logical_bytes = 512;
	bool is_device = stat(from->path, &status) == 0 && S_ISBLK(status.st_mode);
	err = is_device ? device_open(disk, from, read_only, &end_bytes) : file_open(disk, from, read_only, &end_bytes);
	if (err == 0)
		err = geometry_set(disk, from, end_bytes);
	if (err != 0)
		return err;
	disk->info.flags = HAL_BLOCK_VOLATILE | HAL_BLOCK_HAS_DISCARD | HAL_BLOCK_HAS_ZERO;
	if ((from->flags & TB_DISK_READ_ONLY) != 0)
		disk->info.flags |= HAL_BLOCK_READ_ONLY;
	snprintf(disk->info.model, sizeof disk->info.model, "%s",
		 simulated   ? "simulated disk"
		 : is_device ? "block device of the host"
			     : "file of the host");
	return 0;
}

tb_err host_disks_open(struct tb_instance *instance)
{
	const struct tb_config *config = &instance->config;
	tb_err err = 0;

	if (config->disk_count == 0)
		return 0;
	for (uint32_t i = 0; i < config->disk_count && config->engine != TB_ENGINE_SIM; i++)
		if (config->disks[i].faults != NULL || (config->disks[i].flags & TB_DISK_PUBLISH) != 0)
			return host_fail(NULL, -EINVAL, "disk %s: faults and publish need the sim engine",
					 config->disks[i].path);
	instance->disks = calloc(config->disk_count, sizeof *instance->disks);
	if (instance->disks == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	instance->disk_count = config->disk_count;
	for (uint32_t i = 0; i < config->disk_count; i++)
		instance->disks[i].fd = -1;
	for (uint32_t i = 0; i < config->disk_count && err == 0; i++)
		err = disk_open(&instance->disks[i], &config->disks[i], config->engine == TB_ENGINE_SIM);
	return err;
}

void host_disks_close(struct tb_instance *instance)
{
	for (uint32_t i = 0; i < instance->disk_count; i++) {
		if (instance->disks[i].fd >= 0)
			close(instance->disks[i].fd);
		free(instance->disks[i].path);
	}
	free(instance->disks);
}

// ---- the door -----------------------------------------------------------------------------------------------------------

struct asking {
	struct tb_instance *instance;
	tb_err err;
};

static void ask_on_host(void *arg)
{
	struct asking *asking = arg;
	asking->err = asking->instance->engine->disks_asked(asking->instance);
}

// The kernel asks once from 0 on.
bool hal_block_info(uint32_t disk, struct hal_block_info *info)
{
	struct asking asking = {.instance = host_instance()};
	if (disk >= asking.instance->disk_count)
		return false;
	if (disk == 0 && asking.instance->engine->disks_asked != NULL) {
		bool was = hal_irq_save();
		host_stack_call(ask_on_host, &asking);
		hal_irq_restore(was);
	}
	*info = asking.instance->disks[disk].info;
	return asking.err == 0;
}

struct submission {
	struct tb_instance *instance;
	const struct hal_block_request *request;
	bool *done;
	tb_err err;
};

static bool request_is_sound(const struct host_disk *disk, const struct hal_block_request *request)
{
	uint64_t size_bytes = disk->info.size_bytes;
	if (request->slot >= HAL_BLOCK_DEPTH || request->op > HAL_BLOCK_ZERO ||
	    request->segment_count > HAL_BLOCK_SEGMENTS)
		return false;
	return request->offset_bytes <= size_bytes && request->size_bytes <= size_bytes - request->offset_bytes;
}

static void submit_on_host(void *arg)
{
	struct submission *submission = arg;
	struct tb_instance *instance = submission->instance;
	submission->err = instance->engine->block_submit(instance, submission->request, submission->done);
}

tb_err hal_block_submit(const struct hal_block_request *request, bool *done)
{
	struct submission submission = {host_instance(), request, done, -EINVAL};
	struct tb_instance *instance = submission.instance;

	*done = false;
	if (request->disk >= instance->disk_count || !request_is_sound(&instance->disks[request->disk], request))
		return -EINVAL;
	if ((instance->disks[request->disk].info.flags & HAL_BLOCK_READ_ONLY) != 0 && request->op != HAL_BLOCK_READ &&
	    request->op != HAL_BLOCK_FLUSH)
		return -EROFS;
	bool was = hal_irq_save();
	host_stack_call(submit_on_host, &submission);
	if (submission.err == HOST_POWER_CUT) {
		host_critical_begin();
		host_instance_halt(instance, TB_STATUS_POWER_CUT);
		instance->engine->halt(instance);
	}
	hal_irq_restore(was);
	return submission.err;
}

struct taking {
	struct tb_instance *instance;
	uint32_t *disk, *slot;
	tb_err *err;
	bool taken;
};

static void take_on_host(void *arg)
{
	struct taking *taking = arg;
	struct tb_instance *instance = taking->instance;
	taking->taken = instance->engine->block_take(instance, taking->disk, taking->slot, taking->err);
}

bool hal_block_take(uint32_t *disk, uint32_t *slot, tb_err *err)
{
	struct taking taking = {host_instance(), disk, slot, err, false};
	bool was = hal_irq_save();
	host_stack_call(take_on_host, &taking);
	hal_irq_restore(was);
	return taking.taken;
}
