# SPDX-License-Identifier: MIT
#
# One workload, one CPU, a stepped clock: the events of the monitor's drill must be the same in the simulator and on the machine, told by
# their hash. When they are not, the first event that differs is shown. TAP. Skipped where there is no simulator to compare with.
#   eventhash_test.py ARCH IMAGE            an image in the emulator; "hosted" and a tbos-sim: another build of the simulator
#   eventhash_test.py cortex_m IMAGE PERSONA  a small machine's drill, compared with that of the persona as a process
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '../..'))
sys.path.insert(0, os.path.join(ROOT, 'tools/front'))
import qemu  # noqa: E402
from points import check, end, skip  # noqa: E402

BUILDS = ['release-gcc', 'debug-gcc', 'asan-gcc', 'release-clang']
TIMEOUT_S = 60
SMALL_BUILDS = ['release-gcc', 'asan-gcc', 'debug-gcc']
SMALL_DRILLS = ['1:20', '2:20', '1:100', '1:20', '3:1000']
BOARD = 'lm3s6965evb'
DRILLS = ['drill', 'drill --seed 2', 'drill --rounds 100', 'drill', 'trace hash sleep 3']


def output(words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=TIMEOUT_S)
        return done.stdout.replace('\r', '') + done.stderr
    except subprocess.TimeoutExpired as late:
        return f'{late.stdout or b""!r}\nno end within {TIMEOUT_S} s'


def simulated(simulator, persona, line):
    return output([simulator, '--engine', 'sim', '--clock', 'stepped', '--persona', persona, '-c', line])


def emulated(arch, image, persona, line):
    if arch == 'hosted':
        return simulated(image, persona, line)
    memory = '1G' if persona == 'super_1g' else '512M'
    return output(qemu.command(arch, image, memory=memory, line=f'quiet clock=stepped persona={persona} c={qemu.quote(line)}'))


def hashes(text):
    return re.findall(r'event hash ([0-9a-f]{16} over \d+) events', text)


def first_difference(one, other):
    lists = [[line.split(': ', 1)[1] for line in text.splitlines() if re.match(r'event \d+: ', line)] for text in (one, other)]
    for number, (left, right) in enumerate(zip(*lists)):
        if left != right:
            return f'event {number}: simulated {left}, here {right}'
    return f'{len(lists[0])} events simulated, {len(lists[1])} here'


def cases(arch, image, simulator):
    for persona in ('desktop_512m', 'super_1g'):
        line = '; '.join(DRILLS)
        wanted, text = hashes(simulated(simulator, persona, line)), emulated(arch, image, persona, line)
        found = hashes(text)
        if found != wanted or len(found) != len(DRILLS):
            text += first_difference(simulated(simulator, persona, 'drill --print'), emulated(arch, image, persona, 'drill --print'))
        yield f'{persona}: the hashes of the simulator', len(found) == len(DRILLS) and found == wanted, text
        yield f'{persona}: again the same, with another seed another', len(found) > 3 and found[0] == found[3] != found[1], text


def small_emulated(image, line):
    return output(qemu.board_command(BOARD, image, line, more=['-icount', 'shift=4']))


def small_cases(image, persona, program):
    line = '+'.join(SMALL_DRILLS)
    wanted, text = hashes(output([program, line])), small_emulated(image, line)
    found = hashes(text)
    if found != wanted or len(found) != len(SMALL_DRILLS):
        text += first_difference(output([program, '1:20!']), small_emulated(image, '1:20!'))
    yield f'{persona}: the hashes of the simulator', len(found) == len(SMALL_DRILLS) and found == wanted, text
    yield f'{persona}: again the same, with another seed another', len(found) > 3 and found[0] == found[3] != found[1], text


def small_main(image, persona):
    programs = [os.path.join(ROOT, f'build/{name}-{persona}/tests/test-drill') for name in SMALL_BUILDS]
    programs = [path for path in programs if os.path.exists(path)]
    if not programs:
        return skip(f'no simulator to compare with: ./tools/tbos build --persona {persona} makes one')
    for name, good, text in small_cases(image, persona, programs[0]):
        check(good, f'cortex_m: {name}', text)
    return end()


def main():
    arch, image = sys.argv[1:3]
    if arch == 'cortex_m':
        return small_main(image, sys.argv[3])
    simulators = [os.path.join(ROOT, 'build', name, 'tools/tbos-sim/tbos-sim') for name in BUILDS]
    simulators = [path for path in simulators if os.path.exists(path) and not os.path.samefile(path, image)]
    if not simulators:
        return skip('no other simulator to compare with: ./tools/tbos build makes one')
    for name, good, text in cases(arch, image, simulators[0]):
        check(good, f'{arch}: {name}', text)
    return end()


sys.exit(main())
