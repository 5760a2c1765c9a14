"""``holdfast run --flows``: an operator's own flows, served as a service does."""

import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from holdfast import new_flow
from holdfast.flows.base import _kinds as flow_kinds
from holdfast.flows.shipped.provision import Provision
from holdfast.flows.tasks import _kinds as task_kinds
from holdfast.operating.own_flows import ship
from holdfast.transfer.text import APPID
from tests.cli.journals import failed, open_at, run
from tests.harness import reactor
from tests.harness.process import Child, Holdfast
from tests.harness.scripted import StockPeer
from tests.harness.waiting import until

MINE = "from holdfast import *\n@flow('mine', appid='x')\nclass Mine(Flow):\n"

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "issue_token.py"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is unknown again afterwards; so are the modules it imports."""
    ship()  # these stay
    before, modules, path = (dict(flow_kinds), dict(task_kinds)), set(sys.modules), list(sys.path)
    yield
    for kinds, earlier in zip((flow_kinds, task_kinds), before, strict=True):
        for name in set(kinds) - set(earlier):
            del kinds[name]  # type: ignore[attr-defined]
    for name in set(sys.modules) - modules:
        if not name.startswith(("holdfast", "tests")):
            del sys.modules[name]
    sys.path[:] = path


def add(home: Holdfast, user: str) -> None:
    """Start a flow of the manual's example, as an application's process would."""
    spec = spec_from_file_location("issue_token_of_the_application", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module: Any = module_from_spec(spec)
    spec.loader.exec_module(module)
    new = new_flow(
        user, module.IssueToken(user=user), relay=str(home.relay), appid=module.IssueToken.appid
    )
    journal = open_at(Path(str(home.db)))
    try:
        journal.start_flows("tokens", [new])
    finally:
        journal.close()


def shown(home: Holdfast) -> dict[str, Any]:
    [row] = json.loads(run(Path(str(home.db)), "status", "--json", "--codes").stdout)
    return dict(row)


def collect(url: str, code: str) -> str:
    """Be the user: a stock wormhole that takes the token and says so."""

    async def exchange() -> str:
        peer = StockPeer(url, appid="example.com/issue-token")
        peer.wormhole.set_code(code)
        token: bytes = await peer.wormhole.get_message()
        peer.wormhole.send_message(b"ok")
        await peer.close()
        return token.decode()

    return reactor.run(exchange, timeout=60)


def serve(home: Holdfast, source: Path | str, cwd: Path) -> Child:
    child = home.start("run", "--flows", source, cwd=cwd)
    child.wait_for(r"^serving /.*holdfast\.db \(1 flow: 1 \w+\)$")
    return child


def test_a_users_flow_through_a_kill(home: Holdfast, tmp_path: Path) -> None:
    """A flow from a file, and from a module, is run and killed and run to its end."""
    (tmp_path / "issue_token.py").write_text(EXAMPLE.read_text())
    add(home, "ada")
    with serve(home, tmp_path / "issue_token.py", tmp_path) as child:
        code = until(lambda: shown(home)["code"], "the code")
        child.kill9()
    with serve(home, "issue_token", tmp_path) as child:
        token = collect(str(home.relay), code)
        assert len(token) > 20
        child.wait_for(r"tokens/ada done$")
        child.terminate()
        ended = child.wait()
    assert (ended.status, ended.err) == (0, "")
    assert token not in ended.out
    assert shown(home)["status"] == "done"


def test_without_its_class(home: Holdfast, tmp_path: Path) -> None:
    """A flow whose class nobody has named is left alone, and that is said."""
    add(home, "ada")
    ended = home.run("run", "--for", "1s")
    assert ended.status == 0
    assert "flows of the kind 'issue-token'; --flows names the module that" in ended.err
    assert shown(home)["status"] == "new"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no file"),
        ("import holdfast", "no flow is registered there"),
        ("x = 1\nx = y\n", "NameError: name 'y' is not defined"),
        ("def (:\n", "SyntaxError"),
        ("import no_such_module", "No module named 'no_such_module'"),
        (
            "from holdfast import *\n@flow('provision', appid='x')\nclass Mine(Flow): pass\n",
            "two flows are called 'provision'",
        ),
        (
            MINE + "    def started(self): self.perform('work')\n",
            "TypeError: the flow 'mine': it performs the task 'work', and has no method work_done(",
        ),
    ],
)
def test_what_cannot_be_imported(tmp_path: Path, text: str | None, said: str) -> None:
    """A file that cannot be imported, or has no flow in it, is one line, and nothing is started."""
    path = tmp_path / "some_flows_of_mine.py"
    if text is not None:
        path.write_text(text)
    database = tmp_path / "holdfast.db"
    failed(run(database, "run", "--flows", str(path)), "--flows", str(path), said)
    assert not database.exists()


def test_a_task_that_is_not_there(tmp_path: Path) -> None:
    """What only all modules together can show is found before anything is served."""
    path = tmp_path / "some_flows_of_mine.py"
    text = "    def started(self): self.perform('work')\n    def work_done(self, result): ...\n"
    path.write_text(MINE + text)
    said = "--flows: the flow 'mine': it performs the task 'work', and no function here is"
    failed(run(tmp_path / "holdfast.db", "run", "--flows", str(path)), said)


@pytest.mark.parametrize("name", ["no_such_module_of_mine", "not a name", "flows.txt"])
def test_no_such_module(tmp_path: Path, name: str) -> None:
    """A module that is not there is one line."""
    failed(run(tmp_path / "holdfast.db", "run", "--flows", name), name)


HANGING = """
import time
from twisted.internet.threads import deferToThread
from holdfast import Flow, flow, task

@flow("hangs", appid="example.com/hangs")
class Hangs(Flow):
    job: str
    def started(self): self.perform(self.job)

@task("hang-block", blocks=True, timeout=1.0)
def block(call): time.sleep(900)

@task("hang-defer", timeout=1.0, at_once=12)
def defer(call): return deferToThread(time.sleep, 900)
"""


@pytest.mark.parametrize("job", ["hang-block", "hang-defer"])
def test_tasks_that_hang(home: Holdfast, tmp_path: Path, job: str) -> None:
    """Twelve functions that never come back keep nobody from being served, nor SIGTERM."""
    source = tmp_path / "hanging.py"
    source.write_text(HANGING)
    spec = spec_from_file_location("hanging_of_the_application", source)
    assert spec is not None and spec.loader is not None
    module: Any = module_from_spec(spec)
    spec.loader.exec_module(module)
    journal = open_at(Path(str(home.db)))
    relay = str(home.relay)
    hangs = [new_flow(f"h{n}", module.Hangs(job=job), relay=relay, appid="x") for n in range(12)]
    journal.start_flows("own", hangs)
    with home.start("run", "--flows", source, cwd=tmp_path) as child:
        told = (
            "keeps one of its 4 places until it comes back: block, line" if "block" in job else ""
        )
        child.wait_for(r"^serving ")
        if told:
            until(lambda: told in child.err, "the line about it")
        provision = Provision(name="ada", secret="x")
        journal.start_flows("own", [new_flow("ada", provision, relay=relay, appid=APPID)])
        journal.close()
        child.wait_for(r"own/ada waiting$")
        child.terminate()
        assert child.wait().status == 0
