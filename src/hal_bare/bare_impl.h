// SPDX-License-Identifier: MIT
//
// The bare HAL: the doors of include/hal on a machine of its own.
//
// 1 Files
//   common/   what every architecture with paging shares: boot.c (from the record to the kernel), machine.c (memory, pool, cmdline),
//             paging.c, tlb.c, guard.c (pages under stacks), cpu.c (start, IPI, idle), irq.c (causes), clock.c, console.c and
//             uart_*.c, module.c, entropy.c, call.c (calls from boot: tests), halt.c, fault.c and symbol.c (the report).
//             Pure, hosted tests use them too: fdt*, acpi, memmap, cmdline, entropy_pool.
//   <arch>/   entry, vectors, switch, page table format, interrupt controllers, timers, other CPUs, power. arch.h lists what
//             each must supply. cortex_m/ stands apart: no paging, one CPU (its own story).
//
// 2 The way up. Firmware enters <arch>/entry.S with any protocol; it turns on paging with tables that map low memory one to one and the
//   image at its link address, clears .bss, and calls bare_main(protocol, info, image_phys) on a static stack. arch_boot_record()
//   fills struct bare_boot from what the firmware told: RAM, reservations, modules, command line, RSDP or DTB. machine_init() then
//   divides memory: one pool for the HAL (page tables, stacks), and up to HAL_MAX_NODES runs for the kernel. paging_init() builds
//   the final tables: image W^X, RAM window, pool; no identity. arch_init() finds interrupt controllers, timers and CPUs.
//   bare_start() puts struct kernel and CPU 0's stack at the start of the window and calls the boot upcall.
//
// 3 Addresses. Image at its link address. RAM window: HAL_RAM_BASE + (phys − bare.ram_phys), 2 MiB aligned: runs keep their holes.
//   Pool: BARE_POOL_BASE. Devices and firmware tables: BARE_MAP_BASE, bump-allocated by bare_map(), never unmapped. Before
//   paging_init() physical memory below 4 GiB (x86) or all of it stands at its own address: bare_phys() serves both times.
//
// 4 Stacks. CONFIG_KSTACK_SIZE aligned to itself: the header in page 0, a hole in page 1 (the guard), the stack above. The guard is
//   made by hal_context_init() and filled again by hal_context_fini(). A fault on it arrives on a stack of the CPU's own.
//
// 5 Interrupts. Vectors collect causes (enum hal_irq) and call the irq upcall masked, on the interrupted stack. Other CPUs are
//   told causes through hal_cpu.irq_pending and an IPI. In hal_cpu_idle() causes are only collected, and raised again at its end.
//
// 6 TLB. Unmapping takes a ticket (tlb_ticket()): a CPU has served it when it has flushed since. Frames may be reused when all
//   have (tlb_wait(), tlb_is_done()); guards do not wait: each CPU looks at the last ticket before it enters a thread.
//
// 7 Locks: struct bare_lock, masked, HAL-internal, leaf (console < nothing; paging < pool).
#ifndef BARE_IMPL_H
#define BARE_IMPL_H

#include "common/cmdline.h"
#include "hal/hal.h"
#include "hal/inline.h"

#include <string.h>

#define BARE_PAGE_SIZE 4096ull
#define BARE_LARGE_SIZE 0x200000ull
#define BARE_GUARD_OFFSET BARE_PAGE_SIZE // of a stack's guard page
_Static_assert(BARE_GUARD_OFFSET + BARE_PAGE_SIZE == HAL_STACK_OFFSET, "the guard lies below the stack");
#define BARE_RANGES_MAX 64u
#define BARE_MODULES_MAX 8u
#define BARE_EMERGENCY_SIZE 8192u // stack of one CPU for faults that have no other

// Below the RAM window: the device window, then the pool.
#define BARE_MAP_BASE (HAL_RAM_BASE - 0x1000000000ull)
#define BARE_MAP_SIZE 0x800000000ull
#define BARE_POOL_BASE (HAL_RAM_BASE - 0x800000000ull)

// Linux's numbers, as everywhere on the HAL line.
enum bare_error {
	BARE_ENOENT = 2,
	BARE_EIO = 5,
	BARE_EBADF = 9,
	BARE_EAGAIN = 11,
	BARE_EINVAL = 22,
	BARE_EMFILE = 24
};
#define BARE_UNLIKELY(expr) __builtin_expect(!!(expr), 0)
#define BARE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

// ---- the boot-information record ------------------------------------------------------------------------------------

struct bare_range {
	uint64_t start;
	uint64_t size_bytes;
	uint32_t node;
	uint32_t reserved;
};

struct bare_module {
	uint64_t phys;
	uint64_t size_bytes;
	char name[64];
};

// What the firmware said, whatever its protocol. Filled by arch_boot_record().
struct bare_boot {
	const char *protocol; // "pvh", "multiboot2", "linux" (AArch64 Image), "sbi"
	char cmdline[1024];
	uint64_t image_phys; // where the image lies
	uint64_t image_size_bytes;
	uint64_t rsdp; // ACPI, 0: none
	uint64_t dtb;  // flattened device tree, 0: none
	uint32_t ram_count;
	uint32_t taken_count;
	uint32_t module_count;
	uint32_t truncated; // entries that did not fit
	struct bare_range ram[BARE_RANGES_MAX];
	struct bare_range taken[BARE_RANGES_MAX]; // image, modules, tables, firmware
	struct bare_module modules[BARE_MODULES_MAX];
};

// ---- CPUs -----------------------------------------------------------------------------------------------------------

// The HAL's half of a CPU; arch_cpu() finds the running one.
struct bare_cpu {
	struct bare_cpu *self; // must be first: x86-64 reads it through GS
	uintptr_t scratch[4];  // the vectors'; second
	uintptr_t emergency;   // top of the stack for faults that have no other; third
	uint32_t index;
	uint32_t hw_id32;
	uint64_t hw_id; // LAPIC id, MPIDR, hart id
	uint32_t node;
	uint32_t state;     // atomic, enum bare_cpu_state
	uint32_t tlb_done;  // atomic: last ticket served
	uint32_t idling;    // own: inside hal_cpu_idle()
	uint32_t in_fault;  // own: nesting of fault reports
	uint32_t irq_count; // own
	uint64_t deadline_ns;
	struct hal_cpu *hal;      // atomic; NULL before hal_cpu_bind()
	struct hal_thread *idle;  // of a secondary CPU: what it starts on
	uint64_t release_address; // spin table, 0: none
};

enum bare_cpu_state {
	CPU_ABSENT,
	CPU_PRESENT,
	CPU_STARTING,
	CPU_ONLINE,
	CPU_STOPPED
};

struct bare_lock {
	uint32_t word; // atomic
};

// Everything that is known about the machine once; written while booting on CPU 0.
struct bare_state {
	struct bare_boot boot;
	uint64_t ram_phys;  // physical address of HAL_RAM_BASE
	uint64_t ram_end;   // end of the last run
	uint64_t pool_phys; // the HAL's own memory
	uint64_t pool_size_bytes;
	uint64_t pool_next; // bytes given out, under pool_lock
	struct bare_lock pool_lock;
	uint32_t paged;     // the final tables are on
	uint32_t cpu_count; // present CPUs, ≤ CONFIG_MAX_CPUS
	uint32_t node_count;
	uint32_t booted;
	int32_t exit_status; // of the call that boot made; valid when call_ended
	uint32_t call_ended;
	uint32_t halting; // atomic
	struct cmdline options;
	struct hal_boot_info info;
};

extern struct bare_state bare;
extern struct bare_cpu bare_cpus[CONFIG_MAX_CPUS];

// Symbols of the linker script.
extern char bare_image_start[], bare_text_end[], bare_rodata_end[], bare_image_end[], bare_bss_start[], bare_bss_end[];

// ---- boot.c, machine.c ------------------------------------------------------------------------------------------------

// From entry.S, on the boot stack, early tables on. `info` is the protocol's pointer (physical), `protocol` arch-defined.
void bare_main(uint64_t protocol, uint64_t info, uint64_t image_phys) __attribute__((__noreturn__));
// A started CPU, on its emergency stack, final tables on: goes to its idle stack and upcalls->cpu_entry().
void bare_cpu_main(struct bare_cpu *cpu) __attribute__((__noreturn__));

void boot_add_ram(struct bare_boot *boot, uint64_t start, uint64_t size_bytes, uint32_t node);
void boot_add_taken(struct bare_boot *boot, uint64_t start, uint64_t size_bytes);
void boot_add_module(struct bare_boot *boot, uint64_t phys, uint64_t size_bytes, const char *name);
void machine_init(void);

// Stops the boot with a message on the early console.
void bare_die(const char *format, ...) __attribute__((__noreturn__, __format__(__printf__, 1, 2)));
// A line on the console, before and after the kernel's log exists. Formats: %s %u %x %llx %llu %p %c %%.
void bare_print(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

// Zeroed pages of the pool for the HAL; 0 when it is used up. Physical address. irq-safe.
uint64_t pool_alloc(uint64_t size_bytes);
// The kernel's view of physical memory that the HAL owns: pool pages any time, and anything before paging_init().
void *bare_phys(uint64_t phys);

// ---- paging.c ---------------------------------------------------------------------------------------------------------

enum bare_prot {
	PROT_READ = 0,
	PROT_WRITE = 1u << 0,
	PROT_EXEC = 1u << 1,
	PROT_DEVICE = 1u << 2 // uncached, strongly ordered
};

void paging_init(void);
// Maps [phys, phys+size_bytes) into the device window; NULL when the window or the pool is used up. Any alignment. Not irq-safe.
void *bare_map(uint64_t phys, uint64_t size_bytes, uint32_t prot);
// Makes one 4 KiB page of the RAM window a hole, or maps it again. irq-safe. False when the pool is used up.
bool paging_hole(uintptr_t address, bool hole) TB_MUST_USE;
// The entry that maps an address now, 0: none. Any context.
uint64_t paging_entry(uintptr_t address);
// Whether a load from here would succeed (fault reports read through it). Any context.
bool paging_is_mapped(uintptr_t address);
uint64_t paging_root(void);

// ---- tlb.c ------------------------------------------------------------------------------------------------------------

extern uint32_t tlb_last; // atomic: the last ticket

uint32_t tlb_ticket(bool tell); // after the tables changed; tell: by IPI, now. irq-safe
bool tlb_is_done(uint32_t ticket);
void tlb_wait(uint32_t ticket);       // unmasked
void tlb_serve(struct bare_cpu *cpu); // masked

// ---- irq.c, cpu.c, clock.c ----------------------------------------------------------------------------------------------

// Hands causes to the kernel, or keeps them for the end of idle. Masked, from a vector.
void bare_irq(struct bare_cpu *cpu, uint32_t bits);
// Raises causes on a CPU. irq-safe.
void bare_raise(struct bare_cpu *cpu, uint32_t bits);
// From the timer's vector: the deadline may not have come yet. Masked.
void clock_timer_fired(struct bare_cpu *cpu);
// From the IPI's vector. Masked.
void bare_ipi_received(struct bare_cpu *cpu);
// All CPUs but the caller's stop for good. Any context.
void cpu_stop_others(void);

void clock_init(void);
bool clock_step(struct bare_cpu *cpu); // idle under the stepped clock; false: wait for the machine

// Spin with a limit; false when the time has passed. Before and after the clock works.
bool bare_wait_until(bool (*done)(void *), void *arg, uint64_t timeout_ns);
void bare_delay_ns(uint64_t duration_ns);

// ---- console.c ----------------------------------------------------------------------------------------------------------

struct bare_uart {
	void (*put)(struct bare_uart *uart, char byte);
	int (*get)(struct bare_uart *uart);               // −1: nothing
	void (*listen)(struct bare_uart *uart);           // set up, receive interrupt on
	void (*receive)(struct bare_uart *uart, bool on); // the receive interrupt
	uintptr_t base;                                   // mapped registers, or a port
	uint32_t shift;                                   // log2 of the distance of registers
	uint32_t width;                                   // bytes of an access: 1, 4; 0: ports
};

void console_set(struct bare_uart *uart);     // the one and only; output begins at once
void console_interrupt(struct bare_cpu *cpu); // from the UART's vector. Masked
// Before console_interrupt(), where the interrupt is a level: off until the kernel has read all there is. Masked.
void console_quiet(void);
void console_script(const char *text); // input comes from here, then ends
void console_write_raw(const char *bytes, size_t size_bytes);
void console_panic_mode(void); // no lock from now on
extern struct bare_uart uart_16550, uart_pl011;

// ---- fault.c, symbol.c, halt.c --------------------------------------------------------------------------------------------

struct fault_report {
	const char *what; // "page fault", "undefined instruction"
	const char *why;  // decoded cause, or ""
	uintptr_t pc, sp, fp;
	uintptr_t link;    // return address that no frame holds yet, 0: none
	uintptr_t address; // that was accessed
	bool has_address;
	const char *const *names; // registers
	const uint64_t *values;
	uint32_t count;
};

// Prints the report and a backtrace, then ends by policy. A fault inside it ends at once. Any context.
void fault_die(const struct fault_report *report) __attribute__((__noreturn__));
void fault_backtrace(uintptr_t pc, uintptr_t link, uintptr_t fp, uintptr_t sp);
// The function that holds `address`: name (or NULL) and offset.
const char *symbol_find(uintptr_t address, uintptr_t *offset);

// Ends the machine; a panic ends it by policy. Any context, masked.
void bare_end(int32_t status, bool panicked) __attribute__((__noreturn__));

// ---- entropy.c ------------------------------------------------------------------------------------------------------------
void entropy_init(void);
void entropy_keep(const void *bytes, size_t size_bytes); // before entropy_init()
void entropy_feed(const void *bytes, size_t size_bytes);

// ---- call.c -----------------------------------------------------------------------------------------------------------------
void call_from_boot(int64_t (*fn)(void *), void *arg); // once booted; the instance ends with its result
void test_begin(void);                                 // of the bodies that the command line names

// ---- small things -----------------------------------------------------------------------------------------------------------

static inline bool bare_lock_take(struct bare_lock *lock)
{
	bool was = hal_irq_save();
	while (__atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE) != 0)
		while (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) != 0)
			__asm__ volatile("" : : : "memory");
	return was;
}

static inline void bare_lock_free(struct bare_lock *lock, bool was)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
	hal_irq_restore(was);
}

size_t bare_strlen(const char *text);
bool bare_streq(const char *a, const char *b);
void bare_strcpy(char *to, const char *from, size_t size_bytes); // cuts, ends in 0

#endif
