# SPDX-License-Identifier: MIT
#
# persona-ci: every persona with every overlay is built, booted and tested, as a process and on its board; what each step printed stays
# in a folder of its own, named after the time, with a table of results beside it.
import collections
import html
import json
import os
import subprocess
import time

import builds
import packages
import qemu
import suites
from ui import BUILD, ROOT, Failure, Progress, say, show

FULL_OVERLAYS = ['wide_trace', 'small_rings']  # what suits personas with a log and a trace
BOOT_LINES = 'persona show; persona morph slice=5ms memory=32M; stress --workers 2 --rounds 1; drill; check; mem'
TINY_LINES = '1+2*3; ps; mem'
LIMIT_S = 600
Cell = collections.namedtuple('Cell', 'persona overlays target')
Step = collections.namedtuple('Step', 'name good seconds log')


def known(folder):
    return sorted(name[:-5] for name in os.listdir(os.path.join(ROOT, 'config', folder)) if name.endswith('.conf'))


def chosen(folder, names):
    missing = [name for name in names if name not in known(folder)]
    if missing:
        raise Failure(f'there is no {" or ".join(missing)} in config/{folder}', 'there are: ' + ' '.join(known(folder)))
    return names


def is_tiny(persona):
    return builds.persona_frame_shift(persona) < 12


def cells(personas, overlays):
    """The matrix. Without overlays named, each persona comes bare and with each overlay that suits it."""
    rows = []
    for persona in chosen('personas', personas) or known('personas'):
        sets = [[name] for name in chosen('packages', overlays)] if overlays else [[]] + [[name] for name in FULL_OVERLAYS if not is_tiny(persona)]
        for overlay in sets:
            rows.append(Cell(persona, overlay, 'hosted'))
            rows.append(Cell(persona, overlay, 'cortex_m' if persona in qemu.BOARDS else 'x86_64'))
    return rows


def boot_command(cell, folder):
    """How the cell's program is started with commands, None where only its tests do that."""
    tiny = is_tiny(cell.persona)
    if cell.target == 'hosted':
        return [os.path.join(folder, 'tools/tbos-sim/tbos-sim'), '--persona', cell.persona, '-c', TINY_LINES if tiny else BOOT_LINES]
    if tiny:
        return None
    memory, cpus, nodes = qemu.persona_numbers(cell.persona)
    line = f'persona={cell.persona} quiet c=' + qemu.quote(BOOT_LINES)
    return qemu.command(cell.target, qemu.image_of(folder, cell.target, 'tbos'), None, cpus, memory, line, nodes=nodes)


def suite_of(cell):
    if cell.target == 'hosted':
        return 'tiny' if is_tiny(cell.persona) else 'library'
    return 'cortex_m' if is_tiny(cell.persona) else 'qemu'


class Run:
    def __init__(self):
        self.folder = os.path.join(BUILD, 'persona-ci', time.strftime('%Y%m%d-%H%M%S'))
        os.makedirs(self.folder, exist_ok=True)
        self.rows = []

    def step(self, cell, name, function):
        """Runs one step; its text goes into its log. function() gives (good, text)."""
        words = '-'.join([cell.persona, *cell.overlays, cell.target, name])
        start = time.monotonic()
        try:
            good, text = function()
        except (Failure, subprocess.TimeoutExpired, OSError) as error:
            good, text = False, getattr(error, 'what', str(error))
        with open(os.path.join(self.folder, words + '.log'), 'w', encoding='utf-8', errors='replace') as file:
            file.write(text)
        return Step(name, good, round(time.monotonic() - start, 1), words + '.log')

    def cell(self, cell):
        made = builds.Build('release-gcc' if cell.target == 'hosted' else f'bare-{cell.target}', cell.persona, cell.overlays)
        steps = [self.step(cell, 'build', lambda: (bool(made.make()), f'{show(made.folder)} is built\n'))]
        if steps[0].good:
            command = boot_command(cell, made.folder)
            if command:
                steps.append(self.step(cell, 'boot', lambda: boot(cell, command)))
            steps.append(self.step(cell, 'test', lambda: test(made, suite_of(cell))))
        self.rows.append((cell, steps))
        return all(step.good for step in steps)


def boot(cell, command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          timeout=LIMIT_S)
    status = done.returncode if cell.target == 'hosted' else qemu.status_of(cell.target, done.returncode)
    return status == 0, f'$ {" ".join(command)}\n{done.stdout}\nexit status {status}\n'


def test(made, suite):
    count, took = suites.run_row(made, suites.Row(suite, made.name, 'normal', LIMIT_S, {}), 'normal')
    return count.failed == 0 and count.passed > 0, f'{suite}: {count}, {took[0]:.0f} s; log: {show(made.folder)}/meson-logs/log-{suite}.json\n'


def results(run):
    return [{'persona': cell.persona, 'packages': cell.overlays, 'target': cell.target, 'good': all(step.good for step in steps),
             'steps': [step._asdict() for step in steps]} for cell, steps in run.rows]


def write_html(path, rows):
    lines = ['<!DOCTYPE html><meta charset="utf-8"><title>persona-ci</title><style>body{font:14px sans-serif}td,th{padding:4px 10px;text-align:left}'
             '.good{background:#cfc}.bad{background:#fbb}</style><table><tr><th>persona<th>packages<th>target<th>steps']
    for row in rows:
        steps = ' '.join(f'<a class="{"good" if step["good"] else "bad"}" href="{html.escape(step["log"])}">{step["name"]} {step["seconds"]} s</a>'
                         for step in row['steps'])
        lines.append(f'<tr><td>{html.escape(row["persona"])}<td>{html.escape(",".join(row["packages"]))}<td>{row["target"]}<td>{steps}')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '</table>\n')


def persona_ci(personas, overlays, as_json):
    table = cells(personas, overlays)
    packages.setup(packages.ALL)
    run, bar, failed = Run(), Progress('persona-ci'), 0
    for number, cell in enumerate(table):
        name = ' '.join([cell.persona, *cell.overlays, 'on', cell.target])
        bar.step(number, len(table), name)
        good = run.cell(cell)
        failed += not good
        if not as_json:
            say(f'{"ok    " if good else "FAILED"} {name:<40} ' + ', '.join(
                f'{step.name} {step.seconds} s{"" if step.good else f": see {show(os.path.join(run.folder, step.log))}"}' for step in run.rows[-1][1]))
    bar.close()
    rows = results(run)
    with open(os.path.join(run.folder, 'results.json'), 'w', encoding='utf-8') as file:
        json.dump(rows, file, indent=1)
    write_html(os.path.join(run.folder, 'index.html'), rows)
    latest = os.path.join(os.path.dirname(run.folder), 'latest')
    if os.path.lexists(latest):
        os.unlink(latest)
    os.symlink(os.path.basename(run.folder), latest)
    say(json.dumps(rows) if as_json else f'{len(rows) - failed} of {len(rows)} good; logs and index.html in {show(run.folder)}')
    return 1 if failed else 0
