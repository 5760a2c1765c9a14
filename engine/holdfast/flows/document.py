"""How a flow is written down: its parameters once, its checkpoint after every entry."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast, get_origin

from attrs import AttrsInstance, define, field, fields, frozen
from cattrs import transform_error
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.v import format_exception

from holdfast.core.documents import Step, converter, structure, unstructure, versioned
from holdfast.core.strict_json import check_depth
from holdfast.errors import BadCheckpoint
from holdfast.flows.base import Flow, flow_class
from holdfast.flows.hooks import Hooks
from holdfast.rendezvous.relay_url import relay_in
from holdfast_journal import NewFlow

VERSION: Final = 1

DEEPEST: Final = 200
"""How many objects and arrays of a flow may be nested inside each other: deeper ones could be
read, but not written again."""

BRING_FORWARD: Final[Mapping[str, Mapping[int, Step]]] = {
    "params": {},
    "checkpoint": {},
}
"""For each old version, the function that makes a document of the next one from it.

Not needed for a new field with a default, nor for the wormhole inside, which has its own.
"""


@frozen
class Params:
    """What a flow is started with; `retry` starts it with the same."""

    relay: str
    appid: str
    params: dict[str, Any] = field(repr=False)
    deadline: float | None = None
    """When the flow expires, in seconds since the epoch."""
    tor: bool = False
    """Whether only workers that connect through Tor may run it."""
    hooks: dict[str, list[str]] = field(factory=dict, repr=False)
    """Whom it tells what; see `holdfast.flows.hooks`."""
    version: int = VERSION

    def to_bytes(self) -> bytes:
        """Return the parameters as JSON."""
        return json.dumps(unstructure(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Params:
        """Bring back what `to_bytes` gave, now or in an older release. Raises BadCheckpoint."""
        return structure(_load(data, "params"), cls)


@define
class Checkpoint:
    """A flow after an entry.

    Args:
        data: the flow's fields.
        wormhole: the wormhole's document.
        published: what operators are shown.
        verdict: the status that the flow will end with, once that is decided, or "".
        reason: why, in words.
        performed: how many tasks were asked for in this attempt.
        detached: likewise, how many that outlive the flow.
        wake_at: when the flow wants to be woken, in seconds since the epoch.
        deadline: when it expires, likewise.
        reopening: whether its wormhole has ended, and a new one takes its place.
        since: when its status last changed, in seconds since the epoch; None in documents of
            earlier releases.
        tor: whether only workers that connect through Tor may run it.
    """

    data: dict[str, Any] = field(repr=False)
    wormhole: dict[str, Any] = field(repr=False)
    published: dict[str, Any] = field(factory=dict, repr=False)
    verdict: str = ""
    reason: str = ""
    performed: int = 0
    detached: int = 0
    wake_at: float | None = None
    deadline: float | None = None
    reopening: bool = False
    since: float | None = None
    tor: bool = False
    version: int = VERSION

    def to_bytes(self, wormhole: str | None = None) -> bytes:
        """Return the checkpoint as JSON; `wormhole`, a JSON text, replaces ours if it is given."""
        # Its fields are JSON values already: to convert them all again takes a fifth of a commit.
        record = {name: getattr(self, name) for name in _SMALL}
        if wormhole is None:
            wormhole = json.dumps(self.wormhole)
        return f'{json.dumps(record)[:-1]}, "wormhole": {wormhole}}}'.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Bring back what `to_bytes` gave, now or in an older release. Raises BadCheckpoint."""
        return structure(_load(data, "checkpoint"), cls)


_SMALL: Final = tuple(each.name for each in fields(Checkpoint) if each.name != "wormhole")


def _load(data: bytes, kind: str) -> dict[str, Any]:
    """Return the document, brought forward to this version."""
    try:
        record = dict(json.loads(data))
        if data.count(b"[") + data.count(b"{") > DEEPEST:  # otherwise it cannot be deep
            check_depth(record, DEEPEST)
    except (ValueError, TypeError, RecursionError):
        raise BadCheckpoint("the flow's saved state is damaged") from None
    return versioned(record, VERSION, BRING_FORWARD[kind], "the flow's saved state")


def params_of(flow: Flow) -> dict[str, Any]:
    """Return the parameters of `flow` as JSON values."""
    given = {each.name for each in fields(cast(type[AttrsInstance], type(flow))) if each.init}
    return {name: value for name, value in data_of(flow).items() if name in given}


def data_of(flow: Flow) -> dict[str, Any]:
    """Return all fields of `flow` as JSON values."""
    return _writer(type(flow))(flow)


def begin(kind: str, params: Mapping[str, Any]) -> Flow:
    """Make a flow of `kind` from its parameters.

    Raises:
        UnknownFlow: no such kind is registered.
        BadCheckpoint: the parameters do not fit the class.
    """
    return restore(kind, params)


def restore(kind: str, data: Mapping[str, Any]) -> Flow:
    """Make a flow of `kind` from all its fields.

    A field that the class has gained since gets its default; a field that it has lost is dropped.

    Raises:
        UnknownFlow: no such kind is registered.
        BadCheckpoint: the fields do not fit the class.
    """
    cls = flow_class(kind)
    try:
        return _reader(cls)(dict(data), cls)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        raise BadCheckpoint(
            f"the saved data of a flow of the kind {kind!r} do not fit its class:"
            f" {type(error).__name__}"
        ) from None


# cattrs generates and compiles a function for each class: once is enough.
_writers: dict[type[Flow], Callable[[Any], dict[str, Any]]] = {}
_readers: dict[type[Flow], Callable[[Mapping[str, Any], Any], Flow]] = {}


def _writer(cls: type[Flow]) -> Callable[[Any], dict[str, Any]]:
    if cls not in _writers:
        _writers[cls] = make_dict_unstructure_fn(cls, converter, _cattrs_include_init_false=True)
    return _writers[cls]


def _reader(cls: type[Flow]) -> Callable[[Mapping[str, Any], Any], Flow]:
    if cls not in _readers:
        _readers[cls] = make_dict_structure_fn(
            cls, converter, _cattrs_include_init_false=True, _cattrs_forbid_extra_keys=False
        )
    return _readers[cls]


def new_flow(
    name: str,
    flow: Flow,
    *,
    relay: str | None = None,
    appid: str | None = None,
    fingerprint: str | None = None,
    deadline: float | None = None,
    tor: bool = False,
    hooks: Hooks | None = None,
) -> NewFlow:
    """Return what `SqlJournal.start_flows` starts `flow` with.

    Args:
        name: the flow's name, unique in its batch.
        flow: the flow with its parameters.
        relay: the mailbox server's URL; by default that in HOLDFAST_RELAY or WORMHOLE_RELAY_URL,
            and if there is none, that of the server that the stock clients use.
        appid: the application's identifier; by default that of the flow's class.
        fingerprint: tells whether the same name comes with the same parameters.
        deadline: when the flow expires, in seconds since the epoch; see `Flow.expire_at`.
        tor: leave the flow to workers that connect through Tor, and to no others.
        hooks: whom it tells what; see `holdfast.flows.hooks`.

    Raises:
        TypeError: a parameter holds what its field cannot, or what is not a JSON value; the
            message names the field and the type, never the value.
        BadRelayUrl: the environment names one that is not such a URL.
    """
    try:
        checked = params_of(flow)
    except RecursionError:
        raise TypeError(
            f"a parameter of {type(flow).__name__} lies too deep or in itself"
        ) from None
    _refuse_letters(flow)
    _check(type(flow), checked)
    relay = relay_in(os.environ) if relay is None else relay
    appid = flow.appid if appid is None else appid
    told = {event: list(words) for event, words in (hooks or {}).items()}
    params = Params(relay, appid, checked, deadline, tor, told)
    return NewFlow(name, flow.kind, params.to_bytes(), fingerprint)


def _refuse_letters(flow: Flow) -> None:
    """Raise TypeError for a text where its field has a list: it would become one of letters."""
    for each in fields(cast(type[AttrsInstance], type(flow))):
        kind, value = get_origin(each.type) or each.type, getattr(flow, each.name, None)
        if not isinstance(value, (str, bytes)) or not isinstance(kind, type):
            continue
        if issubclass(kind, Collection) and not issubclass(kind, (str, bytes)):
            found = f"expected {kind.__name__}, found {type(value).__name__}"
            raise TypeError(
                f"a parameter does not fit its field: {found} @ {type(flow).__name__}.{each.name}"
            )


def _check(cls: type[Flow], params: dict[str, Any]) -> None:
    """Raise TypeError unless a flow of `cls` can be made again from these parameters' JSON."""
    for name, value in params.items():
        try:
            check_depth(json.loads(json.dumps(value)), DEEPEST - 4)
        except (TypeError, ValueError, RecursionError) as error:
            # Of json's own messages, only these name nothing but types.
            why = str(error) if isinstance(error, TypeError) else "it lies too deep or in itself"
            raise TypeError(f"{cls.__name__}.{name} is not a JSON value: {why}") from None
    try:
        _reader(cls)(json.loads(json.dumps(params)), cls)
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        why = type(error).__name__
        if isinstance(error, BaseValidationError):
            why = "; ".join(transform_error(error, cls.__name__, _in_words))
        raise TypeError(f"a parameter does not fit its field: {why}") from None


def _in_words(error: BaseException, kind: type | None) -> str:
    said = str(error)
    # Only the messages of our own checks: they name types, where others quote the value.
    if isinstance(error, TypeError) and said.startswith("expected "):
        return said
    return format_exception(error, kind)
