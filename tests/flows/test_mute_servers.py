"""Which mailbox servers count as mute: those that answer nobody, and not those that are slow."""

from attrs import frozen

from holdfast.flows.engine.visits import MuteServers

SLOW, MUTE = "ws://slow/v1", "ws://mute/v1"


@frozen
class Visit:
    url: str
    is_unanswered: bool = True


def test_a_server_that_answers_some_is_not_mute() -> None:
    """On a starved machine a visit may be over before its server was heard."""
    servers = MuteServers()
    trying = [Visit(url) for url in (SLOW, MUTE) for _ in range(8)]
    servers.tried({SLOW}, [SLOW, MUTE])
    assert servers.has_room(SLOW, trying, 64)
    assert not servers.has_room(MUTE, trying, 64)
    assert servers.has_room(MUTE, trying[:-1], 64)


def test_it_is_mute_until_it_answers() -> None:
    """A look in which nobody tried it says nothing."""
    servers = MuteServers()
    servers.tried(set(), [MUTE])
    servers.tried(set(), [])
    assert not servers.has_room(MUTE, [Visit(MUTE)], 8)
    servers.tried({MUTE}, [])
    assert servers.has_room(MUTE, [Visit(MUTE)], 8)
