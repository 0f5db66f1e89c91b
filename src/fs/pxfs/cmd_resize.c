// SPDX-License-Identifier: MIT
//
// The command pxfs-resize.
#include "fs_impl.h"

#include "kern/component.h"
#include "kern/monitor.h"

static int32_t run_resize(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct pxfs_sizes sizes;
	const char *problem = NULL;
	uint64_t size_bytes = 0;

	if (argc < 2 || argc > 3 || argv[1][0] == '-' ||
	    (argc == 3 && (str_to_size(argv[2], &size_bytes) != 0 || size_bytes == 0)))
		return monitor_usage(session, "pxfs-resize");
	err_t err = pxfs_grow(argv[1], size_bytes, &sizes, &problem);
	if (err != 0) {
		monitor_error(session, "pxfs-resize: %s: %s%s%s\n", argv[1], problem != NULL ? problem : "",
			      problem != NULL ? ": " : "", err_text(err));
		return 1;
	}
	if (sizes.new_bytes == sizes.old_bytes)
		monitor_printf(session, "%s: %llu KiB, as before\n", argv[1],
			       (unsigned long long)sizes.new_bytes >> 10);
	else
		monitor_printf(session, "%s: %llu KiB, before %llu KiB\n", argv[1],
			       (unsigned long long)sizes.new_bytes >> 10, (unsigned long long)sizes.old_bytes >> 10);
	return 0;
}

const struct monitor_command pxfs_cmd_resize = {
	"pxfs-resize", "DEVICE|PATH [SIZE]",
	"make a PXFS volume larger, mounted or not: as large as its device, or as said", run_resize, NULL};
