# SPDX-License-Identifier: MIT
#
# TAP for tests that look at a machine from outside: a point, and what the machine said when it failed.
import sys

points = 0
failed = 0


def check(good, name, text='', lines=30):
    """One point; `text` is shown, its last lines, when it failed."""
    global points, failed
    points += 1
    failed += not good
    print(f'{"ok" if good else "not ok"} {points} {name}')
    if not good:
        print('\n'.join('# ' + line for line in text.splitlines()[-lines:]))
    sys.stdout.flush()


def end():
    """The plan, and the exit status."""
    print(f'1..{points}')
    return 1 if failed or not points else 0


def skip(why):
    print(f'1..0 # SKIP {why}')
    return 0
