"""What a type checker accepts and what it refuses, in the public API and in the core.

The files in `snippets` are checked and never run.  A line that must be refused says so itself, with
words of mypy's message: `# refused: ...`.  Every other line must be accepted.
"""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SNIPPETS = sorted(Path(__file__).with_name("snippets").glob("[a-z]*.py"))
REFUSED = re.compile(r"  # refused: (?P<words>.+)$")
ERROR = re.compile(r"^(?P<path>[^:]+):(?P<line>\d+): error: (?P<words>.+)$", re.MULTILINE)

PARTS = r"\b(?:code|nameplate|mailbox|key|outbox|inbox|lifecycle)\b"
ASKED = re.compile(
    rf'(?P<part>{PARTS})(?:\.state (?:==|!=) (?P<one>"\w+")|\.is_in\((?P<some>[^)]*)\))'
)
UNCHECKED = re.compile(rf"{PARTS}\.state (?:not )?in [(\[{{]")
NAME = re.compile(r'"(\w+)"')

Places = dict[tuple[Path, int], str]


def comparisons() -> dict[Path, str]:
    """The source files in which states are compared, and their text."""
    found = {path: path.read_text() for path in sorted((ROOT / "engine").rglob("*.py"))}
    return {
        path: text for path, text in found.items() if ASKED.search(text) or UNCHECKED.search(text)
    }


def misspelt(text: str) -> str:
    """The same file with every state misspelt.

    All are asked for with `is_in`: mypy does not look at what follows a comparison that it refuses.
    """

    def wrong(match: re.Match[str]) -> str:
        names = NAME.sub(r'"\1x"', match["one"] or match["some"])
        return f"{match['part']}.is_in({names})"

    return ASKED.sub(wrong, text)


def checked(paths: Sequence[Path], shadows: Mapping[Path, Path], cache: Path) -> Places:
    """What mypy has against these files, by file and line; *shadows* are read in their stead."""
    instead = [
        word
        for path, shadow in shadows.items()
        for word in ("--shadow-file", str(path.relative_to(ROOT)), str(shadow))
    ]
    command = [sys.executable, "-m", "mypy", "--no-pretty", "--cache-dir", str(cache), *instead]
    command += [str(path.relative_to(ROOT)) for path in (*paths, *shadows)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and not ran.stderr, ran.stdout + ran.stderr
    errors: Places = {}
    for match in ERROR.finditer(ran.stdout):
        place = ROOT / match["path"], int(match["line"])
        errors[place] = errors.get(place, "") + match["words"] + "\n"
    return errors


@pytest.fixture(scope="module")
def errors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """What mypy has against the snippets, and against our own source with every state misspelt."""
    folder = tmp_path_factory.mktemp("misspelt")
    shadows: dict[Path, Path] = {}
    for number, (path, text) in enumerate(comparisons().items()):
        shadows[path] = folder / f"{number}.py"
        shadows[path].write_text(misspelt(text))
    assert request.config.cache is not None
    return checked(SNIPPETS, shadows, request.config.cache.mkdir("mypy"))


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.stem)
def test_what_must_be_refused_is_refused_and_nothing_else(path: Path, errors: Places) -> None:
    """Each line of a snippet is accepted, or refused in the words that stand behind it."""
    expected = {
        number: match["words"]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := REFUSED.search(line))
    }
    said = {line: words for (where, line), words in errors.items() if where == path}
    assert expected
    assert said.keys() == expected.keys(), said
    for line, words in expected.items():
        assert words in said[line]


@pytest.mark.parametrize("path", comparisons(), ids=lambda path: path.stem)
def test_every_misspelt_state_is_refused(path: Path, errors: Places) -> None:
    """Wherever our own code compares a state, mypy would see that there is none of that name."""
    text = path.read_text()
    assert not UNCHECKED.search(text), "mypy does not look into a tuple: ask with is_in"
    for match in ASKED.finditer(text):
        for name in NAME.findall(match[0]):
            line = text.count("\n", 0, match.start()) + 1
            last = text.count("\n", 0, match.end()) + 1
            said = "".join(errors.get((path, each), "") for each in range(line, last + 1))
            assert f"Literal['{name}x']" in said
