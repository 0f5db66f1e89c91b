# SPDX-License-Identifier: MIT
#
# The real workload inside the emulator: each trace of the release build, as a boot module, on 1, 2 and 4 CPUs, every block's content
# checked; its digest must be what the hosted simulator prints for the same trace. TAP. Skipped where no release build has made them.
#   mainjob_test.py ARCH IMAGE
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '../..'))
sys.path.insert(0, os.path.join(ROOT, 'tools/front'))
import qemu  # noqa: E402
from points import check, end, skip  # noqa: E402

RELEASE = os.path.join(ROOT, 'build/release-gcc')
STRESS = 'stress --workers 4 --trace '
TIMEOUT_S = 600


def figures(text):
    digest = re.search(r'contents right; digest ([0-9a-f]{16})', text)
    events = re.search(r'(\d+) events in', text)
    return (events.group(1), digest.group(1)) if events and digest else None


def hosted(trace):
    done = subprocess.run([os.path.join(RELEASE, 'tools/tbos-sim/tbos-sim'), '-c', STRESS + trace], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT_S)
    return figures(done.stdout)


def emulated(arch, image, trace, cpus):
    words = qemu.command(arch, image, cpus=cpus, memory='512M', line='quiet c=' + qemu.quote(STRESS + 'initrd'), initrd=trace)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=TIMEOUT_S)
    return figures(done.stdout), done.stdout + done.stderr


def main():
    arch, image = sys.argv[1:3]
    traces = [os.path.join(RELEASE, 'tests/bench', name) for name in ('gcc.tbat', 'compileall.tbat')]
    if not all(map(os.path.exists, traces)):
        return skip('no traces: ./tools/tbos build makes them')
    for trace in traces:
        wanted = hosted(trace)
        for cpus in (1, 2, 4):
            found, text = emulated(arch, image, trace, cpus)
            check(wanted is not None and found == wanted, f'{os.path.basename(trace)} on {cpus} CPUs: {found}, hosted {wanted}', text)
    return end()


sys.exit(main())
