// SPDX-License-Identifier: MIT
//
// Virtual consoles. On a terminal a thread of ours takes what the HAL has, looks for the keys that switch, and feeds the console that is shown. Each
// console has a screen that remembers; the bytes of the one shown go to the HAL as they are. Kernel messages go to the HAL by themselves
// (log.c), whatever is shown, and no screen remembers them.
//
// Locks: terminals.lock < tty->lock < screens.lock, which orders what the HAL is sent. The latter two come behind all other locks that are slept
// for, because whoever prints may hold any of those: nothing is allocated or freed under them.
#include "kern/vc.h"

#include "hal/clock.h"
#include "hal/console.h"
#include "hal/hal.h"
#include "kern/assert.h"
#include "kern/component.h"
#include "kern/console.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/tty.h"
#include "kern/tunable.h"

#include "screen.h"

#define INPUT_PIECE 256u
#define ROOM_NS 200000000ull    // how long typed bytes wait for a reader
#define SEQUENCE_NS 20000000ull // how long the rest of a key's sequence may take
#define KEY_ESC 0x1b

struct vc {
	struct tty tty;
	struct screen screen; // screens.lock; memory NULL: it remembers nothing
	uint32_t seen;        // atomic: has been shown
};

struct vc_state {
	struct mutex lock; // making consoles
	struct mutex screens;
	struct vc *consoles[VC_COUNT]; // atomic: made once
	uint32_t count;
	uint32_t shown;      // atomic, from 0; written under screens
	uint32_t switch_key; // atomic
	struct thread *thread;
	bool prefix; // the thread's: the switch key came
	struct hal_window window;
};

static struct vc_state *vc_state(void)
{
	return kernel_self()->consoles;
}

static struct vc *vc_of(struct tty *tty)
{
	return container_of(tty, struct vc, tty);
}

// ---- output --------------------------------------------------------------------------------------------------------------

static void vc_output(struct tty *tty, const char *bytes, size_t size_bytes)
{
	struct vc_state *state = vc_state();
	struct vc *vc = vc_of(tty);

	mutex_lock(&state->screens);
	if (vc->screen.memory != NULL)
		screen_write(&vc->screen, bytes, size_bytes);
	if (atomic_load_u32_relaxed(&state->shown) + 1 == tty->number)
		console_write(bytes, size_bytes);
	mutex_unlock(&state->screens);
}

static void paint_put(void *ctx, const char *bytes, size_t size_bytes)
{
	(void)ctx;
	console_write(bytes, size_bytes);
}

uint32_t vc_count(void)
{
	return vc_state()->count;
}

uint32_t vc_shown(void)
{
	return atomic_load_u32_relaxed(&vc_state()->shown) + 1;
}

err_t vc_show(uint32_t number)
{
	struct vc_state *state = vc_state();

	if (number == 0 || number > state->count)
		return ERR(ENXIO);
	struct tty *tty = vc_tty(number);
	if (tty == NULL)
		return ERR(ENOMEM);
	struct vc *vc = vc_of(tty);
	mutex_lock(&state->screens);
	if (atomic_load_u32_relaxed(&state->shown) + 1 != number) {
		atomic_store_u32_release(&state->shown, number - 1);
		if (vc->screen.memory != NULL)
			screen_paint(&vc->screen, paint_put, NULL);
	}
	mutex_unlock(&state->screens);
	if (atomic_xchg_u32_acq_rel(&vc->seen, 1) == 0)
		tty_changed(tty);
	return 0;
}

bool vc_wait_shown(uint32_t number)
{
	struct tty *tty = vc_tty(number);

	while (tty != NULL && atomic_load_u32_acquire(&tty->ended) == 0) {
		uint32_t changes = atomic_load_u32_acquire(&tty->changes);
		if (atomic_load_u32_acquire(&vc_of(tty)->seen) != 0)
			return true;
		if (tty_wait(tty, changes, TB_FOREVER) != 0)
			break;
	}
	return false;
}

// ---- input ---------------------------------------------------------------------------------------------------------------

// Where no thread of ours is: the reader asks for itself.
static err_t vc_fetch(struct tty *tty, uint64_t deadline_ns)
{
	uint8_t byte;
	err_t err = console_read_byte(&byte, deadline_ns);

	if (err == 0)
		tty_input(tty, &byte, 1, 0);
	return err;
}

static const struct tty_ops terminal_ops = {.output = vc_output};
static const struct tty_ops plain_ops = {.output = vc_output, .fetch = vc_fetch};

static void feed(struct vc_state *state, const uint8_t *bytes, size_t size_bytes)
{
	struct tty *tty = vc_tty(atomic_load_u32_relaxed(&state->shown) + 1);

	if (tty != NULL && size_bytes > 0)
		tty_input(tty, bytes, size_bytes, hal_clock_mono_ns() + ROOM_NS);
}

static void show(uint32_t number)
{
	if (vc_show(number) != 0)
		console_write("\a", 1);
}

static void switch_command(struct vc_state *state, uint8_t key)
{
	uint32_t shown = atomic_load_u32_relaxed(&state->shown);

	if (key == atomic_load_u32_relaxed(&state->switch_key))
		feed(state, &key, 1);
	else if (key == 'n' || key == 'p')
		show((shown + (key == 'n' ? 1 : state->count - 1)) % state->count + 1);
	else
		show((uint32_t)key - '0');
}

static void window_look(struct vc_state *state)
{
	struct hal_window window = hal_console_window();

	if (window.rows == state->window.rows && window.columns == state->window.columns)
		return;
	state->window = window;
	for (uint32_t i = 0; i < state->count; i++) {
		struct vc *vc = atomic_load_ptr_acquire(&state->consoles[i]);
		struct tb_winsize size = {.rows = window.rows, .columns = window.columns};
		if (vc == NULL)
			continue;
		struct cell *room = screen_room(window.rows, window.columns);
		void *old = room;
		mutex_lock(&state->screens);
		if (room != NULL && vc->screen.memory != NULL) // else it remembers less, then
			old = screen_resize_into(&vc->screen, window.rows, window.columns, room);
		mutex_unlock(&state->screens);
		kfree(old);
		tty_set_window(&vc->tty, &size);
	}
}

// What is ours among the sequences that terminals send: Alt-F1 … Alt-F4 as xterm and its kin say them, and the one by which a terminal says that we
// are before somebody's eyes again, or that its size is another.
#define SEQUENCE_LOOK 0u
static const struct sequence {
	const char *bytes;
	uint32_t number; // of the console; SEQUENCE_LOOK
} sequences[] = {{"\033[1;3P", 1}, {"\033[1;3Q", 2}, {"\033[1;3R", 3}, {"\033[1;3S", 4}, {"\033[I", SEQUENCE_LOOK}};

// The sequence that begins here; NULL: none. *part: one may, when more has come; an escape alone is the key.
static const struct sequence *sequence_at(const uint8_t *bytes, size_t size_bytes, bool *part)
{
	for (uint32_t i = 0; i < array_count(sequences); i++) {
		size_t size = strlen(sequences[i].bytes);
		if (memcmp(bytes, sequences[i].bytes, MIN(size, size_bytes)) != 0)
			continue;
		if (size_bytes >= size)
			return &sequences[i];
		*part = size_bytes > 1;
	}
	return NULL;
}

static void look(struct vc_state *state)
{
	struct tty *tty = vc_tty(0);

	window_look(state);
	if (tty != NULL)
		tty_signal(tty, TB_SIGWINCH);
}

// A key that is ours: a sequence, the switch key, or the one behind it. How many bytes it took.
static size_t key(struct vc_state *state, const uint8_t *bytes, const struct sequence *sequence)
{
	if (sequence != NULL) {
		if (sequence->number == SEQUENCE_LOOK)
			look(state);
		else
			show(sequence->number);
		return strlen(sequence->bytes);
	}
	if (state->prefix)
		switch_command(state, bytes[0]);
	state->prefix = !state->prefix;
	return 1;
}

// Feeds and switches; returns how many bytes at the end may belong to a sequence that has not come whole.
static size_t keys(struct vc_state *state, const uint8_t *bytes, size_t size_bytes, bool whole)
{
	size_t from = 0, at = 0;

	while (at < size_bytes) {
		const struct sequence *sequence = NULL;
		bool part = false;
		uint32_t switch_key = atomic_load_u32_relaxed(&state->switch_key);
		if (bytes[at] == KEY_ESC)
			sequence = sequence_at(bytes + at, size_bytes - at, &part);
		if (part && sequence == NULL && !whole)
			break;
		if (sequence == NULL && !state->prefix && (switch_key == 0 || bytes[at] != switch_key)) {
			at++;
			continue;
		}
		feed(state, bytes + from, at - from);
		at += key(state, bytes + at, sequence);
		from = at;
	}
	feed(state, bytes + from, at - from);
	return size_bytes - at;
}

void vc_end(void)
{
	struct vc_state *state = vc_state();

	for (uint32_t i = 0; state != NULL && i < state->count; i++) {
		struct vc *vc = atomic_load_ptr_acquire(&state->consoles[i]);
		if (vc != NULL)
			tty_end(&vc->tty);
	}
}

static void vc_main(void *arg)
{
	struct vc_state *state = arg;
	uint8_t bytes[INPUT_PIECE];
	size_t held = 0, done = 0;
	uint32_t looks = 0;
	err_t err = 0;

	while (err == 0) {
		uint64_t deadline_ns = held > 0 ? hal_clock_mono_ns() + SEQUENCE_NS : TB_FOREVER;
		err = console_read(bytes + held, sizeof bytes - held, &done, &looks, deadline_ns);
		bool whole = err != 0;
		if (err == -ETIMEDOUT)
			err = 0;
		window_look(state);
		size_t size = held + done;
		held = keys(state, bytes, size, whole);
		memmove(bytes, bytes + size - held, held);
	}
	vc_end();
}

// ---- making --------------------------------------------------------------------------------------------------------------

static struct vc *vc_make(const struct vc_state *state, uint32_t number)
{
	bool terminal = state->thread != NULL || state->count > 1;
	struct hal_window window = hal_console_window();
	struct vc *vc = kmalloc(sizeof *vc, MEM_ZERO);

	if (vc == NULL)
		return NULL;
	if (terminal && screen_init(&vc->screen, window.rows, window.columns) != 0) {
		kfree(vc);
		return NULL;
	}
	tty_init(&vc->tty, terminal ? &terminal_ops : &plain_ops, number);
	vc->tty.window = (struct tb_winsize){.rows = window.rows, .columns = window.columns};
	vc->seen = number == 1;
	if (!terminal) { // nobody sees what a file or a program types
		vc->tty.ldisc.termios.lflag = 0;
		vc->tty.ldisc.termios.iflag = 0;
		vc->tty.ldisc.termios.oflag = 0;
	}
	return vc;
}

struct tty *vc_tty(uint32_t number)
{
	struct vc_state *state = vc_state();

	number = number == 0 ? vc_shown() : number;
	if (number > state->count)
		return NULL;
	struct vc **place = &state->consoles[number - 1];
	struct vc *vc = atomic_load_ptr_acquire(place);
	if (vc != NULL)
		return &vc->tty;
	mutex_lock(&state->lock);
	vc = *place;
	if (vc == NULL) {
		vc = vc_make(state, number);
		atomic_store_ptr_release(place, vc);
	}
	mutex_unlock(&state->lock);
	return vc != NULL ? &vc->tty : NULL;
}

static err_t vc_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct thread_params params = {.name = "consoles", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE};
	struct vc_state *state = kmalloc(sizeof *state, MEM_ZERO);
	err_t err = 0;

	(void)info;
	if (state == NULL)
		return ERR(ENOMEM);
	mutex_init(&state->lock, LOCK_RANK_TERMINALS, "consoles");
	mutex_init(&state->screens, LOCK_RANK_VC, "consoles: screens");
	state->count = (kernel->flags & HAL_BOOT_INTERACTIVE) ? VC_COUNT : 1;
	state->switch_key = 0x1d;
	state->window = hal_console_window();
	kernel->consoles = state;
	if (state->count > 1)
		err = thread_start(&params, vc_main, state, &state->thread);
	if (err != 0) {
		kernel->consoles = NULL;
		kfree(state);
	}
	return err;
}

static void vc_stop(void)
{
	struct vc_state *state = vc_state();

	if (state->thread != NULL) {
		console_wake();
		err_t err = thread_join(state->thread, NULL);
		VERIFY(err == 0);
	}
	for (uint32_t i = 0; i < state->count; i++) {
		struct vc *vc = state->consoles[i];
		if (vc == NULL)
			continue;
		screen_fini(&vc->screen);
		tty_fini(&vc->tty);
		kfree(vc);
	}
	mutex_fini(&state->lock);
	mutex_fini(&state->screens);
	kernel_self()->consoles = NULL;
	kfree(state);
}

static err_t vc_check(void)
{
	struct vc_state *state = vc_state();
	err_t err = 0;

	for (uint32_t i = 0; err == 0 && i < state->count; i++) {
		struct vc *vc = atomic_load_ptr_acquire(&state->consoles[i]);
		if (vc == NULL)
			continue;
		err = tty_check(&vc->tty);
		mutex_lock(&state->screens);
		if (err == 0 && vc->screen.memory != NULL)
			err = screen_check(&vc->screen);
		mutex_unlock(&state->screens);
	}
	return err;
}

// ---- tunables ------------------------------------------------------------------------------------------------------------

static uint64_t switch_key_get(void)
{
	return atomic_load_u32_relaxed(&vc_state()->switch_key);
}

static err_t switch_key_set(uint64_t value)
{
	atomic_store_u32_relaxed(&vc_state()->switch_key, (uint32_t)value);
	return 0;
}

static const struct tunable tunables[] = {
	{"console.switch_key", "the key before the number of a virtual console: 29 is Ctrl-], 0 none", 0, 31,
	 switch_key_get, switch_key_set},
	{NULL, NULL, 0, 0, NULL, NULL},
};

const struct component component_consoles = {.name = "consoles",
					     .stage = STAGE_SERVICES,
					     .init = vc_init,
					     .stop = vc_stop,
					     .check = vc_check,
					     .tunables = tunables};
