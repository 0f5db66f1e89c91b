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
	struct pxfs_setting setting;
	uint32_t cluster_pages;
	uint32_t used_sectors, count, done; // done: pieces that hang in the tree
	struct pxfs_piece pieces[CACHE_RANGE_MAX + 1];
};

static err_t cluster_pack(struct flush *flush, uint64_t offset, uint32_t bytes)
{
	uint8_t method = flush->setting.method;
	const uint8_t *stored = NULL;
	uint32_t stored_bytes = 0;
	err_t err = codec_encode(flush->codec, bytes, &method, flush->setting.level, &stored, &stored_bytes);

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
	uint32_t cluster_pages = flush->cluster_pages;
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

static err_t pieces_hang(struct flush *flush, uint64_t address, uint32_t count)
{
	struct pxfs_mount *mount = flush->mount;
	struct pxfs_tree *tree = &mount->subvol->tree;
	int64_t sectors = 0;
	err_t err = 0;

	rwlock_write_lock(&tree->lock);
	for (uint32_t i = flush->done; i < flush->done + count && err == 0; i++) {
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

// Writes `count` pieces into one run of whole blocks, and gives back sectors that nothing came to lie in.
static err_t run_write(struct flush *flush, uint32_t count)
{
	struct pxfs_volume *volume = flush->mount->volume;
	uint32_t first = (uint32_t)le64_get(&flush->pieces[flush->done].extent.address),
		 block = block_sectors_of(volume);
	uint32_t end = flush->done + count == flush->count
			       ? flush->used_sectors
			       : (uint32_t)le64_get(&flush->pieces[flush->done + count].extent.address);
	uint32_t used = end - first, sectors = DIV_ROUND_UP(used, block) * block;
	uint8_t *from = flush->packed + ((size_t)first << SECTOR_SHIFT);
	uint64_t address = 0;
	err_t err = space_take(volume, false, SPACE_DATA, sectors, &address);

	if (err != 0)
		return err;
	if (end == flush->used_sectors) // else something that is written later stands there
		memset(from + ((size_t)used << SECTOR_SHIFT), 0, (size_t)(sectors - used) << SECTOR_SHIFT);
	err = block_write(volume->device, address, from, (size_t)sectors << SECTOR_SHIFT, 0);
	if (sectors != used)
		space_return(volume, false, address + used, sectors - used);
	if (err == 0)
		err = pieces_hang(flush, address - first, count);
	else
		space_return(volume, false, address, used);
	flush->done += err == 0 ? count : 0;
	return err;
}

// In one run, or where no free one is as long, in several. -ENOSPC: there is none for the piece that `done` says.
static err_t flush_write(struct flush *flush)
{
	err_t err = 0;

	while (err == 0 && flush->done < flush->count) {
		uint32_t count = flush->count - flush->done;
		err = run_write(flush, count);
		while (err == -ENOSPC && count > 1) {
			count /= 2;
			err = run_write(flush, count);
		}
	}
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

static err_t pages_pack(struct flush *flush, uint64_t first, struct page **pages, uint32_t count)
{
	err_t err = 0;

	for (uint32_t i = 0; i < count && err == 0;) {
		uint32_t run = 0;
		while (i + run < count && is_changed(pages[i + run]))
			run++;
		if (run != 0)
			err = run_pack(flush, first + i, &pages[i], run);
		i += run + 1;
	}
	return err;
}

// As many pages as can be packed at once.
static err_t part_flush(struct flush *flush, uint64_t first, struct page **pages, uint32_t count, bool with_inline)
{
	uint32_t cluster_pages = flush->cluster_pages;
	err_t err = 0;

	flush->used_sectors = flush->count = flush->done = 0;
	if (with_inline)
		err = inline_pack(flush);
	if (err == 0)
		err = pages_pack(flush, first, pages, count);
	if (err == 0)
		err = flush_write(flush);
	uint64_t at = err == -ENOSPC ? flush->pieces[flush->done].offset / FRAME_SIZE : 0;
	if (err != -ENOSPC || cluster_pages == 1 || at < first)
		return err;
	flush->cluster_pages = 1; // no free run is as long as a cluster: page by page
	flush->used_sectors = flush->count = flush->done = 0;
	err = pages_pack(flush, at, pages + (at - first), count - (uint32_t)(at - first));
	if (err == 0)
		err = flush_write(flush);
	flush->cluster_pages = cluster_pages;
	return err;
}

err_t pxfs_clusters_flush(struct pxfs_mount *mount, struct inode *inode, uint64_t first, struct page **pages,
			  uint32_t count)
{
	struct pxfs_codec *codec = codec_take(mount->volume, true);
	struct flush *flush = codec_scratch(codec);

	*flush = (struct flush){.mount = mount, .inode = inode, .codec = codec};
	flush->setting = pxfs_setting_get(pxfs_core(inode));
	err_t err = codec_prepare(codec, 1u << flush->setting.cluster_shift);
	flush->cluster_pages =
		err == 0 ? 1u << (flush->setting.cluster_shift - FRAME_SHIFT) : codec_room(codec) >> FRAME_SHIFT;
	if (err == -ENOMEM) // smaller ones do as well
		err = 0;
	uint32_t room = codec_packed_need(codec, flush->cluster_pages);
	flush->packed = codec_packed(codec);
	flush->cluster_pages = MIN(flush->cluster_pages, room);
	for (uint32_t i = 0, part = 0; i < count && err == 0; i += part) {
		part = MIN(count - i, room - (uint32_t)((first + i) % room));
		err = part_flush(flush, first + i, pages + i, part, i == 0 && (first != 0 || !is_changed(pages[0])));
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
