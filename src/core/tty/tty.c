// SPDX-License-Identifier: MIT
//
// Terminals: reading, writing, input. Waiters look at one counter of changes; whatever they may wait for raises it.
#include "kern/tty.h"

#include "kern/assert.h"
#include "kern/math.h"
#include "kern/process.h"
#include "kern/sched.h"
#include "kern/string.h"

#include "hal/clock.h"

#define WRITE_PIECE 256u // shown under the lock at once
#define TENTH_NS 100000000ull

// ---- waiting -------------------------------------------------------------------------------------------------------------

void tty_changed(struct tty *tty)
{
	atomic_fetch_add_u32_acq_rel(&tty->changes, 1);
	waitq_wake_all(&tty->waiters);
}

err_t tty_wait(struct tty *tty, uint32_t changes, uint64_t deadline_ns)
{
	return waitq_wait_until(&tty->waiters, atomic_load_u32_acquire(&tty->changes) != changes, deadline_ns);
}

// Gives the lock back, and tells the owner what came up meanwhile.
static void tty_unlock(struct tty *tty)
{
	uint32_t signals = tty->signals;
	struct process *owner = signals != 0 ? tty->owner : NULL;

	tty->signals = 0;
	if (owner != NULL)
		process_get(owner);
	mutex_unlock(&tty->lock);
	if (owner == NULL)
		return;
	for (uint32_t signal = 1; signal < 32; signal++)
		if (((signals >> signal) & 1) && process_tty_signal(owner, signal))
			atomic_fetch_add_u32_acq_rel(&tty->interrupts, 1);
	process_put(owner);
	tty_changed(tty);
}

static void note_output(void *ctx, const char *bytes, size_t size_bytes)
{
	struct tty *tty = ctx;
	tty->ops->output(tty, bytes, size_bytes);
}

static void note_signal(void *ctx, enum tb_tty_signal signal)
{
	struct tty *tty = ctx;
	tty->signals |= 1u << signal;
}

static const struct ldisc_ops ldisc_ops = {.output = note_output, .signal = note_signal};

void tty_init(struct tty *tty, const struct tty_ops *ops, uint32_t number)
{
	mutex_init(&tty->lock, LOCK_RANK_TTY, "tty");
	waitq_init(&tty->waiters, "tty: waiters");
	ldisc_init(&tty->ldisc, &ldisc_ops, tty);
	tty->ops = ops;
	tty->number = number;
}

void tty_fini(struct tty *tty)
{
	tty_set_owner(tty, NULL);
	mutex_fini(&tty->lock);
}

void tty_set_owner(struct tty *tty, struct process *owner)
{
	if (owner != NULL)
		process_get(owner);
	mutex_lock(&tty->lock);
	struct process *before = tty->owner;
	tty->owner = owner;
	mutex_unlock(&tty->lock);
	if (before != NULL)
		process_put(before);
}

// ---- reading -------------------------------------------------------------------------------------------------------------

// What one call of read waits for, by the modes of the moment.
struct patience {
	size_t wanted_bytes;
	uint64_t first_ns; // how long for the first byte, TB_FOREVER
	uint64_t next_ns;  // how long for each byte behind it, TB_FOREVER
};

static struct patience patience_of(const struct ldisc *ldisc, size_t size_bytes)
{
	struct patience patience = {1, TB_FOREVER, TB_FOREVER};
	uint64_t time_ns = ldisc->termios.cc[TB_VTIME] * TENTH_NS;

	if (ldisc->termios.lflag & TB_ICANON)
		return patience;
	if (ldisc->termios.cc[TB_VMIN] == 0) {
		patience.first_ns = time_ns;
	} else {
		patience.wanted_bytes = MIN(ldisc->termios.cc[TB_VMIN], size_bytes);
		patience.next_ns = time_ns != 0 ? time_ns : TB_FOREVER;
	}
	return patience;
}

struct reading {
	struct tty *tty;
	uint8_t *buffer;
	size_t size_bytes, done_bytes;
	uint64_t start_ns;
	uint32_t interrupts; // that had been when it began
};

// Takes what there is. True: that is all this call gives. Otherwise until when to wait for more.
static bool reading_take(struct reading *reading, uint64_t *deadline_ns)
{
	struct tty *tty = reading->tty;
	bool end;

	mutex_lock(&tty->lock);
	struct patience patience = patience_of(&tty->ldisc, reading->size_bytes);
	size_t size = ldisc_read(&tty->ldisc, reading->buffer + reading->done_bytes,
				 reading->size_bytes - reading->done_bytes, &end);
	tty_unlock(tty);
	reading->done_bytes += size;
	if (size > 0) {
		tty_changed(tty); // there is room again
		reading->start_ns = hal_clock_mono_ns();
	}
	uint64_t wait_ns = reading->done_bytes > 0 ? patience.next_ns : patience.first_ns;
	*deadline_ns = wait_ns == TB_FOREVER ? TB_FOREVER : reading->start_ns + wait_ns;
	return end || reading->done_bytes >= patience.wanted_bytes || wait_ns == 0;
}

err_t tty_read(struct tty *tty, void *buffer, size_t size_bytes, bool wait, size_t *done_bytes)
{
	return tty_read_since(tty, tty_interrupts(tty), buffer, size_bytes, wait, done_bytes);
}

uint32_t tty_interrupts(const struct tty *tty)
{
	return atomic_load_u32_acquire(&tty->interrupts);
}

err_t tty_read_since(struct tty *tty, uint32_t interrupts, void *buffer, size_t size_bytes, bool wait,
		     size_t *done_bytes)
{
	struct reading reading = {.tty = tty,
				  .buffer = buffer,
				  .size_bytes = size_bytes,
				  .start_ns = hal_clock_mono_ns(),
				  .interrupts = interrupts};
	uint64_t deadline_ns;
	err_t err = 0;

	while (err == 0 && size_bytes > 0) {
		uint32_t changes = atomic_load_u32_acquire(&tty->changes);
		bool ended = atomic_load_u32_acquire(&tty->ended) != 0;
		if (reading_take(&reading, &deadline_ns) || ended)
			break;
		if (!wait)
			err = -EAGAIN;
		else if (atomic_load_u32_acquire(&tty->interrupts) != reading.interrupts)
			err = -EINTR;
		else if (tty->ops->fetch != NULL)
			err = tty->ops->fetch(tty, deadline_ns);
		else
			err = tty_wait(tty, changes, deadline_ns);
	}
	*done_bytes = reading.done_bytes;
	bool good = reading.done_bytes > 0 || err == -ETIMEDOUT || err == -ENODATA || err == -ESHUTDOWN;
	return good ? 0 : err;
}

// ---- writing -------------------------------------------------------------------------------------------------------------

err_t tty_write(struct tty *tty, const void *bytes, size_t size_bytes, bool wait, size_t *done_bytes)
{
	uint32_t interrupts = atomic_load_u32_acquire(&tty->interrupts);
	const char *at = bytes;
	size_t done = 0;
	err_t err = 0;

	while (err == 0 && done < size_bytes) {
		uint32_t changes = atomic_load_u32_acquire(&tty->changes);
		size_t piece = MIN(size_bytes - done, WRITE_PIECE);
		mutex_lock(&tty->lock);
		bool stopped = tty->ldisc.stopped;
		if (!stopped)
			ldisc_output(&tty->ldisc, at + done, piece);
		tty_unlock(tty);
		if (!stopped)
			done += piece;
		else if (!wait)
			err = -EAGAIN;
		else if (atomic_load_u32_acquire(&tty->interrupts) != interrupts)
			err = -EINTR;
		else if (atomic_load_u32_acquire(&tty->ended) != 0)
			break; // nobody will start it again
		else
			err = tty_wait(tty, changes, TB_FOREVER);
	}
	*done_bytes = done;
	return done > 0 ? 0 : err;
}

// ---- the driver's side ---------------------------------------------------------------------------------------------------

void tty_input(struct tty *tty, const uint8_t *bytes, size_t size_bytes, uint64_t deadline_ns)
{
	static const char bell[] = "\a";

	while (size_bytes > 0) {
		uint32_t changes = atomic_load_u32_acquire(&tty->changes);
		mutex_lock(&tty->lock);
		size_t done = ldisc_input(&tty->ldisc, bytes, size_bytes);
		tty_unlock(tty);
		bytes += done;
		size_bytes -= done;
		if (done > 0)
			tty_changed(tty);
		else if (tty_wait(tty, changes, deadline_ns) != 0)
			break;
	}
	if (size_bytes == 0)
		return;
	mutex_lock(&tty->lock);
	tty->ops->output(tty, bell, sizeof bell - 1);
	tty_unlock(tty);
}

void tty_signal(struct tty *tty, enum tb_tty_signal signal)
{
	mutex_lock(&tty->lock);
	tty->signals |= 1u << signal;
	tty_unlock(tty);
}

void tty_end(struct tty *tty)
{
	mutex_lock(&tty->lock);
	tty->signals |= 1u << TB_SIGHUP;
	atomic_store_u32_release(&tty->ended, 1);
	tty_unlock(tty);
	tty_changed(tty);
}

void tty_set_window(struct tty *tty, const struct tb_winsize *window)
{
	mutex_lock(&tty->lock);
	if (memcmp(&tty->window, window, sizeof *window) != 0) {
		tty->window = *window;
		tty->signals |= 1u << TB_SIGWINCH;
	}
	tty_unlock(tty);
}

err_t tty_check(struct tty *tty)
{
	mutex_lock(&tty->lock);
	int wrong = ldisc_check(&tty->ldisc);
	mutex_unlock(&tty->lock);
	return wrong;
}

// ---- requests ------------------------------------------------------------------------------------------------------------

#define REQUEST_IN 1u
#define REQUEST_OUT 2u

static const struct request {
	uint16_t number, size, ways;
} requests[] = {
	{TB_TCGETS, sizeof(struct tb_termios), REQUEST_OUT},
	{TB_TCSETS, sizeof(struct tb_termios), REQUEST_IN},
	{TB_TCSETSW, sizeof(struct tb_termios), REQUEST_IN},
	{TB_TCSETSF, sizeof(struct tb_termios), REQUEST_IN},
	{TB_TCSBRK, sizeof(int32_t), REQUEST_IN},
	{TB_TCXONC, sizeof(int32_t), REQUEST_IN},
	{TB_TCFLSH, sizeof(int32_t), REQUEST_IN},
	{TB_TIOCOUTQ, sizeof(int32_t), REQUEST_OUT},
	{TB_TIOCSTI, sizeof(uint8_t), REQUEST_IN},
	{TB_TIOCGWINSZ, sizeof(struct tb_winsize), REQUEST_OUT},
	{TB_TIOCSWINSZ, sizeof(struct tb_winsize), REQUEST_IN},
	{TB_FIONREAD, sizeof(int32_t), REQUEST_OUT},
};

size_t tty_request_size(uint32_t request, bool *in, bool *out)
{
	for (uint32_t i = 0; i < array_count(requests); i++) {
		if (requests[i].number != request)
			continue;
		*in = (requests[i].ways & REQUEST_IN) != 0;
		*out = (requests[i].ways & REQUEST_OUT) != 0;
		return requests[i].size;
	}
	return 0;
}

static err_t queue_flush(struct ldisc *ldisc, int32_t queue)
{
	if (queue < TB_TCIFLUSH || queue > TB_TCIOFLUSH)
		return ERR(EINVAL);
	if (queue != TB_TCOFLUSH) // what goes out is gone
		ldisc_flush_input(ldisc);
	return 0;
}

static err_t flow(struct ldisc *ldisc, int32_t action)
{
	if (action < TB_TCOOFF || action > TB_TCION)
		return ERR(EINVAL);
	ldisc_flow(ldisc, (enum tb_tty_flow)action);
	return 0;
}

static err_t ioctl_locked(struct tty *tty, uint32_t request, void *arg)
{
	struct ldisc *ldisc = &tty->ldisc;

	switch (request) {
	case TB_TCGETS:
		*(struct tb_termios *)arg = ldisc->termios;
		return 0;
	case TB_TCSETSF:
		ldisc_flush_input(ldisc);
		ldisc_set_termios(ldisc, arg);
		return 0;
	case TB_TCSETS:
	case TB_TCSETSW: // what goes out is gone
		ldisc_set_termios(ldisc, arg);
		return 0;
	case TB_TCXONC:
		return flow(ldisc, *(int32_t *)arg);
	case TB_TCFLSH:
		return queue_flush(ldisc, *(int32_t *)arg);
	case TB_TIOCOUTQ:
		*(int32_t *)arg = 0;
		return 0;
	case TB_TIOCGWINSZ:
		*(struct tb_winsize *)arg = tty->window;
		return 0;
	case TB_FIONREAD:
		*(int32_t *)arg = (int32_t)ldisc_waiting(ldisc);
		return 0;
	case TB_TCSBRK:
		return 0;
	default:
		return ERR(ENOTTY);
	}
}

err_t tty_ioctl(struct tty *tty, uint32_t request, void *arg)
{
	if (request == TB_TIOCSWINSZ) {
		tty_set_window(tty, arg);
		return 0;
	}
	if (request == TB_TIOCSTI) {
		tty_input(tty, arg, 1, 0);
		return 0;
	}
	mutex_lock(&tty->lock);
	err_t err = ioctl_locked(tty, request, arg);
	tty_unlock(tty);
	tty_changed(tty);
	return err;
}
