"""The example of `docs/exchanges.md`: an invitation to a magic folder, with test peers.

That the stock programs understand it was seen with magic-folder 24.3.0 and tahoe-lafs 1.20.0, which
are not installed here.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from attrs import define

from holdfast import testing
from tests.docs.conftest import example

WRITE = "URI:DIR2:mpuuqsm6psvf6i7u4gm2clplg4:p3sdxakamiyaqnhjrc5kgnd4ueu5dnedjp5mfmddlvpew2z2mw7a"
COLLECTIVE = "URI:DIR2-RO:" + "a" * 26 + ":" + "b" * 52
PERSONAL = "URI:DIR2-RO:" + "c" * 26 + ":" + "d" * 52
EMPTY = "URI:DIR2-LIT:"
VERSIONS = {"magic-folder": {"supported-messages": ["invite-v1"]}}
INVITED = {
    "protocol": "invite-v1",
    "kind": "join-folder",
    "folder-name": "photos",
    "participant-name": "bob",
    "collective": COLLECTIVE,
    "mode": "read-write",
}
JOINED = {
    "protocol": "invite-v1",
    "kind": "join-folder-ack",
    "success": True,
    "participant-name": "bob",
}


class Node(BaseHTTPRequestHandler):
    """A Tahoe-LAFS node with one directory, as its web API shows it."""

    children: dict[str, str]
    stumbles: bool

    def do_GET(self) -> None:
        assert self._asked() == (["uri", WRITE], "json")
        nodes = {name: ["dirnode", {"ro_uri": cap}] for name, cap in self.children.items()}
        self._answer(json.dumps(["dirnode", {"children": nodes}]))

    def do_POST(self) -> None:
        assert self._asked() == (["uri"], "mkdir-immutable")
        self._answer(EMPTY)

    def do_PUT(self) -> None:
        path, what = self._asked()
        assert (path[:2], what) == (["uri", WRITE], "uri")
        cap = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert path[2] not in self.children
        self.children[path[2]] = cap
        if type(self).stumbles:  # it was added, and nobody hears so
            type(self).stumbles = False
            self.send_error(500)
        else:
            self._answer(cap)

    def _asked(self) -> tuple[list[str], str]:
        parts = urlsplit(self.path)
        return [unquote(each) for each in parts.path[1:].split("/")], parse_qs(parts.query)["t"][0]

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@define(eq=False)
class Folder:
    """The folder that somebody is invited to."""

    invite: Any
    node: type[Node]

    def invited(
        self, world: testing.World, answer: object, versions: Any = None, **more: Any
    ) -> list[Any]:
        """Invite somebody who answers this; return what they hear."""
        flow = self.invite(folder="photos", participant="bob", collective=COLLECTIVE, **more)
        world.start(flow)
        said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        peer = world.peer(
            world.code(),
            lambda peer, _: peer.send(said) if len(peer.messages) == 1 else None,
            versions=VERSIONS if versions is None else versions,
        )
        world.until(world.finished)
        world.advance(1)
        return [json.loads(each) for each in peer.messages]


@pytest.fixture(scope="module")
def module() -> Any:
    return example("magic_folder")


@pytest.fixture
def folder(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    node = type("ThisNode", (Node,), {"children": {}, "stumbles": False})
    with ThreadingHTTPServer(("127.0.0.1", 0), node) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        (tmp_path / "writecap").write_text(f"{WRITE}\n")
        monkeypatch.setenv("COLLECTIVE_WRITECAP_FILE", str(tmp_path / "writecap"))
        monkeypatch.setenv("TAHOE_NODE_URL", f"http://127.0.0.1:{server.server_port}/")
        yield Folder(module.InviteToFolder, node)
        server.shutdown()
        thread.join()


def accept(**more: Any) -> dict[str, Any]:
    return {"protocol": "invite-v1", "kind": "join-folder-accept", **more}


@pytest.fixture
def world() -> Iterator[testing.World]:
    with testing.World() as world:
        yield world


def test_somebody_joins(folder: Folder, world: testing.World) -> None:
    """They hear of the folder, are added to it, though the node stumbles, and hear that too."""
    folder.node.stumbles = True
    assert folder.invited(world, accept(personal=PERSONAL)) == [INVITED, JOINED]
    assert folder.node.children == {"bob": PERSONAL}
    assert world.status() == "done"


@pytest.mark.parametrize("mode", ["read-write", "read-only"])
def test_somebody_who_only_reads(folder: Folder, world: testing.World, mode: str) -> None:
    """By invitation or by choice: an empty directory stands for them."""
    assert folder.invited(world, accept(), mode=mode) == [INVITED | {"mode": mode}, JOINED]
    assert folder.node.children == {"bob": EMPTY}


@pytest.mark.parametrize(
    ("answer", "more", "says"),
    [
        ({"protocol": "invite-v1", "kind": "join-folder-reject"}, {}, "rejected"),
        ({"protocol": "invite-v2", "kind": "join-folder-accept"}, {}, "not understood"),
        (accept(personal=WRITE), {}, "not a directory"),
        (accept(personal=PERSONAL), {"mode": "read-only"}, "not a directory"),
        (accept(), {"versions": {"magic-folder": {"supported-messages": 4}}}, "does not know"),
    ],
)
def test_nobody_joins(
    folder: Folder, world: testing.World, answer: object, more: dict[str, Any], says: str
) -> None:
    """The folder stays as it is, and whoever was told of it hears why."""
    heard = folder.invited(world, answer, **more)
    assert world.status() == "failed" and says in world.published()["reason"]
    assert folder.node.children == {}
    assert [each.get("error", "") for each in heard[1:]] == (
        [] if "reject" in says or "know" in says else [world.published()["reason"]]
    )


def test_a_name_that_is_taken(folder: Folder, world: testing.World) -> None:
    """It stays whose it is."""
    folder.node.children["bob"] = COLLECTIVE
    heard = folder.invited(world, accept(personal=PERSONAL))
    assert heard[1]["success"] is False
    assert folder.node.children == {"bob": COLLECTIVE}


def test_an_inviter_who_dies(folder: Folder) -> None:
    """The next process goes on, whatever was written; the folder is changed once."""
    for entries in count(4, 4):
        with testing.World() as world:
            folder.node.children.clear()
            world.crash_after(entries, sent=entries % 2 == 0)
            assert folder.invited(world, accept(personal=PERSONAL)) == [INVITED, JOINED]
            assert folder.node.children == {"bob": PERSONAL}
            if not world.crashes:
                break  # it was over before
    assert entries > 10
