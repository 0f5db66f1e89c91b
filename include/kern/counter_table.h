// SPDX-License-Identifier: MIT
//
// Every counter: X(id, "group.name", "what it counts"). Add a row and count; the monitor and the exporters walk the table.
#ifndef KERN_COUNTER_TABLE_H
#define KERN_COUNTER_TABLE_H

#define COUNTER_TABLE(X)                                                                                               \
	X(COUNTER_LOG_LINES, "log.lines", "lines logged")                                                              \
	X(COUNTER_LOG_LIMITED, "log.limited", "lines held back by a rate limit")                                       \
	X(COUNTER_LOCK_CONTENDED, "lock.contended", "spinlock acquisitions that had to wait")                          \
	X(COUNTER_MUTEX_BLOCKED, "mutex.blocked", "mutex acquisitions that slept")                                     \
	X(COUNTER_MUTEX_HANDED, "mutex.handed", "mutexes handed over to a waiter that was passed too often")           \
	X(COUNTER_MUTEX_LENT, "mutex.lent", "changes of an inherited priority")                                        \
	X(COUNTER_RWLOCK_BLOCKED, "rwlock.blocked", "reader-writer lock acquisitions that slept")                      \
	X(COUNTER_WAITQ_TIMEOUTS, "waitq.timeouts", "waits that ended by their deadline")                              \
	X(COUNTER_RCU_GRACE_PERIODS, "rcu.grace_periods", "grace periods completed")                                   \
	X(COUNTER_RCU_CALLBACKS, "rcu.callbacks", "RCU callbacks run")                                                 \
	X(COUNTER_RCU_KICKS, "rcu.kicks", "interrupts sent to CPUs that held up a grace period")                       \
	X(COUNTER_SCHED_SWITCHES, "sched.switches", "thread switches")                                                 \
	X(COUNTER_SCHED_PREEMPTIONS, "sched.preemptions", "switches away from a thread that wanted to go on")          \
	X(COUNTER_SCHED_WAKEUPS, "sched.wakeups", "threads made ready")                                                \
	X(COUNTER_SCHED_STEALS, "sched.steals", "threads taken from another CPU's queue")                              \
	X(COUNTER_SCHED_MIGRATIONS, "sched.migrations", "threads moved by affinity or balance")                        \
	X(COUNTER_THREADS_STARTED, "thread.started", "threads started")                                                \
	X(COUNTER_THREADS_EXITED, "thread.exited", "threads ended")                                                    \
	X(COUNTER_IRQ_TIMER, "irq.timer", "timer interrupts")                                                          \
	X(COUNTER_IRQ_IPI, "irq.ipi", "inter-processor interrupts taken")                                              \
	X(COUNTER_IRQ_OTHER, "irq.other", "other interrupts")                                                          \
	X(COUNTER_TIMER_ARMED, "timer.armed", "timers armed")                                                          \
	X(COUNTER_TIMER_FIRED, "timer.fired", "timers fired")                                                          \
	X(COUNTER_TIMER_CANCELLED, "timer.cancelled", "timers cancelled before they fired")                            \
	X(COUNTER_FRAME_ALLOCS, "frame.allocs", "frame allocations served by the buddy")                               \
	X(COUNTER_FRAME_FREES, "frame.frees", "frame blocks given back to the buddy")                                  \
	X(COUNTER_FRAME_FAILURES, "frame.failures", "frame allocations refused")                                       \
	X(COUNTER_FRAME_TRIMMED, "frame.trimmed", "free frames given back to the host")                                \
	X(COUNTER_SLAB_REFILLS, "slab.refills", "magazines filled from the depot or a slab")                           \
	X(COUNTER_SLAB_FLUSHES, "slab.flushes", "magazines emptied into the depot or a slab")                          \
	X(COUNTER_SLAB_GROWS, "slab.grows", "slabs created")                                                           \
	X(COUNTER_SLAB_SHRINKS, "slab.shrinks", "slabs given back")                                                    \
	X(COUNTER_SLAB_FAILURES, "slab.failures", "object allocations refused")                                        \
	X(COUNTER_MEM_PRESSURE, "mem.pressure", "rounds of pressure callbacks")                                        \
	X(COUNTER_CALLS, "call.served", "calls of the host served")                                                    \
	X(COUNTER_MONITOR_COMMANDS, "monitor.commands", "monitor commands run")                                        \
	X(COUNTER_TEST, "test.events", "counted by tests only")

#endif
