"""What was measured, kept in `docs/bench/results.json`, and the table that is made of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from attrs import asdict

from tests.bench.measuring import Outcome, Row, Sample
from tests.bench.plots import draw

FOLDER = Path(__file__).parents[2] / "docs" / "bench"
HEAD = ("what", "peer", "Holdfast", "ratio", "goal", "ratio asked", "")


def keep(name: str, outcome: Outcome, folder: Path = FOLDER) -> None:
    """Write down what one benchmark found, with its pictures; the others' stays."""
    folder.mkdir(exist_ok=True)
    results = _read(folder)
    results[name] = {
        "measured": f"{date.today():%Y-%m-%d}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}",
        "rows": [asdict(row) for row in outcome.rows],
        "notes": list(outcome.notes),
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for plot in outcome.plots:
        (folder / f"{plot.name}.svg").write_text(draw(plot))


def write(order: Sequence[str], folder: Path = FOLDER) -> None:
    """Write the table of all that was ever kept, in this order."""
    results = _read(folder)
    names = [name for name in order if name in results]
    rows = [_row(row) for name in names for row in results[name]["rows"]]
    lines = [_line(HEAD), _line(["---"] * len(HEAD)), *(_line(cells(row)) for row in rows)]
    notes = [f"- {note}" for name in names for note in results[name]["notes"]]
    when = sorted({results[name]["measured"] for name in names})
    text = "\n".join([*lines, "", *notes, "", f"Measured: {'; '.join(when)}.", ""])
    (folder / "table.md").write_text(text)


def cells(row: Row) -> Sequence[str]:
    """What stands in the row."""
    return (row.what, str(row.peer), str(row.ours), row.ratio, row.goal, row.asked, row.met)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _row(kept: Mapping[str, Any]) -> Row:
    peer = kept["peer"]
    return Row(
        **{
            **kept,
            "peer": peer if isinstance(peer, str) else Sample(**peer),
            "ours": Sample(**kept["ours"]),
        }
    )


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
