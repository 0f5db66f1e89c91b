// SPDX-License-Identifier: MIT
//
// One recovery: what a machine does with its disk when the power is back, and what must be so then.
#include "crash.h"

static struct process *root(void)
{
	return vfs_monitor_process();
}

__attribute__((__format__(__printf__, 2, 3))) static void fail(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;

	if (verdict->failed)
		return;
	verdict->failed = true;
	va_start(arguments, format);
	kvsnprintf(verdict->text, sizeof verdict->text, format, arguments);
	va_end(arguments);
}

static void problem_keep(void *arg, const char *text)
{
	fail(arg, "the checker: %s", text);
}

static void volume_check(struct verdict *verdict, uint32_t flags)
{
	struct pxfs_check_report report;
	const char *problem = NULL;
	err_t err = pxfs_check_volume(DEVICE, flags, problem_keep, verdict, &report, &problem);

	if (err != 0)
		fail(verdict, "the checker cannot: %pe: %s", ERR_PTR(err), problem != NULL ? problem : "");
	else if (report.problems != 0)
		fail(verdict, "the checker counts %llu problems", (unsigned long long)report.problems);
}

static bool volume_begin(struct verdict *verdict, uint32_t flags, struct tree *tree)
{
	const char *problem = NULL;
	err_t err = volume_mount(flags, &problem);

	if (err != 0) {
		fail(verdict, "not mounted: %pe: %s", ERR_PTR(err), problem != NULL ? problem : "");
		return false;
	}
	tree_capture(MOUNT, tree);
	if (tree->err != 0)
		fail(verdict, "a directory cannot be read: %pe", ERR_PTR(tree->err));
	for (uint32_t i = 0; i < tree->count; i++)
		if (tree->entries[i].err != 0)
			fail(verdict, "\"%s\" cannot be read: %pe", tree->entries[i].path,
			     ERR_PTR(tree->entries[i].err));
	return true;
}

// A file that was not there: each recovery of a recovery has one of its own.
static void probe(struct crash_disk_state *disk, struct tree *tree, struct verdict *verdict, struct oracle *next)
{
	static const char bytes[] = "written after the power came back, and made durable";
	char name[4] = "z0", path[16];
	size_t done = 0;
	int32_t fd = -1;

	while (tree_entry_of(tree, name) != NULL && name[1] < '9')
		name[1]++;
	next->steps = 2;
	next->digests[0] = tree_digest(tree);
	tree_add_file(tree, name, 0644, bytes, 0);
	next->digests[1] = tree_digest(tree);
	tree_add_file(tree, name, 0644, bytes, sizeof bytes);
	next->digests[2] = tree_digest(tree);
	ksnprintf(path, sizeof path, "%s/%s", MOUNT, name);
	err_t err = vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT | TB_O_EXCL, 0644, &fd);
	disk->step = 1;
	if (err == 0)
		err = vfs_pwrite(root(), fd, bytes, sizeof bytes, 0, &done);
	disk->step = 2;
	if (err == 0)
		err = vfs_fsync(root(), fd);
	if (err == 0) {
		disk->synced = 2;
		disk_note(disk, NOTE_SYNCED);
	}
	if (fd >= 0) {
		err_t closed = vfs_close(root(), fd);
		err = err != 0 ? err : closed;
	}
	if (err != 0)
		fail(verdict, "writing afterwards: %pe", ERR_PTR(err));
}

static uint64_t snaps_sum(struct verdict *verdict)
{
	char text[100];
	uint64_t sum = 0;

	if (!snaps_look(&sum, text, sizeof text))
		fail(verdict, "%s", text);
	return sum;
}

static void volume_end(struct verdict *verdict)
{
	err_t err = vfs_umount(root(), MOUNT, 0);
	if (err != 0)
		fail(verdict, "not unmounted: %pe", ERR_PTR(err));
}

void recover_run(struct explorer *ex, struct verdict *verdict, struct oracle *next)
{
	struct crash_disk_state *disk = &ex->disk;
	struct recording *recording = disk->recording;
	struct tree *tree = &ex->found;

	verdict->failed = false;
	disk->step = disk->synced = 0;
	volume_check(verdict, PXFS_CHECK_DATA);
	if (!volume_begin(verdict, 0, tree))
		return;
	uint64_t sum = snaps_sum(verdict);
	verdict->digest = tree_digest(tree) + sum;
	probe(disk, tree, verdict, next);
	for (uint32_t i = 0; i < 3; i++)
		next->digests[i] += sum;
	volume_end(verdict);
	disk->recording = NULL;
	volume_check(verdict, 0);
	if (volume_begin(verdict, TB_MS_RDONLY, tree)) {
		if (tree_digest(tree) + snaps_sum(verdict) != next->digests[2])
			fail(verdict, "what was written and synced afterwards is not there after another mount");
		volume_end(verdict);
	}
	disk->recording = recording;
}

void whole_run(struct explorer *ex, struct verdict *verdict)
{
	verdict->failed = false;
	volume_check(verdict, PXFS_CHECK_DATA);
	if (!volume_begin(verdict, TB_MS_RDONLY, &ex->found))
		return;
	verdict->digest = tree_digest(&ex->found) + snaps_sum(verdict);
	volume_end(verdict);
}

bool damage_run(struct explorer *ex, const struct tree *wanted, bool *refused)
{
	struct verdict *verdict = &ex->verdict;
	char text[120] = "";

	*refused = false;
	verdict->failed = false;
	volume_check(verdict, PXFS_CHECK_DATA);
	bool seen = verdict->failed;
	verdict->failed = false;
	if (!volume_begin(verdict, 0, &ex->found)) {
		*refused = true;
		verdict->failed = !seen;
		if (!seen)
			strlcpy(verdict->text, "it is not mounted, and the checker finds nothing",
				sizeof verdict->text);
		return !verdict->failed;
	}
	verdict->digest = tree_digest(&ex->found);
	*refused = verdict->failed;
	if (verdict->failed && !seen)
		strlcpy(verdict->text, "it cannot be read, and the checker finds nothing", sizeof verdict->text);
	verdict->failed = verdict->failed && !seen;
	if (!tree_is_true(&ex->found, wanted, text, sizeof text))
		fail(verdict, "told without an error: %s", text);
	volume_end(verdict);
	return !verdict->failed;
}
