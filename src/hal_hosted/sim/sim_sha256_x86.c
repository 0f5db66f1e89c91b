// SPDX-License-Identifier: MIT
//
// SHA-256 blocks by the SHA extensions of x86-64 (Intel SDM vol. 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2). The two state
// registers hold ABEF and CDGH; four message words are one vector, and a group of four rounds takes two instructions.
#include "sim_sha256.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))

// CPUID traps to the hypervisor in a virtual machine (tens of microseconds when nested), so the answer is kept.
bool sim_sha256_has_x86(void)
{
	enum {
		UNKNOWN,
		ABSENT,
		PRESENT
	};
	static int known = UNKNOWN;
	int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
	if (answer == UNKNOWN) {
		unsigned a, b = 0, c = 0, d;
		bool sse = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_1) != 0 && (c & bit_SSSE3) != 0;
		bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
		answer = sse && sha ? PRESENT : ABSENT;
		__atomic_store_n(&known, answer, __ATOMIC_RELAXED);
	}
	return answer == PRESENT;
}

// Message words 16 and on: m[0] becomes the vector four groups after the one it held.
SHA_TARGET static inline __m128i schedule(const __m128i m[4], unsigned group)
{
	__m128i m0 = m[group & 3], m1 = m[(group + 1) & 3], m2 = m[(group + 2) & 3], m3 = m[(group + 3) & 3];
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4));
	return _mm_sha256msg2_epu32(sum, m3);
}

SHA_TARGET static void block_x86(__m128i *abef, __m128i *cdgh, const uint8_t *bytes)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
	__m128i m[4];
	__m128i s0 = *abef, s1 = *cdgh;
#pragma GCC unroll 16
	for (unsigned group = 0; group < 16; ++group) {
		if (group < 4)
			m[group] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)(const void *)(bytes + group * 16)), swap);
		else
			m[group & 3] = schedule(m, group);
		const void *constants = sim_sha256_constants + group * 4;
		__m128i words = _mm_add_epi32(m[group & 3], _mm_loadu_si128((const __m128i *)constants));
		s1 = _mm_sha256rnds2_epu32(s1, s0, words);
		s0 = _mm_sha256rnds2_epu32(s0, s1, _mm_shuffle_epi32(words, 0x0e));
	}
	*abef = _mm_add_epi32(*abef, s0);
	*cdgh = _mm_add_epi32(*cdgh, s1);
}

SHA_TARGET void sim_sha256_blocks_x86(uint32_t state[8], const uint8_t *blocks, size_t count)
{
	__m128i *words = (__m128i *)(void *)state;
	__m128i dcba = _mm_loadu_si128(words), hgfe = _mm_loadu_si128(words + 1);
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
	for (; count > 0; --count, blocks += SIM_SHA256_BLOCK)
		block_x86(&abef, &cdgh, blocks);
	__m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#else
typedef int sim_sha256_x86_needs_x86;
#endif
