// SPDX-License-Identifier: MIT
//
// From the firmware's hand-over to the kernel: the order of everything, on CPU 0.
#include "../arch.h"

#include "hal/console.h"

struct bare_state bare;
struct bare_cpu bare_cpus[CONFIG_MAX_CPUS];

static uint64_t zone_end(uint64_t start, uint64_t size_bytes)
{
	return size_bytes > UINT64_MAX - start ? UINT64_MAX : start + size_bytes;
}

static void range_add(struct bare_range *ranges, uint32_t *count, uint32_t *truncated, struct bare_range range)
{
	if (range.size_bytes == 0)
		return;
	range.size_bytes = zone_end(range.start, range.size_bytes) - range.start;
	if (*count == BARE_RANGES_MAX) {
		(*truncated)++;
		return;
	}
	ranges[(*count)++] = range;
}

void boot_add_ram(struct bare_boot *boot, uint64_t start, uint64_t size_bytes, uint32_t node)
{
	struct bare_range range = {start, size_bytes, node, 0};
	range_add(boot->ram, &boot->ram_count, &boot->truncated, range);
}

void boot_add_taken(struct bare_boot *boot, uint64_t start, uint64_t size_bytes)
{
	struct bare_range range = {start, size_bytes, 0, 0};
	range_add(boot->taken, &boot->taken_count, &boot->truncated, range);
}

void boot_add_module(struct bare_boot *boot, uint64_t phys, uint64_t size_bytes, const char *name)
{
	if (size_bytes == 0)
		return;
	boot_add_taken(boot, phys, size_bytes);
	if (boot->module_count == BARE_MODULES_MAX) {
		boot->truncated++;
		return;
	}
	struct bare_module *module = &boot->modules[boot->module_count++];
	module->phys = phys;
	module->size_bytes = size_bytes;
	bare_strcpy(module->name, name, sizeof module->name);
}

// ---- into the kernel --------------------------------------------------------------------------------------------------

static void kernel_enter(void *arg)
{
	tb_upcalls.boot(arg);
	__builtin_unreachable();
}

// struct kernel at the start of the window, then the stack of CPU 0; both zeroed.
static void bare_start(void)
{
	struct hal_boot_info *info = &bare.info;
	uint64_t stack = tb_upcalls.kernel_size_bytes + CONFIG_KSTACK_SIZE - 1;
	stack -= stack % CONFIG_KSTACK_SIZE;
	char *ram = info->ram;
	info->ram_used_bytes = stack + CONFIG_KSTACK_SIZE;
	if (info->node_count == 0 || info->nodes[0].size_bytes <= info->ram_used_bytes)
		bare_die("boot: the first run of memory is too small");
	memset(ram, 0, info->ram_used_bytes);
	struct hal_thread *boot = (struct hal_thread *)(void *)(ram + stack);
	boot->irq_off = 1;
	boot->preempt_count = 1;
	if (!paging_hole((uintptr_t)boot + BARE_GUARD_OFFSET, true))
		bare_die("boot: no page for the guard of the first stack");
	arch_call_on((char *)boot + CONFIG_KSTACK_SIZE, kernel_enter, info);
}

static uint32_t flags_of(const struct cmdline *options)
{
	uint32_t flags = HAL_BOOT_RAM_DIRTY;
	if (options->has_quiet)
		flags |= HAL_BOOT_QUIET;
	if (options->has_initramfs)
		flags |= HAL_BOOT_INITRAMFS;
	if (options->has_trace)
		flags |= HAL_BOOT_TRACE;
	if (!options->has_test)
		flags |= HAL_BOOT_MONITOR;
	if (!options->has_test && !options->has_command)
		flags |= HAL_BOOT_INTERACTIVE;
	return flags;
}

static void info_fill(void)
{
	struct hal_boot_info *info = &bare.info;
	info->version = HAL_VERSION;
	info->ram = (void *)HAL_RAM_BASE;
	info->cpu_count = bare.cpu_count;
	info->flags = flags_of(&bare.options);
	info->poison = bare.options.poison;
	info->seed = bare.options.seed;
	if (!bare.options.has_seed)
		hal_entropy(&info->seed, sizeof info->seed);
	bare_strcpy(info->engine, arch_name, sizeof info->engine);
	const char *persona = bare.options.persona;
	bare_strcpy(info->persona, persona[0] != '\0' ? persona : CONFIG_PERSONA, sizeof info->persona);
	bare_strcpy(info->cmdline, bare.options.rest, sizeof info->cmdline);
	if (bare.options.has_command)
		console_script(bare.options.command);
}

// CPUs and nodes cannot exceed what the kernel was built for, or what it was asked to use.
static void cpus_limit(void)
{
	uint32_t wanted = bare.options.cpu_count;
	if (bare.options.is_stepped)
		wanted = 1;
	if (wanted != 0 && wanted < bare.cpu_count)
		bare.cpu_count = wanted;
	if (bare.cpu_count > CONFIG_MAX_CPUS)
		bare.cpu_count = CONFIG_MAX_CPUS;
	for (uint32_t i = 0; i < bare.cpu_count; i++) {
		struct bare_cpu *cpu = &bare_cpus[i];
		cpu->self = cpu;
		cpu->index = i;
		cpu->deadline_ns = TB_FOREVER;
		if (cpu->emergency == 0) {
			uint64_t phys = pool_alloc(BARE_EMERGENCY_SIZE);
			if (phys == 0)
				bare_die("boot: no memory for the stacks of %u CPUs", bare.cpu_count);
			cpu->emergency = (uintptr_t)bare_phys(phys) + BARE_EMERGENCY_SIZE;
		}
		cpu->state = i == 0 ? CPU_ONLINE : CPU_PRESENT;
	}
}

static void options_read(void)
{
	const char *text = bare.boot.cmdline;
	cmdline_parse(&bare.options, text, sizeof bare.boot.cmdline);
	const struct cmdline_fault *fault = &bare.options.fault;
	if (fault->reason != NULL)
		bare_print("boot: command line, byte %u: %s (%u faults in all)\n", fault->offset, fault->reason,
			   fault->count);
}

void bare_main(uint64_t protocol, uint64_t info, uint64_t image_phys)
{
	bare.boot.image_phys = image_phys;
	bare.boot.image_size_bytes = (uint64_t)(bare_image_end - bare_image_start);
	bare_cpus[0].self = &bare_cpus[0];
	bare.cpu_count = 1;
	arch_early(protocol, info);
	boot_add_taken(&bare.boot, image_phys, bare.boot.image_size_bytes);
	arch_boot_record(&bare.boot, protocol, info);
	options_read();
	machine_init();
	if (!bare.options.has_quiet)
		bare_print("boot: %s, image of %lu KiB at %lx, memory from %lx to %lx\n", bare.boot.protocol,
			   bare.boot.image_size_bytes >> 10, image_phys, bare.ram_phys, bare.ram_end);
	paging_init();
	arch_init();
	cpus_limit();
	entropy_init();
	clock_init();
	info_fill();
	bare_start();
	__builtin_unreachable();
}

void hal_boot_done(void)
{
	bare.booted = 1;
	if (bare.options.has_test)
		test_begin();
}

// ---- other CPUs -------------------------------------------------------------------------------------------------------

static void cpu_enter(void *arg)
{
	struct bare_cpu *cpu = arg;
	tb_upcalls.cpu_entry(cpu->hal);
	__builtin_unreachable();
}

void bare_cpu_main(struct bare_cpu *cpu)
{
	arch_cpu_init(cpu);
	tlb_serve(cpu);
	__atomic_store_n(&cpu->state, CPU_ONLINE, __ATOMIC_RELEASE);
	arch_call_on((char *)cpu->idle + CONFIG_KSTACK_SIZE, cpu_enter, cpu);
}

// ---- small things -----------------------------------------------------------------------------------------------------

size_t bare_strlen(const char *text)
{
	size_t size = 0;
	while (text[size] != '\0')
		size++;
	return size;
}

bool bare_streq(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

void bare_strcpy(char *to, const char *from, size_t size_bytes)
{
	size_t size = bare_strlen(from);
	if (size >= size_bytes)
		size = size_bytes - 1;
	memcpy(to, from, size);
	to[size] = '\0';
}
