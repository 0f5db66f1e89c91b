// SPDX-License-Identifier: MIT
//
// What a command carries: several requests that lie side by side, or one, or a part of one. Everything here runs under queue->lock.
#include "block_impl.h"

static bool request_before(const struct rb_node *a, const struct rb_node *b)
{
	const struct block_request *x = rb_entry(a, struct block_request, place);
	const struct block_request *y = rb_entry(b, struct block_request, place);
	return x->op != y->op ? x->op < y->op : x->at < y->at;
}

struct place_key {
	uint32_t op;
	uint64_t at;
};

static int place_compare(const void *key, const struct rb_node *node)
{
	const struct place_key *place = key;
	const struct block_request *request = rb_entry(node, struct block_request, place);
	if (place->op != request->op)
		return place->op < request->op ? -1 : 1;
	return place->at < request->at ? -1 : place->at > request->at;
}

void request_pend(struct block_queue *queue, struct block_request *request, bool first)
{
	request->stage = REQUEST_PENDING;
	if (first)
		list_push_front(&queue->pending, &request->link);
	else
		list_push_back(&queue->pending, &request->link);
	if (request->op != BLOCK_FLUSH)
		rb_insert(&queue->ranges, &request->place, request_before);
	queue->stats.pending++;
}

void request_unpend(struct block_queue *queue, struct block_request *request)
{
	list_remove(&request->link);
	if (rb_node_is_linked(&request->place))
		rb_remove(&queue->ranges, &request->place);
	queue->stats.pending--;
}

static bool is_transfer(uint32_t op)
{
	return op == BLOCK_READ || op == BLOCK_WRITE;
}

static uint64_t sectors_max(const struct block_device *device, uint32_t op)
{
	if (is_transfer(op))
		return device->limits.transfer_sectors;
	return device->limits.range_sectors == 0 ? UINT64_MAX : device->limits.range_sectors;
}

// ZERO on a device without: segments that all lie in the zeroes.
static bool is_written_zero(const struct block_device *device, const struct block_request *request)
{
	return request->op == BLOCK_ZERO && (device->limits.flags & BLOCK_HAS_ZERO) == 0;
}

static bool fits_whole(const struct block_device *device, const struct block_request *request)
{
	return request->issued == 0 && !is_written_zero(device, request) &&
	       request->sectors <= sectors_max(device, request->op) &&
	       request->segment_count <= device->limits.segments;
}

// ---- several requests ------------------------------------------------------------------------------------------------------

static struct block_request *neighbour(struct block_device *device, const struct block_command *command, bool behind)
{
	struct block_queue *queue = &device->queue;
	struct place_key key = {command->op, behind ? command->sector + command->sectors : command->sector - 1};
	struct rb_node *node = NULL;

	if (behind)
		node = rb_find(&queue->ranges, &key, place_compare);
	else if (command->sector != 0)
		node = rb_find_at_most(&queue->ranges, &key, place_compare);
	if (node == NULL)
		return NULL;
	struct block_request *request = rb_entry(node, struct block_request, place);
	bool touches = behind || request->at + request->sectors == command->sector;
	bool alike = request->op == command->op && (request->flags & BLOCK_FUA) == (command->flags & BLOCK_FUA);
	if (!touches || !alike || !fits_whole(device, request))
		return NULL;
	if (command->sectors + request->sectors > sectors_max(device, command->op) ||
	    command->segment_count + request->segment_count > device->limits.segments)
		return NULL;
	return request;
}

static void command_take(struct block_queue *queue, struct block_command *command, struct block_request *request,
			 bool behind)
{
	request_unpend(queue, request);
	if (behind) {
		list_push_back(&command->whole, &request->link);
	} else {
		list_push_front(&command->whole, &request->link);
		command->sector = request->at;
	}
	command->sectors += request->sectors;
	command->segment_count += request->segment_count;
	request->issued = request->sectors;
	request->commands = 1;
	request->stage = REQUEST_ISSUED;
}

static void segments_gather(struct block_command *command)
{
	struct block_request *request = NULL;
	struct block_segment *to = command->segments;

	list_for_each (request, &command->whole, link) {
		if (request->segment_count != 0)
			memcpy(to, request->segments, request->segment_count * sizeof *to);
		to += request->segment_count;
	}
}

static void fill_whole(struct block_device *device, struct block_command *command, struct block_request *first)
{
	struct block_queue *queue = &device->queue;
	struct block_request *more = NULL;

	command->op = first->op;
	command->flags = first->flags & BLOCK_FUA;
	command->sector = first->at;
	command_take(queue, command, first, true);
	while ((more = neighbour(device, command, true)) != NULL) {
		command_take(queue, command, more, true);
		queue->stats.merged++;
	}
	while ((more = neighbour(device, command, false)) != NULL) {
		command_take(queue, command, more, false);
		queue->stats.merged++;
	}
	segments_gather(command);
}

static void fill_flush(struct block_queue *queue, struct block_command *command)
{
	struct block_request *request = NULL, *following = NULL;

	command->op = BLOCK_FLUSH;
	list_for_each_safe (request, following, &queue->pending, link) {
		if (request->op != BLOCK_FLUSH)
			continue;
		if (!list_is_empty(&command->whole))
			queue->stats.merged++;
		command_take(queue, command, request, true);
	}
	command->sectors = 0; // those of writes that are to be durable were theirs
	command->segment_count = 0;
}

// ---- a part of one ---------------------------------------------------------------------------------------------------------

// Segments from where the last command ended, of whole logical blocks, cut at the limits.
static uint64_t part_segments(struct block_device *device, struct block_command *command, struct block_request *request)
{
	uint64_t left = (uint64_t)device->limits.transfer_sectors << SECTOR_SHIFT, done = 0;

	while (left > 0 && request->segment < request->segment_count &&
	       command->segment_count < device->limits.segments) {
		const struct block_segment *from = &request->segments[request->segment];
		uint32_t size = (uint32_t)MIN(from->size_bytes - request->into, left);
		command->segments[command->segment_count++] =
			(struct block_segment){(uint8_t *)from->at + request->into, size};
		request->into += size;
		done += size;
		left -= size;
		if (request->into == from->size_bytes) {
			request->segment++;
			request->into = 0;
		}
	}
	return done >> SECTOR_SHIFT;
}

static uint64_t part_zeroes(struct block_device *device, struct block_command *command, uint64_t sectors)
{
	uint64_t left = MIN(sectors, (uint64_t)device->limits.transfer_sectors) << SECTOR_SHIFT, done = 0;

	while (left > 0 && command->segment_count < device->limits.segments) {
		uint32_t size = (uint32_t)MIN(left, ZEROES_SIZE);
		command->segments[command->segment_count++] = (struct block_segment){block_state()->zeroes, size};
		done += size;
		left -= size;
	}
	return done >> SECTOR_SHIFT;
}

// A request that is begun leaves the tree, so that nobody joins it, and stays first in the list until it is issued whole.
static void fill_part(struct block_device *device, struct block_command *command, struct block_request *request)
{
	struct block_queue *queue = &device->queue;
	uint64_t left = request->sectors - request->issued;

	command->op = is_written_zero(device, request) ? BLOCK_WRITE : request->op;
	command->flags = request->flags & BLOCK_FUA;
	command->sector = request->at + request->issued;
	command->part = request;
	if (is_written_zero(device, request))
		command->sectors = part_zeroes(device, command, left);
	else if (is_transfer(request->op))
		command->sectors = part_segments(device, command, request);
	else
		command->sectors = MIN(left, sectors_max(device, request->op));
	request->issued += command->sectors;
	request->commands++;
	queue->stats.split++;
	if (rb_node_is_linked(&request->place))
		rb_remove(&queue->ranges, &request->place);
	if (request->issued == request->sectors) {
		request_unpend(queue, request);
		request->stage = REQUEST_ISSUED;
	}
}

bool command_fill(struct block_device *device, struct block_command *command)
{
	struct block_queue *queue = &device->queue;
	struct block_request *first = list_first_entry(&queue->pending, struct block_request, link);

	if (first == NULL)
		return false;
	list_init(&command->whole);
	command->part = NULL;
	command->flags = 0;
	command->sector = 0;
	command->sectors = 0;
	command->segment_count = 0;
	command->error = 0;
	if (first->op == BLOCK_FLUSH)
		fill_flush(queue, command);
	else if (fits_whole(device, first))
		fill_whole(device, command, first);
	else
		fill_part(device, command, first);
	return true;
}
