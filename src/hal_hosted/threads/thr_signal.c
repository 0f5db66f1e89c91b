// SPDX-License-Identifier: MIT
//
// The doorbell: the real-time signal that makes a driving host thread look at irq_pending. thr_impl.h, 2.
//
// The handler is entered in assembly and returns by its own rt_sigreturn, because its last steps must be one: unmask the
// thread, look at irq_pending once more, return. A doorbell that arrives between the unmask and the return would deliver
// on top of this frame, and a storm of them would stack frame upon frame; so the inner handler, seeing that it interrupted
// the tail, only makes the tail start over.
#include "thr_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>

// What must fit on a kernel stack beside a signal frame.
#define STACK_WORK_SIZE 8192u

struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

#define KERNEL_SA_RESTORER 0x04000000ul

_Static_assert(offsetof(struct hal_thread, cpu) == 0, "the tail in assembly knows hal_thread.cpu");
_Static_assert(offsetof(struct hal_thread, irq_off) == 8, "the tail in assembly knows hal_thread.irq_off");
_Static_assert(offsetof(struct hal_cpu, irq_pending) == 0, "the tail in assembly knows hal_cpu.irq_pending");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]) == 168, "the entry in assembly knows ucontext_t");

void thr_doorbell_entry(int signal, siginfo_t *info, void *context);
void thr_doorbell_again(void);
extern const char thr_doorbell_tail[], thr_doorbell_tail_end[];
struct hal_thread *thr_doorbell(int signal, siginfo_t *info, ucontext_t *context);
struct hal_thread *thr_doorbell_deliver(struct hal_thread *thread, ucontext_t *context);

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

// Where the interrupted register lies: at a fixed offset from the ucontext_t, which rbx points to (DW_OP_breg3).
#define SAVED_LOW(register, offset) "	.cfi_escape 0x10, " #register ", 2, 0x73, " #offset "\n"
#define SAVED_HIGH(register, offset)                                                                                   \
	"	.cfi_escape 0x10, " #register ", 3, 0x73, (" #offset " & 0x7f) | 0x80, " #offset " >> 7\n"

// Registers need not be preserved: rt_sigreturn loads all. The interrupted pc and rbp are pushed as a frame, so that a walk
// along frame pointers passes through.
__asm__(".text\n"
	".p2align 4\n"
	".globl thr_doorbell_entry\n"
	".hidden thr_doorbell_entry, thr_doorbell_tail, thr_doorbell_tail_end, thr_doorbell_again\n"
	".globl thr_doorbell_tail, thr_doorbell_tail_end, thr_doorbell_again\n"
	".type thr_doorbell_entry, @function\n"
	"	.cfi_startproc\n"
	"	.cfi_signal_frame\n"
	"	.cfi_escape 0x0f, 4, 0x73, (160 & 0x7f) | 0x80, 160 >> 7, 0x06\n" // CFA: the interrupted rsp
	SAVED_LOW(8, 40) SAVED_LOW(9, 48) SAVED_LOW(10, 56) SAVED_HIGH(11, 64) SAVED_HIGH(12, 72) SAVED_HIGH(
		13, 80) SAVED_HIGH(14,
				   88) SAVED_HIGH(15,
						  96) SAVED_HIGH(5, 104) SAVED_HIGH(4,
										    112) SAVED_HIGH(6,
												    120) SAVED_HIGH(3,
														    128)
		SAVED_HIGH(1, 136) SAVED_HIGH(0, 144) SAVED_HIGH(2, 152) SAVED_HIGH(7, 160) SAVED_HIGH(
			16,
			168) "	nop\n" // debuggers look a return address up one byte before it
			     "thr_doorbell_entry:\n"
			     "	mov %rdx, %rbx\n"
			     "	mov 168(%rbx), %rax\n"
			     "	push %rax\n"
			     "	push %rbp\n"
			     "	mov %rsp, %rbp\n"
			     "	sub $8, %rsp\n"
			     "	call thr_doorbell\n"
			     "1:	test %rax, %rax\n" // the thread to unmask, or NULL: leave everything alone
			     "	jz 2f\n"
			     "thr_doorbell_tail:\n"
			     "	movl $0, 8(%rax)\n"
			     "	mov (%rax), %rcx\n"
			     "	cmpl $0, (%rcx)\n"
			     "	jne thr_doorbell_again\n"
			     "2:	mov %rbx, %rsp\n"
			     "	mov $15, %eax\n"
			     "	syscall\n"
			     "thr_doorbell_again:\n"
			     "	lea -8(%rbp), %rsp\n"
			     "	mov %rsp, %rdi\n"
			     "	and $-" TEXT(CONFIG_KSTACK_SIZE) ", %rdi\n"
								 "	movl $1, 8(%rdi)\n"
								 "thr_doorbell_tail_end:\n"
								 "	mov %rbx, %rsi\n"
								 "	call thr_doorbell_deliver\n"
								 "	jmp 1b\n"
								 "	.cfi_endproc\n"
								 ".size thr_doorbell_entry, . - thr_doorbell_entry\n");

static int doorbell; // tb_signal(), which is a call into libc

// ---- delivery ---------------------------------------------------------------------------------------------------------

// The signal is blocked while its handler runs, so that those which wait do not all push their frames at once, each on
// top of another's first instruction. It is opened before the kernel may leave this stack for another; from then on an
// inner handler finds the thread masked and returns. Who is cut off by a halt has it opened by thr_cpu_drive().
host_uninstrumented static void signal_open(void)
{
	uint64_t set = 1ull << (doorbell - 1);
	host_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (uintptr_t)&set, 0, sizeof set);
}

// The frame was made for another host thread than the one that will return from it.
host_uninstrumented static void frame_adopt(ucontext_t *context)
{
	host_syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, (uintptr_t)&context->uc_sigmask, sizeof(uint64_t));
	host_syscall(SYS_sigaltstack, 0, (uintptr_t)&context->uc_stack, 0, 0);
}

// Masked on entry and on return. The tail calls it again when bits came between.
host_uninstrumented struct hal_thread *thr_doorbell_deliver(struct hal_thread *thread, ucontext_t *context)
{
	struct tb_instance *instance = host_instance();
	const struct host_thread *driver = host_driver(instance);
	uint32_t bits = __atomic_exchange_n(&thread->cpu->irq_pending, 0, __ATOMIC_SEQ_CST) & ~THR_KICK;

	if (thr_halted(instance))
		thr_abandon(instance);
	if (bits != 0)
		instance->upcalls->irq(bits);
	if (host_driver(instance) != driver)
		frame_adopt(context);
	return thread;
}

// A masked thread of a halted instance may be cut off anywhere in plain builds, except where it holds a lock of ours or
// has others still to wake. Sanitizers may be at work below masked code; there it leaves at its next door.
host_uninstrumented static bool may_abandon(const struct hal_thread *thread)
{
	return !HOST_FIBERS && *(const volatile uint32_t *)&thread->irq_off != HOST_CRITICAL;
}

host_uninstrumented struct hal_thread *thr_doorbell(int signal, siginfo_t *info, ucontext_t *context)
{
	greg_t *registers = context->uc_mcontext.gregs;
	uintptr_t sp = (uintptr_t)registers[REG_RSP];
	uintptr_t pc = (uintptr_t)registers[REG_RIP];
	(void)signal;

	if (info->si_code == SI_TIMER)
		thr_timer_fired(info->si_value.sival_ptr);
	if (CONFIG_TSAN || !host_is_slot_address(sp))
		return NULL;
	struct hal_thread *thread = hal_self();
	if (*(volatile uint32_t *)&thread->irq_off != 0) {
		struct tb_instance *instance = host_instance();
		if (host_unlikely(thr_halted(instance)) && may_abandon(thread))
			thr_abandon(instance);
		return NULL;
	}
	*(volatile uint32_t *)&thread->irq_off = 1;
	if (pc >= (uintptr_t)thr_doorbell_tail && pc < (uintptr_t)thr_doorbell_tail_end) {
		registers[REG_RIP] = (greg_t)(uintptr_t)thr_doorbell_again;
		return NULL;
	}
	signal_open();
	return thr_doorbell_deliver(thread, context);
}

// ---- installing and sending -------------------------------------------------------------------------------------------

static pthread_once_t once = PTHREAD_ONCE_INIT;
static tb_err install_error;
static pid_t process;

static void signal_install(void)
{
	struct kernel_action action = {.handler = thr_doorbell_entry,
				       .flags = SA_SIGINFO | SA_RESTART | KERNEL_SA_RESTORER,
				       .restorer = thr_doorbell_again};
	unsigned long frame_size = getauxval(AT_MINSIGSTKSZ);
	process = getpid();
	doorbell = tb_signal();
	if (frame_size + STACK_WORK_SIZE > CONFIG_KSTACK_SIZE)
		install_error = -ENOTSUP;
	else
		install_error = (tb_err)host_syscall(SYS_rt_sigaction, (uintptr_t)tb_signal(), (uintptr_t)&action, 0,
						     sizeof action.mask);
}

tb_err thr_signal_install(void)
{
	pthread_once(&once, signal_install);
	if (install_error == -ENOTSUP)
		return host_fail(NULL, -ENOTSUP, "signal frames of this CPU need %lu bytes, kernel stacks have %u",
				 getauxval(AT_MINSIGSTKSZ), CONFIG_KSTACK_SIZE);
	if (install_error != 0)
		return host_fail(NULL, -EINVAL, "cannot handle signal %d: %s", tb_signal(), strerror(-install_error));
	return 0;
}

void thr_signal_forked(void)
{
	process = getpid();
}

// -EAGAIN: the user's limit of queued signals is reached; they are taken from the queue as they are handled.
host_uninstrumented void thr_signal_send(const struct host_thread *thread)
{
	pid_t tid = __atomic_load_n(&thread->tid, __ATOMIC_RELAXED);
	if (tid == 0)
		return;
	while (host_syscall(SYS_tgkill, (uintptr_t)process, (uintptr_t)tid, (uintptr_t)doorbell, 0) == -EAGAIN)
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

void thr_signal_unblock(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, tb_signal());
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
