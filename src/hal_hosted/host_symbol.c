// SPDX-License-Identifier: MIT
//
// Names of code addresses, for panics: the symbol table of the ELF file that holds the address, so that static functions
// have names too (the dynamic symbols know few). The file is read anew each time; nothing here is fast.
#include "host_backtrace.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct module {
	uintptr_t address; // wanted
	uintptr_t bias;    // load address minus link address
	const char *path;
	bool found;
};

static int module_match(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct module *module = arg;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr;
		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || module->address < start ||
		    module->address - start >= header->p_memsz)
			continue;
		module->bias = info->dlpi_addr;
		module->path = info->dlpi_name[0] != '\0' ? info->dlpi_name : "/proc/self/exe";
		module->found = true;
		return 1;
	}
	return 0;
}

struct image {
	const char *bytes;
	size_t size_bytes;
};

static const void *image_at(const struct image *image, uint64_t offset, uint64_t size_bytes)
{
	if (offset > image->size_bytes || size_bytes > image->size_bytes - offset)
		return NULL;
	return image->bytes + offset;
}

static const ElfW(Shdr) * section_find(const struct image *image, uint32_t type, const ElfW(Shdr) * *all)
{
	const ElfW(Ehdr) *header = image_at(image, 0, sizeof *header);
	if (header == NULL || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	*all = image_at(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof **all);
	for (uint32_t i = 0; *all != NULL && i < header->e_shnum; i++)
		if ((*all)[i].sh_type == type && (*all)[i].sh_link < header->e_shnum)
			return &(*all)[i];
	return NULL;
}

static bool symbol_find(const struct image *image, uint32_t type, uintptr_t value, char *text, size_t size_bytes)
{
	const ElfW(Shdr) * all;
	const ElfW(Shdr) *table = section_find(image, type, &all);
	if (table == NULL)
		return false;
	const ElfW(Sym) *symbols = image_at(image, table->sh_offset, table->sh_size);
	const ElfW(Shdr) *names = &all[table->sh_link];
	const char *strings = image_at(image, names->sh_offset, names->sh_size);
	const ElfW(Sym) *best = NULL;
	for (uint64_t i = 0; symbols != NULL && i < table->sh_size / sizeof *symbols; i++) {
		const ElfW(Sym) *symbol = &symbols[i];
		if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF ||
		    symbol->st_value > value)
			continue;
		if (best == NULL || symbol->st_value > best->st_value)
			best = symbol;
	}
	if (best == NULL || strings == NULL || best->st_name >= names->sh_size)
		return false;
	snprintf(text, size_bytes, "%.*s+0x%lx", (int)(names->sh_size - best->st_name), strings + best->st_name,
		 (unsigned long)(value - best->st_value));
	return true;
}

static void name_in_file(const struct module *module, char *text, size_t size_bytes)
{
	struct stat status;
	struct image image;
	uintptr_t value = module->address - module->bias;
	const char *slash = strrchr(module->path, '/');

	snprintf(text, size_bytes, "%s+0x%lx", slash ? slash + 1 : module->path, (unsigned long)value);
	int fd = open(module->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &status) != 0)
		goto out;
	image.size_bytes = (size_t)status.st_size;
	void *bytes = mmap(NULL, image.size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		goto out;
	image.bytes = bytes;
	if (!symbol_find(&image, SHT_SYMTAB, value, text, size_bytes))
		symbol_find(&image, SHT_DYNSYM, value, text, size_bytes);
	munmap(bytes, image.size_bytes);
out:
	close(fd);
}

const char *host_symbol_name(uintptr_t address, char *text, size_t size_bytes)
{
	struct module module = {.address = address};
	text[0] = '\0';
	if (dl_iterate_phdr(module_match, &module) != 0 && module.found)
		name_in_file(&module, text, size_bytes);
	return text;
}
