// SPDX-License-Identifier: MIT
//
// Terminals with threads: what a read waits for, signals and the owner, output that is stopped, room, and all of it at once.
#include "../sync/sync_test.h"

#include "kern/mem.h"
#include "kern/process.h"
#include "kern/rand.h"
#include "kern/string.h"
#include "kern/tty.h"

#define MS 1000000ull

// A terminal whose output is counted, and its end kept.
struct bench {
	struct tty tty; // first
	uint32_t shown;
	char last[64];
};

static void bench_output(struct tty *tty, const char *bytes, size_t size_bytes)
{
	struct bench *bench = container_of(tty, struct bench, tty);
	size_t kept = size_bytes < sizeof bench->last ? size_bytes : sizeof bench->last;

	bench->shown += (uint32_t)size_bytes;
	memmove(bench->last, bench->last + kept, sizeof bench->last - kept);
	memcpy(bench->last + sizeof bench->last - kept, bytes + size_bytes - kept, kept);
}

static const struct tty_ops bench_ops = {.output = bench_output};

static struct bench *bench_make(void)
{
	struct bench *bench = kmalloc(sizeof *bench, MEM_ZERO);
	if (bench != NULL)
		tty_init(&bench->tty, &bench_ops, 1);
	return bench;
}

static void bench_free(TEST_RUN, struct bench *bench)
{
	CHECK_EQ(tty_check(&bench->tty), 0);
	tty_fini(&bench->tty);
	kfree(bench);
}

static void type(struct bench *bench, const char *text)
{
	tty_input(&bench->tty, (const uint8_t *)text, strlen(text), 0);
}

static void modes_raw(TEST_RUN, struct bench *bench, uint8_t min, uint8_t time)
{
	struct tb_termios modes;
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TCGETS, &modes), 0);
	modes.lflag = modes.iflag = modes.oflag = 0;
	modes.cc[TB_VMIN] = min;
	modes.cc[TB_VTIME] = time;
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TCSETS, &modes), 0);
}

struct call {
	struct bench *bench;
	bool write;
	char bytes[64];
	size_t size, done;
	err_t err;
};

static void call_main(void *arg)
{
	struct call *call = arg;
	call->err = call->write ? tty_write(&call->bench->tty, call->bytes, call->size, true, &call->done)
				: tty_read(&call->bench->tty, call->bytes, call->size, true, &call->done);
}

static struct thread *call_start(TEST_RUN, struct call *call)
{
	struct thread *thread = NULL;
	CHECK_EQ(thread_start(NULL, call_main, call, &thread), 0);
	wait_asleep(thread);
	return thread;
}

// ---- reading -------------------------------------------------------------------------------------------------------------

TEST(tty, a_read_waits_for_a_line)
{
	struct bench *bench = bench_make();
	REQUIRE(bench != NULL);
	struct call call = {.bench = bench, .size = sizeof call.bytes};
	struct thread *thread = call_start(test_run_, &call);

	type(bench, "ab");
	wait_asleep(thread);
	CHECK_EQ(call.done, 0);
	type(bench, "c\nrest");
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK_EQ(call.err, 0);
	CHECK(call.done == 4 && memcmp(call.bytes, "abc\n", 4) == 0);
	bench_free(test_run_, bench);
}

TEST(tty, min_and_time)
{
	struct bench *bench = bench_make();
	REQUIRE(bench != NULL);
	struct call call = {.bench = bench, .size = sizeof call.bytes};
	char bytes[8];
	size_t done = 9;

	modes_raw(test_run_, bench, 0, 0);
	CHECK(tty_read(&bench->tty, bytes, sizeof bytes, true, &done) == 0 && done == 0);
	CHECK(tty_read(&bench->tty, bytes, sizeof bytes, false, &done) == 0 && done == 0);
	modes_raw(test_run_, bench, 0, 1);
	uint64_t start_ns = after_ns(0);
	CHECK(tty_read(&bench->tty, bytes, sizeof bytes, true, &done) == 0 && done == 0);
	CHECK(after_ns(0) - start_ns >= 100 * MS);
	modes_raw(test_run_, bench, 3, 0);
	CHECK_EQ(tty_read(&bench->tty, bytes, sizeof bytes, false, &done), -EAGAIN);
	struct thread *thread = call_start(test_run_, &call);
	type(bench, "ab");
	wait_asleep(thread);
	type(bench, "c");
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK(call.err == 0 && call.done == 3);
	modes_raw(test_run_, bench, 5, 1); // two bytes, then nobody types for long
	type(bench, "xy");
	CHECK(tty_read(&bench->tty, bytes, sizeof bytes, true, &done) == 0 && done == 2);
	type(bench, "more"); // fewer than VMIN are wanted
	CHECK(tty_read(&bench->tty, bytes, 3, true, &done) == 0 && done == 3);
	bench_free(test_run_, bench);
}

// ---- the owner -----------------------------------------------------------------------------------------------------------

static bool on_signal(struct process *process, uint32_t signal, void *arg)
{
	uint32_t *seen = arg;
	(void)process;
	(void)atomic_fetch_or_u32_acq_rel(seen, 1u << signal);
	return signal == TB_SIGINT;
}

TEST(tty, signals_reach_the_owner)
{
	struct bench *bench = bench_make();
	struct tb_winsize window = {.rows = 30, .columns = 90}, got;
	struct process *process = NULL;
	uint32_t seen = 0;

	REQUIRE(bench != NULL && process_create("owner", NULL, &process) == 0);
	struct call call = {.bench = bench, .size = sizeof call.bytes};
	type(bench, "\003"); // nobody's
	process_set_tty_hook(process, on_signal, &seen);
	tty_set_owner(&bench->tty, process);
	struct thread *thread = call_start(test_run_, &call);
	type(bench, "ab\x1c"); // no end of a wait, by this hook
	wait_asleep(thread);
	CHECK_EQ(seen, 1u << TB_SIGQUIT);
	type(bench, "\003");
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK_EQ(call.err, -EINTR);
	uint32_t before = tty_interrupts(&bench->tty);
	type(bench, "\003");
	CHECK_EQ(tty_read_since(&bench->tty, before, call.bytes, 4, true, &call.done), -EINTR);
	CHECK_EQ(tty_read(&bench->tty, call.bytes, 4, false, &call.done), -EAGAIN);
	type(bench, "z\n");
	CHECK(tty_read_since(&bench->tty, before, call.bytes, 4, true, &call.done) == 0 && call.done == 2);
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TIOCSWINSZ, &window), 0);
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TIOCSWINSZ, &window), 0);
	CHECK(tty_ioctl(&bench->tty, TB_TIOCGWINSZ, &got) == 0 && got.rows == 30 && got.columns == 90);
	type(bench, "last\x04");
	tty_end(&bench->tty);
	CHECK_EQ(seen, 1u << TB_SIGQUIT | 1u << TB_SIGINT | 1u << TB_SIGWINCH | 1u << TB_SIGHUP);
	CHECK(tty_read(&bench->tty, call.bytes, sizeof call.bytes, true, &call.done) == 0 && call.done == 4);
	CHECK(tty_read(&bench->tty, call.bytes, sizeof call.bytes, true, &call.done) == 0 && call.done == 0);
	process_set_tty_hook(process, NULL, NULL);
	bench_free(test_run_, bench);
	process_put(process);
}

// ---- output and room -----------------------------------------------------------------------------------------------------

TEST(tty, stopped_output_waits)
{
	struct bench *bench = bench_make();
	REQUIRE(bench != NULL);
	struct call call = {.bench = bench, .write = true, .bytes = "text", .size = 4};
	size_t done = 9;

	type(bench, "\023");
	CHECK(tty_write(&bench->tty, "x", 1, false, &done) == -EAGAIN && done == 0);
	struct thread *thread = call_start(test_run_, &call);
	CHECK_EQ(bench->shown, 0);
	type(bench, "\021");
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK(call.err == 0 && call.done == 4 && bench->shown == 4);
	bench_free(test_run_, bench);
}

struct typist {
	struct bench *bench;
	uint32_t size;
};

static void typist_main(void *arg)
{
	struct typist *typist = arg;
	uint8_t bytes[500];

	for (uint32_t from = 0; from < typist->size; from += sizeof bytes) {
		for (uint32_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (uint8_t)(from + i);
		tty_input(&typist->bench->tty, bytes, sizeof bytes, TB_FOREVER);
	}
}

TEST(tty, typed_bytes_wait_for_room)
{
	struct bench *bench = bench_make();
	REQUIRE(bench != NULL);
	struct typist typist = {bench, 20000};
	struct thread *thread = NULL;
	uint8_t bytes[700];
	uint32_t wrong = 0;
	size_t done;

	modes_raw(test_run_, bench, 1, 0);
	CHECK_EQ(thread_start(NULL, typist_main, &typist, &thread), 0);
	for (uint32_t got = 0; got < typist.size; got += (uint32_t)done) {
		if (tty_read(&bench->tty, bytes, sizeof bytes, true, &done) != 0 || done == 0)
			break;
		for (size_t i = 0; i < done; i++)
			wrong += bytes[i] != (uint8_t)(got + i);
	}
	CHECK_EQ(thread_join(thread, NULL), 0);
	CHECK_EQ(wrong, 0);
	for (uint32_t i = 0; i < LDISC_BYTES - 1; i++)
		type(bench, "x");
	CHECK_EQ(bench->shown, 0);
	type(bench, "lost");
	CHECK(bench->shown == 1 && bench->last[sizeof bench->last - 1] == '\a');
	int32_t waiting = 0;
	CHECK(tty_ioctl(&bench->tty, TB_FIONREAD, &waiting) == 0 && waiting == (int32_t)LDISC_BYTES - 1);
	bench_free(test_run_, bench);
}

// A line that is too long loses what is too much of it, and ends; a full queue still takes an interrupt.
TEST(tty, full_queues)
{
	struct bench *bench = bench_make();
	REQUIRE(bench != NULL);
	char *bytes = kmalloc(LDISC_BYTES + 10, 0);
	size_t done = 0;

	REQUIRE(bytes != NULL);
	for (uint32_t i = 0; i < LDISC_BYTES + 100; i++)
		type(bench, "x");
	type(bench, "\n");
	CHECK(tty_read(&bench->tty, bytes, LDISC_BYTES + 10, true, &done) == 0 && done == LDISC_BYTES);
	CHECK_EQ(bytes[LDISC_BYTES - 1], '\n');
	for (uint32_t i = 0; i < LDISC_BYTES / 2; i++)
		type(bench, "x\n");
	type(bench, "\003y\n");
	CHECK(tty_read(&bench->tty, bytes, LDISC_BYTES, true, &done) == 0 && done == 2 && bytes[0] == 'y');
	kfree(bytes);
	bench_free(test_run_, bench);
}

TEST(tty, requests)
{
	struct bench *bench = bench_make();
	REQUIRE(bench != NULL);
	int32_t value = 3;
	bool in, out;

	CHECK_EQ(tty_ioctl(&bench->tty, 0x1234, &value), -ENOTTY);
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TCFLSH, &value), -EINVAL);
	value = 4;
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TCXONC, &value), -EINVAL);
	value = -1;
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TCXONC, &value), -EINVAL);
	CHECK_EQ(tty_ioctl(&bench->tty, TB_TCSBRK, &value), 0);
	CHECK(tty_ioctl(&bench->tty, TB_TIOCOUTQ, &value) == 0 && value == 0);
	CHECK_EQ(tty_request_size(0x1234, &in, &out), 0);
	CHECK(tty_request_size(TB_TCGETS, &in, &out) == sizeof(struct tb_termios) && !in && out);
	CHECK(tty_request_size(TB_TIOCSTI, &in, &out) == 1 && in && !out);
	bench_free(test_run_, bench);
}

// ---- all at once ---------------------------------------------------------------------------------------------------------

struct storm {
	struct bench *bench;
	uint32_t rounds;
	uint32_t over;        // atomic
	uint32_t typed, read; // atomic
};

static void storm_type(void *arg)
{
	static const char keys[] = "ab \n\n\003\023\021\021\x7f\x15\x16\x04\t\xc3\xa4";
	struct worker *worker = arg;
	struct storm *storm = worker->shared;
	struct rand_stream chance;

	rand_open(&chance, "tty", worker->index);
	for (uint32_t i = 0; i < storm->rounds; i++) {
		uint8_t bytes[8];
		uint32_t size = 1 + rand_below(&chance, sizeof bytes);
		for (uint32_t j = 0; j < size; j++)
			bytes[j] = (uint8_t)keys[rand_below(&chance, sizeof keys - 1)];
		tty_input(&storm->bench->tty, bytes, size, after_ns(MS / 10));
		(void)atomic_fetch_add_u32_relaxed(&storm->typed, size);
	}
}

static void storm_read(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->shared;
	uint8_t bytes[5];
	size_t done;

	while (atomic_load_u32_acquire(&storm->over) == 0) {
		err_t err = tty_read(&storm->bench->tty, bytes, sizeof bytes, true, &done);
		if (err != 0 && err != -EINTR)
			break;
		(void)atomic_fetch_add_u32_relaxed(&storm->read, (uint32_t)done);
	}
}

static void storm_write(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->shared;
	size_t done;

	for (uint32_t i = 0; i < storm->rounds; i++)
		(void)!tty_write(&storm->bench->tty, "line\tof text\n", 13, worker->index % 2 == 0, &done);
}

static void storm_modes(void *arg)
{
	struct worker *worker = arg;
	struct storm *storm = worker->shared;
	struct tty *tty = &storm->bench->tty;
	struct tb_termios modes;

	for (uint32_t i = 0; i < storm->rounds; i++) {
		int32_t action = i % 2 == 0 ? TB_TCION : TB_TCOON;
		struct tb_winsize window = {.rows = (uint16_t)i, .columns = 80};
		if (tty_ioctl(tty, TB_TCGETS, &modes) != 0)
			break;
		modes.lflag ^= i % 3 == 0 ? TB_ICANON : TB_ECHO;
		(void)!tty_ioctl(tty, i % 5 == 0 ? TB_TCSETSF : TB_TCSETS, &modes);
		(void)!tty_ioctl(tty, TB_TCXONC, &action);
		tty_set_window(tty, &window);
	}
}

TEST(tty, everything_at_once)
{
	struct bench *bench = bench_make();
	struct process *process = NULL;
	struct worker readers[2], others[4];
	uint32_t seen = 0;

	REQUIRE(bench != NULL && process_create("owner", NULL, &process) == 0);
	struct storm storm = {.bench = bench, .rounds = loops(200, 12)};
	process_set_tty_hook(process, on_signal, &seen);
	tty_set_owner(&bench->tty, process);
	workers_start(test_run_, readers, 2, storm_read, &storm);
	workers_start(test_run_, others, 1, storm_type, &storm);
	workers_start(test_run_, others + 1, 2, storm_write, &storm);
	workers_start(test_run_, others + 3, 1, storm_modes, &storm);
	workers_join(test_run_, others, 1);
	workers_join(test_run_, others + 3, 1);
	for (int32_t i = 0; i < 2; i++) { // whatever stopped it, by call and by key
		int32_t action = i == 0 ? TB_TCOON : TB_TCION;
		CHECK_EQ(tty_ioctl(&bench->tty, TB_TCXONC, &action), 0);
		type(bench, "\021");
	}
	atomic_store_u32_release(&storm.over, 1);
	tty_end(&bench->tty);
	workers_join(test_run_, others + 1, 2);
	workers_join(test_run_, readers, 2);
	CHECK(storm.read <= storm.typed);
	process_set_tty_hook(process, NULL, NULL);
	bench_free(test_run_, bench);
	process_put(process);
}
