// SPDX-License-Identifier: MIT
//
// System calls without libc: no errno, no thread-local storage, no cancellation, so that they may be made on kernel stacks
// and in signal handlers. They return what the kernel returns: ≥ 0, or a negative error number.
#ifndef HOST_SYSCALL_H
#define HOST_SYSCALL_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

static inline long host_syscall(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	long result;
	register uintptr_t r10 __asm__("r10") = d;
	register uintptr_t r8 __asm__("r8") = 0;
	register uintptr_t r9 __asm__("r9") = 0;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

// Sleeps while *word == seen, at most `timeout` (relative; NULL: for ever). Spurious returns happen.
static inline void host_futex_wait(const uint32_t *word, uint32_t seen, const struct timespec *timeout)
{
	host_syscall(SYS_futex, (uintptr_t)word, FUTEX_WAIT_PRIVATE, seen, (uintptr_t)timeout);
}

static inline void host_futex_wake(const uint32_t *word, uint32_t count)
{
	host_syscall(SYS_futex, (uintptr_t)word, FUTEX_WAKE_PRIVATE, count, 0);
}

#endif
