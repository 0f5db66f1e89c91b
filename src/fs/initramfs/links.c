// SPDX-License-Identifier: MIT
//
// Hard links. An archive has one entry for each name of a file, told together by device and inode number; the contents are with one of
// them. What is kept is the first name, until as many names have come as the header promised.
#include "initramfs_impl.h"

#include "kern/math.h"
#include "kern/string.h"

struct link_name {
	struct rb_node node;
	uint32_t dev_major, dev_minor, ino;
	uint32_t left; // names that are still to come
	size_t size_bytes;
	char name[];
};

static int32_t key_compare(const uint32_t a[3], const uint32_t b[3])
{
	for (uint32_t i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static int compare(const void *key, const struct rb_node *node)
{
	const struct link_name *link = rb_entry(node, struct link_name, node);
	const uint32_t other[3] = {link->dev_major, link->dev_minor, link->ino};
	return key_compare(key, other);
}

static bool before(const struct rb_node *a, const struct rb_node *b)
{
	const struct link_name *link = rb_entry(a, struct link_name, node);
	const uint32_t key[3] = {link->dev_major, link->dev_minor, link->ino};
	return compare(key, b) < 0;
}

static struct link_name *lookup(struct links *links, const struct entry *entry)
{
	const uint32_t key[3] = {entry->dev_major, entry->dev_minor, entry->ino};
	struct rb_node *node = rb_find(&links->root, key, compare);
	return node != NULL ? rb_entry(node, struct link_name, node) : NULL;
}

const char *links_find(struct links *links, const struct entry *entry)
{
	const struct link_name *link = entry->nlink > 1 ? lookup(links, entry) : NULL;
	return link != NULL ? link->name : NULL;
}

err_t links_add(struct links *links, const struct entry *entry)
{
	size_t name_size = strlen(entry->name) + 1;
	size_t size = sizeof(struct link_name) + name_size;

	if (entry->nlink <= 1)
		return 0;
	if (links->bytes + size > MIN(LINKS_BYTES_MAX, kernel_self()->ram_size_bytes / 16))
		return ERR(E2BIG);
	struct link_name *link = kmalloc(size, 0);
	if (link == NULL)
		return ERR(ENOMEM);
	*link = (struct link_name){.dev_major = entry->dev_major,
				   .dev_minor = entry->dev_minor,
				   .ino = entry->ino,
				   .left = entry->nlink - 1,
				   .size_bytes = size};
	memcpy(link->name, entry->name, name_size);
	rb_insert(&links->root, &link->node, before);
	links->bytes += size;
	return 0;
}

static void link_end(struct links *links, struct link_name *link)
{
	links->bytes -= link->size_bytes;
	rb_remove(&links->root, &link->node);
	kfree(link);
}

void links_seen(struct links *links, const struct entry *entry)
{
	struct link_name *link = lookup(links, entry);
	if (--link->left == 0)
		link_end(links, link);
}

void links_free(struct links *links)
{
	struct rb_node *node;

	while ((node = rb_first(&links->root)) != NULL)
		link_end(links, rb_entry(node, struct link_name, node));
}
