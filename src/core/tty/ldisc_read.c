// SPDX-License-Identifier: MIT
//
// What a read gets of what has been typed.
#include "ldisc_impl.h"

#include "kern/math.h"
#include "kern/string.h"

bool ldisc_readable(const struct ldisc *ldisc)
{
	return (is_canonical(ldisc) ? ldisc->canon : ldisc->head) != ldisc->tail;
}

uint32_t ldisc_waiting(const struct ldisc *ldisc)
{
	uint32_t count = queue_used(ldisc);

	if (!is_canonical(ldisc))
		return count;
	count = ldisc->canon - ldisc->tail;
	for (uint32_t at = ldisc->tail; at != ldisc->canon; at++)
		count -= mark_at(ldisc, at) && ldisc->bytes[PLACE(at)] == 0;
	return count;
}

static void copy_out(struct ldisc *ldisc, uint8_t *buffer, uint32_t size)
{
	uint32_t place = PLACE(ldisc->tail), first = MIN(size, LDISC_BYTES - place);

	memcpy(buffer, ldisc->bytes + place, first);
	memcpy(buffer + first, ldisc->bytes, size - first);
	ldisc->tail += size;
}

static size_t read_run(struct ldisc *ldisc, uint8_t *buffer, size_t size_bytes, bool *end)
{
	size_t size = MIN(size_bytes, queue_used(ldisc));

	*end = size == size_bytes;
	copy_out(ldisc, buffer, (uint32_t)size);
	if ((int32_t)(ldisc->canon - ldisc->tail) < 0)
		ldisc->canon = ldisc->tail;
	bool last = size == 1 && ldisc->tail == ldisc->head;
	if (!last || !has_l(ldisc, TB_ICANON) || !is_char(ldisc, buffer[0], TB_VEOF))
		return size;
	*end = true; // EXTPROC: alone, it still is an end of file
	return 0;
}

static size_t read_line(struct ldisc *ldisc, uint8_t *buffer, size_t size_bytes, bool *end)
{
	uint32_t most = ldisc->canon - ldisc->tail, size = 0;
	bool marked = false;

	if (most == 0)
		return 0;
	*end = true;
	while (!marked && size < most && size <= size_bytes) // one more, should it be an end of file
		marked = mark_at(ldisc, ldisc->tail + size++);
	bool pushed = ldisc->pushed && ldisc->tail + size == ldisc->pushed_end;
	bool eof = marked && !pushed && ldisc->bytes[PLACE(ldisc->tail + size - 1)] == 0;
	uint32_t taken = (uint32_t)MIN(eof ? size - 1 : size, size_bytes);
	copy_out(ldisc, buffer, taken);
	if (eof)
		ldisc->tail++;
	if (ldisc->tail == ldisc->pushed_end)
		ldisc->pushed = false;
	return taken;
}

size_t ldisc_read(struct ldisc *ldisc, uint8_t *buffer, size_t size_bytes, bool *end)
{
	size_t size;

	*end = false;
	if (size_bytes == 0)
		return 0;
	size = is_canonical(ldisc) ? read_line(ldisc, buffer, size_bytes, end)
				   : read_run(ldisc, buffer, size_bytes, end);
	ldisc_hold(ldisc);
	return size;
}
