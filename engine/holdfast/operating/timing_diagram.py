"""Drawing message times for a browser: recordings as a page, one of them as an SVG element.

Time runs downwards, one row per moment, with the elapsed time at the left: what matters is what
followed what, and where the waiting was.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from attrs import frozen

from holdfast.timing import Moment

ROW: Final = 26
TIMES: Final = 96
LANES: Final = {"application": 150, "wormhole": 430, "server": 710}
WIDTH: Final = 860

_FROM_TO: Final = {
    "asked": ("application", "wormhole"),
    "told": ("wormhole", "application"),
    "said": ("wormhole", "server"),
    "heard": ("server", "wormhole"),
}

_STYLE: Final = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #1c2733; background: #fff; }
h1 { font-size: 1.3em; } h2 { font-size: 1.05em; margin-top: 2em; }
svg text { font: 12px system-ui, sans-serif; fill: #1c2733; }
svg .time { fill: #5b6b7b; text-anchor: end; }
svg .wait { fill: #b3261e; text-anchor: end; font-weight: 600; }
svg .lane { font-weight: 600; text-anchor: middle; }
svg .line { stroke: #c5ced8; }
svg .asked, svg .told { stroke: #3f7d4f; } svg .said, svg .heard { stroke: #2f5fa5; }
svg .label { text-anchor: middle; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
svg .news { fill: #8a6d1a; text-anchor: middle; paint-order: stroke; stroke: #fff;
  stroke-width: 4px; }
"""


@frozen
class Recording:
    """One side's moments, and what to call them."""

    title: str
    moments: Sequence[Moment]


def draw(recordings: Sequence[Recording]) -> str:
    """Return a self-contained HTML page that shows the recordings one below the other.

    Times are counted from the first moment of all, so that two sides of one wormhole can be
    compared.
    """
    begin = min((each.moments[0].at for each in recordings if each.moments), default=0.0)
    parts = "\n".join(
        f"<h2>{_words(each.title)}</h2>\n{drawn(each.moments, begin)}" for each in recordings
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Wormhole timing</title><style>{_STYLE}</style></head>"
        f"<body><h1>Wormhole timing</h1>\n{parts}\n</body></html>\n"
    )


def drawn(moments: Sequence[Moment], begin: float) -> str:
    """Return moments as an SVG element, which needs the classes of a style sheet.

    Times are counted from `begin`, in seconds since the epoch.
    """
    height = ROW * (len(moments) + 2)
    rows = [_lanes(height)]
    before: float | None = None
    for place, moment in enumerate(moments):
        y = ROW * (place + 2)
        waited = 0.0 if before is None else moment.at - before
        rows.append(_time(moment.at - begin, waited, y))
        rows.append(_moment(moment, y))
        before = moment.at
    inside = "\n".join(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height + ROW}"'
        f' viewBox="0 0 {WIDTH} {height + ROW}" role="img">\n{_MARKERS}\n{inside}\n</svg>'
    )


def _lanes(height: int) -> str:
    return "\n".join(
        f'<text class="lane" x="{x}" y="18">{name}</text>'
        f'<line class="line" x1="{x}" y1="26" x2="{x}" y2="{height}"/>'
        for name, x in LANES.items()
    )


def _time(since_begin: float, since_before: float, y: int) -> str:
    kind = "wait" if since_before >= 1.0 else "time"
    return f'<text class="{kind}" x="{TIMES}" y="{y + 4}">{since_begin * 1000:,.0f} ms</text>'


def _moment(moment: Moment, y: int) -> str:
    words = _words(moment.what if len(moment.what) <= 44 else moment.what[:43] + "…")
    if moment.way not in _FROM_TO:
        return f'<text class="news" x="{LANES["wormhole"]}" y="{y + 4}">{words}</text>'
    start, end = (LANES[lane] for lane in _FROM_TO[moment.way])
    tip = end - 4 if end > start else end + 4
    return (
        f'<line class="{moment.way}" x1="{start}" y1="{y}" x2="{tip}" y2="{y}"'
        f' marker-end="url(#{moment.way})"/>'
        f'<text class="label" x="{(start + end) // 2}" y="{y - 4}">{words}</text>'
    )


def _words(text: str) -> str:
    """Return `text` for XML, which cannot hold every character; a recording may hold anything."""
    return escape("".join(each if each.isprintable() else "?" for each in text))


_COLOURS: Final = {"asked": "#3f7d4f", "told": "#3f7d4f", "said": "#2f5fa5", "heard": "#2f5fa5"}

_MARKERS: Final = "".join(
    f'<marker id="{way}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
    f' orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
    for way, colour in _COLOURS.items()
)
