"""An exchange lives on, its twin is saved and restored before each event: no difference ever."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.exchange import Exchange
from holdfast.core.wanted import Said, wanted
from holdfast.errors import OnlyOneCodeError
from tests.core.clients import APPID, reloaded, seed
from tests.core.peers import PEER, HandmadePeer

CODE = "4-purple-sausages"
OURS = "ourside000"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
welcomes = st.dictionaries(st.sampled_from(["motd", "more", "error"]), json_values, max_size=2)
nameplates = st.from_regex(r"[0-9]{1,40}", fullmatch=True)
sides = st.sampled_from([OURS, PEER, "stranger"]) | st.text(max_size=8)
phases = st.sampled_from(["pake", "version", "0", "1", "2", "7", "01", "-1", "dilate-0"]) | st.text(
    max_size=8
)
kinds = st.sampled_from(["bind", "allocate", "claim", "open", "add", "release", "close", None])
hostile = st.one_of(
    st.builds(ev.AllocateCode, st.integers(1, 4)),
    st.builds(ev.SetCode, st.sampled_from([CODE, "5-other", "0-"])),
    st.builds(ev.SendMessage, st.binary(max_size=20)),
    st.builds(ev.Welcomed, welcomes),
    st.builds(ev.Allocated, nameplates),
    st.builds(ev.Claimed, st.text(min_size=1, max_size=8)),
    st.builds(ev.MessageArrived, sides, phases, st.binary(max_size=80)),
    st.builds(ev.NameplateReleased),
    st.builds(ev.MailboxClosed),
    st.builds(ev.Refused, st.text(max_size=8), kinds),
    st.builds(ev.ServerMisbehaved, st.text(max_size=8)),
    st.builds(ev.ConnectionLost),
    st.builds(ev.Close),
)
contents = st.binary(max_size=20) | st.sampled_from(
    [b'{"app_versions": {}}', b"{}", b"[]", b'{"app_versions": 1}', b'{"app_versions": {"n": NaN}}']
)


class SavingIsInvisible(RuleBasedStateMachine):
    """Whatever comes, honest or hostile, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.live = Exchange(APPID, OURS, {"v": [1, None]})
        self.twin = Exchange(APPID, OURS, {"v": [1, None]})
        self.said = Said()
        self.peer = HandmadePeer(CODE)
        self.events: list[ev.Event] = []
        self.told: list[out.Notice] = []
        self.draws = 0

    def both(self, event: ev.Event) -> None:
        """Apply to both, and compare; then say to a server what is to be said."""
        self.events.append(event)
        self.draws += 1
        before = self.live.serialize()
        self.twin = reloaded(self.twin)
        live = self.outcome(self.live, event)
        assert self.outcome(self.twin, event) == live
        if live is None or isinstance(live, str):
            assert self.live.serialize() == before
        else:
            self.told.extend(live)
        self.speak()

    def outcome(self, exchange: Exchange, event: ev.Event) -> Any:
        try:
            return exchange.apply(event, seed(self.draws))
        except OnlyOneCodeError:
            return "only one code"

    def speak(self) -> None:
        before = self.live.serialize()
        self.twin = reloaded(self.twin)
        frames = wanted(self.live, self.said)
        assert wanted(self.twin, self.said) == frames
        assert self.live.serialize() == before == self.twin.serialize()
        changed = self.live.saying(frames)
        assert self.twin.saying(frames) == changed == (self.live.serialize() != before)
        for frame in frames:
            self.said.note(frame)
        assert wanted(self.live, self.said) == ()

    @rule(event=hostile)
    def anything(self, event: ev.Event) -> None:
        self.both(event)

    @rule(at=st.integers(0, 10**6))
    @precondition(lambda self: self.events)
    def something_again(self, at: int) -> None:
        self.both(self.events[at % len(self.events)])

    @rule(more=st.sampled_from(["code", "claimed", "pake"]))
    def step_forward(self, more: str) -> None:
        """What an honest server and peer would do, so that later stages are met at all."""
        self.both(ev.Welcomed({"motd": "hi"}))
        if self.live.code.state == "unset":
            self.both(ev.SetCode(CODE))
        if more != "code":
            self.both(ev.Claimed("mailbox"))
        if more == "pake":
            for sent in self.live.outbox.data.sent:
                if sent.phase == "pake" and self.live.code.data.code == CODE:
                    self.peer.agree(sent.body)
            self.both(self.peer.pake)

    @rule(phase=st.sampled_from(["version", "0", "1", "2", "9", "dilate-0"]), content=contents)
    @precondition(lambda self: self.peer.key)
    def the_peer_says(self, phase: str, content: bytes) -> None:
        self.both(self.peer.message(phase, content))

    @rule(phase=st.sampled_from(["pake", "version", "0", "1", "2"]))
    def an_echo(self, phase: str) -> None:
        event = ev.MessageArrived(OURS, phase, b"")
        self.said.hear(event, self.live)
        self.both(event)

    @rule()
    def another_connection(self) -> None:
        self.said = Said()
        self.speak()

    @rule()
    def pong(self) -> None:
        self.said.caught_up = True
        self.speak()

    @invariant()
    def they_are_the_same(self) -> None:
        assert json.dumps(self.live.serialize()) == json.dumps(self.twin.serialize())

    @invariant()
    def an_ending_is_told_once_and_last(self) -> None:
        closed = [each for each in self.told if isinstance(each, out.Closed)]
        assert len(closed) == self.live.ended
        assert not closed or self.told[-1] == closed[0]

    @invariant()
    def no_secret_in_sight(self) -> None:
        shown = repr(self.live) + repr(self.events) + repr(self.told)
        assert CODE not in shown
        assert self.live.key.data.key == "" or self.live.key.data.key not in shown


TestSavingIsInvisible = SavingIsInvisible.TestCase
TestSavingIsInvisible.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
