// SPDX-License-Identifier: MIT
//
// Boot of the sync module, and its own invariants.
#include "sync_impl.h"

err_t sync_init(struct kernel *kernel)
{
	err_t err = 0;

#if CONFIG_LOCKCHECK
	err = lockcheck_init(kernel);
#endif
	if (err == 0)
		err = rcu_init(kernel);
	if (err != 0)
		return err;
	struct sync_state *sync = boot_alloc(kernel, sizeof *sync, CACHE_LINE_SIZE);
	if (sync == NULL)
		return ERR(ENOMEM);
	spin_init(&sync->pi_lock, LOCK_RANK_PI, "mutex: inheritance");
	kernel->sync = sync;
	return 0;
}

err_t sync_check(void)
{
	return rcu_check();
}
