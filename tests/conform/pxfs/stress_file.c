// SPDX-License-Identifier: MIT
//
// Twins: calls on open files, many of which have lost their names, or never had one.
#include "stress.h"

#include "kern/string.h"

#define PAGE 4096u

static struct twin_held *held_pick(struct twin *twin)
{
	struct twin_held *held = &twin->held[rand_below(&twin->rand, TWIN_HELD)];
	return held->open ? held : NULL;
}

static void held_close(struct twin *twin, struct twin_held *held)
{
	for (uint32_t side = 0; held->open && side < TWIN_SIDES; side++)
		twin_require(twin, vfs_close(twin_root(), held->fd[side]), "close");
	held->open = false;
}

void held_keep(struct twin *twin, const int32_t fd[TWIN_SIDES])
{
	struct twin_held *held = &twin->held[rand_below(&twin->rand, TWIN_HELD)];

	held_close(twin, held);
	*held = (struct twin_held){.open = true, .fd = {fd[TWIN_PXFS], fd[TWIN_MODEL]}};
}

void twin_release(struct twin *twin)
{
	for (uint32_t i = 0; i < TWIN_HELD; i++)
		held_close(twin, &twin->held[i]);
}

// Where blocks and clusters end, and anywhere.
static uint64_t offset_draw(struct twin *twin)
{
	static const uint32_t units[] = {1, 1, 512, PAGE, PAGE, 16384, 65536};
	uint32_t unit = units[rand_below(&twin->rand, array_count(units))];
	uint32_t limit = rand_below(&twin->rand, 3) == 0 ? 6000 : TWIN_FILE_BYTES - TWIN_IO_BYTES;
	return rand_below(&twin->rand, limit) / unit * unit;
}

static uint64_t size_draw(struct twin *twin)
{
	static const uint32_t limits[] = {10, 300, 3000, 3000, 9000, 20000, TWIN_IO_BYTES};
	uint32_t limit = limits[rand_below(&twin->rand, array_count(limits))];
	uint64_t size = rand_below(&twin->rand, limit) + 1u;
	return rand_below(&twin->rand, 3) == 0 ? ALIGN_UP(size, (uint64_t)PAGE) : size;
}

// Some compress, some do not, some are zeroes.
static void bytes_fill(struct twin *twin, uint8_t *bytes, uint64_t size)
{
	uint32_t how = rand_below(&twin->rand, 8), first = rand_u32(&twin->rand);

	size = MIN(size, (uint64_t)TWIN_IO_BYTES);
	if (how < 3) {
		rand_fill(&twin->rand, bytes, (size_t)size);
		return;
	}
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = how == 3 ? 0 : (uint8_t)((first + i / 40) * (how + 1) + (i % how == 0));
}

// ---- reading and writing -----------------------------------------------------------------------------------------------------------

static err_t call_pwrite(struct twin_call *call, enum twin_side side)
{
	return vfs_pwrite(twin_root(), call->held->fd[side], call->value, (size_t)call->size, call->offset,
			  &call->done[side]);
}

static err_t call_write(struct twin_call *call, enum twin_side side)
{
	return vfs_write(twin_root(), call->held->fd[side], call->value, (size_t)call->size, &call->done[side]);
}

static err_t call_pread(struct twin_call *call, enum twin_side side)
{
	return vfs_pread(twin_root(), call->held->fd[side], call->twin->bytes[side], (size_t)call->size, call->offset,
			 &call->done[side]);
}

static err_t call_read(struct twin_call *call, enum twin_side side)
{
	return vfs_read(twin_root(), call->held->fd[side], call->twin->bytes[side], (size_t)call->size,
			&call->done[side]);
}

// What a full volume cut short the model cuts short in the same place.
static err_t call_write_as_far(struct twin_call *call, enum twin_side side)
{
	if (side == TWIN_MODEL && call->twin->may_be_full && call->done[TWIN_PXFS] != 0)
		call->size = call->done[TWIN_PXFS];
	return call->mode == 0 ? call_write(call, side) : call_pwrite(call, side);
}

static void done_compare(struct twin_call *call)
{
	if (call->done[TWIN_PXFS] != call->done[TWIN_MODEL])
		twin_differ(call->twin, "%llu bytes at %llu: %zu done, and %zu in the model",
			    (unsigned long long)call->size, (unsigned long long)call->offset, call->done[TWIN_PXFS],
			    call->done[TWIN_MODEL]);
}

static void write_some(struct twin_call *call)
{
	struct tb_stat stat;

	call->value = call->twin->bytes[TWIN_PXFS];
	bytes_fill(call->twin, call->twin->bytes[TWIN_PXFS], call->size);
	call->mode = rand_below(&call->twin->rand, 4);
	if (call->mode == 0 &&
	    (vfs_fstat(twin_root(), call->held->fd[TWIN_MODEL], &stat) != 0 || stat.size_bytes > TWIN_FILE_BYTES))
		return; // appending has no end
	if (twin_both(call, call->mode == 0 ? "write" : "pwrite", call_write_as_far) == 0)
		done_compare(call);
}

static void read_some(struct twin_call *call)
{
	struct twin *twin = call->twin;
	bool at = rand_below(&twin->rand, 3) != 0;

	if (twin_both(call, at ? "pread" : "read", at ? call_pread : call_read) != 0)
		return;
	done_compare(call);
	if (!twin->wrong && memcmp(twin->bytes[TWIN_PXFS], twin->bytes[TWIN_MODEL], call->done[TWIN_PXFS]) != 0)
		twin_differ(twin, "%zu bytes read at %llu are not those of the model", call->done[TWIN_PXFS],
			    (unsigned long long)call->offset);
}

static err_t call_seek(struct twin_call *call, enum twin_side side)
{
	return vfs_seek(twin_root(), call->held->fd[side], (int64_t)call->offset, (enum tb_seek)call->flags,
			&call->at[side]);
}

static void seek_some(struct twin_call *call)
{
	struct tb_stat stat;

	call->flags = rand_below(&call->twin->rand, 3);
	if (call->flags == TB_SEEK_CUR && call->offset > 30000)
		call->offset = 0;
	if (vfs_fstat(twin_root(), call->held->fd[TWIN_MODEL], &stat) != 0 || (stat.mode & TB_S_IFMT) == TB_S_IFDIR)
		return; // how large a directory is, is its own affair
	if (twin_both(call, "lseek", call_seek) == 0 && call->at[TWIN_PXFS] != call->at[TWIN_MODEL])
		twin_differ(call->twin, "at %llu, and at %llu in the model", (unsigned long long)call->at[TWIN_PXFS],
			    (unsigned long long)call->at[TWIN_MODEL]);
}

// ---- sizes and holes ----------------------------------------------------------------------------------------------------------------

static err_t call_ftruncate(struct twin_call *call, enum twin_side side)
{
	return vfs_ftruncate(twin_root(), call->held->fd[side], (int64_t)call->offset);
}

static err_t call_fallocate(struct twin_call *call, enum twin_side side)
{
	return vfs_fallocate(twin_root(), call->held->fd[side], call->flags, (int64_t)call->offset,
			     (int64_t)call->size);
}

static size_t piece_read(struct twin_call *call, enum twin_side side, int32_t fd, uint64_t at, size_t size)
{
	size_t done = 0;
	twin_require(call->twin, vfs_pread(twin_root(), fd, call->twin->bytes[side], size, at, &done), "pread");
	return done;
}

// A range that a full volume has changed in part: each page is what it was, or what it was to become (`from` < 0: zeroes). The model gets the same.
static void range_reconcile(struct twin_call *call, uint64_t at, uint64_t size, int32_t from, uint64_t from_at)
{
	struct twin *twin = call->twin;
	uint8_t *found = twin->bytes[TWIN_PXFS], *model = twin->bytes[TWIN_MODEL];
	int32_t fd = call->held->fd[TWIN_PXFS], model_fd = call->held->fd[TWIN_MODEL];

	for (uint64_t done = 0; done < size && !twin->wrong;) {
		size_t part = (size_t)MIN(size - done, PAGE - (at + done) % PAGE), there = 0, moved = 0;
		there = piece_read(call, TWIN_PXFS, fd, at + done, part);
		if (piece_read(call, TWIN_MODEL, model_fd, at + done, part) != there) {
			twin_differ(twin, "%s: its size has changed", call->a);
			return;
		}
		if (memcmp(found, model, there) != 0) {
			memset(model, 0, part);
			if (from >= 0)
				(void)piece_read(call, TWIN_MODEL, from, from_at + done, part);
			if (memcmp(found, model, there) != 0)
				twin_differ(twin, "the page at %llu is neither old nor new",
					    (unsigned long long)(at + done));
			twin_require(twin, vfs_pwrite(twin_root(), model_fd, found, there, at + done, &moved), "model");
		}
		done += part;
	}
}

static bool reads_and_writes(const struct twin_held *held)
{
	uint32_t flags = 0;
	return vfs_get_flags(twin_root(), held->fd[TWIN_MODEL], &flags) == 0 && (flags & TB_O_ACCMODE) == TB_O_RDWR &&
	       (flags & TB_O_APPEND) == 0;
}

static void fallocate_some(struct twin_call *call)
{
	static const uint32_t modes[] = {0,
					 TB_FALLOC_KEEP_SIZE,
					 TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE,
					 TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE,
					 TB_FALLOC_ZERO_RANGE,
					 TB_FALLOC_ZERO_RANGE | TB_FALLOC_KEEP_SIZE,
					 TB_FALLOC_PUNCH_HOLE};

	call->flags = modes[rand_below(&call->twin->rand, array_count(modes))];
	if (call->twin->may_be_full && !reads_and_writes(call->held))
		return;
	if (twin_both(call, "fallocate", call_fallocate) == -ENOSPC && (call->flags & TB_FALLOC_ZERO_RANGE) != 0)
		range_reconcile(call, call->offset, call->size, -1, 0);
}

// ---- from file to file --------------------------------------------------------------------------------------------------------------

static err_t call_copy(struct twin_call *call, enum twin_side side)
{
	uint64_t from = call->offset, to = call->offset2, size = side == TWIN_PXFS ? call->size : call->done[TWIN_PXFS];
	size_t done = 0;
	err_t err = 0;

	if (side == TWIN_MODEL && size == 0) // at the end of the file, or an error
		size = call->size;
	call->done[side] = 0;
	do {
		err = vfs_copy_range(twin_root(), call->other->fd[side], &from, call->held->fd[side], &to,
				     (size_t)(size - call->done[side]), 0, &done);
		call->done[side] += done;
	} while (side == TWIN_MODEL && err == 0 && done != 0 && call->done[side] < size);
	return err;
}

// The volume may do a part only; the model does as much. It judges whether ranges overlap by what was asked for, so that is asked by the volume alone.
static void copy_some(struct twin_call *call)
{
	if (twin_both(call, "copy_file_range", call_copy) == 0)
		done_compare(call);
}

struct clone_rule {
	err_t err;
	uint64_t size;
};

// What ioctl_ficlonerange(2) says of ranges in files that may be read and written.
static struct clone_rule clone_rule_of(struct twin_call *call, const struct tb_stat *from, const struct tb_stat *to)
{
	struct clone_rule rule = {.size = call->size != 0 ? call->size
							  : from->size_bytes - MIN(call->offset, from->size_bytes)};
	uint64_t from_end = call->offset + rule.size, to_end = call->offset2 + rule.size;
	bool at_end = from_end == from->size_bytes && to_end >= to->size_bytes;

	if (call->offset > from->size_bytes || from_end > from->size_bytes)
		rule.err = -EINVAL;
	else if (rule.size != 0 && (call->offset % PAGE != 0 || call->offset2 % PAGE != 0))
		rule.err = -EINVAL;
	else if (rule.size != 0 && !at_end && rule.size % PAGE != 0)
		rule.err = -EINVAL;
	else if (rule.size != 0 && from->ino == to->ino && call->offset < to_end && call->offset2 < from_end)
		rule.err = -EINVAL;
	return rule;
}

static void clone_some(struct twin_call *call)
{
	struct twin *twin = call->twin;
	struct tb_stat from, to;
	bool whole = rand_below(&twin->rand, 2) == 0;

	twin->doing = whole ? "FICLONE" : "FICLONERANGE";
	if (whole || rand_below(&twin->rand, 4) == 0)
		call->size = 0;
	if (whole)
		call->offset = call->offset2 = 0;
	if (!reads_and_writes(call->held) || !reads_and_writes(call->other))
		return;
	twin_require(twin, vfs_fstat(twin_root(), call->other->fd[TWIN_MODEL], &from), "fstat");
	twin_require(twin, vfs_fstat(twin_root(), call->held->fd[TWIN_MODEL], &to), "fstat");
	if ((from.mode & TB_S_IFMT) != TB_S_IFREG || (to.mode & TB_S_IFMT) != TB_S_IFREG)
		return;
	struct tb_clone_range range = {call->other->fd[TWIN_PXFS], call->offset, call->size, call->offset2};
	struct clone_rule rule = clone_rule_of(call, &from, &to);
	err_t err = vfs_ioctl(twin_root(), call->held->fd[TWIN_PXFS], whole ? TB_FICLONE : TB_FICLONERANGE,
			      whole ? (void *)&call->other->fd[TWIN_PXFS] : (void *)&range);
	if (err == -ENOSPC && twin->may_be_full) {
		twin->full++;
		range_reconcile(call, call->offset2, rule.size, call->other->fd[TWIN_MODEL], call->offset);
		return;
	}
	if (err != rule.err)
		twin_differ(twin, "%llu bytes from %llu of %llu to %llu of %llu: %pe, not %pe",
			    (unsigned long long)call->size, (unsigned long long)call->offset,
			    (unsigned long long)from.size_bytes, (unsigned long long)call->offset2,
			    (unsigned long long)to.size_bytes, ERR_PTR(err), ERR_PTR(rule.err));
	call->done[TWIN_PXFS] = (size_t)rule.size;
	if (err == 0 && rule.size != 0)
		twin_require(twin, call_copy(call, TWIN_MODEL), "the model's copy");
}

// ---- names and attributes by descriptor -----------------------------------------------------------------------------------------------

static err_t call_link_fd(struct twin_call *call, enum twin_side side)
{
	char a[TWIN_PATH_BYTES];
	return vfs_link(twin_root(), call->held->fd[side], "", TB_AT_FDCWD, twin_path(call->twin, side, call->a, a),
			TB_AT_EMPTY_PATH);
}

static err_t call_fsync(struct twin_call *call, enum twin_side side)
{
	return vfs_fsync(twin_root(), call->held->fd[side]);
}

static err_t call_fchmod(struct twin_call *call, enum twin_side side)
{
	return vfs_fchmod(twin_root(), call->held->fd[side], call->mode);
}

static err_t call_fchown(struct twin_call *call, enum twin_side side)
{
	return vfs_fchown(twin_root(), call->held->fd[side], call->mode, call->mode + 1);
}

static err_t call_handle(struct twin_call *call, enum twin_side side)
{
	return vfs_name_to_handle(twin_root(), call->held->fd[side], "", TB_AT_EMPTY_PATH, &call->handle[side]);
}

static err_t call_open_handle(struct twin_call *call, enum twin_side side)
{
	return vfs_open_handle(twin_root(), call->held->fd[side], &call->handle[side], TB_O_RDWR | TB_O_NONBLOCK,
			       &call->fd[side]);
}

static void handle_some(struct twin_call *call)
{
	if (twin_both(call, "name_to_handle_at", call_handle) == 0 &&
	    twin_both(call, "open_by_handle_at", call_open_handle) == 0)
		held_keep(call->twin, call->fd);
}

static void descriptor_some(struct twin_call *call)
{
	switch (rand_below(&call->twin->rand, 8)) {
	case 0:
	case 1:
		name_draw(call->twin, call->a);
		(void)twin_both(call, "linkat", call_link_fd);
		break;
	case 2:
		(void)twin_both(call, "fsync", call_fsync);
		break;
	case 3:
		(void)twin_both(call, "fchmod", call_fchmod);
		break;
	case 4:
		(void)twin_both(call, "fchown", call_fchown);
		break;
	case 5:
		handle_some(call);
		break;
	case 6:
		seek_some(call);
		break;
	default:
		held_close(call->twin, call->held);
	}
}

void twin_file_step(struct twin *twin)
{
	struct twin_call call = {.twin = twin, .fd = {-1, -1}, .held = held_pick(twin), .other = held_pick(twin)};

	call.offset = offset_draw(twin);
	call.offset2 = offset_draw(twin);
	call.size = size_draw(twin);
	call.mode = rand_below(&twin->rand, 512);
	if (call.held == NULL) {
		twin_name_step(twin);
		return;
	}
	switch (rand_below(&twin->rand, 15)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		write_some(&call);
		break;
	case 5:
		read_some(&call);
		break;
	case 6:
		(void)twin_both(&call, "ftruncate", call_ftruncate);
		break;
	case 7:
	case 8:
		fallocate_some(&call);
		break;
	case 9:
	case 10:
		if (call.other != NULL)
			copy_some(&call);
		break;
	case 11:
	case 12:
		if (call.other != NULL)
			clone_some(&call);
		break;
	default:
		descriptor_some(&call);
	}
}
