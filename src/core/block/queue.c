// SPDX-License-Identifier: MIT
//
// Submission, dispatch, completion.
#include "block_impl.h"

#include "kern/log.h"

// ---- life ------------------------------------------------------------------------------------------------------------------

void queue_init(struct block_queue *queue)
{
	spin_init(&queue->lock, LOCK_RANK_BLOCK_QUEUE, "block: queue");
	list_init(&queue->pending);
	rb_init(&queue->ranges);
	list_init(&queue->free);
	waitq_init(&queue->idle, "block: queue empties");
}

err_t queue_create(struct block_device *device)
{
	struct block_queue *queue = &device->queue;
	const struct block_limits *limits = &device->limits;
	uint32_t own_bytes = DIV_ROUND_UP(limits->command_bytes, 16u) * 16u;

	queue->commands = kmalloc_array(limits->depth, sizeof *queue->commands, MEM_ZERO);
	queue->segments = kmalloc_array((size_t)limits->depth * limits->segments, sizeof *queue->segments, MEM_ZERO);
	if (own_bytes != 0)
		queue->driver_memory = kmalloc_array(limits->depth, own_bytes, MEM_ZERO);
	if (queue->commands == NULL || queue->segments == NULL || (own_bytes != 0 && queue->driver_memory == NULL)) {
		queue_destroy(device);
		return ERR(ENOMEM);
	}
	for (uint32_t i = 0; i < limits->depth; i++) {
		struct block_command *command = &queue->commands[i];
		command->device = device;
		command->tag = i;
		command->segments = &queue->segments[(size_t)i * limits->segments];
		command->driver = own_bytes == 0 ? NULL : &queue->driver_memory[(size_t)i * own_bytes];
		list_init(&command->whole);
		list_push_back(&queue->free, &command->free_link);
	}
	return 0;
}

void queue_destroy(struct block_device *device)
{
	struct block_queue *queue = &device->queue;
	kfree(queue->driver_memory);
	kfree(queue->segments);
	kfree(queue->commands);
}

static void queue_enter(struct block_queue *queue)
{
	bool was = spin_lock_irqsave(&queue->lock);
	queue->busy++;
	spin_unlock_irqrestore(&queue->lock, was);
}

// The queue may be gone when this returns.
static void queue_leave(struct block_queue *queue, uint32_t count)
{
	bool was = spin_lock_irqsave(&queue->lock);
	queue->busy -= count;
	if (queue->busy == 0 && queue->going)
		(void)waitq_wake_all(&queue->idle);
	spin_unlock_irqrestore(&queue->lock, was);
}

static bool queue_is_idle(struct block_queue *queue)
{
	bool was = spin_lock_irqsave(&queue->lock);
	bool idle = queue->busy == 0;
	spin_unlock_irqrestore(&queue->lock, was);
	return idle;
}

void queue_drain(struct block_device *device)
{
	struct block_queue *queue = &device->queue;
	bool was = spin_lock_irqsave(&queue->lock);
	queue->going = true;
	spin_unlock_irqrestore(&queue->lock, was);
	(void)waitq_wait_until(&queue->idle, queue_is_idle(queue), TB_FOREVER);
}

void queue_resume(struct block_device *device)
{
	bool was = spin_lock_irqsave(&device->queue.lock);
	device->queue.going = false;
	spin_unlock_irqrestore(&device->queue.lock, was);
}

void queue_stats(struct block_device *device, struct block_stats *stats)
{
	bool was = spin_lock_irqsave(&device->queue.lock);
	*stats = device->queue.stats;
	stats->under_way = device->queue.under_way;
	spin_unlock_irqrestore(&device->queue.lock, was);
}

// ---- completion ------------------------------------------------------------------------------------------------------------

// What is to be told done, collected under the lock.
static void request_settle(struct block_queue *queue, struct block_request *request, err_t error, struct list *done)
{
	const struct block_device *disk = container_of(queue, const struct block_device, queue);
	bool flush_follows = (request->flags & BLOCK_FUA) != 0 && (disk->limits.flags & BLOCK_VOLATILE) != 0 &&
			     (disk->limits.flags & BLOCK_HAS_FUA) == 0;

	if (error != 0 && request->error == 0)
		request->error = error;
	if (--request->commands != 0 || request->stage == REQUEST_PENDING)
		return;
	if (flush_follows && request->op != BLOCK_FLUSH && request->error == 0) {
		queue->stats.requests[request->op]++;
		queue->stats.sectors[request->op] += request->sectors;
		request->op = BLOCK_FLUSH;
		request_pend(queue, request, true);
		return;
	}
	list_push_back(done, &request->link);
}

// A request that failed while parts of it wait is not gone on with.
static void request_cut(struct block_queue *queue, struct block_request *request)
{
	if (request->stage != REQUEST_PENDING || request->issued == 0 || request->error == 0)
		return;
	request_unpend(queue, request);
	request->stage = REQUEST_ISSUED;
}

static void requests_tell(struct block_queue *queue, struct list *done)
{
	struct block_request *request = NULL;
	uint64_t now_ns = list_is_empty(done) ? 0 : clock_now_ns();
	uint32_t told = 0;

	while ((request = list_pop_front_entry(done, struct block_request, link)) != NULL) {
		bool was = spin_lock_irqsave(&queue->lock);
		queue->stats.requests[request->op]++;
		if (request->op != BLOCK_FLUSH)
			queue->stats.sectors[request->op] += request->sectors;
		queue->stats.errors += request->error != 0;
		queue->stats.wait_ns += now_ns - request->since_ns;
		spin_unlock_irqrestore(&queue->lock, was);
		request->stage = REQUEST_NEW;
		request->done(request);
		told++;
	}
	queue_leave(queue, told);
}

static void command_finish(struct block_command *command)
{
	struct block_queue *queue = &command->device->queue;
	struct block_request *request = NULL;
	struct list done;

	list_init(&done);
	bool was = spin_lock_irqsave(&queue->lock);
	if (command->part != NULL) {
		if (command->error != 0 && command->part->error == 0)
			command->part->error = command->error;
		request_cut(queue, command->part);
		request_settle(queue, command->part, command->error, &done);
	}
	while ((request = list_pop_front_entry(&command->whole, struct block_request, link)) != NULL)
		request_settle(queue, request, command->error, &done);
	command->part = NULL;
	command->state = COMMAND_FREE;
	list_push_front(&queue->free, &command->free_link);
	queue->under_way--;
	spin_unlock_irqrestore(&queue->lock, was);
	requests_tell(queue, &done);
}

static struct block_command *command_next(struct block_device *device)
{
	struct block_queue *queue = &device->queue;
	bool was = spin_lock_irqsave(&queue->lock);
	struct block_command *command = list_first_entry(&queue->free, struct block_command, free_link);

	if (command != NULL && command_fill(device, command)) {
		list_remove(&command->free_link);
		atomic_store_u32_relaxed(&command->state, COMMAND_STARTING);
		queue->under_way++;
		queue->stats.commands++;
		if (queue->under_way > queue->stats.under_way_peak)
			queue->stats.under_way_peak = queue->under_way;
	} else {
		command = NULL;
	}
	spin_unlock_irqrestore(&queue->lock, was);
	return command;
}

static void queue_run(struct block_device *device)
{
	struct block_command *command = NULL;

	while ((command = command_next(device)) != NULL) {
		uint32_t found = COMMAND_STARTING;
		device->driver->start(command);
		if (!atomic_cmpxchg_u32_acq_rel(&command->state, &found, COMMAND_RUNNING))
			command_finish(command);
	}
}

void block_command_done(struct block_command *command, err_t error)
{
	struct block_device *device = command->device;
	uint32_t found = COMMAND_STARTING;

	command->error = error;
	if (atomic_cmpxchg_u32_acq_rel(&command->state, &found, COMMAND_DONE))
		return;
	ASSERT3(found, ==, COMMAND_RUNNING);
	queue_enter(&device->queue);
	command_finish(command);
	queue_run(device);
	queue_leave(&device->queue, 1);
}

// ---- submission ------------------------------------------------------------------------------------------------------------

static err_t segments_check(const struct block_request *request, uint32_t logical_bytes)
{
	uint64_t size_bytes = 0;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		uint32_t size = request->segments[i].size_bytes;
		if (size == 0 || size % logical_bytes != 0)
			return ERR(EINVAL);
		size_bytes += size;
	}
	return size_bytes == request->sectors << SECTOR_SHIFT ? 0 : ERR(EINVAL);
}

static err_t request_check(const struct block_request *request)
{
	const struct block_limits *limits = &request->device->limits;
	uint32_t logical = limits->logical_bytes >> SECTOR_SHIFT;

	if (request->op == BLOCK_FLUSH)
		return request->sectors == 0 && request->segment_count == 0 ? 0 : ERR(EINVAL);
	if (request->op >= BLOCK_OP_COUNT || request->sectors == 0)
		return ERR(EINVAL);
	if (request->sector > limits->sectors || request->sectors > limits->sectors - request->sector)
		return ERR(EIO);
	if (request->sector % logical != 0 || request->sectors % logical != 0)
		return ERR(EINVAL);
	if (request->op != BLOCK_READ && (limits->flags & BLOCK_READ_ONLY) != 0)
		return ERR(EROFS);
	if (request->op == BLOCK_DISCARD && (limits->flags & BLOCK_HAS_DISCARD) == 0)
		return ERR(EOPNOTSUPP);
	if (request->op == BLOCK_READ || request->op == BLOCK_WRITE)
		return segments_check(request, limits->logical_bytes);
	return request->segment_count == 0 ? 0 : ERR(EINVAL);
}

// A FLUSH of a device without a cache is done, whatever its queue holds.
static bool nothing_to_do(const struct block_request *request)
{
	return request->op == BLOCK_FLUSH && (request->device->limits.flags & BLOCK_VOLATILE) == 0;
}

static void request_begin(struct block_request *request)
{
	struct block_device *device = request->device;

	request->at = request->sector + (device->disk == NULL ? 0 : device->start);
	request->issued = 0;
	request->segment = 0;
	request->into = 0;
	request->commands = 0;
	request->error = 0;
	request->since_ns = clock_now_ns();
	memset(&request->place, 0, sizeof request->place);
}

void block_submit_list(struct list *requests)
{
	struct block_request *request = NULL;
	struct block_device *disk = NULL;
	struct list refused;

	might_sleep();
	list_init(&refused);
	request = list_first_entry(requests, struct block_request, link);
	if (request == NULL)
		return;
	disk = request->device->disk == NULL ? request->device : request->device->disk;
	queue_enter(&disk->queue);
	while ((request = list_pop_front_entry(requests, struct block_request, link)) != NULL) {
		request_begin(request);
		request->error = request_check(request);
		bool was = spin_lock_irqsave(&disk->queue.lock);
		if (request->error == 0 && disk->queue.going)
			request->error = ERR(ENODEV);
		bool taken = request->error == 0 && !nothing_to_do(request);
		if (taken) {
			request_pend(&disk->queue, request, false);
			disk->queue.busy++;
		}
		spin_unlock_irqrestore(&disk->queue.lock, was);
		if (!taken)
			list_push_back(&refused, &request->link);
	}
	queue_run(disk);
	queue_leave(&disk->queue, 1);
	while ((request = list_pop_front_entry(&refused, struct block_request, link)) != NULL)
		request->done(request);
}

void block_submit(struct block_request *request)
{
	struct list one;

	list_init(&one);
	list_push_back(&one, &request->link);
	block_submit_list(&one);
}

// ---- invariants ------------------------------------------------------------------------------------------------------------

static err_t queue_broken(const struct block_device *device, const char *what)
{
	log_err("block: %s: %s", device->name, what);
	return ERR(EUCLEAN);
}

err_t queue_check(struct block_device *device)
{
	struct block_queue *queue = &device->queue;
	const struct block_request *request = NULL;
	const char *what = NULL;
	uint32_t ranges = 0;
	bool was = spin_lock_irqsave(&queue->lock);

	size_t pending = list_check(&queue->pending), free = list_check(&queue->free);
	list_for_each (request, &queue->pending, link) {
		ranges += rb_node_is_linked(&request->place);
		if (request->stage != REQUEST_PENDING ||
		    (request->op != BLOCK_FLUSH && request->issued >= request->sectors))
			what = "a pending request is not";
	}
	if (pending != queue->stats.pending)
		what = "pending requests are miscounted";
	if (rb_check(&queue->ranges, NULL) != ranges)
		what = "the tree of ranges is not that of the list";
	if (free + queue->under_way != device->limits.depth)
		what = "commands are missing";
	spin_unlock_irqrestore(&queue->lock, was);
	return what == NULL ? 0 : queue_broken(device, what);
}
