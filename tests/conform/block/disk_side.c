// SPDX-License-Identifier: MIT
//
// The kernel's side of the disk tests.
#include "disk_side.h"

#include "kern/block.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/string.h"

#define SECTORS 2048u // of the model

struct model {
	struct block_device *disk;
	struct rand_stream rand;
	uint8_t *bytes, *memory;
	uint32_t unit; // sectors of a logical block
};

static err_t round_do(struct model *model, struct disk_job *job)
{
	uint32_t unit = model->unit, places = SECTORS / unit;
	uint32_t at = rand_below(&model->rand, places) * unit;
	uint32_t sectors = (1 + rand_below(&model->rand, MIN((SECTORS - at) / unit, 128u / unit))) * unit;
	uint8_t *own = model->bytes + (size_t)at * 512;
	size_t size = (size_t)sectors * 512;
	err_t err = 0;

	switch (rand_below(&model->rand, 10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		rand_fill(&model->rand, model->memory, size);
		err = block_write(model->disk, at, model->memory, size,
				  rand_below(&model->rand, 4) == 0 ? BLOCK_FUA : 0);
		memcpy(own, model->memory, size);
		return err;
	case 4:
		memset(own, 0, size);
		return block_zero(model->disk, at, sectors, 0);
	case 5:
		return block_flush(model->disk);
	case 6: // whatever it leaves, until it is written again
		err = block_discard(model->disk, at, sectors);
		return err != 0 ? err : block_read(model->disk, at, own, size);
	default:
		err = block_read(model->disk, at, model->memory, size);
		job->wrong += err == 0 && memcmp(model->memory, own, size) != 0;
		return err;
	}
}

static void run_model(struct block_device *disk, struct disk_job *job)
{
	struct model model = {.disk = disk, .unit = block_logical_bytes(disk) / 512};

	rand_init(&model.rand, job->seed);
	model.bytes = kmalloc(SECTORS * 512, MEM_ZERO);
	model.memory = kmalloc(128 * 512, 0);
	job->err =
		model.bytes == NULL || model.memory == NULL ? -ENOMEM : block_read(disk, 0, model.bytes, SECTORS * 512);
	for (uint32_t i = 0; i < job->rounds && job->err == 0; i++)
		job->failed += round_do(&model, job) != 0;
	if (job->err == 0)
		job->err = block_flush(disk);
	kfree(model.bytes);
	kfree(model.memory);
}

static void version_fill(uint64_t *words, uint32_t place, uint64_t version)
{
	words[0] = version;
	for (uint32_t i = 1; i < DISK_BLOCK / 8; i++)
		words[i] = disk_word(place, version, i);
}

// Up to four writes at once, each to a place of its own; a FLUSH when they are done, every other time.
static void run_journal(struct block_device *disk, struct disk_job *job)
{
	uint64_t *memory = kmalloc(4 * DISK_BLOCK, 0);
	struct block_request requests[4];
	struct block_segment segments[4];
	struct block_batch batch;
	struct rand_stream rand;

	rand_init(&rand, job->seed);
	job->err = memory == NULL ? -ENOMEM : 0;
	for (uint32_t round = 1; round <= job->rounds && job->err == 0; round++) {
		uint32_t first = rand_below(&rand, DISK_PLACES), count = 1 + rand_below(&rand, 4);
		block_batch_init(&batch);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t place = (first + i * 7) % DISK_PLACES;
			uint64_t *words = memory + (size_t)i * DISK_BLOCK / 8;
			version_fill(words, place, round);
			job->begun[place] = round;
			segments[i] = (struct block_segment){words, DISK_BLOCK};
			requests[i] = (struct block_request){.device = disk,
							     .op = BLOCK_WRITE,
							     .sector = place * (DISK_BLOCK / 512),
							     .sectors = DISK_BLOCK / 512,
							     .segments = &segments[i],
							     .segment_count = 1};
			block_batch_add(&batch, &requests[i]);
		}
		job->err = block_batch_wait(&batch);
		for (uint32_t i = 0; i < count && job->err == 0; i++)
			job->ended[(first + i * 7) % DISK_PLACES] = round;
		if (job->err == 0 && rand_below(&rand, 2) == 0) {
			job->err = block_flush(disk);
			if (job->err == 0)
				memcpy(job->durable, job->ended, sizeof job->durable);
		}
	}
	kfree(memory);
}

// Reads of one block each, all at once, twice the depth of any queue.
#define STORM 128u
static void run_storm(struct block_device *disk, struct disk_job *job)
{
	struct block_request *requests = kmalloc(STORM * sizeof *requests, MEM_ZERO);
	struct block_segment *segments = kmalloc(STORM * sizeof *segments, MEM_ZERO);
	uint8_t *memory = kmalloc(STORM * DISK_BLOCK, 0);
	struct block_batch batch;

	job->err = requests == NULL || segments == NULL || memory == NULL ? -ENOMEM : 0;
	for (uint32_t round = 0; round < job->rounds && job->err == 0; round++) {
		block_batch_init(&batch);
		for (uint32_t i = 0; i < STORM; i++) {
			segments[i] = (struct block_segment){memory + (size_t)i * DISK_BLOCK, DISK_BLOCK};
			requests[i] = (struct block_request){.device = disk,
							     .op = BLOCK_READ,
							     .sector = (i * 37 % DISK_PLACES) * 8,
							     .sectors = 8,
							     .segments = &segments[i],
							     .segment_count = 1};
			block_batch_add(&batch, &requests[i]);
		}
		(void)!block_batch_wait(&batch);
		for (uint32_t i = 0; i < STORM; i++)
			job->failed += requests[i].error != 0;
	}
	kfree(memory);
	kfree(segments);
	kfree(requests);
}

// The host's memory is not the kernel's: disks move bytes from and to that alone.
static void run_read(struct block_device *disk, struct disk_job *job)
{
	uint8_t *memory = kmalloc(DISK_BLOCK, 0);

	job->err = memory == NULL ? -ENOMEM : block_read(disk, (uint64_t)job->place * 8, memory, DISK_BLOCK);
	if (job->err == 0)
		memcpy(job->bytes, memory, DISK_BLOCK);
	kfree(memory);
}

int64_t tb_disk_job(void *arg)
{
	static void (*const runs[])(struct block_device *, struct disk_job *) = {[DISK_MODEL] = run_model,
										 [DISK_JOURNAL] = run_journal,
										 [DISK_READ] = run_read,
										 [DISK_STORM] = run_storm};
	struct disk_job *job = arg;
	struct block_device *disk = NULL;

	job->err = block_open("disk0", true, "test", &disk);
	if (job->err == 0) {
		runs[job->kind](disk, job);
		err_t checked = block_check();
		block_close(disk, true);
		job->err = job->err != 0 ? job->err : checked;
	}
	return job->err;
}
