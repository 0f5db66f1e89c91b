// SPDX-License-Identifier: MIT
//
// Volumes: making one, opening and closing one.
#include "volume_impl.h"

#include "kern/pxfs.h"
#include "kern/rand.h"

// Nodes that may stay in memory: an eighth of it, at least 64, at most 4,096.
static uint32_t nodes_limit(const struct pxfs_volume *volume)
{
	struct frame_info info;

	frame_get_info(&info);
	uint64_t eighth = (uint64_t)info.total * FRAME_SIZE / 8 / node_bytes(volume);
	return (uint32_t)CLAMP(eighth, 64u, 4096u);
}

static err_t volume_make(const char *device, bool read_only, const char *holder, struct pxfs_volume **out)
{
	struct pxfs_volume *volume = kmalloc(sizeof *volume, MEM_ZERO);

	if (volume == NULL)
		return ERR(ENOMEM);
	err_t err = block_open(device, true, holder, &volume->device);
	if (err != 0) {
		kfree(volume);
		return err;
	}
	volume->read_only = read_only || (block_flags(volume->device) & BLOCK_READ_ONLY) != 0;
	rwlock_init(&volume->epoch, LOCK_RANK_FS_EPOCH, "pxfs: epoch");
	list_init(&volume->subvols);
	list_init(&volume->mounts);
	*out = volume;
	return 0;
}

static err_t trees_open(struct pxfs_volume *volume)
{
	const struct pxfs_super *super = &volume->super;

	tree_init(&volume->root_tree, volume, PXFS_TREE_ROOT, &super->root);
	tree_init(&volume->space_tree, volume, PXFS_TREE_SPACE, &super->space);
	tree_init(&volume->refs_tree, volume, PXFS_TREE_REFS, &super->refs);
	return space_init(volume);
}

static void volume_free(struct pxfs_volume *volume, bool trees)
{
	if (trees) {
		space_fini(volume);
		tree_fini(&volume->refs_tree);
		tree_fini(&volume->space_tree);
		tree_fini(&volume->root_tree);
	}
	codecs_fini(volume);
	nodes_fini(volume);
	rwlock_fini(&volume->epoch);
	block_close(volume->device, true);
	kfree(volume);
}

// Those that are being deleted, and in a volume that is given up any other.
static void subvols_close(struct pxfs_volume *volume)
{
	while (!list_is_empty(&volume->subvols)) {
		struct pxfs_subvol *subvol = list_first_entry(&volume->subvols, struct pxfs_subvol, link);
		subvol->users = 1;
		subvol_close(subvol);
	}
}

// What the log has comes into the trees; then a checkpoint, or, where nothing may be written, it stays in memory.
static err_t generation_begin(struct pxfs_volume *volume, const char **problem)
{
	bool some = false;

	rwlock_write_lock(&volume->epoch);
	err_t err = log_replay(volume, &some, problem);
	if (err == 0 && !volume->read_only) {
		err = some ? volume_checkpoint(volume) : space_advance(volume);
		subvols_close(volume);
	}
	rwlock_write_unlock(&volume->epoch);
	return err;
}

err_t volume_open(const char *device, bool read_only, struct pxfs_volume **out, const char **problem)
{
	struct pxfs_volume *volume = NULL;
	struct super_slots slots;
	bool trees = false;
	err_t err = volume_make(device, read_only, "PXFS", &volume);

	if (err != 0)
		return err;
	volume->node_shift = 14; // until the superblock says
	err = nodes_init(volume, nodes_limit(volume));
	if (err == 0)
		err = super_read(volume, problem);
	if (err == 0) {
		trees = true;
		err = trees_open(volume);
	}
	if (err == 0)
		err = codecs_init(volume);
	if (err == 0)
		err = nodes_spare(volume);
	if (err == 0)
		err = space_load(volume);
	if (err == 0 && !volume->read_only)
		err = super_slots_check(volume, true, &slots);
	if (err == 0)
		err = generation_begin(volume, problem);
	volume->deletions = !volume->read_only; // until somebody has looked
	if (err != 0 && trees)
		subvols_close(volume);
	if (err != 0)
		volume_free(volume, trees);
	else
		*out = volume;
	return err;
}

err_t volume_close(struct pxfs_volume *volume)
{
	err_t err = 0;

	if (!volume->read_only && (volume->cache.dirty != 0 || super_errors_changed(volume))) {
		rwlock_write_lock(&volume->epoch);
		err = volume_checkpoint(volume);
		rwlock_write_unlock(&volume->epoch);
	}
	subvols_close(volume);
	volume_free(volume, true);
	return err;
}

void volume_abandon(struct pxfs_volume *volume)
{
	subvols_close(volume);
	volume_free(volume, true);
}

// ---- making -------------------------------------------------------------------------------------------------------------------

static const char *params_apply(struct pxfs_volume *volume, const struct pxfs_format_params *params)
{
	uint32_t physical = block_physical_bytes(volume->device);
	uint32_t block = params->block_bytes != 0 ? params->block_bytes : MAX(physical, 4096u);
	uint32_t node = params->node_bytes != 0 ? params->node_bytes : MAX(block, PXFS_NODE_BYTES_MIN);
	uint64_t size = params->size_bytes != 0 ? params->size_bytes : block_sectors(volume->device) << SECTOR_SHIFT;

	if (!IS_POWER_OF_2(block) || block < 4096 || block > 65536 || block < physical)
		return "the block must be a power of two from 4,096 to 65,536, and no less than the device's";
	if (!IS_POWER_OF_2(node) || node < PXFS_NODE_BYTES_MIN || node > PXFS_NODE_BYTES_MAX || node < block)
		return "nodes must be a power of two from 16,384 to 65,536, and no less than the block";
	if (params->copies > 2)
		return "there are one or two copies of metadata";
	if (size >> SECTOR_SHIFT > block_sectors(volume->device))
		return "the device is smaller";
	if (size >> SECTOR_SHIFT < PXFS_VOLUME_SECTORS_MIN || size >> SECTOR_SHIFT > PXFS_VOLUME_SECTORS_MAX)
		return "a volume has 8 MiB at least";
	if (params->label != NULL && strlen(params->label) > PXFS_LABEL_MAX)
		return "a label has 63 bytes at most";
	if (params->cluster_bytes != 0 &&
	    (!IS_POWER_OF_2(params->cluster_bytes) || params->cluster_bytes < 1u << PXFS_CLUSTER_SHIFT_MIN ||
	     params->cluster_bytes > 1u << PXFS_CLUSTER_SHIFT_MAX))
		return "clusters are a power of two from 16 KiB to 1 MiB";
	if (params->method >= PXFS_METHOD_COUNT || params->level > 19)
		return "there is no such compression";
	volume->block_shift = bit_highest_u32(block);
	volume->node_shift = bit_highest_u32(node);
	volume->copies = params->copies == 0 ? 2 : params->copies;
	volume->sectors = (size >> SECTOR_SHIFT) / block_sectors_of(volume) * block_sectors_of(volume);
	return NULL;
}

// 1/64 of the volume, 256 KiB to 64 MiB.
static uint64_t log_sectors(const struct pxfs_volume *volume, const struct pxfs_format_params *params)
{
	uint64_t wanted = params->log_bytes != 0 ? params->log_bytes >> SECTOR_SHIFT : volume->sectors / 64;
	uint64_t sectors = CLAMP(wanted, KIB(256) >> SECTOR_SHIFT, MIB(64) >> SECTOR_SHIFT);

	sectors = MIN(sectors, volume->sectors / 8);
	return sectors / block_sectors_of(volume) * block_sectors_of(volume);
}

static void super_make(struct pxfs_volume *volume, const struct pxfs_format_params *params)
{
	struct pxfs_super *super = &volume->super;

	le64_put(&super->magic, PXFS_MAGIC);
	le32_put(&super->version, PXFS_VERSION);
	super->block_shift = (uint8_t)volume->block_shift;
	super->node_shift = (uint8_t)volume->node_shift;
	super->copies = (uint8_t)volume->copies;
	rand_entropy(volume->identity, sizeof volume->identity);
	rand_entropy(&volume->hash_seed, sizeof volume->hash_seed);
	memcpy(super->volume, volume->identity, sizeof super->volume);
	memcpy(&volume->identity_word, volume->identity, sizeof volume->identity_word);
	le64_put(&super->hash_seed, volume->hash_seed);
	le64_put(&super->sectors, volume->sectors);
	le64_put(&super->log.address, super_ring(volume, 0) + super_ring_sectors(volume));
	le64_put(&super->log.sectors, log_sectors(volume, params));
	le64_put(&super->log.sequence, 1);
	le64_put(&super->next_subvolume, PXFS_TREE_SUBVOLUME);
	super->method = (uint8_t)params->method;
	if (params->method == PXFS_METHOD_ZSTD)
		le64_put(&super->incompat, PXFS_INCOMPAT_ZSTD);
	super->level = (uint8_t)params->level;
	super->cluster_shift =
		params->cluster_bytes == 0 ? 16 : (uint8_t)bit_highest_u32(MAX(params->cluster_bytes, 1u));
	if (params->label != NULL)
		memcpy(super->label, params->label, strlen(params->label));
	volume->generation = 1;
	log_begin(volume);
}

// What is ours from the beginning: everything before the first block that may be taken, and the second ring to the end.
static err_t space_begin(struct pxfs_volume *volume)
{
	const struct pxfs_log_place *log = &volume->super.log;
	uint64_t first = le64_get(&log->address) + le64_get(&log->sectors), last = super_ring(volume, 1);
	uint32_t block = block_sectors_of(volume);
	err_t err = space_claim(volume, 0, DIV_ROUND_UP(first, (uint64_t)block) * block);

	return err == 0 ? space_claim(volume, last, volume->sectors - last) : err;
}

// Nothing of what was here before is to be taken for ours.
static err_t rings_clear(struct pxfs_volume *volume)
{
	const struct pxfs_log_place *log = &volume->super.log;
	err_t err = block_zero(volume->device, super_ring(volume, 0), super_ring_sectors(volume), 0);

	if (err == 0)
		err = block_zero(volume->device, super_ring(volume, 1), volume->sectors - super_ring(volume, 1), 0);
	if (err == 0)
		err = block_zero(volume->device, le64_get(&log->address), le64_get(&log->sectors), 0);
	return err;
}

err_t volume_format(const char *device, const struct pxfs_format_params *params, struct pxfs_volume **out,
		    const char **problem)
{
	struct pxfs_volume *volume = NULL;
	bool trees = false;
	err_t err = volume_make(device, false, "mkfs", &volume);

	if (err != 0)
		return err;
	*problem = volume->read_only ? "the device is read-only" : params_apply(volume, params);
	if (*problem != NULL)
		err = volume->read_only ? ERR(EROFS) : ERR(EINVAL);
	if (err == 0) {
		super_make(volume, params);
		err = nodes_init(volume, nodes_limit(volume));
	}
	if (err == 0) {
		trees = true;
		err = trees_open(volume);
	}
	if (err == 0)
		err = space_begin(volume);
	if (err == 0)
		err = rings_clear(volume);
	if (err != 0)
		volume_free(volume, trees);
	else
		*out = volume;
	return err;
}
