# SPDX-License-Identifier: MIT
#
# What only RISC-V has: firmware that offers less, harts that are not numbered from 0, an image that lies elsewhere, device trees
# without what is usually there. TAP.
#   riscv64_test.py IMAGE.bin UNIT_IMAGE.bin
import os
import re
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../tools/front'))
import qemu  # noqa: E402
from points import check, end  # noqa: E402

TIMEOUT_S = 120
STUB_AT, ELSEWHERE = 0x80200000, 0x84600000


def boot(image, line, cpus=2, more=(), typed=None, timeout_s=TIMEOUT_S):
    words = qemu.command('riscv64', image, None, cpus, '128M', line, more=more)
    try:
        done = subprocess.run(words, input=typed or b'', capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b'').decode(errors='replace') + '\n(no end)'
    return done.returncode, (done.stdout + done.stderr).decode(errors='replace').replace('\r', '')


def tree(folder, name, cpus, change):
    """The machine's own device tree, with a change of its source."""
    blob, source = os.path.join(folder, name + '.dtb'), os.path.join(folder, name + '.dts')
    subprocess.run(['qemu-system-riscv64', '-M', f'virt,dumpdtb={blob}', '-m', '128M', '-smp', str(cpus), '-display', 'none'], check=True,
                   capture_output=True)
    subprocess.run(['dtc', '-q', '-I', 'dtb', '-O', 'dts', '-o', source, blob], check=True)
    with open(source, encoding='utf-8') as file:
        text = file.read()
    changed = change(text)
    assert changed != text, 'the emulator describes its machine otherwise by now'
    with open(source, 'w', encoding='utf-8') as file:
        file.write(changed)
    subprocess.run(['dtc', '-q', '-I', 'dts', '-O', 'dtb', '-o', blob, source], check=True)
    return blob


def stub(folder, a1):
    """What the firmware starts instead of a kernel: goes to ELSEWHERE, with another a1 when asked to."""
    path = os.path.join(folder, 'stub.bin')
    words = [0x00000297, 0x0182b283]  # auipc t0, 0; ld t0, 24(t0)
    words += [0x00000593 | a1 << 20 if a1 is not None else 0x00000013]  # li a1, or nothing
    words += [0x00028067, 0, 0]  # jr t0
    with open(path, 'wb') as file:
        file.write(struct.pack('<6IQ', *words, ELSEWHERE))
    return path


def firmware(image):
    status, text = boot(image, 'quiet c="sleep 20ms; cpus"', more=['-cpu', 'rv64,sstc=false'])
    check(status == 0 and text.count(' on ') == 2, "without stimecmp the firmware's timer serves", text)
    status, text = boot(image, 'quiet c="cpus"', 8)
    check(status == 0 and text.count(' on ') == 8, 'eight harts', text)


def trees(folder, image):
    changed = tree(folder, 'first', 4, lambda text: re.sub(r'(\n\t\tcpu@0 \{.*?status = )"okay"', r'\1"disabled"', text, count=1,
                                                         flags=re.S))
    status, text = boot(image, 'quiet c="cpus"', 4, ['-dtb', changed])
    check(status == 0 and text.count(' on ') == 3, 'harts 1 to 3, and no hart 0', text)


def places(folder, image):
    loader = ['-device', f'loader,file={image},addr={ELSEWHERE:#x},force-raw=on']
    status, text = boot(stub(folder, None), 'quiet c="cpus"', 2, loader)
    check(status == 0 and text.count(' on ') == 2, f'the image lies at {ELSEWHERE:#x}', text)
    status, text = boot(stub(folder, 0), 'quiet c="cpus"', 1, loader, timeout_s=5)  # it halts: there is no exit device
    check('no device tree that can be read' in text, 'without a device tree the boot ends with a word', text)


def ends(image, unit):
    status, text = boot(image, 'quiet c="nonsense"', 1)
    check(status == 127, 'the test device gives the exit status', text)
    status, text = boot(unit, 'quiet panic=reboot test=fault:null', 1)
    check(status == 0 and 'backtrace:' in text and 'halted' not in text, 'the firmware resets the machine', text)


def console(image):
    status, text = boot(image, 'quiet', 2, typed=b'\n\n\ncpus\npoweroff\n')
    check(status == 0 and 'tbos>' in text, 'what is typed before the prompt is read', text)


def main():
    image, unit = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix='tbos-riscv64-') as folder:
        firmware(image)
        trees(folder, image)
        places(folder, image)
        ends(image, unit)
        console(image)
        status, text = boot(unit, 'quiet test=fault:bad_stack', 1)
        check("the stack pointer was no stack's" in text and 'fault_bad_stack' in text, 'a stack pointer that is none is told', text)
    return end()


sys.exit(main())
