// SPDX-License-Identifier: MIT
//
// Look-up in the command line, which is a copy in struct kernel. Linear: it is short, and asked at boot.
#include "kern/option.h"

#include "kern/log.h"
#include "kern/string.h"

#define VALUE_SIZE 32u

// Copies the value of `key`; false when the key is not there. A value that is too long for any number becomes empty, which is none.
static bool option_text(const char *key, char value[VALUE_SIZE])
{
	const char *at = hal_kernel()->cmdline;
	size_t key_size = strlen(key);

	while (*at != '\0') {
		while (*at == ' ')
			at++;
		size_t size = 0;
		while (at[size] != '\0' && at[size] != ' ')
			size++;
		if (size > key_size && at[key_size] == '=' && strncmp(at, key, key_size) == 0) {
			size_t value_size = size - key_size - 1;
			if (value_size >= VALUE_SIZE)
				value_size = 0;
			memcpy(value, at + key_size + 1, value_size);
			value[value_size] = '\0';
			return true;
		}
		at += size;
	}
	return false;
}

err_t option_u64(const char *key, uint64_t *value)
{
	char text[VALUE_SIZE];
	if (!option_text(key, text))
		return -ENOENT;
	bool hex = text[0] == '0' && text[1] == 'x';
	return str_to_u64(hex ? text + 2 : text, hex ? 16 : 10, value) == 0 ? 0 : ERR(EINVAL);
}

uint64_t option_u64_or(const char *key, uint64_t fallback)
{
	uint64_t value = fallback;
	if (option_u64(key, &value) == -EINVAL) {
		log_err("option %s: not a number", key);
		value = fallback;
	}
	return value;
}
