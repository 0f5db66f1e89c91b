// SPDX-License-Identifier: MIT
//
// The module door for those who may not use the HAL themselves.
#include "kern/module.h"

#include "hal/hal.h"
#include "hal/module.h"
#include "kern/cpu.h"

err_t module_open(const char *name, struct module *module)
{
	return hal_module_open(name, &module->id, &module->size_bytes);
}

err_t module_read(const struct module *module, uint64_t offset, void *buffer, size_t size_bytes)
{
	return hal_module_read(module->id, offset, buffer, size_bytes);
}

void module_close(struct module *module)
{
	hal_module_close(module->id);
}

bool module_has_initramfs(void)
{
	return (kernel_self()->flags & HAL_BOOT_INITRAMFS) != 0;
}
