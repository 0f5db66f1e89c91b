// SPDX-License-Identifier: MIT
//
// A module, read from its beginning to its end; windows come from the kernel's large blocks.
#include "initramfs_impl.h"

#include "kern/math.h"

static err_t source_read(struct unpack_source *source, void *buffer, size_t capacity, size_t *done_bytes)
{
	struct module_source *from = container_of(source, struct module_source, source);
	uint64_t left = from->module->size_bytes - from->at;
	size_t piece = (size_t)MIN(left, capacity);

	*done_bytes = 0;
	if (piece == 0)
		return 0;
	err_t err = module_read(from->module, from->at, buffer, piece);
	if (err == 0) {
		from->at += piece;
		*done_bytes = piece;
	}
	return err;
}

static void *source_alloc(struct unpack_source *source, size_t size_bytes)
{
	(void)source;
	return kmalloc(size_bytes, 0);
}

static void source_free(struct unpack_source *source, void *memory)
{
	(void)source;
	kfree(memory);
}

void module_source_init(struct module_source *source, const struct module *module)
{
	source->source = (struct unpack_source){.read = source_read, .alloc = source_alloc, .free = source_free};
	source->module = module;
	source->at = 0;
}
