// SPDX-License-Identifier: MIT
//
// Console input: one libuv loop on a thread of its own reads a descriptor into a ring. Terminals and pipes are polled; a file
// is always readable and is read as fast as the ring is emptied. The descriptor gets back its flags when we close.
#include "host_console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define INPUT_RING_SIZE 65536u

struct host_input {
	uv_loop_t loop;
	uv_poll_t poll;
	uv_async_t wake; // close, or room in a ring that was full
	uv_thread_t thread;
	int fd;
	int flags; // of the descriptor, before us
	bool polled;
	bool polling;
	void (*fresh)(void *);
	void *arg;

	pthread_mutex_t lock; // below
	bool closing;
	bool ended;
	bool full;
	size_t head, tail; // bytes ever put and taken
	char ring[INPUT_RING_SIZE];
};

static size_t ring_room(const struct host_input *input)
{
	return INPUT_RING_SIZE - (input->head - input->tail);
}

// Reads once into the ring's free run. True when there may be more to read.
static bool input_read(struct host_input *input)
{
	pthread_mutex_lock(&input->lock);
	size_t at = input->head % INPUT_RING_SIZE;
	size_t room = ring_room(input);
	size_t run = room < INPUT_RING_SIZE - at ? room : INPUT_RING_SIZE - at;
	input->full = room == 0;
	pthread_mutex_unlock(&input->lock);
	if (run == 0)
		return false;

	ssize_t size = read(input->fd, input->ring + at, run);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	pthread_mutex_lock(&input->lock);
	if (size > 0)
		input->head += (size_t)size;
	else
		input->ended = true;
	pthread_mutex_unlock(&input->lock);
	input->fresh(input->arg);
	return size > 0;
}

static void input_pump(struct host_input *input);

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct host_input *input = poll->data;
	(void)status;
	(void)events;
	input_pump(input);
}

static void input_poll(struct host_input *input, bool on)
{
	if (!input->polled || input->polling == on)
		return;
	input->polling = on;
	if (on)
		uv_poll_start(&input->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	else
		uv_poll_stop(&input->poll);
}

// A pipe or terminal is read once a round, a file until the ring is full.
static void input_pump(struct host_input *input)
{
	while (input_read(input) && !input->polled) {
	}
	pthread_mutex_lock(&input->lock);
	bool want = !input->ended && !input->full;
	pthread_mutex_unlock(&input->lock);
	input_poll(input, want);
}

static void on_wake(uv_async_t *wake)
{
	struct host_input *input = wake->data;
	pthread_mutex_lock(&input->lock);
	bool closing = input->closing, ended = input->ended;
	pthread_mutex_unlock(&input->lock);
	if (closing) {
		input_poll(input, false);
		if (input->polled)
			uv_close((uv_handle_t *)&input->poll, NULL);
		uv_close((uv_handle_t *)&input->wake, NULL);
	} else if (!ended) {
		input_pump(input);
	}
}

static void input_main(void *arg)
{
	struct host_input *input = arg;
	uv_run(&input->loop, UV_RUN_DEFAULT);
}

static tb_err input_start(struct host_input *input)
{
	int err = uv_loop_init(&input->loop);
	if (err != 0)
		return err;
	err = uv_async_init(&input->loop, &input->wake, on_wake);
	input->wake.data = input;
	if (err == 0) {
		input->polled = uv_poll_init(&input->loop, &input->poll, input->fd) == 0;
		input->poll.data = input;
		err = uv_thread_create(&input->thread, input_main, input);
		if (err != 0) {
			if (input->polled)
				uv_close((uv_handle_t *)&input->poll, NULL);
			uv_close((uv_handle_t *)&input->wake, NULL);
			uv_run(&input->loop, UV_RUN_DEFAULT);
		}
	}
	if (err != 0) {
		uv_loop_close(&input->loop);
		return err;
	}
	uv_async_send(&input->wake);
	return 0;
}

tb_err host_input_open(struct host_input **out, int fd, void (*fresh)(void *), void *arg)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return host_fail(NULL, -EBADF, "input_fd: %d is no open descriptor", fd);
	struct host_input *input = calloc(1, sizeof *input);
	if (input == NULL)
		return host_fail(NULL, -ENOMEM, "no host memory");
	input->fd = fd;
	input->flags = flags;
	input->fresh = fresh;
	input->arg = arg;
	pthread_mutex_init(&input->lock, NULL);
	tb_err err = input_start(input);
	if (err != 0) {
		fcntl(fd, F_SETFL, flags);
		pthread_mutex_destroy(&input->lock);
		free(input);
		return host_fail(NULL, err, "input_fd: %s", strerror(-err));
	}
	*out = input;
	return 0;
}

void host_input_close(struct host_input *input)
{
	if (input == NULL)
		return;
	pthread_mutex_lock(&input->lock);
	input->closing = true;
	pthread_mutex_unlock(&input->lock);
	uv_async_send(&input->wake);
	uv_thread_join(&input->thread);
	uv_loop_close(&input->loop);
	fcntl(input->fd, F_SETFL, input->flags);
	pthread_mutex_destroy(&input->lock);
	free(input);
}

size_t host_input_take(struct host_input *input, char *bytes, size_t size_bytes, bool *end)
{
	pthread_mutex_lock(&input->lock);
	size_t size = 0;
	while (size < size_bytes && input->tail < input->head)
		bytes[size++] = input->ring[input->tail++ % INPUT_RING_SIZE];
	*end = input->ended && input->tail == input->head;
	bool resume = input->full && size > 0;
	pthread_mutex_unlock(&input->lock);
	if (resume)
		uv_async_send(&input->wake);
	return size;
}
