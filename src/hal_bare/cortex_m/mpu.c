// SPDX-License-Identifier: MIT
//
// Memory protection, as far as 8 regions of a power of two go: address 0 is nobody's (the processor fetches vectors past
// the MPU), RAM holds no code, and region 7, which each switch moves, forbids the 32 bytes beneath the running thread's
// stack. Flash needs no region: stores to it fault on the bus.
#include "cortex_impl.h"

#define RASR(size_log2, access, xn) ((uint32_t)(xn) << 28 | (uint32_t)(access) << 24 | ((size_log2)-1) << 1 | 1u)
#define ACCESS_NONE 0u
#define ACCESS_ALL 3u

void mpu_start(void)
{
	MPU_RBAR = 0x00000000u | 0x10 | 5;
	MPU_RASR = RASR(8, ACCESS_NONE, 1);
	MPU_RBAR = 0x20000000u | 0x10 | 6;
	MPU_RASR = RASR(16, ACCESS_ALL, 1);
	MPU_RBAR = 0x20000000u | 0x10 | 7;
	MPU_RASR = RASR(5, ACCESS_NONE, 1);
	MPU_CTRL = 5; // on; what no region covers is as without it
	__asm__ volatile("dsb\n\tisb");
}
