// SPDX-License-Identifier: MIT
//
// SIGSEGV and SIGBUS. A fault is the kernel's when it happened on a kernel stack, or when a door of ours touched RAM on
// its behalf. The handler runs on the host thread's alternate stack, because the kernel stack may be what overflowed;
// it notes the registers and continues the host thread at fault_land(), on the host stack, which reports and ends the
// instance. Any other fault goes to the handler that was there before, and so does a signal that somebody sent: no
// instruction failed, wherever it arrives.
#include "host_fault.h"

#include "host_backtrace.h"
#include "host_fiber.h"
#include "host_syscall.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>

// The kernel's own layout; libc's sigaction() would be intercepted by sanitizers.
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

#define KERNEL_SA_RESTORER 0x04000000ul

static struct kernel_action previous[2]; // SIGSEGV, SIGBUS
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long install_result;

void host_fault_restorer(void);
__asm__(".text\n"
	".globl host_fault_restorer\n"
	".hidden host_fault_restorer\n"
	".type host_fault_restorer, @function\n"
	"host_fault_restorer:\n"
	"	mov $15, %rax\n"
	"	syscall\n"
	".size host_fault_restorer, . - host_fault_restorer\n");

static long action_swap(int signal, const struct kernel_action *set, struct kernel_action *old)
{
	return host_syscall(SYS_rt_sigaction, (uintptr_t)signal, (uintptr_t)set, (uintptr_t)old, sizeof set->mask);
}

host_uninstrumented static bool fault_is_sent(const siginfo_t *info)
{
	return info->si_code <= 0; // sigaction(2), "The siginfo_t argument to a SA_SIGINFO handler"
}

// Not ours: hand on, or let the default action have it: the instruction faults again, what was sent is sent again.
host_uninstrumented static void fault_chain(int signal, siginfo_t *info, void *context)
{
	const struct kernel_action *old = &previous[signal == SIGBUS];
	uintptr_t handler = (uintptr_t)old->handler;

	if (handler == (uintptr_t)SIG_IGN && fault_is_sent(info))
		return;
	if (handler == (uintptr_t)SIG_DFL || handler == (uintptr_t)SIG_IGN) {
		struct kernel_action standard = {.mask = 0};
		action_swap(signal, &standard, NULL);
		if (fault_is_sent(info))
			host_syscall(SYS_tgkill, (uintptr_t)host_syscall(SYS_getpid, 0, 0, 0, 0),
				     (uintptr_t)host_syscall(SYS_gettid, 0, 0, 0, 0), (uintptr_t)signal, 0);
	} else if (old->flags & SA_SIGINFO) {
		old->handler(signal, info, context);
	} else {
		((void (*)(int))(void *)old->handler)(signal);
	}
}

// Uninstrumented: ASan would look for us on the kernel stack before a call that does not return.
host_uninstrumented static void fault_land(struct host_thread *thread)
{
	struct tb_instance *instance = thread->instance;
	if (__atomic_exchange_n(&instance->panicked, 1, __ATOMIC_ACQ_REL) == 0)
		host_fault_report(instance, &thread->fault);
	host_instance_halt(instance, -EIO);
	instance->engine->faulted(instance, thread);
	host_context_abandon(thread);
}

host_uninstrumented static void fault_note(struct host_fault *fault, const siginfo_t *info, const ucontext_t *context)
{
	static const uint8_t order[16] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
					  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
	const greg_t *registers = context->uc_mcontext.gregs;
	for (uint32_t i = 0; i < 16; i++)
		fault->registers[i] = (uintptr_t)registers[order[i]];
	fault->signal = info->si_signo;
	fault->code = info->si_code;
	fault->address = (uintptr_t)info->si_addr;
	fault->pc = (uintptr_t)registers[REG_RIP];
	fault->sp = (uintptr_t)registers[REG_RSP];
	fault->frame = (uintptr_t)registers[REG_RBP];
}

host_uninstrumented static bool fault_is_ours(const struct host_thread *thread, uintptr_t sp, uintptr_t address)
{
	if (thread == NULL || thread->instance == NULL)
		return false;
	uintptr_t base = (uintptr_t)thread->instance->ram.base;
	return sp - base < HAL_SLOT_SIZE || address - base < HAL_SLOT_SIZE;
}

host_uninstrumented static void fault_handler(int signal, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;
	greg_t *registers = context->uc_mcontext.gregs;
	struct host_thread *thread = host_thread_current();
	uintptr_t sp = (uintptr_t)registers[REG_RSP];

	if (fault_is_sent(info) || !fault_is_ours(thread, sp, (uintptr_t)info->si_addr)) {
		fault_chain(signal, info, arg);
		return;
	}
	fault_note(&thread->fault, info, context);
	// Below the red zone of what faulted on the host stack, or below the registers saved there.
	uintptr_t stack = host_is_slot_address(sp) ? (uintptr_t)thread->sp : sp;
	registers[REG_RSP] = (greg_t)(((stack - 256) & ~(uintptr_t)15) - 8);
	registers[REG_RIP] = (greg_t)(uintptr_t)fault_land;
	registers[REG_RDI] = (greg_t)(uintptr_t)thread;
	registers[REG_RBP] = 0;
}

static void fault_install(void)
{
	struct kernel_action action = {.handler = fault_handler,
				       .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | KERNEL_SA_RESTORER,
				       .restorer = host_fault_restorer};
	install_result = action_swap(SIGSEGV, &action, &previous[0]);
	if (install_result == 0)
		install_result = action_swap(SIGBUS, &action, &previous[1]);
}

tb_err host_fault_install(void)
{
	pthread_once(&once, fault_install);
	if (install_result != 0)
		return host_fail(NULL, (tb_err)install_result, "cannot handle SIGSEGV: %s",
				 strerror((int)-install_result));
	return 0;
}
