// SPDX-License-Identifier: MIT
//
// The trace half of peer_alloc.
#ifndef BENCH_PEER_ALLOC_H
#define BENCH_PEER_ALLOC_H

#include "peer.h"

// Replays peer->trace_path in peer->threads threads and prints one line: case "trace" (blocks are touched), or "trace-fill"
// under --fill (contents are filled and checked, a digest is printed). Returns the program's status.
int peer_trace(const struct peer *peer);

#endif
