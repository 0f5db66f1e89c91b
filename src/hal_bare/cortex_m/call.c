// SPDX-License-Identifier: MIT
//
// The call door of a machine that nobody calls from outside.
#include "cortex_impl.h"

void call_begin(void)
{
}

bool hal_call_take(struct hal_call *call)
{
	(void)call;
	return false;
}

void hal_call_done(uint64_t token, int64_t result)
{
	(void)token;
	(void)result;
}

bool hal_call_wants_cpu(void)
{
	return false;
}

void hal_call_sleeping(uint64_t token, bool sleeping)
{
	(void)token;
	(void)sleeping;
}
