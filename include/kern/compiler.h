// SPDX-License-Identifier: MIT
//
// The language's missing words: branch hints, attributes, alignment and minimum helpers that evaluate each argument once,
// and READ_ONCE/WRITE_ONCE/LOAD_ACQUIRE/STORE_RELEASE for variables that several CPUs (or an interrupt) touch.
// Everything that is a marked access is also a schedule point in builds with schedpoints=full.
#ifndef KERN_COMPILER_H
#define KERN_COMPILER_H

#include "hal/inline.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define must_check TB_MUST_USE
#define force_inline inline __attribute__((__always_inline__))
#define no_inline __attribute__((__noinline__))
#define cold_path __attribute__((__cold__))
#define packed_layout __attribute__((__packed__))
#define maybe_unused __attribute__((__unused__))
#define aligned_to(bytes) __attribute__((__aligned__(bytes)))
#define fall_through __attribute__((__fallthrough__))
#define no_asan __attribute__((__no_sanitize_address__))
#define no_tsan __attribute__((__no_sanitize_thread__))

// Checked where uint32_t is unsigned int, so that %u may print it; 32-bit ARM calls it unsigned long, of the same size.
#if defined(__arm__)
#define printf_like(format_index, first_index)
#else
#define printf_like(format_index, first_index) __attribute__((__format__(__printf__, format_index, first_index)))
#endif

// As the standard's own headers define them.
#undef noreturn
#define noreturn _Noreturn
#undef static_assert
#define static_assert _Static_assert

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

// A cache line, for padding apart what different CPUs write.
#define CACHE_LINE_SIZE 64u
#define cache_aligned aligned_to(CACHE_LINE_SIZE)

// The object whose member is at ptr; a pointer of another type does not compile. Constness is not carried over.
#define container_of(ptr, type, member)                                                                                \
	((type *)((uintptr_t)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

// Elements of an array; a pointer does not compile.
#define array_count(array)                                                                                             \
	(sizeof(array) / sizeof((array)[0]) + 0 * sizeof(struct {                                                      \
						      int array_count_needs_an_array                                   \
							  : __builtin_types_compatible_p(__typeof__(array),            \
											 __typeof__(&(array)[0]))      \
							    ? -1                                                       \
							    : 1;                                                       \
					      }))

#define IS_POWER_OF_2(x) ((x) != 0 && (((x) & ((x)-1)) == 0))

// To a multiple of `align`, a power of two, in the type of x (x is evaluated once, and these are constant expressions).
// ALIGN_UP wraps to 0 when the result does not fit: check first where x comes from outside.
#define ALIGN_DOWN(x, align) ((x) & ~((__typeof__(x))(align)-1))
#define ALIGN_UP(x, align) (((x) + ((__typeof__(x))(align)-1)) & ~((__typeof__(x))(align)-1))
#define IS_ALIGNED(x, align) (((x) & ((__typeof__(x))(align)-1)) == 0)
#define DIV_ROUND_UP(x, y) (((x) + ((y)-1)) / (y))

// Minimum and maximum of integers: arguments evaluated once, result in their common type. A signed with an unsigned
// variable does not compile. In constant expressions use the _CONST forms.
#define MIN_CONST(a, b) ((a) < (b) ? (a) : (b))
#define MAX_CONST(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) PICK_(<, a, b, PASTE(pick_a_, __COUNTER__), PASTE(pick_b_, __COUNTER__))
#define MAX(a, b) PICK_(>, a, b, PASTE(pick_a_, __COUNTER__), PASTE(pick_b_, __COUNTER__))
#define PICK_(op, a, b, ua, ub)                                                                                        \
	({                                                                                                             \
		__auto_type ua = (a);                                                                                  \
		__auto_type ub = (b);                                                                                  \
		CONST_OR(a, ua) op CONST_OR(b, ub) ? (__typeof__(ua + ub))ua : (__typeof__(ua + ub))ub;                \
	})
// `x` itself where it is a constant, so that comparing an unsigned variable with 10 is no sign mismatch; else `copy`.
#define CONST_OR(x, copy) __builtin_choose_expr(__builtin_constant_p(x), x, copy)
#define CLAMP(x, low, high) MIN(MAX(x, low), high)

// The compiler may not move memory accesses across; the CPU may.
#define barrier() __asm__ volatile("" : : : "memory")

#if CONFIG_SCHEDPOINTS_FULL
#define ATOMIC_POINT() hal_point(HAL_POINT_ATOMIC)
#else
#define ATOMIC_POINT() ((void)0)
#endif

// One untorn access of a scalar no wider than a pointer: relaxed, no ordering against anything else.
#define READ_ONCE(x)                                                                                                   \
	({                                                                                                             \
		static_assert(sizeof(x) <= sizeof(void *), "wider than the machine's single access");                  \
		ATOMIC_POINT();                                                                                        \
		__atomic_load_n(&(x), __ATOMIC_RELAXED);                                                               \
	})
#define WRITE_ONCE(x, value)                                                                                           \
	({                                                                                                             \
		static_assert(sizeof(x) <= sizeof(void *), "wider than the machine's single access");                  \
		__typeof__(x) once_value_ = (value); /* before the point: x may be read in it */                       \
		ATOMIC_POINT();                                                                                        \
		__atomic_store_n(&(x), once_value_, __ATOMIC_RELAXED);                                                 \
	})

// Publish a scalar or typed pointer with everything written before it, and the look that pairs with that.
#define LOAD_ACQUIRE(x)                                                                                                \
	({                                                                                                             \
		static_assert(sizeof(x) <= sizeof(void *), "wider than the machine's single access");                  \
		ATOMIC_POINT();                                                                                        \
		__atomic_load_n(&(x), __ATOMIC_ACQUIRE);                                                               \
	})
#define STORE_RELEASE(x, value)                                                                                        \
	({                                                                                                             \
		static_assert(sizeof(x) <= sizeof(void *), "wider than the machine's single access");                  \
		__typeof__(x) once_value_ = (value); /* before the point: x may be read in it */                       \
		ATOMIC_POINT();                                                                                        \
		__atomic_store_n(&(x), once_value_, __ATOMIC_RELEASE);                                                 \
	})

#endif
