// SPDX-License-Identifier: MIT
//
// The call door on a machine that has no host: one call that boot itself makes, which is how a test image runs its bodies in
// a kernel thread. Its result becomes the exit status.
#include "../arch.h"

#include "hal/call.h"

static struct hal_call waiting;
static uint32_t state; // atomic: 0 none, 1 waits, 2 taken

// Only in test images: runs the bodies that `filter` names.
extern int64_t tb_test_main(void *filter) __attribute__((__weak__));

void call_from_boot(int64_t (*fn)(void *), void *arg)
{
	waiting = (struct hal_call){.token = 1, .fn = fn, .arg = arg};
	__atomic_store_n(&state, 1, __ATOMIC_RELEASE);
	bare_raise(&bare_cpus[0], HAL_IRQ_CALL);
}

bool hal_call_take(struct hal_call *call)
{
	uint32_t expected = 1;
	if (!__atomic_compare_exchange_n(&state, &expected, 2, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	*call = waiting;
	return true;
}

void hal_call_done(uint64_t token, int64_t result)
{
	(void)token;
	bare.exit_status = (int32_t)result;
	__atomic_store_n(&bare.call_ended, 1, __ATOMIC_RELEASE);
	bare_raise(&bare_cpus[0], HAL_IRQ_STOP);
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

void test_begin(void)
{
	if (tb_test_main == NULL)
		bare_die("test=%s: this image has no test bodies", bare.options.test);
	call_from_boot(tb_test_main, bare.options.test);
}
