// SPDX-License-Identifier: MIT
//
// Fuzz target: tunables. The input is lines: a byte that chooses the tunable and the way (the call, or its file of /proc/sys), a size, a text. A second
// reading of the text, written apart from the kernel's, says what must come of it: the value, or which error, with the old value kept.
#include "kern/assert.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "kern/tunable.h"
#include "kern/vfs.h"

#define TEXT_SIZE 80u
#define TUNABLES_MAX 64u
#define NUMBER_MAX 31u // characters of a number, blanks around it left out
#define FILE_MAX 63u   // characters that a file of /proc/sys takes

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg);

// ---- the second reading ----------------------------------------------------------------------------------------------------

struct reading {
	bool number, fits;
	uint64_t value;
};

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < 16; i++)
		if (digits[i] == c || (c >= 'A' && c <= 'F' && digits[i] == c + ('a' - 'A')))
			return i;
	return 16;
}

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v' && c != '\f');
}

static struct reading read_text(const char *text)
{
	struct reading reading = {.fits = true};
	size_t from = 0, to = strlen(text);

	while (from < to && blank(text[from]))
		from++;
	while (to > from && blank(text[to - 1]))
		to--;
	if (to - from > NUMBER_MAX || to == from)
		return reading;
	uint32_t base = 10;
	if (to - from > 2 && text[from] == '0' && (text[from + 1] == 'x' || text[from + 1] == 'X')) {
		base = 16;
		from += 2;
	}
	for (; from < to; from++) {
		uint32_t digit = (uint32_t)digit_of(text[from]);
		if (digit >= base)
			return reading;
		if (reading.value > (UINT64_MAX - digit) / base)
			reading.fits = false;
		reading.value = reading.value * base + digit;
	}
	reading.number = true;
	return reading;
}

static err_t expected(const struct tunable *tunable, const struct reading *reading)
{
	if (!reading->number)
		return -EINVAL;
	if (!reading->fits || reading->value < tunable->min || reading->value > tunable->max)
		return -ERANGE;
	return tunable->set == NULL ? -EACCES : 0;
}

// ---- the two ways ----------------------------------------------------------------------------------------------------------

static void path_of(const struct tunable *tunable, char path[TEXT_SIZE])
{
	(void)ksnprintf(path, TEXT_SIZE, "/p/sys/%s", tunable->name);
	*strchr(path, '.') = '/';
}

static err_t file_set(const struct tunable *tunable, const char *text, size_t size)
{
	struct process *process = vfs_monitor_process();
	char path[TEXT_SIZE];
	size_t done = 0;
	int32_t fd;

	path_of(tunable, path);
	err_t err = vfs_open(process, TB_AT_FDCWD, path, TB_O_WRONLY | TB_O_TRUNC, 0, &fd);
	if (err != 0)
		return err;
	err = vfs_write(process, fd, text, size, &done);
	VERIFY(vfs_close(process, fd) == 0);
	VERIFY(err != 0 || done == size);
	return err;
}

static void file_check(const struct tunable *tunable)
{
	struct process *process = vfs_monitor_process();
	char path[TEXT_SIZE], shown[TEXT_SIZE], wanted[TEXT_SIZE];
	size_t done = 0;
	int32_t fd;

	path_of(tunable, path);
	VERIFY(vfs_open(process, TB_AT_FDCWD, path, TB_O_RDONLY, 0, &fd) == 0);
	VERIFY(vfs_read(process, fd, shown, sizeof shown, &done) == 0);
	VERIFY(vfs_close(process, fd) == 0);
	size_t size = ksnprintf(wanted, sizeof wanted, "%llu\n", (unsigned long long)tunable->get());
	VERIFY3(done, ==, size);
	VERIFY(memcmp(shown, wanted, size) == 0);
}

// A limit on memory is kept in frames, and may be refused; it would end the run, so it is lifted again.
static void value_check(const struct tunable *tunable, uint64_t before, err_t err, const struct reading *reading)
{
	bool limit = str_equal(tunable->name, "vm.limit_kib");
	uint64_t now = tunable->get();

	if (limit && now != 0)
		VERIFY(tunable->set(0) == 0);
	if (err != 0)
		VERIFY3(now, ==, before);
	else if (limit)
		VERIFY3(now, ==, reading->value / (FRAME_SIZE / 1024) * (FRAME_SIZE / 1024));
	else
		VERIFY3(now, ==, reading->value);
}

static void line_run(const struct tunable *tunable, bool by_file, const char *text, size_t size)
{
	uint64_t before = tunable->get();
	struct reading reading = read_text(text);
	err_t wanted = expected(tunable, &reading);
	err_t err = by_file ? file_set(tunable, text, size) : tunable_set(tunable, text);

	if (by_file && size > FILE_MAX)
		wanted = -EINVAL;
	if (by_file && size == 0)
		wanted = 0; // nothing is written, so nothing is set
	if (by_file && tunable->set == NULL && err == -EACCES)
		wanted = err; // by its mode, or by itself
	VERIFY(err == wanted || (wanted == 0 && str_equal(tunable->name, "vm.limit_kib")));
	if (by_file && size == 0)
		VERIFY3(tunable->get(), ==, before);
	else
		value_check(tunable, before, err, &reading);
	file_check(tunable);
}

// ---- lines -----------------------------------------------------------------------------------------------------------------

static uint32_t tunables_keep(uint64_t values[TUNABLES_MAX])
{
	uint32_t count = 0;

	for (const struct tunable *tunable; (tunable = tunable_at(count)) != NULL; count++) {
		VERIFY3(count, <, TUNABLES_MAX);
		VERIFY(tunable_find(tunable->name) == tunable);
		values[count] = tunable->get();
	}
	return count;
}

static void tunables_restore(const uint64_t values[TUNABLES_MAX], uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (tunable_at(i)->set != NULL)
			VERIFY(tunable_at(i)->set(values[i]) == 0);
}

static void proc_ready(void)
{
	struct process *process = vfs_monitor_process();
	err_t err = vfs_mkdir(process, TB_AT_FDCWD, "/p", 0755);

	VERIFY(err == 0 || err == -EEXIST);
	if (err == 0)
		VERIFY(vfs_mount(process, "p", "/p", "proc", 0, NULL, NULL) == 0);
}

int64_t tb_fuzz_mem(void *arg)
{
	const struct fuzz_input *input = arg;
	uint64_t values[TUNABLES_MAX];
	char text[TEXT_SIZE];

	proc_ready();
	uint32_t count = tunables_keep(values);
	for (size_t at = 0; at + 2 <= input->size;) {
		uint32_t what = input->bytes[at];
		size_t size = input->bytes[at + 1] % TEXT_SIZE;
		at += 2;
		size = size < input->size - at ? size : input->size - at;
		memcpy(text, input->bytes + at, size);
		text[size] = '\0';
		at += size;
		line_run(tunable_at((what >> 1) % count), (what & 1) != 0, text, size);
	}
	tunables_restore(values, count);
	return 0;
}
