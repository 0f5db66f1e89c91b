// SPDX-License-Identifier: MIT
//
// The boot command line: splitting into words, the HAL's own keys, and what is handed on.
#include "cmdline.h"

#include "pure.h"

#include <string.h>

// One word: its key, and its value with quotes and backslashes resolved.
struct word {
	char key[32];
	char value[CMDLINE_COMMAND_SIZE];
	uint32_t offset;       // of the key
	uint32_t value_offset; // of the value
	bool has_value;
};

struct reader {
	struct cmdline *cmdline;
	const char *text;
	size_t size;
	size_t at;
	size_t rest_size;
};

static void fault_note(struct cmdline *cmdline, const char *reason, size_t offset)
{
	if (cmdline->fault.reason == NULL) {
		cmdline->fault.reason = reason;
		cmdline->fault.offset = (uint32_t)offset;
	}
	cmdline->fault.count++;
}

// ---- words ----------------------------------------------------------------------------------------------------------

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_key(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '.' || c == ',';
}

static void word_skip(struct reader *reader)
{
	while (reader->at < reader->size && !is_blank(reader->text[reader->at]))
		reader->at++;
}

static bool key_read(struct reader *reader, struct word *word)
{
	size_t start = reader->at;
	while (reader->at < reader->size && is_key(reader->text[reader->at]))
		reader->at++;
	size_t size = reader->at - start;
	const char *reason = NULL;
	if (size == 0)
		reason = "no key here";
	else if (reader->at < reader->size && reader->text[reader->at] != '=' && !is_blank(reader->text[reader->at]))
		reason = "a key holds letters, digits, '_', '-', '.' and ','";
	else if (!text_copy(word->key, sizeof word->key, reader->text + start, size))
		reason = "key too long";
	if (reason != NULL)
		fault_note(reader->cmdline, reason, size == 0 || reason[0] == 'k' ? start : reader->at);
	return reason == NULL;
}

// From behind the opening quote to behind the closing one.
static bool quoted_read(struct reader *reader, struct word *word)
{
	size_t size = 0;
	while (reader->at < reader->size && reader->text[reader->at] != '"') {
		char c = reader->text[reader->at++];
		if (c == '\\' && reader->at < reader->size) {
			c = reader->text[reader->at++];
			c = c == 'n' ? '\n' : c;
		}
		if (size < sizeof word->value)
			word->value[size] = c;
		size++;
	}
	if (reader->at == reader->size) {
		fault_note(reader->cmdline, "quote without an end", word->value_offset);
		return false;
	}
	reader->at++;
	if (reader->at < reader->size && !is_blank(reader->text[reader->at])) {
		fault_note(reader->cmdline, "a quote ends its word", reader->at);
		return false;
	}
	if (size >= sizeof word->value) {
		fault_note(reader->cmdline, "value too long", word->value_offset);
		return false;
	}
	word->value[size] = '\0';
	return true;
}

static bool bare_read(struct reader *reader, struct word *word)
{
	size_t start = reader->at;
	word_skip(reader);
	for (size_t i = start; i < reader->at; i++) {
		if (reader->text[i] == '"') {
			fault_note(reader->cmdline, "quote inside a word", i);
			return false;
		}
	}
	if (!text_copy(word->value, sizeof word->value, reader->text + start, reader->at - start)) {
		fault_note(reader->cmdline, "value too long", start);
		return false;
	}
	return true;
}

// The next word; false at the end. A damaged word is reported and passed over.
static bool word_read(struct reader *reader, struct word *word)
{
	for (;;) {
		while (reader->at < reader->size && is_blank(reader->text[reader->at]))
			reader->at++;
		if (reader->at == reader->size)
			return false;
		word->offset = (uint32_t)reader->at;
		word->value[0] = '\0';
		bool ok = key_read(reader, word);
		word->has_value = ok && reader->at < reader->size && reader->text[reader->at] == '=';
		if (word->has_value) {
			word->value_offset = (uint32_t)++reader->at;
			if (reader->at < reader->size && reader->text[reader->at] == '"') {
				reader->at++;
				ok = quoted_read(reader, word);
			} else {
				ok = bare_read(reader, word);
			}
		}
		if (ok)
			return true;
		word_skip(reader);
	}
}

// ---- values ---------------------------------------------------------------------------------------------------------

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Reads digits; *text moves behind them.
static bool number_read(const char **text, uint64_t *value)
{
	const char *at = *text;
	uint64_t base = 10, sum = 0;

	if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
		base = 16;
		at += 2;
	}
	const char *start = at;
	for (; digit_of(*at) >= 0 && (uint64_t)digit_of(*at) < base; at++)
		if (__builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)digit_of(*at), &sum))
			return false;
	*text = at;
	*value = sum;
	return at > start;
}

bool cmdline_size(const char *text, uint64_t *size_bytes)
{
	static const char units[] = "kKmMgGtT";
	uint64_t value;
	uint32_t shift = 0;

	if (!number_read(&text, &value))
		return false;
	for (uint32_t i = 0; i < sizeof units - 1; i++)
		if (*text == units[i])
			shift = 10 * (i / 2 + 1);
	text += shift != 0;
	if (*text != '\0' || (shift != 0 && value >> (64 - shift) != 0))
		return false;
	*size_bytes = value << shift;
	return true;
}

static bool number_value(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t number;
	if (!number_read(&text, &number) || *text != '\0' || number > max)
		return false;
	*value = number;
	return true;
}

// A key without a value is switched on.
static bool flag_value(const struct word *word, bool *flag)
{
	bool on = !word->has_value || text_equal(word->value, "1") || text_equal(word->value, "on");
	if (!on && !text_equal(word->value, "0") && !text_equal(word->value, "off"))
		return false;
	*flag = on;
	return true;
}

static bool choice_value(const char *text, const char *const *names, uint32_t count, uint8_t *choice)
{
	for (uint32_t i = 0; i < count; i++) {
		if (text_equal(text, names[i])) {
			*choice = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static bool text_value(const struct word *word, char *to, size_t size)
{
	size_t value_size = text_size(word->value);
	if (value_size >= size)
		return false;
	return text_copy(to, size, word->value, value_size);
}

// ---- keys -----------------------------------------------------------------------------------------------------------

enum taken {
	NOT_OURS,
	TAKEN,
	BAD
};

static enum taken taken_if(bool ok)
{
	return ok ? TAKEN : BAD;
}

static enum taken text_key(struct cmdline *cmdline, const struct word *word)
{
	if (text_equal(word->key, "persona"))
		return taken_if(word->has_value && text_value(word, cmdline->persona, sizeof cmdline->persona));
	if (text_equal(word->key, "console"))
		return taken_if(word->has_value && text_value(word, cmdline->console, sizeof cmdline->console));
	if (text_equal(word->key, "module"))
		return taken_if(word->has_value && text_value(word, cmdline->module, sizeof cmdline->module));
	if (text_equal(word->key, "initramfs")) {
		bool ok = text_value(word, cmdline->initramfs, sizeof cmdline->initramfs);
		cmdline->has_initramfs = cmdline->has_initramfs || ok;
		return taken_if(ok);
	}
	if (text_equal(word->key, "c")) {
		bool ok = word->has_value && text_value(word, cmdline->command, sizeof cmdline->command);
		cmdline->has_command = cmdline->has_command || ok;
		return taken_if(ok);
	}
	if (text_equal(word->key, "test")) {
		bool ok = text_value(word, cmdline->test, sizeof cmdline->test);
		cmdline->has_test = cmdline->has_test || ok;
		return taken_if(ok);
	}
	return NOT_OURS;
}

static enum taken number_key(struct cmdline *cmdline, const struct word *word)
{
	uint64_t value = 0;
	bool ok = false;

	if (text_equal(word->key, "cpus")) {
		ok = number_value(word->value, UINT32_MAX, &value);
		cmdline->cpu_count = ok ? (uint32_t)value : cmdline->cpu_count;
	} else if (text_equal(word->key, "mem")) {
		ok = cmdline_size(word->value, &value);
		cmdline->mem_size_bytes = ok ? value : cmdline->mem_size_bytes;
	} else if (text_equal(word->key, "seed")) {
		ok = number_value(word->value, UINT64_MAX, &value);
		cmdline->seed = ok ? value : cmdline->seed;
		cmdline->has_seed = cmdline->has_seed || ok;
	} else if (text_equal(word->key, "poison")) {
		ok = number_value(word->value, 255, &value);
		cmdline->poison = ok ? (uint32_t)value : cmdline->poison;
	} else {
		return NOT_OURS;
	}
	return taken_if(ok);
}

static enum taken choice_key(struct cmdline *cmdline, const struct word *word)
{
	static const char *const panics[] = {"halt", "reboot", "exit"};
	static const char *const exits[] = {"none", "debug", "semihosting"};
	static const char *const clocks[] = {"real", "stepped"};
	static const char *const timers[] = {"best", "local", "hpet", "pit"};
	uint8_t clock = cmdline->is_stepped;
	bool ok;

	if (text_equal(word->key, "panic"))
		return taken_if(choice_value(word->value, panics, PURE_COUNT(panics), &cmdline->panic));
	if (text_equal(word->key, "exit"))
		return taken_if(choice_value(word->value, exits, PURE_COUNT(exits), &cmdline->exit));
	if (text_equal(word->key, "timer"))
		return taken_if(choice_value(word->value, timers, PURE_COUNT(timers), &cmdline->timer));
	if (!text_equal(word->key, "clock"))
		return NOT_OURS;
	ok = choice_value(word->value, clocks, PURE_COUNT(clocks), &clock);
	cmdline->is_stepped = clock == 1;
	return taken_if(ok);
}

static enum taken flag_key(struct cmdline *cmdline, const struct word *word)
{
	if (text_equal(word->key, "trace"))
		return taken_if(flag_value(word, &cmdline->has_trace));
	if (text_equal(word->key, "quiet"))
		return taken_if(flag_value(word, &cmdline->has_quiet));
	if (text_equal(word->key, "interactive"))
		return taken_if(flag_value(word, &cmdline->has_interactive));
	return NOT_OURS;
}

// The kernel splits at blanks and knows no quotes, so that a value with blanks cannot be handed on.
static void hand_on(struct reader *reader, const struct word *word)
{
	struct cmdline *cmdline = reader->cmdline;
	size_t key_size = text_size(word->key), value_size = text_size(word->value);
	size_t separator = reader->rest_size > 0, equals = word->has_value;

	for (size_t i = 0; i < value_size; i++) {
		if (is_blank(word->value[i])) {
			fault_note(cmdline, "the kernel takes no blanks in a value", word->value_offset);
			return;
		}
	}
	if (reader->rest_size + separator + key_size + equals + value_size >= sizeof cmdline->rest) {
		fault_note(cmdline, "no room for this word in the kernel's command line", word->offset);
		return;
	}
	char *to = cmdline->rest + reader->rest_size;
	if (separator)
		*to++ = ' ';
	memcpy(to, word->key, key_size);
	to += key_size;
	if (equals)
		*to++ = '=';
	memcpy(to, word->value, value_size);
	to[value_size] = '\0';
	reader->rest_size += separator + key_size + equals + value_size;
}

static void word_take(struct reader *reader, const struct word *word)
{
	static enum taken (*const keys[])(struct cmdline *, const struct word *) = {text_key, number_key, choice_key,
										    flag_key};

	for (size_t i = 0; i < PURE_COUNT(keys); i++) {
		enum taken taken = keys[i](reader->cmdline, word);
		if (taken == BAD) {
			bool missing = !word->has_value;
			fault_note(reader->cmdline,
				   missing ? "this key wants a value" : "not a value that this key takes",
				   missing ? word->offset : word->value_offset);
		}
		if (taken != NOT_OURS)
			return;
	}
	hand_on(reader, word);
}

void cmdline_parse(struct cmdline *cmdline, const char *text, size_t size_bytes)
{
	struct reader reader = {.cmdline = cmdline, .text = text};
	struct word word;

	memset(cmdline, 0, sizeof *cmdline);
	while (reader.size < size_bytes && reader.size < CMDLINE_INPUT_MAX && text[reader.size] != '\0')
		reader.size++;
	if (reader.size == CMDLINE_INPUT_MAX && size_bytes > CMDLINE_INPUT_MAX && text[reader.size] != '\0')
		fault_note(cmdline, "command line too long", CMDLINE_INPUT_MAX);
	while (word_read(&reader, &word))
		word_take(&reader, &word);
}
