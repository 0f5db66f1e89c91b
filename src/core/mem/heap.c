// SPDX-License-Identifier: MIT
//
// kmalloc() and its kin for small machines; heap_impl.h tells how.
#include "heap_impl.h"

#include "kern/assert.h"
#include "kern/bitmap.h"
#include "kern/log.h"
#include "kern/string.h"

#define PAGE_MAGIC 0x48e9u
#define OBJECTS_END (FRAME_SIZE - sizeof(struct heap_page))

// Multiples of 16 but for the first: from 16 bytes on everything is aligned to 16.
static const uint16_t class_sizes[HEAP_CLASSES] = {8, 16, 32, 48, 64, 96, 128, 192, 256};

static struct heap_state *heap(void)
{
	return (struct heap_state *)kernel_self()->slab;
}

err_t heap_init(struct kernel *kernel)
{
	struct heap_state *state = boot_alloc(kernel, sizeof *state, 8);
	if (state == NULL)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < HEAP_CLASSES; i++)
		list_init(&state->partial[i]);
	kernel->slab = (struct slab_state *)state;
	return 0;
}

// The smallest class that holds it; HEAP_CLASSES: none, whole frames. A page must hold two objects to be worth its end.
static uint32_t class_of(size_t size_bytes)
{
	uint32_t index = 0;
	while (index < HEAP_CLASSES && class_sizes[index] < size_bytes)
		index++;
	return index < HEAP_CLASSES && class_sizes[index] * 2u <= OBJECTS_END ? index : HEAP_CLASSES;
}

static uint32_t frame_index(const void *memory)
{
	return (uint32_t)(((uintptr_t)memory - (uintptr_t)kernel_self()->frames->base) >> FRAME_SHIFT);
}

static char *page_base(const struct heap_page *page)
{
	return (char *)(uintptr_t)ALIGN_DOWN((uintptr_t)page, (uintptr_t)FRAME_SIZE);
}

// NULL: the memory is no small object.
static struct heap_page *page_of(const void *memory)
{
	uint32_t index = frame_index(memory);
	if (index >= kernel_self()->frames->count || !bitmap_test(kernel_self()->frames->shared, index))
		return NULL;
	char *base = (char *)ALIGN_DOWN((uintptr_t)memory, (uintptr_t)FRAME_SIZE);
	struct heap_page *page = (struct heap_page *)(void *)(base + OBJECTS_END);
	VERIFY3(page->magic, ==, PAGE_MAGIC);
	return page;
}

static uint16_t *chain_at(const struct heap_page *page, uint32_t offset)
{
	return (uint16_t *)(void *)(page_base(page) + offset);
}

static struct heap_page *page_make(struct heap_state *state, uint32_t class)
{
	char *base = frame_alloc(0, 0, NULL);
	if (base == NULL)
		return NULL;
	struct heap_page *page = (struct heap_page *)(void *)(base + OBJECTS_END);
	*page = (struct heap_page){.free_first = HEAP_NONE, .size_bytes = class_sizes[class], .magic = PAGE_MAGIC};
	for (uint32_t at = OBJECTS_END / page->size_bytes * page->size_bytes; at > 0;) {
		at -= page->size_bytes;
		*chain_at(page, at) = page->free_first;
		page->free_first = (uint16_t)at;
	}
	bitmap_set(kernel_self()->frames->shared, frame_index(base));
	list_push_front(&state->partial[class], &page->link);
	return page;
}

static void *small_alloc(uint32_t class)
{
	struct heap_state *state = heap();
	struct heap_page *page = list_first_entry(&state->partial[class], struct heap_page, link);
	if (page == NULL)
		page = page_make(state, class);
	if (page == NULL)
		return NULL;
	uint16_t offset = page->free_first;
	page->free_first = *chain_at(page, offset);
	page->used++;
	if (page->free_first == HEAP_NONE)
		list_remove(&page->link);
	return page_base(page) + offset;
}

static void small_free(struct heap_page *page, void *memory)
{
	struct heap_state *state = heap();
	uint32_t class = class_of(page->size_bytes);
	uint32_t offset = (uint32_t)((char *)memory - page_base(page));

	if (offset % page->size_bytes != 0 || offset + page->size_bytes > OBJECTS_END || page->used == 0)
		panic("kfree: frame %u holds no object at %u", frame_index(memory), offset);
	if (page->free_first == HEAP_NONE)
		list_push_front(&state->partial[class], &page->link);
	*chain_at(page, offset) = page->free_first;
	page->free_first = (uint16_t)offset;
	if (--page->used != 0)
		return;
	list_remove(&page->link);
	page->magic = 0;
	bitmap_clear(kernel_self()->frames->shared, frame_index(memory));
	frame_free(page_base(page), 0);
}

static void block_prepare(void *memory, size_t size_bytes, uint32_t mem_flags)
{
	if (mem_flags & MEM_ZERO)
		memset(memory, 0, size_bytes);
	else if (kernel_self()->poison != 0)
		memset(memory, (int)kernel_self()->poison, size_bytes);
}

void *kmalloc(size_t size_bytes, uint32_t mem_flags)
{
	uint32_t class = class_of(size_bytes);
	if (class == HEAP_CLASSES)
		return range_alloc(size_bytes, mem_flags, NULL);
	preempt_disable();
	void *memory = small_alloc(class);
	preempt_enable();
	if (memory != NULL)
		block_prepare(memory, class_sizes[class], mem_flags);
	return memory;
}

void *kmalloc_array(size_t count, size_t size_bytes, uint32_t mem_flags)
{
	size_t total;
	return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : kmalloc(total, mem_flags);
}

// A power of two is aligned to itself in its class; larger alignments are frames'.
void *kmalloc_aligned(size_t size_bytes, size_t align, uint32_t mem_flags)
{
	size_t wanted = MAX(size_bytes, align);
	VERIFY(IS_POWER_OF_2(align));
	if (align <= 16)
		return kmalloc(MAX(size_bytes, align), mem_flags);
	if (wanted <= class_sizes[HEAP_CLASSES - 1] && class_of(wanted) != HEAP_CLASSES) {
		while (!IS_POWER_OF_2(wanted))
			wanted += wanted & (0 - wanted);
		if (class_of(wanted) != HEAP_CLASSES)
			return kmalloc(wanted, mem_flags);
	}
	return range_alloc_aligned(size_bytes, MAX(align, (size_t)FRAME_SIZE), mem_flags, NULL);
}

void kfree(void *memory)
{
	if (memory == NULL)
		return;
	preempt_disable();
	struct heap_page *page = page_of(memory);
	if (page != NULL)
		small_free(page, memory);
	else
		range_free(memory);
	preempt_enable();
}

size_t kmalloc_usable(const void *memory)
{
	const struct heap_page *page = page_of(memory);
	return page != NULL ? page->size_bytes : range_size_bytes(memory);
}

void *krealloc(void *memory, size_t size_bytes, uint32_t mem_flags)
{
	if (memory == NULL)
		return kmalloc(size_bytes, mem_flags);
	size_t had = kmalloc_usable(memory);
	if (size_bytes <= had && size_bytes > had / 2)
		return memory;
	void *moved = kmalloc(size_bytes, mem_flags);
	if (moved == NULL)
		return size_bytes <= had ? memory : NULL;
	memcpy(moved, memory, MIN(had, size_bytes));
	kfree(memory);
	return moved;
}

static bool page_is_good(const struct heap_page *page, uint32_t class)
{
	uint32_t objects = OBJECTS_END / class_sizes[class];
	uint32_t free = 0;
	for (uint32_t at = page->free_first; at != HEAP_NONE; at = *chain_at(page, at)) {
		if (at % page->size_bytes != 0 || at + page->size_bytes > OBJECTS_END || ++free > objects)
			return false;
	}
	return page->magic == PAGE_MAGIC && page->size_bytes == class_sizes[class] && free != 0 &&
	       free + page->used == objects;
}

err_t heap_check(void)
{
	struct heap_page *page;
	err_t err = 0;

	preempt_disable();
	for (uint32_t class = 0; class < HEAP_CLASSES; class ++)
		list_for_each (page, &heap()->partial[class], link)
			if (!page_is_good(page, class))
				err = -EUCLEAN;
	preempt_enable();
	if (err != 0)
		log_err("heap: a page contradicts itself");
	return err;
}
