// SPDX-License-Identifier: MIT
//
// Every trace event: X(id, "group.name", "label of a", kind of a, "label of b", kind of b). Add a row, at the end of its
// group, and emit it; nothing else needs to know. The number of a row is part of the trace hash, so a new row changes
// the hashes of recorded runs, as any change of the kernel does.
#ifndef KERN_TRACE_TABLE_H
#define KERN_TRACE_TABLE_H

// How an argument is shown, and whether the event hash takes it (kern/trace_hash.h).
enum trace_kind {
	TRACE_NONE,   // not used; pass 0
	TRACE_DEC,    // unsigned number
	TRACE_SIGNED, // int64_t
	TRACE_HEX,
	TRACE_NS,     // duration
	TRACE_TIME,   // point in time; TB_FOREVER: never
	TRACE_BYTES,  // size
	TRACE_COUNT,  // size in other units: frames, an order, characters
	TRACE_FRAME,  // number of a frame
	TRACE_PLACE,  // offset in RAM
	TRACE_SERIAL, // grows from boot on: what came before decides
	TRACE_ERROR,  // err_t or its absolute value
	TRACE_THREAD,
	TRACE_CPU,
	TRACE_IMAGE, // image_offset() of code or a constant
	TRACE_TEXT,  // image_offset() of a constant string
	TRACE_SITE,  // trace_site(): source file and line
};

#define TRACE_TABLE(X)                                                                                                 \
	X(TRACE_ERR_ORIGIN, "err.origin", "error", TRACE_ERROR, "at", TRACE_SITE)                                      \
	X(TRACE_LOG_LINE, "log.line", "level", TRACE_DEC, "length", TRACE_COUNT)                                       \
	X(TRACE_BOOT_STAGE, "boot.stage", "stage", TRACE_DEC, "error", TRACE_ERROR)                                    \
	X(TRACE_BOOT_COMPONENT, "boot.component", "name", TRACE_TEXT, "error", TRACE_ERROR)                            \
	X(TRACE_BOOT_STOP, "boot.stop", "status", TRACE_SIGNED, "", TRACE_NONE)                                        \
	X(TRACE_LOCK_CONTENDED, "lock.contended", "name", TRACE_TEXT, "owner", TRACE_THREAD)                           \
	X(TRACE_LOCK_ACQUIRED, "lock.acquired", "name", TRACE_TEXT, "waited", TRACE_NS)                                \
	X(TRACE_MUTEX_BLOCK, "mutex.block", "name", TRACE_TEXT, "owner", TRACE_THREAD)                                 \
	X(TRACE_MUTEX_HANDOFF, "mutex.handoff", "name", TRACE_TEXT, "to", TRACE_THREAD)                                \
	X(TRACE_MUTEX_INHERIT, "mutex.inherit", "thread", TRACE_THREAD, "prio", TRACE_SIGNED)                          \
	X(TRACE_WAITQ_SLEEP, "waitq.sleep", "name", TRACE_TEXT, "deadline", TRACE_TIME)                                \
	X(TRACE_WAITQ_WAKE, "waitq.wake", "thread", TRACE_THREAD, "count", TRACE_DEC)                                  \
	X(TRACE_RCU_GP_START, "rcu.gp_start", "gp", TRACE_SERIAL, "", TRACE_NONE)                                      \
	X(TRACE_RCU_GP_END, "rcu.gp_end", "gp", TRACE_SERIAL, "callbacks", TRACE_DEC)                                  \
	X(TRACE_SCHED_SWITCH, "sched.switch", "from", TRACE_THREAD, "to", TRACE_THREAD)                                \
	X(TRACE_SCHED_WAKE, "sched.wake", "thread", TRACE_THREAD, "cpu", TRACE_CPU)                                    \
	X(TRACE_SCHED_PARK, "sched.park", "thread", TRACE_THREAD, "deadline", TRACE_TIME)                              \
	X(TRACE_SCHED_PREEMPT, "sched.preempt", "thread", TRACE_THREAD, "by", TRACE_THREAD)                            \
	X(TRACE_SCHED_STEAL, "sched.steal", "thread", TRACE_THREAD, "from_cpu", TRACE_CPU)                             \
	X(TRACE_SCHED_MIGRATE, "sched.migrate", "thread", TRACE_THREAD, "to_cpu", TRACE_CPU)                           \
	X(TRACE_SCHED_PRIO, "sched.prio", "thread", TRACE_THREAD, "prio", TRACE_SIGNED)                                \
	X(TRACE_SCHED_STATE, "sched.state", "thread", TRACE_THREAD, "state", TRACE_DEC)                                \
	X(TRACE_SCHED_IDLE, "sched.idle", "cpu", TRACE_CPU, "", TRACE_NONE)                                            \
	X(TRACE_THREAD_START, "thread.start", "thread", TRACE_THREAD, "prio", TRACE_SIGNED)                            \
	X(TRACE_THREAD_EXIT, "thread.exit", "thread", TRACE_THREAD, "value", TRACE_SIGNED)                             \
	X(TRACE_IRQ_ENTER, "irq.enter", "bits", TRACE_HEX, "", TRACE_NONE)                                             \
	X(TRACE_IRQ_EXIT, "irq.exit", "bits", TRACE_HEX, "took", TRACE_NS)                                             \
	X(TRACE_IRQ_IPI, "irq.ipi", "to_cpu", TRACE_CPU, "", TRACE_NONE)                                               \
	X(TRACE_TIMER_ARM, "timer.arm", "deadline", TRACE_TIME, "cpu", TRACE_CPU)                                      \
	X(TRACE_TIMER_FIRE, "timer.fire", "deadline", TRACE_TIME, "late", TRACE_NS)                                    \
	X(TRACE_TIMER_CANCEL, "timer.cancel", "deadline", TRACE_TIME, "cpu", TRACE_CPU)                                \
	X(TRACE_FRAME_ALLOC, "frame.alloc", "frame", TRACE_FRAME, "order", TRACE_COUNT)                                \
	X(TRACE_FRAME_FREE, "frame.free", "frame", TRACE_FRAME, "order", TRACE_COUNT)                                  \
	X(TRACE_FRAME_FAIL, "frame.fail", "order", TRACE_COUNT, "free", TRACE_COUNT)                                   \
	X(TRACE_SLAB_ALLOC, "slab.alloc", "ram", TRACE_PLACE, "size", TRACE_BYTES)                                     \
	X(TRACE_SLAB_FREE, "slab.free", "ram", TRACE_PLACE, "size", TRACE_BYTES)                                       \
	X(TRACE_SLAB_GROW, "slab.grow", "cache", TRACE_TEXT, "frames", TRACE_COUNT)                                    \
	X(TRACE_SLAB_SHRINK, "slab.shrink", "cache", TRACE_TEXT, "frames", TRACE_COUNT)                                \
	X(TRACE_MEM_PRESSURE, "mem.pressure", "wanted", TRACE_COUNT, "freed", TRACE_COUNT)                             \
	X(TRACE_CALL_BEGIN, "call.begin", "token", TRACE_SERIAL, "", TRACE_NONE)                                       \
	X(TRACE_CALL_END, "call.end", "token", TRACE_SERIAL, "result", TRACE_SIGNED)                                   \
	X(TRACE_MONITOR_COMMAND, "monitor.command", "name", TRACE_TEXT, "status", TRACE_SIGNED)                        \
	X(TRACE_TEST_MARK, "test.mark", "a", TRACE_DEC, "b", TRACE_HEX)

#endif
