// SPDX-License-Identifier: MIT
//
// The option --disk: FILE[,ro][,publish][,size=N][,offset=N][,logical=N][,physical=N][,FAULT=N…]. A comma in a file's name is written twice.
#include "sim_impl.h"

#include <stdlib.h>
#include <string.h>

// Everything that a disk's strings point to; lives as long as the program.
struct words {
	char *path, *faults;
};

// Takes text up to a single comma into `to`, which has room; returns what follows the comma, or the end.
static const char *word_take(const char *text, char *to)
{
	while (*text != '\0') {
		if (text[0] == ',' && text[1] != ',')
			break;
		text += text[0] == ',';
		*to++ = *text++;
	}
	*to = '\0';
	return *text == ',' ? text + 1 : text;
}

static bool value_set(const char *word, const char *name, uint64_t max, uint64_t *value, bool *ok)
{
	size_t size = strlen(name);
	if (strncmp(word, name, size) != 0 || word[size] != '=')
		return false;
	*ok = options_number("disk", word + size + 1, max, value);
	return true;
}

// What is none of ours is a fault, which the library knows.
static bool word_apply(const char *word, struct tb_disk *disk, char *faults, size_t faults_bytes)
{
	size_t used = strlen(faults);
	uint64_t number = 0;
	bool ok = true;

	if (strcmp(word, "ro") == 0)
		disk->flags |= TB_DISK_READ_ONLY;
	else if (strcmp(word, "publish") == 0)
		disk->flags |= TB_DISK_PUBLISH;
	else if (value_set(word, "size", INT64_MAX, &disk->size_bytes, &ok) ||
		 value_set(word, "offset", INT64_MAX, &disk->offset_bytes, &ok))
		return ok;
	else if (value_set(word, "logical", UINT32_MAX, &number, &ok))
		disk->logical_bytes = (uint32_t)number;
	else if (value_set(word, "physical", UINT32_MAX, &number, &ok))
		disk->physical_bytes = (uint32_t)number;
	else if (strchr(word, '=') != NULL && word[0] != '\0')
		snprintf(faults + used, faults_bytes - used, "%s%s", used == 0 ? "" : ",", word);
	else {
		fprintf(stderr,
			"tbos-sim: --disk: '%s' is no ro, publish, size=, offset=, logical=, physical= or fault\n",
			word);
		return false;
	}
	return ok;
}

bool disk_parse(const char *text, struct sim_options *options)
{
	if (options->disk_count == SIM_DISKS_MAX) {
		fprintf(stderr, "tbos-sim: --disk: at most %u of them\n", SIM_DISKS_MAX);
		return false;
	}
	struct tb_disk *disk = &options->disks[options->disk_count];
	size_t size = strlen(text) + 1;
	struct words words = {malloc(size), calloc(1, size)};
	char *word = malloc(size);
	bool ok = words.path != NULL && words.faults != NULL && word != NULL;

	if (!ok)
		fprintf(stderr, "tbos-sim: no memory\n");
	const char *rest = ok ? word_take(text, words.path) : "";
	while (ok && *rest != '\0') {
		rest = word_take(rest, word);
		ok = word_apply(word, disk, words.faults, size);
	}
	if (ok) {
		disk->path = words.path;
		disk->faults = words.faults[0] == '\0' ? NULL : words.faults;
		options->disk_count++;
	} else {
		free(words.path);
	}
	if (!ok || disk->faults == NULL)
		free(words.faults);
	free(word);
	return ok;
}
