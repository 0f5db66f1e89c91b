// SPDX-License-Identifier: MIT
//
// The model's calls.
#include "model.h"

#include "kern/base.h"
#include "kern/string.h"
#include "tbos/file_types.h"

void model_init(struct model *model)
{
	memset(model, 0, sizeof *model);
	memset(model->entries, -1, sizeof model->entries);
	memset(model->found, -1, sizeof model->found);
	for (uint32_t i = 0; i < MODEL_NODES; i++)
		model->nodes[i].parent = -1;
	for (uint32_t i = 0; i < MODEL_FIRST; i++)
		model->nodes[i].exists = 1;
	for (uint32_t i = 0; i < MODEL_DIRS; i++)
		model->nodes[i].directory = 1;
}

static bool is_dead(const struct model *model, uint32_t dir)
{
	return dir != 0 && model->nodes[dir].parent < 0;
}

static bool is_empty(const struct model *model, int8_t node)
{
	if ((uint32_t)node >= MODEL_DIRS)
		return true; // nobody has a descriptor of it
	for (uint32_t i = 0; i < MODEL_NAMES; i++)
		if (model->entries[node][i] >= 0)
			return false;
	return true;
}

// Whether `node` is `dir` or above it.
static bool is_above(const struct model *model, int8_t node, uint32_t dir)
{
	for (int8_t at = (int8_t)dir; at >= 0; at = model->nodes[at].parent)
		if (at == node)
			return true;
	return false;
}

static bool is_directory(const struct model *model, int8_t node)
{
	return model->nodes[node].directory != 0;
}

static void name_set(struct model *model, uint32_t dir, uint32_t name, int8_t node)
{
	model->entries[dir][name] = node;
	if (is_directory(model, node))
		model->nodes[node].parent = (int8_t)dir;
	else
		model->nodes[node].links++;
}

static void name_clear(struct model *model, uint32_t dir, uint32_t name)
{
	int8_t node = model->entries[dir][name];

	model->entries[dir][name] = -1;
	if (is_directory(model, node))
		model->nodes[node].parent = -1;
	else
		model->nodes[node].links--;
}

// A number that is told now, or was told before, of the same node.
static bool bind(struct model *model, int8_t node, uint64_t ino)
{
	if (ino == 0 || model->nodes[node].ino == ino)
		return true;
	for (uint32_t i = 0; i < MODEL_NODES; i++)
		if (model->nodes[i].ino == ino)
			return false;
	if (model->nodes[node].ino != 0)
		return false;
	model->nodes[node].ino = ino;
	return true;
}

static bool answer(bool right)
{
	return right;
}

static bool make(struct model *model, const struct model_op *op, uint32_t place, bool directory)
{
	uint32_t made = MODEL_MADE + place;

	model->nodes[made] = (struct model_node){.exists = 1, .directory = directory, .parent = -1};
	name_set(model, op->dir, op->name, (int8_t)made);
	return bind(model, (int8_t)made, op->ino);
}

static bool create(struct model *model, const struct model_op *op, uint32_t place)
{
	int8_t there = model->entries[op->dir][op->name];

	if (is_dead(model, op->dir))
		return answer(op->err == -ENOENT);
	if (there < 0)
		return op->err == 0 && make(model, op, place, op->kind == MODEL_MKDIR);
	if (op->kind != MODEL_CREATE)
		return answer(op->err == -EEXIST);
	if (is_directory(model, there))
		return answer(op->err == -EISDIR);
	return op->err == 0 && bind(model, there, op->ino);
}

static bool unlink(struct model *model, const struct model_op *op)
{
	int8_t there = model->entries[op->dir][op->name];

	if (there < 0)
		return answer(op->err == -ENOENT);
	if (op->kind == MODEL_UNLINK && is_directory(model, there))
		return answer(op->err == -EISDIR);
	if (op->kind == MODEL_RMDIR && !is_directory(model, there))
		return answer(op->err == -ENOTDIR);
	if (op->kind == MODEL_RMDIR && !is_empty(model, there))
		return answer(op->err == -ENOTEMPTY);
	if (op->err != 0)
		return false;
	name_clear(model, op->dir, op->name);
	return true;
}

// Several reasons may hold at once, and which is told is not for the model to say.
static bool rename_refused(const struct model *model, const struct model_op *op, bool *refused)
{
	int8_t from = model->entries[op->dir][op->name], to = model->entries[op->dir2][op->name2];
	bool exchange = (op->flags & TB_RENAME_EXCHANGE) != 0;
	bool from_is_dir = from >= 0 && is_directory(model, from), to_is_dir = to >= 0 && is_directory(model, to);
	bool replaces = from >= 0 && to >= 0 && !exchange;
	const struct {
		bool holds;
		err_t err;
	} reasons[] = {
		{from < 0 || is_dead(model, op->dir2) || (exchange && to < 0), -ENOENT},
		{(op->flags & TB_RENAME_NOREPLACE) && to >= 0, -EEXIST},
		{from_is_dir && is_above(model, from, op->dir2), -EINVAL},
		{exchange && to_is_dir && is_above(model, to, op->dir), -EINVAL},
		{!exchange && to_is_dir && is_above(model, to, op->dir), -ENOTEMPTY},
		{replaces && from_is_dir && !to_is_dir, -ENOTDIR},
		{replaces && !from_is_dir && to_is_dir, -EISDIR},
		{replaces && to_is_dir && !is_empty(model, to), -ENOTEMPTY},
	};
	bool told = false;

	*refused = false;
	if (from >= 0 && from == to && !(op->flags & TB_RENAME_NOREPLACE))
		return op->err == 0; // two names of one file, or one name: nothing is done
	for (uint32_t i = 0; i < array_count(reasons); i++) {
		*refused = *refused || reasons[i].holds;
		told = told || (reasons[i].holds && reasons[i].err == op->err);
	}
	return *refused ? told : op->err == 0;
}

static bool rename(struct model *model, const struct model_op *op)
{
	int8_t from = model->entries[op->dir][op->name], to = model->entries[op->dir2][op->name2];
	bool refused;

	if (!rename_refused(model, op, &refused))
		return false;
	if (refused || from == to)
		return true;
	name_clear(model, op->dir, op->name);
	if (to >= 0)
		name_clear(model, op->dir2, op->name2);
	name_set(model, op->dir2, op->name2, from);
	if (op->flags & TB_RENAME_EXCHANGE)
		name_set(model, op->dir, op->name, to);
	return true;
}

static enum model_step link(struct model *model, const struct model_op *op, uint32_t worker, bool second)
{
	int8_t found = second ? model->found[worker] : model->entries[op->dir][op->name];

	if (!second) {
		if (found < 0)
			return op->err == -ENOENT ? MODEL_DONE : MODEL_NO;
		model->found[worker] = found;
		return MODEL_HALF;
	}
	model->found[worker] = -1;
	bool there = model->entries[op->dir2][op->name2] >= 0, folder = is_directory(model, found);
	bool gone = is_dead(model, op->dir2) || (!folder && model->nodes[found].links == 0);
	if (!there && !folder && !gone && op->err == 0) {
		name_set(model, op->dir2, op->name2, found);
		return MODEL_DONE;
	}
	bool told = (there && op->err == -EEXIST) || (folder && op->err == -EPERM) || (gone && op->err == -ENOENT);
	return told ? MODEL_DONE : MODEL_NO;
}

static bool stat(struct model *model, const struct model_op *op)
{
	int8_t there = model->entries[op->dir][op->name];

	if (there < 0)
		return answer(op->err == -ENOENT);
	return op->err == 0 && op->directory == is_directory(model, there) && bind(model, there, op->ino);
}

static bool contents(struct model *model, const struct model_op *op)
{
	uint8_t *letters = model->letters[op->dir], *size = &model->size[op->dir];
	uint32_t end = MIN((uint32_t)op->unit + op->count, MODEL_UNITS);

	if (op->err != 0)
		return false;
	if (op->kind == MODEL_TRUNCATE) {
		*size = op->unit;
		memset(letters + op->unit, 0, MODEL_UNITS - op->unit);
		return true;
	}
	bool write = op->kind == MODEL_WRITE;
	for (uint32_t i = op->unit; i < end; i++)
		letters[i] = write ? op->letter : 0;
	if (write && end > *size)
		*size = (uint8_t)end;
	return true;
}

enum model_step model_apply(struct model *model, const struct model_op *op, uint32_t worker, uint32_t place,
			    bool second)
{
	bool can;

	switch (op->kind) {
	case MODEL_CREATE:
	case MODEL_CREATE_EXCL:
	case MODEL_MKDIR:
		can = create(model, op, place);
		break;
	case MODEL_UNLINK:
	case MODEL_RMDIR:
		can = unlink(model, op);
		break;
	case MODEL_RENAME:
		can = rename(model, op);
		break;
	case MODEL_LINK:
		return link(model, op, worker, second);
	case MODEL_STAT:
		can = stat(model, op);
		break;
	default:
		can = contents(model, op);
	}
	return can ? MODEL_DONE : MODEL_NO;
}

// Nodes are told apart by number, where one is known.
static bool same_node(const struct model *model, int8_t a, const struct model *end, int8_t b)
{
	if (a < 0 || b < 0)
		return a < 0 && b < 0;
	const struct model_node *one = &model->nodes[a], *other = &end->nodes[b];
	return one->directory == other->directory && one->links == other->links &&
	       (one->ino == other->ino || one->ino == 0);
}

bool model_matches(const struct model *model, const struct model *end)
{
	for (uint32_t dir = 0; dir < MODEL_DIRS; dir++) {
		if (is_dead(model, dir) != is_dead(end, dir))
			return false;
		for (uint32_t name = 0; name < MODEL_NAMES; name++)
			if (!same_node(model, model->entries[dir][name], end, end->entries[dir][name]))
				return false;
	}
	for (uint32_t i = 0; i < MODEL_FILES; i++)
		if (model->nodes[MODEL_DIRS + i].links != end->nodes[MODEL_DIRS + i].links)
			return false;
	return memcmp(model->size, end->size, sizeof model->size) == 0 &&
	       memcmp(model->letters, end->letters, sizeof model->letters) == 0;
}
