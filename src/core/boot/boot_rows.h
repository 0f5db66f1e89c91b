// SPDX-License-Identifier: MIT
//
// The rows that the generated component tables name.
#ifndef BOOT_ROWS_H
#define BOOT_ROWS_H

#include "kern/component.h"

#define COMPONENT_ROW(name) extern const struct component component_##name
COMPONENT_ROW(base);
COMPONENT_ROW(sync);
COMPONENT_ROW(frames);
COMPONENT_ROW(heap);
COMPONENT_ROW(slab);
COMPONENT_ROW(ranges);
COMPONENT_ROW(sched);
COMPONENT_ROW(timers);
COMPONENT_ROW(cpus);
COMPONENT_ROW(rcu);
COMPONENT_ROW(console);
COMPONENT_ROW(processes);
COMPONENT_ROW(consoles);
COMPONENT_ROW(vfs);
COMPONENT_ROW(tmpfs);
COMPONENT_ROW(rootfs);
COMPONENT_ROW(calls);
COMPONENT_ROW(api);
COMPONENT_ROW(monitor);

#endif
