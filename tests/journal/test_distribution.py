"""The name under which Holdfast is installed, which error lines tell people."""

from pathlib import Path

import pytest

from holdfast_journal import install


def _installed(folder: Path, name: str, target: str = "holdfast.cli.main:main") -> None:
    """Make what an installation under this name leaves in `folder`."""
    info = folder / f"{name.replace('-', '_')}-9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n")
    (info / "entry_points.txt").write_text(f"[console_scripts]\nholdfast = {target}\n")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "holdfast-wormhole"),
        ([("a-fork", "holdfast.cli.main:main")], "a-fork"),
        ([("holdfast", "holdfast.cli.main:main")], "holdfast-wormhole"),
        ([("holdfast", "holdfast.cli:run")], "holdfast-wormhole"),
        ([("another", "holdfast.commands:main")], "holdfast-wormhole"),
    ],
)
def test_what_people_are_told_to_install(
    there: list[tuple[str, str]], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what is installed; never another project's package, nor that under our old name."""
    for name, target in there:
        _installed(tmp_path, name, target)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert install("tor") == f"pip install '{said}[tor]'"
