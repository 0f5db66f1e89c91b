// SPDX-License-Identifier: MIT
//
// Fuzz target: slab caches and kmalloc against a model that knows every live block, its size and contents. Each operation takes four
// bytes: what, where, and a size. Caches come and go, with and without constructor; an account's limit makes allocations fail.
#include "kern/atomic.h"
#include "kern/mem.h"
#include "kern/string.h"

#define SLOTS 128u
#define CACHES 4u

struct fuzz_input {
	const uint8_t *bytes;
	size_t size;
};

int64_t tb_fuzz_mem(void *arg);

struct slot {
	uint8_t *block;
	size_t size_bytes;
	uint32_t cache; // CACHES: kmalloc
	uint8_t key;
};

static struct model {
	struct slot slots[SLOTS];
	struct slab_cache *caches[CACHES];
	uint32_t sizes[CACHES];
	uint32_t live[CACHES];
	bool constructs[CACHES];
	struct account *account;
} model;

#define CONSTRUCTED 0xc5u

static err_t construct(void *object)
{
	*(uint8_t *)object = CONSTRUCTED;
	return 0;
}

static void destruct(void *object)
{
	VERIFY3(*(uint8_t *)object, ==, CONSTRUCTED);
}

// Every byte of small blocks; of larger ones the ends, and between them one byte in 64.
static size_t next_byte(size_t at, size_t size_bytes)
{
	return at < 128 || at + 128 >= size_bytes ? at + 1 : at + 64;
}

static void fill(const struct slot *slot)
{
	for (size_t i = 0; i < slot->size_bytes; i = next_byte(i, slot->size_bytes))
		slot->block[i] = (uint8_t)(slot->key + i);
}

static void fill_check(const uint8_t *block, size_t checked_bytes, size_t size_bytes, uint8_t key)
{
	for (size_t i = 0; i < checked_bytes; i = next_byte(i, size_bytes))
		VERIFY3(block[i], ==, (uint8_t)(key + i));
}

static void slot_free(struct slot *slot)
{
	if (slot->block == NULL)
		return;
	fill_check(slot->block, slot->size_bytes, slot->size_bytes, slot->key);
	if (slot->cache == CACHES) {
		kfree(slot->block);
	} else {
		if (model.constructs[slot->cache])
			slot->block[0] = CONSTRUCTED;
		slab_free(model.caches[slot->cache], slot->block);
		model.live[slot->cache]--;
	}
	slot->block = NULL;
}

static void slot_keep(struct slot *slot, uint8_t *block, size_t size_bytes, uint32_t cache, uint8_t key)
{
	*slot = (struct slot){.block = block, .size_bytes = size_bytes, .cache = cache, .key = key};
	if (block != NULL)
		fill(slot);
}

static void zero_check(const uint8_t *block, size_t size_bytes)
{
	for (size_t i = 0; block != NULL && i < size_bytes; i = next_byte(i, size_bytes))
		VERIFY3(block[i], ==, 0);
}

static void do_kmalloc(struct slot *slot, uint32_t size, uint8_t key)
{
	uint32_t flags = key & 1 ? MEM_ZERO : 0;
	slot_free(slot);
	uint8_t *block = key & 2 ? kmalloc_aligned(size, 1u << (key >> 4), flags) : kmalloc(size, flags);
	if (key & 2)
		VERIFY(((uintptr_t)block & ((1u << (key >> 4)) - 1)) == 0);
	if (flags & MEM_ZERO)
		zero_check(block, size);
	if (block != NULL)
		VERIFY3(kmalloc_usable(block), >=, size);
	slot_keep(slot, block, size, CACHES, key);
}

static void do_krealloc(struct slot *slot, uint32_t size)
{
	if (slot->block != NULL && slot->cache != CACHES)
		return;
	size_t before = slot->block == NULL ? 0 : slot->size_bytes;
	uint8_t *moved = krealloc(slot->block, size, 0);
	if (moved == NULL)
		return;
	fill_check(moved, MIN(before, (size_t)size), before, slot->key);
	slot_keep(slot, moved, size, CACHES, slot->key);
}

static void do_slab(struct slot *slot, uint32_t cache, uint8_t key)
{
	slot_free(slot);
	if (model.caches[cache] == NULL)
		return;
	bool zero = (key & 1) != 0 && !model.constructs[cache];
	uint8_t *block = slab_alloc(model.caches[cache], zero ? MEM_ZERO : 0);
	if (block == NULL)
		return;
	if (model.constructs[cache])
		VERIFY3(block[0], ==, CONSTRUCTED);
	if (zero)
		zero_check(block, model.sizes[cache]);
	model.live[cache]++;
	slot_keep(slot, block, model.sizes[cache], cache, key);
}

static void do_cache(uint32_t at, uint32_t size, uint8_t how)
{
	if (model.caches[at] != NULL) {
		err_t err = slab_cache_destroy(model.caches[at]);
		VERIFY3(err, ==, model.live[at] == 0 ? 0 : -EBUSY);
		if (err == 0)
			model.caches[at] = NULL;
		return;
	}
	bool constructs = (how & 1) != 0;
	struct slab_params params = {.name = "fuzz",
				     .size_bytes = 1 + size % 8192,
				     .align = how & 2 ? 8u << (how >> 4) % 10 : 0,
				     .construct = constructs ? construct : NULL,
				     .destruct = constructs ? destruct : NULL,
				     .account = model.account};
	if (slab_cache_create(&params, &model.caches[at]) != 0) {
		model.caches[at] = NULL;
		return;
	}
	model.sizes[at] = params.size_bytes;
	model.constructs[at] = constructs;
}

static void step(const uint8_t *bytes)
{
	struct slot *slot = &model.slots[bytes[1] % SLOTS];
	uint32_t size = bytes[2] | (uint32_t)bytes[3] << 8;
	switch (bytes[0] % 8) {
	case 0:
	case 1:
		do_kmalloc(slot, size >> (bytes[0] >> 4), bytes[3]);
		break;
	case 2:
		do_krealloc(slot, size >> (bytes[0] >> 4));
		break;
	case 3:
	case 4:
		do_slab(slot, bytes[2] % CACHES, bytes[3]);
		break;
	case 5:
		slot_free(slot);
		break;
	case 6:
		do_cache(bytes[1] % CACHES, size, bytes[1] / CACHES);
		break;
	default:
		if (bytes[1] % 16 == 0)
			VERIFY(slab_check() == 0);
		else if (bytes[1] % 2)
			slab_reap();
		break;
	}
}

int64_t tb_fuzz_mem(void *arg)
{
	const struct fuzz_input *input = arg;
	memset(&model, 0, sizeof model);
	if (account_create(NULL, "fuzz", 200, &model.account) != 0)
		return -ENOMEM;
	for (size_t at = 0; at + 4 <= input->size; at += 4)
		step(input->bytes + at);
	for (uint32_t i = 0; i < SLOTS; i++)
		slot_free(&model.slots[i]);
	for (uint32_t i = 0; i < CACHES; i++)
		VERIFY(model.caches[i] == NULL || slab_cache_destroy(model.caches[i]) == 0);
	VERIFY3(atomic_load_u32_relaxed(&model.account->used_frames), ==, 0);
	account_release(model.account);
	slab_reap();
	VERIFY(slab_check() == 0);
	VERIFY(frame_check() == 0);
	return 0;
}
