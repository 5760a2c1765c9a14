"""Lines over one axis, as SVG: nothing that the pictures need is more than this."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from attrs import frozen

from tests.bench.measuring import Plot, number

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50
COLOURS = ("#b3541e", "#1f6f8b", "#4b7f3a", "#7d3c98", "#8a6d00", "#444444")
STYLE = """
text { font-family: sans-serif; font-size: 12px; fill: #1d2733 }
.title { font-size: 14px; font-weight: bold }
.grid { stroke: #d5dde5 }
.paper { fill: #ffffff }
"""


@frozen
class Axis:
    """Where values lie between two places."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Sequence[float]:
        """Round values."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        if (self.high - self.low) / step < 4:
            step /= 2
        count = math.floor((self.high - self.low) / step + 1e-9)
        return [self.low + step * place for place in range(count + 1)]


def draw(plot: Plot) -> str:
    """The picture."""
    points = [point for line in plot.series.values() for point in line]
    across = Axis(0, max(x for x, _ in points) or 1, LEFT, WIDTH - RIGHT)
    highest = max(y for _, y in points) or 1
    if plot.log_y:
        low = 10.0 ** math.floor(math.log10(min(y for _, y in points if y > 0)))
        high = 10.0 ** math.ceil(math.log10(highest))
        up = Axis(low, max(high, low * 10), HEIGHT - BOTTOM, TOP, log=True)
    else:
        up = Axis(0, highest * 1.05, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{escape(plot.title)}</text>',
    ]
    for value in up.ticks():
        y = up.place(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y + 4, number(value), "end"))
    for value in across.ticks():
        x = across.place(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP} V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 16, number(value), "middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 12, plot.x, "middle"))
    turned = f'transform="rotate(-90 16 {HEIGHT / 2})"'
    parts.append(_text(16, HEIGHT / 2, plot.y, "middle", turned))
    for place, (name, line) in enumerate(plot.series.items()):
        colour = COLOURS[place % len(COLOURS)]
        shown = [(across.place(x), up.place(y)) for x, y in sorted(line) if y > 0 or not plot.log_y]
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in shown)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in shown]
        y = TOP + 16 + 20 * place
        key = f"M{WIDTH - RIGHT + 12} {y - 4} h18"
        parts.append(f'<path d="{key}" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(WIDTH - RIGHT + 36, y, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
