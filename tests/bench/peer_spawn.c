// SPDX-License-Identifier: MIT
//
// Times a command from its spawn: `peer_spawn --label NAME -- COMMAND …`, to its end, or under --until TEXT on a terminal of
// its own to the moment when TEXT has been written there, after which it is given an end of input. Used for the empty
// static program and, with the same clock, for tbos-sim. A status other than 0 fails.

#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char END_OF_INPUT = 4; // ^D

struct terminal {
	int fd;         // ours
	char name[128]; // the command's side
};

static struct terminal terminal_open(void)
{
	struct terminal terminal = {.fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};

	if (terminal.fd < 0 || grantpt(terminal.fd) != 0 || unlockpt(terminal.fd) != 0 ||
	    ptsname_r(terminal.fd, terminal.name, sizeof(terminal.name)) != 0)
		peer_die("terminal");
	return terminal;
}

static pid_t command_spawn(char **command, const char *terminal)
{
	const char *path = terminal != NULL ? terminal : "/dev/null";
	posix_spawn_file_actions_t actions;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR | O_NOCTTY, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	posix_spawn_file_actions_adddup2(&actions, 0, 2);
	errno = posix_spawnp(&child, command[0], &actions, NULL, command, environ);
	if (errno != 0)
		peer_die(command[0]);
	posix_spawn_file_actions_destroy(&actions);
	return child;
}

static void command_wait(pid_t child, const char *name)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		peer_die("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	fprintf(stderr, "%s: ended with wait status 0x%x\n", name, (unsigned)status);
	exit(1);
}

static uint64_t until_end(char **command)
{
	uint64_t start = peer_now_ns();

	command_wait(command_spawn(command, NULL), command[0]);
	return peer_now_ns() - start;
}

// Reads on after the text, so that the command's last words do not block it.
static uint64_t until_text(char **command, const char *text)
{
	struct terminal terminal = terminal_open();
	uint64_t start = peer_now_ns();
	pid_t child = command_spawn(command, terminal.name);
	uint64_t seen_ns = 0;
	char output[8192];
	size_t used = 0;
	ssize_t n;

	while ((n = read(terminal.fd, output + used, sizeof(output) - 1 - used)) > 0) {
		used += (size_t)n;
		output[used] = '\0';
		if (seen_ns == 0 && strstr(output, text) != NULL) {
			seen_ns = peer_now_ns() - start;
			if (write(terminal.fd, &END_OF_INPUT, 1) != 1)
				peer_die("terminal");
		}
		if (seen_ns != 0 || used > sizeof(output) / 2)
			used = 0;
	}
	command_wait(child, command[0]);
	close(terminal.fd);
	if (seen_ns == 0) {
		fprintf(stderr, "%s: ended without having written '%s'\n", command[0], text);
		exit(1);
	}
	return seen_ns;
}

static uint64_t spawn_once(const struct peer *peer)
{
	return peer->until != NULL ? until_text(peer->rest, peer->until) : until_end(peer->rest);
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "spawn");
	double samples[PEER_RUNS_MAX];

	if (peer.rest[0] == NULL) {
		fprintf(stderr, "peer_spawn: no command\n");
		return 2;
	}
	spawn_once(&peer);
	for (unsigned run = 0; run < peer.runs; run++)
		samples[run] = (double)spawn_once(&peer);
	peer_report(&peer, "spawn", samples, peer.runs, 1, NULL);
	return 0;
}
