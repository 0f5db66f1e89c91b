# SPDX-License-Identifier: MIT
#
# Boots an image on every machine that its architecture has here, and looks at it from outside: exit status, the digest of the same
# workload hosted, the reports of faults made on purpose, policies, bad command lines. TAP.
#   boot_test.py ARCH IMAGE UNIT_IMAGE
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools/front'))
import qemu  # noqa: E402
from points import check, end  # noqa: E402

DIGEST = 'c04a9f8318338abd'  # of `stress --workers 4`, hosted under any engine
TIMEOUT_S = 60
TIMED = 'quiet c="cpus; sleep 200; stress --workers 4 --rounds 1"'
FAULTS = {
    'null': 'null pointer',
    'write_text': 'write to what is read-only',
    'write_constant': 'write to what is read-only',
    'execute_data': 'execution of data',
    'stack_overflow': 'kernel stack overflow',
    'undefined': 'undefined instruction',
    'bad_stack': 'fault: ',
}
MORE_FAULTS = {'x86_64': {'divide': 'divide error', 'bad_stack': 'double fault'}}


def boot(arch, image, line, machine=None, cpus=2, memory='128M', nodes=1, initrd=None, more=()):
    words = qemu.command(arch, image, machine, cpus, memory, line, initrd, nodes=nodes, more=more)
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b'').decode(errors='replace') + '\n(no end)'
    text = (done.stdout + done.stderr).decode(errors='replace').replace('\r', '')
    return qemu.status_of(arch, done.returncode), text


def machines(arch, image):
    for machine in qemu.MACHINES[arch]:
        cpus = 4 if machine == 'raspi3b' else 2
        status, text = boot(arch, image, 'quiet c="cpus; stress --workers 4 --rounds 1"', machine, cpus)
        check(status == 0 and DIGEST in text and text.count(' on ') >= cpus, f'{machine}: {cpus} CPUs, the hosted digest', text)
    status, text = boot(arch, image, 'quiet c="nonsense"')
    check(status == 127 or (status or 0) > 0, 'the exit status is the last command\'s', text)
    status, text = boot(arch, image, 'quiet persona=super_1g c="mem; cpus"', None, 6, '1G', 2)
    check(status == 0 and 'node 1' in text and text.count(' on ') >= 6, 'super_1g: six CPUs, two nodes', text)


def faults(arch, image):
    for name, words in {**FAULTS, **MORE_FAULTS.get(arch, {})}.items():
        status, text = boot(arch, image, f'quiet test=fault:{name}', cpus=1 if name == 'null' else 2)
        good = status == 125 and words in text and 'backtrace:' in text
        if name not in ('bad_stack', 'stack_overflow', 'execute_data'):
            good = good and 'fault_' in text  # the function's own name
        check(good, f'fault {name}: {words}', text)


def lines(arch, image):
    status, text = boot(arch, image, 'quiet c="ps" cpus=999999999999 mem=lots seed="unterminated')
    check(status == 0 and 'command line, byte' in text and 'monitor' in text, 'a bad command line is told with its place', text)
    status, text = boot(arch, image, 'quiet persona=nobody')
    check(status == 125, 'a persona that does not exist ends the boot', text)
    status, text = boot(arch, image, 'quiet mem=64M cpus=1 c="mem"')
    check(status == 0 and 'all' in text, 'mem= and cpus= take away', text)


def timers(image):
    """Each timer that a PC has wakes a sleeper; the machine's one serves one CPU; without APICs the two 8259s bring it."""
    for machine in ('q35', 'pc'):
        for name in ('local', 'hpet', 'pit'):
            status, text = boot('x86_64', image, f'{TIMED} timer={name}', machine)
            cpus = 2 if name == 'local' else 1
            check(status == 0 and 'no such timer' not in text and DIGEST in text and f' on {cpus} CPUs' in text, f'{machine}, timer={name}', text)
    status, text = boot('x86_64', image, f'{TIMED} timer=hpet', 'microvm')
    check(status == 0 and 'no such timer' in text and DIGEST in text, 'microvm has no HPET, says so, and goes on', text)
    for name in ('best', 'pit'):
        status, text = boot('x86_64', image, f'{TIMED} timer={name}', 'pc', 1, more=['-cpu', 'qemu64,-apic'])
        check(status == 0 and DIGEST in text, f'pc without an APIC, timer={name}', text)


def main():
    arch, image, unit = sys.argv[1:4]
    machines(arch, image)
    if arch == 'x86_64':
        timers(image)
    faults(arch, unit)
    lines(arch, image)
    return end()


sys.exit(main())
