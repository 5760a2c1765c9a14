"""What is a public key and what is not."""

import base64

import pytest

from holdfast.transfer.public_keys import KINDS, LONGEST_LINE, BadPublicKey, read_public_key
from tests.transfer.keys import ED25519, FINGERPRINTS, P256, RSA, SHORT_RSA

KIND, BLOB, COMMENT = ED25519.split()
RAW = base64.b64decode(BLOB)
COMPRESSED = base64.b64encode(
    base64.b64decode(P256.split()[1]).replace(b"\0\0\0A\x04", b"\0\0\0A\x02")
).decode()


def test_a_key_of_each_type() -> None:
    """With the fingerprint that `ssh-keygen` shows; written again it is the same line."""
    for line, fingerprint in FINGERPRINTS.items():
        key = read_public_key(f"{line}\r\n")
        assert (key.line, key.fingerprint, key.comment) == (line, fingerprint, "ann@laptop")
    assert {line.split()[0] for line in FINGERPRINTS} == KINDS


def test_a_comment() -> None:
    """It may have blanks in it, or be absent; blanks elsewhere are not kept."""
    assert read_public_key(f"{KIND} {BLOB}").line == f"{KIND} {BLOB}"
    assert read_public_key(f" {KIND}   {BLOB}  my own  key \n").line == f"{KIND} {BLOB} my own  key"
    assert read_public_key(f"{KIND} {BLOB} clé").comment == "clé"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no key"),
        (" \n", "no key"),
        ("hello", "not a public SSH key"),
        (KIND, "damaged"),
        (f'command="sh" {ED25519}', "not a public SSH key"),
        (f"no-pty {ED25519}", "not a public SSH key"),
        (f"# {ED25519}", "not a public SSH key"),
        (f"{ED25519}\n{P256}", "several"),
        (f"{ED25519}\r{P256}", "several"),
        (f"{KIND}\t{BLOB}", "cannot be shown"),
        (f"{ED25519}\x1b[31m", "cannot be shown"),
        (f"{ED25519}\u202e", "cannot be shown"),
        (f"{ED25519}\0", "cannot be shown"),
        (f"{ED25519}\u2028{P256}", "cannot be shown"),
        (f"{ED25519} \ud800", "cannot be shown"),
        (f"{ED25519} {'x' * LONGEST_LINE}", "too long"),
        (f"ssh-dss {BLOB}", "not known here"),
        (f"ssh-ed25519-cert-v01@openssh.com {BLOB}", "not known here"),
        (f"ssh-rsa {BLOB}", "damaged"),
        (f"{KIND} {RSA.split()[1]}", "damaged"),
        (f"{KIND} {BLOB[:-4]}", "damaged"),
        (f"{KIND} {BLOB}AAAA", "damaged"),
        (f"{KIND} {BLOB[:-1]}=", "damaged"),
        (f"{KIND} {BLOB[:8]}!{BLOB[8:]}", "damaged"),
        (f"{KIND} {base64.b64encode(RAW + b'x').decode()}", "damaged"),
        (f"{KIND} {base64.b64encode(RAW[:-1]).decode()}", "damaged"),
        # A point in a form that OpenSSH does not write, and one that is not on the curve.
        (f"{P256.split()[0]} {COMPRESSED}", "damaged"),
        (f"{P256[:-20]}AAAA= x", "damaged"),
        (SHORT_RSA, "2,048 to 16,384 bits, and this one has 1,024"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n", "private key"),
        ("PuTTY: PRIVATE KEY", "private key"),
    ],
)
def test_what_is_not_taken(text: str, why: str) -> None:
    """The words say why, and quote nothing."""
    with pytest.raises(BadPublicKey, match=why) as caught:
        read_public_key(text)
    assert "hunter2" not in str(caught.value) and "AAAA" not in str(caught.value)
