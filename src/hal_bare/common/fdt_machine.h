// SPDX-License-Identifier: MIT
//
// What a device tree says about the machine, as one record without pointers: memory, command line, CPUs, interrupt controllers,
// timers, serial lines, clock chips and power switches that this HAL can drive. Nodes whose status is not okay are left out (CPUs
// are kept and marked). All addresses are the CPU's. What did not fit its array is counted in `truncated`, what was damaged in
// `damaged`; both are worth a line in the log, neither stops a boot.
#ifndef BARE_FDT_MACHINE_H
#define BARE_FDT_MACHINE_H

#include "fdt.h"

#define FDTM_CPUS_MAX 64u
#define FDTM_RAM_MAX 32u
#define FDTM_RESERVED_MAX 64u
#define FDTM_REDISTRIBUTORS_MAX 8u
#define FDTM_CONTEXTS_MAX 256u
#define FDTM_UARTS_MAX 4u
#define FDTM_CMDLINE_SIZE 1024u
#define FDTM_SEED_SIZE 64u
#define FDTM_TEXT_SIZE 64u
#define FDTM_NONE UINT32_MAX

struct fdtm_ram {
	uint64_t start;
	uint64_t size_bytes;
	uint32_t node; // numa-node-id, 0 without
	uint32_t reserved;
};

enum fdtm_enable {
	FDTM_ENABLE_NONE, // RISC-V (SBI), or nothing said
	FDTM_ENABLE_PSCI,
	FDTM_ENABLE_SPIN_TABLE
};

struct fdtm_cpu {
	uint64_t hw_id;   // reg: MPIDR affinity bits or hart id
	uint64_t release; // cpu-release-addr, when enable is FDTM_ENABLE_SPIN_TABLE
	uint32_t enable;  // enum fdtm_enable
	uint32_t node;
	uint32_t is_okay;     // 0: status says disabled or fail
	uint32_t intc;        // RISC-V: phandle of the hart's own interrupt controller, 0 none
	uint32_t has_sv39;    // RISC-V: mmu-type is sv39 or wider
	uint32_t isa_letters; // RISC-V: bit n: single-letter extension 'a'+n
};

enum fdtm_conduit {
	FDTM_PSCI_NONE,
	FDTM_PSCI_HVC,
	FDTM_PSCI_SMC
};

struct fdtm_psci {
	uint32_t conduit; // enum fdtm_conduit
	uint32_t version; // 0x0001 for arm,psci, 0x0002 for arm,psci-0.2, 0x0100 for arm,psci-1.0
	// Function numbers: the node's own in version 0.1, else the standard's 64-bit ones; 0 none.
	uint32_t cpu_suspend, cpu_off, cpu_on, migrate;
	uint32_t system_off, system_reset;
};

enum fdtm_intc_kind {
	FDTM_INTC_NONE,
	FDTM_GICV2,
	FDTM_GICV3,
	FDTM_PLIC,
	FDTM_BCM2836,        // local controllers of the cores, with the BCM2835's behind them
	FDTM_BCM2835_ARMCTRL // in struct fdtm_irq only: the one behind
};

struct fdtm_context {
	uint32_t cpu; // index into cpus[], FDTM_NONE when not found
	uint32_t irq; // cause at the hart: 9 supervisor external, 11 machine external, 0xffffffff unused
};

struct fdtm_intc {
	uint32_t kind; // enum fdtm_intc_kind
	uint32_t phandle;
	struct fdt_range distributor;   // GIC distributor, PLIC registers, BCM2836 local registers
	struct fdt_range cpu_interface; // GICv2
	struct fdt_range redistributors[FDTM_REDISTRIBUTORS_MAX]; // GICv3
	uint32_t redistributor_count;
	uint32_t sources;                                // PLIC: riscv,ndev
	uint64_t redistributor_stride;                   // 0: the architecture's
	struct fdt_range armctrl;                        // BCM2835's own controller; size 0: none
	struct fdtm_context contexts[FDTM_CONTEXTS_MAX]; // PLIC, in the order of its contexts
	uint32_t context_count;
	uint32_t reserved;
};

// An interrupt as the controller in `intc` numbers it.
struct fdtm_irq {
	uint32_t
		number; // GIC: INTID (SPI + 32, PPI + 16); PLIC: source; BCM2836: local number; BCM2835: bank * 32 + bit
	uint32_t flags;      // GIC: the third cell (1 rising, 2 falling, 4 high, 8 low); else 0
	uint32_t controller; // phandle
	uint32_t kind;       // enum fdtm_intc_kind
	uint32_t valid;
	uint32_t reserved;
};

struct fdtm_timer {
	uint32_t present;      // arm,armv8-timer or armv7-timer
	uint32_t frequency_hz; // clock-frequency when given (broken firmware), 0: CNTFRQ_EL0 is right
	struct fdtm_irq secure, nonsecure, virt, hyp; // physical secure, physical, virtual, hypervisor
};

enum fdtm_uart_kind {
	FDTM_UART_NONE,
	FDTM_PL011,
	FDTM_NS16550,
	FDTM_BCM2835_AUX
};

struct fdtm_uart {
	uint32_t kind;     // enum fdtm_uart_kind
	uint32_t clock_hz; // 0: unknown, leave the divisor as it is
	uint32_t baud;     // current-speed, 0: unknown
	uint32_t reg_shift;
	uint32_t reg_width; // bytes of an access, 1 without reg-io-width
	uint32_t reserved;
	struct fdt_range regs;
	struct fdtm_irq irq;
};

enum fdtm_rtc_kind {
	FDTM_RTC_NONE,
	FDTM_PL031,
	FDTM_GOLDFISH_RTC
};

// A switch of the machine: write `value` under `mask` to the 32-bit register at `address`.
struct fdtm_power {
	uint64_t address; // 0: none
	uint32_t value;
	uint32_t mask;
};

struct fdt_machine {
	uint32_t truncated; // entries that did not fit
	uint32_t damaged;   // properties that made no sense and were ignored

	uint32_t ram_count;
	uint32_t reserved_count;
	struct fdtm_ram ram[FDTM_RAM_MAX];
	struct fdt_range reserved
		[FDTM_RESERVED_MAX]; // reservation block, /reserved-memory; the blob and the initrd are not among them

	char model[FDTM_TEXT_SIZE];
	char cmdline[FDTM_CMDLINE_SIZE];   // cut when too long, counted in truncated
	uint64_t initrd_start, initrd_end; // both 0: none
	uint32_t seed_size_bytes;          // rng-seed and kaslr-seed, one after the other
	uint8_t seed[FDTM_SEED_SIZE];
	char stdout_options[FDTM_TEXT_SIZE]; // behind ':' of stdout-path: "115200n8"
	uint32_t stdout_uart;                // index into uarts[], FDTM_NONE

	uint32_t cpu_count; // in the order of the blob
	uint32_t timebase_hz;
	struct fdtm_cpu cpus[FDTM_CPUS_MAX];
	struct fdtm_psci psci;

	struct fdtm_intc intc;
	struct fdtm_timer timer;
	uint32_t uart_count;
	uint32_t rtc_kind; // enum fdtm_rtc_kind
	struct fdtm_uart uarts[FDTM_UARTS_MAX];
	struct fdt_range rtc;
	struct fdt_range sifive_test; // size 0: none
	struct fdtm_power poweroff, reboot;
};

// Fills the record, which may live in static memory: it is some 12 KiB. Never fails: what is not there stays 0.
void fdt_machine_read(struct fdt_machine *machine, const struct fdt *fdt);

#endif
