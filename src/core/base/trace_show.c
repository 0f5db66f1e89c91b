// SPDX-License-Identifier: MIT
//
// Trace records as a line of text and as one JSON object (RFC 8259), argument by argument as the table says.
#include "base_impl.h"

#include "kern/fmt.h"
#include "kern/math.h"
#include "kern/string.h"

#define VALUE_SIZE 96u

struct argument_row {
	const char *label;
	enum trace_kind kind;
};

static const struct argument_row argument_rows[TRACE_EVENT_COUNT][2] = {
#define X(id, name, label_a, kind_a, label_b, kind_b) [id] = {{label_a, kind_a}, {label_b, kind_b}},
	TRACE_TABLE(X)
#undef X
};

// Kinds whose text is no JSON number.
static bool kind_is_text(enum trace_kind kind)
{
	return kind == TRACE_ERROR || kind == TRACE_TEXT || kind == TRACE_SITE || kind == TRACE_IMAGE;
}

static bool kind_is_hex(enum trace_kind kind)
{
	return kind == TRACE_HEX || kind == TRACE_PLACE;
}

static const char *image_text(uint64_t offset)
{
	const char *text = image_pointer((intptr_t)offset);
	return image_contains(text) ? text : "?";
}

static void value_format(struct fmt_buffer *out, enum trace_kind kind, uint64_t value)
{
	switch (kind) {
	case TRACE_SIGNED:
		fmt_append(out, "%lld", (long long)value);
		break;
	case TRACE_HEX:
	case TRACE_PLACE:
		fmt_append(out, "%#llx", (unsigned long long)value);
		break;
	case TRACE_ERROR:
		fmt_append(out, "%s", err_name((err_t)value));
		break;
	case TRACE_IMAGE:
		fmt_append(out, "%p", image_pointer((intptr_t)value));
		break;
	case TRACE_TEXT:
		fmt_append(out, "%s", image_text(value));
		break;
	case TRACE_SITE:
		fmt_append(out, "%s:%u", image_text((uint64_t)(int64_t)(int32_t)value), (uint32_t)(value >> 32));
		break;
	case TRACE_NONE:
	case TRACE_DEC:
	case TRACE_NS:
	case TRACE_TIME:
	case TRACE_BYTES:
	case TRACE_COUNT:
	case TRACE_FRAME:
	case TRACE_SERIAL:
	case TRACE_THREAD:
	case TRACE_CPU:
	default:
		fmt_append(out, "%llu", (unsigned long long)value);
		break;
	}
}

static void argument_append(struct fmt_buffer *out, const struct argument_row *row, uint64_t value)
{
	if (row->kind == TRACE_NONE)
		return;
	fmt_append(out, " %s=", row->label);
	value_format(out, row->kind, value);
}

size_t trace_format(const struct trace_record *record, char *line, size_t size_bytes)
{
	uint64_t us = record->ts_ns / NS_PER_US;
	struct fmt_buffer out;

	fmt_init(&out, line, size_bytes);
	fmt_append(&out, "[%5llu.%06u%03u] cpu%u thread%u %s", (unsigned long long)(us / 1000000),
		   (uint32_t)(us % 1000000), (uint32_t)(record->ts_ns % NS_PER_US), record->cpu, record->thread,
		   trace_event_name(record->event));
	if (record->event < TRACE_EVENT_COUNT) {
		argument_append(&out, &argument_rows[record->event][0], record->a);
		argument_append(&out, &argument_rows[record->event][1], record->b);
	}
	return MIN(out.length, size_bytes - 1);
}

static void argument_append_json(struct fmt_buffer *out, const struct argument_row *row, uint64_t value)
{
	char text[VALUE_SIZE];
	struct fmt_buffer body;

	if (row->kind == TRACE_NONE)
		return;
	fmt_append(out, ",\"%s\":", row->label);
	fmt_init(&body, text, sizeof text);
	value_format(&body, kind_is_hex(row->kind) ? TRACE_DEC : row->kind, value);
	if (kind_is_text(row->kind))
		fmt_append_json(out, text);
	else
		fmt_append(out, "%s", text);
}

size_t trace_format_json(const struct trace_record *record, char *line, size_t size_bytes)
{
	struct fmt_buffer out;

	fmt_init(&out, line, size_bytes);
	fmt_append(&out, "{\"ts_ns\":%llu,\"cpu\":%u,\"thread\":%u,\"event\":\"%s\"", (unsigned long long)record->ts_ns,
		   record->cpu, record->thread, trace_event_name(record->event));
	if (record->event < TRACE_EVENT_COUNT) {
		argument_append_json(&out, &argument_rows[record->event][0], record->a);
		argument_append_json(&out, &argument_rows[record->event][1], record->b);
	}
	fmt_append(&out, "}");
	return MIN(out.length, size_bytes - 1);
}
