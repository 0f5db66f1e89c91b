// SPDX-License-Identifier: MIT
//
// The module door: what the boot loader put into memory. A module answers to its name, to the last part of its path, and to
// its place in order ("0", "1"); the first also to "initrd". "initramfs" is the one that the command line names, or the first.
#include "../arch.h"

#include "hal/module.h"

#define OPEN_MAX 16u

static const char *views[BARE_MODULES_MAX]; // mapped when first opened
static uint32_t opened[OPEN_MAX];           // module + 1, 0: free
static struct bare_lock lock;

static const char *last_part(const char *path)
{
	const char *part = path;
	for (; *path != '\0'; path++)
		if (*path == '/')
			part = path + 1;
	return part;
}

static bool module_answers(uint32_t index, const char *name)
{
	const struct bare_module *module = &bare.boot.modules[index];
	char number[2] = {(char)('0' + index), '\0'};
	if (last_part(name)[0] == '\0')
		return false;
	return bare_streq(module->name, name) || bare_streq(last_part(module->name), last_part(name)) ||
	       bare_streq(number, name) || (index == 0 && bare_streq(name, "initrd"));
}

static tb_err module_map(uint32_t index)
{
	const struct bare_module *module = &bare.boot.modules[index];
	if (views[index] == NULL)
		views[index] = bare_map(module->phys, module->size_bytes, PROT_READ);
	return views[index] != NULL ? 0 : -BARE_EIO;
}

tb_err hal_module_open(const char *name, int32_t *id, uint64_t *size_bytes)
{
	tb_err err = -BARE_ENOENT;
	uint32_t slot = 0;
	bool was = bare_lock_take(&lock);
	while (slot < OPEN_MAX && opened[slot] != 0)
		slot++;
	if (bare_streq(name, "initramfs") && bare.options.has_initramfs)
		name = bare.options.initramfs[0] != '\0' ? bare.options.initramfs : "initrd";
	if (slot == OPEN_MAX)
		err = -BARE_EMFILE;
	for (uint32_t i = 0; i < bare.boot.module_count && err == -BARE_ENOENT; i++) {
		if (!module_answers(i, name))
			continue;
		err = module_map(i);
		if (err == 0) {
			opened[slot] = i + 1;
			*id = (int32_t)slot;
			*size_bytes = bare.boot.modules[i].size_bytes;
		}
	}
	bare_lock_free(&lock, was);
	return err;
}

tb_err hal_module_read(int32_t id, uint64_t offset, void *buffer, size_t size_bytes)
{
	if (id < 0 || (uint32_t)id >= OPEN_MAX || opened[id] == 0)
		return -BARE_EBADF;
	const struct bare_module *module = &bare.boot.modules[opened[id] - 1];
	if (offset > module->size_bytes || size_bytes > module->size_bytes - offset)
		return -BARE_EINVAL;
	memcpy(buffer, views[opened[id] - 1] + offset, size_bytes);
	return 0;
}

void hal_module_close(int32_t id)
{
	bool was = bare_lock_take(&lock);
	if (id >= 0 && (uint32_t)id < OPEN_MAX)
		opened[id] = 0;
	bare_lock_free(&lock, was);
}
