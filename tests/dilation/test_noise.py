"""The handshake and the ciphers, against recorded vectors and against the package of stock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from holdfast.dilation.errors import NoiseError
from holdfast.dilation.noise import MOST_MESSAGES, Cipher, Noise

# The other package warns of keys that a test chooses.
pytestmark = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs is already set")

PSK = bytes(range(32))
RECORDED = [
    "1b1b8caa8136a07b19cdc42dbff58c341de0087d8feaecf29eec0ed4fd0c33554a47d6a2f0b6d30e00f7204560adfd13",
    "cd48d0681ea73f09a00f83859bd10880df56822019cda3c883e0d1514e35b1068923fbf34a950df64e4f3e379ee67a60",
    "c33e1e4e915fd421dbc32ee156830ae3a413b8",
    "6749a40688ae399200cd541f533402bcac98c3",
]
"""What `noiseprotocol` 0.3.1 says with the keys of `pair`."""

keys = st.binary(min_size=32, max_size=32)


def other(psk: bytes, ephemeral: bytes, *, initiator: bool) -> Any:
    """An end as the other package has it."""
    connection = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s")
    connection.set_psks(psk)
    connection.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    if initiator:
        connection.set_as_initiator()
    else:
        connection.set_as_responder()
    connection.start_handshake()
    return connection


@given(psk=keys, ours=keys, theirs=keys, messages=st.lists(st.binary(max_size=50), max_size=4))
def test_the_other_package_answers(
    psk: bytes, ours: bytes, theirs: bytes, messages: list[bytes]
) -> None:
    """We begin, and both directions work."""
    noise, oracle = Noise(psk, initiator=True, ephemeral=ours), other(psk, theirs, initiator=False)
    oracle.read_message(noise.write())
    noise.read(bytes(oracle.write_message()))
    talk(noise, oracle, messages)


@given(psk=keys, ours=keys, theirs=keys, messages=st.lists(st.binary(max_size=50), max_size=4))
def test_the_other_package_begins(
    psk: bytes, ours: bytes, theirs: bytes, messages: list[bytes]
) -> None:
    """We answer, and both directions work."""
    noise, oracle = Noise(psk, initiator=False, ephemeral=ours), other(psk, theirs, initiator=True)
    noise.read(bytes(oracle.write_message()))
    oracle.read_message(noise.write())
    talk(noise, oracle, messages)


def talk(noise: Noise, oracle: Any, messages: list[bytes]) -> None:
    sending, receiving = noise.ciphers()
    for message in messages:
        assert oracle.decrypt(sending.encrypt(message)) == message
        assert receiving.decrypt(bytes(oracle.encrypt(message))) == message


def pair() -> tuple[Noise, Noise]:
    """Two ends, before the first message."""
    return (
        Noise(PSK, initiator=True, ephemeral=b"i" * 32),
        Noise(PSK, initiator=False, ephemeral=b"r" * 32),
    )


def connected() -> tuple[Noise, Noise]:
    """Two ends, after the handshake."""
    first, second = pair()
    second.read(first.write())
    first.read(second.write())
    return first, second


def test_a_recorded_conversation() -> None:
    """The same bytes for ever, and those of the other package, for the same keys."""
    first, second = pair()
    said = [first.write()]
    second.read(said[0])
    said.append(second.write())
    first.read(said[1])
    said += [first.ciphers()[0].encrypt(b"one"), second.ciphers()[0].encrypt(b"two")]
    assert [each.hex() for each in said] == RECORDED


@pytest.mark.parametrize("at", range(48))
def test_a_changed_handshake(at: int) -> None:
    """Each byte of both messages counts."""
    first, second = pair()
    message = first.write()
    changed = bytearray(message)
    changed[at] ^= 1
    with pytest.raises(NoiseError):
        second.read(bytes(changed))
    _, second = pair()
    second.read(message)
    answer = bytearray(second.write())
    answer[at] ^= 1
    with pytest.raises(NoiseError):
        first.read(bytes(answer))


@pytest.mark.parametrize("message", [b"", b"x" * 47, b"x" * 49, b"x" * 48, bytes(48)])
def test_no_handshake_at_all(message: bytes) -> None:
    """Whatever it is."""
    for end in pair():
        with pytest.raises(NoiseError):
            end.read(message)


def test_another_key() -> None:
    """Who has another key is found out by the first message, and learns that by nothing."""
    stranger = Noise(bytes(32), initiator=True, ephemeral=b"s" * 32)
    with pytest.raises(NoiseError, match="another key"):
        pair()[1].read(stranger.write())


def test_our_own_message_comes_back() -> None:
    """A reflection is no answer."""
    first, _ = pair()
    message = first.write()
    with pytest.raises(NoiseError):
        first.read(message)


def test_a_message_that_is_changed_repeated_or_skipped() -> None:
    """Each is taken once, in its order."""
    (sending, _), (_, receiving) = (each.ciphers() for each in connected())
    one, two = sending.encrypt(b"one"), sending.encrypt(b"two")
    for wrong in (two, one[:-1], one + b"x", b"", bytes(15), b"x" + one[1:]):
        _, (_, receiving) = (each.ciphers() for each in connected())
        with pytest.raises(NoiseError):
            receiving.decrypt(wrong)
    assert connected()[1].ciphers()[1].decrypt(one) == b"one"
    _, (_, receiving) = (each.ciphers() for each in connected())
    assert receiving.decrypt(one) == b"one"
    with pytest.raises(NoiseError):
        receiving.decrypt(one)


def test_the_last_number() -> None:
    """The reserved one is never used."""
    last = MOST_MESSAGES - 1
    sending, receiving = Cipher(PSK, last), Cipher(PSK, last)
    assert receiving.decrypt(sending.encrypt(b"last")) == b"last"
    with pytest.raises(NoiseError, match="too many"):
        sending.encrypt(b"")
    with pytest.raises(NoiseError, match="too many"):
        receiving.decrypt(bytes(16))


def test_misuse() -> None:
    """Keys of another length, and calls before their time."""
    for psk, ephemeral in ((b"short", PSK), (PSK, b"short")):
        with pytest.raises(ValueError, match="32 bytes"):
            Noise(psk, initiator=True, ephemeral=ephemeral)
    first, second = pair()
    with pytest.raises(RuntimeError, match="not complete"):
        first.ciphers()
    with pytest.raises(RuntimeError, match="speaks first"):
        second.write()
