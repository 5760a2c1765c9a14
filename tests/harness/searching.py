"""Searching for secrets, in every form in which a program could let one slip."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote


def forms(secret: bytes | str) -> Mapping[bytes, str]:
    """How *secret* may be written down, and what each form is called."""
    found: dict[bytes, str] = {}
    if isinstance(secret, str):
        value = secret.encode()
        found |= {
            json.dumps(secret)[1:-1].encode(): "JSON",
            json.dumps(json.dumps(secret))[1:-1].encode(): "JSON in JSON",
            repr(secret)[1:-1].encode(): "repr",
            ascii(secret)[1:-1].encode(): "ascii",
            quote(secret).encode(): "URL",
            secret.encode("utf-16-le"): "UTF-16",
        }
    else:
        value = secret
        for order in ("big", "little"):
            found[str(int.from_bytes(secret, order)).encode()] = f"decimal, {order} end"  # type: ignore[arg-type]
        found[json.dumps(secret.decode("latin-1"))[1:-1].encode()] = "JSON"
    found[repr(value)[2:-1].encode()] = "repr of bytes"
    found[value.hex().encode()] = "hex"
    found[value.hex().upper().encode()] = "HEX"
    for before in range(3):
        # Wherever it stands in what is encoded: what depends on its neighbours is left away.
        encoded = base64.b64encode(bytes(before) + value)
        own = encoded[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
        found[own] = "base64"
        found[own.translate(bytes.maketrans(b"+/", b"-_"))] = "base64url"
    return found | {value: "raw"}


def search(
    places: Mapping[str, bytes], secrets: Mapping[str, bytes | str]
) -> Iterator[tuple[str, str, str]]:
    """Yield (place, name of the secret, form) for each secret that is found."""
    for name, secret in secrets.items():
        assert len(secret) >= 8, f"{name} is too short to be told from chance"
        for form, called in forms(secret).items():
            for place, content in places.items():
                if form in content:
                    yield place, name, called


def files_below(folder: Path) -> dict[str, bytes]:
    """The content of every file, by its path within *folder*."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
