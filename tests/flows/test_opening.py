"""Which cipher two Holdfasts take."""

from pathlib import Path

import pytest

from holdfast.flows.shipped.opening import liked_ciphers


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
