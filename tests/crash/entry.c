// SPDX-License-Identifier: MIT
//
// What the host calls: the beginning, which is made once and copied by the host's fork, and one sequence.
#include "crash.h"

static struct explorer *explorer;

static struct process *root(void)
{
	return vfs_monitor_process();
}

int64_t tb_crash_prepare(void *arg)
{
	struct pxfs_format_params params = {.copies = 2, .log_bytes = 65536};
	const char *problem = NULL;
	bool deep = *(const bool *)arg;

	explorer = range_alloc(sizeof *explorer, MEM_ZERO, NULL);
	if (explorer == NULL || !disk_make(&explorer->disk))
		return -ENOMEM;
	err_t err = pxfs_format(DEVICE, &params, &problem);
	if (err == 0)
		err = vfs_mkdir(root(), TB_AT_FDCWD, MOUNT, 0755);
	if (err == 0)
		err = vfs_mkdir(root(), TB_AT_FDCWD, MODEL, 0755);
	if (err == 0)
		err = snaps_begin();
	if (err == 0)
		err = volume_mount(0, &problem);
	if (err == 0) {
		volume_fill(MOUNT, deep);
		err = vfs_umount(root(), MOUNT, 0);
	}
	disk_freeze(&explorer->disk);
	if (err == 0)
		err = vfs_mount(root(), "none", MODEL, "tmpfs", 0, "", &problem);
	if (err == 0)
		volume_fill(MODEL, deep);
	return err;
}

static void model_run(struct explorer *ex, const struct crash_call *call)
{
	struct oracle *oracle = &ex->levels[0].oracle;
	struct actor actor = {
		.root = MODEL, .held = -1, .digests = oracle->digests, .trees = ex->model, .errors = ex->errors};

	tree_capture(MODEL, &ex->model[0]);
	oracle->digests[0] = tree_digest(&ex->model[0]);
	for (uint32_t i = 0; i < call->op_count; i++)
		op_run(&actor, call->ops[i]);
	actor_end(&actor);
	oracle->steps = actor.steps;
}

// The sequence on the volume, and its end; the disk notes all of it.
static err_t volume_run(struct explorer *ex, const struct crash_call *call)
{
	struct crash_disk_state *disk = &ex->disk;
	struct actor actor = {
		.disk = disk, .root = MOUNT, .held = -1, .digests = ex->levels[0].oracle.digests, .errors = ex->errors};
	const char *problem = NULL;
	char text[CRASH_TEXT_SIZE];

	view_begin(disk, NULL, NULL, 0);
	disk->recording = &ex->levels[0].recording;
	err_t err = volume_mount(0, &problem);
	for (uint32_t i = 0; err == 0 && i < call->op_count; i++)
		op_run(&actor, call->ops[i]);
	actor_end(&actor);
	if (err == 0)
		err = vfs_umount(root(), MOUNT, 0);
	disk->synced = actor.steps;
	disk_note(disk, NOTE_SYNCED);
	disk->recording = NULL;
	if (err == 0 && actor.differs) {
		ksnprintf(text, sizeof text, "step %u answers %pe, and the model %pe", actor.differs_at + 1,
			  ERR_PTR(actor.differs_err), ERR_PTR(ex->errors[actor.differs_at]));
		violation_add(ex, text, "");
	}
	return err;
}

int64_t tb_crash_run(void *arg)
{
	struct crash_call *call = arg;
	struct explorer *ex = explorer;
	char text[CRASH_TEXT_SIZE];
	uint64_t seed = call->seed;

	ex->call = call;
	for (uint32_t i = 0; i < call->op_count; i++) {
		seed = seed * 1000003 + call->ops[i] + 1;
		if (call->ops[i] >= ops_count())
			return -EINVAL;
	}
	rand_init(&ex->rand, seed);
	model_run(ex, call);
	err_t err = volume_run(ex, call);
	if (err != 0) {
		ksnprintf(text, sizeof text, "the sequence itself fails: %pe", ERR_PTR(err));
		violation_add(ex, text, "");
		return 0;
	}
	call->sums.sequences = 1;
	image_clear(&ex->levels[0].image);
	if (call->only[0] != '\0')
		return call->only[0] == '@' ? cut_replay(ex) : damage_replay(ex);
	if ((call->parts & CRASH_CUTS) != 0)
		explore_cuts(ex, 0);
	if ((call->parts & CRASH_DAMAGE) != 0 && call->violations == 0)
		explore_damage(ex);
	return 0;
}
