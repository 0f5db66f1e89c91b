// SPDX-License-Identifier: MIT
//
// The configuration of an instance: defaults, checks, our own copy, and what the kernel is told of it at boot.
#include "host_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_ALL (TB_CONFIG_MONITOR | TB_CONFIG_INTERACTIVE | TB_CONFIG_QUIET | TB_CONFIG_TRACE | TB_CONFIG_STEPPED)

void tb_config_init(struct tb_config *config)
{
	*config = (struct tb_config){.version = TB_API_VERSION, .size_bytes = sizeof *config, .input_fd = -1};
}

static tb_err config_check(const struct tb_config *config)
{
	if (config->version != TB_API_VERSION || config->size_bytes != sizeof *config)
		return host_fail(NULL, -EPERM,
				 "configuration of API version %u, %u bytes; this is version %u, %zu bytes",
				 config->version, config->size_bytes, TB_API_VERSION, sizeof *config);
	if (config->engine > TB_ENGINE_SIM)
		return host_fail(NULL, -EINVAL, "engine: %u is unknown", config->engine);
	if (config->flags & ~(uint32_t)FLAGS_ALL)
		return host_fail(NULL, -EINVAL, "flags: 0x%x has unknown bits", config->flags);
	if (config->cpu_count > CONFIG_MAX_CPUS)
		return host_fail(NULL, -EINVAL, "cpu_count: %u, at most %u", config->cpu_count, CONFIG_MAX_CPUS);
	if (config->slot > HOST_SLOT_COUNT)
		return host_fail(NULL, -EINVAL, "slot: %u, at most %u", config->slot, (uint32_t)HOST_SLOT_COUNT);
	if (config->mem_bytes != 0 && (config->mem_bytes < HOST_RAM_MIN || config->mem_bytes > HOST_RAM_MAX))
		return host_fail(NULL, -EINVAL, "mem_bytes: %llu, allowed are 2 MiB to 3 GiB",
				 (unsigned long long)config->mem_bytes);
	if (config->mem_bytes % 4096 != 0)
		return host_fail(NULL, -EINVAL, "mem_bytes: %llu is no multiple of 4096",
				 (unsigned long long)config->mem_bytes);
	if (config->cmdline != NULL && strlen(config->cmdline) >= HAL_CMDLINE_SIZE)
		return host_fail(NULL, -EINVAL, "cmdline: longer than %u bytes", HAL_CMDLINE_SIZE - 1);
	if (config->poison > 0xff)
		return host_fail(NULL, -EINVAL, "poison: %u is no byte", config->poison);
	if (config->reserved != 0 || config->reserved2 != 0 || config->reserved3 != 0)
		return host_fail(NULL, -EINVAL, "reserved fields must be 0");
	if (config->disk_count > HAL_BLOCK_MAX || (config->disk_count != 0 && config->disks == NULL))
		return host_fail(NULL, -EINVAL, "disks: %u, at most %u", config->disk_count, HAL_BLOCK_MAX);
	if (config->engine != TB_ENGINE_SIM && (config->sim || config->record_path || config->replay_path))
		return host_fail(NULL, -EINVAL, "sim, record_path and replay_path need the sim engine");
	if ((config->flags & TB_CONFIG_STEPPED) != 0 && (config->engine != TB_ENGINE_SIM || config->sim != NULL))
		return host_fail(NULL, -EINVAL, "a stepped clock needs the sim engine and a world of its own");
	if ((config->flags & TB_CONFIG_STEPPED) != 0 && config->cpu_count > 1)
		return host_fail(NULL, -EINVAL, "a stepped clock needs one CPU, not %u", config->cpu_count);
	return 0;
}

static tb_err string_copy(const char **string)
{
	if (*string == NULL)
		return 0;
	*string = strdup(*string);
	return *string != NULL ? 0 : host_fail(NULL, -ENOMEM, "no host memory");
}

static tb_err disks_copy(struct tb_config *config, const struct tb_config *from)
{
	if (from->disk_count == 0)
		return 0;
	struct tb_disk *disks = calloc(from->disk_count, sizeof *disks);
	if (disks == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	config->disks = disks;
	for (uint32_t i = 0; i < from->disk_count; i++) {
		disks[i] = from->disks[i];
		tb_err path = string_copy(&disks[i].path), faults = string_copy(&disks[i].faults);
		config->disk_count = i + 1;
		if (path != 0 || faults != 0)
			return -ENOMEM;
	}
	return 0;
}

static tb_err config_copy(struct tb_instance *instance, const struct tb_config *from)
{
	struct tb_config *config = &instance->config;
	const char **strings[] = {&config->persona,     &config->cmdline,     &config->policy,
				  &config->record_path, &config->replay_path, &config->initramfs_path};
	size_t count = sizeof strings / sizeof strings[0];

	*config = *from;
	config->disks = NULL;
	config->disk_count = 0;
	if (config->persona == NULL)
		config->persona = CONFIG_PERSONA;
	for (size_t i = 0; i < count; i++) {
		tb_err err = string_copy(strings[i]);
		if (err != 0) {
			while (++i < count) // these are still the caller's
				*strings[i] = NULL;
			return err;
		}
	}
	return disks_copy(config, from);
}

void host_config_release(struct tb_instance *instance)
{
	struct tb_config *config = &instance->config;
	const char *strings[] = {config->persona,     config->cmdline,     config->policy,
				 config->record_path, config->replay_path, config->initramfs_path};
	for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
		free((void *)(uintptr_t)strings[i]);
	for (uint32_t i = 0; i < config->disk_count; i++) {
		free((void *)(uintptr_t)config->disks[i].path);
		free((void *)(uintptr_t)config->disks[i].faults);
	}
	free((void *)(uintptr_t)config->disks);
}

static tb_err persona_apply(struct tb_instance *instance)
{
	struct tb_config *config = &instance->config;
	struct tb_persona persona;
	uint32_t i = 0;

	do {
		if (!tb_persona_get(i++, &persona))
			return host_fail(NULL, -ENOENT, "persona: there is no '%s'", config->persona);
	} while (strcmp(persona.name, config->persona) != 0);
	if (persona.frame_size_bytes != instance->upcalls->frame_size_bytes)
		return host_fail(NULL, -EINVAL, "persona: %s has frames of %u bytes, this kernel %u", config->persona,
				 persona.frame_size_bytes, instance->upcalls->frame_size_bytes);
	if (config->initramfs_path != NULL && instance->upcalls->file == NULL)
		return host_fail(NULL, -EOPNOTSUPP, "initramfs: persona %s has no files", config->persona);
	instance->cpu_count = config->cpu_count != 0 ? config->cpu_count : persona.cpu_count;
	if ((config->flags & TB_CONFIG_STEPPED) != 0)
		instance->cpu_count = 1;
	instance->ram.size_bytes = config->mem_bytes != 0 ? config->mem_bytes : persona.mem_bytes;
	// Small machines' personas: here each stack is larger than their RAM. A process shows what they do, their linker that they fit.
	if (instance->ram.size_bytes < HOST_RAM_MIN)
		instance->ram.size_bytes = HOST_RAM_MIN;
	instance->ram.node_count = persona.node_count;
	if (instance->ram.node_count == 0 || instance->ram.node_count > HAL_MAX_NODES)
		return host_fail(NULL, -EINVAL, "persona: %s has %u nodes", config->persona, persona.node_count);
	return 0;
}

tb_err host_config_apply(struct tb_instance *instance, const struct tb_config *config)
{
	const struct hal_upcalls *upcalls = instance->upcalls;
	tb_err err = config_check(config);
	if (err != 0)
		return err;
	if (upcalls->version != HAL_VERSION || upcalls->kstack_size_bytes != CONFIG_KSTACK_SIZE)
		return host_fail(NULL, -EPERM, "kernel object of HAL version %u, stacks of %u bytes", upcalls->version,
				 upcalls->kstack_size_bytes);
	err = config_copy(instance, config);
	return err != 0 ? err : persona_apply(instance);
}

static uint32_t boot_flags(const struct tb_config *config)
{
	static const uint32_t pairs[][2] = {{TB_CONFIG_MONITOR, HAL_BOOT_MONITOR},
					    {TB_CONFIG_INTERACTIVE, HAL_BOOT_INTERACTIVE},
					    {TB_CONFIG_QUIET, HAL_BOOT_QUIET},
					    {TB_CONFIG_TRACE, HAL_BOOT_TRACE}};
	uint32_t flags = config->engine == TB_ENGINE_SIM ? HAL_BOOT_SIMULATED : 0;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (config->flags & pairs[i][0])
			flags |= pairs[i][1];
	return config->initramfs_path != NULL ? flags | HAL_BOOT_INITRAMFS : flags;
}

void host_config_boot_info(struct tb_instance *instance)
{
	const struct tb_config *config = &instance->config;
	struct hal_boot_info *info = &instance->boot_info;

	info->version = HAL_VERSION;
	info->flags = boot_flags(config);
	info->ram = instance->ram.base;
	info->ram_size_bytes = instance->ram.size_bytes;
	info->ram_used_bytes = instance->ram.used_bytes;
	info->node_count = instance->ram.node_count;
	info->cpu_count = instance->cpu_count;
	memcpy(info->nodes, instance->ram.nodes, sizeof info->nodes);
	info->seed = config->seed;
	info->poison = config->poison;
	snprintf(info->engine, sizeof info->engine, "%s", instance->engine->name);
	snprintf(info->persona, sizeof info->persona, "%s", config->persona);
	snprintf(info->cmdline, sizeof info->cmdline, "%s", config->cmdline ? config->cmdline : "");
}
