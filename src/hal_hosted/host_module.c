// SPDX-License-Identifier: MIT
//
// The module door: host files, read only. The content is frozen by copying it into a sealed memfd when it is opened, so
// that a file which is rewritten meanwhile cannot change under the kernel.
#include "host_module.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULE_SIZE_MAX (1ull << 40)
#define NAME_SIZE_MAX 4096u

void host_modules_init(struct tb_instance *instance)
{
	for (uint32_t i = 0; i < HOST_MODULE_COUNT; i++)
		instance->modules[i].fd = -1;
}

void host_modules_close(struct tb_instance *instance)
{
	for (uint32_t i = 0; i < HOST_MODULE_COUNT; i++) {
		if (instance->modules[i].fd >= 0)
			close(instance->modules[i].fd);
		instance->modules[i].fd = -1;
	}
}

static tb_err file_freeze(int file, uint64_t size_bytes, int *out)
{
	int copy = memfd_create("tbos-module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return errno == EMFILE || errno == ENFILE ? -EMFILE : -EIO;
	uint64_t done = 0;
	while (done < size_bytes) {
		ssize_t got = sendfile(copy, file, NULL, size_bytes - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) { // an error, or the file has shrunk
			close(copy);
			return -EIO;
		}
		done += (uint64_t)got;
	}
	fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	*out = copy;
	return 0;
}

static tb_err open_error(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return -ENOENT;
	case EACCES:
	case EPERM:
		return -EACCES;
	case EMFILE:
	case ENFILE:
		return -EMFILE;
	default:
		return -EIO;
	}
}

static tb_err file_open(const char *name, struct host_module *module)
{
	struct stat status;
	// Without blocking on a FIFO that nobody writes to.
	int file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return open_error(errno);
	tb_err err = 0;
	if (fstat(file, &status) != 0)
		err = -EIO;
	else if (S_ISDIR(status.st_mode))
		err = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		err = -EACCES;
	else if ((uint64_t)status.st_size > MODULE_SIZE_MAX)
		err = -EFBIG;
	if (err == 0) {
		module->size_bytes = (uint64_t)status.st_size;
		err = file_freeze(file, module->size_bytes, &module->fd);
	}
	close(file);
	return err;
}

static tb_err module_open(struct tb_instance *instance, const char *name, int32_t *id)
{
	struct host_module *module = NULL;
	for (int32_t i = 0; i < HOST_MODULE_COUNT && module == NULL; i++)
		if (instance->modules[i].fd < 0) {
			module = &instance->modules[i];
			*id = i;
		}
	if (module == NULL)
		return -EMFILE;
	bool initramfs = strcmp(name, "initramfs") == 0 && instance->config.initramfs_path != NULL;
	tb_err err = file_open(initramfs ? instance->config.initramfs_path : name, module);
	if (err == 0 && instance->engine->module_opened != NULL)
		err = instance->engine->module_opened(instance, name, module);
	if (err != 0 && module->fd >= 0) {
		close(module->fd);
		module->fd = -1;
	}
	return err;
}

// ---- the doors ------------------------------------------------------------------------------------------------------

struct request {
	struct tb_instance *instance;
	const char *name;
	void *buffer;
	uint64_t offset;
	uint64_t size_bytes;
	int32_t id;
	tb_err err;
};

static void open_on_host(void *arg)
{
	struct request *request = arg;
	struct tb_instance *instance = request->instance;
	pthread_mutex_lock(&instance->lock);
	request->err = module_open(instance, request->name, &request->id);
	if (request->err == 0)
		request->size_bytes = instance->modules[request->id].size_bytes;
	pthread_mutex_unlock(&instance->lock);
}

static void close_on_host(void *arg)
{
	struct request *request = arg;
	struct tb_instance *instance = request->instance;
	pthread_mutex_lock(&instance->lock);
	struct host_module *module = &instance->modules[request->id];
	if (module->fd >= 0)
		close(module->fd);
	module->fd = -1;
	pthread_mutex_unlock(&instance->lock);
}

static void read_on_host(void *arg)
{
	struct request *request = arg;
	struct host_module *module = &request->instance->modules[request->id];
	char *at = request->buffer;
	request->err = -EBADF;
	if (module->fd < 0)
		return;
	request->err = -EINVAL;
	if (request->offset > module->size_bytes || request->size_bytes > module->size_bytes - request->offset)
		return;
	while (request->size_bytes > 0) {
		ssize_t got = pread(module->fd, at, request->size_bytes, (off_t)request->offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			request->err = -EIO;
			return;
		}
		at += got;
		request->offset += (uint64_t)got;
		request->size_bytes -= (uint64_t)got;
	}
	request->err = 0;
}

tb_err hal_module_open(const char *name, int32_t *id, uint64_t *size_bytes)
{
	struct request request = {.instance = host_instance(), .name = name};
	if (strnlen(name, NAME_SIZE_MAX) == NAME_SIZE_MAX)
		return -ENOENT;
	bool was = hal_irq_save();
	host_stack_call(open_on_host, &request);
	hal_irq_restore(was);
	if (request.err == 0) {
		*id = request.id;
		*size_bytes = request.size_bytes;
	}
	return request.err;
}

tb_err hal_module_read(int32_t id, uint64_t offset, void *buffer, size_t size_bytes)
{
	struct request request = {host_instance(), NULL, buffer, offset, size_bytes, id, 0};
	if (id < 0 || id >= HOST_MODULE_COUNT)
		return -EBADF;
	bool was = hal_irq_save();
	host_stack_call(read_on_host, &request);
	hal_irq_restore(was);
	return request.err;
}

void hal_module_close(int32_t id)
{
	struct request request = {.instance = host_instance(), .id = id};
	if (id < 0 || id >= HOST_MODULE_COUNT)
		return;
	bool was = hal_irq_save();
	host_stack_call(close_on_host, &request);
	hal_irq_restore(was);
}
