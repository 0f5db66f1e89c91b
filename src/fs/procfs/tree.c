// SPDX-License-Identifier: MIT
//
// Files about files (proc(5)): mounts (fstab(5)), filesystems, locks.
#include "procfs_impl.h"

#include "kern/string.h"
#include "kern/vfs.h"

#define LOCK_ROW_BYTES 128u

// A blank, tab, line end or backslash in a name, as an octal number (getmntent(3)).
static void add_escaped(struct text *text, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ' ' || *name == '\t' || *name == '\n' || *name == '\\')
			text_add(text, "\\%03o", (uint8_t)*name);
		else
			text_add_bytes(text, name, 1);
	}
}

static void mount_row(const char *type, const char *source, uint32_t flags, const char *path, void *arg)
{
	struct text *text = arg;

	add_escaped(text, *source != '\0' ? source : "none");
	text_add(text, " ");
	add_escaped(text, path);
	text_add(text, " %s %s%s%s%s 0 0\n", type, flags & TB_MS_RDONLY ? "ro" : "rw",
		 flags & TB_MS_NOSUID ? ",nosuid" : "", flags & TB_MS_NODEV ? ",nodev" : "",
		 flags & TB_MS_NOEXEC ? ",noexec" : "");
}

err_t proc_mounts(struct text *text, uint32_t number)
{
	(void)number;
	return vfs_each_mount(vfs_monitor_process(), mount_row, text);
}

err_t proc_filesystems(struct text *text, uint32_t number)
{
	const struct fs_type *type;

	(void)number;
	for (uint32_t i = 0; (type = fs_type_at(i)) != NULL; i++)
		text_add(text, "nodev\t%s\n", type->name);
	return 0;
}

struct lock_rows {
	struct text *text;
	uint32_t count;
};

static void lock_count(const struct lock_info *info, void *arg)
{
	(void)info;
	((struct lock_rows *)arg)->count++;
}

static void lock_row(const struct lock_info *info, void *arg)
{
	struct lock_rows *rows = arg;
	struct text *text = rows->text;

	text_add(text, "%u: %s  ADVISORY  %s %d 00:%02x:%llu %llu ", ++rows->count, info->kind,
		 info->write ? "WRITE" : "READ ", info->process != 0 ? (int32_t)info->process : -1, info->dev,
		 (unsigned long long)info->ino, (unsigned long long)info->start);
	if (info->end == UINT64_MAX)
		text_add(text, "EOF\n");
	else
		text_add(text, "%llu\n", (unsigned long long)info->end);
}

// Nothing may be allocated while the locks are walked.
err_t proc_locks(struct text *text, uint32_t number)
{
	struct lock_rows rows = {.text = text};

	(void)number;
	vfs_each_lock(lock_count, &rows);
	text_reserve(text, ((size_t)rows.count + 8) * LOCK_ROW_BYTES);
	rows.count = 0;
	text->fixed = true;
	vfs_each_lock(lock_row, &rows);
	text->fixed = false;
	return 0;
}
