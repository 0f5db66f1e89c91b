// SPDX-License-Identifier: MIT
//
// Sanitizer fibers of instrumented builds; see host_fiber.h.
#include "host_fiber.h"

#if CONFIG_TSAN
#include <errno.h>
#include <stdlib.h>

#define CHUNK_FIBERS 256u
#define CHUNKS_MAX 256u

void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);

// Chunks never move, so that a switch may look a fiber up while another CPU adds one.
struct host_fibers {
	pthread_mutex_t lock;
	uint32_t count;            // numbers given out so far; numbers start at 1
	uint32_t free_count;       // of them, waiting in free_numbers
	void **chunks[CHUNKS_MAX]; // atomic pointers
	uint32_t free_numbers[CHUNK_FIBERS * CHUNKS_MAX];
};

tb_err host_fibers_create(struct tb_instance *instance)
{
	struct host_fibers *fibers = calloc(1, sizeof *fibers);
	if (fibers == NULL)
		return -ENOMEM;
	pthread_mutex_init(&fibers->lock, NULL);
	instance->fibers = fibers;
	return 0;
}

host_uninstrumented static void **fiber_slot(struct host_fibers *fibers, uint32_t number)
{
	return &fibers->chunks[(number - 1) / CHUNK_FIBERS][(number - 1) % CHUNK_FIBERS];
}

void host_fibers_destroy(struct tb_instance *instance)
{
	struct host_fibers *fibers = instance->fibers;
	if (fibers == NULL)
		return;
	for (uint32_t number = 1; number <= fibers->count; number++)
		if (*fiber_slot(fibers, number) != NULL)
			__tsan_destroy_fiber(*fiber_slot(fibers, number));
	for (uint32_t i = 0; i < CHUNKS_MAX; i++)
		free(fibers->chunks[i]);
	pthread_mutex_destroy(&fibers->lock);
	free(fibers);
	instance->fibers = NULL;
}

static uint32_t number_alloc_locked(struct host_fibers *fibers)
{
	if (fibers->free_count > 0)
		return fibers->free_numbers[--fibers->free_count];
	if (fibers->count == CHUNK_FIBERS * CHUNKS_MAX)
		return 0;
	if (fibers->count % CHUNK_FIBERS == 0) {
		void **chunk = calloc(CHUNK_FIBERS, sizeof *chunk);
		if (chunk == NULL)
			return 0;
		fibers->chunks[fibers->count / CHUNK_FIBERS] = chunk;
	}
	return ++fibers->count;
}

tb_err host_fiber_init(struct tb_instance *instance, struct hal_thread *thread)
{
	struct host_fibers *fibers = instance->fibers;
	pthread_mutex_lock(&fibers->lock);
	uint32_t number = number_alloc_locked(fibers);
	if (number != 0)
		*fiber_slot(fibers, number) = __tsan_create_fiber(0);
	pthread_mutex_unlock(&fibers->lock);
	thread->sanitizer = number;
	return number != 0 ? 0 : -EAGAIN;
}

void host_fiber_fini(struct tb_instance *instance, struct hal_thread *thread)
{
	struct host_fibers *fibers = instance->fibers;
	uint32_t number = (uint32_t)thread->sanitizer;
	if (number == 0)
		return;
	pthread_mutex_lock(&fibers->lock);
	__tsan_destroy_fiber(*fiber_slot(fibers, number));
	*fiber_slot(fibers, number) = NULL;
	fibers->free_numbers[fibers->free_count++] = number;
	pthread_mutex_unlock(&fibers->lock);
	thread->sanitizer = 0;
}

host_uninstrumented void host_fiber_begin_thread(void **fake, const struct hal_thread *to)
{
	struct tb_instance *instance = host_instances[((uintptr_t)to - HAL_SLOT_BASE) / HAL_SLOT_SIZE];
	(void)fake;
	__tsan_switch_to_fiber(*fiber_slot(instance->fibers, (uint32_t)to->sanitizer), 0);
}

host_uninstrumented void host_fiber_begin_host(void **fake, const struct host_thread *to)
{
	(void)fake;
	__tsan_switch_to_fiber(to->fiber, 0);
}

host_uninstrumented void host_fiber_end(void *fake)
{
	(void)fake;
}
#endif

#if CONFIG_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

host_uninstrumented void host_fiber_begin_thread(void **fake, const struct hal_thread *to)
{
	__sanitizer_start_switch_fiber(fake, to, CONFIG_KSTACK_SIZE);
}

host_uninstrumented void host_fiber_begin_host(void **fake, const struct host_thread *to)
{
	__sanitizer_start_switch_fiber(fake, to->stack, to->stack_size_bytes);
}

host_uninstrumented void host_fiber_end(void *fake)
{
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
}

void host_fiber_clean(void *start, size_t size_bytes)
{
	__asan_unpoison_memory_region(start, size_bytes);
}
#endif
