// SPDX-License-Identifier: MIT
//
// initramfs: files out of a cpio archive, at boot into the root filesystem, or by the monitor's `unpack` into any directory.
//
// Purpose. A module (a boot module, or a file of the host) holds one archive after the other in cpio's "new ASCII" format (cpio(5): newc
// 070701, crc 070702), each plain or compressed by LZ4 or Zstandard, with zeros between them as padding: what Linux's boot
// loaders hand over, and what people's tools make.
//
// Files
//   source.c     the module as a source of bytes · archive.c  one stream of archive bytes, however they were packed
//   cpio.c       headers and names: read, checked, told as entries
//   tree.c       entries to files · links.c  hard links whose names come apart
//   initramfs.c  the component, the command, what people are told
//
// The archive is hostile. A name is a path below the directory, by components that are directories and not links: absolute names, ".."
// and links on the way are errors, and so are links that lead above the directory. Nothing is taken on trust to size memory: what
// is held at once is one window (kern/unpack.h), one name and one link's target (PATH_MAX), and unfinished hard links
// (LINKS_BYTES_MAX). An archive that makes more bytes than the machine has memory is refused, so a bomb ends soon. The first error
// ends everything, with the place in the file and in the unpacked stream; what was made before it stays.
//
// Times. Making a name changes its directory's times. The directory that is worked in is kept open (tree->dir), with the times that it had;
// they are put back when another one is turned to. So nothing has to be remembered for the end.
//
// Locks: none of its own; one archive is one thread's. May sleep: everything.
#ifndef INITRAMFS_IMPL_H
#define INITRAMFS_IMPL_H

#include "kern/module.h"
#include "kern/unpack.h"
#include "kern/vfs.h"

#define PADDING_MAX (1u << 20)      // zeros between two archives
#define LINKS_BYTES_MAX (16u << 20) // of hard links that wait for their other names; at most 1/16 of memory
#define NAME_BYTES_MAX TB_PATH_MAX  // with the terminator
#define PROBLEM_SIZE 160u

// What went wrong, for people. The first one stays.
struct trouble {
	char reason[PROBLEM_SIZE];
	uint64_t file_at;   // in the module
	uint64_t stream_at; // in the bytes unpacked so far
};

// ---- archive.c -----------------------------------------------------------------------------------------------------------

struct archive {
	struct unpack unpack;
	enum unpack_method method;
	bool begun;           // method is valid
	const uint8_t *piece; // [piece, piece + left) is still to be used
	size_t left;
	uint64_t at;   // bytes of the stream used
	uint64_t back; // how far before `at` the trouble lies
	uint64_t made_max;
	struct trouble *trouble;
};

err_t archive_init(struct archive *archive, struct unpack_source *source, uint64_t made_max,
		   struct trouble *trouble) must_check;
void archive_fini(struct archive *archive);

// The first byte of the next cpio archive: over padding, out of one method into the next. *found false: nothing follows.
err_t archive_next(struct archive *archive, bool *found) must_check;

// Exactly that many bytes; at the end of the stream -EBADMSG. archive_piece(): up to size_bytes of those at hand, at least 1.
err_t archive_read(struct archive *archive, void *to, size_t size_bytes) must_check;
err_t archive_skip(struct archive *archive, uint64_t size_bytes) must_check;
err_t archive_piece(struct archive *archive, uint64_t size_bytes, const uint8_t **bytes,
		    size_t *piece_bytes) must_check;

// Notes where and why, returns err.
err_t archive_fail(struct archive *archive, err_t err, const char *format, ...) must_check printf_like(3, 4);

// ---- cpio.c --------------------------------------------------------------------------------------------------------------

struct entry {
	uint64_t at; // of its header in the stream
	uint32_t ino, mode, uid, gid, nlink, mtime, size_bytes, dev_major, dev_minor, rdev_major, rdev_minor;
	uint32_t sum; // of the contents, where has_sum
	bool has_sum;
	char *name;   // checked, relative, without "." and double slashes; "" is the directory itself
	char *target; // of a symbolic link
};

// The next entry, its contents still to be read by the caller (cpio_contents) unless it is a link; entry->name and target are buffers
// of NAME_BYTES_MAX. *last: this was the archive's end.
err_t cpio_entry(struct archive *archive, struct entry *entry, bool *last) must_check;

// Calls write for each piece of the contents and steps over the padding behind; checks the sum. NULL: they are only read.
typedef err_t cpio_write_fn(void *arg, const uint8_t *bytes, size_t size_bytes);
err_t cpio_contents(struct archive *archive, const struct entry *entry, cpio_write_fn *write, void *arg) must_check;

// ---- links.c -------------------------------------------------------------------------------------------------------------

struct links {
	struct rb_root root;
	size_t bytes;
};

// The first name of the file that the entry is another name of; NULL: it is the first. Counts the entry as seen.
const char *links_find(struct links *links, const struct entry *entry) must_check;
err_t links_add(struct links *links, const struct entry *entry) must_check; // -ENOMEM, -E2BIG
void links_seen(struct links *links, const struct entry *entry); // one of its names has come; the last one ends it
void links_free(struct links *links);

// ---- tree.c --------------------------------------------------------------------------------------------------------------

struct tree_figures {
	uint64_t files, bytes;
};

// Unpacks all archives of the source into the directory, as a process of its own. Errors: what `trouble` tells.
err_t tree_unpack(struct unpack_source *source, const char *directory, struct tree_figures *figures,
		  struct trouble *trouble) must_check;

// ---- source.c ------------------------------------------------------------------------------------------------------------

struct module_source {
	struct unpack_source source;
	const struct module *module;
	uint64_t at;
};

void module_source_init(struct module_source *source, const struct module *module);

#endif
