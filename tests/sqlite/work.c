// SPDX-License-Identifier: MIT
//
// Transactions and their model: work.h.
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// SplitMix64.
uint64_t work_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

struct work work_begin(uint64_t seed, uint32_t size_bytes_max)
{
	return (struct work){.seed = seed, .size_bytes_max = size_bytes_max, .done = 0};
}

// Half of it compresses.
static void blob_fill(uint8_t *bytes, const struct work_row *row)
{
	for (uint32_t i = 0; i < row->size_bytes; i++)
		bytes[i] = (uint8_t)(i % 128 < 64 ? row->word >> i % 8 * 8 : work_mix(row->word, i));
}

// ---- the model --------------------------------------------------------------------------------------------------------------

// As many small ones as large ones, by order of magnitude.
static uint32_t size_draw(const struct work *work, uint64_t word)
{
	uint64_t size = 10ull << word % 17;
	size += (word >> 8) % size;
	return (uint32_t)(size < work->size_bytes_max ? size : work->size_bytes_max);
}

static uint32_t changes_of(const struct work *work)
{
	return 1 + (uint32_t)(work_mix(work->seed, work->done) % 5);
}

// Change i of the next transaction.
static void change_draw(const struct work *work, uint32_t i, uint32_t *key, struct work_row *row)
{
	uint64_t word = work_mix(work_mix(work->seed, work->done), i + 1);
	*key = (uint32_t)(word >> 32) % WORK_KEYS;
	*row = (struct work_row){.word = word};
	if (word % 4 != 0 || work->rows[*key].size_bytes == 0)
		row->size_bytes = size_draw(work, work_mix(word, 1));
}

static uint64_t digest_of(const struct work *work)
{
	uint64_t digest = 0;
	for (uint32_t i = 0; i < WORK_KEYS; i++)
		digest = work_mix(digest, work->rows[i].size_bytes == 0 ? 0 : work->rows[i].word);
	return digest >> 1;
}

// Change i, as the ones before left the rows.
static uint32_t change_next(struct work *work, uint32_t i)
{
	struct work_row row;
	uint32_t key;
	change_draw(work, i, &key, &row);
	work->rows[key] = row;
	return key;
}

void work_skip(struct work *work)
{
	uint32_t count = changes_of(work);
	for (uint32_t i = 0; i < count; i++)
		(void)change_next(work, i);
	work->done++;
}

// ---- the database -------------------------------------------------------------------------------------------------------------

int work_run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int64_t work_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t number = -1;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

bool work_says(sqlite3 *db, const char *sql, const char *text)
{
	sqlite3_stmt *statement = NULL;
	bool same = false;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
		const char *said = (const char *)sqlite3_column_text(statement, 0);
		same = said != NULL && strcmp(said, text) == 0;
		if (!same)
			printf("# %s: %s\n", sql, said == NULL ? "NULL" : said);
	}
	sqlite3_finalize(statement);
	return same;
}

int work_schema(sqlite3 *db)
{
	return work_run(
		db, "BEGIN;"
		    "CREATE TABLE item(key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER, body BLOB);"
		    "CREATE INDEX item_size ON item(size, name);"
		    "CREATE TABLE log(number INTEGER PRIMARY KEY, digest INTEGER);"
		    "CREATE TABLE sum(items INTEGER, bytes INTEGER);"
		    "INSERT INTO sum VALUES(0, 0);"
		    "CREATE TRIGGER item_in AFTER INSERT ON item BEGIN"
		    " UPDATE sum SET items = items + 1, bytes = bytes + new.size; END;"
		    "CREATE TRIGGER item_out AFTER DELETE ON item BEGIN"
		    " UPDATE sum SET items = items - 1, bytes = bytes - old.size; END;"
		    "COMMIT;");
}

static int row_put(sqlite3 *db, uint32_t key, const struct work_row *row)
{
	sqlite3_stmt *statement = NULL;
	char name[40];
	uint8_t *bytes = malloc(row->size_bytes);
	int result = bytes == NULL
			     ? SQLITE_NOMEM
			     : sqlite3_prepare_v2(db, "INSERT INTO item VALUES(?, ?, ?, ?)", -1, &statement, NULL);
	if (result == SQLITE_OK) {
		blob_fill(bytes, row);
		snprintf(name, sizeof name, "%016llx", (unsigned long long)row->word);
		sqlite3_bind_int(statement, 1, (int)key);
		sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
		sqlite3_bind_int(statement, 3, (int)row->size_bytes);
		sqlite3_bind_blob(statement, 4, bytes, (int)row->size_bytes, SQLITE_STATIC);
		result = sqlite3_step(statement);
		int ended = sqlite3_finalize(statement);
		result = result == SQLITE_DONE ? ended : result;
	}
	free(bytes);
	return result;
}

static int change_do(sqlite3 *db, uint32_t key, const struct work_row *row)
{
	char sql[80];
	snprintf(sql, sizeof sql, "DELETE FROM item WHERE key = %u", key);
	int result = work_run(db, sql);
	return result != SQLITE_OK || row->size_bytes == 0 ? result : row_put(db, key, row);
}

int work_step(sqlite3 *db, struct work *work)
{
	struct work next = *work;
	char sql[120];
	uint32_t count = changes_of(work);
	int result = work_run(db, "BEGIN IMMEDIATE");
	if (result != SQLITE_OK)
		return result;
	for (uint32_t i = 0; i < count && result == SQLITE_OK; i++) {
		uint32_t key = change_next(&next, i);
		result = change_do(db, key, &next.rows[key]);
	}
	next.done++;
	snprintf(sql, sizeof sql, "INSERT INTO log VALUES(%u, %llu); COMMIT;", next.done,
		 (unsigned long long)digest_of(&next));
	if (result == SQLITE_OK)
		result = work_run(db, sql);
	if (result == SQLITE_OK)
		*work = next;
	else if (sqlite3_get_autocommit(db) == 0)
		(void)work_run(db, "ROLLBACK");
	return result;
}

// ---- comparing ----------------------------------------------------------------------------------------------------------------

static bool row_is(sqlite3_stmt *statement, const struct work_row *row)
{
	char name[40];
	const void *blob = sqlite3_column_blob(statement, 3);
	const char *text = (const char *)sqlite3_column_text(statement, 1);
	uint8_t *bytes = malloc(row->size_bytes + 1u);
	snprintf(name, sizeof name, "%016llx", (unsigned long long)row->word);
	bool same = bytes != NULL && blob != NULL && text != NULL && row->size_bytes != 0 && strcmp(name, text) == 0 &&
		    sqlite3_column_int64(statement, 2) == row->size_bytes &&
		    sqlite3_column_bytes(statement, 3) == (int)row->size_bytes;
	if (same) {
		blob_fill(bytes, row);
		same = memcmp(bytes, blob, row->size_bytes) == 0;
	}
	free(bytes);
	return same;
}

static bool rows_are(sqlite3 *db, const struct work *work, int64_t *bytes, int64_t *count)
{
	sqlite3_stmt *statement = NULL;
	bool same = sqlite3_prepare_v2(db, "SELECT key, name, size, body FROM item ORDER BY key", -1, &statement,
				       NULL) == SQLITE_OK;
	for (uint32_t i = 0; i < WORK_KEYS && same; i++) {
		if (work->rows[i].size_bytes == 0)
			continue;
		same = sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int64(statement, 0) == i &&
		       row_is(statement, &work->rows[i]);
		*bytes += work->rows[i].size_bytes;
		*count += 1;
		int code = sqlite3_errcode(db);
		if (!same && code != SQLITE_ROW && code != SQLITE_DONE && code != SQLITE_OK)
			printf("# row %u of transaction %u cannot be read: %s\n", i, work->done, sqlite3_errmsg(db));
		else if (!same)
			printf("# row %u is not what transaction %u left\n", i, work->done);
	}
	if (same && sqlite3_step(statement) != SQLITE_DONE) {
		printf("# more rows than transaction %u left: %s\n", work->done, sqlite3_errmsg(db));
		same = false;
	}
	sqlite3_finalize(statement);
	return same;
}

bool work_compare(sqlite3 *db, const struct work *work)
{
	int64_t bytes = 0, count = 0;
	char sql[100];
	if (!rows_are(db, work, &bytes, &count))
		return false;
	snprintf(sql, sizeof sql, "SELECT digest FROM log WHERE number = %u", work->done);
	bool same = work->done == 0 || work_number(db, sql) == (int64_t)digest_of(work);
	same = same && work_number(db, "SELECT count(*) FROM log") == work->done;
	same = same && work_number(db, "SELECT items FROM sum") == count;
	same = same && work_number(db, "SELECT bytes FROM sum") == bytes;
	same = same && work_number(db, "SELECT total(size) FROM item INDEXED BY item_size WHERE size > 0") == bytes;
	same = same && work_number(db, "SELECT count(*) FROM item INDEXED BY sqlite_autoindex_item_1 "
				       "WHERE name > ''") == count;
	if (!same)
		printf("# sums, log or indexes are not those of transaction %u: %s\n", work->done, sqlite3_errmsg(db));
	return same;
}
