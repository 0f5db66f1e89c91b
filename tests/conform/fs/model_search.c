// SPDX-License-Identifier: MIT
//
// The search for an order of the calls: depth first; the next call is one that began before any other that is left has ended. States
// that led nowhere are remembered by their hash, so that they are entered once.
#include "model.h"

#include "kern/base.h"
#include "kern/hash.h"
#include "kern/mem.h"
#include "kern/string.h"

#define SEEN_SIZE 8192u // a power of two; when a place is taken, the newer one stays

struct place {
	struct model model;
	uint8_t next[MODEL_WORKERS]; // the first call of each that is left
	uint8_t half[MODEL_WORKERS]; // its first half is done
	uint8_t worker;              // tried from here
};

struct search {
	struct model_op (*ops)[MODEL_OPS];
	const struct model *end;
	uint64_t seen[SEEN_SIZE];
	struct place places[2 * MODEL_WORKERS * MODEL_OPS + 1];
};

static uint64_t bytes_hash(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, at + i, MIN(size - i, sizeof word));
		hash = hash_u64(hash ^ word);
	}
	return hash;
}

static uint64_t place_hash(const struct place *place)
{
	uint64_t hash = bytes_hash(1, &place->model, sizeof place->model);
	hash = bytes_hash(hash, place->next, sizeof place->next);
	return bytes_hash(hash, place->half, sizeof place->half) | 1;
}

// False: it was there before.
static bool seen_add(struct search *search, const struct place *place)
{
	uint64_t hash = place_hash(place);
	uint64_t *slot = &search->seen[hash / 2 % SEEN_SIZE];

	if (*slot == hash)
		return false;
	*slot = hash;
	return true;
}

// No call that is left has ended before this one began.
static bool may_be_next(const struct search *search, const struct place *place, uint32_t worker)
{
	if (place->next[worker] == MODEL_OPS)
		return false;
	uint32_t start = search->ops[worker][place->next[worker]].start;
	for (uint32_t i = 0; i < MODEL_WORKERS; i++)
		if (place->next[i] < MODEL_OPS && search->ops[i][place->next[i]].end < start)
			return false;
	return true;
}

// The place behind the next call of `worker`; false: it cannot be the next.
static bool advance(const struct search *search, const struct place *from, uint32_t worker, struct place *to)
{
	if (!may_be_next(search, from, worker))
		return false;
	uint32_t number = from->next[worker];
	memcpy(to, from, sizeof *to);
	to->worker = 0;
	enum model_step step = model_apply(&to->model, &search->ops[worker][number], worker,
					   worker * MODEL_OPS + number, from->half[worker] != 0);
	if (step == MODEL_NO)
		return false;
	to->half[worker] = step == MODEL_HALF;
	to->next[worker] = (uint8_t)(number + (step == MODEL_DONE));
	return true;
}

static bool is_over(const struct place *place)
{
	for (uint32_t i = 0; i < MODEL_WORKERS; i++)
		if (place->next[i] < MODEL_OPS)
			return false;
	return true;
}

static bool order_exists(struct search *search)
{
	uint32_t depth = 1;

	while (depth > 0) {
		struct place *here = &search->places[depth - 1];
		if (is_over(here) && model_matches(&here->model, search->end))
			return true;
		bool on = false;
		while (!on && here->worker < MODEL_WORKERS)
			on = advance(search, here, here->worker++, here + 1) && seen_add(search, here + 1);
		depth = on ? depth + 1 : depth - 1;
	}
	return false;
}

err_t model_search(const struct model *begin, struct model_op ops[MODEL_WORKERS][MODEL_OPS], const struct model *end)
{
	struct search *search = kmalloc(sizeof *search, MEM_ZERO);

	if (search == NULL)
		return ERR(ENOMEM);
	search->ops = ops;
	search->end = end;
	memcpy(&search->places[0].model, begin, sizeof *begin);
	bool found = order_exists(search);
	kfree(search);
	return found ? 0 : -EUCLEAN;
}
