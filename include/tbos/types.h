// SPDX-License-Identifier: MIT
//
// The few types that the public interface, the kernel and every HAL share. Freestanding: only compiler headers.
#ifndef TBOS_TYPES_H
#define TBOS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// 0, or a negative Linux error number (errno(3)); counts travel through out-parameters.
typedef int32_t tb_err;

#define TB_MUST_USE __attribute__((warn_unused_result))

// A deadline that never comes; a timeout without end.
#define TB_FOREVER UINT64_MAX

#endif
