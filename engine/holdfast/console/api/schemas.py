"""What the API sends and takes, as JSON Schema."""

from __future__ import annotations

from typing import Any, Final

from holdfast.operating.coding import MOST_GUESSES, MOST_WORDS
from holdfast.operating.jobs import MOST_CHOSEN, What
from holdfast_journal import FlowStatus, JobState

LONGEST_EXPIRY: Final = 100 * 366 * 86400
"""Seconds."""


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _or_null(kind: str, **said: Any) -> dict[str, Any]:
    return {"type": [kind, "null"], **said}


_TIME: Final = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final = _or_null("string", format="date-time")

FLOW: Final = _object(
    {
        "uid": {"type": "string", "description": "It stays the same for ever."},
        "batch": {"type": "string"},
        "name": {"type": "string", "description": "Unique in its batch."},
        "kind": {"type": "string"},
        "status": {"type": "string", "enum": [each.value for each in FlowStatus]},
        "request": _or_null("string", description="What was asked of it and not done yet."),
        "attempt": {"type": "integer"},
        "started_at": _TIME,
        "changed_at": _TIME,
        "finished_at": _TIME_OR_NULL,
        "trouble": _or_null("string", description="Why it does not go on."),
        "facts": {
            "type": ["object", "null"],
            "description": "What it shows, without its code; null in lists.",
            "additionalProperties": True,
        },
    }
)

FLOWS: Final = _object(
    {
        "flows": {"type": "array", "items": FLOW},
        "next": _or_null("string", description="The `after` of the next page."),
    }
)

CODE: Final = _object({"code": {"type": "string"}})

ERROR: Final = _object({"error": {"type": "string"}})

NEW: Final = _object(
    {
        "name": {"type": "string", "description": "Who it is for; without it, Idempotency-Key."},
        "secret": {"type": "string", "description": "The text that the recipient gets."},
        "batch": {"type": "string", "description": "`default` without it."},
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "maximum": LONGEST_EXPIRY,
            "description": "Seconds from now, after which the code is taken back.",
        },
        "words": {"type": "integer", "minimum": 1, "maximum": MOST_WORDS},
        "guesses": {"type": "integer", "minimum": 1, "maximum": MOST_GUESSES},
    },
    optional=("name", "batch", "expires_in", "words", "guesses"),
)

ASKED_RETRY: Final = _object(
    {
        "force": {
            "type": "boolean",
            "description": "Also if the secret may have arrived already.",
        }
    },
    optional=("force",),
)

_TEXTS: Final = {"type": "array", "items": {"type": "string"}}

NEW_JOB: Final = _object(
    {
        "what": {"type": "string", "enum": [each.value for each in What]},
        "uid": {**_TEXTS, "description": f"Exactly these flows, at most {MOST_CHOSEN}."},
        "all": {
            "type": "boolean",
            "description": "All flows that match what follows; without it, `uid` says which.",
        },
        "q": {"type": "string", "description": "A part of the name, or a pattern with * and ?."},
        "name": _TEXTS,
        "status": {**_TEXTS, "description": "As with `holdfast status --status`."},
        "kind": _TEXTS,
        "batch": {"type": "string"},
        "since": {"type": "string", "description": "A duration such as 8h."},
        "force": {
            "type": "boolean",
            "description": "For retry: also if the secret may have arrived already.",
        },
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "maximum": LONGEST_EXPIRY,
            "description": "For extend: seconds from now.",
        },
        "why": {"type": "string", "description": "The reason, for the audit."},
    },
    optional=(
        *("uid", "all", "q", "name", "status", "kind", "batch", "since"),
        *("force", "expires_in", "why"),
    ),
)

JOB: Final = _object(
    {
        "uid": {"type": "string"},
        "what": {"type": "string", "enum": [each.value for each in What]},
        "words": {"type": "string", "description": "What it does to which flows."},
        "state": {"type": "string", "enum": [each.value for each in JobState]},
        "total": {"type": "integer", "description": "0 as long as its flows are looked for."},
        "done": {"type": "integer"},
        "refused": {"type": "integer", "description": "Flows that stay as they are."},
        "notes": {**_TEXTS, "description": "Why, for the first of them."},
        "by": {"type": "string"},
        "asked_at": _TIME,
        "finished_at": _TIME_OR_NULL,
    }
)

JOBS: Final = _object(
    {
        "jobs": {"type": "array", "items": JOB},
        "next": _or_null("integer", description="The `after` of the next page."),
    }
)
