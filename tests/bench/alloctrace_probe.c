// SPDX-License-Identifier: MIT
//
// A program whose allocations are known exactly: test_alloctrace.py runs it under liballoctrace.so and compares. Each mode
// is one way in which a recording could go wrong. Sizes mark the events; the program's own start-up allocates others.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MARK = 700001
};

static void *volatile kept;

static void *keep(void *block)
{
	if (block == NULL)
		abort();
	kept = block;
	return kept;
}

static int ops_mode(void)
{
	volatile size_t odd_alignment = 96; // volatile: compilers refuse a constant that is no power of two
	void *blocks[6];
	void *zero;

	blocks[0] = keep(malloc(MARK));
	blocks[1] = keep(calloc(1, MARK + 1));
	blocks[2] = keep(aligned_alloc(256, 1024));
	blocks[3] = keep(memalign(odd_alignment, MARK + 3)); // rounded up to 128
	if (posix_memalign(&blocks[4], 4096, MARK + 4) != 0 || posix_memalign(&blocks[5], 3, 1) != EINVAL)
		return 1;
	blocks[0] = keep(realloc(blocks[0], MARK * 4));
	blocks[0] = keep(realloc(blocks[0], 99));
	blocks[5] = keep(realloc(NULL, MARK + 5));
	zero = keep(malloc(0));
	free(zero);
	free(NULL);
	errno = 77;
	for (int i = 0; i < 5; i++)
		free(blocks[i]);
	kept = realloc(blocks[5], 0);
	return errno == 77 && malloc_usable_size(NULL) == 0 ? 0 : 1;
}

static int fork_mode(void)
{
	void *before = keep(malloc(MARK));
	pid_t child = fork();
	int status;

	if (child == 0) {
		free(before);
		free(keep(malloc(MARK + 1)));
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	free(before);
	return 0;
}

static int exec_mode(char *self)
{
	char *arguments[] = {self, (char[]){"leaf"}, NULL};

	keep(malloc(MARK));
	execv(self, arguments);
	return 1;
}

// Ends without any handler having run.
static int leaf_mode(void)
{
	keep(malloc(MARK + 2));
	_exit(0);
}

static void *volatile mailbox;

static void *freer_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		void *block = __atomic_exchange_n(&mailbox, NULL, __ATOMIC_ACQ_REL);

		free(block);
		free(keep(malloc(64)));
	}
	return NULL;
}

// Addresses pass from hand to hand as fast as they can: the order in the file must never show two owners.
static int threads_mode(void)
{
	pthread_t freers[3];

	for (int i = 0; i < 3; i++)
		if (pthread_create(&freers[i], NULL, freer_body, NULL) != 0)
			return 1;
	for (int i = 0; i < 20000; i++) {
		void *block = realloc(keep(malloc(64)), i % 2 == 0 ? 64 : 512);

		free(__atomic_exchange_n(&mailbox, block, __ATOMIC_ACQ_REL));
	}
	for (int i = 0; i < 3; i++)
		pthread_join(freers[i], NULL);
	free(mailbox);
	return 0;
}

// More events than one window of the raw file holds.
static int many_mode(void)
{
	for (int i = 0; i < 300000; i++)
		free(keep(malloc(48)));
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc == 2 ? argv[1] : "";

	if (strcmp(mode, "ops") == 0)
		return ops_mode();
	if (strcmp(mode, "fork") == 0)
		return fork_mode();
	if (strcmp(mode, "exec") == 0)
		return exec_mode(argv[0]);
	if (strcmp(mode, "leaf") == 0)
		return leaf_mode();
	if (strcmp(mode, "threads") == 0)
		return threads_mode();
	if (strcmp(mode, "many") == 0)
		return many_mode();
	fprintf(stderr, "usage: alloctrace_probe ops|fork|exec|leaf|threads|many\n");
	return 2;
}
