// SPDX-License-Identifier: MIT
//
// Snapshots and clones. Each has the digest of what it must hold as its name, so that whoever finds one knows; which there are is part of what a step has left.
#include "crash.h"

#include "kern/timer.h"

#define SNAPS "/n"

static struct process *root(void)
{
	return vfs_monitor_process();
}

static uint64_t share(const char *name)
{
	return bytes_digest(name, strlen(name));
}

static bool has(const struct snaps *snaps, const char *name)
{
	for (uint32_t i = 0; i < snaps->count; i++)
		if (str_equal(snaps->names[i], name))
			return true;
	return false;
}

static void name_make(char *name, char kind, uint64_t digest)
{
	ksnprintf(name, SNAP_NAME, "%c%016llx", kind, (unsigned long long)digest);
}

static err_t ask(const struct actor *actor, enum tb_pxfs_request request, const char *name, const char *of)
{
	struct tb_pxfs_names names = {.flags = 0};

	if (actor->disk == NULL)
		return 0;
	memcpy(names.name, name, strlen(name));
	memcpy(names.of, of, strlen(of));
	return pxfs_subvolume(DEVICE, request, &names, NULL);
}

static void snap_add(struct actor *actor, const char *name)
{
	struct snaps *snaps = &actor->snaps;

	memcpy(snaps->names[snaps->count++], name, SNAP_NAME);
	snaps->sum += share(name);
}

err_t snap_take(struct actor *actor)
{
	char name[SNAP_NAME];

	name_make(name, 's', actor->digests[actor->steps] - actor->snaps.sum);
	if (actor->snaps.count == SNAPS_MAX)
		return 0;
	if (has(&actor->snaps, name))
		return actor->disk == NULL ? -EEXIST : ask(actor, TB_PXFS_SNAPSHOT, name, "");
	err_t err = ask(actor, TB_PXFS_SNAPSHOT, name, "");
	if (err == 0)
		snap_add(actor, name);
	return err;
}

// Of the first snapshot that there is; once.
err_t snap_clone(struct actor *actor)
{
	struct snaps *snaps = &actor->snaps;
	char name[SNAP_NAME];

	if (snaps->count == 0 || snaps->count == SNAPS_MAX || snaps->names[0][0] != 's')
		return 0;
	memcpy(name, snaps->names[0], SNAP_NAME);
	name[0] = 'c';
	if (has(snaps, name))
		return 0;
	err_t err = ask(actor, TB_PXFS_CLONE, name, snaps->names[0]);
	if (err == 0)
		snap_add(actor, name);
	return err;
}

// The last one that came.
err_t snap_drop(struct actor *actor)
{
	struct snaps *snaps = &actor->snaps;

	if (snaps->count == 0)
		return 0;
	const char *name = snaps->names[snaps->count - 1];
	err_t err = ask(actor, TB_PXFS_DELETE, name, "");
	if (err == 0) {
		snaps->sum -= share(name);
		snaps->count--;
	}
	return err;
}

static bool snap_holds(const char *name, char *text, size_t size)
{
	struct tree *tree = kmalloc(sizeof *tree, MEM_ZERO);
	char options[40];
	uint64_t wanted = 0;

	ksnprintf(options, sizeof options, "subvol=%s", name);
	err_t err = tree == NULL ? ERR(ENOMEM) : str_to_u64(name + 1, 16, &wanted);
	if (err == 0)
		err = vfs_mount(root(), DEVICE, SNAPS, "pxfs", TB_MS_RDONLY, options, NULL);
	if (err == 0) {
		tree_capture(SNAPS, tree);
		err = vfs_umount(root(), SNAPS, 0);
	}
	bool holds = err == 0 && tree_digest(tree) == wanted;
	if (!holds)
		ksnprintf(text, size, "snapshot %s is not what it was: %pe", name, ERR_PTR(err));
	kfree(tree);
	return holds;
}

bool snaps_look(uint64_t *sum, char *text, size_t size)
{
	struct tb_pxfs_subvolume subvol = {.number = 0};
	bool hold = true;

	*sum = 0;
	while (hold && pxfs_subvolume_next(DEVICE, &subvol, NULL) == 0) {
		if ((subvol.flags & (TB_PXFS_IS_DEFAULT | TB_PXFS_IS_GOING)) != 0)
			continue;
		hold = snap_holds(subvol.name, text, size);
		*sum += share(subvol.name);
	}
	return hold;
}

err_t snaps_begin(void)
{
	return vfs_mkdir(root(), TB_AT_FDCWD, SNAPS, 0755);
}
