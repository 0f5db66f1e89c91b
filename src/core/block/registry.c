// SPDX-License-Identifier: MIT
//
// Devices by name and number, and partitions as devices.
#include "block_impl.h"

const char *block_name_of(const char *text)
{
	return strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;
}

struct block_device *device_find(const struct block_state *state, const char *name)
{
	struct block_device *device = NULL;

	name = block_name_of(name);
	list_for_each (device, &state->devices, link)
		if (strcmp(device->name, name) == 0)
			return device;
	return NULL;
}

struct block_device *device_find_number(const struct block_state *state, uint32_t major, uint32_t minor)
{
	struct block_device *device = NULL;

	list_for_each (device, &state->devices, link)
		if (device->major == major && device->minor == minor)
			return device;
	return NULL;
}

// ---- making and taking away ---------------------------------------------------------------------------------------------------

static bool limits_are_sound(const struct block_limits *limits)
{
	uint32_t logical = limits->logical_bytes, physical = limits->physical_bytes;

	if (!IS_POWER_OF_2(logical) || !IS_POWER_OF_2(physical) || logical < SECTOR_SIZE || logical > physical ||
	    physical > BLOCK_PHYSICAL_MAX)
		return false;
	if (limits->sectors == 0 || limits->sectors > (1ull << 54) || limits->sectors % (logical >> SECTOR_SHIFT) != 0)
		return false;
	if (limits->depth == 0 || limits->depth > BLOCK_DEPTH_MAX || limits->segments == 0 ||
	    limits->segments > BLOCK_SEGMENTS_MAX)
		return false;
	return limits->transfer_sectors >= physical >> SECTOR_SHIFT &&
	       limits->transfer_sectors % (logical >> SECTOR_SHIFT) == 0 && limits->transfer_sectors <= (1u << 22) &&
	       limits->range_sectors % (logical >> SECTOR_SHIFT) == 0;
}

// "ram%" becomes the first "ram0", "ram1" … that is free. Registry locked.
static err_t name_choose(const struct block_state *state, const char *name, char *out)
{
	size_t size = strlen(name);

	if (size == 0 || size >= BLOCK_NAME_SIZE)
		return ERR(EINVAL);
	if (name[size - 1] != '%') {
		memcpy(out, name, size + 1);
		return device_find(state, name) != NULL ? ERR(EEXIST) : 0;
	}
	for (uint32_t i = 0; i < 1000; i++) {
		ksnprintf(out, BLOCK_NAME_SIZE, "%.*s%u", (int)size - 1, name, i);
		if (device_find(state, out) == NULL)
			return 0;
	}
	return ERR(EEXIST);
}

// The number behind the driver's own name where that is free, else the first that is. Registry locked.
static void number_choose(const struct block_state *state, struct block_device *device)
{
	size_t size = strlen(device->name), at = size;
	uint32_t own = 0;

	while (at > 0 && device->name[at - 1] >= '0' && device->name[at - 1] <= '9')
		at--;
	device->major = device->disk != NULL || device->driver->major == 0 ? BLOCK_MAJOR_SHARED : device->driver->major;
	if (device->major != BLOCK_MAJOR_SHARED && at < size && str_to_u32(device->name + at, 10, &own) == 0 &&
	    own < (1u << 20))
		device->minor = own;
	while (device_find_number(state, device->major, device->minor) != NULL)
		device->minor = (device->minor + 1) % (1u << 20);
}

// Registry locked; behind `after`, or last (NULL).
static void device_enlist(struct block_state *state, struct block_device *device, struct block_device *after)
{
	number_choose(state, device);
	device->serial = ++state->last_serial;
	if (after != NULL)
		list_insert_after(&after->link, &device->link);
	else
		list_push_back(&state->devices, &device->link);
	(void)atomic_fetch_add_u32_relaxed(&state->generation, 1);
}

static void device_delist(struct block_state *state, struct block_device *device)
{
	list_remove(&device->link);
	(void)atomic_fetch_add_u32_relaxed(&state->generation, 1);
}

static struct block_device *device_make(const struct block_limits *limits, const struct block_driver *driver)
{
	struct block_device *device = kmalloc(sizeof *device, MEM_ZERO);

	if (device == NULL)
		return NULL;
	device->limits = *limits;
	device->driver = driver;
	rwlock_init(&device->edge_lock, LOCK_RANK_BLOCK_EDGE, "block: blocks written in part");
	queue_init(&device->queue);
	return device;
}

static void device_free(struct block_device *device)
{
	rwlock_fini(&device->edge_lock);
	kfree(device);
}

static err_t device_add(const char *name, const struct block_driver *driver, const struct block_limits *limits,
			void *data, uint32_t users, struct block_device **out)
{
	struct block_state *state = block_state();

	if (!limits_are_sound(limits))
		return ERR(EINVAL);
	struct block_device *device = device_make(limits, driver);
	if (device == NULL)
		return ERR(ENOMEM);
	device->data = data;
	device->users = users;
	ksnprintf(device->model, sizeof device->model, "%s", driver->model);
	err_t err = queue_create(device);
	if (err != 0)
		goto fail;
	mutex_lock(&state->mutex);
	err = name_choose(state, name, device->name);
	if (err == 0)
		device_enlist(state, device, NULL);
	mutex_unlock(&state->mutex);
	if (err != 0)
		goto fail_queue;
	*out = device;
	return 0;

fail_queue:
	queue_destroy(device);
fail:
	device_free(device);
	return err;
}

err_t block_add(const char *name, const struct block_driver *driver, const struct block_limits *limits, void *data,
		struct block_device **out)
{
	return device_add(name, driver, limits, data, 0, out);
}

err_t block_add_open(const char *name, const struct block_driver *driver, const struct block_limits *limits, void *data,
		     struct block_device **out)
{
	return device_add(name, driver, limits, data, 1, out);
}

static bool is_partition_of(const struct block_device *device, const struct block_device *disk)
{
	return device->disk == disk;
}

static bool has_users(const struct block_state *state, const struct block_device *disk, bool itself)
{
	const struct block_device *device = NULL;

	list_for_each (device, &state->devices, link)
		if (device->users != 0 && (is_partition_of(device, disk) || (itself && device == disk)))
			return true;
	return false;
}

// Registry locked; nobody uses any.
static void partitions_forget(struct block_state *state, const struct block_device *disk)
{
	struct block_device *device = NULL, *following = NULL;

	list_for_each_safe (device, following, &state->devices, link)
		if (is_partition_of(device, disk)) {
			device_delist(state, device);
			device_free(device);
		}
}

// Out of the list, with its partitions: nobody finds it any more. Registry locked. -EBUSY.
static err_t device_take_locked(struct block_state *state, struct block_device *device)
{
	if (device->disk != NULL || has_users(state, device, true))
		return ERR(EBUSY);
	partitions_forget(state, device);
	device_delist(state, device);
	return 0;
}

static void device_end(struct block_device *device)
{
	queue_drain(device);
	if (device->driver->remove != NULL)
		device->driver->remove(device);
	queue_destroy(device);
	device_free(device);
}

err_t block_remove(struct block_device *device)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	err_t err = device_take_locked(state, device);
	mutex_unlock(&state->mutex);
	if (err == 0)
		device_end(device);
	return err;
}

err_t block_remove_by_name(const char *name)
{
	struct block_state *state = block_state();

	mutex_lock(&state->mutex);
	struct block_device *device = device_find(state, name);
	err_t err = device == NULL ? ERR(ENODEV) : 0;
	if (err == 0 && (device->disk != NULL || (device->limits.flags & BLOCK_REMOVABLE) == 0))
		err = ERR(EPERM);
	if (err == 0)
		err = device_take_locked(state, device);
	mutex_unlock(&state->mutex);
	if (err == 0)
		device_end(device);
	return err;
}

// ---- what is known of one -------------------------------------------------------------------------------------------------------

const char *block_name(const struct block_device *device)
{
	return device->name;
}

void *block_data(const struct block_device *device)
{
	return device->data;
}

uint64_t block_sectors(const struct block_device *device)
{
	return device->limits.sectors;
}

uint32_t block_logical_bytes(const struct block_device *device)
{
	return device->limits.logical_bytes;
}

uint32_t block_physical_bytes(const struct block_device *device)
{
	return device->limits.physical_bytes;
}

uint32_t block_flags(const struct block_device *device)
{
	return device->limits.flags;
}

static void info_fill(struct block_device *device, struct block_info *info)
{
	*info = (struct block_info){.holder = device->holder,
				    .sectors = device->limits.sectors,
				    .start = device->start,
				    .logical_bytes = device->limits.logical_bytes,
				    .physical_bytes = device->limits.physical_bytes,
				    .flags = device->limits.flags,
				    .users = device->users,
				    .major = device->major,
				    .minor = device->minor,
				    .serial = device->serial,
				    .is_partition = device->disk != NULL};
	memcpy(info->name, device->name, sizeof info->name);
	memcpy(info->model, device->model, sizeof info->model);
	queue_stats(device->disk == NULL ? device : device->disk, &info->stats);
}

void block_device_info(struct block_device *device, struct block_info *info)
{
	mutex_lock(&block_state()->mutex);
	info_fill(device, info);
	mutex_unlock(&block_state()->mutex);
}

bool block_info_at(uint32_t n, struct block_info *info)
{
	struct block_state *state = block_state();
	struct block_device *device = NULL;
	bool found = false;

	mutex_lock(&state->mutex);
	list_for_each (device, &state->devices, link)
		if (n-- == 0) {
			info_fill(device, info);
			found = true;
			break;
		}
	mutex_unlock(&state->mutex);
	return found;
}

uint32_t block_generation(void)
{
	return atomic_load_u32_relaxed(&block_state()->generation);
}

err_t block_check(void)
{
	struct block_state *state = block_state();
	struct block_device *device = NULL;
	err_t err = 0;

	mutex_lock(&state->mutex);
	list_for_each (device, &state->devices, link)
		if (device->disk == NULL && err == 0)
			err = queue_check(device);
	mutex_unlock(&state->mutex);
	return err;
}

// ---- partitions -----------------------------------------------------------------------------------------------------------------

struct disk_source {
	struct partition_source source;
	struct block_device *device;
	uint8_t *block; // one logical block, where sectors are smaller
};

// Through whole logical blocks.
static err_t disk_read(const struct partition_source *source, uint64_t sector, void *buffer, size_t size_bytes)
{
	const struct disk_source *disk = container_of(source, const struct disk_source, source);
	uint32_t unit = source->logical_bytes;
	uint8_t *to = buffer;

	while (size_bytes > 0) {
		uint32_t into = (uint32_t)(sector << SECTOR_SHIFT & (unit - 1));
		size_t size = MIN(size_bytes, (size_t)unit - into);
		err_t err = block_read(disk->device, sector - (into >> SECTOR_SHIFT), disk->block, unit);
		if (err != 0)
			return err;
		memcpy(to, disk->block + into, size);
		to += size;
		size_bytes -= size;
		sector += size >> SECTOR_SHIFT;
	}
	return 0;
}

static err_t partition_make(struct block_device *disk, const struct partition *partition, struct list *made)
{
	struct block_device *device = device_make(&disk->limits, disk->driver);
	size_t size = strlen(disk->name);

	if (device == NULL)
		return ERR(ENOMEM);
	const char *between = disk->name[size - 1] >= '0' && disk->name[size - 1] <= '9' ? "p" : "";
	ksnprintf(device->name, sizeof device->name, "%s%s%u", disk->name, between, partition->number);
	ksnprintf(device->model, sizeof device->model, "partition");
	device->limits.sectors = partition->sectors;
	device->disk = disk;
	device->start = partition->start;
	device->number = partition->number;
	list_push_back(made, &device->link);
	return 0;
}

static err_t table_read(struct block_device *disk, struct partition_table *table)
{
	struct disk_source source = {.source = {.read = disk_read,
						.sectors = disk->limits.sectors,
						.logical_bytes = disk->limits.logical_bytes},
				     .device = disk,
				     .block = kmalloc(disk->limits.logical_bytes, 0)};
	if (source.block == NULL)
		return ERR(ENOMEM);
	err_t err = partitions_scan(&source.source, table);
	kfree(source.block);
	return err;
}

static void devices_free(struct list *made)
{
	struct block_device *device = NULL;

	while ((device = list_pop_front_entry(made, struct block_device, link)) != NULL)
		device_free(device);
}

err_t block_partitions_read(struct block_device *disk, const char **problem)
{
	struct block_state *state = block_state();
	struct partition_table *table = kmalloc(sizeof *table, 0);
	struct block_device *device = NULL;
	struct list made;

	list_init(&made);
	*problem = NULL;
	if (table == NULL)
		return ERR(ENOMEM);
	err_t err = disk->disk != NULL ? ERR(EINVAL) : table_read(disk, table);
	for (uint32_t i = 0; err == 0 && i < table->count; i++)
		err = partition_make(disk, &table->partitions[i], &made);
	if (err != 0)
		goto out;
	*problem = table->problem;
	mutex_lock(&state->mutex);
	if (has_users(state, disk, false)) {
		err = ERR(EBUSY);
	} else {
		partitions_forget(state, disk);
		while ((device = list_last_entry(&made, struct block_device, link)) != NULL) {
			list_remove(&device->link);
			device_enlist(state, device, disk);
		}
	}
	mutex_unlock(&state->mutex);
out:
	devices_free(&made);
	kfree(table);
	return err;
}
