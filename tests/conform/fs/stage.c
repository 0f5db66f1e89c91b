// SPDX-License-Identifier: MIT
//
// What the tests of the page cache share; see testfs.h.
#include "testfs.h"

#include "kern/tunable.h"

static struct process *root(void)
{
	return vfs_monitor_process();
}

bool stage_begin(struct stage *stage, TEST_RUN, const char *options)
{
	stage->run = test_run_;
	CHECK_EQ(testfs_register(), 0);
	CHECK_EQ(vfs_mkdir(root(), TB_AT_FDCWD, "/c", 0755), 0);
	err_t err = vfs_mount(root(), "test", "/c", "testfs", 0, options, NULL);
	CHECK_EQ(err, 0);
	stage->sb = err == 0 ? testfs_sb("/c") : NULL;
	stage->knobs = err == 0 ? testfs_knobs_of(stage->sb) : NULL;
	return err == 0;
}

void stage_end(struct stage *stage)
{
	struct test_run *test_run_ = stage->run;
	struct cache_info info;

	CHECK_EQ(atomic_load_u32_relaxed(&stage->knobs->broken), 0);
	CHECK_EQ(vfs_umount(root(), "/c", 0), 0);
	cache_get_info(&info);
	CHECK_EQ(info.pages, 0);
	CHECK_EQ(info.dirty, 0);
	CHECK_EQ(info.writeback, 0);
	CHECK_EQ(vfs_unlink(root(), TB_AT_FDCWD, "/c", TB_AT_REMOVEDIR), 0);
	testfs_unregister();
}

int32_t stage_open(TEST_RUN, const char *path)
{
	int32_t fd = -1;
	CHECK_EQ(vfs_open(root(), TB_AT_FDCWD, path, TB_O_RDWR | TB_O_CREAT, 0644, &fd), 0);
	return fd;
}

struct inode *stage_inode(int32_t fd)
{
	struct object *object;
	struct inode *inode = NULL;

	if (descriptor_get(root(), fd, NULL, 0, &object, NULL) == 0) {
		inode = container_of(object, struct file, object)->inode;
		object_put(object); // the descriptor keeps it
	}
	return inode;
}

// Everything clean goes.
void stage_evict(void)
{
	for (uint32_t i = 0; i < 3; i++) // used ones get their second chance
		(void)!cache_reclaim(&cache_state()->pressure, 100000);
}

uint32_t tunable_change(const char *name, uint64_t value)
{
	const struct tunable *tunable = tunable_find(name);
	uint32_t before = (uint32_t)tunable->get();
	(void)!tunable->set(value);
	return before;
}
