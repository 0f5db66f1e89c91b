// SPDX-License-Identifier: MIT
//
// Peers of a thread switch: a bare assembly switch between two stacks, swapcontext(), and two host threads that hand a
// futex to each other (on one core when pinned). One iteration is one switch, one way.

#include "peer.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	STACK_SIZE = 64 << 10
};

#if defined(__x86_64__)
// Saves what a call must preserve on the old stack, its pointer at *save, and resumes from `load`. It leaves by a jump: a
// return would go elsewhere than its call came from, and be mispredicted each time.
void peer_stack_switch(void **save, void *load);
__asm__(".text\n"
	".globl peer_stack_switch\n"
	".type peer_stack_switch, @function\n"
	"peer_stack_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	popq %rcx\n"
	"	jmpq *%rcx\n"
	".size peer_stack_switch, . - peer_stack_switch\n");

static void *stack_main, *stack_other;

static void stack_body(void)
{
	for (;;)
		peer_stack_switch(&stack_other, stack_main);
}

static uint64_t stack_run(uint64_t iterations, void *arg)
{
	uint64_t start = peer_now_ns();

	(void)arg;
	for (uint64_t i = 0; i < iterations; i += 2)
		peer_stack_switch(&stack_main, stack_other);
	return peer_now_ns() - start;
}

static void stack_case(const struct peer *peer)
{
	char *stack = aligned_alloc(16, STACK_SIZE);
	void **top;

	if (stack == NULL)
		peer_die("stack");
	// Six registers, the return address, and a slot that leaves the stack as a call would.
	top = (void **)(void *)(stack + STACK_SIZE) - 8;
	top[6] = (void *)(uintptr_t)stack_body;
	stack_other = top;
	peer_case(peer, "assembly", stack_run, NULL);
	free(stack);
}
#else
static void stack_case(const struct peer *peer)
{
	(void)peer; // no assembly for this machine: the case is absent from the output
}
#endif

static ucontext_t context_main, context_other;

static void context_body(void)
{
	for (;;)
		swapcontext(&context_other, &context_main);
}

static uint64_t context_run(uint64_t iterations, void *arg)
{
	uint64_t start = peer_now_ns();

	(void)arg;
	for (uint64_t i = 0; i < iterations; i += 2)
		swapcontext(&context_main, &context_other);
	return peer_now_ns() - start;
}

static void context_case(const struct peer *peer)
{
	void *stack = malloc(STACK_SIZE);

	if (stack == NULL || getcontext(&context_other) != 0)
		peer_die("getcontext");
	context_other.uc_stack.ss_sp = stack;
	context_other.uc_stack.ss_size = STACK_SIZE;
	makecontext(&context_other, context_body, 0);
	peer_case(peer, "swapcontext", context_run, NULL);
	free(stack);
}

struct hand_over {
	atomic_uint turn;
	uint64_t rounds;
	const struct peer *peer;
};

static void turn_await(struct hand_over *h, unsigned turn)
{
	unsigned seen;

	while ((seen = atomic_load(&h->turn)) != turn)
		syscall(SYS_futex, &h->turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void turn_give(struct hand_over *h, unsigned turn)
{
	atomic_store(&h->turn, turn);
	syscall(SYS_futex, &h->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *hand_over_body(void *arg)
{
	struct hand_over *h = arg;

	peer_pin(h->peer, 0);
	for (uint64_t i = 0; i < h->rounds; i++) {
		turn_await(h, 1);
		turn_give(h, 0);
	}
	return NULL;
}

static uint64_t hand_over_run(uint64_t iterations, void *arg)
{
	struct hand_over h = {.rounds = iterations / 2, .peer = arg};
	pthread_t other;
	uint64_t start;

	if (pthread_create(&other, NULL, hand_over_body, &h) != 0)
		peer_die("pthread_create");
	start = peer_now_ns();
	for (uint64_t i = 0; i < h.rounds; i++) {
		turn_give(&h, 1);
		turn_await(&h, 0);
	}
	start = peer_now_ns() - start;
	pthread_join(other, NULL);
	return start;
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "switch");

	stack_case(&peer);
	context_case(&peer);
	peer_case(&peer, "futex", hand_over_run, &peer);
	return 0;
}
