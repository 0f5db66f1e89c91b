// SPDX-License-Identifier: MIT
//
// There is no heap inside the kernel object: every allocation of the library fails and its callers hand in workspaces.
#ifndef STUB_STDLIB_H
#define STUB_STDLIB_H

#include <stddef.h>

#define malloc(size_bytes) ((void)(size_bytes), (void *)0)
#define calloc(count, size_bytes) ((void)(count), (void)(size_bytes), (void *)0)
#define free(pointer) ((void)(pointer))

#endif
