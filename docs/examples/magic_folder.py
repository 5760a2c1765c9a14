"""Invite somebody to a magic folder; the folder learns of them before they hear that it has."""

import json
import os
import re
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote
from urllib.request import Request, urlopen

from attrs import field

from holdfast import Flow, TaskFailed, flow, task

PROTOCOL = "invite-v1"
READ_ONLY_DIRECTORY = re.compile(r"URI:DIR2(-MDMF)?-RO:[a-z2-7]{26}:[a-z2-7]{52}")


@flow("magic-folder-invite", appid="private.storage/magic-folder/invites")
class InviteToFolder(Flow):
    versions: ClassVar = {"magic-folder": {"supported-messages": [PROTOCOL]}}

    folder: str
    participant: str
    collective: str = field(repr=False)  # the read capability; the other one is the task's
    mode: str = "read-write"
    answered: bool = field(default=False, init=False)

    def started(self):
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code):
        self.publish(code=code)

    def wormhole_got_versions(self, versions):
        if is_supported(versions.get("magic-folder")):
            names = {"folder-name": self.folder, "participant-name": self.participant}
            self.say("join-folder", **names, collective=self.collective, mode=self.mode)
        else:
            self.fail(f"the other side does not know {PROTOCOL}")

    def wormhole_got_message(self, message):
        if self.answered:
            return
        self.answered = True
        said = parsed(message)
        personal = said.get("personal")
        if said.get("kind") == "join-folder-reject":
            self.fail("the invitation was rejected")
        elif said.get("kind") != "join-folder-accept":
            self.refuse("the answer was not understood")
        elif personal is None or (self.mode == "read-write" and is_read_only(personal)):
            self.perform("add-participant", name=self.participant, personal=personal)
        else:
            self.refuse("this is not a directory that only you can write")

    def add_participant_done(self, result):
        self.say("join-folder-ack", success=True, **{"participant-name": self.participant})
        self.finish()

    def add_participant_failed(self, reason):
        self.refuse("the folder could not be changed", reason)

    def refuse(self, error, reason=""):
        self.say("join-folder-ack", success=False, error=error)
        self.fail(reason or error)

    def say(self, kind, **more):
        message = {"protocol": PROTOCOL, "kind": kind, **more}
        self.wormhole.send_message(json.dumps(message).encode())


def is_supported(theirs):
    messages = theirs.get("supported-messages") if isinstance(theirs, dict) else None
    return isinstance(messages, list) and PROTOCOL in messages


def parsed(message):
    """Return what the other side said in this protocol, or nothing; it may say anything."""
    try:
        said = json.loads(message)
    except ValueError:
        return {}
    return said if isinstance(said, dict) and said.get("protocol") == PROTOCOL else {}


def is_read_only(cap):
    return isinstance(cap, str) and READ_ONLY_DIRECTORY.fullmatch(cap) is not None


@task("add-participant", blocks=True)
def add_participant(call):
    """Add a directory to the collective one. Its write capability never leaves this machine."""
    node = os.environ["TAHOE_NODE_URL"].rstrip("/")
    cap = quote(Path(os.environ["COLLECTIVE_WRITECAP_FILE"]).read_text().strip(), safe="")
    name, personal = call.arguments["name"], call.arguments["personal"]
    directory = f"{node}/uri/{cap}"
    there = json.loads(ask(f"{directory}?t=json"))[1]["children"]
    if name in there:
        if there[name][1].get("ro_uri") != personal and personal is not None:
            raise TaskFailed(f"there is another participant called {name!r}", final=True)
        return  # an earlier try has added it
    if personal is None:  # who only reads is in the folder with an empty directory
        personal = ask(f"{node}/uri?t=mkdir-immutable", "POST", b"{}").decode()
    ask(f"{directory}/{quote(name, safe='')}?t=uri&replace=false", "PUT", personal.encode())


def ask(url, method="GET", body=None):
    with urlopen(Request(url, body, method=method), timeout=30) as answer:
        return answer.read()
