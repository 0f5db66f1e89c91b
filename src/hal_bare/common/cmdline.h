// SPDX-License-Identifier: MIT
//
// The boot command line: words `key=value`, `key="value with blanks"` or `key`, separated by blanks. Within quotes a backslash
// takes the next character as it is (\n is a line feed). Keys that the HAL knows go into the record; the rest is handed on as
// the kernel's "key=value" text. A value that makes no sense leaves the default, and the first such place is reported. Pure.
//
//   persona=NAME  cpus=N  mem=SIZE  c="monitor commands"  test[=FILTER]  panic=halt|reboot|exit  exit=none|debug|semihosting
//   console=NAME  trace[=0|1]  quiet[=0|1]  interactive[=0|1]  clock=real|stepped  seed=N  poison=N  module=NAME
//   initramfs[=NAME]: that module (initrd) fills the root filesystem
//   timer=best|local|hpet|pit (x86-64)
#ifndef BARE_CMDLINE_H
#define BARE_CMDLINE_H

#include "hal/hal.h"

#define CMDLINE_COMMAND_SIZE 512u
#define CMDLINE_TEXT_SIZE 64u
#define CMDLINE_INPUT_MAX 4096u // longer ones are cut, and reported

enum cmdline_panic {
	CMDLINE_PANIC_HALT,
	CMDLINE_PANIC_REBOOT,
	CMDLINE_PANIC_EXIT
};

enum cmdline_exit {
	CMDLINE_EXIT_NONE,  // power off
	CMDLINE_EXIT_DEBUG, // the emulator's exit device
	CMDLINE_EXIT_SEMIHOSTING
};

enum cmdline_timer {
	CMDLINE_TIMER_BEST,
	CMDLINE_TIMER_LOCAL, // each CPU's own
	CMDLINE_TIMER_HPET,
	CMDLINE_TIMER_PIT
};

struct cmdline_fault {
	const char *reason; // NULL: none
	uint32_t offset;    // byte of the input where it shows
	uint32_t count;     // of all faults
};

struct cmdline {
	char persona[HAL_NAME_SIZE];        // "": default
	char command[CMDLINE_COMMAND_SIZE]; // c=
	char test[CMDLINE_TEXT_SIZE];       // filter; valid when has_test
	char console[CMDLINE_TEXT_SIZE];
	char module[CMDLINE_TEXT_SIZE];
	char initramfs[CMDLINE_TEXT_SIZE]; // valid when has_initramfs
	uint64_t mem_size_bytes;           // 0: all
	uint64_t seed;                     // valid when has_seed
	uint32_t cpu_count;                // 0: all
	uint32_t poison;                   // byte, 0: none
	uint8_t panic;                     // enum cmdline_panic
	uint8_t exit;                      // enum cmdline_exit
	uint8_t timer;                     // enum cmdline_timer
	bool has_command;
	bool has_test;
	bool has_initramfs;
	bool has_seed;
	bool has_trace;
	bool has_quiet;
	bool has_interactive;
	bool is_stepped;
	char rest[HAL_CMDLINE_SIZE]; // "key=value key=value" for the kernel
	struct cmdline_fault fault;
};

// Sets defaults and reads `text`, which ends at NUL or at size_bytes. A key given twice: the last one counts. Never fails:
// `fault` tells. What several sources say is joined by the caller first.
void cmdline_parse(struct cmdline *cmdline, const char *text, size_t size_bytes);

// "512M", "4096", "0x1000", "2G", "64k"; false: no such number, or not within 64 bits. All of the text must be used.
bool cmdline_size(const char *text, uint64_t *size_bytes);

#endif
