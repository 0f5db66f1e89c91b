// SPDX-License-Identifier: MIT
//
// The name of this build: 32 hex digits over the code and data of the kernel object and the HAL and over tbos_config.h.
// The build generates the definition and links it into every program. Streams, logs and checkpoints carry it.
#ifndef HAL_BUILD_ID_H
#define HAL_BUILD_ID_H

#define HAL_BUILD_ID_SIZE 33

extern const char hal_build_id[HAL_BUILD_ID_SIZE];

#endif
