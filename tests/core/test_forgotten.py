"""A server that forgot us: the code works again, or it is lost, and strangers are left alone."""

import pytest

from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.events import MessageArrived
from holdfast.core.frames import (
    Add,
    Bind,
    Claim,
    CloseMailbox,
    ListNameplates,
    Open,
    Ping,
    Release,
)
from holdfast.core.wanted import Said, missing, used_up, wanted
from tests.core.clients import (
    STAGES,
    Client,
    World,
    alone,
    claiming,
    happy,
    run_to_the_end,
    settle,
    until,
)
from tests.core.mailboxes import STRANGER
from tests.core.record import RELAY

LOST = out.Closed("errory", "CodeLostError", "")


def forgotten(stage: str, *, long: bool = True) -> World:
    """A world in which the server forgets all at that stage, before the next connection."""
    world = STAGES[stage]()
    forget(world.server, world.us, long=long)
    return world


def forget(server: object, *clients: Client, long: bool = True) -> None:
    """The server loses everything; with *long* the clients do not hear of it for long."""
    for client in clients:
        client.server.forget()
        client.lose()
        client.away = long


def bodies(world: World, client: Client) -> dict[str, set[str]]:
    """What a client has ever put into mailboxes, by phase."""
    said: dict[str, set[str]] = {}
    for side, frame in world.server.log:
        if side == client.exchange.side and frame["type"] == "add":
            said.setdefault(frame["phase"], set()).add(frame["body"])
    return said


def kinds(world: World, client: Client, since: int = 0) -> list[str]:
    """The types of the frames that a client has said since."""
    side = client.exchange.side
    return [frame["type"] for who, frame in world.server.log[since:] if who == side]


def interrupted(answered: str, *, discreet: bool) -> World:
    """A world in which nothing of ours is known to be stored, and so much was answered."""
    world = STAGES["no_code"]()
    world.us.happen(ev.AllocateCode(2, discreet))
    until(world, lambda us: us.exchange.code.state == "known")
    if answered != "allocated":
        until(world, lambda us: us.exchange.nameplate.state == "claimed")
    if answered == "opened":
        # The server hears the open, and the connection breaks before our message comes there.
        assert world.us.line is not None
        while not any(frame["type"] == "open" for _, frame in world.server.log):
            world.server.hear(world.us.line)
    return world


def claims(world: World, since: int) -> list[tuple[str, dict[str, str]]]:
    """The claims of ours that the server has heard since."""
    side = world.us.exchange.side
    return [
        each for each in world.server.log[since:] if each[0] == side and each[1]["type"] == "claim"
    ]


def meet(world: World) -> None:
    """The recipient comes with the code; both finish."""
    world.peer.happen(ev.SetCode(world.us.code))
    world.us.happen(ev.SendMessage(b"secret"))
    world.peer.connect()
    settle(world.us, world.peer)
    assert world.peer.messages == [b"secret"]
    for client in (world.us, world.peer):
        client.happen(ev.Close())
    run_to_the_end(world.us, world.peer)
    assert world.us.ending == world.peer.ending == out.Closed("happy", "", "")


@pytest.mark.parametrize("how", ["connected", "killed"])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("stage", ["claiming", "allocate_answered", "claimed", "alone"])
def test_a_free_nameplate_is_claimed_again(stage: str, long: bool, how: str) -> None:
    """Forgotten and free: the code that was handed out works, byte for byte as before."""
    world = forgotten(stage, long=long)
    if how == "killed":
        world.us.die()
    world.us.connect()
    settle(world.us)
    [(number, nameplate)] = world.server.nameplates.items()
    assert world.us.code.startswith(f"{number}-")
    assert [phase for _, phase, _ in world.server.mailboxes[nameplate.mailbox].messages] == ["pake"]
    meet(world)
    assert all(len(each) == 1 for each in bodies(world, world.us).values())
    assert not world.server.nameplates
    assert not [box for box in world.server.mailboxes.values() if box.messages]


def test_nothing_is_left_of_what_open_made_anew() -> None:
    """The old mailbox, which our own `open` made again, is closed before the new claim."""
    world = forgotten("alone")
    before = len(world.server.log)
    world.us.connect()
    settle(world.us)
    said = kinds(world, world.us, before)
    assert said == [
        *("bind", "open", "ping", "close", "list", "claim"),
        *("bind", "open", "ping", "list", "add"),
    ]
    assert len(world.server.mailboxes) == 1


@pytest.mark.parametrize("how", ["connected", "killed"])
@pytest.mark.parametrize("stage", ["allocate_answered", "claimed", "alone"])
def test_a_taken_nameplate_is_lost(stage: str, how: str) -> None:
    """Forgotten and taken: the code is lost, and the stranger sees nothing of us."""
    world = forgotten(stage)
    stranger = world.server.take(world.us.exchange.nameplate.data.nameplate)
    before = len(world.server.log)
    if how == "killed":
        world.us.die()
    world.us.connect()
    run_to_the_end(world.us)
    assert world.us.ending == LOST
    assert "claim" not in kinds(world, world.us, before)
    assert [each.claims for each in world.server.nameplates.values()] == [{STRANGER}]
    assert world.server.mailboxes.keys() == {stranger}
    assert world.server.mailboxes[stranger].sides == {STRANGER}


@pytest.mark.parametrize("how", ["connected", "killed"])
@pytest.mark.parametrize("discreet", [False, True])
@pytest.mark.parametrize("answered", ["allocated", "claimed", "opened"])
def test_what_is_ours_is_told_from_what_is_not(answered: str, discreet: bool, how: str) -> None:
    """After a long absence from a server that forgot nothing, the very code is good."""
    world = interrupted(answered, discreet=discreet)
    given = world.us.code
    if how == "killed":
        world.us.die()
    world.us.lose()
    world.us.away = True
    world.us.connect()
    settle(world.us)
    assert world.us.code == given
    assert world.us.told.count(out.GotCode(given)) == 1
    filled = [box for box in world.server.mailboxes.values() if box.messages]
    assert len(filled) == len(world.server.nameplates) == 1
    meet(world)
    assert all(len(each) == 1 for each in bodies(world, world.us).values())
    assert not world.server.nameplates
    left = [box for box in world.server.mailboxes.values() if box.messages]
    assert not left


@pytest.mark.parametrize("how", ["connected", "killed"])
@pytest.mark.parametrize("answered", ["allocated", "claimed", "opened"])
def test_a_code_that_nobody_was_told_is_replaced(answered: str, how: str) -> None:
    """It was forgotten, and its number is a stranger's: there is another code, and nobody knows."""
    world = interrupted(answered, discreet=True)
    first = world.us.code
    forget(world.server, world.us)
    stranger = world.server.take(world.us.exchange.nameplate.data.nameplate)
    since = len(world.server.log)
    if how == "killed":
        world.us.die()
    world.us.connect()
    settle(world.us)
    assert world.us.code != first
    assert world.us.code.count("-") == first.count("-")
    assert [each for each in world.us.told if isinstance(each, out.GotCode)] == [
        out.GotCode(world.us.code)
    ]
    number = first.partition("-")[0]
    assert {frame.get("nameplate") for _, frame in claims(world, since)} == {
        world.us.code.partition("-")[0]
    }
    assert world.server.nameplates[number].claims == {STRANGER}
    assert world.server.mailboxes[stranger].sides == {STRANGER}
    meet(world)
    assert world.server.nameplates.keys() == {number}


@pytest.mark.parametrize("answered", ["allocated", "claimed", "opened"])
@pytest.mark.parametrize("taken", [False, True])
def test_finding_out_may_be_interrupted(taken: bool, answered: str) -> None:
    """The connection may break, or the process die, after any step; and the doubt comes again."""
    for steps in range(24):
        for how in ("die", "lose", "long"):
            world = interrupted(answered, discreet=True)
            if taken:
                forget(world.server, world.us)
                world.server.take(world.us.exchange.nameplate.data.nameplate)
            else:
                world.us.lose()
                world.us.away = True
            world.us.connect()
            for _ in range(steps):
                if world.us.line is not None and world.us.line.up:
                    world.server.hear(world.us.line)
                elif world.us.line is not None and world.us.line.down:
                    world.us.listen()
            if world.us.line is not None:
                world.us.die() if how == "die" else world.us.lose()
            world.us.away = world.us.away or how == "long"
            world.us.connect()
            settle(world.us)
            codes = [each for each in world.us.told if isinstance(each, out.GotCode)]
            assert codes == [out.GotCode(world.us.code)]
            meet(world)


def test_who_leaves_in_the_middle_of_finding_out() -> None:
    """A close while the nameplate is given back ends it, and nothing is left."""
    for stage in ("yielding", "yielded", "replaced"):
        world = STAGES[stage]()
        world.us.happen(ev.Close())
        run_to_the_end(world.us)
        assert world.us.ending == out.Closed("lonely", "LonelyError", "")
        ours = [each for each in world.server.nameplates.values() if each.claims != {STRANGER}]
        assert not ours


@pytest.mark.parametrize("event", [ev.AllocateCode(2, True), ev.SetCode("1-a", True)], ids=repr)
def test_a_discreet_code_is_told_when_our_message_is_stored(event: ev.Event) -> None:
    """Not when it is set or allocated, nor when it is claimed."""
    world = STAGES["no_code"]()
    world.us.happen(event)

    def told() -> bool:
        return any(isinstance(each, out.GotCode) for each in world.us.told)

    assert not told()
    until(world, lambda us: told())
    [box] = world.server.mailboxes.values()
    assert [phase for _, phase, _ in box.messages] == ["pake"]
    meet(world)


def test_a_discreet_code_is_told_before_the_peer_is() -> None:
    """Whoever was there first is found before our own message comes back."""
    world = STAGES["no_code"]()
    world.peer.happen(ev.SetCode("1-a"))
    world.peer.connect()
    settle(world.peer)
    world.us.happen(ev.SetCode("1-a", discreet=True))
    settle(world.us, world.peer)
    kinds_told = [type(each) for each in world.us.told]
    assert kinds_told.index(out.GotCode) < kinds_told.index(out.GotUnverifiedKey)
    assert kinds_told.count(out.GotCode) == 1


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("stage", ["claimed", "alone"])
def test_a_cut_before_any_answer_changes_nothing(stage: str, long: bool) -> None:
    """The connection may break, or the process die, after any step of finding out."""
    for steps in range(24):
        for die in (False, True):
            for taken in (False, True) if long else (False,):
                world = forgotten(stage, long=long)
                if taken:
                    world.server.take(world.us.exchange.nameplate.data.nameplate)
                world.us.connect()
                for _ in range(steps):
                    if world.us.line is not None and world.us.line.up:
                        world.server.hear(world.us.line)
                    elif world.us.line is not None and world.us.line.down:
                        world.us.listen()
                if world.us.line is not None:
                    world.us.die() if die else world.us.lose()
                if not world.us.exchange.ended:
                    world.us.connect()
                if taken:
                    run_to_the_end(world.us)
                    assert world.us.ending == LOST
                    [nameplate] = world.server.nameplates.values()
                    assert nameplate.claims == {STRANGER}
                    continue
                settle(world.us)
                meet(world)


@pytest.mark.parametrize("stage", ["claimed", "claiming", "alone"])
def test_nothing_was_forgotten(stage: str) -> None:
    """A server that has kept everything is believed, and hears nothing twice."""
    world = STAGES[stage]()
    world.us.lose()
    world.us.connect()
    settle(world.us)
    assert len(world.server.nameplates) == len(world.server.mailboxes) == 1
    meet(world)
    assert not world.server.nameplates and not world.server.mailboxes


def test_an_entered_code_is_claimed_however_late() -> None:
    """Who enters a code goes where it leads, also after a long absence."""
    world = claiming()
    assert not world.us.exchange.code.data.allocated
    forget(world.server, world.us)
    world.server.take("1")
    world.us.connect()
    settle(world.us)
    assert world.us.exchange.side in world.server.nameplates["1"].claims


@pytest.mark.parametrize("stage", ["claiming", "allocate_answered"])
def test_nobody_enters_only_to_leave(stage: str) -> None:
    """A closing that never learnt its mailbox claims nothing after a long absence; it ends."""
    world = STAGES[stage]()
    world.us.happen(ev.Close())
    forget(world.server, world.us)
    world.server.take(world.us.exchange.nameplate.data.nameplate)
    before = len(world.server.log)
    world.us.connect()
    run_to_the_end(world.us)
    assert world.us.ending == out.Closed("lonely", "LonelyError", "")
    assert {"claim", "release", "list"}.isdisjoint(kinds(world, world.us, before))


@pytest.mark.parametrize("peer_first", [False, True])
def test_who_have_met_fill_the_old_mailbox_again(peer_first: bool) -> None:
    """Once the sides have met, both know the mailbox: it is filled again, nothing is claimed."""
    world = happy()
    mailbox = world.us.exchange.mailbox.data.mailbox
    world.us.happen(ev.SendMessage(b"one"))
    settle(world.us, world.peer)
    forget(world.server, world.us, world.peer)
    world.us.happen(ev.SendMessage(b"two"))
    before = len(world.server.log)
    for client in (world.peer, world.us) if peer_first else (world.us, world.peer):
        client.connect()
        settle(client)
    settle(world.us, world.peer)
    assert world.peer.messages == [b"one", b"two"]
    assert world.server.mailboxes.keys() == {mailbox}
    for client in (world.us, world.peer):
        assert {"claim", "list"}.isdisjoint(kinds(world, client, before))
        assert all(len(each) == 1 for each in bodies(world, client).values())
        client.happen(ev.Close())
    run_to_the_end(world.us, world.peer)
    assert world.us.ending == world.peer.ending == out.Closed("happy", "", "")


def test_a_peer_who_filled_the_old_mailbox_is_found_there() -> None:
    """What the peer has put into the old mailbox again ends all doubt."""
    world = alone()
    world.peer.happen(ev.SetCode(world.us.code))
    world.us.lose()
    world.peer.connect()
    settle(world.peer)  # it has met us; we have not met it
    forget(world.server, world.us, world.peer)
    world.peer.connect()
    settle(world.peer)
    world.us.connect()
    settle(world.us, world.peer)
    assert world.us.exchange.lifecycle.state == world.peer.exchange.lifecycle.state == "happy"


def test_the_other_side_may_be_the_first_to_claim_it_again() -> None:
    """Who comes second cannot know who has the nameplate now, so its code is lost."""
    world = alone()
    world.peer.happen(ev.SetCode(world.us.code))
    forget(world.server, world.us)
    world.peer.connect()
    settle(world.peer)
    world.us.connect()
    run_to_the_end(world.us)
    assert world.us.ending == LOST


# The rules.


def on_the_barrier(stage: str, *heard: str) -> tuple[World, Said]:
    """An exchange on a new connection, at the barrier, after these phases of ours were shown."""
    world = STAGES[stage]()
    world.us.lose()
    said = Said()
    for frame in wanted(world.us.exchange, said):
        said.note(frame)
    for phase in heard:
        said.hear(MessageArrived(world.us.exchange.side, phase, b""), world.us.exchange)
    said.caught_up = True
    return world, said


@pytest.mark.parametrize(
    ("stage", "heard", "answer"),
    [
        ("alone", (), True),
        ("claimed", (), True),
        ("alone", ("pake",), False),
        ("happy", (), False),
        ("agreed", (), False),
        ("claiming", (), False),
        ("no_code", (), False),
    ],
)
def test_when_a_mailbox_is_missing(stage: str, heard: tuple[str, ...], answer: bool) -> None:
    """It is missed when it is empty at the barrier, and its nameplate still our only way to it."""
    world, said = on_the_barrier(stage, *heard)
    assert missing(world.us.exchange, said) is answer
    said.caught_up = False
    assert not missing(world.us.exchange, said)


def test_it_is_missed_once_a_connection() -> None:
    """After the list was asked for, emptiness says nothing new."""
    world, said = on_the_barrier("claimed")
    said.note(ListNameplates())
    assert not missing(world.us.exchange, said)


def test_what_is_wanted_in_doubt() -> None:
    """The forgotten mailbox is closed first, and then the list asked for; nothing is added."""
    world, said = on_the_barrier("alone")
    us = world.us.exchange
    old = us.mailbox.data.mailbox
    us.apply(ev.MailboxMissing(), bytes(32))
    listed = ListNameplates(us.nameplate.data.nameplate)
    assert wanted(us, said) == (CloseMailbox(old, "lonely"), listed)
    assert not used_up(us, said)
    assert wanted(us, Said()) == (
        Bind(us.appid, us.side),
        CloseMailbox(old, "lonely"),
        listed,
    )


def test_what_is_wanted_afterwards() -> None:
    """Free: claimed on the same connection, and opened on the next."""
    world, said = on_the_barrier("alone")
    us = world.us.exchange
    for event in (ev.MailboxMissing(), ev.MailboxClosed(), ev.NameplateListed(False, True)):
        for frame in wanted(us, said):
            said.note(frame)
        us.apply(event, bytes(32))
    nameplate = us.nameplate.data.nameplate
    assert wanted(us, said) == (Claim(nameplate),)
    us.saying((Claim(nameplate),))
    said.note(Claim(nameplate))
    us.apply(ev.Claimed("new"), bytes(32))
    assert wanted(us, said) == ()
    assert used_up(us, said)
    assert wanted(us, Said()) == (Bind(us.appid, us.side), Open("new"), Ping())
    assert us.outbox.data.undelivered


def test_a_kept_nameplate_is_released_as_ever() -> None:
    """Listed, and lately ours: nothing was lost, and closing gives it back in the right order."""
    world, said = on_the_barrier("claimed")
    us = world.us.exchange
    us.apply(ev.MailboxMissing(), bytes(32))
    us.apply(ev.Close(), bytes(32))
    assert us.nameplate.state == "doubtful", "the list tells whether there is anything to release"
    us.apply(ev.NameplateListed(True, True), bytes(32))
    assert wanted(us, said) == (Release(us.nameplate.data.nameplate),)


@pytest.mark.parametrize("lately", [False, True])
def test_no_list_restores_what_is_certainly_gone(lately: bool) -> None:
    """What was stored and is there no more was forgotten, however lately it was there."""
    world, _ = on_the_barrier("alone")
    us = world.us.exchange
    us.apply(ev.MailboxMissing(), bytes(32))
    us.apply(ev.MailboxClosed(), bytes(32))
    assert us.apply(ev.NameplateListed(True, lately), bytes(32)) == (LOST,)


def test_nothing_is_added_twice_on_a_server_that_lists_nothing() -> None:
    """Where listing is switched off, a claim that was there all the time is simply found again."""
    world, said = on_the_barrier("claimed")
    us = world.us.exchange
    us.apply(ev.MailboxMissing(), bytes(32))
    us.apply(ev.NameplateListed(False, True), bytes(32))
    us.saying(wanted(us, said))
    said.note(Claim("1"))
    us.apply(ev.Claimed(next(iter(said.mailboxes))), bytes(32))
    assert not used_up(us, said)
    assert [type(frame) for frame in wanted(us, said)] == [Add]


def test_a_document_of_version_1_is_in_doubt() -> None:
    """Nobody knows how old it is, nor whether its code was entered: both are in doubt."""
    document = checkpoint.save(RELAY, claiming().us.exchange, (), 12.5)
    assert checkpoint.load(document).heard_at == 12.5
    old = {key: value for key, value in document.items() if key != "heard_at"}
    del old["exchange"]["code"]["data"]["allocated"]
    saved = checkpoint.load({**old, "version": 1})
    assert saved.heard_at is None
    assert saved.exchange.apply(ev.LongAbsence(), bytes(32)) == ()
    mine = saved.exchange.nameplate.data.nameplate
    assert wanted(saved.exchange, Said())[1:] == (ListNameplates(mine),)
