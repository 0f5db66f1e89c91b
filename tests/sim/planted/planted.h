// SPDX-License-Identifier: MIT
//
// Planted bugs: small programs of kernel threads, each with one mistake and a correct twin, the same source with `bug` false. A
// program returns whether misbehaviour was seen. Every wait has a deadline, so that a lost wake is seen and not suffered. How
// many schedules a policy needs to show each bug is what test_planted.c measures; that the twins stay clean shows that it is the
// bug which is seen.
//
// All sharing goes through READ_ONCE, WRITE_ONCE and atomic_*, which are schedule points of the simulator; the mistakes are
// in what is done between them.
#ifndef PLANTED_H
#define PLANTED_H

#include "kern/atomic.h"
#include "kern/mem.h"
#include "kern/rcu.h"
#include "kern/sched.h"
#include "kern/sync.h"

#define PLANTED_CREW_MAX 4
#define PLANTED_PATIENCE_NS 2000000ull // virtual; no correct program waits that long

struct planted_program {
	const char *name;
	const char *mistake; // in a few words
	bool (*run)(bool bug);
	uint32_t depth; // ordering constraints the bug needs, as in PCT's sense
};

// The tables of the files; each ends in a row without a name.
extern const struct planted_program planted_wake[];
extern const struct planted_program planted_data[];
extern const struct planted_program planted_life[];
extern const struct planted_program planted_order[];

struct crew {
	struct thread *threads[PLANTED_CREW_MAX];
	uint32_t count;
	bool failed; // a thread could not be made: the schedule does not count
};

// Starts a thread on CPU `count` modulo the CPUs of the machine; crew_end() joins all.
void crew_add(struct crew *crew, void (*fn)(void *), void *arg);
void crew_add_prio(struct crew *crew, void (*fn)(void *), void *arg, int32_t rt_prio, uint32_t cpu);
void crew_end(struct crew *crew);

// A moment from now in virtual time that a correct program never reaches.
static inline uint64_t planted_deadline(void)
{
	return clock_now_ns() + PLANTED_PATIENCE_NS;
}

#endif
