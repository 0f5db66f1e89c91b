// SPDX-License-Identifier: MIT
//
// The anchor that image offsets count from: linked into the kernel object like everything it measures, so the distance
// to it survives address-space randomisation.
#include "kern/image.h"

#define IMAGE_REACH_BYTES (64 << 20)

static const char image_anchor[] = "TBOS";

intptr_t image_offset(const void *pointer)
{
	return (intptr_t)((uintptr_t)pointer - (uintptr_t)image_anchor);
}

const void *image_pointer(intptr_t offset)
{
	return (const void *)((uintptr_t)image_anchor + (uintptr_t)offset);
}

bool image_contains(const void *pointer)
{
	intptr_t offset = image_offset(pointer);
	return offset > -IMAGE_REACH_BYTES && offset < IMAGE_REACH_BYTES;
}
