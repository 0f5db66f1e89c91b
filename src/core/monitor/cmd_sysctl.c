// SPDX-License-Identifier: MIT
//
// The command sysctl: tunables, shown and set.
#include "commands.h"

#include "kern/string.h"
#include "kern/tunable.h"

static void show(struct monitor_session *session, const struct tunable *tunable, bool told)
{
	if (told)
		monitor_printf(session, "%-32s %12llu  %s%s\n", tunable->name, (unsigned long long)tunable->get(),
			       tunable->summary, tunable->set == NULL ? " (read only)" : "");
	else
		monitor_printf(session, "%s = %llu\n", tunable->name, (unsigned long long)tunable->get());
}

static int32_t one(struct monitor_session *session, char *word)
{
	char *equals = strchr(word, '=');

	if (equals != NULL)
		*equals = '\0';
	const struct tunable *tunable = tunable_find(word);
	if (tunable == NULL) {
		monitor_error(session, "sysctl: %s: there is none; without a name all are listed\n", word);
		return 1;
	}
	err_t err = equals != NULL ? tunable_set(tunable, equals + 1) : 0;
	if (err == -ERANGE)
		monitor_error(session, "sysctl: %s: %s: from %llu to %llu\n", word, equals + 1,
			      (unsigned long long)tunable->min, (unsigned long long)tunable->max);
	else if (err != 0)
		monitor_error(session, "sysctl: %s: %s\n", word, err_text(err));
	else
		show(session, tunable, false);
	return err != 0;
}

static int32_t run_sysctl(struct monitor_session *session, uint32_t argc, char **argv)
{
	const struct tunable *tunable;
	int32_t status = 0;

	for (uint32_t i = 0; argc == 1 && (tunable = tunable_at(i)) != NULL; i++)
		show(session, tunable, true);
	for (uint32_t i = 1; i < argc; i++)
		status |= one(session, argv[i]);
	return status;
}

static const char *complete_sysctl(uint32_t index, const char *prefix, uint32_t n)
{
	const struct tunable *tunable;

	(void)index;
	for (uint32_t i = 0; (tunable = tunable_at(i)) != NULL; i++)
		if (str_has_prefix(tunable->name, prefix) && n-- == 0)
			return tunable->name;
	return NULL;
}

const struct monitor_command monitor_cmd_sysctl = {
	"sysctl", "[NAME[=VALUE]...]", "show or set numbers of the running system", run_sysctl, complete_sysctl};
