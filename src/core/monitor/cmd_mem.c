// SPDX-License-Identifier: MIT
//
// Commands about memory: mem, slab.
#include "commands.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/mem.h"
#include "kern/string.h"

struct output {
	struct monitor_session *session;
	uint32_t rows;
	bool json;
};

static unsigned long long kib(uint32_t frames)
{
	return (unsigned long long)frames * FRAME_SIZE / 1024;
}

static void print_frames(struct monitor_session *session, const char *label, const struct frame_info *info)
{
	monitor_printf(session, "%-8s %9llu %9llu %9llu %9llu %9llu  2^%u\n", label, kib(info->total), kib(info->free),
		       kib(info->cached), kib(info->reserved), kib(info->peak_used), info->largest_order);
}

// Accounts are looked at under a spinlock, and printing may sleep.
struct accounts {
	uint32_t count, room;
	struct account *rows; // copies
};

static void account_keep(const struct account *account, void *arg)
{
	struct accounts *accounts = arg;
	if (accounts->count < accounts->room)
		accounts->rows[accounts->count] = *account;
	accounts->count++;
}

static void print_account(const struct account *account, struct output *out)
{
	if (out->json)
		monitor_printf(out->session,
			       "%s{\"name\": \"%s\", \"used_kib\": %llu, \"peak_kib\": %llu, \"limit_kib\": %llu, "
			       "\"failed\": %u}",
			       out->rows++ == 0 ? "" : ", ", account->name, kib(account->used_frames),
			       kib(account->peak_frames), kib(account->limit_frames), account->failed);
	else
		monitor_printf(out->session, "%-16s %9llu %9llu %9llu %6u\n", account->name, kib(account->used_frames),
			       kib(account->peak_frames), kib(account->limit_frames), account->failed);
}

static void print_accounts(struct output *out)
{
	struct accounts accounts = {0};

	do { // until none has come meanwhile
		kfree(accounts.rows);
		accounts.room = accounts.count + 8;
		accounts.count = 0;
		accounts.rows = kmalloc_array(accounts.room, sizeof *accounts.rows, 0);
		if (accounts.rows == NULL) {
			monitor_error(out->session, "mem: accounts: %s\n", err_text(-ENOMEM));
			return;
		}
		account_each(account_keep, &accounts);
	} while (accounts.count > accounts.room);
	for (uint32_t i = 0; i < accounts.count; i++)
		print_account(&accounts.rows[i], out);
	kfree(accounts.rows);
}

static void mem_json(struct monitor_session *session, const struct frame_info *info)
{
	struct output out = {.session = session, .json = true};
	monitor_printf(session,
		       "{\"total_kib\": %llu, \"free_kib\": %llu, \"cached_kib\": %llu, \"reserved_kib\": %llu, "
		       "\"peak_kib\": %llu, \"largest_order\": %u, \"allocs\": %u, \"frees\": %u, \"failures\": %u, "
		       "\"accounts\": [",
		       kib(info->total), kib(info->free), kib(info->cached), kib(info->reserved), kib(info->peak_used),
		       info->largest_order, info->allocs, info->frees, info->failures);
	print_accounts(&out);
	monitor_printf(session, "]}\n");
}

static void mem_text(struct monitor_session *session, const struct frame_info *info)
{
	struct output out = {.session = session};
	struct frame_info node;

	monitor_printf(session, "KiB          total      free    cached  reserved peak used  largest\n");
	print_frames(session, "all", info);
	for (uint32_t i = 0; i < kernel_self()->persona->node_count; i++) {
		char label[16];
		frame_get_node_info(i, &node);
		ksnprintf(label, sizeof label, "node %u", i);
		print_frames(session, label, &node);
	}
	monitor_printf(session, "free blocks by order:");
	for (uint32_t i = 0; i < FRAME_ORDER_MAX; i++)
		monitor_printf(session, " %u", info->free_by_order[i]);
	monitor_printf(session,
		       "\nallocs %u, frees %u, failures %u\n\naccount           used KiB  peak KiB limit KiB failed\n",
		       info->allocs, info->frees, info->failures);
	print_accounts(&out);
}

static int32_t give_back(struct monitor_session *session)
{
	slab_reap();
	monitor_printf(session, "%llu KiB given back to the host\n", kib(frame_trim()));
	return 0;
}

static int32_t run_mem(struct monitor_session *session, uint32_t argc, char **argv)
{
	bool json = argc == 2 && str_equal(argv[1], "-j");
	struct frame_info info;
	if (argc == 2 && str_equal(argv[1], "-r"))
		return give_back(session);
	if (argc > 2 || (argc == 2 && !json))
		return monitor_usage(session, argv[0]);
	frame_get_info(&info);
	if (json)
		mem_json(session, &info);
	else
		mem_text(session, &info);
	return 0;
}

const struct monitor_command monitor_cmd_mem = {
	"mem", "[-j | -r]", "frames by node and order, accounts; -r give free memory back to the host", run_mem, NULL};

static void print_slab(const struct slab_info *info, void *arg)
{
	struct output *out = arg;
	if (out->json)
		monitor_printf(
			out->session,
			"%s{\"name\": \"%s\", \"size\": %u, \"align\": %u, \"live\": %u, \"total\": %u, \"slabs\": %u, "
			"\"kib\": %llu, \"rounds\": %u}",
			out->rows++ == 0 ? "" : ",\n ", info->name, info->object_size_bytes, info->align,
			info->objects_live, info->objects_total, info->slabs, kib(info->frames), info->magazine_rounds);
	else
		monitor_printf(out->session, "%-20s %6u %5u %9u %9u %6u %8llu %6u\n", info->name,
			       info->object_size_bytes, info->align, info->objects_live, info->objects_total,
			       info->slabs, kib(info->frames), info->magazine_rounds);
}

static int32_t print_leaks(struct monitor_session *session)
{
	struct slab_leak leaks[32];
	uint32_t sites = slab_leaks(leaks, array_count(leaks));
	if (!CONFIG_MEMDEBUG)
		monitor_printf(session, "slab: this build keeps no allocation sites (memdebug is off)\n");
	for (uint32_t i = 0; i < sites && i < array_count(leaks); i++)
		monitor_printf(session, "%-20s %8u objects %10u bytes  kernel+%#lx\n", leaks[i].cache, leaks[i].objects,
			       leaks[i].bytes, (unsigned long)leaks[i].where);
	return !CONFIG_MEMDEBUG;
}

static int32_t run_slab(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct output out = {.session = session, .json = argc == 2 && str_equal(argv[1], "-j")};
	if (argc == 2 && str_equal(argv[1], "-s"))
		return print_leaks(session);
	if (argc == 2 && str_equal(argv[1], "-r")) {
		slab_reap();
		return 0;
	}
	if (argc > 2 || (argc == 2 && !out.json))
		return monitor_usage(session, argv[0]);
	monitor_printf(session, "%s",
		       out.json ? "["
				: "cache                  size align      live     total  slabs      KiB rounds\n");
	slab_each(print_slab, &out);
	monitor_printf(session, "%s", out.json ? "]\n" : "");
	return 0;
}

const struct monitor_command monitor_cmd_slab = {
	"slab", "[-j | -s | -r]", "object caches; -s live objects by allocation site, -r give empty slabs back",
	run_slab, NULL};
