// SPDX-License-Identifier: MIT
//
// The formatter: parse a conversion into a spec, fetch its argument, put prefix, zeros and digits together. Output goes
// through fmt_append_bytes() and fmt_pad(), which count the whole text and keep what fits.
#include "kern/fmt.h"

#include "base_impl.h"

#include "kern/err.h"
#include "kern/string.h"

#define NUMBER_SIZE 24 // 64 bits in octal are 22 digits

enum length_modifier {
	LENGTH_INT,
	LENGTH_CHAR,
	LENGTH_SHORT,
	LENGTH_LONG,
	LENGTH_LLONG,
	LENGTH_SIZE,
	LENGTH_MAX
};

struct spec {
	bool left, plus, space, alternate, zero;
	uint32_t width;
	bool has_precision;
	uint32_t precision;
	enum length_modifier length;
	char conversion;
};

// A va_list in a structure, because one that is a parameter may be an array in disguise and so not have an address.
struct arguments {
	va_list list;
};

void fmt_init(struct fmt_buffer *out, char *bytes, size_t size_bytes)
{
	out->bytes = bytes;
	out->size_bytes = size_bytes;
	out->length = 0;
	bytes[0] = '\0';
}

// Where `count` more bytes go, and how many of them fit; moves the end, and the terminator with it.
static char *fmt_extend(struct fmt_buffer *out, size_t count, size_t *fits)
{
	size_t kept = MIN(out->length, out->size_bytes - 1);
	*fits = MIN(count, out->size_bytes - 1 - kept);
	out->length += count;
	out->bytes[kept + *fits] = '\0';
	return out->bytes + kept;
}

void fmt_append_bytes(struct fmt_buffer *out, const char *bytes, size_t size_bytes)
{
	size_t fits;
	char *place = fmt_extend(out, size_bytes, &fits);
	memcpy(place, bytes, fits);
}

static void fmt_pad(struct fmt_buffer *out, char byte, size_t count)
{
	size_t fits;
	char *place = fmt_extend(out, count, &fits);
	memset(place, byte, fits);
}

// `body` in a field of the spec's width, blanks on the side that the spec says.
static void append_field(struct fmt_buffer *out, const struct spec *spec, const char *body, size_t length)
{
	size_t blanks = spec->width > length ? spec->width - length : 0;
	if (!spec->left)
		fmt_pad(out, ' ', blanks);
	fmt_append_bytes(out, body, length);
	if (spec->left)
		fmt_pad(out, ' ', blanks);
}

// Writes the digits from the end of `digits` backwards; returns the first.
static char *render_digits(char digits[NUMBER_SIZE], uint64_t value, uint32_t base, bool upper)
{
	const char *symbols = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char *first = digits + NUMBER_SIZE;
	for (; value != 0; value /= base)
		*--first = symbols[value % base];
	return first;
}

static void append_number(struct fmt_buffer *out, const struct spec *spec, const char *prefix, uint64_t value,
			  uint32_t base)
{
	char digits[NUMBER_SIZE];
	char *first = render_digits(digits, value, base, spec->conversion == 'X');
	size_t digit_count = (size_t)(digits + NUMBER_SIZE - first);
	size_t prefix_length = strlen(prefix);
	size_t zeros = spec->has_precision ? spec->precision : 1;

	if (base == 8 && spec->alternate && zeros <= digit_count)
		zeros = digit_count + 1;
	if (spec->zero && !spec->left && !spec->has_precision && spec->width > prefix_length)
		zeros = MAX(zeros, spec->width - prefix_length);
	zeros = zeros > digit_count ? zeros - digit_count : 0;

	size_t length = prefix_length + zeros + digit_count;
	size_t blanks = spec->width > length ? spec->width - length : 0;
	if (!spec->left)
		fmt_pad(out, ' ', blanks);
	fmt_append_bytes(out, prefix, prefix_length);
	fmt_pad(out, '0', zeros);
	fmt_append_bytes(out, first, digit_count);
	if (spec->left)
		fmt_pad(out, ' ', blanks);
}

static int64_t fetch_signed(const struct spec *spec, struct arguments *args)
{
	switch (spec->length) {
	case LENGTH_CHAR:
		return (signed char)va_arg(args->list, int);
	case LENGTH_SHORT:
		return (short)va_arg(args->list, int);
	case LENGTH_LONG:
		return va_arg(args->list, long);
	case LENGTH_LLONG:
		return va_arg(args->list, long long);
	case LENGTH_SIZE:
		return va_arg(args->list, ptrdiff_t);
	case LENGTH_MAX:
		return va_arg(args->list, intmax_t);
	case LENGTH_INT:
	default:
		return va_arg(args->list, int);
	}
}

static uint64_t fetch_unsigned(const struct spec *spec, struct arguments *args)
{
	switch (spec->length) {
	case LENGTH_CHAR:
		return (unsigned char)va_arg(args->list, unsigned int);
	case LENGTH_SHORT:
		return (unsigned short)va_arg(args->list, unsigned int);
	case LENGTH_LONG:
		return va_arg(args->list, unsigned long);
	case LENGTH_LLONG:
		return va_arg(args->list, unsigned long long);
	case LENGTH_SIZE:
		return va_arg(args->list, size_t);
	case LENGTH_MAX:
		return va_arg(args->list, uintmax_t);
	case LENGTH_INT:
	default:
		return va_arg(args->list, unsigned int);
	}
}

static void append_signed(struct fmt_buffer *out, const struct spec *spec, struct arguments *args)
{
	int64_t value = fetch_signed(spec, args);
	const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
	append_number(out, spec, sign, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

static void append_unsigned(struct fmt_buffer *out, const struct spec *spec, struct arguments *args)
{
	uint64_t value = fetch_unsigned(spec, args);
	bool has_prefix = spec->alternate && value != 0;

	if (spec->conversion == 'x')
		append_number(out, spec, has_prefix ? "0x" : "", value, 16);
	else if (spec->conversion == 'X')
		append_number(out, spec, has_prefix ? "0X" : "", value, 16);
	else
		append_number(out, spec, "", value, spec->conversion == 'o' ? 8 : 10);
}

static void append_string(struct fmt_buffer *out, const struct spec *spec, struct arguments *args)
{
	const char *text = va_arg(args->list, const char *);
	if (text == NULL)
		text = "(null)";
	append_field(out, spec, text, spec->has_precision ? strnlen(text, spec->precision) : strlen(text));
}

static void append_char(struct fmt_buffer *out, const struct spec *spec, struct arguments *args)
{
	char byte = (char)va_arg(args->list, int);
	append_field(out, spec, &byte, 1);
}

static void append_pointer(struct fmt_buffer *out, const struct spec *spec, struct arguments *args)
{
	const void *pointer = va_arg(args->list, const void *);
	char body[FMT_POINTER_SIZE];
	size_t length = fmt_pointer(body, pointer);
	append_field(out, spec, body, length);
}

static void append_error(struct fmt_buffer *out, const struct spec *spec, struct arguments *args)
{
	const char *name = err_name((err_t)(intptr_t)va_arg(args->list, const void *));
	append_field(out, spec, name, strlen(name));
}

static const char *parse_flags(const char *at, struct spec *spec)
{
	for (;; at++) {
		switch (*at) {
		case '-':
			spec->left = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case ' ':
			spec->space = true;
			break;
		case '#':
			spec->alternate = true;
			break;
		case '0':
			spec->zero = true;
			break;
		default:
			return at;
		}
	}
}

// Digits, or * for an argument. A number too large to mean anything stays at 2^30.
static const char *parse_number(const char *at, struct arguments *args, int32_t *number)
{
	if (*at == '*') {
		*number = va_arg(args->list, int);
		return at + 1;
	}
	for (*number = 0; *at >= '0' && *at <= '9'; at++)
		*number = *number < (1 << 26) ? *number * 10 + (*at - '0') : 1 << 30;
	return at;
}

static const char *parse_length(const char *at, struct spec *spec)
{
	switch (*at) {
	case 'h':
		spec->length = at[1] == 'h' ? LENGTH_CHAR : LENGTH_SHORT;
		return at + (at[1] == 'h' ? 2 : 1);
	case 'l':
		spec->length = at[1] == 'l' ? LENGTH_LLONG : LENGTH_LONG;
		return at + (at[1] == 'l' ? 2 : 1);
	case 'z':
	case 't':
		spec->length = LENGTH_SIZE;
		return at + 1;
	case 'j':
		spec->length = LENGTH_MAX;
		return at + 1;
	default:
		return at;
	}
}

// `at` is behind the %; returns where the conversion letter is.
static const char *parse_spec(const char *at, struct spec *spec, struct arguments *args)
{
	int32_t number;

	memset(spec, 0, sizeof *spec);
	at = parse_flags(at, spec);
	at = parse_number(at, args, &number);
	spec->left |= number < 0;
	spec->width = number < 0 ? 0 - (uint32_t)number : (uint32_t)number;
	if (*at == '.') {
		at = parse_number(at + 1, args, &number);
		spec->has_precision = number >= 0;
		spec->precision = number < 0 ? 0 : (uint32_t)number;
	}
	at = parse_length(at, spec);
	spec->conversion = *at;
	return at;
}

// The conversion that ends at `at`, begun at `start`; returns what follows it.
static const char *append_conversion(struct fmt_buffer *out, const struct spec *spec, const char *start, const char *at,
				     struct arguments *args)
{
	switch (spec->conversion) {
	case 'd':
	case 'i':
		append_signed(out, spec, args);
		return at + 1;
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		append_unsigned(out, spec, args);
		return at + 1;
	case 's':
		append_string(out, spec, args);
		return at + 1;
	case 'c':
		append_char(out, spec, args);
		return at + 1;
	case 'p':
		if (at[1] == 'e') {
			append_error(out, spec, args);
			return at + 2;
		}
		append_pointer(out, spec, args);
		return at + 1;
	case '%':
		fmt_append_bytes(out, "%", 1);
		return at + 1;
	default: // also the end of the format
		fmt_append_bytes(out, start, (size_t)(at - start));
		return at;
	}
}

void fmt_append_args(struct fmt_buffer *out, const char *format, va_list arguments)
{
	struct arguments args;
	struct spec spec;

	va_copy(args.list, arguments);
	while (*format != '\0') {
		const char *percent = strchr(format, '%');
		if (percent == NULL)
			percent = format + strlen(format);
		fmt_append_bytes(out, format, (size_t)(percent - format));
		format = percent;
		if (*percent == '%') {
			const char *at = parse_spec(percent + 1, &spec, &args);
			format = append_conversion(out, &spec, percent, at, &args);
		}
	}
	va_end(args.list);
}

void fmt_append(struct fmt_buffer *out, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fmt_append_args(out, format, arguments);
	va_end(arguments);
}

size_t kvsnprintf(char *buffer, size_t size_bytes, const char *format, va_list arguments)
{
	struct fmt_buffer out;
	char nowhere[1];

	if (size_bytes == 0)
		fmt_init(&out, nowhere, sizeof nowhere);
	else
		fmt_init(&out, buffer, size_bytes);
	fmt_append_args(&out, format, arguments);
	return out.length;
}

size_t ksnprintf(char *buffer, size_t size_bytes, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t length = kvsnprintf(buffer, size_bytes, format, arguments);
	va_end(arguments);
	return length;
}
