// SPDX-License-Identifier: MIT
//
// Reading: pages that are there are copied; one that is missing is filled with its cluster, or, for who reads on, with a window that doubles
// up to the tunable's size. In each window one page is marked: whoever reads it has the next window filled by the read-ahead
// thread, so that it is there in time.
#include "cache_impl.h"

#define WINDOW_FIRST 4u
#define TRIES 64u

// ---- filling -------------------------------------------------------------------------------------------------------------

struct fill {
	struct inode *inode;
	const struct cache_ops *ops;
	uint64_t first;
	uint32_t count;
	struct page *pages[CACHE_RANGE_MAX];
};

static err_t pages_take(struct fill *fill)
{
	err_t err = 0;
	uint32_t count = 0;

	for (; err == 0 && count < fill->count; count += err == 0) {
		bool made;
		err = mapping_add_unzeroed(&fill->inode->mapping, fill->first + count, 0, &fill->pages[count], &made);
	}
	fill->count = count; // fewer are a smaller window
	for (uint32_t i = 0; i < count; i++) {
		page_lock(fill->pages[i]);
		lru_add(fill->pages[i]);
	}
	return count > 0 ? 0 : err;
}

static void pages_return(struct fill *fill)
{
	for (uint32_t i = 0; i < fill->count; i++) {
		page_unlock(fill->pages[i]);
		page_put(fill->pages[i]);
	}
}

static bool is_missing(const struct page *page)
{
	return page->mapping != NULL && (page_flags(page) & PAGE_UPTODATE) == 0;
}

static err_t run_fill(struct fill *fill, uint32_t from, uint32_t to)
{
	err_t err = fill->ops->fill(fill->inode, fill->first + from, fill->pages + from, to - from);

	if (err != 0)
		return err;
	for (uint32_t i = from; i < to; i++)
		page_set(fill->pages[i], PAGE_UPTODATE);
	atomic_fetch_add_u32_relaxed(&cache_state()->fills, to - from);
	return 0;
}

// One bad place must not hide what lies beside it: a run that fails is tried again cluster by cluster.
static err_t run_fill_or_parts(struct fill *fill, uint32_t from, uint32_t to)
{
	uint32_t cluster = fill->ops->cluster_pages;
	err_t first = run_fill(fill, from, to);

	if (first == 0 || to - from <= cluster)
		return first;
	while (from < to) {
		uint32_t end = (uint32_t)(((fill->first + from) | (cluster - 1)) + 1 - fill->first);
		end = MIN(end, to);
		(void)!run_fill(fill, from, end);
		from = end;
	}
	return first;
}

err_t cache_fill(struct inode *inode, uint64_t first, uint32_t count, uint64_t ahead_at)
{
	struct fill fill = {.inode = inode, .ops = cache_of(inode)->ops, .first = first};
	uint64_t end = inode_pages(inode);

	if (first >= end)
		return ERR(ENXIO);
	fill.count = (uint32_t)MIN(end - first, MIN(count, CACHE_RANGE_MAX));
	err_t err = pages_take(&fill);
	if (err != 0)
		return err;
	for (uint32_t from = 0; from < fill.count;) {
		uint32_t to = from;
		while (to < fill.count && is_missing(fill.pages[to]))
			to++;
		err_t one = to > from ? run_fill_or_parts(&fill, from, to) : 0;
		err = err != 0 ? err : one;
		from = MAX(to, from + 1);
	}
	if (ahead_at >= first && ahead_at < first + fill.count)
		page_set(fill.pages[ahead_at - first], PAGE_AHEAD);
	pages_return(&fill);
	return err;
}

// ---- windows -------------------------------------------------------------------------------------------------------------

static uint32_t window_max(const struct cache_ops *ops)
{
	uint32_t pages = atomic_load_u32_relaxed(&cache_state()->ahead_pages);
	return MAX(MIN(pages, CACHE_RANGE_MAX), ops->cluster_pages);
}

// What is to be filled for a page that is missing; *ahead_at the page to mark.
static uint32_t window_for(struct file *file, const struct cache_ops *ops, uint64_t index, uint64_t *first,
			   uint64_t *ahead_at)
{
	uint32_t count = ops->cluster_pages;

	*first = index & ~CLUSTER_MASK(ops);
	*ahead_at = NO_AHEAD;
	if (file == NULL || window_max(ops) <= ops->cluster_pages)
		return count;
	uint64_t next = atomic_load_u64_relaxed_nopoint(&file->ahead_next);
	uint32_t pages = atomic_load_u32_relaxed_nopoint(&file->ahead_pages);
	if (pages > 0 && index < next &&
	    next - index <= 2 * (uint64_t)pages) { // asked for, and not there yet: the next one is due, too
		*ahead_at = index;
		return (uint32_t)MIN(next - *first, CACHE_RANGE_MAX);
	}
	bool goes_on = index == 0 || index == next;
	pages = goes_on ? MIN(MAX(pages * 2, MAX(WINDOW_FIRST, count)), window_max(ops)) : 0;
	if (goes_on) {
		count = (uint32_t)ALIGN_UP(pages, count);
		count = MIN(count, CACHE_RANGE_MAX);
		*ahead_at = *first + count / 2;
	}
	atomic_store_u32_relaxed_nopoint(&file->ahead_pages, pages);
	atomic_store_u64_relaxed_nopoint(&file->ahead_next, *first + count);
	return count;
}

// The page that was marked has been reached: the next window, behind the one that is there.
static void window_ask(struct file *file, struct inode *inode)
{
	struct cache_state *state = cache_state();
	const struct cache_ops *ops = cache_of(inode)->ops;
	uint64_t first = atomic_load_u64_relaxed_nopoint(&file->ahead_next);
	uint32_t pages = atomic_load_u32_relaxed_nopoint(&file->ahead_pages);
	bool asked = false;

	pages = MIN(MAX(pages * 2, ops->cluster_pages), window_max(ops));
	if (first >= inode_pages(inode))
		return;
	inode_get(inode);
	spin_lock(&state->ahead_lock);
	if (state->ahead_count < AHEAD_QUEUE && state->ahead_thread != NULL) {
		state->ahead_requests[(state->ahead_first + state->ahead_count++) % AHEAD_QUEUE] =
			(struct ahead_request){.inode = inode, .first = first, .count = pages};
		asked = true;
	}
	spin_unlock(&state->ahead_lock);
	if (!asked) {
		inode_put(inode);
		return;
	}
	atomic_store_u32_relaxed_nopoint(&file->ahead_pages, pages);
	atomic_store_u64_relaxed_nopoint(&file->ahead_next, first + pages);
	waitq_wake_all(&state->ahead_wake);
}

// ---- the read-ahead thread -----------------------------------------------------------------------------------------------

static bool request_take(struct cache_state *state, struct ahead_request *request)
{
	spin_lock(&state->ahead_lock);
	bool found = state->ahead_count > 0;
	if (found) {
		*request = state->ahead_requests[state->ahead_first];
		state->ahead_first = (state->ahead_first + 1) % AHEAD_QUEUE;
		state->ahead_count--;
		state->ahead_busy++;
	}
	spin_unlock(&state->ahead_lock);
	return found;
}

static bool ahead_wanted(struct cache_state *state)
{
	spin_lock(&state->ahead_lock);
	bool wanted = state->ahead_count > 0;
	spin_unlock(&state->ahead_lock);
	return wanted || atomic_load_u32_acquire(&state->ahead_stop) != 0;
}

static void ahead_main(void *arg)
{
	struct cache_state *state = arg;
	struct ahead_request request;

	for (;;) {
		err_t err = waitq_wait_until(&state->ahead_wake, ahead_wanted(state), TB_FOREVER);
		VERIFY(err == 0);
		if (!request_take(state, &request))
			return; // to be stopped, with nothing left
		atomic_fetch_add_u32_relaxed(&state->ahead, request.count);
		(void)!cache_fill(request.inode, request.first, request.count,
				  request.first); // who wants the pages meets the error
		inode_put(request.inode);
		spin_lock(&state->ahead_lock);
		state->ahead_busy--;
		spin_unlock(&state->ahead_lock);
		waitq_wake_all(&state->ahead_idle);
	}
}

static bool ahead_is_idle(struct cache_state *state)
{
	spin_lock(&state->ahead_lock);
	bool idle = state->ahead_count + state->ahead_busy == 0;
	spin_unlock(&state->ahead_lock);
	return idle;
}

void ahead_drain(struct cache_state *state)
{
	err_t err = waitq_wait_until(&state->ahead_idle, ahead_is_idle(state), TB_FOREVER);
	VERIFY(err == 0);
}

err_t ahead_start(struct cache_state *state)
{
	struct thread_params params = {.name = "read-ahead", .klass = CLASS_FAIR, .flags = THREAD_FLAG_KERNEL_SERVICE};
	struct thread *thread = NULL;
	err_t err = 0;

	mutex_lock(&state->users_lock);
	if (state->ahead_users == 0) {
		atomic_store_u32_release(&state->ahead_stop, 0);
		err = thread_start(&params, ahead_main, state, &thread);
		if (err == 0) {
			spin_lock(&state->ahead_lock);
			state->ahead_thread = thread;
			spin_unlock(&state->ahead_lock);
		}
	}
	state->ahead_users += err == 0;
	mutex_unlock(&state->users_lock);
	return err;
}

void ahead_stop(struct cache_state *state)
{
	mutex_lock(&state->users_lock);
	if (--state->ahead_users == 0) {
		spin_lock(&state->ahead_lock);
		struct thread *thread = state->ahead_thread;
		state->ahead_thread = NULL;
		spin_unlock(&state->ahead_lock);
		atomic_store_u32_release(&state->ahead_stop, 1);
		waitq_wake_all(&state->ahead_wake);
		err_t err = thread_join(thread, NULL);
		VERIFY(err == 0);
	}
	mutex_unlock(&state->users_lock);
}

// ---- reading -------------------------------------------------------------------------------------------------------------

static bool page_is_filled(struct page *page)
{
	if (page == NULL)
		return false;
	if (page_flags(page) & PAGE_UPTODATE)
		return true;
	page_put(page);
	return false;
}

// `file` NULL: nobody who reads on.
static err_t page_get(struct file *file, struct inode *inode, uint64_t index, struct page **out)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t first, ahead_at;
		*out = mapping_find(&inode->mapping, index);
		if (page_is_filled(*out)) {
			uint32_t flags = page_flags(*out);
			if ((flags & PAGE_USED) == 0)
				page_set(*out, PAGE_USED);
			if ((flags & PAGE_AHEAD) && file != NULL) {
				page_clear(*out, PAGE_AHEAD);
				window_ask(file, inode);
			}
			return 0;
		}
		if (index >= inode_pages(inode))
			return -ENXIO; // cut, though perhaps not its whole cluster
		uint32_t count = window_for(file, cache_of(inode)->ops, index, &first, &ahead_at);
		err_t err = cache_fill(inode, first, count, ahead_at);
		if (err != 0) { // of this page, or of others in the window
			*out = mapping_find(&inode->mapping, index);
			return page_is_filled(*out) ? 0 : err;
		}
	}
	return ERR(ENOMEM); // reclaimed each time before it could be looked at
}

err_t cache_page_get(struct inode *inode, uint64_t index, struct page **out)
{
	return page_get(NULL, inode, index, out);
}

err_t cache_read(struct file *file, uint64_t offset, struct io *io, size_t *done_bytes)
{
	struct inode *inode = file->inode;
	err_t err = 0;

	while (io->left_bytes > 0 && err == 0) {
		struct page *page;
		uint64_t size = inode_size(inode);
		if (offset >= size)
			break;
		size_t within = (size_t)(offset % FRAME_SIZE);
		size_t piece = MIN(FRAME_SIZE - within, io->left_bytes);
		piece = (size_t)MIN(piece, size - offset);
		err = page_get(file, inode, offset / FRAME_SIZE, &page);
		if (err == -ENXIO)
			return 0; // cut meanwhile
		if (err != 0)
			break;
		err = io_put(io, (const uint8_t *)page->frame + within, piece);
		page_put(page);
		if (err == 0) {
			offset += piece;
			*done_bytes += piece;
		}
	}
	return err;
}
