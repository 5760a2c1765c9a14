"""Which cipher two Holdfasts take."""

from pathlib import Path

import pytest

from holdfast.flows.shipped.opening import liked_ciphers, receive_by, taken_cipher
from holdfast.transit.bulk import AES, Bulk
from tests.transit.memory_wire import MemoryWire


@pytest.mark.parametrize(
    ("said", "liked"),
    [
        ("flags\t\t: fpu sse2 aes avx\n", ["aes-256-gcm"]),
        ("Features\t: fp asimd aes pmull sha2\n", ["aes-256-gcm"]),
        ("Features\t: fp asimd\n", []),
        ("flags\t\t: vaes \udce9\n", []),
    ],
)
def test_only_with_instructions_for_it(tmp_path: Path, said: str, liked: list[str]) -> None:
    """AES is slower than the stock clients' cipher on a processor that has none for it."""
    processor = tmp_path / "cpuinfo"
    processor.write_bytes(said.encode(errors="surrogateescape"))
    assert liked_ciphers(processor) == liked


def test_agreed() -> None:
    """The sender takes what it likes, too, and the receiver opens what it has named."""
    assert taken_cipher(["rot13", AES]) == ({"cipher": AES} if liked_ciphers() else {})
    bulk = Bulk(MemoryWire(looped=True), bytes(32), bytes(32))
    bulk.send_by_aes()
    bulk.send(b"content")
    receive_by(bulk, {"from": 0, "cipher": AES}, [AES])
    assert bulk.receive() == b"content"
