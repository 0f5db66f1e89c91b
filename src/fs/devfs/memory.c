// SPDX-License-Identifier: MIT
//
// The devices that need no hardware (null(4), full(4), random(4)): null, zero, full, random, urandom.
#include "kern/component.h"
#include "kern/device.h"
#include "kern/math.h"
#include "kern/rand.h"

#define MEMORY_MAJOR 1u
#define PIECE_BYTES 256u

static err_t null_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	(void)file;
	(void)offset;
	(void)io;
	(void)done_bytes;
	return 0;
}

static err_t null_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	(void)file;
	(void)offset;
	*done_bytes = io->left_bytes;
	return 0;
}

static err_t zero_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	size_t size = io->left_bytes;

	(void)file;
	(void)offset;
	err_t err = io_zero(io, size);
	*done_bytes = err == 0 ? size : 0;
	return err;
}

static err_t full_write(struct file *file, uint64_t *offset, struct io *io, size_t *done_bytes)
{
	(void)file;
	(void)offset;
	(void)io;
	(void)done_bytes;
	return ERR(ENOSPC);
}

static err_t random_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	uint8_t piece[PIECE_BYTES];
	err_t err = 0;

	(void)file;
	(void)offset;
	while (err == 0 && io->left_bytes > 0) {
		size_t size = MIN(io->left_bytes, sizeof piece);
		rand_entropy(piece, size);
		err = io_put(io, piece, size);
		*done_bytes += err == 0 ? size : 0;
	}
	return err;
}

static const struct file_ops null_ops = {.read = null_read, .write = null_write};
static const struct file_ops zero_ops = {.read = zero_read, .write = null_write};
static const struct file_ops full_ops = {.read = zero_read, .write = full_write};
static const struct file_ops random_ops = {.read = random_read, .write = null_write};

static const struct char_device devices[] = {
	{"null", MEMORY_MAJOR, 3, 0666, &null_ops},      {"zero", MEMORY_MAJOR, 5, 0666, &zero_ops},
	{"full", MEMORY_MAJOR, 7, 0666, &full_ops},      {"random", MEMORY_MAJOR, 8, 0666, &random_ops},
	{"urandom", MEMORY_MAJOR, 9, 0666, &random_ops}, {NULL, 0, 0, 0, NULL},
};

static err_t devices_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	(void)kernel;
	(void)info;
	return devices_register(devices);
}

static void devices_stop(void)
{
	devices_unregister(devices);
}

const struct component component_devices = {
	.name = "devices", .stage = STAGE_SERVICES, .init = devices_init, .stop = devices_stop};
