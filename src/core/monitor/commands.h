// SPDX-License-Identifier: MIT
//
// The rows of the command table, one list for the table and for the files that define them.
#ifndef COMMANDS_H
#define COMMANDS_H

#include "monitor_impl.h"

// Sorted by name.
#define MONITOR_COMMANDS(X)                                                                                            \
	X(bench)                                                                                                       \
	X(check)                                                                                                       \
	X(chvt)                                                                                                        \
	X(counters)                                                                                                    \
	X(cpus)                                                                                                        \
	X(disks)                                                                                                       \
	X(dmesg)                                                                                                       \
	X(drill)                                                                                                       \
	X(echo)                                                                                                        \
	X(help)                                                                                                        \
	X(locks)                                                                                                       \
	X(mem)                                                                                                         \
	X(partitions)                                                                                                  \
	X(persona)                                                                                                     \
	X(poweroff)                                                                                                    \
	X(ps)                                                                                                          \
	X(ramdisk)                                                                                                     \
	X(slab)                                                                                                        \
	X(sleep)                                                                                                       \
	X(source)                                                                                                      \
	X(stress)                                                                                                      \
	X(stty)                                                                                                        \
	X(sysctl)                                                                                                      \
	X(timers)                                                                                                      \
	X(top)                                                                                                         \
	X(trace)                                                                                                       \
	X(tty)                                                                                                         \
	X(uptime)

#define X(name) extern const struct monitor_command monitor_cmd_##name;
MONITOR_COMMANDS(X)
#undef X

#endif
