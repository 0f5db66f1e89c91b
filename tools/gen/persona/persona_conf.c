// SPDX-License-Identifier: MIT
//
// Parser and limits of persona files. One table of keys drives both, so a key, its unit and its range stand in one row.
#include "persona_conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum value_kind {
	VALUE_COUNT,
	VALUE_BYTES,
	VALUE_TIME,
	VALUE_TEXT,
	VALUE_LIST
};

struct key {
	const char *name;
	enum value_kind kind;
	size_t offset;
	uint64_t min, max;
	bool required;
};

#define FIELD(member) offsetof(struct persona_conf, member)

static const struct key keys[] = {
	{"summary", VALUE_TEXT, FIELD(summary), 0, 0, true},
	{"memory", VALUE_BYTES, FIELD(memory_bytes), 4096, 3ull << 30, true},
	{"frame_size", VALUE_BYTES, FIELD(frame_size_bytes), 256, 65536, true},
	{"slice", VALUE_TIME, FIELD(slice_ns), 100000, 1000000000, true},
	{"cpus", VALUE_COUNT, FIELD(cpu_count), 1, 64, true},
	{"nodes", VALUE_COUNT, FIELD(node_count), 1, 8, true},
	{"log_size", VALUE_BYTES, FIELD(log_size_bytes), 0, 16 << 20, false},
	{"trace_events", VALUE_COUNT, FIELD(trace_events), 0, 1 << 20, false},
	{"thread_limit", VALUE_COUNT, FIELD(thread_limit), 0, 1 << 20, false},
	{"components", VALUE_LIST, FIELD(components), 0, 0, true},
	{"devices", VALUE_TEXT, FIELD(devices), 0, 0, false},
	{"qemu", VALUE_TEXT, FIELD(qemu), 0, 0, false},
};

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit byte_units[] = {{"", 1}, {"K", 1u << 10}, {"M", 1u << 20}, {"G", 1u << 30}};
static const struct unit time_units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
static const struct unit plain_units[] = {{"", 1}};

struct span {
	const char *text;
	size_t size;
};

__attribute__((__format__(__printf__, 3, 4))) static bool fail(struct persona_error *error, uint32_t line,
							       const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error->line = line;
	vsnprintf(error->reason, sizeof error->reason, format, args);
	va_end(args);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span span_trim(struct span span)
{
	while (span.size > 0 && is_blank(span.text[0])) {
		span.text++;
		span.size--;
	}
	while (span.size > 0 && is_blank(span.text[span.size - 1]))
		span.size--;
	return span;
}

static bool span_equals(struct span span, const char *text)
{
	return span.size == strlen(text) && memcmp(span.text, text, span.size) == 0;
}

static bool is_name(struct span span)
{
	if (span.size == 0 || span.size >= PERSONA_NAME_SIZE)
		return false;
	for (size_t i = 0; i < span.size; i++) {
		char c = span.text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

static bool parse_number(struct span value, enum value_kind kind, uint64_t *out)
{
	const struct unit *units = kind == VALUE_BYTES ? byte_units : kind == VALUE_TIME ? time_units : plain_units;
	size_t unit_count = kind == VALUE_COUNT ? 1 : 4;
	uint64_t number = 0;
	size_t at = 0;

	for (; at < value.size && value.text[at] >= '0' && value.text[at] <= '9'; at++) {
		if (at > 14)
			return false;
		number = number * 10 + (uint64_t)(value.text[at] - '0');
	}
	if (at == 0)
		return false;
	struct span suffix = {value.text + at, value.size - at};
	for (size_t i = 0; i < unit_count; i++)
		if (span_equals(suffix, units[i].name))
			return !__builtin_mul_overflow(number, units[i].factor, out);
	return false;
}

static bool set_number(struct persona_conf *conf, const struct key *key, struct span value, uint32_t line,
		       struct persona_error *error)
{
	uint64_t number = 0;
	if (!parse_number(value, key->kind, &number))
		return fail(error, line, "%s: '%.*s' is no %s", key->name, (int)(value.size > 40 ? 40 : value.size),
			    value.text,
			    key->kind == VALUE_BYTES  ? "size (digits, then K, M or G)"
			    : key->kind == VALUE_TIME ? "time (digits, then ns, us, ms or s)"
						      : "number");
	if (number < key->min || number > key->max)
		return fail(error, line, "%s: %llu is outside %llu to %llu", key->name, (unsigned long long)number,
			    (unsigned long long)key->min, (unsigned long long)key->max);
	memcpy((char *)conf + key->offset, &number, sizeof number);
	return true;
}

static bool set_text(struct persona_conf *conf, const struct key *key, struct span value, uint32_t line,
		     struct persona_error *error)
{
	char *field = (char *)conf + key->offset;
	if (value.size >= PERSONA_TEXT_SIZE)
		return fail(error, line, "%s: longer than %d bytes", key->name, PERSONA_TEXT_SIZE - 1);
	for (size_t i = 0; i < value.size; i++)
		if ((unsigned char)value.text[i] < 0x20 || value.text[i] == '"' || value.text[i] == '\\')
			return fail(error, line, "%s: byte 0x%02x is not allowed", key->name,
				    (unsigned char)value.text[i]);
	memset(field, 0, PERSONA_TEXT_SIZE);
	memcpy(field, value.text, value.size);
	return true;
}

static bool has_component(const struct persona_conf *conf, struct span name)
{
	for (uint32_t i = 0; i < conf->component_count; i++)
		if (span_equals(name, conf->components[i]))
			return true;
	return false;
}

static bool add_components(struct persona_conf *conf, struct span value, uint32_t line, struct persona_error *error)
{
	while ((value = span_trim(value)).size > 0) {
		size_t size = 0;
		while (size < value.size && !is_blank(value.text[size]))
			size++;
		struct span name = {value.text, size};
		if (!is_name(name))
			return fail(error, line, "components: '%.*s' is no name", (int)(size > 40 ? 40 : size),
				    name.text);
		if (has_component(conf, name))
			return fail(error, line, "components: %.*s is named twice", (int)size, name.text);
		if (conf->component_count == PERSONA_COMPONENTS_MAX)
			return fail(error, line, "components: more than %d", PERSONA_COMPONENTS_MAX);
		char *slot = conf->components[conf->component_count++];
		memset(slot, 0, PERSONA_NAME_SIZE);
		memcpy(slot, name.text, size);
		value.text += size;
		value.size -= size;
	}
	return true;
}

static bool apply(struct persona_conf *conf, struct span name, bool add, struct span value, uint32_t line,
		  struct persona_error *error)
{
	const struct key *key = NULL;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (span_equals(name, keys[i].name))
			key = &keys[i];
	if (key == NULL)
		return fail(error, line, "'%.*s' is no key", (int)(name.size > 40 ? 40 : name.size), name.text);
	if (add && key->kind != VALUE_LIST)
		return fail(error, line, "%s: only lists take +=", key->name);
	if (key->kind == VALUE_TEXT)
		return set_text(conf, key, value, line, error);
	if (key->kind != VALUE_LIST)
		return set_number(conf, key, value, line, error);
	if (!add)
		conf->component_count = 0;
	return add_components(conf, value, line, error);
}

static bool parse_line(struct persona_conf *conf, struct span text, uint32_t line, struct persona_error *error)
{
	text = span_trim(text);
	if (text.size == 0 || text.text[0] == '#')
		return true;
	const char *equals = memchr(text.text, '=', text.size);
	if (equals == NULL)
		return fail(error, line, "no '=' in the line");
	bool add = equals > text.text && equals[-1] == '+';
	struct span name = {text.text, (size_t)(equals - text.text) - (add ? 1 : 0)};
	struct span value = {equals + 1, text.size - (size_t)(equals + 1 - text.text)};
	return apply(conf, span_trim(name), add, span_trim(value), line, error);
}

bool persona_conf_init(struct persona_conf *conf, const char *name)
{
	memset(conf, 0, sizeof *conf);
	struct span span = {name, strlen(name)};
	if (!is_name(span))
		return false;
	memcpy(conf->name, name, span.size);
	return true;
}

bool persona_conf_parse(struct persona_conf *conf, const char *text, size_t size_bytes, struct persona_error *error)
{
	uint32_t line = 1;
	if (size_bytes > PERSONA_FILE_MAX)
		return fail(error, 0, "larger than %d bytes", PERSONA_FILE_MAX);
	for (size_t at = 0; at < size_bytes; line++) {
		const char *end = memchr(text + at, '\n', size_bytes - at);
		size_t next = end != NULL ? (size_t)(end - text) : size_bytes;
		if (!parse_line(conf, (struct span){text + at, next - at}, line, error))
			return false;
		at = next + 1;
	}
	return true;
}

bool persona_conf_validate(const struct persona_conf *conf, struct persona_error *error)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const char *field = (const char *)conf + keys[i].offset;
		uint64_t number = 0;
		if (keys[i].kind != VALUE_TEXT && keys[i].kind != VALUE_LIST)
			memcpy(&number, field, sizeof number);
		bool given = keys[i].kind == VALUE_TEXT || keys[i].kind == VALUE_LIST ? field[0] != '\0' : number != 0;
		if (keys[i].required && !given)
			return fail(error, 0, "%s is missing", keys[i].name);
	}
	if ((conf->frame_size_bytes & (conf->frame_size_bytes - 1)) != 0)
		return fail(error, 0, "frame_size is no power of two");
	if (conf->memory_bytes % conf->frame_size_bytes != 0)
		return fail(error, 0, "memory is no multiple of frame_size");
	if (conf->node_count > conf->cpu_count)
		return fail(error, 0, "more nodes than CPUs");
	if (conf->component_count == 0)
		return fail(error, 0, "components is empty");
	return true;
}
