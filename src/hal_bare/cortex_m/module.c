// SPDX-License-Identifier: MIT
//
// Boot modules: one, the allocation trace that may lie in the image's own window. Who has it open is a bit each.
#include "cortex_impl.h"

#include <string.h>

#define ERROR_NO_ENTRY (-2)
#define ERROR_BAD_FILE (-9)
#define ERROR_INVALID (-22)
#define ERROR_TOO_MANY (-24)
#define OPEN_MAX 16u
#define WINDOW_NAME "window"
#define WINDOW_SIZE_AT 64 // a TBAT header; its record count says how much follows

// Flash that was never written reads as all ones or, from a linker, as zero: no trace.
static size_t window_size(void)
{
	size_t room = (size_t)(hal_cortex_window_end - hal_cortex_window);
	uint32_t records;
	if (room < WINDOW_SIZE_AT || memcmp(hal_cortex_window, "TBAT", 4) != 0)
		return 0;
	memcpy(&records, hal_cortex_window + 16, sizeof records);
	return records <= (room - WINDOW_SIZE_AT) / 12 ? WINDOW_SIZE_AT + (size_t)records * 12 : 0;
}

static bool is_open(int32_t id)
{
	return id >= 0 && id < (int32_t)OPEN_MAX && (cortex.modules >> id & 1) != 0;
}

tb_err hal_module_open(const char *name, int32_t *id, uint64_t *size_bytes)
{
	const char *known = WINDOW_NAME;
	for (; *known != '\0' && *known == *name; known++)
		name++;
	if (*known != *name || window_size() == 0)
		return ERROR_NO_ENTRY;
	uint32_t was = cortex_lock();
	uint32_t first = (uint32_t)__builtin_ctz(~(uint32_t)cortex.modules);
	if (first < OPEN_MAX)
		cortex.modules |= (uint16_t)(1u << first);
	cortex_unlock(was);
	if (first >= OPEN_MAX)
		return ERROR_TOO_MANY;
	*id = (int32_t)first;
	*size_bytes = window_size();
	return 0;
}

tb_err hal_module_read(int32_t id, uint64_t offset, void *buffer, size_t size_bytes)
{
	if (!is_open(id))
		return ERROR_BAD_FILE;
	if (offset > window_size() || size_bytes > window_size() - offset)
		return ERROR_INVALID;
	memcpy(buffer, hal_cortex_window + (size_t)offset, size_bytes);
	return 0;
}

void hal_module_close(int32_t id)
{
	uint32_t was = cortex_lock();
	if (is_open(id))
		cortex.modules &= (uint16_t) ~(1u << id);
	cortex_unlock(was);
}
