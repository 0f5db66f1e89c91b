// SPDX-License-Identifier: MIT
//
// Read-copy-update on one CPU: readers keep preemption off, so whoever runs with preemption on is past every reader. A grace
// period is therefore over as soon as it is asked for.
#include "sync_impl.h"

err_t rcu_init(struct kernel *kernel)
{
	(void)kernel;
	return 0;
}

void rcu_synchronize(void)
{
	ASSERT3(hal_self()->preempt_count, ==, 0);
}

void rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	fn(head);
}

void rcu_barrier(void)
{
}

void rcu_quiescent(void)
{
}

bool rcu_read_held(void)
{
	return hal_self()->preempt_count != 0;
}

#if CONFIG_LOCKCHECK
void rcu_read_lock(void)
{
	preempt_disable();
}

void rcu_read_unlock(void)
{
	preempt_enable();
}
#endif

err_t rcu_check(void)
{
	return 0;
}
