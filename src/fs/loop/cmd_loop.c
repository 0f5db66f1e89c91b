// SPDX-License-Identifier: MIT
//
// The command losetup.
#include "loop_impl.h"

#include "kern/monitor.h"

static int32_t complain(struct monitor_session *session, const char *what, const char *reason)
{
	monitor_error(session, "losetup: %s: %s\n", what, reason);
	return 1;
}

static int32_t loops_list(struct monitor_session *session)
{
	struct loop_info info;

	monitor_printf(session, "%-8s %12s %12s %5s %-3s %s\n", "NAME", "OFFSET", "SIZE", "BLOCK", "", "FILE");
	for (uint32_t n = 0; loop_info_at(n, &info); n++)
		monitor_printf(session, "%-8s %12llu %12llu %5u %-3s %s\n", info.name,
			       (unsigned long long)info.offset_bytes, (unsigned long long)info.size_bytes,
			       info.logical_bytes, info.read_only ? "ro" : "rw", info.path);
	return 0;
}

static bool number_take(char option, const char *text, struct loop_params *params)
{
	uint64_t value = 0;

	if (str_to_size(text, &value) != 0)
		return false;
	switch (option) {
	case 'o':
		params->offset_bytes = value;
		return true;
	case 's':
		params->size_bytes = value;
		return value != 0;
	case 'b':
		params->logical_bytes = (uint32_t)value;
		return value != 0 && value <= BLOCK_PHYSICAL_MAX;
	default:
		return false;
	}
}

static const char *reason_of(err_t err)
{
	switch (err) {
	case -EOVERFLOW:
		return "the file is shorter than offset and size say";
	case -EINVAL:
		return "it must be a regular file that holds a block, offset and size multiples of the block, which is "
		       "a power of two";
	default:
		return err_text(err);
	}
}

static int32_t run_losetup(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct loop_params params = {.path = NULL};
	char name[BLOCK_NAME_SIZE];
	uint32_t i = 1;

	if (argc == 1)
		return loops_list(session);
	if (str_equal(argv[1], "-d")) {
		err_t err = argc == 3 ? loop_remove(argv[2]) : 0;
		if (argc != 3)
			return monitor_usage(session, "losetup");
		return err == 0 ? 0 : complain(session, argv[2], err_text(err));
	}
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (str_equal(argv[i], "-r"))
			params.read_only = true;
		else if (argv[i][1] == '\0' || argv[i][2] != '\0' || i + 1 == argc ||
			 !number_take(argv[i][1], argv[i + 1], &params))
			return monitor_usage(session, "losetup");
		else
			i++;
	}
	if (i + 1 != argc)
		return monitor_usage(session, "losetup");
	params.path = argv[i];
	err_t err = loop_create(vfs_monitor_process(), &params, name);
	if (err != 0)
		return complain(session, argv[i], reason_of(err));
	monitor_printf(session, "%s\n", name);
	return 0;
}

static const struct monitor_command cmd_losetup = {
	"losetup", "[-r] [-o OFFSET] [-s SIZE] [-b BLOCK] FILE | -d NAME",
	"make a block device of a file, or remove one; without words list them", run_losetup, NULL};

const struct monitor_command *const loop_commands[] = {&cmd_losetup, NULL};
