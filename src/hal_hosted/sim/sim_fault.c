// SPDX-License-Identifier: MIT
//
// Faults of simulated disks, as people write them: "eio=100,cut=57". sim_disk.h says what they do.
#include "sim_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[SIM_FAULT_COUNT] = {
	[SIM_FAULT_EIO] = "eio",   [SIM_FAULT_FULL] = "full",   [SIM_FAULT_LOST] = "lost",
	[SIM_FAULT_TORN] = "torn", [SIM_FAULT_STALE] = "stale", [SIM_FAULT_MISDIRECTED] = "misdirected",
	[SIM_FAULT_FLIP] = "flip", [SIM_FAULT_LYING] = "lying", [SIM_FAULT_SLOW] = "slow",
};

// A number from 1, up to the comma or the end.
static bool number_parse(const char **text, uint64_t limit, uint64_t *number)
{
	uint64_t value = 0;
	const char *at = *text;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (value > (limit - (uint64_t)(*at - '0')) / 10)
			return false;
		value = value * 10 + (uint64_t)(*at - '0');
	}
	if (at == *text || value == 0 || (*at != ',' && *at != '\0'))
		return false;
	*text = *at == ',' ? at + 1 : at;
	*number = value;
	return true;
}

static bool fault_parse(const char **text, struct sim_faults *faults)
{
	const char *equals = strchr(*text, '=');
	size_t size = equals == NULL ? 0 : (size_t)(equals - *text);
	const char *name = *text;
	uint64_t number = 0;
	if (equals == NULL)
		return false;
	*text = equals + 1;
	if (size == 3 && memcmp(name, "cut", 3) == 0)
		return number_parse(text, UINT64_MAX / 2, &faults->cut);
	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
		if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) {
			if (!number_parse(text, UINT32_MAX, &number))
				return false;
			faults->one_in[i] = (uint32_t)number;
			return true;
		}
	return false;
}

tb_err sim_faults_parse(const char *path, const char *text, struct sim_faults *faults)
{
	const char *at = text;
	memset(faults, 0, sizeof *faults);
	while (at != NULL && *at != '\0') {
		const char *begin = at;
		if (!fault_parse(&at, faults))
			return host_fail(NULL, -EINVAL,
					 "disk %s: faults: '%s' is none of eio, full, lost, torn, misdirected, stale, "
					 "flip, lying, "
					 "slow, cut with =N, N from 1",
					 path, begin);
	}
	return 0;
}
