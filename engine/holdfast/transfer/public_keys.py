"""Public SSH keys: one line each, as their owners have them and as `authorized_keys` holds them.

Sources: sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; RFC 4253, section 6.6 (what the base64 is of).

A line may come from anybody, and whoever has its private half can log in once it is in
`authorized_keys`. So it is a key and a comment, and nothing else: no options, no second line, no
certificate, nothing that a terminal would obey.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from attrs import frozen

LONGEST_LINE: Final = 8192
"""Characters; the longest key that OpenSSH makes takes 2,800."""

FEWEST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 16_384
"""OpenSSH's own limit."""

KINDS: Final = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
"""What OpenSSH accepts today; DSA is not among them any more."""


class BadPublicKey(ValueError):
    """It is not the line of a public key; the words say why, and quote nothing of it."""


@frozen
class PublicKey:
    """A public key.

    Args:
        kind: its type, such as `ssh-ed25519`.
        blob: the key itself, in base64.
        comment: what its owner calls it; may be empty.
    """

    kind: str
    blob: str
    comment: str

    @property
    def line(self) -> str:
        """The line, without a line end."""
        return f"{self.kind} {self.blob} {self.comment}".rstrip(" ")

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` shows of it, `SHA256:` and 43 characters."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def read_public_key(text: str) -> PublicKey:
    """Return the key in the text of a `.pub` file, or in what a peer sent.

    Raises:
        BadPublicKey: it is not a line with one public key and nothing else.
    """
    if "PRIVATE KEY" in text[:LONGEST_LINE]:
        raise BadPublicKey("this is a private key, which is never given away")
    line = text.strip(" \r\n")
    if not line:
        raise BadPublicKey("there is no key")
    if len(line) > LONGEST_LINE:
        raise BadPublicKey("this is too long for a public key")
    if "\n" in line or "\r" in line:
        raise BadPublicKey("a public key is one line, and these are several")
    if not line.isprintable():
        raise BadPublicKey("there are characters in the key that cannot be shown")
    kind, _, rest = line.partition(" ")
    if kind not in KINDS:
        raise BadPublicKey("this is not a public SSH key, or its type is not known here")
    blob, _, comment = rest.strip(" ").partition(" ")
    _check(kind, blob)
    return PublicKey(kind, blob, comment.strip(" "))


def _check(kind: str, blob: str) -> None:
    """See that the base64 is that of one key of this type. Raises BadPublicKey."""
    # Only here, since it takes time to import.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        if base64.b64encode(base64.b64decode(blob, validate=True)).decode() != blob:
            raise BadPublicKey("the key is damaged: its base64 is not as programs write it")
        key = load_ssh_public_key(f"{kind} {blob}".encode())
    except (NotImplementedError, UnsupportedAlgorithm, ValueError) as error:
        if isinstance(error, BadPublicKey):
            raise
        raise BadPublicKey("the key is damaged: what it says is not a key of its type") from None
    if isinstance(key, RSAPublicKey) and not FEWEST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
        raise BadPublicKey(
            f"an RSA key has {FEWEST_RSA_BITS:,} to {MOST_RSA_BITS:,} bits, and this one has"
            f" {key.key_size:,}"
        )
