// SPDX-License-Identifier: MIT
//
// The component: begins with the machine's disks, ends with no device left.
#include "block_impl.h"

#include "kern/log.h"

void block_stop(void)
{
	struct block_state *state = block_state();
	struct block_device *device = NULL;

	if (state == NULL)
		return;
	while ((device = list_first_entry(&state->devices, struct block_device, link)) != NULL) {
		err_t err = block_remove(device);
		VERIFY3(err, ==, 0); // whoever used it has stopped before
	}
	disks_detach();
	kfree(state->zeroes);
	mutex_fini(&state->mutex);
	kernel_self()->block = NULL;
	kfree(state);
}

err_t block_init(struct kernel *kernel)
{
	struct block_state *state = kmalloc(sizeof *state, MEM_ZERO);

	if (state == NULL)
		return ERR(ENOMEM);
	mutex_init(&state->mutex, LOCK_RANK_BLOCK_LIST, "block: devices");
	list_init(&state->devices);
	kernel->block = state;
	state->zeroes = kmalloc(ZEROES_SIZE, MEM_ZERO);
	err_t err = state->zeroes == NULL ? ERR(ENOMEM) : disks_attach(kernel);
	if (err != 0)
		block_stop();
	return err;
}
