"""Draw every machine from the code: `python docs/draw_machines.py` writes the pictures.

States stand in a row, in the order in which the code declares them, so that the picture of a
machine changes only when the machine does.  An arrow to the next state is straight, any other is an
arc: above, or below if nothing leads on from where it ends.  Inputs that change nothing about the
state are written under its name.
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from pathlib import Path
from typing import Any

from holdfast.core.parts import PARTS
from holdfast.dilation import greeting
from holdfast.dilation.generations import MANAGER
from holdfast.transit import handshake

FOLDER = Path(__file__).parent / "machines"

WIDTH, GAP, MARGIN, LINE = 132, 104, 24, 15
STYLE = """
text { font-family: sans-serif; font-size: 12px; fill: #1d2733; text-anchor: middle }
.name { font-size: 14px; font-weight: bold }
.loop { fill: #5b6b7d; font-size: 11px }
.box { fill: #eef3f8; stroke: #49627c; stroke-width: 1.5 }
.last { stroke-width: 3 }
.arrow { fill: none; stroke: #49627c; stroke-width: 1.3; marker-end: url(#tip) }
.under { fill: #ffffff; opacity: 0.9 }
"""
TIP = """<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"
 markerHeight="7" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="#49627c"/></marker></defs>"""

Arrow = tuple[str, str]

MACHINES: dict[str, tuple[Any, list[str]]] = {
    **{name: (part._make, list(part.states)) for name, part in PARTS.items()},
    **{
        f"transit_{role}": (make, [state.name for state in handshake.STATES[role]])
        for role, make in handshake.MACHINES.items()
    },
    "dilation": (MANAGER._make, list(MANAGER.states)),
    **{
        f"dilation_{role}": (make, [state.name for state in greeting.STATES[role]])
        for role, make in greeting.MACHINES.items()
    },
}
"""How each machine is made, and its states in their order."""


def transitions(machine: str) -> dict[Arrow, list[str]]:
    """The inputs that lead from one state to another, or to itself."""
    make, _ = MACHINES[machine]
    # Automat shows its table to its own visualizer only.
    table = make.__automat_automaton__.allTransitions()
    found: dict[Arrow, list[str]] = defaultdict(list)
    for start, name, end, _ in table:
        if name != "where":
            found[start.name, end.name].append(name)
    return {arrow: sorted(found[arrow]) for arrow in sorted(found)}


class Drawing:
    """The picture of one machine."""

    def __init__(self, machine: str) -> None:
        self.machine = machine
        self.arrows = transitions(machine)
        self.states = MACHINES[machine][1]
        self.place = {state: number for number, state in enumerate(self.states)}
        self.loops = {state: self.arrows.pop((state, state), []) for state in self.states}
        self.leads_on = {start for start, _ in self.arrows}
        self.height = 34 + LINE * max(len(self._loop_lines(state)) for state in self.states)
        arcs = [arrow for arrow in self.arrows if not self._straight(*arrow)]
        above = [self._rise(*arrow) for arrow in arcs if not self._below(*arrow)]
        below = [self._rise(*arrow) for arrow in arcs if self._below(*arrow)]
        self.top = MARGIN + max(above, default=0) * 3 // 4 + 10
        self.bottom = self.top + self.height
        self.whole_height = self.bottom + max(below, default=0) * 3 // 4 + MARGIN + 10
        self.whole_width = 2 * MARGIN + len(self.states) * WIDTH + (len(self.states) - 1) * GAP

    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        width, height = self.whole_width, self.whole_height
        size = f'width="{width}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
            f"<title>The {self.machine.replace('_', ' ')} machine</title>",
            f"<style>{STYLE}</style>",
            TIP,
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]
        longest_first = sorted(self.arrows, key=lambda arrow: (-self._span(*arrow), arrow))
        parts += [self._line(*arrow) for arrow in longest_first]
        parts += [self._label(*arrow) for arrow in longest_first]
        parts += [self._box(state) for state in self.states]
        return "\n".join([*parts, "</svg>", ""])

    def _span(self, start: str, end: str) -> int:
        return abs(self.place[end] - self.place[start])

    def _straight(self, start: str, end: str) -> bool:
        return self.place[end] - self.place[start] == 1

    def _below(self, start: str, end: str) -> bool:
        return end not in self.leads_on

    def _rise(self, start: str, end: str) -> int:
        return 26 + 40 * self._span(start, end)

    def _left(self, state: str) -> int:
        return MARGIN + self.place[state] * (WIDTH + GAP)

    def _ends(self, start: str, end: str) -> tuple[int, int]:
        """Where an arc leaves and arrives: long ones further out, so that arcs nest."""
        shift = 10 * min(self._span(start, end), 5)
        return self._left(start) + WIDTH - 62 + shift // 2, self._left(end) + 62 - shift

    def _line(self, start: str, end: str) -> str:
        if self._straight(start, end):
            x, y = self._left(start) + WIDTH, self.top + self.height // 2
            return f'<path class="arrow" d="M{x} {y} L{self._left(end) - 1} {y}"/>'
        left, right = self._ends(start, end)
        below = self._below(start, end)
        edge = self.bottom if below else self.top
        peak = edge + (1 if below else -1) * self._rise(start, end)
        return (
            f'<path class="arrow" d="M{left} {edge} C{left} {peak} {right} {peak} {right} {edge}"/>'
        )

    def _label(self, start: str, end: str) -> str:
        names = self.arrows[start, end]
        if self._straight(start, end):
            x = self._left(start) + WIDTH + GAP // 2
            y = self.top + self.height // 2 - 7 - LINE * (len(names) - 1)
        else:
            left, right = self._ends(start, end)
            x, rise = (left + right) // 2, self._rise(start, end) * 3 // 4
            below = self._below(start, end)
            y = self.bottom + rise + 4 if below else self.top - rise + 4
            # More lines than one grow towards the states, where no other arc is.
            y -= LINE * (len(names) - 1) if below else 0
        widest = 7 * max(map(len, names)) + 6
        under = (
            f'<rect class="under" x="{x - widest // 2}" y="{y - 12}" width="{widest}" '
            f'height="{LINE * len(names) + 1}"/>'
        )
        return under + "".join(
            f'<text x="{x}" y="{y + LINE * number}">{escape(name)}</text>'
            for number, name in enumerate(names)
        )

    def _loop_lines(self, state: str) -> list[str]:
        names = self.loops[state]
        return [", ".join(names[at : at + 2]) for at in range(0, len(names), 2)]

    def _box(self, state: str) -> str:
        x, middle = self._left(state), self._left(state) + WIDTH // 2
        kind = "box" if state in self.leads_on else "box last"
        size = f'width="{WIDTH}" height="{self.height}"'
        lines = [
            f'<rect class="{kind}" x="{x}" y="{self.top}" {size} rx="9"/>',
            f'<text class="name" x="{middle}" y="{self.top + 22}">{escape(state)}</text>',
        ]
        for number, text in enumerate(self._loop_lines(state), 1):
            y = self.top + 22 + number * LINE
            lines.append(f'<text class="loop" x="{middle}" y="{y}">{escape(text)}</text>')
        return "".join(lines)


def drawings() -> dict[Path, str]:
    """Every picture, by the file in which it belongs."""
    return {FOLDER / f"{machine}.svg": Drawing(machine).svg() for machine in MACHINES}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, picture in drawings().items():
        path.write_text(picture, encoding="utf-8")
