// SPDX-License-Identifier: MIT
//
// Borrowers: host threads inside tb_boot(), tb_call(), tb_destroy(), tb_wait(). A call goes into the queue, its thread takes
// a parked CPU if there is one, raises HAL_IRQ_CALL there and drives it until the kernel lets go; then it returns with the
// result or sleeps on its own futex word. With every CPU driven, one of them is told of the call.
//
// host_thread.word belongs to a record that is never freed, so hal_call_done() may wake it after its thread has gone on.
#include "thr_impl.h"

#include <errno.h>

// Token: a number of the call above the number of the host thread, which has one call at a time.
#define TOKEN_THREAD_BITS 20u

bool thr_borrow_wants(const struct thr_call *call)
{
	switch (call->kind) {
	case THR_BORROW_CALL:
		return __atomic_load_n(&call->owner->word, __ATOMIC_RELAXED) == THR_CALL_DONE ||
		       __atomic_load_n(&call->sleeping, __ATOMIC_RELAXED) != 0;
	case THR_BORROW_BOOT:
		return __atomic_load_n(&call->owner->instance->state, __ATOMIC_RELAXED) != HOST_BOOTING;
	case THR_BORROW_STOP:
		break;
	}
	return false;
}

// ---- the queue --------------------------------------------------------------------------------------------------------

static void queue_lock(struct thr_instance *thr)
{
	while (__atomic_exchange_n(&thr->call_lock, 1, __ATOMIC_ACQUIRE) != 0)
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

static void queue_unlock(struct thr_instance *thr)
{
	__atomic_store_n(&thr->call_lock, 0, __ATOMIC_RELEASE);
}

static void queue_push(struct thr_instance *thr, struct thr_call *call)
{
	queue_lock(thr);
	call->next = NULL;
	__atomic_store_n(thr->call_tail, call, __ATOMIC_RELEASE); // call_head is looked at without the lock
	thr->call_tail = &call->next;
	queue_unlock(thr);
}

static bool queue_pop(struct thr_instance *thr, struct hal_call *out)
{
	queue_lock(thr);
	struct thr_call *call = thr->call_head;
	if (call != NULL) {
		__atomic_store_n(&thr->call_head, call->next, __ATOMIC_RELAXED);
		if (call->next == NULL)
			thr->call_tail = &thr->call_head;
		*out = (struct hal_call){call->token, call->fn, call->arg};
	}
	queue_unlock(thr);
	return call != NULL;
}

// ---- doors ------------------------------------------------------------------------------------------------------------

// Masked.
bool thr_call_take(struct tb_instance *instance, struct hal_call *call)
{
	struct thr_instance *thr = thr_of(instance);
	if (__atomic_load_n(&thr->call_head, __ATOMIC_ACQUIRE) == NULL)
		return false;
	host_critical_begin();
	bool taken = queue_pop(thr, call);
	bool more = __atomic_load_n(&thr->call_head, __ATOMIC_RELAXED) != NULL;
	host_critical_end();
	if (more) // their interrupts may have been one with that of the call just taken
		__atomic_fetch_or(&hal_self()->cpu->irq_pending, HAL_IRQ_CALL, __ATOMIC_SEQ_CST);
	return taken;
}

static struct thr_call *call_find(uint64_t token)
{
	struct host_thread *owner = host_thread_at((uint32_t)token & ((1u << TOKEN_THREAD_BITS) - 1));
	struct thr_call *call = owner ? __atomic_load_n((struct thr_call **)&owner->engine, __ATOMIC_ACQUIRE) : NULL;
	return call != NULL && call->token == token ? call : NULL;
}

// A borrower that drives another CPU than the one we run on must notice that it may let go.
static void borrower_ring(struct tb_instance *instance, struct thr_cpu *cpu)
{
	if (cpu != NULL && cpu->host != host_cpu(instance))
		thr_ring(cpu, HAL_IRQ_IPI, NULL);
}

void thr_call_done(struct tb_instance *instance, uint64_t token, int64_t result)
{
	struct thr_call *call = call_find(token);
	if (call == NULL)
		return;
	struct host_thread *owner = call->owner;
	struct thr_cpu *cpu = __atomic_load_n(&call->cpu, __ATOMIC_RELAXED);
	call->result = result;
	// From here on `call` may be gone.
	host_critical_begin();
	if (__atomic_exchange_n(&owner->word, THR_CALL_DONE, __ATOMIC_ACQ_REL) == THR_CALL_WAITS)
		host_futex_wake(&owner->word, 1);
	else
		borrower_ring(instance, cpu);
	host_critical_end();
}

bool thr_call_wants_cpu(struct tb_instance *instance)
{
	const struct thr_call *borrow = thr_cpu_self(instance)->borrow;
	return borrow != NULL && thr_borrow_wants(borrow);
}

void thr_call_sleeping(struct tb_instance *instance, uint64_t token, bool sleeping)
{
	struct thr_call *call = call_find(token);
	if (call == NULL)
		return;
	__atomic_store_n(&call->sleeping, sleeping, __ATOMIC_RELAXED);
	if (!sleeping)
		return;
	host_critical_begin();
	borrower_ring(instance, __atomic_load_n(&call->cpu, __ATOMIC_RELAXED));
	host_critical_end();
}

// ---- waiting ----------------------------------------------------------------------------------------------------------

void thr_calls_halted(struct tb_instance *instance)
{
	struct thr_instance *thr = thr_of(instance);
	pthread_mutex_lock(&thr->lock);
	for (struct thr_call *call = thr->waiting; call != NULL; call = call->wait_next) {
		uint32_t waits = THR_CALL_WAITS;
		if (__atomic_compare_exchange_n(&call->owner->word, &waits, THR_CALL_HALTED, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			host_futex_wake(&call->owner->word, 1);
	}
	pthread_mutex_unlock(&thr->lock);
}

// Joins those that thr_calls_halted() wakes; false when it has already been there.
static bool waiting_add(struct thr_instance *thr, struct thr_call *call)
{
	uint32_t runs = THR_CALL_RUNS;
	pthread_mutex_lock(&thr->lock);
	call->wait_next = thr->waiting;
	call->wait_link = &thr->waiting;
	if (call->wait_next != NULL)
		call->wait_next->wait_link = &call->wait_next;
	thr->waiting = call;
	__atomic_compare_exchange_n(&call->owner->word, &runs, THR_CALL_WAITS, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
	// Under the lock, so either we see it here or it sees us there.
	bool halted = __atomic_load_n(&thr->instance->state, __ATOMIC_SEQ_CST) == HOST_HALTED;
	pthread_mutex_unlock(&thr->lock);
	return !halted;
}

static void waiting_remove(struct thr_instance *thr, struct thr_call *call)
{
	pthread_mutex_lock(&thr->lock);
	*call->wait_link = call->wait_next;
	if (call->wait_next != NULL)
		call->wait_next->wait_link = call->wait_link;
	pthread_mutex_unlock(&thr->lock);
}

static void call_wait(struct thr_instance *thr, struct thr_call *call)
{
	const uint32_t *word = &call->owner->word;
	if (waiting_add(thr, call))
		while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == THR_CALL_WAITS)
			host_futex_wait(word, THR_CALL_WAITS, NULL);
	waiting_remove(thr, call);
}

// ---- borrowing --------------------------------------------------------------------------------------------------------

// Drives a CPU that we claimed, until the kernel lets go. Work that came too late for us goes to the home worker.
static void borrow_drive(struct thr_cpu *cpu, struct thr_call *call)
{
	__atomic_store_n(&call->cpu, cpu, __ATOMIC_RELAXED);
	thr_cpu_drive(cpu, call->owner, call);
	__atomic_store_n(&call->cpu, NULL, __ATOMIC_RELAXED);
	if (thr_cpu_pending(cpu) && !thr_halted(cpu->instance))
		thr_home_kick(cpu);
}

static struct thr_cpu *cpu_borrow(struct tb_instance *instance, struct host_thread *self)
{
	uint32_t start = self->cpu < instance->cpu_count ? self->cpu : 0;
	for (uint32_t i = 0; i < instance->cpu_count; i++) {
		uint32_t index = start + i < instance->cpu_count ? start + i : start + i - instance->cpu_count;
		struct thr_cpu *cpu = &thr_of(instance)->cpus[index];
		if (__atomic_load_n(&cpu->host->driver, __ATOMIC_RELAXED) == NULL && thr_cpu_claim(cpu, self))
			return cpu;
	}
	return NULL;
}

static void busy_cpu_ring(struct tb_instance *instance)
{
	uint32_t number = __atomic_fetch_add(&thr_of(instance)->next_cpu, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < instance->cpu_count; i++) {
		struct thr_cpu *cpu = &thr_of(instance)->cpus[(number + i) % instance->cpu_count];
		if (__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE) != 0) {
			thr_ring(cpu, HAL_IRQ_CALL, NULL);
			return;
		}
	}
}

static uint64_t token_next(const struct host_thread *self)
{
	static __thread uint64_t number;
	return ++number << TOKEN_THREAD_BITS | self->index;
}

static struct host_thread *borrower_self(void)
{
	struct host_thread *self = host_thread_self();
	if (host_unlikely(self != NULL && !self->unblocked)) {
		thr_signal_unblock();
		self->unblocked = true;
	}
	return self;
}

tb_err thr_call(struct tb_instance *instance, int64_t (*fn)(void *), void *arg, int64_t *result)
{
	struct thr_instance *thr = thr_of(instance);
	struct host_thread *self = borrower_self();
	if (host_unlikely(self == NULL))
		return host_fail(instance, -ENOMEM, "no host memory");
	struct thr_call call = {
		.kind = THR_BORROW_CALL, .owner = self, .token = token_next(self), .fn = fn, .arg = arg};
	__atomic_store_n(&self->word, THR_CALL_RUNS, __ATOMIC_RELAXED);
	__atomic_store_n((struct thr_call **)&self->engine, &call, __ATOMIC_RELEASE);

	struct thr_cpu *cpu = cpu_borrow(instance, self);
	queue_push(thr, &call);
	if (host_likely(cpu != NULL)) {
		__atomic_fetch_or(&thr_hal(cpu)->irq_pending, HAL_IRQ_CALL, __ATOMIC_SEQ_CST);
		borrow_drive(cpu, &call);
	} else {
		busy_cpu_ring(instance);
	}
	if (host_unlikely(__atomic_load_n(&self->word, __ATOMIC_ACQUIRE) != THR_CALL_DONE))
		call_wait(thr, &call);
	__atomic_store_n((struct thr_call **)&self->engine, NULL, __ATOMIC_RELEASE);
	if (host_likely(__atomic_load_n(&self->word, __ATOMIC_ACQUIRE) == THR_CALL_DONE)) {
		*result = call.result;
		return 0;
	}
	thr_quiesce(instance);
	return -ESHUTDOWN;
}

// ---- boot, wait, stop -------------------------------------------------------------------------------------------------

static uint32_t state_wait(struct tb_instance *instance, uint32_t first, uint32_t second)
{
	for (;;) {
		uint32_t state = __atomic_load_n(&instance->state, __ATOMIC_ACQUIRE);
		if (state != first && state != second)
			return state;
		host_futex_wait(&instance->state, state, NULL);
	}
}

tb_err thr_wait(struct tb_instance *instance)
{
	state_wait(instance, HOST_BOOTING, HOST_RUNNING);
	thr_quiesce(instance);
	return 0;
}

tb_err thr_boot(struct tb_instance *instance)
{
	struct thr_cpu *cpu = &thr_of(instance)->cpus[0];
	struct host_thread *self = borrower_self();
	struct thr_call call = {.kind = THR_BORROW_BOOT, .owner = self};
	if (self == NULL) {
		host_instance_halt(instance, -ENOMEM);
		return host_fail(instance, -ENOMEM, "no host memory");
	}
	__atomic_store_n(&cpu->online, 1, __ATOMIC_RELEASE);
	if (thr_cpu_claim(cpu, self))
		borrow_drive(cpu, &call);
	if (state_wait(instance, HOST_BOOTING, HOST_BOOTING) == HOST_HALTED)
		thr_quiesce(instance);
	return 0;
}

tb_err thr_stop(struct tb_instance *instance)
{
	struct thr_cpu *cpu = &thr_of(instance)->cpus[0];
	struct host_thread *self = borrower_self();
	struct thr_call call = {.kind = THR_BORROW_STOP, .owner = self};
	if (self != NULL && thr_cpu_claim(cpu, self)) {
		__atomic_fetch_or(&thr_hal(cpu)->irq_pending, HAL_IRQ_STOP, __ATOMIC_SEQ_CST);
		borrow_drive(cpu, &call);
	} else {
		thr_ring(cpu, HAL_IRQ_STOP, self);
	}
	return thr_wait(instance);
}
