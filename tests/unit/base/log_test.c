// SPDX-License-Identifier: MIT
//
// The log of the running instance: others may write to it meanwhile, so that each body looks for its own lines.
#include "kern/log.h"

#include "../../../src/core/base/base_impl.h"
#include "kern/counter.h"
#include "kern/fmt.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/timer.h"

// How many lines in the ring contain the text; the last one in *found.
static uint32_t log_search(const char *text, struct log_record *found)
{
	struct ring_cursor cursor;
	struct log_record record;
	uint32_t count = 0;

	log_cursor_init(&cursor);
	while (log_cursor_next(&cursor, &record)) {
		if (strstr(record.text, text) == NULL)
			continue;
		*found = record;
		count++;
	}
	return count;
}

// Leaves something else than zeros where the next call's variables will lie.
static no_inline void stack_dirty(void)
{
	volatile char dirt[2048];
	for (uint32_t i = 0; i < sizeof dirt; i++)
		dirt[i] = '#';
}

TEST(log, line_is_kept_with_its_circumstances)
{
	struct log_record record;
	uint64_t before_ns = clock_now_ns();

	preempt_disable();
	uint32_t cpu = this_cpu()->hal.index;
	stack_dirty();
	log_warn("logtest: number %d of %s", 42, "many");
	preempt_enable();
	REQUIRE(log_search("logtest: number", &record) == 1);
	CHECK(str_equal(record.text, "logtest: number 42 of many"));
	CHECK_EQ(record.length, strlen(record.text));
	CHECK_EQ(record.level, LOG_WARN);
	CHECK_EQ(record.thread, current->id);
	CHECK_EQ(record.cpu, cpu);
	CHECK(record.ts_ns >= before_ns);
	CHECK(record.ts_ns <= clock_now_ns());
	for (uint32_t i = record.length; i < LOG_TEXT_SIZE; i++)
		CHECK_EQ(record.text[i], 0);
}

// A panic's message goes this way: ring only, no console.
TEST(log, ring_alone_takes_a_panic)
{
	struct log_record record;

	log_write_ring(LOG_EMERG, "logtest: ring alone");
	REQUIRE(log_search("logtest: ring alone", &record) == 1);
	CHECK_EQ(record.level, LOG_EMERG);
	CHECK_EQ(record.length, strlen("logtest: ring alone"));
	CHECK_EQ(record.thread, current->id);
}

TEST(log, line_is_counted_and_traced)
{
	uint64_t lines = counter_read(COUNTER_LOG_LINES);
	struct ring_cursor cursor;

	CHECK_EQ(trace_enable("log.line", true), 0);
	log_info("logtest: counted");
	CHECK(CONFIG_TINY || counter_read(COUNTER_LOG_LINES) > lines);
	struct trace_record record;
	uint32_t found = 0;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		ring_cursor_init(&kernel_self()->cpus[i]->trace->ring, &cursor);
		while (ring_cursor_next(&kernel_self()->cpus[i]->trace->ring, &cursor, &record))
			found += record.event == TRACE_LOG_LINE && record.a == LOG_INFO && record.b == 16;
	}
	CHECK(found >= 1);
}

TEST(log, lost_lines_are_told)
{
	uint32_t *lost = &kernel_self()->log->ring.lost;
	uint32_t before = log_lost();

	(void)atomic_fetch_add_u32_relaxed_nopoint(lost, 3);
	CHECK_EQ(log_lost(), before + 3);
	(void)atomic_fetch_sub_u32_relaxed_nopoint(lost, 3);
}

// What a panicking body leaves on the console is all the runner looks at.
TEST_WITH(log, urgent_line_reaches_the_console, 0, TEST_PANICS, "] logtest: urgent 7\n")
{
	log_set_console_level(LOG_INFO);
	CHECK_EQ(log_console_level(), LOG_INFO);
	log_info("logtest: urgent %d", 7);
	panic("end of test");
}

TEST_WITH(log, longest_line_reaches_the_console_whole, 0, TEST_PANICS, "  e\n")
{
	log_err("%*s", (int)LOG_TEXT_SIZE - 1, "e");
	panic("end of test");
}

// Without a ring, as before base_init(), a line still comes out.
TEST_WITH(log, early_line_goes_straight_to_the_console, 0, TEST_PANICS, "] logtest: early 8\n")
{
	struct ring_cursor cursor;
	struct log_record record;

	kernel_self()->log = NULL;
	VERIFY3(log_lost(), ==, 0);
	VERIFY3(log_ring_level(), ==, LOG_EMERG);
	stack_dirty();
	log_cursor_init(&cursor);
	VERIFY3(cursor.next, ==, cursor.end);
	VERIFY(!log_cursor_next(&cursor, &record));
	log_err_limited("logtest: early %d", 8);
	panic("end of test");
}

TEST(log, levels_decide_what_is_kept)
{
	enum log_level level = log_ring_level();
	struct log_record record;

	log_set_ring_level(LOG_NOTICE);
	log_notice("logtest: urgent enough");
	log_info("logtest: not urgent");
	CHECK_EQ(log_search("logtest: urgent enough", &record), 1);
	CHECK_EQ(log_search("logtest: not urgent", &record), 0);
	log_set_ring_level(LOG_DEBUG);
	log_debug("logtest: now kept");
	CHECK_EQ(log_search("logtest: now kept", &record), 1);
	log_set_ring_level(level);
	CHECK_EQ(log_ring_level(), level);
}

TEST(log, long_line_is_cut)
{
	struct log_record record;

	log_err("logtest: long %0400d", 1);
	REQUIRE(log_search("logtest: long", &record) == 1);
	CHECK_EQ(record.length, LOG_TEXT_SIZE - 1);
	CHECK_EQ(strlen(record.text), LOG_TEXT_SIZE - 1);
}

TEST(log, clear_forgets)
{
	struct log_record record;

	log_warn("logtest: before clear");
	CHECK_EQ(log_search("logtest: before clear", &record), 1);
	log_clear();
	CHECK_EQ(log_search("logtest: before clear", &record), 0);
	log_warn("logtest: after clear");
	CHECK_EQ(log_search("logtest: after clear", &record), 1);
}

TEST(log, line_is_formatted)
{
	struct log_record record = {.ts_ns = 12345678901ull, .length = 4, .text = "text"};
	char line[LOG_LINE_SIZE];

	CHECK_EQ(log_format(&record, line, sizeof line), 19);
	CHECK(str_equal(line, "[   12.345678] text"));
	CHECK_EQ(log_format(&record, line, 8), 7);
	CHECK(str_equal(line, "[   12."));
	CHECK(str_equal(log_level_name(LOG_EMERG), "emerg"));
	CHECK(str_equal(log_level_name(LOG_DEBUG), "debug"));
	CHECK(str_equal(log_level_name((enum log_level)8), "?"));
}

// One call site: eight lines get through in a window, and their number is what the ring holds.
TEST(log, site_is_limited)
{
	uint64_t limited = counter_read(COUNTER_LOG_LIMITED);
	struct log_record record;
	uint64_t window = clock_now_ns() >> 32;

	for (uint32_t i = 0; i < 3 * LOG_LIMIT_BURST; i++)
		log_warn_limited("logtest: again %u", i);
	log_warn_limited("logtest: another site");
	log_warn_limited("logtest: another site");
	log_warn_limited("logtest: another site");
	log_warn_limited("logtest: another site");
	if (clock_now_ns() >> 32 == window) {
		CHECK_EQ(log_search("logtest: again", &record), LOG_LIMIT_BURST);
		CHECK(str_equal(record.text, "logtest: again 7"));
		CHECK(CONFIG_TINY || counter_read(COUNTER_LOG_LIMITED) >= limited + 2 * LOG_LIMIT_BURST);
	}
	CHECK_EQ(log_search("logtest: another site", &record), 4);
}

// Time passes at once in the simulator: the next window's first line tells how many were held back.
TEST_WITH(log, held_back_lines_are_told_later, 0, TEST_SIM_ONLY, NULL)
{
	struct log_record record;

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < (round == 0 ? LOG_LIMIT_BURST + 5 : 1); i++)
			log_info_limited("logtest: round %u", round);
		sleep_ns(5000000000ull);
	}
	REQUIRE(log_search("logtest: round 1", &record) == 1);
	CHECK(str_equal(record.text, "(5 held back) logtest: round 1"));
	CHECK_EQ(record.length, strlen(record.text));
	CHECK_EQ(record.level, LOG_INFO);
}

TEST(log, limited_line_is_cut)
{
	struct log_record record;

	log_warn_limited("logtest: wide %0400d", 1);
	REQUIRE(log_search("logtest: wide", &record) == 1);
	CHECK_EQ(record.length, LOG_TEXT_SIZE - 1);
	CHECK_EQ(strlen(record.text), LOG_TEXT_SIZE - 1);
	char text[LOG_TEXT_SIZE + 20];
	ksnprintf(text, sizeof text, "logtest: wider %0400d", 1);
	log_write_ring(LOG_ERR, text);
	REQUIRE(log_search("logtest: wider", &record) == 1);
	CHECK_EQ(record.length, LOG_TEXT_SIZE - 1);
}

// Keys 11 and 139 begin their search at the same entry.
TEST(log, sites_with_one_home_are_told_apart)
{
	struct log_site sites[LOG_SITES] = {0};
	uint32_t held_back;

	for (uint32_t i = 0; i < LOG_LIMIT_BURST; i++)
		CHECK(log_limit_admit(sites, 11, 0, &held_back));
	CHECK(!log_limit_admit(sites, 11, 0, &held_back));
	CHECK(log_limit_admit(sites, 139, 0, &held_back));
	CHECK(!log_limit_admit(sites, 11, 0, &held_back));
	uint32_t keys = 0;
	for (uint32_t i = 0; i < LOG_SITES; i++)
		keys += sites[i].key != 0;
	CHECK_EQ(keys, 2);
}

TEST(log, limit_counts_per_site_and_window)
{
	struct log_site sites[LOG_SITES] = {0};
	uint32_t held_back = 99;

	for (uint32_t i = 0; i < LOG_LIMIT_BURST; i++) {
		CHECK(log_limit_admit(sites, 11, 5, &held_back));
		CHECK_EQ(held_back, 0);
	}
	for (uint32_t i = 0; i < 5; i++)
		CHECK(!log_limit_admit(sites, 11, UINT32_MAX, &held_back));
	CHECK(log_limit_admit(sites, 13, 5, &held_back));
	CHECK(log_limit_admit(sites, 11, 1ull << 32, &held_back));
	CHECK_EQ(held_back, 5);
	CHECK(log_limit_admit(sites, 11, 1ull << 32, &held_back));
	CHECK_EQ(held_back, 0);
	CHECK(log_limit_admit(sites, 11, 3ull << 32, &held_back));
	CHECK_EQ(held_back, 0);
}

// 64 entries for 200 sites: everybody finds one, and no site is refused its first line by more than its neighbours' use.
TEST(log, limit_survives_a_full_table)
{
	struct log_site sites[LOG_SITES] = {0};
	uint32_t held_back, refused = 0;

	for (uint32_t key = 1; key < 400; key += 2)
		refused += !log_limit_admit(sites, key * 977 | 1, 0, &held_back);
	CHECK(refused < 100);
	for (uint32_t i = 0; i < 70000; i++)
		(void)log_limit_admit(sites, 977 | 1, 0, &held_back);
	CHECK(!log_limit_admit(sites, 977 | 1, 0, &held_back));
	CHECK(log_limit_admit(sites, 977 | 1, 1ull << 32, &held_back));
	CHECK_EQ(held_back, 0xffff - LOG_LIMIT_BURST);
}

static void chatter_main(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 8; i++) {
		log_info("logtest: chatter %u.%u", current->id, i);
		thread_yield();
	}
}

TEST_CPUS(log, lines_of_many_threads_stay_whole, 4)
{
	enum log_level level = log_ring_level();
	struct thread *threads[4];
	struct log_record record;
	uint32_t started = 0;

	log_set_ring_level(LOG_INFO);
	uint32_t lost = log_lost();
	while (started < array_count(threads) && thread_start(NULL, chatter_main, NULL, &threads[started]) == 0)
		started++;
	for (uint32_t i = 0; i < started; i++) {
		uint32_t id = threads[i]->id;
		CHECK_EQ(thread_join(threads[i], NULL), 0);
		char text[40];
		ksnprintf(text, sizeof text, "logtest: chatter %u.", id);
		CHECK_EQ(log_search(text, &record), 8);
		CHECK_EQ(record.thread, id);
	}
	CHECK_EQ(log_lost(), lost);
	log_set_ring_level(level);
}
