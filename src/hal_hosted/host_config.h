// SPDX-License-Identifier: MIT
//
// Configuration of an instance (host_config.c), for host_tb.c.
#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

#include "host_impl.h"

// Checks the configuration, keeps a copy with its strings in instance->config, and sets cpu_count and the sizes of RAM, with
// the persona's where nothing was asked. Errors, noted for tb_error(NULL): as tb_create(). host_config_release() either way.
tb_err host_config_apply(struct tb_instance *instance, const struct tb_config *config) TB_MUST_USE;
void host_config_release(struct tb_instance *instance);

// Fills instance->boot_info; slot and RAM are known.
void host_config_boot_info(struct tb_instance *instance);

#endif
