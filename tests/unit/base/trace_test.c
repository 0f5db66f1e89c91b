// SPDX-License-Identifier: MIT
//
// Trace points of the running instance. TRACE_TEST_MARK is the tests' own event.
#include "kern/trace.h"

#include "kern/counter.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/trace_hash.h"

// Counts marks with this `a`; the last in *found.
static uint32_t trace_search(uint32_t event, uint64_t a, struct trace_record *found)
{
	struct trace_cursor *cursor = kmalloc(sizeof *cursor, 0);
	struct trace_record record;
	uint32_t count = 0;

	if (cursor == NULL)
		return 0;
	trace_cursor_init(cursor);
	while (trace_cursor_next(cursor, &record)) {
		if (record.event != event || record.a != a)
			continue;
		*found = record;
		count++;
	}
	kfree(cursor);
	return count;
}

TEST(trace, event_is_recorded_with_its_circumstances)
{
	struct trace_record record;
	uint64_t before_ns = clock_now_ns();

	CHECK_EQ(trace_enable("test.mark", true), 0);
	preempt_disable();
	uint32_t cpu = this_cpu()->hal.index;
	trace_emit(TRACE_TEST_MARK, 11, 0xabcdef0123456789ull);
	preempt_enable();
	REQUIRE(trace_search(TRACE_TEST_MARK, 11, &record) == 1);
	CHECK(record.b == 0xabcdef0123456789ull);
	CHECK_EQ(record.thread, current->id);
	CHECK_EQ(record.cpu, cpu);
	CHECK(record.ts_ns >= before_ns);
	CHECK(record.ts_ns <= clock_now_ns());
}

TEST(trace, points_are_switched_by_event_and_group)
{
	struct trace_record record;

	CHECK_EQ(trace_enable("test", false), 0);
	CHECK(!trace_is_ringed(TRACE_TEST_MARK));
	trace_emit(TRACE_TEST_MARK, 21, 0);
	CHECK_EQ(trace_search(TRACE_TEST_MARK, 21, &record), 0);
	CHECK_EQ(trace_enable("test", true), 0);
	CHECK(trace_is_ringed(TRACE_TEST_MARK));
	trace_emit(TRACE_TEST_MARK, 22, 0);
	CHECK_EQ(trace_search(TRACE_TEST_MARK, 22, &record), 1);
	CHECK_EQ(trace_enable("tes", true), -ENOENT);
	CHECK_EQ(trace_enable("test.", true), -ENOENT);
	CHECK_EQ(trace_enable("test.markk", true), -ENOENT);
	CHECK_EQ(trace_enable("", true), -ENOENT);
	CHECK(!trace_is_ringed(TRACE_EVENT_COUNT));
}

TEST(trace, clear_empties_the_rings)
{
	struct trace_record record;

	record = (struct trace_record){.event = TRACE_TEST_MARK, .a = 31, .ts_ns = clock_now_ns()};
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++)
		CHECK(ring_write(&kernel_self()->cpus[i]->trace->ring, &record));
	CHECK_EQ(trace_search(TRACE_TEST_MARK, 31, &record), kernel_self()->cpu_count);
	trace_clear();
	CHECK_EQ(trace_search(TRACE_TEST_MARK, 31, &record), 0);
}

TEST(trace, lost_events_are_told)
{
	const struct kernel *kernel = kernel_self();
	uint32_t before = trace_lost();

	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		(void)atomic_fetch_add_u32_relaxed_nopoint(&kernel->cpus[i]->trace->ring.lost, 3);
	CHECK_EQ(trace_lost(), before + 3 * kernel->cpu_count);
	for (uint32_t i = 0; i < kernel->cpu_count; i++)
		(void)atomic_fetch_sub_u32_relaxed_nopoint(&kernel->cpus[i]->trace->ring.lost, 3);
}

// With the rings quiet, what several CPUs recorded comes out by time.
static void marker_main(void *arg)
{
	uintptr_t number = (uintptr_t)arg;

	for (uint32_t i = 0; i < 20; i++) {
		trace_emit(TRACE_TEST_MARK, 40 + number, i);
		thread_yield();
	}
}

TEST_CPUS(trace, records_of_all_cpus_come_in_order_of_time, 4)
{
	struct trace_cursor *cursor = kmalloc(sizeof *cursor, 0);
	uint32_t seen[3] = {0}, started = 0;
	struct trace_record record;
	struct thread *threads[3];
	uint64_t last_ns = 0;

	REQUIRE(cursor != NULL);
	CHECK_EQ(trace_enable("all", false), 0);
	CHECK_EQ(trace_enable("test.mark", true), 0);
	trace_clear();
	for (; started < array_count(threads); started++)
		if (thread_start(NULL, marker_main, (void *)(uintptr_t)started, &threads[started]) != 0)
			break;
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	trace_cursor_init(cursor);
	while (trace_cursor_next(cursor, &record)) {
		CHECK(record.ts_ns >= last_ns);
		last_ns = record.ts_ns;
		if (record.event == TRACE_TEST_MARK && record.a - 40 < started) {
			CHECK_EQ(record.b, seen[record.a - 40]);
			seen[record.a - 40]++;
		}
	}
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(seen[i], 20);
	kfree(cursor);
}

// At one time the lower CPU comes first. The time is to come, so that no record before ours in its ring is later and holds it back.
TEST_CPUS(trace, ties_are_shown_by_cpu, 2)
{
	struct trace_cursor *cursor = kmalloc(sizeof *cursor, 0);
	struct trace_record record = {.event = TRACE_TEST_MARK, .a = 61};
	uint32_t next_cpu = 0;

	REQUIRE(cursor != NULL);
	CHECK_EQ(trace_enable("all", false), 0);
	record.ts_ns = clock_now_ns() + NS_PER_S;
	for (uint32_t cpu = kernel_self()->cpu_count; cpu-- > 0;) {
		record.cpu = cpu;
		CHECK(ring_write(&kernel_self()->cpus[cpu]->trace->ring, &record));
	}
	trace_cursor_init(cursor);
	while (trace_cursor_next(cursor, &record))
		if (record.event == TRACE_TEST_MARK && record.a == 61)
			CHECK_EQ(record.cpu, next_cpu++);
	CHECK_EQ(next_cpu, kernel_self()->cpu_count);
	kfree(cursor);
}

static void show_row(TEST_RUN, const struct trace_record *record, const char *text, const char *json)
{
	char line[TRACE_LINE_SIZE];

	size_t length = trace_format(record, line, sizeof line);
	CHECK_EQ(length, strlen(line));
	test_check(test_run_, str_equal(line, text), text, __FILE__, __LINE__);
	length = trace_format_json(record, line, sizeof line);
	CHECK_EQ(length, strlen(line));
	test_check(test_run_, str_equal(line, json), json, __FILE__, __LINE__);
}

TEST(trace, records_are_shown_as_text_and_json)
{
	struct trace_record record = {.ts_ns = 1000002003ull, .cpu = 2, .thread = 7, .event = TRACE_SCHED_SWITCH};

	record.a = 7;
	record.b = 9;
	show_row(test_run_, &record, "[    1.000002003] cpu2 thread7 sched.switch from=7 to=9",
		 "{\"ts_ns\":1000002003,\"cpu\":2,\"thread\":7,\"event\":\"sched.switch\",\"from\":7,\"to\":9}");
	record.event = TRACE_BOOT_STOP;
	record.a = (uint64_t)-5;
	show_row(test_run_, &record, "[    1.000002003] cpu2 thread7 boot.stop status=-5",
		 "{\"ts_ns\":1000002003,\"cpu\":2,\"thread\":7,\"event\":\"boot.stop\",\"status\":-5}");
	record.event = TRACE_BOOT_COMPONENT;
	record.a = (uint64_t)image_offset("slab \"x\"");
	record.b = (uint64_t)-ENOMEM;
	show_row(
		test_run_, &record, "[    1.000002003] cpu2 thread7 boot.component name=slab \"x\" error=ENOMEM",
		"{\"ts_ns\":1000002003,\"cpu\":2,\"thread\":7,\"event\":\"boot.component\",\"name\":\"slab \\\"x\\\"\","
		"\"error\":\"ENOMEM\"}");
	record.event = TRACE_EVENT_COUNT;
	show_row(test_run_, &record, "[    1.000002003] cpu2 thread7 ?",
		 "{\"ts_ns\":1000002003,\"cpu\":2,\"thread\":7,\"event\":\"?\"}");
}

TEST(trace, shown_record_is_cut)
{
	struct trace_record record = {.event = TRACE_SCHED_SWITCH};
	char line[10];

	CHECK_EQ(trace_format(&record, line, sizeof line), 9);
	CHECK_EQ(strlen(line), 9);
	CHECK_EQ(trace_format_json(&record, line, sizeof line), 9);
}

// Every row of the table has a name of the form group.name, and no two rows share one.
TEST(trace, table_is_sound)
{
	for (uint32_t i = 0; i < TRACE_EVENT_COUNT; i++) {
		const char *name = trace_event_name(i);
		const char *dot = strchr(name, '.');
		CHECK(dot != NULL && dot != name && dot[1] != '\0');
		for (uint32_t j = 0; j < i; j++)
			CHECK(!str_equal(name, trace_event_name(j)));
	}
	CHECK(str_equal(trace_event_name(TRACE_EVENT_COUNT), "?"));
}

#if CONFIG_ASSERTS
TEST(err, origin_is_traced)
{
	struct trace_record record;
	char line[TRACE_LINE_SIZE];

	CHECK_EQ(trace_enable("err.origin", true), 0);
	err_t err = ERR(EXDEV);
	CHECK_EQ(err, -EXDEV);
	REQUIRE(trace_search(TRACE_ERR_ORIGIN, EXDEV, &record) >= 1);
	trace_format(&record, line, sizeof line);
	CHECK(strstr(line, "error=EXDEV at=") != NULL);
	CHECK(strstr(line, "trace_test.c:") != NULL);
}
#endif

TEST(err, names_and_texts)
{
	CHECK(str_equal(err_name(-EINVAL), "EINVAL"));
	CHECK(str_equal(err_name(EINVAL), "EINVAL"));
	CHECK(str_equal(err_name(0), "OK"));
	CHECK(str_equal(err_name(-41), "E?"));
	CHECK(str_equal(err_name(-100000), "E?"));
	CHECK(str_equal(err_name(INT32_MIN), "E?"));
	CHECK(str_equal(err_text(-ENOSPC), "no space left"));
	CHECK(str_equal(err_text(0), "success"));
	CHECK(str_equal(err_text(-41), "unknown error"));
	CHECK_EQ(ERR(ENOTRECOVERABLE), -131);
}

TEST(image, offsets_lead_back)
{
	static const char constant[] = "constant";
	uint32_t local = 0;

	CHECK(image_pointer(image_offset(constant)) == constant);
	CHECK(image_contains(constant));
	CHECK(!image_contains(&local));
	CHECK(!image_contains(hal_kernel()));
}

static void counting_main(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 100; i++) {
		counter_add(COUNTER_TEST, 3);
		if (i % 8 == 0)
			thread_yield();
	}
}

TEST_CPUS(counter, nothing_is_lost_among_threads, 4)
{
	uint64_t before = counter_read(COUNTER_TEST);
	struct thread *threads[4];
	uint32_t started = 0;

	while (started < array_count(threads) && thread_start(NULL, counting_main, NULL, &threads[started]) == 0)
		started++;
	for (uint32_t i = 0; i < started; i++)
		CHECK_EQ(thread_join(threads[i], NULL), 0);
	CHECK_EQ(counter_read(COUNTER_TEST), before + started * 300);
	preempt_disable();
	counter_add_local(COUNTER_TEST, 5);
	preempt_enable();
	counter_inc(COUNTER_TEST);
	CHECK_EQ(counter_read(COUNTER_TEST), before + started * 300 + 6);
}

TEST(counter, table_is_sound)
{
	for (uint32_t i = 0; i < COUNTER_COUNT; i++) {
		const char *name = counter_name((enum counter_id)i);
		CHECK(strchr(name, '.') != NULL);
		CHECK(strlen(counter_help((enum counter_id)i)) > 0);
		for (uint32_t j = 0; j < i; j++)
			CHECK(!str_equal(name, counter_name((enum counter_id)j)));
	}
	CHECK(str_equal(counter_name(COUNTER_COUNT), "?"));
}

// What a hash of these events comes to: test.mark's first argument counts, slab.alloc's do not, a lock's name goes in by its text, a
// deadline by its distance.
static uint64_t hash_of(TEST_RUN, uint64_t mark, uint64_t place, uint64_t deadline_ns, uint64_t name)
{
	struct trace_hash hash;

	bool was = hal_irq_save();
	err_t err = trace_hash_begin(&hash, false);
	trace_emit(TRACE_TEST_MARK, mark, 1);
	trace_emit(TRACE_SLAB_ALLOC, place, place);
	trace_emit(TRACE_FRAME_ALLOC, place, 0);
	trace_emit(TRACE_TIMER_CANCEL, deadline_ns == TB_FOREVER ? deadline_ns : hash.start_ns + deadline_ns, 0);
	trace_emit(TRACE_LOCK_CONTENDED, name, 0);
	if (err == 0)
		trace_hash_end(&hash);
	hal_irq_restore(was);
	CHECK_EQ(err, 0);
	CHECK_EQ(hash.events, 4);
	return hash.hash;
}

TEST(trace, a_hash_takes_what_is_the_same_everywhere)
{
	struct trace_hash hash, other;
	uint64_t name = (uint64_t)image_offset("name"), again = (uint64_t)image_offset("another name");

	if (kernel_self()->cpu_count > 1) {
		CHECK_EQ(trace_hash_begin(&hash, false), -EINVAL);
		return;
	}
	uint64_t first = hash_of(test_run_, 7, 100, 50, name);
	CHECK_EQ(hash_of(test_run_, 7, 200, 50, name), first);
	CHECK(hash_of(test_run_, 8, 100, 50, name) != first);
	CHECK(hash_of(test_run_, 7, 100, 51, name) != first);
	CHECK(hash_of(test_run_, 7, 100, TB_FOREVER, name) != first);
	CHECK(hash_of(test_run_, 7, 100, 50, again) != first);
	CHECK_EQ(trace_hash_begin(&hash, false), 0);
	CHECK_EQ(trace_hash_begin(&other, false), -EBUSY);
	trace_hash_end(&hash);
	bool was_on = trace_is_ringed(TRACE_TEST_MARK);
	CHECK_EQ(trace_is_enabled(TRACE_TEST_MARK), was_on || kernel_self()->trace->sink != 0);
}
