// SPDX-License-Identifier: MIT
//
// Random calls of many threads in one small tree, beside the model: renames of all kinds against each other, names that come and go in directories
// that come and go, links, writers against those who cut. Behind each episode the tree is read back, and there must be an order of the
// calls that explains it, and every answer.
#include "model.h"

#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/mem.h"
#include "kern/rand.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/test.h"
#include "kern/vfs.h"

#define EPISODES 8u
#define UNIT_BYTES 1500u // so that units lie across pages
#define TOP "/model"

static const char *const names[MODEL_NAMES] = {"a", "b", "p", "q"};

struct stage {
	struct test_run *run;
	struct process *process; // one, whose threads the workers are
	int32_t dirs[MODEL_DIRS], files[MODEL_FILES];
	uint64_t inos[MODEL_FIRST];
	uint32_t clock; // atomic: beginnings and ends
	struct model begin, end;
	struct model_op ops[MODEL_WORKERS][MODEL_OPS];
	uint8_t bytes[MODEL_UNITS * UNIT_BYTES];
};

#define STAGE_CHECK(stage, expr) test_check((stage)->run, (expr), #expr, __FILE__, __LINE__)

// ---- one call --------------------------------------------------------------------------------------------------------------

static err_t create(struct stage *stage, struct model_op *op)
{
	uint32_t flags = TB_O_WRONLY | TB_O_CREAT | (op->kind == MODEL_CREATE_EXCL ? TB_O_EXCL : 0);
	struct tb_stat stat;
	int32_t fd;

	err_t err = vfs_open(stage->process, stage->dirs[op->dir], names[op->name], flags, 0644, &fd);
	if (err != 0)
		return err;
	STAGE_CHECK(stage, vfs_fstat(stage->process, fd, &stat) == 0);
	op->ino = stat.ino;
	return vfs_close(stage->process, fd);
}

static err_t contents(struct stage *stage, const struct model_op *op)
{
	int32_t fd = stage->files[op->dir];
	uint32_t count = op->unit + op->count <= MODEL_UNITS ? op->count : MODEL_UNITS - op->unit;
	size_t size = (size_t)count * UNIT_BYTES, done = 0;
	uint64_t offset = (uint64_t)op->unit * UNIT_BYTES;

	if (op->kind == MODEL_TRUNCATE)
		return vfs_ftruncate(stage->process, fd, (int64_t)offset);
	if (op->kind == MODEL_PUNCH)
		return vfs_fallocate(stage->process, fd, TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE, (int64_t)offset,
				     (int64_t)size);
	uint8_t *bytes = kmalloc(size, 0);
	if (bytes == NULL)
		return -ENOMEM;
	memset(bytes, op->letter, size);
	err_t err = vfs_pwrite(stage->process, fd, bytes, size, offset, &done);
	STAGE_CHECK(stage, err != 0 || done == size);
	kfree(bytes);
	return err;
}

static err_t op_call(struct stage *stage, struct model_op *op)
{
	struct process *process = stage->process;
	const char *name = names[op->name], *other = names[op->name2];
	int32_t dir = stage->dirs[op->dir % MODEL_DIRS], dir2 = stage->dirs[op->dir2];
	struct tb_stat stat;
	err_t err;

	switch (op->kind) {
	case MODEL_CREATE:
	case MODEL_CREATE_EXCL:
		return create(stage, op);
	case MODEL_MKDIR:
		return vfs_mkdir(process, dir, name, 0755);
	case MODEL_UNLINK:
		return vfs_unlink(process, dir, name, 0);
	case MODEL_RMDIR:
		return vfs_unlink(process, dir, name, TB_AT_REMOVEDIR);
	case MODEL_RENAME:
		return vfs_rename(process, dir, name, dir2, other, op->flags);
	case MODEL_LINK:
		return vfs_link(process, dir, name, dir2, other, 0);
	case MODEL_STAT:
		err = vfs_stat(process, dir, name, 0, &stat);
		op->ino = err == 0 ? stat.ino : 0;
		op->directory = err == 0 && (stat.mode & TB_S_IFMT) == TB_S_IFDIR;
		return err;
	default:
		return contents(stage, op);
	}
}

struct worker {
	struct stage *stage;
	struct thread *thread;
	uint32_t number;
};

static void worker_main(void *arg)
{
	struct worker *worker = arg;
	struct stage *stage = worker->stage;

	for (uint32_t i = 0; i < MODEL_OPS; i++) {
		struct model_op *op = &stage->ops[worker->number][i];
		op->start = atomic_fetch_add_u32_acq_rel(&stage->clock, 1);
		op->err = op_call(stage, op);
		op->end = atomic_fetch_add_u32_acq_rel(&stage->clock, 1);
	}
}

// ---- reading the tree back -------------------------------------------------------------------------------------------------

// The node of that number; a new one when nobody has it yet.
static int8_t node_of(struct model *model, uint64_t ino)
{
	for (uint32_t i = 0; i < MODEL_NODES; i++) {
		if (model->nodes[i].ino == ino)
			return (int8_t)i;
		if (i >= MODEL_FIRST && model->nodes[i].exists == 0) {
			model->nodes[i] = (struct model_node){.ino = ino, .exists = 1, .parent = -1};
			return (int8_t)i;
		}
	}
	return -1;
}

// By names, and by listing: both must say the same.
static void dir_read(struct stage *stage, struct model *model, uint32_t dir)
{
	struct tb_dirent *entries = kmalloc(8 * sizeof *entries, 0);
	uint32_t listed = 0, count = 0, present = 0;
	uint64_t position;

	if (entries == NULL || vfs_seek(stage->process, stage->dirs[dir], 0, TB_SEEK_SET, &position) != 0)
		count = UINT32_MAX;
	err_t err = count == 0 ? vfs_readdir(stage->process, stage->dirs[dir], entries, 8, &count) : 0;
	for (uint32_t name = 0; name < MODEL_NAMES; name++) {
		struct tb_stat stat;
		if (vfs_stat(stage->process, stage->dirs[dir], names[name], 0, &stat) != 0)
			continue;
		int8_t node = node_of(model, stat.ino);
		STAGE_CHECK(stage, node >= 0);
		if (node < 0)
			continue;
		model->entries[dir][name] = node;
		model->nodes[node].directory = (stat.mode & TB_S_IFMT) == TB_S_IFDIR;
		if (model->nodes[node].directory)
			model->nodes[node].parent = (int8_t)dir;
		else
			model->nodes[node].links = (uint8_t)stat.nlink;
		present++;
		for (uint32_t i = 0; count <= 8 && i < count; i++)
			listed += str_equal(entries[i].name, names[name]) && entries[i].ino == stat.ino;
	}
	bool gone = dir != 0 && err == -ENOENT; // removed, it lists nothing at all
	STAGE_CHECK(stage, err == 0 || gone);
	STAGE_CHECK(stage, listed == present && count == (gone ? 0 : present + 2));
	kfree(entries);
}

static void file_read(struct stage *stage, struct model *model, uint32_t file)
{
	size_t done = 0;
	struct tb_stat stat;

	STAGE_CHECK(stage, vfs_fstat(stage->process, stage->files[file], &stat) == 0);
	model->nodes[MODEL_DIRS + file].links = (uint8_t)stat.nlink;
	STAGE_CHECK(stage,
		    vfs_pread(stage->process, stage->files[file], stage->bytes, sizeof stage->bytes, 0, &done) == 0);
	STAGE_CHECK(stage, done == stat.size_bytes && done % UNIT_BYTES == 0);
	model->size[file] = (uint8_t)(done / UNIT_BYTES);
	for (size_t i = 0; i < done; i++) {
		uint8_t *letter = &model->letters[file][i / UNIT_BYTES];
		if (i % UNIT_BYTES == 0)
			*letter = stage->bytes[i];
		STAGE_CHECK(stage, stage->bytes[i] == *letter); // a call writes units whole
	}
}

static void tree_read(struct stage *stage, struct model *model)
{
	model_init(model);
	for (uint32_t i = 0; i < MODEL_FIRST; i++)
		model->nodes[i].ino = stage->inos[i];
	for (uint32_t dir = 0; dir < MODEL_DIRS; dir++)
		dir_read(stage, model, dir);
	for (uint32_t file = 0; file < MODEL_FILES; file++)
		file_read(stage, model, file);
}

// ---- an episode ------------------------------------------------------------------------------------------------------------

static uint64_t known(struct stage *stage, int32_t fd)
{
	struct tb_stat stat = {0};
	STAGE_CHECK(stage, vfs_fstat(stage->process, fd, &stat) == 0);
	return stat.ino;
}

static void stage_open(struct stage *stage)
{
	static const char *const dirs[MODEL_DIRS] = {TOP, TOP "/p", TOP "/p/q"}, *const files[MODEL_FILES] = {
											 TOP "/a", TOP "/p/b"};

	STAGE_CHECK(stage, vfs_mount(vfs_monitor_process(), "model", TOP, "tmpfs", 0, "", NULL) == 0);
	for (uint32_t i = 0; i < MODEL_DIRS; i++) {
		STAGE_CHECK(stage, i == 0 || vfs_mkdir(stage->process, TB_AT_FDCWD, dirs[i], 0755) == 0);
		STAGE_CHECK(stage, vfs_open(stage->process, TB_AT_FDCWD, dirs[i], TB_O_RDONLY | TB_O_DIRECTORY, 0,
					    &stage->dirs[i]) == 0);
		stage->inos[i] = known(stage, stage->dirs[i]);
	}
	for (uint32_t i = 0; i < MODEL_FILES; i++) {
		STAGE_CHECK(stage, vfs_open(stage->process, TB_AT_FDCWD, files[i], TB_O_RDWR | TB_O_CREAT, 0644,
					    &stage->files[i]) == 0);
		stage->inos[MODEL_DIRS + i] = known(stage, stage->files[i]);
	}
}

static void stage_close(struct stage *stage)
{
	for (uint32_t i = 0; i < MODEL_DIRS; i++)
		STAGE_CHECK(stage, vfs_close(stage->process, stage->dirs[i]) == 0);
	for (uint32_t i = 0; i < MODEL_FILES; i++)
		STAGE_CHECK(stage, vfs_close(stage->process, stage->files[i]) == 0);
	STAGE_CHECK(stage, vfs_umount(vfs_monitor_process(), TOP, 0) == 0);
}

// Renames are every third call.
static void op_choose(struct rand_stream *rand, struct model_op *op)
{
	uint32_t kind = rand_below(rand, MODEL_KINDS + 4);

	*op = (struct model_op){.kind = kind < MODEL_KINDS ? (uint8_t)kind : (uint8_t)MODEL_RENAME};
	bool contents = op->kind >= MODEL_WRITE;
	op->dir = (uint8_t)rand_below(rand, contents ? MODEL_FILES : MODEL_DIRS);
	op->name = (uint8_t)rand_below(rand, MODEL_NAMES);
	op->dir2 = (uint8_t)rand_below(rand, MODEL_DIRS);
	op->name2 = (uint8_t)rand_below(rand, MODEL_NAMES);
	op->flags = (uint8_t)(op->kind == MODEL_RENAME ? rand_below(rand, 5) % 3 : 0); // plain, not replacing, exchange
	op->unit = (uint8_t)rand_below(rand, MODEL_UNITS);
	op->count = (uint8_t)(1 + rand_below(rand, 3));
	op->letter = (uint8_t)('A' + rand_below(rand, 26));
}

static void tree_tell(const struct model *model, const char *when)
{
	for (uint32_t dir = 0; dir < MODEL_DIRS; dir++)
		for (uint32_t name = 0; name < MODEL_NAMES; name++) {
			int8_t node = model->entries[dir][name];
			if (node >= 0)
				log_err("model: %s: %u/%s is %llu, %u links", when, dir, names[name],
					(unsigned long long)model->nodes[node].ino, model->nodes[node].links);
		}
	for (uint32_t i = 0; i < MODEL_FILES; i++)
		log_err("model: %s: file %u has %u links and %u: %.6s", when, i, model->nodes[MODEL_DIRS + i].links,
			model->size[i], (const char *)model->letters[i]);
}

static void failure_tell(struct stage *stage)
{
	static const char *const kinds[MODEL_KINDS] = {"create", "create-excl", "mkdir", "unlink",   "rmdir", "rename",
						       "link",   "stat",        "write", "truncate", "punch"};

	tree_tell(&stage->begin, "before");
	tree_tell(&stage->end, "after");
	for (uint32_t i = 0; i < MODEL_WORKERS; i++)
		for (uint32_t k = 0; k < MODEL_OPS; k++) {
			const struct model_op *op = &stage->ops[i][k];
			log_err("model: %u: %u…%u %s %u/%s %u/%s %u, %u+%u %c: %d, %llu%s", i, op->start, op->end,
				kinds[op->kind], op->dir, names[op->name], op->dir2, names[op->name2], op->flags,
				op->unit, op->count, op->letter, op->err, (unsigned long long)op->ino,
				op->directory ? "/" : "");
		}
}

static void episode(struct stage *stage, struct rand_stream *rand)
{
	struct thread_params params = {.name = "model", .klass = CLASS_FAIR};
	struct worker workers[MODEL_WORKERS];
	uint32_t started = 0;

	stage_open(stage);
	tree_read(stage, &stage->begin);
	stage->clock = 1;
	for (uint32_t i = 0; i < MODEL_WORKERS; i++)
		for (uint32_t k = 0; k < MODEL_OPS; k++)
			op_choose(rand, &stage->ops[i][k]);
	for (; started < MODEL_WORKERS; started++) {
		workers[started] = (struct worker){.stage = stage, .number = started};
		if (thread_start(&params, worker_main, &workers[started], &workers[started].thread) != 0)
			break;
	}
	STAGE_CHECK(stage, started == MODEL_WORKERS);
	for (uint32_t i = 0; i < started; i++)
		STAGE_CHECK(stage, thread_join(workers[i].thread, NULL) == 0);
	tree_read(stage, &stage->end);
	err_t err = model_search(&stage->begin, stage->ops, &stage->end);
	STAGE_CHECK(stage, err == 0);
	if (err != 0)
		failure_tell(stage);
	stage_close(stage);
}

TEST(fs_model, every_order_is_an_order)
{
	struct stage *stage = kmalloc(sizeof *stage, MEM_ZERO);
	struct rand_stream rand;

	REQUIRE(stage != NULL);
	stage->run = test_run_;
	rand_open(&rand, "test: fs_model", 0);
	CHECK_EQ(vfs_mkdir(vfs_monitor_process(), TB_AT_FDCWD, TOP, 0755), 0);
	CHECK_EQ(process_create("model", vfs_monitor_process(), &stage->process), 0);
	for (uint32_t i = 0; i < EPISODES && test_run_->failures == 0; i++)
		episode(stage, &rand);
	process_put(stage->process);
	CHECK_EQ(vfs_unlink(vfs_monitor_process(), TB_AT_FDCWD, TOP, TB_AT_REMOVEDIR), 0);
	kfree(stage);
}

// ---- the search itself -----------------------------------------------------------------------------------------------------

// Three calls of different workers, the rest stats of what is not there, behind all.
static void history(struct model_op ops[MODEL_WORKERS][MODEL_OPS])
{
	memset(ops, 0, sizeof(struct model_op) * MODEL_WORKERS * MODEL_OPS);
	for (uint32_t i = 0; i < MODEL_WORKERS; i++)
		for (uint32_t k = 0; k < MODEL_OPS; k++)
			ops[i][k] = (struct model_op){.kind = MODEL_STAT,
						      .name = 3,
						      .err = -ENOENT,
						      .start = 100 + i * 10 + 2 * k,
						      .end = 101 + i * 10 + 2 * k};
}

TEST(fs_model, what_cannot_be_is_refused)
{
	struct model_op ops[MODEL_WORKERS][MODEL_OPS];
	struct model begin, end;

	model_init(&begin);
	for (uint32_t i = 0; i < MODEL_FIRST; i++)
		begin.nodes[i].ino = i + 1;
	begin.nodes[1].parent = begin.nodes[2].parent = 0;
	begin.entries[0][1] = 1;
	memcpy(&end, &begin, sizeof end);
	end.nodes[MODEL_FIRST] = (struct model_node){.ino = 50, .exists = 1, .links = 1, .parent = -1};
	end.entries[0][0] = MODEL_FIRST;

	history(ops); // two make a name at once: one of them has it
	ops[0][0] = (struct model_op){.kind = MODEL_CREATE_EXCL, .ino = 50, .start = 1, .end = 4};
	ops[1][0] = (struct model_op){.kind = MODEL_CREATE_EXCL, .err = -EEXIST, .start = 2, .end = 3};
	CHECK_EQ(model_search(&begin, ops, &end), 0);
	ops[1][0].err = 0; // both
	CHECK_EQ(model_search(&begin, ops, &end), -EUCLEAN);
	ops[1][0].err = -EEXIST; // it was over before the name came
	ops[1][0].start = 1, ops[1][0].end = 2, ops[0][0].start = 3;
	CHECK_EQ(model_search(&begin, ops, &end), -EUCLEAN);

	history(ops); // a name that stays was not seen
	ops[0][0] = (struct model_op){.kind = MODEL_CREATE_EXCL, .ino = 50, .start = 1, .end = 2};
	ops[1][0] = (struct model_op){.kind = MODEL_STAT, .err = -ENOENT, .start = 3, .end = 4};
	CHECK_EQ(model_search(&begin, ops, &end), -EUCLEAN);
	ops[1][0].err = 0, ops[1][0].ino = 50;
	CHECK_EQ(model_search(&begin, ops, &end), 0);
	ops[1][0].ino = 51; // another file than the one that was made
	CHECK_EQ(model_search(&begin, ops, &end), -EUCLEAN);
	ops[1][0].ino = 50;
	end.entries[0][0] = -1; // and gone without anybody who removed it
	CHECK_EQ(model_search(&begin, ops, &end), -EUCLEAN);
}
