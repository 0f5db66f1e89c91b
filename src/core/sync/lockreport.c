// SPDX-License-Identifier: MIT
//
// How a fault of the lock checker is told: two lines in the log, then the end of the instance; or, while a test captures, a
// record for it.
#include "sync_impl.h"

#include "kern/log.h"
#include "kern/panic.h"
#include "kern/string.h"

// What the first party does, and how the second stands to that.
static const struct lockcheck_words {
	const char *name;
	const char *first;
	const char *second;
} lockcheck_words[LOCKCHECK_KIND_COUNT] = {
	[LOCKCHECK_RANK] = {"rank order", "takes", "holds already"},
	[LOCKCHECK_RECURSION] = {"recursion", "takes", "holds already"},
	[LOCKCHECK_ORDER] = {"lock order", "takes", "holds what was elsewhere taken after it, namely"},
	[LOCKCHECK_SLEEP] = {"sleep in atomic context", "may", "is in"},
	[LOCKCHECK_IRQ] = {"interrupt safety", "takes", "(unmasked here, in an interrupt there) took"},
	[LOCKCHECK_OWNER] = {"unlock by a stranger", "unlocks", "holds"},
	[LOCKCHECK_DEADLOCK] = {"deadlock", "(waited for) holds", "(waiting) holds"},
	[LOCKCHECK_EXIT] = {"lock held at exit", "reaches", "holds"},
	[LOCKCHECK_TOO_DEEP] = {"too many locks held", "takes", "holds first"},
	[LOCKCHECK_RCU] = {"RCU", "has", "-"},
};

const char *lockcheck_kind_name(enum lockcheck_kind kind)
{
	return lockcheck_words[kind].name;
}

struct lockcheck_party lockcheck_party_of(const struct lock_class *lock, const struct thread *thread, const char *where)
{
	struct lockcheck_party party = {.where = where};

	if (lock != NULL) {
		party.name = lock->name;
		party.rank = lock->rank;
	}
	if (thread != NULL) {
		party.thread_id = thread->id;
		memcpy(party.thread_name, thread->name, sizeof party.thread_name);
	}
	return party;
}

void lockcheck_capture(struct lockcheck_capture *capture)
{
	atomic_store_ptr_release(&kernel_self()->lockcheck->capture, capture);
}

static const char *or_unknown(const char *text)
{
	return text != NULL ? text : "(unknown)";
}

static void party_log(const char *verb, const struct lockcheck_party *party)
{
	log_err("lockcheck: thread %u (%s) %s %s, rank %u, at %s", party->thread_id, party->thread_name, verb,
		or_unknown(party->name), party->rank, or_unknown(party->where));
}

static bool fault_capture(const struct lockcheck_report *report)
{
	struct lockcheck_state *state = kernel_self()->lockcheck;
	struct lockcheck_capture *capture = state != NULL ? atomic_load_ptr_acquire_nopoint(&state->capture) : NULL;

	if (capture == NULL)
		return false;
	uint32_t index = atomic_fetch_add_u32_acq_rel_nopoint(&capture->count, 1);
	if (index < LOCKCHECK_CAPTURE_MAX)
		capture->reports[index] = *report;
	return true;
}

void lockcheck_fault(enum lockcheck_kind kind, const struct lockcheck_party *lock, const struct lockcheck_party *other)
{
	const struct lockcheck_words *words = &lockcheck_words[kind];
	struct lockcheck_report report = {.kind = kind, .lock = *lock, .other = *other};

	if (fault_capture(&report))
		return;
	log_err("lockcheck: %s", words->name);
	party_log(words->first, lock);
	party_log(words->second, other);
	panic("lockcheck: %s: %s at %s; %s at %s", words->name, or_unknown(lock->name), or_unknown(lock->where),
	      or_unknown(other->name), or_unknown(other->where));
}
