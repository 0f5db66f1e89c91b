// SPDX-License-Identifier: MIT
//
// Who uses devices: users, one who has a device exclusively, and those who write while nobody has.
#include "block_impl.h"

// Whether somebody has what the device lies on, or what lies on it. Registry locked, as for all here.
static bool is_had(const struct block_device *device)
{
	return device->holder != NULL || (device->disk != NULL && device->disk->holder != NULL) ||
	       device->exclusive_parts != 0;
}

static bool is_written(const struct block_device *device)
{
	return device->writers != 0 || (device->disk != NULL && device->disk->writers != 0) ||
	       device->part_writers != 0;
}

static err_t device_use_locked(struct block_device *device, bool exclusive, const char *holder)
{
	if (device == NULL)
		return ERR(ENODEV);
	if (exclusive && (is_had(device) || is_written(device)))
		return ERR(EBUSY);
	device->users++;
	if (exclusive)
		device->holder = holder;
	if (exclusive && device->disk != NULL)
		device->disk->exclusive_parts++;
	return 0;
}

err_t block_open(const char *name, bool exclusive, const char *holder, struct block_device **out)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	struct block_device *device = device_find(state, name);
	err_t err = device_use_locked(device, exclusive, holder);
	mutex_unlock(&state->mutex);
	if (err == 0)
		*out = device;
	return err;
}

err_t block_open_number(uint32_t major, uint32_t minor, struct block_device **out)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	struct block_device *device = device_find_number(state, major, minor);
	err_t err = device_use_locked(device, false, NULL);
	mutex_unlock(&state->mutex);
	if (err == 0)
		*out = device;
	return err;
}

void block_close(struct block_device *device, bool exclusive)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	VERIFY(device->users != 0);
	device->users--;
	if (exclusive)
		device->holder = NULL;
	if (exclusive && device->disk != NULL)
		device->disk->exclusive_parts--;
	mutex_unlock(&state->mutex);
}

err_t block_write_begin(struct block_device *device)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	err_t err = is_had(device) ? ERR(EBUSY) : 0;
	if (err == 0) {
		device->writers++;
		if (device->disk != NULL)
			device->disk->part_writers++;
	}
	mutex_unlock(&state->mutex);
	return err;
}

void block_write_end(struct block_device *device)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	VERIFY(device->writers != 0);
	device->writers--;
	if (device->disk != NULL)
		device->disk->part_writers--;
	mutex_unlock(&state->mutex);
}
