// SPDX-License-Identifier: MIT
//
// tbos-sim: see sim_impl.h.
#include "sim_impl.h"

int main(int argc, char **argv)
{
	struct sim_options options = {.seed = 1};
	struct sim_result result;
	bool done;

	int status = options_parse(argc, argv, &options, &done);
	if (status != 0 || done)
		return status;
	persona_enter(argv, options.persona);
	if (options.verify)
		return verify_run(&options);
	run_once(&options, 0, false, &result);
	if (options.json)
		report_json(stdout, &options, &result);
	if (result.err != 0)
		fprintf(stderr, "tbos-sim: %s\n", result.error[0] != '\0' ? result.error : "failed");
	report_hash(&result);
	return run_exit_status(&result);
}
