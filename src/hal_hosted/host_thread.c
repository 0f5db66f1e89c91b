// SPDX-License-Identifier: MIT
//
// Records of host threads: one for each POSIX thread that ever drives a CPU. A record outlives its thread and is used
// again, so that a number or a pointer kept by a late signal or a token always leads to valid memory. Each thread gets an
// alternate stack here, on which SIGSEGV and SIGBUS are handled, unless it has one already.
#include "host_fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_PER_CHUNK 64u
#define CHUNKS_MAX 1024u
#define ALTERNATE_STACK_SIZE 65536u
#define OWN_STACK_SIZE (1u << 20)

#if CONFIG_TSAN
void *__tsan_get_current_fiber(void);
#endif

static struct host_thread *chunks[CHUNKS_MAX]; // atomic pointers
static uint32_t thread_count;                  // records made; under lock
static struct host_thread *free_threads;       // under lock
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
// Initial-exec: reading it never allocates, so that a signal handler may.
static __thread struct host_thread *self __attribute__((tls_model("initial-exec")));

struct host_thread *host_thread_at(uint32_t index)
{
	if (index == 0 || index > THREADS_PER_CHUNK * CHUNKS_MAX)
		return NULL;
	struct host_thread *chunk = __atomic_load_n(&chunks[(index - 1) / THREADS_PER_CHUNK], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[(index - 1) % THREADS_PER_CHUNK] : NULL;
}

static void alternate_stack_drop(struct host_thread *thread)
{
	stack_t none = {.ss_flags = SS_DISABLE};
	stack_t now;
	if (thread->alternate == NULL)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == thread->alternate)
		sigaltstack(&none, NULL);
	munmap(thread->alternate, ALTERNATE_STACK_SIZE);
	thread->alternate = NULL;
}

static bool alternate_stack_give(struct host_thread *thread)
{
	stack_t now;
	if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
		return true;
	void *memory = mmap(NULL, ALTERNATE_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	stack_t stack = {.ss_sp = memory, .ss_size = ALTERNATE_STACK_SIZE};
	thread->alternate = memory;
	return sigaltstack(&stack, NULL) == 0;
}

static void thread_exits(void *arg)
{
	struct host_thread *thread = arg;
	alternate_stack_drop(thread);
	self = NULL;
	__atomic_store_n(&thread->tid, 0, __ATOMIC_RELAXED);
	pthread_mutex_lock(&lock);
	thread->next_free = free_threads;
	free_threads = thread;
	pthread_mutex_unlock(&lock);
}

// A forked child has one thread. It goes on with its record; those of the others stay taken.
static void fork_before(void)
{
	pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void fork_child(void)
{
	pthread_mutex_unlock(&lock);
	if (self != NULL)
		__atomic_store_n(&self->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELAXED);
}

static void once_init(void)
{
	if (pthread_key_create(&exit_key, thread_exits) != 0 ||
	    pthread_atfork(fork_before, fork_parent, fork_child) != 0)
		abort();
}

static struct host_thread *record_take(void)
{
	struct host_thread *thread = NULL;
	pthread_mutex_lock(&lock);
	if (free_threads != NULL) {
		thread = free_threads;
		free_threads = thread->next_free;
		goto out;
	}
	if (thread_count == THREADS_PER_CHUNK * CHUNKS_MAX)
		goto out;
	if (thread_count % THREADS_PER_CHUNK == 0) {
		struct host_thread *chunk = calloc(THREADS_PER_CHUNK, sizeof *chunk);
		if (chunk == NULL)
			goto out;
		__atomic_store_n(&chunks[thread_count / THREADS_PER_CHUNK], chunk, __ATOMIC_RELEASE);
	}
	thread = host_thread_at(++thread_count);
	thread->index = thread_count;
out:
	pthread_mutex_unlock(&lock);
	return thread;
}

static void record_stack(struct host_thread *thread)
{
	pthread_attr_t attr;
	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	void *stack;
	if (pthread_attr_getstack(&attr, &stack, &thread->stack_size_bytes) == 0)
		thread->stack = stack;
	pthread_attr_destroy(&attr);
}

static struct host_thread *thread_register(void)
{
	pthread_once(&once, once_init);
	struct host_thread *thread = record_take();
	if (thread == NULL)
		return NULL;
	if (!alternate_stack_give(thread) || pthread_setspecific(exit_key, thread) != 0) {
		thread_exits(thread);
		return NULL;
	}
	record_stack(thread);
#if CONFIG_TSAN
	thread->fiber = __tsan_get_current_fiber();
#endif
	__atomic_store_n(&thread->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELAXED);
	self = thread;
	return thread;
}

// Not inlined: a caller that changes host threads half-way must not keep the address of `self`.
__attribute__((noinline)) struct host_thread *host_thread_self(void)
{
	struct host_thread *thread = self;
	return host_likely(thread != NULL) ? thread : thread_register();
}

host_uninstrumented __attribute__((noinline)) struct host_thread *host_thread_current(void)
{
	__asm__ volatile("" : : : "memory");
	return self;
}

static void signals_block(sigset_t *old)
{
	static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
	sigset_t all;
	sigfillset(&all);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		sigdelset(&all, kept[i]);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

int host_thread_start(pthread_t *handle, void *(*entry)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t made;
	sigset_t mask;
	int error = pthread_attr_init(&attr);
	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attr, OWN_STACK_SIZE);
	if (handle == NULL)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	signals_block(&mask);
	error = pthread_create(&made, &attr, entry, arg);
	if (error == 0 && handle != NULL)
		*handle = made;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_attr_destroy(&attr);
	return error;
}
