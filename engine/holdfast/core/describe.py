"""Events and frames in words, for the log that operators read, without any secret."""

from __future__ import annotations

from holdfast.core import events as ev
from holdfast.core import frames as fr
from holdfast.core.messages import dilation_number, ignored_phase


def heard(event: ev.Event, side: str) -> str:
    """Say what came in, seen from `side`."""
    match event:
        case ev.AllocateCode(length):
            return f"application: a new code of {length} word" + ("s" if length != 1 else "")
        case ev.SetCode():
            return "application: the code"
        case ev.TypeCode():
            return "application: a code that is being typed"
        case ev.ChooseNameplate():
            return "application: the nameplate"
        case ev.ChooseWords():
            return "application: the words"
        case ev.SendMessage(plaintext):
            return f"application: send {len(plaintext)} bytes"
        case ev.Dilate():
            return "application: dilate"
        case ev.SendDilation(plaintext):
            return f"dilation: send {len(plaintext)} bytes"
        case ev.DilationSeen(count):
            return f"dilation: the peer has {count} of our messages"
        case ev.Close():
            return "application: close"
        case ev.Welcomed(welcome):
            return "server: welcome" + (", with an error" if "error" in welcome else "")
        case ev.Allocated():
            return "server: a nameplate for us"
        case ev.Claimed():
            return "server: nameplate claimed"
        case ev.MessageArrived(sender, phase, body) if sender == side:
            return f"server: has stored our {_phase(phase)}"
        case ev.MessageArrived(_, phase, body):
            return f"peer: {_phase(phase)}, {len(body)} bytes"
        case ev.NameplateReleased():
            return "server: nameplate released"
        case ev.MailboxClosed():
            return "server: mailbox closed"
        case ev.Refused(error, about):
            return f"server: error about {_short(about or 'nothing')}: {_short(error)}"
        case ev.ServerMisbehaved(reason):
            return f"server: misbehaved: {_short(reason)}"
        case ev.NoServer(reason):
            return f"no server: {_short(reason)}"
        case ev.ConnectionLost():
            return "connection lost"
        case ev.LongAbsence():
            return "server: it may have forgotten us"
        case ev.MailboxMissing():
            return "server: has nothing in our mailbox"
        case ev.NameplateListed(taken):
            return "server: our nameplate is " + ("taken" if taken else "free")


def said(frame: fr.Frame) -> str | None:
    """Say what goes out; None for the frame that every connection begins with."""
    match frame:
        case fr.Bind() | fr.Open() | fr.Ping():
            return None
        case fr.ListNameplates(None):
            return "ask which nameplates there are"
        case fr.ListNameplates():
            return "ask whether our nameplate is taken"
        case fr.Allocate():
            return "allocate a nameplate"
        case fr.Claim():
            return "claim the nameplate"
        case fr.Add(phase, body):
            return f"{_phase(phase)}, {len(body) // 2} bytes"
        case fr.Release():
            return "release the nameplate"
        case fr.CloseMailbox(_, mood):
            return f"close the mailbox, {mood}"


def _phase(phase: str) -> str:
    if phase in ("pake", "version"):
        return phase
    if dilation_number(phase) is not None:
        return f"message {phase.removeprefix('dilate-')} for dilation"
    return "message of an unknown kind" if ignored_phase(phase) else f"message {phase}"


def _short(text: str) -> str:
    """Printable and bounded: these words came from a server."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= 200 else clean[:199] + "…"
