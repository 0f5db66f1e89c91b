// SPDX-License-Identifier: MIT
//
// Fuzz target: ACPI tables. The input is a list of records {address, 8 bytes; size, 4; content}, the RSDP first: a memory
// that has nothing else. Whatever they hold, reading ends, asks for no more than it promises, and gives a record within its
// bounds. Each mapping is good until the next one only: earlier ones are spoiled. The mutator makes the tables' sums right again.
#include "kern/assert.h"
#include "kern/string.h"

#include "../../src/hal_bare/common/acpi.h"
#include "../../src/hal_bare/common/pure.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t size_max);

enum {
	RECORD_HEADER = 12,
	WINDOW_SIZE = 1 << 16,
	MAPS_MAX = 1 << 16 // of one reading: more is no end in sight
};

struct memory {
	const uint8_t *bytes;
	size_t size;
	uint32_t map_count;
};

static uint8_t window_bytes[WINDOW_SIZE];
static struct acpi_machine machine;

// The record at *at; false at the end.
static bool record_at(const uint8_t *bytes, size_t size, size_t *at, uint64_t *phys, uint32_t *record_size)
{
	if (size - *at < RECORD_HEADER)
		return false;
	*phys = le64(bytes + *at);
	*record_size = le32(bytes + *at + 8);
	*at += RECORD_HEADER;
	if (*record_size > size - *at)
		*record_size = (uint32_t)(size - *at);
	return true;
}

// A copy that ends where the window ends, so that the sanitizer sees a read past it.
static const void *memory_map(void *context, uint64_t phys, size_t size_bytes)
{
	struct memory *memory = context;
	uint64_t start;
	uint32_t record_size;

	VERIFY(size_bytes > 0 && size_bytes <= ACPI_TABLE_SIZE_MAX && phys <= UINT64_MAX - size_bytes);
	VERIFY3(++memory->map_count, <, MAPS_MAX);
	for (size_t at = 0; record_at(memory->bytes, memory->size, &at, &start, &record_size); at += record_size) {
		if (phys < start || phys - start > record_size || size_bytes > record_size - (phys - start) ||
		    size_bytes > WINDOW_SIZE)
			continue;
		memset(window_bytes, 0xa5, sizeof window_bytes);
		uint8_t *place = window_bytes + WINDOW_SIZE - size_bytes;
		memcpy(place, memory->bytes + at + (phys - start), size_bytes);
		return place;
	}
	return NULL;
}

static void record_verify(void)
{
	VERIFY3(machine.cpu_count, <=, ACPI_CPUS_MAX);
	VERIFY3(machine.ioapic_count, <=, ACPI_IOAPICS_MAX);
	VERIFY3(machine.override_count, <=, ACPI_OVERRIDES_MAX);
	VERIFY3(machine.nmi_count, <=, ACPI_NMIS_MAX);
	VERIFY3(machine.memory_count, <=, ACPI_MEMORY_MAX);
	VERIFY3(machine.domain_count, <=, ACPI_DOMAINS_MAX);
	VERIFY((machine.found & machine.damaged & ~(uint32_t)(ACPI_RSDP | ACPI_ROOT)) == 0);
	for (uint32_t i = 0; i < machine.cpu_count; i++) {
		VERIFY(machine.cpus[i].is_enabled || machine.cpus[i].is_online_capable);
		VERIFY(machine.cpus[i].node == 0 || machine.cpus[i].node < machine.domain_count);
		for (uint32_t k = 0; k < i; k++)
			VERIFY(machine.cpus[i].apic_id != machine.cpus[k].apic_id);
	}
	for (uint32_t i = 0; i < machine.memory_count; i++) {
		const struct acpi_memory *memory = &machine.memory[i];
		VERIFY(memory->size_bytes > 0 && memory->start <= UINT64_MAX - (memory->size_bytes - 1));
		VERIFY3(memory->node, <, machine.domain_count);
	}
	for (uint32_t i = 0; i < machine.domain_count; i++)
		VERIFY(machine.distance[i][i] == 0 || machine.distance[i][i] == 10);
	VERIFY(!machine.has_s5 || (machine.s5_type_a <= 7 && machine.s5_type_b <= 7));
	VERIFY(!machine.fadt.has_reset || machine.fadt.reset.address != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct memory memory = {.bytes = bytes, .size = size};
	struct acpi_window window = {.map = memory_map, .context = &memory};
	uint64_t rsdp = size >= 8 ? le64(bytes) : 0;

	if (acpi_read(&machine, &window, rsdp) == 0)
		VERIFY((machine.found & (ACPI_RSDP | ACPI_ROOT)) == (ACPI_RSDP | ACPI_ROOT));
	record_verify();
	uint64_t found = acpi_rsdp_scan(&window, rsdp & ~255ull, 512);
	VERIFY(found == 0 || (found % 16 == 0 && found - (rsdp & ~255ull) < 512));
	return 0;
}

// ---- the mutator ----------------------------------------------------------------------------------------------------

static void sum_repair(uint8_t *bytes, uint32_t size, uint32_t sum_at)
{
	uint8_t sum = 0;
	for (uint32_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	bytes[sum_at] = (uint8_t)(bytes[sum_at] - sum);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
	uint64_t phys;
	uint32_t record_size;
	bool is_first = true;

	size = LLVMFuzzerMutate(bytes, size, size_max);
	if (seed % 8 == 0)
		return size;
	for (size_t at = 0; record_at(bytes, size, &at, &phys, &record_size); at += record_size) {
		uint8_t *record = bytes + at;
		if (is_first && record_size >= 20) {
			memcpy(record, "RSD PTR ", 8);
			sum_repair(record, 20, 8);
			if (record_size >= 36 && seed % 8 != 1) {
				memset(record + 20, 0, 4);
				record[20] = 36;
				sum_repair(record, 36, 32);
			}
		} else if (!is_first && record_size >= 36) {
			uint32_t size_said = le32(record + 4);
			if (seed % 8 != 2 || size_said > record_size || size_said < 36) {
				for (unsigned i = 0; i < 4; i++)
					record[4 + i] = (uint8_t)(record_size >> 8 * i);
				size_said = record_size;
			}
			sum_repair(record, size_said, 9);
		}
		is_first = false;
	}
	return size;
}
