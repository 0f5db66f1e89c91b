// SPDX-License-Identifier: MIT
//
// Commands about block devices: disks, ramdisk, partitions.
#include "commands.h"

#include "kern/block.h"
#include "kern/fmt.h"
#include "kern/string.h"

static const char *const op_names[BLOCK_OP_COUNT] = {"reads", "writes", "flushes", "discards", "zeroes"};

static bool no_devices(struct monitor_session *session)
{
	if (kernel_self()->block != NULL)
		return false;
	monitor_error(session, "this machine has no block devices\n");
	return true;
}

// ---- disks -----------------------------------------------------------------------------------------------------------------

static unsigned long long kib(uint64_t sectors)
{
	return (unsigned long long)(sectors / 2);
}

static void disk_json(struct monitor_session *session, const struct block_info *info, bool first)
{
	monitor_printf(session,
		       "%s{\"name\": \"%s\", \"model\": \"%s\", \"kib\": %llu, \"start\": %llu, \"logical\": %u, "
		       "\"physical\": %u, \"read_only\": %s, \"users\": %u",
		       first ? "" : ", ", info->name, info->model, kib(info->sectors), (unsigned long long)info->start,
		       info->logical_bytes, info->physical_bytes,
		       (info->flags & BLOCK_READ_ONLY) != 0 ? "true" : "false", info->users);
	for (uint32_t op = 0; !info->is_partition && op < BLOCK_OP_COUNT; op++)
		monitor_printf(session, ", \"%s\": %llu, \"%s_kib\": %llu", op_names[op],
			       (unsigned long long)info->stats.requests[op], op_names[op],
			       kib(info->stats.sectors[op]));
	if (!info->is_partition)
		monitor_printf(session, ", \"commands\": %llu, \"merged\": %llu, \"split\": %llu, \"errors\": %llu",
			       (unsigned long long)info->stats.commands, (unsigned long long)info->stats.merged,
			       (unsigned long long)info->stats.split, (unsigned long long)info->stats.errors);
	monitor_printf(session, "}");
}

static void disk_text(struct monitor_session *session, const struct block_info *info)
{
	const struct block_stats *stats = &info->stats;
	const char *use = info->holder != NULL ? info->holder : info->users != 0 ? "in use" : "";

	monitor_printf(session, "%-10s %12llu %5u/%-5u %-3s", info->name, kib(info->sectors), info->logical_bytes,
		       info->physical_bytes, (info->flags & BLOCK_READ_ONLY) != 0 ? "ro" : "rw");
	if (info->is_partition)
		monitor_printf(session, " from sector %llu  %s\n", (unsigned long long)info->start, use);
	else
		monitor_printf(session, " %9llu %9llu %6llu %5llu  %s  %s\n",
			       (unsigned long long)stats->requests[BLOCK_READ],
			       (unsigned long long)stats->requests[BLOCK_WRITE],
			       (unsigned long long)stats->requests[BLOCK_FLUSH], (unsigned long long)stats->errors,
			       info->model, use);
}

static int32_t run_disks(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "-j") == 0;
	struct block_info info;

	if (argc > 2 || (argc == 2 && !json))
		return monitor_usage(session, "disks");
	if (no_devices(session))
		return 1;
	if (json)
		monitor_printf(session, "[");
	else
		monitor_printf(session, "%-10s %12s %11s %-3s %9s %9s %6s %5s\n", "NAME", "KIB", "BLOCK", "", "READS",
			       "WRITES", "FLUSH", "ERR");
	for (uint32_t n = 0; block_info_at(n, &info); n++) {
		if (json)
			disk_json(session, &info, n == 0);
		else
			disk_text(session, &info);
	}
	if (json)
		monitor_printf(session, "]\n");
	return 0;
}

// ---- ramdisk ---------------------------------------------------------------------------------------------------------------

// "64M": a number and K, M, G or nothing.
static bool parse_size(const char *text, uint64_t *size_bytes)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (value > (UINT64_MAX >> 4) / 10)
			return false;
		value = value * 10 + (uint64_t)(*at - '0');
	}
	uint32_t shift = *at == 'K' ? 10 : *at == 'M' ? 20 : *at == 'G' ? 30 : 0;
	if (at == text || (shift == 0 && *at != '\0') || (shift != 0 && at[1] != '\0') || value > UINT64_MAX >> shift)
		return false;
	*size_bytes = value << shift;
	return value != 0;
}

static int32_t complain(struct monitor_session *session, const char *command, const char *what, err_t err)
{
	monitor_error(session, "%s: %s: %s\n", command, what, err_text(err));
	return 1;
}

static int32_t run_ramdisk(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct block_device *device = NULL;
	uint64_t size_bytes = 0, block_bytes = 0;
	err_t err = 0;

	if (argc < 2 || argc > 3)
		return monitor_usage(session, "ramdisk");
	if (no_devices(session))
		return 1;
	if (strcmp(argv[1], "-r") == 0) {
		if (argc != 3)
			return monitor_usage(session, "ramdisk");
		err = block_remove_by_name(argv[2]);
		return err == 0 ? 0 : complain(session, "ramdisk", argv[2], err);
	}
	if (!parse_size(argv[1], &size_bytes) || (argc == 3 && !parse_size(argv[2], &block_bytes)) ||
	    block_bytes > BLOCK_PHYSICAL_MAX)
		return monitor_usage(session, "ramdisk");
	err = ramdisk_create(size_bytes, (uint32_t)block_bytes, (uint32_t)block_bytes, &device);
	if (err != 0)
		return complain(session, "ramdisk", argv[1], err);
	monitor_printf(session, "%s\n", block_name(device));
	return 0;
}

static int32_t run_partitions(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct block_device *device = NULL;
	const char *problem = NULL;

	if (argc != 2)
		return monitor_usage(session, "partitions");
	if (no_devices(session))
		return 1;
	err_t err = block_open(argv[1], false, NULL, &device);
	if (err == 0) {
		err = block_partitions_read(device, &problem);
		block_close(device, false);
	}
	if (err != 0)
		return complain(session, "partitions", argv[1], err);
	if (problem != NULL)
		monitor_error(session, "partitions: %s: %s\n", argv[1], problem);
	return problem == NULL ? 0 : 1;
}

const struct monitor_command monitor_cmd_disks = {"disks", "[-j]", "list block devices and what they did", run_disks,
						  NULL};
const struct monitor_command monitor_cmd_ramdisk = {"ramdisk", "SIZE[K|M|G] [BLOCK] | -r NAME",
						    "make or remove a disk in memory", run_ramdisk, NULL};
const struct monitor_command monitor_cmd_partitions = {"partitions", "NAME", "read a disk's partition table again",
						       run_partitions, NULL};
