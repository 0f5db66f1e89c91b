// SPDX-License-Identifier: MIT
//
// cpio's "new ASCII" format (cpio(5)): a header of 110 bytes (magic, thirteen numbers of eight hexadecimal digits), the name with its
// terminator, the contents; name and contents are padded so that what follows stands at a multiple of four from the archive's
// beginning. Names are checked here, so that nobody behind this file sees one that leads out of the tree.
#include "initramfs_impl.h"

#include "kern/string.h"

#define HEADER_BYTES 110u
#define MAGIC_BYTES 6u
#define TRAILER "TRAILER!!!"

enum field {
	FIELD_INO,
	FIELD_MODE,
	FIELD_UID,
	FIELD_GID,
	FIELD_NLINK,
	FIELD_MTIME,
	FIELD_SIZE,
	FIELD_DEV_MAJOR,
	FIELD_DEV_MINOR,
	FIELD_RDEV_MAJOR,
	FIELD_RDEV_MINOR,
	FIELD_NAME_SIZE,
	FIELD_SUM,
	FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {"inode",      "mode",      "uid",   "gid",   "links",
						     "time",       "size",      "major", "minor", "rdev major",
						     "rdev minor", "name size", "sum"};

static bool hex_read(const uint8_t *digits, uint32_t *out)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < 8; i++) {
		uint8_t byte = digits[i];
		uint32_t letter = (byte | 0x20u) - 'a';
		if (byte >= '0' && byte <= '9')
			value = value << 4 | (uint32_t)(byte - '0');
		else if (letter < 6)
			value = value << 4 | (letter + 10);
		else
			return false;
	}
	*out = value;
	return true;
}

static err_t header_read(struct archive *archive, struct entry *entry, uint32_t fields[FIELD_COUNT])
{
	uint8_t header[HEADER_BYTES];
	err_t err = archive_read(archive, header, MAGIC_BYTES);

	if (err != 0)
		return err;
	entry->has_sum = memcmp(header, "070702", MAGIC_BYTES) == 0;
	if (!entry->has_sum && memcmp(header, "070701", MAGIC_BYTES) != 0) {
		archive->back = archive->at - entry->at;
		return archive_fail(archive, ERR(EBADMSG), "no header of a cpio archive (newc) stands here");
	}
	err = archive_read(archive, header + MAGIC_BYTES, HEADER_BYTES - MAGIC_BYTES);
	for (uint32_t i = 0; err == 0 && i < FIELD_COUNT; i++)
		if (!hex_read(header + MAGIC_BYTES + 8 * i, &fields[i]))
			err = archive_fail(archive, ERR(EBADMSG), "the %s in a header is no hexadecimal number",
					   field_names[i]);
	entry->ino = fields[FIELD_INO];
	entry->mode = fields[FIELD_MODE];
	entry->uid = fields[FIELD_UID];
	entry->gid = fields[FIELD_GID];
	entry->nlink = fields[FIELD_NLINK];
	entry->mtime = fields[FIELD_MTIME];
	entry->size_bytes = fields[FIELD_SIZE];
	entry->dev_major = fields[FIELD_DEV_MAJOR];
	entry->dev_minor = fields[FIELD_DEV_MINOR];
	entry->rdev_major = fields[FIELD_RDEV_MAJOR];
	entry->rdev_minor = fields[FIELD_RDEV_MINOR];
	entry->sum = fields[FIELD_SUM];
	return err;
}

// To the next multiple of four, counted from the entry's header.
static err_t padding_skip(struct archive *archive, const struct entry *entry)
{
	return archive_skip(archive, (4 - (archive->at - entry->at) % 4) % 4);
}

// ---- names ---------------------------------------------------------------------------------------------------------------

// The name without empty components and ".", in place. NULL, or what is wrong with it.
static const char *name_tidy(char *name)
{
	const char *from = name;
	char *to = name;

	if (*name == '\0')
		return "a name that is empty";
	if (*name == '/')
		return "an absolute name";
	while (*from != '\0') {
		const char *end = strchr(from, '/');
		size_t size = end != NULL ? (size_t)(end - from) : strlen(from);
		if (size == 2 && from[0] == '.' && from[1] == '.')
			return "a name with \"..\"";
		if (size > TB_NAME_MAX)
			return "a component of more than 255 bytes";
		if (size > 0 && !(size == 1 && from[0] == '.')) {
			if (to != name)
				*to++ = '/';
			memmove(to, from, size);
			to += size;
		}
		from += size + (end != NULL);
	}
	*to = '\0';
	return NULL;
}

// Whether a relative link climbs above the directory that is unpacked into, by its components alone.
static bool link_leads_out(const char *name, const char *target)
{
	int64_t depth = 0;

	if (*target == '/')
		return false; // the tree's own root
	for (const char *at = name; *at != '\0'; at++)
		depth += *at == '/';
	while (*target != '\0') {
		const char *end = strchr(target, '/');
		size_t size = end != NULL ? (size_t)(end - target) : strlen(target);
		if (size == 2 && target[0] == '.' && target[1] == '.')
			depth--;
		else if (size > 0 && !(size == 1 && target[0] == '.'))
			depth++;
		if (depth < 0)
			return true;
		target += size + (end != NULL);
	}
	return false;
}

static err_t text_read(struct archive *archive, char *text, uint32_t size_bytes, const char *what)
{
	err_t err = archive_read(archive, text, size_bytes);

	text[size_bytes] = '\0';
	if (err == 0 && strlen(text) != size_bytes)
		err = archive_fail(archive, ERR(EBADMSG), "a NUL within %s", what);
	return err;
}

static err_t name_read(struct archive *archive, const struct entry *entry, uint32_t size_bytes)
{
	uint8_t end = 0;

	if (size_bytes == 0)
		return archive_fail(archive, ERR(EBADMSG), "a name without its terminator");
	if (size_bytes > NAME_BYTES_MAX)
		return archive_fail(archive, ERR(ENAMETOOLONG), "a name of %u bytes, at most %u", size_bytes,
				    NAME_BYTES_MAX);
	err_t err = text_read(archive, entry->name, size_bytes - 1, "a name");
	if (err == 0)
		err = archive_read(archive, &end, 1);
	if (err == 0 && end != 0)
		err = archive_fail(archive, ERR(EBADMSG), "a name without its terminator");
	return err == 0 ? padding_skip(archive, entry) : err;
}

static err_t target_read(struct archive *archive, const struct entry *entry)
{
	uint32_t size = entry->size_bytes;

	if (size == 0 || size >= NAME_BYTES_MAX)
		return archive_fail(archive, ERR(ENAMETOOLONG), "%.60s: a link to a name of %u bytes", entry->name,
				    size);
	err_t err = text_read(archive, entry->target, size, "a link");
	if (err == 0 && link_leads_out(entry->name, entry->target))
		err = archive_fail(archive, ERR(EXDEV), "%.60s: a link that leads out of the tree", entry->name);
	return err == 0 ? padding_skip(archive, entry) : err;
}

static const char *kind_problem(const struct entry *entry)
{
	switch (entry->mode & TB_S_IFMT) {
	case TB_S_IFREG:
	case TB_S_IFLNK:
		return NULL;
	case TB_S_IFDIR:
	case TB_S_IFCHR:
	case TB_S_IFBLK:
	case TB_S_IFIFO:
	case TB_S_IFSOCK:
		return entry->size_bytes != 0 ? "contents of what has none" : NULL;
	default:
		return "a kind of file that does not exist";
	}
}

err_t cpio_entry(struct archive *archive, struct entry *entry, bool *last)
{
	uint32_t fields[FIELD_COUNT] = {0};
	const char *problem;

	entry->at = archive->at;
	*last = false;
	err_t err = header_read(archive, entry, fields);
	if (err == 0)
		err = name_read(archive, entry, fields[FIELD_NAME_SIZE]);
	if (err != 0)
		return err;
	*last = str_equal(entry->name, TRAILER);
	if (*last)
		return entry->size_bytes == 0 ? 0 : archive_fail(archive, ERR(EBADMSG), "a trailer with contents");
	problem = name_tidy(entry->name);
	if (problem == NULL)
		problem = kind_problem(entry);
	if (problem != NULL) {
		archive->back = archive->at - entry->at;
		return archive_fail(archive, ERR(EBADMSG), "%s: %.60s", problem, entry->name);
	}
	return (entry->mode & TB_S_IFMT) == TB_S_IFLNK ? target_read(archive, entry) : 0;
}

err_t cpio_contents(struct archive *archive, const struct entry *entry, cpio_write_fn *write, void *arg)
{
	uint32_t left = entry->size_bytes;
	uint32_t sum = 0;
	err_t err = 0;

	while (err == 0 && left > 0) {
		const uint8_t *bytes;
		size_t piece = 0;
		err = archive_piece(archive, left, &bytes, &piece);
		for (size_t i = 0; err == 0 && entry->has_sum && i < piece; i++)
			sum += bytes[i];
		if (err == 0 && write != NULL)
			err = write(arg, bytes, piece);
		left -= (uint32_t)piece;
	}
	if (err == 0 && entry->has_sum && entry->size_bytes > 0 && sum != entry->sum)
		err = archive_fail(archive, ERR(EBADMSG), "%.60s: the sum of its bytes is wrong", entry->name);
	return err == 0 ? padding_skip(archive, entry) : err;
}
