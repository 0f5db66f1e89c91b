// SPDX-License-Identifier: MIT
//
// The console: output by host_console.c, input by host_input.c. All on host stacks. host_impl.h declares what engines use.
#ifndef HOST_CONSOLE_H
#define HOST_CONSOLE_H

#include "host_impl.h"

// Columns of the terminal behind standard output, 80 when it is none or a callback takes the output.
struct hal_window host_console_window(struct tb_instance *instance);

// Input from a descriptor (not closed by us): a loop thread reads it into a ring. `fresh` is called from the loop thread when
// bytes or the end have come. Errors, noted for tb_error(NULL): -ENOMEM, -EBADF and what libuv reports.
tb_err host_input_open(struct host_input **out, int fd, void (*fresh)(void *), void *arg) TB_MUST_USE;
void host_input_close(struct host_input *input); // NULL: nothing; stops the loop thread, restores the descriptor

// Takes up to size_bytes; 0 when none waits: then *end tells whether more may come.
size_t host_input_take(struct host_input *input, char *bytes, size_t size_bytes, bool *end);

#endif
