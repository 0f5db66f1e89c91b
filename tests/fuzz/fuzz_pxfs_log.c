// SPDX-License-Identifier: MIT
//
// Fuzz target: the log of PXFS. A volume whose power went behind some fsyncs has several batches behind its checkpoint. The input changes them, their records and what
// these point to, takes batches away or puts one in another's place; then chain and checksums are made right again. The volume is checked and mounted for reading,
// which may change nothing on the disk, then repaired, or mounted, walked, written to. It may be refused; then all that the checkpoint had must still be there.
#include "pxfs_image.h"

#include "../../src/fs/pxfs/log_impl.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/process.h"
#include "kern/vfs.h"

#define IMAGE_BYTES MIB(8)
#define BATCHES_MAX 8u
#define BASE_BYTES 70000u

struct bench {
	struct image image;
	uint8_t *before; // the disk, before something that may not change it
	uint64_t super_at, log_at, log_bytes;
	uint64_t at[BATCHES_MAX]; // bytes on the disk
	uint32_t count;
};

static struct process *root(void)
{
	return image_process();
}

// ---- a sound one --------------------------------------------------------------------------------------------------------------------

static void file_sync(const char *path, uint64_t offset, uint32_t size, uint8_t with)
{
	uint8_t *bytes = kmalloc(size, 0);
	size_t done = 0;
	int32_t fd = -1;

	VERIFY(bytes != NULL);
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * with ^ i >> 7);
	VERIFY(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd) == 0);
	VERIFY(vfs_pwrite(root(), fd, bytes, size, offset, &done) == 0 && done == size);
	VERIFY(vfs_fsync(root(), fd) == 0);
	VERIFY(vfs_close(root(), fd) == 0);
	kfree(bytes);
}

// Each is a batch: new files, one over another's middle, names that move and go, a reflink, a link.
static void batches_make(void)
{
	int32_t from = -1, to = -1;

	file_sync("/p/a", 0, 40000, 3);
	file_sync("/p/base", 8192, 20000, 5);
	VERIFY(vfs_unlink(root(), TB_AT_FDCWD, "/p/d/file3", 0) == 0);
	VERIFY(vfs_rename(root(), TB_AT_FDCWD, "/p/d/file4", TB_AT_FDCWD, "/p/d/moved", 0) == 0);
	file_sync("/p/small", 0, 900, 7);
	VERIFY(vfs_open(root(), TB_AT_FDCWD, "/p/base", TB_O_RDONLY, 0, &from) == 0);
	VERIFY(vfs_open(root(), TB_AT_FDCWD, "/p/copy", TB_O_RDWR | TB_O_CREAT, 0644, &to) == 0);
	VERIFY(vfs_ioctl(root(), to, TB_FICLONE, &from) == 0);
	VERIFY(vfs_fsync(root(), to) == 0);
	VERIFY(vfs_close(root(), from) == 0 && vfs_close(root(), to) == 0);
	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p/e", 0755) == 0);
	VERIFY(vfs_link(root(), TB_AT_FDCWD, "/p/a", TB_AT_FDCWD, "/p/e/hard", 0) == 0);
	file_sync("/p/e/b", 4096, 30000, 11);
}

static void places_find(struct bench *bench)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;

	VERIFY(volume_open(block_name(bench->image.device), true, &volume, &problem) == 0);
	bench->super_at = le64_get(&volume->super.address) << SECTOR_SHIFT;
	bench->log_at = volume->log.address << SECTOR_SHIFT;
	bench->log_bytes = volume->log.sectors << SECTOR_SHIFT;
	uint64_t generation = volume->generation - 1;
	volume_abandon(volume);
	bench->count = 0;
	for (uint64_t at = 0; at < bench->log_bytes && bench->count < BATCHES_MAX; at += 4096) {
		const struct pxfs_log_header *header =
			(const struct pxfs_log_header *)(bench->image.bytes + bench->log_at + at);
		if (le32_get(&header->magic) == PXFS_LOG_MAGIC && le64_get(&header->generation) == generation)
			bench->at[bench->count++] = bench->log_at + at;
	}
}

static struct bench *bench_get(void)
{
	static struct bench bench;
	struct image *image = &bench.image;
	char path[32];

	if (bench.before != NULL)
		return &bench;
	bench.before = range_alloc(IMAGE_BYTES, 0, NULL);
	VERIFY(bench.before != NULL);
	image_make(image, "image", IMAGE_BYTES, &(struct pxfs_format_params){.copies = 1});
	VERIFY(image_mount(image, 0, "") == 0);
	VERIFY(vfs_mkdir(root(), TB_AT_FDCWD, "/p/d", 0755) == 0);
	for (uint32_t i = 0; i < 12; i++) {
		ksnprintf(path, sizeof path, "/p/d/file%u", i);
		image_file_make(path, 100 + 400 * i, 3 + i);
	}
	image_file_make("/p/base", BASE_BYTES, 251);
	image_umount();
	image_request(image, TB_PXFS_SNAPSHOT, "snap", "");
	image_keep(image);
	for (uint32_t tries = 0; tries < 20 && bench.count < 4; tries++) { // the mount's thread may do a checkpoint
		image_restore(image);
		VERIFY(image_mount(image, 0, "") == 0);
		batches_make();
		image_copy(image, bench.before); // the power goes
		image_umount();
		memcpy(image->bytes, bench.before, IMAGE_BYTES);
		places_find(&bench);
	}
	VERIFY3(bench.count, >=, 4);
	VERIFY(image_check(image) == 0);
	image_keep(image);
	return &bench;
}

// ---- changes ------------------------------------------------------------------------------------------------------------------------

struct input {
	const uint8_t *at, *end;
};

static uint32_t take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

// Numbers at the edges of what is right, and any.
static uint64_t number_take(struct input *input)
{
	static const uint64_t edges[] = {0,     1,          255,        4096,      6144,      6145,
					 16384, UINT32_MAX, 1ull << 31, INT64_MAX, UINT64_MAX};
	uint32_t shape = take(input);
	uint64_t value = 0;

	if (shape < 128)
		return shape;
	if (shape < 192)
		return edges[shape % array_count(edges)];
	for (uint32_t i = 0; i <= shape % 8; i++)
		value = value << 8 | take(input);
	return value;
}

static struct pxfs_log_header *batch_at(struct bench *bench, uint32_t which)
{
	return (struct pxfs_log_header *)(bench->image.bytes + bench->at[which % bench->count]);
}

static uint32_t batch_room(const struct bench *bench, const struct pxfs_log_header *header)
{
	uint64_t at = (uint64_t)((const uint8_t *)header - bench->image.bytes);

	return (uint32_t)(bench->log_at + bench->log_bytes - at);
}

// The n-th record, as far as there are records.
static struct pxfs_log_record *record_at(struct bench *bench, struct pxfs_log_header *header, uint32_t n)
{
	uint32_t room = MIN(le32_get(&header->bytes), batch_room(bench, header)), at = sizeof *header;
	struct pxfs_log_record *record = NULL;

	for (uint32_t i = 0; i <= n && at <= room && room - at >= sizeof *record + PXFS_ITEM_BYTES_MAX / 64; i++) {
		record = (struct pxfs_log_record *)((uint8_t *)header + at);
		uint32_t size = le32_get(&record->size);
		if (size != UINT32_MAX && size > room)
			break;
		at += record_bytes(record);
	}
	return record;
}

static void record_change(struct bench *bench, struct input *input, struct pxfs_log_header *header)
{
	struct pxfs_log_record *record = record_at(bench, header, take(input));
	uint32_t what = take(input);

	if (record == NULL)
		return;
	struct le64 *words = (struct le64 *)(record + 1); // of its data
	switch (what % 8) {
	case 0:
		le64_put(&record->tree, number_take(input) + (what & 8 ? 0 : PXFS_TREE_SUBVOLUME));
		break;
	case 1:
		le64_put(&record->key.object, number_take(input));
		break;
	case 2:
		le64_put(&record->key.offset, number_take(input));
		break;
	case 3:
		record->key.type = (uint8_t)take(input);
		break;
	case 4:
		le32_put(&record->size, (uint32_t)number_take(input));
		break;
	case 5:
		le64_put(&words[take(input) % 9], number_take(input));
		break;
	case 6:
		((uint8_t *)words)[take(input) % sizeof(struct pxfs_extent)] = (uint8_t)take(input);
		break;
	default: // what an extent has in 32 bits
		le32_put((struct le32 *)words + 2 + take(input) % 4, (uint32_t)number_take(input));
	}
}

static void header_change(struct input *input, struct pxfs_log_header *header)
{
	uint32_t what = take(input);

	switch (what % 6) {
	case 0:
		le32_put(&header->bytes, (uint32_t)number_take(input));
		break;
	case 1:
		le64_put(&header->sequence, le64_get(&header->sequence) + number_take(input) - 2);
		break;
	case 2:
		le64_put(&header->generation, le64_get(&header->generation) + number_take(input) - 2);
		break;
	case 3:
		le64_put(&header->acknowledged, le64_get(&header->sequence) + number_take(input) - 4);
		break;
	case 4:
		le32_put(&header->records, (uint32_t)number_take(input));
		break;
	default:
		le32_put(&header->records, le32_get(&header->records) + 1);
		le32_put(&header->bytes, le32_get(&header->bytes) + 8 * (what >> 3));
	}
}

// Where the superblock says that the log lies and begins.
static void place_change(struct bench *bench, struct input *input)
{
	struct pxfs_super *super = (struct pxfs_super *)(bench->image.bytes + bench->super_at);
	struct le64 *const fields[] = {&super->log.address, &super->log.sectors, &super->log.sequence, &super->log.at};
	struct le64 *field = fields[take(input) % 4];
	uint64_t value = number_take(input);

	le64_put(field, take(input) % 2 != 0 ? value : le64_get(field) + value - 8);
}

static void batch_copy(struct bench *bench, uint32_t from, uint32_t to)
{
	const struct pxfs_log_header *source = batch_at(bench, from);
	struct pxfs_log_header *target = batch_at(bench, to);
	struct le64 sequence = target->sequence, acknowledged = target->acknowledged;
	uint32_t size = MIN(le32_get(&source->bytes), MIN(batch_room(bench, source), batch_room(bench, target)));

	memmove(target, source, size);
	target->sequence = sequence;
	target->acknowledged = acknowledged;
}

static void data_change(struct bench *bench, struct input *input)
{
	uint64_t at = (number_take(input) << SECTOR_SHIFT) % IMAGE_BYTES;

	bench->image.bytes[at >= bench->log_at + bench->log_bytes ? at : IMAGE_BYTES / 2 + at / 4] ^= 0x10;
}

static void change_one(struct bench *bench, struct input *input)
{
	uint32_t what = take(input);
	struct pxfs_log_header *header = batch_at(bench, what >> 4);

	switch (what & 15) {
	case 0:
		header_change(input, header);
		break;
	case 1:
		le32_put(&header->magic, 0); // it is gone
		break;
	case 2:
		batch_copy(bench, take(input), what >> 4);
		break;
	case 3:
		place_change(bench, input);
		break;
	case 4:
		data_change(bench, input);
		break;
	case 5:
		((uint8_t *)header)[number_take(input) % batch_room(bench, header)] = (uint8_t)take(input);
		break;
	default:
		record_change(bench, input, header);
	}
}

// Chain and checksums, and the superblock's.
static void log_sign(struct bench *bench)
{
	struct pxfs_super *super = (struct pxfs_super *)(bench->image.bytes + bench->super_at);
	uint64_t chain = 0;

	for (uint32_t i = 0; i < bench->count; i++) {
		struct pxfs_log_header *header = batch_at(bench, i);
		if (le32_get(&header->bytes) > batch_room(bench, header))
			continue;
		le64_put(&header->chain, chain);
		le64_put(&header->checksum, 0);
		le64_put(&header->checksum, checksum_xxh3(header, le32_get(&header->bytes), 0));
		chain = le64_get(&header->checksum);
	}
	struct pxfs_super own = *super;
	le64_put(&own.checksum, 0);
	le64_put(&super->checksum, checksum_xxh3(&own, sizeof own, 0));
}

// ---- use ----------------------------------------------------------------------------------------------------------------------------

static void disk_remember(struct bench *bench)
{
	memcpy(bench->before, bench->image.bytes, IMAGE_BYTES);
}

static void disk_is_as_before(struct bench *bench)
{
	VERIFY(memcmp(bench->before, bench->image.bytes, IMAGE_BYTES) == 0);
}

// Without its log the volume is what the checkpoint wrote, whatever mounting made of the log.
static void checkpoint_is_there(struct bench *bench)
{
	uint8_t *bytes = kmalloc(BASE_BYTES, 0);
	size_t done = 0;
	int32_t fd = -1;

	VERIFY(bytes != NULL);
	memcpy(bench->image.bytes + bench->super_at, bench->image.sound + bench->super_at, PXFS_SUPER_BYTES);
	memset(bench->image.bytes + bench->log_at, 0, bench->log_bytes);
	VERIFY(image_mount(&bench->image, TB_MS_RDONLY, "") == 0);
	VERIFY(vfs_open(root(), TB_AT_FDCWD, "/p/base", TB_O_RDONLY, 0, &fd) == 0);
	VERIFY(vfs_pread(root(), fd, bytes, BASE_BYTES, 0, &done) == 0 && done == BASE_BYTES);
	for (uint32_t i = 0; i < BASE_BYTES; i++)
		VERIFY(bytes[i] == (uint8_t)(i % 251 * i));
	VERIFY(vfs_close(root(), fd) == 0);
	image_umount();
	kfree(bytes);
	VERIFY(image_check(&bench->image) == 0);
}

static void volume_use(struct bench *bench, bool lossless)
{
	if (image_mount(&bench->image, 0, "") != 0) {
		if (lossless)
			checkpoint_is_there(bench);
		return;
	}
	image_walk(&bench->image, true);
	image_umount();
	if (image_mount(&bench->image, TB_MS_RDONLY, "subvol=snap") == 0) {
		image_walk(&bench->image, false);
		image_umount();
	}
}

int64_t tb_fuzz_pxfs(void *arg)
{
	static uint32_t inputs;
	const struct fuzz_input *bytes = arg;
	struct input input = {bytes->bytes, bytes->bytes + bytes->size};
	struct bench *bench = bench_get();
	bool lossless = true;

	image_restore(&bench->image);
	uint32_t mode = take(&input);
	while (input.at < input.end) {
		lossless = lossless && (*input.at & 15) != 4; // data of the checkpoint may be among them
		change_one(bench, &input);
	}
	if ((mode & 8) == 0)
		log_sign(bench);
	disk_remember(bench);
	(void)image_check(&bench->image);
	disk_is_as_before(bench);
	if ((mode & 1) != 0 && image_mount(&bench->image, TB_MS_RDONLY, "") == 0) {
		image_walk(&bench->image, false);
		image_umount();
		disk_is_as_before(bench);
	}
	if ((mode & 6) == 6)
		image_repair(&bench->image);
	else
		volume_use(bench, lossless);
	if (++inputs % 32 == 0)
		VERIFY(components_check() == 0);
	return 0;
}
