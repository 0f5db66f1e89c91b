// SPDX-License-Identifier: MIT
//
// An unmodified SQLite on PXFS through the VFS of tbos/sqlite.h, under both engines: work against a model, journals of each kind, two connections that lock each other
// out, names, temporary files, a full volume, time and chance. TAP.
#include "stage.h"
#include "work.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_BYTES (64ull << 20)

static char image[64];
static const char *engine_name;
static unsigned points, failed;

static void point(bool ok, const char *name)
{
	printf("%sok %u - sqlite.%s_%s\n", ok ? "" : "not ", ++points, name, engine_name);
	failed += !ok;
	fflush(stdout);
}

// ---- work -----------------------------------------------------------------------------------------------------------------------

static bool is_sound(sqlite3 *db, const struct work *work)
{
	return work_says(db, "PRAGMA integrity_check", "ok") && work_compare(db, work);
}

static void work_test(const char *path, const char *journal, uint32_t steps)
{
	struct work work = work_begin(steps, 1u << 20);
	char name[60];
	sqlite3 *db = stage_open(path, journal);
	bool ok = db != NULL && work_schema(db) == SQLITE_OK;
	for (uint32_t i = 0; i < steps && ok; i++)
		ok = work_step(db, &work) == SQLITE_OK;
	snprintf(name, sizeof name, "work_with_journal_%s", journal);
	point(ok && is_sound(db, &work), name);
	int64_t pages = work_number(db, "PRAGMA page_count");
	ok = ok && work_run(db, "DELETE FROM log; DELETE FROM item WHERE key % 3 = 0; VACUUM") == SQLITE_OK;
	snprintf(name, sizeof name, "vacuum_with_journal_%s", journal);
	point(ok && work_says(db, "PRAGMA integrity_check", "ok") && work_number(db, "PRAGMA page_count") < pages &&
		      work_number(db, "SELECT count(*) FROM item") == work_number(db, "SELECT items FROM sum"),
	      name);
	sqlite3_close(db);
}

// Rolled back: nothing of it is there.
static void rollback_test(void)
{
	struct work work = work_begin(5, 60000);
	sqlite3 *db = stage_open("/m/rolled.db", "delete");
	bool ok = db != NULL && work_schema(db) == SQLITE_OK && work_run(db, "PRAGMA cache_size=10") == SQLITE_OK;
	for (uint32_t i = 0; i < 10 && ok; i++)
		ok = work_step(db, &work) == SQLITE_OK;
	ok = ok && work_run(db, "BEGIN; UPDATE item SET body = zeroblob(size); DELETE FROM log;") == SQLITE_OK;
	ok = ok && work_run(db, "INSERT INTO item SELECT key + 1000, name || 'x', size, body FROM item; ROLLBACK") ==
			   SQLITE_OK;
	point(ok && is_sound(db, &work), "what_is_rolled_back_has_not_been");
	sqlite3_close(db);
}

// ---- two connections ---------------------------------------------------------------------------------------------------------------

static void locks_test(void)
{
	sqlite3 *one = stage_open("/m/locks.db", "delete"), *two = stage_open("/m/locks.db", NULL);
	bool ok =
		one != NULL && two != NULL && work_run(one, "CREATE TABLE t(x); INSERT INTO t VALUES(1)") == SQLITE_OK;
	ok = ok && work_run(one, "BEGIN IMMEDIATE; UPDATE t SET x = 2") == SQLITE_OK;
	point(ok && work_run(two, "BEGIN IMMEDIATE") == SQLITE_BUSY, "one_reserves");
	point(ok && work_number(two, "SELECT x FROM t") == 1, "readers_go_on_while_one_reserves");
	ok = ok && work_run(two, "BEGIN; SELECT x FROM t") == SQLITE_OK;
	point(ok && work_run(one, "COMMIT") == SQLITE_BUSY, "a_reader_holds_the_commit_up");
	point(ok && work_run(two, "COMMIT") == SQLITE_OK && work_run(one, "COMMIT") == SQLITE_OK &&
		      work_number(two, "SELECT x FROM t") == 2,
	      "and_it_goes_on_behind_it");
	ok = ok && work_run(one, "BEGIN EXCLUSIVE") == SQLITE_OK;
	point(ok && work_run(two, "SELECT x FROM t") == SQLITE_BUSY, "exclusive_is_exclusive");
	point(ok && work_run(one, "ROLLBACK") == SQLITE_OK && work_number(two, "SELECT x FROM t") == 2, "and_ends");
	sqlite3_close(one);
	sqlite3_close(two);
}

static void wal_test(void)
{
	sqlite3 *one = stage_open("/m/wal.db", "wal"), *two = stage_open("/m/wal.db", NULL);
	bool ok =
		one != NULL && two != NULL && work_run(one, "CREATE TABLE t(x); INSERT INTO t VALUES(1)") == SQLITE_OK;
	ok = ok && work_run(two, "BEGIN; SELECT x FROM t") == SQLITE_OK;
	ok = ok && work_run(one, "UPDATE t SET x = 2") == SQLITE_OK;
	point(ok && work_number(two, "SELECT x FROM t") == 1 && work_number(one, "SELECT x FROM t") == 2,
	      "a_reader_keeps_what_it_sees");
	point(ok && work_number(one, "PRAGMA wal_checkpoint(TRUNCATE)") == 1, "and_holds_the_checkpoint_up");
	ok = ok && work_run(two, "COMMIT") == SQLITE_OK;
	point(ok && work_number(two, "SELECT x FROM t") == 2 &&
		      work_number(one, "PRAGMA wal_checkpoint(TRUNCATE)") == 0,
	      "until_it_ends");
	ok = ok && work_run(one, "BEGIN IMMEDIATE") == SQLITE_OK;
	point(ok && work_run(two, "UPDATE t SET x = 3") == SQLITE_BUSY && work_run(one, "COMMIT") == SQLITE_OK,
	      "one_writer");
	sqlite3_close(one);
	point(ok && work_run(two, "UPDATE t SET x = 4") == SQLITE_OK && work_number(two, "SELECT x FROM t") == 4,
	      "the_one_that_is_left_goes_on");
	sqlite3_close(two);
}

// A VFS of another context of the same instance sees the same locks, and in WAL mode the same memory.
static void contexts_test(struct stage *stage)
{
	tb_context *files = NULL;
	sqlite3 *one = stage_open("/m/two.db", "wal"), *two = NULL;
	bool ok = one != NULL && tb_context_create(stage->instance, &files) == 0 && tb_chdir(files, "/m") == 0 &&
		  tb_sqlite_register(stage->instance, files, "other", 0) == 0;
	point(tb_sqlite_register(stage->instance, stage->files, "other", 0) == -EEXIST &&
		      tb_sqlite_register(stage->instance, stage->files, "", 0) == -EINVAL &&
		      tb_sqlite_unregister("none") == -ENOENT && tb_sqlite_unregister("tbos") == -EBUSY,
	      "names_of_vfs");
	ok = ok && sqlite3_open_v2("two.db", &two, SQLITE_OPEN_READWRITE, "other") == SQLITE_OK;
	ok = ok && work_run(one, "CREATE TABLE t(x); INSERT INTO t VALUES(7)") == SQLITE_OK;
	ok = ok && work_run(one, "BEGIN IMMEDIATE; UPDATE t SET x = 8") == SQLITE_OK;
	ok = ok && work_number(two, "SELECT x FROM t") == 7 && work_run(two, "BEGIN IMMEDIATE") == SQLITE_BUSY;
	point(ok && work_run(one, "COMMIT") == SQLITE_OK && work_number(two, "SELECT x FROM t") == 8, "two_contexts");
	sqlite3_close(one);
	sqlite3_close(two);
	ok = tb_sqlite_unregister("other") == 0;
	point(tb_context_destroy(files) == 0 && ok, "and_one_goes");
}

// ---- names, space, time ---------------------------------------------------------------------------------------------------------------

// A database by a link has its journal beside the file.
static void names_test(struct stage *stage)
{
	struct tb_stat stat;
	char deep[600] = "/m";
	sqlite3 *db = NULL;
	bool ok = tb_mkdir(stage->files, TB_AT_FDCWD, "/m/real", 0755) == 0 &&
		  tb_symlink(stage->files, "real/../real/named.db", TB_AT_FDCWD, "/m/link.db") == 0 &&
		  tb_symlink(stage->files, "/m/loop.db", TB_AT_FDCWD, "/m/loop.db") == 0;
	db = stage_open("/m/./link.db", "delete");
	ok = ok && db != NULL &&
	     work_run(db, "CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES(1)") == SQLITE_OK;
	point(ok && strcmp(sqlite3_db_filename(db, "main"), "/m/real/named.db") == 0 &&
		      tb_stat(stage->files, TB_AT_FDCWD, "/m/real/named.db-journal", 0, &stat) == 0,
	      "links_are_followed");
	ok = ok && tb_chmod(stage->files, TB_AT_FDCWD, "/m/real/named.db", 0640, 0) == 0 &&
	     work_run(db, "COMMIT; BEGIN IMMEDIATE; INSERT INTO t VALUES(2)") == SQLITE_OK;
	point(ok && tb_stat(stage->files, TB_AT_FDCWD, "/m/real/named.db-journal", 0, &stat) == 0 &&
		      (stat.mode & 0777) == 0640,
	      "a_journal_is_for_whom_the_database_is");
	sqlite3_close(db);
	for (size_t i = strlen(deep); i + 5 < sizeof deep; i += 5)
		memcpy(deep + i, "/deep", 6);
	point(sqlite3_open_v2("/m/loop.db", &db, SQLITE_OPEN_READWRITE, "tbos") == SQLITE_CANTOPEN &&
		      sqlite3_close(db) == SQLITE_OK &&
		      sqlite3_open_v2(deep, &db, SQLITE_OPEN_READWRITE, "tbos") == SQLITE_CANTOPEN &&
		      sqlite3_close(db) == SQLITE_OK &&
		      sqlite3_open_v2("/m/real", &db, SQLITE_OPEN_READWRITE, "tbos") == SQLITE_CANTOPEN,
	      "what_cannot_be_opened");
	sqlite3_close(db);
}

// Sorting and temporary tables that outgrow the cache.
static void temporary_test(void)
{
	sqlite3 *db = stage_open("/m/temp.db", "delete");
	bool ok = db != NULL && work_run(db, "PRAGMA temp_store=FILE; PRAGMA cache_size=10;"
					     "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
					     "i + 1 FROM n WHERE i < 3000)"
					     " INSERT INTO t SELECT i * 7919 % 3001, randomblob(200) FROM n;"
					     "CREATE TEMP TABLE s AS SELECT a, b FROM t ORDER BY b;"
					     "CREATE INDEX temp.s_b ON s(b)") == SQLITE_OK;
	point(ok && work_number(db, "SELECT count(*) FROM s") == 3000 &&
		      work_number(db, "SELECT count(*) FROM t WHERE b IN (SELECT b FROM s)") == 3000 &&
		      work_number(db, "SELECT count(DISTINCT a) FROM t") == 3000,
	      "temporary_files");
	sqlite3_close(db);
}

// Without room a statement fails and the database is as before; with room again it goes on.
static void full_test(void)
{
	struct work work = work_begin(9, 30000);
	sqlite3 *db = stage_open("/m/full.db", "delete");
	bool ok = db != NULL && work_schema(db) == SQLITE_OK;
	for (uint32_t i = 0; i < 8 && ok; i++)
		ok = work_step(db, &work) == SQLITE_OK;
	int result = SQLITE_OK;
	ok = ok && work_run(db, "CREATE TABLE fat(x); BEGIN") == SQLITE_OK;
	for (uint32_t i = 0; i < 400 && result == SQLITE_OK && ok; i++)
		result = work_run(db, "INSERT INTO fat VALUES(randomblob(1000000))");
	point(ok && result == SQLITE_FULL, "a_full_volume");
	if (sqlite3_get_autocommit(db) == 0)
		ok = work_run(db, "ROLLBACK") == SQLITE_OK && ok;
	ok = ok && work_run(db, "DROP TABLE fat") == SQLITE_OK && is_sound(db, &work);
	point(ok && work_step(db, &work) == SQLITE_OK && is_sound(db, &work), "and_back_from_there");
	sqlite3_close(db);
}

static void time_test(struct stage *stage)
{
	sqlite3 *db = stage_open("/m/time.db", "delete");
	int64_t now_s = db == NULL ? 0 : work_number(db, "SELECT strftime('%s', 'now')");
	bool sim = stage->engine == TB_ENGINE_SIM; // whose worlds begin at 1,700,000,000
	point(sim ? now_s >= 1700000000 && now_s < 1700000000 + 3600 : now_s > 1700000000, "the_instance_s_time");
	point(db != NULL && sqlite3_sleep(50) == 50 &&
		      work_number(db, "SELECT count(DISTINCT randomblob(8)) FROM (VALUES(1), (2), (3))") == 3,
	      "sleep_and_chance");
	sqlite3_close(db);
}

// ---- two threads ------------------------------------------------------------------------------------------------------------------------

#define ADDS 10

static void *adder(void *arg)
{
	sqlite3 *db = stage_open(arg, NULL);
	intptr_t done = 0;
	if (db != NULL && sqlite3_busy_timeout(db, 20000) == SQLITE_OK)
		while (done < ADDS && work_run(db, "BEGIN IMMEDIATE; UPDATE t SET x = x + 1; COMMIT") == SQLITE_OK)
			done++;
	if (done < ADDS)
		printf("# %s\n", sqlite3_errmsg(db));
	sqlite3_close(db);
	return (void *)done;
}

// Nothing that somebody added gets lost. Not simulated: who waits there waits in no time, and gives up before the host lets the other go on.
static void threads_test(const char *path, const char *journal, const char *name)
{
	pthread_t threads[3];
	char copy[40];
	intptr_t sum = 0;
	snprintf(copy, sizeof copy, "%s", path);
	sqlite3 *db = stage_open(path, journal);
	bool ok = db != NULL && work_run(db, "CREATE TABLE t(x); INSERT INTO t VALUES(0)") == SQLITE_OK;
	for (uint32_t i = 0; i < 3; i++)
		ok = pthread_create(&threads[i], NULL, adder, copy) == 0 && ok;
	for (uint32_t i = 0; i < 3; i++) {
		void *done = NULL;
		ok = pthread_join(threads[i], &done) == 0 && ok;
		sum += (intptr_t)done;
	}
	point(ok && sum == 3 * ADDS && work_number(db, "SELECT x FROM t") == sum, name);
	sqlite3_close(db);
}

// ---- the whole ----------------------------------------------------------------------------------------------------------------------------

// What one instance left, another one reads, without being able to write.
static void again_test(uint32_t engine)
{
	struct stage stage = {.image = image, .engine = engine, .seed = 3, .read_only = true};
	bool ok = stage_start(&stage) == 0 && stage_command(&stage, "fsck -d disk0") == 0 && stage_mount(&stage) == 0;
	sqlite3 *db = ok ? stage_open("/m/full.db", NULL) : NULL;
	ok = db != NULL && work_says(db, "PRAGMA integrity_check", "ok") &&
	     work_number(db, "SELECT count(*) FROM log") == 9;
	point(ok && work_run(db, "DELETE FROM log") == SQLITE_READONLY, "read_again_read_only");
	sqlite3_close(db);
	point(stage_end(&stage) == 0, "the_second_end");
}

static bool run_hash(uint64_t seed, uint8_t hash[32])
{
	struct stage stage = {.image = image, .engine = TB_ENGINE_SIM, .image_bytes = IMAGE_BYTES, .seed = seed};
	struct work work = work_begin(1, 20000);
	struct tb_sim_stats stats = {.decisions = 0};
	bool ok = truncate(image, 0) == 0 && stage_start(&stage) == 0 && stage_command(&stage, "mkfs disk0") == 0 &&
		  stage_mount(&stage) == 0;
	sqlite3 *db = ok ? stage_open(STAGE_DATABASE, "wal") : NULL;
	ok = db != NULL && work_schema(db) == SQLITE_OK;
	ok = ok && work_run(db, "CREATE TABLE chance(x); INSERT INTO chance VALUES(randomblob(100))") == SQLITE_OK;
	for (uint32_t i = 0; i < 5 && ok; i++)
		ok = work_step(db, &work) == SQLITE_OK;
	ok = sqlite3_close(db) == SQLITE_OK && ok && tb_sim_stats(stage.instance, &stats) == 0;
	memcpy(hash, stats.trace_hash, sizeof stats.trace_hash);
	return stage_end(&stage) == 0 && ok;
}

// Simulated, every byte that reaches the disk follows from the seed.
static void replay_test(void)
{
	uint8_t one[32], again[32], other[32];
	bool ok = run_hash(11, one) && run_hash(11, again) && run_hash(12, other);
	point(ok && memcmp(one, again, sizeof one) == 0, "the_same_seed_is_the_same_run");
	point(ok && memcmp(one, other, sizeof one) != 0, "another_seed_is_another");
}

static void engine_test(uint32_t engine, uint32_t steps)
{
	struct stage stage = {.image = image,
			      .engine = engine,
			      .disk_flags = engine == TB_ENGINE_SIM ? TB_DISK_PUBLISH : 0,
			      .image_bytes = IMAGE_BYTES,
			      .seed = 2};
	engine_name = engine == TB_ENGINE_SIM ? "sim" : "threads";
	bool ok = truncate(image, 0) == 0 && stage_start(&stage) == 0 && stage_command(&stage, "mkfs disk0") == 0 &&
		  stage_mount(&stage) == 0;
	point(ok, "a_volume_and_a_vfs");
	if (ok) {
		work_test("/m/a.db", "delete", steps);
		work_test("/m/b.db", "wal", steps);
		work_test("/m/c.db", "truncate", steps / 2);
		rollback_test();
		locks_test();
		wal_test();
		contexts_test(&stage);
		names_test(&stage);
		temporary_test();
		time_test(&stage);
		if (engine == TB_ENGINE_THREADS) {
			threads_test("/m/add.db", "delete", "three_add_delete");
			threads_test("/m/addw.db", "wal", "three_add_wal");
		}
		full_test();
		point(stage_command(&stage, "umount /m; fsck -d disk0") == 0, "fsck");
	}
	point(stage_end(&stage) == 0, "the_end");
	if (ok)
		again_test(engine);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("test-sqlite\nSQLite on PXFS under both engines; no arguments.\n");
		return strcmp(argv[1], "--help") == 0 ? 0 : 2;
	}
	int fd = stage_image(image, sizeof image);
	if (fd < 0)
		return 2;
	close(fd);
	engine_test(TB_ENGINE_THREADS, 16);
	engine_test(TB_ENGINE_SIM, 24);
	replay_test();
	unlink(image);
	printf("1..%u\n", points);
	return failed != 0;
}
