# SPDX-License-Identifier: MIT
#
# Draws the ratios TBOS : peer as horizontal bars on a logarithmic scale, one pair of bars (pinned, unpinned) per row, as an
# SVG that needs no fonts or scripts of its own. Left of the line at 1 TBOS is faster; red bars missed their aim.
import math
from xml.sax.saxutils import escape

WIDTH, LABEL, RIGHT, LINE, BAR, TOP = 980, 300, 210, 34, 11, 64
COLOURS = {True: '#2e7d4f', False: '#c0392b', None: '#4a6fa5'}
PALE = {'pinned': 1.0, 'unpinned': 0.55}


def scale(result):
    """(log2 of the left end, of the right end), with 1 inside."""
    ratios = [entry[mode]['ratio'] for entry in result for mode in PALE if mode in entry and entry[mode]['ratio']]
    low = min([math.log2(ratio) for ratio in ratios] + [-1])
    high = max([math.log2(ratio) for ratio in ratios] + [1])
    return math.floor(low), math.ceil(high)


def text(x, y, words, anchor='start', size=12, colour='#222', weight='normal'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{colour}">{escape(words)}</text>')


def grid(low, high, place, bottom):
    step = max(1, math.ceil((high - low) / 10))
    for power in range(low, high + 1, step):
        x = place(power)
        ratio = 2.0 ** power
        yield f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
        yield text(x, TOP - 14, f'{ratio:g}' if ratio >= 1 else f'1/{2 ** -power:g}', 'middle', 11, '#666')


def bars(entry, y, place):
    one = place(0)
    for index, mode in enumerate(PALE):
        part = entry.get(mode)
        if part is None or not part['ratio']:
            continue
        x = place(math.log2(part['ratio']))
        at = y + 4 + index * (BAR + 2)
        yield (f'<rect x="{min(x, one):.1f}" y="{at}" width="{max(abs(x - one), 1):.1f}" height="{BAR}" fill="{COLOURS[part["hit"]]}" '
               f'fill-opacity="{PALE[mode]}"><title>{mode}: {part["ratio"]:.3g}</title></rect>')
        side = 4 if x >= one else -4
        yield text(x + side, at + BAR - 1.5, f'{part["ratio"]:.2f}', 'start' if side > 0 else 'end', 10, '#444')


def row(entry, y, place):
    first = entry.get('pinned') or entry['unpinned']
    yield text(LABEL - 10, y + 20, entry['title'], 'end')
    yield from bars(entry, y, place)
    words = f'vs {first["against"]}' if first['against'] else 'no peer'
    value = first['tbos'].get('value')
    if value is not None:
        words += f' · {value:,.0f} {entry["unit"]}' if value >= 100 else f' · {value:.3g} {entry["unit"]}'
    yield text(WIDTH - RIGHT + 30, y + 20, words, 'start', 11, '#555')


def draw(result, machine):
    shown = [entry for entry in result if any(entry.get(mode, {}).get('ratio') for mode in PALE)]
    low, high = scale(shown)
    bottom = TOP + len(shown) * LINE

    def place(power):
        return LABEL + (power - low) / (high - low) * (WIDTH - LABEL - RIGHT)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 40}" font-family="sans-serif">',
             '<rect width="100%" height="100%" fill="white"/>',
             text(16, 24, 'Time that TBOS takes, as a multiple of its peer’s (log scale; left of 1 is faster)', size=15, weight='bold')]
    parts += grid(low, high, place, bottom)
    for index, entry in enumerate(shown):
        parts += row(entry, TOP + index * LINE, place)
    parts.append(f'<line x1="{place(0):.1f}" y1="{TOP - 8}" x2="{place(0):.1f}" y2="{bottom}" stroke="#222" stroke-width="1.5"/>')
    parts.append(text(16, bottom + 24, f'{machine["cpu"]}, {machine["cpus"]} CPUs, Linux {machine["kernel"]}. Full bars: pinned to a CPU; '
                      'pale: not. Green hit its aim, red missed it, blue has none.', size=11, colour='#555'))
    parts.append('</svg>')
    return '\n'.join(parts) + '\n'
