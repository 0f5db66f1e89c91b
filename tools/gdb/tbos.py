# SPDX-License-Identifier: MIT
#
# The one file that gdb loads (`source tools/gdb/tbos.py`): the prefix `tbos` and, from viewers/, one module per subsystem. Every
# command reads memory only, so that a live process and a core file serve alike. docs/DEBUGGING.md tells how to use them.
import importlib
import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(os.path.expanduser(__file__))), 'viewers')
MODULES = ('reach', 'base', 'host', 'sched', 'unwind', 'sync', 'frames', 'slab')

sys.dont_write_bytecode = True
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)
for name in MODULES:
    # A second `source` takes what has been edited meanwhile.
    if name in sys.modules:
        importlib.reload(sys.modules[name])
    else:
        importlib.import_module(name)
