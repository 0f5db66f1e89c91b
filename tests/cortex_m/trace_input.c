// SPDX-License-Identifier: MIT
//
// What the host's compiler is given while its allocations are recorded: a program of its own, small enough to be traced in a moment.
#include <stddef.h>
#include <stdint.h>

struct node {
	struct node *child[2];
	uint64_t key;
};

struct node *node_find(struct node *node, uint64_t key);
uint32_t checksum(const uint8_t *bytes, size_t size);
void sort(uint64_t *values, size_t count);

struct node *node_find(struct node *node, uint64_t key)
{
	while (node != NULL && node->key != key)
		node = node->child[key > node->key];
	return node;
}

uint32_t checksum(const uint8_t *bytes, size_t size)
{
	uint32_t sum = 1;
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

void sort(uint64_t *values, size_t count)
{
	for (size_t gap = count / 2; gap > 0; gap /= 2) {
		for (size_t i = gap; i < count; i++) {
			uint64_t value = values[i];
			size_t at = i;
			for (; at >= gap && values[at - gap] > value; at -= gap)
				values[at] = values[at - gap];
			values[at] = value;
		}
	}
}
