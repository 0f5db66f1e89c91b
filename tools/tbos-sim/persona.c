// SPDX-License-Identifier: MIT
//
// The executable behind a persona. One executable serves one frame size, so a persona that is not in this one's table lives in another:
// installed as tbos-sim-PERSONA beside it, or in the neighbouring build folder that ./tools/tbos build --persona PERSONA makes.
#include "sim_impl.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define BUILD_TAIL "/tools/tbos-sim/tbos-sim"
#define DEFAULT_PERSONA "desktop_512m"

static bool persona_is_here(const char *name)
{
	struct tb_persona persona;
	for (uint32_t i = 0; tb_persona_get(i, &persona); i++)
		if (strcmp(persona.name, name) == 0)
			return true;
	return false;
}

// Letters, digits and underscores: it becomes part of a path.
static bool persona_is_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return length > 0 && name[length] == '\0';
}

static void try(char **argv, const char *self, const char *path)
{
	if (strcmp(self, path) != 0 && access(path, X_OK) == 0)
		execv(path, argv);
}

static bool ends_with(const char *text, const char *tail)
{
	size_t length = strlen(text), tail_length = strlen(tail);
	return length >= tail_length && strcmp(text + length - tail_length, tail) == 0;
}

static void try_neighbour(char **argv, const char *self, const char *name)
{
	char folder[PATH_MAX], path[2 * PATH_MAX];

	if (!ends_with(self, BUILD_TAIL))
		return;
	snprintf(folder, sizeof folder, "%.*s", (int)(strlen(self) - strlen(BUILD_TAIL)), self);
	if (ends_with(folder, "-" CONFIG_PERSONA))
		folder[strlen(folder) - strlen("-" CONFIG_PERSONA)] = '\0';
	if (strcmp(name, DEFAULT_PERSONA) == 0)
		snprintf(path, sizeof path, "%s%s", folder, BUILD_TAIL);
	else
		snprintf(path, sizeof path, "%s-%s%s", folder, name, BUILD_TAIL);
	try(argv, self, path);
}

void persona_enter(char **argv, const char *name)
{
	char self[PATH_MAX], path[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	if (name == NULL || persona_is_here(name) || !persona_is_name(name) || length <= 0)
		return;
	self[length] = '\0';
	snprintf(path, sizeof path, "%s-%s", self, name);
	try(argv, self, path);
	try_neighbour(argv, self, name);
	fprintf(stderr,
		"tbos-sim: persona: '%s' is not in this executable; for one of another frame size: ./tools/tbos build "
		"--persona %s\n",
		name, name);
}
