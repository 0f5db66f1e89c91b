// SPDX-License-Identifier: MIT
//
// Slots of the address space and the RAM in them. RAM is one memfd per node, so that a later user-mode stub can map pieces of
// it, and so that no single inode's mapping lock is shared by all. Pages come on first touch; discarding punches a hole.
#include "host_slot.h"

#include "host_fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODE_ALIGN (2ull << 20)

struct tb_instance *host_instances[HOST_SLOT_COUNT];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool taken[HOST_SLOT_COUNT]; // under lock

static void *slot_base(uint32_t slot)
{
	return (void *)(uintptr_t)(HAL_SLOT_BASE + slot * HAL_SLOT_SIZE);
}

static void nodes_divide(struct host_ram *ram)
{
	uint64_t unit = ram->size_bytes / ram->node_count / NODE_ALIGN > 0 ? NODE_ALIGN : 4096;
	uint64_t share = ram->size_bytes / ram->node_count / unit * unit;

	for (uint32_t i = 0; i < ram->node_count; i++)
		ram->nodes[i] = (struct hal_ram_node){.offset = i * share, .size_bytes = share, .node = i};
	struct hal_ram_node *last = &ram->nodes[ram->node_count - 1];
	last->size_bytes = ram->size_bytes - last->offset;
}

static tb_err node_map(struct host_ram *ram, uint32_t slot, uint32_t i)
{
	char name[32];
	snprintf(name, sizeof name, "tbos-%u-%u", slot, i);
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	ram->fds[i] = fd;
	if (ftruncate(fd, (off_t)ram->nodes[i].size_bytes) != 0)
		return -errno;
	void *want = ram->base + ram->nodes[i].offset;
	void *got = mmap(want, ram->nodes[i].size_bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);
	if (got == MAP_FAILED)
		return errno == EEXIST ? -EBUSY : -ENOMEM;
	if (got != want) { // a host kernel older than MAP_FIXED_NOREPLACE
		munmap(got, ram->nodes[i].size_bytes);
		return -EBUSY;
	}
	ram->mapped_count = i + 1;
	return 0;
}

static void ram_unmap(struct host_ram *ram)
{
	if (ram->mapped_count > 0)
		host_fiber_clean(ram->base, ram->nodes[ram->mapped_count - 1].offset +
						    ram->nodes[ram->mapped_count - 1].size_bytes);
	for (uint32_t i = 0; i < ram->node_count; i++) {
		if (i < ram->mapped_count)
			munmap(ram->base + ram->nodes[i].offset, ram->nodes[i].size_bytes);
		if (ram->fds[i] >= 0)
			close(ram->fds[i]);
		ram->fds[i] = -1;
	}
	ram->mapped_count = 0;
}

static tb_err ram_map(struct host_ram *ram, uint32_t slot)
{
	tb_err err = 0;
	ram->base = slot_base(slot);
	for (uint32_t i = 0; i < HAL_MAX_NODES; i++)
		ram->fds[i] = -1;
	for (uint32_t i = 0; i < ram->node_count && err == 0; i++)
		err = node_map(ram, slot, i);
	if (err != 0)
		ram_unmap(ram);
	return err;
}

// For a forked child: the lock is held by nobody, and the parent's slots stay taken.
static void fork_before(void)
{
	pthread_mutex_lock(&lock);
}

static void fork_after(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void fork_prepare(void)
{
	pthread_atfork(fork_before, fork_after, fork_after);
}

static bool slot_take(uint32_t slot)
{
	pthread_mutex_lock(&lock);
	bool free = !taken[slot];
	taken[slot] = true;
	pthread_mutex_unlock(&lock);
	return free;
}

static void slot_give(uint32_t slot)
{
	pthread_mutex_lock(&lock);
	taken[slot] = false;
	pthread_mutex_unlock(&lock);
}

static tb_err slot_try(struct tb_instance *instance, uint32_t slot)
{
	if (!slot_take(slot))
		return -EBUSY;
	tb_err err = ram_map(&instance->ram, slot);
	if (err != 0) {
		slot_give(slot);
		return err;
	}
	instance->slot = slot;
	__atomic_store_n(&host_instances[slot], instance, __ATOMIC_RELEASE);
	return 0;
}

tb_err host_slot_open(struct tb_instance *instance, uint32_t wanted)
{
	nodes_divide(&instance->ram);
	if (wanted != 0) {
		tb_err err = slot_try(instance, wanted - 1);
		return err == 0 ? 0 : host_fail(NULL, err, "slot %u: %s", wanted - 1, strerror(-err));
	}
	for (uint32_t slot = 0; slot < HOST_SLOT_COUNT; slot++) {
		tb_err err = slot_try(instance, slot);
		if (err != -EBUSY)
			return err == 0 ? 0 : host_fail(NULL, err, "RAM of slot %u: %s", slot, strerror(-err));
	}
	return host_fail(NULL, -EAGAIN, "all %u slots are taken", (uint32_t)HOST_SLOT_COUNT);
}

void host_slot_close(struct tb_instance *instance)
{
	__atomic_store_n(&host_instances[instance->slot], NULL, __ATOMIC_RELEASE);
	ram_unmap(&instance->ram);
	slot_give(instance->slot);
}

static void discard_piece(struct host_ram *ram, uint32_t node, uint64_t offset, uint64_t size_bytes)
{
	uint64_t in_file = offset - ram->nodes[node].offset;
	long done =
		syscall(SYS_fallocate, ram->fds[node], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, in_file, size_bytes);
	if (done != 0)
		memset(ram->base + offset, 0, size_bytes);
}

void host_ram_discard(struct tb_instance *instance, uint64_t offset, uint64_t size_bytes)
{
	struct host_ram *ram = &instance->ram;
	for (uint32_t i = 0; i < ram->node_count && size_bytes > 0; i++) {
		uint64_t end = ram->nodes[i].offset + ram->nodes[i].size_bytes;
		if (offset >= end)
			continue;
		uint64_t piece = end - offset < size_bytes ? end - offset : size_bytes;
		discard_piece(ram, i, offset, piece);
		offset += piece;
		size_bytes -= piece;
	}
}
