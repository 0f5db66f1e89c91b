// SPDX-License-Identifier: MIT
//
// The peers' common part; see peer.h.

#include "peer.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CALIBRATED_NS = 20 * 1000 * 1000,
	ITERATIONS_MIN = 64 // cases may rely on a multiple of this
};

void peer_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void usage_die(const char *name)
{
	fprintf(stderr,
		"usage: peer_%s [--only CASE] [--label TEXT] [--trace FILE] [--until TEXT] [--runs N] [--threads N] "
		"[--pinned] [--fill] [-- COMMAND …]\n",
		name);
	exit(2);
}

static unsigned number_parse(const char *text, unsigned max, const char *name)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number == 0 || number > max)
		usage_die(name);
	return (unsigned)number;
}

struct peer peer_options(int argc, char **argv, const char *name)
{
	static const struct option options[] = {
		{"only", required_argument, NULL, 'o'},
		{"label", required_argument, NULL, 'l'},
		{"trace", required_argument, NULL, 't'},
		{"runs", required_argument, NULL, 'r'},
		{"threads", required_argument, NULL, 'n'},
		{"until", required_argument, NULL, 'u'},
		{"pinned", no_argument, NULL, 'p'},
		{"fill", no_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	struct peer peer = {.name = name, .label = "", .runs = PEER_RUNS_DEFAULT, .threads = 1};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'o')
			peer.only = optarg;
		else if (option == 'l')
			peer.label = optarg;
		else if (option == 't')
			peer.trace_path = optarg;
		else if (option == 'u')
			peer.until = optarg;
		else if (option == 'r')
			peer.runs = number_parse(optarg, PEER_RUNS_MAX, name);
		else if (option == 'n')
			peer.threads = number_parse(optarg, 64, name);
		else if (option == 'p')
			peer.pinned = true;
		else if (option == 'f')
			peer.fill = true;
		else
			usage_die(name);
	}
	peer.rest = argv + optind;
	peer_pin(&peer, 0);
	return peer;
}

uint64_t peer_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Asked once, before the first pin narrows the answer.
static const cpu_set_t *cpus_allowed(void)
{
	static cpu_set_t set;
	static bool known;

	if (!known && sched_getaffinity(0, sizeof(set), &set) != 0)
		peer_die("sched_getaffinity");
	known = true;
	return &set;
}

unsigned peer_cpu_count(void)
{
	return (unsigned)CPU_COUNT(cpus_allowed());
}

void peer_pin(const struct peer *peer, unsigned index)
{
	const cpu_set_t *allowed = cpus_allowed();
	unsigned skip = index % (unsigned)CPU_COUNT(allowed);
	cpu_set_t one;

	if (!peer->pinned)
		return;
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed) || skip-- != 0)
			continue;
		CPU_SET(cpu, &one);
		break;
	}
	if (sched_setaffinity(0, sizeof(one), &one) != 0)
		peer_die("sched_setaffinity");
}

bool peer_wants(const struct peer *peer, const char *name)
{
	return peer->only == NULL || strcmp(peer->only, name) == 0;
}

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

void peer_report(const struct peer *peer, const char *name, const double *samples_ns, unsigned count,
		 uint64_t iterations, const char *extra)
{
	double sorted[PEER_RUNS_MAX];

	memcpy(sorted, samples_ns, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), double_compare);
	printf("{\"peer\":\"%s\",\"case\":\"%s\",\"label\":\"%s\",\"pinned\":%s,\"threads\":%u,\"unit\":\"ns\",",
	       peer->name, name, peer->label, peer->pinned ? "true" : "false", peer->threads);
	printf("\"median\":%.3f,\"min\":%.3f,\"max\":%.3f,\"runs\":%u,\"iterations\":%llu%s%s}\n", sorted[count / 2],
	       sorted[0], sorted[count - 1], count, (unsigned long long)iterations, extra != NULL ? "," : "",
	       extra != NULL ? extra : "");
	fflush(stdout);
}

void peer_case(const struct peer *peer, const char *name, peer_fn *fn, void *arg)
{
	double samples[PEER_RUNS_MAX];
	uint64_t iterations = ITERATIONS_MIN;

	if (!peer_wants(peer, name))
		return;
	while (fn(iterations, arg) < CALIBRATED_NS)
		iterations *= 2;
	for (unsigned run = 0; run < peer->runs; run++)
		samples[run] = (double)fn(iterations, arg) / (double)iterations;
	peer_report(peer, name, samples, peer->runs, iterations, NULL);
}
