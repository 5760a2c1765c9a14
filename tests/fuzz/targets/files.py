"""Files that an operator gives, or that another program wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from holdfast.operating.codes_file import CodesFile
from holdfast.operating.people import LONGEST_NAME, FileColumn, read_people, same_name
from holdfast.operating.refused import Refused
from holdfast.operating.timing_diagram import Recording, draw
from holdfast.timing import DebugTiming, NotARecording, read
from holdfast.transfer import LONGEST_TEXT
from holdfast_journal import WrongKey
from holdfast_journal.keys.files import KeyFile, add_key, key_lines
from holdfast_journal.keys.master import given_keys
from holdfast_journal.keys.ring import key_id
from tests.fuzz.scratch import folder, written
from tests.fuzz.target import SECRET, expect, target


def _people() -> Iterator[bytes]:
    yield f"name,secret\nann,{SECRET}\nbob,{SECRET}2\n".encode()
    yield f'\xef\xbb\xbf"name","secret"\r\n"ann ","{SECRET}, and\nmore"\r\n'.encode()
    yield f'{{"name": "ann", "secret": "{SECRET}"}}\n{{"secret": "1", "name": "bob"}}\n'.encode()
    yield b"name,secret\n" + "Zoe\u0308,a\nZo\u00eb,b\n".encode()
    yield b"\n\n name , secret \nann,x\n\n"
    yield f"name,secret,file\nann,{SECRET},\nbob,,a/b\n".encode()


@target(Refused, seeds=_people, quotes=True, examples=120)
def people(data: bytes) -> None:
    """A people file; its length says by which name it goes, and where secrets come from."""
    path = written("people.jsonl" if len(data) % 3 == 0 else "people.csv", data)
    column = None if len(data) % 5 == 0 else "secret"
    files = FileColumn() if len(data) % 2 and column else None
    found = read_people(path, name_column="name", secret_column=column, files=files)
    names = [each.name for each in found]
    expect(len(set(names)) == len(names) > 0, "a name is there twice")
    for each in found:
        expect(0 < len(each.name) <= LONGEST_NAME, "a name of another length")
        expect(each.name == same_name(each.name), "a name that is another when it is typed")
        each.name.encode()
        secret = each.secret
        none = column is None or each.file is not None
        expect((secret is None) == none, "a secret where there is none")
        expect(each.file is None or (files is not None and each.file[0] == "/"), "no whole path")
        if secret is not None:
            expect(0 < len(secret.encode()) <= LONGEST_TEXT, "a secret of another length")
            expect(len(secret) < 12 or secret not in repr(each), "a repr shows a secret")


@target(
    Refused, seeds=lambda: [b"name,code\nann,4-a-b\n", b'name,code\n"a,""b",5-c\n'], examples=80
)
def codes_file(data: bytes) -> None:
    """A file of codes: what was in it stays in it."""
    path = written("codes.csv", data)
    codes = CodesFile(path, ["bob", "ann"])
    codes.check()
    before = codes._read()
    codes.update({"bob": "7-new-code"})
    expect(codes._read() == {**before, "bob": "7-new-code"}, "codes are lost")


_KEYS = [b"7e57" * 16, b"# mine\n" + b"7e57" * 16 + b"  # one\n\n" + b"ab" * 32 + b"\n"]


@target(WrongKey, seeds=lambda: _KEYS, examples=80)
def key_file(data: bytes) -> None:
    """A file of master keys: a new one is put in front, and the others stay."""
    path = written("fuzz.key", data)
    before = KeyFile(path).ring().ids
    expect(set(key_lines(path)) == set(before), "keys in no line")
    new = add_key(path)
    after = KeyFile(path).ring().ids
    expect(list(after) == [new, *before], "another order of keys")


@target(WrongKey, seeds=lambda: _KEYS, examples=60)
def key_variable(data: bytes) -> None:
    """HOLDFAST_KEY."""
    text = data.decode(errors="surrogateescape").replace("\0", "")
    given = given_keys({"HOLDFAST_KEY": text})
    expect((given is None) == (not text), "keys out of nothing")
    if given is not None:
        keys = [bytes.fromhex(each) for each in re.findall("[0-9a-fA-F]{64}", text)]
        expect(set(given.ring.ids) <= {key_id(key) for key in keys}, "another key")


def _timings() -> Iterator[bytes]:
    timing = DebugTiming(clock=lambda: 1_700_000_000.5)
    for way, what in (("asked", "a code"), ("heard", "<welcome> & more"), ("connection", "up")):
        timing.add(way, what)
    path = folder() / "timing.json"
    timing.write(path)
    yield path.read_bytes()


@target(NotARecording, seeds=_timings, examples=80)
def timing(data: bytes) -> None:
    """A recording of message times becomes a page, whose pictures are XML."""
    text = data.decode(errors="replace")
    page = draw([Recording("a <name>\udcff", read(text)), Recording("b", [])])
    page.encode()
    for picture in re.findall("<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(picture)
