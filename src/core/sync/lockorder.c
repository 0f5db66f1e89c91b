// SPDX-License-Identifier: MIT
//
// The order between unranked locks: a graph whose edge a → b means that b was taken while a was held. A new edge that would
// close a circle is a possible deadlock, even if this run was lucky. Locks are known by address; nothing depends on the
// order of addresses. A full graph stops learning and says so in `dropped`.
#include "sync_impl.h"

#include "hal/cpu.h"

static bool graph_lock(struct lockorder_graph *graph)
{
	bool was = hal_irq_save();
	while (atomic_xchg_u32_acquire_nopoint(&graph->word, 1) != 0)
		hal_cpu_relax();
	return was;
}

static void graph_unlock(struct lockorder_graph *graph, bool was)
{
	atomic_store_u32_release_nopoint(&graph->word, 0);
	hal_irq_restore(was);
}

static struct lockorder_edge *edge_find(struct lockorder_graph *graph, const struct lock_class *from,
					const struct lock_class *to)
{
	for (uint32_t i = 0; i < graph->used; i++) {
		if (graph->edges[i].from == from && graph->edges[i].to == to)
			return &graph->edges[i];
	}
	return NULL;
}

// Puts the edges that leave `lock` and are not yet in it into the search's queue, noting by which first edge it was reached.
static uint32_t search_push(struct lockorder_graph *graph, const struct lock_class *lock, uint32_t count,
			    uint16_t first)
{
	for (uint32_t i = 0; i < graph->used; i++) {
		struct lockorder_edge *edge = &graph->edges[i];
		if (edge->from != lock || edge->search == graph->search)
			continue;
		edge->search = graph->search;
		edge->first = first == LOCKORDER_EDGES ? (uint16_t)i : first;
		graph->queue[count++] = (uint16_t)i;
	}
	return count;
}

// The first edge of a path from one lock to the other, breadth first; NULL: there is no path.
static const struct lockorder_edge *path_find(struct lockorder_graph *graph, const struct lock_class *from,
					      const struct lock_class *to)
{
	graph->search++;
	uint32_t count = search_push(graph, from, 0, LOCKORDER_EDGES);
	for (uint32_t next = 0; next < count; next++) {
		const struct lockorder_edge *edge = &graph->edges[graph->queue[next]];
		if (edge->to == to)
			return &graph->edges[edge->first];
		count = search_push(graph, edge->to, count, edge->first);
	}
	return NULL;
}

static void edge_add(struct lockorder_graph *graph, const struct lock_class *from, const struct lock_class *to,
		     const char *to_where)
{
	if (graph->used == LOCKORDER_EDGES) {
		graph->dropped++;
		return;
	}
	graph->edges[graph->used++] = (struct lockorder_edge){.from = from, .to = to, .to_where = to_where};
}

bool lockorder_note(struct lockorder_graph *graph, const struct lock_class *from, const struct lock_class *to,
		    const char *to_where, const char **reverse)
{
	bool was = graph_lock(graph);
	const struct lockorder_edge *back = NULL;

	if (edge_find(graph, from, to) == NULL) {
		back = path_find(graph, to, from);
		if (back == NULL)
			edge_add(graph, from, to, to_where);
	}
	if (back != NULL)
		*reverse = back->to_where;
	graph_unlock(graph, was);
	return back == NULL;
}

void lockorder_forget(struct lockorder_graph *graph, const struct lock_class *lock)
{
	bool was = graph_lock(graph);
	for (uint32_t i = graph->used; i-- > 0;) {
		if (graph->edges[i].from == lock || graph->edges[i].to == lock)
			graph->edges[i] = graph->edges[--graph->used];
	}
	graph_unlock(graph, was);
}
