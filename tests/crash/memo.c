// SPDX-License-Identifier: MIT
//
// Recovery is a function of what it reads. So a crash state that looks, where recovery reads, like one that has been recovered, needs no run: walking down the
// tree of reads with the state's own contents comes to the verdict. The walk chooses versions as a run does, and leaves a run that is needed after all where it stopped.
#include "crash.h"

void memo_clear(struct memo *memo)
{
	memo->count = 1;
	memset(&memo->nodes[0], 0, sizeof memo->nodes[0]);
}

static uint32_t memo_below(const struct memo *memo, uint32_t node, uint64_t hash)
{
	uint32_t below = memo->nodes[node].below;

	while (below != 0 && memo->nodes[below].hash != hash)
		below = memo->nodes[below].next;
	return below;
}

bool memo_walk(struct memo *memo, struct crash_disk_state *disk, uint32_t *verdict)
{
	uint32_t node = 0;

	while (memo->nodes[node].below != 0) {
		node = memo_below(memo, node, view_look(disk, memo->nodes[node].block)->hash);
		if (node == 0)
			return false;
	}
	*verdict = memo->nodes[node].verdict - 1;
	return memo->nodes[node].verdict != 0;
}

// A run that read in another order than one before it is not kept: it may be run again.
void memo_keep(struct memo *memo, const struct view *view, uint32_t verdict)
{
	uint32_t node = 0;

	if (view->read_count == READS_MAX || memo->count + view->read_count >= MEMO_NODES)
		return;
	for (uint32_t i = 0; i < view->read_count; i++) {
		struct memo_node *here = &memo->nodes[node];
		if (here->verdict != 0 || (here->below != 0 && here->block != view->reads[i].block))
			return;
		uint32_t below = memo_below(memo, node, view->reads[i].hash);
		if (below == 0) {
			below = memo->count++;
			memo->nodes[below] = (struct memo_node){.hash = view->reads[i].hash, .next = here->below};
			here->below = below;
			here->block = view->reads[i].block;
		}
		node = below;
	}
	if (memo->nodes[node].below == 0)
		memo->nodes[node].verdict = verdict + 1;
}
