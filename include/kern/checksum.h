// SPDX-License-Identifier: MIT
//
// Checksums of data that leaves the instance, by xxHash: not cryptographic, the same on every machine (the digest is a
// number; formats say in which byte order they store it). Pure; any context.
#ifndef KERN_CHECKSUM_H
#define KERN_CHECKSUM_H

#include "kern/compiler.h"

uint64_t checksum_xxh64(const void *bytes, size_t size_bytes, uint64_t seed);
uint64_t checksum_xxh3(const void *bytes, size_t size_bytes, uint64_t seed); // XXH3, 64 bits

#endif
