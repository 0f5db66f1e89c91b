// SPDX-License-Identifier: MIT
//
// A terminal: a line discipline (kern/ldisc.h) with a lock, waiters, a size and an owner. A driver stands behind it: it shows what comes out and
// feeds what is typed. Virtual consoles (kern/vc.h) are the drivers there are.
#ifndef KERN_TTY_H
#define KERN_TTY_H

#include "kern/ldisc.h"
#include "kern/sync.h"
#include "kern/waitq.h"

struct process;
struct tty;

struct tty_ops {
	// tty->lock held; may sleep for locks behind it.
	void (*output)(struct tty *tty, const char *bytes, size_t size_bytes);
	// Somebody reads and there is nothing: waits for input and hands it to tty_input(). NULL: input comes by itself. No lock held.
	// Errors: -ENODATA (no more will come), -ETIMEDOUT, -ESHUTDOWN.
	err_t (*fetch)(struct tty *tty, uint64_t deadline_ns);
};

struct tty {
	struct mutex lock;  // LOCK_RANK_TTY
	struct ldisc ldisc; // lock, as the three below
	struct tb_winsize window;
	struct process *owner;     // counted; NULL: nobody
	uint32_t signals;          // bits by number, to be told to the owner when the lock is free
	const struct tty_ops *ops; // immutable, as is the number
	uint32_t number;
	struct waitq waiters; // who reads, writes, or waits for room
	uint32_t changes;     // atomic: counts whatever one of them may wait for
	uint32_t interrupts;  // atomic: counts signals that end waits
	uint32_t ended;       // atomic: no input will come any more
};

// Prepares a zeroed tty. Thread context.
void tty_init(struct tty *tty, const struct tty_ops *ops, uint32_t number);
void tty_fini(struct tty *tty); // nobody uses it any more; gives the owner back

// read(2) on a terminal (POSIX.1-2017 11.1.6, 11.1.7): a line, or bytes by VMIN and VTIME. *done_bytes 0 without error: end of file, or VMIN is 0
// and nothing came. Thread context, sleeps. Errors: -EAGAIN (nothing there, and not to wait), -EINTR (a signal to the owner).
err_t tty_read(struct tty *tty, void *buffer, size_t size_bytes, bool wait, size_t *done_bytes) must_check;

// The same for a reader that has done something in the light of all signals up to `interrupts` (drawn its line to the window's width): one that came
// since, before this call too, ends it with -EINTR, unless there are bytes.
uint32_t tty_interrupts(const struct tty *tty);
err_t tty_read_since(struct tty *tty, uint32_t interrupts, void *buffer, size_t size_bytes, bool wait,
		     size_t *done_bytes) must_check;

// Waits while output is stopped. Errors: -EAGAIN, -EINTR; *done_bytes says how much went out before.
err_t tty_write(struct tty *tty, const void *bytes, size_t size_bytes, bool wait, size_t *done_bytes) must_check;

// The driver's side. Bytes that find no room wait for a reader until the deadline; then they are dropped, and the bell rings. Thread context.
void tty_input(struct tty *tty, const uint8_t *bytes, size_t size_bytes, uint64_t deadline_ns);
void tty_signal(struct tty *tty, enum tb_tty_signal signal); // to the owner
void tty_end(struct tty *tty); // no more input: readers get what there is, then ends of file; SIGHUP

// Modes, size, flow, queues: the requests of ioctl_tty(2) that enum tb_tty_request names. `arg` is what the request says, in kernel memory.
// Thread context. Errors: -ENOTTY (no such request), -EINVAL.
err_t tty_ioctl(struct tty *tty, uint32_t request, void *arg) must_check;
void tty_set_window(struct tty *tty, const struct tb_winsize *window); // SIGWINCH when it is another

// Size in bytes of a request's argument; *in, *out: which way it goes. 0: no request of terminals.
size_t tty_request_size(uint32_t request, bool *in, bool *out);

// Whom signals go to; NULL: nobody. Takes a reference of its own. Thread context.
void tty_set_owner(struct tty *tty, struct process *owner);

// Waits until the terminal has changed since `changes` was read from it (atomically, before looking), or the deadline. Thread context.
err_t tty_wait(struct tty *tty, uint32_t changes, uint64_t deadline_ns) must_check;
void tty_changed(struct tty *tty); // wakes them all

err_t tty_check(struct tty *tty) must_check;

#endif
