// SPDX-License-Identifier: MIT
//
// Addresses of the kernel's own constants and code, as offsets that are the same in every run of one build: what a trace
// record, a log line or a lock report may hold, since no address may reach anything that a simulated run is judged by.
#ifndef KERN_IMAGE_H
#define KERN_IMAGE_H

#include "kern/compiler.h"

// Distance of a constant or function of the kernel object from its anchor, and the way back. Any context.
intptr_t image_offset(const void *pointer);
const void *image_pointer(intptr_t offset);

// Whether the pointer lies close enough to the anchor to belong to the image (±64 MiB).
bool image_contains(const void *pointer);

#endif
