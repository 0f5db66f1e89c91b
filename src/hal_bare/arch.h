// SPDX-License-Identifier: MIT
//
// What an architecture supplies to the common half of the bare HAL. Functions are called on CPU 0 while booting unless said otherwise.
#ifndef BARE_ARCH_H
#define BARE_ARCH_H

#include "bare_impl.h"

// ---- boot -------------------------------------------------------------------------------------------------------------

// As early as possible: vectors that report a fault on the boot stack, CPU 0's arch_cpu(), an early UART when one is known.
void arch_early(uint64_t protocol, uint64_t info);
// Fills the record. Physical memory is reached through bare_phys().
void arch_boot_record(struct bare_boot *boot, uint64_t protocol, uint64_t info);
// Final tables are on: interrupt controllers, clock, timer, UART with its interrupt, list of CPUs in bare_cpus[] (CPU 0 is the running
// one), nodes of CPUs.
void arch_init(void);
// Text of the architecture for hal_boot_info.engine.
extern const char arch_name[];

// ---- page tables: 512 entries a table, 4 KiB pages, levels counted from 0 (leaf) ----------------------------------------

// x86-64 and AArch64 4, Sv39 3.
extern const uint32_t arch_levels;
uint64_t arch_pte_leaf(uint64_t phys, uint32_t prot, uint32_t level);
uint64_t arch_pte_table(uint64_t phys);
bool arch_pte_is_valid(uint64_t pte);
bool arch_pte_is_leaf(uint64_t pte, uint32_t level); // valid and no table
uint64_t arch_pte_phys(uint64_t pte);
uint64_t arch_pte_sub(uint64_t pte, uint32_t level, uint32_t index); // the index-th part of a leaf, one level below
bool arch_address_is_canonical(uintptr_t address);
extern const uint64_t arch_phys_limit;  // physical addresses end here
extern const uint64_t arch_early_limit; // and what bare_phys() reaches before paging_init() here
void arch_paging_activate(uint64_t root_phys);
// After an entry was written: valid to invalid or the reverse, this CPU only. Any context, masked.
void arch_tlb_flush_page(uintptr_t address);
void arch_tlb_flush_all(void);
// Whether arch_tlb_flush_page() reaches all CPUs by itself (AArch64).
extern const bool arch_tlb_is_broadcast;

// ---- CPUs, interrupts, clock ----------------------------------------------------------------------------------------------

static inline struct bare_cpu *arch_cpu(void);

// Makes a present CPU run bare_cpu_main(cpu). Errors: -EIO (firmware refused or it never came).
tb_err arch_cpu_start(struct bare_cpu *cpu);
void arch_cpu_init(struct bare_cpu *cpu); // on a started CPU: vectors, controllers, timer
void arch_ipi(struct bare_cpu *cpu);      // irq-safe; may be the own one
void arch_ipi_stop(struct bare_cpu *cpu); // makes it stop for good, masked or not where the machine can
// Waits for an interrupt, masked on entry and return. Causes are collected in hal_cpu.irq_pending (arch_idle_collects) or stay
// pending in hardware.
void arch_idle(struct bare_cpu *cpu);
void arch_relax(void);
void arch_stop(void) __attribute__((__noreturn__)); // masked, for ever

uint64_t arch_clock_ns(void);                                    // any context
void arch_timer_arm(struct bare_cpu *cpu, uint64_t deadline_ns); // masked, own CPU; may fire early
uint64_t arch_wall_ns(void);                                     // Unix time now by the machine's clock, 0: none
bool arch_entropy(uint64_t *value);                              // hardware random, any context
uint64_t arch_jitter(void);                                      // a fast counter

// ---- contexts ---------------------------------------------------------------------------------------------------------------

// Where, relative to the frame pointer, the caller's frame pointer lies, followed by the return address.
extern const intptr_t arch_frame_offset;

// Lays a frame below `top` that starts entry(arg), masked; returns the stack pointer.
void *arch_context_frame(void *top, void (*entry)(void *), void *arg);
// Saves callee-saved registers on the stack, *save = sp; continues `load`.
void arch_switch(void **save, void *load);
// Calls fn(arg) on the stack that ends at `top`.
void arch_call_on(void *top, void (*fn)(void *), void *arg) __attribute__((__noreturn__));

// ---- the end ------------------------------------------------------------------------------------------------------------------

// Exit device of the emulator; returns when there is none.
void arch_exit_debug(int32_t status);
void arch_power_off(void); // returns when it cannot
void arch_reboot(void);    // returns when it cannot

#if defined(__x86_64__)
static inline struct bare_cpu *arch_cpu(void)
{
	struct bare_cpu *cpu;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}
#elif defined(__aarch64__)
static inline struct bare_cpu *arch_cpu(void)
{
	struct bare_cpu *cpu;
	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(cpu));
	return cpu;
}
#elif defined(__riscv)
static inline struct bare_cpu *arch_cpu(void)
{
	struct bare_cpu *cpu;
	__asm__ volatile("mv %0, tp" : "=r"(cpu));
	return cpu;
}
#endif

#endif
