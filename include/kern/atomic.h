// SPDX-License-Identifier: MIT
//
// Atomic variables: wrapped types, so that a plain access does not compile by accident, and one function per operation
// and memory order (C17 7.17.3; the compilers' __atomic builtins). Standalone fences do not exist here: TSan cannot see
// them; where store-then-load order matters (Dekker), use the seqcst forms on both sides.
//
// For each type T of u32, word (uintptr_t), ptr (void *) and, where CONFIG_TINY is off, u64:
//
//   atomic_T_load_{relaxed,acquire,seqcst}(a)               atomic_T_store_{relaxed,release,seqcst}(a, value)
//   atomic_T_xchg_O(a, value)            returns the old value
//   atomic_T_cmpxchg_O(a, &expected, value)   true: stored; false: expected now holds what was found (no spurious failure)
//   atomic_T_fetch_{add,sub,or,and}_O(a, value)   returns the old value; not for ptr
//
// with O of relaxed, acquire, release, acqrel, seqcst. Each is a schedule point (HAL_POINT_ATOMIC) before the access when
// schedpoints=full. The same names with the suffix _nopoint are not: for the insides of locks, which are points themselves,
// and for the log and trace rings, which must not disturb what they watch. base, sync, mem and sched use no u64 atomics.
// Any context.
#ifndef KERN_ATOMIC_H
#define KERN_ATOMIC_H

#include "kern/compiler.h"

typedef struct {
	uint32_t value;
} atomic_u32;

typedef struct {
	uintptr_t value;
} atomic_word;

typedef struct {
	void *value;
} atomic_ptr;

#define ATOMIC_INIT(initial)                                                                                           \
	{                                                                                                              \
		.value = (initial)                                                                                     \
	}

// A failed compare-exchange only loads, so release order has nothing to release.
#define ATOMIC_FAIL_relaxed __ATOMIC_RELAXED
#define ATOMIC_FAIL_acquire __ATOMIC_ACQUIRE
#define ATOMIC_FAIL_release __ATOMIC_RELAXED
#define ATOMIC_FAIL_acqrel __ATOMIC_ACQUIRE
#define ATOMIC_FAIL_seqcst __ATOMIC_SEQ_CST
#define ATOMIC_ORDER_relaxed __ATOMIC_RELAXED
#define ATOMIC_ORDER_acquire __ATOMIC_ACQUIRE
#define ATOMIC_ORDER_release __ATOMIC_RELEASE
#define ATOMIC_ORDER_acqrel __ATOMIC_ACQ_REL
#define ATOMIC_ORDER_seqcst __ATOMIC_SEQ_CST

// Each generator writes the raw function and the one with a schedule point.
#define ATOMIC_DEFINE_LOAD(T, type, order)                                                                             \
	static force_inline type atomic_##T##_load_##order##_nopoint(const atomic_##T *a)                              \
	{                                                                                                              \
		return __atomic_load_n(&a->value, ATOMIC_ORDER_##order);                                               \
	}                                                                                                              \
	static force_inline type atomic_##T##_load_##order(const atomic_##T *a)                                        \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		return atomic_##T##_load_##order##_nopoint(a);                                                         \
	}

#define ATOMIC_DEFINE_STORE(T, type, order)                                                                            \
	static force_inline void atomic_##T##_store_##order##_nopoint(atomic_##T *a, type value)                       \
	{                                                                                                              \
		__atomic_store_n(&a->value, value, ATOMIC_ORDER_##order);                                              \
	}                                                                                                              \
	static force_inline void atomic_##T##_store_##order(atomic_##T *a, type value)                                 \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		atomic_##T##_store_##order##_nopoint(a, value);                                                        \
	}

#define ATOMIC_DEFINE_CMPXCHG(T, type, order)                                                                          \
	static force_inline bool atomic_##T##_cmpxchg_##order##_nopoint(atomic_##T *a, type *expected, type value)     \
	{                                                                                                              \
		return __atomic_compare_exchange_n(&a->value, expected, value, false, ATOMIC_ORDER_##order,            \
						   ATOMIC_FAIL_##order);                                               \
	}                                                                                                              \
	static force_inline bool atomic_##T##_cmpxchg_##order(atomic_##T *a, type *expected, type value)               \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		return atomic_##T##_cmpxchg_##order##_nopoint(a, expected, value);                                     \
	}

#define ATOMIC_DEFINE_RMW(T, type, name, builtin, order)                                                               \
	static force_inline type atomic_##T##_##name##_##order##_nopoint(atomic_##T *a, type value)                    \
	{                                                                                                              \
		return builtin(&a->value, value, ATOMIC_ORDER_##order);                                                \
	}                                                                                                              \
	static force_inline type atomic_##T##_##name##_##order(atomic_##T *a, type value)                              \
	{                                                                                                              \
		ATOMIC_POINT();                                                                                        \
		return atomic_##T##_##name##_##order##_nopoint(a, value);                                              \
	}

#define ATOMIC_DEFINE_RMW_ORDERS(T, type, name, builtin)                                                               \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, relaxed)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, acquire)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, release)                                                             \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, acqrel)                                                              \
	ATOMIC_DEFINE_RMW(T, type, name, builtin, seqcst)

#define ATOMIC_DEFINE_BASIC(T, type)                                                                                   \
	ATOMIC_DEFINE_LOAD(T, type, relaxed)                                                                           \
	ATOMIC_DEFINE_LOAD(T, type, acquire)                                                                           \
	ATOMIC_DEFINE_LOAD(T, type, seqcst)                                                                            \
	ATOMIC_DEFINE_STORE(T, type, relaxed)                                                                          \
	ATOMIC_DEFINE_STORE(T, type, release)                                                                          \
	ATOMIC_DEFINE_STORE(T, type, seqcst)                                                                           \
	ATOMIC_DEFINE_CMPXCHG(T, type, relaxed)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, acquire)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, release)                                                                        \
	ATOMIC_DEFINE_CMPXCHG(T, type, acqrel)                                                                         \
	ATOMIC_DEFINE_CMPXCHG(T, type, seqcst)                                                                         \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, xchg, __atomic_exchange_n)

#define ATOMIC_DEFINE_ARITHMETIC(T, type)                                                                              \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_add, __atomic_fetch_add)                                               \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_sub, __atomic_fetch_sub)                                               \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_or, __atomic_fetch_or)                                                 \
	ATOMIC_DEFINE_RMW_ORDERS(T, type, fetch_and, __atomic_fetch_and)

ATOMIC_DEFINE_BASIC(u32, uint32_t)
ATOMIC_DEFINE_ARITHMETIC(u32, uint32_t)
ATOMIC_DEFINE_BASIC(word, uintptr_t)
ATOMIC_DEFINE_ARITHMETIC(word, uintptr_t)
ATOMIC_DEFINE_BASIC(ptr, void *)

// 64-bit machines only; nothing in base, sync, mem or sched may need it.
#if !CONFIG_TINY
typedef struct {
	uint64_t value;
} atomic_u64;

ATOMIC_DEFINE_BASIC(u64, uint64_t)
ATOMIC_DEFINE_ARITHMETIC(u64, uint64_t)
#endif

#endif
