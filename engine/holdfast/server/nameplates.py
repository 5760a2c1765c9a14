"""Which nameplate to give out: any of the shortest that are free, as the package does.

To find one, the package reads all that are taken. Here the database looks up only as many as there
are short ones, however many codes wait.
"""

import secrets

from holdfast.server.turn import Turn

_SIZES = ((1, 9), (10, 99), (100, 999))
_LONG = range(1000, 1_000_000)
_TRIES = 1000

_ANY_FREE = (
    "WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
    " SELECT n FROM numbers WHERE NOT EXISTS"
    " (SELECT 1 FROM nameplates WHERE app_id = ? AND name = CAST(n AS TEXT))"
    " ORDER BY random() LIMIT 1"
)
_IS_TAKEN = "SELECT 1 FROM nameplates WHERE app_id = ? AND name = ?"


def free_nameplate(turn: Turn, app: str) -> str | None:
    """Return a free nameplate of `app`, or None if a thousand tries find none.

    It has one to three digits, or up to six if all those are taken. Raises sqlite3.Error.
    """
    for first, last in _SIZES:
        row = turn.execute(_ANY_FREE, (first, last, app)).fetchone()
        if row is not None:
            return str(row[0])
    for _ in range(_TRIES):
        name = str(secrets.choice(_LONG))
        if turn.execute(_IS_TAKEN, (app, name)).fetchone() is None:
            return name
    return None
