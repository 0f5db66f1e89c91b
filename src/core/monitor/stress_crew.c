// SPDX-License-Identifier: MIT
//
// The crew: threads that replay a program over the kernel's allocators at the same time. Blocks up to 8 KiB come from
// the slab, larger ones from kernel ranges, that is from the buddy.
#include "stress.h"

#include "kern/allocreplay.h"
#include "kern/atomic.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/sched.h"

struct crew {
	struct monitor_session *session;
	const struct crew_params *params;
	struct semaphore ready;
	struct completion start;
	uint32_t stop;        // atomic
	uint32_t used_frames; // before the first replay
	uint32_t peak_frames; // atomic: most seen in use
	struct member *members;
	struct replay_ring *rings;
};

struct member {
	struct crew *crew;
	struct thread *thread;
	struct replay_worker worker;
	uint64_t end_ns;
};

static void *crew_alloc(void *context, size_t size_bytes, bool zero)
{
	(void)context;
	return kmalloc(size_bytes, zero ? MEM_ZERO : 0);
}

static void *crew_alloc_aligned(void *context, size_t size_bytes, size_t align)
{
	(void)context;
	return kmalloc_aligned(size_bytes, align, 0);
}

static void *crew_resize(void *context, void *block, size_t old_size_bytes, size_t size_bytes)
{
	(void)context;
	(void)old_size_bytes;
	return krealloc(block, size_bytes, 0);
}

static void crew_release(void *context, void *block, size_t size_bytes)
{
	(void)context;
	(void)size_bytes;
	kfree(block);
}

static void peak_note(struct crew *crew)
{
	uint32_t used = atomic_load_u32_relaxed(&account_root()->used_frames);
	uint32_t peak = atomic_load_u32_relaxed(&crew->peak_frames);

	while (used > peak && !atomic_cmpxchg_u32_relaxed(&crew->peak_frames, &peak, used))
		continue;
}

static bool crew_pause(void *context)
{
	struct member *member = context;
	struct crew *crew = member->crew;

	peak_note(crew);
	if (member->worker.index == 0 && monitor_interrupted(crew->session))
		atomic_store_u32_relaxed(&crew->stop, 1);
	return atomic_load_u32_relaxed(&crew->stop) == 0;
}

static const struct replay_ops crew_ops = {
	.alloc = crew_alloc,
	.alloc_aligned = crew_alloc_aligned,
	.resize = crew_resize,
	.release = crew_release,
	.pause = crew_pause,
};

static void member_body(void *arg)
{
	struct member *member = arg;
	struct crew *crew = member->crew;

	sem_up(&crew->ready);
	completion_wait(&crew->start);
	for (uint32_t round = 0; round < crew->params->rounds; round++) {
		if (replay_run(&member->worker))
			continue;
		atomic_store_u32_relaxed(&crew->stop, 1);
		break;
	}
	member->end_ns = clock_now_ns();
}

static err_t crew_members_make(struct crew *crew, const struct program *program)
{
	uint32_t count = crew->params->workers;

	crew->members = range_alloc(count * sizeof *crew->members, MEM_ZERO, NULL);
	crew->rings = range_alloc(count * sizeof *crew->rings, MEM_ZERO, NULL);
	if (crew->members == NULL || crew->rings == NULL)
		return ERR(ENOMEM);
	for (uint32_t i = 0; i < count; i++) {
		struct member *member = &crew->members[i];
		size_t slots_bytes = ((size_t)program->header.slot_count + 1) * sizeof(struct replay_slot);

		member->crew = crew;
		member->worker = (struct replay_worker){
			.ops = &crew_ops,
			.context = member,
			.records = program->records,
			.record_count = program->header.record_count,
			.slots = range_alloc(slots_bytes, MEM_ZERO, NULL),
			.slot_count = program->header.slot_count,
			.index = i,
			.check = crew->params->check,
			.in = count > 1 ? &crew->rings[i] : NULL,
			.out = count > 1 ? &crew->rings[(i + 1) % count] : NULL,
		};
		if (member->worker.slots == NULL)
			return ERR(ENOMEM);
	}
	return 0;
}

static void crew_members_free(struct crew *crew)
{
	for (uint32_t i = 0; crew->members != NULL && i < crew->params->workers; i++)
		kfree(crew->members[i].worker.slots);
	kfree(crew->members);
	kfree(crew->rings);
}

// Starts the threads, which wait for the word. After a failure those that run are told to stop at once.
static err_t crew_threads_start(struct crew *crew)
{
	err_t err = 0;

	for (uint32_t i = 0; i < crew->params->workers && err == 0; i++) {
		struct thread_params params = {.klass = CLASS_FAIR};
		char name[THREAD_NAME_SIZE];

		ksnprintf(name, sizeof name, "stress/%u", i);
		params.name = name;
		err = thread_start(&params, member_body, &crew->members[i], &crew->members[i].thread);
		if (err == 0)
			sem_down(&crew->ready);
	}
	if (err != 0)
		atomic_store_u32_relaxed(&crew->stop, 1);
	return err;
}

// What is still in the rings belongs to nobody's loop any more.
static void crew_threads_join(struct crew *crew, uint64_t *end_ns)
{
	for (uint32_t i = 0; i < crew->params->workers; i++) {
		struct member *member = &crew->members[i];
		if (member->thread == NULL)
			continue;
		err_t err = thread_join(member->thread, NULL);
		VERIFY3(err, ==, 0);
		*end_ns = MAX(*end_ns, member->end_ns);
	}
	for (uint32_t i = 0; i < crew->params->workers; i++)
		replay_drain(&crew->members[i].worker);
}

static void crew_sum(const struct crew *crew, struct crew_figures *figures)
{
	for (uint32_t i = 0; i < crew->params->workers; i++) {
		const struct replay_result *result = &crew->members[i].worker.result;

		figures->events += result->events;
		figures->refused += result->refused;
		if (result->wrong != 0 && figures->wrong == 0)
			figures->first_wrong = result->first_wrong;
		figures->wrong += result->wrong;
		figures->handed += result->handed;
		figures->digest += result->digest;
		figures->asked_bytes += result->peak_bytes;
	}
}

// Everybody once, from a common start.
static err_t crew_pass(struct crew *crew, uint64_t *elapsed_ns)
{
	uint64_t end_ns = 0;
	err_t err;

	completion_init(&crew->start, "stress start");
	for (uint32_t i = 0; i < crew->params->workers; i++) {
		crew->members[i].worker.result = (struct replay_result){0};
		crew->members[i].thread = NULL;
	}
	err = crew_threads_start(crew);
	if (crew->used_frames == 0)
		crew->used_frames = atomic_load_u32_relaxed(&account_root()->used_frames);
	uint64_t start_ns = clock_now_ns();
	completion_done(&crew->start);
	crew_threads_join(crew, &end_ns);
	*elapsed_ns = end_ns - start_ns;
	return err;
}

err_t crew_run(struct monitor_session *session, const struct program *program, const struct crew_params *params,
	       struct crew_figures *figures)
{
	struct crew crew = {.session = session, .params = params};
	err_t err;

	*figures = (struct crew_figures){
		.cpus = MIN(params->workers, atomic_load_u32_relaxed(&kernel_self()->cpus_online))};
	sem_init(&crew.ready, 0, "stress ready");
	slab_reap();
	err = crew_members_make(&crew, program);
	if (err == 0)
		err = crew_pass(&crew, &figures->elapsed_ns);
	if (err == 0 && params->warm && atomic_load_u32_relaxed(&crew.stop) == 0)
		err = crew_pass(&crew, &figures->elapsed_ns);
	if (err == 0) {
		crew_sum(&crew, figures);
		figures->peak_bytes =
			(uint64_t)(MAX(crew.peak_frames, crew.used_frames) - crew.used_frames) * FRAME_SIZE;
		figures->interrupted = atomic_load_u32_relaxed(&crew.stop) != 0 && figures->wrong == 0;
	}
	crew_members_free(&crew);
	return err;
}

uint64_t crew_event_ps(const struct crew_figures *figures)
{
	return figures->events == 0 ? 0 : figures->elapsed_ns * 1000 / figures->events * figures->cpus;
}
