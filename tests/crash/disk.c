// SPDX-License-Identifier: MIT
//
// The disk, and what it may hold when the power comes back. It answers at once; contents of a block are made once and pointed to, so that an image is a list of
// what differs from the volume as it was made.
#include "crash.h"

#include "../support/memdisk.h"

#define TORN_SECTORS (CRASH_BLOCK / SECTOR_SIZE)

// ---- contents --------------------------------------------------------------------------------------------------------------

static struct content *content_new(struct crash_disk_state *disk)
{
	if (disk->pool_used == POOL_BLOCKS) {
		disk->pool_full = true;
		return &disk->pool[POOL_BLOCKS - 1];
	}
	return &disk->pool[disk->pool_used++];
}

void content_seal(struct content *content)
{
	content->hash = checksum_xxh3(content->bytes, CRASH_BLOCK, 17);
}

// ---- images ----------------------------------------------------------------------------------------------------------------

void image_clear(struct image *image)
{
	memset(image->place, 0, sizeof image->place);
	image->count = 0;
}

void image_copy(struct image *to, const struct image *from)
{
	memcpy(to->place, from->place, sizeof to->place);
	memcpy(to->cells, from->cells, from->count * sizeof from->cells[0]);
	to->count = from->count;
}

static struct cell *cell_get(struct crash_disk_state *disk, struct image *image, uint32_t block)
{
	if (image->place[block] == 0) {
		struct cell *made = &image->cells[image->count++];
		*made = (struct cell){.block = (uint16_t)block, .count = 1};
		made->versions[0] = &disk->base[block];
		image->place[block] = (uint16_t)image->count;
	}
	return &image->cells[image->place[block] - 1];
}

// When there are too many, one in the middle is forgotten: the oldest is what a FLUSH has covered.
void image_add(struct crash_disk_state *disk, struct image *image, uint32_t block, const struct content *content)
{
	struct cell *cell = cell_get(disk, image, block);

	if (cell->versions[cell->count - 1]->hash == content->hash)
		return;
	if (cell->count == VERSIONS_MAX)
		memmove(&cell->versions[1], &cell->versions[2], (--cell->count - 1) * sizeof cell->versions[0]);
	cell->versions[cell->count++] = content;
}

static void cell_settle(struct cell *cell, const struct content *content)
{
	cell->versions[0] = content;
	cell->count = 1;
}

void image_settle(struct image *image, uint32_t block)
{
	if (image->place[block] == 0)
		return;
	struct cell *cell = &image->cells[image->place[block] - 1];
	cell_settle(cell, cell->versions[cell->count - 1]);
}

void image_settle_all(struct image *image)
{
	for (uint32_t i = 0; i < image->count; i++)
		cell_settle(&image->cells[i], image->cells[i].versions[image->cells[i].count - 1]);
}

void image_fix(struct crash_disk_state *disk, struct image *image)
{
	const struct view *view = &disk->view;

	for (uint32_t i = 0; i < view->choice_count; i++) {
		uint32_t block = view->choices[i].block;
		struct cell *cell = cell_get(disk, image, block);
		cell_settle(cell, view->resolved[block]);
	}
}

uint32_t image_bits(const struct image *image)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < image->count; i++)
		bits += bit_highest_u32(image->cells[i].count);
	return MIN(bits, CRASH_BITS - 1);
}

const struct content *image_newest(const struct crash_disk_state *disk, const struct image *image, uint32_t block)
{
	if (image->place[block] == 0)
		return &disk->base[block];
	const struct cell *cell = &image->cells[image->place[block] - 1];
	return cell->versions[cell->count - 1];
}

bool version_is_none(const struct image *image, const struct choice *choice)
{
	if (choice->block >= DISK_BLOCKS)
		return true;
	uint32_t count = image->place[choice->block] == 0 ? 1 : image->cells[image->place[choice->block] - 1].count;
	return choice->version >= count && (choice->version < VERSION_GARBAGE || choice->version > VERSION_FLIP);
}

// ---- what a run sees -------------------------------------------------------------------------------------------------------

// In a byte that is not zero, where there is one: nobody looks at what fills up a block.
static void bit_flip(uint8_t *bytes, struct rand_stream *rand)
{
	uint32_t filled = 0, at = 0;

	for (uint32_t i = 0; i < CRASH_BLOCK; i++)
		filled += bytes[i] != 0;
	for (uint32_t left = rand_below(rand, MAX(filled, 1u)); at < CRASH_BLOCK - 1; at++)
		if (filled == 0 || (bytes[at] != 0 && left-- == 0))
			break;
	bytes[at] ^= (uint8_t)(1u << rand_below(rand, 8));
}

// The block that was being written, by kind; or one with a bit that has flipped.
static const struct content *content_damage(struct crash_disk_state *disk, const struct cell *cell, uint32_t block,
					    uint8_t kind)
{
	const struct content *newest = cell == NULL ? &disk->base[block] : cell->versions[cell->count - 1];
	const struct content *older =
		cell == NULL || cell->count < 2 ? &disk->base[block] : cell->versions[cell->count - 2];
	uint32_t cut = (1 + (uint32_t)(newest->hash % (TORN_SECTORS - 1))) * SECTOR_SIZE;
	struct content *made = content_new(disk);
	struct rand_stream rand;

	memcpy(made->bytes, newest->bytes, CRASH_BLOCK);
	rand_init(&rand, newest->hash ^ kind);
	if (kind == VERSION_GARBAGE)
		rand_fill(&rand, made->bytes, CRASH_BLOCK);
	else if (kind == VERSION_HEAD)
		memcpy(made->bytes + cut, older->bytes + cut, CRASH_BLOCK - cut);
	else if (kind == VERSION_TAIL)
		memcpy(made->bytes, older->bytes, cut);
	else
		bit_flip(made->bytes, &rand);
	content_seal(made);
	return made;
}

static void view_resolve(struct crash_disk_state *disk, uint32_t block, uint8_t version)
{
	struct view *view = &disk->view;
	const struct cell *cell =
		view->image->place[block] == 0 ? NULL : &view->image->cells[view->image->place[block] - 1];

	view->chosen[block] = (uint8_t)(version + 1);
	if (version >= VERSION_GARBAGE)
		view->resolved[block] = content_damage(disk, cell, block, version);
	else
		view->resolved[block] = cell == NULL ? &disk->base[block] : cell->versions[version];
}

void view_begin(struct crash_disk_state *disk, const struct image *image, const struct choice *choices, uint32_t count)
{
	struct view *view = &disk->view;

	memset(view, 0, sizeof *view);
	view->image = image;
	view->given = view->choice_count = count;
	for (uint32_t i = 0; i < count; i++) {
		view->choices[i] = choices[i];
		view_resolve(disk, choices[i].block, choices[i].version);
	}
}

static void view_choose(struct crash_disk_state *disk, uint32_t block, uint8_t version)
{
	struct view *view = &disk->view;

	view_resolve(disk, block, version);
	if (view->choice_count == CHOICES_MAX)
		view->full = true;
	else
		view->choices[view->choice_count++] = (struct choice){(uint16_t)block, version};
}

static const struct content *view_initial(struct crash_disk_state *disk, uint32_t block)
{
	struct view *view = &disk->view;
	const struct image *image = view->image;

	if (view->chosen[block] != 0)
		return view->resolved[block];
	if (image == NULL || image->place[block] == 0)
		return &disk->base[block];
	const struct cell *cell = &image->cells[image->place[block] - 1];
	if (cell->count == 1)
		return cell->versions[0];
	view_choose(disk, block, (uint8_t)(cell->count - 1));
	return view->resolved[block];
}

const struct content *view_look(struct crash_disk_state *disk, uint32_t block)
{
	struct view *view = &disk->view;

	if (view->own[block] != NULL)
		return view->own[block];
	const struct content *content = view_initial(disk, block);
	if (!view->seen[block] && view->read_count < READS_MAX) {
		view->seen[block] = 1;
		view->reads[view->read_count].block = (uint16_t)block;
		view->reads[view->read_count++].hash = content->hash;
	}
	return content;
}

// ---- the device ------------------------------------------------------------------------------------------------------------

void disk_note(struct crash_disk_state *disk, uint8_t kind)
{
	struct recording *recording = disk->recording;

	if (recording == NULL)
		return;
	if (recording->count == NOTES_MAX) {
		recording->full = true;
		return;
	}
	recording->notes[recording->count++] = (struct note){
		.kind = kind, .first = recording->written_count, .step = disk->step, .synced = disk->synced};
}

static void block_note(struct crash_disk_state *disk, uint32_t block, const struct content *content)
{
	struct recording *recording = disk->recording;

	disk->view.own[block] = content;
	if (recording == NULL || recording->count == 0)
		return;
	if (recording->written_count == WRITTEN_MAX) {
		recording->full = true;
		return;
	}
	recording->written[recording->written_count++] = (struct written){(uint16_t)block, content};
	recording->notes[recording->count - 1].count++;
}

static void disk_write(struct crash_disk_state *disk, const struct block_command *command)
{
	uint64_t at = command->sector << SECTOR_SHIFT;
	struct content *open = NULL;
	uint32_t block = 0;

	disk_note(disk, NOTE_WRITE);
	if (disk->recording != NULL && !disk->recording->full)
		disk->recording->notes[disk->recording->count - 1].fua = (command->flags & BLOCK_FUA) != 0;
	for (uint32_t i = 0; i < command->segment_count; i++) {
		const uint8_t *from = command->segments[i].at;
		uint32_t left = command->segments[i].size_bytes;
		while (left > 0) {
			uint32_t into = at % CRASH_BLOCK, piece = MIN(left, CRASH_BLOCK - into);
			if (open == NULL) {
				block = (uint32_t)(at / CRASH_BLOCK);
				open = content_new(disk);
				if (piece < CRASH_BLOCK) // what is written whole has not been read
					memcpy(open->bytes, view_look(disk, block)->bytes, CRASH_BLOCK);
			}
			memcpy(open->bytes + into, from, piece);
			from += piece;
			at += piece;
			left -= piece;
			if (at % CRASH_BLOCK == 0 || (left == 0 && i + 1 == command->segment_count)) {
				if (disk->recording != NULL)
					content_seal(open);
				block_note(disk, block, open);
				open = NULL;
			}
		}
	}
}

static void disk_read(struct crash_disk_state *disk, const struct block_command *command)
{
	uint64_t at = command->sector << SECTOR_SHIFT;

	for (uint32_t i = 0; i < command->segment_count; i++) {
		uint8_t *to = command->segments[i].at;
		uint32_t left = command->segments[i].size_bytes;
		while (left > 0) {
			uint32_t into = at % CRASH_BLOCK, piece = MIN(left, CRASH_BLOCK - into);
			const struct content *content = view_look(disk, (uint32_t)(at / CRASH_BLOCK));
			memcpy(to, content->bytes + into, piece);
			to += piece;
			at += piece;
			left -= piece;
		}
	}
}

static void disk_start(struct block_command *command)
{
	struct crash_disk_state *disk = block_data(command->device);

	if (command->op == BLOCK_WRITE)
		disk_write(disk, command);
	else if (command->op == BLOCK_READ)
		disk_read(disk, command);
	else if (command->op == BLOCK_FLUSH)
		disk_note(disk, NOTE_FLUSH);
	block_command_done(command, 0);
}

static const struct block_driver disk_driver = {.model = "crash disk", .start = disk_start};

bool disk_make(struct crash_disk_state *disk)
{
	struct block_limits limits = memdisk_limits(DISK_BYTES);

	disk->base = range_alloc(DISK_BLOCKS * sizeof *disk->base, MEM_ZERO, NULL);
	disk->pool = range_alloc(POOL_BLOCKS * sizeof *disk->pool, 0, NULL);
	if (disk->base == NULL || disk->pool == NULL)
		return false;
	for (uint32_t i = 0; i < DISK_BLOCKS; i++)
		content_seal(&disk->base[i]);
	view_begin(disk, NULL, NULL, 0);
	return block_add(DEVICE, &disk_driver, &limits, disk, &disk->device) == 0;
}

void disk_freeze(struct crash_disk_state *disk)
{
	for (uint32_t i = 0; i < DISK_BLOCKS; i++)
		if (disk->view.own[i] != NULL) {
			memcpy(disk->base[i].bytes, disk->view.own[i]->bytes, CRASH_BLOCK);
			content_seal(&disk->base[i]);
		}
	disk->pool_used = 0;
	view_begin(disk, NULL, NULL, 0);
}
