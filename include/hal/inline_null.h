// SPDX-License-Identifier: MIT
//
// hal/inline.h for the null HAL, which exists to prove that the kernel compiles and links for another architecture with
// nothing but the HAL line beneath it: every inline becomes an import.
#ifndef HAL_INLINE_NULL_H
#define HAL_INLINE_NULL_H

void hal_irq_deliver(void);
void hal_point_slow(enum hal_point_kind kind);
struct hal_thread *hal_self(void);
struct kernel *hal_kernel(void);
bool hal_irq_masked(void);
bool hal_irq_save(void);
void hal_irq_restore(bool was);

static inline void hal_point(enum hal_point_kind kind)
{
	(void)kind;
}

#endif
