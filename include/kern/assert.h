// SPDX-License-Identifier: MIT
//
// Two strengths of stating what is believed. ASSERT is checked in debug builds (CONFIG_ASSERTS) and must have no side
// effect; VERIFY stays in production, for what must not continue on a broken promise. The 3 forms take (a, op, b) and
// print both values. One belief per line: never join two with &&. A failure is a panic.
#ifndef KERN_ASSERT_H
#define KERN_ASSERT_H

#include "kern/panic.h"

noreturn void assert_fail(const char *expression, const char *file, uint32_t line) cold_path;
noreturn void assert3_fail(const char *expression, uint64_t a, uint64_t b, const char *file, uint32_t line) cold_path;

#define VERIFY(expression)                                                                                             \
	do {                                                                                                           \
		if (unlikely(!(expression)))                                                                           \
			assert_fail(#expression, __FILE__, __LINE__);                                                  \
	} while (0)

#define VERIFY3(a, op, b)                                                                                              \
	VERIFY3_(a, op, b, #a " " #op " " #b, PASTE(verify_a_, __COUNTER__), PASTE(verify_b_, __COUNTER__))

#define VERIFY3_(a, op, b, text, ua, ub)                                                                               \
	do {                                                                                                           \
		__auto_type ua = (a);                                                                                  \
		__auto_type ub = (b);                                                                                  \
		if (unlikely(!(CONST_OR(a, ua) op CONST_OR(b, ub))))                                                   \
			assert3_fail(text, ASSERT_VALUE_(ua), ASSERT_VALUE_(ub), __FILE__, __LINE__);                  \
	} while (0)

// Integers and pointers alike as 64 bits.
#define ASSERT_VALUE_(x)                                                                                               \
	((uint64_t) _Generic((x), int                                                                                  \
			     : (x), long                                                                               \
			     : (x), long long                                                                          \
			     : (x), unsigned long long                                                                 \
			     : (x), default                                                                            \
			     : (uintptr_t)(x)))

// Compiled out it still has to compile, and its operands count as used.
#if CONFIG_ASSERTS
#define ASSERT(expression) VERIFY(expression)
#define ASSERT3(a, op, b) VERIFY3(a, op, b)
#else
#define ASSERT(expression) ((void)sizeof(!(expression)))
#define ASSERT3(a, op, b) ((void)sizeof((a)op(b)))
#endif

#endif
