// SPDX-License-Identifier: MIT
//
// Places as text, which a rerun is given: where the power went, and what the disk had kept.
#include "crash.h"

static const char damaged[] = "ght"; // garbage, head, tail

void place_print(const struct explorer *ex, uint32_t depth, char *text, size_t size)
{
	struct fmt_buffer out;

	fmt_init(&out, text, size);
	for (uint32_t d = 0; d <= depth; d++) {
		const struct level *level = &ex->levels[d];
		fmt_append(&out, "@%u[", level->at);
		for (uint32_t i = 0; i < level->branch.count; i++) {
			const struct choice *choice = &level->branch.choices[i];
			fmt_append(&out, "%s%u:", i != 0 ? "," : "", choice->block);
			if (choice->version < VERSION_GARBAGE)
				fmt_append(&out, "%u", choice->version);
			else
				fmt_append(&out, "%c", damaged[choice->version - VERSION_GARBAGE]);
		}
		fmt_append(&out, "]");
	}
	if (fmt_was_cut(&out)) // too long to be of use: the whole sequence is
		*text = '\0';
}

static bool number_take(const char **text, uint32_t *number)
{
	const char *at = *text;

	*number = 0;
	while (*at >= '0' && *at <= '9' && *number < 1000000)
		*number = *number * 10 + (uint32_t)(*at++ - '0');
	bool taken = at != *text;
	*text = at;
	return taken;
}

static bool char_take(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static bool version_take(const char **text, uint8_t *version)
{
	uint32_t number = 0;

	for (uint8_t i = 0; i < sizeof damaged - 1; i++)
		if (char_take(text, damaged[i])) {
			*version = (uint8_t)(VERSION_GARBAGE + i);
			return true;
		}
	if (!number_take(text, &number) || number >= VERSIONS_MAX)
		return false;
	*version = (uint8_t)number;
	return true;
}

bool place_next(const char **text, uint32_t *at, struct branch *branch, bool *wrong)
{
	uint32_t block = 0;

	branch->count = 0;
	if (**text == '\0')
		return false;
	*wrong = !char_take(text, '@') || !number_take(text, at) || !char_take(text, '[');
	while (!*wrong && !char_take(text, ']')) {
		struct choice *choice = &branch->choices[branch->count];
		*wrong = branch->count == CHOICES_MAX - 1 || (branch->count != 0 && !char_take(text, ',')) ||
			 !number_take(text, &block) || block >= DISK_BLOCKS || !char_take(text, ':') ||
			 !version_take(text, &choice->version);
		choice->block = (uint16_t)block;
		branch->count++;
	}
	return !*wrong;
}

bool place_damage(const char *text, const char *kind, uint32_t *numbers, uint32_t count)
{
	size_t size = strlen(kind);

	if (!char_take(&text, '!') || strncmp(text, kind, size) != 0)
		return false;
	text += size;
	for (uint32_t i = 0; i < count; i++)
		if (!char_take(&text, ':') || !number_take(&text, &numbers[i]))
			return false;
	return *text == '\0';
}
