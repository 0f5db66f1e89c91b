// SPDX-License-Identifier: MIT
//
// Page tables of any architecture with 512 entries a table: built once with the largest pages that fit, split where a guard
// makes a hole. A hole keeps its frame number in the entry, so that filling it needs no look-up elsewhere.
#include "../arch.h"

#define INDEX_BITS 9
#define INDEX_MASK 511u
#define DEVICE_GAP BARE_PAGE_SIZE

static uint64_t root_phys;
static uint64_t device_next;
static struct bare_lock lock; // entries of shared tables

static uint32_t level_shift(uint32_t level)
{
	return 12 + INDEX_BITS * level;
}

static uint64_t *entry_in(uint64_t table_phys, uintptr_t address, uint32_t level)
{
	return (uint64_t *)bare_phys(table_phys) + (address >> level_shift(level) & INDEX_MASK);
}

static void entry_set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

// The table below `entry`, made when there is none. A large page is split into one that maps the same.
static uint64_t table_below(uint64_t *entry, uint32_t level)
{
	uint64_t old = *entry;
	if (arch_pte_is_valid(old) && !arch_pte_is_leaf(old, level))
		return arch_pte_phys(old);
	uint64_t table = pool_alloc(BARE_PAGE_SIZE);
	if (table == 0)
		return 0;
	if (arch_pte_is_valid(old)) {
		uint64_t *below = bare_phys(table);
		for (uint32_t i = 0; i <= INDEX_MASK; i++)
			below[i] = arch_pte_sub(old, level, i);
	}
	entry_set(entry, arch_pte_table(table));
	return table;
}

// The entry of `address` at `level`; NULL when there is no memory for a table.
static uint64_t *entry_at(uintptr_t address, uint32_t level)
{
	uint64_t table = root_phys;
	for (uint32_t at = arch_levels - 1; at > level; at--) {
		table = table_below(entry_in(table, address, at), at);
		if (table == 0)
			return NULL;
	}
	return entry_in(table, address, level);
}

static bool map_range(uintptr_t address, uint64_t phys, uint64_t size_bytes, uint32_t prot)
{
	while (size_bytes > 0) {
		uint32_t level = 0;
		while (level < 1 && ((address | phys) & ((1ull << level_shift(level + 1)) - 1)) == 0 &&
		       size_bytes >= 1ull << level_shift(level + 1))
			level++;
		uint64_t *entry = entry_at(address, level);
		if (entry == NULL)
			return false;
		entry_set(entry, arch_pte_leaf(phys, prot, level));
		uint64_t step = 1ull << level_shift(level);
		address += step;
		phys += step;
		size_bytes -= step;
	}
	return true;
}

static uint64_t page_up(uint64_t value)
{
	return (value + BARE_PAGE_SIZE - 1) & ~(BARE_PAGE_SIZE - 1);
}

static bool map_image(void)
{
	uintptr_t start = (uintptr_t)bare_image_start;
	uintptr_t text_end = page_up((uintptr_t)bare_text_end);
	uintptr_t rodata_end = page_up((uintptr_t)bare_rodata_end);
	uintptr_t end = page_up((uintptr_t)bare_image_end);
	uint64_t phys = bare.boot.image_phys;
	return map_range(start, phys, text_end - start, PROT_EXEC) &&
	       map_range(text_end, phys + (text_end - start), rodata_end - text_end, PROT_READ) &&
	       map_range(rodata_end, phys + (rodata_end - start), end - rodata_end, PROT_WRITE);
}

static bool map_ram(void)
{
	bool good = true;
	for (uint32_t i = 0; i < bare.info.node_count && good; i++) {
		const struct hal_ram_node *node = &bare.info.nodes[i];
		uint64_t size = node->size_bytes & ~(BARE_PAGE_SIZE - 1);
		good = map_range(HAL_RAM_BASE + node->offset, bare.ram_phys + node->offset, size, PROT_WRITE);
	}
	return good;
}

void paging_init(void)
{
	device_next = BARE_MAP_BASE;
	root_phys = pool_alloc(BARE_PAGE_SIZE);
	if (root_phys == 0 || !map_image() || !map_ram() ||
	    !map_range(BARE_POOL_BASE, bare.pool_phys, bare.pool_size_bytes, PROT_WRITE))
		bare_die("boot: no memory for page tables");
	arch_paging_activate(root_phys);
	bare.paged = 1;
}

uint64_t paging_root(void)
{
	return root_phys;
}

void *bare_map(uint64_t phys, uint64_t size_bytes, uint32_t prot)
{
	uint64_t offset = phys % BARE_PAGE_SIZE;
	if (size_bytes == 0 || size_bytes > BARE_MAP_SIZE || phys > UINT64_MAX - size_bytes - BARE_PAGE_SIZE ||
	    phys + size_bytes > arch_phys_limit)
		return NULL;
	uint64_t size = page_up(offset + size_bytes);
	bool was = bare_lock_take(&lock);
	uint64_t address = device_next;
	bool good = size + DEVICE_GAP <= BARE_MAP_BASE + BARE_MAP_SIZE - device_next;
	if (good) {
		device_next += size + DEVICE_GAP;
		good = map_range(address, phys - offset, size, prot);
		arch_tlb_flush_all(); // some processors remember that nothing was there
	}
	bare_lock_free(&lock, was);
	return good ? (void *)(address + offset) : NULL;
}

bool paging_hole(uintptr_t address, bool hole)
{
	bool was = bare_lock_take(&lock);
	uint64_t *entry = entry_at(address, 0);
	if (entry != NULL) {
		uint64_t phys = bare.ram_phys + (address - HAL_RAM_BASE);
		entry_set(entry, hole ? 0 : arch_pte_leaf(phys, PROT_WRITE, 0));
		arch_tlb_flush_page(address);
	}
	if (entry != NULL && hole && !arch_tlb_is_broadcast)
		(void)tlb_ticket(false);
	bare_lock_free(&lock, was);
	return entry != NULL;
}

uint64_t paging_entry(uintptr_t address)
{
	uint64_t table = root_phys;
	if (!bare.paged || !arch_address_is_canonical(address))
		return 0;
	for (uint32_t level = arch_levels - 1;; level--) {
		uint64_t entry = *entry_in(table, address, level);
		if (!arch_pte_is_valid(entry))
			return 0;
		if (level == 0 || arch_pte_is_leaf(entry, level))
			return entry;
		table = arch_pte_phys(entry);
	}
}

bool paging_is_mapped(uintptr_t address)
{
	return paging_entry(address) != 0;
}
