// SPDX-License-Identifier: MIT
//
// Descriptors: {object, rights, flags} by number. The table grows by doubling, outside its lock.
#include "proc_impl.h"

#include "kern/mem.h"
#include "kern/string.h"

#define SLOTS_FIRST 16u

void descriptor_table_init(struct descriptor_table *table)
{
	spin_init(&table->lock, LOCK_RANK_DESCRIPTORS, "process: descriptors");
}

static void descriptor_drop(struct process *process, struct object *object)
{
	if (object->ops->closed != NULL)
		object->ops->closed(object, process);
	object_put(object);
}

void descriptor_table_fini(struct process *process)
{
	struct descriptor_table *table = &process->files;

	for (uint32_t i = 0; i < table->size; i++)
		if (table->slots[i].object != NULL)
			descriptor_drop(process, table->slots[i].object);
	kfree(table->slots);
}

// Room for number `wanted`; the lock is not held.
static err_t table_grow(struct descriptor_table *table, uint32_t wanted)
{
	if (wanted >= PROCESS_FILES_MAX)
		return ERR(EMFILE);
	uint32_t size = SLOTS_FIRST;
	while (size <= wanted)
		size *= 2;
	struct descriptor *slots = kmalloc_array(size, sizeof *slots, MEM_ZERO);
	struct descriptor *old = slots;
	if (slots == NULL)
		return ERR(ENOMEM);
	spin_lock(&table->lock);
	if (table->size < size) {
		old = table->slots;
		if (table->size > 0)
			memcpy(slots, old, table->size * sizeof *slots);
		table->slots = slots;
		table->size = size;
	}
	spin_unlock(&table->lock);
	kfree(old);
	return 0;
}

// The lowest free number ≥ from; `size` when there is none.
static uint32_t table_find_free_locked(struct descriptor_table *table, uint32_t from)
{
	uint32_t number = from > table->lowest_free ? from : table->lowest_free;
	while (number < table->size && table->slots[number].object != NULL)
		number++;
	return number;
}

static void table_fill_locked(struct descriptor_table *table, uint32_t number, const struct descriptor *descriptor)
{
	table->slots[number] = *descriptor;
	table->used++;
	while (table->lowest_free < table->size && table->slots[table->lowest_free].object != NULL)
		table->lowest_free++;
}

err_t descriptor_open(struct process *process, struct object *object, uint32_t rights, uint32_t flags, uint32_t from,
		      int32_t *out)
{
	struct descriptor_table *table = &process->files;
	struct descriptor descriptor = {.object = object, .rights = rights, .flags = flags};

	for (;;) {
		spin_lock(&table->lock);
		uint32_t number = table_find_free_locked(table, from);
		bool fits = number < table->size;
		if (fits)
			table_fill_locked(table, number, &descriptor);
		spin_unlock(&table->lock);
		if (fits) {
			*out = (int32_t)number;
			return 0;
		}
		err_t err = table_grow(table, number);
		if (err != 0)
			return err;
	}
}

err_t descriptor_get(struct process *process, int32_t number, const struct object_ops *ops, uint32_t rights,
		     struct object **out, struct descriptor *descriptor)
{
	struct descriptor_table *table = &process->files;
	struct descriptor found = {0};

	spin_lock(&table->lock);
	if (number >= 0 && (uint32_t)number < table->size)
		found = table->slots[number];
	bool good =
		found.object != NULL && (ops == NULL || found.object->ops == ops) && (found.rights & rights) == rights;
	if (good)
		object_get(found.object);
	spin_unlock(&table->lock);
	if (!good)
		return ERR(EBADF);
	*out = found.object;
	if (descriptor != NULL)
		*descriptor = found;
	return 0;
}

err_t descriptor_close(struct process *process, int32_t number)
{
	struct descriptor_table *table = &process->files;
	struct object *object = NULL;

	spin_lock(&table->lock);
	if (number >= 0 && (uint32_t)number < table->size)
		object = table->slots[number].object;
	if (object != NULL) {
		table->slots[number] = (struct descriptor){0};
		table->used--;
		if ((uint32_t)number < table->lowest_free)
			table->lowest_free = (uint32_t)number;
	}
	spin_unlock(&table->lock);
	if (object == NULL)
		return ERR(EBADF);
	descriptor_drop(process, object);
	return 0;
}

err_t descriptor_set_flags(struct process *process, int32_t number, uint32_t flags)
{
	struct descriptor_table *table = &process->files;
	bool open = false;

	spin_lock(&table->lock);
	if (number >= 0 && (uint32_t)number < table->size && table->slots[number].object != NULL) {
		table->slots[number].flags = flags;
		open = true;
	}
	spin_unlock(&table->lock);
	return open ? 0 : ERR(EBADF);
}

err_t descriptor_dup(struct process *process, int32_t number, uint32_t from, uint32_t flags, int32_t *out)
{
	struct descriptor descriptor;
	struct object *object;

	if (from >= PROCESS_FILES_MAX)
		return ERR(EINVAL);
	err_t err = descriptor_get(process, number, NULL, 0, &object, &descriptor);
	if (err != 0)
		return err;
	err = descriptor_open(process, object, descriptor.rights, flags, from, out);
	if (err != 0)
		object_put(object);
	return err;
}

err_t descriptor_dup_to(struct process *process, int32_t number, int32_t to, uint32_t flags)
{
	struct descriptor_table *table = &process->files;
	struct descriptor descriptor;
	struct object *object;
	struct object *old = NULL;

	if (to < 0 || (uint32_t)to >= PROCESS_FILES_MAX)
		return ERR(EBADF);
	err_t err = descriptor_get(process, number, NULL, 0, &object, &descriptor);
	if (err != 0 || to == number) {
		if (err == 0)
			object_put(object);
		return err;
	}
	err = table_grow(table, (uint32_t)to);
	if (err != 0) {
		object_put(object);
		return err;
	}
	descriptor.flags = flags;
	spin_lock(&table->lock);
	old = table->slots[to].object;
	if (old != NULL)
		table->used--;
	table_fill_locked(table, (uint32_t)to, &descriptor);
	spin_unlock(&table->lock);
	if (old != NULL)
		descriptor_drop(process, old);
	return 0;
}

err_t descriptor_table_check(struct descriptor_table *table)
{
	uint32_t used = 0;
	bool free_below = false;

	spin_lock(&table->lock);
	for (uint32_t i = 0; i < table->size; i++) {
		used += table->slots[i].object != NULL;
		free_below = free_below || (i < table->lowest_free && table->slots[i].object == NULL);
	}
	bool good = used == table->used && !free_below;
	spin_unlock(&table->lock);
	return good ? 0 : -EUCLEAN;
}
