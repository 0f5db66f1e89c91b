// SPDX-License-Identifier: MIT
//
// Instances come and go without a trace: thousands are created, booted, used and destroyed under both engines, many at once
// and one after the other; afterwards the process has the descriptors, mappings, host threads and memory it had. And they end
// while their doorbell rings all the time: whoever halts an instance must not be cut off before all who wait for it are woken.
#include "tbos/tbos.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TOGETHER 40

struct footprint {
	long descriptors, mappings, threads, rss_kib;
};

static unsigned test_number, failures;

static void report(bool ok, const char *name, const char *detail)
{
	printf("%sok %u - instances.%s\n", ok ? "" : "not ", ++test_number, name);
	if (!ok)
		printf("# %s\n", detail);
	failures += !ok;
	fflush(stdout);
}

static long count_entries(const char *path)
{
	long count = 0;
	DIR *dir = opendir(path);
	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count;
}

static struct footprint footprint_take(void)
{
	struct footprint footprint = {count_entries("/proc/self/fd"), 0, count_entries("/proc/self/task"), 0};
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		footprint.mappings++;
	if (maps != NULL)
		fclose(maps);
	FILE *status = fopen("/proc/self/status", "r");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		(void)sscanf(line, "VmRSS: %ld", &footprint.rss_kib);
	if (status != NULL)
		fclose(status);
	return footprint;
}

static int64_t use(void *arg)
{
	void *memory = tb_k_alloc(5000);
	uint32_t *value = arg;
	if (memory == NULL)
		return -1;
	memset(memory, 1, 5000);
	tb_k_free(memory);
	tb_k_yield();
	return *value + 1;
}

static tb_err open_instance(uint32_t engine, uint64_t seed, tb_instance **out)
{
	struct tb_config config;
	tb_config_init(&config);
	config.engine = engine;
	config.cpu_count = 1 + seed % 3;
	config.mem_bytes = 16u << 20;
	config.seed = seed;
	config.flags = TB_CONFIG_QUIET;
	config.input_fd = -1;
	tb_err err = tb_create(&config, out);
	return err != 0 ? err : tb_boot(*out);
}

static tb_err one(uint32_t engine, uint64_t seed)
{
	tb_instance *instance = NULL;
	uint32_t value = (uint32_t)seed;
	int64_t result = 0;
	tb_err err = open_instance(engine, seed, &instance);
	if (err == 0)
		err = tb_call(instance, use, &value, &result);
	if (err == 0 && result != (int64_t)value + 1)
		err = -EPROTO;
	tb_err end = instance != NULL ? tb_destroy(instance) : 0;
	return err != 0 ? err : end;
}

static tb_err together(uint32_t engine)
{
	tb_instance *instances[TOGETHER];
	uint32_t value = 1, count = 0;
	int64_t result;
	tb_err err = 0;
	while (count < TOGETHER && err == 0) {
		err = open_instance(engine, count, &instances[count]);
		count += err == 0;
	}
	for (uint32_t i = 0; i < count && err == 0; i++)
		err = tb_call(instances[i], use, &value, &result);
	for (uint32_t i = 0; i < count; i++) {
		tb_err end = tb_destroy(instances[i]);
		err = err != 0 ? err : end;
	}
	return err;
}

static void check_churn(const char *name, uint32_t engine, uint64_t count)
{
	char detail[256] = "";
	tb_err err = 0;
	for (uint64_t seed = 1; seed <= 50 && err == 0; seed++) // pools fill
		err = one(engine, seed);
	if (err == 0)
		err = together(engine);
	struct footprint before = footprint_take();
	uint64_t seed = 1;
	for (; seed <= count && err == 0; seed++)
		err = one(engine, seed);
	if (err == 0)
		err = together(engine);
	struct footprint after = footprint_take();
	bool same = after.descriptors <= before.descriptors && after.mappings <= before.mappings + 8 &&
		    after.threads <= before.threads && after.rss_kib <= before.rss_kib + 4096;
	snprintf(detail, sizeof detail, "error %d at %llu; fds %ld→%ld, maps %ld→%ld, threads %ld→%ld, RSS %ld→%ld KiB",
		 err, (unsigned long long)seed, before.descriptors, after.descriptors, before.mappings, after.mappings,
		 before.threads, after.threads, before.rss_kib, after.rss_kib);
	report(err == 0 && same, name, detail);
	printf("# %llu instances: %s\n", (unsigned long long)count, detail);
}

// ---- ends under a storm -----------------------------------------------------------------------------------------------

#define STORM_PAUSE 1000u
#define STORM_QUEUE_MAX 4000u

struct storm {
	pthread_t thread;
	uint32_t over;
	uint64_t rings;
};

// The workers that drive CPUs; those made since the last look are met at the next. Not who waits: it would be woken by that.
static uint32_t threads_list(pid_t *tids, uint32_t most)
{
	uint32_t count = 0;
	pid_t self = (pid_t)syscall(SYS_gettid);
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL && count < most) {
		pid_t tid = (pid_t)atoi(entry->d_name);
		if (tid > 0 && tid != self && tid != getpid())
			tids[count++] = tid;
	}
	if (dir != NULL)
		closedir(dir);
	return count;
}

// Signals that wait to be handled, of this user.
static unsigned signals_queued(void)
{
	unsigned queued = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "r");
	while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "SigQ: %u", &queued) != 1)
		continue;
	if (file != NULL)
		fclose(file);
	return queued;
}

// A host that sends faster than it handles would do nothing else for ever.
static void storm_calm(void)
{
	for (uint32_t i = 0; i < 1000 && signals_queued() > STORM_QUEUE_MAX; i++)
		usleep(1000);
}

static void *storm_main(void *arg)
{
	struct storm *storm = arg;
	pid_t tids[256], process = getpid();
	while (__atomic_load_n(&storm->over, __ATOMIC_RELAXED) == 0) {
		uint32_t count = threads_list(tids, sizeof tids / sizeof tids[0]);
		for (uint32_t round = 0; round < 200; round++)
			for (uint32_t i = 0; i < count; i++, storm->rings++) {
				syscall(SYS_tgkill, process, tids[i], tb_signal());
				for (volatile uint32_t wait = STORM_PAUSE; wait > 0; wait--) // they must get on, too
					continue;
			}
		storm_calm();
	}
	return NULL;
}

// Its workers bring it down while this thread waits for the end.
static tb_err one_in_storm(uint64_t seed)
{
	tb_instance *instance = NULL;
	int32_t status = 0;
	tb_err err = open_instance(TB_ENGINE_THREADS, seed, &instance);
	if (err == 0)
		err = tb_command(instance, "poweroff 3", &status);
	if (err == 0)
		err = tb_wait(instance, &status);
	if (err == 0 && status != 3)
		err = -EPROTO;
	tb_err end = instance != NULL ? tb_destroy(instance) : 0;
	return err != 0 ? err : end;
}

static void check_storm(uint64_t count)
{
	struct storm storm = {.over = 0};
	char detail[128];
	tb_err err = 0;
	uint64_t seed = 1;
	err = one(TB_ENGINE_THREADS, 1); // from here on the signal is handled
	if (err != 0 || pthread_create(&storm.thread, NULL, storm_main, &storm) != 0) {
		report(false, "end_under_a_storm", "no instance, or no host thread");
		return;
	}
	for (; seed <= count && err == 0; seed++)
		err = one_in_storm(seed);
	__atomic_store_n(&storm.over, 1, __ATOMIC_RELAXED);
	pthread_join(storm.thread, NULL);
	snprintf(detail, sizeof detail, "error %d at %llu, after %llu rings", err, (unsigned long long)seed,
		 (unsigned long long)storm.rings);
	report(err == 0 && storm.rings > count, "end_under_a_storm", detail);
	printf("# %s\n", detail);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	const char *tier = getenv("TBOS_TEST_TIER");

	if (tier != NULL && strcmp(tier, "full") != 0)
		count = count * 2 / 5; // a run that is sampled
	check_storm(count / 10);       // first, while there are few to ring
	check_churn("threads_leave_nothing", TB_ENGINE_THREADS, count);
	check_churn("sim_leaves_nothing", TB_ENGINE_SIM, count);
	printf("1..%u\n", test_number);
	return failures != 0;
}
