// SPDX-License-Identifier: MIT
//
// Times a command from its spawn to its end: `peer_spawn --label NAME -- COMMAND …`. Used for the empty static program and,
// with the same clock, for tbos-sim's boot to prompt and shutdown. Its output goes to /dev/null; a status other than 0 fails.

#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static uint64_t spawn_once(char **command, const posix_spawn_file_actions_t *actions)
{
	uint64_t start = peer_now_ns();
	pid_t child;
	int status;

	errno = posix_spawnp(&child, command[0], actions, NULL, command, environ);
	if (errno != 0)
		peer_die(command[0]);
	if (waitpid(child, &status, 0) != child)
		peer_die("waitpid");
	start = peer_now_ns() - start;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "%s: ended with wait status 0x%x\n", command[0], (unsigned)status);
		exit(1);
	}
	return start;
}

int main(int argc, char **argv)
{
	struct peer peer = peer_options(argc, argv, "spawn");
	posix_spawn_file_actions_t actions;
	double samples[PEER_RUNS_MAX];

	if (peer.rest[0] == NULL) {
		fprintf(stderr, "peer_spawn: no command\n");
		return 2;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	spawn_once(peer.rest, &actions);
	for (unsigned run = 0; run < peer.runs; run++)
		samples[run] = (double)spawn_once(peer.rest, &actions);
	peer_report(&peer, "spawn", samples, peer.runs, 1, NULL);
	posix_spawn_file_actions_destroy(&actions);
	return 0;
}
