// SPDX-License-Identifier: MIT
//
// Terminals as devices (tty(4), console(4)): tty, the caller's own; console and tty0, the one that is shown when they are opened; tty1 … tty4, the
// virtual consoles.
#include "kern/component.h"
#include "kern/device.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/process.h"
#include "kern/string.h"
#include "kern/tty.h"
#include "kern/vc.h"

#define TTY_MAJOR 4u
#define TTYAUX_MAJOR 5u
#define WRITE_PIECE 512u

static bool may_wait(const struct file *file)
{
	return (atomic_load_u32_relaxed(&file->flags) & TB_O_NONBLOCK) == 0;
}

static err_t own_open(struct file *file)
{
	struct process *process = process_of_thread();
	struct tty *tty = process != NULL ? atomic_load_ptr_acquire(&process->tty) : NULL;

	if (tty == NULL)
		return ERR(ENXIO);
	file->data = tty;
	return 0;
}

// The device's minor is the console's number; of /dev/console it is 1 and means the one shown.
static err_t console_open(struct file *file)
{
	const struct char_device *device = file->data;
	uint32_t number = device->major == TTYAUX_MAJOR ? 0 : device->minor;
	struct tty *tty = number <= vc_count() ? vc_tty(number) : NULL;

	if (tty == NULL)
		return number <= vc_count() ? ERR(ENOMEM) : ERR(ENXIO);
	file->data = tty;
	return 0;
}

static err_t terminal_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	size_t size = MIN(io->left_bytes, LDISC_BYTES), done = 0;
	uint8_t *bytes = kmalloc(size, 0);

	(void)offset;
	if (bytes == NULL)
		return ERR(ENOMEM);
	err_t err = tty_read(file->data, bytes, size, may_wait(file), &done);
	if (err == 0)
		err = io_put(io, bytes, done);
	if (err == 0)
		*done_bytes = done;
	kfree(bytes);
	return err;
}

static err_t terminal_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	uint8_t piece[WRITE_PIECE];
	err_t err = 0;

	(void)offset;
	while (err == 0 && io->left_bytes > 0) {
		size_t size = MIN(io->left_bytes, sizeof piece), done = 0;
		err = io_get(io, piece, size);
		if (err == 0)
			err = tty_write(file->data, piece, size, may_wait(file), &done);
		*done_bytes += done;
		if (done < size)
			break;
	}
	return err;
}

static err_t terminal_ioctl(struct file *file, uint32_t request, void *arg)
{
	return tty_ioctl(file->data, request, arg);
}

static const struct file_ops own_ops = {
	.open = own_open, .read = terminal_read, .write = terminal_write, .ioctl = terminal_ioctl, .stream = true};
static const struct file_ops console_ops = {
	.open = console_open, .read = terminal_read, .write = terminal_write, .ioctl = terminal_ioctl, .stream = true};

static const struct char_device devices[] = {
	{"tty", TTYAUX_MAJOR, 0, 0666, &own_ops},   {"console", TTYAUX_MAJOR, 1, 0600, &console_ops},
	{"tty0", TTY_MAJOR, 0, 0620, &console_ops}, {"tty1", TTY_MAJOR, 1, 0620, &console_ops},
	{"tty2", TTY_MAJOR, 2, 0620, &console_ops}, {"tty3", TTY_MAJOR, 3, 0620, &console_ops},
	{"tty4", TTY_MAJOR, 4, 0620, &console_ops}, {NULL, 0, 0, 0, NULL},
};

static err_t terminals_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	return devices_register(devices);
}

static void terminals_stop(void)
{
	devices_unregister(devices);
}

const struct component component_terminals = {
	.name = "terminals", .stage = STAGE_SERVICES, .init = terminals_init, .stop = terminals_stop};
