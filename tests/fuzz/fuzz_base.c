// SPDX-License-Identifier: MIT
//
// Fuzz target: the parts of base that read what others wrote. The first byte chooses: the formatter against the host's
// snprintf(), numbers against its strtoull(), JSON strings by unescaping them again, decompression of anything at all and
// the way back, options of the command line against a second reading of it. The host half (fuzz_base_host.c) puts a zeroed struct kernel where this stack's instance would be.
#include "kern/compress.h"
#include "kern/fmt.h"
#include "kern/cpu.h"
#include "kern/option.h"
#include "kern/string.h"

#include "kern/assert.h"

// The oracles; the program links the host's C library.
int snprintf(char *buffer, size_t size_bytes, const char *format, ...);
unsigned long long strtoull(const char *text, char **end, int base);
int *__errno_location(void);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define TEXT_SIZE 256u
#define UNPACKED_MAX 65536u
#define WORKSPACE_MAX (2u << 20)

static uint8_t unpacked[UNPACKED_MAX], packed[2 * UNPACKED_MAX];
static _Alignas(16) uint8_t workspace[WORKSPACE_MAX];

// Reads the input byte by byte; zeros behind its end.
struct input {
	const uint8_t *bytes;
	size_t size;
};

static uint8_t input_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->bytes++;
}

static uint64_t input_u64(struct input *input)
{
	uint64_t value = 0;
	for (uint32_t i = 0; i < 8; i++)
		value = value << 8 | input_byte(input);
	return value;
}

// What is left, as a terminated string.
static void input_text(struct input *input, char text[TEXT_SIZE])
{
	size_t length = MIN(input->size, TEXT_SIZE - 1);
	memcpy(text, input->bytes, length);
	text[length] = '\0';
}

static void append(char *format, char byte)
{
	char piece[2] = {byte, '\0'};
	strlcat(format, piece, 32);
}

// One conversion that C defines: flags, width and precision only where they mean something.
static char make_format(struct input *input, char format[32])
{
	static const char conversions[] = "diuoxXsc";
	uint8_t flags = input_byte(input);
	uint8_t width = input_byte(input);
	uint8_t precision = input_byte(input);
	char conversion = conversions[input_byte(input) % 8];
	bool is_number = conversion != 's' && conversion != 'c';
	bool is_signed = conversion == 'd' || conversion == 'i';

	format[0] = '\0';
	strlcat(format, "a%", 32);
	if ((flags & 1) != 0)
		append(format, '-');
	if ((flags & 2) != 0 && is_signed)
		append(format, '+');
	if ((flags & 4) != 0 && is_signed)
		append(format, ' ');
	if ((flags & 8) != 0 && is_number && !is_signed && conversion != 'u')
		append(format, '#');
	if ((flags & 16) != 0 && is_number)
		append(format, '0');
	if (width % 4 != 0)
		ksnprintf(format + strlen(format), 8, "%u", width % 50u + 1);
	if (precision % 3 != 0 && conversion != 'c')
		ksnprintf(format + strlen(format), 8, ".%u", precision % 40u);
	return conversion;
}

static void compare_texts(const char *ours, size_t our_length, const char *host, int host_length)
{
	VERIFY3(our_length, ==, (size_t)host_length);
	VERIFY(str_equal(ours, host));
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static void fuzz_format(struct input *input)
{
	static const char lengths[][3] = {"", "hh", "h", "l", "ll", "z", "j"};
	char ours[100], host[100], text[TEXT_SIZE], format[32];
	char conversion = make_format(input, format);
	uint32_t length = input_byte(input) % array_count(lengths);
	size_t size_bytes = input_byte(input) % sizeof ours + 1u;

	if (conversion == 's' || conversion == 'c') {
		append(format, conversion);
		strlcat(format, "z", sizeof format);
		input_text(input, text);
		int byte = text[0] == '\0' ? 'x' : text[0];
		if (conversion == 's')
			compare_texts(ours, ksnprintf(ours, size_bytes, format, text), host,
				      snprintf(host, size_bytes, format, text));
		else
			compare_texts(ours, ksnprintf(ours, size_bytes, format, byte), host,
				      snprintf(host, size_bytes, format, byte));
		return;
	}
	strlcat(format, lengths[length], sizeof format);
	append(format, conversion);
	strlcat(format, "z", sizeof format);
	uint64_t value = input_u64(input);
	size_t our_length, host_length;
	if (length < 3) {
		our_length = ksnprintf(ours, size_bytes, format, (int)value);
		host_length = (size_t)snprintf(host, size_bytes, format, (int)value);
	} else {
		our_length = ksnprintf(ours, size_bytes, format, value);
		host_length = (size_t)snprintf(host, size_bytes, format, value);
	}
	compare_texts(ours, our_length, host, (int)host_length);
}

static err_t number_oracle(const char *text, uint32_t base, uint64_t *value)
{
	bool has_prefix = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	bool is_alnum =
		(*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
	char *end;

	if (base == 0)
		base = has_prefix ? 16 : 10;
	else if (base == 16 && has_prefix)
		return -EINVAL;
	*__errno_location() = 0;
	*value = strtoull(text, &end, (int)base);
	if (!is_alnum || end == text || *end != '\0')
		return -EINVAL;
	return *__errno_location() != 0 ? -ERANGE : 0;
}

static void fuzz_number(struct input *input)
{
	char text[TEXT_SIZE];
	uint64_t ours = 0, host = 0;
	uint32_t base = input_byte(input) % 37u;

	input_text(input, text);
	err_t err = str_to_u64(text, base, &ours);
	if (base == 1) {
		VERIFY3(err, ==, -EINVAL);
		return;
	}
	VERIFY3(err, ==, number_oracle(text, base, &host));
	if (err == 0)
		VERIFY3(ours, ==, host);
	uint64_t size_bytes = 0;
	if (str_to_size(text, &size_bytes) == 0 && str_to_u64(text, 0, &ours) == 0)
		VERIFY3(size_bytes, ==, ours);
}

static uint32_t hex_value(char symbol)
{
	return symbol <= '9' ? (uint32_t)(symbol - '0') : (uint32_t)(symbol - 'a') + 10;
}

// One character of a JSON string, whatever way it is written.
static const char *json_unescape(const char *at, char *byte)
{
	static const char letters[] = "\"\\bfnrt", named[] = "\"\\\b\f\n\r\t";

	VERIFY(*at >= ' ' && *at <= '~');
	if (*at != '\\') {
		VERIFY3(*at, !=, '"');
		*byte = *at;
		return at + 1;
	}
	if (at[1] == 'u') {
		VERIFY(at[2] == '0' && at[3] == '0');
		*byte = (char)(hex_value(at[4]) << 4 | hex_value(at[5]));
		return at + 6;
	}
	const char *letter = strchr(letters, at[1]);
	VERIFY3(letter, !=, NULL);
	*byte = named[letter - letters];
	return at + 2;
}

static void fuzz_json(struct input *input)
{
	char text[TEXT_SIZE], json[6 * TEXT_SIZE + 3];
	struct fmt_buffer out;

	input_text(input, text);
	fmt_init(&out, json, sizeof json);
	fmt_append_json(&out, text);
	VERIFY(!fmt_was_cut(&out));
	const char *at = json + 1;
	for (const char *expected = text; *expected != '\0'; expected++) {
		char byte;
		at = json_unescape(at, &byte);
		VERIFY3(byte, ==, *expected);
	}
	VERIFY(str_equal(at, "\""));
}

static void fuzz_unpack(struct input *input, enum compress_method method)
{
	struct compress_job job = {.method = method,
				   .workspace = workspace,
				   .workspace_bytes = WORKSPACE_MAX,
				   .from = input->bytes,
				   .from_bytes = input->size,
				   .to = unpacked};
	job.to_bytes = (size_t)input_byte(input) << 8 | input_byte(input);
	job.from = input->bytes;
	job.from_bytes = input->size;
	err_t err = decompress(&job);
	VERIFY(err == 0 || err == -EBADMSG);
}

static void fuzz_round_trip(struct input *input, enum compress_method method)
{
	size_t packed_bytes = 0;
	struct compress_job job = {.method = method,
				   .level = 1 + input_byte(input) % 3,
				   .workspace = workspace,
				   .workspace_bytes = WORKSPACE_MAX,
				   .to = packed,
				   .to_bytes = sizeof packed};
	job.from = input->bytes;
	job.from_bytes = MIN(input->size, UNPACKED_MAX);
	VERIFY3(compress(&job, &packed_bytes), ==, 0);
	VERIFY3(packed_bytes, <=, compress_bound(method, job.from_bytes));
	size_t plain_bytes = job.from_bytes;
	job.from = packed;
	job.from_bytes = packed_bytes;
	job.to = unpacked;
	job.to_bytes = plain_bytes;
	VERIFY3(decompress(&job), ==, 0);
	VERIFY3(memcmp(unpacked, input->bytes, plain_bytes), ==, 0);
}

// The word "k=…" of `text`, terminated in place; NULL: there is none.
static char *option_word(char *text)
{
	for (char *at = text; *at != '\0';) {
		char *end = at;
		while (*end != '\0' && *end != ' ')
			end++;
		bool last = *end == '\0';
		*end = '\0';
		if (at[0] == 'k' && at[1] == '=')
			return at + 2;
		at = last ? end : end + 1;
	}
	return NULL;
}

static void fuzz_option(struct input *input)
{
	char text[TEXT_SIZE];
	uint64_t ours = 0, expected = 0;

	input_text(input, text);
	strlcpy(kernel_self()->cmdline, text, sizeof kernel_self()->cmdline);
	err_t err = option_u64("k", &ours);
	char *word = option_word(text);
	if (word == NULL) {
		VERIFY3(err, ==, -ENOENT);
		return;
	}
	if (strlen(word) >= 32) { // no number of 64 bits is that long
		VERIFY3(err, ==, -EINVAL);
		return;
	}
	bool hex = word[0] == '0' && word[1] == 'x';
	err_t number = str_to_u64(hex ? word + 2 : word, hex ? 16 : 10, &expected);
	VERIFY3(err, ==, number == 0 ? 0 : -EINVAL);
	VERIFY(err != 0 || ours == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = {bytes, size};
	uint8_t choice = input_byte(&input);
	enum compress_method method = (choice & 8) != 0 ? COMPRESS_ZSTD : COMPRESS_LZ4;

	if (choice >= 0xf0) {
		fuzz_option(&input);
		return 0;
	}
	switch (choice % 5) {
	case 0:
		fuzz_format(&input);
		break;
	case 1:
		fuzz_number(&input);
		break;
	case 2:
		fuzz_json(&input);
		break;
	case 3:
		fuzz_unpack(&input, method);
		break;
	default:
		fuzz_round_trip(&input, method);
		break;
	}
	return 0;
}
