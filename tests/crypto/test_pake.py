"""SPAKE2 on libsodium: the stock package's messages and keys, and no dishonest half."""

import json
from unicodedata import normalize

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add
from spake2 import SPAKE2_Symmetric, ed25519_basic
from spake2.ed25519_group import Ed25519Group as StockGroup

from holdfast.crypto import BadPake, Half, finish, scalar_from_seed, start, start_with
from holdfast.crypto.ed25519 import GROUP, IDENTITY, ORDER
from holdfast.crypto.pake import SIDE

CODE = "4-purple-sausages"
APPID = "example.com/app1"
SCALAR_A = "5f99314ff64a1e6532979c52691fb85aacbe740fda646e299a1a81816cc84a0a"
MESSAGE_A = "534f3a41ceeccea1110145154f1451dbf44e9b3cf7c83c9e9070167642670c7b78"
MESSAGE_B = "53e37bfe84126a44f0d447fa1bf6a6047e747d667ef033029119e29bc58ef41b2d"
HALF_A = Half(bytes.fromhex(MESSAGE_A), SCALAR_A)
KEY = "3dadc079b6b84abdde3703244e7a6f3950742376b00d6193a744028cd30e798c"

SEED_ONE = bytes(range(64))
SEED_TWO = bytes(range(100, 164))

# The points whose order divides eight, by their canonical encodings.
SMALL_ORDER = [
    IDENTITY,
    bytes(32),
    bytes(31) + b"\x80",
    (GROUP_FIELD_MINUS_ONE := 2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


def stock(code: str, appid: str, seed: bytes) -> SPAKE2_Symmetric:
    """The stock package's exchange with its own pure-Python group."""
    return SPAKE2_Symmetric(
        normalize("NFC", code).encode(),
        idSymmetric=normalize("NFC", appid).encode(),
        entropy_f=lambda length: seed[:length],
    )


def test_published_half() -> None:
    """The vector's scalar makes the vector's message."""
    assert start_with(CODE, APPID, SCALAR_A).message.hex() == MESSAGE_A


def test_published_key() -> None:
    """The vector's scalar and the peer's message make the vector's key."""
    assert finish(CODE, APPID, HALF_A, bytes.fromhex(MESSAGE_B)).hex() == KEY


@settings(max_examples=8, deadline=None)
@given(
    code=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    appid=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ours=st.binary(min_size=64, max_size=64).filter(any),
    theirs=st.binary(min_size=64, max_size=64).filter(any),
)
def test_same_as_the_stock_package(code: str, appid: str, ours: bytes, theirs: bytes) -> None:
    """Any code and randomness give the stock package's message and its key."""
    half = start(code, appid, ours)
    twin, peer = stock(code, appid, ours), stock(code, appid, theirs)
    message, peer_message = twin.start(), peer.start()
    assert half.message == message
    if message == peer_message:
        return
    key = finish(code, appid, half, peer_message)
    assert key == twin.finish(peer_message) == peer.finish(message)


def test_our_saved_scalar_is_the_stock_packages() -> None:
    """A scalar is kept in the form in which the stock package saves it."""
    exchange = stock(CODE, APPID, SEED_ONE)
    exchange.start()
    assert json.loads(exchange.serialize())["xy_scalar"] == scalar_from_seed(SEED_ONE)


def test_both_sides_agree() -> None:
    """Two of our own halves of one code make one key."""
    one, two = start(CODE, APPID, SEED_ONE), start(CODE, APPID, SEED_TWO)
    key = finish(CODE, APPID, one, two.message)
    assert key == finish(CODE, APPID, two, one.message)
    assert len(key) == 32


@pytest.mark.parametrize(("code", "appid"), [("4-purple-sausage", APPID), (CODE, "app2")])
def test_another_code_or_application(code: str, appid: str) -> None:
    """Another code or another application's id makes another key, silently."""
    one, two = start(CODE, APPID, SEED_ONE), start(code, appid, SEED_TWO)
    assert finish(CODE, APPID, one, two.message) != finish(code, appid, two, one.message)


def test_codes_and_appids_are_normalized() -> None:
    """A composed and a decomposed accent are one code and one application."""
    composed = start("4-caf\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{ANGSTROM SIGN}", SEED_ONE)
    assert composed == start("4-cafe\N{COMBINING ACUTE ACCENT}", "A\u030a", SEED_ONE)


def test_start_is_a_function() -> None:
    """The same code, application and seed make the same half again."""
    assert start(CODE, APPID, SEED_ONE) == start(CODE, APPID, SEED_ONE)
    assert start(CODE, APPID, SEED_ONE) != start(CODE, APPID, SEED_TWO)


def test_secret_stays_out_of_sight() -> None:
    """The scalar is not in a half's representation."""
    half = start(CODE, APPID, SEED_ONE)
    assert half.scalar not in repr(half)
    assert isinstance(half, Half)


@pytest.mark.parametrize("seed", [bytes(64), bytes(63), bytes(65), b"", ORDER.to_bytes(64, "big")])
def test_seeds_that_are_refused(seed: bytes) -> None:
    """A seed of the wrong length, or one that makes the scalar zero, is refused."""
    with pytest.raises(ValueError, match="scalar"):
        start(CODE, APPID, seed)


@pytest.mark.parametrize(
    "scalar",
    ["", "zz" * 32, "00" * 32, "01" * 31, "ff" * 32, ORDER.to_bytes(32, "little").hex()],
)
def test_scalars_that_are_refused(scalar: str) -> None:
    """What is no scalar between zero and the order is refused by both functions."""
    with pytest.raises(ValueError, match="scalar"):
        start_with(CODE, APPID, scalar)
    with pytest.raises(ValueError, match="scalar"):
        finish(CODE, APPID, evolve(HALF_A, scalar=scalar), bytes.fromhex(MESSAGE_B))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        bytes.fromhex(MESSAGE_A)[:-1],
        SIDE + (2).to_bytes(32, "little"),
        SIDE + crypto_core_ed25519_add(bytes.fromhex(MESSAGE_A)[1:], SMALL_ORDER[4]),
    ],
)
def test_a_damaged_message_of_our_own(message: bytes) -> None:
    """What was kept as our own message, and is none, is refused and not taken for the peer's."""
    with pytest.raises(ValueError, match="our own message"):
        finish(CODE, APPID, Half(message, SCALAR_A), bytes.fromhex(MESSAGE_B))


def dishonest() -> dict[str, bytes]:
    """Messages that no honest peer sends, by what is wrong with them."""
    good = bytes.fromhex(MESSAGE_B)
    blinding = GROUP.arbitrary_element(b"symmetric").scalarmult(
        GROUP.password_to_scalar(CODE.encode())
    )
    order_two = GROUP_FIELD_MINUS_ONE.to_bytes(32, "little")
    messages = {
        "empty": b"",
        "short": good[:-1],
        "long": good + b"\0",
        "side A": b"A" + good[1:],
        "side B": b"B" + good[1:],
        "no side": b"\0" + good[1:],
        "not on the curve": SIDE + (2).to_bytes(32, "little"),
        "not canonical": SIDE + (2**255 - 18).to_bytes(32, "little"),
        "all ones": SIDE + b"\xff" * 32,
        "order 2L": SIDE + crypto_core_ed25519_add(good[1:], order_two),
        "order 8L": SIDE + crypto_core_ed25519_add(good[1:], SMALL_ORDER[4]),
        "reflected": bytes.fromhex(MESSAGE_A),
        "scalar zero": SIDE + blinding.to_bytes(),
    }
    for number, point in enumerate(SMALL_ORDER):
        messages[f"small order {number}"] = SIDE + point
    return messages


@pytest.mark.parametrize("message", dishonest().values(), ids=dishonest().keys())
def test_dishonest_halves(message: bytes) -> None:
    """What no honest peer sends is refused with a reason that gives nothing away."""
    with pytest.raises(BadPake) as caught:
        finish(CODE, APPID, HALF_A, message)
    assert caught.value.reason == str(caught.value)
    assert "purple" not in caught.value.reason
    assert caught.value.__cause__ is None


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(st.binary(max_size=70))
def test_garbage(message: bytes) -> None:
    """Any bytes at all end in a key or in BadPake, never in another exception."""
    try:
        key = finish(CODE, APPID, HALF_A, message)
    except BadPake:
        return
    assert len(key) == 32


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_garbage_elements(element: bytes) -> None:
    """Any 32 bytes in the place of an element end in a key or in BadPake."""
    try:
        key = finish(CODE, APPID, HALF_A, SIDE + element)
    except BadPake:
        return
    assert len(key) == 32


@settings(max_examples=10, deadline=None)
@given(
    scalar=st.one_of(
        st.integers(-3, 9),
        st.integers(ORDER - 2, ORDER + 2),
        st.integers(-(2**260), 2**260),
    ),
    seed=st.binary(max_size=8),
)
def test_group_is_the_stock_group(scalar: int, seed: bytes) -> None:
    """Products, sums and elements from seeds are the stock group's, the edges included."""
    ours, theirs = GROUP.arbitrary_element(seed), StockGroup.arbitrary_element(seed)
    assert ours.to_bytes() == theirs.to_bytes()
    product, expected = ours.scalarmult(scalar), theirs.scalarmult(scalar)
    assert product.to_bytes() == expected.to_bytes()
    assert product.add(ours).to_bytes() == expected.add(theirs).to_bytes()
    assert GROUP.Base.scalarmult(scalar) == GROUP.Base.scalarmult(scalar % ORDER)
    assert GROUP.Base.scalarmult(scalar).to_bytes() == StockGroup.Base.scalarmult(scalar).to_bytes()
    assert GROUP.scalar_to_bytes(scalar) == StockGroup.scalar_to_bytes(scalar)
    assert GROUP.password_to_scalar(seed) == StockGroup.password_to_scalar(seed)


def test_neutral_element() -> None:
    """The neutral element can be added, multiplied and reached, as in the stock group."""
    base = GROUP.Base
    assert base.scalarmult(0) == base.scalarmult(ORDER) == GROUP.Zero
    assert base.add(base.scalarmult(-1)) == GROUP.Zero
    assert GROUP.Zero.scalarmult(5) == GROUP.Zero
    assert GROUP.Zero.add(base) == base
    assert GROUP.Zero.to_bytes() == ed25519_basic.Zero.to_bytes()


def test_stock_saves_survive() -> None:
    """The stock package's own consistency check accepts our group in the place of its own."""
    from holdfast.crypto.pake import _parameters

    exchange = stock(CODE, APPID, SEED_ONE)
    exchange.start()
    restored = SPAKE2_Symmetric.from_serialized(exchange.serialize(), params=_parameters())
    peer = start(CODE, APPID, SEED_TWO)
    assert restored.finish(peer.message) == exchange.finish(peer.message)
