// SPDX-License-Identifier: MIT
//
// Compiler helpers where no usable libgcc exists: RISC-V without the bit manipulation extension counts bits by calls, and
// Debian's libgcc for it has another ABI. Names and meanings are libgcc's ("GCC internals", Integer library routines).
// ARM's 32-bit helpers come from its own libgcc.
#include <limits.h>
#include <stdint.h>

#if defined(__riscv)

int __clzdi2(uint64_t value);
int __ctzdi2(uint64_t value);
int __ffsdi2(uint64_t value);
int __popcountdi2(uint64_t value);
uint64_t __bswapdi2(uint64_t value);
uint32_t __bswapsi2(uint32_t value);

// Undefined for 0, as the builtins are.
int __clzdi2(uint64_t value)
{
	int zeros = 0;

	for (uint32_t width = 32; width != 0; width /= 2) {
		if (value >> (64 - width) == 0) {
			zeros += (int)width;
			value <<= width;
		}
	}
	return zeros;
}

int __ctzdi2(uint64_t value)
{
	return 63 - __clzdi2(value & (0 - value));
}

int __ffsdi2(uint64_t value)
{
	return value == 0 ? 0 : __ctzdi2(value) + 1;
}

int __popcountdi2(uint64_t value)
{
	value -= (value >> 1) & 0x5555555555555555u;
	value = (value & 0x3333333333333333u) + ((value >> 2) & 0x3333333333333333u);
	value = (value + (value >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (int)((value * 0x0101010101010101u) >> 56);
}

uint32_t __bswapsi2(uint32_t value)
{
	return value << 24 | (value & 0xff00u) << 8 | (value >> 8 & 0xff00u) | value >> 24;
}

uint64_t __bswapdi2(uint64_t value)
{
	return (uint64_t)__bswapsi2((uint32_t)value) << 32 | __bswapsi2((uint32_t)(value >> 32));
}

#endif
