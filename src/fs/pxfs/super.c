// SPDX-License-Identifier: MIT
//
// Superblocks: two rings of eight slots, one at each end of the volume. Generation g lies in slot g modulo eight of both; mounting takes the newest that is sound and
// whose trees can be read.
#include "pxfs_impl.h"

static uint32_t slot_sectors(const struct pxfs_volume *volume)
{
	return MAX(1u << volume->block_shift, PXFS_SUPER_BYTES) >> SECTOR_SHIFT;
}

uint64_t super_ring(const struct pxfs_volume *volume, uint32_t ring)
{
	uint64_t first = PXFS_BOOT_BYTES >> SECTOR_SHIFT;
	uint32_t block = 1u << (volume->block_shift - SECTOR_SHIFT);

	return ring == 0 ? first : (volume->sectors - PXFS_SLOTS * slot_sectors(volume)) / block * block;
}

uint32_t super_ring_sectors(const struct pxfs_volume *volume)
{
	return PXFS_SLOTS * slot_sectors(volume);
}

static uint64_t super_checksum(const struct pxfs_super *super)
{
	struct pxfs_super own = *super;

	le64_put(&own.checksum, 0);
	return checksum_xxh3(&own, sizeof own, 0);
}

// ---- writing ----------------------------------------------------------------------------------------------------------------

static uint64_t slot_place(const struct pxfs_volume *volume, uint32_t ring, uint64_t generation)
{
	return super_ring(volume, ring) + generation % PXFS_SLOTS * slot_sectors(volume);
}

// `slot`: a block, behind the superblock zeroes.
static err_t slot_write(struct pxfs_volume *volume, struct pxfs_super *super, uint64_t at, uint8_t *slot)
{
	le64_put(&super->address, at);
	le64_put(&super->checksum, super_checksum(super));
	memcpy(slot, super, sizeof *super);
	return block_write(volume->device, at, slot, slot_sectors(volume) << SECTOR_SHIFT, BLOCK_FUA);
}

err_t super_write(struct pxfs_volume *volume)
{
	struct pxfs_super *super = &volume->super;
	uint64_t generation = le64_get(&super->generation);
	uint32_t written = 0;
	uint8_t *slot = kmalloc(slot_sectors(volume) << SECTOR_SHIFT, MEM_ZERO);
	err_t first = 0;

	if (slot == NULL)
		return ERR(ENOMEM);
	for (uint32_t ring = 0; ring < 2; ring++) {
		uint64_t at = slot_place(volume, ring, generation);
		err_t err = slot_write(volume, super, at, slot);
		written += err == 0;
		if (err != 0)
			log_err("pxfs: %s: superblock at sector %llu: %pe", block_name(volume->device),
				(unsigned long long)at, ERR_PTR(err));
		first = first != 0 ? first : err;
	}
	kfree(slot);
	return written != 0 ? 0 : first;
}

// ---- reading ----------------------------------------------------------------------------------------------------------------

static const char *super_problem(const struct pxfs_super *super, uint64_t at, uint64_t device_sectors)
{
	uint64_t sectors = le64_get(&super->sectors), log = le64_get(&super->log.address);

	if (le64_get(&super->magic) != PXFS_MAGIC)
		return "no PXFS";
	if (le64_get(&super->checksum) != super_checksum(super))
		return "a superblock's checksum is wrong";
	if (le64_get(&super->address) != at)
		return "a superblock that belongs elsewhere";
	if (le32_get(&super->version) != PXFS_VERSION)
		return "a version of PXFS that is not known here";
	if ((le64_get(&super->incompat) & ~(uint64_t)PXFS_INCOMPAT_ALL) != 0)
		return "features that are not known here";
	if (super->block_shift < 12 || super->block_shift > 16 || super->node_shift < 14 || super->node_shift > 16 ||
	    super->node_shift < super->block_shift || super->copies < 1 || super->copies > 2)
		return "impossible sizes";
	if (sectors > device_sectors)
		return "the volume is larger than its device";
	if (sectors < PXFS_VOLUME_SECTORS_MIN || sectors > PXFS_VOLUME_SECTORS_MAX)
		return "an impossible size of the volume";
	if (log >= sectors || le64_get(&super->log.sectors) > sectors - log)
		return "the log lies outside the volume";
	return NULL;
}

static void super_apply(struct pxfs_volume *volume, const struct pxfs_super *super)
{
	volume->super = *super;
	volume->block_shift = super->block_shift;
	volume->node_shift = super->node_shift;
	volume->copies = super->copies;
	volume->sectors = le64_get(&super->sectors);
	volume->hash_seed = le64_get(&super->hash_seed);
	memcpy(volume->identity, super->volume, sizeof volume->identity);
	memcpy(&volume->identity_word, super->volume, sizeof volume->identity_word);
	volume->generation = le64_get(&super->generation) + 1;
}

static bool trees_can_be_read(struct pxfs_volume *volume, const struct pxfs_super *super)
{
	const struct pxfs_pointer *roots[] = {&super->root, &super->space, &super->refs};

	for (uint32_t i = 0; i < array_count(roots); i++) {
		struct pxfs_node *node = NULL;
		uint64_t address = le64_get(&roots[i]->address[0]);
		if (pointer_is_null(roots[i]))
			continue;
		if (address > volume->sectors - node_sectors(volume) ||
		    le64_get(&roots[i]->address[1]) > volume->sectors - node_sectors(volume))
			return false;
		if (node_get(volume, roots[i], PXFS_TREE_ROOT + i, UINT32_MAX, &node) != 0)
			return false;
		node_put(volume, node);
	}
	return !pointer_is_null(&super->root);
}

// All slots that are sound, by generation, newest first.
struct candidates {
	uint32_t count;
	struct pxfs_super supers[2 * PXFS_SLOTS];
	const char *problem;
};

static void candidate_add(struct candidates *found, const struct pxfs_super *super)
{
	uint32_t i = found->count;

	for (uint32_t j = 0; j < found->count; j++)
		if (le64_get(&found->supers[j].generation) == le64_get(&super->generation))
			return;
	while (i > 0 && le64_get(&found->supers[i - 1].generation) < le64_get(&super->generation)) {
		found->supers[i] = found->supers[i - 1];
		i--;
	}
	found->supers[i] = *super;
	found->count++;
}

static err_t slot_look(struct pxfs_volume *volume, uint64_t at, uint8_t *buffer, uint32_t bytes,
		       struct candidates *found)
{
	const struct pxfs_super *super = (const struct pxfs_super *)buffer;
	uint64_t device_sectors = block_sectors(volume->device);

	if (at > device_sectors - (bytes >> SECTOR_SHIFT))
		return 0;
	err_t err = block_read(volume->device, at, buffer, bytes);
	if (err != 0)
		return err;
	const char *problem = super_problem(super, at, device_sectors);
	if (problem == NULL && found->count != 0 && memcmp(super->volume, found->supers[0].volume, 16) != 0)
		problem = "superblocks of two volumes";
	if (problem == NULL)
		candidate_add(found, super);
	else if (found->problem == NULL || le64_get(&super->magic) == PXFS_MAGIC)
		found->problem = problem;
	return 0;
}

// The first ring is found by its place; the second by the first, or, when nothing of the first is sound, by the device's end.
static err_t candidates_find(struct pxfs_volume *volume, struct candidates *found)
{
	uint8_t *buffer = kmalloc(PXFS_NODE_BYTES_MAX, 0);
	err_t read = 0, err = 0;

	if (buffer == NULL)
		return ERR(ENOMEM);
	for (uint32_t ring = 0; ring < 2; ring++)
		for (uint32_t shift = 12; shift <= 16; shift++) {
			struct pxfs_volume place = {.block_shift = shift, .sectors = block_sectors(volume->device)};
			if (found->count != 0 && (shift != found->supers[0].block_shift))
				continue;
			if (found->count != 0)
				place.sectors = le64_get(&found->supers[0].sectors);
			for (uint32_t slot = 0; slot < PXFS_SLOTS; slot++) {
				uint64_t at = super_ring(&place, ring) + slot * (uint64_t)slot_sectors(&place);
				err = slot_look(volume, at, buffer, slot_sectors(&place) << SECTOR_SHIFT, found);
				read = err != 0 ? err : read;
			}
		}
	kfree(buffer);
	if (found->count == 0 && read != 0)
		found->problem = "its superblocks cannot be read";
	return found->count != 0 ? 0 : read != 0 ? read : ERR(EINVAL);
}

// What mounting itself has found already is added to what the volume has counted before.
static void errors_take_over(struct pxfs_volume *volume)
{
	const struct pxfs_super *super = &volume->super;

	(void)__atomic_fetch_add(&volume->errors_read, le64_get(&super->errors_read), __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&volume->errors_repaired, le64_get(&super->errors_repaired), __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&volume->errors_lost, le64_get(&super->errors_lost), __ATOMIC_RELAXED);
}

bool super_errors_changed(const struct pxfs_volume *volume)
{
	const struct pxfs_super *super = &volume->super;

	return __atomic_load_n(&volume->errors_read, __ATOMIC_RELAXED) != le64_get(&super->errors_read) ||
	       __atomic_load_n(&volume->errors_repaired, __ATOMIC_RELAXED) != le64_get(&super->errors_repaired) ||
	       __atomic_load_n(&volume->errors_lost, __ATOMIC_RELAXED) != le64_get(&super->errors_lost);
}

err_t super_read(struct pxfs_volume *volume, const char **problem)
{
	struct candidates *found = kmalloc(sizeof *found, MEM_ZERO);
	err_t err = found == NULL ? ERR(ENOMEM) : 0;

	if (err == 0 && block_sectors(volume->device) < PXFS_VOLUME_SECTORS_MIN) {
		found->problem = "the device is too small for PXFS";
		err = ERR(EINVAL);
	}
	if (err == 0)
		err = candidates_find(volume, found);
	bool chosen = false;
	for (uint32_t i = 0; err == 0 && i < found->count && !chosen; i++) {
		super_apply(volume, &found->supers[i]);
		if (i != 0)
			log_err("pxfs: %s: going back to generation %llu", block_name(volume->device),
				(unsigned long long)volume->generation - 1);
		chosen = trees_can_be_read(volume, &found->supers[i]);
	}
	if (err == 0 && !chosen) {
		found->problem = "no superblock leads to trees that can be read";
		err = ERR(EBADMSG);
	}
	if (chosen)
		errors_take_over(volume);
	if (err != 0 && found != NULL)
		*problem = found->problem;
	kfree(found);
	return err;
}

// ---- repair -----------------------------------------------------------------------------------------------------------------

enum slot_state {
	SLOT_SOUND,
	SLOT_STALE, // sound, of a generation before, or never written
	SLOT_NEWER, // of one that mounting has passed over
	SLOT_BAD
};

static bool is_zero(const uint8_t *bytes, uint32_t size_bytes)
{
	for (uint32_t i = 0; i < size_bytes; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static enum slot_state slot_judge(struct pxfs_volume *volume, uint32_t ring, uint64_t generation, uint8_t *slot)
{
	const struct pxfs_super *super = (const struct pxfs_super *)slot;
	uint64_t at = slot_place(volume, ring, generation);

	if (block_read(volume->device, at, slot, slot_sectors(volume) << SECTOR_SHIFT) != 0)
		return SLOT_BAD;
	if (is_zero(slot, sizeof *super))
		return SLOT_STALE;
	if (super_problem(super, at, block_sectors(volume->device)) != NULL ||
	    memcmp(super->volume, volume->identity, sizeof super->volume) != 0)
		return SLOT_BAD;
	uint64_t found = le64_get(&super->generation);
	return found == generation ? SLOT_SOUND : found < generation ? SLOT_STALE : SLOT_NEWER;
}

// One that is stale may be so because the power went between the two writes, which is no error.
static void slot_mend(struct pxfs_volume *volume, uint32_t ring, struct pxfs_super *super, bool bad, bool write,
		      struct super_slots *slots)
{
	uint64_t at = slot_place(volume, ring, le64_get(&super->generation));
	uint8_t *slot = kmalloc(slot_sectors(volume) << SECTOR_SHIFT, MEM_ZERO);

	slots->bad += bad;
	if (bad)
		(void)__atomic_fetch_add(&volume->errors_read, 1, __ATOMIC_RELAXED);
	if (bad)
		log_warn("pxfs: %s: superblock at sector %llu is damaged", block_name(volume->device),
			 (unsigned long long)at);
	err_t err = slot == NULL ? ERR(ENOMEM) : write ? slot_write(volume, super, at, slot) : 0;
	if (err != 0)
		log_err("pxfs: %s: superblock at sector %llu: %pe", block_name(volume->device), (unsigned long long)at,
			ERR_PTR(err));
	kfree(slot);
	if (err != 0 || !write)
		return;
	slots->repaired += bad;
	if (bad)
		(void)__atomic_fetch_add(&volume->errors_repaired, 1, __ATOMIC_RELAXED);
	log_notice("pxfs: %s: superblock at sector %llu written again", block_name(volume->device),
		   (unsigned long long)at);
}

err_t super_slots_check(struct pxfs_volume *volume, bool write, struct super_slots *slots)
{
	uint32_t bytes = slot_sectors(volume) << SECTOR_SHIFT;
	uint8_t *slot[2] = {kmalloc(bytes, 0), kmalloc(bytes, 0)};
	uint64_t newest = le64_get(&volume->super.generation);
	err_t err = slot[0] == NULL || slot[1] == NULL ? ERR(ENOMEM) : 0;

	*slots = (struct super_slots){.bad = 0};
	for (uint32_t back = 0; back < PXFS_GENERATIONS_KEPT && newest > back && err == 0; back++) {
		enum slot_state state[2];
		for (uint32_t ring = 0; ring < 2; ring++)
			state[ring] = slot_judge(volume, ring, newest - back, slot[ring]);
		for (uint32_t ring = 0; ring < 2; ring++)
			if (state[ring] == SLOT_SOUND &&
			    le64_get(&((struct pxfs_super *)slot[ring])->sectors) == volume->sectors &&
			    (state[1 - ring] == SLOT_STALE || state[1 - ring] == SLOT_BAD))
				slot_mend(volume, 1 - ring, (struct pxfs_super *)slot[ring],
					  state[1 - ring] == SLOT_BAD, write, slots);
	}
	kfree(slot[0]);
	kfree(slot[1]);
	return err;
}
