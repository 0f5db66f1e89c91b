// SPDX-License-Identifier: MIT
//
// What connections to one database in WAL mode share: regions of memory and eight locks. An instance lives in one process, and so do all who can open
// its files; what they share is memory of this process, and is gone with the last of them, as it would be with a machine.
#include "sqlite_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct shm_node {
	struct shm_node *next;
	const tb_instance *instance;
	uint64_t dev, ino;
	struct shm_user *users;
	uint32_t region_count;
	int region_bytes;
	void **regions;
};

// One connection. Masks have a bit for each lock.
struct shm_user {
	struct shm_user *next;
	struct shm_node *node;
	uint32_t shared, exclusive;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct shm_node *nodes;

static struct shm_node *node_find_locked(const tb_instance *instance, const struct tb_stat *stat)
{
	for (struct shm_node *node = nodes; node != NULL; node = node->next)
		if (node->instance == instance && node->dev == stat->dev && node->ino == stat->ino)
			return node;
	struct shm_node *node = calloc(1, sizeof *node);
	if (node == NULL)
		return NULL;
	*node = (struct shm_node){
		.next = nodes, .instance = instance, .dev = stat->dev, .ino = stat->ino, .regions = NULL};
	nodes = node;
	return node;
}

static void node_free_locked(struct shm_node *node)
{
	struct shm_node **at = &nodes;
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	for (uint32_t i = 0; i < node->region_count; i++)
		free(node->regions[i]);
	free(node->regions);
	free(node);
}

static int user_make(struct sqlite_file *file)
{
	struct tb_stat stat;
	tb_err err = tb_fstat(file->vfs->files, file->fd, &stat);
	if (err != 0)
		return file_fail(file, err, SQLITE_IOERR_FSTAT);
	struct shm_user *user = calloc(1, sizeof *user);
	if (user == NULL)
		return SQLITE_NOMEM;
	pthread_mutex_lock(&mutex);
	user->node = node_find_locked(file->vfs->instance, &stat);
	if (user->node != NULL) {
		user->next = user->node->users;
		user->node->users = user;
	}
	pthread_mutex_unlock(&mutex);
	if (user->node == NULL) {
		free(user);
		return SQLITE_NOMEM;
	}
	file->shm = user;
	return SQLITE_OK;
}

static int regions_extend_locked(struct shm_node *node, uint32_t count, int size_bytes)
{
	void **regions = realloc(node->regions, count * sizeof *regions);
	if (regions == NULL)
		return SQLITE_NOMEM;
	node->regions = regions;
	node->region_bytes = size_bytes;
	while (node->region_count < count) {
		regions[node->region_count] = calloc(1, (size_t)size_bytes);
		if (regions[node->region_count] == NULL)
			return SQLITE_NOMEM;
		node->region_count++;
	}
	return SQLITE_OK;
}

int shm_map(sqlite3_file *base, int region, int size_bytes, int extend, void volatile **out)
{
	struct sqlite_file *file = file_of(base);
	int result = file->shm == NULL ? user_make(file) : SQLITE_OK;
	*out = NULL;
	if (result != SQLITE_OK)
		return result;
	struct shm_node *node = file->shm->node;
	uint32_t index = (uint32_t)region;
	pthread_mutex_lock(&mutex);
	if (index >= node->region_count && extend)
		result = regions_extend_locked(node, index + 1, size_bytes);
	if (result == SQLITE_OK && index < node->region_count)
		*out = node->regions[index];
	if (node->region_count != 0 && size_bytes != node->region_bytes)
		result = SQLITE_IOERR_SHMSIZE;
	pthread_mutex_unlock(&mutex);
	return result;
}

static bool is_held_by_others_locked(const struct shm_user *own, uint32_t mask, bool exclusive_only)
{
	for (const struct shm_user *user = own->node->users; user != NULL; user = user->next) {
		uint32_t held = user->exclusive | (exclusive_only ? 0 : user->shared);
		if (user != own && (held & mask) != 0)
			return true;
	}
	return false;
}

int shm_lock(sqlite3_file *base, int first, int count, int flags)
{
	struct shm_user *user = file_of(base)->shm;
	uint32_t mask = ((1u << count) - 1) << first;
	bool shared = (flags & SQLITE_SHM_SHARED) != 0;
	int result = SQLITE_OK;
	pthread_mutex_lock(&mutex);
	if ((flags & SQLITE_SHM_UNLOCK) != 0) {
		user->shared &= ~mask;
		user->exclusive &= ~mask;
	} else if (is_held_by_others_locked(user, mask, shared)) {
		result = SQLITE_BUSY;
	} else if (shared) {
		user->shared |= mask;
	} else {
		user->exclusive |= mask;
	}
	pthread_mutex_unlock(&mutex);
	return result;
}

// Locking and unlocking is a barrier; a bare fence is not seen by ThreadSanitizer.
void shm_barrier(sqlite3_file *base)
{
	(void)base;
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

int shm_unmap(sqlite3_file *base, int take_away)
{
	struct sqlite_file *file = file_of(base);
	struct shm_user *user = file->shm;
	(void)take_away;
	if (user == NULL)
		return SQLITE_OK;
	file->shm = NULL;
	pthread_mutex_lock(&mutex);
	struct shm_user **at = &user->node->users;
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	if (user->node->users == NULL)
		node_free_locked(user->node);
	pthread_mutex_unlock(&mutex);
	free(user);
	return SQLITE_OK;
}
