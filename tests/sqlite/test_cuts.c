// SPDX-License-Identifier: MIT
//
// Power cuts under SQLite: an unmodified SQLite with synchronous=FULL works on a simulated disk until the power goes with some write. Afterwards fsck finds nothing in
// the volume, PRAGMA integrity_check nothing in the database, and the database is what some transaction left: the last that was acknowledged, or
// the one that was on its way. Some cuts come again while that is looked at. A disk whose FLUSH lies must be noticed. TAP.
//   test-sqlite-cuts [--cuts N] [--seed N]
#include "stage.h"
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_BYTES (24u << 20)
#define PIECE_BYTES 65536u
#define BLOB_BYTES 40000u
#define STEPS 30u

static char image[64];
static uint8_t *base; // the image with the schema, before each cut
static unsigned points, failed;

static void point(bool ok, const char *name, const char *journal)
{
	printf("%sok %u - sqlite.%s_%s\n", ok ? "" : "not ", ++points, name, journal);
	failed += !ok;
	fflush(stdout);
}

struct toll {
	uint32_t cuts, uncut, again; // again: cuts while it was looked at
	uint32_t lost, wrong;        // acknowledged and gone; anything else that may not be
	uint32_t unreadable;         // volumes: all is gone
	uint32_t whole, newer;       // the last acknowledged one; the one that was on its way
	uint64_t transactions;
	bool is_quiet; // it will be wrong
};

// ---- images -------------------------------------------------------------------------------------------------------------------

static bool image_read(void)
{
	int fd = open(image, O_RDONLY);
	bool ok = fd >= 0 && pread(fd, base, IMAGE_BYTES, 0) == (ssize_t)IMAGE_BYTES;
	close(fd);
	return ok;
}

static bool image_write(void)
{
	static const uint8_t zeroes[PIECE_BYTES];
	int fd = open(image, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 && ftruncate(fd, IMAGE_BYTES) == 0;
	for (uint32_t at = 0; ok && at < IMAGE_BYTES; at += PIECE_BYTES)
		if (memcmp(base + at, zeroes, PIECE_BYTES) != 0)
			ok = pwrite(fd, base + at, PIECE_BYTES, at) == (ssize_t)PIECE_BYTES;
	close(fd);
	return ok;
}

static bool base_make(const char *journal)
{
	struct stage stage = {
		.image = image, .engine = TB_ENGINE_SIM, .disk_flags = TB_DISK_PUBLISH, .image_bytes = IMAGE_BYTES};
	bool ok = truncate(image, 0) == 0 && stage_start(&stage) == 0 && stage_command(&stage, "mkfs disk0") == 0 &&
		  stage_mount(&stage) == 0;
	sqlite3 *db = ok ? stage_open(STAGE_DATABASE, journal) : NULL;
	ok = db != NULL && work_schema(db) == SQLITE_OK;
	ok = sqlite3_close(db) == SQLITE_OK && ok;
	return stage_end(&stage) == 0 && ok && image_read();
}

// ---- a cut --------------------------------------------------------------------------------------------------------------------

static sqlite3 *database_open(const char *journal)
{
	sqlite3 *db = stage_open(STAGE_DATABASE, journal);
	if (db != NULL &&
	    work_run(db, "PRAGMA synchronous=FULL; PRAGMA cache_size=30; PRAGMA wal_autocheckpoint=60") != SQLITE_OK) {
		sqlite3_close(db);
		return NULL;
	}
	return db;
}

// Works until the power goes, or all is done. How many writes the disk had, where it did not go.
static bool run_until_cut(const char *faults, uint64_t seed, const char *journal, struct work *work, bool *cut,
			  uint32_t *writes)
{
	struct stage stage = {
		.image = image, .engine = TB_ENGINE_SIM, .disk_flags = TB_DISK_PUBLISH, .seed = seed, .faults = faults};
	sqlite3 *db = NULL;
	int result = SQLITE_ERROR;
	if (stage_start(&stage) == 0 && stage_mount(&stage) == 0)
		db = database_open(journal);
	while (db != NULL && work->done < STEPS && (result = work_step(db, work)) == SQLITE_OK)
		continue;
	sqlite3_close(db);
	if (stage_command(&stage, "disks -j") == 0) {
		const char *found = strstr(stage.said, "\"writes\": ");
		*writes = found == NULL ? 0 : (uint32_t)strtoul(found + 10, NULL, 10);
	}
	tb_err err = stage_end(&stage);
	*cut = stage.status == TB_STATUS_POWER_CUT;
	if (!*cut && (err != 0 || result != SQLITE_OK))
		printf("# without a power cut: %d, %d, %s\n", err, result, stage.said);
	return *cut || (err == 0 && result == SQLITE_OK);
}

// How many transactions are there is counted in, and is what may not be less from now on. True: all of it is as it should be, and takes one more.
static bool database_look(sqlite3 *db, struct work *acknowledged, struct toll *toll)
{
	struct work work = work_begin(acknowledged->seed, acknowledged->size_bytes_max);
	int64_t number = work_number(db, "SELECT count(*) FROM log"), wanted = acknowledged->done;
	if (number < 0)
		return false;
	toll->wrong += number > wanted + 1;
	toll->lost += number < wanted;
	toll->whole += number == wanted;
	toll->newer += number == wanted + 1;
	while (work.done < (uint64_t)number)
		work_skip(&work);
	*acknowledged = work;
	bool sound = work_says(db, "PRAGMA integrity_check", "ok") && work_compare(db, &work) &&
		     work_step(db, &work) == SQLITE_OK;
	if (sound)
		*acknowledged = work;
	return sound && work_compare(db, &work);
}

// False: the power went again, and it is to be looked at once more.
static bool image_look(const char *faults, uint64_t seed, const char *journal, struct work *acknowledged,
		       struct toll *toll)
{
	struct stage stage = {
		.image = image, .engine = TB_ENGINE_SIM, .disk_flags = TB_DISK_PUBLISH, .seed = seed, .faults = faults};
	int32_t left = 0, checked = 8;
	bool sound = false;
	sqlite3 *db = NULL;
	if (stage_start(&stage) == 0)
		checked = stage_command(&stage, "fsck -d disk0");
	if (checked != 0 && !toll->is_quiet)
		printf("# fsck: %d %s", checked, stage.said);
	toll->unreadable += checked == 8;
	if (checked != 8 && stage_mount(&stage) == 0)
		db = database_open(journal);
	if (db != NULL)
		sound = database_look(db, acknowledged, toll);
	sqlite3_close(db);
	if (sound)
		left = stage_command(&stage, "umount /m; fsck disk0");
	tb_err err = stage_end(&stage);
	bool cut = stage.status == TB_STATUS_POWER_CUT;
	toll->again += cut;
	toll->wrong += checked != 0 || (!cut && (!sound || left != 0 || err != 0));
	if (!cut && (left != 0 || err != 0) && !toll->is_quiet)
		printf("# afterwards: fsck %d, the way down %d\n", left, err);
	return !cut;
}

static bool cut_once(const char *more, uint64_t seed, const char *journal, uint32_t *bound, struct toll *toll)
{
	char faults[64];
	struct work work = work_begin(seed, BLOB_BYTES);
	uint32_t at = 1 + (uint32_t)(work_mix(seed, 99) % *bound), writes = *bound, before = toll->wrong + toll->lost;
	bool cut = false, ok = image_write();
	snprintf(faults, sizeof faults, "%scut=%u", more, at);
	ok = ok && run_until_cut(faults, seed, journal, &work, &cut, &writes);
	toll->cuts += cut;
	toll->uncut += !cut;
	toll->transactions += work.done;
	if (!cut)
		*bound = writes > 1 ? writes : 1;
	snprintf(faults, sizeof faults, "cut=%u", 1 + (uint32_t)(work_mix(seed, 98) % 12));
	bool again = work_mix(seed, 97) % 2 == 0 && more[0] == '\0';
	if (ok && (!again || !image_look(faults, seed, journal, &work, toll)))
		ok = image_look(NULL, seed + 1, journal, &work, toll);
	if (toll->wrong + toll->lost != before && more[0] == '\0')
		printf("# seed %llu, cut at write %u, %s: wrong\n", (unsigned long long)seed, at, journal);
	return ok;
}

// ---- the whole ------------------------------------------------------------------------------------------------------------------

static bool writes_count(const char *journal, uint32_t *writes)
{
	struct work work = work_begin(1, BLOB_BYTES);
	bool cut = false;
	return image_write() && run_until_cut(NULL, 1, journal, &work, &cut, writes) && !cut && work.done == STEPS &&
	       *writes > 50;
}

static void journal_test(const char *journal, uint32_t cuts, uint64_t seed)
{
	struct toll honest = {0}, lying = {.is_quiet = true};
	uint32_t bound = 0;
	bool ok = base_make(journal) && writes_count(journal, &bound);
	printf("# %s: %u transactions are %u writes\n", journal, STEPS, bound);
	for (uint32_t i = 0; i < cuts && ok; i++)
		ok = cut_once("", seed + i, journal, &bound, &honest);
	printf("# %s: %u cuts and %u again, %u runs without; %llu transactions; %u databases as acknowledged, %u one "
	       "further; "
	       "%u lost, %u wrong\n",
	       journal, honest.cuts, honest.again, honest.uncut, (unsigned long long)honest.transactions, honest.whole,
	       honest.newer, honest.lost, honest.wrong);
	point(ok && honest.lost == 0 && honest.wrong == 0, "acknowledged_transactions_survive", journal);
	point(ok && honest.cuts * 2 > cuts, "the_power_went", journal);
	for (uint32_t i = 0; i < 40 && ok && lying.lost + lying.unreadable < 3; i++)
		ok = cut_once("lying=2,", seed + i, journal, &bound, &lying);
	printf("# %s, the FLUSH lies: %u cuts: %u databases and %u volumes lost, %u wrong\n", journal, lying.cuts,
	       lying.lost, lying.unreadable, lying.wrong);
	point(ok && lying.lost + lying.unreadable != 0, "a_flush_that_lies_shows", journal);
}

int main(int argc, char **argv)
{
	uint32_t cuts = 12;
	uint64_t seed = 1000;
	for (int i = 1; i < argc; i += 2) {
		uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
		if (strcmp(argv[i], "--cuts") == 0 && value > 0 && value <= 1000000) {
			cuts = (uint32_t)value;
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			seed = value;
		} else {
			printf("test-sqlite-cuts [--cuts N] [--seed N]\nPower cuts under SQLite on PXFS, N for each "
			       "journal mode.\n");
			return strcmp(argv[i], "--help") == 0 ? 0 : 2;
		}
	}
	int fd = stage_image(image, sizeof image);
	base = malloc(IMAGE_BYTES);
	if (fd < 0 || base == NULL)
		return 2;
	close(fd);
	journal_test("delete", cuts, seed);
	journal_test("wal", cuts, seed);
	journal_test("truncate", cuts, seed);
	unlink(image);
	free(base);
	printf("1..%u\n", points);
	return failed != 0;
}
