// SPDX-License-Identifier: MIT
//
// The call door of test images, instead of call.c: one call, tb_test_main() with the debugger's command line, as soon as the
// machine is up. Its result is the exit status.
#include "cortex_impl.h"

#define TEXT_SIZE 128u

extern int64_t tb_test_main(void *text); // the image's

static char text[TEXT_SIZE];
static bool taken;

void call_begin(void)
{
	semihost_command_line(text, sizeof text);
	cortex_raise(HAL_IRQ_CALL);
}

bool hal_call_take(struct hal_call *call)
{
	if (taken)
		return false;
	taken = true;
	*call = (struct hal_call){.token = 1, .fn = tb_test_main, .arg = text};
	return true;
}

void hal_call_done(uint64_t token, int64_t result)
{
	(void)token;
	hal_halt((int32_t)result);
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
