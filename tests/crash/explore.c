// SPDX-License-Identifier: MIT
//
// Cuts: at each boundary of a recording, every disk that may be left. A run chooses versions as it reads; whatever else it could have read is a branch.
#include "crash.h"

void violation_add(struct explorer *ex, const char *text, const char *place)
{
	if (ex->call->violations++ != 0)
		return;
	strlcpy(ex->call->what, text, sizeof ex->call->what);
	strlcpy(ex->call->place, place, sizeof ex->call->place);
}

static void cut_violation(struct explorer *ex, uint32_t depth, const char *text)
{
	char place[CRASH_PLACE_SIZE];

	place_print(ex, depth, place, sizeof place);
	violation_add(ex, text, place);
}

// ---- one recovery ------------------------------------------------------------------------------------------------------------

static uint32_t verdict_add(struct level *level, const struct verdict *verdict)
{
	if (level->verdict_count == VERDICTS_MAX) {
		level->verdict_count = 0;
		memo_clear(&level->memo);
	}
	level->verdicts[level->verdict_count].digest = verdict->digest;
	level->verdicts[level->verdict_count].failed = verdict->failed;
	return level->verdict_count++;
}

// Its writes are noted only for who cuts them.
static void recovery_run(struct explorer *ex, uint32_t depth, bool noted)
{
	struct level *next = &ex->levels[depth + 1];

	next->recording.count = next->recording.written_count = 0;
	next->recording.full = false;
	ex->disk.recording = noted ? &next->recording : NULL;
	recover_run(ex, &ex->verdict, &next->oracle);
	ex->disk.recording = NULL;
	ex->call->sums.runs[depth]++;
}

// What is known is run after all, now and then: recovery must be a function of what it reads.
static void known_confirm(struct explorer *ex, uint32_t depth, const struct branch *branch, uint32_t verdict)
{
	const struct level *level = &ex->levels[depth];

	if (rand_below(&ex->rand, KNOWN_CONFIRMED) != 0)
		return;
	view_begin(&ex->disk, &level->image, branch->choices, branch->count);
	recovery_run(ex, depth, false);
	ex->call->sums.confirmed++;
	if (ex->verdict.failed != level->verdicts[verdict].failed ||
	    (!ex->verdict.failed && ex->verdict.digest != level->verdicts[verdict].digest))
		cut_violation(ex, depth, "recovery has another end than before, from the same blocks");
}

// Whether it was run, and not known.
static bool recovery_get(struct explorer *ex, uint32_t depth, const struct branch *branch, bool noted,
			 uint32_t *verdict)
{
	struct level *level = &ex->levels[depth];

	view_begin(&ex->disk, &level->image, branch->choices, branch->count);
	if (memo_walk(&level->memo, &ex->disk, verdict)) {
		ex->call->sums.known++;
		known_confirm(ex, depth, branch, *verdict);
		return false;
	}
	view_begin(&ex->disk, &level->image, branch->choices, branch->count);
	recovery_run(ex, depth, noted);
	*verdict = verdict_add(level, &ex->verdict);
	if (!ex->disk.pool_full && !ex->disk.view.full)
		memo_keep(&level->memo, &ex->disk.view, *verdict);
	return true;
}

static void digest_judge(struct explorer *ex, uint32_t depth, uint32_t verdict, bool fresh, uint32_t low, uint32_t high)
{
	uint64_t digest = ex->levels[depth].verdicts[verdict].digest;
	const struct oracle *oracle = &ex->levels[depth].oracle;
	uint32_t found = UINT32_MAX;
	char text[CRASH_TEXT_SIZE], difference[120] = "";

	for (uint32_t i = low; i <= high; i++)
		if (oracle->digests[i] == digest)
			return;
	for (uint32_t i = 0; i <= oracle->steps; i++)
		found = oracle->digests[i] == digest ? i : found;
	if (depth == 0 && found == UINT32_MAX && fresh)
		tree_differ(&ex->found, &ex->model[low], difference, sizeof difference);
	if (found != UINT32_MAX)
		ksnprintf(text, sizeof text, "the tree is that of step %u, and may be that of %u to %u", found, low,
			  high);
	else
		ksnprintf(text, sizeof text, "the tree is none that ever was, and may be that of step %u to %u%s%s",
			  low, high, *difference != '\0' ? "; beside the first of them: " : "", difference);
	cut_violation(ex, depth, text);
}

static void judge(struct explorer *ex, uint32_t depth, uint32_t verdict, bool fresh)
{
	const struct level *level = &ex->levels[depth];
	const struct note *note = &level->recording.notes[level->at];
	uint32_t high = note->kind == NOTE_SYNCED ? note->step : MIN(note->step + 1, level->oracle.steps);

	if (level->verdicts[verdict].failed)
		cut_violation(ex, depth, fresh ? ex->verdict.text : "as another place");
	else
		digest_judge(ex, depth, verdict, fresh, note->synced, high);
}

// ---- branches --------------------------------------------------------------------------------------------------------------

static void branch_push(struct explorer *ex, struct level *level, uint32_t upto, uint16_t block, uint8_t version)
{
	if (level->stack_count == STACK_MAX) {
		ex->call->sums.cut_short++;
		return;
	}
	struct branch *branch = &level->stack[level->stack_count++];
	memcpy(branch->choices, ex->disk.view.choices, upto * sizeof branch->choices[0]);
	branch->choices[upto] = (struct choice){block, version};
	branch->count = upto + 1;
}

// For each version that this run has chosen the others, with what it had chosen before. One block at most was being written.
static void branches_push(struct explorer *ex, struct level *level)
{
	const struct view *view = &ex->disk.view;
	bool torn = false;

	for (uint32_t i = 0; i < view->given; i++)
		torn = torn || view->choices[i].version >= VERSION_GARBAGE;
	for (uint32_t i = view->given; i < view->choice_count; i++) {
		uint16_t block = view->choices[i].block;
		const struct cell *cell = &level->image.cells[level->image.place[block] - 1];
		for (uint8_t v = 0; v < cell->count; v++)
			if (v != view->choices[i].version)
				branch_push(ex, level, i, block, v);
		for (uint8_t v = VERSION_GARBAGE; !torn && v <= VERSION_TAIL; v++)
			branch_push(ex, level, i, block, v);
	}
}

static bool nest_draw(struct explorer *ex, uint32_t depth)
{
	uint32_t one_in = depth + 1 < ex->call->depth ? ex->call->nest[depth] : 0;

	return one_in != 0 && (ex->nested[depth] == 0 || rand_below(&ex->rand, one_in) == 0);
}

static void recovery_nest(struct explorer *ex, uint32_t depth)
{
	struct level *next = &ex->levels[depth + 1];

	ex->nested[depth]++;
	image_copy(&next->image, &ex->levels[depth].image);
	image_fix(&ex->disk, &next->image);
	explore_cuts(ex, depth + 1);
}

static void boundary(struct explorer *ex, uint32_t depth)
{
	struct level *level = &ex->levels[depth];
	uint32_t verdict = 0, tries = 0;

	ex->call->sums.boundaries++;
	ex->call->sums.writes += level->recording.notes[level->at].kind == NOTE_WRITE;
	ex->call->sums.stands_for[image_bits(&level->image)]++;
	level->stack_count = 1;
	level->stack[0].count = 0;
	while (level->stack_count > 0 && ex->call->violations == 0) {
		if (tries++ == BRANCHES_MAX) {
			ex->call->sums.cut_short++;
			break;
		}
		uint32_t mark = ex->disk.pool_used;
		struct branch *branch = &level->branch;
		*branch = level->stack[--level->stack_count];
		bool nests = nest_draw(ex, depth);
		bool fresh = recovery_get(ex, depth, branch, nests, &verdict);
		if (ex->disk.pool_full || ex->disk.view.full)
			ex->call->sums.cut_short++;
		branches_push(ex, level);
		branch->count = ex->disk.view.choice_count;
		memcpy(branch->choices, ex->disk.view.choices, branch->count * sizeof branch->choices[0]);
		if (!ex->disk.pool_full)
			judge(ex, depth, verdict, fresh);
		if (fresh && nests && ex->call->violations == 0 && !ex->disk.pool_full)
			recovery_nest(ex, depth);
		ex->disk.pool_used = mark;
		ex->disk.pool_full = false;
	}
}

// ---- a recording ---------------------------------------------------------------------------------------------------------------

static void note_begin(struct explorer *ex, struct level *level, const struct note *note)
{
	for (uint32_t i = note->first; i < note->first + note->count; i++)
		image_add(&ex->disk, &level->image, level->recording.written[i].block,
			  level->recording.written[i].content);
}

static void note_end(const struct explorer *ex, struct level *level, const struct note *note)
{
	if (note->kind == NOTE_FLUSH && ex->call->disk != CRASH_DISK_NO_FLUSH)
		image_settle_all(&level->image);
	if (note->kind == NOTE_WRITE && note->fua && ex->call->disk != CRASH_DISK_NO_FUA)
		for (uint32_t i = note->first; i < note->first + note->count; i++)
			image_settle(&level->image, level->recording.written[i].block);
}

void explore_cuts(struct explorer *ex, uint32_t depth)
{
	struct level *level = &ex->levels[depth];

	memo_clear(&level->memo);
	level->verdict_count = 0;
	for (level->at = 0; level->at < level->recording.count && ex->call->violations == 0; level->at++) {
		const struct note *note = &level->recording.notes[level->at];
		note_begin(ex, level, note);
		if (note->kind != NOTE_FLUSH)
			boundary(ex, depth);
		note_end(ex, level, note);
	}
	if (level->recording.full)
		ex->call->sums.cut_short++;
}

err_t cut_replay(struct explorer *ex)
{
	const char *text = ex->call->only;
	uint32_t at = 0, verdict = 0;
	bool wrong = false;

	for (uint32_t depth = 0; depth < CRASH_DEPTH_MAX; depth++) {
		struct level *level = &ex->levels[depth];
		if (!place_next(&text, &at, &level->branch, &wrong))
			break;
		memo_clear(&level->memo);
		level->verdict_count = 0;
		if (at >= level->recording.count || level->recording.notes[at].kind == NOTE_FLUSH)
			return ERR(EINVAL);
		for (level->at = 0; level->at < at; level->at++) {
			note_begin(ex, level, &level->recording.notes[level->at]);
			note_end(ex, level, &level->recording.notes[level->at]);
		}
		note_begin(ex, level, &level->recording.notes[at]);
		for (uint32_t i = 0; i < level->branch.count; i++)
			if (version_is_none(&level->image, &level->branch.choices[i]))
				return ERR(EINVAL);
		(void)recovery_get(ex, depth, &level->branch, true, &verdict);
		judge(ex, depth, verdict, true);
		image_copy(&ex->levels[depth + 1].image, &level->image);
		image_fix(&ex->disk, &ex->levels[depth + 1].image);
	}
	return wrong || *text != '\0' ? ERR(EINVAL) : 0;
}
