// SPDX-License-Identifier: MIT
//
// persona: which kinds of machine this kernel can be, what the running one is, and what of it may change while it runs. A CPU that is
// morphed away stays up for threads that name it alone (isolation, kern/sched.h); memory shrinks by a limit on the kernel's
// own account, below which nothing goes that is in use.
#include "commands.h"

#include "kern/component.h"
#include "kern/math.h"
#include "kern/mem.h"
#include "kern/sched.h"
#include "kern/string.h"

struct morph {
	uint64_t slice_ns;     // 0: as it is, and so below
	uint64_t memory_bytes; // UINT64_MAX: no limit
	uint32_t cpus;
};

static uint32_t cpus_in_use(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < kernel_self()->cpu_count; i++) {
		struct cpu_info info;
		count += sched_cpu_info(i, &info) == 0 && info.online != 0 && info.isolated == 0;
	}
	return count;
}

static uint64_t memory_limit_bytes(void)
{
	return (uint64_t)atomic_load_u32_relaxed(&account_root()->limit_frames) * FRAME_SIZE;
}

static void list_row(struct monitor_session *session, const struct persona *persona, bool json, bool first)
{
	bool running = persona == kernel_self()->persona;
	if (json)
		monitor_printf(session,
			       "%s{\"name\": \"%s\", \"summary\": \"%s\", \"running\": %s, \"memory_kib\": %llu, "
			       "\"cpus\": %u, "
			       "\"nodes\": %u, \"frame_bytes\": %u, \"slice_us\": %llu}",
			       first ? "" : ", ", persona->name, persona->summary, running ? "true" : "false",
			       (unsigned long long)(persona->memory_bytes / KIB(1)), persona->cpu_count,
			       persona->node_count, persona->frame_size_bytes,
			       (unsigned long long)(persona->slice_ns / 1000));
	else
		monitor_printf(session, "%s %-16s %8llu KiB %4u %5u %6u %7llu us  %s\n", running ? "*" : " ",
			       persona->name, (unsigned long long)(persona->memory_bytes / KIB(1)), persona->cpu_count,
			       persona->node_count, persona->frame_size_bytes,
			       (unsigned long long)(persona->slice_ns / 1000), persona->summary);
}

static int32_t persona_list(struct monitor_session *session, bool json)
{
	monitor_printf(session, "%s", json ? "[" : "  persona                memory cpus nodes  frame      slice\n");
	for (uint32_t i = 0; i < persona_count; i++)
		list_row(session, personas[i], json, i == 0);
	monitor_printf(session, "%s", json ? "]\n" : "");
	return 0;
}

static void show_running(struct monitor_session *session, bool json)
{
	struct kernel *kernel = kernel_self();
	uint64_t limit = memory_limit_bytes();
	const char *format =
		json ? ", \"running\": {\"cpus\": %u, \"cpus_in_use\": %u, \"memory_kib\": %llu, \"memory_limit_kib\": "
		       "%llu, \"memory_used_kib\": %llu, \"slice_us\": %llu}"
		     : "running: %u CPUs, %u in use; %llu KiB, limit %llu KiB (0: none), %llu KiB used; slice %llu "
		       "us\n";
	monitor_printf(session, format, kernel->cpu_count, cpus_in_use(),
		       (unsigned long long)(kernel->ram_size_bytes / KIB(1)), (unsigned long long)(limit / KIB(1)),
		       (unsigned long long)atomic_load_u32_relaxed(&account_root()->used_frames) * FRAME_SIZE / KIB(1),
		       (unsigned long long)(sched_slice_ns() / 1000));
}

static void show_components(struct monitor_session *session, const struct persona *persona, bool json)
{
	monitor_printf(session, "%s", json ? ", \"components\": [" : "components:");
	for (uint32_t i = 0; i < persona->component_count; i++)
		monitor_printf(session, json ? "%s\"%s\"" : "%s%s",
			       !json    ? " "
			       : i == 0 ? ""
					: ", ",
			       persona->components[i]->name);
	monitor_printf(session, "%s", json ? "]" : "\n");
}

static int32_t persona_show(struct monitor_session *session, const char *name, bool json)
{
	const struct persona *persona = name != NULL ? persona_find(name) : kernel_self()->persona;
	if (persona == NULL) {
		monitor_printf(session,
			       "persona: there is no '%s' in this kernel; 'persona list' names those that are\n", name);
		return 1;
	}
	const char *format =
		json ? "{\"name\": \"%s\", \"summary\": \"%s\", \"memory_kib\": %llu, \"cpus\": %u, \"nodes\": %u, "
		       "\"frame_bytes\": %u, \"slice_us\": %llu, \"log_bytes\": %u, \"trace_events\": %u, \"devices\": "
		       "\"%s\""
		     : "%s: %s\n%llu KiB, %u CPUs, %u nodes, frames of %u bytes, slice %llu us, log of %u bytes, %u "
		       "trace events a CPU\ndevices: %s\n";
	monitor_printf(session, format, persona->name, persona->summary,
		       (unsigned long long)(persona->memory_bytes / KIB(1)), persona->cpu_count, persona->node_count,
		       persona->frame_size_bytes, (unsigned long long)(persona->slice_ns / 1000),
		       persona->log_size_bytes, persona->trace_events, persona->devices);
	show_components(session, persona, json);
	if (persona == kernel_self()->persona)
		show_running(session, json);
	monitor_printf(session, "%s", json ? "}\n" : "");
	return 0;
}

// "4ms", "256M": digits and one of the units.
static bool quantity(const char *text, const char *const *units, const uint64_t *factors, uint64_t *out)
{
	size_t digits = 0;
	char number[24];
	while (text[digits] >= '0' && text[digits] <= '9')
		digits++;
	if (digits == 0 || digits >= sizeof number)
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (uint32_t i = 0; units[i] != NULL; i++)
		if (str_equal(text + digits, units[i]))
			return str_to_u64(number, 10, out) == 0 && *out > 0 &&
			       !__builtin_mul_overflow(*out, factors[i], out);
	return false;
}

static bool morph_word(const char *word, struct morph *morph)
{
	static const char *const times[] = {"us", "ms", "s", NULL}, *const sizes[] = {"K", "M", "G", NULL};
	static const char *const plain[] = {"", NULL};
	static const uint64_t ns[] = {1000, 1000000, 1000000000}, bytes[] = {KIB(1), MIB(1), GIB(1)}, one[] = {1};
	uint64_t number = 0;

	if (str_has_prefix(word, "slice="))
		return quantity(word + 6, times, ns, &morph->slice_ns);
	if (str_has_prefix(word, "cpus=")) {
		bool good = quantity(word + 5, plain, one, &number) && number <= UINT32_MAX;
		morph->cpus = (uint32_t)number;
		return good;
	}
	if (!str_has_prefix(word, "memory="))
		return false;
	if (str_equal(word + 7, "all")) {
		morph->memory_bytes = UINT64_MAX;
		return true;
	}
	return quantity(word + 7, sizes, bytes, &morph->memory_bytes);
}

static int32_t morph_slice(struct monitor_session *session, uint64_t slice_ns)
{
	if (slice_ns == 0 || sched_set_slice_ns(slice_ns) == 0)
		return 0;
	monitor_error(session, "persona: slice=%llu us: from 100 us to 1 s\n", (unsigned long long)(slice_ns / 1000));
	return 1;
}

static int32_t morph_memory(struct monitor_session *session, uint64_t memory_bytes)
{
	struct account *root = account_root();
	bool all = memory_bytes >= kernel_self()->ram_size_bytes;
	uint32_t frames = all ? 0 : MAX((uint32_t)(memory_bytes / FRAME_SIZE), 1u); // 0 would be none

	if (memory_bytes == 0 || (all && memory_bytes == UINT64_MAX && account_set_limit(root, 0) == 0))
		return 0;
	if (all) {
		monitor_error(session, "persona: memory=%llu KiB: there are %llu KiB; memory=all lifts the limit\n",
			      (unsigned long long)(memory_bytes / KIB(1)),
			      (unsigned long long)(kernel_self()->ram_size_bytes / KIB(1)));
		return 1;
	}
	if (account_set_limit(root, frames) == 0)
		return 0;
	monitor_error(session, "persona: memory=%llu KiB: %llu KiB are in use and cannot be taken back\n",
		      (unsigned long long)(memory_bytes / KIB(1)),
		      (unsigned long long)atomic_load_u32_relaxed(&root->used_frames) * FRAME_SIZE / KIB(1));
	return 1;
}

// The highest CPUs go first and come last. What was changed before an error is said and stays.
static int32_t morph_cpus(struct monitor_session *session, uint32_t cpus)
{
	uint32_t count = kernel_self()->cpu_count;
	if (cpus > count) {
		monitor_error(session, "persona: cpus=%u: this instance was booted with %u\n", cpus, count);
		return 1;
	}
	for (uint32_t i = 1; i < count && cpus != 0; i++) {
		uint32_t cpu = i < cpus ? i : count + cpus - 1 - i;
		err_t err = sched_isolate(cpu, cpu >= cpus);
		if (err == 0)
			continue;
		monitor_error(session, "persona: cpus=%u: CPU %u: %s; %u are in use\n", cpus, cpu,
			      err == -EBUSY ? "a thread that is bound to it and others would have none" : err_text(err),
			      cpus_in_use());
		return 1;
	}
	return 0;
}

static int32_t persona_morph(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct morph morph = {0};
	for (uint32_t i = 0; i < argc; i++) {
		if (morph_word(argv[i], &morph))
			continue;
		monitor_error(session, "persona: '%s': one of slice=4ms, cpus=2, memory=256M, memory=all\n", argv[i]);
		return STATUS_USAGE;
	}
	int32_t status = morph_slice(session, morph.slice_ns);
	if (status == 0)
		status = morph_memory(session, morph.memory_bytes);
	if (status == 0)
		status = morph_cpus(session, morph.cpus);
	return status;
}

static int32_t run_persona(struct monitor_session *session, uint32_t argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool json = argc > 2 && str_equal(argv[2], "-j");
	uint32_t words = 2u + json;

	if (str_equal(what, "list") && argc == words)
		return persona_list(session, json);
	if (str_equal(what, "show") && argc <= words + 1)
		return persona_show(session, argc > words ? argv[words] : NULL, json);
	if (str_equal(what, "morph") && argc > 2)
		return persona_morph(session, argc - 2, argv + 2);
	return monitor_usage(session, argv[0]);
}

static const char *complete_persona(uint32_t index, const char *prefix, uint32_t n)
{
	static const char *const words[] = {"list", "show", "morph"}, *const keys[] = {"slice=", "cpus=", "memory="};
	for (uint32_t i = 0; i < 3 && index > 0; i++) {
		const char *word = index == 1 ? words[i] : keys[i];
		if (str_has_prefix(word, prefix) && n-- == 0)
			return word;
	}
	for (uint32_t i = 0; i < persona_count && index == 2; i++)
		if (str_has_prefix(personas[i]->name, prefix) && n-- == 0)
			return personas[i]->name;
	return NULL;
}

const struct monitor_command monitor_cmd_persona = {
	"persona", "list [-j] | show [-j] [NAME] | morph [slice=T] [cpus=N] [memory=SIZE|all]",
	"kinds of machine, the one that runs, and what of it may change while it does", run_persona, complete_persona};
