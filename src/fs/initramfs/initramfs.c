// SPDX-License-Identifier: MIT
//
// The component, which fills the root filesystem at boot where the machine was told to, and the command `unpack`. An archive that
// cannot be unpacked whole is a boot that fails: half a tree is not what anybody asked for.
#include "initramfs_impl.h"

#include "kern/component.h"
#include "kern/fmt.h"
#include "kern/log.h"
#include "kern/monitor.h"

#define MESSAGE_SIZE 256u

static err_t unpack_module(const char *name, const char *directory, struct tree_figures *figures,
			   char message[MESSAGE_SIZE])
{
	struct module_source source;
	struct module module;
	struct trouble trouble = {.reason = "out of memory"};

	message[0] = '\0';
	err_t err = module_open(name, &module);
	if (err != 0) {
		(void)ksnprintf(message, MESSAGE_SIZE, "%s", err_text(err));
		return err;
	}
	module_source_init(&source, &module);
	err = tree_unpack(&source.source, directory, figures, &trouble);
	module_close(&module);
	if (err != 0)
		(void)ksnprintf(message, MESSAGE_SIZE, "at byte %llu, %llu unpacked: %s",
				(unsigned long long)trouble.file_at, (unsigned long long)trouble.stream_at,
				trouble.reason);
	return err;
}

static err_t initramfs_init(struct kernel *kernel, const struct hal_boot_info *info)
{
	struct tree_figures figures;
	char message[MESSAGE_SIZE];

	(void)kernel;
	(void)info;
	if (!module_has_initramfs())
		return 0;
	err_t err = unpack_module(MODULE_INITRAMFS, "/", &figures, message);
	if (err != 0)
		log_err("initramfs: %s", message);
	else
		log_info("initramfs: %llu entries, %llu bytes", (unsigned long long)figures.files,
			 (unsigned long long)figures.bytes);
	return err;
}

static int32_t run_unpack(struct monitor_session *session, uint32_t argc, char **argv)
{
	struct tree_figures figures;
	char message[MESSAGE_SIZE];

	if (argc < 2 || argc > 3)
		return monitor_usage(session, argv[0]);
	err_t err = unpack_module(argv[1], argc > 2 ? argv[2] : ".", &figures, message);
	if (err != 0) {
		monitor_error(session, "unpack: %s: %s\n", argv[1], message);
		return 1;
	}
	monitor_printf(session, "%llu entries, %llu bytes\n", (unsigned long long)figures.files,
		       (unsigned long long)figures.bytes);
	return 0;
}

static const struct monitor_command cmd_unpack = {"unpack", "MODULE [DIRECTORY]",
						  "make the files of a cpio archive: newc, plain, LZ4 or Zstandard",
						  run_unpack, NULL};
static const struct monitor_command *const commands[] = {&cmd_unpack, NULL};

const struct component component_initramfs = {
	.name = "initramfs", .stage = STAGE_SERVICES, .init = initramfs_init, .commands = commands};
