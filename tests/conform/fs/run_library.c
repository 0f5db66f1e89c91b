// SPDX-License-Identifier: MIT
//
// The filesystem bodies through the library (tbos/file.h), as its users call it; then what only the library has: several host threads
// in one context, contexts that are left over, calls of instances that are not there. TAP. Arguments: --engine threads|sim.
#include "host_report.h"

#include <pthread.h>
#include <string.h>

#include "tbos/file.h"

#define FSC_CALLEE(name) tb_##name
#define FSC_SEEK tb_lseek
#define FSC_ACTOR tb_context
#include "own_calls.h"

static err_t own_user(struct fsc *fsc, uint32_t uid, uint32_t gid)
{
	return tb_set_user(fsc_actor(fsc), uid, gid, NULL, 0);
}

static void own_umask(struct fsc *fsc, uint32_t mask)
{
	uint32_t old;
	fsc->calls->check(fsc, tb_umask(fsc_actor(fsc), mask, &old) == 0, 1, 0, "umask", __FILE__, __LINE__);
}

static tb_instance *the_instance;
static tb_context *other; // of other_lock(); NULL: none
static int32_t other_fd;

static err_t own_other_lock(struct fsc *fsc, const char *path, uint32_t command, struct tb_lock *lock)
{
	tb_err err = 0;

	(void)fsc;
	if (other == NULL) {
		err = tb_context_create(the_instance, &other);
		if (err == 0)
			err = tb_chdir(other, "/work");
		if (err == 0)
			err = tb_open(other, TB_AT_FDCWD, path, TB_O_RDWR, 0, &other_fd);
	}
	return err != 0 ? err : tb_lock(other, other_fd, command, lock);
}

static err_t own_other_end(struct fsc *fsc)
{
	tb_err err = other != NULL ? tb_context_destroy(other) : 0;
	(void)fsc;
	other = NULL;
	return err;
}

#define own_check fsc_report_check
static const struct fsc_calls library_calls = FSC_CALLS(own);

static unsigned points, failed;

static void point(bool ok, const char *name)
{
	printf("%sok %u - library %s\n", ok ? "" : "not ", ++points, name);
	failed += !ok;
}

static bool body_run(tb_instance *instance, void (*run)(struct fsc *fsc))
{
	struct fsc_report state = {0};
	tb_context *context = NULL;
	struct fsc fsc = {.calls = &library_calls, .state = &state};
	tb_context *root;
	bool good = tb_context_create(instance, &root) == 0 && tb_context_create(instance, &context) == 0;

	the_instance = instance;
	good = good && tb_mkdir(root, TB_AT_FDCWD, "/work", 0755) == 0;
	good = good && tb_mount(root, "work", "/work", "tmpfs", 0, "mode=755") == 0;
	good = good && tb_chdir(context, "/work") == 0;
	if (!good)
		return false;
	state.actor = context;
	run(&fsc);
	good = state.failures == 0 && state.checks > 0 && tb_context_destroy(context) == 0;
	good = tb_umount(root, "/work", 0) == 0 && good;
	good = tb_unlink(root, TB_AT_FDCWD, "/work", TB_AT_REMOVEDIR) == 0 && good;
	return tb_context_destroy(root) == 0 && good;
}

// ---- threads in one context ----------------------------------------------------------------------------------------------

#define THREADS 4
#define FILES 50

struct worker {
	tb_context *context;
	int number;
	bool good;
};

static bool worker_file(const struct worker *worker, int i)
{
	char path[32], text[32], back[32];
	size_t done = 0;
	int32_t fd;

	snprintf(path, sizeof path, "/t%d-%d", worker->number, i);
	size_t size = (size_t)snprintf(text, sizeof text, "%d of %d", i, worker->number);
	if (tb_open(worker->context, TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT | TB_O_EXCL, 0644, &fd) != 0)
		return false;
	bool good = tb_write(worker->context, fd, text, size, &done) == 0 && done == size;
	good = good && tb_pread(worker->context, fd, back, sizeof back, 0, &done) == 0 && done == size;
	good = good && memcmp(text, back, size) == 0;
	good = tb_close(worker->context, fd) == 0 && good;
	return tb_unlink(worker->context, TB_AT_FDCWD, path, 0) == 0 && good;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	worker->good = true;
	for (int i = 0; i < FILES; i++)
		worker->good = worker_file(worker, i) && worker->good;
	return NULL;
}

static bool threads_share(tb_instance *instance)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	tb_context *context;
	bool good = true;

	if (tb_context_create(instance, &context) != 0)
		return false;
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.context = context, .number = i};
		if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0)
			return false;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		good = good && workers[i].good;
	}
	return tb_context_destroy(context) == 0 && good;
}

// ---- the whole -----------------------------------------------------------------------------------------------------------

int main(int argc, char **argv)
{
	struct tb_config config;
	tb_instance *instance;
	tb_context *left = NULL;
	int32_t fd, status;

	tb_config_init(&config);
	if (argc == 3 && strcmp(argv[1], "--engine") == 0 && strcmp(argv[2], "sim") == 0)
		config.engine = TB_ENGINE_SIM;
	if (tb_create(&config, &instance) != 0) {
		printf("Bail out! %s\n", tb_error(NULL));
		return 1;
	}
	point(tb_context_create(instance, &left) == -ENOTCONN, "an instance that is not booted");
	point(tb_boot(instance) == 0, "boot");
	for (size_t i = 0; i < FSC_BODY_COUNT; i++)
		point(body_run(instance, fsc_bodies[i].run), fsc_bodies[i].name);
	point(threads_share(instance), "threads share a context");
	point(tb_context_create(instance, &left) == 0 &&
		      tb_open(left, TB_AT_FDCWD, "/left", TB_O_WRONLY | TB_O_CREAT, 0644, &fd) == 0,
	      "a file is left open");
	point(tb_command(instance, "check", &status) == 0 && status == 0, "invariants hold");
	point(tb_shutdown(instance, NULL) == 0, "nothing is left over");
	point(tb_context_destroy(left) == -ESHUTDOWN, "a context outlives the kernel");
	point(tb_destroy(instance) == 0, "destroy");
	printf("1..%u\n", points);
	return failed != 0;
}
