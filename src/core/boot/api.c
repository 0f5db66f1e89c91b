// SPDX-License-Identifier: MIT
//
// tb_k_*: what a function may use that tb_call() runs inside an instance (tbos/tbos.h). Threads are named by number, so that
// a caller's stale number is an error and not a wild pointer; the table of live ones is this file's.
#include "boot_impl.h"

#include "hal/clock.h"
#include "hal/console.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/string.h"
#include "tbos/tbos.h"

struct api_thread {
	struct list_node link;
	struct thread *thread;
	void (*fn)(void *);
	void *arg;
};

struct api_state {
	struct mutex lock;
	struct list threads; // struct api_thread, by start
};

uint64_t tb_k_now_ns(void)
{
	return clock_now_ns();
}

uint64_t tb_k_wall_ns(void)
{
	return hal_clock_wall_ns();
}

void tb_k_random(void *bytes, size_t size_bytes)
{
	hal_entropy(bytes, size_bytes);
}

void tb_k_sleep_ns(uint64_t duration_ns)
{
	sleep_ns(duration_ns);
}

void tb_k_yield(void)
{
	thread_yield();
}

uint32_t tb_k_cpu(void)
{
	preempt_disable();
	uint32_t index = this_cpu()->hal.index;
	preempt_enable();
	return index;
}

void *tb_k_alloc(size_t size_bytes)
{
	return kmalloc(size_bytes, 0);
}

void tb_k_free(void *memory)
{
	kfree(memory);
}

void tb_k_print(const char *text)
{
	hal_console_write(text, strlen(text));
}

void tb_k_log(const char *text)
{
	log_info("%s", text);
}

static void api_thread_main(void *arg)
{
	struct api_thread *api = arg;
	api->fn(api->arg);
}

tb_err tb_k_thread_start(const char *name, void (*fn)(void *), void *arg, uint32_t *id)
{
	struct api_state *state = kernel_self()->boot->api;
	struct thread_params params = {.name = name != NULL ? name : "api", .klass = CLASS_FAIR};
	struct api_thread *api = kmalloc(sizeof *api, MEM_ZERO);

	if (api == NULL)
		return ERR(ENOMEM);
	api->fn = fn;
	api->arg = arg;
	mutex_lock(&state->lock);
	err_t err = thread_start(&params, api_thread_main, api, &api->thread);
	if (err == 0) {
		*id = api->thread->id;
		list_push_back(&state->threads, &api->link);
	}
	mutex_unlock(&state->lock);
	if (err != 0)
		kfree(api);
	return err;
}

static struct api_thread *api_thread_take(struct api_state *state, uint32_t id)
{
	struct api_thread *api;
	struct api_thread *found = NULL;

	mutex_lock(&state->lock);
	list_for_each (api, &state->threads, link)
		if (api->thread->id == id)
			found = api;
	if (found != NULL)
		list_remove(&found->link);
	mutex_unlock(&state->lock);
	return found;
}

tb_err tb_k_thread_join(uint32_t id)
{
	struct api_thread *api = api_thread_take(kernel_self()->boot->api, id);
	if (api == NULL)
		return ERR(ESRCH);
	err_t err = thread_join(api->thread, NULL);
	kfree(api);
	return err;
}

err_t api_init(struct kernel *kernel)
{
	struct api_state *state = kmalloc(sizeof *state, MEM_ZERO);
	if (state == NULL)
		return ERR(ENOMEM);
	mutex_init(&state->lock, LOCK_RANK_BOOT, "api: threads");
	list_init(&state->threads);
	kernel->boot->api = state;
	return 0;
}

// Threads that nobody joined are waited for: their functions are the host's and must end before the instance does.
void api_stop(void)
{
	struct api_state *state = kernel_self()->boot->api;
	struct api_thread *api;

	while ((api = list_pop_front_entry(&state->threads, struct api_thread, link)) != NULL) {
		err_t err = thread_join(api->thread, NULL);
		VERIFY(err == 0);
		kfree(api);
	}
	mutex_fini(&state->lock);
	kernel_self()->boot->api = NULL;
	kfree(state);
}
