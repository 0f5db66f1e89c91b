// SPDX-License-Identifier: MIT
//
// The whole of <string.h> that freestanding code may use: the four functions that a compiler may call on its own and that
// every HAL therefore links. Calls go through the builtins, so that small constant sizes are expanded in place.
#ifndef FREESTD_STRING_H
#define FREESTD_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size_bytes);
void *memmove(void *to, const void *from, size_t size_bytes);
void *memset(void *to, int byte, size_t size_bytes);
int memcmp(const void *a, const void *b, size_t size_bytes);

#define memcpy(to, from, size_bytes) __builtin_memcpy((to), (from), (size_bytes))
#define memmove(to, from, size_bytes) __builtin_memmove((to), (from), (size_bytes))
#define memset(to, byte, size_bytes) __builtin_memset((to), (byte), (size_bytes))
#define memcmp(a, b, size_bytes) __builtin_memcmp((a), (b), (size_bytes))

#endif
