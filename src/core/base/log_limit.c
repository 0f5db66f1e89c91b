// SPDX-License-Identifier: MIT
//
// Rate limits of log lines, per call site, without a static variable at the site: a small table in the instance, open
// addressed by a hash of file and line. Each entry is two atomic words, so that it works on every CPU and in interrupts.
#include "base_impl.h"

#define PROBES_MAX 8u
#define WINDOW_SHIFT_NS 32u
#define SPENT_MAX 0xffffu

// A full neighbourhood shares the first entry: its sites are then limited together, which errs towards silence.
static struct log_site *site_find(struct log_site *sites, uint32_t key)
{
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		struct log_site *site = &sites[(key / 2 + i) % LOG_SITES];
		uint32_t seen = atomic_load_u32_relaxed_nopoint(&site->key);
		if (seen == 0 && atomic_cmpxchg_u32_relaxed_nopoint(&site->key, &seen, key))
			return site;
		if (seen == key)
			return site;
	}
	return &sites[key / 2 % LOG_SITES];
}

bool log_limit_admit(struct log_site *sites, uint32_t key, uint64_t now_ns, uint32_t *held_back)
{
	struct log_site *site = site_find(sites, key);
	uint32_t window = (uint32_t)(now_ns >> WINDOW_SHIFT_NS) & 0xffffu;
	uint32_t seen = atomic_load_u32_relaxed_nopoint(&site->spent);
	uint32_t wanted, spent;

	do {
		spent = seen & SPENT_MAX;
		if (seen >> 16 != window)
			wanted = window << 16 | 1u;
		else
			wanted = spent == SPENT_MAX ? seen : seen + 1;
	} while (!atomic_cmpxchg_u32_relaxed_nopoint(&site->spent, &seen, wanted));

	bool is_new = seen >> 16 != window;
	*held_back = is_new && spent > LOG_LIMIT_BURST ? spent - LOG_LIMIT_BURST : 0;
	return is_new || spent < LOG_LIMIT_BURST;
}
