// SPDX-License-Identifier: MIT
//
// The console's thread: a prompt and line editing on a terminal, plain lines from a pipe. The end of input, and "poweroff",
// end the instance with the status of the last line.
#include "monitor_impl.h"

#include "hal/console.h"
#include "hal/hal.h"
#include "kern/component.h"
#include "kern/console.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"

static void edit_write(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	console_write(bytes, size_bytes);
}

static bool has_prefix(const char *name, const char *prefix, uint32_t size)
{
	return strncmp(name, prefix, size) == 0;
}

static const char *nth_command(const char *prefix, uint32_t size, uint32_t n)
{
	const struct monitor_command *command;
	for (uint32_t i = 0; (command = monitor_command_at(i)) != NULL; i++)
		if (has_prefix(command->name, prefix, size) && n-- == 0)
			return command->name;
	return NULL;
}

// The word before the cursor: a command's name, or an argument that the command itself completes.
static const char *edit_complete(void *ctx, const char *text, uint32_t word, uint32_t cursor, uint32_t n)
{
	char name[32], prefix[64];
	uint32_t begin = word, index = 0;
	(void)ctx;

	while (begin > 0 && text[begin - 1] != ';' && text[begin - 1] != '|')
		begin--;
	while (begin < word && text[begin] == ' ')
		begin++;
	if (begin == word)
		return nth_command(text + word, cursor - word, n);
	uint32_t end = begin;
	while (end < word && text[end] != ' ')
		end++;
	for (uint32_t i = end; i < word; i++)
		index += text[i] == ' ' && text[i - 1] != ' ';
	if (end - begin >= sizeof name || cursor - word >= sizeof prefix)
		return NULL;
	strlcpy(name, text + begin, end - begin + 1);
	strlcpy(prefix, text + word, cursor - word + 1);
	const struct monitor_command *command = monitor_find(name);
	return command != NULL && command->complete != NULL ? command->complete(index, prefix, n) : NULL;
}

// Reads a line into edit.text. Errors as console_read_byte().
static err_t read_edited(struct monitor_state *monitor)
{
	uint8_t byte;
	monitor->edit.columns = hal_console_window().columns;
	line_edit_begin(&monitor->edit, MONITOR_PROMPT);
	for (;;) {
		err_t err = console_read_byte(&byte, TB_FOREVER);
		if (err != 0)
			return err;
		monitor->edit.columns = hal_console_window().columns;
		enum line_result result = line_edit_feed(&monitor->edit, byte);
		if (result == LINE_DONE)
			return 0;
		if (result == LINE_END)
			return -ENODATA;
		if (result == LINE_INTERRUPTED)
			line_edit_begin(&monitor->edit, MONITOR_PROMPT);
	}
}

// A plain line; what is too long is an error of that line only, said once and skipped.
static err_t read_plain(struct monitor_state *monitor)
{
	struct line_edit *edit = &monitor->edit;
	uint32_t size = 0;
	bool cut = false;
	uint8_t byte = 0;
	err_t err;

	while ((err = console_read_byte(&byte, TB_FOREVER)) == 0 && byte != '\n') {
		if (size + 1 < LINE_EDIT_SIZE)
			edit->text[size++] = (char)byte;
		else
			cut = true;
	}
	if (cut) {
		monitor_printf(&monitor->session, "monitor: a line is longer than %u bytes\n", LINE_EDIT_SIZE - 1);
		monitor->status = STATUS_USAGE;
		size = 0;
	}
	edit->text[size] = '\0';
	return err == -ENODATA && size > 0 ? 0 : err;
}

static void monitor_main(void *arg)
{
	struct monitor_state *monitor = arg;
	err_t err = 0;

	if (!(kernel_self()->flags & HAL_BOOT_QUIET))
		monitor_printf(&monitor->session,
			       "TBOS %s, persona %s: %u CPUs, %llu MiB. 'help' lists the commands.\n", CONFIG_VERSION,
			       kernel_self()->persona->name, kernel_self()->cpu_count,
			       (unsigned long long)(kernel_self()->ram_size_bytes >> 20));
	while (err == 0 && !shutdown_requested()) {
		err = monitor->session.terminal ? read_edited(monitor) : read_plain(monitor);
		if (err == 0)
			monitor->status = monitor_run(&monitor->session, monitor->edit.text);
	}
	shutdown_request(monitor->status);
}

err_t monitor_init(struct kernel *kernel)
{
	struct thread_params params = {
		.name = "monitor", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE, .account = account_root()};
	struct monitor_state *monitor;
	err_t err = 0;

	if (!(kernel->flags & HAL_BOOT_MONITOR))
		return 0;
	monitor = kmalloc(sizeof *monitor, MEM_ZERO);
	if (monitor == NULL)
		return ERR(ENOMEM);
	monitor->session.console = true;
	monitor->session.terminal = (kernel->flags & HAL_BOOT_INTERACTIVE) != 0;
	monitor->edit.history = &monitor->history;
	monitor->edit.write = edit_write;
	monitor->edit.complete = edit_complete;
	err = thread_start(&params, monitor_main, monitor, &monitor->thread);
	if (err != 0) {
		kfree(monitor);
		return err;
	}
	kernel->monitor = monitor;
	return 0;
}

void monitor_stop(void)
{
	struct monitor_state *monitor = kernel_self()->monitor;
	if (monitor == NULL)
		return;
	console_wake();
	err_t err = thread_join(monitor->thread, NULL);
	VERIFY(err == 0);
	kernel_self()->monitor = NULL;
	kfree(monitor);
}
