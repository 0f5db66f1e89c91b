// SPDX-License-Identifier: MIT
//
// What gcc compiles while its allocations are traced (tests/bench/meson.build): several of our own files in one translation
// unit, so that one run of cc1 makes some hundred thousand events. Compiled to an object that nobody links.

#include "peer.c"
#include "peer_trace.c"
#include "peer_alloc.c"
#include "../../src/core/monitor/alloctrace.c"
#include "../../src/core/monitor/allocreplay.c"
