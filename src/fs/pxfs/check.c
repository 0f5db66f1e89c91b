// SPDX-License-Identifier: MIT
//
// The checker: the whole, and the space map.
#include "check_impl.h"

#include "kern/fmt.h"

#define PASSES_MAX 16u
#define SAID_MAX 1000u // problems that are said; all are counted

void check_tell(struct check *check, const char *format, ...)
{
	char text[200];
	va_list arguments;

	if (check->say == NULL)
		return;
	va_start(arguments, format);
	kvsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	check->say(check->arg, text);
}

void check_say(struct check *check, const char *format, ...)
{
	char text[200];
	va_list arguments;

	if (++check->report->problems > SAID_MAX || check->say == NULL)
		return;
	va_start(arguments, format);
	kvsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	check->say(check->arg, text);
	if (check->report->problems == SAID_MAX)
		check->say(check->arg, "more problems are counted, and not said");
}

// ---- claims -------------------------------------------------------------------------------------------------------------------------

bool check_is_claimed(const struct check *check, uint64_t address)
{
	const uint64_t *bits = check->claims[address >> PXFS_REGION_SHIFT];
	uint32_t at = address & (PXFS_REGION_SECTORS - 1);

	return bits != NULL && (bits[at / 64] >> at % 64 & 1) != 0;
}

err_t check_claim(struct check *check, uint64_t address, uint64_t sectors, const char *whose)
{
	bool twice = false;

	if (address >= check->volume->sectors || sectors > check->volume->sectors - address) {
		check_say(check, "%s at sector %llu lies outside the volume", whose, (unsigned long long)address);
		return 0;
	}
	for (uint64_t at = address; at < address + sectors; at++) {
		uint64_t **bits = &check->claims[at >> PXFS_REGION_SHIFT];
		if (*bits == NULL)
			*bits = kmalloc(PXFS_REGION_SECTORS / 8, MEM_ZERO);
		if (*bits == NULL)
			return ERR(ENOMEM);
		twice = twice || check_is_claimed(check, at);
		(*bits)[(at & (PXFS_REGION_SECTORS - 1)) / 64] |= 1ull << at % 64;
	}
	check->report->sectors += sectors;
	check->twice = check->twice || twice;
	if (twice)
		check_say(check, "%s at sector %llu lies where something else does", whose,
			  (unsigned long long)address);
	return 0;
}

static err_t claim_fixed(struct check *check)
{
	const struct pxfs_volume *volume = check->volume;
	const struct pxfs_log_place *log = &volume->super.log;
	uint32_t block = block_sectors_of(volume);
	uint64_t first = DIV_ROUND_UP(le64_get(&log->address) + le64_get(&log->sectors), (uint64_t)block) * block;
	uint64_t last = super_ring(volume, 1);
	err_t err = check_claim(check, 0, first, "what is fixed");

	return err == 0 ? check_claim(check, last, volume->sectors - last, "the second ring of superblocks") : err;
}

static err_t claim_resting(struct check *check)
{
	const struct pxfs_space_state *space = &check->volume->space;
	err_t err = 0;

	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t j = 0; j < space->rests[i].count && err == 0; j++)
			err = check_claim(check, space->rests[i].ranges[j].address, space->rests[i].ranges[j].sectors,
					  "what rests");
	return err;
}

// ---- the space map --------------------------------------------------------------------------------------------------------------------

static void region_compare(struct check *check, uint32_t index)
{
	const struct pxfs_region *region = &check->volume->space.regions[index];
	const uint64_t *claims = check->claims[index];
	uint64_t leaked = 0, missing = 0, first = UINT64_MAX;

	for (uint32_t i = 0; i < PXFS_REGION_SECTORS / 64; i++) {
		uint64_t used = region->bits[i], claimed = claims == NULL ? 0 : claims[i];
		for (uint32_t bit = 0; used != claimed && bit < 64; bit++) {
			bool is_used = (used >> bit & 1) != 0, is_claimed = (claimed >> bit & 1) != 0;
			leaked += is_used && !is_claimed;
			missing += !is_used && is_claimed;
			if (is_used != is_claimed && first == UINT64_MAX)
				first = ((uint64_t)index << PXFS_REGION_SHIFT) + i * 64u + bit;
		}
	}
	check->space_wrong = check->space_wrong || leaked != 0 || missing != 0;
	if (leaked != 0)
		check_say(check, "region %u: %llu sectors are marked as used and are nobody's, from sector %llu on",
			  index, (unsigned long long)leaked, (unsigned long long)first);
	if (missing != 0)
		check_say(check, "region %u: %llu sectors are used and marked as free, from sector %llu on", index,
			  (unsigned long long)missing, (unsigned long long)first);
}

static err_t space_compare(struct check *check)
{
	struct pxfs_volume *volume = check->volume;
	err_t err = 0;

	mutex_lock(&volume->space.lock);
	for (uint32_t i = 0; i < volume->space.region_count && err == 0; i++) {
		if (check->claims[i] == NULL && volume->space.regions[i].used == 0)
			continue;
		err = volume->space.regions[i].bits == NULL ? region_load(volume, i) : 0;
		if (err == 0)
			region_compare(check, i);
		else if (err != -ENOMEM && (check->space_wrong = true))
			check_say(check, "region %u: its map cannot be read: %s", i, err_text(err));
		if (err != -ENOMEM)
			err = 0;
	}
	if (check->promised != volume->space.promised_sectors && (check->space_wrong = true))
		check_say(check, "%llu sectors are promised, and %llu are counted", (unsigned long long)check->promised,
			  (unsigned long long)volume->space.promised_sectors);
	mutex_unlock(&volume->space.lock);
	return err;
}

// ---- the whole --------------------------------------------------------------------------------------------------------------------------

static err_t volume_check(struct check *check)
{
	struct pxfs_volume *volume = check->volume;
	err_t err = claim_fixed(check);

	if (err == 0)
		err = check_tree(check, &volume->root_tree.root, PXFS_TREE_ROOT, true, NULL);
	if (err == 0)
		err = check_tree(check, &volume->space_tree.root, PXFS_TREE_SPACE, true, NULL);
	if (err == 0)
		err = check_subvolumes(check);
	if (err == 0)
		err = check_references(check);
	if (err == 0)
		err = claim_resting(check);
	if (err == 0)
		err = space_compare(check);
	return err;
}

// Once through all of it; then what can be mended is. *mended: how much was, so that it is to be looked at again.
static err_t check_once(const char *device, struct check *check, uint32_t *mended, const char **problem)
{
	struct pxfs_volume *volume = NULL;
	struct super_slots slots;
	err_t err = volume_open(device, true, &volume, problem);

	*mended = 0;
	if (err != 0)
		return err;
	check->volume = volume;
	uint64_t before = __atomic_load_n(&volume->errors_repaired, __ATOMIC_RELAXED);
	volume->read_only =
		(check->flags & PXFS_CHECK_REPAIR) == 0; // opened so, it would be on its way to the next generation
	check->claims = kmalloc_array(volume->space.region_count, sizeof *check->claims, MEM_ZERO);
	check->bytes = kmalloc(node_bytes(volume), 0);
	err = check->claims == NULL || check->bytes == NULL ? ERR(ENOMEM) : volume_check(check);
	if (err == 0)
		err = super_slots_check(volume, !volume->read_only, &slots);
	uint64_t repaired = __atomic_load_n(&volume->errors_repaired, __ATOMIC_RELAXED) - before;
	check->report->repaired += repaired;
	if (err == 0 && repaired != 0)
		err = block_flush(volume->device);
	if (err == 0 && !volume->read_only && (check->fix_count != 0 || check->space_wrong))
		err = check_repair(check, mended);
	for (uint32_t i = 0; check->claims != NULL && i < volume->space.region_count; i++)
		kfree(check->claims[i]);
	kfree(check->claims);
	kfree(check->bytes);
	kfree(check->inodes);
	kfree(check->extents);
	kfree(check->fixes);
	kfree(check->subvols);
	volume_abandon(volume);
	return err;
}

err_t pxfs_check_volume(const char *device, uint32_t flags, void (*say)(void *arg, const char *text), void *arg,
			struct pxfs_check_report *report, const char **problem)
{
	uint64_t repaired = 0, mended = 0;
	uint32_t once = 1;
	err_t err = 0;

	for (uint32_t pass = 0; err == 0 && once != 0 && pass < PASSES_MAX; pass++) {
		struct check check = {.flags = flags, .say = say, .arg = arg, .report = report};
		*report = (struct pxfs_check_report){.repaired = repaired, .mended = mended};
		err = check_once(device, &check, &once, problem);
		repaired = report->repaired;
		mended += once;
	}
	report->mended = mended;
	return err;
}
