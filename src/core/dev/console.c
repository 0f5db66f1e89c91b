// SPDX-License-Identifier: MIT
//
// The console's input queue. The interrupt moves what the HAL has into a byte ring (one writer: CPU 0's interrupt, one
// reader: the monitor); when the ring is full the bytes stay in the HAL until the reader asks for more.
#include "kern/console.h"

#include "hal/console.h"
#include "kern/atomic.h"
#include "kern/component.h"
#include "kern/mem.h"
#include "kern/rcu.h"
#include "kern/ring.h"
#include "kern/sched.h"

#define CONSOLE_RING_SIZE (CONFIG_TINY ? 32u : 4096u)
#define PULL_SIZE (CONFIG_TINY ? 16u : 128u)
#define CTRL_C 0x03

struct console_state {
	struct waitq readers;
	struct spinlock lock; // pulling: interrupt and reader
	struct byte_ring ring;
	uint32_t ended;       // atomic
	uint32_t stopping;    // atomic
	uint32_t watching;    // atomic
	uint32_t interrupted; // atomic
	uint32_t looks;       // atomic: times that the HAL said there is something to look at
	uint8_t bytes[CONSOLE_RING_SIZE];
};

static void console_take(struct console_state *console, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == CTRL_C && atomic_load_u32_relaxed(&console->watching) != 0)
			atomic_store_u32_release(&console->interrupted, 1);
		else
			(void)byte_ring_write(&console->ring, &bytes[i], 1);
	}
}

// Moves waiting input into the ring, as far as there is room.
static void console_pull(struct console_state *console)
{
	char bytes[PULL_SIZE];
	bool end = false;
	bool was = spin_lock_irqsave(&console->lock);

	for (;;) {
		size_t room = CONSOLE_RING_SIZE - byte_ring_used(&console->ring);
		size_t size = hal_console_read(bytes, room < sizeof bytes ? room : sizeof bytes, &end);
		console_take(console, bytes, size);
		if (size == 0)
			break;
	}
	if (end)
		atomic_store_u32_release(&console->ended, 1);
	spin_unlock_irqrestore(&console->lock, was);
}

static void console_interrupt(uint32_t bits)
{
	struct console_state *console = kernel_self()->console;
	(void)bits;
	console_pull(console);
	atomic_fetch_add_u32_acq_rel(&console->looks, 1);
	waitq_wake_all(&console->readers);
}

err_t console_init(struct kernel *kernel)
{
	struct console_state *console =
		CONFIG_TINY ? boot_alloc(kernel, sizeof *console, 8) : kmalloc(sizeof *console, MEM_ZERO);
	if (console == NULL)
		return ERR(ENOMEM);
	waitq_init(&console->readers, "console: readers");
	spin_init(&console->lock, LOCK_RANK_CONSOLE_PULL, "console: pull");
	byte_ring_init(&console->ring, console->bytes, CONSOLE_RING_SIZE);
	kernel->console = console;
	irq_handler_set(HAL_IRQ_CONSOLE, console_interrupt);
	return 0;
}

void console_stop(void)
{
	struct console_state *console = kernel_self()->console;
	irq_handler_set(HAL_IRQ_CONSOLE, NULL);
	rcu_synchronize(); // an interrupt that still saw the handler has returned
	kernel_self()->console = NULL;
	kfree(console);
}

void console_wake(void)
{
	struct console_state *console = kernel_self()->console;
	atomic_store_u32_release(&console->stopping, 1);
	waitq_wake_all(&console->readers);
}

err_t console_read_byte(uint8_t *byte, uint64_t deadline_ns)
{
	struct console_state *console = kernel_self()->console;
	err_t err = 0;

	for (;;) {
		if (byte_ring_read(&console->ring, byte, 1) == 1)
			return 0;
		if (atomic_load_u32_acquire(&console->stopping) != 0)
			return -ESHUTDOWN;
		bool ended = atomic_load_u32_acquire(&console->ended) != 0;
		console_pull(console);
		if (byte_ring_used(&console->ring) != 0)
			continue;
		if (ended)
			return -ENODATA;
		hal_console_wait(true);
		err = waitq_wait_until(&console->readers,
				       byte_ring_used(&console->ring) != 0 ||
					       atomic_load_u32_acquire(&console->ended) != 0 ||
					       atomic_load_u32_acquire(&console->stopping) != 0,
				       deadline_ns);
		hal_console_wait(false);
		if (err != 0)
			return err;
	}
}

#if !CONFIG_TINY
err_t console_read(uint8_t *bytes, size_t size_bytes, size_t *done_bytes, uint32_t *looks, uint64_t deadline_ns)
{
	struct console_state *console = kernel_self()->console;
	err_t err = 0;

	console_pull(console);
	*done_bytes = byte_ring_read(&console->ring, bytes, (uint32_t)size_bytes);
	while (err == 0 && *done_bytes == 0 && atomic_load_u32_acquire(&console->looks) == *looks) {
		if (atomic_load_u32_acquire(&console->stopping) != 0)
			return -ESHUTDOWN;
		bool ended = atomic_load_u32_acquire(&console->ended) != 0;
		console_pull(console);
		if (ended && byte_ring_used(&console->ring) == 0)
			return -ENODATA;
		hal_console_wait(true);
		err = waitq_wait_until(&console->readers,
				       byte_ring_used(&console->ring) != 0 ||
					       atomic_load_u32_acquire(&console->looks) != *looks ||
					       atomic_load_u32_acquire(&console->ended) != 0 ||
					       atomic_load_u32_acquire(&console->stopping) != 0,
				       deadline_ns);
		hal_console_wait(false);
		*done_bytes = byte_ring_read(&console->ring, bytes, (uint32_t)size_bytes);
	}
	*looks = atomic_load_u32_acquire(&console->looks);
	return *done_bytes > 0 ? 0 : err;
}
#endif

void console_watch_interrupt(bool watch)
{
	struct console_state *console = kernel_self()->console;
	atomic_store_u32_release(&console->interrupted, 0);
	atomic_store_u32_release(&console->watching, watch);
}

bool console_interrupted(void)
{
	struct console_state *console = kernel_self()->console;
	return console != NULL && atomic_load_u32_acquire(&console->interrupted) != 0;
}

void console_write(const char *bytes, size_t size_bytes)
{
	hal_console_write(bytes, size_bytes);
}
