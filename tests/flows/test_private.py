"""Files that a command makes: where they are, who can read them, and that they go."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.flows import activities, tasks
from holdfast.flows.shipped import private
from holdfast.flows.shipped.private import mint_file, remove
from holdfast.flows.shipped.provision_file import ProvisionFile
from holdfast.flows.shipped.sharing import HERE
from holdfast.flows.tasks import Call, TaskFailed
from holdfast.operating.handing import drawer, sweep_private
from holdfast.testing.world import BATCH
from tests.flows.acting import Acting, Client
from tests.flows.test_transfers import Stage, stage
from tests.flows.world import World
from tests.harness import reactor

__all__ = ["stage"]

KEY = "k" * 32


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of all private files, which nobody has made yet."""
    monkeypatch.setattr(HERE, "private", tmp_path / "state/private")
    monkeypatch.setattr(private, "_over", {})
    return tmp_path / "state/private"


def made(*command: str, place: str = "flow/life", name: str = "ada.ovpn") -> str:
    async def running() -> str:
        from twisted.internet import reactor as real

        arguments = {"command": list(command), "name": "Ada", "file": name, "place": place}
        return await mint_file(Call(arguments, KEY, real))

    return reactor.run(running)


def shell(script: str, *words: str, **more: str) -> str:
    return made("/bin/sh", "-c", script, "sh", *words, **more)


def modes(path: Path) -> list[int]:
    return [stat.S_IMODE(each.stat().st_mode) for each in path.parents[:3]]


def test_where_it_is(directory: Path) -> None:
    """Ours alone while it is written and afterwards; each try begins with a file of its own."""
    script = 'umask 0; printf %s "$HOLDFAST_NAME,$HOLDFAST_IDEMPOTENCY_KEY," > "$HOLDFAST_FILE"'
    path = Path(shell(f'{script}; stat -c %a "$1" >> "$HOLDFAST_FILE"', "{file}"))
    assert path.name == "ada.ovpn"
    assert path.read_text() == f"Ada,{KEY},600\n"
    assert path.is_relative_to(directory / "flow/life")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert modes(path) == [0o700] * 3
    again = Path(shell('yes | head -c 100000; mv "$0" "$1" || cp /bin/sh "$1"', "{file}"))
    assert again != path, "what it prints is nobody's, and not too much"
    assert not path.exists()
    assert stat.S_IMODE(again.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("true", "wrote nothing"),
        ('rm "$HOLDFAST_FILE"', "No such file"),
        ('ln -sf /etc/passwd "$HOLDFAST_FILE"', "cannot be read"),
        ('rm "$HOLDFAST_FILE"; mkdir "$HOLDFAST_FILE"', "something else"),
        ('rm "$HOLDFAST_FILE"; mkfifo "$HOLDFAST_FILE"', "something else"),
        ('echo x > "$HOLDFAST_FILE"; exit 3', "exit status was 3"),
    ],
)
@pytest.mark.usefixtures("directory")
def test_what_is_not_taken(script: str, words: str) -> None:
    """The try failed; another one may do better."""
    with pytest.raises(TaskFailed, match=words) as failed:
        shell(script)
    assert not failed.value.final


def test_removing(directory: Path) -> None:
    """All of it goes, more than once if need be, and a try that is late makes nothing there."""
    path = Path(shell('echo x > "$HOLDFAST_FILE"; echo y > "$HOLDFAST_FILE.bak"'))
    other = Path(shell('echo x > "$HOLDFAST_FILE"', place="flow/another"))
    remove("flow/life")
    remove("flow/life")
    assert not path.parent.parent.exists()
    with pytest.raises(TaskFailed, match="over") as failed:
        shell('echo x > "$HOLDFAST_FILE"')
    assert failed.value.final
    assert other.exists()
    remove("flow/another")
    assert list(directory.iterdir()) == []


def test_a_worker_without_a_directory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be made, or is not known: that is tried again."""
    directory.parent.write_bytes(b"")
    for here in (directory, None):
        monkeypatch.setattr(HERE, "private", here)
        with pytest.raises(TaskFailed, match="private file") as failed:
            made(sys.executable)
        assert not failed.value.final


def test_what_was_left(directory: Path, world: World) -> None:
    """A worker that begins removes what belongs to no flow that is there and not over."""
    sweep_private(world.journal, directory)
    world.add(flow(), "ada")
    for name in ("ada", "bob"):
        shell('echo x > "$HOLDFAST_FILE"', place=f"{drawer(BATCH, name)}/life")
    sweep_private(world.journal, directory)
    assert [each.name for each in directory.iterdir()] == [drawer(BATCH, "ada")]


# The flow, whose activity is played, and whose task does what it is told.


def begin(stage: Stage, result: Any) -> None:
    """Somebody has come, and the file is being made."""

    def task(call: Call) -> Any:
        stage.asked.append(call.arguments)
        if isinstance(result, Exception):
            raise result
        return result

    stage.world.start(flow(), "ada")
    stage.name = "ada"
    tasks._kinds["mint-file"] = tasks.Kind(task, 1, 4, 600, blocks=False)
    stage.client = Client(stage.world.network, resumes=False)
    stage.client.enter(stage.world.code("ada"))


def flow() -> ProvisionFile:
    return ProvisionFile(
        paths=[], person="ada", mint=["make"], private=drawer(BATCH, "ada"), name="a.ovpn"
    )


@pytest.fixture
def playing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    def keep(session: Any) -> Acting:
        stage.acting.append(Acting(session))
        return stage.acting[-1]

    monkeypatch.setitem(activities._kinds, "private-file", keep)
    monkeypatch.setitem(tasks._kinds, "mint-file", tasks._kinds["mint-file"])
    return stage


ENDS = ["made", "cancelled early", "cancelled late", "no file", "unreadable"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("dies", [False, True])
def test_it_goes_with_its_flow(playing: Stage, tmp_path: Path, end: str, dies: bool) -> None:
    """However it ends, the place of the file is cleared, also by the next process."""
    stage, path = playing, tmp_path / "a.ovpn"
    path.write_bytes(b"0123456789")
    if end == "unreadable":
        path = tmp_path / "nothing"
    begin(stage, TaskFailed("no", final=True) if end == "no file" else str(path))
    stage.world.until(lambda: stage.asked)
    place = stage.asked[0]["place"]  # type: ignore[index]
    assert place.startswith(drawer(BATCH, "ada") + "/")
    if end == "cancelled early":
        assert stage.world.journal.ask("ada", BATCH, "cancel")
    elif end in ("made", "cancelled late"):
        stage.world.until(lambda: stage.at.wanted and hasattr(stage.at.wanted[-1], "source"))
        assert stage.at.wanted[-1].place == place
        if end == "made":
            stage.listen()
            stage.say({"answer": {"file_ack": "ok"}})
            stage.report("chosen", "a route")
            stage.report("acknowledged", stage.at.wanted[-1].source.sha256)
        else:
            assert stage.world.journal.ask("ada", BATCH, "cancel")
    if dies:
        stage.world.crash()
        stage.world.restart()
    stage.end()
    cleared = [acting for acting in stage.acting if acting.stopped]
    last = cleared[-1].wanted[-1]
    assert (last if isinstance(last, str) else last.place) == place
    reason = stage.world.published("ada").get("reason", "")
    expected = {"no file": "mint: no", "unreadable": "there is no"}.get(end, "")
    assert str(reason).startswith(expected)
