// SPDX-License-Identifier: MIT
//
// Checkpoints: all dirty nodes are written, leaves first, because a parent holds its children's checksums; then FLUSH; then the superblock, durable by itself.
#include "pxfs_impl.h"

#include "kern/timer.h"

#define WRITES_MAX 64u

// Writes that are under way together.
struct writer {
	struct pxfs_volume *volume;
	struct block_batch batch;
	uint32_t count;
	struct block_request requests[WRITES_MAX];
	struct block_segment segments[WRITES_MAX];
};

static void writer_begin(struct writer *writer)
{
	block_batch_init(&writer->batch);
	writer->count = 0;
}

static err_t writer_end(struct writer *writer)
{
	return block_batch_wait(&writer->batch);
}

static err_t writer_add(struct writer *writer, uint64_t address, void *bytes, uint32_t size_bytes)
{
	err_t err = 0;

	if (writer->count == WRITES_MAX) {
		err = writer_end(writer);
		writer_begin(writer);
	}
	uint32_t n = writer->count++;
	writer->segments[n] = (struct block_segment){bytes, size_bytes};
	writer->requests[n] = (struct block_request){.device = writer->volume->device,
						     .op = BLOCK_WRITE,
						     .sector = address,
						     .sectors = size_bytes >> SECTOR_SHIFT,
						     .segments = &writer->segments[n],
						     .segment_count = 1};
	block_batch_add(&writer->batch, &writer->requests[n]);
	return err;
}

static err_t node_write(struct writer *writer, struct pxfs_node *node, struct pxfs_pointer *pointer)
{
	uint32_t bytes = node_bytes(writer->volume);
	const char *problem = NULL;
	err_t err = node_validate(writer->volume, node->bytes, node->address, UINT32_MAX, &problem);

	if (err != 0) { // what is not sound in memory does not reach the disk
		log_err("pxfs: %s: a node that is to be written is not sound: %s", block_name(writer->volume->device),
			problem);
		return ERR(EUCLEAN);
	}
	le64_put(&pointer->checksum, checksum_xxh3(node->bytes, bytes, 0));
	err = writer_add(writer, node->address, node->bytes, bytes);
	if (err == 0 && node->address2 != 0)
		err = writer_add(writer, node->address2, node->bytes, bytes);
	return err;
}

// A place on the way down.
struct climb {
	struct pxfs_node *node;
	uint32_t slot;
};

// All dirty nodes below a pointer, children first.
static err_t tree_write(struct writer *writer, struct pxfs_tree *tree)
{
	struct pxfs_volume *volume = writer->volume;
	struct pxfs_pointer *root = &tree->root;
	struct climb stack[PXFS_LEVELS_MAX];
	uint32_t depth = 0;
	err_t err = 0;

	if (pointer_is_null(root) || le64_get(&root->birth) != volume->generation)
		return 0;
	err = node_get(volume, root, tree->id, UINT32_MAX, &stack[0].node);
	stack[0].slot = 0;
	if (err != 0)
		return err;
	while (err == 0) {
		struct climb *here = &stack[depth];
		bool is_done = node_level(here->node) == 0 || here->slot == node_count(here->node);
		if (is_done) {
			struct pxfs_pointer *above =
				depth == 0 ? root
					   : &node_children(stack[depth - 1].node)[stack[depth - 1].slot].pointer;
			err = node_write(writer, here->node, above);
			node_put(volume, here->node);
			if (depth == 0)
				return err;
			depth--;
			stack[depth].slot++;
			continue;
		}
		struct pxfs_pointer *child = &node_children(here->node)[here->slot].pointer;
		if (le64_get(&child->birth) != volume->generation) {
			here->slot++;
			continue;
		}
		err = node_get(volume, child, tree->id, node_level(here->node) - 1, &stack[depth + 1].node);
		if (err == 0) {
			depth++;
			stack[depth].slot = 0;
		}
	}
	for (uint32_t i = 0; i <= depth; i++)
		node_put(volume, stack[i].node);
	return err;
}

static err_t tree_write_locked(struct writer *writer, struct pxfs_tree *tree)
{
	rwlock_write_lock(&tree->lock);
	err_t err = tree_write(writer, tree);
	rwlock_write_unlock(&tree->lock);
	return err;
}

// ---- the whole ----------------------------------------------------------------------------------------------------------------

static err_t subvol_store(struct pxfs_subvol *subvol)
{
	struct pxfs_volume *volume = subvol->volume;
	struct pxfs_where where = {subvol->id, PXFS_SUBVOLUME, 0};

	subvol->item.root = subvol->tree.root;
	rwlock_write_lock(&volume->root_tree.lock);
	err_t err = subvol_dead_store(subvol);
	if (err == 0)
		err = tree_put(&volume->root_tree, &where, &subvol->item, sizeof subvol->item);
	rwlock_write_unlock(&volume->root_tree.lock);
	if (err == 0)
		subvol->changed = false;
	return err;
}

static err_t subvols_write(struct pxfs_volume *volume, struct writer *writer)
{
	struct pxfs_subvol *subvol = NULL;
	err_t err = 0;

	list_for_each (subvol, &volume->subvols, link) {
		bool born = le64_get(&subvol->tree.root.birth) == volume->generation;
		if (!born && !subvol->changed && subvol->dead_count == 0)
			continue;
		err = tree_write_locked(writer, &subvol->tree);
		if (err == 0)
			err = subvol_store(subvol);
		if (err != 0)
			break;
	}
	return err;
}

static err_t trees_write(struct pxfs_volume *volume, struct writer *writer)
{
	err_t err = subvols_write(volume, writer);

	if (err == 0)
		err = tree_write_locked(writer, &volume->refs_tree);
	rwlock_write_lock(&volume->root_tree.lock);
	if (err == 0)
		err = space_store(volume);
	if (err == 0)
		err = tree_write(writer, &volume->root_tree);
	rwlock_write_unlock(&volume->root_tree.lock);
	mutex_lock(&volume->space.lock);
	if (err == 0)
		err = tree_write(writer, &volume->space_tree);
	mutex_unlock(&volume->space.lock);
	return err;
}

static void super_fill(struct pxfs_volume *volume)
{
	struct pxfs_super *super = &volume->super;

	le64_put(&super->generation, volume->generation);
	super->root = volume->root_tree.root;
	super->space = volume->space_tree.root;
	super->refs = volume->refs_tree.root;
	le64_put(&super->log.sequence, volume->log.sequence);
	le64_put(&super->log.at, volume->log.at);
	le64_put(&super->used_sectors, volume->space.used_sectors);
	le64_put(&super->promised_sectors, volume->space.promised_sectors);
	le64_put(&super->written_s, clock_wall_ns() / NS_PER_S);
	le64_put(&super->errors_read, __atomic_load_n(&volume->errors_read, __ATOMIC_RELAXED));
	le64_put(&super->errors_repaired, __atomic_load_n(&volume->errors_repaired, __ATOMIC_RELAXED));
	le64_put(&super->errors_lost, __atomic_load_n(&volume->errors_lost, __ATOMIC_RELAXED));
}

// What could not be written leaves the volume as it was on disk, for good: nobody knows what of it is there.
err_t volume_fail(struct pxfs_volume *volume, err_t err)
{
	uint32_t none = 0;

	if (atomic_cmpxchg_u32_acq_rel(&volume->failed, &none, (uint32_t)-err))
		log_err("pxfs: %s: writing has failed (%pe): nothing is written any more", block_name(volume->device),
			ERR_PTR(err));
	return ERR(EIO);
}

err_t volume_break(struct pxfs_volume *volume, err_t err)
{
	uint32_t none = 0;

	if (err != 0 && atomic_cmpxchg_u32_acq_rel(&volume->failed, &none, (uint32_t)-err))
		log_err("pxfs: %s: an operation has failed half way (%pe): nothing is written any more",
			block_name(volume->device), ERR_PTR(err));
	return err;
}

err_t volume_checkpoint(struct pxfs_volume *volume)
{
	if (atomic_load_u32_acquire(&volume->failed) != 0)
		return ERR(EIO);
	struct writer *writer = kmalloc(sizeof *writer, 0);
	if (writer == NULL)
		return ERR(ENOMEM);
	writer->volume = volume;
	writer_begin(writer);
	err_t err = trees_write(volume, writer);
	err_t written = writer_end(writer);
	kfree(writer);
	if (err == 0)
		err = written;
	if (err == -ENOMEM || err == -ENOSPC)
		return err; // what was written nobody refers to
	if (err == 0)
		err = block_flush(volume->device);
	super_fill(volume);
	if (err == 0)
		err = super_write(volume);
	if (err != 0)
		return volume_fail(volume, err);
	__atomic_store_n(&volume->generation, volume->generation + 1, __ATOMIC_RELEASE); // node_fits() reads it
	nodes_clean(volume);
	log_reset(volume);
	rwlock_write_lock(&volume->root_tree.lock);
	err = space_advance(volume);
	rwlock_write_unlock(&volume->root_tree.lock);
	if (err != 0)
		log_warn("pxfs: %s: what has rested is not free: %pe", block_name(volume->device), ERR_PTR(err));
	return 0;
}
