"""What any operation of the API may answer instead of what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from holdfast.console.api import schemas

FAILS: Final[Mapping[int, tuple[str, Any]]] = {
    400: ("What was sent cannot be understood.", schemas.ERROR),
    401: ("The token is missing, or cannot be used.", schemas.ERROR),
    403: ("The token's role does not allow it.", schemas.ERROR),
    413: ("The body is too large.", schemas.ERROR),
    429: ("Too much was asked; `Retry-After` says when to ask again.", schemas.ERROR),
    503: ("The database does not answer; ask again.", schemas.ERROR),
}
NO_FLOW: Final = {404: ("There is no such flow.", schemas.ERROR)}
