// SPDX-License-Identifier: MIT
//
// The entropy door: a generator fed by the processor's random numbers, by what the firmware passed on, and by the jitter of a fast
// counter against memory and branches, which is all that some machines have.
#include "../arch.h"
#include "entropy_pool.h"

#include "hal/console.h"

#define JITTER_ROUNDS 256u
#define HARDWARE_WORDS 8u

static struct entropy_pool pool;
static struct bare_lock lock;

static uint8_t boot_seed[128];
static size_t boot_seed_size;

// What the firmware passed on, before the generator stands.
void entropy_keep(const void *bytes, size_t size_bytes)
{
	if (size_bytes > sizeof boot_seed - boot_seed_size)
		size_bytes = sizeof boot_seed - boot_seed_size;
	memcpy(boot_seed + boot_seed_size, bytes, size_bytes);
	boot_seed_size += size_bytes;
}

void entropy_feed(const void *bytes, size_t size_bytes)
{
	bool was = bare_lock_take(&lock);
	entropy_pool_add(&pool, bytes, size_bytes);
	bare_lock_free(&lock, was);
}

// How long a chain of dependent loads takes varies with caches, refresh, and what else the machine does.
static void jitter_collect(void)
{
	static volatile uint32_t memory[1024];
	uint64_t samples[16];
	uint32_t at = 1;
	for (uint32_t round = 0; round < JITTER_ROUNDS; round++) {
		for (uint32_t i = 0; i < 32 + (at & 15); i++) {
			at = (at * 1103515245u + 12345u + memory[at % 1024]) ^ (uint32_t)arch_jitter();
			memory[at % 1024] = at;
		}
		samples[round % 16] = arch_jitter();
		if (round % 16 == 15)
			entropy_feed(samples, sizeof samples);
	}
}

void entropy_init(void)
{
	uint64_t words[HARDWARE_WORDS];
	uint32_t count = 0;
	entropy_pool_init(&pool);
	entropy_pool_add(&pool, boot_seed, boot_seed_size);
	while (count < HARDWARE_WORDS && arch_entropy(&words[count]))
		count++;
	entropy_feed(words, count * sizeof words[0]);
	jitter_collect();
}

void hal_entropy(void *buffer, size_t size_bytes)
{
	uint64_t fresh;
	bool was = bare_lock_take(&lock);
	if (arch_entropy(&fresh))
		entropy_pool_add(&pool, &fresh, sizeof fresh);
	entropy_pool_get(&pool, buffer, size_bytes);
	bare_lock_free(&lock, was);
}
