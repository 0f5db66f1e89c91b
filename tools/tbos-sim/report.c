// SPDX-License-Identifier: MIT
//
// What a run reports: JSON on request, and the trace hash of a simulated one.
#include "sim_impl.h"

#include <jansson.h>

static void hash_hex(const struct tb_sim_stats *stats, char hex[65])
{
	for (size_t i = 0; i < sizeof stats->trace_hash; i++)
		snprintf(hex + 2 * i, 3, "%02x", stats->trace_hash[i]);
}

void report_hash(const struct sim_result *result)
{
	char hex[65];
	if (!result->have_stats)
		return;
	hash_hex(&result->stats, hex);
	fflush(stdout);
	fprintf(stderr, "trace-hash: %s\n", hex);
}

void report_json(FILE *out, const struct sim_options *options, const struct sim_result *result)
{
	json_t *root =
		json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:I, s:I, s:I, s:I, s:I}", "program", "tbos-sim",
			  "version", tb_version(), "build", tb_build_id(), "engine",
			  options->engine == TB_ENGINE_SIM ? "sim" : "threads", "error", (int)result->err, "status",
			  run_exit_status(result), "reason", result->error, "seed", (json_int_t)options->seed,
			  "boot_ns", (json_int_t)result->boot_ns, "run_ns", (json_int_t)result->run_ns, "shutdown_ns",
			  (json_int_t)result->end_ns, "console_bytes", (json_int_t)result->console_bytes);
	if (root != NULL && result->have_stats) {
		char hex[65];
		hash_hex(&result->stats, hex);
		json_object_set_new(root, "sim",
				    json_pack("{s:I, s:I, s:I, s:I, s:s}", "decisions",
					      (json_int_t)result->stats.decisions, "switches",
					      (json_int_t)result->stats.switches, "interrupts",
					      (json_int_t)result->stats.interrupts, "time_ns",
					      (json_int_t)result->stats.time_ns, "trace_hash", hex));
	}
	if (root != NULL)
		json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
	fflush(out);
	json_decref(root);
}
