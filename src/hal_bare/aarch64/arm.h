// SPDX-License-Identifier: MIT
//
// AArch64 of the bare HAL: system registers, constants that assembler and C share, and what its files owe each other. The
// Arm ARM (DDI 0487) is the source unless another is named.
#ifndef BARE_ARM_H
#define BARE_ARM_H

// MAIR_EL1: 0 normal write-back, 1 device nGnRnE, 2 normal uncached.
#define ARM_MAIR 0x4400ff
// TCR_EL1 without IPS: 48 bits and 4 KiB pages on both sides, walks cached and inner shareable.
#define ARM_TCR 0xb5103510
#define ARM_TCR_EPD0 (1 << 7)
// SCTLR_EL1: the bits that are one by default, and instruction cache; then with MMU, cache, stack alignment; write implies no execute.
#define ARM_SCTLR_OFF 0x30d01800
#define ARM_SCTLR_ON 0x30d0180d
#define ARM_SCTLR_SPAN (1 << 23)
#define ARM_SCTLR_WXN (1 << 19)

#define ARM_PTE_TABLE 0x3
#define ARM_PTE_BLOCK 0x701  // valid block, inner shareable, accessed, MAIR 0
#define ARM_PTE_DEVICE 0x405 // valid block, accessed, MAIR 1

#define ARM_EARLY_TABLES 8 // second-level tables of the early identity map

// The frame of an exception: x0 to x30, sp, pc, pstate, a frame record.
#define ARM_FRAME_SIZE 288
#define ARM_FRAME_SP 248
#define ARM_FRAME_PC 256
#define ARM_FRAME_RECORD 272

// struct bare_cpu.
#define ARM_CPU_SCRATCH 8
#define ARM_CPU_EMERGENCY 40

// struct smp_slot.
#define ARM_SLOT_STACK 8
#define ARM_SLOT_CPU 16
#define ARM_SLOT_SIZE 24
#define ARM_AFFINITY 0xff00ffffff // of MPIDR_EL1

#ifndef __ASSEMBLER__

#include "../arch.h"
#include "../common/fdt_machine.h"

#define arm_read(name)                                                                                                 \
	({                                                                                                             \
		uint64_t arm_value;                                                                                    \
		__asm__ volatile("mrs %0, " #name : "=r"(arm_value) : : "memory");                                     \
		arm_value;                                                                                             \
	})
#define arm_write(name, value) __asm__ volatile("msr " #name ", %0" : : "r"((uint64_t)(value)) : "memory")

static inline void arm_isb(void)
{
	__asm__ volatile("isb" : : : "memory");
}

static inline void arm_dsb(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}

static inline uint32_t mmio_read(uintptr_t address)
{
	return *(volatile uint32_t *)address;
}

static inline void mmio_write(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

struct trap_frame {
	uint64_t x[31];
	uint64_t sp, pc, pstate;
	uint64_t record[2];
};

enum trap_kind {
	TRAP_SYNC,
	TRAP_IRQ,
	TRAP_FIQ,
	TRAP_SERROR,
	TRAP_FOREIGN,      // added for vectors that the kernel does not use: SP_EL0, lower levels
	TRAP_BAD_STACK = 8 // added when the emergency stack had to serve
};

// What the device tree and the processor told, and how the image was entered. Constant after arch_init().
struct arm_state {
	struct fdt_machine machine;
	uint32_t entry_level; // 1 to 3
	bool is_secure;       // entered at EL3: stays in Secure state, as there is no firmware to lead out of it
	bool has_pan;
	bool has_rndr;
	bool uses_virtual_timer;
};
extern struct arm_state arm;

// early.c: the identity map before the final tables. What does not fit stays unmapped: false.
bool early_map(uint64_t phys, uint64_t size_bytes, bool device);

// ---- interrupt controllers (intc.c) --------------------------------------------------------------------------------------

enum intc_source {
	SOURCE_NONE,
	SOURCE_IPI,
	SOURCE_TIMER,
	SOURCE_UART,
	SOURCE_OTHER
};

struct intc {
	const char *name;
	bool (*init)(void);                     // CPU 0, once: map, distributor. False: cannot be used
	bool (*cpu_init)(struct bare_cpu *cpu); // each CPU, after init; timer and IPI on
	void (*uart_on)(void);                  // to CPU 0
	void (*ipi)(struct bare_cpu *cpu);
	enum intc_source (*take)(uint32_t *token);
	void (*done)(uint32_t token);
};

extern const struct intc intc_gicv2, intc_gicv3, intc_bcm2836;

void intc_init(void);
void intc_cpu_init(struct bare_cpu *cpu);
void intc_uart_on(void);
void intc_handle(struct bare_cpu *cpu);
enum intc_source intc_source_of(uint32_t number); // GIC: by INTID
const struct fdtm_irq *intc_timer_irq(void);
const struct fdtm_irq *intc_uart_irq(void);

// ---- the rest ------------------------------------------------------------------------------------------------------------------

void clock_arm_init(void);
void clock_arm_cpu_init(void);
void timer_quiet(void); // no interrupt until armed again
void smp_init(void);
void power_init(const struct fdt *fdt); // early: what is there
void power_map(void);                   // its registers, when final tables are on
uint64_t psci_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
void arm_protect(void); // paging.c: PAN, WXN, no low half, on this CPU
// esr.c: words for a syndrome. `why` is filled, cut at size_bytes.
const char *esr_what(uint64_t esr);
void esr_why(uint64_t esr, uint64_t far, char *why, size_t size_bytes);
bool esr_has_address(uint64_t esr);
// The processor's number in the system, as the device tree writes it.
static inline uint64_t arm_affinity(void)
{
	return arm_read(mpidr_el1) & ARM_AFFINITY;
}

#endif
#endif
