// SPDX-License-Identifier: MIT
//
// Disks from outside: images of the host under both engines, whom they belong to, what a simulated one does to who trusts it, and what a power cut
// leaves. TAP. Arguments: --cuts N.
#include "disk_side.h"

#include "tbos/tbos.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BYTES (4u << 20)

static unsigned points, failed;
static char on_disk[] = "/tmp/tbos-disk-XXXXXX", in_memory[] = "/dev/shm/tbos-disk-XXXXXX";
static const char *image = on_disk;

static void point(bool ok, const char *name)
{
	printf("%sok %u - disk.%s\n", ok ? "" : "not ", ++points, name);
	failed += !ok;
	fflush(stdout);
}

static void discard(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
}

struct setup {
	uint32_t engine;
	struct tb_disk disk;
	uint64_t seed;
	const char *record, *replay;
};

static tb_err start(const struct setup *setup, tb_instance **out)
{
	struct tb_config config;
	tb_config_init(&config);
	config.engine = setup->engine;
	config.flags = TB_CONFIG_QUIET;
	config.mem_bytes = 32u << 20;
	config.seed = setup->seed;
	config.record_path = setup->record;
	config.replay_path = setup->replay;
	config.write_fn = discard;
	config.disks = &setup->disk;
	config.disk_count = 1;
	tb_err err = tb_create(&config, out);
	if (err != 0)
		return err;
	err = tb_boot(*out);
	if (err != 0)
		(void)!tb_destroy(*out);
	return err;
}

// One job in an instance of its own; what the call returned, or the end did.
static tb_err job_run(const struct setup *setup, struct disk_job *job)
{
	tb_instance *instance;
	int64_t result = 0;
	tb_err err = start(setup, &instance);
	if (err != 0)
		return err;
	err = tb_call(instance, tb_disk_job, job, &result);
	tb_err end = tb_destroy(instance);
	return err != 0 ? err : end;
}

static void image_make(size_t size_bytes)
{
	int fd = open(image, O_RDWR | O_TRUNC | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) != 0)
		exit(2);
	close(fd);
}

static struct setup setup_of(uint32_t engine)
{
	return (struct setup){.engine = engine, .disk = {.path = image}, .seed = 7};
}

// ---- images -----------------------------------------------------------------------------------------------------------------

static void test_model(uint32_t engine, const char *name)
{
	static struct disk_job job;
	struct setup setup = setup_of(engine);
	bool ok = true;
	for (uint32_t logical = 512; logical <= 4096 && ok; logical *= 8) {
		image_make(IMAGE_BYTES);
		setup.disk.logical_bytes = logical;
		job = (struct disk_job){.kind = DISK_MODEL, .rounds = engine == TB_ENGINE_SIM ? 300 : 1500, .seed = 3};
		ok = job_run(&setup, &job) == 0 && job.err == 0 && job.wrong == 0 && job.failed == 0;
		job = (struct disk_job){.kind = DISK_STORM, .rounds = 8};
		ok = ok && job_run(&setup, &job) == 0 && job.err == 0 && job.failed == 0;
	}
	if (!ok)
		printf("# %d, %u wrong, %u failed\n", job.err, job.wrong, job.failed);
	point(ok, name);
}

static bool image_has(uint32_t place, uint64_t version)
{
	uint64_t words[DISK_BLOCK / 8];
	int fd = open(image, O_RDONLY);
	bool ok = fd >= 0 && pread(fd, words, sizeof words, (off_t)place * DISK_BLOCK) == (ssize_t)sizeof words;
	close(fd);
	for (uint32_t i = 1; ok && i < DISK_BLOCK / 8; i++)
		ok = words[i] == (version == 0 ? 0 : disk_word(place, version, i));
	return ok && words[0] == version;
}

// What was written is in the file under threads; simulated, only when it is published.
static void test_persists(void)
{
	static struct disk_job job;
	for (uint32_t mode = 0; mode < 3; mode++) {
		struct setup setup = setup_of(mode == 0 ? TB_ENGINE_THREADS : TB_ENGINE_SIM);
		setup.disk.flags = mode == 2 ? TB_DISK_PUBLISH : 0;
		image_make(IMAGE_BYTES);
		job = (struct disk_job){.kind = DISK_JOURNAL, .rounds = 40, .seed = 5};
		bool ok = job_run(&setup, &job) == 0 && job.err == 0;
		for (uint32_t i = 0; i < DISK_PLACES; i++)
			ok = ok && image_has(i, mode == 1 ? 0 : job.ended[i]);
		point(ok, mode == 0   ? "written_to_the_file"
			  : mode == 1 ? "simulated_stays_in_memory"
				      : "simulated_is_published");
	}
}

static tb_err try_start(const struct setup *setup)
{
	tb_instance *instance;
	tb_err err = start(setup, &instance);
	if (err == 0)
		(void)!tb_destroy(instance);
	return err;
}

static void test_owners(void)
{
	struct setup setup = setup_of(TB_ENGINE_THREADS), reader = setup;
	tb_instance *instance, *other;
	reader.disk.flags = TB_DISK_READ_ONLY;
	image_make(IMAGE_BYTES);
	bool ok = start(&setup, &instance) == 0;
	point(ok && try_start(&setup) == -EBUSY && try_start(&reader) == -EBUSY, "one_writer");
	ok = ok && tb_destroy(instance) == 0;
	ok = ok && start(&reader, &instance) == 0 && start(&reader, &other) == 0;
	point(ok && try_start(&setup) == -EBUSY, "many_readers_and_no_writer");
	if (ok)
		ok = tb_destroy(instance) == 0 && tb_destroy(other) == 0;
	int fd = open(image, O_WRONLY);
	point(try_start(&setup) == -EBUSY && strstr(tb_error(NULL), "open for writing") != NULL,
	      "a_program_that_has_it_open");
	close(fd);
	point(try_start(&setup) == 0, "free_again");
}

static void test_refusals(void)
{
	static struct disk_job job;
	struct setup setup = setup_of(TB_ENGINE_THREADS), bad = setup;
	image_make(IMAGE_BYTES);
	bad.disk.path = "/nonexistent/image";
	point(try_start(&bad) == -ENOENT, "no_such_file");
	bad.disk.path = "/tmp";
	point(try_start(&bad) != 0 && strstr(tb_error(NULL), "/tmp") != NULL, "a_folder");
	bad = setup;
	bad.disk.offset_bytes = IMAGE_BYTES + 512;
	point(try_start(&bad) == -EINVAL, "offset_beyond_the_end");
	bad = setup;
	bad.disk.physical_bytes = 3000;
	point(try_start(&bad) == -EINVAL, "physical_block_of_3000");
	bad = setup;
	bad.disk.faults = "eio=5";
	point(try_start(&bad) == -EINVAL, "faults_of_a_real_disk");
	bad.engine = TB_ENGINE_SIM;
	bad.disk.faults = "eio=5,rain=3";
	point(try_start(&bad) == -EINVAL && strstr(tb_error(NULL), "rain=3") != NULL, "a_fault_that_is_none");
	setup.disk.flags = TB_DISK_READ_ONLY;
	job = (struct disk_job){.kind = DISK_JOURNAL, .rounds = 1};
	point(job_run(&setup, &job) == 0 && job.err == -EROFS, "read_only");
	setup.disk.flags = 0;
	image_make(0);
	point(try_start(&setup) == -EINVAL, "empty");
	setup.disk.size_bytes = IMAGE_BYTES;
	setup.disk.offset_bytes = 65536;
	struct stat status = {.st_size = 0};
	point(try_start(&setup) == 0 && stat(image, &status) == 0 && status.st_size == IMAGE_BYTES + 65536,
	      "size_makes_it");
}

// ---- simulation ---------------------------------------------------------------------------------------------------------------

static void test_replay(void)
{
	static struct disk_job job;
	struct setup setup = setup_of(TB_ENGINE_SIM);
	char log[] = "/tmp/tbos-disk-log-XXXXXX";
	int fd = mkstemp(log);
	close(fd);
	image_make(IMAGE_BYTES);
	setup.disk.faults = "eio=9,slow=20";
	setup.record = log;
	job = (struct disk_job){.kind = DISK_STORM, .rounds = 4};
	bool ok = job_run(&setup, &job) == 0 && job.failed != 0;
	uint32_t first = job.failed;
	setup.record = NULL;
	setup.replay = log;
	job = (struct disk_job){.kind = DISK_STORM, .rounds = 4};
	tb_err err = job_run(&setup, &job);
	if (err != 0)
		printf("# %d: %s\n", err, tb_error(NULL));
	ok = ok && err == 0;
	point(ok && job.failed == first, "a_replay_fails_alike");
	fd = open(image, O_WRONLY);
	ok = pwrite(fd, "x", 1, 1000000) == 1;
	close(fd);
	point(ok && job_run(&setup, &job) == -EPROTO, "a_replay_wants_the_same_image");
	image_make(IMAGE_BYTES);
	setup.disk.faults = "eio=8,slow=20";
	point(job_run(&setup, &job) == -EPROTO, "a_replay_wants_the_same_faults");
	unlink(log);
}

// Each kind is seen by who looks.
static void test_faults(void)
{
	static const struct {
		const char *faults;
		uint32_t kind;
	} rows[] = {{"eio=7", DISK_STORM},  {"full=9", DISK_MODEL},  {"lost=5", DISK_MODEL},
		    {"torn=5", DISK_MODEL}, {"stale=5", DISK_MODEL}, {"misdirected=5", DISK_MODEL},
		    {"flip=9", DISK_MODEL}};
	static struct disk_job job;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct setup setup = setup_of(TB_ENGINE_SIM);
		char name[64];
		image_make(IMAGE_BYTES);
		setup.disk.faults = rows[i].faults;
		job = (struct disk_job){.kind = rows[i].kind, .rounds = 100, .seed = 11};
		bool ok = job_run(&setup, &job) == 0 && (job.wrong != 0 || job.failed != 0);
		snprintf(name, sizeof name, "fault_%.*s_is_seen", (int)strcspn(rows[i].faults, "="), rows[i].faults);
		point(ok, name);
	}
}

// ---- power cuts -----------------------------------------------------------------------------------------------------------------

struct toll {
	uint32_t lost;         // places that went back behind what a FLUSH had covered
	uint32_t strange;      // that hold what nobody wrote there
	uint32_t destroyed;    // that were being written, and hold nothing
	uint32_t older, newer; // versions behind the last that was done, or begun and not done
};

static void place_look(const struct disk_job *job, uint32_t place, struct toll *toll)
{
	uint64_t words[DISK_BLOCK / 8];
	int fd = open(image, O_RDONLY);
	bool ok = pread(fd, words, sizeof words, (off_t)place * DISK_BLOCK) == (ssize_t)sizeof words;
	close(fd);
	ok = ok && words[0] <= job->begun[place] && image_has(place, words[0]);
	if (!ok && job->begun[place] != job->ended[place])
		toll->destroyed++;
	else if (!ok)
		toll->strange++;
	else if (words[0] < job->durable[place])
		toll->lost++;
	else if (words[0] < job->ended[place])
		toll->older++;
	else if (words[0] > job->ended[place])
		toll->newer++;
}

static bool cut_once(const char *faults, uint64_t seed, struct toll *toll)
{
	static struct disk_job job;
	struct setup setup = setup_of(TB_ENGINE_SIM);
	tb_instance *instance;
	int64_t result;
	int32_t status = 0;
	char text[64];
	image_make(IMAGE_BYTES);
	snprintf(text, sizeof text, "%scut=%llu", faults, 1 + (unsigned long long)seed % 60);
	setup.disk.faults = text;
	setup.disk.flags = TB_DISK_PUBLISH;
	setup.seed = seed;
	job = (struct disk_job){.kind = DISK_JOURNAL, .rounds = 1000, .seed = seed};
	if (start(&setup, &instance) != 0)
		return false;
	bool ok = tb_call(instance, tb_disk_job, &job, &result) == -ESHUTDOWN;
	ok = ok && tb_shutdown(instance, &status) == 0 && status == TB_STATUS_POWER_CUT;
	ok = tb_destroy(instance) == 0 && ok;
	for (uint32_t i = 0; i < DISK_PLACES && ok; i++)
		place_look(&job, i, toll);
	return ok;
}

static void test_cuts(uint32_t cuts)
{
	struct toll honest = {0}, lying = {0};
	bool ok = true;
	for (uint32_t i = 0; i < cuts && ok; i++)
		ok = cut_once("", 100 + i, &honest) && cut_once("lying=2,", 100 + i, &lying);
	printf("# honest: %u lost, %u strange, %u destroyed, %u older, %u newer; lying: %u lost\n", honest.lost,
	       honest.strange, honest.destroyed, honest.older, honest.newer, lying.lost);
	point(ok && honest.lost == 0 && honest.strange == 0, "what_was_flushed_survives");
	point(ok && honest.destroyed != 0 && honest.older != 0 && honest.newer != 0, "everything_else_may_go");
	point(ok && lying.lost != 0, "a_flush_that_lies_shows");
}

static int32_t place_read(tb_instance *instance, uint32_t place)
{
	static struct disk_job job;
	int64_t result = 0;
	job = (struct disk_job){.kind = DISK_READ, .place = place};
	return tb_call(instance, tb_disk_job, &job, &result) != 0 ? 1 : job.err;
}

// A device that becomes smaller behind our back: what is gone is an error, what is there is read.
static void test_shrinks(uint32_t engine, const char *name)
{
	struct setup setup = setup_of(engine);
	tb_instance *instance;

	image_make(IMAGE_BYTES);
	bool ok = start(&setup, &instance) == 0;
	if (ok) {
		ok = place_read(instance, 60) == 0 && truncate(image, 65536) == 0;
		ok = ok && place_read(instance, 60) == -EIO && place_read(instance, 3) == 0;
		ok = tb_destroy(instance) == 0 && ok;
	}
	point(ok, name);
}

// What the host has in memory is done by the thread that submits.
static bool image_in_memory(void)
{
	int fd = mkstemp(in_memory);
	if (fd < 0)
		return false;
	close(fd);
	image = in_memory;
	return true;
}

int main(int argc, char **argv)
{
	uint32_t cuts = argc == 3 && strcmp(argv[1], "--cuts") == 0 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20;
	int fd = mkstemp(on_disk);
	if (fd < 0)
		return 2;
	close(fd);
	test_model(TB_ENGINE_THREADS, "transfers_of_the_host_s_file");
	test_model(TB_ENGINE_SIM, "transfers_of_a_simulated_disk");
	test_persists();
	test_shrinks(TB_ENGINE_THREADS, "a_host_s_file_that_is_cut");
	test_shrinks(TB_ENGINE_SIM, "a_simulated_disk_that_is_cut");
	test_owners();
	test_refusals();
	test_replay();
	test_faults();
	test_cuts(cuts);
	unlink(on_disk);
	if (image_in_memory()) {
		test_model(TB_ENGINE_THREADS, "transfers_of_a_file_in_memory");
		test_shrinks(TB_ENGINE_THREADS, "a_file_in_memory_that_is_cut");
		unlink(in_memory);
	}
	printf("1..%u\n", points);
	return failed != 0;
}
