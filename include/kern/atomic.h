// SPDX-License-Identifier: MIT
//
// Atomic accesses: one function per operation, type and memory order (C17 7.17.3; the compilers' __atomic builtins) on
// plain variables that their declaration calls atomic. Standalone fences do not exist here: TSan cannot see them; where
// store-then-load order matters (Dekker), use the seq_cst forms on both sides.
//
// T is u32 (uint32_t), word (uintptr_t), ptr (any typed pointer; these are macros) or, where CONFIG_TINY is off, u64:
//
//   atomic_load_T_{relaxed,acquire,seq_cst}(p)     atomic_store_T_{relaxed,release,seq_cst}(p, value)
//   atomic_xchg_T_O(p, value)                     returns the old value
//   atomic_cmpxchg_T_O(p, &expected, value)       true: stored; false: expected now holds what was found (never spurious)
//   atomic_fetch_{add,sub,or,and}_T_O(p, value)   returns the old value; not for ptr
//
// with O one of relaxed, acquire, release, acq_rel, seq_cst. Each is a schedule point (HAL_POINT_ATOMIC) before the access
// when schedpoints=full. The same names with the suffix _nopoint are not: for the insides of locks, which are points
// themselves, and for log and trace, which must not disturb what they watch. base, sync, mem and sched use no u64. Any context.
#ifndef KERN_ATOMIC_H
#define KERN_ATOMIC_H

#include "kern/compiler.h"

#define ATOMIC_ORDER_relaxed __ATOMIC_RELAXED
#define ATOMIC_ORDER_acquire __ATOMIC_ACQUIRE
#define ATOMIC_ORDER_release __ATOMIC_RELEASE
#define ATOMIC_ORDER_acq_rel __ATOMIC_ACQ_REL
#define ATOMIC_ORDER_seq_cst __ATOMIC_SEQ_CST
// A failed compare-exchange only loads, so release has nothing to release.
#define ATOMIC_FAIL_relaxed __ATOMIC_RELAXED
#define ATOMIC_FAIL_acquire __ATOMIC_ACQUIRE
#define ATOMIC_FAIL_release __ATOMIC_RELAXED
#define ATOMIC_FAIL_acq_rel __ATOMIC_ACQUIRE
#define ATOMIC_FAIL_seq_cst __ATOMIC_SEQ_CST

// Each generator writes the raw function and the one with a schedule point.
#define ATOMIC_DEFINE_LOAD(T, type, order)                                                                             \
	static force_inline type atomic_load_##T##_##order##_nopoint(const type *p)                                    \
	{                                                                                                              \
		return __atomic_load_n(p, ATOMIC_ORDER_##order);                                                       \
	}                                                                                                              \
	static force_inline type atomic_load_##T##_##order(const type *p)                                              \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		return atomic_load_##T##_##order##_nopoint(p);                                                         \
	}

#define ATOMIC_DEFINE_STORE(T, type, order)                                                                            \
	static force_inline void atomic_store_##T##_##order##_nopoint(type *p, type value)                             \
	{                                                                                                              \
		__atomic_store_n(p, value, ATOMIC_ORDER_##order);                                                      \
	}                                                                                                              \
	static force_inline void atomic_store_##T##_##order(type *p, type value)                                       \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		atomic_store_##T##_##order##_nopoint(p, value);                                                        \
	}

#define ATOMIC_DEFINE_CMPXCHG(T, type, order)                                                                          \
	static force_inline bool atomic_cmpxchg_##T##_##order##_nopoint(type *p, type *expected, type value)           \
	{                                                                                                              \
		return __atomic_compare_exchange_n(p, expected, value, false, ATOMIC_ORDER_##order,                    \
						   ATOMIC_FAIL_##order);                                               \
	}                                                                                                              \
	static force_inline bool atomic_cmpxchg_##T##_##order(type *p, type *expected, type value)                     \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		return atomic_cmpxchg_##T##_##order##_nopoint(p, expected, value);                                     \
	}

#define ATOMIC_DEFINE_RMW(T, type, name, builtin, order)                                                               \
	static force_inline type atomic_##name##_##T##_##order##_nopoint(type *p, type value)                          \
	{                                                                                                              \
		return builtin(p, value, ATOMIC_ORDER_##order);                                                        \
	}                                                                                                              \
	static force_inline type atomic_##name##_##T##_##order(type *p, type value)                                    \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		return atomic_##name##_##T##_##order##_nopoint(p, value);                                              \
	}

#define ATOMIC_DEFINE_RMW_ORDERS(T, type, name, builtin)                                                               \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, relaxed)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, acquire)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, release)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, acq_rel)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, seq_cst)

#define ATOMIC_DEFINE(T, type)                                                                                         \
	ATOMIC_DEFINE_LOAD(T, type, relaxed)                                                                           \
	ATOMIC_DEFINE_LOAD(T, type, acquire)                                                                           \
	ATOMIC_DEFINE_LOAD(T, type, seq_cst)                                                                           \
	ATOMIC_DEFINE_STORE(T, type, relaxed)                                                                          \
	ATOMIC_DEFINE_STORE(T, type, release)                                                                          \
	ATOMIC_DEFINE_STORE(T, type, seq_cst)                                                                          \
	ATOMIC_DEFINE_CMPXCHG(T, type, relaxed)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, acquire)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, release)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, acq_rel)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, seq_cst)                                                                        \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, xchg, __atomic_exchange_n)                                                   \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_add, __atomic_fetch_add)                                               \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_sub, __atomic_fetch_sub)                                               \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_or, __atomic_fetch_or)                                                 \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_and, __atomic_fetch_and)

ATOMIC_DEFINE(u32, uint32_t)
ATOMIC_DEFINE(word, uintptr_t)

// 64-bit machines only; nothing in base, sync, mem or sched may need it.
#if !CONFIG_TINY
ATOMIC_DEFINE(u64, uint64_t)
#endif

// Pointers keep their type, hence macros. `p` is the address of a pointer variable; anything else does not compile.
#define ATOMIC_PTR_ONLY(p) ((void)sizeof(1 ? *(p) : (void *)0))
#define ATOMIC_PTR(point, p, access)                                                                                   \
	({                                                                                                             \
		ATOMIC_PTR_ONLY(p);                                                                                    \
		point;                                                                                                 \
		access;                                                                                                \
	})
#define ATOMIC_PTR_LOAD(point, p, order) ATOMIC_PTR(point, p, __atomic_load_n((p), order))
#define ATOMIC_PTR_STORE(point, p, value, order) ATOMIC_PTR(point, p, __atomic_store_n((p), (value), order))
#define ATOMIC_PTR_XCHG(point, p, value, order) ATOMIC_PTR(point, p, __atomic_exchange_n((p), (value), order))
#define ATOMIC_PTR_CMPXCHG(point, p, expected, value, order)                                                           \
	ATOMIC_PTR(point, p,                                                                                           \
		   __atomic_compare_exchange_n((p), (expected), (value), false, ATOMIC_ORDER_##order,                  \
					       ATOMIC_FAIL_##order))
#define ATOMIC_NO_POINT() ((void)0)

#define atomic_load_ptr_relaxed(p) ATOMIC_PTR_LOAD(ATOMIC_POINT(), p, __ATOMIC_RELAXED)
#define atomic_load_ptr_acquire(p) ATOMIC_PTR_LOAD(ATOMIC_POINT(), p, __ATOMIC_ACQUIRE)
#define atomic_load_ptr_seq_cst(p) ATOMIC_PTR_LOAD(ATOMIC_POINT(), p, __ATOMIC_SEQ_CST)
#define atomic_store_ptr_relaxed(p, value) ATOMIC_PTR_STORE(ATOMIC_POINT(), p, value, __ATOMIC_RELAXED)
#define atomic_store_ptr_release(p, value) ATOMIC_PTR_STORE(ATOMIC_POINT(), p, value, __ATOMIC_RELEASE)
#define atomic_store_ptr_seq_cst(p, value) ATOMIC_PTR_STORE(ATOMIC_POINT(), p, value, __ATOMIC_SEQ_CST)
#define atomic_xchg_ptr_relaxed(p, value) ATOMIC_PTR_XCHG(ATOMIC_POINT(), p, value, __ATOMIC_RELAXED)
#define atomic_xchg_ptr_acquire(p, value) ATOMIC_PTR_XCHG(ATOMIC_POINT(), p, value, __ATOMIC_ACQUIRE)
#define atomic_xchg_ptr_release(p, value) ATOMIC_PTR_XCHG(ATOMIC_POINT(), p, value, __ATOMIC_RELEASE)
#define atomic_xchg_ptr_acq_rel(p, value) ATOMIC_PTR_XCHG(ATOMIC_POINT(), p, value, __ATOMIC_ACQ_REL)
#define atomic_xchg_ptr_seq_cst(p, value) ATOMIC_PTR_XCHG(ATOMIC_POINT(), p, value, __ATOMIC_SEQ_CST)
#define atomic_cmpxchg_ptr_relaxed(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_POINT(), p, e, value, relaxed)
#define atomic_cmpxchg_ptr_acquire(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_POINT(), p, e, value, acquire)
#define atomic_cmpxchg_ptr_release(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_POINT(), p, e, value, release)
#define atomic_cmpxchg_ptr_acq_rel(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_POINT(), p, e, value, acq_rel)
#define atomic_cmpxchg_ptr_seq_cst(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_POINT(), p, e, value, seq_cst)

#define atomic_load_ptr_relaxed_nopoint(p) ATOMIC_PTR_LOAD(ATOMIC_NO_POINT(), p, __ATOMIC_RELAXED)
#define atomic_load_ptr_acquire_nopoint(p) ATOMIC_PTR_LOAD(ATOMIC_NO_POINT(), p, __ATOMIC_ACQUIRE)
#define atomic_load_ptr_seq_cst_nopoint(p) ATOMIC_PTR_LOAD(ATOMIC_NO_POINT(), p, __ATOMIC_SEQ_CST)
#define atomic_store_ptr_relaxed_nopoint(p, value) ATOMIC_PTR_STORE(ATOMIC_NO_POINT(), p, value, __ATOMIC_RELAXED)
#define atomic_store_ptr_release_nopoint(p, value) ATOMIC_PTR_STORE(ATOMIC_NO_POINT(), p, value, __ATOMIC_RELEASE)
#define atomic_store_ptr_seq_cst_nopoint(p, value) ATOMIC_PTR_STORE(ATOMIC_NO_POINT(), p, value, __ATOMIC_SEQ_CST)
#define atomic_xchg_ptr_acquire_nopoint(p, value) ATOMIC_PTR_XCHG(ATOMIC_NO_POINT(), p, value, __ATOMIC_ACQUIRE)
#define atomic_xchg_ptr_release_nopoint(p, value) ATOMIC_PTR_XCHG(ATOMIC_NO_POINT(), p, value, __ATOMIC_RELEASE)
#define atomic_xchg_ptr_acq_rel_nopoint(p, value) ATOMIC_PTR_XCHG(ATOMIC_NO_POINT(), p, value, __ATOMIC_ACQ_REL)
#define atomic_cmpxchg_ptr_acquire_nopoint(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_NO_POINT(), p, e, value, acquire)
#define atomic_cmpxchg_ptr_release_nopoint(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_NO_POINT(), p, e, value, release)
#define atomic_cmpxchg_ptr_acq_rel_nopoint(p, e, value) ATOMIC_PTR_CMPXCHG(ATOMIC_NO_POINT(), p, e, value, acq_rel)

#endif
