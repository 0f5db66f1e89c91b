// SPDX-License-Identifier: MIT
//
// Reference counts that fail safely: taking a reference of a dead object or dropping one too many is a panic where it
// happens, and a count that runs away (2^31 references) saturates, so that the object leaks instead of being freed twice.
// Increments are relaxed (who holds a reference already sees the object); the decrement that ends it is acquire-release,
// so the last holder sees everything the others did. Any context.
#ifndef KERN_REFCOUNT_H
#define KERN_REFCOUNT_H

#include "kern/assert.h"
#include "kern/atomic.h"

#define REFCOUNT_SATURATED 0xc0000000u
#define REFCOUNT_MAX 0x7fffffffu

struct refcount {
	uint32_t value; // atomic; 0: dead
};

// `references` ≥ 1 holders to begin with.
static inline void refcount_init(struct refcount *ref, uint32_t references)
{
	ASSERT3(references, >=, 1);
	ASSERT3(references, <=, REFCOUNT_MAX);
	atomic_store_u32_relaxed(&ref->value, references);
}

// For reports: the count may have changed by the time it is looked at.
static inline uint32_t refcount_read(const struct refcount *ref)
{
	return atomic_load_u32_relaxed(&ref->value);
}

// One more reference, by somebody who holds one.
static inline void refcount_get(struct refcount *ref)
{
	uint32_t old = atomic_fetch_add_u32_relaxed(&ref->value, 1);
	VERIFY3(old, !=, 0);
	if (unlikely(old >= REFCOUNT_MAX))
		atomic_store_u32_relaxed(&ref->value, REFCOUNT_SATURATED);
}

// A reference for somebody who found the object by a look-up that holds none; false when it is already dying.
static inline bool must_check refcount_get_unless_zero(struct refcount *ref)
{
	uint32_t old = atomic_load_u32_relaxed(&ref->value);
	do {
		if (old == 0)
			return false;
		if (unlikely(old >= REFCOUNT_MAX))
			return true;
	} while (!atomic_cmpxchg_u32_relaxed(&ref->value, &old, old + 1));
	return true;
}

// Drops one; true for the last, whose caller frees the object.
static inline bool must_check refcount_put(struct refcount *ref)
{
	uint32_t old = atomic_fetch_sub_u32_acq_rel(&ref->value, 1);
	VERIFY3(old, !=, 0);
	if (unlikely(old > REFCOUNT_MAX)) {
		atomic_store_u32_relaxed(&ref->value, REFCOUNT_SATURATED);
		return false;
	}
	return old == 1;
}

#endif
