// SPDX-License-Identifier: MIT
//
// The kernel's half of the allocation failure test: a workload that allocates in every way there is and treats each
// refusal as an error to be handled, never as a reason to leave something behind.
#include "faults_entry.h"

#include "kern/atomic.h"
#include "kern/component.h"
#include "kern/mem.h"
#include "kern/monitor.h"
#include "kern/rcu.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/vfs.h"

#define OBJECTS 40u
#define CROWD_MAX 600u

static void worker(void *arg)
{
	struct semaphore *sem = arg;
	void *memory = kmalloc(3000, MEM_ZERO);
	sleep_ns(1000);
	kfree(memory);
	sem_up(sem);
}

static err_t work_threads(void)
{
	struct semaphore done;
	struct thread *threads[3] = {NULL};
	err_t err = 0;
	uint32_t count = 0;

	sem_init(&done, 0, "faults");
	while (count < array_count(threads) && err == 0) {
		err = thread_start(NULL, worker, &done, &threads[count]);
		count += err == 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		sem_down(&done);
		err_t joined = thread_join(threads[i], NULL);
		VERIFY(joined == 0);
	}
	return err;
}

static err_t work_cache(void)
{
	struct slab_params params = {.name = "faults", .size_bytes = 200};
	struct slab_cache *cache;
	void *objects[OBJECTS];
	uint32_t count = 0;
	err_t err = slab_cache_create(&params, &cache);
	if (err != 0)
		return err;
	while (count < OBJECTS && (objects[count] = slab_alloc(cache, 0)) != NULL)
		count++;
	err = count == OBJECTS ? 0 : -ENOMEM;
	while (count > 0)
		slab_free(cache, objects[--count]);
	err_t destroyed = slab_cache_destroy(cache);
	VERIFY(destroyed == 0);
	return err;
}

static err_t work_sizes(void)
{
	static const size_t sizes[] = {1, 24, 100, 500, 2000, 8000, 9000, 70000, 300000};
	void *blocks[array_count(sizes)] = {NULL};
	err_t err = 0;
	for (uint32_t i = 0; i < array_count(sizes); i++) {
		blocks[i] = kmalloc(sizes[i], 0);
		void *grown = blocks[i] != NULL ? krealloc(blocks[i], sizes[i] * 2, 0) : NULL;
		if (grown != NULL)
			blocks[i] = grown;
		if (blocks[i] == NULL || grown == NULL)
			err = -ENOMEM;
	}
	for (uint32_t i = 0; i < array_count(sizes); i++)
		kfree(blocks[i]);
	return err;
}

static err_t work_frames(void)
{
	struct account *account;
	struct frame_reservation reservation;
	err_t err = account_create(account_root(), "faults", 0, &account);
	if (err != 0)
		return err;
	err = frame_reserve(&reservation, 4, account);
	if (err == 0) {
		void *frame = frame_alloc_reserved(&reservation, 0);
		VERIFY(frame != NULL);
		frame_free(frame, 0);
		frame_unreserve(&reservation);
	}
	void *frames = frame_alloc(3, MEM_ZERO, account);
	if (frames != NULL)
		frame_free(frames, 3);
	else
		err = -ENOMEM;
	void *range = range_alloc(5 * FRAME_SIZE, 0, account);
	if (range != NULL)
		range_free(range);
	else
		err = -ENOMEM;
	account_release(account);
	return err;
}

static err_t construct(void *object)
{
	*(void **)object = kmalloc(64, 0);
	return *(void **)object != NULL ? 0 : -ENOMEM;
}

static void destruct(void *object)
{
	kfree(*(void **)object);
}

// A constructor that allocates, and may fail, in a cache whose slabs an account pays for.
static err_t work_constructed(void)
{
	struct slab_params params = {
		.name = "faults-made", .size_bytes = 1000, .construct = construct, .destruct = destruct};
	struct slab_cache *cache;
	void *objects[9];
	uint32_t count = 0;
	err_t err = account_create(NULL, "faults", 40, &params.account);
	if (err != 0)
		return err;
	err = slab_cache_create(&params, &cache);
	if (err == 0) {
		while (count < array_count(objects) && (objects[count] = slab_alloc(cache, 0)) != NULL)
			count++;
		err = count == array_count(objects) ? 0 : -ENOMEM;
		while (count > 0)
			slab_free(cache, objects[--count]);
		err_t destroyed = slab_cache_destroy(cache);
		VERIFY(destroyed == 0);
	}
	account_release(params.account);
	return err;
}

static err_t work_groups(void)
{
	void *group, *frame, *range;
	err_t err = frame_group_keep(4, &group);
	if (err == 0) {
		frame = frame_group_take(group, 3, MEM_ZERO, NULL);
		if (frame != NULL)
			frame_free(frame, 0);
		else
			err = -ENOMEM;
		frame_group_release(group);
	}
	range = range_alloc_aligned(3 * FRAME_SIZE, 8 * FRAME_SIZE, MEM_ZERO, NULL);
	void *node = frame_alloc_node(kernel_self()->persona->node_count - 1, 2, 0, NULL);
	void *aligned = kmalloc_aligned(100, 64, 0);
	void *array = kmalloc_array(10, 300, MEM_ZERO);
	if (range == NULL || node == NULL || aligned == NULL || array == NULL)
		err = -ENOMEM;
	if (range != NULL)
		range_free(range);
	if (node != NULL)
		frame_free(node, 2);
	kfree(aligned);
	kfree(array);
	return err;
}

struct late {
	struct rcu_head head;
	struct semaphore *done;
};

static void late_free(struct rcu_head *head)
{
	struct late *late = (struct late *)head;
	sem_up(late->done);
	kfree(late);
}

static err_t work_rcu(void)
{
	struct semaphore done;
	uint32_t count = 0;
	sem_init(&done, 0, "faults: late");
	for (; count < 3; count++) {
		struct late *late = kmalloc(sizeof *late, 0);
		if (late == NULL)
			break;
		late->done = &done;
		rcu_call(&late->head, late_free);
	}
	for (uint32_t i = 0; i < count; i++)
		sem_down(&done);
	rcu_synchronize();
	return count == 3 ? 0 : -ENOMEM;
}

static void crowd_main(void *arg)
{
	sem_down(arg);
}

// Threads of an account until it cannot pay for another one's stack: that is an answer, and all of them end.
static err_t work_crowd(void)
{
	static const struct thread_params plain = {.name = "crowd", .klass = CLASS_FAIR};
	struct thread_params params = plain;
	struct semaphore go;
	struct thread **threads = kmalloc_array(CROWD_MAX, sizeof(struct thread *), 0);
	uint32_t count = 0;
	err_t err = threads != NULL
			    ? account_create(NULL, "crowd", 12 * (CONFIG_KSTACK_SIZE / FRAME_SIZE), &params.account)
			    : -ENOMEM;
	if (err != 0) {
		kfree(threads);
		return err;
	}
	sem_init(&go, 0, "faults: crowd");
	while (count < CROWD_MAX && (err = thread_start(&params, crowd_main, &go, &threads[count])) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++)
		sem_up(&go);
	for (uint32_t i = 0; i < count; i++) {
		err_t joined = thread_join(threads[i], NULL);
		VERIFY(joined == 0);
	}
	account_release(params.account);
	kfree(threads);
	return count >= 10 && count <= 12 && err == -ENOMEM ? 0 : -ENOMEM;
}

// Calls that no command makes, in a process of its own.
static err_t work_calls(struct process *process)
{
	struct tb_lock lock = {.type = TB_F_WRLCK, .whence = TB_SEEK_SET, .start = 10, .size_bytes = 10};
	struct tb_lock part = {.type = TB_F_UNLCK, .whence = TB_SEEK_SET, .start = 12, .size_bytes = 2};
	uint32_t groups[] = {5, 6, 7};
	size_t size = 5;
	int32_t fd = -1;
	int32_t none = -1;

	err_t err = vfs_open(process, TB_AT_FDCWD, "/faults", TB_O_RDWR | TB_O_CREAT, 0666, &fd);
	if (err != 0)
		return err;
	err = vfs_pwrite(process, fd, "far away", 8, 1u << 20, &size);
	if (err == 0)
		err = vfs_fallocate(process, fd, 0, 4096, 8192);
	if (err == 0)
		err = vfs_fallocate(process, fd, TB_FALLOC_PUNCH_HOLE | TB_FALLOC_KEEP_SIZE, 5000, 8192);
	if (err == 0)
		err = vfs_setxattr(process, TB_AT_FDCWD, "/faults", 0, "user.a", "value", 5, 0);
	if (err == 0)
		err = vfs_flock(process, fd, TB_LOCK_EX);
	if (err == 0)
		err = vfs_lock(process, fd, TB_F_SETLK, &lock);
	if (err == 0)
		err = vfs_lock(process, fd, TB_F_OFD_SETLK,
			       &(struct tb_lock){.type = TB_F_WRLCK, .start = 50, .size_bytes = 1});
	if (err == 0)
		err = vfs_lock(process, fd, TB_F_SETLK, &part);
	if (err == 0)
		err = descriptor_dup(process, fd, 300, 0, &none); // the table grows
	if (err == 0)
		err = vfs_unshare(process, TB_CLONE_NEWNS);
	if (err == 0)
		err = process_set_cred(process, 1, 2, groups, array_count(groups));
	if (err == 0)
		err = vfs_open(process, TB_AT_FDCWD, "/", TB_O_TMPFILE | TB_O_RDWR, 0600, &none) == -EACCES ? 0
													    : -ENOMEM;
	return err;
}

// A directory by handle, and a terminal.
static err_t work_handles(struct process *process)
{
	struct tb_handle handle;
	int32_t fd = -1;
	size_t done;

	err_t err = vfs_mkdir(process, TB_AT_FDCWD, "/faults.d", 0755);
	if (err == 0)
		err = vfs_name_to_handle(process, TB_AT_FDCWD, "/faults.d", 0, &handle);
	if (err == 0)
		err = vfs_open_handle(process, TB_AT_FDCWD, &handle, TB_O_RDONLY | TB_O_DIRECTORY, &fd);
	if (err == 0)
		err = vfs_mknod(process, TB_AT_FDCWD, "/faults.tty", TB_S_IFCHR | 0600, device_number(5, 1));
	if (err == 0)
		err = vfs_open(process, TB_AT_FDCWD, "/faults.tty", TB_O_RDWR | TB_O_NONBLOCK, 0, &fd);
	if (err == 0)
		err = vfs_write(process, fd, " ", 1, &done);
	if (err == 0 && vfs_read(process, fd, &handle, 1, &done) == -ENOMEM)
		err = -ENOMEM;
	return err;
}

static void gone(const char *path, uint32_t at_flags)
{
	err_t err = vfs_unlink(vfs_monitor_process(), TB_AT_FDCWD, path, at_flags);
	VERIFY(err == 0 || err == -ENOENT || err == -ENOMEM);
}

static err_t work_files(void)
{
	struct process *process;

	err_t err = process_create("faults", vfs_monitor_process(), &process);
	if (err == 0) {
		err = work_handles(process);
		if (err == 0)
			err = work_calls(process);
		process_put(process); // closes what is open
	}
	gone("/faults", 0);
	gone("/faults.tty", 0);
	gone("/faults.d", TB_AT_REMOVEDIR);
	return err;
}

int64_t tb_faults_workload(void *arg)
{
	err_t (*const parts[])(void) = {work_threads, work_cache, work_sizes, work_frames, work_constructed,
					work_groups,  work_rcu,   work_crowd, work_files};
	struct tb_faults_call *call = arg;
	for (uint32_t i = 0; call->parts && i < array_count(parts); i++)
		call->errors += parts[i]() != 0;
	if (call->commands != NULL)
		call->status = monitor_run_line(call->commands, strlen(call->commands));
	rcu_synchronize();
	return 0;
}

int64_t tb_faults_meet(void *arg)
{
	void *memory = kmalloc(5000, 0);
	sleep_ns(300000);
	if (memory == NULL)
		atomic_fetch_add_u32_relaxed((uint32_t *)arg, 1);
	kfree(memory);
	return 0;
}
