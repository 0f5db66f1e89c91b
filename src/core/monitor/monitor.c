// SPDX-License-Identifier: MIT
//
// A console's thread: a prompt and line editing on a terminal, plain lines from a pipe. The end of the first one's input, and "poweroff",
// end the instance with the status of the last line. The others begin when they are shown for the first time.
#include "monitor_impl.h"

#include "hal/console.h"
#include "hal/hal.h"
#include "kern/component.h"
#include "kern/console.h"
#include "kern/assert.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/tty.h"

static void edit_write(void *ctx, const char *bytes, size_t size_bytes)
{
	monitor_tty_write(ctx, bytes, size_bytes);
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

// Reads a line into edit.text. -ENODATA: the input has ended.
static err_t read_keys(struct monitor_console *console)
{
	struct line_edit *edit = &console->edit;
	struct tty *tty = console->session.tty;
	uint32_t drawn = tty_interrupts(tty); // the line that is seen was drawn after these
	uint8_t byte;
	size_t done;

	edit->columns = hal_console_window().columns;
	line_edit_begin(edit, MONITOR_PROMPT);
	for (;;) {
		err_t err = tty_read_since(tty, drawn, &byte, 1, true, &done);
		uint32_t seen = tty_interrupts(tty);
		edit->columns = hal_console_window().columns;
		if (err == -EINTR) { // the size, or who looks, has changed
			drawn = seen;
			line_view_refresh(edit);
			continue;
		}
		if (err != 0 || done == 0)
			return err != 0 ? err : -ENODATA;
		enum line_result result = line_edit_feed(edit, byte);
		if (result == LINE_DONE)
			return 0;
		if (result == LINE_END && console->number == 1)
			return -ENODATA;
		if (result != LINE_MORE)
			line_edit_begin(edit, MONITOR_PROMPT);
	}
}

static err_t read_edited(struct monitor_console *console)
{
	struct tb_termios modes;

	monitor_modes_raw(console->session.tty, &modes);
	err_t err = read_keys(console);
	monitor_modes_set(console->session.tty, &modes);
	return err;
}

// A plain line; what is too long is an error of that line only, said once and skipped.
static err_t read_plain(struct monitor_console *console)
{
	struct line_edit *edit = &console->edit;
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
		monitor_printf(&console->session, "monitor: a line is longer than %u bytes\n", LINE_EDIT_SIZE - 1);
		console->status = STATUS_USAGE;
		size = 0;
	}
	edit->text[size] = '\0';
	return err == -ENODATA && size > 0 ? 0 : err;
}

static void monitor_main(void *arg)
{
	struct monitor_console *console = arg;
	struct monitor_session *session = &console->session;
	err_t err = 0;

	if (session->tty != NULL && !vc_wait_shown(console->number))
		return;
	process_set_of_thread(console->process);
	if (!(kernel_self()->flags & HAL_BOOT_QUIET))
		monitor_printf(session, "TBOS %s, persona %s: %u CPUs, %llu MiB. 'help' lists the commands.\n",
			       CONFIG_VERSION, kernel_self()->persona->name, kernel_self()->cpu_count,
			       (unsigned long long)(kernel_self()->ram_size_bytes >> 20));
	while (err == 0 && !shutdown_requested()) {
		err = session->tty != NULL ? read_edited(console) : read_plain(console);
		if (err == 0)
			console->status = monitor_run(session, console->edit.text);
	}
	process_set_of_thread(NULL);
	if (console->number == 1)
		shutdown_request(console->status);
}

// ---- making --------------------------------------------------------------------------------------------------------------

static bool on_tty_signal(struct process *process, uint32_t signal, void *arg)
{
	struct monitor_console *console = arg;

	(void)process;
	if (signal == TB_SIGINT || signal == TB_SIGQUIT || signal == TB_SIGHUP)
		atomic_store_u32_release(&console->interrupted, 1);
	return true;
}

// The first console acts as the monitor's process, the others as children of it.
static err_t console_on_terminal(struct monitor_console *console)
{
	struct process *first = kernel_self()->monitor_process;
	struct tty *tty = vc_tty(console->number);
	err_t err = 0;

	if (tty == NULL)
		return ERR(ENOMEM);
	if (console->number == 1 && first != NULL) {
		process_get(first);
		console->process = first;
	} else {
		err = process_create("monitor", first, &console->process);
	}
	if (err != 0)
		return err;
	process_set_tty_hook(console->process, on_tty_signal, console);
	atomic_store_ptr_release(&console->process->tty, tty);
	tty_set_owner(tty, console->process);
	console->session.tty = tty;
	console->session.process = console->process;
	console->session.interrupted = &console->interrupted;
	console->edit.ctx = tty;
	return 0;
}

static void console_free(struct monitor_console *console)
{
	if (console->process != NULL) {
		tty_set_owner(console->session.tty, NULL);
		process_set_tty_hook(console->process, NULL, NULL);
		atomic_store_ptr_release(&console->process->tty, (struct tty *)NULL);
		process_put(console->process);
	}
	kfree(console);
}

static err_t console_start(uint32_t number, bool terminal, struct monitor_console **out)
{
	struct thread_params params = {
		.name = "monitor", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE, .account = account_root()};
	struct monitor_console *console = kmalloc(sizeof *console, MEM_ZERO);
	err_t err = 0;

	if (console == NULL)
		return ERR(ENOMEM);
	console->number = number;
	console->session.console = !terminal;
	console->edit.history = &console->history;
	console->edit.write = edit_write;
	console->edit.complete = edit_complete;
	if (terminal)
		err = console_on_terminal(console);
	if (err == 0)
		err = thread_start(&params, monitor_main, console, &console->thread);
	if (err == 0)
		*out = console;
	else
		console_free(console);
	return err;
}

err_t monitor_init(struct kernel *kernel)
{
	bool terminal = (kernel->flags & HAL_BOOT_INTERACTIVE) != 0;
	uint32_t count = terminal ? vc_count() : 1;
	struct monitor_state *monitor;
	err_t err = 0;

	if (!(kernel->flags & HAL_BOOT_MONITOR))
		return 0;
	monitor = kmalloc(sizeof *monitor, MEM_ZERO);
	if (monitor == NULL)
		return ERR(ENOMEM);
	kernel->monitor = monitor;
	for (uint32_t i = 0; err == 0 && i < count; i++)
		err = console_start(i + 1, terminal, &monitor->consoles[i]);
	if (err != 0)
		monitor_stop();
	return err;
}

void monitor_stop(void)
{
	struct monitor_state *monitor = kernel_self()->monitor;

	if (monitor == NULL)
		return;
	console_wake();
	vc_end();
	for (uint32_t i = 0; i < VC_COUNT; i++) {
		if (monitor->consoles[i] == NULL)
			continue;
		err_t err = thread_join(monitor->consoles[i]->thread, NULL);
		VERIFY(err == 0);
		console_free(monitor->consoles[i]);
	}
	kernel_self()->monitor = NULL;
	kfree(monitor);
}
