// SPDX-License-Identifier: MIT
//
// Nodes in memory: found by address, read and checked when they are not there, dropped when there are many and nobody uses them. A copy that is
// damaged is written again from the other one.
#include "pxfs_impl.h"

static uint32_t nodes_shrink(struct pressure_callback *callback, uint32_t wanted_frames);

static uint32_t bucket_of(const struct pxfs_cache *cache, uint64_t address)
{
	uint64_t hash = address * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(hash >> 32) & (cache->bucket_count - 1);
}

err_t nodes_init(struct pxfs_volume *volume, uint32_t limit)
{
	struct pxfs_cache *cache = &volume->cache;

	spin_init(&cache->lock, LOCK_RANK_FS, "pxfs: nodes");
	list_init(&cache->lru);
	list_init(&cache->dirty_nodes);
	waitq_init(&cache->loaded, "pxfs: node");
	cache->limit = limit;
	cache->bucket_count = (uint32_t)power_of_2_ceil(MAX(limit, 64u));
	cache->buckets = kmalloc_array(cache->bucket_count, sizeof *cache->buckets, MEM_ZERO);
	cache->pressure = (struct pressure_callback){.name = "pxfs: nodes", .order = 6, .shrink = nodes_shrink};
	pressure_register(&cache->pressure);
	return cache->buckets == NULL ? ERR(ENOMEM) : 0;
}

err_t nodes_spare(struct pxfs_volume *volume)
{
	struct pxfs_cache *cache = &volume->cache;

	while (cache->spare_count < PXFS_SPARES) {
		uint8_t *bytes = kmalloc(node_bytes(volume), 0);
		if (bytes == NULL)
			return ERR(ENOMEM);
		cache->spares[cache->spare_count++] = bytes;
	}
	cache->spares_wanted = true;
	return 0;
}

// Buffers that were spares once, or others, fill them up again.
static void node_free(struct pxfs_cache *cache, struct pxfs_node *node)
{
	spin_lock(&cache->lock);
	if (cache->spares_wanted && node->bytes != NULL && cache->spare_count < PXFS_SPARES) {
		cache->spares[cache->spare_count++] = node->bytes;
		node->bytes = NULL;
	}
	spin_unlock(&cache->lock);
	kfree(node->bytes);
	kfree(node);
}

void nodes_fini(struct pxfs_volume *volume)
{
	struct pxfs_cache *cache = &volume->cache;

	if (cache->pressure.shrink != NULL)
		pressure_unregister(&cache->pressure);
	cache->spares_wanted = false;
	while (cache->spare_count > 0)
		kfree(cache->spares[--cache->spare_count]);
	for (uint32_t i = 0; cache->buckets != NULL && i < cache->bucket_count; i++)
		while (cache->buckets[i] != NULL) {
			struct pxfs_node *node = cache->buckets[i];
			VERIFY3(node->refs, ==, 0);
			cache->buckets[i] = node->next;
			node_free(cache, node);
		}
	kfree(cache->buckets);
	cache->buckets = NULL;
}

// ---- the table; cache.lock held ------------------------------------------------------------------------------------------------

static struct pxfs_node *node_find_locked(struct pxfs_cache *cache, uint64_t address)
{
	struct pxfs_node *node = cache->buckets[bucket_of(cache, address)];

	while (node != NULL && node->address != address)
		node = node->next;
	return node;
}

static void node_link_locked(struct pxfs_cache *cache, struct pxfs_node *node)
{
	struct pxfs_node **bucket = &cache->buckets[bucket_of(cache, node->address)];

	node->next = *bucket;
	*bucket = node;
	cache->count++;
}

static void node_unlink_locked(struct pxfs_cache *cache, struct pxfs_node *node)
{
	struct pxfs_node **link = &cache->buckets[bucket_of(cache, node->address)];

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	cache->count--;
}

static void node_hold_locked(struct pxfs_node *node)
{
	if (node->refs++ == 0 && !node->dirty && list_node_is_linked(&node->lru))
		list_remove(&node->lru);
}

// The one that was used longest ago, out of the table, when there are too many.
static struct pxfs_node *node_evict_locked(struct pxfs_cache *cache)
{
	struct pxfs_node *node = NULL;

	if (cache->count > cache->limit)
		node = list_pop_front_entry(&cache->lru, struct pxfs_node, lru);
	if (node != NULL)
		node_unlink_locked(cache, node);
	return node;
}

// Memory is short: clean nodes that nobody uses go.
static uint32_t nodes_shrink(struct pressure_callback *callback, uint32_t wanted_frames)
{
	struct pxfs_cache *cache = container_of(callback, struct pxfs_cache, pressure);
	uint32_t frames = 0;

	while (frames < wanted_frames) {
		spin_lock(&cache->lock);
		struct pxfs_node *node = list_pop_front_entry(&cache->lru, struct pxfs_node, lru);
		if (node != NULL)
			node_unlink_locked(cache, node);
		spin_unlock(&cache->lock);
		if (node == NULL)
			break;
		frames += PXFS_NODE_BYTES_MIN / FRAME_SIZE;
		node_free(cache, node);
	}
	return frames;
}

// Down to the limit.
static void nodes_trim(struct pxfs_volume *volume)
{
	struct pxfs_node *node = NULL;

	do {
		spin_lock(&volume->cache.lock);
		node = node_evict_locked(&volume->cache);
		spin_unlock(&volume->cache.lock);
		if (node != NULL)
			node_free(&volume->cache, node);
	} while (node != NULL);
}

void node_hold(struct pxfs_volume *volume, struct pxfs_node *node)
{
	spin_lock(&volume->cache.lock);
	node_hold_locked(node);
	spin_unlock(&volume->cache.lock);
}

void node_put(struct pxfs_volume *volume, struct pxfs_node *node)
{
	struct pxfs_cache *cache = &volume->cache;
	struct pxfs_node *gone = NULL;

	spin_lock(&cache->lock);
	ASSERT3(node->refs, !=, 0);
	if (--node->refs == 0 && atomic_load_u32_relaxed_nopoint(&node->state) == PXFS_NODE_FAILED) {
		node_unlink_locked(cache, node);
		gone = node;
	} else if (node->refs == 0 && !node->dirty) {
		memset(&node->lru, 0, sizeof node->lru);
		list_push_back(&cache->lru, &node->lru);
		gone = node_evict_locked(cache);
	}
	spin_unlock(&cache->lock);
	if (gone != NULL)
		node_free(&volume->cache, gone);
}

// ---- finding and reading ---------------------------------------------------------------------------------------------------------

static struct pxfs_node *node_alloc(struct pxfs_volume *volume, uint64_t address, uint64_t address2)
{
	struct pxfs_node *node = kmalloc(sizeof *node, MEM_ZERO);

	if (node == NULL)
		return NULL;
	node->bytes = kmalloc(node_bytes(volume), 0);
	if (node->bytes == NULL) {
		spin_lock(&volume->cache.lock);
		if (volume->cache.spare_count > 0)
			node->bytes = volume->cache.spares[--volume->cache.spare_count];
		spin_unlock(&volume->cache.lock);
	}
	if (node->bytes == NULL) {
		kfree(node);
		return NULL;
	}
	node->address = address;
	node->address2 = address2;
	node->refs = 1;
	return node;
}

static bool is_subvolume(uint64_t tree)
{
	return tree >= PXFS_TREE_SUBVOLUME;
}

// Whether the node is the one that the pointer means: of its generation, and of its tree, or a subvolume's for a subvolume's. On a damaged volume two trees may
// have one node, or one that is free and taken anew meanwhile.
static err_t node_fits(struct pxfs_volume *volume, const struct pxfs_node *node, const struct pxfs_pointer *pointer,
		       uint64_t owner)
{
	uint64_t birth = le64_get(&pointer->birth), made_by = le64_get(&node_header(node)->owner);
	bool own = owner == made_by || (is_subvolume(owner) && is_subvolume(made_by));

	// In this order: readers come in between when a checkpoint opens the next generation and then calls its nodes clean.
	bool dirty = __atomic_load_n(&node->dirty, __ATOMIC_ACQUIRE);
	bool past = birth < __atomic_load_n(&volume->generation, __ATOMIC_ACQUIRE);
	if (own && birth == le64_get(&node_header(node)->birth) && (past || dirty))
		return 0;
	log_err_limited("pxfs: %s: node at sector %llu is another than its parent means", block_name(volume->device),
			(unsigned long long)node->address);
	return ERR(EBADMSG);
}

// Somebody else reads it, or has.
static err_t node_wait(struct pxfs_volume *volume, struct pxfs_node *node, const struct pxfs_pointer *pointer,
		       uint64_t owner, uint32_t level, struct pxfs_node **out)
{
	err_t err = 0;

	(void)waitq_wait_until(&volume->cache.loaded, atomic_load_u32_acquire(&node->state) != PXFS_NODE_LOADING,
			       TB_FOREVER);
	if (atomic_load_u32_acquire(&node->state) == PXFS_NODE_FAILED)
		err = node->error;
	else if (level != UINT32_MAX && node_level(node) != level)
		err = ERR(EBADMSG);
	if (err == 0)
		err = node_fits(volume, node, pointer, owner);
	if (err != 0)
		node_put(volume, node);
	else
		*out = node;
	return err;
}

err_t node_get(struct pxfs_volume *volume, const struct pxfs_pointer *pointer, uint64_t owner, uint32_t level,
	       struct pxfs_node **out)
{
	struct pxfs_cache *cache = &volume->cache;
	uint64_t address = le64_get(&pointer->address[0]);
	struct pxfs_node *fresh = NULL;

	spin_lock(&cache->lock);
	struct pxfs_node *node = node_find_locked(cache, address);
	if (node == NULL) {
		spin_unlock(&cache->lock);
		fresh = node_alloc(volume, address, le64_get(&pointer->address[1]));
		if (fresh == NULL)
			return ERR(ENOMEM);
		spin_lock(&cache->lock);
		node = node_find_locked(cache, address);
	}
	if (node != NULL) {
		node_hold_locked(node);
		cache->hits++;
		spin_unlock(&cache->lock);
		if (fresh != NULL)
			node_free(&volume->cache, fresh);
		return node_wait(volume, node, pointer, owner, level, out);
	}
	fresh->birth = le64_get(&pointer->birth);
	node_link_locked(cache, fresh);
	cache->misses++;
	spin_unlock(&cache->lock);
	fresh->error = node_read(volume, pointer, level, fresh->bytes);
	err_t err = fresh->error;
	if (err == 0)
		err = fresh->error = node_fits(volume, fresh, pointer, owner);
	atomic_store_u32_release(&fresh->state, err == 0 ? PXFS_NODE_READY : PXFS_NODE_FAILED);
	(void)waitq_wake_all(&cache->loaded);
	if (err != 0)
		node_put(volume, fresh);
	else
		*out = fresh;
	return err;
}

// ---- making and giving up ------------------------------------------------------------------------------------------------------

// A node that was there before and has been given up may still be in memory. One that is in use is so because the space map is wrong.
static err_t node_enter(struct pxfs_cache *cache, struct pxfs_node *node)
{
	spin_lock(&cache->lock);
	struct pxfs_node *old = node_find_locked(cache, node->address);
	if (old != NULL && (old->refs != 0 || old->dirty)) {
		spin_unlock(&cache->lock);
		return ERR(EUCLEAN);
	}
	if (old != NULL) {
		if (list_node_is_linked(&old->lru))
			list_remove(&old->lru);
		node_unlink_locked(cache, old);
	}
	node_link_locked(cache, node);
	list_push_back(&cache->dirty_nodes, &node->lru);
	(void)__atomic_fetch_add(&cache->dirty, 1, __ATOMIC_RELAXED);
	spin_unlock(&cache->lock);
	if (old != NULL)
		node_free(cache, old);
	return 0;
}

err_t node_make(struct pxfs_tree *tree, uint32_t level, struct pxfs_node **out)
{
	struct pxfs_volume *volume = tree->volume;
	uint64_t address[2] = {0, 0};
	struct pxfs_node *node = node_alloc(volume, 0, 0);
	err_t err = node == NULL ? ERR(ENOMEM) : 0;

	for (uint32_t i = 0; i < volume->copies && err == 0; i++)
		err = space_take(volume, tree->id == PXFS_TREE_SPACE, i == 0 ? SPACE_NODE : SPACE_COPY,
				 node_sectors(volume), &address[i]);
	if (err != 0) {
		if (address[0] != 0)
			space_return(volume, tree->id == PXFS_TREE_SPACE, address[0], node_sectors(volume));
		if (node != NULL)
			node_free(&volume->cache, node);
		return err;
	}
	node->address = address[0];
	node->address2 = address[1];
	node->birth = volume->generation;
	node->dirty = true;
	node->state = PXFS_NODE_READY;
	memset(node->bytes, 0, node_bytes(volume));
	struct pxfs_node_header *header = node_header(node);
	le32_put(&header->magic, PXFS_NODE_MAGIC);
	header->level = (uint8_t)level;
	le64_put(&header->volume, volume->identity_word);
	le64_put(&header->address, node->address);
	le64_put(&header->birth, node->birth);
	le64_put(&header->owner, tree->id);
	le32_put(&header->data, node_bytes(volume));
	err = node_enter(&volume->cache, node);
	if (err != 0) { // its sectors stay marked: somebody has them
		log_err_limited("pxfs: %s: the space map had a node in use as free, sector %llu",
				block_name(volume->device), (unsigned long long)node->address);
		node_free(&volume->cache, node);
		return err;
	}
	*out = node;
	return 0;
}

err_t node_copy(struct pxfs_tree *tree, struct pxfs_node *node, struct pxfs_node **out)
{
	struct pxfs_node_header own;
	err_t err = node_make(tree, node_level(node), out);

	if (err != 0)
		return err;
	own = *node_header(*out);
	memcpy((*out)->bytes, node->bytes, node_bytes(tree->volume));
	own.count = node_header(node)->count;
	own.data = node_header(node)->data;
	*node_header(*out) = own;
	err = tree_give_up(tree, node);
	if (err != 0)
		node_drop(tree, *out);
	return err;
}

void node_drop(struct pxfs_tree *tree, struct pxfs_node *node)
{
	struct pxfs_volume *volume = tree->volume;
	bool locked = tree->id == PXFS_TREE_SPACE;

	spin_lock(&volume->cache.lock);
	VERIFY(node->dirty && node->refs == 1);
	list_remove(&node->lru);
	node_unlink_locked(&volume->cache, node);
	(void)__atomic_fetch_sub(&volume->cache.dirty, 1, __ATOMIC_RELAXED);
	spin_unlock(&volume->cache.lock);
	space_return(volume, locked, node->address, node_sectors(volume));
	if (node->address2 != 0)
		space_return(volume, locked, node->address2, node_sectors(volume));
	node_free(&volume->cache, node);
}

void nodes_clean(struct pxfs_volume *volume)
{
	struct pxfs_cache *cache = &volume->cache;
	struct pxfs_node *node = NULL;

	spin_lock(&cache->lock);
	while ((node = list_pop_front_entry(&cache->dirty_nodes, struct pxfs_node, lru)) != NULL) {
		memset(&node->lru, 0, sizeof node->lru);
		__atomic_store_n(&node->dirty, false, __ATOMIC_RELEASE);
		(void)__atomic_fetch_sub(&cache->dirty, 1, __ATOMIC_RELAXED);
		if (node->refs == 0)
			list_push_back(&cache->lru, &node->lru);
	}
	spin_unlock(&cache->lock);
	nodes_trim(volume);
}

void node_pointer(const struct pxfs_node *node, struct pxfs_pointer *pointer)
{
	*pointer = (struct pxfs_pointer){0};
	le64_put(&pointer->address[0], node->address);
	le64_put(&pointer->address[1], node->address2);
	le64_put(&pointer->birth, node->birth);
}
