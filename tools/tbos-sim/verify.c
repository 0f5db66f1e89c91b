// SPDX-License-Identifier: MIT
//
// --verify: the same run twice, with different junk in fresh memory. A difference means that something was read before it
// was written, or ordered by what chance put there.
#include "sim_impl.h"

#include <string.h>

#define POISON_FIRST 0xa5u
#define POISON_SECOND 0x5au

static bool results_equal(const struct sim_result *a, const struct sim_result *b)
{
	return a->err == b->err && a->status == b->status && a->console_bytes == b->console_bytes &&
	       a->stats.decisions == b->stats.decisions && a->stats.time_ns == b->stats.time_ns &&
	       memcmp(a->stats.trace_hash, b->stats.trace_hash, sizeof a->stats.trace_hash) == 0;
}

int verify_run(const struct sim_options *options)
{
	struct sim_result first, second;

	run_once(options, POISON_FIRST, false, &first);
	run_once(options, POISON_SECOND, true, &second);
	bool equal = results_equal(&first, &second);
	fprintf(stderr, "verify: %s: %llu and %llu decisions, %llu and %llu ns\n", equal ? "equal" : "DIFFERENT",
		(unsigned long long)first.stats.decisions, (unsigned long long)second.stats.decisions,
		(unsigned long long)first.stats.time_ns, (unsigned long long)second.stats.time_ns);
	if (!equal)
		report_hash(&second);
	if (options->json)
		report_json(stdout, options, &first);
	if (first.err != 0 && first.error[0] != '\0')
		fprintf(stderr, "tbos-sim: %s\n", first.error);
	report_hash(&first);
	return equal ? run_exit_status(&first) : EXIT_DIFFERS;
}
