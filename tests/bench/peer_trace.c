// SPDX-License-Identifier: MIT
//
// Replays a TBAT trace over the host's malloc with the kernel's own decoder and replay loop.
//
// Figures: nanoseconds per event and CPU (wall time, times the CPUs the threads can use at once, over all events), and the
// growth of the resident set at its peak over what it was before the first round. Everything that is not the allocator's
// (the trace, the slots) is resident before that and obtained by mmap.

#include "peer_alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kern/allocreplay.h"

struct trace {
	struct alloctrace_header header;
	struct alloctrace_record *records;
};

struct crew {
	const struct peer *peer;
	pthread_barrier_t barrier;
	unsigned count;
	struct replay_worker *workers;
};

static void *pages_new(size_t size_bytes)
{
	void *pages = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (pages == MAP_FAILED)
		peer_die("mmap");
	return pages;
}

static uint8_t *file_load(const char *path, size_t *size_bytes)
{
	struct stat stat;
	uint8_t *bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &stat) != 0)
		peer_die(path);
	*size_bytes = (size_t)stat.st_size;
	bytes = pages_new(*size_bytes + 1);
	for (size_t done = 0; done < *size_bytes;) {
		ssize_t n = read(fd, bytes + done, *size_bytes - done);

		if (n <= 0)
			peer_die(path);
		done += (size_t)n;
	}
	close(fd);
	return bytes;
}

static void trace_refuse(const char *path, const struct alloctrace_error *error)
{
	fprintf(stderr, "%s: at byte %llu: %s\n", path, (unsigned long long)error->offset,
		alloctrace_fault_text(error->fault));
	exit(1);
}

static void trace_load(struct trace *trace, const char *path)
{
	struct alloctrace_ledger ledger;
	struct alloctrace_error error;
	uint32_t *slot_sizes;
	uint8_t *payload;
	uint8_t *bytes;
	size_t size;

	bytes = file_load(path, &size);
	payload = bytes + ALLOCTRACE_HEADER_SIZE;
	if (!alloctrace_header_decode(&trace->header, bytes, size, size, &error))
		trace_refuse(path, &error);
	slot_sizes = pages_new((trace->header.slot_count + 1) * sizeof(*slot_sizes));
	alloctrace_ledger_init(&ledger, &trace->header, slot_sizes);
	if (!alloctrace_ledger_feed(&ledger, payload, trace->header.record_count, &error) ||
	    !alloctrace_ledger_finish(&ledger, &error))
		trace_refuse(path, &error);
	munmap(slot_sizes, (trace->header.slot_count + 1) * sizeof(*slot_sizes));
	trace->records = pages_new((trace->header.record_count + 1) * sizeof(*trace->records));
	for (uint64_t i = 0; i < trace->header.record_count; i++)
		if (!alloctrace_record_decode(&trace->records[i], &trace->header, payload + i * ALLOCTRACE_RECORD_SIZE,
					      i, &error))
			trace_refuse(path, &error);
	munmap(bytes, size + 1);
}

// --- malloc as the replay's allocator -------------------------------------------------------------------------------

static void *host_alloc(void *context, size_t size_bytes, bool zero)
{
	(void)context;
	return zero ? calloc(1, size_bytes) : malloc(size_bytes);
}

static void *host_alloc_aligned(void *context, size_t size_bytes, size_t align)
{
	void *block;

	(void)context;
	if (align < sizeof(void *))
		return malloc(size_bytes);
	return posix_memalign(&block, align, size_bytes) == 0 ? block : NULL;
}

static void *host_resize(void *context, void *block, size_t old_size_bytes, size_t size_bytes)
{
	(void)context;
	(void)old_size_bytes;
	return realloc(block, size_bytes);
}

static void host_release(void *context, void *block, size_t size_bytes)
{
	(void)context;
	(void)size_bytes;
	free(block);
}

static const struct replay_ops host_ops = {
	.alloc = host_alloc,
	.alloc_aligned = host_alloc_aligned,
	.resize = host_resize,
	.release = host_release,
};

// --- the crew -------------------------------------------------------------------------------------------------------

static void crew_make(struct crew *crew, const struct peer *peer, const struct trace *trace)
{
	size_t slots_size = (trace->header.slot_count + 1) * sizeof(struct replay_slot);
	struct replay_ring *rings = pages_new(peer->threads * sizeof(*rings));

	*crew = (struct crew){.peer = peer, .count = peer->threads};
	crew->workers = pages_new(peer->threads * sizeof(*crew->workers));
	for (unsigned i = 0; i < peer->threads; i++)
		crew->workers[i] = (struct replay_worker){
			.ops = &host_ops,
			.records = trace->records,
			.record_count = trace->header.record_count,
			.slots = pages_new(slots_size),
			.slot_count = trace->header.slot_count,
			.index = i,
			.check = peer->fill,
			.in = peer->threads > 1 ? &rings[i] : NULL,
			.out = peer->threads > 1 ? &rings[(i + 1) % peer->threads] : NULL,
		};
}

struct member {
	struct crew *crew;
	unsigned index;
};

static void *member_body(void *arg)
{
	struct member *member = arg;

	peer_pin(member->crew->peer, member->index);
	pthread_barrier_wait(&member->crew->barrier);
	replay_run(&member->crew->workers[member->index]);
	return NULL;
}

static uint64_t crew_run(struct crew *crew)
{
	struct member members[64];
	pthread_t threads[64];
	uint64_t start;

	pthread_barrier_init(&crew->barrier, NULL, crew->count);
	for (unsigned i = 0; i < crew->count; i++)
		members[i] = (struct member){crew, i};
	for (unsigned i = 1; i < crew->count; i++)
		if (pthread_create(&threads[i], NULL, member_body, &members[i]) != 0)
			peer_die("pthread_create");
	start = peer_now_ns();
	member_body(&members[0]);
	for (unsigned i = 1; i < crew->count; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < crew->count; i++)
		replay_drain(&crew->workers[i]);
	start = peer_now_ns() - start;
	pthread_barrier_destroy(&crew->barrier);
	return start;
}

// --- figures --------------------------------------------------------------------------------------------------------

// A line of /proc/self/status in KiB; 0 where there is none.
static unsigned long status_kib(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[128];

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoul(line + strlen(key), NULL, 10);
	fclose(file);
	return kib;
}

// Sets the peak of the resident set back to the present.
static void peak_reset(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "5", 1) != 1)
		peer_die("/proc/self/clear_refs");
	close(fd);
}

static void totals_add(struct replay_result *sum, const struct crew *crew)
{
	*sum = (struct replay_result){.events = 0};
	for (unsigned i = 0; i < crew->count; i++) {
		const struct replay_result *result = &crew->workers[i].result;

		sum->events += result->events;
		sum->refused += result->refused;
		sum->wrong += result->wrong;
		sum->handed += result->handed;
		sum->peak_bytes += result->peak_bytes;
		sum->digest += result->digest;
	}
}

static void crew_forget(struct crew *crew)
{
	for (unsigned i = 0; i < crew->count; i++)
		crew->workers[i].result = (struct replay_result){.events = 0};
}

int peer_trace(const struct peer *peer)
{
	unsigned cpus = peer->threads < peer_cpu_count() ? peer->threads : peer_cpu_count();
	double samples[PEER_RUNS_MAX];
	struct replay_result total;
	unsigned long before_kib;
	unsigned long peak_kib;
	struct trace trace;
	struct crew crew;
	char extra[256];

	trace_load(&trace, peer->trace_path);
	crew_make(&crew, peer, &trace);
	status_kib("VmRSS:"); // stdio takes its buffer now
	before_kib = status_kib("VmRSS:");
	peak_reset();
	crew_run(&crew);
	peak_kib = status_kib("VmHWM:");
	totals_add(&total, &crew);
	for (unsigned run = 0; run < peer->runs; run++) {
		crew_forget(&crew);
		samples[run] = (double)crew_run(&crew) * cpus / (double)total.events;
	}
	snprintf(
		extra, sizeof(extra),
		"\"trace\":\"%s\",\"events\":%llu,\"peak_kib\":%lu,\"asked_kib\":%llu,\"handed\":%llu,\"refused\":%llu,"
		"\"wrong\":%llu,\"digest\":\"%016llx\"",
		trace.header.source, (unsigned long long)total.events, peak_kib - before_kib,
		(unsigned long long)total.peak_bytes >> 10, (unsigned long long)total.handed,
		(unsigned long long)total.refused, (unsigned long long)total.wrong, (unsigned long long)total.digest);
	peer_report(peer, peer->fill ? "trace-fill" : "trace", samples, peer->runs, total.events, extra);
	return total.wrong == 0 && total.refused == 0 ? 0 : 1;
}
