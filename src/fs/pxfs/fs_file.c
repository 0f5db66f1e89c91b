// SPDX-License-Identifier: MIT
//
// Contents of files. The page cache asks for ranges of pages and gives back those that are dirty. A small file lies in its leaf; others in clusters, which are
// encoded one by one, packed side by side and written with one transfer, then hung into the tree.
#include "fs_impl.h"

#define FRAME_SECTORS (FRAME_SIZE >> SECTOR_SHIFT)

// ---- filling ----------------------------------------------------------------------------------------------------------------------

// What of [from, to), in bytes of the file, lies in the pages.
static void pages_zero(struct page **pages, uint64_t first, uint32_t count, uint64_t from, uint64_t to)
{
	from = MAX(from, first * FRAME_SIZE);
	to = MIN(to, (first + count) * FRAME_SIZE);
	while (from < to) {
		uint32_t into = (uint32_t)(from % FRAME_SIZE);
		uint64_t size = MIN((uint64_t)FRAME_SIZE - into, to - from);
		memset((uint8_t *)pages[from / FRAME_SIZE - first]->frame + into, 0, (size_t)size);
		from += size;
	}
}

// `bytes` are those of the file from `offset` on.
static void pages_copy(struct page **pages, uint64_t first, uint32_t count, uint64_t offset, const uint8_t *bytes,
		       uint64_t size_bytes)
{
	uint64_t begin = first * FRAME_SIZE, end = begin + (uint64_t)count * FRAME_SIZE;
	uint64_t from = MAX(offset, begin), to = MIN(offset + size_bytes, end);

	while (from < to) {
		uint32_t into = (uint32_t)(from % FRAME_SIZE);
		uint64_t size = MIN((uint64_t)FRAME_SIZE - into, to - from);
		uint8_t *frame = pages[from / FRAME_SIZE - first]->frame;
		memcpy(frame + into, bytes + (from - offset), (size_t)size);
		from += size;
	}
}

// True with contents: the file lies in its leaf.
static err_t inline_fill(struct pxfs_mount *mount, uint64_t ino, uint64_t first, struct page **pages, uint32_t count,
			 bool *there)
{
	struct pxfs_where where = {ino, PXFS_INLINE, 0};
	uint8_t bytes[PXFS_INLINE_MAX];
	uint32_t size = sizeof bytes;
	err_t err = tree_get(&mount->subvol->tree, &where, bytes, &size);

	*there = err == 0;
	if (err == 0) {
		pages_copy(pages, first, count, 0, bytes, size);
		pages_zero(pages, first, count, size, UINT64_MAX);
	}
	return err == -ENOENT ? 0 : err;
}

static err_t piece_fill(struct pxfs_mount *mount, struct pxfs_codec *codec, const struct pxfs_piece *piece,
			uint64_t first, struct page **pages, uint32_t count)
{
	const struct pxfs_extent *extent = &piece->extent;

	if (le64_get(&extent->address) == 0) {
		pages_zero(pages, first, count, piece->offset, piece->offset + le32_get(&extent->length));
		return 0;
	}
	err_t err = codec_read(codec, mount->volume, extent);
	if (err == 0)
		pages_copy(pages, first, count, piece->offset, codec_plain(codec) + le32_get(&extent->into),
			   le32_get(&extent->length));
	return err;
}

static err_t extents_fill(struct pxfs_mount *mount, uint64_t ino, uint64_t first, struct page **pages, uint32_t count)
{
	uint64_t at = first * FRAME_SIZE, end = at + (uint64_t)count * FRAME_SIZE;
	struct pxfs_codec *codec = codec_take(mount->volume, false);
	struct pxfs_piece piece;
	bool there = true;
	err_t err = 0;

	while (err == 0 && at < end) {
		err = extent_find(mount->subvol, ino, at, &piece, &there);
		if (err != 0 || !there || piece.offset >= end)
			break;
		pages_zero(pages, first, count, at, piece.offset);
		err = piece_fill(mount, codec, &piece, first, pages, count);
		at = piece.offset + le32_get(&piece.extent.length);
	}
	if (err == 0)
		pages_zero(pages, first, count, at, end);
	codec_give(mount->volume, codec);
	return err;
}

err_t pxfs_fill(struct inode *inode, uint64_t first, struct page **pages, uint32_t count)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);
	struct pxfs_tree *tree = &mount->subvol->tree;
	bool there = false;

	rwlock_read_lock(&tree->lock);
	err_t err = inline_fill(mount, inode->ino, first, pages, count, &there);
	if (err == 0 && !there)
		err = extents_fill(mount, inode->ino, first, pages, count);
	rwlock_read_unlock(&tree->lock);
	return err;
}

// ---- flushing ---------------------------------------------------------------------------------------------------------------------

// One flush: up to CACHE_RANGE_MAX pages become some clusters, packed into one run of sectors.
struct flush {
	struct pxfs_mount *mount;
	struct inode *inode;
	struct pxfs_codec *codec;
	uint8_t *packed; // room for all of it as it is, and a sector for each
	uint32_t used_sectors, count;
	struct pxfs_piece pieces[CACHE_RANGE_MAX + 1];
};

static err_t cluster_pack(struct flush *flush, uint64_t offset, uint32_t bytes)
{
	const struct pxfs_inode_core *core = pxfs_core(flush->inode);
	uint8_t method = core->method;
	const uint8_t *stored = NULL;
	uint32_t stored_bytes = 0;
	err_t err = codec_encode(flush->codec, bytes, &method, core->level, &stored, &stored_bytes);

	if (err != 0)
		return err;
	struct pxfs_piece *piece = &flush->pieces[flush->count++];
	uint32_t sectors = DIV_ROUND_UP(stored_bytes, SECTOR_SIZE);
	uint8_t *to = flush->packed + ((size_t)flush->used_sectors << SECTOR_SHIFT);
	memcpy(to, stored, stored_bytes);
	memset(to + stored_bytes, 0, ((size_t)sectors << SECTOR_SHIFT) - stored_bytes);
	*piece = (struct pxfs_piece){.offset = offset, .extent = {.method = method}};
	le64_put(&piece->extent.address, flush->used_sectors); // from the run's beginning, until it has one
	le32_put(&piece->extent.stored, stored_bytes);
	le32_put(&piece->extent.cluster, bytes);
	le32_put(&piece->extent.length, bytes);
	le64_put(&piece->extent.checksum, checksum_xxh3(stored, stored_bytes, 0));
	flush->used_sectors += sectors;
	return 0;
}

_Static_assert(sizeof(struct flush) <= CODEC_SCRATCH_BYTES, "it lies in the codec's scratch");

// Pages that follow each other, none missing, cut at clusters' borders.
static err_t run_pack(struct flush *flush, uint64_t first, struct page **pages, uint32_t count)
{
	uint32_t cluster_pages = 1u << (pxfs_core(flush->inode)->cluster_shift - FRAME_SHIFT);
	uint64_t end = inode_size(flush->inode);
	err_t err = 0;

	for (uint32_t i = 0; i < count && err == 0;) {
		uint32_t room = cluster_pages - (uint32_t)((first + i) % cluster_pages), part = MIN(count - i, room);
		uint64_t offset = (first + i) * FRAME_SIZE;
		for (uint32_t j = 0; j < part; j++)
			memcpy(codec_plain(flush->codec) + (size_t)j * FRAME_SIZE, pages[i + j]->frame, FRAME_SIZE);
		uint64_t bytes = MIN((uint64_t)part * FRAME_SIZE, end - MIN(offset, end));
		if (bytes != 0)
			err = cluster_pack(flush, offset, (uint32_t)ALIGN_UP(bytes, (uint64_t)SECTOR_SIZE));
		i += part;
	}
	return err;
}

void pxfs_blocks_add(struct inode *inode, int64_t sectors)
{
	spin_lock(&inode->attr_lock);
	inode->blocks = (uint64_t)((int64_t)inode->blocks + sectors);
	spin_unlock(&inode->attr_lock);
	pxfs_dirty(inode);
}

// A piece that ends within a page is the page's all: what was behind it, before the file was cut, is no more.
static err_t piece_hang(struct flush *flush, const struct pxfs_piece *piece, int64_t *sectors)
{
	struct pxfs_subvol *subvol = flush->mount->subvol;
	uint64_t end = piece->offset + le32_get(&piece->extent.length);
	err_t err = extent_put(subvol, flush->inode->ino, piece, sectors);

	if (err == 0 && end % FRAME_SIZE != 0)
		err = extent_punch(subvol, flush->inode->ino, end, ALIGN_UP(end, (uint64_t)FRAME_SIZE), sectors);
	return err;
}

static err_t pieces_hang(struct flush *flush, uint64_t address)
{
	struct pxfs_mount *mount = flush->mount;
	struct pxfs_tree *tree = &mount->subvol->tree;
	int64_t sectors = 0;
	err_t err = 0;

	rwlock_write_lock(&tree->lock);
	for (uint32_t i = 0; i < flush->count && err == 0; i++) {
		struct pxfs_extent *extent = &flush->pieces[i].extent;
		le64_put(&extent->address, address + le64_get(&extent->address));
		le64_put(&extent->physical_birth, mount->volume->generation);
		le64_put(&extent->reference_birth, mount->volume->generation);
		err = piece_hang(flush, &flush->pieces[i], &sectors);
	}
	if (err == 0)
		err = tree_take(tree, &(struct pxfs_where){flush->inode->ino, PXFS_INLINE, 0});
	err = volume_break(mount->volume, err == -ENOENT ? 0 : err);
	rwlock_write_unlock(&tree->lock);
	pxfs_blocks_add(flush->inode, sectors);
	return err;
}

// Takes whole blocks, writes them, and gives back sectors that nothing came to lie in.
static err_t flush_write(struct flush *flush)
{
	struct pxfs_volume *volume = flush->mount->volume;
	uint32_t block = block_sectors_of(volume), sectors = DIV_ROUND_UP(flush->used_sectors, block) * block;
	uint32_t spare = sectors - flush->used_sectors;
	uint64_t address = 0;
	err_t err = space_take(volume, false, false, sectors, &address);

	if (err != 0)
		return err;
	memset(flush->packed + ((size_t)flush->used_sectors << SECTOR_SHIFT), 0, (size_t)spare << SECTOR_SHIFT);
	err = block_write(volume->device, address, flush->packed, (size_t)sectors << SECTOR_SHIFT, 0);
	if (spare != 0)
		space_return(volume, false, address + flush->used_sectors, spare);
	if (err == 0)
		err = pieces_hang(flush, address);
	else
		space_return(volume, false, address, flush->used_sectors);
	return err;
}

static err_t inline_flush(struct pxfs_mount *mount, struct inode *inode, const struct page *page)
{
	struct pxfs_tree *tree = &mount->subvol->tree;
	uint32_t size = (uint32_t)inode_size(inode);
	int64_t sectors = 0;

	rwlock_write_lock(&tree->lock);
	err_t err = tree_put(tree, &(struct pxfs_where){inode->ino, PXFS_INLINE, 0}, page->frame, size);
	if (err == 0)
		err = volume_break(mount->volume, extent_punch(mount->subvol, inode->ino, 0, INT64_MAX, &sectors));
	rwlock_write_unlock(&tree->lock);
	if (sectors != 0)
		pxfs_blocks_add(inode, sectors);
	return err;
}

// What has not changed lies where it lies, or nowhere.
static bool is_changed(const struct page *page)
{
	return page != NULL && (atomic_load_u32_relaxed(&page->flags) & PAGE_CHANGED) != 0;
}

// A file that has grown out of its leaf, and whose first page has not changed: what the leaf has goes along.
static err_t inline_pack(struct flush *flush)
{
	struct pxfs_tree *tree = &flush->mount->subvol->tree;
	struct pxfs_where where = {flush->inode->ino, PXFS_INLINE, 0};
	uint8_t *plain = codec_plain(flush->codec);
	uint32_t size = PXFS_INLINE_MAX;

	rwlock_read_lock(&tree->lock);
	err_t err = tree_get(tree, &where, plain, &size);
	rwlock_read_unlock(&tree->lock);
	if (err != 0 || size == 0)
		return err == -ENOENT ? 0 : err;
	uint32_t bytes = ALIGN_UP(size, SECTOR_SIZE);
	memset(plain + size, 0, bytes - size);
	return cluster_pack(flush, 0, bytes);
}

static err_t range_flush(struct pxfs_mount *mount, struct inode *inode, struct pxfs_codec *codec, uint64_t first,
			 struct page **pages, uint32_t count)
{
	struct flush *flush = codec_scratch(codec);
	err_t err = 0;

	*flush = (struct flush){.mount = mount, .inode = inode, .codec = codec, .packed = codec_packed(codec)};
	if (first != 0 || !is_changed(pages[0]))
		err = inline_pack(flush);
	for (uint32_t i = 0; i < count && err == 0;) {
		uint32_t run = 0;
		while (i + run < count && is_changed(pages[i + run]))
			run++;
		if (run != 0)
			err = run_pack(flush, first + i, &pages[i], run);
		i += run + 1;
	}
	return err == 0 && flush->count != 0 ? flush_write(flush) : err;
}

// Where there is no run for all of it, it goes in halves, down to pages: a page has a block for itself.
err_t pxfs_clusters_flush(struct pxfs_mount *mount, struct inode *inode, uint64_t first, struct page **pages,
			  uint32_t count)
{
	struct pxfs_codec *codec = codec_take(mount->volume, true);
	uint32_t step = count, done = 0;
	err_t err = codec_prepare(codec, 1u << pxfs_core(inode)->cluster_shift);

	while (err == 0 && done < count) {
		uint32_t part = MIN(step, count - done);
		err = range_flush(mount, inode, codec, first + done, &pages[done], part);
		if (err == 0)
			done += part;
		else if (err == -ENOSPC && part > 1 && atomic_load_u32_acquire(&mount->volume->failed) == 0)
			err = 0, step = DIV_ROUND_UP(part, 2);
	}
	codec_give(mount->volume, codec);
	return err;
}

err_t pxfs_flush(struct inode *inode, uint64_t first, struct page **pages, uint32_t count)
{
	struct pxfs_mount *mount = pxfs_mount_of(inode);

	if (atomic_load_u32_acquire(&mount->volume->failed) != 0)
		return ERR(EIO);
	if (first == 0 && pages[0] != NULL && inode_size(inode) <= PXFS_INLINE_MAX)
		return inline_flush(mount, inode, pages[0]);
	return pxfs_clusters_flush(mount, inode, first, pages, count);
}

// ---- promises ---------------------------------------------------------------------------------------------------------------------

// A page that is dirty has room for it, as it is, and a little for the tree, so that writing it back finds some.
err_t pxfs_reserve(struct inode *inode, uint64_t first, uint32_t count)
{
	struct pxfs_volume *volume = pxfs_mount_of(inode)->volume;
	struct pxfs_space_state *space = &volume->space;
	uint64_t margin_sectors = pxfs_core(inode)->shrinks ? space->margin_sectors / 2 : space->margin_sectors;

	(void)first;
	mutex_lock(&space->lock);
	bool fits = space_fits(volume, margin_sectors, count * PXFS_PAGE_NODES, count);
	if (fits)
		space->reserved_sectors += (uint64_t)count * PXFS_PAGE_PROMISE;
	mutex_unlock(&space->lock);
	return fits ? 0 : ERR(ENOSPC);
}

void pxfs_release(struct inode *inode, uint32_t count)
{
	struct pxfs_space_state *space = &pxfs_mount_of(inode)->volume->space;

	mutex_lock(&space->lock);
	space->reserved_sectors -= (uint64_t)count * PXFS_PAGE_PROMISE;
	mutex_unlock(&space->lock);
}

// ---- open files -------------------------------------------------------------------------------------------------------------------

err_t pxfs_write_begin(struct inode *inode)
{
	return epoch_enter_for(pxfs_mount_of(inode), MIB(1) / FRAME_SIZE * PXFS_PAGE_PROMISE + OPERATION_SECTORS);
}

void pxfs_write_end(struct inode *inode)
{
	epoch_leave(pxfs_mount_of(inode));
}

static err_t file_sync(struct file *file)
{
	err_t err = cache_sync(file), committed = pxfs_commit(pxfs_mount_of(file->inode));
	return err != 0 ? err : committed;
}

const struct file_ops pxfs_file_ops = {.read = cache_read,
				       .write = cache_write,
				       .sync = file_sync,
				       .ioctl = pxfs_ioctl,
				       .ioctl_is_privileged = pxfs_ioctl_is_privileged};
