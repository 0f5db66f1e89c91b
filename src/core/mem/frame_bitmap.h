// SPDX-License-Identifier: MIT
//
// State of the bitmap frame allocator (frame_bitmap.c), which the tiny heap shares: its third bitmap marks frames that hold small
// objects.
#ifndef FRAME_BITMAP_H
#define FRAME_BITMAP_H

#include "kern/mem.h"

struct frame_state {
	char *base;
	uint32_t *taken;  // bitmaps of `count` frames
	uint32_t *last;   // set for the last frame of a block
	uint32_t *shared; // the heap's: frames of small objects
	uint16_t first;   // what lies before is boot's
	uint16_t count;
	uint16_t free;
	uint16_t reserved;
	uint16_t least_free;
	uint16_t allocs;
	uint16_t frees;
	uint16_t failures;
};

#endif
