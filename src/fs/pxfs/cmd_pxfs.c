// SPDX-License-Identifier: MIT
//
// Commands: fsck, mkfs, pxfs-info.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/monitor.h"

// "zstd:9,256k".
static bool method_parse(const char *text, struct pxfs_format_params *params)
{
	struct pxfs_setting setting = {.cluster_shift = 16};

	if (!pxfs_setting_parse(text, strlen(text), &setting))
		return false;
	params->method = setting.method;
	params->level = setting.level;
	params->cluster_bytes = 1u << setting.cluster_shift;
	return true;
}

static bool size_parse(const char *text, uint32_t *bytes)
{
	uint64_t size = 0;

	if (str_to_size(text, &size) != 0 || size > UINT32_MAX)
		return false;
	*bytes = (uint32_t)size;
	return true;
}

static bool option_parse(char option, const char *value, struct pxfs_format_params *params)
{
	switch (option) {
	case 'L':
		params->label = value;
		return true;
	case 'c':
		return method_parse(value, params);
	case 'b':
		return size_parse(value, &params->block_bytes);
	case 'n':
		return size_parse(value, &params->node_bytes);
	case 's':
		return str_to_size(value, &params->size_bytes) == 0 && params->size_bytes != 0;
	case 'm':
		return str_to_u32(value, 10, &params->copies) == 0;
	default:
		return false;
	}
}

int32_t pxfs_complain(struct monitor_session *session, const char *command, const char *device, const char *problem,
		      err_t err)
{
	monitor_error(session, "%s: %s: %s%s%s\n", command, device, problem != NULL ? problem : "",
		      problem != NULL ? ": " : "", err_text(err));
	return 1;
}

static int32_t run_mkfs(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct pxfs_format_params params = {.label = NULL};
	const char *problem = NULL;
	uint32_t i = 1;

	for (; i + 1 < argc && argv[i][0] == '-'; i += 2)
		if (argv[i][1] == '\0' || argv[i][2] != '\0' || !option_parse(argv[i][1], argv[i + 1], &params))
			return monitor_usage(session, "mkfs");
	if (i + 1 != argc || argv[i][0] == '-')
		return monitor_usage(session, "mkfs");
	err_t err = pxfs_format(argv[i], &params, &problem);
	return err == 0 ? 0 : pxfs_complain(session, "mkfs", argv[i], problem, err);
}

static void info_show(struct monitor_session *session, const struct pxfs_volume *volume)
{
	const struct pxfs_super *super = &volume->super;
	char label[PXFS_LABEL_MAX + 1];

	memcpy(label, super->label, PXFS_LABEL_MAX);
	label[PXFS_LABEL_MAX] = '\0';
	monitor_printf(session, "label        %s\nvolume       ", label);
	for (uint32_t i = 0; i < sizeof super->volume; i++)
		monitor_printf(session, "%02x", super->volume[i]);
	monitor_printf(
		session,
		"\ngeneration   %llu\nsize         %llu KiB, %llu used\nblock        %u\nnode         %u, %u copies\n"
		"compression  %s, level %u, clusters of %u\nlog          %llu KiB\n"
		"errors       %llu read, %llu repaired, %llu lost\n",
		(unsigned long long)le64_get(&super->generation), (unsigned long long)volume->sectors / 2,
		(unsigned long long)volume->space.used_sectors / 2, 1u << volume->block_shift, node_bytes(volume),
		volume->copies, pxfs_method_name(super->method), super->level, 1u << (super->cluster_shift & 31),
		(unsigned long long)le64_get(&super->log.sectors) / 2,
		(unsigned long long)le64_get(&super->errors_read),
		(unsigned long long)le64_get(&super->errors_repaired),
		(unsigned long long)le64_get(&super->errors_lost));
}

static int32_t run_info(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct pxfs_volume *volume = NULL;
	const char *problem = NULL;

	if (argc != 2)
		return monitor_usage(session, "pxfs-info");
	err_t err = volume_open(argv[1], true, &volume, &problem);
	if (err != 0)
		return pxfs_complain(session, "pxfs-info", argv[1], problem, err);
	info_show(session, volume);
	volume_abandon(volume);
	return 0;
}

// ---- fsck ---------------------------------------------------------------------------------------------------------------------------

static void problem_print(void *arg, const char *text)
{
	monitor_printf(arg, "%s\n", text);
}

// Exit status as fsck(8): 0 nothing is wrong, 1 what was wrong is repaired, 4 something is left, 8 it could not be looked at.
static int32_t run_fsck(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	uint32_t flags = 0, i = 1;

	for (; i + 1 < argc; i++) {
		if (strcmp(argv[i], "-d") == 0)
			flags |= PXFS_CHECK_DATA;
		else if (strcmp(argv[i], "-r") == 0)
			flags |= PXFS_CHECK_REPAIR;
		else
			break;
	}
	if (i + 1 != argc || argv[i][0] == '-')
		return monitor_usage(session, "fsck");
	err_t err = pxfs_check_volume(argv[i], flags, problem_print, session, &report, &problem);
	if (err != 0) {
		(void)pxfs_complain(session, "fsck", argv[argc - 1], problem, err);
		return 8;
	}
	monitor_printf(session,
		       "%s: %llu nodes, %llu items, %llu inodes, %llu names, %llu extents, %llu KiB: %llu problems\n",
		       argv[argc - 1], (unsigned long long)report.nodes, (unsigned long long)report.items,
		       (unsigned long long)report.inodes, (unsigned long long)report.names,
		       (unsigned long long)report.extents, (unsigned long long)report.sectors / 2,
		       (unsigned long long)report.problems);
	if (report.repaired != 0)
		monitor_printf(session, "%s: %llu copies repaired\n", argv[argc - 1],
			       (unsigned long long)report.repaired);
	if (report.mended != 0)
		monitor_printf(session, "%s: %llu things mended\n", argv[argc - 1], (unsigned long long)report.mended);
	return report.problems != 0 ? 4 : report.repaired != 0 || report.mended != 0 ? 1 : 0;
}

static const struct monitor_command cmd_fsck = {"fsck", "[-d] [-r] DEVICE",
						"check a PXFS volume that is not mounted; -d: its data too; -r: repair",
						run_fsck, NULL};
static const struct monitor_command cmd_mkfs = {
	"mkfs", "[-L LABEL] [-c lz4|zstd|none[:LEVEL][,CLUSTER]] [-b BLOCK] [-n NODE] [-m COPIES] [-s SIZE] DEVICE",
	"make an empty PXFS volume on a block device", run_mkfs, NULL};
static const struct monitor_command cmd_info = {"pxfs-info", "DEVICE", "show what a PXFS volume says of itself",
						run_info, NULL};

const struct monitor_command *const pxfs_commands[] = {
	&pxfs_cmd_clone,    &pxfs_cmd_compression, &cmd_fsck,          &cmd_mkfs,        &cmd_info, &pxfs_cmd_resize,
	&pxfs_cmd_rollback, &pxfs_cmd_scrub,       &pxfs_cmd_snapshot, &pxfs_cmd_subvol, NULL};
