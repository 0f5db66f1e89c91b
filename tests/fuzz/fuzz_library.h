// SPDX-License-Identifier: MIT
//
// Between the two files of fuzz_library. What the input is used up for is 0.
#ifndef FUZZ_LIBRARY_H
#define FUZZ_LIBRARY_H

#include "tbos/file.h"

void input_begin(const uint8_t *bytes, size_t size);
bool input_left(void);
void input_forget(void); // frees what has been given out since the last time

uint8_t byte(void);
uint64_t number(void);
uint32_t word(void);
uint32_t bits(void);      // of flags: one, often
int32_t descriptor(void); // those that may be open, often
size_t buffer_size(void);
const char *path(void); // sometimes NULL
const char *name(void); // of an extended attribute; sometimes NULL
const char *text(size_t size);
void *memory(size_t size, bool fill); // exactly so many bytes, of the input if `fill`
void *out(size_t size);               // for an answer; sometimes NULL

#endif
