// SPDX-License-Identifier: MIT
//
// Rows that small machines have only inside a Linux process: the host's calls and what they may use.
#include "boot_impl.h"

#include "boot_rows.h"

static err_t init_api(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)info;
	return api_init(kernel);
}

const struct component component_calls = {.name = "calls", .stage = STAGE_FRONT, .init = call_init, .stop = call_stop};
const struct component component_api = {.name = "api", .stage = STAGE_FRONT, .init = init_api, .stop = api_stop};
