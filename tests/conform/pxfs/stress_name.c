// SPDX-License-Identifier: MIT
//
// Twins: calls with paths.
#include "stress.h"

#include "kern/console.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/string.h"

bool twin_make(struct twin *twin, struct test_run *run, const char *pxfs_top, const char *model_top)
{
	memset(twin, 0, sizeof *twin);
	twin->run = run;
	twin->doing = "beginning";
	twin->tops[TWIN_PXFS] = pxfs_top;
	twin->tops[TWIN_MODEL] = model_top;
	for (uint32_t i = 0; i < TWIN_SIDES; i++)
		twin->bytes[i] = kmalloc(TWIN_IO_BYTES, MEM_ZERO);
	if (twin->bytes[TWIN_PXFS] != NULL && twin->bytes[TWIN_MODEL] != NULL)
		return true;
	twin_free(twin);
	return false;
}

void twin_free(struct twin *twin)
{
	for (uint32_t i = 0; i < TWIN_SIDES; i++)
		kfree(twin->bytes[i]);
}

void twin_differ(struct twin *twin, const char *format, ...)
{
	char text[200];
	va_list arguments;

	if (twin->wrong)
		return;
	twin->wrong = true;
	va_start(arguments, format);
	kvsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log_err("twins: step %u, %s: %s", twin->steps, twin->doing, text);
	test_check(twin->run, false, "the volume and the model are the same", __FILE__, __LINE__);
}

void twin_require(struct twin *twin, err_t err, const char *what)
{
	if (err != 0)
		twin_differ(twin, "%s: %pe", what, ERR_PTR(err));
}

void stress_report(const struct stress_sums *sums)
{
	char line[160];
	size_t size =
		ksnprintf(line, sizeof line,
			  "stress: %u steps, %u compared, %u full, %u snapshots, %u rollbacks, %u mounts\n",
			  sums->steps, sums->compared, sums->full, sums->snapshots, sums->rollbacks, sums->mounts);
	console_write(line, MIN(size, sizeof line - 1));
}

const char *twin_path(const struct twin *twin, enum twin_side side, const char *name, char *buffer)
{
	ksnprintf(buffer, TWIN_PATH_BYTES, "%s%s", twin->tops[side], name);
	return buffer;
}

err_t twin_both(struct twin_call *call, const char *doing, twin_fn fn)
{
	struct twin *twin = call->twin;

	twin->doing = doing;
	err_t err = fn(call, TWIN_PXFS);
	if (err == -ENOSPC && twin->may_be_full) {
		twin->full++;
		return err;
	}
	err_t model = fn(call, TWIN_MODEL);
	if (err != model)
		twin_differ(twin, "%s %s: %pe, and %pe in the model", call->a, call->b, ERR_PTR(err), ERR_PTR(model));
	return err != 0 ? err : model;
}

static const char *const folders[] = {"", "", "", "/a", "/b", "/a/c", "/b/d"};
static const char *const leaves[] = {
	"a", "b", "c", "d", "e", "f", "a name that is longer than what lies in the first bytes of an entry"};

void name_draw(struct twin *twin, char name[128])
{
	ksnprintf(name, 128, "%s/%s", folders[rand_below(&twin->rand, array_count(folders))],
		  leaves[rand_below(&twin->rand, array_count(leaves))]);
}

static uint32_t depth_of(const char *name)
{
	uint32_t depth = 0;

	for (; *name != '\0'; name++)
		depth += *name == '/';
	return depth;
}

// ---- names ----------------------------------------------------------------------------------------------------------------------

#define A(call, side, buffer) twin_path((call)->twin, side, (call)->a, buffer)
#define B(call, side, buffer) twin_path((call)->twin, side, (call)->b, buffer)

static err_t call_mkdir(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_mkdir(twin_root(), TB_AT_FDCWD, A(call, side, a), call->mode);
}

static err_t call_mknod(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_mknod(twin_root(), TB_AT_FDCWD, A(call, side, a), call->mode, call->offset);
}

static err_t call_unlink(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_unlink(twin_root(), TB_AT_FDCWD, A(call, side, a), call->flags);
}

static err_t call_rename(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES], b[TWIN_PATH_BYTES];
	return vfs_rename(twin_root(), TB_AT_FDCWD, A(call, side, a), TB_AT_FDCWD, B(call, side, b), call->flags);
}

static err_t call_link(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES], b[TWIN_PATH_BYTES];
	return vfs_link(twin_root(), TB_AT_FDCWD, A(call, side, a), TB_AT_FDCWD, B(call, side, b), call->flags);
}

static err_t call_symlink(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_symlink(twin_root(), call->name, TB_AT_FDCWD, A(call, side, a));
}

static err_t call_truncate(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_truncate(twin_root(), TB_AT_FDCWD, A(call, side, a), (int64_t)call->size);
}

// Subtrees do not sink, so that no path grows without end.
static bool may_move(const struct twin *twin, const char *from, const char *to)
{
	char path[TWIN_PATH_BYTES];
	struct tb_stat stat;

	if (vfs_stat(twin_root(), TB_AT_FDCWD, twin_path(twin, TWIN_MODEL, from, path), TB_AT_SYMLINK_NOFOLLOW,
		     &stat) != 0)
		return true;
	return (stat.mode & TB_S_IFMT) != TB_S_IFDIR || stat.nlink <= 2 || depth_of(to) <= depth_of(from);
}

static void rename_some(struct twin_call *call)
{
	bool exchange = false;

	call->flags = rand_below(&call->twin->rand, 3) == 0 ? 1 + rand_below(&call->twin->rand, 3) : 0;
	exchange = (call->flags & TB_RENAME_EXCHANGE) != 0;
	if (may_move(call->twin, call->a, call->b) && (!exchange || may_move(call->twin, call->b, call->a)))
		(void)twin_both(call, "rename", call_rename);
}

static void symlink_some(struct twin_call *call)
{
	static const char *const targets[] = {
		"a", "b", "./e", "a/c", "b/../d", "f", "a name that leads nowhere"}; // all stay below

	call->name = targets[rand_below(&call->twin->rand, array_count(targets))];
	(void)twin_both(call, "symlink", call_symlink);
}

static void mknod_some(struct twin_call *call)
{
	static const uint32_t kinds[] = {TB_S_IFREG, TB_S_IFREG, TB_S_IFIFO, TB_S_IFCHR, TB_S_IFBLK, TB_S_IFSOCK};

	call->mode |= kinds[rand_below(&call->twin->rand, array_count(kinds))];
	call->offset = 200u << 8 | rand_below(&call->twin->rand, 200); // nobody's
	(void)twin_both(call, "mknod", call_mknod);
}

// ---- attributes -------------------------------------------------------------------------------------------------------------------

static err_t call_chmod(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_chmod(twin_root(), TB_AT_FDCWD, A(call, side, a), call->mode, 0);
}

static err_t call_chown(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_chown(twin_root(), TB_AT_FDCWD, A(call, side, a), (uint32_t)call->offset, (uint32_t)call->offset2,
			 TB_AT_SYMLINK_NOFOLLOW);
}

static err_t call_utimens(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_utimens(twin_root(), TB_AT_FDCWD, A(call, side, a), call->times, TB_AT_SYMLINK_NOFOLLOW);
}

static err_t call_setxattr(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_setxattr(twin_root(), TB_AT_FDCWD, A(call, side, a), 0, call->name, call->twin->bytes[TWIN_PXFS],
			    (size_t)call->size, call->flags);
}

static err_t call_removexattr(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_removexattr(twin_root(), TB_AT_FDCWD, A(call, side, a), 0, call->name);
}

static void chown_some(struct twin_call *call)
{
	struct rand_stream *rand = &call->twin->rand;

	call->offset = rand_below(rand, 3) == 0 ? UINT32_MAX : rand_below(rand, 1000);
	call->offset2 = rand_below(rand, 3) == 0 ? UINT32_MAX : rand_below(rand, 100000);
	(void)twin_both(call, "chown", call_chown);
}

static void utimens_some(struct twin_call *call)
{
	struct rand_stream *rand = &call->twin->rand;

	for (uint32_t i = 0; i < 2; i++) {
		call->times[i].seconds = TWIN_MARK_S + (int64_t)rand_below(rand, TWIN_MARKS);
		call->times[i].nanoseconds = rand_below(rand, 1000000000);
	}
	if (rand_below(rand, 4) == 0)
		call->times[rand_below(rand, 2)].nanoseconds = rand_below(rand, 2) ? TB_UTIME_OMIT : TB_UTIME_NOW;
	(void)twin_both(call, "utimens", call_utimens);
}

static void xattr_some(struct twin_call *call)
{
	static const char *const names[] = {"user.a", "user.b", "user.name that is a little longer", "trusted.c",
					    "nowhere.d"};
	struct rand_stream *rand = &call->twin->rand;
	uint32_t how = rand_below(rand, 16);

	call->name = names[rand_below(rand, array_count(names))];
	call->flags = rand_below(rand, 4) == 0 ? TB_XATTR_CREATE : rand_below(rand, 5) == 0 ? TB_XATTR_REPLACE : 0;
	call->size = how == 0 ? rand_below(rand, 20000) : how < 4 ? rand_below(rand, 5000) : rand_below(rand, 100);
	rand_fill(rand, call->twin->bytes[TWIN_PXFS], (size_t)call->size);
	if (rand_below(rand, 4) == 0)
		(void)twin_both(call, "removexattr", call_removexattr);
	else
		(void)twin_both(call, "setxattr", call_setxattr);
}

// Only the volume has it, and nobody sees it but who asks for it.
static void compression_some(struct twin_call *call)
{
	static const char *const settings[] = {"lz4", "lz4:9,16k", "zstd:1,128k", "zstd:5", "none", "zstd:3,1m"};
	struct twin *twin = call->twin;
	const char *setting = settings[rand_below(&twin->rand, array_count(settings))];
	char a[TWIN_PATH_BYTES];

	twin->doing = "compression";
	err_t err = vfs_setxattr(twin_root(), TB_AT_FDCWD, A(call, TWIN_PXFS, a), TB_AT_SYMLINK_NOFOLLOW,
				 "pxfs.compression", setting, strlen(setting), 0);
	if (err == -ENOSPC && twin->may_be_full)
		twin->full++;
	else if (err != 0 && err != -ENOENT && err != -EPERM && err != -ENOTDIR && err != -EOPNOTSUPP && err != -ELOOP)
		twin_differ(twin, "%s: %pe", call->a, ERR_PTR(err));
}

// ---- opening ----------------------------------------------------------------------------------------------------------------------

static err_t call_open(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_open(twin_root(), TB_AT_FDCWD, A(call, side, a), call->flags | TB_O_NONBLOCK, call->mode,
			&call->fd[side]);
}

static void open_some(struct twin_call *call)
{
	static const uint32_t accesses[] = {TB_O_RDWR, TB_O_RDWR, TB_O_RDWR, TB_O_RDONLY, TB_O_WRONLY};
	struct rand_stream *rand = &call->twin->rand;

	call->flags = accesses[rand_below(rand, array_count(accesses))];
	call->flags |= rand_below(rand, 4) != 0 ? TB_O_CREAT : 0;
	call->flags |= rand_below(rand, 6) == 0 ? TB_O_EXCL : 0;
	call->flags |= rand_below(rand, 8) == 0 ? TB_O_TRUNC : 0;
	call->flags |= rand_below(rand, 6) == 0 ? TB_O_APPEND : 0;
	if ((call->flags & TB_O_CREAT) == 0)
		call->flags &= ~(uint32_t)TB_O_EXCL;
	if (twin_both(call, "open", call_open) == 0)
		held_keep(call->twin, call->fd);
}

static void tmpfile_some(struct twin_call *call)
{
	uint32_t folder = rand_below(&call->twin->rand, array_count(folders));

	strlcpy(call->a, *folders[folder] == '\0' ? "/" : folders[folder], sizeof call->a);
	call->flags = TB_O_TMPFILE | TB_O_RDWR;
	if (twin_both(call, "O_TMPFILE", call_open) == 0)
		held_keep(call->twin, call->fd);
}

static void call_begin(struct twin *twin, struct twin_call *call)
{
	*call = (struct twin_call){.twin = twin, .fd = {-1, -1}};
	name_draw(twin, call->a);
	name_draw(twin, call->b);
	call->mode = 0400 | rand_below(&twin->rand, 512);
}

static void name_change(struct twin *twin, struct twin_call *call)
{
	switch (rand_below(&twin->rand, 12)) {
	case 0:
	case 1:
	case 2:
		call->mode = 0755;
		(void)twin_both(call, "mkdir", call_mkdir);
		break;
	case 3:
		call->flags = TB_AT_REMOVEDIR;
		(void)twin_both(call, "rmdir", call_unlink);
		break;
	case 4:
	case 5:
		(void)twin_both(call, "unlink", call_unlink);
		break;
	case 6:
	case 7:
	case 8:
		rename_some(call);
		break;
	case 9:
		call->flags = rand_below(&twin->rand, 2) == 0 ? TB_AT_SYMLINK_FOLLOW : 0;
		(void)twin_both(call, "link", call_link);
		break;
	case 10:
		symlink_some(call);
		break;
	default:
		mknod_some(call);
	}
}

void twin_name_step(struct twin *twin)
{
	struct twin_call call;

	call_begin(twin, &call);
	switch (rand_below(&twin->rand, 16)) {
	case 0:
		(void)twin_both(&call, "chmod", call_chmod);
		break;
	case 1:
		chown_some(&call);
		break;
	case 2:
		utimens_some(&call);
		break;
	case 3:
	case 4:
		xattr_some(&call);
		break;
	case 5:
		compression_some(&call);
		break;
	case 6:
		call.size = rand_below(&twin->rand, TWIN_FILE_BYTES);
		(void)twin_both(&call, "truncate", call_truncate);
		break;
	case 7:
		tmpfile_some(&call);
		break;
	case 8:
	case 9:
	case 10:
		open_some(&call);
		break;
	default:
		name_change(twin, &call);
	}
}

void twin_step(struct twin *twin)
{
	twin->steps++;
	if (rand_below(&twin->rand, 2) == 0)
		twin_name_step(twin);
	else
		twin_file_step(twin);
}
