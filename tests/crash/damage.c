// SPDX-License-Identifier: MIT
//
// Damage without a cut: of all that a sequence wrote, one write has been lost or has gone elsewhere, or a bit of a block has flipped. What is mounted then answers with
// what was written last, or with an error. And superblocks that are gone: those of the newest two generations, in both rings; the one before them leads to trees that
// nobody has written over.
#include "crash.h"

#include "../../src/fs/pxfs/format.h"

enum damage_kind {
	DAMAGE_LOST,
	DAMAGE_MISDIRECTED,
	DAMAGE_FLIP,
	DAMAGE_BACK,
	DAMAGE_KINDS
};

static const char *const damage_names[DAMAGE_KINDS] = {"lost", "misdirected", "flip", "back"};

// Everything has been written but the write `lost`, which has gone to `elsewhere` (UINT32_MAX: nowhere).
static void image_end(struct explorer *ex, uint32_t lost, uint32_t elsewhere)
{
	struct level *level = &ex->levels[0];

	image_clear(&level->image);
	for (uint32_t i = 0; i < level->recording.count; i++) {
		const struct note *note = &level->recording.notes[i];
		for (uint32_t j = 0; j < note->count && (i != lost || elsewhere != UINT32_MAX); j++) {
			const struct written *written = &level->recording.written[note->first + j];
			uint32_t block = i != lost ? written->block : (elsewhere + j) % DISK_BLOCKS;
			image_add(&ex->disk, &level->image, block, written->content);
			image_settle(&level->image, block);
		}
	}
}

static bool was_once(const struct explorer *ex)
{
	const struct oracle *oracle = &ex->levels[0].oracle;
	bool found = false;

	for (uint32_t step = 0; step <= oracle->steps; step++)
		found = found || oracle->digests[step] == ex->verdict.digest;
	return found;
}

static void damage_try(struct explorer *ex, enum damage_kind kind, uint32_t a, uint32_t b)
{
	struct level *level = &ex->levels[0];
	struct choice choice = {(uint16_t)a, VERSION_FLIP};
	const struct choice *choices = kind == DAMAGE_FLIP ? &choice : NULL;
	uint32_t known = 0, mark = ex->disk.pool_used;
	char place[48];
	bool refused = false;

	view_begin(&ex->disk, &level->image, choices, choices != NULL);
	if (memo_walk(&level->memo, &ex->disk, &known)) {
		ex->call->sums.damage_known++;
		ex->disk.pool_used = mark;
		return;
	}
	view_begin(&ex->disk, &level->image, choices, choices != NULL);
	ksnprintf(place, sizeof place, kind == DAMAGE_MISDIRECTED ? "!%s:%u:%u" : "!%s:%u", damage_names[kind], a, b);
	bool is_true = damage_run(ex, &ex->model[level->oracle.steps], &refused);
	// One write can hit both copies of a node, which lie side by side: then the generation before is mounted, whole.
	bool went_back = !is_true && kind == DAMAGE_MISDIRECTED && was_once(ex);
	ex->call->sums.damage_back += went_back;
	if (!is_true && !went_back)
		violation_add(ex, ex->verdict.text, place);
	else
		memo_keep(&level->memo, &ex->disk.view, 0);
	ex->call->sums.damage_runs++;
	ex->call->sums.damage_refused += refused;
	ex->disk.pool_used = mark;
}

// Where something lies, or anywhere.
static uint32_t elsewhere_draw(struct explorer *ex)
{
	const struct recording *recording = &ex->levels[0].recording;

	if (rand_below(&ex->rand, 4) == 0)
		return rand_below(&ex->rand, DISK_BLOCKS);
	return recording->written[rand_below(&ex->rand, recording->written_count)].block;
}

static void flips_try(struct explorer *ex)
{
	struct level *level = &ex->levels[0];
	uint16_t *blocks = kmalloc(READS_MAX * sizeof *blocks, 0);
	bool refused = false;

	VERIFY(blocks != NULL);
	image_end(ex, UINT32_MAX, 0);
	view_begin(&ex->disk, &level->image, NULL, 0);
	if (!damage_run(ex, &ex->model[level->oracle.steps], &refused) || refused)
		violation_add(ex, "what was written last is not there", "");
	uint32_t count = ex->disk.view.read_count;
	for (uint32_t i = 0; i < count; i++)
		blocks[i] = ex->disk.view.reads[i].block;
	memo_keep(&level->memo, &ex->disk.view, 0);
	for (uint32_t i = 0; i < count && ex->call->violations == 0; i++)
		damage_try(ex, DAMAGE_FLIP, blocks[i], 0);
	kfree(blocks);
}

static bool is_super(const struct content *content)
{
	const struct pxfs_super *super = (const struct pxfs_super *)content->bytes;
	return le64_get(&super->magic) == PXFS_MAGIC;
}

// A generation ends with one superblock in each ring.
static void back_try(struct explorer *ex, uint32_t generations)
{
	struct level *level = &ex->levels[0];
	uint32_t left = 2 * generations, i = level->recording.count;
	char place[48], text[CRASH_TEXT_SIZE];

	image_end(ex, UINT32_MAX, 0);
	while (left > 0 && i > 0) {
		const struct note *note = &level->recording.notes[--i];
		const struct written *written = &level->recording.written[note->first];
		if (note->count == 0 || !is_super(written->content))
			continue;
		image_add(&ex->disk, &level->image, written->block, &ex->disk.base[written->block]);
		image_settle(&level->image, written->block);
		left--;
	}
	if (left > 0)
		return; // fewer generations than that
	view_begin(&ex->disk, &level->image, NULL, 0);
	whole_run(ex, &ex->verdict);
	ex->call->sums.damage_runs++;
	if (!ex->verdict.failed && was_once(ex))
		return;
	ksnprintf(place, sizeof place, "!%s:%u", damage_names[DAMAGE_BACK], generations);
	ksnprintf(text, sizeof text, "%u generations back: %s", generations,
		  ex->verdict.failed ? ex->verdict.text : "a tree that never was");
	violation_add(ex, text, place);
}

void explore_damage(struct explorer *ex)
{
	struct level *level = &ex->levels[0];

	memo_clear(&level->memo);
	back_try(ex, 1);
	back_try(ex, 2);
	flips_try(ex);
	for (uint32_t i = 0; i < level->recording.count && ex->call->violations == 0; i++) {
		if (level->recording.notes[i].count == 0)
			continue;
		image_end(ex, i, UINT32_MAX);
		damage_try(ex, DAMAGE_LOST, i, 0);
		uint32_t elsewhere = elsewhere_draw(ex);
		image_end(ex, i, elsewhere);
		damage_try(ex, DAMAGE_MISDIRECTED, i, elsewhere);
	}
}

err_t damage_replay(struct explorer *ex)
{
	const struct level *level = &ex->levels[0];
	uint32_t numbers[2] = {0, 0};

	memo_clear(&ex->levels[0].memo);
	for (enum damage_kind kind = 0; kind < DAMAGE_KINDS; kind++) {
		uint32_t count = kind == DAMAGE_MISDIRECTED ? 2 : 1;
		if (!place_damage(ex->call->only, damage_names[kind], numbers, count))
			continue;
		if (kind == DAMAGE_BACK) {
			back_try(ex, numbers[0] % 8);
			return 0;
		}
		if (kind == DAMAGE_FLIP ? numbers[0] >= DISK_BLOCKS
					: numbers[0] >= level->recording.count || numbers[1] >= DISK_BLOCKS)
			return ERR(EINVAL);
		image_end(ex, kind == DAMAGE_FLIP ? UINT32_MAX : numbers[0],
			  kind == DAMAGE_MISDIRECTED ? numbers[1] : UINT32_MAX);
		damage_try(ex, kind, numbers[0], numbers[1]);
		return 0;
	}
	return ERR(EINVAL);
}
