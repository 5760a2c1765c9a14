"""Databases with any number of finished flows, made by copying one."""

import sqlite3
from contextlib import closing
from pathlib import Path


def multiply(path: Path, count: int) -> None:
    """Copy the finished flow of a database until there are so many, with one entry each."""
    with closing(sqlite3.connect(path)) as connection, connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(holdfast_flows)")]
        own = {"id": "n + 1", "uid": "printf('%032x', n)", "name": "'p' || n"}
        chosen = ", ".join(own.get(name, name) for name in names)
        numbers = (
            f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count - 1})"
        )
        connection.execute(
            f"INSERT INTO holdfast_flows ({', '.join(names)}) {numbers}"
            f" SELECT {chosen} FROM c, (SELECT * FROM holdfast_flows WHERE id = 1)"
        )
        names = [row[1] for row in connection.execute("PRAGMA table_info(holdfast_entries)")][1:]
        own = {"flow_id": "n + 1"}
        chosen = ", ".join(own.get(name, name) for name in names)
        connection.execute(
            f"INSERT INTO holdfast_entries ({', '.join(names)}) {numbers}"
            f" SELECT {chosen} FROM c,"
            " (SELECT * FROM holdfast_entries WHERE flow_id = 1 ORDER BY seq DESC LIMIT 1)"
        )
