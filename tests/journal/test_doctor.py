"""`holdfast doctor`: silent about a healthy journal, and clear about each kind of damage."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from click.testing import Result
from sqlalchemy import create_engine, delete, event, insert, select, text, update
from sqlalchemy.engine import Connection

from holdfast.cli.commands import doctor as doctor_command
from holdfast.cli.commands.doctor import check
from holdfast.flows import base
from holdfast.flows import tasks as flow_tasks
from holdfast.testing import Peer
from holdfast_journal import KeyRing, NewFlow, SqlJournal
from holdfast_journal.keys.sealing import seal, unseal
from holdfast_journal.store import schema
from holdfast_journal.store.urls import parse_url
from tests.cli.journals import failed
from tests.cli.journals import run as command
from tests.flows.issue_token import TROUBLE, IssueToken, TaskFailed
from tests.flows.world import BATCH, World
from tests.journal.conftest import Journals
from tests.journal.helpers import run, start
from tests.journal.postgres import Server
from tests.journal.recordings import KEY as RECORDED_KEY
from tests.journal.recordings import RECORDINGS, Recording

KEY = "6b" * 32
RING = KeyRing.parse(KEY, "test")
flows, entries, tasks = schema.flows, schema.entries, schema.tasks


def build(url: str) -> None:
    """A journal with a flow of every kind in it, each named for how it stands."""

    def ok(peer: Peer, message: bytes) -> None:
        peer.send(b"ok")

    def collect(name: str, **options: Any) -> Peer:
        return world.peer(world.code(name), **options)

    world = World(url)
    names = ["done", "cancelled", "scared", "again", "waiting", "talking", "minting", "twice"]
    for name in names:
        world.add(IssueToken(user=name), name)
    # The answers to these are lost, and the requests are made again.
    world.dies_when = lambda: len(world.network.log) > 2 * len(names)
    world.serve()
    world.until(lambda: False)
    world.dies_when = lambda: False
    world.server.stop()
    world.advance(5)
    world.server.start()
    for name in names:
        world.code(name)
    world.server.stop()
    world.advance(5)
    world.server.start()
    world.advance(5)
    collect("done", on_message=ok)
    collect("talking")
    world.until(lambda: world.finished("done") and world.status("talking") == "exchanging")
    for name in ("scared", "again", "twice"):
        world.peer(f"{world.code(name)}-wrong")
    world.journal.ask("cancelled", None, "cancel")
    world.until(lambda: world.finished("cancelled") and world.finished("twice"))
    world.advance(2)
    world.crash()
    world.serve()  # from the checkpoints
    for name in ("again", "twice"):
        world.journal.retry(name, None)
    world.peer(f"{world.code('twice')}-wrong")
    world.until(lambda: world.finished("twice"))
    world.code("again")
    TROUBLE.append(TaskFailed("no route"))
    collect("minting")
    world.until(lambda: not TROUBLE)
    world.stop()
    world.add(IssueToken(user="new"), "new")
    world.close()


@pytest.fixture(scope="module")
def _key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_KEY", KEY)
        yield


@pytest.fixture(scope="module")
def built_file(_key: None, upgraded_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("built") / "journal.db"
    shutil.copy(upgraded_file, path)
    build(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def built_database(_key: None, postgres: Server, upgraded: str) -> str:
    url = postgres.database(upgraded)
    build(url)
    return str(parse_url(url).database)


@define
class Patient:
    """A copy of the healthy journal."""

    url: str

    def check(self, **options: Any) -> list[str]:
        """What the doctor says, a line for each finding."""
        journal = SqlJournal.open_inline(self.url)
        try:
            report = check(journal, pause=lambda _: None, **options)
        finally:
            journal.close()
        assert report.flows or report.bad
        return [f"{each.flow}: {each.check}: {each.what}" for each in report.findings]

    @contextmanager
    def at(self) -> Iterator[Connection]:
        """The database, as somebody has it who can write to its files."""
        engine = create_engine(parse_url(self.url))
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(text("SET session_replication_role = replica"))
                yield connection
        finally:
            engine.dispose()

    def row(self, name: str) -> Any:
        with self.at() as connection:
            return connection.execute(select(flows).where(flows.c.name == name)).one()

    def set(self, flow: str, **values: Any) -> None:
        with self.at() as connection:
            connection.execute(update(flows).where(flows.c.name == flow).values(**values))

    def set_entry(self, flow: str, number: int, **values: Any) -> None:
        which = (entries.c.flow_id == self.row(flow).id, entries.c.seq == number)
        with self.at() as connection:
            connection.execute(update(entries).where(*which).values(**values))

    def entry(self, name: str, seq: int) -> Any:
        which = (entries.c.flow_id == self.row(name).id, entries.c.seq == seq)
        with self.at() as connection:
            return connection.execute(select(entries).where(*which)).one()

    def reseal(self, name: str, column: str, change: Callable[[Any], Any]) -> None:
        """Change what is sealed, as only somebody can who has the key; or a mistake of ours."""
        row = self.row(name)
        seq = row.seq if column == "checkpoint" else 0
        key = RING.open_data_key(row.uid, row.data_key)
        value = change(json.loads(unseal(key, row.uid, column, seq, getattr(row, column))))
        sealed = seal(key, row.uid, column, seq, json.dumps(value).encode())
        self.set(name, **{column: sealed})


@pytest.fixture
def file(built_file: Path, folder: Path) -> Patient:
    shutil.copy(built_file, folder / "journal.db")
    return Patient(f"sqlite:///{folder}/journal.db")


@pytest.fixture
def database(built_database: str, postgres: Server) -> Patient:
    return Patient(postgres.database(built_database))


@pytest.fixture(params=["file", "database"])
def patient(request: pytest.FixtureRequest) -> Patient:
    """One of each kind."""
    found: Patient = request.getfixturevalue(request.param)
    return found


def test_a_healthy_journal(patient: Patient) -> None:
    """Of flows that are new, live, retried, or ended in any way nothing is found."""
    [line] = patient.check()
    assert "5 minutes" not in line
    assert "(5, " in line, "unfinished flows wait for a process, which is a hint"
    with patient.at() as connection:
        statuses = connection.execute(select(flows.c.name, flows.c.status)).all()
        assert dict(tuple(row) for row in statuses) == {
            "done": "done",
            "cancelled": "cancelled",
            "scared": "scared",
            "twice": "scared",
            "again": "waiting",
            "waiting": "waiting",
            "talking": "exchanging",
            "minting": "exchanging",
            "new": "new",
        }
        kinds = set(connection.scalars(select(entries.c.kind)))
        assert {"start", "resume", "retried", "task", "cancel", "message"} <= kinds
        assert connection.scalars(select(tasks.c.name)).all() == ["test-mint"]


def flipped(value: bytes) -> bytes:
    """One bit of it is another."""
    place = len(value) // 2
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]


def serious(said: list[str]) -> list[str]:
    """Without what is said of flows that wait for a process."""
    return [line for line in said if not line.startswith("None: lease: ")]


Damage = Callable[[Patient], object]


def swap_events(patient: Patient) -> None:
    one, other = patient.entry("talking", 3), patient.entry("talking", 4)
    patient.set_entry("talking", 3, event=other.event)
    patient.set_entry("talking", 4, event=one.event)


def delete_entries(patient: Patient, *seqs: int) -> None:
    flow = patient.row("done").id
    with patient.at() as connection:
        connection.execute(
            delete(entries).where(entries.c.flow_id == flow, entries.c.seq.in_(seqs))
        )


def move_entry(patient: Patient) -> None:
    of_scared = patient.entry("scared", 3)
    patient.set_entry("waiting", 3, event=of_scared.event, kind=of_scared.kind)


def old_checkpoint(patient: Patient) -> None:
    """The one of an earlier entry, put back."""
    row = patient.row("talking")
    key = RING.open_data_key(row.uid, row.data_key)
    plain = unseal(key, row.uid, "checkpoint", row.seq, row.checkpoint)
    patient.set("talking", checkpoint=seal(key, row.uid, "checkpoint", row.seq - 1, plain))


def forget_a_message(document: dict[str, Any]) -> dict[str, Any]:
    document["wormhole"]["exchange"]["outbox"]["data"]["sent"].pop()
    return document


def become_unasked(document: dict[str, Any]) -> dict[str, Any]:
    document["wormhole"]["exchange"]["nameplate"]["state"] = "claiming"
    return document


def change_event(patient: Patient) -> None:
    """Another event under the right seal."""
    row, entry = patient.row("waiting"), patient.entry("waiting", 2)
    assert entry.kind == "allocate"
    key = RING.open_data_key(row.uid, row.data_key)
    body = json.loads(unseal(key, row.uid, "event", 2, entry.event))
    body["seed"] = "00" * 32
    sealed = seal(key, row.uid, "event", 2, json.dumps(body).encode())
    patient.set_entry("waiting", 2, event=sealed)


def orphan_a_task(patient: Patient) -> None:
    with patient.at() as connection:
        connection.execute(update(tasks).values(flow_id=999))


def task_of_a_finished_flow(patient: Patient) -> None:
    with patient.at() as connection:
        connection.execute(update(tasks).values(flow_id=patient.row("done").id))


def flow_without_a_batch(patient: Patient) -> None:
    patient.set("done", batch_id=77)


def entry_without_a_flow(patient: Patient) -> None:
    flow = patient.row("new").id
    with patient.at() as connection:
        values = {"at": 0.0, "kind": "x", "heard": "", "said": "[]", "event": b""}
        connection.execute(insert(entries).values(flow_id=flow + 1000, seq=1, **values))


def old_published(patient: Patient) -> None:
    """What the flow showed before it had a code, which was sealed for the same place."""
    patient.reseal("waiting", "published", lambda _: {})


def another_key(patient: Patient) -> None:
    row = patient.row("waiting")
    other = KeyRing.random()
    sealed = other.seal_data_key(row.uid, RING.open_data_key(row.uid, row.data_key))
    patient.set("waiting", data_key=sealed)


def flip_task(patient: Patient) -> None:
    with patient.at() as connection:
        arguments = connection.scalars(select(tasks.c.arguments)).one()
        connection.execute(update(tasks).values(arguments=flipped(arguments)))


def flip(name: str, column: str) -> Damage:
    return lambda patient: patient.set(
        name, **{column: flipped(getattr(patient.row(name), column))}
    )


DAMAGES: dict[str, tuple[Damage, list[str]]] = {
    "swapped events": (
        swap_events,
        ["talking: seal: the events of the entries 3 to 4 do not open: altered or moved"],
    ),
    "an event of another flow": (
        move_entry,
        ["waiting: seal: the event of the entry 3 does not open: altered or moved"],
    ),
    "a byte of an event": (
        lambda patient: patient.set_entry(
            "scared", 6, event=flipped(patient.entry("scared", 6).event)
        ),
        ["scared: seal: the event of the entry 6 does not open: altered or moved"],
    ),
    "a missing entry": (
        lambda patient: delete_entries(patient, 5),
        ["done: sequence: the entry 5 is missing from its history"],
    ),
    "missing entries": (
        lambda patient: delete_entries(patient, 5, 6, 8),
        ["done: sequence: the entries 5 to 6 and 8 are missing from its history"],
    ),
    "a raised seq": (
        lambda patient: patient.set("done", seq=patient.row("done").seq + 1),
        ["done: sequence: the entry "],
    ),
    "a lowered seq": (
        lambda patient: patient.set("done", seq=patient.row("done").seq - 1),
        ["done: sequence: the entry "],
    ),
    "a byte of the parameters": (
        flip("new", "params"),
        ["new: seal: its parameters do not open: altered or moved"],
    ),
    "a byte of the checkpoint": (
        flip("talking", "checkpoint"),
        ["talking: seal: its checkpoint does not open: altered or moved"],
    ),
    "a byte of what is shown": (
        flip("talking", "published"),
        ["talking: seal: what it shows does not open: altered or moved"],
    ),
    "a byte of the data key": (
        flip("talking", "data_key"),
        ["talking: key: its data key does not open: it was altered or moved"],
    ),
    "a byte of a task": (
        flip_task,
        ["minting: seal: the arguments of its task 1 do not open: altered or moved"],
    ),
    "a deleted key": (
        lambda patient: patient.set("talking", data_key=None),
        ["talking: key: it is not finished, and yet its data key is deleted"],
    ),
    "another master key": (
        another_key,
        ["waiting: key: its data key does not open: this database was sealed under another master"],
    ),
    "missing parameters": (
        lambda patient: patient.set("waiting", params=None),
        ["waiting: seal: its parameters are missing"],
    ),
    "a missing checkpoint": (
        lambda patient: patient.set("again", checkpoint=None),
        ["again: checkpoint: it has begun, and has no checkpoint"],
    ),
    "an old checkpoint": (
        old_checkpoint,
        ["talking: seal: its checkpoint does not open: altered or moved"],
    ),
    "a checkpoint that is none": (
        lambda patient: patient.reseal("waiting", "checkpoint", lambda _: {"version": 1}),
        ["waiting: checkpoint: the saved wormhole is damaged"],
    ),
    "a wormhole that does not load": (
        lambda patient: patient.reseal(
            "waiting", "checkpoint", lambda state: {**state, "wormhole": {}}
        ),
        ["waiting: checkpoint: the saved wormhole is damaged: it has no version"],
    ),
    "parameters that do not load": (
        lambda patient: patient.reseal("waiting", "params", lambda _: []),
        ["waiting: checkpoint: its parameters do not load: the flow's saved state is damaged"],
    ),
    "data that do not fit": (
        lambda patient: patient.reseal(
            "waiting", "checkpoint", lambda state: {**state, "data": {"user": 7}}
        ),
        ["waiting: checkpoint: the saved data of a flow of the kind 'test-issue-token' do not fit"],
    ),
    "a checkpoint that lacks a message": (
        lambda patient: patient.reseal("talking", "checkpoint", forget_a_message),
        ["talking: replay: its history does not lead to its checkpoint (outbox)"],
    ),
    "a checkpoint of another state": (
        lambda patient: patient.reseal("again", "checkpoint", become_unasked),
        ["again: replay: its history does not lead to its checkpoint (nameplate)"],
    ),
    "another event": (
        change_event,
        ["waiting: replay: its history does not lead to its checkpoint (code, outbox)"],
    ),
    "another kind": (
        lambda patient: patient.set_entry("waiting", 3, kind="message"),
        ["waiting: replay: its history cannot be replayed: entry 3 is not what it is called"],
    ),
    "what was shown once": (
        old_published,
        ["waiting: checkpoint: what it shows is not what it published"],
    ),
    "a task of nobody": (
        orphan_a_task,
        ["None: task: 1 task of a flow that is not there"],
    ),
    "a task of a finished flow": (
        task_of_a_finished_flow,
        ["done: task: it is over, and 1 task of it is left"],
    ),
    "a flow of no batch": (
        flow_without_a_batch,
        ["None: reference: 1 flow of a batch that is not there"],
    ),
    "an entry of no flow": (
        entry_without_a_flow,
        ["None: reference: 1 entry of a flow that is not there"],
    ),
    "a key that was kept for too long": (
        lambda patient: patient.set("scared", shred_at=1.0),
        ["None: retention: the secrets of finished flows (1) should have been deleted by now"],
    ),
    "an owner that is not there": (
        lambda patient: patient.set("done", owner=4711),
        ["None: reference: 1 flow of a worker that is not there"],
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(file: Patient, name: str) -> None:
    """Each kind of damage is found, where it is, and nothing else is found."""
    damage, expected = DAMAGES[name]
    damage(file)
    said = serious(file.check())
    assert len(said) == len(expected), said
    for line, wanted in zip(said, expected, strict=True):
        assert line.startswith(wanted)


def test_damage_on_postgresql(database: Patient) -> None:
    """It is found there as well, several at once, and each on a line of its own."""
    expected = []
    for name in (
        "a task of nobody",
        "an entry of no flow",
        "an owner that is not there",
        "missing entries",
        "swapped events",
        "an event of another flow",
        "a missing checkpoint",
    ):
        damage, lines = DAMAGES[name]
        damage(database)
        expected += lines
    said = sorted(serious(database.check()))
    assert len(said) == len(expected), said
    for line, wanted in zip(said, sorted(expected), strict=True):
        assert line.startswith(wanted)


def test_a_page_of_the_file(file: Patient) -> None:
    """A file that is damaged inside is told as that, whatever else cannot be read then."""
    path = Path(str(parse_url(file.url).database))
    with file.at() as connection:
        size = connection.execute(text("PRAGMA page_size")).scalar_one()
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'holdfast_entries'"
        page = connection.execute(text(query)).scalar_one()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 100] = b"\xff" * 100
    path.write_bytes(content)
    said = serious(file.check())
    assert said
    assert all(line.startswith("None: integrity: ") for line in said), said


def test_what_a_worker_found(file: Patient) -> None:
    """A flow that a worker has ended as damaged stays a finding, and its retry ends it."""
    DAMAGES["a byte of the checkpoint"][0](file)
    journal = SqlJournal.open_inline(file.url)
    journal.take()
    journal.close()
    assert serious(file.check(name="talking")) == [
        "talking: damaged: a worker could not read it, and ended it",
        "talking: seal: its checkpoint does not open: altered or moved",
    ]
    journal = SqlJournal.open_inline(file.url)
    journal.retry("talking", None)
    journal.close()
    assert serious(file.check(name="talking")) == []


def test_unknown_classes(file: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows and tasks whose code is not known here are hints, and no more is said of them."""
    monkeypatch.delitem(base._kinds, "test-issue-token")
    monkeypatch.delitem(flow_tasks._kinds, "test-mint")
    journal = SqlJournal.open_inline(file.url)
    report = check(journal, name="minting", batch=BATCH)
    journal.close()
    assert report.bad == 0
    assert [(each.check, each.hint) for each in report.findings][:2] == [
        ("task", True),
        ("kind", True),
    ]


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_journal_of_an_earlier_release(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not upgraded, but refused; upgraded, its histories lead to its checkpoints."""
    monkeypatch.delenv("HOLDFAST_KEY")
    url = Recording(name).copy(folder)
    path = Path(str(parse_url(url).database))
    failed(command(path, "doctor"), "run 'holdfast db upgrade")
    with Patient(url).at() as connection:
        version = connection.execute(text("SELECT version_num FROM holdfast_version")).scalar()
        assert version == name
    SqlJournal.open_inline(url).close()
    report = json.loads(command(path, "doctor", "--json").stdout)
    [dead] = report["findings"]
    assert (report["flows"], dead["check"]) == (9, "lease"), dead  # its process is long gone
    copied = Patient(url)
    row = copied.row("ann")
    key = KeyRing.parse(RECORDED_KEY, "test").open_data_key(row.uid, row.data_key)
    state = json.loads(unseal(key, row.uid, "checkpoint", row.seq, row.checkpoint))
    forget_a_message(state)
    sealed = seal(key, row.uid, "checkpoint", row.seq, json.dumps(state).encode())
    copied.set("ann", checkpoint=sealed)
    result = command(path, "doctor", "ann")
    assert "ann: its history does not lead to its checkpoint (outbox)" in result.stdout


class TestWorkers:
    def test_a_dead_one(
        self, url: str, journals: Journals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Flows of a dead worker are a finding, unless a living one takes them over."""
        journals.keys = RING
        monkeypatch.setenv("HOLDFAST_KEY", "ab" * 32)  # until it has another journal
        world = World(url)
        world.journal.close()
        world.journal = journals.open(url, clock=world.now)
        world.add(IssueToken(user="ann"))
        world.serve()
        world.code()
        doctor, other = (journals.open(url, clock=world.now) for _ in range(2))
        assert check(doctor, pause=pytest.fail).findings == []
        world.journal.close()
        [finding] = check(doctor, pause=pytest.fail).findings
        assert "belong to processes that are dead" in finding.what
        assert (finding.check, finding.hint) == ("lease", False)
        start(other, "another", batch="elsewhere")
        assert other.take(batch="elsewhere")

        def take_over(_: float) -> None:
            assert other.take(batch=BATCH)

        assert check(doctor, BATCH, pause=take_over).findings == []
        other.give_back()

    def test_nobody_takes_it(self, journals: Journals) -> None:
        """A flow that waits for long beside a living worker is a finding."""
        now = 1000.0
        journal = journals.open("sqlite://", clock=lambda: now)
        run(journal, "ann")
        journal.start_flows("batch", [NewFlow("bob", "unserved", b"")])
        report = check(journal, pause=lambda _: None)
        assert [each.hint for each in report.findings if each.check == "lease"] == [True]
        now += 301
        report = check(journal, pause=lambda _: None)
        [finding] = [each for each in report.findings if each.check == "lease"]
        assert not finding.hint
        assert "'unserved' have waited for more than 5 minutes" in finding.what


class TestBesideWorkers:
    def test_between_any_two_steps(self) -> None:
        """Whatever step a worker has come to, nothing is found."""
        world = World()
        world.add(IssueToken(user="ann"))
        world.serve()
        world.peer(world.code(), on_message=lambda peer, _: peer.send(b"ok"))
        checked = 0

        def silent() -> bool:
            nonlocal checked
            checked += 1
            assert check(world.journal, pause=pytest.fail).findings == []
            return False

        world.dies_when = silent
        world.until(world.finished)
        world.close()
        assert checked > 10

    def test_within_a_step(self, url: str, journals: Journals) -> None:
        """What is committed while a flow is read does not look like damage."""
        worker, doctor = journals.open(url), journals.open(url)
        (ada,) = run(worker, "ada")
        ada.event()

        def interfere(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("SELECT") and "FROM holdfast_entries" in statement:
                ada.event()

        event.listen(doctor._database.engine, "before_cursor_execute", interfere)
        for _ in range(3):
            [flow] = doctor.checks.flows()
            assert flow.findings == []
            assert len(flow.entries) == flow.seq
        assert ada.events == 4


def test_how_far_it_is(file: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before the first flow, and then how many of how many are checked."""
    monkeypatch.setattr(doctor_command, "TELL_EACH", 4)
    told: list[str] = []
    file.check(goes_on=told.append)
    assert told == [
        "checking the database as a whole",
        "checked 4 of 9 flows",
        "checked 8 of 9 flows",
    ]


class TestCommand:
    def run(self, file: Patient, *words: str) -> Result:
        path = Path(str(parse_url(file.url).database))
        return command(path, "doctor", *words, HOLDFAST_KEY=KEY)

    def test_all_is_well(self, file: Patient) -> None:
        """One line says so, with status 0; hints do not change that, and nothing is written."""
        before = Path(str(parse_url(file.url).database)).read_bytes()
        result = self.run(file)
        assert result.exit_code == 0, result.output
        hint, kept, summary = result.stdout.splitlines()
        assert "holdfast keep" in kept
        assert hint.startswith("hint: flows of the kind 'test-issue-token' wait for a process")
        assert summary == (
            "checked 9 flows, 2 of them not opened because their keys were deleted: no problems"
        )
        assert Path(str(parse_url(file.url).database)).read_bytes() == before

    def test_a_finding(self, file: Patient) -> None:
        """Each is one line with the flow, what is wrong and what to do; the status is 1."""
        DAMAGES["swapped events"][0](file)
        result = self.run(file, "talking")
        assert result.exit_code == 1
        line = result.stdout.splitlines()[0]
        assert line.startswith("batch/talking: the events of the entries 3 to 4 do not open")
        assert line.endswith("; compare it with a backup")
        assert result.stdout.splitlines()[-1] == "checked 1 flow: 1 problem"
        assert self.run(file, "waiting", "--batch", "batch").exit_code == 0

    def test_json(self, file: Patient) -> None:
        """The same for programs."""
        DAMAGES["a missing entry"][0](file)
        result = self.run(file, "--json", "--batch", "batch")
        assert result.exit_code == 1
        said = json.loads(result.stdout)
        assert (said["flows"], said["shredded"]) == (9, 2)
        [finding] = [each for each in said["findings"] if not each["hint"]]
        assert finding == {
            "check": "sequence",
            "batch": "batch",
            "flow": "done",
            "what": "the entry 5 is missing from its history",
            "do": "compare it with a backup",
            "hint": False,
        }

    def test_names_that_are_not_there(self, file: Patient) -> None:
        """A flow or batch that does not exist is one line, with status 2."""
        failed(self.run(file, "nobody"), "no flow is called 'nobody'")
        failed(self.run(file, "--batch", "nothing"), "no batch is called 'nothing'")
        failed(self.run(file, "--flows", "nowhere_at_all"), "--flows nowhere_at_all")
