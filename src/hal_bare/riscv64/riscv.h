// SPDX-License-Identifier: MIT
//
// RISC-V of the bare HAL: control registers, calls of the firmware, and what its files owe each other. Sources: the privileged
// architecture (20211203), the Supervisor Binary Interface 1.0, the PLIC specification 1.0, and Sstc 1.0.
//
// tp holds struct bare_cpu: the compiler leaves it alone (no thread-local storage), a switch of contexts does not touch it, and
// a trap neither saves nor restores it, because the interrupted thread may go on elsewhere. sscratch is 0 while the kernel
// runs; user mode will keep the CPU there and tell the two apart by it. gp is nobody's yet.
#ifndef BARE_RISCV_H
#define BARE_RISCV_H

#define RISCV_FRAME_SIZE 288
#define RISCV_SSTATUS_CLEARED 0xc6600 // SUM, MXR, the units of floating point and vectors
#define RISCV_SATP_SV39 8             // in bits 63 to 60

#ifndef __ASSEMBLER__

#include "../arch.h"
#include "../common/fdt_machine.h"

enum riscv_cause {
	CAUSE_UNDEFINED = 2,
	CAUSE_FETCH_PAGE = 12,
	CAUSE_LOAD_PAGE = 13,
	CAUSE_STORE_PAGE = 15,
	IRQ_SOFTWARE = 1,
	IRQ_TIMER = 5,
	IRQ_EXTERNAL = 9
};

// As trap.S stores it. The last two words look like a frame of the compiler's, so that a backtrace goes through.
struct trap_frame {
	uint64_t x[32]; // x[0]: stval; x[2]: sp; x[4]: tp, for the report only
	uint64_t status;
	uint64_t cause;
	uint64_t fp; // s0 again
	uint64_t pc;
};
_Static_assert(sizeof(struct trap_frame) == RISCV_FRAME_SIZE, "known to trap.S");

#define csr_read(name)                                                                                                 \
	({                                                                                                             \
		uint64_t csr_value;                                                                                    \
		__asm__ volatile("csrr %0, " #name : "=r"(csr_value) : : "memory");                                    \
		csr_value;                                                                                             \
	})
#define csr_write(name, value) __asm__ volatile("csrw " #name ", %0" : : "rK"((uint64_t)(value)) : "memory")
#define csr_set(name, bits) __asm__ volatile("csrs " #name ", %0" : : "rK"((uint64_t)(bits)) : "memory")
#define csr_clear(name, bits) __asm__ volatile("csrc " #name ", %0" : : "rK"((uint64_t)(bits)) : "memory")

// What the firmware and the processors can do, the same for all harts.
struct riscv_features {
	bool has_time, has_ipi, has_hsm, has_reset; // extensions of SBI
	bool has_stimecmp;                          // Sstc, and the firmware lets it through
	bool has_seed;                              // Zkr, likewise
	bool has_cycle;                             // the firmware lets the cycle counter through
};
extern struct riscv_features riscv_features;
extern struct fdt_machine riscv_machine;

// ---- sbi.c ----------------------------------------------------------------------------------------------------------

void sbi_init(void);
void sbi_timer_set(uint64_t time); // in ticks
void sbi_ipi(uint64_t hart);
// Negative: SBI's error.
int64_t sbi_hart_start(uint64_t hart, uint64_t phys, uint64_t opaque);
void sbi_power_off(void); // return when they cannot
void sbi_reboot(void);
extern struct bare_uart uart_sbi; // output through the firmware, for machines whose UART is not known

// ---- trap.c, trap.S -------------------------------------------------------------------------------------------------

void trap_init(struct bare_cpu *cpu); // vectors and masks of this hart
// Accesses to registers that may be missing. False: an illegal instruction.
bool trap_try_stimecmp(uint64_t value);
bool trap_try_seed(uint64_t *value);
bool trap_try_cycle(void);

// ---- the machine ----------------------------------------------------------------------------------------------------

void plic_init(void);
void plic_interrupt(struct bare_cpu *cpu);
void plic_route(uint32_t source); // to CPU 0
void clock_riscv_init(void);
void clock_cpu_init(struct bare_cpu *cpu);       // the running hart
void clock_interrupt_ends(struct bare_cpu *cpu); // after its timer has fired
void smp_init(uint64_t boot_hart);
extern uint64_t smp_satp; // of the final tables
// Whether an entry allows what a page fault of this cause was about.
bool paging_allows(uint64_t pte, uint64_t cause);
void power_init(void);

#endif
#endif
