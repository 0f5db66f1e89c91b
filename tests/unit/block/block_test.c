// SPDX-License-Identifier: MIT
//
// Requests and commands: what is merged, cut, flushed and refused, what fails, who may use a device, and many threads at once.
#include "../sync/sync_test.h"
#include "testdisk.h"

#include "kern/mem.h"
#include "kern/string.h"

// Requests that were submitted together, each of `sectors` at `at`.
struct run {
	struct block_request requests[16];
	struct block_segment segments[16];
	struct block_batch batch;
	uint8_t *memory;
	uint32_t count;
};

static bool run_init(struct run *run)
{
	memset(run, 0, sizeof *run);
	run->memory = kmalloc(16 * 8192, MEM_ZERO);
	block_batch_init(&run->batch);
	return run->memory != NULL;
}

static struct block_request *run_add(struct run *run, struct testdisk *disk, uint32_t op, uint64_t at, uint32_t sectors)
{
	uint32_t n = run->count++;
	run->segments[n] = (struct block_segment){run->memory + (size_t)n * 8192, sectors * SECTOR_SIZE};
	run->requests[n] = (struct block_request){.device = disk->device, .op = op, .sector = at, .sectors = sectors};
	if (op == BLOCK_READ || op == BLOCK_WRITE) {
		run->requests[n].segments = &run->segments[n];
		run->requests[n].segment_count = 1;
	}
	return &run->requests[n];
}

// A write that is held keeps all commands but one waiting, so that what follows is looked at together.
static void fill_depth(struct run *run, struct testdisk *disk)
{
	testdisk_hold(disk);
	for (uint32_t i = 0; i < TESTDISK_DEPTH; i++)
		block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 1000 + i * 100, 1));
}

static uint32_t run_end(TEST_RUN, struct run *run, struct testdisk *disk)
{
	testdisk_release(disk);
	CHECK_EQ(block_batch_wait(&run->batch), 0);
	kfree(run->memory);
	return atomic_load_u32_relaxed(&disk->count) - TESTDISK_DEPTH;
}

TEST(block, neighbours_become_one_command)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.sectors = 0});
	struct run *run = kmalloc(sizeof *run, 0);
	REQUIRE(disk != NULL && run != NULL && run_init(run));
	fill_depth(run, disk);
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 104, 4));
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 108, 4)); // behind
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_READ, 112, 4));  // another operation
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 100, 4)); // before
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 90, 8));  // not touching
	for (uint32_t i = 4; i < 9; i++)
		memset(run->memory + (size_t)i * 8192, (int)i, 8192);
	CHECK_EQ(run_end(test_run_, run, disk), 3);
	const struct testdisk_entry *first = &disk->log[TESTDISK_DEPTH];
	CHECK_EQ(first->sector, 100);
	CHECK_EQ(first->sectors, 12);
	CHECK_EQ(first->segments, 3);
	CHECK_EQ(disk->bytes[100 * 512], 7);
	CHECK_EQ(disk->bytes[104 * 512], 4);
	CHECK_EQ(disk->bytes[111 * 512], 5);
	CHECK_EQ(disk->bytes[97 * 512], 8);
	kfree(run);
	CHECK_EQ(block_check(), 0);
	CHECK_EQ(testdisk_free(disk), 0);
}

TEST(block, a_command_stays_within_the_limits)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.segments = 2});
	struct run *run = kmalloc(sizeof *run, 0);
	REQUIRE(disk != NULL && run != NULL && run_init(run));
	fill_depth(run, disk);
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 100, 4));
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 104, 4));
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 108, 4)); // the third segment
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 200, 10));
	block_batch_add(&run->batch, run_add(run, disk, BLOCK_WRITE, 210, 10)); // the 20th sector
	CHECK_EQ(run_end(test_run_, run, disk), 4);
	for (uint32_t i = 0; i < 4; i++) {
		CHECK(disk->log[TESTDISK_DEPTH + i].sectors <= 16);
		CHECK(disk->log[TESTDISK_DEPTH + i].segments <= 2);
	}
	kfree(run);
	CHECK_EQ(testdisk_free(disk), 0);
}

// Many segments and many sectors, in pieces that have nothing to do with each other's ends.
TEST(block, a_large_request_is_cut)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_VOLATILE});
	uint8_t *memory = kmalloc(200 * 512, 0);
	struct block_segment segments[] = {{memory, 512},
					   {memory + 512, 512 * 40},
					   {memory + 512 * 41, 512 * 3},
					   {memory + 512 * 44, 512},
					   {memory + 512 * 45, 512},
					   {memory + 512 * 46, 512},
					   {memory + 512 * 47, 512 * 153}};
	struct block_request request = {.op = BLOCK_WRITE, .sector = 77, .sectors = 200, .segments = segments};
	struct block_batch batch;
	REQUIRE(disk != NULL && memory != NULL);
	for (uint32_t i = 0; i < 200 * 512; i++)
		memory[i] = (uint8_t)(i / 512 + i);
	request.device = disk->device;
	request.segment_count = array_count(segments);
	block_batch_init(&batch);
	block_batch_add(&batch, &request);
	CHECK_EQ(block_batch_wait(&batch), 0);
	CHECK(memcmp(disk->bytes + 77 * 512, memory, 200 * 512) == 0);
	CHECK(atomic_load_u32_relaxed(&disk->count) >= 13);
	memset(memory, 0, 200 * 512);
	CHECK_EQ(block_read(disk->device, 77, memory, 200 * 512), 0);
	CHECK(memcmp(disk->bytes + 77 * 512, memory, 200 * 512) == 0);
	kfree(memory);
	CHECK_EQ(block_check(), 0);
	CHECK_EQ(testdisk_free(disk), 0);
}

TEST(block, flushes_that_wait_become_one)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_VOLATILE});
	struct run *run = kmalloc(sizeof *run, 0);
	REQUIRE(disk != NULL && run != NULL && run_init(run));
	fill_depth(run, disk);
	for (uint32_t i = 0; i < 5; i++)
		block_batch_add(&run->batch, run_add(run, disk, BLOCK_FLUSH, 0, 0));
	CHECK_EQ(run_end(test_run_, run, disk), 1);
	CHECK_EQ(disk->log[TESTDISK_DEPTH].op, BLOCK_FLUSH);
	kfree(run);
	CHECK_EQ(testdisk_free(disk), 0);
}

static uint32_t commands_of(struct testdisk *disk)
{
	return atomic_load_u32_relaxed(&disk->count);
}

TEST(block, fua_where_the_device_has_none)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_VOLATILE});
	uint8_t *memory = kmalloc(64 * 512, MEM_ZERO);
	REQUIRE(disk != NULL && memory != NULL);
	CHECK_EQ(block_write(disk->device, 8, memory, 512, BLOCK_FUA), 0);
	CHECK_EQ(commands_of(disk), 2);
	CHECK_EQ(disk->log[0].op, BLOCK_WRITE);
	CHECK_EQ(disk->log[1].op, BLOCK_FLUSH);
	CHECK_EQ(block_write(disk->device, 8, memory, 64 * 512, BLOCK_FUA), 0); // in four parts, and one flush
	CHECK_EQ(commands_of(disk), 7);
	CHECK_EQ(disk->log[6].op, BLOCK_FLUSH);
	atomic_store_u32_relaxed(&disk->fail_op, BLOCK_FLUSH);
	CHECK_EQ(block_write(disk->device, 8, memory, 512, BLOCK_FUA), -EIO);
	atomic_store_u32_relaxed(&disk->fail_op, BLOCK_OP_COUNT);
	CHECK_EQ(testdisk_free(disk), 0);

	disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_VOLATILE | BLOCK_HAS_FUA});
	REQUIRE(disk != NULL);
	CHECK_EQ(block_write(disk->device, 8, memory, 512, BLOCK_FUA), 0);
	CHECK_EQ(commands_of(disk), 1);
	CHECK_EQ(disk->log[0].flags, BLOCK_FUA);
	CHECK_EQ(testdisk_free(disk), 0);

	disk = testdisk_make(&(struct testdisk_params){.flags = 0}); // has no cache: nothing to flush
	REQUIRE(disk != NULL);
	CHECK_EQ(block_write(disk->device, 8, memory, 512, BLOCK_FUA), 0);
	CHECK_EQ(block_flush(disk->device), 0);
	CHECK_EQ(commands_of(disk), 1);
	CHECK_EQ(testdisk_free(disk), 0);
	kfree(memory);
}

TEST(block, zeroes_where_the_device_has_none)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.flags = 0});
	REQUIRE(disk != NULL);
	memset(disk->bytes, 0xee, 2048 * 512);
	CHECK_EQ(block_zero(disk->device, 300, 700, 0), 0);
	CHECK_EQ(disk->log[0].op, BLOCK_WRITE);
	CHECK_EQ(disk->bytes[300 * 512 - 1], 0xee);
	CHECK_EQ(disk->bytes[300 * 512], 0);
	CHECK_EQ(disk->bytes[1000 * 512 - 1], 0);
	CHECK_EQ(disk->bytes[1000 * 512], 0xee);
	CHECK_EQ(block_discard(disk->device, 0, 8), -EOPNOTSUPP);
	CHECK_EQ(testdisk_free(disk), 0);

	disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_HAS_ZERO | BLOCK_HAS_DISCARD});
	REQUIRE(disk != NULL);
	memset(disk->bytes, 0xee, 2048 * 512);
	CHECK_EQ(block_zero(disk->device, 300, 700, 0), 0);
	CHECK_EQ(commands_of(disk), 1);
	CHECK_EQ(disk->bytes[999 * 512], 0);
	CHECK_EQ(block_discard(disk->device, 0, 8), 0);
	CHECK_EQ(testdisk_free(disk), 0);
}

TEST(block, bad_requests_are_refused)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.logical_bytes = 4096});
	uint8_t *memory = kmalloc(8192, MEM_ZERO);
	REQUIRE(disk != NULL && memory != NULL);
	struct block_segment segment = {memory, 4096};
	struct block_request request = {.device = disk->device,
					.op = BLOCK_WRITE,
					.sector = 8,
					.sectors = 16,
					.segments = &segment,
					.segment_count = 1};
	struct block_batch batch;
	block_batch_init(&batch);
	block_batch_add(&batch, &request); // more sectors than its segments have
	CHECK_EQ(block_batch_wait(&batch), -EINVAL);
	CHECK_EQ(block_read(disk->device, 4, memory, 4096), -EINVAL);
	CHECK_EQ(block_read(disk->device, 8, memory, 512), -EINVAL);
	CHECK_EQ(block_read(disk->device, 2048, memory, 4096), -EIO);
	CHECK_EQ(block_read(disk->device, UINT64_MAX - 7, memory, 4096), -EIO);
	CHECK_EQ(block_zero(disk->device, 8, UINT64_MAX - 7, 0), -EIO);
	CHECK_EQ(block_read(disk->device, 2040, memory, 8192), -EIO);
	request = (struct block_request){.device = disk->device, .op = BLOCK_OP_COUNT, .sectors = 8};
	block_batch_init(&batch);
	block_batch_add(&batch, &request);
	CHECK_EQ(block_batch_wait(&batch), -EINVAL);
	CHECK_EQ(commands_of(disk), 0);
	CHECK_EQ(testdisk_free(disk), 0);
	disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_READ_ONLY | BLOCK_VOLATILE});
	REQUIRE(disk != NULL);
	CHECK_EQ(block_write(disk->device, 0, memory, 512, 0), -EROFS);
	CHECK_EQ(block_zero(disk->device, 0, 1, 0), -EROFS);
	CHECK_EQ(block_read(disk->device, 0, memory, 512), 0);
	CHECK_EQ(testdisk_free(disk), 0);
	kfree(memory);
}

TEST(block, a_failure_is_that_request_s_alone)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.sectors = 0});
	uint8_t *memory = kmalloc(64 * 512, MEM_ZERO);
	struct block_info info;
	REQUIRE(disk != NULL && memory != NULL);
	disk->fail_sector = 40;
	atomic_store_u32_relaxed(&disk->fail_op, BLOCK_WRITE);
	CHECK_EQ(block_write(disk->device, 0, memory, 64 * 512, 0), -EIO); // in parts; one of them fails
	CHECK_EQ(block_write(disk->device, 48, memory, 8 * 512, 0), 0);
	CHECK_EQ(block_write(disk->device, 40, memory, 512, 0), -EIO);
	CHECK_EQ(block_read(disk->device, 40, memory, 512), 0);
	block_device_info(disk->device, &info);
	CHECK_EQ(info.stats.errors, 2);
	CHECK_EQ(info.stats.pending, 0);
	CHECK_EQ(info.stats.under_way, 0);
	CHECK_EQ(block_check(), 0);
	CHECK_EQ(testdisk_free(disk), 0);
	kfree(memory);
}

TEST(block, who_may_have_it)
{
	struct testdisk *disk = testdisk_make(&(struct testdisk_params){.sectors = 0});
	struct block_device *one = NULL, *two = NULL;
	REQUIRE(disk != NULL);
	const char *name = block_name(disk->device);
	CHECK_EQ(block_open("nothing", false, NULL, &one), -ENODEV);
	CHECK_EQ(block_open(name, true, "a test", &one), 0);
	CHECK_EQ(block_open(name, true, "another", &two), -EBUSY);
	CHECK_EQ(block_open(name, false, NULL, &two), 0);
	CHECK_EQ(block_remove(disk->device), -EBUSY);
	CHECK_EQ(block_remove_by_name(name), -EPERM); // no device that was made at run time
	block_close(two, false);
	block_close(one, true);
	CHECK_EQ(block_remove_by_name(name), -EPERM);
	CHECK_EQ(testdisk_free(disk), 0);
	CHECK_EQ(ramdisk_create(65536, 512, 4096, &one), 0);
	name = block_name(one);
	CHECK_EQ(block_open(name, false, NULL, &two), 0);
	CHECK_EQ(block_remove_by_name(name), -EBUSY);
	block_close(two, false);
	CHECK_EQ(block_remove_by_name(name), 0);
}

// ---- many at once -----------------------------------------------------------------------------------------------------------

#define CROWD 4u
#define SHARE 256u // sectors of each

struct crowd {
	struct testdisk *disk;
	uint32_t rounds;
	uint32_t wrong; // atomic
};

struct member {
	struct crowd *crowd;
	uint32_t index;
};

static void round_run(struct crowd *crowd, struct rand_stream *rand, uint8_t *model, uint8_t *memory, uint64_t base)
{
	uint32_t at = rand_below(rand, SHARE), sectors = 1 + rand_below(rand, MIN(SHARE - at, 40u));
	struct block_device *device = crowd->disk->device;
	err_t err = 0;

	switch (rand_below(rand, 8)) {
	case 0:
	case 1:
	case 2:
		rand_fill(rand, memory, (size_t)sectors * 512);
		err = block_write(device, base + at, memory, (size_t)sectors * 512, rand_below(rand, 2) * BLOCK_FUA);
		memcpy(model + (size_t)at * 512, memory, (size_t)sectors * 512);
		break;
	case 3:
		err = block_flush(device);
		break;
	case 4:
		err = block_zero(device, base + at, sectors, 0);
		memset(model + (size_t)at * 512, 0, (size_t)sectors * 512);
		break;
	default:
		err = block_read(device, base + at, memory, (size_t)sectors * 512);
		if (memcmp(memory, model + (size_t)at * 512, (size_t)sectors * 512) != 0)
			(void)atomic_fetch_add_u32_relaxed(&crowd->wrong, 1);
	}
	if (err != 0)
		(void)atomic_fetch_add_u32_relaxed(&crowd->wrong, 1);
}

static void member_main(void *arg)
{
	const struct member *member = arg;
	uint8_t *model = kmalloc(SHARE * 512, MEM_ZERO), *memory = kmalloc(40 * 512, 0);
	struct rand_stream rand;

	rand_open(&rand, "crowd", member->index);
	for (uint32_t i = 0; i < member->crowd->rounds && model != NULL && memory != NULL; i++)
		round_run(member->crowd, &rand, model, memory, (uint64_t)member->index * SHARE);
	if (model == NULL || memory == NULL)
		(void)atomic_fetch_add_u32_relaxed(&member->crowd->wrong, 1);
	kfree(model);
	kfree(memory);
}

TEST_CPUS(block, many_threads_on_one_device, 2)
{
	struct crowd crowd = {.rounds = loops(200, 12)};
	struct member members[CROWD];
	struct thread *threads[CROWD];
	crowd.disk = testdisk_make(&(struct testdisk_params){.flags = BLOCK_VOLATILE});
	REQUIRE(crowd.disk != NULL);
	for (uint32_t i = 0; i < CROWD; i++) {
		members[i] = (struct member){&crowd, i};
		threads[i] =
			spawn(test_run_, &(struct spawn){"crowd", CLASS_FAIR, 0, ANY_CPU}, member_main, &members[i]);
	}
	for (uint32_t i = 0; i < CROWD; i++)
		join(test_run_, threads[i]);
	CHECK_EQ(atomic_load_u32_relaxed(&crowd.wrong), 0);
	CHECK_EQ(block_check(), 0);
	CHECK_EQ(testdisk_free(crowd.disk), 0); // and nobody is at work in it any more
}
