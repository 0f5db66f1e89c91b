// SPDX-License-Identifier: MIT
//
// The command scrub.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/monitor.h"

struct progress {
	struct monitor_session *session;
	uint32_t percent; // that is shown
	bool shown;
};

static void line_clear(struct progress *progress)
{
	if (progress->shown)
		monitor_printf(progress->session, "\r\x1b[K");
	progress->shown = false;
}

static void lost_print(void *arg, const char *text)
{
	line_clear(arg);
	monitor_printf(((struct progress *)arg)->session, "%s\n", text);
}

static bool progress_print(void *arg, const struct pxfs_scrub_report *report)
{
	struct progress *progress = arg;
	uint64_t whole = MAX(report->bytes_used, 1u);
	uint32_t percent = (uint32_t)(MIN(report->bytes, whole) * 100 / whole);

	if (monitor_is_terminal(progress->session) && (!progress->shown || percent != progress->percent)) {
		monitor_printf(progress->session, "\r%u%%, %llu MiB of data, %llu nodes", percent,
			       (unsigned long long)(report->bytes >> 20), (unsigned long long)report->nodes);
		progress->shown = true;
		progress->percent = percent;
	}
	return !monitor_interrupted(progress->session);
}

static void report_print(struct monitor_session *session, const char *where, const struct pxfs_scrub_report *report)
{
	monitor_printf(session,
		       "%s: %llu nodes, %llu extents of %llu KiB: %llu copies damaged, %llu repaired; %llu nodes and "
		       "%llu extents "
		       "lost%s\n",
		       where, (unsigned long long)report->nodes, (unsigned long long)report->extents,
		       (unsigned long long)report->bytes >> 10, (unsigned long long)report->damaged,
		       (unsigned long long)report->repaired, (unsigned long long)report->lost_nodes,
		       (unsigned long long)report->lost_extents, report->stopped ? "; stopped before the end" : "");
}

// Exit status as fsck(8): 0 nothing is wrong, 1 what was wrong is repaired, 4 something is left, 8 not all of it could be looked at.
static int32_t run_scrub(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool look = argc == 3 && str_equal(argv[1], "-n");
	struct progress progress = {.session = session};
	struct pxfs_scrub_calls calls = {.say = lost_print, .progress = progress_print, .arg = &progress};
	struct pxfs_scrub_report report;
	const char *problem = NULL;

	if (argc != (look ? 3u : 2u) || argv[argc - 1][0] == '-')
		return monitor_usage(session, "scrub");
	const char *where = argv[argc - 1];
	err_t err = pxfs_scrub(where, look ? 0 : PXFS_SCRUB_REPAIR, &calls, &report, &problem);
	line_clear(&progress);
	if (err != 0) {
		monitor_error(session, "scrub: %s: %s%s%s\n", where, problem != NULL ? problem : "",
			      problem != NULL ? ": " : "", err_text(err));
		return 8;
	}
	report_print(session, where, &report);
	if (report.stopped)
		return 8;
	if (report.lost_nodes + report.lost_extents != 0 || report.repaired < report.damaged)
		return 4;
	return report.repaired != 0 ? 1 : 0;
}

const struct monitor_command pxfs_cmd_scrub = {
	"scrub", "[-n] DEVICE|PATH",
	"read all of a PXFS volume, mounted or not, and repair what has a sound copy; -n: repair nothing", run_scrub,
	NULL};
