// SPDX-License-Identifier: MIT
//
// The HAL's entropy for those who may not use the HAL themselves.
#include "hal/console.h"
#include "kern/rand.h"

void rand_entropy(void *bytes, size_t size_bytes)
{
	hal_entropy(bytes, size_bytes);
}
