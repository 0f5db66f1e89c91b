// SPDX-License-Identifier: MIT
//
// Volumes that are in use, by their devices: several subvolumes of one may be mounted, and what works on a volume finds the one that is mounted.
#include "volume_impl.h"

struct pxfs_state {
	struct mutex lock;
	struct list volumes; // lock
};

static struct pxfs_state *pxfs_state(void)
{
	return kernel_self()->pxfs;
}

err_t volumes_init(void)
{
	struct pxfs_state *state = kmalloc(sizeof *state, MEM_ZERO);

	if (state == NULL)
		return ERR(ENOMEM);
	mutex_init(&state->lock, LOCK_RANK_FS_VOLUMES, "pxfs: volumes");
	list_init(&state->volumes);
	kernel_self()->pxfs = state;
	return 0;
}

void volumes_fini(void)
{
	struct pxfs_state *state = pxfs_state();

	VERIFY(list_is_empty(&state->volumes));
	kernel_self()->pxfs = NULL;
	mutex_fini(&state->lock);
	kfree(state);
}

static struct pxfs_volume *volume_in_use(struct pxfs_state *state, const char *device)
{
	struct pxfs_volume *volume = NULL;

	list_for_each (volume, &state->volumes, link)
		if (strcmp(block_name(volume->device), device) == 0)
			return volume;
	return NULL;
}

err_t volume_take(const char *device, bool read_only, struct pxfs_volume **out, const char **problem)
{
	struct pxfs_state *state = pxfs_state();
	err_t err = 0;

	mutex_lock(&state->lock);
	struct pxfs_volume *volume = volume_in_use(state, device);
	if (volume == NULL) {
		err = volume_open(device, read_only, &volume, problem);
		if (err == 0)
			list_push_back(&state->volumes, &volume->link);
	} else if (volume->read_only && !read_only) {
		*problem = "pxfs: the volume is in use for reading only";
		err = ERR(EROFS);
	}
	if (err == 0) {
		(void)atomic_fetch_add_u32_relaxed(&volume->users, 1);
		*out = volume;
	}
	mutex_unlock(&state->lock);
	return err;
}

err_t volume_put(struct pxfs_volume *volume)
{
	struct pxfs_state *state = pxfs_state();
	err_t err = 0;

	mutex_lock(&state->lock);
	if (atomic_fetch_sub_u32_release(&volume->users, 1) == 1) {
		list_remove(&volume->link);
		err = volume_close(volume);
	}
	mutex_unlock(&state->lock);
	return err;
}

bool volume_is_left(const struct pxfs_volume *volume)
{
	return atomic_load_u32_relaxed(&volume->users) == 1;
}
