// SPDX-License-Identifier: MIT
//
// The heap of small machines: kmalloc() of kern/mem.h over frames from the bitmap allocator, in a few hundred bytes of state.
//
// Purpose. Blocks of any size where the slab's caches and magazines would not fit. Small ones share frames of one size class; larger
// ones are ranges of whole frames, so that 5 frames cost 5.
//
// 1 A frame of small objects: objects of one class from its start, so that a power of two is aligned to its size, and struct
//   heap_page in its last bytes. Free objects are chained by offsets inside them. Pages with a free object hang in the class's list, the
//   most recently used first; a page whose last object goes is given back at once.
//
// 2 What a pointer is: frames that are heap pages have their bit in frame_state.shared; every other pointer that comes back must be the
//   first frame of a range. Both are verified, and a freed object's page says whether the offset is an object's.
//
// Invariants (heap_check): used + free objects fill each listed page; the chain stays inside the page and visits nothing twice; a page is
// listed exactly when it has a free object. Locks: preemption off. May sleep: nothing. Context: threads, as kern/mem.h says.
#ifndef HEAP_IMPL_H
#define HEAP_IMPL_H

#include "frame_bitmap.h"

#include "kern/heap.h"

#define HEAP_CLASSES 9u
#define HEAP_NONE UINT16_MAX

// The end of a frame of small objects.
struct heap_page {
	struct list_node link; // in the class's list while there is a free object
	uint16_t free_first;   // offset of a free object; HEAP_NONE
	uint16_t used;         // objects handed out
	uint16_t size_bytes;   // of an object
	uint16_t magic;
};

struct heap_state {
	struct list partial[HEAP_CLASSES];
};

#endif
