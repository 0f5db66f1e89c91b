// SPDX-License-Identifier: MIT
//
// One case: a sequence and a place, as text; and a finding made smaller.
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

void call_make(const struct settings *settings, struct crash_call *call)
{
	memset(call, 0, sizeof *call);
	call->seed = settings->seed;
	call->disk = settings->disk;
	call->depth = settings->depth;
	call->parts = (settings->cuts ? CRASH_CUTS : 0) | (settings->damage != 0 ? CRASH_DAMAGE : 0);
	for (uint32_t i = 0; i < CRASH_DEPTH_MAX - 1; i++)
		call->nest[i] = settings->nest;
}

static int op_find(const char *name, size_t size)
{
	for (uint32_t i = 0; tb_crash_op_name(i) != NULL; i++)
		if (strlen(tb_crash_op_name(i)) == size && strncmp(tb_crash_op_name(i), name, size) == 0)
			return (int)i;
	return -1;
}

bool case_parse(const char *text, struct crash_call *call)
{
	const char *at = text;

	call->op_count = 0;
	while (*at != '\0' && *at != '@' && *at != '!') {
		size_t size = strcspn(at, ",@!");
		int op = op_find(at, size);
		if (op < 0 || call->op_count == CRASH_OPS_MAX) {
			fprintf(stderr, "crash-sweep: \"%.*s\": %s\n", (int)size, at,
				op < 0 ? "no such operation: --ops lists them" : "that is one too many");
			return false;
		}
		call->ops[call->op_count++] = (uint8_t)op;
		at += size + (at[size] == ',');
	}
	if (call->op_count == 0 || strlen(at) >= sizeof call->only) {
		fprintf(stderr,
			"crash-sweep: \"%s\" is no case: it begins with names of operations, \"create,fsync\"\n", text);
		return false;
	}
	snprintf(call->only, sizeof call->only, "%s", at);
	return true;
}

void case_print(const struct crash_call *call, char *text, size_t size)
{
	size_t used = 0;

	for (uint32_t i = 0; i < call->op_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i != 0 ? "," : "",
					 tb_crash_op_name(call->ops[i]));
	if (used < size)
		snprintf(text + used, size - used, "%s", call->only);
}

// ---- shrinking -------------------------------------------------------------------------------------------------------------------

// Whether it is still found, with the call's ops and place.
static bool found_still(const struct settings *settings, tb_instance *instance, struct crash_call *call, char *ended,
			size_t size)
{
	sequence_run(instance, call, settings->limit_s, ended, size);
	return call->violations != 0 || (*ended != '\0' && call->only[0] == '\0');
}

static void ops_shrink(const struct settings *settings, tb_instance *instance, struct finding *finding,
		       struct crash_call *call)
{
	char ended[sizeof finding->ended];

	for (uint32_t i = 0; i < finding->call.op_count && finding->call.op_count > 1;) {
		*call = finding->call;
		call->only[0] = '\0';
		memmove(&call->ops[i], &call->ops[i + 1], (--call->op_count - i) * sizeof call->ops[0]);
		if (!found_still(settings, instance, call, ended, sizeof ended)) {
			i++;
			continue;
		}
		finding->call = *call;
		memcpy(finding->ended, ended, sizeof ended);
		i = 0;
	}
}

// Without cuts of recoveries, if it is found so.
static void depth_shrink(const struct settings *settings, tb_instance *instance, struct finding *finding,
			 struct crash_call *call)
{
	char ended[sizeof finding->ended];

	*call = finding->call;
	call->depth = 1;
	if (!found_still(settings, instance, call, ended, sizeof ended))
		return;
	finding->call = *call;
	memcpy(finding->ended, ended, sizeof ended);
}

// Takes the n-th "block:version" out of a place; false: there are not so many.
static bool choice_drop(const char *from, uint32_t n, char *to, size_t size)
{
	for (const char *at = from; *at != '\0'; at++) {
		if ((*at != '[' && *at != ',') || at[1] == ']')
			continue;
		if (n-- != 0)
			continue;
		const char *rest = at + 1 + strcspn(at + 1, ",]");
		int before = (int)(at - from) + (*at == '[');
		rest += *at == '[' && *rest == ',';
		snprintf(to, size, "%.*s%s", before, from, rest);
		return true;
	}
	return false;
}

// Fewer writes that were lost: what is not named is the newest.
static void place_shrink(const struct settings *settings, tb_instance *instance, struct finding *finding,
			 struct crash_call *call)
{
	char ended[sizeof finding->ended], place[CRASH_PLACE_SIZE];

	*call = finding->call;
	memcpy(call->only, finding->call.place, sizeof call->only);
	memcpy(place, finding->call.place, sizeof place);
	if (place[0] == '\0' || !found_still(settings, instance, call, ended, sizeof ended))
		return; // only all of the sequence comes there
	memcpy(finding->call.only, place, sizeof place);
	for (uint32_t n = 0; choice_drop(finding->call.only, n, place, sizeof place);) {
		*call = finding->call;
		memcpy(call->only, place, sizeof place);
		if (found_still(settings, instance, call, ended, sizeof ended))
			memcpy(finding->call.only, place, sizeof place);
		else
			n++;
	}
}

void finding_shrink(const struct settings *settings, tb_instance *instance, struct finding *finding)
{
	struct crash_call *call = call_map();

	if (call == NULL)
		return;
	finding->call.only[0] = '\0';
	depth_shrink(settings, instance, finding, call);
	ops_shrink(settings, instance, finding, call);
	place_shrink(settings, instance, finding, call);
}

void finding_print(FILE *to, const char *before, const struct settings *settings, const struct finding *finding)
{
	char text[CRASH_PLACE_SIZE + 200];

	case_print(&finding->call, text, sizeof text);
	fprintf(to, "%s%s\n", before, finding->ended[0] != '\0' ? finding->ended : finding->call.what);
	fprintf(to, "%s    again: ./tools/tbos crash-sweep --seed %llu%s%s%s --case \"%s\"\n", before,
		(unsigned long long)settings->seed, settings->deep ? " --deep" : "",
		settings->disk != 0 ? " --disk " : "", settings->disk != 0 ? disk_names[settings->disk] : "", text);
}
